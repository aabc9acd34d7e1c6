"""Values of f next to a design."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...bounds import Bounds
from ...checks.gradient import CANDIDATES, balanced, extrapolated, middle_of
from ...reduced import Function, Point
from ...typing import Array
from ..trial import attempt

STEPS = np.array([1e-3, 5e-4])
"""Relative to the size of each variable; extrapolated, their difference is good to about 1e-9."""


SHORTER = (1.0, 1e-2, 1e-4)
"""What the steps are multiplied by, in turn, until f can be evaluated at all of the points."""


LEAST = 1e-2
"""Of the distance of its bounds, for the direction of a variable next to zero: its derivative may be wrong too."""


FEW = 8
"""Variables up to which f is sampled along a second direction: along one alone, few errors may cancel out."""


WEAKEST = 1e-2
"""Part of the largest |g_i| size_i below which no variable is weighted up in the second direction."""


NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding of f, relative to it, that differences have to put up with."""


@dataclass(frozen=True, eq=False)
class Samples:
    """f along v: at ±h and ±h/2, or of one side at h, h/2, 2h and h where the other one is out of the bounds.

    Or where f cannot be evaluated on the other one. points: two for each step, None where f could not be evaluated;
    steps: h, h/2, or h alone; negative for the side behind. known: f at all steps that were tried.
    """

    points: Sequence[Point | None]
    steps: Array
    central: bool
    known: Mapping[float, Point | None]

    @classmethod
    def of(cls, f: Function, x: Array, v: Array, bounds: Bounds, lengths: Array) -> "Samples":
        """Two evaluations for each length, nearer ones, or of one side, where f cannot be evaluated."""
        return cls._of(f, x, v, bounds, lengths, {})

    def finer(self, f: Function, x: Array, v: Array, bounds: Bounds) -> "Samples":
        """With both steps."""
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
                # Of one side, the longer step is twice the shorter one: they have a point in common.
                at = np.concatenate([h, -h if central else 2.0 * h]).tolist()
                new = [each for each in dict.fromkeys(at) if each not in known]
                known |= {each: attempt(f, bounds.clip(x + each * v)) for each in new}
                found = cls([known[each] for each in at], h, central, known)
                if all(point is not None for point in found.points):
                    return found
        return found

    @property
    def values(self) -> Array:
        """f, (4,) or (2,), nan where it could not be evaluated."""
        return np.array([np.nan if point is None else float(point.value) for point in self.points])

    def slope(self, values: Array, here: float) -> tuple[float, float]:
        """The derivative along v of what has these values at the points, and `here` at x; and how far it may be wrong.

        By rounding, and by as much as its own extrapolation changes it.
        """
        k = self.steps.size
        noise = NOISE * float(np.abs(values).max()) / abs(self.steps[-1])
        if self.central:
            slopes = (values[:k] - values[k:]) / (2.0 * self.steps)
        else:
            # 4 f(x+h) − f(x+2h) − 3 f(x) over 2h has an error of h².
            slopes, noise = (
                (4.0 * values[:k] - values[k:] - 3.0 * here) / (2.0 * self.steps),
                10.0 * noise,
            )
        return extrapolated(slopes), noise + float(abs(slopes[-1] - slopes[0]))


def sizes(x: Array, bounds: Bounds) -> Array:
    """|x_i|, a hundredth of the distance of its bounds at least; the middle of the others where x_i is zero, (m,).

    Not more where nothing is known of a variable but its value: units differ.
    """
    found = np.abs(x)
    found = np.where(found > 0.0, found, middle_of(found))
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    return np.where(np.isfinite(width), np.clip(found, LEAST * width, width), found)


def direction(x: Array, bounds: Bounds) -> Array:
    """±[½, 1] of the sizes, at random, into the box, (m,).

    Random in magnitude as well: along ±x the derivative of a homogeneous f is known, whatever the shares in it.
    """
    return _drawn(x, bounds, np.random.default_rng(0))


def directions(x: Array, g: Array, value: float, bounds: Bounds) -> list[Array]:
    """The direction; for few variables another one, far from it, in which all have about the same share of g·v."""
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
    v = sizes(x, bounds) * rng.choice([-1.0, 1.0], x.size) * rng.uniform(0.5, 1.0, x.size)
    v = np.where(
        x == 0.0, np.abs(v), v
    )  # Of a density that is zero only one side exists, stated as a bound or not.
    # At a bound, inwards: what is found out there is worth as much.
    v = np.where(x + STEPS[0] * v > bounds.upper, -np.abs(v), v)
    return np.where(x + STEPS[0] * v < bounds.lower, np.abs(v), v)
