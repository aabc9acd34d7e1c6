"""Perfect colourings of stencils on grids: (x + a y + b z) mod q.

A stencil of q points that tiles the grid by a lattice needs q colours: the 5-point star
needs five colours, (x + 2y) mod 5; the 7-point star needs seven colours. The grid is
found from the distances between the columns of a row. Goldfarb & Toint (1984), Optimal
estimation of Jacobian and Hessian matrices that arise in finite difference
calculations, Math. Comp. 43, 69.
"""

from itertools import product

import numpy as np
import scipy.sparse as sparse

from ..typing import Array

SAMPLE = 2048
"""Number of rows in which a lattice is searched; the lattice is verified on all rows."""


DISTANCES = 160
"""Number of different distances between columns of a row, above which there is no stencil."""


FREQUENT = 16
"""Number of distances that are tried as strides.

On a grid the distances to the neighbours along its axes are the most frequent.
"""


FEW = 64
"""Number of rows of the sample, and of distances, on which a lattice is tried first.

Most lattices fail there.
"""


FULLEST = 40
"""Number of entries of a row above which no lattice is searched.

Pairs of columns, and multipliers, grow like the square of this number.
"""


SPARE = 1
"""Number of colours above the lower bound that a lattice may use.

If a lattice needs more colours, greedy colouring is tried.
"""


LOOSE = 3
"""Limit of the colours of a modular colouring, relative to the lower bound.

Iterated greedy colouring then reduces their number.
"""


Strides = tuple[int, ...]


def lattice_colours(pattern: sparse.csc_array, bound: int) -> Array | None:
    """A colouring as in `colour_columns` with ≤ bound + 1 colours; None if no lattice fits.

    Column numbers are read as coordinates (j mod s₁, ⌊j/s₁⌋ mod s₂/s₁, …), with strides
    s found among the distances between columns that share a row. The result is verified
    on every row.
    """
    if not 1 < bound <= FULLEST:
        return None
    rows = sparse.csr_array(pattern)
    sample = np.linspace(0, rows.shape[0] - 1, SAMPLE).astype(int)
    left, right = _neighbours(sparse.csr_array(rows[np.unique(sample)]), bound)
    distances, counts = np.unique(right - left, return_counts=True)
    if distances.size > DISTANCES:
        return None
    few = _neighbours(sparse.csr_array(rows[np.unique(sample[:: SAMPLE // FEW])]), bound)
    tried = [(strides, _gaps(*few, strides)) for strides in _strides(distances, counts)]
    for q, (strides, gaps) in product(range(bound, bound + SPARE + 1), tried):
        if _multipliers(gaps, q) is None:
            continue
        multipliers = _multipliers(_gaps(left, right, strides), q)
        if multipliers is None:
            continue
        colours = _coordinates(np.arange(pattern.shape[1]), strides) @ multipliers % q
        if _separates(rows, colours, bound):
            return np.where(np.diff(pattern.indptr) > 0, colours, -1)
    return None


def modular_colours(pattern: sparse.csc_array, bound: int) -> Array | None:
    """The colours j mod q for the least q ≤ `LOOSE` · bound that separates the columns.

    Returns None if no such q exists. No distance between columns that share a row may
    be a multiple of q. The search takes a few passes over the entries, while first fit
    in plain Python takes seconds per million columns.
    """
    if not bound <= FULLEST:
        return None
    rows = sparse.csr_array(pattern)
    seen = np.zeros(pattern.shape[1], dtype=bool)
    for lag in range(1, bound):
        first, second = _apart(rows, lag)
        seen[rows.indices[second] - rows.indices[first]] = True
    distances = np.flatnonzero(seen)
    for q in range(bound, LOOSE * bound + 1):
        if np.all(distances % q):
            return np.where(np.diff(pattern.indptr) > 0, np.arange(pattern.shape[1]) % q, -1)
    return None


def _neighbours(rows: sparse.csr_array, bound: int) -> tuple[Array, Array]:
    """All pairs of columns (left, right), left < right, that share a row."""
    pairs = [_apart(rows, lag) for lag in range(1, bound)]
    left = np.concatenate([rows.indices[first] for first, _ in pairs])
    right = np.concatenate([rows.indices[second] for _, second in pairs])
    return left, right


def _apart(rows: sparse.csr_array, lag: int) -> tuple[Array, Array]:
    """Pairs of entries of a row that are `lag` places apart: (first, second)."""
    ends = np.repeat(rows.indptr[1:], np.diff(rows.indptr))
    first = np.flatnonzero(np.arange(rows.nnz) + lag < ends)
    return first, first + lag


def _strides(distances: Array, counts: Array) -> list[Strides]:
    """Candidates for the strides: none, one stride, two strides (the second a multiple).

    Strides that are frequent distances come first.
    """
    order = np.lexsort((distances, -counts))
    longer = [int(d) for d in distances[order] if d > 1][:FREQUENT]
    pairs = [(s, t) for s, t in product(longer, longer) if t > s and t % s == 0]
    return [(), *((s,) for s in longer), *pairs]


def _gaps(left: Array, right: Array, strides: Strides) -> Array:
    """The distinct differences between the coordinates of columns: one row per difference."""
    return _distinct(_coordinates(right, strides) - _coordinates(left, strides))


def _coordinates(columns: Array, strides: Strides) -> Array:
    """Digits of column numbers in the mixed base of the strides, (…, 1 + number of strides)."""
    digits, rest, unit = [], columns, 1
    for stride in strides:
        rest, digit = np.divmod(rest, stride // unit)
        digits.append(digit)
        unit = stride
    return np.stack([*digits, rest], axis=-1)


def _distinct(gaps: Array) -> Array:
    """The distinct rows of gaps.

    Each row is turned into one number: numbers are sorted many times faster than rows.
    """
    if not gaps.size:
        return gaps
    lowest, extent = gaps.min(axis=0), np.ptp(gaps, axis=0) + 1
    weights = np.append(np.cumprod(extent[:0:-1])[::-1], 1)
    return gaps[np.unique((gaps - lowest) @ weights, return_index=True)[1]]


def _multipliers(gaps: Array, q: int) -> Array | None:
    """(1, a, b) with (1, a, b)·g ≢ 0 mod q for every gap g; None if no a, b exist."""
    choices = np.array([(1, *rest) for rest in product(range(q), repeat=gaps.shape[1] - 1)])
    for start in range(0, len(gaps), FEW):  # Most choices fail at once.
        choices = choices[np.all(gaps[start : start + FEW] @ choices.T % q != 0, axis=0)]
    return choices[0] if len(choices) else None


def _separates(rows: sparse.csr_array, colours: Array, bound: int) -> bool:
    """True if no two columns of a row have the same colour."""
    of_entry = colours[rows.indices]
    return not any(
        np.any(of_entry[a] == of_entry[b])
        for a, b in (_apart(rows, lag) for lag in range(1, bound))
    )
