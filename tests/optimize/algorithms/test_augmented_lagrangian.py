"""The augmented Lagrangian: published optima and multipliers, local stresses, counts of solves."""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import pytest

import adjoint
from adjoint.optimize import (
    FunctionConstraint,
    LinearConstraint,
    State,
    StateConstraint,
    Stopping,
    minimize,
)
from adjoint.optimize.algorithms.augmented_function import Augmented, Penalized
from adjoint.optimize.algorithms.augmented_lagrangian import AugmentedLagrangian
from adjoint.optimize.algorithms.lbfgs import LBFGS
from adjoint.optimize.constraints.state_constraints import Along, StateConstraints
from adjoint.optimize.memory import ARRAYS, NUMBERS
from problems.optimization.hock_schittkowski import PROGRAMS, Formula
from problems.optimization.stress import Thickness, VonMises
from problems.steady.elasticity import cantilever

EXACT = Stopping(iterations=600, stationarity=0.0, absolute=1e-7, feasibility=1e-10)


def assert_derivative(f, x):
    """The gradient along a random direction, by central differences."""
    v, h = np.random.default_rng(1).normal(size=x.size), 1e-5
    difference = (f(x + h * v).value - f(x - h * v).value) / (2.0 * h)
    assert difference == pytest.approx(f(x).gradient @ v, rel=1e-7, abs=1e-8)


def method(program, inner=LBFGS, **settings):
    constraints = [FunctionConstraint(c, 0.0) for c in program.inequalities]
    equalities = [FunctionConstraint(h, 0.0) for h in program.equalities]
    return AugmentedLagrangian(inner(bounds=program.bounds), constraints, equalities, **settings)


@pytest.mark.parametrize("number", PROGRAMS)
def test_published_optimum_and_multipliers(number):
    """Hock & Schittkowski (1981).

    26 is of fourth order at its solution: x is known to the fourth root.
    """
    program = PROGRAMS[number]
    result = minimize(program.f, program.start, method(program), stop=EXACT)
    assert result.status is adjoint.Status.STATIONARY
    state = result.state
    assert state.violation <= 1e-8
    assert state.value == pytest.approx(program.optimum, abs=1e-7)
    np.testing.assert_allclose(state.x, program.solution, atol=1e-2 if number == 26 else 2e-6)
    np.testing.assert_allclose(state.multipliers / state.scales, program.multipliers, atol=2e-6)


@pytest.mark.parametrize("number", [7, 28, 43, 76])
def test_steepest_descent_serves_as_the_inner_algorithm(number):
    program = PROGRAMS[number]
    result = minimize(
        program.f, program.start, method(program, adjoint.optimize.SteepestDescent), stop=EXACT
    )
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, program.solution, atol=1e-5)


@pytest.mark.parametrize("unit", [1e6, 1e-6])
def test_the_unit_of_the_objective_changes_nothing(unit):
    """f is zero at the start: its size is that of its gradient there."""
    program = PROGRAMS[43]
    scaled = Formula(
        lambda x: unit * program.f.expression(x), lambda x: unit * np.array(program.f.derivative(x))
    )
    results = [minimize(f, program.start, method(program)) for f in (program.f, scaled)]
    assert results[0].status is results[1].status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(results[0].x, results[1].x, atol=1e-5)
    np.testing.assert_allclose(
        unit * results[0].state.multipliers, results[1].state.multipliers, atol=1e-4 * unit
    )


def test_problems_have_the_gradients_and_the_optima_that_they_state():
    for program in PROGRAMS.values():
        for formula in (program.f, *program.inequalities, *program.equalities):
            assert_derivative(formula, program.start + 0.1)
        at = program.solution
        values = [formula(at).value for formula in (*program.inequalities, *program.equalities)]
        assert program.f(at).value == pytest.approx(program.optimum, abs=1e-6)
        slopes = [formula(at).gradient for formula in (*program.inequalities, *program.equalities)]
        lagrangian = program.f(at).gradient + program.multipliers @ np.array(slopes)
        np.testing.assert_allclose(
            program.bounds.held(program.bounds.clip(at), lagrangian), 0.0, atol=1e-5
        )
        np.testing.assert_allclose(program.multipliers * values, 0.0, atol=1e-6)


def test_multipliers_are_the_price_of_the_bounds():
    """df*/d bound = −λ / |bound|, for constraints that are scaled by their bounds."""
    f = Formula(lambda x: float(np.sum((x - 3.0) ** 2)), lambda x: 2.0 * (x - 3.0))
    weights = np.array([1.0, 2.0, 0.5])

    def optimum(bound, fixed):
        algorithm = AugmentedLagrangian(
            LBFGS(),
            [LinearConstraint(weights, bound)],
            [LinearConstraint(np.array([0.0, 0.0, 1.0]), fixed)],
        )
        return minimize(
            f, np.ones(3), algorithm, stop=replace(EXACT, absolute=1e-9, feasibility=1e-11)
        ).state

    h, at = 1e-3, optimum(4.0, 2.0)
    prices = [
        (optimum(4.0 + h, 2.0).value - optimum(4.0 - h, 2.0).value) / (2.0 * h),
        (optimum(4.0, 2.0 + h).value - optimum(4.0, 2.0 - h).value) / (2.0 * h),
    ]
    np.testing.assert_allclose(-at.multipliers / np.array([4.0, 2.0]), prices, atol=1e-6)


def sheet(nelx, nely):
    """A cantilever of variable thickness under a shear that is spread over its end, and its
    stresses.
    """
    body = cantilever(nelx, nely)
    load = np.zeros(2 * len(body.grid.nodes))
    load[2 * body.grid.node_numbers[nelx, :] + 1] = -1.0 / (nely + 1)
    body = replace(body, load=load[body.free])
    return body, VonMises(body), adjoint.Reduced(body.problem, Thickness())


def test_local_stresses_are_met_everywhere_by_one_transposed_solve_a_gradient():
    """96 stresses, 96 thicknesses: the lightest sheet is stressed to the limit where it is not at
    its least.
    """
    _, stress, f = sheet(16, 6)
    x = np.ones(96)
    first = f(x)
    limit = float(np.quantile(stress.values(first.solution.u, first.p), 0.8))
    algorithm = AugmentedLagrangian(
        LBFGS(bounds=adjoint.Bounds(0.1, 10.0)), [StateConstraints(stress, limit)]
    )
    with adjoint.counting() as counts:
        stop = Stopping(iterations=400, stationarity=1e-4, feasibility=1e-5)
        result = minimize(f, x, algorithm, stop=stop, check=False)
    state = result.state
    assert result.status is adjoint.Status.STATIONARY
    assert counts.numeric == state.evaluations
    begun = counts.solves - counts.numeric - state.iteration
    assert (
        1 <= begun <= 25
    )  # Beginnings of subproblems, and trials of the search, are all that is left.
    p = f(state.x)
    sigma = stress.values(p.solution.u, p.p)
    assert sigma.max() <= limit * (1.0 + 1e-5)
    assert state.value < 0.75
    thick = state.x > 0.11
    np.testing.assert_allclose(sigma[thick], limit, rtol=2e-2)
    assert np.all(state.multipliers >= 0.0)
    assert np.abs(state.multipliers * state.constraints).max() <= 1e-6


def test_gradient_of_many_constraints_is_right_and_takes_one_solve():
    """f a misfit, whose own adjoint is not free.

    Constraints of the state as a vector and alone, and of the design.
    """
    body, stress, f = sheet(6, 4)
    rng = np.random.default_rng(3)
    f = f.of(adjoint.LeastSquares(rng.normal(size=body.load.size)))
    x = 1.0 + 0.3 * rng.random(24)
    constraints = (
        StateConstraints(stress, 0.5),
        StateConstraint(adjoint.Compliance(body.load), 10.0),
        LinearConstraint(np.ones(24), 24.0),
    )
    penalized = Penalized(rng.random(26), 3.0, np.arange(26) == 24)
    augmented = Augmented(f, constraints, np.linspace(0.5, 2.0, 26), penalized)
    with adjoint.counting() as counts:
        point = augmented(x)
        assert counts.solves == 1
        point.gradient  # noqa: B018
    assert (counts.numeric, counts.solves, counts.rhs) == (1, 2, 2)
    assert_derivative(augmented, x)


def test_derivative_of_the_stresses_is_exact():
    _, stress, f = sheet(5, 4)
    weights = np.random.default_rng(0).normal(size=20)
    assert adjoint.check(f.of(Along(stress, weights)), np.linspace(0.5, 1.5, 20)).ok


@dataclass(eq=False)
class Counted:
    """A formula that counts what it is asked for."""

    formula: Formula
    values: int = 0
    gradients: int = 0

    def __call__(self, x):
        self.values += 1
        point = self.formula(x)

        def gradient(at):
            self.gradients += 1
            return self.formula.derivative(at)

        return replace(point, _gradient=gradient)


def test_gradients_of_constraints_that_do_not_push_are_not_asked_for():
    program = PROGRAMS[43]
    slack = Counted(Formula(lambda x: float(x[0]) - 1e3, lambda x: [1, 0, 0, 0]))
    f = Counted(program.f)
    algorithm = AugmentedLagrangian(LBFGS(), [FunctionConstraint(slack, 0.0)])
    result = minimize(f, program.start, algorithm, check=False)
    assert result.success
    assert slack.gradients == 1  # At the start, for its scale: the bound of zero tells none.
    assert f.values == slack.values == result.state.evaluations


def contradiction():
    return [
        FunctionConstraint(Formula(lambda x: 1.0 - x[0] - x[1], lambda x: [-1, -1]), 0.0),
        FunctionConstraint(Formula(lambda x: x[0] + x[1] + 1.0, lambda x: [1, 1]), 0.0),
    ]


@pytest.mark.parametrize("equal", [False, True])
def test_constraints_that_contradict_each_other_end_as_infeasible(equal):
    f = Formula(lambda x: float(np.sum(x**2)), lambda x: 2.0 * x)
    both = contradiction()
    algorithm = AugmentedLagrangian(LBFGS(), *([(), both] if equal else [both]))
    result = minimize(f, np.array([2.0, -2.0]), algorithm)
    assert result.status is adjoint.Status.INFEASIBLE
    assert not result.success
    np.testing.assert_allclose(
        result.state.scales, 4.0
    )  # |x_1| + |x_2|, of both: neither is violated by more.
    assert 4.0 * result.state.violation == pytest.approx(1.0, abs=1e-3)


def test_a_constraint_without_multipliers_is_neither_a_success_nor_infeasible():
    """min x + y², x² = 0: the gradient of the constraint vanishes where it is met."""
    f = Formula(lambda x: float(x[0] + x[1] ** 2), lambda x: [1, 2 * x[1]])
    square = FunctionConstraint(Formula(lambda x: float(x[0] ** 2), lambda x: [2 * x[0], 0]), 0.0)
    result = minimize(f, np.array([1.0, 1.3]), AugmentedLagrangian(LBFGS(), (), [square]))
    assert result.status is adjoint.Status.STUCK
    assert result.state.violation <= 1e-6
    assert result.x[0] ** 2 <= 1e-6 * result.state.scales[0]


def test_a_wrong_gradient_of_a_constraint_is_no_success():
    f = Formula(lambda x: float(np.sum(x)), lambda x: [1, 1])
    wrong = Formula(lambda x: float(np.sum(x**2)) - 1.0, lambda x: -2.0 * x)
    algorithm = AugmentedLagrangian(LBFGS(), [FunctionConstraint(wrong, 0.0)])
    start, stop = np.array([0.3, -0.4]), Stopping(iterations=200, floor=-1e6)
    with pytest.raises(adjoint.errors.WrongGradient, match="constraint 0"):
        minimize(f, start, algorithm, stop=stop)
    assert not minimize(f, start, algorithm, stop=stop, check=False).success


def test_failed_solves_at_trial_points_shorten_the_step():
    program = PROGRAMS[43]

    def f(x):
        if np.abs(x).max() > 3.0:
            raise adjoint.errors.SingularMatrix("beyond")
        return program.f(x)

    result = minimize(
        f, program.start, replace(method(program), algorithm=LBFGS(first_step=10.0)), stop=EXACT
    )
    assert result.state.value == pytest.approx(-44.0, abs=1e-6)


@pytest.mark.parametrize("number", [6, 71])
def test_resumed_from_any_state_it_goes_on_bit_for_bit(number):
    program = PROGRAMS[number]
    algorithm = method(program)
    states = []
    minimize(program.f, program.start, algorithm, stop=EXACT, callback=states.append)
    assert len({state.memory["multipliers"].tobytes() for state in states}) > 3
    for before, after in pairwise(states):
        memory = {name: array.copy() for name, array in before.memory.items()}
        again = algorithm.advance(
            program.f, replace(before, x=before.x.copy(), memory=memory, point=None)
        )
        assert content(again) == content(after)


def content(state):
    numbers = [getattr(state, name) for name in NUMBERS]
    arrays = {name: getattr(state, name).tobytes() for name in (*ARRAYS, "x")}
    return numbers, arrays, {name: array.tobytes() for name, array in state.memory.items()}


def test_nested_states_leave_nothing_out():
    # The tolerance of solves is that of the run: an inner state has none.
    outer = {"x", "memory", "ending", "point", "function", "failure", "rtol"}
    assert {*NUMBERS, *ARRAYS} == {each.name for each in fields(State)} - outer


def test_bounds_of_a_vector_may_be_one_for_each():
    _, stress, f = sheet(4, 2)
    limits = np.linspace(1.0, 2.0, 8)
    state = AugmentedLagrangian(LBFGS(), [StateConstraints(stress, limits)]).start(f, np.ones(8))
    p = f(np.ones(8))
    np.testing.assert_allclose(
        state.constraints, stress.values(p.solution.u, p.p) / limits - 1.0, rtol=1e-13
    )
    with pytest.raises(ValueError, match=r"shape \(8,\) for bounds of shape \(3,\)"):
        AugmentedLagrangian(LBFGS(), [StateConstraints(stress, np.ones(3))]).start(f, np.ones(8))


def test_settings_out_of_range_are_named():
    constraint = LinearConstraint(np.ones(2), 1.0)
    with pytest.raises(ValueError, match="no constraints"):
        AugmentedLagrangian(LBFGS())
    with pytest.raises(ValueError, match="penalty=-1"):
        AugmentedLagrangian(LBFGS(), [constraint], penalty=-1.0)
    with pytest.raises(ValueError, match="growth=1"):
        AugmentedLagrangian(LBFGS(), [constraint], growth=1.0)


def test_a_constraint_that_is_nan_at_the_start_is_an_error():
    f = Formula(lambda x: float(np.sum(x**2)), lambda x: 2.0 * x)
    nowhere = Formula(lambda x: float("nan"), lambda x: [0, 0])
    with pytest.raises(adjoint.errors.NonFinite, match="a constraint"):
        AugmentedLagrangian(LBFGS(), [FunctionConstraint(nowhere, 0.0)]).start(f, np.ones(2))
