"""Traces of A⁻¹B from the selected inverse of A."""

import numpy as np
import scipy.sparse as sparse

from ...typing import Array
from ..csc import columns_of
from .entries import SelectedEntries
from .factored import Factored

MAX_COLUMNS = 1000
"""Largest number of right-hand sides of a trace."""

BLOCK = 64
"""Number of right-hand sides that are solved at once."""


def trace(diagonal: Array) -> float | complex:
    """Return the sum of a diagonal, as a Python number."""
    total = diagonal.sum()
    return complex(total) if diagonal.dtype.kind == "c" else float(total)


def trace_with(f: Factored, selected: SelectedEntries, B: sparse.csc_array) -> float | complex:
    """Return tr(A⁻¹ B) = Σ_ij (A⁻¹)_ji B_ij.

    f: A with its factors. Raises ValueError if B has another shape than A, or if more
    than MAX_COLUMNS columns have entries outside of the pattern of A.
    """
    n = f.A.shape[0]
    if B.shape != f.A.shape:
        raise ValueError(f"trace_of_inverse: got B of shape {B.shape}, expected {f.A.shape}")
    A_bar = selected.A_bar
    keys = columns_of(A_bar).astype(np.int64) * n + A_bar.indices
    wanted = columns_of(B).astype(np.int64) * n + B.indices
    found = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    inside = keys[found] == wanted
    products = A_bar.data[found[inside]].conj() * B.data[inside]
    total = trace(products)
    if inside.all():
        return total
    columns = np.unique(wanted[~inside] // n)
    if columns.size > MAX_COLUMNS:
        raise ValueError(
            f"trace_of_inverse: {columns.size} columns of B have entries outside of the pattern "
            f"of A, expected at most {MAX_COLUMNS}: each costs a solve. Factor A on a larger "
            "pattern, with stored zeros where B has entries"
        )
    data = np.where(inside, 0.0, B.data)
    outside = sparse.csc_array((data, B.indices, B.indptr), shape=B.shape)
    for low in range(0, columns.size, BLOCK):
        part = columns[low : low + BLOCK]
        X = f.solve(outside[:, part].toarray())
        total += trace(X[part, np.arange(part.size)])
    return total
