"""Scale rows and columns so that their sums are about 1, for backends that do not scale."""

from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ...typing import Array
from ..backward_error import Symmetry, equilibrate

UNEVEN = 1e3
"""Ratio of the largest to the smallest row sum (or column sum) of |A| above which A is
scaled."""

FAINT = 1e-6
"""Row sum of |A| below which A is scaled even if all sums are equal: Pardiso takes
pivots below 10⁻¹³ for zero, whatever ‖A‖ is."""


Scaling: TypeAlias = tuple[Array | None, Array | None]
"""Scale factors of the rows and of the columns, (n,) each; None means that A is not
scaled."""


def equilibration(A: sparse.csc_array, symmetry: Symmetry) -> Scaling:
    """Return powers of 2, r, c (n,), such that row and column sums of r_i |a_ij| c_j are about 1.

    Returns (None, None) if A needs no scaling, or cannot be scaled.
    """
    magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
    ones = np.ones(A.shape[0])
    with np.errstate(all="ignore"):  # Rows of stored zeros, and sums that overflow, are not scaled.
        rows, columns = magnitude @ ones, ones if symmetry == "symmetric" else magnitude.T @ ones
        uneven = rows.max() > UNEVEN * rows.min() or columns.max() > UNEVEN * columns.min()
        if not (uneven or rows.max() < FAINT) or not (rows.min() > 0.0 and columns.min() > 0.0):
            return None, None
        r, c = equilibrate(magnitude, symmetric=symmetry == "symmetric")
        r, c = np.exp2(np.round(np.log2(r))), np.exp2(np.round(np.log2(c)))
        usable = np.isfinite(np.log2(r)).all() and np.isfinite(np.log2(c)).all()
    return (r, c) if usable else (None, None)
