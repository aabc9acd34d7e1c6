"""Verification of a selected inverse by the columns and rows that lost most digits.

tr(A Z) = n is an identity of the recurrence, and holds for a wrong Z: to 4e-12 at an error of
0.4. The columns of worst cancellation, those with the largest |1/u_jj| / |z_jj|, show the size
of the error of rounding (docs/math/determinants.md, eqs. 277–279). An entry that is wrong for
another reason violates (A Z)_jj = 1 in its row and in its column, which costs nothing to compute
for all j (eq. 420); the worst j is verified, too.
"""

import numpy as np
import scipy.sparse as sparse

from ...typing import Array
from .factored import Factored

VERIFIED = 4
"""Number of columns, and of rows, of worst cancellation that are compared with refined solves."""


def violations(values: Array, numbers: Array, n: int) -> Array:
    """Return |Σ v − 1| / Σ |v| over the values v with the same number, (n,); eq. 420.

    values: a_ij (A⁻¹)_ji for all entries of A. numbers: their rows, for the diagonal of A A⁻¹,
    or their columns, for the diagonal of A⁻¹ A. The result is inf where it is nan.
    """
    with np.errstate(all="ignore"):
        sums = np.bincount(numbers, values.real, n) - 1.0
        if values.dtype.kind == "c":
            sums = np.hypot(sums, np.bincount(numbers, values.imag, n))
        found = np.abs(sums) / np.bincount(numbers, np.abs(values), n)
    return np.where(np.isnan(found), np.inf, found)


def largest_error(
    f: Factored,
    Z: sparse.csc_array,
    columns: Array,
    rows: Array,
    scaling: tuple[Array, Array],
) -> float:
    """Return the largest error of entries of A⁻¹ in some columns and rows; nan included.

    Z: entry (i, j) stands for (A⁻¹)_ji. columns, rows: numbers of columns and of rows of A⁻¹.
    scaling: r, c, (n,) each, with which r_i |a_ij| c_j is of size 1. The error is relative to
    the largest entry of the inverse of this scaled matrix.

    Raises the errors of `Factored.solve`.
    """
    r, c = scaling
    with np.errstate(all="ignore"):
        row_of, column_of = Z.indices, np.repeat(np.arange(Z.shape[0]), np.diff(Z.indptr))
        scaled = np.abs(Z.data) / r[row_of] / c[column_of]
        largest = float(scaled.max())
        errors = []
        by_rows = sparse.csr_array(
            sparse.csc_array((np.arange(1.0, Z.nnz + 1), Z.indices, Z.indptr), shape=Z.shape)
        )
        for x, j in zip(refined(f, columns, r, "N").T, columns.tolist(), strict=True):
            part = slice(by_rows.indptr[j], by_rows.indptr[j + 1])
            entries = by_rows.data[part].astype(np.int64) - 1
            i = by_rows.indices[part]
            errors.append((np.abs(Z.data[entries] / r[j] - x[i]) / c[i]).max())
        for y, i in zip(refined(f, rows, c, "T").T, rows.tolist(), strict=True):
            part = slice(Z.indptr[i], Z.indptr[i + 1])
            j = Z.indices[part]
            errors.append((np.abs(Z.data[part] / c[i] - y[j]) / r[j]).max())
        return float(np.max(errors)) / largest


def refined(f: Factored, numbers: Array, scale: Array, trans: str) -> Array:
    """Return columns ("N") or rows ("T") of A⁻¹, divided by their scale, (n, k), refined once."""
    A = f.A if trans == "N" else sparse.csc_array(f.A.T)
    units = np.zeros((f.A.shape[0], numbers.size), f.A.dtype)
    units[numbers, np.arange(numbers.size)] = 1.0 / scale[numbers]
    x = f.solve(units, trans)  # type: ignore[arg-type]
    return x + f.unverified(units - A @ x, trans)  # type: ignore[arg-type]
