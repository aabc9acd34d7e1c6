"""Sparsity patterns: their union, and where the entries of one stand in another."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse

from ..factor.csc import columns_of
from ..typing import Array


def union_of_patterns(matrices: Sequence[sparse.csc_array]) -> sparse.csc_array:
    """A matrix of ones on the union of the patterns; stored zeros count as entries."""
    ones = [
        sparse.csc_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape) for A in matrices
    ]
    union = sparse.csc_array(sum(ones[1:], ones[0]))
    union.sort_indices()
    return union


def places(A: sparse.csc_array, union: sparse.csc_array) -> Array:
    """Where each entry of A stands in `union`.data, (nnz of A,); `union` holds A's pattern."""
    return np.searchsorted(_keys(union), _keys(A))


def on_pattern(A: sparse.csc_array, union: sparse.csc_array) -> Array:
    """The entries of A on the pattern of `union`, (nnz of the union,); zero where A has none."""
    data = np.zeros(union.nnz, dtype=A.dtype)
    data[places(A, union)] = A.data
    return data


def _keys(A: sparse.csc_array) -> Array:
    """One number an entry of a canonical csc matrix, increasing: column · n + row."""
    return columns_of(A).astype(np.int64) * A.shape[0] + A.indices
