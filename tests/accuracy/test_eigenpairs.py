"""Error estimates of eigenpairs: solves with their equations, and estimates that are right."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.accuracy import AccuracyStatus, SolutionOfEquations
from adjoint.eigen import EigenProblem, Eigenvalue, EigenvalueSum
from scripts.benchmarks.accuracy import eigenpairs


@pytest.mark.parametrize("trans", ["N", "H"])
def test_inverse_solves_with_the_derivative_of_the_equations(trans):
    case = eigenpairs(np.random.default_rng(1))
    case.noise[:] = 0.0
    point = case.point()
    found, _ = point.solution.equations(point.objective)
    assert isinstance(found, SolutionOfEquations)
    B = found.residual.jacobian(found.u, found.p)
    x = np.random.default_rng(2).standard_normal((B.shape[0], 2))
    right = B @ x if trans == "N" else B.T @ x
    assert np.allclose(found.inverse.solve(right, trans), x, rtol=1e-6, atol=1e-8)
    assert np.linalg.norm(found.residual.residual(found.u, found.p)) <= 1e-12 * abs(B).max()


def test_equations_have_the_derivatives_of_the_solution():
    case = eigenpairs(np.random.default_rng(3))
    case.noise[:] = 0.0
    point = case.point()
    found, J = point.solution.equations(point.objective)
    rng = np.random.default_rng(4)
    p_dot = rng.standard_normal(found.p.size)
    u_bar, _ = J.gradients(found.u, found.p)
    assert np.allclose(found.vjp(u_bar), point.gradient, rtol=1e-8)
    assert found.jvp(p_dot) @ u_bar == pytest.approx(point.gradient @ p_dot, rel=1e-8)


@pytest.mark.parametrize("error", [1e-6, 1e-8, 1e-10])
def test_estimates_are_the_true_errors(error):
    case = eigenpairs(np.random.default_rng(5))
    case.noise[:] *= error / np.abs(case.noise).max()
    point = case.point()
    found = point.accuracy()
    value, gradient = case.reference()
    assert found.status is AccuracyStatus.ACCEPTED
    true = float(np.sqrt(np.sum((point.gradient - gradient) ** 2)))
    assert 0.9 <= true / found.gradient_error <= 1.1
    if found.value_status is AccuracyStatus.ACCEPTED:
        assert 0.5 <= abs(float(point.value - value)) / found.value_error <= 2.0


def chain(count):
    springs = np.column_stack([np.arange(10), np.arange(1, 11)]) - 1
    K = adjoint.Elements(springs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    return EigenProblem(K, count=count)


def test_searches_to_full_accuracy_are_at_rounding_level():
    f = adjoint.Reduced(chain(3), Eigenvalue(1))
    found = f(np.ones(10)).accuracy()
    assert found.status is not AccuracyStatus.REFUSED
    assert found.gradient_error <= 1e-12


def test_multiple_eigenvalues_are_named():
    K = adjoint.Affine(sparse.diags_array([1.0, 1.0, 2.0, 3.0, 4.0, 5.0]).tocsc(), [])
    repeated = adjoint.Reduced(EigenProblem(K, count=2), EigenvalueSum(2))(np.zeros(0))
    with pytest.raises(adjoint.errors.RepeatedEigenvalue, match="errors of its eigenpairs"):
        repeated.accuracy()
