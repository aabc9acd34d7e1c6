"""T(μ, p) φ = 0: quadratic, rational and delay eigenproblems, derivatives, named troubles."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sparse
from scipy.special import lambertw

import adjoint
from adjoint.checks import check_hvp
from adjoint.eigen import (
    AnalyticFunction,
    AnalyticSum,
    EigenProblem,
    NonlinearEigenProblem,
    exponential,
    power,
    simple_pole,
)
from adjoint.errors import DefectiveEigenvalue, NewtonDiverged, NonFinite
from tests.eigen.test_general_pencils import Overlap

P = np.array([0.3, -0.2])


def affine(n, seed, terms=2):
    rng = np.random.default_rng(seed)
    matrices = [
        sparse.csc_array(
            sparse.random_array((n, n), density=0.2, rng=rng) + 2.0 * sparse.eye_array(n)
        )
        for _ in range(terms + 1)
    ]
    return adjoint.Affine(matrices[0], [0.1 * A for A in matrices[1:]])


def quadratic(n=20):
    """K + μ C + μ² M, and the eigenvalues of its linearization."""
    K, C, M = (affine(n, seed) for seed in range(3))
    T = AnalyticSum([(power(0), K), (power(1), C), (power(2), M)])
    zero, one = np.zeros((n, n)), np.eye(n)
    k, c, m = (A(P).toarray() for A in (K, C, M))
    A = np.block([[zero, one], [-k, -c]])
    return T, scipy.linalg.eigvals(A, np.block([[one, zero], [zero, m]]))


def laws(problem, p) -> None:
    solution = problem.solve(p)
    rng = np.random.default_rng(1)
    w = rng.standard_normal(solution.u.shape) + 1j * rng.standard_normal(solution.u.shape)
    v = rng.standard_normal(p.size)
    assert np.vdot(w, solution.jvp(v)).real == pytest.approx(solution.vjp(w) @ v, rel=1e-10)
    f = adjoint.Reduced(problem, Overlap.random(solution.u.shape))
    assert adjoint.check(f, p).ok
    assert check_hvp(f, p).ok


def test_a_quadratic_eigenproblem_is_its_linearization() -> None:
    T, reference = quadratic()
    for mu in reference[np.argsort(-reference.imag)][[0, 3, 7]]:
        problem = NonlinearEigenProblem(T, mu * (1.0 + 0.002))
        with adjoint.counting() as counts:
            solution = problem.solve(P)
            steps = counts.numeric
            solution.vjp(np.ones(solution.u.shape))
        assert counts.numeric == steps == len(solution.history) + 1  # one for the start vector
        assert solution.values[0] == pytest.approx(mu, rel=1e-12)
        assert solution.residual <= 1e-14
        phi, psi = solution.vectors[:, 0], solution.left[:, 0]
        assert np.linalg.norm(phi) == pytest.approx(1.0, rel=1e-14)
        assert np.vdot(psi, T.derivative(mu, P) @ phi) == pytest.approx(1.0, rel=1e-10)
        assert np.abs(T(mu, P).conj().T @ psi).max() <= 1e-11 * np.abs(psi).max()
        laws(problem, P)


def test_a_linear_pencil_gives_the_same_as_a_general_eigenproblem() -> None:
    K, M = affine(30, 4), affine(30, 5)
    pencil = EigenProblem(K, M, count=1, sigma=0.4 + 0.3j, factorize=adjoint.lu).solve(P)
    T = AnalyticSum(
        [(power(0), K), (AnalyticFunction(lambda mu: -mu, lambda mu: -1.0, lambda mu: 0.0), M)]
    )
    solution = NonlinearEigenProblem(T, complex(pencil.values[0]) + 1e-3).solve(P)
    assert np.allclose(solution.u, pencil.u, atol=1e-10)
    assert np.allclose(-solution.left, pencil.left, atol=1e-9 * np.abs(pencil.left).max())
    w = Overlap.random(solution.u.shape).w
    assert np.allclose(solution.vjp(w), pencil.vjp(w), rtol=1e-9)
    lam, zero = solution.adjoint(w), np.zeros(solution.u.shape)
    ours = solution.hvp(lam, solution.jvp(P), P, zero)
    assert np.allclose(ours, pencil.hvp(pencil.adjoint(w), pencil.jvp(P), P, zero), rtol=1e-8)


@pytest.mark.parametrize("branch", [0, 1, 2, -1])
def test_a_delay_equation_has_the_eigenvalues_of_lambert(branch) -> None:
    """x′(t) = p x(t − 1): μ = W(p), μ′ = μ / (p (1 + μ)), μ″ in closed form."""
    p = -1.3
    mu = complex(lambertw(p, branch))
    T = AnalyticSum(
        [
            (power(1), sparse.eye_array(1, format="csc")),
            (
                exponential(-1.0),
                adjoint.Affine(sparse.csc_array((1, 1)), [sparse.csc_array([[-1.0]])]),
            ),
        ]
    )
    solution = NonlinearEigenProblem(T, mu + 0.05).solve(np.array([p]))
    assert solution.values[0] == pytest.approx(mu, rel=1e-13)
    first = mu / (p * (1.0 + mu))
    assert solution.jvp(np.ones(1))[0, 0] == pytest.approx(first, rel=1e-12)
    assert solution.vjp(np.ones(1))[0] == pytest.approx(first.real, rel=1e-12)
    second = -(first**2) * (2.0 + mu) / (1.0 + mu)
    for bar, part in ((1.0, second.real), (1j, second.imag)):
        u_bar = np.array([[bar], [0.0]])
        H = solution.hvp(
            solution.adjoint(u_bar), solution.jvp(np.ones(1)), np.ones(1), np.zeros((2, 1))
        )
        assert H[0] == pytest.approx(part, rel=1e-11)


def test_a_rational_eigenproblem_obeys_the_laws() -> None:
    T = AnalyticSum(
        [(power(0), affine(15, 0)), (power(1), affine(15, 1)), (simple_pole(-3.0), affine(15, 2))]
    )
    laws(NonlinearEigenProblem(T, -1.0 + 0.3j), P)


def test_the_start_may_be_a_pair_or_a_function_or_a_solution() -> None:
    T, reference = quadratic()
    mu = complex(reference[np.argmax(reference.imag)])
    first = NonlinearEigenProblem(T, mu + 0.01).solve(P)
    pair = (complex(first.values[0]), first.vectors[:, 0])
    for problem in (NonlinearEigenProblem(T, pair), NonlinearEigenProblem(T, lambda p: pair)):
        solution = problem.solve(P)
        assert np.allclose(solution.u, first.u, atol=1e-12)
        assert len(solution.history) <= 2
    near = NonlinearEigenProblem(T, 0.0).solve(P + 1e-3, near=first)
    assert abs(near.values[0] - mu) <= 1e-2
    assert "corrections" not in repr(near)
    assert near.evidence.history == near.history
    exact = NonlinearEigenProblem(T, complex(first.values[0])).solve(P)  # T(start) is singular
    assert np.allclose(exact.u, first.u, atol=1e-10)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(unit) -> None:
    """μ in other units, and equations in other units."""
    K, C, M = (affine(20, seed) for seed in range(3))
    T = AnalyticSum([(power(0), K), (power(1), C), (power(2), M)])
    _, reference = quadratic()
    mu = complex(reference[np.argmax(reference.imag)])
    plain = NonlinearEigenProblem(T, mu * 1.01).solve(P)
    scaled = AnalyticSum(
        [
            (power(0), adjoint.matrices.Combination([(unit, K)])),
            (power(1), C),
            (power(2), adjoint.matrices.Combination([(1.0 / unit, M)])),
        ]
    )
    solution = NonlinearEigenProblem(scaled, mu * unit * 1.01).solve(P)
    assert solution.values[0] / unit == pytest.approx(mu, rel=1e-11)
    assert np.allclose(solution.vectors, plain.vectors, atol=1e-9)


@pytest.mark.parametrize("p", [0.0, 1e-30])
def test_a_defective_eigenvalue_is_named(p) -> None:
    """μ² = p at p = 0: ψᴴ T_μ φ = 2μ = 0."""
    T = AnalyticSum(
        [
            (power(2), sparse.eye_array(1, format="csc")),
            (power(0), adjoint.Affine(sparse.csc_array((1, 1)), [sparse.csc_array([[-1.0]])])),
        ]
    )
    with pytest.raises(DefectiveEigenvalue, match="multiple"):
        NonlinearEigenProblem(T, 0.3).solve(np.array([p]))
    assert NonlinearEigenProblem(T, 0.3).solve(np.array([1e-4])).values[0] == pytest.approx(0.01)


@pytest.mark.parametrize("second", [2.0, 2.0 + 1e-12])
def test_a_double_eigenvalue_of_a_matrix_is_named(second) -> None:
    K = sparse.csc_array([[2.0, 1.0, 0.0], [0.0, second, 0.0], [0.0, 0.0, 5.0]])
    T = AnalyticSum([(power(0), K), (power(1), -sparse.eye_array(3, format="csc"))])
    with pytest.raises(DefectiveEigenvalue, match="multiple"):
        NonlinearEigenProblem(T, 2.1).solve(np.ones(1))


def test_no_eigenvalue_is_named() -> None:
    one = sparse.eye_array(1, format="csc")
    with pytest.raises(NewtonDiverged, match="did not converge") as caught:
        NonlinearEigenProblem(AnalyticSum([(exponential(1.0), one)]), 0.5).solve(np.ones(1))
    assert len(caught.value.history) > 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.eye(2), 1.0), TypeError, "EigenMatrix"),
        ((None, "1"), TypeError, "mu='1'"),
        ((None, np.nan), NonFinite, "mu is nan"),
        ((None, (1.0, np.zeros(20))), ValueError, "nonzero vector"),
        ((None, (1.0, np.ones(3))), ValueError, "shape"),
        ((None, (1.0, np.full(20, np.inf))), NonFinite, "inf"),
        ((None, (1.0, 2.0, 3.0)), ValueError, "3 values"),
        ((None, True), TypeError, "mu=True"),
    ],
)
def test_bad_input_is_named(arguments, error, message) -> None:
    T, start = arguments
    with pytest.raises(error, match=message):
        NonlinearEigenProblem(quadratic()[0] if T is None else T, start).solve(P)


def test_bad_sums_are_named() -> None:
    K = sparse.eye_array(3, format="csc")
    with pytest.raises(ValueError, match="pairs"):
        AnalyticSum([])
    with pytest.raises(TypeError, match="AnalyticFunction"):
        AnalyticSum([(lambda mu: mu, K)])
    with pytest.raises(TypeError, match="Matrix objects"):
        AnalyticSum([(power(1), np.eye(3))])
    with pytest.raises(ValueError, match="equal shapes"):
        AnalyticSum([(power(0), K), (power(1), sparse.eye_array(2, format="csc"))])(1.0, P)
    for make, bad in ((power, -1), (power, 1.5), (exponential, np.nan), (simple_pole, np.inf)):
        with pytest.raises(ValueError, match="expected"):
            make(bad)
    solution = NonlinearEigenProblem(*[quadratic()[0], -0.9 + 1.4j]).solve(P)
    for call in (
        lambda: solution.vjp(np.ones((3, 1))),
        lambda: solution.jvp(np.ones(3)),
        lambda: solution.vjp(np.ones(1), np.ones((3, 1))),
    ):
        with pytest.raises(ValueError, match="shape"):
            call()
