"""One-sided times t⁺ and t⁻ at possible discontinuities of f.

Steps end and begin at discontinuities. The step before a discontinuity at t evaluates f at
t⁻ instead of t, and the step after t evaluates f at t⁺ (docs/math/time.md, section 17).
"""

import math
import sys
from typing import NamedTuple

EPS = sys.float_info.epsilon
"""The machine epsilon, 2⁻⁵²."""


ULPS = 8.0
"""Distance between t and t⁺, in ulps of the largest time.

The distance is so large that rounding in (t − t₀)/Δ, or in t modulo a period, does not move
t⁺ to the other side of the discontinuity.
"""


NEARBY = 1e-12
"""Largest distance between t and t⁺, relative to the step or to the time until the next stop
time. Such a distance changes f as little as rounding does."""


AHEAD = 1e3
"""Largest expected ratio of the step after a discontinuity to the step before it. `NEARBY` is
relative to such a step."""


class Interval(NamedTuple):
    """The times of a step: start t, length h and `end`.

    The stage at the start evaluates f at the time `first`: t⁺ at a possible
    discontinuity, otherwise t. The stage at the end evaluates f at `final`: end⁻ at a
    possible discontinuity, otherwise t + h. The class is a tuple, because each sweep
    makes an object per step.
    """

    t: float
    h: float
    end: float
    first: float
    final: float


def after(t: float, room: float, largest: float) -> float:
    """t⁺, just after t.

    room: the time after t in which f has no other discontinuity. largest: the largest |t|
    of the integration.
    """
    return max(t + _distance(t, room, largest), math.nextafter(t, math.inf))


def before(t: float, room: float, largest: float) -> float:
    """t⁻, just before t.

    room: the time before t in which f has no other discontinuity. largest: the largest
    |t| of the integration.
    """
    return min(t - _distance(t, room, largest), math.nextafter(t, -math.inf))


def _distance(t: float, room: float, largest: float) -> float:
    """The distance between t and t⁺ or t⁻."""
    return min(
        max(0.5 * ULPS * EPS * abs(t), min(ULPS * EPS * largest, NEARBY * room)), 0.25 * room
    )
