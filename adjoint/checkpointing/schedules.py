"""Schedules of the first pass: which states are kept, and which are released again."""

from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from .binomial import split
from .storage import require_two_states


class Schedule(Protocol):
    """Protocol of a schedule: decides at each step which earlier states are released.

    The newest state is always kept, and does not take one of the slots.
    """

    @property
    def slots(self) -> int | None:
        """Maximum number of states kept besides the newest state; None if all states are kept."""

    def released(self, k: int, nbytes: int) -> list[int]:
        """Return the numbers of the states to release when state k arrives.

        State k is the state before step k; nbytes is its size. State k − 1 may be among
        the released states: it is then not stored at all. The method is called once for
        each k = 0, 1, … in this order.
        """


@dataclass(frozen=True, eq=False)
class AllStates:
    """The schedule that keeps every state."""

    slots: None = None

    def released(self, k: int, nbytes: int) -> list[int]:
        """Return []: no state is released."""
        return []


@dataclass(eq=False)
class OfflineSchedule:
    """A schedule with optimal positions of `slots` checkpoints, for a known number of steps.

    Griewank & Walther (2000), ACM TOMS 26, 19: no schedule is cheaper for the first
    reverse sweep. The object remembers the number of checkpoints placed so far and the
    position of the next checkpoint.
    """

    steps: int
    slots: int
    _next: int = 0
    _placed: int = 0

    def released(self, k: int, nbytes: int) -> list[int]:
        """Return [k − 1], or [] if state k − 1 is to be a checkpoint."""
        if k == 0:
            return []
        if k - 1 != self._next:
            return [k - 1]
        self._placed += 1
        free = self.slots - self._placed
        self._next = k - 1 + split(self.steps - k + 1, free + 1) if free else -1
        return []


@dataclass(eq=False)
class OnlineSchedule:
    """A schedule for an unknown number of steps: it thins out checkpoints as steps are taken.

    Each checkpoint has a level. A new checkpoint gets level 0 while a slot is free, or
    after a dispensable checkpoint was released. A checkpoint is dispensable if a later
    checkpoint has a higher level. If no checkpoint is dispensable, the newest
    checkpoint moves to the next step, and its level rises by one. Then no step is
    repeated more often than the most repeated step of the best schedule for the final
    number of steps. The object remembers the positions and levels of the checkpoints.

    Wang, Moin & Iaccarino (2009), SIAM J. Sci. Comput. 31, 2549, algorithms 1 and 2.
    """

    slots: int
    _kept: list[tuple[int, float]] = field(default_factory=list)
    """The pair (position, level) of each checkpoint, in ascending order. The last entry
    is the newest state, which needs no slot."""
    _end: int = 0
    """Index in `_kept` of the last checkpoint whose level has risen."""
    _dispensable: int = 0
    """Number of dispensable checkpoints: the entries right before `_kept[_end]`."""

    def released(self, k: int, nbytes: int) -> list[int]:
        """Return [] while a slot is free, then a list with the number of one state."""
        if len(self._kept) <= self.slots:
            self._kept.append((k, 0.0 if k else inf))
            return []
        if self._dispensable:
            self._end -= 1
            self._dispensable -= 1
            position, _ = self._kept.pop(self._end)
            self._kept.append((k, 0.0))
            return [position]
        position, level = self._kept.pop()
        self._end = len(self._kept)
        while self._kept[self._end - 1 - self._dispensable][1] <= level:
            self._dispensable += 1
        self._kept.append((k, level + 1.0))
        return [position]


@dataclass(eq=False)
class BudgetSchedule:
    """A schedule that keeps all states while they fit into `nbytes`, then checkpoints.

    The number of checkpoints is the largest number that fits into `nbytes`. Every state
    is assumed to be as large as the first state. steps: the number of steps, None if
    unknown. The object remembers the schedule that it follows at present.
    """

    nbytes: int
    steps: int | None
    _active: Schedule = field(default_factory=AllStates)
    _capacity: int = 0
    """Number of states that fit into `nbytes`."""

    @property
    def slots(self) -> int | None:
        """None while all states are kept; the number of checkpoint slots afterwards."""
        return self._active.slots

    def released(self, k: int, nbytes: int) -> list[int]:
        """Return the numbers of the states that the active schedule releases.

        Raise MemoryTooSmall if two states do not fit.
        """
        if k == 0:
            self._capacity = require_two_states(self.nbytes, nbytes, k)
            if self.steps is not None and self.steps > self._capacity:
                self._active = OfflineSchedule(self.steps, self._capacity - 1)
        if k == self._capacity and self._active.slots is None:
            self._active = OnlineSchedule(self._capacity - 1)
            # All states that the new schedule would have released since step 0.
            return [j for i in range(k + 1) for j in self._active.released(i, nbytes)]
        return self._active.released(k, nbytes)
