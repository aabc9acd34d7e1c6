"""Columns that share no row, in as few groups as can be found: one directional derivative serves a whole group.

Curtis, Powell & Reid (1974), J. Inst. Math. Appl. 13, 117; Gebremedhin, Manne & Pothen (2005), SIAM Rev. 47, 629.
"""

import numpy as np
import scipy.sparse as sparse

from ..typing import Array
from .grid_colouring import lattice_colours, modular_colours

PASSES = 8
"""Rounds of iterated greedy colouring, while the number of colours is above its lower bound."""


WORD = 62
"""Colours that fit into the bits of an int64: more are left as the first round found them."""


def colour_columns(pattern: sparse.csc_array) -> Array:
    """c (columns,) with c_j ≠ c_k for any two columns that share a row; −1 for an empty column.

    pattern: canonical. As few colours as the entries of the fullest row where the pattern is a stencil on a grid
    (a lattice colouring), or where greedy colouring, repeated, gets there; some more otherwise.
    """
    entries = np.diff(pattern.indptr)
    # Two columns with more than half of the rows share one: each has its own colour, and the others their stencil.
    long = 2 * entries > pattern.shape[0]
    colours = np.full(entries.size, -1)
    colours[~long] = _colours_of_short(pattern[:, ~long] if long.any() else pattern)
    colours[long] = colours.max(initial=-1) + 1 + np.arange(np.count_nonzero(long))
    return colours


def least_colours(pattern: sparse.csc_array) -> int:
    """The entries of the fullest row: no colouring has fewer colours."""
    return int(np.bincount(pattern.indices, minlength=1).max())


def _colours_of_short(pattern: sparse.csc_array) -> Array:
    bound = least_colours(pattern)
    filled = np.flatnonzero(np.diff(pattern.indptr))
    if bound == filled.size:
        colours = np.full(pattern.shape[1], -1)
        colours[filled] = np.arange(filled.size)
        return colours
    lattice = lattice_colours(pattern, bound)
    return greedy_colours(pattern, PASSES) if lattice is None else lattice


def greedy_colours(pattern: sparse.csc_array, passes: int) -> Array:
    """A colouring as in `colour_columns`: j mod q, or first fit in the order given; then first fit class by class.

    Columns of one colour taken together, in any order of the colours, never make the colours more: Culberson
    (1992), Iterated greedy graph coloring, Univ. of Alberta TR 92-07. Orders: backwards, smallest class first,
    at random (seeded). A class shares no row, so that a whole one is coloured at once.
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
    """Each column in turn takes the lowest colour that none of its rows has; a bit of an integer per colour.

    Plain integers in lists: a few operations a column, for which NumPy's calls would be a hundred times too slow.
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
    """The columns take the lowest free colour, all those of class order[0] first, then order[1], …"""
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
