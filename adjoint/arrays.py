"""The array types of the public interface."""

from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""A real (float64) or complex (complex128) array; the docstring of its user gives the shape."""

Trans: TypeAlias = Literal["N", "T", "H"]
"""Which system is solved: A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H")."""


def dot(a: Array, b: Array) -> float:
    """Re(aᴴ b), summed over all entries; a and b of one shape.

    Not by BLAS: its sums change in their last bits with the number of threads, and threads that NumPy wakes keep
    spinning for a while after, in the way of the solvers' own (a factorization that follows took up to 1.8 times as
    long on two cores, measured).
    """
    a = np.conj(a) if np.iscomplexobj(a) else a  # np.conj copies real arrays, at the price of the sum itself.
    return float(np.einsum("i,i->", np.ravel(a), np.ravel(b)).real)
