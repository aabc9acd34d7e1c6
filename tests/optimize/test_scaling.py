"""Constraints in any unit: equal runs for f, x and c in units of 10⁻¹² to 10¹²."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import adjoint
from adjoint import Status, Stopping
from adjoint.interop import minimize as interop_minimize
from adjoint.interop.scipy import SLSQP
from adjoint.optimize import (
    BFGS,
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    Bounds,
    Euclidean,
    FunctionConstraint,
    LinearConstraint,
    NewtonCG,
    ScalarFunction,
    StateConstraint,
    SteepestDescent,
    Weighted,
)
from adjoint.optimize.constraints.state_constraints import StateConstraints
from adjoint.optimize.constraints.values import values_at
from adjoint.optimize.scaling import scaling
from problems.finite_elements.filters import density_filter
from problems.optimization.hock_schittkowski import PROGRAMS
from problems.steady.elasticity import mbb

DIFFERENCE = np.array([1.0, -1.0])
START = np.array([0.5, 4.0])


def bowl(D, F=1.0):
    """F ((x₀/D − 3)² + (x₁/D − 1)²); least at (2, 2) D where x₀ ≤ x₁."""
    return ScalarFunction(
        lambda x: F * ((x[0] / D - 3.0) ** 2 + (x[1] / D - 1.0) ** 2),
        lambda x: F * 2.0 * (x / D - [3.0, 1.0]) / D,
        lambda x, v: F * 2.0 * v / D**2,
    )


def function(value, gradient, bound, product=None):
    return FunctionConstraint(
        ScalarFunction(value, gradient, product or (lambda x, v: 0.0 * v)), bound
    )


INEQUALITY = {
    "L-BFGS": lambda c, box: AugmentedLagrangian(LBFGS(bounds=box), c),
    "BFGS": lambda c, box: AugmentedLagrangian(BFGS(bounds=box), c),
    "steepest descent": lambda c, box: AugmentedLagrangian(SteepestDescent(bounds=box), c),
    "Newton-CG": lambda c, box: AugmentedLagrangian(NewtonCG(bounds=box), c),
    "MMA": lambda c, box: MMA(c, box),
    "GCMMA": lambda c, box: GCMMA(c, box),
}
EQUALITY = {
    f"{name}, equality": lambda c, box, inner=inner: AugmentedLagrangian(
        inner(bounds=box), equalities=c
    )
    for name, inner in (("L-BFGS", LBFGS), ("Newton-CG", NewtonCG))
}
ALGORITHMS = {**INEQUALITY, **EQUALITY}
UNITS = [(1e6, 1.0, 1.0), (1e-12, 1.0, 1.0), (1.0, 1e-30, 1.0), (1.0, 1e30, 1.0), (1.0, 1.0, 1e-12)]
UNITS += [(1e-9, 1e12, 1e12), (1e12, 1e-12, 1e-12)]


def ordered(D, F, C, name):
    c = LinearConstraint(C / D * DIFFERENCE, 0.0)
    algorithm = ALGORITHMS[name]((c,), Bounds(0.0, 10.0 * D))
    return adjoint.minimize(bowl(D, F), START * D, algorithm, stop=Stopping(iterations=300))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_unit_of_f_x_or_c_changes_the_run(name):
    reference = ordered(1.0, 1.0, 1.0, name)
    np.testing.assert_allclose(reference.x, [2.0, 2.0], atol=1e-4)
    for D, F, C in UNITS:
        result = ordered(D, F, C, name)
        assert result.status is Status.STATIONARY
        assert abs(result.iterations - reference.iterations) <= 2
        np.testing.assert_allclose(result.x / D, [2.0, 2.0], atol=1e-4)
        np.testing.assert_allclose(result.state.scales / C, [4.5], rtol=1e-12)  # |x₀| + |x₁|
        np.testing.assert_allclose(result.state.multipliers / (F * 4.5), [2.0], atol=1e-3)


@pytest.mark.parametrize("offset", [1e3, 1e5, 1e6])
def test_a_design_with_an_offset_is_not_as_large_as_that(offset):
    """Coordinates of a map: all of x₀ ≤ x₁ happens in their last digits, and so does x₀ ≤ offset +
    1.5.
    """
    f = ScalarFunction(
        lambda x: bowl(1.0)(x - offset).value, lambda x: bowl(1.0)(x - offset).gradient
    )
    constraints = (
        LinearConstraint(DIFFERENCE, 0.0),
        LinearConstraint(np.array([1.0, 0.0]), offset + 1.5),
    )
    for run, algorithm in (
        (adjoint.minimize, AugmentedLagrangian(LBFGS(), constraints)),
        (interop_minimize, SLSQP(constraints)),
        (adjoint.minimize, GCMMA(constraints, Bounds(offset - 10.0, offset + 10.0))),
    ):
        result = run(f, START + offset, algorithm)
        assert result.status is Status.STATIONARY
        np.testing.assert_allclose(result.x - offset, 1.5, atol=1e-2)


@pytest.mark.parametrize("number", PROGRAMS)
@pytest.mark.parametrize("units", [(1e-9, 1e9, 1e-12), (1e12, 1e-12, 1e12)])
def test_published_optima_are_found_in_any_unit(number, units):
    """Hock & Schittkowski (1981), each constraint ten times as large as the one before.

    43 begins at x = 0, f = 0.
    """
    program, (D, F, C) = PROGRAMS[number], units

    def scaled(each, factor):
        return ScalarFunction(
            lambda x: factor * each(x / D).value,
            lambda x: factor / D * np.asarray(each(x / D).gradient, dtype=float),
        )

    constraints, equalities = (
        [FunctionConstraint(scaled(c, C * 10.0**i), 0.0) for i, c in enumerate(some)]
        for some in (program.inequalities, program.equalities)
    )
    box = Bounds(np.asarray(program.bounds.lower) * D, np.asarray(program.bounds.upper) * D)
    start = np.asarray(program.start, dtype=float) * D
    ours = AugmentedLagrangian(LBFGS(bounds=box), constraints, equalities)
    for result in (
        adjoint.minimize(scaled(program.f, F), start, ours),
        interop_minimize(scaled(program.f, F), start, SLSQP(constraints, equalities, box)),
    ):
        assert result.status is Status.STATIONARY
        assert result.value / F == pytest.approx(program.optimum, abs=1e-4)


@dataclass(frozen=True)
class Case:
    """c, made of D; where the run starts, in D; within which box, in D."""

    constraint: object
    start: tuple = (0.5, 4.0)
    lower: float = 0.0
    upper: float = 10.0


def shifted(D):
    return function(lambda x: 1e6 * D + x[0] - x[1], lambda x: DIFFERENCE, 1e6 * D)


def squares(D):
    return function(
        lambda x: x[0] ** 2 - x[1] ** 2,
        lambda x: 2.0 * x * DIFFERENCE,
        0.0,
        lambda x, v: 2.0 * DIFFERENCE * v,
    )


CASES = {
    "a start at zero": Case(lambda D: LinearConstraint(DIFFERENCE, 0.0), (0.0, 0.0)),
    "a start with one zero": Case(lambda D: LinearConstraint(DIFFERENCE, 0.0), (0.0, 1.0)),
    "a wide box": Case(lambda D: LinearConstraint(DIFFERENCE, 0.0), (0.5, 4.0), -1e3, 1e3),
    "a wide box, a start at zero": Case(
        lambda D: LinearConstraint(DIFFERENCE, 0.0), (0.0, 0.0), -1e3, 1e3
    ),
    "met exactly at the start": Case(lambda D: LinearConstraint(DIFFERENCE, 0.0), (1.0, 1.0)),
    "a bound that is zero but for rounding": Case(
        lambda D: LinearConstraint(DIFFERENCE, 1e-17 * D)
    ),
    "a bound far from what c varies by": Case(shifted),
    "a curved constraint": Case(squares),
    "no gradient at the start": Case(squares, (0.0, 0.0)),
}


@pytest.mark.parametrize("name", ["L-BFGS", "MMA", "GCMMA", "L-BFGS, equality"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("D", [1e-9, 1e6])
def test_constraints_of_small_units_are_met(case, name, D):
    each = CASES[case]
    box = Bounds(each.lower * D, each.upper * D)
    algorithm = ALGORITHMS[name]((each.constraint(D),), box)
    result = adjoint.minimize(
        bowl(D), np.array(each.start) * D, algorithm, stop=Stopping(iterations=500)
    )
    # The best bound on rounding of c = 10⁶ + x is 10⁻¹⁰: such a run may end without a claim.
    assert result.success or case == "a bound far from what c varies by"
    np.testing.assert_allclose(result.x / D, [2.0, 2.0], atol=2e-3)


@pytest.mark.parametrize("name", INEQUALITY)
def test_several_constraints_each_in_its_own_unit(name):
    """x₀ ≤ x₁ in units of 10⁻⁹, x₁ ≤ 1.5 in units of 10⁹."""
    for D in (1.0, 1e-6):
        c = (
            LinearConstraint(1e9 * DIFFERENCE, 0.0),
            LinearConstraint(np.array([0.0, 1e-9]), 1.5e-9 * D),
        )
        result = adjoint.minimize(bowl(D), START * D, INEQUALITY[name](c, Bounds(0.0, 10.0 * D)))
        assert result.status is Status.STATIONARY
        np.testing.assert_allclose(result.x / D, 1.5, atol=1e-4)
        np.testing.assert_allclose(
            result.state.multipliers / result.state.scales * [1e9 * D, 1e-9 * D], [3, 2], atol=1e-2
        )


def found(constraints, x, bounds=None, inner=None, f=None):
    f = f or ScalarFunction(lambda x: 3.0 + x.sum(), np.ones_like)
    point = f(np.asarray(x, dtype=float))
    return scaling(
        f,
        constraints,
        point,
        values_at(constraints, point),
        bounds or Bounds(),
        inner or Euclidean(),
    )


def test_a_bound_is_the_scale_where_c_varies_by_as_much():
    w = np.array([1.0, -2.0, 3.0])
    for bound in (2.0, -2.0, 1e-6):
        np.testing.assert_array_equal(
            found((LinearConstraint(w, bound),), [1.0, 1.0, 0.1]).scales, [abs(bound)]
        )


def test_elsewhere_what_c_varies_by_is_the_scale():
    w = np.array([1.0, -2.0, 3.0])
    for bound in (0.0, 1e-10, -1e-15):
        np.testing.assert_allclose(
            found((LinearConstraint(w, bound),), [1.0, 2.0, 0.1]).scales, [1.0 + 4.0 + 0.3]
        )
    far = function(lambda x: 1e5 + w @ x, lambda x: w, 1e5)
    result = found((far,), [1.0, 2.0, 0.1])
    np.testing.assert_allclose(result.scales, [5.3], rtol=1e-2)
    assert result.evaluations == 1
    # What it is violated by is a size, too.
    np.testing.assert_allclose(found((LinearConstraint(w, 0.0),), [1e3, 0.0, 0.0]).scales, [1e3])
    offset = function(lambda x: 50.0 + w @ x, lambda x: w, 0.0)
    np.testing.assert_allclose(found((offset,), [0.0, 0.0, 1.0]).scales, [53.0])


def test_sizes_of_variables_that_are_zero():
    c, x = (LinearConstraint(np.ones(3), 0.0),), np.zeros(3)
    nothing = ScalarFunction(lambda x: 0.0, lambda x: np.zeros(3))
    # |f| / max|∂f/∂x|, within the distance of the bounds; that distance where f tells nothing,
    # else 1.
    np.testing.assert_allclose(found(c, x).scales, [9.0])
    np.testing.assert_allclose(found(c, x, Bounds(-1.0, 1.0)).scales, [6.0])
    np.testing.assert_allclose(found(c, x, Bounds(-1e9, 1e9)).scales, [3 * 2e3])
    np.testing.assert_allclose(found(c, x, Bounds(0.0, 7.0), f=nothing).scales, [21.0])
    np.testing.assert_allclose(found(c, x, f=nothing).scales, [3.0])
    # A variable that is zero beside others does not count, unless c depends on none of these.
    np.testing.assert_allclose(found(c, [0.0, 2.0, 4.0], Bounds(-1e9, 1e9)).scales, [6.0])
    first = (LinearConstraint(np.array([1.0, 0.0, 0.0]), 0.0),)
    np.testing.assert_allclose(found(first, [0.0, 2.0, 4.0]).scales, [3.0])
    # Where neither x nor f tells, constraints do: each by what it is away from its bound.
    for D in (1.0, 1e-9):
        offset = function(
            lambda x, D=D: 8.0 + float(x.sum()) / D, lambda x, D=D: np.ones(3) / D, 0.0
        )
        np.testing.assert_allclose(found((offset,), x, f=nothing).scales, [24.0])
        np.testing.assert_allclose(found((offset,), x, f=nothing).sizes, 8.0 * D)
    np.testing.assert_allclose(
        found(c, x, inner=Weighted(np.array([1e18, 1e18, 1.0])), f=nothing).scales, [1.0 + 2e-9]
    )
    units = Weighted(np.array([1e18, 1.0, 1.0]))  # The first is of the order of 10⁻⁹.
    np.testing.assert_allclose(found(first, [0.0, 2.0, 4.0], inner=units).scales, [3e-9])
    assert found(c, np.ones(3), Bounds(1.0, 1.0)).length == 1.0


def test_gradients_are_asked_for_only_where_the_bound_is_no_obvious_scale():
    def unasked(x):
        raise AssertionError

    c = FunctionConstraint(ScalarFunction(lambda x: float(x.sum()), unasked), 2.0)
    np.testing.assert_array_equal(found((c,), np.full(3, 0.4)).scales, [2.0])


def test_a_flat_constraint_is_evaluated_at_another_design_once():
    asked = []

    def value(x):
        asked.append(x.copy())
        return float(x[0] * x[1])

    c = function(value, lambda x: x[::-1].copy(), 0.0)
    result = found((c,), [0.0, 0.0], Bounds(0.0, 2e-6))
    assert result.evaluations == 1
    assert len(asked) == 2
    np.testing.assert_allclose(result.scales, [asked[1][0] * asked[1][1]])
    assert 1e-12 < result.scales[0] < 4e-12
    # A solve that fails there is no error: nothing is known then.
    fails = FunctionConstraint(lambda x: c.function(x) if not x.any() else failure(), 0.0)
    np.testing.assert_array_equal(found((fails,), [0.0, 0.0], Bounds(0.0, 2e-6)).scales, [1.0])


def failure():
    raise adjoint.SolveError("no solution there")


def test_rounding_of_a_constraint_far_from_zero_is_no_wrong_gradient():
    c = function(lambda x: 1e12 + x[0] - x[1], lambda x: DIFFERENCE, 1e12)
    adjoint.minimize(bowl(1.0), START, GCMMA((c,), Bounds(0.0, 10.0)), stop=Stopping(iterations=1))


@dataclass(frozen=True, eq=False)
class Ratios:
    """u_i − a u_j ≤ 0 of some displacements. pairs: (i, j)."""

    pairs: tuple
    a: float

    def values(self, u, p):
        return np.array([u[i] - self.a * u[j] for i, j in self.pairs])

    def vjp(self, u, p, weights):
        u_bar = np.zeros_like(u)
        for w, (i, j) in zip(weights, self.pairs, strict=True):
            u_bar[i] += w
            u_bar[j] -= self.a * w
        return u_bar, np.zeros_like(p)

    def jvp(self, u, p, u_dot, p_dot):
        return self.values(u_dot, p_dot)

    def hvp(self, u, p, weights, u_dot, p_dot):
        return np.zeros_like(u), np.zeros_like(p)


def beam(unit):
    """A beam under a load of that size, in N; its displacements are of the same."""
    body = mbb(6, 3)
    body = replace(body, load=body.load * unit)
    smooth = density_filter(body.grid, 1.5)
    return body, smooth, body.compliance(smooth >> adjoint.design.SIMP(3.0))


def limits(unit):
    """A volume, and a ratio of two displacements that binds: alone, and as a vector."""
    _, smooth, f = beam(unit)
    x = np.linspace(0.4, 0.6, 18)
    u = f(x).solution.u
    i, j = (int(index) for index in np.argsort(u)[[0, 8]])
    weights = np.zeros(u.size)
    weights[[j, i]] = 1.0, -0.98 * u[j] / u[i]
    volume = LinearConstraint.volume(smooth, np.ones(18), 0.5)
    alone = StateConstraint(adjoint.LinearFunctional(weights), 0.0)
    return f, x, volume, alone, StateConstraints(Ratios(((j, i),), -weights[i]), 0.0)


@pytest.mark.parametrize("kind", ["MMA", "GCMMA", "one", "equality", "vector"])
def test_displacements_in_any_unit(kind):
    runs = []
    for unit in (1.0, 2.0**-40, 1e9):
        f, x, volume, alone, vector = limits(unit)
        box = Bounds(1e-3, 1.0)
        algorithm = {
            "MMA": MMA((volume, alone), box, move=0.2),
            "GCMMA": GCMMA((volume, alone), box),
            "one": AugmentedLagrangian(LBFGS(bounds=box), (volume, alone)),
            "equality": AugmentedLagrangian(LBFGS(bounds=box), (volume,), (alone,)),
            "vector": AugmentedLagrangian(LBFGS(bounds=box), (volume, vector)),
        }[kind]
        state = adjoint.minimize(f, x, algorithm, stop=Stopping(iterations=8)).state
        assert state.constraints.shape == state.scales.shape == (2,)
        runs.append((state.x, state.value / unit**2, state.constraints, state.scales / [1.0, unit]))
    for other in runs[1:]:
        for mine, its in zip(runs[0], other, strict=True):
            np.testing.assert_allclose(its, mine, rtol=1e-5, atol=1e-6)


def test_a_vector_takes_the_sizes_of_its_constraints_from_tangents():
    """The largest change along three random directions, of a sum of parts: no more than the sum of
    their sizes.
    """
    f, x, _, alone, vector = limits(1e-7)
    with adjoint.counting() as counts:
        several = found((vector,), x, f=f)
        assert (counts.numeric, counts.solves) == (1, 1 + 3)
    one = found((alone,), x, f=f)
    assert 0.02 * one.scales[0] < several.scales[0] <= one.scales[0]


@pytest.mark.parametrize("name", ["L-BFGS", "Newton-CG", "MMA", "GCMMA"])
def test_scales_come_back_from_a_restart_file(name, tmp_path):
    D = 1e-9
    c = (LinearConstraint(DIFFERENCE, 0.0), shifted(D))
    algorithm = INEQUALITY[name](c, Bounds(0.0, 10.0 * D))
    stop, half = Stopping(iterations=9, stationarity=0.0), Stopping(iterations=4, stationarity=0.0)
    whole = adjoint.minimize(bowl(D), START * D, algorithm, stop=stop)
    file = tmp_path / "run.npz"
    adjoint.minimize(bowl(D), START * D, algorithm, stop=half, restart=file)
    # The start of a resumed run does not matter, not to the scales either.
    rest = adjoint.minimize(
        bowl(D), 7.0 * START[::-1] * D, algorithm, stop=stop, restart=file, resume=True
    )
    for field in ("x", "constraints", "multipliers", "scales"):
        assert getattr(rest.state, field).tobytes() == getattr(whole.state, field).tobytes()
    assert rest.best.scales.tobytes() == whole.state.scales.tobytes()


def test_stages_have_scales_of_their_own():
    def build(settings):
        D = settings["unit"]
        return bowl(D), MMA((LinearConstraint(DIFFERENCE, 0.0),), Bounds(0.0, 1e3))

    stages = [
        adjoint.optimize.Stage({"unit": unit}, until=Stopping(iterations=5)) for unit in (1.0, 0.25)
    ]
    continuation = adjoint.optimize.Continuation(build, stages)
    states = []
    adjoint.minimize(
        continuation.f, START, continuation, stop=Stopping(iterations=12), callback=states.append
    )
    firsts = [next(state for state in states if state.stage == stage) for stage in (0, 1)]
    for state in firsts:
        np.testing.assert_allclose(state.scales, np.abs(state.x).sum(), rtol=1e-12)


def test_optimality_criteria_and_simpl_tell_their_scale():
    volume = LinearConstraint(np.array([2.0, 3.0]), 1.5)
    f = ScalarFunction(lambda x: float((1.0 / (0.1 + x)).sum()), lambda x: -1.0 / (0.1 + x) ** 2)
    for algorithm in (adjoint.optimize.OptimalityCriteria(volume), adjoint.optimize.SiMPL(volume)):
        np.testing.assert_array_equal(algorithm.start(f, np.array([0.2, 0.3])).scales, [1.5])


@pytest.mark.parametrize("name", INEQUALITY)
def test_a_gradient_of_the_wrong_shape_or_nan_is_named(name):
    for gradient, error in (
        (lambda x: np.ones(3), ValueError),
        (lambda x: np.nan * x, adjoint.errors.NonFinite),
    ):
        c = function(lambda x: float(x[0]), gradient, 0.0)
        with pytest.raises(error, match="gradient"):
            adjoint.minimize(bowl(1.0), START, INEQUALITY[name]((c,), Bounds(0.0, 10.0)))
