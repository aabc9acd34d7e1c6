"""Which states of the first pass are kept: all, or checkpoints for a known or an unknown number of steps.

Where checkpoints go: the binomial schedule in closed form.

Griewank (1992), Optim. Methods Softw. 1, 35; Griewank & Walther (2000), ACM TOMS 26, 19 (treeverse, revolve).
"""

from dataclasses import dataclass, field
from math import comb, inf
from typing import Protocol

from .shelves import require_two


def minimal_advances(length: int, slots: int) -> int:
    """t(l, s) = r l − β(s+1, r−1): the fewest steps forward that reverse l steps with s checkpoints.

    slots: s ≥ 1, with the one at the start of the segment. β(s, r) = C(s+r, s), and β(s, r−1) < l ≤ β(s, r): then no
    step is taken more than r times. The work on step k itself (its transpose, or its repetition for that) is not in
    it. Griewank & Walther (2000), proposition 1.
    """
    r = _repetitions(length, slots)
    return r * length - comb(slots + r, slots + 1)


def split(length: int, slots: int) -> int:
    """m with t(l, s) = m + t(m, s) + t(l − m, s − 1): the steps before the next checkpoint.

    length: l ≥ 1 steps to be reversed; slots: s ≥ 1, with the one at the start. For s = 1 all steps but the last.
    Of all optimal m the smallest: it mostly writes the fewest checkpoints. Griewank & Walther (2000), section 3.
    """
    if length <= 1:
        return 0
    r = _repetitions(length, slots)
    if r == 1:
        return 1
    return max(comb(slots + r - 2, slots), length - comb(slots + r - 1, slots - 1))


def _repetitions(length: int, slots: int) -> int:
    """r with β(s, r−1) < l ≤ β(s, r)."""
    r, reach = 0, 1
    while reach < length:
        r += 1
        reach = reach * (slots + r) // r
    return r


class Plan(Protocol):
    """Decides, as each step begins, which earlier state is given up. The newest state is always at hand."""

    @property
    def slots(self) -> int | None:
        """How many states may be kept besides the newest one; None: all."""

    def released(self, k: int, nbytes: int) -> list[int]:
        """The states (k − 1 among them or not) that are given up when that before step k, of nbytes, arrives."""


@dataclass(frozen=True, eq=False)
class Whole:
    """Every state is kept."""

    slots: None = None

    def released(self, k: int, nbytes: int) -> list[int]:
        """None of them."""
        return []


@dataclass(eq=False)
class Offline:
    """The optimal positions of `slots` checkpoints in a number of steps that is known beforehand.

    Griewank & Walther (2000), ACM TOMS 26, 19: for the first reverse sweep nothing cheaper exists.
    """

    steps: int
    slots: int
    _next: int = 0
    _placed: int = 0

    def released(self, k: int, nbytes: int) -> list[int]:
        """k − 1, unless a checkpoint belongs there."""
        if k == 0:
            return []
        if k - 1 != self._next:
            return [k - 1]
        self._placed += 1
        free = self.slots - self._placed
        self._next = k - 1 + split(self.steps - k + 1, free + 1) if free else -1
        return []


@dataclass(eq=False)
class Online:
    """Checkpoints for a number of steps that is not known: they are thinned out as the steps go on.

    Each has a level. A new one gets level 0 while there is room, or once a dispensable one (a later one has a higher
    level) is given up; where there is none, the newest moves on to the next step, one level higher. No step is then
    repeated more often than the best schedule for the final number of steps would do at worst.

    Wang, Moin & Iaccarino (2009), SIAM J. Sci. Comput. 31, 2549, algorithms 1 and 2.
    """

    slots: int
    _kept: list[tuple[int, float]] = field(default_factory=list)
    """Positions and levels in their order. The last one is the newest state, outside of the slots."""
    _end: int = 0
    _dispensable: int = 0
    """This many are dispensable: those right before _kept[_end], the last one that has risen."""

    def released(self, k: int, nbytes: int) -> list[int]:
        """One state, once the slots are full."""
        if len(self._kept) <= self.slots:
            self._kept.append((k, 0.0 if k else inf))
            return []
        if self._dispensable:
            self._end -= 1
            self._dispensable -= 1
            given_up, _ = self._kept.pop(self._end)
            self._kept.append((k, 0.0))
            return [given_up]
        given_up, level = self._kept.pop()
        self._end = len(self._kept)
        while self._kept[self._end - 1 - self._dispensable][1] <= level:
            self._dispensable += 1
        self._kept.append((k, level + 1.0))
        return [given_up]


@dataclass(eq=False)
class Fitting:
    """All states while they fit into `nbytes`; checkpoints, as many as fit, once they do not.

    Every state is taken to be as large as the first one. steps: None where it is not known.
    """

    nbytes: int
    steps: int | None
    _inner: Plan = field(default_factory=Whole)
    _capacity: int = 0

    @property
    def slots(self) -> int | None:
        """None while all states are kept."""
        return self._inner.slots

    def released(self, k: int, nbytes: int) -> list[int]:
        """As the plan that fits. Raises MemoryTooSmall if not even two states do."""
        if k == 0:
            self._capacity = require_two(self.nbytes, nbytes, k)
            if self.steps is not None and self.steps > self._capacity:
                self._inner = Offline(self.steps, self._capacity - 1)
        if k == self._capacity and self._inner.slots is None:
            self._inner = Online(self._capacity - 1)
            # What it would have given up until now, had it been in charge from the start.
            return [j for i in range(k + 1) for j in self._inner.released(i, nbytes)]
        return self._inner.released(k, nbytes)
