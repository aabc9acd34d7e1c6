"""Verification of a coloured Jacobian J by one more derivative, along all columns at once.

For a random direction v, the derivative of R along v must be J v. If the two differ,
either the pattern of J lacks an entry, or the difference is rounding.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..errors import NonFinite
from ..typing import Array
from .differentiation.directional import Slice

SEARCHED_ROWS = 4
"""Maximum number of groups of suspicious rows that are searched for a missing entry, and of
rows of a group that are searched for its column."""


DISAGREEMENT = 1e-3
"""Relative difference of two derivatives above which it cannot be rounding."""


INFINITE = 1e25
"""Derivative, relative to R, above which the derivative counts as infinite.

The complex step of √x at 0 gives about 1e50.
"""


@dataclass(frozen=True, eq=False)
class Missing:
    """An entry that a pattern lacks: `row` of R depends on `column` of x.

    derivative: the value of the entry. kink: True if R has a kink at x, so that
    derivatives in opposite directions are not opposite; for example, where np.sort
    meets two equal numbers. No pattern has all entries at a kink. rows: the number of
    rows in which J v and the derivative along v differ.
    """

    row: int
    column: int
    derivative: float
    kink: bool
    rows: int


def missing_entries(J: sparse.csc_array, at: Slice, v: Array) -> list[Missing]:
    """At most one entry that the pattern of J lacks; J: ∂R/∂x by colours, v: (k,), random.

    A row is suspicious if J v and the derivative along v differ in this row. The cause
    may be rounding, if the terms of the row cancel. The test is another derivative,
    along v with the columns of the row set to zero: this derivative is zero if and only
    if the row lacks no entry.

    Raises NonFinite if a derivative is nan or infinite, ValueError if two evaluations of R
    at x differ.
    """
    found, expected = at.along(v), J @ v
    require_finite(J, found, at)
    rows, ratios = _suspicious(J, at.tolerance, v, found, expected)
    columns = np.repeat(np.arange(v.size), np.diff(J.indptr)) if rows.size else rows
    for group in _groups(at, v, found, rows):
        outside = v.copy()
        outside[columns[np.isin(J.indices, group)]] = 0.0
        beyond = at.along(outside)[group]
        for row in group[beyond != 0.0][:SEARCHED_ROWS]:
            column, derivative = _first_column(at, outside, row)
            # The derivative with respect to one column may be zero if R jumps or has a kink at
            # x: then the derivatives of single columns do not sum to the derivative along v.
            if derivative != 0.0:
                back = at.along(np.where(np.arange(v.size) == column, -v, 0.0))[row] / v[column]
                kink = not abs(back + derivative) <= DISAGREEMENT * abs(derivative)
                return [Missing(int(row), column, derivative, kink, rows.size)]
    # No entry is missing. A large difference then comes from a kink of R at x, where both
    # derivatives are valid, or from a function that is not deterministic.
    if rows.size and ratios[0] > DISAGREEMENT:
        _require_function(at, v, rows[0], found[rows[0]])
    return []


def _groups(at: Slice, v: Array, found: Array, rows: Array) -> list[Array]:
    """The suspicious rows in a few groups: smooth rows first, neighbours in different groups.

    Groups of one row follow: the smooth rows with the largest differences.

    Rows with a kink at x, whose derivatives along v and −v are not opposite, come last:
    their difference may be due to the kink, and there may be many such rows at every point.
    """
    if rows.size <= SEARCHED_ROWS:
        return [rows[i : i + 1] for i in range(rows.size)]
    kink = ~(np.abs(at.along(-v) + found)[rows] <= at.tolerance * np.abs(found[rows]))
    parts = [np.sort(rows[~kink]), np.sort(rows[kink])]
    groups = [
        part[i::SEARCHED_ROWS] for part in parts for i in range(min(SEARCHED_ROWS, part.size))
    ]
    # A group hides a missing entry if another row of the group has an entry in the same column:
    # rows may have exchanged their columns. Smooth rows alone hide nothing.
    return groups + [rows[~kink][i : i + 1] for i in range(SEARCHED_ROWS)]


def closer(
    J: sparse.csc_array, other: sparse.csc_array, along: Array, v: Array
) -> sparse.csc_array:
    """J, but rows of `other` replace rows that agree much worse with the derivative along v.

    J and other have the same pattern. along: the derivative along v, (n,).
    """
    gap = np.abs(along - J @ v)
    better = (gap > DISAGREEMENT * np.abs(along)) & (np.abs(along - other @ v) < DISAGREEMENT * gap)
    closest = J.copy()
    closest.data = np.where(better[J.indices], other.data, J.data)
    return closest


def _require_function(at: Slice, v: Array, row: int, derivative: float) -> None:
    """Raise NonFinite if a derivative is infinite, ValueError if a second evaluation differs.

    derivative: the derivative of R along v in this row, as evaluated first.
    """
    require_bounded(np.array([derivative]), at.value(at.x)[[row]], np.array([row]))
    again = float(at.along(v)[row])
    if not abs(again - derivative) <= DISAGREEMENT * abs(derivative):
        raise ValueError(
            f"the {at.what} function is not deterministic: two evaluations at the same point give "
            f"derivatives {derivative:.6g} and {again:.6g} in row {row}. Does it depend on earlier "
            "calls, or on random numbers?"
        )


def require_bounded(derivatives: Array, values: Array, rows: Array) -> None:
    """Raise NonFinite if a derivative is larger than `INFINITE` times 1 + |R|.

    derivatives: derivatives of some rows along directions of the size of x. values: the
    values of R in these rows. rows: the numbers of these rows.
    """
    infinite = rows[np.abs(derivatives) > INFINITE * (1.0 + np.abs(values))]
    if infinite.size:
        raise NonFinite(
            f"the derivative in row {infinite[0]} is infinite or overflows: a root or a power at "
            "zero?"
        )


def _suspicious(
    J: sparse.csc_array, tolerance: float, v: Array, found: Array, expected: Array
) -> tuple[Array, Array]:
    """(rows, ratios) of suspicious rows, by ratio |found − expected| / Σ_j |J_ij| |v_j|.

    The largest ratio comes first. found: the derivative of R along v, (n,). expected: J
    v, (n,).
    """
    gap = np.abs(found - expected)
    rows = np.flatnonzero(~(gap <= tolerance * np.abs(found)))
    if not rows.size:  # The usual case, without the cost of a sum over |J|.
        return rows, gap[rows]
    scale = (abs(J) @ np.abs(v))[rows]
    with np.errstate(divide="ignore"):
        ratios = gap[rows] / scale
    worst = np.argsort(-ratios, kind="stable")
    worst = worst[~(ratios[worst] <= tolerance)]
    return rows[worst], ratios[worst]


def _first_column(at: Slice, v: Array, row: int) -> tuple[int, float]:
    """(j, derivative with respect to x_j) for one j with v_j ≠ 0 on which the row depends.

    The column j is found by bisection.
    """
    columns = np.flatnonzero(v)
    while columns.size > 1:
        half = columns[: columns.size // 2]
        direction = np.zeros(v.size)
        direction[half] = v[half]
        columns = half if at.along(direction)[row] != 0.0 else columns[columns.size // 2 :]
    direction = np.zeros(v.size)
    direction[columns] = v[columns]
    return int(columns[0]), float(at.along(direction)[row] / v[columns[0]])


def require_finite(J: sparse.csc_array, found: Array, at: Slice) -> None:
    """Raise NonFinite, naming an entry, if J or the derivative along v has nan or inf."""
    bad = np.flatnonzero(~np.isfinite(J.data))
    broken = np.flatnonzero(~np.isfinite(found))
    if not bad.size and not broken.size:
        return
    row = int(J.indices[bad[0]]) if bad.size else int(broken[0])
    R = at.value(at.x)[row]
    if not np.isfinite(R):
        raise NonFinite(
            f"the {at.what} is {R} in row {row}: the point is outside of its domain, and there are "
            "no derivatives"
        )
    if not bad.size:
        raise NonFinite(
            f"a derivative in row {row} is {found[row]}, where the {at.what} is {R:.6g}"
        )
    column = int(np.searchsorted(J.indptr, bad[0], side="right")) - 1
    raise NonFinite(
        f"the derivative of row {row} by component {column} is {J.data[bad[0]]} ({bad.size} such), "
        f"where the {at.what} is {R:.6g}. Usual causes: a root, a power or a logarithm at zero, "
        "0·inf in a branch that np.where discards; with finite differences, a step that leaves the "
        "domain."
    )
