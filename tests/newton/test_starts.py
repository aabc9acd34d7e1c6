"""Starts: nearby solutions, functions of p, pseudo-time, homotopy, given states."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.steady.bratu import bratu
from problems.steady.circuit import diode_circuit, diode_ladder
from problems.steady.conduction import conduction
from problems.steady.hyperelasticity import bent_cantilever, stretched_block

ONE = np.ones(1)


@dataclass(frozen=True, eq=False)
class Scalar:
    """R(u) − p in one unknown; records the states of its evaluations."""

    equation: object
    slope: object
    states: list = field(default_factory=list)

    def residual(self, u, p):
        self.states.append(u[0])
        return self.equation(u) - p

    def jacobian(self, u, p):
        return sparse.csc_array(np.atleast_2d(self.slope(u[0])))

    def vjp(self, u, p, lam):
        return -lam

    def jvp(self, u, p, p_dot):
        return -p_dot


def wavy():
    """u + 2 sin(3u) = p: three folds on the way from u = 0 to the root beyond u = 6."""
    return Scalar(lambda u: u + 2.0 * np.sin(3.0 * u), lambda u: 1.0 + 6.0 * np.cos(3.0 * u))


def factorizations(problem, p, **near):
    with adjoint.counting() as counts:
        solution = problem.solve(p, **near)
    return solution, counts.numeric


NEARBY = {
    "Bratu": lambda: bratu(30),
    "conduction": lambda: conduction(9, 4),
    "ladder": lambda: diode_ladder(15),
    "cantilever": lambda: bent_cantilever(6, 2),
    "block, stretched by its boundary": lambda: stretched_block(4, 3),
}


@pytest.mark.parametrize("make", NEARBY.values(), ids=NEARBY)
def test_nearby_solutions_cost_fewer_factorizations(make):
    problem = make()
    p = problem.residual.nominal
    moved = p * np.random.default_rng(0).uniform(0.98, 1.02, p.size)
    (first, _), (cold, many) = factorizations(problem, p), factorizations(problem, moved)
    warm, few = factorizations(problem, moved, near=first)
    assert few < many
    np.testing.assert_allclose(warm.u, cold.u, rtol=1e-9, atol=1e-10 * np.abs(cold.u).max())
    u_bar = np.random.default_rng(1).standard_normal(cold.u.size)
    g, expected = warm.vjp(u_bar), cold.vjp(u_bar)
    assert np.linalg.norm(g - expected) <= 1e-9 * np.linalg.norm(expected)
    same, fewest = factorizations(problem, p, near=first)
    assert fewest <= 1
    np.testing.assert_allclose(same.u, first.u, rtol=1e-12, atol=1e-13 * np.abs(first.u).max())
    np.testing.assert_allclose(
        problem.near(first).solve(moved).u, cold.u, rtol=1e-9, atol=1e-10 * np.abs(cold.u).max()
    )


def test_tangents_lead_where_the_solution_itself_is_outside_of_the_domain():
    """Given values that move by more than an element would invert the old state."""
    problem = stretched_block(8, 2)
    p = problem.residual.nominal
    squeezed = np.append(p[:-1], -1.2)
    first = problem.solve(np.append(p[:-1], -0.3))
    with pytest.raises(adjoint.errors.NonFiniteResidual):
        replace(problem, u0=first.u).solve(squeezed)
    solution = problem.solve(squeezed, near=first)
    assert solution.evidence.residual <= 1e-10


def test_branches_are_followed_by_nearby_solutions():
    """Bratu's upper branch, from λ = 1: kept as λ changes; its gradient has the other sign."""
    problem = bratu(31)
    x = np.arange(1, 32) / 32
    upper = replace(problem, u0=16.0 * x * (1.0 - x)).solve(ONE)
    assert upper.u.max() == pytest.approx(4.09, rel=1e-2)
    lower = problem.solve(ONE)
    for lam in (1.5, 2.0, 2.5, 3.0):
        upper, lower = (
            problem.solve(np.array([lam]), near=solution) for solution in (upper, lower)
        )
    assert upper.u.max() > lower.u.max() + 1.0
    assert upper.vjp(x)[0] < 0.0 < lower.vjp(x)[0]


def test_starts_may_be_functions_of_the_parameters():
    physics = Scalar(lambda u: u**3, lambda u: 3.0 * u**2)
    seen = []

    def guess(p):
        seen.append(p.flags.writeable)
        return np.cbrt(p)

    solution, cost = factorizations(adjoint.NonlinearProblem(physics, guess), np.array([-27.0]))
    assert solution.u[0] == pytest.approx(-3.0, rel=1e-14)
    assert solution.vjp(ONE)[0] == pytest.approx(1.0 / 27.0, rel=1e-12)
    assert (cost, seen) == (1, [False])


def test_pseudo_transient_finds_steady_states_that_plain_newton_misses():
    """u + 2 sin 3u = 6 from 0: folds of R stop damped iterations, but not u′ = −R(u)."""
    problem = adjoint.NonlinearProblem(wavy(), np.array([5.3]))
    with pytest.raises((adjoint.errors.NewtonStalled, adjoint.errors.NewtonDiverged)) as stopped:
        problem.solve(np.array([8.5]))
    assert "PseudoTransient" in str(stopped.value)
    solution = replace(problem, start=adjoint.newton.PseudoTransient(0.05)).solve(np.array([8.5]))
    assert solution.u + 2.0 * np.sin(3.0 * solution.u) == pytest.approx([8.5], rel=1e-12)
    assert solution.vjp(ONE)[0] == pytest.approx(
        1.0 / (1.0 + 6.0 * np.cos(3.0 * solution.u[0])), rel=1e-12
    )


@pytest.mark.parametrize("make", [lambda: bratu(20), lambda: conduction(6, 5), diode_circuit])
def test_starts_change_the_way_and_not_the_solution(make):
    problem = make()
    p = problem.residual.nominal
    step, mass = (
        (1e4, -1.0) if problem.u0.size == 2 else (1.0, 1.0)
    )  # The circuit's R flows *into* its nodes, in A.
    starts = [
        adjoint.newton.PseudoTransient(step, mass=mass),
        adjoint.newton.Homotopy(lambda p, s: p * (0.1 + 0.9 * s), steps=3),
    ]
    plain = problem.solve(p)
    for start in starts:
        solution = replace(problem, start=start).solve(p)
        np.testing.assert_allclose(solution.u, plain.u, rtol=1e-9)
        np.testing.assert_allclose(solution.vjp(plain.u), plain.vjp(plain.u), rtol=1e-8)


def test_pseudo_transient_needs_one_analysis_even_with_entries_that_are_zero_at_the_start():
    class Chain:
        def residual(self, u, p):
            return u**3 + u - p + np.append(0.1 * (u[1:] - 1.0) ** 2, 0.0)

        def jacobian(self, u, p):
            i = np.arange(6)
            data = np.concatenate([3.0 * u**2 + 1.0, 0.2 * (u[1:] - 1.0)])
            A = sparse.coo_array(
                (data, (np.append(i, i[:-1]), np.append(i, i[1:]))), shape=(6, 6)
            ).tocsc()
            A.sort_indices()
            return A

        def vjp(self, u, p, lam):
            return -lam

        def jvp(self, u, p, p_dot):
            return -p_dot

    for dirichlet in (None, adjoint.Dirichlet(np.array([5]), np.ones(1))):
        adjoint.lu.forget()
        problem = adjoint.NonlinearProblem(Chain(), np.ones(6), dirichlet=dirichlet)
        with adjoint.counting() as counts:
            replace(problem, start=adjoint.newton.PseudoTransient(1.0)).solve(np.arange(6.0)).vjp(
                np.ones(6)
            )
        assert counts.symbolic == 1


def test_pseudo_transient_that_runs_away_says_so_and_ends():
    physics = Scalar(np.expm1, np.exp)
    start = adjoint.newton.PseudoTransient(0.1, mass=-1.0, max_steps=30)
    with pytest.raises(adjoint.SolveError, match=r"mass|singular") as caught:
        adjoint.NonlinearProblem(physics, ONE, start=start).solve(np.zeros(1))
    assert len(physics.states) <= 100
    assert all(np.isfinite(caught.value.history))


def test_homotopy_reaches_loads_that_plain_newton_does_not():
    problem = stretched_block(8, 2)
    squeezed = np.append(problem.residual.nominal[:-1], -1.2)
    with pytest.raises(adjoint.errors.NonFiniteResidual):
        problem.solve(squeezed)

    def loaded(p, s):
        return np.append(p[:-1], s * p[-1])

    for steps in (1, 3, 8):
        solution = replace(problem, start=adjoint.newton.Homotopy(loaded, steps=steps)).solve(
            squeezed
        )
        np.testing.assert_allclose(
            solution.u[problem.dirichlet.fixed], problem.dirichlet.given(squeezed), atol=1e-15
        )
        assert solution.evidence.residual <= 1e-10
        assert solution.evidence.gradient_error <= 1e-10


def test_homotopy_past_a_fold_ends_with_the_history_of_its_shortest_step():
    start = adjoint.newton.Homotopy(lambda p, s: s * p, steps=4, shortest=1e-2)
    with pytest.raises((adjoint.errors.NewtonStalled, adjoint.errors.SingularJacobian)) as caught:
        replace(bratu(9), start=start).solve(np.array([4.0]))
    assert len(caught.value.history) >= 2


@pytest.mark.parametrize(
    "start", [adjoint.newton.PseudoTransient(0.5), adjoint.newton.Homotopy(lambda p, s: s * p)]
)
def test_starts_respect_bounds(start):
    physics = Scalar(lambda u: np.sqrt(u) + u, lambda u: 0.5 / np.sqrt(u) + 1.0)
    problem = adjoint.NonlinearProblem(
        physics, np.array([50.0]), start=start, bounds=adjoint.Bounds(0.0, 60.0)
    )
    solution = problem.solve(np.array([1e-3]))
    assert np.sqrt(solution.u) + solution.u == pytest.approx([1e-3], rel=1e-9)
    assert 0.0 <= min(physics.states) <= max(physics.states) <= 60.0


BAD = {
    "step zero": (lambda: adjoint.newton.PseudoTransient(0.0), ValueError, "step > 0"),
    "step nan": (lambda: adjoint.newton.PseudoTransient(np.nan), ValueError, "step > 0"),
    "until one": (lambda: adjoint.newton.PseudoTransient(1.0, until=1.0), ValueError, "until"),
    "no steps": (
        lambda: adjoint.newton.PseudoTransient(1.0, max_steps=0),
        ValueError,
        "at least one",
    ),
    "mass too short": (
        lambda: started(adjoint.newton.PseudoTransient(1.0, mass=np.ones(3))),
        ValueError,
        "mass",
    ),
    "mass nan": (lambda: adjoint.newton.PseudoTransient(1.0, mass=np.nan), ValueError, "mass"),
    "no path": (lambda: adjoint.newton.Homotopy(0.5), TypeError, "path"),
    "path without steps": (
        lambda: adjoint.newton.Homotopy(lambda p, s: p, steps=0),
        ValueError,
        "steps=0",
    ),
    "path to another shape": (
        lambda: started(adjoint.newton.Homotopy(lambda p, s: ONE)),
        ValueError,
        r"\(1,\), expected \(4,\)",
    ),
    "path to nan": (
        lambda: started(adjoint.newton.Homotopy(lambda p, s: np.nan * p)),
        adjoint.errors.NonFinite,
        r"path\(p, s\)",
    ),
    "path to nothing": (
        lambda: started(adjoint.newton.Homotopy(lambda p, s: None)),
        TypeError,
        r"path\(p, s\)",
    ),
    "no solution": (
        lambda: bratu(4).at(np.ones(4), np.ones(4)),
        ValueError,
        "does not solve.*`solve`",
    ),
}


def started(start):
    return replace(bratu(4), start=start).solve(np.ones(4))


@pytest.mark.parametrize(("act", "error", "message"), BAD.values(), ids=BAD)
def test_bad_start_is_a_named_error(act, error, message):
    with pytest.raises(error, match=message):
        act()


def test_states_found_otherwise_have_the_derivatives_of_the_solution():
    problem, p = conduction(7, 4), np.linspace(0.9, 1.1, 28)
    solution = problem.solve(p)
    with adjoint.counting() as counts:
        taken = problem.at(solution.u, p)
        g = taken.vjp(solution.u)
    assert (counts.numeric, counts.transposed) == (1, 1)
    np.testing.assert_allclose(g, solution.vjp(solution.u), rtol=1e-9)
    rough = problem.at(solution.u * (1.0 + 1e-6), p)
    error = np.linalg.norm(rough.vjp(solution.u) - g) / np.linalg.norm(g)
    assert error <= 10.0 * rough.evidence.gradient_error


@pytest.mark.parametrize("change", [1e-3, -1e-3, 3e-4])
def test_a_state_that_newton_would_move_by_a_thousandth_is_no_solution(change):
    """The whole state, or half of it, is moved."""
    problem, p = conduction(7, 4), np.linspace(0.9, 1.1, 28)
    u = problem.solve(p).u
    half = np.where(np.arange(u.size) < u.size // 2, 1.0 + 2.0 * change, 1.0)
    for moved in (u * (1.0 + change), u * half):
        with pytest.raises(
            ValueError, match=r"does not solve R\(u, p\) = 0: .*expected at most 1e-04"
        ):
            problem.at(moved, p)
    assert problem.at(u * (1.0 + 1e-3 * change), p).evidence.gradient_error > 1e-7 * abs(change)
