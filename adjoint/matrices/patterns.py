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


def _keys(A: sparse.csc_array) -> Array:
    """Return column · n + row for each entry of a canonical csc matrix; the numbers increase."""
    return columns_of(A).astype(np.int64) * A.shape[0] + A.indices
