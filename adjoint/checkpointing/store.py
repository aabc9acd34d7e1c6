"""The states of a chain of steps, for forward and reverse sweeps through the steps."""

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
"""(k, state before step k) ↦ (state after step k, record of step k or None).

Repeats step k bit for bit.
"""

Notify: TypeAlias = Callable[[str, int], None]
"""Receives ("store", k) when the state before step k is stored, and ("advance", k) when
step k is repeated."""


@dataclass(frozen=True)
class SweepEvent:
    """An event of a solve or of a sweep, for progress bars and timelines.

    Parameters
    ----------
    kind : str
        "forward": a step was taken. "rejected": a step was tried and rejected. "store":
        the state before step `step` was stored. "advance": a step was repeated for a sweep.
        "reverse", "tangent": a reverse or a forward sweep has passed a step.
    step : int
        k = 0 … N − 1, the number of the step from state k to state k + 1.
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
        The most bytes in memory so far.
    disk : int
        The most bytes on disk so far.
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

    schedule: decides which states are kept; storage: holds these states; allowed: bytes
    for states and records together, inf for all records, None to keep no record;
    executed: number of steps repeated so far.

    The caller first puts the state of each step k = 0, 1, …, then calls `finish`. After
    that the caller may sweep any number of times, within `sweeping`, and may leave a sweep
    before its end. Arrays of states are made read-only. The object remembers the states,
    the records and the bytes used. With checkpoints, each sweep changes the states held.
    """

    schedule: Schedule
    storage: Storage
    allowed: float | None
    notify: Notify
    executed: int = 0
    _steps: int = 0
    _kept: list[int] = field(default_factory=list)
    """The steps whose states are in `storage`, ascending."""
    _newest: State | None = None
    """The state before the last step, which takes no slot, until a sweep uses the state."""
    _records: Records[R] = field(default_factory=Records)
    _checkpoints: int = 0
    """The most states in `storage` so far."""
    _memory: int = 0
    _disk: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sweeper: int | None = None
    """Identity of the thread that sweeps at present."""

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Hold the store for one sweep; sweeps of other threads wait until it has ended.

        A sweep uses checkpoints up and places new checkpoints. If all states are kept,
        sweeps change nothing, and no thread waits. Raise SolveError for a sweep within a
        sweep of the same thread, begun by a function of the user that the outer sweep calls.
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
        """Store the state before step k of the first pass, and the record of step k.

        Raise MemoryTooSmall if the budget does not hold two states, StorageFailed if the
        disk does not store a state.
        """
        _freeze(state)
        self._thin(k, state_bytes(state))
        self._newest = state
        if record is not None and self.allowed is not None:
            self._records.put(k, record)
        self._account()

    def _thin(self, k: int, nbytes: int) -> None:
        """Drop the states that the schedule releases; store state k − 1 unless released."""
        released = self.schedule.released(k, nbytes)
        for j in released:
            if j != k - 1:
                self._drop(j)
        if self._newest is not None and k - 1 not in released:
            self._keep(k - 1, self._newest)

    def finish(self, steps: int) -> None:
        """End the first pass, which had `steps` steps."""
        self._steps = steps
        # The state before step 0 is never used up, even if it is the newest state.
        if self._newest is not None and (self.schedule.slots is None or steps == 1):
            self._keep(steps - 1, self._newest)
            self._newest = None
        self._account()

    def backward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """Yield (k, state before step k, record of step k or None) for k = N − 1, …, 0.

        If only checkpoints are kept and N was known, the first sweep takes the fewest
        repeated steps possible, minimal_advances(N, slots) − (N − 1). The sweep uses the
        checkpoints up; later sweeps start from the checkpoints that remain.
        """
        for k in range(self._steps - 1, -1, -1):
            yield k, self._reached(k, advance), self._records.get(k)

    def forward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """Yield (k, state before step k, record of step k or None) for k = 0, …, N − 1.

        No step is repeated twice. If the state after step k is not kept, step k is repeated
        before the pair is yielded, with the record of the repetition. Otherwise the caller
        repeats a step without a record itself.
        """
        following: State | None = None
        for k in range(self._steps):
            state = self._fetched(k) if following is None else following
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
        """Description of the states and records kept, and the most bytes used so far."""
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

    def _reached(self, k: int, advance: Advance[R]) -> State:
        """Return the state before step k, computed from the last checkpoint before it.

        New checkpoints are placed on the way, in free slots.
        """
        if self.schedule.slots is None:
            return self.storage.get(k)
        if k == self._steps - 1 and self._newest is not None:
            state, self._newest = self._newest, None
            return state
        at = self._kept[bisect_right(self._kept, k) - 1]
        state = self.storage.get(at)
        if 0 < at == k:
            self._drop(k)
        while at < k:
            free = self.schedule.slots - len(self._kept)
            ahead = at + split(k - at + 1, free + 1) if free > 0 else k
            for j in range(at, ahead):
                state, _ = self._advanced(j, state, advance)
            at = ahead
            if at < k:
                self._keep(at, state)
                self._account()
        return state

    def _advanced(self, k: int, state: State, advance: Advance[R]) -> tuple[State, R | None]:
        self.notify("advance", k)
        following, record = advance(k, state)
        self.executed += 1
        _freeze(following)
        return following, record

    def _has(self, k: int) -> bool:
        if k == self._steps - 1 and self._newest is not None:
            return True
        where = bisect_right(self._kept, k) - 1
        return where >= 0 and self._kept[where] == k

    def _fetched(self, k: int) -> State:
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

    def _account(self) -> None:
        """Drop records that do not fit; update the most bytes used."""
        states = self.storage.memory + (0 if self._newest is None else state_bytes(self._newest))
        if self.schedule.slots is not None:
            self._records.clear()
        elif self.allowed is not None:
            self._records.fit(self.allowed - states)
        self._memory = max(self._memory, states + self._records.nbytes)
        self._disk = max(self._disk, self.storage.disk)


def _freeze(state: State) -> None:
    for array in state:
        array.setflags(write=False)


class Sweeping(Protocol):
    """An object with stored states to sweep through, such as a trajectory."""

    @property
    def alone(self) -> AbstractContextManager[None]:
        """`Store.sweeping` of its store."""


S = TypeVar("S", bound=Sweeping)
P = ParamSpec("P")
T = TypeVar("T")


def sweeps_alone(sweep: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Decorate a method that sweeps through stored states: the method runs in `alone`."""

    @wraps(sweep)
    def swept(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.alone:
            return sweep(self, *args, **kwargs)

    return swept
