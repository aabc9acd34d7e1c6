"""One-sided times t⁺ and t⁻ at possible discontinuities of f.

Steps end and begin at such times, and each step evaluates f on its own side
(docs/math/time.md, section 17).
"""

import math
import sys
from typing import NamedTuple

EPS = sys.float_info.epsilon
"""The machine epsilon, 2⁻⁵²."""


ULPS = 8.0
"""Distance between t and t⁺, in ulps of the largest time.

A function of (t − t₀)/Δ, or of t modulo a period, must take its value of that side.
"""


NEARBY = 1e-12
"""Largest distance between t and t⁺, relative to the step or to the next stop time.

Such a distance changes f by no more than rounding does.
"""


AHEAD = 1e3
"""Largest expected ratio of the step behind a discontinuity to the step before it; `NEARBY`
is relative to such a step.
"""


class Interval(NamedTuple):
    """The times of a step: from t over h to `end`.

    The stages at the start and the end evaluate f at `first` and `final`: t⁺ and end⁻
    at possible discontinuities, otherwise t and t + h. A tuple, because each sweep
    makes one per step.
    """

    t: float
    h: float
    end: float
    first: float
    final: float


def after(t: float, room: float, largest: float) -> float:
    """t⁺, just behind t.

    room: the distance over which f must not change. largest: the largest |t| of the
    integration.
    """
    return max(t + _distance(t, room, largest), math.nextafter(t, math.inf))


def before(t: float, room: float, largest: float) -> float:
    """t⁻, just before t; arguments as for `after`."""
    return min(t - _distance(t, room, largest), math.nextafter(t, -math.inf))


def _distance(t: float, room: float, largest: float) -> float:
    """The distance between t and t⁺ or t⁻."""
    return min(
        max(0.5 * ULPS * EPS * abs(t), min(ULPS * EPS * largest, NEARBY * room)), 0.25 * room
    )
