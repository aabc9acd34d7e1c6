"""LogDeterminant: published numbers, dense determinants, Taylor orders, counts, bad input."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.determinant import Hutchinson, LogDeterminant, PlusLogDeterminant
from adjoint.errors import NotPositiveDefinite, SingularMatrix, SolveError
from adjoint.matrices import Combination, Entries, Part

RNG = np.random.default_rng(0)


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def laplacian(m):
    """The 5-point Laplacian of m × m interior points, h = 1 / (m + 1)."""
    t = sparse.diags_array([-np.ones(m - 1), 2 * np.ones(m), -np.ones(m - 1)], offsets=[-1, 0, 1])
    K = sparse.kron(t, sparse.eye_array(m)) + sparse.kron(sparse.eye_array(m), t)
    return canonical(K * (m + 1) ** 2)


def entries(pattern):
    """The matrix whose entries are the parameters."""
    return Entries(
        pattern,
        values=lambda p: p,
        pullback=lambda p, data_bar: data_bar,
        pushforward=lambda p, p_dot: p_dot,
        pullback_rate=lambda p, data_bar, p_dot: np.zeros_like(p),
    )


def springs(n):
    """A chain of n springs to the ground: one stiffness per spring."""
    dofs = np.stack([np.arange(n) - 1, np.arange(n)], axis=1)
    return adjoint.Elements(dofs, np.array([[1.0, -1.0], [-1.0, 1.0]]))


def hermitian():
    """A₀ + Σ p_i A_i, complex Hermitian for real p."""
    rng = np.random.default_rng(1)
    terms = []
    for _ in range(3):
        B = sparse.random_array((20, 20), density=0.1, rng=rng)
        B = B + 1j * sparse.random_array((20, 20), density=0.1, rng=rng)
        terms.append(canonical(B @ B.conj().T))
    return adjoint.Affine(canonical(5.0 * sparse.eye_array(20)), terms)


def squared(pattern):
    """The matrix with the entries p_k² and n on the diagonal: nonlinear in p."""
    shift = np.where(
        pattern.indices == np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr)), 9.0, 0.0
    )
    return Entries(
        pattern,
        values=lambda p: p[0] ** 2 * pattern.data + shift + p[1] ** 3 * shift,
        pullback=lambda p, data_bar: np.array(
            [2 * p[0] * (pattern.data @ data_bar), 3 * p[1] ** 2 * (shift @ data_bar)]
        ),
        pushforward=lambda p, v: 2 * p[0] * v[0] * pattern.data + 3 * p[1] ** 2 * v[1] * shift,
        pullback_rate=lambda p, data_bar, v: np.array(
            [2 * v[0] * (pattern.data @ data_bar), 6 * p[1] * v[1] * (shift @ data_bar)]
        ),
    )


def matrices():
    K = laplacian(4)
    diagonals = [canonical(sparse.diags_array(RNG.random(16))) for _ in range(3)]
    affine = adjoint.Affine(K, diagonals)
    mixed = Combination(
        [(2.0, Part(springs(16), slice(0, 16))), (0.5, Part(affine, slice(16, 19)))]
    )
    return {
        "Affine": (affine, RNG.random(3)),
        "Affine, n = 1": (adjoint.Affine(None, [np.array([[2.0]])]), np.array([3.0])),
        "Elements": (springs(12), 0.5 + RNG.random(12)),
        "Hermitian": (hermitian(), RNG.random(3)),
        "Entries, nonlinear": (squared(laplacian(3)), np.array([1.2, 0.7])),
        "Combination of Parts": (mixed, 0.5 + RNG.random(19)),
    }


MATRICES = matrices()


def dense_gradient(A, p):
    """g_k = Re tr(A⁻¹ ∂A/∂p_k), from dense inverses."""
    inverse = np.linalg.inv(A(p).toarray())
    eye = np.eye(A(p).shape[0])
    return np.array(
        [np.trace(inverse @ A.jvp(p, eye, direction)).real for direction in np.eye(p.size)]
    )


def dense_hessian(A, p):
    """H_kl = −Re tr(A⁻¹ A_k A⁻¹ A_l) for an affine A."""
    inverse = np.linalg.inv(A(p).toarray())
    eye = np.eye(inverse.shape[0])
    terms = [inverse @ A.jvp(p, eye, direction) for direction in np.eye(p.size)]
    return -np.array([[np.trace(X @ Y).real for Y in terms] for X in terms])


def test_the_published_determinant_of_a_laplacian():
    K = laplacian(10)
    point = LogDeterminant(entries(K))(K.data.copy())
    assert abs(point.value - 600.7078664650401) < 1e-10
    assert abs(point.gradient[0] - 0.002498306891703) < 1e-14


@pytest.mark.parametrize("name", MATRICES)
def test_values_and_gradients_are_those_of_dense_matrices(name):
    A, p = MATRICES[name]
    point = LogDeterminant(A)(p)
    assert np.isclose(point.value, np.linalg.slogdet(A(p).toarray())[1], rtol=1e-12)
    np.testing.assert_allclose(point.gradient, dense_gradient(A, p), rtol=1e-10, atol=1e-12)
    assert point.phase == 1.0
    assert np.isclose(point.jvp(np.ones(p.size)), point.gradient.sum(), rtol=1e-12)


@pytest.mark.parametrize("name", MATRICES)
def test_taylor_orders_are_two_and_three(name):
    A, p = MATRICES[name]
    f = LogDeterminant(A)
    adjoint.check(f, p)  # Raises WrongGradient.
    adjoint.check_hvp(f, p)  # Raises WrongGradient.


@pytest.mark.parametrize("name", ["Affine", "Elements", "Hermitian", "Combination of Parts"])
def test_hessians_are_those_of_dense_matrices(name):
    A, p = MATRICES[name]
    H = LogDeterminant(A)(p).hessian()
    np.testing.assert_allclose(H, dense_hessian(A, p), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(H, H.T, rtol=1e-10, atol=1e-13)
    V = RNG.random((p.size, 2))
    np.testing.assert_allclose(LogDeterminant(A)(p).hvp(V), H @ V, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["Affine", "Hermitian", "Entries, nonlinear"])
def test_estimated_hessians_are_within_their_standard_errors(name):
    A, p = MATRICES[name]
    exact = LogDeterminant(A)(p).hessian()
    point = LogDeterminant(A, second_derivatives=Hutchinson(samples=200, seed=1))(p)
    H, error = point.hvp_with_error(np.eye(p.size))
    assert np.all(np.abs(H - exact) < 5.0 * error)
    assert np.all(error > 0.0)
    np.testing.assert_allclose(H, H.T, rtol=1e-10, atol=1e-12 * np.abs(H).max())
    assert np.array_equal(point.hvp(np.eye(p.size)), H)
    assert "200 random vectors" in point.evidence.second_derivatives


def test_exact_products_say_so_and_have_no_standard_error():
    A, p = MATRICES["Affine"]
    point = LogDeterminant(A)(p)
    assert point.evidence.second_derivatives.startswith("exact")
    assert not point.hvp_with_error(np.ones(3))[1].any()


def test_one_factorization_gives_the_value_and_all_derivatives():
    A, p = MATRICES["Elements"]
    f = LogDeterminant(A)
    with adjoint.counting() as counts:
        point = f(p)
        _ = point.gradient, point.evidence
        assert (counts.numeric, counts.rhs) == (1, 8)  # Four verified columns, refined.
        _ = point.hessian()
    assert counts.numeric == 1
    assert point.evidence.factorization.counts.numeric == 1


def test_complex_parameters():
    """f(p) = log |det A(p)| with complex p: df = Re(gᴴ dp)."""
    K = laplacian(3)
    A = adjoint.Affine(K, [canonical(sparse.eye_array(9))])
    p = np.array([2.0 + 0j])
    point = LogDeterminant(A)(p)
    assert np.isclose(point.gradient[0], np.trace(np.linalg.inv(A(p).toarray())).conj())


def test_a_design_map_enters_the_chain_rule():
    A, _ = MATRICES["Elements"]
    f = LogDeterminant(A, design=adjoint.design.SIMP())
    x = 0.5 + RNG.random(12)
    adjoint.check(f, x)  # Raises WrongGradient.
    adjoint.check_hvp(f, x)  # Raises WrongGradient.


@pytest.mark.parametrize("algorithm", [adjoint.optimize.LBFGS, adjoint.optimize.NewtonCG])
def test_minimize_finds_the_most_likely_covariance(algorithm):
    """C = p₀ I + p₁ K: the likelihood of data with the covariance C(truth) is largest there."""
    K = laplacian(3) / 16.0
    C = adjoint.Affine(None, [canonical(sparse.eye_array(9)), K])
    truth = np.array([0.8, 0.3])
    b = np.linalg.cholesky(C(truth).toarray())  # b bᵀ = C(truth).
    J = adjoint.Reduced(
        adjoint.LinearProblem(C, b, adjoint.cholesky), adjoint.LinearFunctional(0.5 * b)
    )
    f = PlusLogDeterminant(J, 0.5)
    bounds = adjoint.Bounds(0.01, 10.0)
    result = adjoint.minimize(f, np.array([1.0, 1.0]), algorithm(bounds=bounds))
    np.testing.assert_allclose(result.x, truth, rtol=1e-3)
    point = f(result.x)
    dense = C(result.x).toarray()
    value = 0.5 * np.sum(b * np.linalg.solve(dense, b)) + 0.5 * np.linalg.slogdet(dense)[1]
    assert np.isclose(point.value, value, rtol=1e-12)
    assert np.abs(point.gradient).max() < 1e-4


def gaussian():
    C, p = MATRICES["Combination of Parts"]
    b = RNG.random(16)
    J = adjoint.Reduced(
        adjoint.LinearProblem(C, b, adjoint.cholesky), adjoint.LinearFunctional(0.5 * b)
    )
    return PlusLogDeterminant(J, 0.5), p


def test_a_likelihood_and_its_gradient_cost_one_factorization():
    f, p = gaussian()
    with adjoint.counting() as counts:
        _ = f(p).gradient
    assert counts.numeric == 1
    assert counts.rhs <= 10  # u, the probe, four verified columns, refined.
    adjoint.check(f, p)  # Raises WrongGradient.
    adjoint.check_hvp(f, p)  # Raises WrongGradient.
    H = f(p).hessian()
    np.testing.assert_allclose(H, H.T, rtol=1e-8, atol=1e-10)


def test_dirichlet_data_leave_the_free_block():
    A, p = MATRICES["Affine"]
    fixed = np.array([0, 3, 7])
    free = np.setdiff1d(np.arange(16), fixed)
    dirichlet = adjoint.Dirichlet(fixed, np.zeros(3))
    f = LogDeterminant(A, dirichlet=dirichlet)
    block = A(p).toarray()[np.ix_(free, free)]
    point = f(p)
    assert np.isclose(point.value, np.linalg.slogdet(block)[1])
    adjoint.check(f, p)  # Raises WrongGradient.
    adjoint.check_hvp(f, p)  # Raises WrongGradient.
    problem = adjoint.LinearProblem(A, np.ones(16), adjoint.cholesky, dirichlet)
    with adjoint.counting() as counts:
        shared = problem.solve(p).log_determinant
        assert np.isclose(shared.value, point.value, rtol=1e-13)
        np.testing.assert_allclose(shared.gradient, point.gradient, rtol=1e-12)
    assert counts.numeric == 1
    np.testing.assert_allclose(shared.hvp(np.ones(3)), point.hvp(np.ones(3)), rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_of_the_matrix_shift_the_value(unit):
    A, p = MATRICES["Elements"]
    scaled = Combination([(unit, A)])
    point, expected = LogDeterminant(scaled)(p), LogDeterminant(A)(p)
    assert np.isclose(point.value, expected.value + 12 * np.log(unit), rtol=1e-12)
    np.testing.assert_allclose(point.gradient, expected.gradient, rtol=1e-11)
    adjoint.check(LogDeterminant(scaled), p)  # Raises WrongGradient.


@pytest.mark.parametrize("factorize", [factor.superlu_cholesky, factor.pardiso_cholesky], ids=str)
def test_other_backends_give_the_same_gradient(factorize):
    if factorize.missing():
        pytest.skip("not installed")
    A, p = MATRICES["Combination of Parts"]
    point, expected = LogDeterminant(A, factorize)(p), LogDeterminant(A)(p)
    assert np.isclose(point.value, expected.value, rtol=1e-13)
    np.testing.assert_allclose(point.gradient, expected.gradient, rtol=1e-11)


class NoContraction:
    """A user's Matrix with `vjp` only."""

    def __call__(self, p):
        return canonical(p[0] * sparse.eye_array(3))

    def vjp(self, p, u, lam):
        return np.array([np.sum(lam * u)])


class Contraction(NoContraction):
    """A user's Matrix with `contract`."""

    def contract(self, p, A_bar):
        return np.array([A_bar.diagonal().sum()])


def test_a_matrix_of_your_own_needs_contract():
    p = np.array([2.0])
    point = LogDeterminant(NoContraction())(p)
    assert np.isclose(point.value, 3 * np.log(2.0))
    with pytest.raises(TypeError, match="NoContraction has no method contract"):
        _ = point.gradient
    point = LogDeterminant(Contraction())(p)
    np.testing.assert_allclose(point.gradient, [1.5])
    with pytest.raises(TypeError, match="jvp"):
        point.hvp(np.ones(1))


def test_errors_have_names():
    A = adjoint.Affine(None, [canonical(np.diag([1.0, -1.0])), canonical(np.eye(2))])
    with pytest.raises(NotPositiveDefinite):
        LogDeterminant(A)(np.array([1.0, 0.0]))
    with pytest.raises((SingularMatrix, NotPositiveDefinite)):
        LogDeterminant(A)(np.array([1.0, 1.0]))
    with pytest.raises(SolveError, match="no determinant"):
        LogDeterminant(A, adjoint.cg(factor.jacobi()))(np.array([0.0, 1.0]))
    with pytest.raises(TypeError, match="a Matrix"):
        LogDeterminant(lambda p: np.eye(2))
    with pytest.raises(TypeError, match="expected a SciPy sparse matrix"):
        LogDeterminant(3)
    with pytest.raises(TypeError, match="factorizer"):
        LogDeterminant(A, "cholesky")
    with pytest.raises(TypeError, match="Hutchinson"):
        LogDeterminant(A, second_derivatives=64)
    with pytest.raises(ValueError, match="samples"):
        Hutchinson(samples=1)
    with pytest.raises(TypeError, match="Reduced"):
        PlusLogDeterminant(A)
    point = LogDeterminant(A)(np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="shape"):
        point.hvp(np.ones(3))
    with pytest.raises(ValueError, match="shape"):
        point.jvp(np.ones(3))
    with pytest.raises(ValueError, match="pattern"):
        A.contract(np.ones(2), canonical(np.ones((2, 2))))


def test_nonlinear_problems_have_no_log_determinant():
    A, p = MATRICES["Affine"]
    residual = adjoint.steady.LinearResidual(A, adjoint.matrices.ConstantVector(np.ones(16)))
    problem = adjoint.NonlinearProblem(residual, u0=np.zeros(16))
    with pytest.raises(TypeError, match="log_determinant"):
        _ = problem.solve(p).log_determinant


def test_large_exact_hessians_are_refused(monkeypatch):
    monkeypatch.setattr(adjoint.steady.log_determinant, "MAX_EXACT", 10)
    A, p = MATRICES["Affine"]
    with pytest.raises(TypeError, match="Hutchinson"):
        LogDeterminant(A)(p).hvp(np.ones(3))
