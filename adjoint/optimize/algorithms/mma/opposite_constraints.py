"""Pairs of opposite constraints, −w ≤ c ≤ 0 with a narrow interval, such as equalities.

The convex approximations of c ≤ 0 and of −c ≤ w lie above c and above −c − w. If the
interval is narrow, the design is almost the only point at which both approximations are
met, and steps shrink with √w. So one of the two constraints is left out of a
subproblem: the multipliers tell which constraint is active, and while this constraint
is active the other constraint is met.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....typing import Array

PARALLEL = 1e-6
"""Largest difference of two gradients, scaled to one size, that count as parallel."""


NARROW = 1e-3
"""Least width of a wide interval, relative to the change of the constraint between the
bounds."""


CROSSED = 1e-9
"""Negative width of an interval, relative as NARROW, up to which opposite constraints
contradict each other by rounding only."""


@dataclass(frozen=True)
class Interval:
    """The indices of the constraints that bound one function from above and from below."""

    above: tuple[int, ...]
    below: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """The indices of all constraints of the interval."""
        return (*self.above, *self.below)


def intervals(values: Array, slopes: Array, span: Array) -> list[Interval]:
    """The narrow intervals among linearized constraints c_i + a_i·Δx ≤ 0.

    values: c at one design, (k,); slopes: a there, (k, m); span: the distance between
    lower and upper bounds, (m,) or one number.
    """
    if len(values) < 2:
        return []
    rows = slopes * span
    sizes = np.abs(rows).sum(axis=1)
    rows, levels = (
        rows / np.where(sizes > 0.0, sizes, 1.0)[:, None],
        values / np.where(sizes > 0.0, sizes, 1.0),
    )
    found, seen = [], set(np.flatnonzero(sizes == 0.0).tolist())
    for i in range(len(values)):
        if i in seen:
            continue
        above = [
            j
            for j in range(i, len(values))
            if j not in seen and np.abs(rows[j] - rows[i]).sum() <= PARALLEL
        ]
        below = [
            j
            for j in range(i, len(values))
            if j not in seen and np.abs(rows[j] + rows[i]).sum() <= PARALLEL
        ]
        seen.update(above)
        seen.update(below)
        # c ≤ 0 and −c ≤ w: the levels add up to −w.
        if below and -CROSSED <= -(levels[above].max() + levels[below].max()) <= NARROW:
            found.append(Interval(tuple(above), tuple(below)))
    return found


def sides(found: Sequence[Interval], multipliers: Array) -> list[tuple[int, ...]]:
    """For each interval the indices of the side that is not active.

    Of the two sides, this is the side with the smaller multiplier. multipliers: (k,).
    """
    return [
        each.below
        if multipliers[list(each.above)].max() >= multipliers[list(each.below)].max()
        else each.above
        for each in found
    ]
