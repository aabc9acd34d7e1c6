"""Which unknowns does each equation mention? Found by sending nan through the function, many columns at a time."""

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..errors import NonFinite, SparsityError
from ..typing import Array
from .colouring import greedy_colours
from .differentiation.directional import Slice, nearby
from .differentiation.finite_differences import sizes

Probe: TypeAlias = Callable[[Array], Array]
"""Which rows (n,) change if the columns of a mask (k,) do."""


CHILDREN = 4
"""Parts that a group of columns is divided into: few levels, and 4/3 n evaluations at most, for a full matrix."""


DENSE = 0.25
"""Part of all entries from which on a pattern by nan is doubted: guards against nan, and running sums, fill it."""


GROUPS = 64
"""Groups of columns from which on it is looked at."""


LARGEST = 10**8
"""Entries, more than a gigabyte, above which no pattern is made."""


PASSES = 2
"""Rounds of iterated greedy colouring of groups that are used once."""


def detect(at: Slice) -> sparse.csc_array:
    """A matrix of ones on the entries that ∂R/∂x may have, (n, k); in some 30 evaluations a level of log₄ k.

    By nan, which any arithmetic hands on: 0·nan is nan, and x² has an entry at zero, where its derivative has none.
    Functions that raise on nan: see `detect_by_derivatives`. Dense matrices within R, A @ u with A's zeros stored,
    make the pattern full. Raises NonFinite if R(x) is not finite.
    """
    base = at.value(at.x)
    if not np.isfinite(base).all():
        row = int(np.flatnonzero(~np.isfinite(base))[0])
        raise NonFinite(
            f"the {at.what} is {base[row]} in row {row}: no derivatives there, it is outside of its domain"
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
    except (
        Exception
    ):  # Whatever the function raises on nan: it is the user's, and need not expect any.
        return detect_by_derivatives(at)


def detect_by_derivatives(at: Slice) -> sparse.csc_array:
    """A pattern as from `detect`, of the entries that are not zero at x or at points near it.

    Along random directions, in which no two entries of a row cancel.
    """
    points = [at, *nearby(at, sizes(at.x, 0.0))]
    return _refined(
        _by_derivatives(points), at.value(at.x).size, at.x.size, lambda pattern, size: None
    )


def _require_derivatives(at: Slice, pattern: sparse.csc_array, size: int) -> None:
    """Raise ArithmeticError if most entries of a full pattern by nan, of groups of columns, are no derivatives."""
    if pattern.shape[1] < GROUPS or pattern.nnz < DENSE * pattern.shape[0] * pattern.shape[1]:
        return
    group = int(np.argmax(np.diff(pattern.indptr)))
    seen = _by_derivatives([at, *nearby(at, sizes(at.x, 0.0))])(
        np.arange(at.x.size) // size == group
    )
    if np.count_nonzero(seen) < 0.5 * np.diff(pattern.indptr)[group]:
        raise ArithmeticError("nan is not handed on as derivatives are")


def _by_nan(at: Slice) -> Probe:
    def probe(columns: Array) -> Array:
        return np.isnan(at.value(np.where(columns, np.nan, at.x)))

    return probe


def _by_derivatives(points: Sequence[Slice]) -> Probe:
    rng = np.random.default_rng(2)
    v = rng.uniform(0.5, 1.0, points[0].x.size) * points[0].sizes

    def probe(columns: Array) -> Array:
        # Other than zero, nan included.
        return np.logical_or.reduce(
            [~(at.along(np.where(columns, v, 0.0)) == 0.0) for at in points]
        )

    return probe


def _refined(
    probe: Probe, rows: int, columns: int, check: Callable[[sparse.csc_array, int], None]
) -> sparse.csc_array:
    """The pattern (rows, columns), from that of one group of all columns, its four parts, and so on.

    check: called with each pattern of groups, and their size. Raises SparsityError for more than `LARGEST` entries.
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
                f"more than {pattern.nnz} entries in a derivative ({rows}, {columns}): nearly every row depends on "
                "every column. If that is not so, give its pattern; if it is, write the Residual by hand."
            )
        check(pattern, size)
    return sparse.csc_array(pattern) if pattern.nnz else sparse.csc_array((rows, columns))


def _divided(probe: Probe, pattern: sparse.csc_array, size: int, columns: int) -> sparse.csc_array:
    """The pattern of the parts of groups, (rows, parts); pattern: (rows, groups) of `size` columns each.

    Groups that share no row are probed at the same time: the row then tells whose part it was.
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
