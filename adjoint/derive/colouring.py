"""Colouring of columns: columns of the same colour share no row, and need one derivative.

Curtis, Powell & Reid (1974), J. Inst. Math. Appl. 13, 117; Gebremedhin, Manne & Pothen
(2005), SIAM Rev. 47, 629.
"""

import numpy as np
import scipy.sparse as sparse

from ..typing import Array
from .grid_colouring import lattice_colours, modular_colours

PASSES = 8
"""Number of rounds of iterated greedy colouring; they end early at the lower bound."""


WORD = 62
"""Number of colours that fit into the bits of an int64.

With more colours the first greedy colouring is kept.
"""


def colour_columns(pattern: sparse.csc_array) -> Array:
    """The colour of each column, (columns,): columns that share a row have different colours.

    The colour of an empty column is −1. pattern: canonical. The number of colours is
    the number of entries of the fullest row if the pattern is a stencil on a grid (a
    lattice colouring), or if repeated greedy colouring reaches that number. Otherwise
    the number of colours is a little larger.
    """
    entries = np.diff(pattern.indptr)
    # Two columns that have more than half of the rows share a row: each takes a colour
    # alone, and the other columns may still form a stencil.
    long = 2 * entries > pattern.shape[0]
    colours = np.full(entries.size, -1)
    colours[~long] = _colours_of_short(pattern[:, ~long] if long.any() else pattern)
    colours[long] = colours.max(initial=-1) + 1 + np.arange(np.count_nonzero(long))
    return colours


def least_colours(pattern: sparse.csc_array) -> int:
    """The number of entries of the fullest row: no colouring has fewer colours."""
    return int(np.bincount(pattern.indices, minlength=1).max())


def _colours_of_short(pattern: sparse.csc_array) -> Array:
    """A colouring of columns that have at most half of the rows."""
    bound = least_colours(pattern)
    filled = np.flatnonzero(np.diff(pattern.indptr))
    if bound == filled.size:
        colours = np.full(pattern.shape[1], -1)
        colours[filled] = np.arange(filled.size)
        return colours
    lattice = lattice_colours(pattern, bound)
    return greedy_colours(pattern, PASSES) if lattice is None else lattice


def greedy_colours(pattern: sparse.csc_array, passes: int) -> Array:
    """A colouring in the form of `colour_columns`, by first fit, improved in `passes` passes.

    The first colouring is j mod q if some q separates the columns (`modular_colours`),
    otherwise first fit. Each pass repeats first fit, with the columns of each colour
    kept together. Whatever the order of the colours, this never needs more colours:
    Culberson (1992), Iterated greedy graph coloring, Univ. of Alberta TR 92-07. The
    orders are: reversed, smallest colour first, random (seeded). Columns of the same
    colour share no row, so that one NumPy operation colours all these columns.
    """
    bound, rng = least_colours(pattern), np.random.default_rng(0)
    modular = modular_colours(pattern, bound)
    colours = _first_fit(pattern) if modular is None else modular
    for sweep in range(passes):
        count = int(colours.max(initial=-1)) + 1
        if not bound < count <= WORD:
            break
        members = np.bincount(colours[colours >= 0], minlength=count)
        order = (
            np.arange(count)[::-1],
            np.argsort(members, kind="stable"),
            rng.permutation(count),
        )[sweep % 3]
        colours = _first_fit_again(pattern, colours, order)
    return colours


def _first_fit(pattern: sparse.csc_array) -> Array:
    """A colouring by first fit: each column in turn gets the lowest colour new to its rows.

    The colours of a row are the bits of a Python integer. A column then takes a few
    operations of Python; calls of NumPy would be a hundred times slower.
    """
    taken = [0] * pattern.shape[0]
    rows, starts = pattern.indices.tolist(), pattern.indptr.tolist()
    colours = [-1] * pattern.shape[1]
    start = 0
    for j, end in enumerate(starts[1:]):
        if start == end:
            continue
        mask = 0
        mine = rows[start:end]
        for i in mine:
            mask |= taken[i]
        free = ~mask & (mask + 1)
        colours[j] = free.bit_length() - 1
        for i in mine:
            taken[i] |= free
        start = end
    return np.array(colours)


def _first_fit_again(pattern: sparse.csc_array, colours: Array, order: Array) -> Array:
    """A colouring by first fit: first all columns of colour order[0], then order[1], …

    colours: an earlier colouring, which defines these colours.
    """
    counts = np.diff(pattern.indptr)
    taken = np.zeros(pattern.shape[0], dtype=np.int64)
    renewed = np.full(colours.size, -1)
    for colour in order:
        columns = np.flatnonzero(colours == colour)
        widths = counts[columns]
        starts = np.cumsum(widths) - widths
        entries = np.arange(int(widths.sum())) + np.repeat(pattern.indptr[columns] - starts, widths)
        rows = pattern.indices[entries]
        mask = np.bitwise_or.reduceat(taken[rows], starts)
        free = ~mask & (mask + 1)
        renewed[columns] = np.frexp(free.astype(float))[1] - 1
        taken[rows] |= np.repeat(free, widths)
    return renewed
