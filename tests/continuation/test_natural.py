"""Natural continuation: load steps, each from the tangent of the last solution."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import adjoint
from problems.steady.bratu import bratu
from problems.steady.conduction import conduction
from problems.steady.hyperelasticity import bent_cantilever, stretched_block


def loads(problem, factors):
    """The nominal parameters with each load factor."""
    p = problem.residual.nominal
    return [np.append(p[:-1], factor) for factor in factors]


def test_load_steps_reach_what_a_single_solve_does_not():
    """A block pressed to half of its length. In one step its elements would be inverted."""
    problem = stretched_block(6, 3, stretch=-2.0)
    *small, full = loads(problem, (0.25, 0.5, 0.75, 1.0))
    with pytest.raises(adjoint.SolveError):
        problem.solve(full)
    solutions = list(adjoint.continuation.follow(problem, [*small, full]))
    assert len(solutions) == 4
    right = problem.residual.grid.boundary(0, 1)
    np.testing.assert_allclose(solutions[-1].u[2 * right], -2.0, rtol=1e-14)
    r = problem.equation.residual(solutions[-1].u, full)
    assert np.linalg.norm(r) <= 1e-10


def test_steps_that_fail_are_halved_and_only_the_given_parameters_yielded():
    problem = replace(
        stretched_block(6, 3, stretch=-3.0), method=adjoint.newton.Newton(max_iterations=6)
    )
    first, full = loads(problem, (0.02, 1.0))
    start = problem.solve(first)
    with pytest.raises(adjoint.SolveError):
        problem.solve(full, near=start)
    solutions = list(adjoint.continuation.follow(problem, [first, full]))
    assert len(solutions) == 2
    np.testing.assert_array_equal(solutions[1].p, full)
    fine = list(adjoint.continuation.follow(problem, loads(problem, np.linspace(0.02, 1.0, 20))))[
        -1
    ]
    np.testing.assert_allclose(solutions[1].u, fine.u, atol=1e-9)


def test_followed_solution_is_the_one_solved_for_where_both_exist():
    problem = bent_cantilever(8, 3)
    *_, last = adjoint.continuation.follow(problem, loads(problem, (0.3, 0.7, 1.0)))
    np.testing.assert_allclose(last.u, problem.solve(problem.residual.nominal).u, rtol=0, atol=1e-9)
    u_bar = np.ones(last.u.size)
    np.testing.assert_allclose(
        last.vjp(u_bar), problem.solve(last.p).vjp(u_bar), rtol=1e-7, atol=1e-9
    )


def test_following_across_a_fold_is_a_named_error():
    with pytest.raises(adjoint.SolveError):
        list(
            adjoint.continuation.follow(
                bratu(15), [np.array([value]) for value in (3.0, 3.4, 3.6)], shortest=0.1
            )
        )
    found = list(
        islice(
            adjoint.continuation.follow(
                bratu(15), [np.array([value]) for value in (3.0, 3.4, 3.6)]
            ),
            2,
        )
    )
    assert [solution.p[0] for solution in found] == [3.0, 3.4]


def test_followed_branch_of_conduction_keeps_its_parameters():
    problem = conduction(8, 5)
    p = problem.residual.nominal
    found = list(adjoint.continuation.follow(problem, (p * factor for factor in (1.0, 0.5, 0.2))))
    for solution, factor in zip(found, (1.0, 0.5, 0.2), strict=True):
        np.testing.assert_allclose(solution.u, problem.solve(factor * p).u, rtol=1e-9)


@pytest.mark.parametrize("shortest", [0.0, -1.0, np.nan, 2.0])
def test_shortest_step_must_be_a_fraction(shortest):
    with pytest.raises(ValueError, match="shortest="):
        adjoint.continuation.follow(bratu(5), [np.ones(1)], shortest=shortest)
