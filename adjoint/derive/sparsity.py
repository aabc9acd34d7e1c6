"""Detection of sparsity patterns: columns of x are set to nan, many columns at a time.

The search is hierarchical. A group of columns that changes some rows is divided into parts,
and the parts are tested again, until each part is one column.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._validation import first_nonfinite
from ..errors import NonFinite, SparsityError
from ..typing import Array
from .colouring import greedy_colours
from .differentiation.directional import Slice, nearby
from .differentiation.finite_differences import sizes

Probe: TypeAlias = Callable[[Array], Array]
"""A mask (k,) of columns ↦ a mask (n,) of the rows that depend on these columns."""


PARTS = 4
"""Number of parts into which a group of columns is divided.

With 4 there are few levels, and at most 4/3 k evaluations for a full matrix of k columns.
"""


NEARLY_FULL = 0.25
"""Fraction of all entries above which a pattern found by nan is checked by derivatives.

Such a pattern is too full if the function tests for nan, or uses running sums.
"""


CHECKED_GROUPS = 64
"""Number of groups of columns above which a pattern is checked by derivatives."""


MAX_ENTRIES = 10**8
"""Maximum number of entries of a pattern: more entries take more than a gigabyte."""


PASSES = 2
"""Number of rounds of iterated greedy colouring. It is small, because each colouring of
groups is used once only."""


def detect(at: Slice) -> sparse.csc_array:
    """The pattern of ∂R/∂x, (n, k), as a matrix of ones, by about 30 log₄ k evaluations.

    Arithmetic with nan gives nan, even 0·nan. Therefore x² has an entry at x = 0, where its
    derivative is zero; and a product A @ u with a dense matrix A has all entries, even if
    entries of A are zero. If the function raises an error for nan, `detect_by_derivatives`
    is used. Raises NonFinite if R(x) is not finite.
    """
    base = at.value(at.x)
    if (bad := first_nonfinite(base)) is not None:
        row, entry, _ = bad
        raise NonFinite(
            f"the {at.what} is {entry} in row {row}: the point is outside of its domain, and there "
            "are no derivatives"
        )
    if not at.x.size:
        return sparse.csc_array((base.size, 0))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _refined(
                _by_nan(at),
                base.size,
                at.x.size,
                lambda pattern, size: _require_derivatives(at, pattern, size),
            )
    except SparsityError:
        raise
    except Exception:  # The user's function may raise any error on nan.
        return detect_by_derivatives(at)


def detect_by_derivatives(at: Slice) -> sparse.csc_array:
    """The pattern of the nonzero entries of ∂R/∂x, (n, k), at x and at points near x.

    The entries are found by derivatives along random directions, in which no two entries of
    a row cancel.
    """
    points = [at, *nearby(at, sizes(at.x, 0.0))]
    return _refined(
        _by_derivatives(points), at.value(at.x).size, at.x.size, lambda pattern, size: None
    )


def _require_derivatives(at: Slice, pattern: sparse.csc_array, size: int) -> None:
    """Raise ArithmeticError if the pattern found by nan is nearly full, but ∂R/∂x is not.

    The caller, `detect`, then uses derivatives instead. pattern: the pattern of groups
    of `size` columns.
    """
    if (
        pattern.shape[1] < CHECKED_GROUPS
        or pattern.nnz < NEARLY_FULL * pattern.shape[0] * pattern.shape[1]
    ):
        return
    group = int(np.argmax(np.diff(pattern.indptr)))
    seen = _by_derivatives([at, *nearby(at, sizes(at.x, 0.0))])(
        np.arange(at.x.size) // size == group
    )
    if np.count_nonzero(seen) < 0.5 * np.diff(pattern.indptr)[group]:
        raise ArithmeticError("nan reaches more rows than derivatives do")


def _by_nan(at: Slice) -> Probe:
    """Return a probe: columns ↦ the rows of R(x) that become nan if these entries of x are nan."""

    def probe(columns: Array) -> Array:
        return np.isnan(at.value(np.where(columns, np.nan, at.x)))

    return probe


def _by_derivatives(points: Sequence[Slice]) -> Probe:
    """Return a probe: columns ↦ the rows with a nonzero derivative in a direction of these columns.

    The direction is random. The derivative is taken at each of the points.
    """
    rng = np.random.default_rng(2)
    v = rng.uniform(0.5, 1.0, points[0].x.size) * points[0].sizes

    def probe(columns: Array) -> Array:
        # A derivative that is nan counts as nonzero.
        return np.logical_or.reduce(
            [~(at.along(np.where(columns, v, 0.0)) == 0.0) for at in points]
        )

    return probe


def _refined(
    probe: Probe, rows: int, columns: int, check: Callable[[sparse.csc_array, int], None]
) -> sparse.csc_array:
    """The pattern (rows, columns), by dividing the group of all columns into ever smaller parts.

    check: called after each division, with the pattern of the groups and the number of
    columns of a group. Raises SparsityError if a pattern has more than `MAX_ENTRIES`
    entries.
    """
    size = 1
    while size < columns:
        size *= PARTS
    pattern = sparse.csc_array(probe(np.ones(columns, dtype=bool)).astype(float)[:, None])
    while size > 1 and pattern.nnz:
        pattern = _divided(probe, pattern, size, columns)
        size //= PARTS
        if pattern.nnz > MAX_ENTRIES:
            raise SparsityError(
                f"more than {pattern.nnz} entries in a derivative ({rows}, {columns}): nearly "
                "every row depends on every column. Give the pattern of the derivative if it "
                "is sparse; otherwise write the Residual by hand."
            )
        check(pattern, size)
    return sparse.csc_array(pattern) if pattern.nnz else sparse.csc_array((rows, columns))


def _divided(probe: Probe, pattern: sparse.csc_array, size: int, columns: int) -> sparse.csc_array:
    """The pattern of the parts of groups, (rows, parts); pattern: the pattern of the groups.

    Groups of the same colour have no common row, and their parts are tested together:
    if a row changes, the cause is the part of the only group that has this row.
    """
    colours = greedy_colours(pattern, PASSES)
    part = size // PARTS
    parts = np.arange(columns) // part
    # The colour of the group of each column, and the number of its part in the group.
    colour_of, number_of = colours[parts // PARTS], parts % PARTS
    entry_groups = np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr))
    entry_colours = colours[entry_groups]
    found_rows, found_parts = [], []
    for colour in range(int(colours.max()) + 1):
        entries = np.flatnonzero(entry_colours == colour)
        rows, groups = pattern.indices[entries], entry_groups[entries]
        for number in range(PARTS):
            probed = (colour_of == colour) & (number_of == number)
            if probed.any():
                hit = np.flatnonzero(probe(probed)[rows])
                found_rows.append(rows[hit])
                found_parts.append(PARTS * groups[hit] + number)
    i, j = np.concatenate(found_rows), np.concatenate(found_parts)
    finer = sparse.csc_array(
        (np.ones(i.size), (i, j)), shape=(pattern.shape[0], -(-columns // part))
    )
    finer.sort_indices()
    return finer
