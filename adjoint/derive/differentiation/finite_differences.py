"""Central differences with Richardson extrapolation, and the sizes of their steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...typing import Array
from ..user_function import Function

STEP = 1e-3
"""The longest step, relative to the size of x. Extrapolation removes its truncation error."""


RATIO = 4.0
"""Ratio of successive steps.

The ratio is so large that the shortest step resolves steep functions, such as exp(u/0.026).
"""


LEVELS = 3
"""Number of steps in the usual case.

The error of the result is of sixth order. With the shortest step (6e-5), rounding costs
four to five digits.
"""


MOST = 10
"""Maximum number of steps, for x in any unit. The last step is 4e-9 times the size of x."""


COARSE = 1e-3
"""Relative error after three steps above which the steps are too long, or f has a kink."""


FINE = 1e-10
"""Relative error, times 1e-2, below which no more steps are added."""


FLOOR = 1e-5
"""Size of an unknown, relative to the largest one, below which the unknown is rounding error.

Such an unknown, often zero by symmetry, does not determine the length of a step.
"""


def differences(f: Callable[[Array], Array], x: Array, v: Array, most: int) -> tuple[Array, Array]:
    """(d/dt f(x + t v) at t = 0, estimate of its error), (n,) each; nan where f is nan.

    v: a direction of the size of x, so that a step of 1e-3 v is small. The result is,
    for each component, the entry of the Richardson table that changed least: Ridders
    (1982), Adv. Eng. Softw. 4, 75. Three steps take six evaluations. If the error of a
    component is still large, more steps follow, with two evaluations each; most: the
    maximum number of steps.
    """
    best, error, row, limit = np.empty(0), np.empty(0), list[Array](), np.ones(1)
    for level in range(most):
        if level >= LEVELS:
            if level == LEVELS and np.any(error > COARSE * np.abs(best)):
                rounding = 1e2 * np.finfo(float).eps * np.abs(f(x)) / (STEP * RATIO ** (1 - LEVELS))
                # After the third step, an entry must change 100 times less than the best entry
                # to replace it: smaller improvements are rounding.
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
    """(f(x + t v) − f(x − t v)) / (2t), (n,)."""
    return (f(x + t * v) - f(x - t * v)) / (2.0 * t)


def sizes(x: Array, floor: float) -> Array:
    """Size of each component, (k,): |x_j|, but at least `floor` · max |x_j|; ones if x = 0.

    The size of a component that is exactly zero is set to 1e-3 times the largest size.
    If floor is 0, this size is at most 1, because the largest component may have
    another unit.
    """
    size = np.abs(x)
    largest = float(size.max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return np.ones(x.shape)
    of_zeros = 1e-3 * largest if floor else min(1e-3 * largest, 1.0)
    return np.where(size > 0.0, np.maximum(size, floor * largest), of_zeros)


@dataclass(frozen=True, eq=False)
class CentralSlice:
    """The function x ↦ R, where x is u or p, with differences at x; floor: see `sizes`."""

    function: Callable[[Array], Array]
    x: Array
    floor: float

    what = "residual"
    """The name of the function in messages."""

    tolerance = 1e-6
    """Relative error above which a derivative is suspicious."""

    @property
    def sizes(self) -> Array:
        """The unit of the steps along each component, (k,)."""
        return sizes(self.x, self.floor)

    def value(self, x: Array) -> Array:
        """R at x, (n,)."""
        return self.function(x)

    def along(self, v: Array) -> Array:
        """d/dt R(x + t v) at t = 0, (n,), by six evaluations or a few more."""
        longest = float((np.abs(v) / self.sizes).max(initial=0.0))
        if longest == 0.0:
            return np.zeros(self.value(self.x).shape)
        with np.errstate(all="ignore"):  # Callers check the result for nan.
            return differences(self.function, self.x, v / longest, MOST)[0] * longest

    def examine(self) -> None:
        """No test is needed: differences use real evaluations alone."""

    @property
    def finer(self) -> "list[CentralSlice]":
        """[The same function with shorter steps for small unknowns]; [] if x has no small unknowns.

        Small unknowns may be rounding errors, or quantities in another unit.
        """
        own = replace(self, floor=0.0)
        return [] if np.all(own.sizes >= self.sizes) else [own]

    def moved(self, x: Array) -> "CentralSlice":
        """The same function with its derivatives at another point x."""
        return replace(self, x=x)


@dataclass(frozen=True, eq=False)
class CentralDifferences:
    """The rule that takes directional derivatives by central differences, to about ten digits.

    All evaluations are real.
    """

    function: Function

    def in_u(self, u: Array, p: Array) -> CentralSlice:
        """The function u ↦ R(u, p) with its derivatives at u, for a fixed p."""
        return CentralSlice(lambda x: self.function(x, p), u, FLOOR)

    def in_p(self, u: Array, p: Array) -> CentralSlice:
        """The function p ↦ R(u, p) with its derivatives at p, for a fixed u.

        Small parameters are not taken for rounding errors: parameters have different
        units, so that 1e-15 next to 1e4 may be intended.
        """
        return CentralSlice(lambda x: self.function(u, x), p, 0.0)

    def examine(self, u: Array, p: Array, terms: Array) -> None:
        """No test is needed: differences use real evaluations alone."""
