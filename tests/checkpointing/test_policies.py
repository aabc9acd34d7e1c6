"""Memory policies: repeated steps of each schedule, budgets, and records."""

import weakref
from contextlib import suppress
from dataclasses import dataclass
from math import comb

import numpy as np
import pytest

from adjoint.checkpointing import Budget, Checkpoints, Disk, Everything, States
from adjoint.checkpointing.binomial import minimal_advances
from adjoint.checkpointing.store import Store
from adjoint.errors import MemoryTooSmall

WIDTH = 4
SIZE = 8 * WIDTH


@dataclass(frozen=True, eq=False)
class Record:
    """The record of step k, with an object of the step and an object that ten steps share."""

    k: int
    parts: tuple


class Counter:
    """A chain whose state before step k is k. It counts how often each step is repeated."""

    def __init__(self, memory, steps, *, known, records=False, notify=lambda kind, k: None):
        self.store: Store = memory.open(steps if known else None, notify)
        self.steps, self.repeated, self.live, self.most = steps, np.zeros(steps, dtype=int), {}, 0
        state, shared = self.state(0), object()
        for k in range(steps):
            shared = shared if k % 10 else object()
            self.store.put(k, state, Record(k, ((object(), 8), (shared, 100))) if records else None)
            state = self.state(k + 1)
        del state
        self.store.finish(steps)

    def state(self, k):
        array = np.full(WIDTH, float(k))
        number, live = id(array), self.live
        live[number] = weakref.ref(array, lambda _: live.pop(number))
        self.most = max(self.most, len(self.live))
        return (array,)

    def advance(self, k, state):
        assert state[0][0] == k
        self.repeated[k] += 1
        return self.state(k + 1), None

    def backward(self):
        """How many steps one reverse sweep repeats."""
        before, seen = self.store.executed, []
        for k, state, _ in self.store.backward(self.advance):
            assert (state[0] == k).all()
            assert not state[0].flags.writeable
            seen.append(k)
            del state
        assert seen == list(range(self.steps))[::-1]
        return self.store.executed - before

    def forward(self):
        """How often a tangent sweep repeats each step."""
        before = self.repeated.copy()
        assert [(k, s[0][0]) for k, s, _ in self.store.forward(self.advance)] == [
            (k, k) for k in range(self.steps)
        ]
        return self.repeated - before


def repetitions(length, slots):
    """r with C(s+r−1, s) < l ≤ C(s+r, s)."""
    return next(r for r in range(length + 1) if comb(slots + r, slots) >= length)


PAIRS = [
    (0, 2),
    (1, 1),
    (1, 5),
    (2, 1),
    (3, 2),
    (10, 3),
    (33, 7),
    (34, 1),
    (100, 5),
    (57, 57),
    (50, 80),
    (1000, 4),
]


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
@pytest.mark.parametrize(("steps", "slots"), PAIRS)
def test_first_sweep_takes_the_fewest_repetitions_and_the_next_one_starts_over(
    steps, slots, on_disk, tmp_path
):
    memory = Disk(tmp_path, slots) if on_disk else Checkpoints(slots)
    counter = Counter(memory, steps, known=True)
    assert counter.backward() == minimal_advances(steps, slots) - max(steps - 1, 0)
    assert counter.backward() == minimal_advances(steps, slots)
    assert counter.most <= slots + 3  # The newest state, and the two of the step being repeated.


def test_many_steps_cost_what_the_closed_form_says():
    steps, slots = 20_000, 12
    counter = Counter(Checkpoints(slots), steps, known=True)
    assert counter.backward() == minimal_advances(steps, slots) - (steps - 1)
    assert counter.repeated.max() < repetitions(steps, slots) + 1
    assert counter.most <= slots + 3


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 20])
def test_checkpoints_thinned_online_repeat_no_step_more_often_than_the_best_schedule(slots):
    """Wang, Moin & Iaccarino (2009), theorem 1; all steps taken are within 1.3 of the optimum."""
    for steps in [*range(1, 90, 3), *(range(120, 1500, 231) if slots > 1 else ())]:
        counter = Counter(Checkpoints(slots), steps, known=False)
        taken = counter.backward() + steps
        assert counter.repeated.max() + 1 <= max(1, repetitions(steps, slots))
        assert taken <= 1.3 * (minimal_advances(steps, slots) + 1)
        assert counter.most <= slots + 3


@pytest.mark.parametrize("known", [True, False], ids=["steps known", "steps unknown"])
@pytest.mark.parametrize(
    "memory", [Checkpoints(4), States(), Everything(), Budget(6 * SIZE)], ids=repr
)
def test_tangent_sweeps_repeat_no_step_twice_and_destroy_nothing(memory, known):
    counter = Counter(memory, 40, known=known)
    first = counter.forward()
    assert first.max() <= 1
    np.testing.assert_array_equal(counter.forward(), first)
    plain = Counter(memory, 40, known=known)
    assert counter.backward() == plain.backward()
    assert counter.forward().max() <= 1


@pytest.mark.parametrize("known", [True, False], ids=["steps known", "steps unknown"])
@pytest.mark.parametrize(
    "memory", [Checkpoints(3), Checkpoints(1), States(), Budget(4 * SIZE)], ids=repr
)
@pytest.mark.parametrize("midway", [0, 1, 17, 29])
def test_sweeps_left_midway_leave_what_the_next_one_needs(memory, known, midway):
    counter = Counter(memory, 30, known=known)
    for taken, _ in enumerate(counter.store.backward(counter.advance)):
        if taken == midway:
            break
    with suppress(ZeroDivisionError):  # Not raised where no step is repeated.
        list(counter.store.backward(fails_at(counter, 5)))
    counter.backward()
    assert counter.forward().max() <= 1


def fails_at(counter, step):
    def advance(k, state):
        if k == step:
            raise ZeroDivisionError
        return counter.advance(k, state)

    return advance


@pytest.mark.parametrize("known", [True, False], ids=["steps known", "steps unknown"])
@pytest.mark.parametrize("states", [2, 3, 7, 12, 1000])
def test_budget_bounds_the_states_that_live(states, known):
    steps = 100
    counter = Counter(Budget(states * SIZE), steps, known=known)
    repeated = counter.backward()
    assert counter.store.used.memory <= states * SIZE
    assert counter.most <= states + 2
    if states >= steps:
        assert repeated == 0
    elif known:
        assert repeated == minimal_advances(steps, states - 1) - (steps - 1)
    else:
        assert repeated == Counter(Checkpoints(states - 1), steps, known=False).backward()


def test_budget_keeps_the_latest_records_that_fit_and_counts_shared_parts_once():
    steps, every = 40, 40 * (SIZE + 8) + 4 * 100
    whole = Counter(Budget(every), steps, known=False, records=True)
    assert whole.store.used.kept == "everything"
    assert whole.store.used.memory == every
    some = Counter(Budget(40 * SIZE + 15 * 8 + 200), steps, known=False, records=True)
    records = [record for _, _, record in some.store.backward(some.advance)]
    assert [record.k for record in records if record is not None] == list(range(25, 40))[::-1]
    assert some.store.used.kept == "states, and records of the last 15 steps"
    assert some.store.used.memory <= 40 * SIZE + 15 * 8 + 200
    assert [k for k, _, record in some.store.forward(some.advance) if record is not None] == list(
        range(25, 40)
    )
    none = Counter(Budget(10 * SIZE), steps, known=False, records=True)
    assert [r for _, _, r in none.store.backward(none.advance) if r is not None] == []
    assert none.store.used.memory <= 10 * SIZE


def test_records_are_kept_by_everything_and_by_nothing_else(tmp_path):
    for memory in (Everything(), States(), Checkpoints(3), Disk(tmp_path)):
        counter = Counter(memory, 12, known=True, records=True)
        kept = [
            record.k
            for _, _, record in counter.store.backward(counter.advance)
            if record is not None
        ]
        assert kept == (list(range(12))[::-1] if memory == Everything() else [])


def test_records_come_with_repeated_steps_in_tangent_sweeps():
    counter = Counter(Checkpoints(2), 9, known=True)

    def advance(k, state):
        return counter.advance(k, state)[0], Record(k, ())

    got = {k: record.k for k, _, record in counter.store.forward(advance) if record is not None}
    assert got
    assert all(k == of for k, of in got.items())


def test_budget_with_a_directory_keeps_all_states(tmp_path):
    counter = Counter(Budget(10 * SIZE, tmp_path), 60, known=False, records=True)
    assert counter.backward() == counter.backward() == 0
    used = counter.store.used
    assert used.memory <= 10 * SIZE
    assert used.memory + used.disk >= 60 * SIZE
    assert "first in memory, then on disk" in str(used)


def test_state_that_stands_twice_in_its_tuple_counts_once():
    array = np.zeros(WIDTH)
    store = States().open(1, lambda kind, k: None)
    store.put(0, (array, array), None)
    store.finish(1)
    assert store.used.memory == SIZE


def test_budget_of_less_than_two_states_names_the_numbers(tmp_path):
    for memory in (Budget(SIZE), Budget(SIZE, tmp_path)):
        with pytest.raises(
            MemoryTooSmall, match=f"{SIZE} bytes does not hold two states"
        ) as caught:
            Counter(memory, 3, known=False)
        assert np.isnan(caught.value.t)


def test_states_kept_are_told_as_they_are():
    seen = []
    counter = Counter(Checkpoints(3), 10, known=True, notify=lambda kind, k: seen.append((kind, k)))
    assert [k for kind, k in seen if kind == "store"] == [0, 4, 7]
    counter.backward()
    assert len([k for kind, k in seen if kind == "advance"]) == counter.store.executed == 6
