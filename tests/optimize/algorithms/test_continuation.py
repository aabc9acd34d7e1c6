"""Continuation: stages as data equal a loop by hand, and resume bit for bit."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

import adjoint
from adjoint.optimize import (
    LinearConstraint,
    OptimalityCriteria,
    Status,
    SteepestDescent,
    Stopping,
    minimize,
)
from adjoint.optimize.algorithms.augmented_lagrangian import AugmentedLagrangian
from adjoint.optimize.algorithms.continuation import Continuation, Grayness, Stage
from adjoint.optimize.algorithms.lbfgs import LBFGS
from adjoint.optimize.algorithms.simpl import SiMPL
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import mbb

BODY = mbb(12, 4)
FILTER = density_filter(BODY.grid, 1.5)
VOLUME = LinearConstraint.volume(FILTER, np.ones(48), 0.5)
HALF = np.full(48, 0.5)


def penalized(settings):
    """The beam with SIMP's exponent as the setting, by SiMPL."""
    return BODY.compliance(FILTER >> adjoint.design.SIMP(settings["penalty"])), SiMPL(VOLUME)


def projected(settings):
    """The beam with the steepness of a projection as the setting.

    Both f and the volume depend on the steepness.
    """
    design = FILTER >> adjoint.design.HeavisideProjection(settings["beta"])
    volume = adjoint.optimize.DesignConstraint.volume(design, np.ones(48), 0.5)
    return BODY.compliance(design >> adjoint.design.SIMP(3.0)), SiMPL(volume)


def criteria(settings):
    """The beam by optimality criteria, whose start is an iteration."""
    return penalized(settings)[0], OptimalityCriteria(VOLUME)


def augmented(settings):
    """The beam by L-BFGS in an augmented Lagrangian: three states in one."""
    return penalized(settings)[0], AugmentedLagrangian(
        LBFGS(bounds=adjoint.Bounds(0.0, 1.0)), [VOLUME]
    )


@dataclass(frozen=True, eq=False)
class Valley:
    """f = Σ (x_i − a)² (1 + i)² at x."""

    x: np.ndarray
    a: float

    @property
    def _weights(self):
        return (1.0 + np.arange(self.x.size)) ** 2

    @property
    def value(self):
        return float(np.sum(self._weights * (self.x - self.a) ** 2))

    @property
    def gradient(self):
        return 2.0 * self._weights * (self.x - self.a)


def valley(settings):
    a = settings["a"]
    return (lambda x: Valley(x, a)), LBFGS()


def stages(name, values, **rules):
    return tuple(Stage({name: value}, **rules) for value in values)


PENALTIES = stages("penalty", (1.0, 2.0, 3.0), until=Stopping(iterations=6))


def run(continuation, x, stop, **options):
    states = []
    result = minimize(continuation.f, x, continuation, stop=stop, callback=states.append, **options)
    return result, states


def test_stages_are_a_loop_of_runs_each_from_the_design_of_the_last():
    _, states = run(
        Continuation(penalized, PENALTIES), HALF, Stopping(iterations=20, stationarity=0.0)
    )
    x, by_hand = HALF, []
    for count, stage in zip((6, 6, 6), PENALTIES, strict=True):
        f, algorithm = penalized(stage.settings)
        stop = Stopping(iterations=count, stationarity=0.0)
        x = minimize(f, x, algorithm, stop=stop, check=False, callback=by_hand.append).state.x
    assert [state.iteration for state in states] == list(range(21))
    assert [state.stage for state in states] == [0] * 7 + [1] * 7 + [2] * 7
    assert [state.left for state in states] == [2] * 7 + [1] * 7 + [0] * 7
    for state, alone in zip(states, by_hand, strict=True):
        assert state.x.tobytes() == alone.x.tobytes()
        assert (state.value, state.stationarity, state.change) == (
            alone.value,
            alone.stationarity,
            alone.change,
        )
    np.testing.assert_array_equal(states[7].x, states[6].x)
    assert states[-1].evaluations == sum(1 + state.rejected.size for state in states)


def test_stages_may_be_of_an_algorithm_that_proposes_before_it_evaluates():
    _, states = run(
        Continuation(criteria, PENALTIES), HALF, Stopping(iterations=18, stationarity=0.0)
    )
    assert [state.stage for state in states] == [0] * 6 + [1] * 6 + [2] * 6
    assert states[-1].value == pytest.approx(438.0, rel=0.1)
    assert all(state.x.max() <= 1.0 for state in states)


def test_projection_becomes_steep_at_the_volume_of_each_stage():
    betas = stages("beta", (1.0, 4.0, 16.0), until=Stopping(iterations=15))
    continuation = Continuation(projected, betas)
    _, states = run(continuation, HALF, Stopping(iterations=60))
    assert states[-1].stage == 2
    for state in states:
        volume = projected(betas[state.stage].settings)[1].constraint
        assert volume.value(state.x) <= volume.bound * (1.0 + 1e-12)
    density = FILTER >> adjoint.design.HeavisideProjection(16.0)
    assert np.mean(4.0 * density(states[-1].x) * (1.0 - density(states[-1].x))) < 0.35


@pytest.mark.parametrize(
    "stop",
    [
        Stopping(stationarity=1e-6),
        Stopping(stationarity=0.0, change=1e-6),
        Stopping(stationarity=0.0, stall=3),
    ],
    ids=["stationarity", "change", "stall"],
)
def test_a_run_does_not_end_before_its_last_stage(stop):
    """Each stage is solved to rounding long before its 30 iterations are over: the run's own rules
    wait.
    """
    continuation = Continuation(
        valley, stages("a", (0.5, 1.0, 2.0), until=Stopping(iterations=30, stationarity=0.0))
    )
    result, states = run(continuation, np.full(4, 3.0), stop)
    assert result.state.stage == 2
    np.testing.assert_allclose(result.x, 2.0, atol=1e-4)
    for index, minimum in ((0, 0.5), (1, 1.0)):
        last = [state for state in states if state.stage == index][-1]
        np.testing.assert_allclose(last.x, minimum, atol=1e-6)


def test_a_budget_ends_a_run_in_any_stage():
    continuation = Continuation(penalized, PENALTIES)
    result, states = run(continuation, HALF, Stopping(iterations=8))
    assert result.status is Status.ITERATIONS
    assert states[-1].stage == 1
    assert not result.success


def test_stages_end_by_their_own_rules():
    a = (0.5, 1.0, 2.0)
    stationary = Continuation(valley, stages("a", a, until=Stopping(stationarity=1e-3)))
    tight = Continuation(valley, stages("a", a, until=Stopping(stationarity=1e-9)))
    results = [
        run(each, np.full(4, 3.0), Stopping(stationarity=1e-9)) for each in (stationary, tight)
    ]
    assert all(result.status is Status.STATIONARY for result, _ in results)
    assert results[0][0].iterations < results[1][0].iterations
    states = results[0][1]
    first = [state for state in states if state.stage == 0]
    assert first[-1].stationarity <= 1e-3 * first[0].stationarity < first[-2].stationarity


def test_a_rule_of_the_design_ends_a_stage():
    gray = Grayness(0.8, FILTER)
    rules = {"until": Stopping(iterations=40, stationarity=0.0), "rule": gray}
    _, states = run(
        Continuation(penalized, stages("penalty", (3.0, 3.0), **rules)),
        HALF,
        Stopping(iterations=60),
    )
    first = [state for state in states if state.stage == 0][1:]
    assert gray(first[-1])
    assert not any(gray(state) for state in first[:-1])
    assert len(first) < 40


def test_a_stage_in_which_no_step_is_found_is_passed():
    def build(settings):
        kinked = settings["kinked"] > 0.0
        return (lambda x: Wrong(x) if kinked else Valley(x, 0.5)), SteepestDescent()

    continuation = Continuation(build, stages("kinked", (1.0, 0.0), until=Stopping(iterations=10)))
    result, states = run(continuation, np.full(3, 2.0), Stopping(), check=False)
    assert [state.stage for state in states[:2]] == [0, 1]
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, 0.5, atol=1e-4)


@dataclass(frozen=True, eq=False)
class Wrong:
    """A gradient of the wrong sign."""

    x: np.ndarray

    @property
    def value(self):
        return float(np.sum(self.x**2))

    @property
    def gradient(self):
        return -2.0 * self.x


def test_memory_goes_over_into_the_next_stage_only_where_it_is_asked_for():
    keeping = (Stage({"a": 0.0}, Stopping(iterations=4)), Stage({"a": 1.0}, keep=("S", "Y")))
    dropping = (keeping[0], replace(keeping[1], keep=()))
    counts = []
    for each in (keeping, dropping):
        _, states = run(
            Continuation(valley, each), np.full(4, 3.0), Stopping(iterations=5, stationarity=0.0)
        )
        assert states[5].stage == 1
        counts.append(len(states[5].memory["inner.memory.S"]))
    assert counts[0] > 0
    assert counts[1] == 0
    unknown = (keeping[0], replace(keeping[1], keep=("asymptotes",)))
    with pytest.raises(
        ValueError, match=r"keep=\['asymptotes'\], expected names out of \['S', 'Y'"
    ):
        run(
            Continuation(valley, unknown), np.full(4, 3.0), Stopping(iterations=9, stationarity=0.0)
        )


@pytest.mark.parametrize(
    "build", [penalized, criteria, augmented], ids=["SiMPL", "OC", "augmented"]
)
def test_resumed_from_any_state_it_goes_on_bit_for_bit(build):
    _, states = run(Continuation(build, PENALTIES), HALF, Stopping(iterations=20, stationarity=0.0))
    for before, after in pairwise(states):
        anew = Continuation(build, PENALTIES)
        memory = {name: array.copy() for name, array in before.memory.items()}
        again = anew.advance(anew.f, replace(before, x=before.x.copy(), memory=memory, point=None))
        assert again.x.tobytes() == after.x.tobytes()
        numbers = [
            (s.iteration, s.stage, s.left, s.value, s.stationarity, s.evaluations)
            for s in (again, after)
        ]
        assert numbers[0] == numbers[1]
        assert {name: a.tobytes() for name, a in again.memory.items()} == {
            name: a.tobytes() for name, a in after.memory.items()
        }


@pytest.mark.parametrize("interruption", [3, 6, 7, 13])
def test_resumed_from_a_file_it_ends_with_the_same_bytes(interruption, tmp_path):
    stop, file = Stopping(iterations=20, stationarity=0.0), tmp_path / "run.npz"
    whole, _ = run(Continuation(penalized, PENALTIES), HALF, stop)
    run(
        Continuation(penalized, PENALTIES),
        HALF,
        replace(stop, iterations=interruption),
        restart=file,
    )
    resumed, _ = run(Continuation(penalized, PENALTIES), HALF, stop, restart=file, resume=True)
    assert resumed.x.tobytes() == whole.x.tobytes()
    assert (resumed.state.stage, resumed.value, resumed.status) == (
        whole.state.stage,
        whole.value,
        whole.status,
    )


def test_each_stage_is_built_once():
    built = []

    def build(settings):
        built.append(settings["penalty"])
        return penalized(settings)

    run(Continuation(build, PENALTIES), HALF, Stopping(iterations=18, stationarity=0.0))
    assert built == [1.0, 2.0, 3.0]


def test_another_function_is_refused():
    continuation = Continuation(penalized, PENALTIES)
    other = penalized({"penalty": 3.0})[0]
    with pytest.raises(ValueError, match="another f"):
        minimize(other, HALF, continuation)
    with pytest.raises(ValueError, match="another f"):
        continuation.advance(other, continuation.start(continuation.f, HALF))


def test_stages_without_a_meaning_are_refused():
    with pytest.raises(ValueError, match="no stages"):
        Continuation(penalized, ())
    with pytest.raises(ValueError, match="budget of factorizations or seconds"):
        Stage({}, Stopping(seconds=1.0))
