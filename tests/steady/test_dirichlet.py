"""Dirichlet data compared with dense elimination: nonzero, functions of p, load cases."""

from functools import cache

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.steady.dirichlet import DirichletInverse

N, M = 9, 3
FIXED = np.array([7, 0, 4])  # neither sorted nor contiguous


@cache
def matrix(complex):
    rng = np.random.default_rng(0)
    A = [sparse.random_array((N, N), density=0.5, rng=rng) for _ in range(M + 1)]
    if complex:
        A = [a + 1j * sparse.random_array((N, N), density=0.5, rng=rng) for a in A]
    return adjoint.Affine(A[0] + 5.0 * sparse.eye_array(N), A[1:])


def values(complex=False):
    rng = np.random.default_rng(1)
    slope = rng.standard_normal((FIXED.size, M))
    return adjoint.matrices.AffineVector(
        np.array([1.0, -2.0, 3.0]), slope + 1j * slope[::-1] if complex else slope
    )


def load(shape):
    return np.random.default_rng(2).standard_normal(shape)


def eliminated(A, b, g):
    """u by dense elimination: the fixed columns are moved to the right-hand side."""
    free = np.setdiff1d(np.arange(N), FIXED)
    u = np.zeros(b.shape, dtype=np.result_type(A, b, g))
    u[FIXED] = g if b.ndim == 1 else g[:, None]
    u[free] = np.linalg.solve(A[np.ix_(free, free)], (b - A @ u)[free])
    return u


every_shape = pytest.mark.parametrize("shape", [(N,), (N, 2)], ids=["one load", "two loads"])
every_field = pytest.mark.parametrize("complex", [False, True], ids=["real", "complex"])
every_g = pytest.mark.parametrize("complex_g", [False, True], ids=["real g", "complex g"])


@every_shape
@every_field
@every_g
def test_solution_is_that_of_the_elimination(shape, complex, complex_g):
    A, b, g, p = matrix(complex), load(shape), values(complex_g), np.array([0.3, -0.2, 0.5])
    solution = adjoint.LinearProblem(A, b, dirichlet=adjoint.Dirichlet(FIXED, g)).solve(p)
    np.testing.assert_allclose(
        solution.u, eliminated(A(p).toarray(), b, g(p)), rtol=1e-12, atol=1e-13
    )
    np.testing.assert_array_equal(
        solution.u[FIXED].T, np.broadcast_to(g(p), solution.u[FIXED].T.shape)
    )


@every_shape
@every_field
@every_g
def test_derivative_is_that_of_the_elimination(shape, complex, complex_g):
    A, b, g, p = matrix(complex), load(shape), values(complex_g), np.array([0.3, -0.2, 0.5])
    solution = adjoint.LinearProblem(A, b, dirichlet=adjoint.Dirichlet(FIXED, g)).solve(p)
    rng, h = np.random.default_rng(3), 1e-5
    p_dot = rng.standard_normal(M)
    ahead, behind = (eliminated(A(q).toarray(), b, g(q)) for q in (p + h * p_dot, p - h * p_dot))
    rate = solution.jvp(p_dot)
    np.testing.assert_allclose(
        rate, (ahead - behind) / (2 * h), rtol=0, atol=1e-8 * np.abs(rate).max()
    )
    w = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    assert solution.vjp(w) @ p_dot == pytest.approx(np.vdot(w, rate).real, rel=1e-12)


@every_field
@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("columns", [(), (3,)], ids=["one", "three"])
def test_bordered_inverse_is_that_of_the_dense_bordered_matrix(complex, trans, columns):
    A = matrix(complex)(np.array([0.3, -0.2, 0.5]))
    bordered = A.toarray()
    bordered[FIXED] = np.eye(N)[FIXED]
    rng = np.random.default_rng(4)
    b = rng.standard_normal((N, *columns)) + 1j * rng.standard_normal((N, *columns))
    inverse = DirichletInverse.of(A, adjoint.Dirichlet(FIXED, np.zeros(3)), adjoint.factor.superlu)
    transposed = {"N": bordered, "T": bordered.T, "H": bordered.conj().T}[trans]
    for rhs in (b, b.real):
        np.testing.assert_allclose(
            inverse.solve(rhs, trans), np.linalg.solve(transposed, rhs), rtol=1e-11, atol=1e-12
        )
    assert inverse.evidence.unknowns == N - FIXED.size


@every_shape
def test_jacobian_and_residual_belong_to_the_bordered_system(shape):
    A, b, g, p = matrix(False), load(shape), values(), np.array([0.3, -0.2, 0.5])
    problem = adjoint.LinearProblem(A, b, dirichlet=adjoint.Dirichlet(FIXED, g))
    u, v = load(shape)[::-1], np.cos(load(shape))
    change = problem.residual.residual(u + v, p) - problem.residual.residual(u, p)
    np.testing.assert_allclose(problem.residual.jacobian(u, p) @ v, change, atol=1e-13)
    solved = problem.residual.residual(problem.solve(p).u, p)
    np.testing.assert_allclose(solved, 0.0, atol=1e-13)


def test_rows_of_fixed_unknowns_are_not_used():
    A, p = matrix(False), np.array([0.3, -0.2, 0.5])
    given = adjoint.Dirichlet(FIXED, values())
    u = adjoint.LinearProblem(A, load(N), dirichlet=given).solve(p).u
    b, other = load(N), A(p).tolil()
    b[FIXED], other[FIXED] = 1e3, 7.0
    np.testing.assert_allclose(
        adjoint.LinearProblem(sparse.csc_array(other), b, dirichlet=given).solve(p).u, u
    )


def test_symmetric_problem_stays_symmetric_for_cholesky():
    grid = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N))
    ends = adjoint.Dirichlet(np.array([0, N - 1]), np.array([1.0, 3.0]))
    solution = adjoint.LinearProblem(grid, np.zeros(N), adjoint.cholesky, ends).solve(np.zeros(1))
    np.testing.assert_allclose(solution.u, np.linspace(1.0, 3.0, N), rtol=1e-14)


@pytest.mark.parametrize("factorize", [adjoint.cholesky, adjoint.lu], ids=["cholesky", "lu"])
def test_compliance_with_nonzero_data_has_the_right_gradient(factorize):
    """With nonzero data the right-hand side of the forward solve is not b, hence not ū."""
    dofs = np.column_stack([np.arange(N - 1), np.arange(1, N)])
    rods = adjoint.Elements(dofs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    b = np.arange(1.0, N + 1)
    for g in ([0.0, 0.0], [1.0, -0.5]):
        ends = adjoint.Dirichlet(np.array([0, N - 1]), np.array(g))
        f = adjoint.Reduced(adjoint.LinearProblem(rods, b, factorize, ends), adjoint.Compliance(b))
        report = adjoint.check(f, np.linspace(1.0, 2.0, N - 1))
        assert report.ok, report.table()
        assert report.relative_error < 1e-10


def test_pattern_of_the_free_block_is_analysed_once():
    problem = adjoint.LinearProblem(
        matrix(False), load(N), dirichlet=adjoint.Dirichlet(FIXED, values())
    )
    adjoint.lu.forget()
    with adjoint.counting() as counts:
        for scale in (1.0, 1.1, 1.2):
            problem.solve(scale * np.array([0.3, -0.2, 0.5]))
    assert (counts.symbolic, counts.numeric, counts.solves) == (1, 3, 3)


@pytest.mark.parametrize(
    ("fixed", "given", "error", "message"),
    [
        ([0.0, 1.0], [0.0, 0.0], TypeError, "expected indices"),
        ([[0, 1]], [[0.0, 0.0]], TypeError, "expected indices"),
        ([0, 0], [0.0, 0.0], ValueError, "repeated"),
        ([-1, 0], [0.0, 0.0], ValueError, "negative"),
        ([0, 1], [0.0], ValueError, r"expected \(2,\)"),
        ([0, N], [0.0, 0.0], ValueError, f"unknown {N} is fixed, but there are only {N}"),
        (list(range(N)), [0.0] * N, ValueError, "at least one free"),
        ([0, 1], [0.0, np.nan], adjoint.errors.NonFinite, "nan"),
    ],
)
def test_wrong_data_are_named(fixed, given, error, message):
    def solve():
        dirichlet = adjoint.Dirichlet(np.array(fixed), np.array(given))
        adjoint.LinearProblem(matrix(False), load(N), dirichlet=dirichlet).solve(np.zeros(M))

    with pytest.raises(error, match=message):
        solve()


def test_values_that_would_be_broadcast_are_refused():
    one = adjoint.matrices.AffineVector(np.ones(1), np.ones((1, M)))
    with pytest.raises(ValueError, match=r"values\(p\) has shape \(1,\), expected \(3,\)"):
        adjoint.LinearProblem(
            matrix(False), load(N), dirichlet=adjoint.Dirichlet(FIXED, one)
        ).solve(np.zeros(M))


class Still:
    """A matrix that does not depend on p, with integer zeros as derivatives."""

    def __call__(self, p):
        return matrix(False)(np.zeros(M))

    def vjp(self, p, u, lam):
        return [0] * M

    def jvp(self, p, u, p_dot):
        return np.zeros(u.shape, dtype=int)


class Listed:
    """A Vector that returns lists."""

    def __init__(self, of):
        self.of = of

    def __call__(self, p):
        return self.of(p).tolist()

    def vjp(self, p, lam):
        return self.of.vjp(p, lam).tolist()

    def jvp(self, p, p_dot):
        return self.of.jvp(p, p_dot).tolist()


@every_g
def test_rates_of_the_values_keep_their_fractions_and_their_imaginary_parts(complex_g):
    g, p_dot = values(complex_g), np.array([0.3, -0.7, 0.2])
    b = adjoint.matrices.AffineVector(np.ones(N), np.zeros((N, M), dtype=int))
    problem = adjoint.LinearProblem(
        Still(), Listed(b), dirichlet=adjoint.Dirichlet(FIXED, Listed(g))
    )
    solution = problem.solve(np.ones(M))
    exact = eliminated(Still()(p_dot).toarray(), np.zeros(N), g.slope @ p_dot)
    np.testing.assert_allclose(solution.jvp(p_dot), exact, rtol=1e-12, atol=1e-13)
    u_bar = load((N,))
    assert solution.vjp(u_bar) @ p_dot == pytest.approx(np.vdot(u_bar, exact).real, rel=1e-12)
