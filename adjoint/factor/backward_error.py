"""How well a computed u satisfies its system: backward error and a probe of the condition.

N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 7.1, 12.1 and 15.
"""

from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..errors import NotSymmetric
from ..typing import Array, Trans

Symmetry: TypeAlias = Literal["none", "symmetric", "hermitian"]
"""What the user stated: nothing, A = Aᵀ or A = Aᴴ (for a real matrix the last two are the same)."""


REFINE = 1e-13
"""A backward error above this is refined once: a stable factorization stays below some 10⁻¹⁵."""


ACCEPT = 1e-10
"""A backward error above this, after refinement, is no solution: wrong factors, not rounding."""


ACCEPT_ROW = 1e-7
"""The same for one row at a time: static pivoting leaves some 10⁻⁹ in the rows of void elements, refined."""


BLOCK = 4096
"""Columns handled at a time."""


SWEEPS = 10
"""Iterations of equilibration, at most: each halves the logarithm of the unevenness."""


EVEN = 1.5
"""Sums between 1/EVEN and EVEN are even enough."""


def product(A: sparse.csc_array, u: Array, trans: Trans) -> Array:
    """A u, Aᵀ u or Aᴴ u, for u (n,) or (n, k)."""
    if u.ndim == 2:
        v = np.empty(u.shape, dtype=np.result_type(A.dtype, u.dtype), order="F")
        for j in range(
            u.shape[1]
        ):  # Contiguous columns: quicker than one product with rows of a few.
            v[:, j] = product(A, u[:, j], trans)
        return v
    if trans == "N":
        return A @ u
    if trans == "T":
        return A.T @ u
    return (A.T @ u.conj()).conj()


def absolute_sums(A: sparse.csc_array, trans: Trans) -> Array:
    """Σ_j |a_ij| for each row i of A ("N") or of Aᵀ, Aᴴ, (n,); A has no empty column."""
    if trans == "N":
        magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
        return magnitude @ np.ones(A.shape[1])
    sums = np.empty(A.shape[1])
    for first in range(
        0, A.shape[1], BLOCK
    ):  # In pieces that stay in the cache: a third of the time.
        ends = A.indptr[first : first + BLOCK + 1]
        sums[first : first + BLOCK] = np.add.reduceat(
            np.abs(A.data[ends[0] : ends[-1]]), ends[:-1] - ends[0]
        )
    return sums


def equilibrate(magnitude: sparse.csc_array, symmetric: bool) -> tuple[Array, Array]:
    """r, c, (n,) each, with which the sums of r_i |a_ij| c_j over rows and columns are about 1; r is c if `symmetric`.

    magnitude: |a_ij|; rows and columns of zeros are left as they are.
    Knight, Ruiz & Uçar (2014), A symmetry preserving algorithm for matrix scaling, SIAM J. Matrix Anal. Appl. 35, 931.
    """
    r = c = np.ones(magnitude.shape[0])
    transpose = magnitude if symmetric else magnitude.T
    lone_rows, lone_columns = magnitude @ c == 0.0, transpose @ r == 0.0
    for _ in range(SWEEPS):
        rows = magnitude @ c + lone_rows
        columns = rows if symmetric else transpose @ r + lone_columns
        if _even(r * rows) and _even(c * columns):
            break
        r, c = np.sqrt(r / rows), np.sqrt(c / columns)
    return r, c


def _even(sums: Array) -> bool:
    """Whether no scaled sum is off by more than a factor of EVEN."""
    return bool(sums.max() <= EVEN and sums.min() * EVEN >= 1.0)


def backward_error(residual: Array, u: Array, b: Array, norm: float) -> float:
    """max over columns of ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖) in the ∞-norm.

    See docs/math/verification.md, eq. 19.

    residual, u, b: (n, k). norm: ‖A‖. Returns nan if any of them holds nan; 0 for 0 = 0.
    """
    with np.errstate(all="ignore"):
        # Divided by ‖A‖ throughout, for ‖A‖‖u‖ may overflow, and then any error would pass.
        scale = _norms(u) + _norms(b) / norm
        error = _norms(residual) / norm / np.where(scale == 0.0, 1.0, scale)
    return float(np.max(error, initial=0.0))


def row_error(residual: Array, u: Array, b: Array, sums: Array) -> float:
    """max_i |b − Au|_i / (Σ_j |a_ij| ‖u‖ + |b_i|), ‖u‖ in the ∞-norm.

    See docs/math/verification.md, eq. 20.

    At least the normwise error. residual, u, b: (n, k). sums: Σ_j |a_ij|, (n,). Returns nan if any of them holds
    nan. A penalty of 10²⁰ on one diagonal entry blinds the normwise error, not this one.
    """
    with np.errstate(all="ignore"):
        relative, sizes = np.abs(residual) / sums[:, None], _norms(u)
        bound = float(np.max(_norms(relative) / sizes, initial=0.0))
        if bound <= ACCEPT_ROW:
            return bound  # Without b it is larger, and costs half as much.
        scale = sizes + np.abs(b) / sums[:, None]
        error = relative / np.where(scale == 0.0, 1.0, scale)
    return float(np.max(error, initial=0.0))


def _norms(v: Array) -> Array:
    return np.abs(v).max(axis=0, initial=0.0)


def probe_vector(n: int) -> Array:
    """n reproducible random numbers, ½ ≤ |s_i| ≤ 1, to look for near-null vectors with.

    See docs/math/verification.md, eq. 22.
    """
    # Not signs alone: their sum is often exactly zero, and then orthogonal to a constant null vector. Not small ones
    # either: a null vector may be that of one unknown.
    s = np.random.default_rng(n).uniform(-1.0, 1.0, n)
    return np.asarray(np.copysign(0.5 + 0.5 * np.abs(s), s))


def nearly_symmetric(A: sparse.csc_array, symmetry: Symmetry, sums: Array, r: Array) -> bool:
    """Whether xᴴA y = (yᴴA x)* (x*ᵀA y = y*ᵀA x* where A is to be equal to Aᵀ) for random x and y, but for rounding.

    sums: of |a_ij|, (n,). r: random, (n,), taken once more from its end. x and y are scaled by the roots of the sums:
    each entry counts by what it is in its row and column. It takes two products with A; `require_symmetric` sorts a
    transpose.
    """
    if symmetry == "none":
        return True
    root = np.sqrt(np.where(sums > 0.0, sums, 1.0))
    x, y = r / root, r[::-1] / root
    one, other = x @ product(A, y[:, None], "N")[:, 0], y @ product(A, x[:, None], "N")[:, 0]
    gap = one - (other.conj() if symmetry == "hermitian" else other)
    return bool(abs(gap) <= 10.0 * float(np.finfo(float).eps) * A.shape[0])


def require_symmetric(A: sparse.csc_array, symmetry: Symmetry, name: str) -> None:
    """Raise NotSymmetric unless A is as stated, to ACCEPT relative to the sums of |a_ij| over row i and row j."""
    if symmetry == "none":
        return
    transpose = A.conj().T if symmetry == "hermitian" else A.T
    difference = sparse.coo_array(A - transpose)
    sums = np.maximum(abs(A).sum(axis=0), np.finfo(float).tiny)
    # Not relative to the largest entry of A: a penalty of 10²⁰ on the diagonal would make everything symmetric.
    scale = np.minimum(sums[difference.row], sums[difference.col])
    gap = float(np.max(np.abs(difference.data) / scale, initial=0.0))
    if not gap <= ACCEPT:
        raise NotSymmetric(
            f"{name}: the matrix is not {symmetry} (max|a_ij - a_ji| = {gap:.1e} of its row), so the factors belong "
            "to another matrix. Use adjoint.lu, or mend the assembly (boundary conditions put into rows but not "
            "into columns, a convection term)."
        )
