"""Check and convert the matrices and right-hand sides that users pass in.

After the conversion all matrices and vectors are of type float64 or complex128.
"""

import numpy as np
import scipy.sparse as sparse

from .._numerics import finite_sum
from .._validation import as_array, first_nonfinite, shown
from ..errors import NonFinite, singular
from ..typing import Array, SparseMatrix


def as_csc(A: SparseMatrix | Array, what: str = "") -> sparse.csc_array:
    """Return A as a csc_array of float64 or complex128.

    If A is such an array already, A itself is returned, not a copy.

    A: square, (n, n), sparse in any format, or dense; float32 and complex64 are
    widened. what: the beginning of error messages, for example "LinearProblem: A: ".

    Raises TypeError unless A is a matrix of floating-point numbers; ValueError unless A
    is square, not empty, and free of unsorted and repeated entries; NonFinite for nan
    and inf.
    """
    if not (isinstance(A, np.ndarray) or sparse.issparse(A)):
        raise TypeError(f"{what}got {shown(A)}, expected a SciPy sparse matrix or a NumPy array")
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ValueError(f"{what}got a matrix of shape {A.shape}, expected a square one (n, n)")
    if A.shape[0] == 0:
        raise ValueError(f"{what}got an empty matrix (0, 0), expected at least one unknown")
    if A.dtype.kind not in "fc" or A.dtype.itemsize > (8 if A.dtype.kind == "f" else 16):
        raise TypeError(
            f"{what}got a matrix of dtype {A.dtype}, expected float64 or complex128: convert "
            "with A.astype(float), and check whether integers were meant"
        )
    if not isinstance(A, np.ndarray) and A.format in ("csc", "csr") and not A.has_canonical_format:
        raise ValueError(
            f"{what}got a {A.format} matrix with unsorted or repeated entries, expected "
            "canonical format: call A.sum_duplicates(), which sorts the entries and adds "
            "repeated ones (products of SciPy matrices are not sorted)"
        )
    dtype = np.complex128 if A.dtype.kind == "c" else np.float64
    csc = (
        A
        if isinstance(A, sparse.csc_array) and A.dtype == dtype
        else sparse.csc_array(A, dtype=dtype)
    )
    csc.has_canonical_format = True  # Known by now: SciPy need not check it again.
    # Σ a is finite unless an entry is not finite or the sum overflows. Only then look
    # at entries.
    if not finite_sum(csc.data):
        _require_finite(csc)
    return csc


def owned(A: sparse.csc_array) -> sparse.csc_array:
    """Return a copy of A in canonical format, with arrays that the user's objects do not share.

    The copy is needed, because a solution uses its matrix in later solves. By then the
    user's function may have overwritten the arrays of A with the values for another p.
    The copy takes 1/1000 of the time of a factorization.
    """
    copied = sparse.csc_array((A.data.copy(), A.indices.copy(), A.indptr.copy()), shape=A.shape)
    copied.has_canonical_format = True
    return copied


def _require_finite(A: sparse.csc_array) -> None:
    if (found := first_nonfinite(A.data)) is not None:
        place, entry, number = found
        column = int(np.searchsorted(A.indptr, place, side="right")) - 1
        raise NonFinite(
            f"matrix entry ({A.indices[place]}, {column}) is {entry} ({number} such of {A.nnz}). "
            "Usual causes: a parameter that is nan, a division by a zero length or area, "
            "0**negative."
        )


def columns_of(A: sparse.csc_array) -> Array:
    """Return the column of each stored entry of A, (nnz,), in the integer type of A.indices."""
    return np.repeat(np.arange(A.shape[1], dtype=A.indices.dtype), np.diff(A.indptr))


def require_full_structure(A: sparse.csc_array) -> None:
    """Raise SingularMatrix if a row or a column of A has no stored entry."""
    n = A.shape[0]
    for name, sizes in (
        ("column", np.diff(A.indptr)),
        ("row", np.bincount(A.indices, minlength=n)),
    ):
        empty = np.flatnonzero(sizes == 0)
        if empty.size:
            raise singular(
                f"the {n}x{n} matrix",
                f"is structurally singular: {name} {empty[0]} is empty ({empty.size} such)",
            )


def as_right_hand_side(b: Array, n: int) -> Array:
    """Return b as an array of float64 or complex128, (n,) or (n, k).

    Raises TypeError unless b holds numbers, ValueError if the shape of b is wrong,
    NonFinite for nan and inf.
    """
    b = as_array("solve", "a right-hand side", b)
    if b.dtype.kind not in "fciub":
        raise TypeError(f"got a right-hand side of dtype {b.dtype}, expected float64 or complex128")
    if b.ndim not in (1, 2) or b.shape[0] != n:
        raise ValueError(f"got a right-hand side of shape {b.shape}, expected ({n},) or ({n}, k)")
    b = b.astype(np.complex128 if b.dtype.kind == "c" else np.float64, copy=False)
    if not finite_sum(b) and (found := first_nonfinite(b)) is not None:
        place = found[0] if isinstance(found[0], tuple) else (found[0],)
        raise NonFinite(f"right-hand side entry {place} is {found[1]}, expected finite numbers")
    return b
