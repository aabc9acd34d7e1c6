"""Counts of factorizations, solves, evaluations and steps of a trajectory and of its
derivatives.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from tests.fixtures.fields import (
    FIXED,
    IMPLICIT,
    METHODS,
    STIFF,
    Linear,
    P,
    Weave,
    cotangents,
    mass,
    weave,
)

EVERYTHING = adjoint.checkpointing.Everything()


def work(f):
    """The counts of f(), and what it returns."""
    with adjoint.counting() as counts:
        result = f()
    return counts, result


def matrices_of(method):
    """Matrices factored together: of coupled stages one for each eigenvalue, or pair of them."""
    tableau = METHODS[method].tableau
    return len(tableau.eigenpairs(False)) if tableau.coupled else 1


def sparse_weave(method, kind="identity", **changes):
    return weave(70, method, kind, memory=EVERYTHING, rtol=1e-4, atol=1e-5, **changes)


@pytest.mark.parametrize(
    ("method", "kind"), [(name, ("of p", "zero rows")[i % 2]) for i, name in enumerate(IMPLICIT)]
)
def test_derivatives_of_a_sparse_problem_factor_nothing_where_all_is_kept(method, kind):
    """Whatever the number of objectives; except for algebraic unknowns of consistent initial
    values.
    """
    trajectory = sparse_weave(method, kind).solve(P)
    for_the_start = int(kind == "zero rows")
    one, three = cotangents(trajectory), cotangents(trajectory, 1, 3)
    solves = {}
    for name, derivative in {
        "vjp": lambda: trajectory.vjp(*one),
        "jvp": lambda: trajectory.jvp(P),
        "vjp again": lambda: trajectory.vjp(*one),
        "block of objectives": lambda: trajectory.vjp(*three),
        "block of directions": lambda: trajectory.jvp(np.eye(5)),
        "all sensitivities": lambda: trajectory.sensitivities(*one),
    }.items():
        counts, _ = work(derivative)
        assert counts.numeric <= for_the_start, name
        assert counts.symbolic == 0, name
        solves[name] = counts.solves
    assert solves["vjp again"] <= solves["vjp"]
    assert solves["block of objectives"] <= 2 * solves["vjp"]
    assert solves["block of directions"] <= 2 * solves["jvp"]


@pytest.mark.parametrize("method", IMPLICIT)
def test_evidence_counts_what_was_done(method):
    counts, trajectory = work(lambda: sparse_weave(method).solve(P))
    evidence = trajectory.evidence
    assert evidence.steps == trajectory.grid.size - 1
    matrices = matrices_of(method)
    assert evidence.factorizations == evidence.jacobians == counts.numeric / matrices
    assert counts.symbolic <= min(matrices, 2)
    assert counts.solves >= evidence.corrections > 0
    assert evidence.evaluations >= evidence.corrections
    assert evidence.repeated == 0
    assert str(evidence.steps) in str(evidence)
    assert METHODS[method].tableau.name in str(evidence)
    trajectory.vjp(*cotangents(trajectory))
    assert trajectory.evidence.factorizations == evidence.factorizations
    assert trajectory.evidence.jacobians > evidence.jacobians


@pytest.mark.parametrize("method", IMPLICIT)
def test_solves_of_small_systems_are_counted_as_well(method):
    """A solve for each correction and, backward, for each stage; columns are counted,
    transposes told apart.
    """
    problem = weave(4, method, "of p", memory=EVERYTHING)
    counts, trajectory = work(lambda: problem.solve(P))
    evidence, tableau = trajectory.evidence, METHODS[method].tableau
    assert counts.solves >= evidence.corrections > 0
    assert counts.rhs == counts.solves
    assert counts.transposed == 0
    counts, _ = work(lambda: trajectory.vjp(*cotangents(trajectory, 1, 3)))
    stages = evidence.steps * (1 if tableau.coupled else tableau.stages - int(tableau.continues))
    # Each new K₁ costs a solve with M too: at the start and behind observations, or at all times
    # of a grid.
    begun = evidence.steps if method in FIXED else 1 + trajectory.times.size
    assert stages <= counts.transposed == counts.solves <= stages + begun
    assert counts.rhs == 3 * counts.solves
    counts, _ = work(lambda: trajectory.jvp(P))
    assert stages <= counts.solves <= stages + begun
    assert counts.transposed == 0
    with adjoint.counting() as inside:
        trajectory.vjp(*cotangents(trajectory))
        assert inside.solves >= stages


@dataclass(frozen=True, eq=False)
class Counted:
    """A field that counts the calls of its methods."""

    field: object
    calls: Counter

    def __call__(self, t, u, p):
        self.calls["f"] += 1
        return self.field(t, u, p)

    def jacobian(self, t, u, p):
        self.calls["jacobian"] += 1
        return self.field.jacobian(t, u, p)

    def vjp(self, t, u, p, lam):
        self.calls["vjp"] += 1
        return self.field.vjp(t, u, p, lam)

    def jvp(self, t, u, p, p_dot):
        self.calls["jvp"] += 1
        return self.field.jvp(t, u, p, p_dot)


@pytest.mark.parametrize("method", METHODS)
def test_a_field_is_evaluated_as_often_as_stages_ask_for_it(method):
    """Explicit: s − 1 evaluations a step, as the last stage is the next one's first; reverse:
    one vjp a stage.

    And one for K₁ at each time landed on, where f may jump.
    """
    calls, tableau = Counter(), METHODS[method].tableau
    problem = weave(4, method, field=Counted(Weave(4), calls), integrand=None, memory=EVERYTHING)
    trajectory = problem.solve(P)
    evidence, stages = trajectory.evidence, tableau.stages - int(tableau.continues)
    attempts, landings = evidence.steps + evidence.rejected, 2 if tableau.continues else 0
    if landings and method in FIXED:
        landings = evidence.steps - 1
    assert (
        evidence.evaluations <= calls["f"] <= evidence.evaluations + 3
    )  # Where it starts it is looked at apart.
    assert calls["jacobian"] == evidence.jacobians
    if tableau.coupled:  # All stages for each correction, and one for the error estimate.
        assert calls["f"] <= 4 + evidence.corrections * stages + attempts
    elif method in IMPLICIT:
        assert calls["f"] <= 3 + evidence.corrections + landings
    else:
        assert calls["f"] == 2 + attempts * stages + landings
        assert calls["jacobian"] == 0
    calls.clear()
    trajectory.vjp(*cotangents(trajectory))
    assert (calls["f"], calls["jvp"]) == (0, 0)
    assert calls["vjp"] <= evidence.steps * stages + 1 + landings
    assert calls["jacobian"] <= evidence.steps * stages + 1 + landings
    calls.clear()
    trajectory.jvp(P)
    assert (calls["f"], calls["vjp"]) == (0, 0)
    assert calls["jvp"] <= evidence.steps * stages + 1 + landings


@pytest.mark.parametrize("n", [10, 100])
@pytest.mark.parametrize("method", IMPLICIT)
def test_constant_coefficients_and_equal_steps_need_one_factorization(method, n):
    """Small matrices: one for each step, which costs less than the corrections that it saves."""
    field = Linear.banded(n, 0.8 * n, -2.0 * n, 1.2 * n)
    options = {"method": METHODS[method], "grid": np.linspace(0.0, 1.5, 101), "memory": EVERYTHING}
    counts, trajectory = work(
        lambda: adjoint.ODEProblem(field, np.ones(n), (0.0, 1.5), **options).solve([0.1, 1.0])
    )
    assert counts.numeric == (matrices_of(method) if n > 64 else 100)
    assert trajectory.evidence.corrections <= 3 * 100 * METHODS[method].tableau.stages
    if n > 64:
        counts, _ = work(lambda: trajectory.vjp(np.ones((1, n))))
        assert counts.numeric == 0


@pytest.mark.parametrize("method", STIFF)
def test_factors_live_on_over_adaptive_steps(method):
    """A linear problem needs new factors only if the step size changes."""
    field = Linear.banded(100, 80.0, -200.0, 120.0)
    options = {"method": METHODS[method], "rtol": 1e-6, "atol": 1e-8}
    trajectory = adjoint.ODEProblem(field, np.ones(100), (0.0, 20.0), **options).solve([0.1, 1.0])
    steps = np.diff(trajectory.grid)
    changes = 1 + np.count_nonzero(np.abs(np.diff(steps)) > 1e-9 * steps[1:])
    assert trajectory.evidence.factorizations <= changes + trajectory.evidence.rejected + 1
    assert trajectory.evidence.factorizations <= 0.75 * trajectory.evidence.steps


@pytest.mark.parametrize("method", STIFF)
def test_observation_times_cost_few_further_steps_and_factorizations(method):
    field = Linear.banded(100, 80.0, -200.0, 120.0)
    problem = adjoint.ODEProblem(
        field, np.ones(100), (0.0, 20.0), method=METHODS[method], rtol=1e-5, atol=1e-7
    )
    seen = replace(problem, observe=np.linspace(0.0, 20.0, 41)).solve([0.1, 1.0])
    alone = problem.solve([0.1, 1.0])
    assert seen.evidence.steps <= alone.evidence.steps + 60
    assert (
        replace(seen.problem, dense=True).solve([0.1, 1.0]).evidence.steps == alone.evidence.steps
    )


def test_one_analysis_serves_all_matrices_of_an_integration():
    field = Linear.banded(90, 0.3, -1.0, 0.4)
    adjoint.lu.forget()
    counts, _ = work(
        lambda: adjoint.ODEProblem(field, np.ones(90), (0.0, 1.0), rtol=1e-8).solve([0.7, 1.1])
    )
    assert counts.symbolic == 1


@pytest.mark.parametrize("method", ["Tsit5", "DOP853"])
def test_explicit_methods_factor_the_mass_once_for_all(method):
    for kind, expected in (("identity", 0), ("constant", 1)):
        problem = weave(70, method, kind, memory=EVERYTHING)
        counts, trajectory = work(lambda problem=problem: problem.solve(P))
        assert counts.numeric == expected
        counts, _ = work(lambda trajectory=trajectory: trajectory.vjp(*cotangents(trajectory)))
        assert counts.numeric == 0


STRAINED = Linear.banded(70, 3.0, -1.0, -3.0)
"""Far from symmetric."""


@pytest.mark.parametrize("factorize", [adjoint.cholesky, adjoint.ldl], ids=["cholesky", "ldl"])
@pytest.mark.parametrize("method", IMPLICIT)
def test_a_symmetric_factorizer_of_a_matrix_that_is_not_is_refused_or_harmless(method, factorize):
    """A wrong gradient is never returned, although Newton's method may converge with wrong
    factors.
    """
    grid = np.linspace(0.0, 1.5, 16) if method in FIXED else None
    problem = adjoint.ODEProblem(
        STRAINED, np.ones(70), (0.0, 1.5), method=METHODS[method], rtol=1e-4, grid=grid
    )
    p, u_bar = np.array([1.0, 1.0]), np.random.default_rng(0).standard_normal((1, 70))
    try:
        trajectory = replace(problem, factorize=factorize).solve(p)
        g, u_dot = trajectory.vjp(u_bar), trajectory.jvp(p)
    except adjoint.errors.NotSymmetric:
        return
    right = replace(problem, grid=trajectory.grid).solve(p)
    np.testing.assert_allclose(g, right.vjp(u_bar), rtol=1e-9)
    np.testing.assert_allclose(u_dot, right.jvp(p), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["ESDIRK4", "CN"])
def test_other_factorizers_give_the_same_trajectory_and_gradient(method):
    symmetric = Linear.banded(70, 20.0, -45.0, 20.0)
    M = sparse.csc_array(mass("constant", 70) + mass("constant", 70).T)
    options = {"method": METHODS[method], "grid": np.linspace(0.0, 1.0, 9), "mass": M}
    problem = adjoint.ODEProblem(symmetric, np.ones(70), (0.0, 1.0), **options)
    p, u_bar = np.array([0.7, 1.0]), np.random.default_rng(0).standard_normal((1, 70))
    expected = problem.solve(p)
    for factorize in (
        adjoint.cholesky,
        adjoint.ldl,
        adjoint.factor.superlu,
        adjoint.cg(adjoint.factor.jacobi(), rtol=1e-13),
    ):
        got = replace(problem, factorize=factorize).solve(p)
        np.testing.assert_allclose(got.u, expected.u, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(got.vjp(u_bar), expected.vjp(u_bar), rtol=1e-8)
