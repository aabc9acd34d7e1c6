"""Error estimates of complex eigenpairs: Hermitian, nonsymmetric and nonlinear."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.accuracy import AccuracyStatus, SolutionOfEquations
from adjoint.eigen import EigenProblem, Eigenvalue, EigenvalueSum
from scripts.benchmarks.accuracy_complex import FAMILIES, N

every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@every_family
@pytest.mark.parametrize("trans", ["N", "H"])
def test_inverse_solves_with_the_derivative_of_the_equations(family, trans):
    case = family(np.random.default_rng(1))
    point = case.point()
    found, _ = point.solution.equations(point.objective)
    assert isinstance(found, SolutionOfEquations)
    B = found.residual.jacobian(found.u, found.p)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((B.shape[0], 2)) + 1j * rng.standard_normal((B.shape[0], 2))
    right = B @ x if trans == "N" else B.conj().T @ x
    # The eigenpairs have errors up to 1e-3, and so has the inverse.
    assert np.linalg.norm(found.inverse.solve(right, trans) - x) <= 0.5 * np.linalg.norm(x)


@every_family
def test_parameter_derivatives_are_adjoint_to_each_other(family):
    point = family(np.random.default_rng(3)).point()
    found, _ = point.solution.equations(point.objective)
    rng = np.random.default_rng(4)
    lam = rng.standard_normal(found.u.size) + 1j * rng.standard_normal(found.u.size)
    p_dot = rng.standard_normal(found.p.size)
    forward = np.vdot(lam, found.residual.jvp(found.u, found.p, p_dot)).real
    assert found.residual.vjp(found.u, found.p, lam) @ p_dot == pytest.approx(forward, rel=1e-12)


@every_family
def test_equations_have_the_derivatives_of_their_residual(family):
    point = family(np.random.default_rng(5)).point()
    found, _ = point.solution.equations(point.objective)
    rng = np.random.default_rng(6)
    v = rng.standard_normal(found.u.size) + 1j * rng.standard_normal(found.u.size)
    h = 1e-5
    R = found.residual
    difference = (R.residual(found.u + h * v, found.p) - R.residual(found.u - h * v, found.p)) / (
        2.0 * h
    )
    rate = R.jacobian(found.u, found.p) @ v
    assert np.linalg.norm(difference - rate) <= 1e-7 * np.linalg.norm(rate)


@every_family
@pytest.mark.parametrize("turned", [False, True], ids=["normal", "of any length and phase"])
def test_objective_of_normalized_vectors_has_its_gradient(family, turned):
    """J(φ/‖φ‖) with a phase: differences along u and along p."""
    case = family(np.random.default_rng(7))
    rng = np.random.default_rng(8)
    weights = rng.standard_normal((N + 1, len(case.pairs))) + 1j * rng.standard_normal(
        (N + 1, len(case.pairs))
    )

    class Linear:
        """J = Re Σ conj(w) u, which depends on length and phase."""

        def value(self, u, p):
            return float(np.vdot(weights, u).real)

        def gradients(self, u, p):
            return weights, np.zeros(p.shape)

    found, J = case.inexact().equations(Linear())
    u = found.u * (1.7 * np.exp(0.8j) if turned else 1.0)
    u_bar, p_bar = J.gradients(u, found.p)
    v = rng.standard_normal(u.size) + 1j * rng.standard_normal(u.size)
    q = rng.standard_normal(found.p.size)
    h = 1e-5

    def along(t):
        return J.value(u + t * v, found.p + t * q)

    slope = np.vdot(u_bar, v).real + p_bar @ q
    assert (along(h) - along(-h)) / (2.0 * h) == pytest.approx(slope, rel=1e-6)


@every_family
@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15, 16])
def test_accepted_estimates_are_the_true_errors(family, seed):
    case = family(np.random.default_rng(seed))
    point = case.point()
    found = point.accuracy()
    value, gradient = case.reference()
    true = float(np.sqrt(np.sum((point.gradient - gradient) ** 2)))
    if found.status is AccuracyStatus.ACCEPTED:
        assert 0.5 <= true / found.gradient_error <= 2.0
        corrected = float(np.sqrt(np.sum((found.corrected_gradient - gradient) ** 2)))
        assert corrected <= 0.2 * true
    if found.value_status is AccuracyStatus.ACCEPTED:
        assert 0.5 <= abs(float(point.value - value)) / found.value_error <= 2.0


@pytest.mark.parametrize("factorize", [adjoint.cholesky, adjoint.lu], ids=["cholesky", "lu"])
def test_searches_to_full_accuracy_are_at_rounding_level(factorize):
    H = np.diag(np.arange(1.0, 21.0)) + 0.1j * np.diag(np.ones(19), 1)
    K = adjoint.Affine(sparse.csc_array(H + H.conj().T), [sparse.eye_array(20, format="csc")])
    f = adjoint.Reduced(EigenProblem(K, count=2, factorize=factorize), Eigenvalue(0))
    found = f(np.zeros(1)).accuracy()
    assert found.status is not AccuracyStatus.REFUSED
    assert found.gradient_error <= 1e-12


def test_multiple_eigenvalues_of_general_pencils_are_named():
    K = adjoint.Affine(sparse.diags_array([1.0, 1.0, 2.0, 3.0, 4.0, 5.0]).tocsc(), [])
    problem = EigenProblem(K, count=2, factorize=adjoint.lu)
    with pytest.raises(adjoint.errors.RepeatedEigenvalue, match="errors of its eigenpairs"):
        adjoint.Reduced(problem, EigenvalueSum(2))(np.zeros(0)).accuracy()
