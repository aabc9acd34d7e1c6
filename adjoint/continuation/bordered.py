"""Jacobians with one row and one column more: regular at a fold, where the Jacobian itself is singular."""

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array


def bordered(A: sparse.csc_array, column: Array, row: Array, corner: float) -> sparse.csc_array:
    """[[A, column], [row, corner]], (n + 1, n + 1); the borders are stored in full, so that the pattern stays."""
    n = A.shape[0]
    data = np.insert(A.data.astype(np.result_type(A.data, column, row)), A.indptr[1:], row)
    indices = np.insert(A.indices, A.indptr[1:], n)
    indptr = np.append(A.indptr + np.arange(n + 1), A.nnz + 2 * n + 1)
    data = np.concatenate([data, column, [corner]])
    indices = np.concatenate([indices, np.arange(n + 1)])
    M = sparse.csc_array((data, indices, indptr), shape=(n + 1, n + 1))
    M.has_canonical_format = True  # As A is.
    return M


def unit(m: int, i: int) -> Array:
    """e_i, (m,)."""
    e = np.zeros(m)
    e[i] = 1.0
    return e
