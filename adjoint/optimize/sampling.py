"""Values of f next to a design, along one random direction, and the slopes that they tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..check import extrapolated
from ..reduced import Point
from .bounds import Box
from .evaluation import attempt
from .state import Function

STEPS = np.array([1e-3, 5e-4])
"""Relative to the size of each variable; extrapolated, their difference is good to about 1e-9."""

SHORTER = (1.0, 1e-2, 1e-4)
"""What the steps are multiplied by, in turn, until f can be evaluated at all of the points."""

LEAST = 1e-2
"""Of the distance of its bounds, for the direction of a variable next to zero: its derivative may be wrong too."""

NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding of f, relative to it, that differences have to put up with."""


def sizes(x: Array, bounds: Box) -> Array:
    """|x_i|, a hundredth of the distance of its bounds at least; the middle of the others where x_i is zero, (m,).

    Not more where nothing is known of a variable but its value: units differ.
    """
    found = np.abs(x)
    middle = float(np.median(found[found > 0.0])) if found.any() else 1.0
    found = np.where(found > 0.0, found, middle)
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    return np.where(np.isfinite(width), np.clip(found, LEAST * width, width), found)


def direction(x: Array, bounds: Box) -> Array:
    """± the sizes, with random signs, into the box, (m,)."""
    v = sizes(x, bounds) * np.random.default_rng(0).choice([-1.0, 1.0], x.size)
    # At a bound, inwards: what is found out there is worth as much.
    v = np.where(x + STEPS[0] * v > bounds.upper, -np.abs(v), v)
    return np.where(x + STEPS[0] * v < bounds.lower, np.abs(v), v)


@dataclass(frozen=True, eq=False)
class Samples:
    """f along v: at ±h and ±h/2, or of one side at h, h/2, 2h and h where the other one is out of the bounds.

    points: four, None where f could not be evaluated; steps: h, h/2.
    """

    points: Sequence[Point | None]
    steps: Array
    central: bool

    @classmethod
    def of(cls, f: Function, x: Array, v: Array, bounds: Box) -> "Samples":
        """Up to four evaluations, nearer ones where f cannot be evaluated."""
        central = bounds.holds(x - STEPS[0] * v)
        for shorter in SHORTER:
            steps = shorter * STEPS
            at = np.concatenate([steps, -steps if central else 2.0 * steps]).tolist()
            # Of one side, the longer step is twice the shorter one: they have a point in common.
            points = {h: attempt(f, bounds.clip(x + h * v)) for h in dict.fromkeys(at)}
            if all(point is not None for point in points.values()):
                break
        return cls([points[h] for h in at], steps, central)

    @property
    def values(self) -> Array:
        """f, (4,), nan where it could not be evaluated."""
        return np.array([np.nan if point is None else float(point.value) for point in self.points])

    def slope(self, values: Array, here: float) -> tuple[float, float]:
        """The derivative along v of what has these values at the points, and `here` at x; and how far it may be wrong.

        By rounding, and by as much as its own extrapolation changes it.
        """
        noise = NOISE * float(np.abs(values).max()) / self.steps[-1]
        if self.central:
            slopes = (values[:2] - values[2:]) / (2.0 * self.steps)
        else:
            # 4 f(x+h) − f(x+2h) − 3 f(x) over 2h has an error of h².
            slopes, noise = (4.0 * values[:2] - values[2:] - 3.0 * here) / (2.0 * self.steps), 10.0 * noise
        return extrapolated(slopes), noise + float(abs(slopes[1] - slopes[0]))
