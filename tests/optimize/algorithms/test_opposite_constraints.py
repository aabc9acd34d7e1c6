"""Equalities stated as two opposite inequalities, and narrow intervals, by MMA and GCMMA."""

import numpy as np
import pytest

import adjoint
from adjoint.optimize import (
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    Bounds,
    FunctionConstraint,
    LinearConstraint,
    ScalarFunction,
    Status,
    Stopping,
    minimize,
)
from adjoint.optimize.algorithms.mma.opposite_constraints import intervals, sides
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import cantilever

BOTH = pytest.mark.parametrize("method", [MMA, GCMMA], ids=lambda each: each.__name__)
N = 12
W = 1.0 + np.arange(N)
ONES = np.linspace(0.9, 1.1, N)
SOFT = ScalarFunction(lambda x: float((W / (x + 1e-3)).sum()), lambda x: -W / (x + 1e-3) ** 2)
BOWL = ScalarFunction(
    lambda x: float((W * (x - 0.2) ** 2).sum()) + 1.0, lambda x: 2.0 * W * (x - 0.2)
)
BALL = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
OUTSIDE = ScalarFunction(lambda x: -float(x @ x), lambda x: -2.0 * x)


def pair(weights, level, scale=1.0, width=0.0):
    return LinearConstraint(weights, level), LinearConstraint(
        -scale * weights, -scale * (level - width)
    )


PROBLEMS = {
    "from above": (SOFT, pair(ONES, 4.8)),
    "from below": (BOWL, pair(ONES, 6.0)),
    "from above, below the minimum": (BOWL, pair(ONES, 1.0)),
    "the other order": (SOFT, pair(ONES, 4.8)[::-1]),
    "in other units": (SOFT, pair(ONES, 4.8, 1e9)),
    "in small units": (SOFT, pair(ONES, 4.8, 1e-9)),
    "all but opposite": (SOFT, (*pair(ONES, 4.8)[:1], LinearConstraint(-ONES * (1 + 1e-10), -4.8))),
    "twice": (SOFT, (*pair(ONES, 4.8), *pair(2.0 * ONES, 9.6, 3.0))),
    "two equalities": (BOWL, (*pair(ONES, 6.0), *pair(W * ONES, 30.0))),
    "a sphere": (SOFT, (FunctionConstraint(BALL, 2.0), FunctionConstraint(OUTSIDE, -2.0))),
}


@BOTH
@pytest.mark.parametrize("start", [0.4, 0.7, 0.15])
@pytest.mark.parametrize("name", PROBLEMS)
def test_two_opposite_inequalities_are_the_equality(name, start, method):
    f, constraints = PROBLEMS[name]
    x, box = np.full(N, start), Bounds(0.0, 1.0)
    result = minimize(f, x, method(constraints, box), stop=Stopping(iterations=100))
    equalities = (constraints[0], constraints[2]) if name == "two equalities" else constraints[:1]
    reference = minimize(f, x, AugmentedLagrangian(LBFGS(bounds=box), equalities=equalities))
    assert result.status is Status.STATIONARY
    assert reference.success
    assert result.state.violation <= 1e-6
    assert result.value == pytest.approx(reference.value, rel=1e-5)


@BOTH
@pytest.mark.parametrize("width", [1e-12, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("f", [SOFT, BOWL], ids=["at an end", "inside"])
def test_an_interval_of_any_width_is_kept(f, width, method):
    """The bowl's minimum is in the middle of its interval."""
    level = 0.2 * ONES.sum() + 0.5 * width if f is BOWL else 4.8
    result = minimize(f, np.full(N, 0.4), method(pair(ONES, level, width=width), Bounds(0.0, 1.0)))
    assert result.status is Status.STATIONARY
    assert level - width - 1e-6 * level <= ONES @ result.x <= level + 1e-6 * level
    if f is BOWL:
        assert result.value == pytest.approx(1.0, abs=1e-9)
    else:
        alone = minimize(f, np.full(N, 0.4), method(pair(ONES, level)[:1], Bounds(0.0, 1.0)))
        assert result.value == pytest.approx(alone.value, rel=1e-6)


@BOTH
def test_a_volume_that_has_to_be_used_is_no_obstacle(method):
    """Compliance of a cantilever: as with the upper bound alone.

    528 instead of 418 where both were approximated.
    """
    body = cantilever(16, 6)
    smooth = density_filter(body.grid, 1.5)
    f = body.compliance(smooth >> adjoint.design.SIMP(3.0, 1e-6))
    most = LinearConstraint.volume(smooth, np.ones(96), 0.4)
    least = LinearConstraint(-most.weights, -most.bound)
    stop = Stopping(iterations=150, change=0.01)
    alone, both = (
        minimize(f, np.full(96, 0.4), method(constraints, Bounds(0.0, 1.0), move=0.2), stop=stop)
        for constraints in ((most,), (most, least))
    )
    assert both.status is Status.UNCHANGING
    assert both.value == pytest.approx(alone.value, rel=0.02)
    assert both.state.multipliers[1] == 0.0
    assert smooth(both.x).mean() == pytest.approx(0.4, rel=1e-5)


@BOTH
def test_opposite_constraints_that_contradict_each_other_stay_infeasible(method):
    constraints = (LinearConstraint(ONES, 3.0), LinearConstraint(-ONES, -3.3))
    result = minimize(
        BOWL, np.full(N, 0.25), method(constraints, Bounds(0.0, 1.0)), stop=Stopping(iterations=60)
    )
    assert not result.success
    assert result.state.violation > 1e-2


def test_intervals_are_found_by_values_and_slopes_whatever_the_units():
    a, b = np.array([1.0, 2.0, -3.0]), np.array([1.0, 2.0, 3.0])
    slopes = np.stack([a, b, -1e6 * a, 1e-9 * a, -b])
    found = intervals(np.array([-0.5, -1.0, 0.5e6, -0.5e-9, 0.5]), slopes, np.ones(3))
    assert [(each.above, each.below) for each in found] == [((0, 3), (2,))]  # b's has an inside
    assert sides(found, np.array([0.0, 0.0, 1.0, 0.0, 0.0])) == [(0, 3)]
    assert sides(found, np.array([0.0, 0.0, 1.0, 2.0, 0.0])) == [(2,)]
    crossed = intervals(np.array([0.1, 0.1]), np.stack([a, -a]), np.ones(3))
    assert crossed == []
    assert intervals(np.zeros(3), np.zeros((3, 3)), np.ones(3)) == []
