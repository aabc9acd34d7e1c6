"""Closed patterns of general matrices, and the places of the entries of L and U on them.

For a matrix M = A[p][:, q] that is factored without further pivoting, elimination on the
symmetric pattern of M + Mᵀ gives a pattern that contains those of L and Uᵀ, whatever the
numbers (docs/math/determinants.md, eq. 274). Factors that a package exports lack the entries
that cancelled; on the closed pattern these are zeros.

All maps of this file depend on patterns and permutations only.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ...errors import SelectedInverseTooLarge
from ...typing import Array
from ..csc import columns_of
from .supernodes import Supernodes, parents, supernodes_of
from .symbolic import closed


@dataclass(eq=False)
class ClosedPattern:
    """A closed pattern for the pivots (p, q) of A, with the maps of a selected inverse.

    An object has a memory: `places` holds where the entries of the last factors lie.

    p, q: pivots, (n,): M = A[p][:, q]. matching: the order of
    the rows before the pivots were chosen, (n,).
    pattern: (n, n) the wanted entries of A⁻¹, transposed: entry (i, j) stands for (A⁻¹)_ji.
    gather: for each entry of M's pattern the entry of `pattern`. keys: the closed pattern, as
    column · n + row. entries, transposed, diagonal: where the entries of A, those of Aᵀ and the
    diagonal lie in `pattern`. pivots: where (p_j, q_j) lies.
    """

    p: Array
    q: Array
    matching: Array
    pattern: sparse.csc_array
    gather: Array
    keys: Array
    known: Supernodes
    entries: Array
    transposed: Array
    diagonal: Array
    pivots: Array
    places: tuple[bytes, Array, Array] | None = field(default=None, init=False)

    def spread(self, L: sparse.csc_array, U: sparse.csc_array, at: Array) -> tuple[Array, Array]:
        """Return the entries of L and Uᵀ on the closed pattern.

        at: (n,) the number in the closed pattern of each pivot of L U. Raises KeyError if the
        pattern does not contain an entry.
        """
        digest = hashlib.blake2b(at.tobytes())
        for part in (L.indptr, L.indices, U.indptr, U.indices):
            digest.update(part.tobytes())
        found, places = digest.digest(), self.places
        if places is None or places[0] != found:
            lower = self._place(at[L.indices], at[columns_of(L)])
            upper = self._place(at[columns_of(U)], at[U.indices])
            self.places = places = (found, lower, upper)
        _, lower, upper = places
        both = np.zeros((2, self.keys.size), L.dtype)
        both[0, lower] = L.data
        both[1, upper] = U.data
        return both[0], both[1]

    def _place(self, rows: Array, columns: Array) -> Array:
        wanted = columns.astype(np.int64) * self.p.size + rows
        place = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        if not np.array_equal(self.keys[place], wanted):
            raise KeyError("an entry of the factors lies outside of the closed pattern")
        return place.astype(np.int32 if self.keys.size < 2**31 else np.int64)


def closed_pattern(
    A: sparse.csc_array, p: Array, q: Array, matching: Array, most: float, name: str
) -> tuple[ClosedPattern, Array]:
    """Return the closed pattern for the pivots (p, q), and the number of each pivot in it.

    The pivots of the closed pattern are in a postorder of the elimination tree.

    Raises SelectedInverseTooLarge if the pattern has more than `most` entries.
    """
    n = A.shape[0]
    identity = np.arange(n)
    rows = np.concatenate([A.indices, columns_of(A), identity, p])
    columns = np.concatenate([columns_of(A), A.indices, identity, q])
    pattern = sparse.csc_array((np.ones(rows.size), (rows, columns)), shape=A.shape)
    pattern.sum_duplicates()
    keys = columns_of(pattern).astype(np.int64) * n + pattern.indices
    M = _permuted(pattern, p, q)
    S = closed(sparse.csc_array(M + M.T), identity)
    if S.nnz > most:
        raise SelectedInverseTooLarge(
            f"{name}: the closed pattern of its selected inverse has {S.nnz} entries, allowed "
            f"are {most:.0f}: 10⁶, or 8 times those of a triangular factor. Usual cause: pivots "
            "far from the diagonal. Use solves with a few right-hand sides instead."
        )
    post = postorder(parents(S))
    p, q = p[post], q[post]
    S = _permuted(S, post, post)
    M = _permuted(pattern, p, q)
    at = np.empty(n, dtype=np.int64)
    at[post] = identity
    known = supernodes_of(S, identity, M)

    def place(i: Array, j: Array) -> Array:
        return np.searchsorted(keys, j.astype(np.int64) * n + i)

    columns_A = columns_of(A)
    return ClosedPattern(
        p,
        q,
        matching,
        pattern,
        M.data.astype(np.int64) - 1,
        columns_of(S).astype(np.int64) * n + S.indices,
        known,
        place(A.indices, columns_A),
        place(columns_A, A.indices),
        place(identity, identity),
        place(p, q),
    ), at


def _permuted(B: sparse.csc_array, p: Array, q: Array) -> sparse.csc_array:
    """Return B[p][:, q] with the numbers 1, 2, … of the entries of B as its entries."""
    # Numbers from 1, because some indexing routines of SciPy drop a stored 0.
    numbers = sparse.csc_array((np.arange(1.0, B.nnz + 1), B.indices, B.indptr), shape=B.shape)
    permuted = sparse.csc_array(numbers[:, q][p])
    permuted.sort_indices()
    return permuted


def postorder(parent: Array) -> Array:
    """Return a postorder of a forest, (n,): the nodes, each after all of its descendants.

    parent: (n,), larger than the node, or −1.
    """
    n = parent.size
    sizes = [1] * n
    links = parent.tolist()
    for node, above in enumerate(links):
        if above >= 0:
            sizes[above] += sizes[node]
    # From the roots down: each node ends its range, and its children share the rest.
    end, order = n, [0] * n
    ends = [0] * n
    for node in range(n - 1, -1, -1):
        above = links[node]
        if above < 0:
            last, end = end, end - sizes[node]
        else:
            last = ends[above]
            ends[above] -= sizes[node]
        order[last - 1] = node
        ends[node] = last - 1
    return np.array(order, dtype=np.int64)
