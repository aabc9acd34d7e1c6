"""One more directional derivative, along all columns at once: does the Jacobian by colours agree?"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..errors import NonFinite
from ..typing import Array
from .differentiation.directional import Slice

LOOKED_INTO = 4
"""Groups of suspicious rows, of smooth ones and of others, of which it is found out whether the pattern lacks entries;
and rows of a group for which a column is looked for."""


LOST = 1e-3
"""Relative disagreement that no rounding explains."""


INFINITE = 1e25
"""Times R, a derivative that is none: the complex step of √x at 0 is some 1e50."""


@dataclass(frozen=True, eq=False)
class Missing:
    """An entry that a pattern lacks: R's row changes with the column.

    kink: differently to its two sides: at ties of np.sort, no pattern ever has all. rows: how many disagree.
    """

    row: int
    column: int
    derivative: float
    kink: bool
    rows: int


def missing_entries(J: sparse.csc_array, at: Slice, v: Array) -> list[Missing]:
    """An entry that J's pattern lacks, if there is any; J: ∂R/∂x by colours, v: a random direction, (k,).

    Rows in which J v and the derivative along v differ are suspicious, no more: rounding looks the same where terms
    cancel. The derivative along v with the row's own columns left out decides, for it is zero if and only if none
    is missing. Raises NonFinite for nan and infinite derivatives, ValueError for a function of more than x.
    """
    found, expected = at.along(v), J @ v
    require_finite(J, found, at)
    rows, ratios = _suspicious(J, at.tolerance, v, found, expected)
    columns = np.repeat(np.arange(v.size), np.diff(J.indptr)) if rows.size else rows
    for group in _groups(at, v, found, rows):
        outside = v.copy()
        outside[columns[np.isin(J.indices, group)]] = 0.0
        beyond = at.along(outside)[group]
        for row in group[beyond != 0.0][:LOOKED_INTO]:
            column, derivative = _first_column(at, outside, row)
            if (
                derivative != 0.0
            ):  # It is where R jumps or has a kink at x, and its derivatives do not add up.
                back = at.along(np.where(np.arange(v.size) == column, -v, 0.0))[row] / v[column]
                kink = not abs(back + derivative) <= LOST * abs(derivative)
                return [Missing(int(row), column, derivative, kink, rows.size)]
    if (
        rows.size and ratios[0] > LOST
    ):  # Also where v crosses a kink at x: either side's derivative is as good.
        _require_function(at, v, rows[0], found[rows[0]])
    return []


def _groups(at: Slice, v: Array, found: Array, rows: Array) -> list[Array]:
    """Suspicious rows in few groups, neighbours apart: smooth ones first, which no kink at x makes suspicious.

    Rows at a kink, whose derivatives along v and −v are not opposite, may be many, and the same at every point.
    """
    if rows.size <= LOOKED_INTO:
        return [rows[i : i + 1] for i in range(rows.size)]
    kink = ~(np.abs(at.along(-v) + found)[rows] <= at.tolerance * np.abs(found[rows]))
    parts = [np.sort(rows[~kink]), np.sort(rows[kink])]
    return [part[i::LOOKED_INTO] for part in parts for i in range(min(LOOKED_INTO, part.size))]


def closer(
    J: sparse.csc_array, other: sparse.csc_array, along: Array, v: Array
) -> sparse.csc_array:
    """J with the rows of another on its pattern, where that one fits the derivative along v, and J does not."""
    gap = np.abs(along - J @ v)
    better = (gap > LOST * np.abs(along)) & (np.abs(along - other @ v) < LOST * gap)
    closest = J.copy()
    closest.data = np.where(better[J.indices], other.data, J.data)
    return closest


def _require_function(at: Slice, v: Array, row: int, derivative: float) -> None:
    """Raise if a derivative that does not fit is infinite, or another one when asked for again."""
    require_bounded(np.array([derivative]), at.value(at.x)[[row]], np.array([row]))
    again = float(at.along(v)[row])
    if not abs(again - derivative) <= LOST * abs(derivative):
        raise ValueError(
            f"the {at.what} function is none: asked again, the derivative in row {row} is {again:.6g}, not "
            f"{derivative:.6g}. Does it depend on earlier calls, or on random numbers?"
        )


def require_bounded(derivatives: Array, values: Array, rows: Array) -> None:
    """Raise NonFinite for derivatives, along directions of the size of x, that are far too large for R's values."""
    infinite = rows[np.abs(derivatives) > INFINITE * (1.0 + np.abs(values))]
    if infinite.size:
        raise NonFinite(
            f"the derivative in row {infinite[0]} is infinite, or as good as: a root or a power at zero?"
        )


def _suspicious(
    J: sparse.csc_array, tolerance: float, v: Array, found: Array, expected: Array
) -> tuple[Array, Array]:
    """The rows that disagree, the worst first, and |found − expected| / Σ_j |J_ij| |v_j|."""
    gap = np.abs(found - expected)
    rows = np.flatnonzero(~(gap <= tolerance * np.abs(found)))
    if not rows.size:  # The usual case: no sum over |J|.
        return rows, gap[rows]
    scale = (abs(J) @ np.abs(v))[rows]
    with np.errstate(divide="ignore"):
        ratios = gap[rows] / scale
    worst = np.argsort(-ratios, kind="stable")
    worst = worst[~(ratios[worst] <= tolerance)]
    return rows[worst], ratios[worst]


def _first_column(at: Slice, v: Array, row: int) -> tuple[int, float]:
    """The first column, of those where v ≠ 0, that a row depends on, and the derivative there; by bisection."""
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
            f"the {at.what} is {R} in row {row}: no derivatives there, it is outside of its domain"
        )
    if not bad.size:
        raise NonFinite(
            f"a derivative in row {row} is {found[row]}, where the {at.what} is {R:.6g}"
        )
    column = int(np.searchsorted(J.indptr, bad[0], side="right")) - 1
    raise NonFinite(
        f"the derivative of row {row} by component {column} is {J.data[bad[0]]} ({bad.size} such), where the {at.what} "
        f"is {R:.6g}. Usual causes: a root, a power or a logarithm at zero, 0·inf in a branch that np.where discards; "
        "with finite differences, a step that leaves the domain."
    )
