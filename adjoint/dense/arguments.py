"""Validation of dense matrices: shape, finite entries, and symmetry where it is stated."""

import numpy as np

from .._validation import as_array, first_nonfinite
from ..errors import NonFinite, NotSymmetric
from ..typing import Array

SYMMETRY = 1e-12
"""Largest |a_ij − conj(a_ji)| of a Hermitian matrix, relative to √(m_i m_j), where m_i is the
largest modulus in row and column i: a product such as B Bᵀ is symmetric to about 1e-15."""


def as_matrix(who: str, name: str, value: object) -> Array:
    """Return a copy of a matrix (m, n) as float64 or complex128.

    Raise TypeError unless the entries are numbers, ValueError unless the array has two
    dimensions and is not empty, NonFinite for nan or inf.
    """
    A = as_array(who, name, value)
    if A.ndim != 2 or A.size == 0:
        raise ValueError(f"{who}: got {name} of shape {A.shape}, expected a matrix (m, n)")
    return finite(who, name, A)


def as_square(who: str, name: str, value: object) -> Array:
    """Return a copy of a square matrix (n, n); the errors are those of `as_matrix`."""
    A = as_matrix(who, name, value)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{who}: got {name} of shape {A.shape}, expected a square matrix (n, n)")
    return A


def as_hermitian(who: str, name: str, value: object) -> Array:
    """Return (A + Aᴴ)/2; raise NotSymmetric unless A = Aᴴ to rounding.

    Each entry is compared with the entries of its rows and columns, so that rows and columns
    may have different units.
    """
    A = as_square(who, name, value)
    sizes = np.maximum(np.abs(A).max(axis=0), np.abs(A).max(axis=1))
    roots = np.sqrt(sizes)
    excess = np.abs(A - A.conj().T) - SYMMETRY * np.outer(roots, roots)
    if not np.all(excess <= 0.0):
        i, j = (int(k) for k in np.unravel_index(int(np.argmax(excess)), A.shape))
        raise NotSymmetric(
            f"{who}: {name} is not {'Hermitian' if A.dtype.kind == 'c' else 'symmetric'}: entry "
            f"({i}, {j}) is {A[i, j]:.10g}, entry ({j}, {i}) is {A[j, i]:.10g}. Usual causes: an "
            "assembly that fills one triangle only, or a product whose factors are not transposes "
            f"of each other. Remedy: ({name} + {name}.conj().T) / 2 where the difference is "
            "rounding"
        )
    return 0.5 * (A + A.conj().T)


def finite(who: str, name: str, A: Array) -> Array:
    """Return a copy of A as float64 or complex128; raise NonFinite for nan or inf."""
    A = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    if (bad := first_nonfinite(A)) is not None:
        index, entry, count = bad
        raise NonFinite(
            f"{who}: {name}[{_place(index)}] is {entry} ({count} such), expected finite numbers"
        )
    return A


def _place(index: int | tuple[int, ...]) -> str:
    return str(index) if isinstance(index, int) else ", ".join(map(str, index))
