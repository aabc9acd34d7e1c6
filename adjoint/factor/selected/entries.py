"""What a selected inverse is: entries of A⁻¹ on the pattern of A, and how they were found."""

from dataclasses import dataclass

import scipy.sparse as sparse

from ..._dataclasses import short_repr
from ...typing import Array


@dataclass(frozen=True, eq=False)
class SelectedEntries:
    """The entries of A⁻¹ on the pattern of A, verified.

    Attributes
    ----------
    A_bar : (n, n) csc_array
        The gradient of log |det A| with respect to the entries of A, on the pattern of
        A: entry (i, j) is the conjugate of (A⁻¹)_ji (docs/math/determinants.md, eq.
        251).
    inverse : (n, n) csc_array
        (A⁻¹)_ij for the entries (i, j) of the pattern of A.
    diagonal : (n,) array
        The diagonal of A⁻¹.
    phase : complex
        det A / |det A|: the sign of the determinant if A is real.
    method : str
        The factors that were used.
    error : float
        The largest difference of the columns that were verified by refined solves,
        relative to (z_ii z_jj)^½ for Hermitian A, and to the largest entry of A⁻¹
        otherwise.
    """

    A_bar: sparse.csc_array
    inverse: sparse.csc_array
    diagonal: Array
    phase: complex
    method: str
    error: float

    __repr__ = short_repr
