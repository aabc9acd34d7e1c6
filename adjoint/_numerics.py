"""Sums and norms whose bits do not depend on the number of BLAS threads; read-only views."""

from collections.abc import Callable

import numpy as np

from .typing import Array

BLAS = 512
"""Largest number of unknowns for sums over stages by BLAS. For longer vectors BLAS starts
threads, which would delay the threads of the solvers."""

SINGLE = 8192
"""Largest vector whose scalar product is taken by BLAS: on one thread (OpenBLAS: up to 10 000)."""


def dot(a: Array, b: Array) -> float:
    """Return Re(aᴴ b), summed over all entries, for a and b of equal shape.

    BLAS is not used for two reasons. The last bits of its sums depend on the number of
    threads. Its threads keep spinning after a call, and delay the threads of the solver
    (a factorization took up to 1.8 times as long on two cores).
    """
    a = (
        np.conj(a) if np.iscomplexobj(a) else a
    )  # np.conj copies real arrays, which takes as long as the sum.
    return float(np.einsum("i,i->", np.ravel(a), np.ravel(b)).real)


def finite_sum(v: Array) -> bool:
    """True if Σ v is finite, which implies that every entry is finite."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(v.sum()))


def size_of(r: Array) -> float:
    """Return ‖r‖₂; the squares do not overflow."""
    largest = float(np.abs(r).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return largest
    scaled = r / largest
    return largest * float(np.sqrt(dot(scaled, scaled)))


def rms(v: Array) -> float:
    """Return √(Σ |v_i|² / n); nan if v contains nan. Long vectors are summed without BLAS."""
    if v.dtype.kind == "c":
        v = np.abs(v)
    square = v.dot(v) if v.size <= SINGLE else np.einsum("i,i->", v, v)
    return float(square / v.size) ** 0.5


def column_dots(v: Array, w: Array) -> Array:
    """Return vᴴ w of each column, (k,), for v, w (n, k). BLAS is not used; see `dot`."""
    return np.asarray(np.einsum("ij,ij->j", v.conj(), w))


def column_maxima(v: Array) -> Array:
    """Return max |v_i| of each column, (k,), for v (n, k); 0 if n = 0."""
    return np.asarray(np.abs(v).max(axis=0, initial=0.0))


def read_only(x: Array) -> Array:
    """Return a read-only view of x, which is passed to functions of the user."""
    view = x[:]  # Half the time of x.view().
    view.setflags(write=False)
    return view


def by_columns(product: Callable[[Array], Array], v: Array) -> Array:
    """Return product(v) for a vector v, and the product of each column for a block v, (m, j)."""
    if v.ndim != 2:
        return product(v)
    return np.stack([product(np.ascontiguousarray(column)) for column in v.T], axis=-1)
