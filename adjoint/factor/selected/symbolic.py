"""Closed patterns: the pattern of a Cholesky factor, by symbolic elimination.

A package may leave out entries of L that cancel to zero. A selected inverse needs them:
with two such entries missing, entries of A⁻¹ were wrong by 1e-3
(docs/math/determinants.md, "Closed patterns").

George & Liu (1981), Computer Solution of Large Sparse Positive Definite Systems,
section 5.
"""

import numpy as np
import scipy.sparse as sparse

from ...errors import InaccurateSolve
from ...typing import Array


def closed(A: sparse.csc_array, order: Array) -> sparse.csc_array:
    """Return a matrix of zeros on the pattern of L for A[order][:, order] = L Lᴴ.

    The pattern is the result of elimination on the pattern of A, without regard to
    numbers.
    """
    n = A.shape[0]
    ones = sparse.csc_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape)
    # With the transpose: a zero may be stored on one side of the diagonal only.
    both = sparse.csc_array(ones + ones.T)
    lower = sparse.csc_array(sparse.tril(both[order][:, order] + sparse.eye_array(n)))
    lower.sort_indices()
    waiting: list[list[Array]] = [[] for _ in range(n)]
    columns: list[Array] = []
    for j in range(n):
        rows = lower.indices[lower.indptr[j] : lower.indptr[j + 1]]
        if waiting[j]:
            rows = np.unique(np.concatenate([rows, *waiting[j]]))
            waiting[j] = []
        columns.append(rows)
        if rows.size > 1:
            waiting[rows[1]].append(rows[1:])
    indptr = np.concatenate([[0], np.cumsum([rows.size for rows in columns])])
    indices = np.concatenate(columns)
    return sparse.csc_array((np.zeros(indices.size), indices, indptr), shape=A.shape)


def spread(L: sparse.csc_array, pattern: sparse.csc_array) -> sparse.csc_array:
    """Return L on a pattern that contains the pattern of L.

    Raises InaccurateSolve if L has an entry outside of the pattern.
    """
    n = L.shape[0]

    def keys(B: sparse.csc_array) -> Array:
        columns = np.repeat(np.arange(n, dtype=np.int64), np.diff(B.indptr))
        return np.asarray(columns * n + B.indices)

    wanted, known = keys(L), keys(pattern)
    found = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    inside = known[found] == wanted
    if np.any(L.data[~inside] != 0.0):
        raise InaccurateSolve("a Cholesky factor has entries outside of its symbolic pattern")
    data = np.zeros(pattern.nnz, L.dtype)
    data[found[inside]] = L.data[inside]
    return sparse.csc_array((data, pattern.indices, pattern.indptr), shape=L.shape)
