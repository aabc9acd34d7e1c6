"""Newton's method on residuals from plain functions: derivatives and evaluations."""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from problems.steady.bratu import bratu, plain_bratu
from problems.steady.conduction import conduction, plain_conduction

MODELS = {
    "Bratu": lambda: (bratu(7, 12), plain_bratu(7, 12)),
    "conduction": lambda: (conduction(9, 5), plain_conduction(conduction(9, 5).residual)),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@every_model
@pytest.mark.parametrize(
    "derive", [adjoint.complex_step_residual, adjoint.finite_difference_residual]
)
def test_derived_solutions_are_those_of_hand_written_residuals(make, derive):
    problem, function = make()
    p = problem.residual.nominal * np.random.default_rng(0).uniform(
        0.9, 1.1, problem.residual.nominal.size
    )
    by_hand = problem.solve(p)
    derived = replace(problem, residual=derive(function, p.size, p.size)).solve(p)
    tolerance = 1e-11 if derive is adjoint.complex_step_residual else 1e-8
    w, v = np.random.default_rng(1).standard_normal((2, p.size))
    for ours, expected in (
        (derived.u, by_hand.u),
        (derived.vjp(w), by_hand.vjp(w)),
        (derived.jvp(v), by_hand.jvp(v)),
        (derived.derivative @ v, by_hand.derivative @ v),
    ):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@every_model
def test_sensitivity_is_formed_once_for_all_products_with_it(make):
    problem, function = make()
    p = problem.residual.nominal
    calls = []

    def counted(u, p):
        calls.append(None)
        return function(u, p)

    solution = replace(
        problem, residual=adjoint.complex_step_residual(counted, p.size, p.size)
    ).solve(p)
    w = np.random.default_rng(2).standard_normal((p.size, 5))
    solution.vjp(w[:, 0])
    before = len(calls)
    solution.vjp(w)
    solution.jvp(w[:, :2])
    solution.derivative.T @ w[:, 3]
    assert len(calls) == before


@every_model
def test_taylor_remainder_of_a_derived_problem_is_second_order(make):
    problem, function = make()
    p = problem.residual.nominal
    derived = replace(problem, residual=adjoint.complex_step_residual(function, p.size, p.size))
    f = adjoint.Reduced(derived, adjoint.LeastSquares(np.ones(p.size)))
    report = adjoint.check(f, p)
    assert report.ok, report.table()


def test_given_values_and_derived_residuals_go_together():
    """-u″ + u³ = 0 with all nodes unknown; the value at the right end is the last parameter."""

    def rod(u, p):
        r = np.zeros(u.size, dtype=np.result_type(u, p))
        r[1:-1] = -np.diff(p[:-1] * np.diff(u)) + u[1:-1] ** 3
        return r

    n = 12
    rates = np.zeros((2, n))
    rates[1, -1] = 1.0
    ends = adjoint.Dirichlet(
        np.array([0, n - 1]), adjoint.matrices.AffineVector(np.array([1.0, 0.0]), rates)
    )
    residual = adjoint.complex_step_residual(rod, n, n)
    problem = adjoint.NonlinearProblem(residual, np.zeros(n), adjoint.cholesky, dirichlet=ends)
    f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.linspace(0.5, 1.0, n)))
    p = np.append(np.linspace(1.0, 2.0, n - 1), 0.7)
    point = f(p)
    assert point.solution.u[[0, -1]] == pytest.approx([1.0, 0.7], abs=0)
    assert adjoint.check(f, p).ok
    assert point.gradient[-1] != 0.0
