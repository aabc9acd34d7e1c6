"""The states before the steps 0, …, N − 1, for forward and reverse sweeps through the steps.

All states are stored, or only checkpoints: some states, from which the steps are
repeated to compute the other states.
"""

import threading
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from .._dataclasses import short_repr
from ..errors import SolveError
from .binomial import split
from .records import R, Records
from .schedules import Schedule
from .storage import State, Storage, state_bytes

Advance: TypeAlias = Callable[[int, State], tuple[State, R | None]]
"""Function (k, state before step k) ↦ (state after step k, record of step k or None),
which repeats step k with the same bits. A record holds data of the step that its reversal
needs, such as stages and factors."""

Notify: TypeAlias = Callable[[str, int], None]
"""Function that receives ("store", k) when the state before step k is stored, and
("advance", k) when step k is repeated."""


@dataclass(frozen=True)
class SweepEvent:
    """An event of a solve or of a sweep, for progress bars and timelines.

    Parameters
    ----------
    kind : str
        "forward": a step was taken. "rejected": a step was tried and rejected. "store":
        the state before step `step` was stored. "advance": a step was repeated for a sweep.
        "reverse": a reverse sweep has passed a step. "tangent": a forward sweep has passed
        a step.
    step : int
        k = 0, …, N − 1, the number of the step from state k to state k + 1.
    t : float
        The time before the step, in the units of the problem's times; nan for recurrences.
    """

    kind: str
    step: int
    t: float

    __repr__ = short_repr


@dataclass(frozen=True)
class Usage:
    """The memory and disk space that the states and records of a solution take.

    Parameters
    ----------
    kept : str
        Description of the states and records kept, such as "everything" or "4 of 5
        checkpoints in memory".
    memory : int
        Largest number of bytes in memory so far.
    disk : int
        Largest number of bytes on disk so far.
    """

    kept: str
    memory: int
    disk: int

    def __str__(self) -> str:
        disk = f", {self.disk} bytes on disk" if self.disk else ""
        return f"{self.kept} ({self.memory} bytes in memory{disk})"


@dataclass(eq=False)
class Store(Generic[R]):
    """States before the steps, and records of steps, for sweeps in both directions.

    schedule: decides which states are kept. storage: holds these states, in memory or on
    disk. allowed: maximum number of bytes of states and records together; inf: all records
    are kept; None: no record is kept. notify: called when a state is stored and when a step
    is repeated. executed: number of steps repeated so far.

    The caller first calls `put` for each step k = 0, 1, …, then `finish`. After that the
    caller may sweep any number of times, within `sweeping`, and may leave a sweep before
    its end. Arrays of states are made read-only. The object remembers the states, the
    records and the bytes used. If only checkpoints are kept, each reverse sweep changes
    the checkpoints.
    """

    schedule: Schedule
    storage: Storage
    allowed: float | None
    notify: Notify
    executed: int = 0
    _steps: int = 0
    _kept: list[int] = field(default_factory=list)
    """The numbers k of the states in `storage`, ascending."""
    _newest: State | None = None
    """The newest state, from the last call of `put`. This state takes no slot of the
    schedule, and the first reverse sweep starts from this state."""
    _records: Records[R] = field(default_factory=Records)
    _checkpoints: int = 0
    """Largest number of states in `storage` so far."""
    _memory: int = 0
    _disk: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sweeper: int | None = None
    """Identity of the thread whose sweep is running; None without a sweep."""

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Lock the store for one sweep; sweeps of other threads wait until this sweep ends.

        A reverse sweep removes checkpoints and places new checkpoints. If all states are
        kept, sweeps change nothing, and no thread waits.

        Raises SolveError if only checkpoints are kept and a sweep of this thread is
        running already: a function of the user, called by the running sweep, has begun
        another sweep.
        """
        if self.schedule.slots is None:
            yield
            return
        if self._sweeper == threading.get_ident():
            raise SolveError(
                "a sweep through this solution was begun within another sweep (by a `callback`, or "
                "a function of the problem). Expected one sweep after the other if only "
                "checkpoints are kept; or memory=Everything()"
            )
        with self._lock:
            self._sweeper = threading.get_ident()
            try:
                yield
            finally:
                self._sweeper = None

    def put(self, k: int, state: State, record: R | None) -> None:
        """Store the state before step k and the record of step k, during the forward pass.

        Raises MemoryTooSmall if two states do not fit into the budget, StorageFailed if a
        state cannot be written to disk.
        """
        _freeze(state)
        self._release(k, state_bytes(state))
        self._newest = state
        if record is not None and self.allowed is not None:
            self._records.put(k, record)
        self._update_usage()

    def _release(self, k: int, nbytes: int) -> None:
        """Drop the states that the schedule releases at step k.

        State k − 1 is stored, unless it is among the released states.
        """
        released = self.schedule.released(k, nbytes)
        for j in released:
            if j != k - 1:
                self._drop(j)
        if self._newest is not None and k - 1 not in released:
            self._keep(k - 1, self._newest)

    def finish(self, steps: int) -> None:
        """End the forward pass. steps: the number of steps that were taken."""
        self._steps = steps
        # Reverse sweeps remove `_newest`, but all sweeps need the state before step 0.
        if self._newest is not None and (self.schedule.slots is None or steps == 1):
            self._keep(steps - 1, self._newest)
            self._newest = None
        self._update_usage()

    def backward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """Yield (k, state before step k, record of step k or None) for k = N − 1, …, 0.

        If only checkpoints are kept and N was known in advance, the first sweep repeats the
        least possible number of steps, minimal_advances(N, slots) − (N − 1). The sweep
        removes each checkpoint that it has passed, except state 0. Later sweeps start from
        the checkpoints that remain.
        """
        for k in range(self._steps - 1, -1, -1):
            yield k, self._recomputed(k, advance), self._records.get(k)

    def forward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """Yield (k, state before step k, record of step k or None) for k = 0, …, N − 1.

        Each step is repeated at most once. If the state after step k is not kept, step
        k is repeated, and the record of the repeated step is yielded. The caller need
        not repeat this step again. If the state after step k is kept, but no record of
        step k is kept, None is yielded instead of the record.
        """
        following: State | None = None
        for k in range(self._steps):
            state = self._stored(k) if following is None else following
            record, following = self._records.get(k), None
            if k + 1 < self._steps and not self._has(k + 1):
                following, record = self._advanced(k, state, advance)
            yield k, state, record

    def close(self) -> None:
        """Remove all states and records, and all files."""
        self._kept.clear()
        self._records.clear()
        self._newest = None
        self.storage.close()

    @property
    def used(self) -> Usage:
        """Description of the states and records kept, and the largest number of bytes so far."""
        where = "on disk" if self._disk else "in memory"
        if self.schedule.slots is not None:
            kept = f"{self._checkpoints} of {self.schedule.slots} checkpoints {where}"
        elif len(self._records) and not self._records.dropped:
            kept = "everything"
        elif len(self._records):
            kept = f"states, and records of the last {len(self._records)} steps"
        elif self._disk and self.storage.memory:
            kept = "states, first in memory, then on disk"
        else:
            kept = f"states {where}"
        return Usage(kept, self._memory, self._disk)

    def _recomputed(self, k: int, advance: Advance[R]) -> State:
        """Return the state before step k, for a reverse sweep.

        If the state is not stored, it is computed from the last checkpoint before step
        k, and new checkpoints are placed in free slots on the way. If the state is
        checkpoint k > 0, this checkpoint is removed.
        """
        if self.schedule.slots is None:
            return self.storage.get(k)
        if k == self._steps - 1 and self._newest is not None:
            state, self._newest = self._newest, None
            return state
        position = self._kept[bisect_right(self._kept, k) - 1]
        state = self.storage.get(position)
        if 0 < position == k:
            self._drop(k)
        while position < k:
            free = self.schedule.slots - len(self._kept)
            target = position + split(k - position + 1, free + 1) if free > 0 else k
            for j in range(position, target):
                state, _ = self._advanced(j, state, advance)
            position = target
            if position < k:
                self._keep(position, state)
                self._update_usage()
        return state

    def _advanced(self, k: int, state: State, advance: Advance[R]) -> tuple[State, R | None]:
        """Repeat step k; return the state after step k, and the record of step k."""
        self.notify("advance", k)
        following, record = advance(k, state)
        self.executed += 1
        _freeze(following)
        return following, record

    def _has(self, k: int) -> bool:
        """True if the state before step k is stored."""
        if k == self._steps - 1 and self._newest is not None:
            return True
        index = bisect_right(self._kept, k) - 1
        return index >= 0 and self._kept[index] == k

    def _stored(self, k: int) -> State:
        """Return the stored state before step k."""
        if k == self._steps - 1 and self._newest is not None:
            return self._newest
        return self.storage.get(k)

    def _keep(self, k: int, state: State) -> None:
        self.storage.put(k, state)
        insort(self._kept, k)
        self._checkpoints = max(self._checkpoints, len(self._kept))
        self.notify("store", k)

    def _drop(self, k: int) -> None:
        del self._kept[bisect_right(self._kept, k) - 1]
        self.storage.drop(k)

    def _update_usage(self) -> None:
        """Drop the records that no longer fit; update the largest numbers of bytes used."""
        states = self.storage.memory + (0 if self._newest is None else state_bytes(self._newest))
        if self.schedule.slots is not None:
            self._records.clear()
        elif self.allowed is not None:
            self._records.fit(self.allowed - states)
        self._memory = max(self._memory, states + self._records.nbytes)
        self._disk = max(self._disk, self.storage.disk)


def _freeze(state: State) -> None:
    """Make the arrays of a state read-only."""
    for array in state:
        array.setflags(write=False)


class Sweeping(Protocol):
    """Protocol of an object with stored states to sweep through, for instance a trajectory."""

    @property
    def alone(self) -> AbstractContextManager[None]:
        """The context manager `sweeping` of this object's store.

        No other sweep may run inside this context.
        """


S = TypeVar("S", bound=Sweeping)
P = ParamSpec("P")
T = TypeVar("T")


def sweeps_alone(sweep: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Decorator of methods that sweep through stored states: they run in the context `alone`."""

    @wraps(sweep)
    def swept(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.alone:
            return sweep(self, *args, **kwargs)

    return swept
