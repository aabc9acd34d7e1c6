"""Detection of sparsity patterns: nan is sent through many columns at a time."""

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
"""A mask (k,) of columns ↦ a mask (n,) of the rows that change if these columns do."""


CHILDREN = 4
"""Number of parts into which a group of columns is divided.

Four gives few levels, and 4/3 n evaluations at most for a full matrix.
"""


DENSE = 0.25
"""Share of all entries from which on a pattern by nan is checked by derivatives.

Guards against nan, and running sums, fill a pattern by nan.
"""


GROUPS = 64
"""Number of groups of columns from which on this check is made."""


LARGEST = 10**8
"""Number of entries above which no pattern is made: they take more than a gigabyte."""


PASSES = 2
"""Number of rounds of iterated greedy colouring, for groups that are used once."""


def detect(at: Slice) -> sparse.csc_array:
    """Ones on the entries that ∂R/∂x may have, (n, k), by about 30 log₄ k evaluations.

    nan passes through any arithmetic: 0·nan is nan, and so x² has an entry at zero,
    where its derivative is zero. If the function raises on nan, `detect_by_derivatives`
    is used. A product A @ u with a dense matrix A has all entries, also where A is
    zero. Raises NonFinite if R(x) is not finite.
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
    """A pattern as from `detect`, of the entries that are nonzero at x or at points near it.

    The directions are random, so that no two entries of a row cancel.
    """
    points = [at, *nearby(at, sizes(at.x, 0.0))]
    return _refined(
        _by_derivatives(points), at.value(at.x).size, at.x.size, lambda pattern, size: None
    )


def _require_derivatives(at: Slice, pattern: sparse.csc_array, size: int) -> None:
    """Raise ArithmeticError if a pattern by nan is nearly full, but ∂R/∂x is not.

    pattern: the pattern of groups of `size` columns.
    """
    if pattern.shape[1] < GROUPS or pattern.nnz < DENSE * pattern.shape[0] * pattern.shape[1]:
        return
    group = int(np.argmax(np.diff(pattern.indptr)))
    seen = _by_derivatives([at, *nearby(at, sizes(at.x, 0.0))])(
        np.arange(at.x.size) // size == group
    )
    if np.count_nonzero(seen) < 0.5 * np.diff(pattern.indptr)[group]:
        raise ArithmeticError("nan is not handed on as derivatives are")


def _by_nan(at: Slice) -> Probe:
    """Rows that become nan if columns are set to nan."""

    def probe(columns: Array) -> Array:
        return np.isnan(at.value(np.where(columns, np.nan, at.x)))

    return probe


def _by_derivatives(points: Sequence[Slice]) -> Probe:
    """Rows with a nonzero derivative along random directions, at any of the points."""
    rng = np.random.default_rng(2)
    v = rng.uniform(0.5, 1.0, points[0].x.size) * points[0].sizes

    def probe(columns: Array) -> Array:
        # Rows with a derivative other than zero; nan counts.
        return np.logical_or.reduce(
            [~(at.along(np.where(columns, v, 0.0)) == 0.0) for at in points]
        )

    return probe


def _refined(
    probe: Probe, rows: int, columns: int, check: Callable[[sparse.csc_array, int], None]
) -> sparse.csc_array:
    """The pattern (rows, columns), from one group of all columns, its parts, their parts, …

    check: called with each pattern of groups and their size. Raises SparsityError for
    more than `LARGEST` entries.
    """
    size = 1
    while size < columns:
        size *= CHILDREN
    pattern = sparse.csc_array(probe(np.ones(columns, dtype=bool)).astype(float)[:, None])
    while size > 1 and pattern.nnz:
        pattern = _divided(probe, pattern, size, columns)
        size //= CHILDREN
        if pattern.nnz > LARGEST:
            raise SparsityError(
                f"more than {pattern.nnz} entries in a derivative ({rows}, {columns}): nearly "
                "every row depends on every column. If that is not so, give its pattern; if it is, "
                "write the Residual by hand."
            )
        check(pattern, size)
    return sparse.csc_array(pattern) if pattern.nnz else sparse.csc_array((rows, columns))


def _divided(probe: Probe, pattern: sparse.csc_array, size: int, columns: int) -> sparse.csc_array:
    """The pattern of the parts of groups, (rows, parts); pattern: the pattern of the groups.

    Groups that share no row are probed together: the row shows to which group a part
    belongs.
    """
    colours = greedy_colours(pattern, PASSES)
    part = size // CHILDREN
    parts = np.arange(columns) // part
    colour_of, child_of = colours[parts // CHILDREN], parts % CHILDREN
    entry_groups = np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr))
    entry_colours = colours[entry_groups]
    found_rows, found_parts = [], []
    for colour in range(int(colours.max()) + 1):
        mine = np.flatnonzero(entry_colours == colour)
        rows, groups = pattern.indices[mine], entry_groups[mine]
        for child in range(CHILDREN):
            probed = (colour_of == colour) & (child_of == child)
            if probed.any():
                hit = np.flatnonzero(probe(probed)[rows])
                found_rows.append(rows[hit])
                found_parts.append(CHILDREN * groups[hit] + child)
    i, j = np.concatenate(found_rows), np.concatenate(found_parts)
    finer = sparse.csc_array(
        (np.ones(i.size), (i, j)), shape=(pattern.shape[0], -(-columns // part))
    )
    finer.sort_indices()
    return finer
