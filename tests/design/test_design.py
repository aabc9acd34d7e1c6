"""Laws of every design map: derivative, transpose, composition.

Filters are averages, on meshes that are not square.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.finite_elements.filters import density_filter, helmholtz_filter
from problems.finite_elements.grid import Grid

GRID = Grid((5, 3), (0.5, 0.2))
M = 15
VOLUMES = np.random.default_rng(0).uniform(0.5, 2.0, M)


FILTERS = {
    "density filter": adjoint.design.DensityFilter(GRID.centres, 0.6),
    "density filter, volumes": adjoint.design.DensityFilter(GRID.centres, 0.6, VOLUMES),
    "density filter in 3-D": adjoint.design.DensityFilter(
        np.random.default_rng(1).random((M, 3)), 0.4
    ),
    "convolution filter": adjoint.design.ConvolutionFilter((5, 3), (0.5, 0.2), 0.6),
    "Helmholtz filter": helmholtz_filter(GRID, 0.6),
    "two filters": adjoint.design.DensityFilter(GRID.centres, 0.6) >> helmholtz_filter(GRID, 0.3),
}
MAPS = FILTERS | {
    "identity": adjoint.design.Identity(),
    "SIMP": adjoint.design.SIMP(3.0),
    "SIMP, 1": adjoint.design.SIMP(1.0, 1e-3, 7.0),
    "SIMP, 2.5": adjoint.design.SIMP(2.5, 1e-9, 2.1e11),
    "RAMP": adjoint.design.Ramp(8.0, 0.1, 3.0),
    "RAMP, 0": adjoint.design.Ramp(0.0),
    "projection": adjoint.design.HeavisideProjection(8.0, 0.4),
    "projection, weak": adjoint.design.HeavisideProjection(1e-6),
    "projection at 0": adjoint.design.HeavisideProjection(4.0, 0.0),
    "all of them": adjoint.design.DensityFilter(GRID.centres, 0.6)
    >> adjoint.design.HeavisideProjection(3.0)
    >> adjoint.design.SIMP(3.0),
    "identity first": adjoint.design.Identity()
    >> adjoint.design.Ramp(2.0)
    >> adjoint.design.Identity(),
}
every_map = pytest.mark.parametrize("phi", MAPS.values(), ids=MAPS)
every_filter = pytest.mark.parametrize("phi", FILTERS.values(), ids=FILTERS)


def design(seed=2):
    return np.random.default_rng(seed).uniform(0.1, 0.9, M)


@every_map
def test_jvp_is_the_derivative(phi):
    x, x_dot, h = design(), np.random.default_rng(3).standard_normal(M), 1e-3
    differences = [(phi(x + s * x_dot) - phi(x - s * x_dot)) / (2 * s) for s in (h, h / 2)]
    exact = (4 * differences[1] - differences[0]) / 3
    np.testing.assert_allclose(phi.jvp(x, x_dot), exact, rtol=0, atol=1e-8 * np.abs(exact).max())


@every_map
def test_vjp_is_the_transpose_of_jvp(phi):
    rng = np.random.default_rng(4)
    x, x_dot, p_bar = design(), rng.standard_normal(M), rng.standard_normal(M)
    forward, backward = phi.jvp(x, x_dot) @ p_bar, phi.vjp(x, p_bar) @ x_dot
    assert forward == pytest.approx(
        backward, rel=1e-11, abs=1e-13 * np.linalg.norm(phi.jvp(x, x_dot))
    )


@every_map
def test_maps_of_complex_designs_have_the_conjugate_transpose(phi):
    rng = np.random.default_rng(4)
    x_dot, p_bar = rng.standard_normal((2, M)) + 1j * rng.standard_normal((2, M))
    x, h = design() + 0.1j * design(3), 1e-5
    forward = phi.jvp(x, x_dot)
    np.testing.assert_allclose(
        (phi(x + h * x_dot) - phi(x - h * x_dot)) / (2 * h), forward, rtol=1e-6, atol=1e-8
    )
    assert np.vdot(phi.vjp(x, p_bar), x_dot) == pytest.approx(np.vdot(p_bar, forward), rel=1e-11)


@every_map
def test_inputs_are_not_written_to(phi):
    x, bar = design(), np.ones(M)
    phi(x), phi.vjp(x, bar), phi.jvp(x, bar)
    np.testing.assert_array_equal(x, design())
    np.testing.assert_array_equal(bar, np.ones(M))


@every_filter
def test_filter_leaves_a_constant_as_it_is(phi):
    np.testing.assert_allclose(phi(np.full(M, 0.3)), 0.3, rtol=1e-13)
    np.testing.assert_allclose(phi(np.zeros(M)), 0.0)


@every_filter
def test_filter_is_linear_and_stays_between_the_extremes(phi):
    x, y = design(5), design(6)
    np.testing.assert_allclose(phi(2.0 * x - y), 2.0 * phi(x) - phi(y), atol=1e-13)
    assert phi(x).min() >= x.min() - 1e-12
    assert phi(x).max() <= x.max() + 1e-12
    assert np.ptp(phi(x)) < np.ptp(x)


def test_density_filter_is_the_published_average():
    """Computed by two loops; unequal volumes, a mesh that is not square."""
    phi = FILTERS["density filter, volumes"]
    x, c = design(), GRID.centres
    for i in range(M):
        w = np.array([max(0.0, 0.6 - np.linalg.norm(c[i] - c[j])) * VOLUMES[j] for j in range(M)])
        assert phi(x)[i] == pytest.approx(w @ x / w.sum(), rel=1e-13)


def test_density_filter_within_a_neighbours_distance_is_the_identity():
    phi = adjoint.design.DensityFilter(GRID.centres, 0.2)
    np.testing.assert_allclose(phi(design()), design(), rtol=1e-14)


def test_filters_keep_a_void_from_becoming_negative():
    grid = Grid((40, 20), (1.0, 1.0))
    x = np.where(grid.centres[:, 0] < 10.0, np.random.default_rng(9).random(800), 0.0)
    for phi in (adjoint.design.DensityFilter(grid.centres, 3.0), density_filter(grid, 3.0)):
        assert phi(x).min() >= 0.0
        assert np.isfinite((phi >> adjoint.design.SIMP(2.5)).vjp(x, x)).all()


@pytest.mark.parametrize("radius", [0.15, 0.2, 0.61, 5.0])
@pytest.mark.parametrize("cells", [(5, 3), (1, 7), (4, 3, 2)])
def test_convolution_filter_is_the_density_filter(radius, cells):
    spacing = (0.5, 0.2, 0.3)[: len(cells)]
    grid = Grid(cells, spacing)
    x = np.random.default_rng(7).random(int(np.prod(cells)))
    dense, quick = adjoint.design.DensityFilter(grid.centres, radius), density_filter(grid, radius)
    np.testing.assert_allclose(quick(x), dense(x), rtol=1e-12)
    np.testing.assert_allclose(quick.vjp(x, x), dense.vjp(x, x), rtol=1e-12)


def test_helmholtz_filter_is_self_adjoint_for_equal_volumes_and_keeps_the_volume():
    phi, rng = FILTERS["Helmholtz filter"], np.random.default_rng(8)
    x, y = rng.random(M), rng.random(M)
    assert phi(x) @ y == pytest.approx(x @ phi(y), rel=1e-13)
    assert phi(x).sum() == pytest.approx(x.sum(), rel=1e-13)
    np.testing.assert_allclose(phi.vjp(x, y), phi(y), rtol=1e-12)


def test_helmholtz_filter_reaches_as_far_as_the_density_filter():
    """The second moment of the response to one element, on a mesh that is not square."""
    grid = Grid((60, 40), (0.05, 0.1))
    x = np.zeros(2400)
    centre = 30 * 40 + 20
    x[centre] = 1.0
    reach = []
    for phi in (adjoint.design.DensityFilter(grid.centres, 0.6), helmholtz_filter(grid, 0.6)):
        w = phi(x)
        offset = grid.centres - grid.centres[centre]
        reach.append((w @ offset**2) / w.sum())
    np.testing.assert_allclose(reach[0][0], reach[0][1], rtol=0.1)  # as far in x as in y
    np.testing.assert_allclose(reach[1], 2 * 0.6**2 / 12, rtol=0.05)  # 2R² in each direction


def test_helmholtz_filter_factors_once_for_good():
    phi = helmholtz_filter(GRID, 0.6)
    with adjoint.counting() as counts:
        for _ in range(3):
            phi.vjp(design(), phi(design()))
    assert (counts.numeric, counts.solves) == (1, 6)


def test_maps_compose_from_left_to_right_and_transpose_from_right_to_left():
    """PyTopo3D issue 31.

    The gradient was filtered before, not after, the interpolation's slope was applied.
    """
    filtered, simp = FILTERS["density filter"], adjoint.design.SIMP(3.0)
    x, bar = design(), np.cos(np.arange(M))
    phi = filtered >> simp
    np.testing.assert_array_equal(phi(x), simp(filtered(x)))
    dense = np.array([filtered.jvp(x, unit) for unit in np.eye(M)]).T
    slope = 3.0 * filtered(x) ** 2 * (1.0 - 1e-9)
    np.testing.assert_allclose(phi.vjp(x, bar), dense.T @ (slope * bar), rtol=1e-12, atol=1e-15)
    wrong = slope * (dense.T @ bar)
    assert np.abs(phi.vjp(x, bar) - wrong).max() > 0.01
    np.testing.assert_array_equal(
        (adjoint.design.Identity() >> phi >> adjoint.design.Identity())(x), phi(x)
    )


class Doubled:
    """A map of the user's own: three methods, and no composition."""

    def __call__(self, x):
        return 2.0 * x

    def vjp(self, x, p_bar):
        return 2.0 * p_bar

    def jvp(self, x, x_dot):
        return 2.0 * x_dot


@every_map
def test_maps_compose_with_those_of_the_user_on_either_side(phi):
    x, bar = 0.5 * design(), np.cos(np.arange(M))
    np.testing.assert_array_equal((Doubled() >> phi)(x), phi(2.0 * x))
    np.testing.assert_array_equal((Doubled() >> phi).vjp(x, bar), 2.0 * phi.vjp(2.0 * x, bar))
    np.testing.assert_array_equal((phi >> Doubled()).vjp(x, bar), phi.vjp(x, 2.0 * bar))
    np.testing.assert_array_equal((phi >> Doubled()).jvp(x, bar), 2.0 * phi.jvp(x, bar))


def test_projection_runs_from_zero_to_one_and_its_slope_never_cancels():
    for beta in (0.1, 4.0, 64.0, 500.0):
        phi = adjoint.design.HeavisideProjection(beta, 0.4)
        np.testing.assert_allclose(phi(np.array([0.0, 1.0])), [0.0, 1.0], atol=1e-15)
        slope = phi.vjp(np.linspace(0.0, 1.0, 21), np.ones(21))
        assert np.all(slope > 0.0)  # 1 − tanh² is exactly zero from β|x − η| = 19 on


def test_interpolations_run_between_their_moduli():
    ends = np.array([0.0, 1.0])
    for phi in (adjoint.design.SIMP(3.0, 1e-3, 5.0), adjoint.design.Ramp(4.0, 1e-3, 5.0)):
        np.testing.assert_allclose(phi(ends), [1e-3, 5.0], rtol=1e-15)
    assert adjoint.design.SIMP(3.0).vjp(np.zeros(1), np.ones(1)) == 0.0
    assert adjoint.design.Ramp(4.0).vjp(np.zeros(1), np.ones(1)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: adjoint.design.DensityFilter(np.ones(4), 1.0)(np.ones(4)),
            "expected finite coordinates",
        ),
        (
            lambda: adjoint.design.DensityFilter(np.full((4, 2), np.nan), 1.0)(np.ones(4)),
            "expected finite coordinates",
        ),
        (
            lambda: adjoint.design.DensityFilter(GRID.centres, 0.0)(design()),
            "expected a positive length",
        ),
        (
            lambda: adjoint.design.DensityFilter(GRID.centres, np.nan)(design()),
            "expected a positive length",
        ),
        (lambda: adjoint.design.DensityFilter(GRID.centres, 1.0)(np.ones(4)), r"expected \(15,\)"),
        (
            lambda: adjoint.design.DensityFilter(GRID.centres, 1.0, np.ones(4))(design()),
            r"expected \(15,\)",
        ),
        (
            lambda: adjoint.design.DensityFilter(GRID.centres, 1.0, np.zeros(M))(design()),
            "expected positive",
        ),
        (
            lambda: adjoint.design.ConvolutionFilter((5, 3), (0.5,), 0.6),
            "expected one length per axis",
        ),
        (lambda: adjoint.design.ConvolutionFilter((5, 3), (0.5, 0.2), -1.0), "positive"),
        (lambda: adjoint.design.ConvolutionFilter((5, 3), (0.5, np.nan), 1.0), "positive"),
        (
            lambda: adjoint.design.ConvolutionFilter((5, 3), (0.5, 0.2), 0.6)(np.ones(4)),
            r"expected \(15,\)",
        ),
        (lambda: FILTERS["Helmholtz filter"](np.ones(4)), r"expected \(15,\)"),
        (lambda: helmholtz_filter(GRID, -0.6), "expected a positive length"),
        (lambda: Grid((5,), (0.5,)), "expected two or three of each"),
        (lambda: Grid((5, 0), (0.5, 0.2)), "expected at least one cell"),
        (lambda: Grid((5, 3), (0.5, np.nan)), "lengths > 0"),
        (lambda: adjoint.design.SIMP(0.5), "penalty ≥ 1"),
        (lambda: adjoint.design.SIMP(np.inf), "penalty ≥ 1"),
        (lambda: adjoint.design.SIMP(3.0, 1.0, 0.5), "minimum < maximum"),
        (lambda: adjoint.design.SIMP(2.5)(np.array([0.5, -0.1])), "x ≥ 0 for the penalty 2.5"),
        (lambda: adjoint.design.Ramp(-1.0), "curvature ≥ 0"),
        (lambda: adjoint.design.HeavisideProjection(0.0), "beta > 0"),
        (lambda: adjoint.design.HeavisideProjection(1.0, 1.5), "0 ≤ eta ≤ 1"),
        (
            lambda: adjoint.optimize.LinearConstraint.volume(
                adjoint.design.SIMP(3.0), np.ones(M), 0.5
            ),
            "is not linear",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_filter_matrices_of_another_mesh_are_refused():
    phi = FILTERS["Helmholtz filter"]
    with pytest.raises(ValueError, match=r"expected T \(7, m\)"):
        adjoint.design.HelmholtzFilter(sparse.eye_array(7), phi.T, phi.volumes)


def uneven_helmholtz(n=7):
    """A rod of n elements of different lengths."""
    h = np.linspace(0.5, 2.0, n)
    K = sparse.lil_array((n + 1, n + 1))
    T = sparse.lil_array((n + 1, n))
    for e in range(n):
        at = np.ix_([e, e + 1], [e, e + 1])
        K[at] = K[at].toarray() + 0.4 / h[e] * np.array([[1.0, -1.0], [-1.0, 1.0]])
        K[at] = K[at].toarray() + h[e] / 6.0 * np.array([[2.0, 1.0], [1.0, 2.0]])
        T[[e, e + 1], [e, e]] = h[e] / 2.0
    return adjoint.design.HelmholtzFilter(sparse.csc_array(K), sparse.csc_array(T), h)


def test_a_helmholtz_filter_of_unequal_volumes_has_the_right_transpose():
    """p = v⁻¹ Tᵀ K⁻¹ T x is not symmetric: the weights v⁻¹ come first in its transpose."""
    phi = uneven_helmholtz()
    H = phi.T.T.toarray() @ np.linalg.solve(phi.K.toarray(), phi.T.toarray()) / phi.volumes[:, None]
    assert np.abs(H - H.T).max() > 0.05
    np.testing.assert_allclose(phi(np.ones(7)), 1.0, rtol=1e-12)
    rng = np.random.default_rng(0)
    x, p_bar = rng.uniform(0.2, 0.8, 7), rng.standard_normal(7)
    np.testing.assert_allclose(phi(x), H @ x, rtol=1e-12)
    np.testing.assert_allclose(phi.jvp(x, p_bar), H @ p_bar, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(phi.vjp(x, p_bar), H.T @ p_bar, rtol=1e-12, atol=1e-14)
