"""Convergence to zero solutions and to singular Jacobians, and with wrong Jacobians."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array
from problems.steady.bratu import bratu
from problems.steady.conduction import conduction

STEPS = (adjoint.newton.AffineInvariant(), adjoint.newton.LineSearch(), adjoint.newton.FullSteps())
every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
B = np.random.default_rng(0).standard_normal((4, 4)) + 4.0 * np.eye(4)
EQUATIONS = {
    "linear": lambda u, p: B @ u - p,
    "quadratic": lambda u, p: B @ u + u**2 - p,
    "cubic": lambda u, p: B @ u + u**3 - p,
}
C = B + 2j * np.eye(4)


class Complex:
    """C u + u² = p, complex, with relative errors of 1e-13 in the Jacobian."""

    def residual(self, u, p):
        return C @ u + u**2 - p

    def jacobian(self, u, p):
        return (C + 2.0 * np.diag(u)) * (1.0 + 1e-13 * np.cos(np.arange(4)))

    def vjp(self, u, p, lam):
        return -lam.real

    def jvp(self, u, p, p_dot):
        return -p_dot.astype(complex)


@every_step
@pytest.mark.parametrize("n", [2, 5])
def test_a_solution_of_zero_is_found_with_an_inexact_jacobian(step, n):
    """Each correction is 10⁻¹³ of the last: no correction is small relative to ‖u‖."""
    residual = adjoint.finite_difference_residual(lambda u, p: 2 * u - p, n=n, m=n)
    solution = adjoint.NonlinearProblem(
        residual, np.ones(n), method=adjoint.newton.Newton(globalization=step)
    ).solve(np.zeros(n))
    assert np.abs(solution.u).max() <= 1e-30
    assert len(solution.evidence.history) <= 8
    np.testing.assert_allclose(solution.vjp(np.eye(n)), 0.5 * np.eye(n), rtol=1e-6)


@every_step
@pytest.mark.parametrize("chord", [0.0, 0.3])
@pytest.mark.parametrize("start", [0.4, 4e-9, 0.0])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_derivatives_at_a_zero_solution(equation, start, chord, step):
    method = adjoint.newton.Newton(globalization=step, chord=chord)
    for make in (adjoint.complex_step_residual, adjoint.finite_difference_residual):
        residual = make(EQUATIONS[equation], n=4, m=4)
        solution = adjoint.NonlinearProblem(residual, np.full(4, start), method=method).solve(
            np.zeros(4)
        )
        assert np.abs(solution.u).max() <= 1e-12 * start
        np.testing.assert_allclose(
            solution.jvp(np.ones(4)), np.linalg.solve(B, np.ones(4)), rtol=1e-5
        )


@every_step
def test_a_complex_solution_of_zero(step):
    method = adjoint.newton.Newton(globalization=step)
    solution = adjoint.NonlinearProblem(Complex(), np.full(4, 0.1 + 0.2j), method=method).solve(
        np.zeros(4)
    )
    assert np.abs(solution.u).max() <= 1e-12
    np.testing.assert_allclose(solution.jvp(np.ones(4)), np.linalg.solve(C, np.ones(4)), rtol=1e-10)


def test_small_solutions_are_still_found_to_their_own_size():
    """1e-20 from a start of 1: small, but not zero."""
    p = 1e-20 * np.array([1.0, -2.0, 3.0, 0.5])
    solution = adjoint.NonlinearProblem(
        adjoint.complex_step_residual(EQUATIONS["cubic"], n=4, m=4), np.ones(4)
    ).solve(p)
    np.testing.assert_allclose(solution.u, np.linalg.solve(B, p), rtol=1e-9)


def double_eigenvalue(split=0.0):
    """(A + p D) v = μ v, vᵀv = 1; A has eigenvalues 2 and 2 + split, D couples their vectors."""
    Q = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))[0]
    A = Q @ np.diag([1.0, 2.0, 2.0 + split, 5.0, 7.0, 9.0]) @ Q.T
    D = np.outer(Q[:, 1], Q[:, 2])
    D = D + D.T

    def residual(u, p):
        return np.append((A + p[0] * D) @ u[:6] - u[6] * u[:6], u[:6] @ u[:6] - 1)

    start = np.append(
        Q[:, 1] + 1e-3 * np.random.default_rng(0).standard_normal(6), 2.0 - 1e-3 if split else 2.01
    )
    return adjoint.complex_step_residual(residual, n=7, m=1), start


@every_step
@pytest.mark.parametrize(
    "factorize", [adjoint.lu, adjoint.factor.superlu, adjoint.gmres(adjoint.factor.ilu())]
)
def test_a_double_eigenvalue_has_no_derivative(factorize, step):
    """Newton's method reaches it quickly, with Jacobians that are regular at every iterate."""
    residual, start = double_eigenvalue()
    problem = adjoint.NonlinearProblem(
        residual, start, factorize, method=adjoint.newton.Newton(globalization=step)
    )
    with pytest.raises(adjoint.SolveError) as caught:
        problem.solve(np.zeros(1)).vjp(np.eye(7)[6])
    if not isinstance(factorize, adjoint.factor.Krylov):
        assert isinstance(caught.value, adjoint.errors.SingularJacobian)
        assert "at the solution is singular, and no derivative exists there" in str(caught.value)


def test_every_derivative_of_it_is_refused_again_and_again():
    residual, start = double_eigenvalue()
    solution = adjoint.NonlinearProblem(residual, start).solve(np.zeros(1))
    for derivative in (
        lambda: solution.vjp(np.eye(7)[6]),
        lambda: solution.jvp(np.ones(1)),
        lambda: solution.vjp(np.eye(7)[0]),
        lambda: solution.adjoint(np.eye(7)[6]),
    ):
        with pytest.raises(adjoint.errors.SingularJacobian):
            derivative()


@pytest.mark.parametrize("split", [1e-3, 1e-7])
def test_nearly_double_eigenvalues_have_derivatives_of_the_accuracy_that_is_said(split):
    residual, start = double_eigenvalue(split)
    solution = adjoint.NonlinearProblem(residual, start).solve(np.zeros(1))
    derivative = solution.jvp(np.ones(1))
    # dv/dp = v₂ / (μ₁ − μ₂), and dμ/dp = 0.
    assert (
        abs(np.linalg.norm(derivative[:6]) * split - 1.0) <= 1e2 * solution.evidence.gradient_error
    )
    assert solution.evidence.gradient_error >= np.finfo(float).eps * 0.1 / split
    assert abs(derivative[6]) <= 1e-14 / split


def test_implied_error_of_a_gradient_is_at_least_rounding_times_the_condition():
    C = np.diag([1.0, 1e-4, 1e-9]) + 1e-10 * np.random.default_rng(1).standard_normal((3, 3))
    C = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0] @ C
    solution = adjoint.NonlinearProblem(
        adjoint.complex_step_residual(lambda u, p: C @ u - p, n=3, m=3),
        np.zeros(3),
        adjoint.factor.superlu,
    ).solve(np.ones(3))
    solution.vjp(np.ones(3))
    evidence = solution.evidence
    assert evidence.gradient_error >= np.finfo(float).eps * evidence.condition
    assert np.isfinite(evidence.gradient_error)


def test_regular_jacobians_are_not_factored_again(monkeypatch):
    residual = adjoint.complex_step_residual(EQUATIONS["cubic"], n=4, m=4)
    solution = adjoint.NonlinearProblem(residual, np.ones(4)).solve(np.ones(4))
    with adjoint.counting() as counts:
        solution.vjp(np.ones(4))
        solution.jvp(np.ones(4))
    assert counts.numeric == 0


# A Jacobian that is not the derivative: a solution is found, but its gradient would be wrong


@dataclass(frozen=True, eq=False)
class Mistaken:
    """A residual whose Jacobian has one entry that is too large."""

    right: adjoint.protocols.Residual
    factor: float

    def residual(self, u: Array, p: Array) -> Array:
        return self.right.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        J = self.right.jacobian(u, p).copy()
        J.data[J.data.size // 2] *= self.factor
        return J

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        return self.right.vjp(u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        return self.right.jvp(u, p, p_dot)


@pytest.mark.parametrize(
    "make", [lambda: bratu(20, 13), lambda: conduction(12, 9)], ids=["Bratu", "conduction"]
)
@pytest.mark.parametrize(
    "globalization",
    [adjoint.newton.AffineInvariant(), adjoint.newton.LineSearch()],
    ids=lambda g: str(type(g)),
)
def test_linear_convergence_betrays_a_wrong_jacobian(make, globalization):
    problem = make()
    method = adjoint.newton.Newton(globalization=globalization)
    wrong = replace(problem, residual=Mistaken(problem.residual, 1.1), method=method)
    with pytest.raises(adjoint.errors.WrongJacobian, match="check_residual") as caught:
        wrong.solve(problem.residual.nominal)
    assert len(caught.value.history) >= 4
    right = replace(problem, residual=Mistaken(problem.residual, 1.0), method=method)
    assert np.isfinite(right.solve(problem.residual.nominal).u).all()
