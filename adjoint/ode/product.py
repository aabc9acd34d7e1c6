"""Products with a sparse matrix, added to what there is: a third of what `@` takes for a few thousand unknowns."""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse import _sparsetools as kernels  # What `@` calls; not public, but the same since SciPy 0.7.

from ..arrays import Array, Trans
from .algebra import times


def product(A: Array | sparse.csc_array, w: Array, trans: Trans) -> Array:
    """A w, or Aᴴ w; w: (n,) or (n, j)."""
    if isinstance(A, np.ndarray):
        return times(A, w, trans)
    if w.ndim == 2 and w.shape[1] == 1:
        return add_product(A, w[:, 0], trans, np.zeros_like(w[:, 0]))[:, None]
    return add_product(A, w, trans, np.zeros_like(w))


def add_product(A: sparse.csc_array, v: Array, trans: Trans, y: Array) -> Array:
    """y + A v, or y + Aᴴ v, in y, which is C-ordered; v: (n,) or (n, j)."""
    if v.ndim > 1 or not A.dtype == v.dtype == y.dtype:
        y += times(A, v, trans)
        return y
    data = A.data if trans == "N" or A.dtype.kind != "c" else A.data.conj()
    multiply = kernels.csc_matvec if trans == "N" else kernels.csr_matvec  # The columns of A are the rows of Aᵀ.
    multiply(*A.shape, A.indptr, A.indices, data, v, y)
    return y
