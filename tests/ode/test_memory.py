"""Memory policies: the same bits from each, sweeps that are abandoned and repeated, budgets,
disks.
"""

import gc
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.checkpointing import minimal_advances
from problems.time.oscillators import VanDerPol
from tests.fixtures.fields import (
    DECAY,
    FIXED,
    IMPLICIT,
    METHODS,
    OBSERVED,
    Moments,
    P,
    Weave,
    cotangents,
    mass,
    start,
    weave,
)

WIDTH = 8
"""Bytes of a number."""


MEMORIES = {  # Of a directory and the bytes of a state: u, u', and where the matrix was.
    "states": lambda path, size: adjoint.checkpointing.States(),
    "1 slot": lambda path, size: adjoint.checkpointing.Checkpoints(1),
    "3 slots": lambda path, size: adjoint.checkpointing.Checkpoints(3),
    "disk": lambda path, size: adjoint.checkpointing.Disk(path),
    "2 slots on disk": lambda path, size: adjoint.checkpointing.Disk(path, slots=2),
    "least budget": lambda path, size: adjoint.checkpointing.Budget(2 * size),
    "budget for some records": lambda path, size: adjoint.checkpointing.Budget(15 * size),
    "small budget and disk": lambda path, size: adjoint.checkpointing.Budget(
        5 * size, directory=path
    ),
}


def everything(trajectory):
    """All results of a trajectory, by many sweeps, some of them abandoned midway."""
    u_bar, q_bar = cotangents(trajectory, 1, 2)
    results = [trajectory.u, trajectory.integrals, trajectory.grid, trajectory.vjp(u_bar, q_bar)]
    sweeps = trajectory.sweeps
    for sweep in (sweeps.reverse(u_bar, q_bar, False), sweeps.store.forward(sweeps.steps.advance)):
        for _, _ in zip(range(3), sweep, strict=False):
            pass
        sweep.close()
    s = trajectory.sensitivities(u_bar, q_bar)
    both = trajectory.tangent(np.eye(P.size), np.ones((trajectory.u.shape[1], P.size)))
    return [*results, s.p, s.u0, s.t0, s.tf, s.times, *both, trajectory.accumulation(u_bar, q_bar)]


FEW = ("3 slots", "2 slots on disk", "budget for some records")
CASES = [
    *((name, "of p", False, FEW) for name in ("TRBDF2", "BE")),
    *((name, "zero rows", True, FEW) for name in IMPLICIT if name != "ESDIRK4"),
    ("DOP853", "identity", True, FEW),
    ("Tsit5", "of p", False, FEW),
    ("ESDIRK4", "of p", False, tuple(MEMORIES)),
]


@pytest.mark.parametrize(("method", "kind", "dense", "names"), CASES)
def test_all_memories_give_the_same_bits_in_every_sweep(method, kind, dense, names, tmp_path):
    control = adjoint.ode.StepControl(
        max_step=0.2
    )  # Many steps: matrices are kept over several of them.
    options = {"control": control, "rtol": 1e-3, "dense": dense}
    if method in FIXED and dense:
        options["grid"] = np.linspace(0.0, 1.0, 10)
    expected = everything(
        weave(4, method, kind, memory=adjoint.checkpointing.Everything(), **options).solve(P)
    )
    np.testing.assert_array_equal(expected[3], expected[4])
    for name in names:
        trajectory = weave(
            4, method, kind, memory=MEMORIES[name](tmp_path, 3 * 4 * WIDTH), **options
        ).solve(P)
        for number, (got, wanted) in enumerate(zip(everything(trajectory), expected, strict=True)):
            np.testing.assert_array_equal(got, wanted, err_msg=f"{name}: result {number}")
    del trajectory
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["ESDIRK4", "BE"])
def test_sparse_factors_found_again_give_the_same_bits(method, tmp_path):
    results = {}
    for name in ("everything", "states", *FEW):
        memory = (
            MEMORIES[name](tmp_path, 3 * 70 * WIDTH)
            if name in MEMORIES
            else adjoint.checkpointing.Everything()
        )
        trajectory = weave(
            70, method, "of p", memory=memory, control=adjoint.ode.StepControl(max_step=0.2)
        ).solve(P)
        u_bar, q_bar = cotangents(trajectory)
        results[name] = [
            trajectory.vjp(u_bar, q_bar),
            trajectory.jvp(P),
            trajectory.vjp(u_bar, q_bar),
        ]
        for got, expected in zip(results[name], results["everything"], strict=True):
            np.testing.assert_array_equal(got, expected, err_msg=name)


def test_steps_that_take_newton_with_new_factors_at_each_iterate_are_repeated_to_the_last_bit(
    tmp_path,
):
    """Van der Pol's equation over its jump on a given grid, where steps cannot be shortened."""
    physics, results, ones = VanDerPol(stiffness=200.0), [], np.ones((1, 2))
    problem = adjoint.ODEProblem(physics, physics.initial, (0.0, 1.0))
    problem = replace(problem, method=METHODS["BE"], grid=problem.solve(physics.nominal).grid)
    for memory in (
        adjoint.checkpointing.Everything(),
        adjoint.checkpointing.States(),
        adjoint.checkpointing.Checkpoints(3),
        adjoint.checkpointing.Disk(tmp_path, 2),
    ):
        trajectory = replace(problem, memory=memory).solve(physics.nominal)
        assert trajectory.evidence.factorizations > trajectory.evidence.steps
        results.append([trajectory.vjp(ones), trajectory.jvp([1.0]), trajectory.vjp(ones)])
    for result in results:
        np.testing.assert_array_equal(
            np.concatenate(result, axis=None), np.concatenate(results[0], axis=None)
        )


BUDGETS = [
    (4, "Tsit5", "identity"),
    (4, "ESDIRK4", "zero rows"),
    (4, "CN", "zero rows"),
    (70, "ESDIRK4", "identity"),
]


@pytest.mark.parametrize("states", [2, 5])
@pytest.mark.parametrize(("n", "method", "kind"), BUDGETS)
def test_a_budget_is_kept(n, method, kind, states, tmp_path):
    for directory in (None, tmp_path):
        memory = adjoint.checkpointing.Budget(states * 3 * n * WIDTH, directory=directory)
        trajectory = weave(
            n, method, kind, memory=memory, control=adjoint.ode.StepControl(max_step=0.09)
        ).solve(P)
        assert trajectory.evidence.storage.memory <= memory.bytes
        trajectory.vjp(*cotangents(trajectory))
        assert trajectory.evidence.storage.memory <= memory.bytes
        assert (trajectory.evidence.storage.disk > 0) == (directory is not None)


@pytest.mark.parametrize("slots", [1, 3, 10])
def test_checkpoints_of_a_given_grid_repeat_as_few_steps_as_possible(slots):
    N = 100
    options = {
        "grid": np.linspace(0.0, 1.0, N + 1),
        "memory": adjoint.checkpointing.Checkpoints(slots),
    }
    trajectory = adjoint.ODEProblem(
        DECAY, np.ones(1), (0.0, 1.0), method=METHODS["Tsit5"], **options
    ).solve([1.0])
    trajectory.vjp(np.ones((1, 1)))
    assert trajectory.evidence.repeated == minimal_advances(N, slots) - (N - 1)
    assert f"{slots} of {slots} checkpoints in memory" in str(trajectory.evidence)


def test_checkpoints_of_an_unknown_number_of_steps_repeat_few_of_them():
    control = adjoint.ode.StepControl(first_step=1e-3, max_step=1e-3)
    options = {
        "control": control,
        "memory": adjoint.checkpointing.Checkpoints(20),
        "method": METHODS["Tsit5"],
    }
    trajectory = adjoint.ODEProblem(DECAY, np.ones(1), (0.0, 1.0), **options).solve([1.0])
    trajectory.vjp(np.ones((1, 1)))
    N = trajectory.evidence.steps
    assert N == 1000
    assert trajectory.evidence.repeated <= 1.35 * (minimal_advances(N, 20) - (N - 1))


def test_memory_does_not_grow_with_the_number_of_sweeps():
    trajectory = weave(
        4,
        "ESDIRK4",
        memory=adjoint.checkpointing.Checkpoints(3),
        control=adjoint.ode.StepControl(max_step=0.06),
    ).solve(P)
    u_bar, q_bar = cotangents(trajectory)
    trajectory.vjp(u_bar, q_bar)
    used = trajectory.evidence.storage.memory
    for _ in range(2):
        trajectory.vjp(u_bar, q_bar)
        trajectory.jvp(P)
    assert trajectory.evidence.storage.memory == used


@pytest.mark.parametrize(
    "memory",
    [adjoint.checkpointing.Everything(), adjoint.checkpointing.Checkpoints(3)],
    ids=["everything", "3 slots"],
)
def test_watch_sees_each_step_of_each_sweep_with_its_time(memory):
    events, options = (
        [],
        {"rtol": 1e-7, "atol": 1e-9, "control": adjoint.ode.StepControl(first_step=1.0)},
    )
    problem = weave(4, "ESDIRK4", memory=memory, callback=events.append, **options)
    trajectory = problem.solve(P)
    trajectory.vjp(*cotangents(trajectory))
    trajectory.jvp(P)
    evidence, kinds = trajectory.evidence, Counter(event.kind for event in events)
    assert kinds["forward"] == kinds["reverse"] == kinds["tangent"] == evidence.steps
    assert kinds["rejected"] == evidence.rejected > 0
    assert kinds["advance"] == evidence.repeated
    for kind in ("forward", "reverse", "tangent", "advance", "store"):
        for event in (event for event in events if event.kind == kind):
            assert event.t == trajectory.grid[event.step]
    assert [event.step for event in events if event.kind == "reverse"] == list(
        range(evidence.steps)
    )[::-1]


def test_an_exception_of_the_watch_leaves_nothing_on_disk_and_a_sweep_that_can_be_repeated(
    tmp_path,
):
    armed = []

    def watch(event):
        if armed and (event.kind, event.step) == armed[0]:
            raise KeyboardInterrupt

    problem = weave(
        4,
        "ESDIRK4",
        memory=adjoint.checkpointing.Disk(tmp_path, slots=2),
        callback=watch,
        rtol=1e-5,
    )
    trajectory = problem.solve(P)
    u_bar, q_bar = cotangents(trajectory)
    expected = trajectory.vjp(u_bar, q_bar)
    for interruption in (("reverse", 4), ("advance", 2), ("tangent", 3)):
        armed[:] = [interruption]
        with pytest.raises(KeyboardInterrupt):
            (trajectory.jvp(P), trajectory.vjp(u_bar, q_bar))
        armed.clear()
        np.testing.assert_array_equal(trajectory.vjp(u_bar, q_bar), expected)
    armed[:] = [("forward", 3)]
    with pytest.raises(KeyboardInterrupt):
        problem.solve(P)
    del trajectory
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_what_is_given_may_change_afterwards():
    u0, p, observe, u_bar = (
        start(4)(P),
        P.copy(),
        OBSERVED.copy(),
        np.random.default_rng(0).standard_normal((4, 4)),
    )
    trajectory = weave(
        4, "ESDIRK4", u0=u0, observe=observe, memory=adjoint.checkpointing.Checkpoints(2)
    ).solve(p)
    q_bar, kept = np.array([1.0, -2.0]), u_bar.copy()
    expected, u = trajectory.vjp(u_bar, q_bar), trajectory.u.copy()
    for array in (u0, p, observe):
        array[:] = 7.0
    np.testing.assert_array_equal(trajectory.vjp(u_bar, q_bar), expected)
    np.testing.assert_array_equal(trajectory.jvp(P).shape, u.shape)
    np.testing.assert_array_equal(u_bar, kept)
    np.testing.assert_array_equal(trajectory.u, u)
    np.testing.assert_array_equal(trajectory.times, OBSERVED)


@dataclass(frozen=True, eq=False)
class Reusing:
    """Physics that returns the same arrays each time: a field, an integrand, a start or a mass
    matrix.
    """

    of: object
    buffers: dict = field(default_factory=dict)

    def _kept(self, name, value):
        if isinstance(value, tuple):
            return tuple(self._kept((name, i), part) for i, part in enumerate(value))
        array = self.buffers.setdefault((name, value.dtype), value)
        if sparse.issparse(value):
            array.data[:] = value.data
        elif array is not value:
            array[...] = value
        return array

    def __call__(self, *args):
        return self._kept("value", self.of(*args))

    def jacobian(self, *args):
        return self._kept("jacobian", self.of.jacobian(*args))

    def vjp(self, *args):
        return self._kept("vjp", self.of.vjp(*args))

    def jvp(self, *args):
        return self._kept("jvp", self.of.jvp(*args))

    def time_derivative(self, *args):
        return self._kept("time", self.of.time_derivative(*args))


BOTH = [(4, name, i % 2 == 0) for i, name in enumerate(METHODS)]


@pytest.mark.parametrize(
    ("n", "method", "dense"), [*BOTH, (70, "DOP853", True), (70, "ESDIRK4", False)]
)
def test_physics_that_reuses_its_arrays_does_no_harm(n, method, dense):
    options = {"dense": dense, "u0": start(n), "integrand": Moments()}
    fresh = weave(n, method, "of p", field=Weave(n), **options).solve(P)
    reusing = {name: Reusing(options[name]) for name in ("u0", "integrand")}
    reusing |= {"field": Reusing(Weave(n)), "mass": Reusing(mass("of p", n)), "dense": dense}
    for got, expected in zip(
        everything(weave(n, method, **reusing).solve(P)), everything(fresh), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
