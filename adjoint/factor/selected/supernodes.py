"""Supernodes of a Cholesky factor: the symbolic part of a selected inverse.

A supernode is a set of consecutive columns of L with one common pattern below a dense
triangle. The columns of a supernode form a panel (m, w): w columns, m rows. The rows of
a panel below its triangle are rows of the panel of the parent, so that a dense block of
A⁻¹ is passed down from each parent to its children (docs/math/determinants.md, eqs.
254–256).

All maps of this file depend on the patterns of A and L only, and are computed once.

Liu (1990), The role of elimination trees in sparse factorization, SIAM J. Matrix Anal.
Appl. 11, 134. Ashcraft & Grimes (1989), The influence of relaxed supernode partitions
on the multifrontal method, ACM Trans. Math. Softw. 15, 291.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import scipy.sparse as sparse

from ...typing import Array
from ..csc import columns_of

CHUNK = 1 << 20
"""Least number of panel entries that are expanded at once."""

CHUNKS = 12
"""Number of chunks into which the panels of a large factor are divided at least."""

BATCHED_ROWS = 96
"""Largest number of rows of a leaf panel that is treated in a batch of equal panels."""

ALWAYS_MERGED = 4
"""Number of columns up to which a supernode is always merged with its only neighbour."""

MERGED = ((16, 0.5), (48, 0.15), (1 << 30, 0.05))
"""Pairs (columns, largest share of zeros) for which supernodes are merged."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Leaves of one chunk with panels of equal shape (m, w), which are treated together.

    panels: (b,) first entries of their panels in the chunk. blocks: (b,) first entries
    of their blocks Z₂₂ in the buffer of the chunk. sources: (e,) positions in the array
    (b, m, w) of results of the entries `targets` of A.
    """

    height: int
    width: int
    panels: Array
    blocks: Array
    sources: Array
    targets: Array


@dataclass(frozen=True, eq=False)
class Chunk:
    """A range of supernodes whose panels are expanded together.

    first, last: the range first ≤ s < last. columns: the range of columns. entries: the
    range of entries of L.data. mask: True for the entries of the expanded panels that
    are entries of L. buffer: number of entries of the blocks Z₂₂ of all batched leaves.
    """

    first: int
    last: int
    entries: slice
    mask: Array
    buffer: int
    batches: tuple[Batch, ...]


@dataclass(frozen=True, eq=False)
class Delivery:
    """The blocks Z₂₂ of the batched children of one supernode in one chunk.

    start, stop: range in the buffer of the chunk. sources: positions in the front of
    the parent, (stop − start,).
    """

    chunk: int
    start: int
    stop: int
    sources: Array


@dataclass(frozen=True, eq=False)
class Supernodes:
    """The supernodes of L, with P A Pᵀ = L Lᴴ, and where the entries of A lie in them.

    digest: of the pattern of L, by which it is recognized. order: P, (n,), as
    A[order][:, order]. starts: first columns, (ns + 1,). heights: m, (ns,). panels:
    first entries of the panels within their chunks, (ns,). parent: (ns,), −1 for roots.
    relative: for each supernode, the positions of its rows below the triangle among the
    rows of the parent, a slice if they are consecutive. batched: True for leaves that
    are in a batch. remaining: number of children that are not batched. deliveries: by
    parent. slots: for each supernode the range of `positions`. positions: where the
    entries of the lower triangle of P A Pᵀ lie in the panels (m, w). place: for each
    entry of A, its number among them. flipped: True for entries of A whose counterparts
    in P A Pᵀ lie above the diagonal.
    """

    digest: bytes
    order: Array
    starts: list[int]
    heights: list[int]
    panels: list[int]
    parent: list[int]
    relative: list[Array | slice]
    batched: list[bool]
    remaining: list[int]
    deliveries: dict[int, list[Delivery]]
    chunks: tuple[Chunk, ...]
    slots: list[int]
    positions: Array
    place: Array
    flipped: Array

    def matches(self, L: sparse.csc_array, order: Array) -> bool:
        """True if the maps are valid for a factor with this pattern and order."""
        return np.array_equal(self.order, order) and self.digest == _digest(L)


def _digest(L: sparse.csc_array) -> bytes:
    """Return a digest of the pattern of L. The pattern itself takes half of the memory of L."""
    digest = sha256()
    for part in (L.indptr, L.indices):
        digest.update(
            np.ascontiguousarray(part, dtype=np.int32 if L.nnz < 2**31 else np.int64).data
        )
    return digest.digest()


def supernodes_of(L: sparse.csc_array, order: Array, A: sparse.csc_array) -> Supernodes:
    """Return the supernodes of L and their maps.

    L: lower triangular with sorted columns, on a closed pattern (see `closed`). order:
    the permutation, A[order][:, order] = L Lᴴ. A: the matrix; its pattern only.

    Raises KeyError if the pattern is not closed.
    """
    n = A.shape[0]
    fundamental, rows_of = _fundamental(L)
    starts, tops = _merged(fundamental, L, rows_of)
    ends = np.append(starts[1:], n)
    widths = ends - starts
    below = rows_of.counts[tops] - (ends - fundamental[tops])
    heights = widths + below
    pointers = _running(heights)
    owner = np.repeat(np.arange(starts.size), heights)
    local = np.arange(pointers[-1]) - pointers[owner]
    # Rows of a panel: its columns, and the rows of its last part below its triangle.
    rows = np.where(
        local < widths[owner],
        starts[owner] + local,
        L.indices[
            np.minimum(
                L.indptr[fundamental[tops[owner]]]
                + (ends - fundamental[tops])[owner]
                + np.maximum(local - widths[owner], 0),
                L.indices.size - 1,
            )
        ],
    ).astype(np.int64)
    keys = owner * n + rows
    supernode = np.repeat(np.arange(starts.size), widths)

    def position(owners: Array, wanted: Array) -> Array:
        """Return the positions of rows in the panels of the given supernodes."""
        found = np.searchsorted(keys, owners * n + wanted)
        if found.size and not np.array_equal(
            keys[np.minimum(found, keys.size - 1)], owners * n + wanted
        ):
            raise KeyError("the pattern of the factor is not closed")
        return found - pointers[owners]

    parent = np.full(starts.size, -1)
    has_parent = below > 0
    parent[has_parent] = supernode[rows[pointers[:-1][has_parent] + widths[has_parent]]]
    inside = local >= widths[owner]
    relative = position(parent[owner[inside]], rows[inside])

    lower, place, flipped = _lower_entries(A, order)
    owners = supernode[lower[1]]
    positions = position(owners, lower[0]) * widths[owners] + (lower[1] - starts[owners])

    children = np.bincount(parent[parent >= 0], minlength=starts.size)
    batched = (children == 0) & (heights <= BATCHED_ROWS) & has_parent
    bounds = _chunk_bounds(heights * widths)
    chunk_of = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
    sizes = heights * widths
    running = _running(sizes)
    panels = running[:-1] - running[bounds[chunk_of]]
    masks = _masks(L, fundamental, rows_of, supernode, position, running, starts, heights)
    slots = np.searchsorted(owners, np.arange(starts.size + 1))
    offsets, buffers = _buffer_offsets(batched, below, chunk_of, parent)
    first = _running(below)
    deliveries = _deliveries(batched, below, chunk_of, parent, offsets, relative, first, heights)
    chunks = tuple(
        Chunk(
            int(bounds[c]),
            int(bounds[c + 1]),
            slice(int(L.indptr[starts[bounds[c]]]), int(L.indptr[ends[bounds[c + 1] - 1]])),
            masks[running[bounds[c]] : running[bounds[c + 1]]],
            int(buffers[c]),
            _batches(
                np.flatnonzero(batched[bounds[c] : bounds[c + 1]]) + bounds[c],
                heights,
                widths,
                panels,
                offsets,
                slots,
                positions,
            ),
        )
        for c in range(bounds.size - 1)
    )
    return Supernodes(
        _digest(L),
        order,
        [*starts.tolist(), n],
        heights.tolist(),
        panels.tolist(),
        parent.tolist(),
        _as_slices(relative, first, batched),
        batched.tolist(),
        (children - np.bincount(parent[batched], minlength=starts.size)).tolist(),
        deliveries,
        chunks,
        slots.tolist(),
        positions.astype(np.int32 if sizes.max() < 2**31 else np.int64),
        place,
        flipped,
    )


def _running(sizes: Array) -> Array:
    """Return the running sums of sizes, beginning with 0."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


@dataclass(frozen=True, eq=False)
class _Rows:
    """counts: number of entries of the first column of each fundamental supernode."""

    counts: Array


def _fundamental(L: sparse.csc_array) -> tuple[Array, _Rows]:
    """Return the first columns of the fundamental supernodes, and their numbers of rows.

    A column belongs to the supernode of the column before if its rows are the other rows of
    that column. Equal numbers of rows are not enough where entries of L have cancelled: the
    pattern {0, 1, 2, 3}, {1, 2, 4} of two columns gave a wrong inverse.
    """
    n = L.shape[0]
    counts = np.diff(L.indptr).astype(np.int64)
    joined = np.zeros(n, bool)
    joined[1:] = (parents(L)[:-1] == np.arange(1, n)) & (counts[:-1] == counts[1:] + 1)
    step = 1 << 16
    for low in range(1, n, step):  # Columns in blocks, so that temporary arrays stay small.
        columns = low + np.flatnonzero(joined[low : low + step])
        sizes = counts[columns]
        at = np.arange(sizes.sum()) + np.repeat(L.indptr[columns] - _running(sizes)[:-1], sizes)
        other = L.indices[at] != L.indices[at - np.repeat(sizes, sizes)]
        joined[np.repeat(columns, sizes)[other]] = False
    starts = np.flatnonzero(~joined)
    return starts, _Rows(counts[starts])


def parents(L: sparse.csc_array) -> Array:
    """Return the elimination tree, (n,): the first row below the diagonal of each column, or −1."""
    parent = np.full(L.shape[0], -1, dtype=np.int64)
    several = np.diff(L.indptr) > 1
    parent[several] = L.indices[L.indptr[:-1][several] + 1]
    return parent


def _merged(starts: Array, L: sparse.csc_array, rows: _Rows) -> tuple[Array, Array]:
    """Merge supernodes with their parents where this adds few zeros.

    Return the first columns of the merged supernodes, and for each the number of its
    last fundamental supernode.
    """
    n = L.shape[0]
    ends = np.append(starts[1:], n)
    parent = parents(L)[ends - 1].tolist()  # A column.
    stack: list[tuple[int, int, int, int, int]] = []  # start, end, height, last part, zeros
    for s, (start, end, height) in enumerate(
        zip(starts.tolist(), ends.tolist(), rows.counts.tolist(), strict=True)
    ):
        zeros = 0
        while stack:
            start_below, end_below, height_below, last, zeros_below = stack[-1]
            if not start <= parent[last] < end:
                break
            w = end_below - start_below
            total = w + height
            new = zeros + zeros_below + w * (total - height_below)
            columns = end - start_below
            share = new / (columns * total - columns * (columns - 1) / 2)
            small = w <= ALWAYS_MERGED and columns <= ALWAYS_MERGED
            if not (small or share <= next(z for c, z in MERGED if columns <= c)):
                break
            stack.pop()
            start, height, zeros = start_below, total, new
        stack.append((start, end, height, s, zeros))
    return (
        np.array([item[0] for item in stack], dtype=np.int64),
        np.array([item[3] for item in stack], dtype=np.int64),
    )


def _lower_entries(A: sparse.csc_array, order: Array) -> tuple[tuple[Array, Array], Array, Array]:
    """Return ((rows, columns), place, flipped) of the lower triangle of P A Pᵀ.

    The entries are sorted by columns. place: for each entry of A the number of its
    entry. flipped: True where the entry of P A Pᵀ lies above the diagonal.
    """
    n = A.shape[0]
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    i, j = rank[A.indices], rank[columns_of(A)]
    flipped = i < j
    keys = np.minimum(i, j) * n + np.maximum(i, j)
    unique, place = np.unique(keys, return_inverse=True)
    columns, rows = np.divmod(unique, n)
    return (rows, columns), place.astype(np.int32 if unique.size < 2**31 else np.int64), flipped


def _chunk_bounds(sizes: Array) -> Array:
    """Divide supernodes into ranges with about equal numbers of panel entries."""
    target = max(CHUNK, int(sizes.sum()) // CHUNKS)
    number = np.cumsum(sizes) // target
    inner = np.flatnonzero(np.diff(number)) + 1
    return np.concatenate([[0], inner, [sizes.size]])


def _masks(
    L: sparse.csc_array,
    fundamental: Array,
    rows: _Rows,
    supernode: Array,
    position: Callable[[Array, Array], Array],
    running: Array,
    starts: Array,
    heights: Array,
) -> Array:
    """Return the mask of the entries of L in all panels, stored column by column."""
    n = L.shape[0]
    mask = np.zeros(running[-1], dtype=bool)
    # Positions of the rows of each fundamental supernode in the panel that holds it.
    pointers = _running(rows.counts)
    part = np.repeat(np.arange(fundamental.size), rows.counts)
    inside = np.arange(pointers[-1]) - pointers[part]
    found = position(
        supernode[fundamental[part]],
        L.indices[L.indptr[fundamental[part]] + inside].astype(np.int64),
    )
    part_of = np.repeat(np.arange(fundamental.size), np.diff(np.append(fundamental, n)))
    step = 1 << 16
    for low in range(0, n, step):  # Columns in blocks, so that temporary arrays stay small.
        columns = np.arange(low, min(n, low + step))
        counts = np.diff(L.indptr[low : columns[-1] + 2]).astype(np.int64)
        owner = supernode[columns]
        base = running[owner] + (columns - starts[owner]) * heights[owner]
        source = pointers[part_of[columns]] + columns - fundamental[part_of[columns]]
        first = _running(counts)[:-1]
        steps = np.arange(counts.sum())
        mask[found[steps + np.repeat(source - first, counts)] + np.repeat(base, counts)] = True
    return mask


def _buffer_offsets(
    batched: Array,
    below: Array,
    chunk_of: Array,
    parent: Array,
) -> tuple[Array, Array]:
    """Return the offsets of the blocks of batched leaves in the buffers, and the buffers' sizes."""
    offsets = np.full(batched.size, -1, dtype=np.int64)
    buffers = np.zeros(int(chunk_of[-1]) + 1, dtype=np.int64)
    leaves = np.flatnonzero(batched)
    leaves = leaves[np.lexsort((leaves, parent[leaves], chunk_of[leaves]))]
    running = _running(below[leaves] ** 2)
    first = np.searchsorted(chunk_of[leaves], np.arange(buffers.size + 1))
    offsets[leaves] = running[:-1] - running[first[chunk_of[leaves]]]
    return offsets, np.diff(running[first])


def _deliveries(
    batched: Array,
    below: Array,
    chunk_of: Array,
    parent: Array,
    offsets: Array,
    relative: Array,
    first: Array,
    heights: Array,
) -> dict[int, list[Delivery]]:
    """Return, for each parent, the blocks of its batched children, by chunk."""
    leaves = np.flatnonzero(batched)
    leaves = leaves[np.lexsort((leaves, chunk_of[leaves], parent[leaves]))]
    deliveries: dict[int, list[Delivery]] = {}
    if not leaves.size:
        return deliveries
    group = np.flatnonzero(
        np.diff(parent[leaves], prepend=-1) | np.diff(chunk_of[leaves], prepend=-1)
    )
    for members in np.split(leaves, group[1:]):
        of = int(parent[members[0]])
        m = int(heights[of])
        parts = []
        for leaf in members.tolist():
            rel = relative[first[leaf] : first[leaf + 1]]
            parts.append((rel[:, None] * m + rel).ravel())
        sources = np.concatenate(parts).astype(np.int32 if m * m < 2**31 else np.int64)
        start = int(offsets[members[0]])
        deliveries.setdefault(of, []).append(
            Delivery(int(chunk_of[members[0]]), start, start + sources.size, sources)
        )
    return deliveries


def _batches(
    leaves: Array,
    heights: Array,
    widths: Array,
    panels: Array,
    offsets: Array,
    slots: Array,
    positions: Array,
) -> tuple[Batch, ...]:
    """Return the batches of leaves of equal shape."""
    order = np.lexsort((widths[leaves], heights[leaves]))
    leaves = leaves[order]
    shape = heights[leaves] * (BATCHED_ROWS + 1) + widths[leaves]
    batches = []
    for members in np.split(leaves, np.flatnonzero(np.diff(shape)) + 1):
        if not members.size:
            continue
        m, w = int(heights[members[0]]), int(widths[members[0]])
        counts = slots[members + 1] - slots[members]
        number = np.repeat(np.arange(members.size), counts)
        targets = np.arange(counts.sum()) + np.repeat(
            slots[members] - _running(counts)[:-1], counts
        )
        sources = number * (m * w) + positions[targets]
        batches.append(Batch(m, w, panels[members], offsets[members], sources, targets))
    return tuple(batches)


def _as_slices(relative: Array, first: Array, batched: Array) -> list[Array | slice]:
    """Return the positions of each supernode in its parent; a slice where they are consecutive."""
    found: list[Array | slice] = []
    for s, leaf in enumerate(batched.tolist()):
        rel = relative[first[s] : first[s + 1]]
        if leaf or not rel.size:
            found.append(slice(0, 0))
        elif rel[-1] - rel[0] == rel.size - 1:
            found.append(slice(int(rel[0]), int(rel[-1]) + 1))
        else:
            found.append(rel.copy())
    return found
