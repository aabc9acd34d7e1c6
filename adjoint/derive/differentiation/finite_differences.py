"""Central differences, extrapolated; and points and directions for them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...typing import Array
from ..user_function import Function

STEP = 1e-3
"""The largest step, relative to the size of what is stepped: its truncation error is what is extrapolated away."""


RATIO = 4.0
"""From one step to the next: far enough apart for steep functions, exp(u/0.026), to be reached by the smallest."""


LEVELS = 3
"""Steps: the error is of sixth order, the smallest step (6e-5) costs four to five digits to rounding."""


MOST = 10
"""Steps at most, where derivatives are to be found whatever the unit of x: the last is 4e-9 of it."""


COARSE = 1e-3
"""Relative error that three steps leave only where they are too long, or at a kink."""


FINE = 1e-10
"""Relative error, times 1e-2, with which more steps end."""


FLOOR = 1e-5
"""Sizes of unknowns below this part of the largest one are rounding, or zeros by symmetry, and no scale."""


def differences(f: Callable[[Array], Array], x: Array, v: Array, most: int) -> tuple[Array, Array]:
    """d/dt f(x + t v) at t = 0, and an estimate of its error; (n,) each, nan where f is.

    v: of the size of x, so that steps of 1e-3 v are small. Of the entries of each Richardson table the one that
    changed least: Ridders (1982), Adv. Eng. Softw. 4, 75. With `LEVELS` of 3, six evaluations; two more for each
    further step, up to `most`, that components take which are found too coarsely.
    """
    best, error, row, limit = np.empty(0), np.empty(0), list[Array](), np.ones(1)
    for level in range(most):
        if level >= LEVELS:
            if level == LEVELS and np.any(error > COARSE * np.abs(best)):
                rounding = 1e2 * np.finfo(float).eps * np.abs(f(x)) / (STEP * RATIO ** (1 - LEVELS))
                # Only a change that is far smaller counts from now on: rounding is no improvement.
                limit = np.where(error > COARSE * np.abs(best) + rounding, 1e-2, 0.0)
            elif level == LEVELS:
                break
            if not np.any(limit * error > FINE * np.abs(best)):
                break
        new = [difference(f, x, v, STEP * RATIO**-level)]
        if level == 0:
            best, error = new[0], np.full(new[0].shape, np.inf)
        for j, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (RATIO ** (2 * j) - 1.0))
            change = np.maximum(np.abs(new[-1] - new[-2]), np.abs(new[-1] - previous))
            better = change < limit * error
            best, error = np.where(better, new[-1], best), np.where(better, change, error)
        row = new
    return best, error


def difference(f: Callable[[Array], Array], x: Array, v: Array, t: float) -> Array:
    """(f(x + t v) − f(x − t v)) / 2t, (n,)."""
    return (f(x + t * v) - f(x - t * v)) / (2.0 * t)


def sizes(x: Array, floor: float) -> Array:
    """How large each component is taken to be, (k,): |x_j|, at least `floor` times the largest; 1 if all are zero.

    A component that is exactly zero has no size of its own: 1e-3 of the largest; no more than 1 if floor is 0, for
    the largest is of another unit then.
    """
    size = np.abs(x)
    largest = float(size.max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return np.ones(x.shape)
    of_zeros = 1e-3 * largest if floor else min(1e-3 * largest, 1.0)
    return np.where(size > 0.0, np.maximum(size, floor * largest), of_zeros)


@dataclass(frozen=True, eq=False)
class CentralSlice:
    """x ↦ R, its derivatives by differences; floor: see `sizes`."""

    function: Callable[[Array], Array]
    x: Array
    floor: float

    what = "residual"
    """What the function is called in messages."""

    tolerance = 1e-6
    """Relative error from which on a derivative is suspicious."""

    @property
    def sizes(self) -> Array:
        """The unit in which steps along each component are taken, (k,)."""
        return sizes(self.x, self.floor)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v), (n,): six evaluations, or some more."""
        longest = float((np.abs(v) / self.sizes).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.value(self.x).shape)
        with np.errstate(all="ignore"):  # nan is looked for in what comes back.
            return differences(self.function, self.x, v / longest, MOST)[0] * longest

    def examine(self) -> None:
        """Nothing can go wrong before the first difference."""

    @property
    def finer(self) -> "list[CentralSlice]":
        """With steps of their own size for unknowns far smaller than others, should these be no rounding."""
        own = replace(self, floor=0.0)
        return [] if np.all(own.sizes >= self.sizes) else [own]

    def moved(self, x: Array) -> "CentralSlice":
        """The same at another x."""
        return replace(self, x=x)


@dataclass(frozen=True, eq=False)
class CentralDifferences:
    """Derivatives from real evaluations alone, to about ten digits."""

    function: Function

    def in_u(self, u: Array, p: Array) -> CentralSlice:
        """u ↦ R(u, p)."""
        return CentralSlice(lambda x: self.function(x, p), u, FLOOR)

    def in_p(self, u: Array, p: Array) -> CentralSlice:
        """p ↦ R(u, p): parameters have units of their own, so 1e-15 beside 1e4 is no rounding."""
        return CentralSlice(lambda x: self.function(u, x), p, 0.0)

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """Nothing to look for."""
