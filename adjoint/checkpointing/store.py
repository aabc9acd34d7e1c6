"""The states of a chain of steps, for sweeps through them in both directions.

Records of steps, as many of the latest as fit into some bytes.
"""

import threading
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from ..errors import SolveError
from .schedules import Plan, split
from .shelves import Shelf, State, state_bytes


class Record(Protocol):
    """What a step leaves for its own reversal: stages, factors."""

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """Objects that it holds, each with its bytes; several records may hold the same object."""


R = TypeVar("R", bound=Record)


@dataclass(eq=False)
class Records(Generic[R]):
    """Records by step; an object that several of them hold counts once."""

    nbytes: int = 0
    dropped: int = 0
    """How many had to go."""
    _records: dict[int, R] = field(default_factory=dict)
    _order: deque[tuple[int, list[tuple[int, int]]]] = field(default_factory=deque)
    """The steps, oldest first, each with the identities and bytes of its parts."""
    _holders: dict[int, int] = field(default_factory=dict)
    """How many records hold the object of this identity: it lives as long as one does."""

    def __len__(self) -> int:
        return len(self._records)

    def get(self, k: int) -> R | None:
        """The record of step k, or None."""
        return self._records.get(k)

    def put(self, k: int, record: R) -> None:
        """Keep the record of step k."""
        parts = [(id(part), size) for part, size in record.parts]
        self._records[k] = record
        self._order.append((k, parts))
        for part, size in parts:
            holders = self._holders.get(part, 0)
            self._holders[part] = holders + 1
            self.nbytes += 0 if holders else size

    def fit(self, nbytes: float) -> None:
        """Drop the oldest records until the rest takes no more than nbytes."""
        while self._order and self.nbytes > nbytes:
            k, parts = self._order.popleft()
            del self._records[k]
            self.dropped += 1
            for part, size in parts:
                self._release(part, size)

    def clear(self) -> None:
        """Drop all of them."""
        self.fit(-1)

    def _release(self, part: int, size: int) -> None:
        self._holders[part] -= 1
        if not self._holders[part]:
            del self._holders[part]
            self.nbytes -= size


Advance: TypeAlias = Callable[[int, State], tuple[State, R | None]]
"""(k, state before step k) ↦ (state after it, record of it or None): repeats the step bit for bit."""


Notify: TypeAlias = Callable[[str, int], None]
"""Told ("store", k) when the state before step k is kept, ("advance", k) when step k is repeated."""


class Sweeping(Protocol):
    """What is swept through: a trajectory, the solution of a recurrence."""

    @property
    def alone(self) -> AbstractContextManager[None]:
        """`Store.sweeping` of its store."""


S = TypeVar("S", bound=Sweeping)


P = ParamSpec("P")


T = TypeVar("T")


def sweeps_alone(sweep: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method that sweeps through stored states, one at a time where sweeps change what is stored."""

    @wraps(sweep)
    def swept(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.alone:
            return sweep(self, *args, **kwargs)

    return swept


@dataclass(frozen=True)
class Usage:
    """What a store keeps, in words, and the most bytes that it took in memory and on disk."""

    kept: str
    memory: int
    disk: int

    def __str__(self) -> str:
        disk = f", {self.disk} bytes on disk" if self.disk else ""
        return f"{self.kept} ({self.memory} bytes in memory{disk})"


@dataclass(eq=False)
class Store(Generic[R]):
    """States before the steps, and records of steps, as a plan and a shelf have it.

    plan: which states to keep; shelf: where; allowed: the bytes for states and records together, None where no
    records are kept, inf for all of them. The caller puts the steps k = 0, 1, … as it takes them and then says how
    many there were; after that it may sweep as often as it likes, within `sweeping`, and leave a sweep midway.
    Arrays of states are made read-only.
    """

    plan: Plan
    shelf: Shelf
    allowed: float | None
    notify: Notify
    executed: int = 0
    """Steps repeated so far."""
    _steps: int = 0
    _kept: list[int] = field(default_factory=list)
    """The steps whose states are on the shelf, ascending."""
    _newest: State | None = None
    """The state before the last step, outside of the slots, until it is used."""
    _records: Records[R] = field(default_factory=Records)
    _checkpoints: int = 0
    _memory: int = 0
    _disk: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sweeper: int | None = None
    """The thread that sweeps."""

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Around a sweep: others wait until it has ended, for it uses checkpoints up, and places new ones.

        Where all states are kept sweeps change nothing, and nobody waits. Raises SolveError for a sweep within a sweep,
        from a function of the user's that the outer one calls.
        """
        if self.plan.slots is None:
            yield
            return
        if self._sweeper == threading.get_ident():
            raise SolveError(
                "a sweep through this solution was begun within another one (by a `callback`, or a function of the "
                "problem). Expected one after the other where only checkpoints are kept; or memory=Everything()"
            )
        with self._lock:
            self._sweeper = threading.get_ident()
            try:
                yield
            finally:
                self._sweeper = None

    def put(self, k: int, state: State, record: R | None) -> None:
        """Take the state before step k of the first pass, and the record of step k.

        Raises MemoryTooSmall for a budget that does not hold two states, StorageFailed for a disk that does not take
        one.
        """
        _freeze(state)
        self._thin(k, state_bytes(state))
        self._newest = state
        if record is not None and self.allowed is not None:
            self._records.put(k, record)
        self._account()

    def _thin(self, k: int, nbytes: int) -> None:
        """Shelve the state before step k − 1, unless the plan gives it up, and drop those that it does."""
        released = self.plan.released(k, nbytes)
        for j in released:
            if j != k - 1:
                self._drop(j)
        if self._newest is not None and k - 1 not in released:
            self._shelve(k - 1, self._newest)

    def finish(self, steps: int) -> None:
        """End the first pass, of so many steps."""
        self._steps = steps
        # The state before step 0 is never used up, even where it is the newest one.
        if self._newest is not None and (self.plan.slots is None or steps == 1):
            self._shelve(steps - 1, self._newest)
            self._newest = None
        self._account()

    def backward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """(k, state before step k, record of step k if kept) for k = N − 1, …, 0.

        Where only checkpoints are kept, the first sweep after a first pass with N known takes the fewest repetitions
        possible, minimal_advances(N, slots) − (N − 1). It uses the checkpoints up: later ones start from what is left.
        """
        for k in range(self._steps - 1, -1, -1):
            yield k, self._reached(k, advance), self._records.get(k)

    def forward(self, advance: Advance[R]) -> Iterator[tuple[int, State, R | None]]:
        """(k, state before step k, record of step k if at hand) for k = 0, …, N − 1.

        No step is repeated more than once: where the next state is not kept, step k is repeated before it is
        handed out, with the record that this gives. Otherwise the caller repeats what it needs.
        """
        following: State | None = None
        for k in range(self._steps):
            state = self._fetched(k) if following is None else following
            record, following = self._records.get(k), None
            if k + 1 < self._steps and not self._has(k + 1):
                following, record = self._advanced(k, state, advance)
            yield k, state, record

    def close(self) -> None:
        """Give everything up: memory, and files."""
        self._kept.clear()
        self._records.clear()
        self._newest = None
        self.shelf.close()

    @property
    def used(self) -> Usage:
        """What is kept, and the most bytes that it took so far."""
        where = "on disk" if self._disk else "in memory"
        if self.plan.slots is not None:
            kept = f"{self._checkpoints} of {self.plan.slots} checkpoints {where}"
        elif len(self._records) and not self._records.dropped:
            kept = "everything"
        elif len(self._records):
            kept = f"states, and records of the last {len(self._records)} steps"
        elif self._disk and self.shelf.memory:
            kept = "states, first in memory, then on disk"
        else:
            kept = f"states {where}"
        return Usage(kept, self._memory, self._disk)

    def _reached(self, k: int, advance: Advance[R]) -> State:
        """The state before step k, from the last checkpoint before it; new ones are placed on the way there."""
        if self.plan.slots is None:
            return self.shelf.get(k)
        if k == self._steps - 1 and self._newest is not None:
            state, self._newest = self._newest, None
            return state
        at = self._kept[bisect_right(self._kept, k) - 1]
        state = self.shelf.get(at)
        if 0 < at == k:
            self._drop(k)
        while at < k:
            free = self.plan.slots - len(self._kept)
            ahead = at + split(k - at + 1, free + 1) if free > 0 else k
            for j in range(at, ahead):
                state, _ = self._advanced(j, state, advance)
            at = ahead
            if at < k:
                self._shelve(at, state)
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
        return (
            self._newest if k == self._steps - 1 and self._newest is not None else self.shelf.get(k)
        )

    def _shelve(self, k: int, state: State) -> None:
        self.shelf.put(k, state)
        insort(self._kept, k)
        self._checkpoints = max(self._checkpoints, len(self._kept))
        self.notify("store", k)

    def _drop(self, k: int) -> None:
        del self._kept[bisect_right(self._kept, k) - 1]
        self.shelf.drop(k)

    def _account(self) -> None:
        """Let records go for which there is no room; note the most bytes that were used."""
        states = self.shelf.memory + (0 if self._newest is None else state_bytes(self._newest))
        if self.plan.slots is not None:
            self._records.clear()
        elif self.allowed is not None:
            self._records.fit(self.allowed - states)
        self._memory = max(self._memory, states + self._records.nbytes)
        self._disk = max(self._disk, self.shelf.disk)


def _freeze(state: State) -> None:
    for array in state:
        array.setflags(write=False)
