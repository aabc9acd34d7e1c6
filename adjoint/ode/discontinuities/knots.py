"""Knots: times at which f may jump. Steps end and begin there, and each sees f on its own side.

See docs/math/time.md, section 17.
"""

import math
import sys
from typing import NamedTuple

EPS = sys.float_info.epsilon


ULPS = 8.0
"""Distance from a knot, in ulps of the largest time, at which f is evaluated: a function of (t − t₀)/Δ or of t modulo
a period still takes its value of that side."""


NEARBY = 1e-12
"""The same, as a part of the step or of what is left to the next knot: it changes f by no more than rounding does."""


AHEAD = 1e3
"""Steps of the length before that a step behind a knot may be long, for the bound above."""


class Interval(NamedTuple):
    """Where a step lies: from t over h to `end`; its stages there see f at `first` = t⁺ and `final` = end⁻.

    Away from knots these are t and t + h. A tuple: one is made for every step of every sweep.
    """

    t: float
    h: float
    end: float
    first: float
    final: float


def after(t: float, room: float, largest: float) -> float:
    """t⁺: just behind a knot; room: the distance within which f must not change; largest: of all times, in size."""
    return max(t + _distance(t, room, largest), math.nextafter(t, math.inf))


def before(t: float, room: float, largest: float) -> float:
    """t⁻: just before a knot."""
    return min(t - _distance(t, room, largest), math.nextafter(t, -math.inf))


def _distance(t: float, room: float, largest: float) -> float:
    return min(
        max(0.5 * ULPS * EPS * abs(t), min(ULPS * EPS * largest, NEARBY * room)), 0.25 * room
    )
