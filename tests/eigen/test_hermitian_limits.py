"""Hermitian pencils at the limits of rounding: clusters of noise, units, matrices not as stated."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import (
    EigenProblem,
    EigenvalueSmoothMin,
    ModeShape,
    PNorm,
    Projector,
    SpectralFunction,
    mac,
)
from adjoint.errors import MissingEigenvalues, NotSymmetric, RepeatedEigenvalue
from tests.eigen.pencils import laplacian, square


def csc(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def beam(n):
    """K and M of an Euler beam of length 1 with free ends, cubic elements, (2n + 2) unknowns."""
    L = 1.0 / n
    a, b = 6.0 * L, 4.0 * L * L
    Ke = np.array([[12, a, -12, a], [a, b, -a, b / 2], [-12, -a, 12, -a], [a, b / 2, -a, b]])
    c, d, e = 22.0 * L, 13.0 * L, L * L
    Me = np.array(
        [[156, c, 54, -d], [c, 4 * e, d, -3 * e], [54, d, 156, -c], [-d, -3 * e, -c, 4 * e]]
    )
    unknowns = 2 * np.arange(n)[:, None] + np.arange(4)
    rows, columns = np.repeat(unknowns, 4, axis=1).ravel(), np.tile(unknowns, 4).ravel()
    matrices = [
        csc(sparse.coo_array((np.tile(Ae.ravel(), n), (rows, columns))))
        for Ae in (Ke / L**3, Me * (L / 420.0))
    ]
    return matrices[0], matrices[1]


def perturbed(K, seed=0):
    """K + p_0 D with a random diagonal matrix D."""
    D = np.random.default_rng(seed).standard_normal(K.shape[0])
    return adjoint.Affine(K, [csc(sparse.diags_array(D))])


# Clusters ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "sigma"), [(10, -1e-4), (100, -1e-2), (400, -1.0)])
def test_rigid_motions_are_a_cluster_whatever_the_shift(n, sigma) -> None:
    # The two zero eigenvalues differ by rounding errors of K, not of sigma.
    K, M = beam(n)
    solution = EigenProblem(perturbed(K), M, count=4, sigma=sigma).solve(np.zeros(1))
    assert solution.clusters == ((0, 1), (2,), (3,))
    with pytest.raises(RepeatedEigenvalue):
        solution.vjp(np.array([1.0, 0.0, 0.0, 0.0]))
    with pytest.raises(RepeatedEigenvalue):
        solution.vjp(np.zeros(4), np.random.default_rng(1).standard_normal(solution.vectors.shape))
    assert np.isfinite(solution.vjp(np.array([1.0, 1.0, 0.0, 0.0]))).all()
    assert solution.residuals.max() <= 1e-10


@pytest.mark.parametrize("n", [10, 300])
def test_copies_that_rounding_errors_separate_are_a_cluster(n) -> None:
    # Two clamped beams: the condition of K is 1e5 … 1e11, so that the copies differ by 1e-7.
    K, M = (csc(sparse.block_diag([A[2:, 2:]] * 2)) for A in beam(n))
    shuffled = np.random.default_rng(0).permutation(K.shape[0])
    K, M = (csc(A[shuffled][:, shuffled]) for A in (K, M))
    solution = EigenProblem(perturbed(K), M, count=2).solve(np.zeros(1))
    assert np.allclose(solution.values, 1.8751040687119611**4, rtol=1e-5)
    assert solution.clusters == ((0, 1),)
    with pytest.raises(RepeatedEigenvalue):
        solution.vjp(np.array([1.0, 0.0]))


def test_a_distant_shift_does_not_make_clusters() -> None:
    K = perturbed(csc(np.diag(np.r_[1.0, 1.001, 2.0 + np.arange(10)]) + 1e-3))
    near, far = (EigenProblem(K, count=3, sigma=s).solve(np.zeros(1)) for s in (0.0, -1e6))
    assert far.clusters == near.clusters == ((0,), (1,), (2,))
    assert np.allclose(far.jvp(np.ones(1))[0], near.jvp(np.ones(1))[0], rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_members_that_stay_nearest_to_the_shift_are_wanted(count) -> None:
    rates = np.zeros(10)
    rates[1:3] = 1.0, 5.0
    K = adjoint.Affine(
        csc(np.diag(np.r_[1.0, 3.0, 3.0, 8.0 + np.arange(7)])), [csc(np.diag(rates))]
    )
    problem = EigenProblem(K, count=count, sigma=4.0, factorize=adjoint.ldl)
    solution, ahead = problem.solve(np.zeros(1)), problem.solve(np.array([1e-4]))
    difference = (ahead.values - solution.values) / 1e-4
    assert np.allclose(solution.directional(np.ones(1)), difference, rtol=1e-9)
    assert np.allclose(solution.jvp(np.ones(1))[0], difference, rtol=1e-9)


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-10, 1e-9, 9e-9, 1e-7])
def test_steep_smooth_minima_have_gradients_at_all_gaps(gap) -> None:
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    K0 = (Q * np.r_[1.0, 1.0 + gap, 3.0 + np.arange(18)]) @ Q.T
    K1 = rng.standard_normal((20, 20))
    K = adjoint.Affine(csc(0.5 * (K0 + K0.T)), [csc(K1 + K1.T)])
    f = adjoint.Reduced(EigenProblem(K, count=2), EigenvalueSmoothMin(PNorm(1000.0)))
    block = Q[:, :2].T @ (K1 + K1.T) @ Q[:, :2]
    # f = (a + b)^(-1/1000): the weights of the members are equal up to 500 gap.
    shares = np.array([1.0, (1.0 + gap) ** -1001.0])
    exact = (shares @ np.diag(block)) * (1.0 + (1.0 + gap) ** -1000.0) ** (-1.001)
    assert f(np.zeros(1)).gradient[0] == pytest.approx(exact, rel=1e-10)


# Matrices -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [30, 200])
@pytest.mark.parametrize("part", [1e-3, 1e-6, 1e-9])
def test_a_mass_matrix_that_is_not_symmetric_is_named(n, part) -> None:
    # With sigma = 0 the factors are those of K alone.
    M = sparse.eye_array(n).tolil()
    M[0, 1] = part
    with pytest.raises(NotSymmetric, match=r"M\(p\) is not symmetric"):
        EigenProblem(laplacian(n, 1), csc(M), count=3).solve(np.zeros(1))


def test_masses_of_different_units_are_not_rounding_errors() -> None:
    K, M = csc(np.diag([1.0, 1e-15, 3.0, 4.0, 5.0])), csc(np.diag([1.0, 1e-14, 1.0, 1.0, 1.0]))
    assert np.allclose(EigenProblem(K, M, count=2).solve(np.zeros(1)).values, [0.1, 1.0])


def test_rates_that_are_not_symmetric_are_named() -> None:
    # K is symmetric at p = 0 alone: second derivatives of a symmetric pencil would be wrong.
    N = csc(np.random.default_rng(2).standard_normal((30, 30)))
    solution = EigenProblem(adjoint.Affine(laplacian(30, 1), [N]), count=3).solve(np.zeros(1))
    for derivative in (solution.jvp, solution.directional, solution.linearized):
        with pytest.raises(NotSymmetric, match="rate of K"):
            derivative(np.ones(1))


class ComplexAhead:
    """K(p) = K_0 + i p A, which is real at p = 0."""

    def __init__(self, n):
        self.K = laplacian(n, 1)
        A = np.triu(np.ones((n, n)), 1)
        self.A = csc(1j * (A - A.T))

    def __call__(self, p):
        return self.K if p[0] == 0.0 else csc(self.K + p[0] * self.A)

    def vjp(self, p, u, lam):
        return np.array([np.vdot(lam, self.A @ u).real])

    def jvp(self, p, u, p_dot):
        return p_dot[0] * (self.A @ u)


def test_complex_rates_of_real_matrices_are_named() -> None:
    solution = EigenProblem(ComplexAhead(12), count=2).solve(np.zeros(1))
    with pytest.raises(TypeError, match="rate of K is complex"):
        solution.jvp(np.ones(1))


@pytest.mark.parametrize("n", [20, 200])
def test_a_shift_next_to_an_eigenvalue_is_named(n) -> None:
    K = csc(np.diag(np.r_[1.0, 2.0, 2.5, 4.0 + np.arange(n - 3)]) + 0.1)
    mu = np.linalg.eigvalsh(K.toarray())[0]
    with pytest.raises(MissingEigenvalues, match="too near to the eigenvalue"):
        EigenProblem(K, count=3, sigma=mu * (1.0 - 1e-10)).solve(np.zeros(1))


@pytest.mark.parametrize("n", [5, 100])
def test_a_mass_matrix_of_zeros_is_named(n) -> None:
    with pytest.raises(MissingEigenvalues, match="finite eigenvalues"):
        EigenProblem(laplacian(n, 1), sparse.csc_array((n, n)), count=1).solve(np.zeros(1))


def test_blocks_of_no_directions_are_empty() -> None:
    problem, p = square(5, 3)
    solution = problem.solve(p)
    none, bar = np.zeros((p.size, 0)), np.zeros(solution.u.shape)
    assert solution.jvp(none).shape == (26, 3, 0)
    assert solution.vjp(np.zeros((26, 3, 0))).shape == (p.size, 0)
    rate = solution.linearized(none).vjp_rate(bar, np.zeros((26, 3, 0)))
    assert rate.shape == (p.size, 0)


# Weights ------------------------------------------------------------------------------------------


def test_weights_that_are_not_positive_definite_are_named() -> None:
    target = np.random.default_rng(3).standard_normal((30, 2))
    skew = sparse.eye_array(30).tolil()
    skew[0, 5] = 0.7
    with pytest.raises(ValueError, match="not symmetric"):
        Projector(target, 2, csc(skew))
    with pytest.raises(ValueError, match="not symmetric"):
        mac(target, target, csc(skew))
    single = csc(np.diag(np.eye(30)[0]))
    f = adjoint.Reduced(EigenProblem(laplacian(30, 1), count=2), Projector(target, 2, single))
    with pytest.raises(ValueError, match="positive definite"):
        f(np.zeros(1))


@pytest.mark.parametrize("size", [1e-160, 1e-12, 1e12, 1e160])
def test_the_size_of_targets_does_not_matter(size) -> None:
    target = np.random.default_rng(4).standard_normal((30, 2))
    problem = EigenProblem(perturbed(laplacian(30, 1)), count=3)
    one, other = (adjoint.Reduced(problem, Projector(t, 2)) for t in (target, size * target))
    p = np.zeros(1)
    assert other(p).value == pytest.approx(one(p).value, rel=1e-12)
    assert other(p).gradient[0] == pytest.approx(one(p).gradient[0], rel=1e-10)


# Functions of the space of near eigenvalues -------------------------------------------------------


class Mixed:
    """J = the projector's share + a smooth minimum + the sum of squares of the values."""

    parts = (
        Projector(np.random.default_rng(5).standard_normal((14, 2)), 3),
        EigenvalueSmoothMin(),
        SpectralFunction(
            lambda values, vectors: 1e-3 * (values.real**2).sum(),
            lambda values, vectors: (2e-3 * values, np.zeros(vectors.shape)),
        ),
    )

    def value(self, u, p):
        return sum(J.value(u, p) for J in self.parts)

    def gradients(self, u, p):
        return sum(J.gradients(u, p)[0] for J in self.parts), np.zeros_like(p)

    def hvp(self, u, p, u_dot, p_dot):
        return sum(J.hvp(u, p, u_dot, p_dot)[0] for J in self.parts), np.zeros_like(p)


def near_eigenvalues(lowest, kind):
    """K(p) with these three lowest eigenvalues at p = 0, and M(p) with M(0) = I."""
    rng = np.random.default_rng(6)

    def hermitian():
        A = rng.standard_normal((14, 14))
        A = A + 1j * rng.standard_normal((14, 14)) if kind == "complex" else A
        return A + A.conj().T

    Q = np.linalg.qr(hermitian())[0]
    K0 = (Q * np.r_[lowest, 3.0 + np.arange(11)]) @ Q.conj().T
    K = adjoint.Affine(csc(0.5 * (K0 + K0.conj().T)), [csc(hermitian()) for _ in range(3)])
    M = adjoint.Affine(csc(np.eye(14)), [csc(0.1 * hermitian()) for _ in range(3)])
    return EigenProblem(K, M, count=3)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("second", [0.0, 1.0])
@pytest.mark.parametrize("gap", [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 2e-8])
def test_second_derivatives_of_functions_of_the_space_do_not_depend_on_gaps(
    kind, second, gap
) -> None:
    # Rates of single vectors are as large as 1/gap, and cancel.
    lowest = 1.0 + gap * np.array([0.0, second, 2.5])
    V = np.random.default_rng(7).standard_normal((3, 2))
    near, equal = (
        adjoint.Reduced(near_eigenvalues(values, kind), Mixed())(np.zeros(3))
        for values in (lowest, np.ones(3))
    )
    assert np.allclose(near.gradient, equal.gradient, rtol=0.0, atol=50.0 * gap + 1e-12)
    size = np.abs(equal.hvp(V)).max()
    assert np.abs(near.hvp(V) - equal.hvp(V)).max() <= (100.0 * gap + 1e-7) * size
    H = near.hessian()
    assert np.abs(H - H.T).max() <= 1e-7 * size


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("gap", [1e-2, 1e-3])
def test_second_derivatives_at_resolved_gaps_agree_with_differences(kind, gap) -> None:
    problem = near_eigenvalues(1.0 + gap * np.array([0.0, 0.0, 1.0]), kind)
    f, v, h = adjoint.Reduced(problem, Mixed()), np.array([0.7, -1.1, 0.4]), 1e-4 * gap
    g = [f(k * h * v).gradient for k in (-2, -1, 1, 2)]
    difference = (g[0] - 8.0 * g[1] + 8.0 * g[2] - g[3]) / (12.0 * h)
    product = f(np.zeros(3)).hvp(v)
    assert np.abs(product - difference).max() <= 1e-6 * np.abs(product).max()


def test_vectors_of_near_eigenvalues_keep_their_large_rates() -> None:
    # A function of one vector is not a function of the space: its rates are 1/gap.
    problem = near_eigenvalues(1.0 + 1e-5 * np.array([0.0, 1.0, 2.5]), "real")
    target = np.random.default_rng(8).standard_normal(14)
    gradient = adjoint.Reduced(problem, ModeShape(target, 1))(np.zeros(3)).gradient
    assert np.abs(gradient).max() >= 1e3


# Few distinct eigenvalues -------------------------------------------------------------------------


def test_graphs_of_few_distinct_eigenvalues_are_complete() -> None:
    # A star of 80 vertices has the eigenvalues 0, 1 (78 times) and 80.
    A = np.zeros((80, 80))
    A[0, 1:] = A[1:, 0] = 1.0
    K = csc(np.diag(A.sum(axis=1)) - A + 1e-3 * np.eye(80))
    solution = EigenProblem(K, count=5).solve(np.zeros(1))
    assert np.allclose(solution.values, [0.001, 1.001, 1.001, 1.001, 1.001], atol=1e-13)
    assert [len(cluster) for cluster in solution.clusters] == [1, 78]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_distant_shift_does_not_stop_the_search(seed) -> None:
    # Seven copies of a string, 1e-6 apart: S has eigenvalues that differ by 1e-12.
    rng = np.random.default_rng(seed)
    strings = sparse.block_diag([laplacian(25, 1)] * 7)
    K = csc(strings + sparse.diags_array(1e-6 * rng.uniform(size=175)))
    shuffled = rng.permutation(175)
    K = csc(K[shuffled][:, shuffled])
    solution = EigenProblem(K, count=5, sigma=-1e6).solve(np.zeros(1))
    assert np.allclose(solution.values, np.linalg.eigvalsh(K.toarray())[:5], rtol=0.0, atol=1e-8)


class PartOfTheMatrix:
    """J = tᵀ Φ diag(μ²) Φᵀ t, a function of the values and vectors together."""

    t = np.random.default_rng(10).standard_normal(14)

    def value(self, u, p):
        return float((u[0] ** 2 * (self.t @ u[1:]) ** 2).sum())

    def gradients(self, u, p):
        c, u_bar = self.t @ u[1:], np.zeros_like(u)
        u_bar[0], u_bar[1:] = 2.0 * u[0] * c**2, 2.0 * np.outer(self.t, u[0] ** 2 * c)
        return u_bar, np.zeros_like(p)

    def hvp(self, u, p, u_dot, p_dot):
        c, c_dot, rate = self.t @ u[1:], self.t @ u_dot[1:], np.zeros_like(u)
        rate[0] = 2.0 * u_dot[0] * c**2 + 4.0 * u[0] * c * c_dot
        rate[1:] = 2.0 * np.outer(self.t, 2.0 * u[0] * u_dot[0] * c + u[0] ** 2 * c_dot)
        return rate, np.zeros_like(p)


@pytest.mark.parametrize(("gap", "refused"), [(1e-3, False), (1e-4, False), (1e-7, True)])
def test_second_derivatives_that_cancel_are_refused(gap, refused) -> None:
    # Terms of size 1/gap² cancel in functions of the values and vectors together.
    lowest = np.array([1.0, 1.0 + gap, 2.0])
    point = adjoint.Reduced(near_eigenvalues(lowest, "real"), PartOfTheMatrix())(np.zeros(3))
    assert np.isfinite(point.gradient).all()
    if refused:
        with pytest.raises(RepeatedEigenvalue, match=r"second derivative.*Projector"):
            point.hvp(np.ones(3))
        return
    H = point.hessian()
    assert np.abs(H - H.T).max() <= 1e-15 / gap**2 * np.abs(H).max()
