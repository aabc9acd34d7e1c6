"""Sparsity patterns: unions, and the positions of the entries of one pattern in another."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse

from ..factor.csc import columns_of
from ..typing import Array


def union_of_patterns(matrices: Sequence[sparse.csc_array]) -> sparse.csc_array:
    """Return a matrix of ones on the union of the patterns; stored zeros belong to a pattern."""
    ones = [
        sparse.csc_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape) for A in matrices
    ]
    union = sparse.csc_array(sum(ones[1:], ones[0]))
    union.sort_indices()
    return union


def places(A: sparse.csc_array, union: sparse.csc_array) -> Array:
    """Return the index in `union.data` of each entry of A, (nnz of A,).

    `union` contains the pattern of A.
    """
    return np.searchsorted(_keys(union), _keys(A))


def on_pattern(A: sparse.csc_array, union: sparse.csc_array) -> Array:
    """Return the entries of A on the pattern of `union`, (nnz of the union,).

    The result is zero where A has no entry.
    """
    data = np.zeros(union.nnz, dtype=A.dtype)
    data[places(A, union)] = A.data
    return data


def entries_on(A_bar: sparse.csc_array, pattern: sparse.csc_array, who: str) -> Array:
    """Return the entries of Ā, (nnz,); raise ValueError unless Ā has the given pattern."""
    if (
        A_bar.shape != pattern.shape
        or A_bar.nnz != pattern.nnz
        or not np.array_equal(A_bar.indptr, pattern.indptr)
        or not np.array_equal(A_bar.indices, pattern.indices)
    ):
        raise ValueError(
            f"{who}: contract got a matrix of shape {A_bar.shape} with {A_bar.nnz} entries, "
            f"expected the pattern of A(p): shape {pattern.shape}, {pattern.nnz} entries"
        )
    return np.asarray(A_bar.data)


def _keys(A: sparse.csc_array) -> Array:
    """Return column · n + row for each entry of a canonical csc matrix; the numbers increase."""
    return columns_of(A).astype(np.int64) * A.shape[0] + A.indices
