"""Laws of the vector fields: exact derivatives, one pattern, closed forms, invariants."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import ellipk

from problems.finite_elements.grid import Grid
from problems.time.advection_diffusion import AdvectionDiffusion
from problems.time.akzo_nobel import AkzoNobel
from problems.time.amplifier import Amplifier
from problems.time.brusselator import Brusselator
from problems.time.catalogue import ODE_CATALOGUE
from problems.time.gray_scott import GrayScott
from problems.time.heat import HeatedPlate, HeatFlow
from problems.time.kinetics import ReactionChain, Robertson
from problems.time.lattice import Lattice
from problems.time.oscillators import LotkaVolterra, Pendulum, Spiral, VanDerPol
from problems.time.schrodinger import Trap

HEATERS = np.array([[0.2, 0.2], [0.8, 0.5], [0.1, 0.6]])


def lattice(*cells, periodic=False):
    return Lattice(cells, size=(1.0, 0.7), periodic=periodic)


# name: (field, a time)
CASES = {
    "Robertson": (Robertson(), 0.0),
    "chain": (ReactionChain(), 0.0),
    "Akzo Nobel": (AkzoNobel(), 0.0),
    "van der Pol": (VanDerPol(stiffness=30.0), 0.0),
    "Lotka-Volterra": (LotkaVolterra(), 0.0),
    "pendulum": (Pendulum(), 0.7),
    "spiral": (Spiral(), 0.3),
    "amplifier": (Amplifier(), 1.3e-3),
    "trap": (Trap(7), 0.9),
    "trap, one point": (Trap(1), 0.9),
    "advection-diffusion": (AdvectionDiffusion((5, 3)), 0.0),
    "advection-diffusion, a row": (AdvectionDiffusion((4, 1), size=(1.0, 3.0)), 0.0),
    "Brusselator": (Brusselator(lattice(5, 3)), 0.0),
    "Brusselator, periodic": (Brusselator(lattice(3, 4, periodic=True)), 0.0),
    "Brusselator, periodic, two columns": (Brusselator(lattice(2, 5, periodic=True)), 0.0),
    "Brusselator, a column": (Brusselator(lattice(1, 4)), 0.0),
    "Gray-Scott": (GrayScott(lattice(4, 6)), 0.0),
    "Gray-Scott, periodic, a feed a cell": (GrayScott(lattice(5, 3, periodic=True)), 0.0),
    "heated plate": (
        HeatedPlate(Grid((4, 3), (0.25, 0.2)), HEATERS, np.array([0.0, 0.5, 0.8, 2.0])),
        0.6,
    ),
    "heated plate, last interval": (
        HeatedPlate(Grid((2, 3), (0.5, 0.2)), HEATERS, np.array([-1.0, 0.0, 3.0])),
        2.9,
    ),
    "heat flow": (HeatFlow(Grid((3, 4), (0.3, 0.2))), 0.3),
}
every_case = pytest.mark.parametrize("name", CASES)
MASSES = {
    name: CASES[name][0].mass for name in ("Akzo Nobel", "amplifier", "heated plate", "heat flow")
}
STARTS = {name: CASES[name][0].initial for name in ("Akzo Nobel", "amplifier")}


def instance(name, seed=0):
    """(field, t, u, p): random u and p around typical values, read-only."""
    physics, t = CASES[name]
    rng = np.random.default_rng(seed)
    p = physics.nominal
    if name.endswith("a feed a cell"):
        p = np.append(p[:3], np.full(physics.lattice.count, p[3]))
    start = physics.initial(p) if callable(physics.initial) else physics.initial
    u = (start + 0.1) * rng.uniform(0.5, 1.5, start.size)
    if name == "amplifier":
        u = start + 0.1 * rng.uniform(-1.0, 1.0, 8)
    p = p * rng.uniform(0.8, 1.2, p.size)
    for v in (u, p):
        v.setflags(write=False)
    return physics, t, u, p


def dense(A):
    return A.toarray() if sparse.issparse(A) else A


def along(function, v):
    """The dense derivative of a holomorphic function at v.

    By differences along the imaginary axis, extrapolated.
    """
    columns = []
    for e in np.eye(v.size) * np.maximum(abs(v), 0.1 * abs(v).max()):
        coarse, fine = (
            (function(v + 1j * h * e) - function(v - 1j * h * e)) / (2j * h) for h in (2e-4, 1e-4)
        )
        columns.append((4 * fine - coarse) / 3 / e.sum())
    return np.stack(columns, axis=1)


def stepped(function, v):
    """The dense derivative of a real function at v, by complex steps."""
    return np.stack([function(v + 1e-30j * e).imag * 1e30 for e in np.eye(v.size)], axis=1)


def derivative(function, v, u):
    return along(function, v) if np.iscomplexobj(u) else stepped(function, v)


def tolerance(u):
    return 1e-10 if np.iscomplexobj(u) else 1e-13


@every_case
def test_jacobian_is_the_derivative_of_the_field(name):
    physics, t, u, p = instance(name)
    expected = derivative(lambda v: physics(t, v, p), u, u)
    J = dense(physics.jacobian(t, u, p))
    np.testing.assert_allclose(
        J, expected, rtol=tolerance(u), atol=tolerance(u) * abs(expected).max()
    )


@every_case
def test_jvp_is_the_derivative_with_respect_to_the_parameters(name):
    physics, t, u, p = instance(name)
    expected = derivative(lambda v: physics(t, u, v), p, u)
    applied = np.stack([physics.jvp(t, u, p, e) for e in np.eye(p.size)], axis=1)
    scales = abs(expected).max(axis=0)
    assert applied.shape == (u.size, p.size)
    for column, wanted, scale in zip(applied.T, expected.T, scales, strict=True):
        np.testing.assert_allclose(column, wanted, rtol=tolerance(u), atol=tolerance(u) * scale)


@every_case
def test_vjp_is_the_transpose_of_jvp(name):
    physics, t, u, p = instance(name)
    rng = np.random.default_rng(2)
    lam, p_dot = rng.standard_normal(u.size), rng.standard_normal(p.size) * p
    if np.iscomplexobj(u):
        lam = lam + 1j * rng.standard_normal(u.size)
    lam.setflags(write=False)
    p_dot.setflags(write=False)
    g, r = physics.vjp(t, u, p, lam), physics.jvp(t, u, p, p_dot)
    assert g.shape == p.shape
    assert g.dtype == np.float64
    assert r.shape == u.shape
    expected = np.vdot(lam, r).real
    assert g @ p_dot == pytest.approx(
        expected, abs=1e-13 * (abs(g) @ abs(p_dot) + abs(lam) @ abs(r))
    )


@every_case
def test_vjp_at_complex_states_and_parameters_takes_the_conjugate(name):
    physics, t, u, p = instance(name)
    rng = np.random.default_rng(3)
    u, p = (v * (1.0 + 0.1j * rng.standard_normal(v.size)) for v in (u, p))
    lam = rng.standard_normal(u.size) + 1j * rng.standard_normal(u.size)
    p_dot = (rng.standard_normal(p.size) + 1j * rng.standard_normal(p.size)) * abs(p)
    g, r = physics.vjp(t, u, p, lam), physics.jvp(t, u, p, p_dot)
    assert np.vdot(g, p_dot) == pytest.approx(
        np.vdot(lam, r), abs=1e-13 * (abs(g) @ abs(p_dot) + abs(lam) @ abs(r))
    )


@every_case
def test_time_derivative_is_that_of_the_field(name):
    physics, t, u, p = instance(name)
    h = 1e-5 if name == "amplifier" else 1e-3
    coarse, fine = ((physics(t + k, u, p) - physics(t - k, u, p)) / (2 * k) for k in (2 * h, h))
    found = physics.time_derivative(t, u, p)
    assert found.shape == u.shape
    scale = (
        abs(found).max() + 1e-5 * abs(physics(t, u, p)).max()
    )  # Of the rounding of the differences.
    np.testing.assert_allclose(found, (4 * fine - coarse) / 3, rtol=0, atol=1e-7 * scale)


@every_case
def test_fields_of_complex_arguments_are_complex_and_of_real_ones_real(name):
    physics, t, u, p = instance(name)
    kind = u.dtype
    assert physics(t, u, p).dtype == kind
    assert physics.jacobian(t, u, p).dtype == kind
    for v, q in ((u + 0j, p), (u, p + 0j), (u + 0j, p + 0j)):
        r = physics(t, v, q)
        np.testing.assert_allclose(r, physics(t, u, p), rtol=1e-13, atol=1e-13 * abs(r).max())
        np.testing.assert_allclose(
            dense(physics.jacobian(t, v, q)), dense(physics.jacobian(t, u, p)), rtol=1e-13
        )


@every_case
def test_jacobian_is_dense_or_canonical_and_always_on_one_pattern(name):
    physics, t, u, p = instance(name)
    A = physics.jacobian(t, u, p)
    assert A.shape == (u.size, u.size)
    assert isinstance(A, sparse.csc_array) == (not isinstance(physics, SMALL))
    if isinstance(A, sparse.csc_array):
        B = physics.jacobian(t + 0.1, np.zeros_like(u), 0.0 * p)
        assert sparse.csc_array((A.data, A.indices, A.indptr), shape=A.shape).has_canonical_format
        np.testing.assert_array_equal(A.indices, B.indices)
        np.testing.assert_array_equal(A.indptr, B.indptr)


SMALL = (Robertson, ReactionChain, AkzoNobel, VanDerPol, LotkaVolterra, Pendulum, Spiral, Amplifier)


@pytest.mark.parametrize("name", [name for name in CASES if not isinstance(CASES[name][0], SMALL)])
def test_a_jacobian_is_not_changed_by_the_next_one(name):
    physics, t, u, p = instance(name)
    A = physics.jacobian(t, u, p)
    before = A.data.copy()
    physics.jacobian(t + 0.3, 2.0 * u, 3.0 * p)
    np.testing.assert_array_equal(A.data, before)


@pytest.mark.parametrize("name", STARTS)
def test_initial_states_have_exact_derivatives(name):
    start, p = STARTS[name], instance(name)[3]
    expected = stepped(start, p)
    np.testing.assert_allclose(
        np.stack([start.jvp(p, e) for e in np.eye(p.size)], axis=1), expected, rtol=1e-13
    )
    np.testing.assert_allclose(
        np.stack([start.vjp(p, e) for e in np.eye(expected.shape[0])]), expected, rtol=1e-13
    )


@pytest.mark.parametrize("name", ["amplifier", "heat flow"])
def test_mass_matrices_have_exact_derivatives(name):
    M, (_, _, u, p) = MASSES[name], instance(name)
    lam = np.random.default_rng(4).standard_normal(u.size)
    expected = stepped(lambda q: M(q) @ u, p)
    np.testing.assert_allclose(
        np.stack([M.jvp(p, u, e) for e in np.eye(p.size)], axis=1), expected, atol=1e-15
    )
    np.testing.assert_allclose(M.vjp(p, u, lam), expected.T @ lam, atol=1e-15)


@pytest.mark.parametrize("name", ["Akzo Nobel", "amplifier"])
def test_singular_masses_leave_daes_of_index_one_with_consistent_starts(name):
    """M + s ∂f/∂u is regular on the null space of M; f(u0(p), p) is in the range of M."""
    physics, _, _, p = instance(name)
    mass = physics.mass
    M = dense(mass(p)) if callable(mass) else mass
    u0 = physics.initial(p)
    left, sizes, right = np.linalg.svd(M)
    rank = int(np.sum(sizes > 1e-12 * sizes[0]))
    assert rank == {"Akzo Nobel": 5, "amplifier": 5}[name]
    assert (abs(M).max(axis=1) > 0.0).all() == (name == "amplifier")
    f, J = physics(0.0, u0, p), physics.jacobian(0.0, u0, p)
    np.testing.assert_allclose(left[:, rank:].T @ f, 0.0, atol=1e-15)
    algebraic = left[:, rank:].T @ J @ right[rank:].T
    assert np.linalg.cond(algebraic) < 1e6


# Closed forms and invariants


def test_robertson_conserves_mass_and_the_akzo_nobel_start_is_that_of_the_test_set():
    _, t, u, p = instance("Robertson")
    assert Robertson()(t, u, p).sum() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(np.ones(3) @ Robertson().jacobian(t, u, p), 0.0, atol=1e-9)
    physics = AkzoNobel()
    f = physics(0.0, physics.initial(physics.nominal), physics.nominal)
    np.testing.assert_allclose(f[5], 0.0, atol=1e-16)


def test_negative_roots_are_nan_and_warn_of_nothing():
    physics, u = AkzoNobel(), AkzoNobel().initial(AkzoNobel().nominal)
    assert np.isnan(physics(0.0, u - 0.01, physics.nominal)).any()
    assert np.isnan(physics.jacobian(0.0, u - 0.01, physics.nominal)).any()
    u[1] = 0.0
    assert np.isfinite(physics(0.0, u, physics.nominal)).all()


def test_exponentials_that_overflow_are_infinite_and_warn_of_nothing():
    physics = Amplifier()
    u = np.array([0.0, 100.0, 0.0, 6.0, 100.0, 0.0, 6.0, 0.0])
    assert not np.isfinite(physics(0.0, u, physics.nominal)).all()
    assert not np.isfinite(physics.jacobian(0.0, u, physics.nominal)).all()


def test_predators_and_prey_keep_their_first_integral():
    physics, t, u, p = instance("Lotka-Volterra")
    p1, p2, p3, p4 = p
    slope = np.array([p4 - p3 / u[0], p2 - p1 / u[1]])
    assert slope @ physics(t, u, p) == pytest.approx(0.0, abs=1e-14)


def test_pendulum_has_the_period_of_the_elliptic_integral():
    physics, p = Pendulum(), np.array([9.81, 0.0, 0.0, 0.0])
    period = 4.0 * ellipk(np.sin(0.5) ** 2) / np.sqrt(p[0])
    final = reference(physics, physics.initial, p, period)
    np.testing.assert_allclose(final, physics.initial, atol=1e-9)


def test_spiral_is_the_matrix_exponential():
    physics = Spiral()
    a, d = physics.nominal
    final = reference(physics, physics.initial, physics.nominal, 2.0)
    np.testing.assert_allclose(
        final, expm(2.0 * np.array([[a, -1.0], [1.0, d]])) @ physics.initial, rtol=1e-10
    )


def reference(physics, u0, p, tf):
    """u(tf) by SciPy's Runge–Kutta method of order 8."""
    return solve_ivp(
        lambda t, u: physics(t, u, p), (0.0, tf), u0, "DOP853", rtol=1e-12, atol=1e-12
    ).y[:, -1]


def test_akzo_nobel_without_its_algebraic_unknown_reaches_the_published_state():
    """Lioen & de Swart (1999): the state at t = 180 minutes, to 10 digits of the largest."""
    physics, p = AkzoNobel(), AkzoNobel().nominal

    def reduced(t, v):
        return physics(t, np.append(v, p[6] * v[0] * v[3]), p)[:5]

    start = physics.initial(p)[:5]
    final = solve_ivp(reduced, (0.0, 180.0), start, "Radau", rtol=1e-10, atol=1e-14).y[:, -1]
    published = [
        0.1150794920661702,
        0.1203831471567715e-2,
        0.1611562887407974,
        0.3656156421249283e-3,
    ]
    np.testing.assert_allclose(final, [*published, 0.1708010885264404e-1], rtol=1e-7)


def test_shaken_states_keep_their_norm():
    physics, t, u, p = instance("trap")
    assert np.vdot(u, physics(t, u, p)).real == pytest.approx(0.0, abs=1e-14)
    assert np.linalg.norm(physics.initial) == pytest.approx(1.0, rel=1e-14)


def test_trap_has_the_energies_of_the_oscillator():
    """k + ½ in the limit of fine grids: order 2."""
    errors = []
    for points in (49, 99):
        H = (
            1j
            * Trap(points, length=12.0)
            .jacobian(0.0, np.zeros(points), np.array([1.0, 0.0, 0.0]))
            .toarray()
        )
        errors.append(abs(np.sort(np.linalg.eigvalsh(H))[:3] - [0.5, 1.5, 2.5]).max())
    assert errors[1] < 4e-2
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


def test_differences_in_time_transport_are_exact_for_quadratics():
    model = AdvectionDiffusion((6, 4), size=(2.0, 1.5))
    x, y = model.coordinates.T
    u = 1.0 + x * (2.0 - x) + y**2
    inside = (x > 0.3) & (x < 1.7) & (y > 0.35) & (y < 1.15)
    f = model(0.0, u, np.array([0.5, 2.0, 0.25, -1.0]))
    np.testing.assert_allclose(
        f[inside], (-1.0 + 4.0 * (1.0 - x) + 0.5 - 2.0 * y)[inside], atol=1e-12
    )


@pytest.mark.parametrize("periodic", [False, True], ids=["closed", "periodic"])
@pytest.mark.parametrize("cells", [(7, 4), (4, 7), (1, 5), (5, 1), (2, 2), (1, 1)])
def test_diffusion_on_a_lattice_conserves_and_is_symmetric_and_its_matrix(cells, periodic):
    grid, rates = lattice(*cells, periodic=periodic), np.array([0.3, 2.0])
    w, v = np.random.default_rng(5).standard_normal((2, 2 * grid.count))
    diffused, scale = grid.diffused(w, rates), 10.0 * sum(h**-2.0 for h in grid.spacing)
    np.testing.assert_allclose(
        diffused.reshape(-1, 2).sum(axis=0), 0.0, atol=1e-14 * scale * grid.count
    )
    np.testing.assert_allclose(grid.diffused(np.ones_like(w), rates), 0.0, atol=1e-14 * scale)
    assert v @ diffused == pytest.approx(
        w @ grid.diffused(v, rates), abs=1e-13 * scale * grid.count
    )
    by_matrix = grid.matrix(rates, np.zeros((4, grid.count))) @ w
    np.testing.assert_allclose(by_matrix, diffused, atol=1e-13 * scale)


@pytest.mark.parametrize("periodic", [False, True], ids=["closed", "periodic"])
def test_diffusion_on_a_lattice_has_order_two(periodic):
    errors = []
    for n in (24, 48):
        grid = Lattice((n, 2 * n), size=(1.0, 3.0), periodic=periodic)
        x, y = grid.centres.T
        u = np.cos(2.0 * np.pi * x) * np.cos(2.0 * np.pi * y / 3.0)
        exact = -(4.0 * np.pi**2) * (1.0 + 1.0 / 9.0) * u
        errors.append(abs(grid.diffused(np.repeat(u, 2), np.array([1.0, 0.0]))[0::2] - exact).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.05)


def test_brusselator_rests_where_feed_and_conversion_balance():
    model = Brusselator(lattice(4, 3))
    p = np.append([0.1, 0.2], np.full(12, 1.3))
    np.testing.assert_allclose(
        model(0.0, np.tile([1.3, model.conversion / 1.3], 12), p), 0.0, atol=1e-13
    )


def test_gray_scott_rests_without_the_second_species_and_takes_one_feed_or_many():
    model = GrayScott(lattice(4, 3))
    p = model.nominal
    np.testing.assert_allclose(model(0.0, np.tile([1.0, 0.0], 12), p), 0.0, atol=1e-15)
    many = np.append(p[:3], np.full(12, p[3]))
    np.testing.assert_array_equal(model(0.0, model.initial, p), model(0.0, model.initial, many))


def test_heat_is_conserved_but_for_losses_and_heaters():
    plate, t, u, p = instance("heated plate")
    area = 1.0 * 0.6
    assert plate.mass.sum() == pytest.approx(area, rel=1e-13)
    still = replace(plate, loss=0.0)
    assert still(t, u, 0.0 * p).sum() == pytest.approx(0.0, abs=1e-14)
    uniform = plate(t, np.full(u.size, 2.0), 0.0 * p)
    assert uniform.sum() == pytest.approx(-2.0 * plate.loss * area, rel=1e-12)
    power = plate.power(t, p)
    assert plate(t, 0.0 * u, p).sum() == pytest.approx(plate.heaters.sum(axis=0) @ power, rel=1e-12)


def test_heaters_are_linear_between_their_knots():
    plate, _, _, p = instance("heated plate")
    at_knots = np.array([plate.power(t, p) for t in plate.knots])
    np.testing.assert_allclose(at_knots.ravel(), p, rtol=1e-14)
    between = np.array([np.interp(1.4, plate.knots, values) for values in at_knots.T])
    np.testing.assert_allclose(plate.power(1.4, p), between, rtol=1e-13)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Trap(0),
        lambda: AdvectionDiffusion((0, 3)),
        lambda: lattice(3, 0),
        lambda: HeatedPlate(Grid((2, 2), (1.0, 1.0)), HEATERS, np.array([0.0])),
        lambda: HeatedPlate(Grid((2, 2), (1.0, 1.0)), HEATERS, np.array([0.0, 1.0, 1.0])),
    ],
)
def test_models_without_unknowns_or_intervals_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()


# Problems, as the catalogue makes them


@pytest.mark.parametrize("make", ODE_CATALOGUE.values(), ids=ODE_CATALOGUE)
def test_catalogue_problems_are_solved_and_their_gradients_are_those_of_the_replay(make):
    """Real arithmetic alone, extrapolated differences along a random direction."""
    problem, p = make()
    trajectory, rng = problem.solve(p), np.random.default_rng(6)
    u_bar = rng.standard_normal(trajectory.u.shape)
    q_bar = rng.standard_normal(trajectory.integrals.size) if trajectory.integrals.size else None
    p_dot = p * rng.uniform(-1.0, 1.0, p.size)

    def value(at):
        other = trajectory.replay(at)
        return np.vdot(u_bar, other.u).real + (0.0 if q_bar is None else q_bar @ other.integrals)

    coarse, fine = ((value(p + h * p_dot) - value(p - h * p_dot)) / (2.0 * h) for h in (2e-4, 1e-4))
    g = trajectory.vjp(u_bar, q_bar)
    assert g @ p_dot == pytest.approx((4.0 * fine - coarse) / 3.0, abs=1e-7 * (abs(g) @ abs(p_dot)))
