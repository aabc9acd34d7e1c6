"""Central differences, extrapolated; and points and directions for them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Array
from .function import Function

STEP = 1e-3
"""The largest step, relative to the size of what is stepped: its truncation error is what is extrapolated away."""

RATIO = 4.0
"""From one step to the next: far enough apart for steep functions, exp(u/0.026), to be reached by the smallest."""

LEVELS = 3
"""Steps: the error is of sixth order, the smallest step (6e-5) costs four to five digits to rounding."""

FLOOR = 1e-5
"""Sizes of unknowns below this part of the largest one are rounding, or zeros by symmetry, and no scale."""


def differences(f: Callable[[Array], Array], x: Array, v: Array) -> tuple[Array, Array]:
    """d/dt f(x + t v) at t = 0, and an estimate of its error; (n,) each, nan where f is.

    v: of the size of x, so that steps of 1e-3 v are small. Of the entries of each Richardson table the one that
    changed least: Ridders (1982), Adv. Eng. Softw. 4, 75. With `LEVELS` of 3, six evaluations.
    """
    best, error, row = np.empty(0), np.empty(0), list[Array]()
    for t in STEP * RATIO ** -np.arange(float(LEVELS)):
        new = [(f(x + t * v) - f(x - t * v)) / (2.0 * t)]
        if not row:
            best, error = new[0], np.full(new[0].shape, np.inf)
        for j, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (RATIO ** (2 * j) - 1.0))
            change = np.maximum(np.abs(new[-1] - new[-2]), np.abs(new[-1] - previous))
            better = change < error
            best, error = np.where(better, new[-1], best), np.where(better, change, error)
        row = new
    return best, error


def sizes(x: Array, floor: float) -> Array:
    """How large each component is taken to be, (k,): |x_j|, at least `floor` times the largest; 1 if all are zero.

    A component that is exactly zero has no size of its own: 1e-3 of the largest.
    """
    size = np.abs(x)
    largest = float(size.max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return np.ones(x.shape)
    return np.where(size > 0.0, np.maximum(size, floor * largest), 1e-3 * largest)


@dataclass(frozen=True, eq=False)
class CentralSlice:
    """x ↦ R, its derivatives by differences; floor: see `sizes`."""

    function: Callable[[Array], Array]
    x: Array
    floor: float

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
        """d/dt R(x + t v), (n,): six evaluations."""
        longest = float((np.abs(v) / self.sizes).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.value(self.x).shape)
        with np.errstate(all="ignore"):  # nan is looked for in what comes back.
            return differences(self.function, self.x, v / longest)[0] * longest

    def examine(self) -> None:
        """Nothing can go wrong before the first difference."""

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
