"""Scaling rows and columns of a matrix to sums of about 1, before a backend whose own scaling does not serve."""

from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ...typing import Array
from ..backward_error import Symmetry, equilibrate

UNEVEN = 1e3
"""Row sums (or column sums) of |A| further apart than this are equilibrated."""


FAINT = 1e-6
"""Row sums of |A| below this are brought to 1 as well: MKL takes pivots below 10⁻¹³ for zero, whatever ‖A‖ is."""


Scaling: TypeAlias = tuple[Array | None, Array | None]
"""Factors of the rows and of the columns, (n,) each; None for ones."""


def equilibration(A: sparse.csc_array, symmetry: Symmetry) -> Scaling:
    """r, c, powers of 2, so that the sums of r_i |a_ij| c_j are about 1; None if those of |A| are of one size."""
    magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
    ones = np.ones(A.shape[0])
    with np.errstate(all="ignore"):  # Not scaled: stored rows of zeros, and sums that overflow.
        rows, columns = magnitude @ ones, ones if symmetry == "symmetric" else magnitude.T @ ones
        uneven = rows.max() > UNEVEN * rows.min() or columns.max() > UNEVEN * columns.min()
        if not (uneven or rows.max() < FAINT) or not (rows.min() > 0.0 and columns.min() > 0.0):
            return None, None
        r, c = equilibrate(magnitude, symmetric=symmetry == "symmetric")
        r, c = np.exp2(np.round(np.log2(r))), np.exp2(np.round(np.log2(c)))
        usable = np.isfinite(np.log2(r)).all() and np.isfinite(np.log2(c)).all()
    return (r, c) if usable else (None, None)
