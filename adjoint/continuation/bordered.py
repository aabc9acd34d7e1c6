"""Jacobians with one row and one column more: regular at a fold, where the Jacobian itself is singular."""

import numpy as np
import scipy.sparse as sparse

from .._validation import is_integer
from ..typing import Array


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


def as_index(parameter: int, m: int, who: str) -> int:
    """The index of one of m parameters; raises TypeError or ValueError."""
    if not is_integer(parameter):
        raise TypeError(f"{who}: got parameter={parameter!r}, expected the index of a parameter")
    if not 0 <= parameter < m:
        raise ValueError(
            f"{who}: got parameter={parameter}, expected the index of one of {m} parameters"
        )
    return int(parameter)


def unit(m: int, i: int) -> Array:
    """e_i, (m,)."""
    e = np.zeros(m)
    e[i] = 1.0
    return e
