"""How well a computed u satisfies its system: backward error and a probe of the condition.

N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 7.1, 12.1 and 15.
"""

from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array, Trans
from .errors import NotSymmetric

Symmetry: TypeAlias = Literal["none", "symmetric", "hermitian"]
"""What the user stated: nothing, A = Aᵀ or A = Aᴴ (for a real matrix the last two are the same)."""

REFINE = 1e-13
"""A backward error above this is refined once: a stable factorization stays below some 10⁻¹⁵."""

ACCEPT = 1e-10
"""A backward error above this, after refinement, is no solution: wrong factors, not rounding."""

HOPELESS = 0.2 / np.finfo(float).eps
"""A condition number above this (9·10¹⁴) leaves no trustworthy digit in the solution."""


def product(A: sparse.csc_array, u: Array, trans: Trans) -> Array:
    """A u, Aᵀ u or Aᴴ u."""
    if trans == "N":
        return A @ u
    if trans == "T":
        return A.T @ u
    return (A.T @ u.conj()).conj()


def absolute_sums(A: sparse.csc_array, trans: Trans) -> Array:
    """Σ_j |a_ij| for each row i of A ("N") or of Aᵀ, Aᴴ, (n,); A has no empty column."""
    magnitude = np.abs(A.data)
    if trans == "N":
        return sparse.csc_array((magnitude, A.indices, A.indptr), shape=A.shape) @ np.ones(A.shape[1])
    return np.add.reduceat(magnitude, A.indptr[:-1])


def backward_error(residual: Array, u: Array, b: Array, norm: float) -> float:
    """max over columns of ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖) in the ∞-norm (Higham (2002), theorem 7.1).

    residual, u, b: (n, k). norm: ‖A‖. Returns nan if any of them holds nan; 0 for 0 = 0.
    """
    scale = norm * _norms(u) + _norms(b)
    error = _norms(residual) / np.where(scale == 0.0, 1.0, scale)
    return float(np.max(error, initial=0.0))


def _norms(v: Array) -> Array:
    return np.abs(v).max(axis=0, initial=0.0)


def signs(n: int) -> Array:
    """n reproducible random signs ±1: the right-hand side that looks for near-null vectors."""
    return np.random.default_rng(n).integers(0, 2, n) * 2.0 - 1.0


def require_symmetric(A: sparse.csc_array, symmetry: Symmetry, name: str) -> None:
    """Raise NotSymmetric unless A is as stated, to ACCEPT relative to its largest entry."""
    if symmetry == "none":
        return
    transpose = A.conj().T if symmetry == "hermitian" else A.T
    gap = abs(A - transpose).max() / max(abs(A).max(), np.finfo(float).tiny)
    if not gap <= ACCEPT:
        raise NotSymmetric(
            f"{name}: the matrix is not {symmetry} (max|a_ij - a_ji| = {gap:.1e} max|a_ij|), so the factors belong "
            "to another matrix. Use adjoint.lu, or mend the assembly (boundary conditions put into rows but not "
            "into columns, a convection term)."
        )
