"""MMA and GCMMA: known optima, conservative steps, the dual of their subproblems."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest

import adjoint
from adjoint.optimize import GCMMA, MMA, Bounds, Euclidean, FunctionConstraint, StateConstraint
from adjoint.optimize.algorithms.mma.approximation import Approximation, Asymptotes, Region
from adjoint.optimize.algorithms.mma.subproblem import DualPoint, Subproblem, maximized
from problems.finite_elements.filters import density_filter
from problems.optimization.svanberg import (
    Smooth,
    cantilever,
    eight_bar_truss,
    nonconvex,
    two_bar_truss,
)
from problems.steady.elasticity import mbb
from scripts.benchmarks.optimizers import overhead

BOTH = pytest.mark.parametrize("method", [MMA, GCMMA])
PROGRAMS = [
    cantilever(),
    two_bar_truss(),
    eight_bar_truss(),
    nonconvex(30, False),
    nonconvex(30, True),
]


def states_of(program, algorithm, **stopping):
    states = []
    stop = adjoint.Stopping(**{"iterations": 600, "stationarity": 1e-9, **stopping})
    result = adjoint.minimize(
        program.f, program.start, algorithm, stop=stop, callback=states.append
    )
    return result, states


@BOTH
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_published_optima_are_found(method, program):
    result, states = states_of(program, method(program.constraints, program.bounds))
    assert result.status is adjoint.Status.STATIONARY
    assert result.value == pytest.approx(program.optimum, rel=1e-9)
    assert result.state.violation <= 1e-9
    assert result.state.stationarity <= 1e-7 * max(1.0, abs(result.value))
    if program.x.size:
        np.testing.assert_allclose(result.x, program.x, atol=1e-7)
    assert states[0].evaluations == 1


@BOTH
def test_cantilever_has_its_multiplier_and_a_kkt_residual_of_rounding(method):
    """0.0624 Σ x = 3 λ Σ a/x³ at the optimum: λ = f*/3."""
    program = cantilever()
    result, _ = states_of(
        program, method(program.constraints, program.bounds), absolute=1e-10, stationarity=0.0
    )
    assert result.value == pytest.approx(1.339956360599, rel=1e-12)
    np.testing.assert_allclose(result.state.multipliers, program.optimum / 3.0, rtol=1e-9)
    assert result.state.stationarity <= 1e-10


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_gcmma_falls_in_every_step_and_stays_feasible(program):
    _, states = states_of(program, GCMMA(program.constraints, program.bounds))
    assert states[0].violation == 0.0
    assert max(state.violation for state in states) <= 1e-11
    for before, after in pairwise(states):
        assert after.value <= before.value + 1e-12 * abs(before.value)


def density_beam(nelx, nely, radius):
    body = mbb(nelx, nely)
    smooth = density_filter(body.grid, radius)
    volume = adjoint.optimize.LinearConstraint.volume(smooth, np.ones(nelx * nely), 0.5)
    return (
        body,
        smooth,
        body.compliance(smooth >> adjoint.design.SIMP(3.0)),
        volume,
        np.full(nelx * nely, 0.5),
    )


@pytest.mark.parametrize("move", [0.2, 0.5])
def test_published_beam_is_as_stiff_as_that_of_the_optimality_criteria(move):
    """CASES: 60 × 20, density filter of radius 2.4, by OC until no density changes by more than
    0.01: 233.714573.
    """
    _, smooth, f, volume, x = density_beam(60, 20, 2.4)
    stop = adjoint.Stopping(iterations=200, change=0.01, stationarity=0.0)
    result = adjoint.minimize(f, x, MMA((volume,), Bounds(0.0, 1.0), move=move), stop=stop)
    assert result.status is adjoint.Status.UNCHANGING
    assert result.value == pytest.approx(233.714573, rel=1e-3)
    assert result.value < 233.714573
    assert smooth(result.x).mean() == pytest.approx(0.5, abs=1e-4)
    assert result.iterations < 144  # of OC


@BOTH
@pytest.mark.parametrize(("nelx", "nely"), [(9, 12), (30, 6)])
def test_beams_of_other_shapes_are_as_stiff_as_those_of_the_optimality_criteria(method, nelx, nely):
    _, smooth, f, volume, x = density_beam(nelx, nely, 1.5)
    stop = adjoint.Stopping(iterations=300, change=0.01, stationarity=0.0)
    reference = adjoint.minimize(f, x, adjoint.optimize.OptimalityCriteria(volume), stop=stop)
    result = adjoint.minimize(f, x, method((volume,), Bounds(0.0, 1.0)), stop=stop)
    assert result.value < 1.001 * reference.value
    assert smooth(result.x).mean() <= 0.5 + 1e-6


def test_volume_of_a_projected_design_is_met():
    body = mbb(24, 8)
    design = density_filter(body.grid, 1.8) >> adjoint.design.HeavisideProjection(4.0)
    volume = adjoint.optimize.DesignConstraint.volume(design, np.ones(192), 0.4)
    f = body.compliance(design >> adjoint.design.SIMP(3.0))
    stop = adjoint.Stopping(iterations=60)
    result = adjoint.minimize(
        f, np.full(192, 0.4), MMA((volume,), Bounds(0.0, 1.0), move=0.2), stop=stop
    )
    assert design(result.state.x).mean() == pytest.approx(0.4, abs=1e-4)
    assert result.value < 0.5 * f(np.full(192, 0.4)).value


@dataclass(frozen=True)
class Component:
    """u_i, as an objective."""

    i: int
    sign: float

    def value(self, u, p):
        return self.sign * float(u[self.i])

    def gradients(self, u, p):
        u_bar = np.zeros_like(u)
        u_bar[self.i] = self.sign
        return u_bar, np.zeros_like(p)


def test_constraints_of_the_state_share_one_solution_and_one_block_of_transposed_solves():
    """Least volume with the work of the load and two displacements bounded: k = 3, one
    factorization an iteration.
    """
    body, smooth, f, _, x = density_beam(12, 6, 1.5)
    point = f(x)
    i, j = np.argsort(np.abs(point.solution.u))[[-1, -5]]
    displacements = [Component(int(k), float(np.sign(point.solution.u[k]))) for k in (i, j)]
    constraints = tuple(
        StateConstraint(J, 0.6 * point.of(J).value) for J in (*displacements, f.objective)
    )
    volume = adjoint.Reduced(f.problem, Volume(), smooth >> adjoint.design.SIMP(3.0))
    algorithm = MMA(constraints, Bounds(1e-3, 1.0), move=0.3)
    state = algorithm.start(volume, x)
    for _ in range(60):
        with adjoint.counting() as counts:
            state = algorithm.advance(volume, state)
        assert (counts.numeric, counts.transposed) == (1, 1)
        # One column for the state, three for the constraints; the volume's own adjoint is zero.
        assert counts.rhs <= 1 + 3 + 1
    assert state.violation <= 1e-5
    assert state.multipliers.max() > 0.0
    assert state.stationarity < 0.05 * algorithm.start(volume, x).stationarity
    assert body.K.n == point.solution.u.size


@dataclass(frozen=True)
class Volume:
    """Mean of the moduli: of a penalized design, what a mass is not, but it depends on no state."""

    def value(self, u, p):
        return float(p.mean())

    def gradients(self, u, p):
        return np.zeros_like(u), np.full_like(p, 1.0 / p.size)


@dataclass(eq=False)
class Counted:
    """A function that remembers where it was evaluated, and where its gradient was asked for."""

    f: Smooth
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.copy())

        def derivative(x):
            self.gradients.append(x.copy())
            return self.f.derivative(x)

        return replace(self.f(x), derivative=derivative)


@BOTH
def test_trials_are_evaluated_once_and_refused_ones_pay_no_gradient(method):
    program = nonconvex(12, False)
    f, c = Counted(program.f), [Counted(each.function) for each in program.constraints]
    constraints = tuple(
        FunctionConstraint(g, each.bound) for g, each in zip(c, program.constraints, strict=True)
    )
    algorithm = method(constraints, program.bounds)
    state = algorithm.start(f, program.start)
    refused = 0
    for _ in range(30):
        state = algorithm.advance(f, state)
        refused += state.rejected.size
    assert state.evaluations == 31 + refused
    assert (refused > 0) == (method is GCMMA)
    for each in (f, *c):
        assert len(each.evaluations) == 31 + refused
        assert len({x.tobytes() for x in each.evaluations}) == 31 + refused
        assert len(each.gradients) == 31


@BOTH
def test_unit_of_the_objective_changes_nothing_but_the_multipliers(method):
    program = nonconvex(10, False)
    algorithm = method(program.constraints, program.bounds)
    runs = []
    for unit in (2.0**-30, 2.0**20):
        f = Smooth(
            lambda x, unit=unit: unit * program.f.value(x),
            lambda x, unit=unit: unit * program.f.derivative(x),
        )
        states = list(zip(range(25), adjoint.descend(f, program.start, algorithm), strict=False))
        runs.append((unit, states[-1][1]))
    (a_unit, a), (b_unit, b) = runs
    np.testing.assert_allclose(a.x, b.x, atol=1e-9)
    np.testing.assert_allclose(a.multipliers / a_unit, b.multipliers / b_unit, rtol=1e-6)
    assert a.scale * a_unit == pytest.approx(b.scale * b_unit, rel=1e-12)
    assert 1.0 <= abs(a.scale * a_unit * program.f(program.start).value) <= 100.0


@BOTH
def test_bounds_alone_are_constraints_enough(method):
    a = np.array([-1.0, 0.3, 2.0, 0.5])
    f = Smooth(lambda x: 5.0 + ((x - a) ** 2).sum(), lambda x: 2.0 * (x - a))
    bounds = Bounds(np.array([0.0, 0.0, 0.0, 0.7]), np.array([1.0, 1.0, 1.0, 0.7]))
    stop = adjoint.Stopping(absolute=1e-9, stationarity=0.0)
    result = adjoint.minimize(f, np.array([0.5, 0.5, 0.5, 0.7]), method((), bounds), stop=stop)
    np.testing.assert_allclose(result.x, [0.0, 0.3, 1.0, 0.7], atol=1e-9)
    assert result.status is adjoint.Status.STATIONARY


def one(value, gradient):
    return Smooth(value, lambda x: np.asarray(gradient(x), dtype=float))


CURVATURES = 10.0 ** np.linspace(-3.0, 3.0, 40)
PLACES = np.sin(np.arange(40.0))

INTERIOR = {
    "x + exp(−10 x)": (
        one(lambda x: (x + np.exp(-10.0 * x)).sum(), lambda x: 1.0 - 10.0 * np.exp(-10.0 * x)),
        [10.0],
        Bounds(-1.0, 20.0),
        [np.log(10.0) / 10.0],
    ),
    "from its steep side": (
        one(lambda x: (x + np.exp(-10.0 * x)).sum(), lambda x: 1.0 - 10.0 * np.exp(-10.0 * x)),
        [-0.5],
        Bounds(-1.0, 20.0),
        [np.log(10.0) / 10.0],
    ),
    "parabola": (
        one(lambda x: 1.0 + ((x - 0.3) ** 2).sum(), lambda x: 2.0 * (x - 0.3)),
        [4.0],
        Bounds(-10.0, 10.0),
        [0.3],
    ),
    "in a wide box": (
        one(lambda x: 1.0 + ((x - 0.3) ** 2).sum(), lambda x: 2.0 * (x - 0.3)),
        [4.0],
        Bounds(-1e6, 1e6),
        [0.3],
    ),
    "in small units": (
        one(
            lambda x: 1e-12 * (1.0 + ((1e7 * x - 3.0) ** 2).sum()), lambda x: 2e-5 * (1e7 * x - 3.0)
        ),
        [4e-6],
        Bounds(-1e-5, 1e-5),
        [3e-7],
    ),
    "cosh": (
        one(lambda x: np.cosh(x - 1.0).sum(), lambda x: np.sinh(x - 1.0)),
        [5.0, -3.0],
        Bounds(-10.0, 10.0),
        [1.0, 1.0],
    ),
    "barrier": (
        one(lambda x: (x - np.log(x)).sum(), lambda x: 1.0 - 1.0 / x),
        [7.0],
        Bounds(1e-3, 10.0),
        [1.0],
    ),
    "root": (
        one(
            lambda x: np.sqrt(1.0 + (x - 2.0) ** 2).sum(),
            lambda x: (x - 2.0) / np.sqrt(1.0 + (x - 2.0) ** 2),
        ),
        [8.0],
        Bounds(-10.0, 10.0),
        [2.0],
    ),
    "very different curvatures": (
        one(
            lambda x: 10.0 + CURVATURES @ (x - PLACES) ** 2,
            lambda x: 2.0 * CURVATURES * (x - PLACES),
        ),
        [2.0] * 40,
        Bounds(-4.0, 4.0),
        PLACES,
    ),
}


@BOTH
@pytest.mark.parametrize("name", INTERIOR)
def test_an_interior_minimum_that_no_constraint_holds_is_converged_to(method, name):
    f, start, bounds, minimum = INTERIOR[name]
    result = adjoint.minimize(
        f, np.array(start), method((), bounds), stop=adjoint.Stopping(iterations=150)
    )
    assert result.status is adjoint.Status.STATIONARY
    g, first = f(result.x).gradient, f(np.array(start)).gradient
    assert np.linalg.norm(g) <= 1e-6 * np.linalg.norm(first)
    if name not in ("very different curvatures", "from its steep side"):
        np.testing.assert_allclose(result.x, minimum, rtol=1e-4)
    assert result.value == pytest.approx(f(np.asarray(minimum)).value, rel=2e-4)


@BOTH
def test_an_interior_minimum_beside_a_constraint_that_does_not_bind_is_converged_to(method):
    f, start, bounds, minimum = INTERIOR["x + exp(−10 x)"]
    slack = FunctionConstraint(Smooth(lambda x: x.sum(), lambda x: np.ones(1)), 15.0)
    result = adjoint.minimize(f, np.array(start), method((slack,), bounds))
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, minimum, rtol=1e-6)


@BOTH
def test_run_goes_on_from_any_of_its_states_to_the_same_bits(method):
    program = nonconvex(20, True)
    algorithm = method(program.constraints, program.bounds)
    states = [
        state
        for _, state in zip(
            range(20), adjoint.descend(program.f, program.start, algorithm), strict=False
        )
    ]
    for at in (0, 1, 7, 18):
        memory = {name: array.copy() for name, array in states[at].memory.items()}
        resumed = replace(states[at], x=states[at].x.copy(), memory=memory, point=None)
        for expected in states[at + 1 :]:
            resumed = algorithm.advance(program.f, resumed)
            assert resumed.x.tobytes() == expected.x.tobytes()
            assert resumed.value == expected.value
            assert all(
                resumed.memory[name].tobytes() == expected.memory[name].tobytes()
                for name in expected.memory
            )


@BOTH
def test_states_are_not_written_to(method):
    program = cantilever()
    algorithm = method(program.constraints, program.bounds)
    state = algorithm.start(program.f, program.start)
    arrays = [state.x, state.gradient, state.constraints, state.multipliers, *state.memory.values()]
    for array in arrays:
        array.flags.writeable = False
    algorithm.advance(program.f, state)


def failing(f, allowed, error):
    def evaluated(x):
        if not allowed(x):
            raise error
        return f(x)

    return evaluated


@BOTH
def test_failed_solve_at_a_proposal_shortens_the_step(method):
    """No solution for a mean below 4.6, where the optimum is: the run comes near to it, or says
    that it cannot.
    """
    program = cantilever()
    f = failing(program.f, lambda x: x.mean() > 4.6, adjoint.errors.SingularMatrix("singular"))
    algorithm = method(program.constraints, program.bounds)
    states = [algorithm.start(f, program.start)]
    while states[-1].ending is None and len(states) < 200:
        states.append(algorithm.advance(f, states[-1]))
    assert states[1].rejected.size >= 1
    assert np.isnan(states[1].rejected).any()
    assert states[1].evaluations == 2 + states[1].rejected.size
    assert states[-1].x.mean() == pytest.approx(4.6, abs=0.1)
    assert not states[-1].ending or not states[-1].ending.success


@BOTH
def test_solve_that_always_fails_ends_the_run(method):
    program = cantilever()
    algorithm = method(program.constraints, program.bounds)
    first = algorithm.start(program.f, program.start)
    f = failing(program.f, lambda x: False, adjoint.errors.SingularMatrix("singular"))
    after = algorithm.advance(f, first)
    assert after.ending is adjoint.Status.FAILED
    assert np.isnan(after.rejected).all()
    np.testing.assert_array_equal(after.x, first.x)


@BOTH
def test_constraint_that_cannot_be_evaluated_is_a_failed_trial(method):
    program = cantilever()
    c = failing(
        program.constraints[0].function, lambda x: x.min() > 3.0, adjoint.errors.NonFinite("nan")
    )
    algorithm = method((FunctionConstraint(c, 1.0),), program.bounds)
    state = algorithm.start(program.f, program.start)
    for _ in range(10):
        state = algorithm.advance(program.f, state)
        assert state.x.min() > 3.0


@BOTH
@pytest.mark.parametrize(
    ("start", "change", "status"),
    [
        ([0.4, 0.4], 0.0, adjoint.Status.INFEASIBLE),
        (
            [0.9, 0.2],
            1e-2,
            adjoint.Status.ITERATIONS,
        ),  # a small change is no convergence while it is violated
        ([0.9, 0.2], 0.0, adjoint.Status.ITERATIONS),  # creeps along x₁ + x₂ = 0.5
    ],
)
def test_contradicting_constraints_are_never_called_solved(method, start, change, status):
    """x₁ + x₂ ≤ 0.5 and ≥ 1: the elastic variables take the violation."""
    f = Smooth(lambda x: 3.0 + x @ x, lambda x: 2.0 * x)
    total = Smooth(lambda x: x.sum(), lambda x: np.ones(2))
    negative = Smooth(lambda x: -x.sum(), lambda x: -np.ones(2))
    algorithm = method(
        (FunctionConstraint(total, 0.5), FunctionConstraint(negative, -1.0)), Bounds(0.0, 1.0)
    )
    stop = adjoint.Stopping(iterations=60, change=change)
    result = adjoint.minimize(f, np.array(start), algorithm, stop=stop)
    assert result.status is status
    assert result.state.violation == pytest.approx(0.5, abs=1e-2)


@BOTH
def test_price_of_violation_below_the_multiplier_leaves_a_violation_and_no_success(method):
    program = cantilever()
    algorithm = method(program.constraints, program.bounds, elastic=0.2)
    result, _ = states_of(program, algorithm)
    assert not result.success
    assert result.state.violation > 1e-3
    assert states_of(program, replace(algorithm, elastic=2.0))[0].success


@BOTH
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bounds": Bounds(0.0)}, "infinite bounds"),
        ({"move": 0.0}, "0 < move"),
        ({"elastic": -1.0}, "c > 0"),
        ({"scale": np.nan}, "positive number or None"),
        ({"inner": adjoint.optimize.MassMatrix(np.eye(2))}, "not diagonal"),
    ],
)
def test_settings_that_cannot_be_are_named(method, settings, message):
    with pytest.raises(ValueError, match=message):
        method(**{"constraints": (), "bounds": Bounds(0.0, 1.0), **settings})


def test_asymptotes_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="decrease ≤ 1 ≤ increase"):
        Asymptotes(increase=0.9)


@BOTH
def test_faults_of_constraints_are_named(method):
    program = cantilever()
    wrong = {
        "the constraints are": (adjoint.errors.NonFinite, Smooth(lambda x: np.nan, lambda x: x)),
        "gradient of constraint 0": (
            adjoint.errors.NonFinite,
            Smooth(lambda x: 0.0, lambda x: np.nan * x),
        ),
        r"shape \(3,\), the design \(5,\)": (ValueError, Smooth(lambda x: 0.0, lambda x: x[:3])),
    }
    for message, (error, c) in wrong.items():
        with pytest.raises(error, match=message):
            method((FunctionConstraint(c, 1.0),), program.bounds).start(program.f, program.start)


KINDS = [
    "plain",
    "scales",
    "sparse",
    "equal",
    "volume",
    "redundant",
    "degenerate",
    "infeasible",
    "opposed",
    "flat",
]


def subproblem(rng, k, m, kind):
    """Slopes and values with the faults that real constraints have."""
    slopes = rng.normal(size=(k + 1, m)) * 10.0 ** rng.uniform(-3, 3, size=(k + 1, 1))
    values, x, width = rng.normal(size=k + 1), rng.uniform(size=m), 10.0 ** rng.uniform(-2, 1, m)
    if kind == "scales":
        slopes *= 10.0 ** rng.uniform(-3, 3, (k + 1, m))
    elif kind == "sparse":
        slopes *= rng.uniform(size=slopes.shape) < 0.1
    elif kind == "equal":
        slopes, x, width = np.repeat(slopes[:, :1], m, axis=1), np.full(m, 0.5), np.full(m, 0.5)
    elif kind == "volume":
        slopes, values = np.abs(slopes) / m, 0.0 * values
        slopes[0] *= -1.0
    elif kind == "redundant":
        slopes[2:], values[2:] = slopes[1:2], values[1:2]
    elif kind == "degenerate":
        slopes[1:], values = rng.normal(size=(k, 2)) @ rng.normal(size=(2, m)), 0.0 * values
    elif kind == "infeasible":
        slopes[1:] /= m
        values = rng.uniform(10.0, 60.0, size=k + 1)
    elif kind == "opposed":
        slopes[1:], values = np.resize([[1.0], [-1.0]], (k, 1)) * rng.normal(size=m), np.ones(k + 1)
    elif kind == "flat":
        slopes[rng.integers(0, k + 1)] = 0.0
    region = Region.around(x, width, np.ones(m), 0.5, Bounds(0.0, 1.0))
    approximation = Approximation.of(values, slopes, region, np.full(k + 1, 1e-5))
    return Subproblem(approximation, *region.relative, 1000.0, Euclidean())


def kkt_residual(problem, solved):
    """Residual of the subproblem, as in the papers: stationarity, violation, complementarity.

    Relative to the sizes of what is added up.
    """
    g, s, lam = problem.approximation, solved.s, solved.multipliers
    p, q = g.h + g.e, g.h - g.e
    values = g.values + (p * s / (1.0 - s) - q * s / (1.0 + s)).sum(axis=1)
    weights = np.append(1.0, lam)[:, None]
    up, down = (
        (weights * p).sum(axis=0) / (1.0 - s) ** 2,
        (weights * q).sum(axis=0) / (1.0 + s) ** 2,
    )
    slope = np.where(
        (s <= problem.lower) & (up > down) | (s >= problem.upper) & (up < down), 0.0, up - down
    )
    y = np.maximum(0.0, lam - problem.elastic)
    sizes = np.maximum(1.0, np.abs(g.values[1:]) + g.h[1:].sum(axis=1) + y)
    excess = (values[1:] - y) / sizes
    stationary = np.abs(slope) / np.maximum(up, down)
    return max(
        stationary.max(),
        excess.max(initial=0.0),
        np.abs(np.minimum(1.0, lam) * excess).max(initial=0.0),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_random_subproblems_are_solved_to_rounding(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(8):
        problem = subproblem(rng, int(rng.integers(0, 21)), int(10.0 ** rng.uniform(0, 2.5)), kind)
        solved = maximized(problem, np.ones(len(problem.approximation.values) - 1))
        assert solved.multipliers.min(initial=0.0) >= 0.0
        assert np.all((solved.s >= problem.lower) & (solved.s <= problem.upper))
        assert kkt_residual(problem, solved) <= 1e-9


@pytest.mark.parametrize("k", [0, 1, 4])
def test_large_subproblem_takes_a_few_newton_steps(k, monkeypatch):
    problem, steps = subproblem(np.random.default_rng(k), k, 100_000, "volume"), []
    curvature = DualPoint.curvature
    monkeypatch.setattr(DualPoint, "curvature", lambda self: (steps.append(0), curvature(self))[1])
    solved = maximized(problem, np.ones(k))
    assert kkt_residual(problem, solved) <= 1e-9
    assert len(steps) <= 20


@pytest.mark.parametrize("k", [1, 3])
def test_dual_has_the_slope_and_curvature_it_claims(k):
    """ψ(λ) = L(s(λ), y(λ), λ), by central differences; the curvature away from kinks."""
    problem = subproblem(np.random.default_rng(k), k, 40, "plain")
    lam = np.random.default_rng(5).uniform(0.5, 2.0, k)

    def dual(lam):
        s = DualPoint(problem, lam).s
        return float(np.append(1.0, lam) @ problem.approximation.at(s, Euclidean()))

    at, h = DualPoint(problem, lam), 1e-6
    for i, step in enumerate(h * np.eye(k)):
        difference = (dual(lam + step) - dual(lam - step)) / (2.0 * h)
        assert difference == pytest.approx(at.slope[i], rel=1e-6)
        bend = (DualPoint(problem, lam + step).slope - DualPoint(problem, lam - step).slope) / (
            2.0 * h
        )
        np.testing.assert_allclose(
            -bend, at.curvature()[i], rtol=1e-5, atol=1e-6 * np.abs(at.curvature()).max()
        )


def test_approximations_are_tangent_convex_and_that_of_the_papers():
    rng = np.random.default_rng(3)
    m = 6
    slopes, values, x, width = (
        rng.normal(size=(2, m)),
        rng.normal(size=2),
        rng.uniform(size=m),
        np.full(m, 0.7),
    )
    span, rho = np.full(m, 2.0), np.array([1e-5, 0.3])
    region = Region.around(x, width, span, 0.5, Bounds(-1.0, 1.0))
    model = Approximation.of(values, slopes, region, rho)
    U, L = x + width, x - width
    p = (U - x) ** 2 * (
        1.001 * np.maximum(slopes, 0) + 0.001 * np.maximum(-slopes, 0) + rho[:, None] / span
    )
    q = (x - L) ** 2 * (
        0.001 * np.maximum(slopes, 0) + 1.001 * np.maximum(-slopes, 0) + rho[:, None] / span
    )

    def printed(z):
        return values + (p / (U - z) + q / (z - L) - p / (U - x) - q / (x - L)).sum(axis=1)

    np.testing.assert_array_equal(model.at(np.zeros(m), Euclidean()), values)
    for _ in range(5):
        s, t = rng.uniform(-0.9, 0.9, (2, m))
        np.testing.assert_allclose(model.at(s, Euclidean()), printed(x + width * s), rtol=1e-12)
        middle = model.at(0.5 * (s + t), Euclidean())
        assert np.all(middle <= 0.5 * (model.at(s, Euclidean()) + model.at(t, Euclidean())))
        h = 1e-6
        tangent = (model.at(h * s, Euclidean()) - model.at(-h * s, Euclidean())) / (2.0 * h)
        np.testing.assert_allclose(tangent, slopes @ (width * s), rtol=1e-6)


def test_asymptotes_come_nearer_where_a_variable_oscillates():
    change, before = np.array([1.0, 1.0, 1.0, 0.0, -1.0]), np.array([1.0, -1.0, 0.0, 1.0, -1.0])
    width = Asymptotes().moved(np.array([1.0, 1.0, 1.0, 1.0, 9.0]), change, before, np.ones(5))
    np.testing.assert_allclose(width, [1.2, 0.7, 1.0, 1.0, 10.0])


def test_overhead_is_measured(tmp_path):
    results = overhead.main(tmp_path, small=True, iterations=2)
    assert set(results) == {"OptimalityCriteria", "MMA", "GCMMA"}
    assert all(
        0.0 < result["share"] < 1.0 and result["factor"] > 0.0 for result in results.values()
    )
    assert (tmp_path / "optimizer_overhead.json").stat().st_size > 100
