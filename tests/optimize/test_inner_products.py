"""Laws of every inner product: its direction represents the derivative.

Its root is Euclidean.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.optimize.square_roots import FactorRoot
from problems.optimization.mother_problem import MotherProblem, graded


def mesh(nx, ny, power):
    """A mother problem, for its mass and stiffness matrices."""
    return MotherProblem((graded(nx, power), graded(ny, 1.0)))


SMALL, LARGE = mesh(5, 4, 2.0), mesh(60, 40, 3.0)
RNG = np.random.default_rng(0)


def tridiagonal(n):
    return sparse.csc_array(sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)))


INNER = {
    "Euclidean": (adjoint.optimize.Euclidean(), 7),
    "weighted": (adjoint.optimize.Weighted(RNG.uniform(0.1, 9.0, 7)), 7),
    "tridiagonal": (adjoint.optimize.MassMatrix(tridiagonal(7)), 7),
    "one variable": (adjoint.optimize.MassMatrix(sparse.csc_array([[2.25]])), 1),
    "coo format": (adjoint.optimize.MassMatrix(tridiagonal(7).tocoo()), 7),
    "mesh": (adjoint.optimize.MassMatrix(SMALL.mass), 30),
    "Helmholtz": (adjoint.optimize.MassMatrix.helmholtz(SMALL.mass, SMALL.stiffness, 0.3), 30),
    "graded mesh": (adjoint.optimize.MassMatrix(LARGE.mass), 61 * 41),
    "Helmholtz on a graded mesh": (
        adjoint.optimize.MassMatrix.helmholtz(LARGE.mass, LARGE.stiffness, 0.1),
        61 * 41,
    ),
    "random": (
        adjoint.optimize.MassMatrix(
            sparse.csc_array(np.diag(RNG.uniform(20.0, 30.0, 20)) + np.ones((20, 20)))
        ),
        20,
    ),
}
every_product = pytest.mark.parametrize("name", INNER)


def case(name):
    inner, m = INNER[name]
    return inner, *np.random.default_rng(m).standard_normal((2, m))


@every_product
def test_direction_represents_the_derivative_in_its_inner_product(name):
    inner, g, d = case(name)
    gradient = inner.direction(g)
    polarized = 0.25 * (inner.norm(gradient + d) ** 2 - inner.norm(gradient - d) ** 2)
    size = inner.dual_norm(g) * inner.norm(d)
    assert polarized == pytest.approx(inner.pairing(g, d), abs=1e-9 * size)
    assert inner.dual_norm(g) == pytest.approx(inner.norm(gradient), rel=1e-10)
    assert inner.pairing(g, gradient) == pytest.approx(inner.dual_norm(g) ** 2, rel=1e-12)
    np.testing.assert_allclose(inner.covector(gradient), g, atol=1e-11 * np.abs(g).max())


@every_product
def test_variables_of_the_root_are_euclidean(name):
    """z = Rᵀx: ‖z‖₂ = ‖x‖_M, ‖R⁻¹g‖₂ = ‖g‖_{M⁻¹}, (R⁻¹g)·z = g·x, and back again."""
    inner, g, x = case(name)
    z, slope = inner.root.to_z(x), inner.root.pull(g)
    assert np.linalg.norm(z) == pytest.approx(inner.norm(x), rel=1e-12)
    assert np.linalg.norm(slope) == pytest.approx(inner.dual_norm(g), rel=1e-10)
    assert slope @ z == pytest.approx(
        inner.pairing(g, x), abs=1e-10 * np.linalg.norm(slope) * np.linalg.norm(z)
    )
    np.testing.assert_allclose(inner.root.to_x(z), x, atol=1e-9 * np.abs(x).max())
    # The gradient in z, mapped to x, is the gradient of M.
    np.testing.assert_allclose(
        inner.root.to_x(slope), inner.direction(g), rtol=0, atol=1e-9 * np.abs(slope).max() ** 2
    )


@every_product
def test_product_of_root_and_transpose_is_the_matrix(name):
    inner, g, _ = case(name)
    if g.size > 100:
        R = inner.root.lower
        P = sparse.csc_array(inner.M)[:, inner.root.order][inner.root.order]
        assert abs(R @ R.T - P).max() <= 1e-12 * abs(P).max()
        assert sparse.triu(R, 1).nnz == 0
        return
    RT = np.stack([inner.root.to_z(unit) for unit in np.eye(g.size)], axis=1)
    M = np.stack([inner.covector(unit) for unit in np.eye(g.size)], axis=1)
    np.testing.assert_allclose(RT.T @ RT, M, rtol=0, atol=1e-12 * np.abs(M).max())


@every_product
def test_nothing_handed_over_is_written_to(name):
    inner, g, x = case(name)
    g.setflags(write=False)
    x.setflags(write=False)
    for result in (
        inner.root.to_x(x),
        inner.root.to_z(x),
        inner.root.pull(g),
        inner.direction(g),
        inner.covector(x),
    ):
        assert result.shape == x.shape
    assert inner.root.pull(g) is not g


def test_boxes_stay_boxes_in_variables_of_a_diagonal_root():
    root = adjoint.optimize.Weighted(np.array([4.0, 9.0])).root
    lower, upper = root.to_z(np.array([-np.inf, 1.0])), root.to_z(np.array([2.0, np.inf]))
    np.testing.assert_array_equal(np.stack([lower, upper]), [[-np.inf, 3.0], [4.0, np.inf]])


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.diag([1.0, -1.0, 2.0]), adjoint.errors.NotPositiveDefinite, "not positive definite"),
        (
            np.array([[0.0, 1.0], [1.0, 0.0]]),
            adjoint.errors.NotPositiveDefinite,
            "not positive definite",
        ),
        (
            np.array([[1.0, 1.0], [1.0, 1.0]]),
            adjoint.errors.NotPositiveDefinite,
            "not positive definite",
        ),
        (
            np.array([[1.0, 2.0], [2.0, 1.0]]),
            adjoint.errors.NotPositiveDefinite,
            "not positive definite",
        ),
        (np.array([[2.0, 1.0], [0.0, 2.0]]), adjoint.errors.NotSymmetric, "not symmetric"),
        (np.array([[np.nan, 0.0], [0.0, 1.0]]), adjoint.errors.NonFinite, "nan"),
        (np.diag([1.0, 0.0]), adjoint.errors.SingularMatrix, "empty"),
        (np.ones((2, 3)), ValueError, "square"),
    ],
)
def test_matrices_without_a_root_are_named(matrix, error, message):
    with pytest.raises(error, match=message):
        FactorRoot.of(sparse.csc_array(matrix))


@pytest.mark.parametrize("case", [SMALL, LARGE], ids=["small", "large"])
def test_stiffness_alone_has_no_root(case):
    """Constants are in its null space: the last pivot is rounding, of either sign."""
    with pytest.raises((adjoint.errors.NotPositiveDefinite, adjoint.errors.SingularMatrix)):
        FactorRoot.of(case.stiffness)


def test_helmholtz_direction_is_smooth_over_its_length():
    """d − ℓ²d'' = g has the solution g/(1 + ℓ²k²) for g = cos kx, k = π, 2π, … (no flux at the
    ends).
    """
    case = mesh(128, 2, 1.0)
    x = case.points[0]
    for wave in (1, 4, 9):
        k, length = wave * np.pi, 0.2
        wavy = np.cos(k * x)
        inner = adjoint.optimize.MassMatrix.helmholtz(case.mass, case.stiffness, length)
        direction = inner.direction(case.mass @ wavy)
        expected = wavy / (1.0 + (length * k) ** 2)
        assert np.abs(direction - expected).max() <= (k / 128) ** 2 * np.abs(expected).max()


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_lengths_that_are_none_are_refused(length):
    with pytest.raises(ValueError, match="expected a positive length"):
        adjoint.optimize.MassMatrix.helmholtz(SMALL.mass, SMALL.stiffness, length)


def test_matrices_of_two_meshes_are_refused():
    with pytest.raises(ValueError, match="expected equal shapes"):
        adjoint.optimize.MassMatrix.helmholtz(SMALL.mass, LARGE.stiffness, 1.0)
