"""Values of f next to a design, along random directions, and slopes from these values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...bounds import Bounds
from ...checks.directions import CANDIDATES, balanced, middle_of
from ...checks.extrapolation import extrapolated
from ...reduced import Function, Point
from ...typing import Array
from ..trial import attempt

STEPS = np.array([1e-3, 5e-4])
"""Steps h and h/2, relative to the size of each variable; their extrapolated difference is
good to about 1e-9."""


SHORTER = (1.0, 1e-2, 1e-4)
"""Factors on the steps, tried in turn until f can be evaluated at all points."""


LEAST = 1e-2
"""Least size of a variable next to zero in a direction, relative to the distance of its
bounds: the derivative with respect to such a variable may be wrong too."""


FEW = 8
"""Largest number of variables at which f is sampled along a second direction: along one
direction a few errors may cancel."""


WEAKEST = 1e-2
"""Part of the largest |g_i| size_i below which no variable gets a larger weight in the
second direction."""


NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding error of f, relative to f, that differences have to tolerate."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Values of f at the points x + h v.

    The points lie at both sides of x (±h and ±h/2), or at one side (h, h/2, 2h and h) if the
    other side is outside of the bounds or f cannot be evaluated there.

    points: two evaluated points per step; None where f could not be evaluated. steps: h and
    h/2, or h alone; a negative step leads to the side behind x. known: the points of all steps
    that were tried.
    """

    points: Sequence[Point | None]
    steps: Array
    central: bool
    known: Mapping[float, Point | None]

    @classmethod
    def of(cls, f: Function, x: Array, v: Array, bounds: Bounds, lengths: Array) -> "Samples":
        """Evaluate f at two points per step length.

        If f cannot be evaluated at a point, the points lie nearer to x, or at one side of x.
        """
        return cls._of(f, x, v, bounds, lengths, {})

    def finer(self, f: Function, x: Array, v: Array, bounds: Bounds) -> "Samples":
        """The samples with both steps, h and h/2; values that are known are not computed again."""
        return self._of(f, x, v, bounds, STEPS, dict(self.known))

    @classmethod
    def _of(
        cls,
        f: Function,
        x: Array,
        v: Array,
        bounds: Bounds,
        lengths: Array,
        known: dict[float, Point | None],
    ) -> "Samples":
        both = bounds.holds(x - STEPS[0] * v)
        for shorter in SHORTER:
            steps = shorter * lengths
            for central, h in (
                ((True, steps), (False, steps), (False, -steps)) if both else ((False, steps),)
            ):
                if any(known.get(each, f) is None for each in h.tolist()):
                    continue
                # At one side the steps have a point in common: the longer is twice the shorter.
                at = np.concatenate([h, -h if central else 2.0 * h]).tolist()
                new = [each for each in dict.fromkeys(at) if each not in known]
                known |= {each: attempt(f, bounds.clip(x + each * v)) for each in new}
                found = cls([known[each] for each in at], h, central, known)
                if all(point is not None for point in found.points):
                    return found
        return found

    @property
    def values(self) -> Array:
        """f at the points, (4,) or (2,); nan where f could not be evaluated."""
        return np.array([np.nan if point is None else float(point.value) for point in self.points])

    def slope(self, values: Array, here: float) -> tuple[float, float]:
        """The derivative along v of a quantity, and a bound on its error.

        values: the quantity at the points; here: the quantity at x. The bound is the rounding
        error, plus the amount by which extrapolation changes the derivative.
        """
        k = self.steps.size
        noise = NOISE * float(np.abs(values).max()) / abs(self.steps[-1])
        if self.central:
            slopes = (values[:k] - values[k:]) / (2.0 * self.steps)
        else:
            # (4 f(x+h) − f(x+2h) − 3 f(x)) / 2h has an error of order h².
            slopes, noise = (
                (4.0 * values[:k] - values[k:] - 3.0 * here) / (2.0 * self.steps),
                10.0 * noise,
            )
        return extrapolated(slopes), noise + float(abs(slopes[-1] - slopes[0]))


def sizes(x: Array, bounds: Bounds) -> Array:
    """|x_j|, at least a hundredth of the distance of its bounds, (m,).

    A variable that is zero gets the middle of the other sizes. Without bounds |x_j| is the
    size, for nothing else is known of a variable, and units differ.
    """
    found = np.abs(x)
    found = np.where(found > 0.0, found, middle_of(found))
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    return np.where(np.isfinite(width), np.clip(found, LEAST * width, width), found)


def direction(x: Array, bounds: Bounds) -> Array:
    """±[½, 1] times the sizes, at random, pointing into the box, (m,).

    The magnitudes are random as well: along ±x the derivative of a homogeneous f is known
    whatever the single derivatives are.
    """
    return _drawn(x, bounds, np.random.default_rng(0))


def directions(x: Array, g: Array, value: float, bounds: Bounds) -> list[Array]:
    """The direction v; for few variables also a second direction, far from v.

    Along the second direction all variables have about equal shares of g·v.
    """
    v = direction(x, bounds)
    if not 1 < x.size <= FEW:
        return [v]
    rng = np.random.default_rng(1)
    candidates = [_drawn(x, bounds, rng) for _ in range(CANDIDATES)]
    return [
        v,
        balanced(sizes(x, bounds), g, v, candidates, WEAKEST, 1e3 * NOISE * abs(value) / STEPS[-1]),
    ]


def _drawn(x: Array, bounds: Bounds, rng: np.random.Generator) -> Array:
    """A random direction; a variable at a bound, or at zero, moves inwards."""
    v = sizes(x, bounds) * rng.choice([-1.0, 1.0], x.size) * rng.uniform(0.5, 1.0, x.size)
    # A density of zero has one side only, whether a bound says so or not.
    v = np.where(x == 0.0, np.abs(v), v)
    # At a bound, inwards: a difference at this side verifies the gradient as well.
    v = np.where(x + STEPS[0] * v > bounds.upper, -np.abs(v), v)
    return np.where(x + STEPS[0] * v < bounds.lower, np.abs(v), v)
