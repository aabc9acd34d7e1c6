"""Constraints that leave all but nothing between them: an equality stated as two opposite inequalities.

The convex approximations of c ≤ 0 and of −c ≤ w are both above what they approximate. With a narrow interval they have
next to nothing in common but the design itself, and steps go with √w. So one of the two is left out of a subproblem:
the multipliers tell which one is at work, and as long as it is, the other one has nothing to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....typing import Array

PARALLEL = 1e-6
"""Difference of two rows, scaled to the same size, up to which they are parallel."""


NARROW = 1e-3
"""Width of an interval, relative to what the constraint changes by between the bounds, from which on it is wide."""


CROSSED = 1e-9
"""The same below zero, up to which opposite constraints do not contradict each other: rounding."""


@dataclass(frozen=True)
class Interval:
    """Constraints that bound one function from above, and those that bound it from below; indices."""

    above: tuple[int, ...]
    below: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.above, *self.below)


def intervals(values: Array, slopes: Array, span: Array) -> list[Interval]:
    """The narrow intervals among linearized constraints c_i + a_i·Δx ≤ 0.

    values: c, (k,); slopes: a, (k, m); span: the distance of the bounds, (m,) or a number. By the constraints' values
    and slopes at one design, whatever they are made of and scaled by.
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
    """Of each interval the constraints that are not at work, by their multipliers."""
    return [
        each.below
        if multipliers[list(each.above)].max() >= multipliers[list(each.below)].max()
        else each.above
        for each in found
    ]
