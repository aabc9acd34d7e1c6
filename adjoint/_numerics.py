"""TODO"""

import numpy as np

from .typing import Array


def dot(a: Array, b: Array) -> float:
    """Re(aᴴ b), summed over all entries; a and b of one shape.

    Not by BLAS: its sums change in their last bits with the number of threads, and threads that NumPy wakes keep
    spinning for a while after, in the way of the solvers' own (a factorization that follows took up to 1.8 times as
    long on two cores, measured).
    """
    a = np.conj(a) if np.iscomplexobj(a) else a  # np.conj copies real arrays, at the price of the sum itself.
    return float(np.einsum("i,i->", np.ravel(a), np.ravel(b)).real)


def finite_sum(v: Array) -> bool:
    """Whether Σ v is finite; if so, every entry is."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(v.sum()))


def size_of(r: Array) -> float:
    """‖r‖₂, without overflow."""
    largest = float(np.abs(r).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return largest
    scaled = r / largest
    return largest * float(np.sqrt(dot(scaled, scaled)))


BLAS = 512
"""Unknowns up to which sums over stages go through BLAS: beyond, its threads would stand in the solvers' way."""


SINGLE = 8192
"""Entries up to which the product of two vectors does: one thread takes it (OpenBLAS: up to 10 000)."""


def rms(v: Array) -> float:
    """√(Σ |v_i|² / n), nan for nan; without BLAS for long v."""
    if v.dtype.kind == "c":
        v = np.abs(v)
    square = v.dot(v) if v.size <= SINGLE else np.einsum("i,i->", v, v)
    return float(square / v.size) ** 0.5
