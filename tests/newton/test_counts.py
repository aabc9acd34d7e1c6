"""Counts of factorizations, solves and evaluations, for solutions and derivatives."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import adjoint
from problems.steady.bratu import bratu
from problems.steady.circuit import diode_circuit, diode_ladder
from problems.steady.conduction import conduction
from problems.steady.hyperelasticity import bent_cantilever, stretched_block
from problems.steady.radiation import radiating_plate
from problems.steady.sellar import sellar


@dataclass(frozen=True, eq=False)
class Watched:
    """A residual that records its arguments, and the Jacobians that it returned."""

    inner: object
    states: list = field(default_factory=list)
    jacobians: list = field(default_factory=list)
    adjoints: list = field(default_factory=list)

    def residual(self, u, p):
        self.states.append(u.copy())
        return self.inner.residual(u, p)

    def jacobian(self, u, p):
        self.jacobians.append(self.inner.jacobian(u, p).copy())
        return self.jacobians[-1].copy()

    def vjp(self, u, p, lam):
        self.adjoints.append(lam.copy())
        return self.inner.vjp(u, p, lam)

    def jvp(self, u, p, p_dot):
        return self.inner.jvp(u, p, p_dot)


def watched(problem, **changes):
    return replace(problem, residual=Watched(problem.residual), **changes)


def weights(solution, k=None):
    n = solution.u.size
    return np.random.default_rng(0).standard_normal(n if k is None else (n, k))


SMOOTH = {
    "Bratu": lambda: bratu(30),
    "Bratu, rectangle": lambda: bratu(12, 9),
    "conduction": lambda: conduction(13, 4),
    "ladder": lambda: diode_ladder(20),
    "circuit": diode_circuit,
    "Sellar": sellar,
    "cantilever": lambda: bent_cantilever(8, 3),
    "block, stretched by its boundary": lambda: stretched_block(5, 3),
    "plate": lambda: radiating_plate(6, 4),
}
every_smooth = pytest.mark.parametrize("make", SMOOTH.values(), ids=SMOOTH)


@every_smooth
def test_newton_factors_once_a_step_and_analyses_once(make):
    problem = watched(make())
    p = problem.residual.inner.nominal
    for factorize in (adjoint.lu, adjoint.cholesky):
        factorize.forget()
    with adjoint.counting() as counts:
        solution = problem.solve(p)
        solution.vjp(weights(solution))
        solution.jvp(p)
    taken = len(solution.evidence.history) - 1
    assert counts.symbolic == 1
    assert counts.numeric == len(problem.residual.jacobians) - 1 <= taken
    assert taken - counts.numeric <= 2  # The last correction, and a polish, are by factors at hand.


@every_smooth
def test_gradient_costs_no_factorization_one_jacobian_and_at_most_three_sweeps(make):
    problem = watched(make())
    solution = problem.solve(problem.residual.inner.nominal)
    physics = problem.residual
    assembled, seen = len(physics.jacobians), len(physics.states)
    with adjoint.counting() as counts:
        g = solution.vjp(weights(solution))
    assert np.isfinite(g).all()
    assert (counts.numeric, counts.symbolic, counts.solves - counts.transposed) == (0, 0, 0)
    assert counts.transposed <= 3
    assert (len(physics.jacobians) - assembled, len(physics.states) - seen) == (1, 0)
    with adjoint.counting() as counts:
        solution.jvp(solution.p)
        solution.vjp(2.0 * weights(solution))
    assert counts.numeric == 0
    assert counts.solves <= 6
    assert len(physics.jacobians) - assembled == 1


@every_smooth
def test_five_objectives_cost_no_more_sweeps_than_one(make):
    problem = make()
    one, five = (problem.solve(problem.residual.nominal) for _ in range(2))
    with adjoint.counting() as single:
        first = one.vjp(weights(one, 5)[:, 0])
    with adjoint.counting() as several:
        block = five.vjp(weights(five, 5))
    assert several.transposed <= max(single.transposed, 3)
    assert several.rhs == 5 * several.transposed
    np.testing.assert_allclose(block[:, 0], first, rtol=1e-9, atol=1e-12 * np.abs(first).max())


@every_smooth
def test_adjoint_then_gradient_of_the_same_objective_cost_one_solve(make):
    problem = make()
    solution = problem.solve(problem.residual.nominal)
    u_bar = weights(solution)
    lam = solution.adjoint(u_bar)
    g = solution.vjp(u_bar)
    lam[:] = np.nan  # The caller's copy.
    with adjoint.counting() as counts:
        assert np.array_equal(solution.vjp(u_bar), g)
        assert np.isfinite(solution.adjoint(u_bar)).all()
        assert np.array_equal(
            problem.equation.vjp(solution.u, solution.p, solution.adjoint(u_bar)), -g
        )
    assert (counts.solves, counts.numeric) == (0, 0)


@dataclass(frozen=True, eq=False)
class Scribbling(Watched):
    """Physics that uses λ as scratch space."""

    def vjp(self, u, p, lam):
        g = self.inner.vjp(u, p, lam)
        lam *= 0.0
        return g


def test_physics_that_writes_to_the_adjoint_cannot_spoil_the_next_answer():
    """λ may be read-only, like u and p; otherwise each answer has a copy."""
    problem = bratu(6)
    solution = replace(problem, residual=Scribbling(problem.residual)).solve(np.ones(6))
    u_bar = weights(solution)
    expected = problem.solve(np.ones(6)).vjp(u_bar)
    with suppress(ValueError):
        np.testing.assert_allclose(solution.vjp(u_bar), expected, rtol=1e-12)
    lam = solution.adjoint(u_bar)
    assert (
        np.linalg.norm(problem.residual.jacobian(solution.u, solution.p).T @ lam - u_bar) <= 1e-12
    )


ROUGH = {
    "no polish": adjoint.newton.Newton(rtol=0.3, gradient_rtol=0.9),
    "rtol 1e-2": adjoint.newton.Newton(rtol=1e-2),
    "chord 0.9": adjoint.newton.Newton(rtol=1e-3, chord=0.9),
    "chord 0.5": adjoint.newton.Newton(chord=0.5),
    "line search": adjoint.newton.Newton(
        rtol=1e-3, max_iterations=500, globalization=adjoint.newton.LineSearch()
    ),
}


@pytest.mark.parametrize("method", ROUGH.values(), ids=ROUGH)
@every_smooth
def test_adjoint_is_that_of_the_jacobian_at_the_solution_however_rough_the_steps(make, method):
    """One factorization more at most; λ does not depend on the forward tolerance."""
    problem = watched(make(), method=method)
    solution = problem.solve(problem.residual.inner.nominal)
    u_bar = weights(solution, 3)
    with adjoint.counting() as counts:
        lam = solution.adjoint(u_bar)
        solution.vjp(u_bar)
        solution.jvp(solution.p)
        solution.vjp(u_bar[:, 0])
    assert counts.numeric <= 1
    A = problem.equation.jacobian(solution.u, solution.p).toarray()
    size = np.abs(A).sum(axis=0) @ np.abs(lam) + np.abs(u_bar).sum(axis=0)
    assert np.all(np.abs(A.T @ lam - u_bar).max(axis=0) <= 1e-13 * size)
    expected = np.linalg.solve(A.T, u_bar)
    assert np.linalg.norm(lam - expected) <= 1e-11 * np.linalg.norm(expected)


def test_refinement_gives_up_where_the_last_factors_are_too_old():
    problem = watched(conduction(9, 4), method=ROUGH["no polish"])
    solution = problem.solve(problem.residual.inner.nominal)
    with adjoint.counting() as counts:
        solution.vjp(weights(solution))
        assert counts.numeric == 1
        solution.vjp(weights(solution, 4))
        solution.jvp(solution.p)
    assert (counts.numeric, counts.solves) == (1, counts.transposed + 1)


@pytest.mark.parametrize("rtol", [1e-2, 1e-3])
def test_last_jacobian_alone_would_have_given_a_wrong_gradient(rtol):
    """PITFALLS: Newton's last Jacobian reused for the adjoint."""
    problem = watched(conduction(9, 4), method=adjoint.newton.Newton(rtol=rtol, gradient_rtol=0.5))
    solution = problem.solve(problem.residual.inner.nominal)
    u_bar, u, p = weights(solution), solution.u, solution.p
    stale, current = problem.residual.jacobians[-1], problem.residual.jacobian(u, p)
    naive, exact = (
        -problem.residual.vjp(u, p, np.linalg.solve(A.toarray().T, u_bar)) for A in (stale, current)
    )
    size = np.linalg.norm(exact)
    assert np.linalg.norm(naive - exact) >= 1e-5 * size
    assert np.linalg.norm(solution.vjp(u_bar) - exact) <= 1e-11 * size


@every_smooth
def test_chord_steps_save_factorizations_and_keep_the_answer(make):
    problem = make()
    p = problem.residual.nominal
    full, chord = (
        problem.solve(p),
        replace(problem, method=adjoint.newton.Newton(chord=0.5)).solve(p),
    )
    assert chord.evidence.counts.numeric < full.evidence.counts.numeric
    np.testing.assert_allclose(chord.u, full.u, rtol=1e-9, atol=1e-9 * np.abs(full.u).max())


KRYLOV = {
    "gmres, ilu": lambda: adjoint.gmres(adjoint.factor.ilu()),
    "gmres, jacobi": lambda: adjoint.gmres(adjoint.factor.jacobi()),
    "cg, jacobi": lambda: adjoint.cg(adjoint.factor.jacobi()),
    "cg, amg": lambda: adjoint.cg(adjoint.factor.amg()),
}


@pytest.mark.parametrize("name", KRYLOV)
def test_inexact_newton_needs_no_new_preconditioner_for_a_derivative(name):
    if "amg" in name:
        pytest.importorskip("pyamg")
    inexact = adjoint.newton.Newton(
        globalization=adjoint.newton.LineSearch(), forcing=adjoint.newton.EisenstatWalker()
    )
    direct = bratu(9, 12)
    krylov, p = replace(direct, factorize=KRYLOV[name]()), np.array([5.0])
    solution, tight, exact = (
        replace(krylov, method=inexact).solve(p),
        krylov.solve(p),
        direct.solve(p),
    )
    assert solution.evidence.counts.krylov < tight.evidence.counts.krylov
    np.testing.assert_allclose(solution.u, exact.u, rtol=1e-8)
    with adjoint.counting() as counts:
        g, u_dot = solution.vjp(weights(solution)), solution.jvp(p)
    assert counts.numeric == 0
    assert g == pytest.approx(exact.vjp(weights(exact)), rel=1e-8)
    np.testing.assert_allclose(u_dot, exact.jvp(p), rtol=1e-8)


def test_evidence_tells_the_course_and_the_cost():
    problem = diode_circuit()
    with adjoint.counting() as counts:
        solution = problem.solve(problem.residual.nominal)
        solution.vjp(np.ones(2))
    evidence = solution.evidence
    assert evidence.counts.numeric == counts.numeric
    assert evidence.counts.solves == counts.solves
    assert evidence.history[-1] == pytest.approx(evidence.residual)
    assert evidence.history[0] == np.linalg.norm(problem.residual.residual(problem.u0, solution.p))
    assert evidence.adjoint_backward_error <= 1e-13
    assert "Newton steps" in str(evidence)
