"""How well a computed u satisfies its system: backward errors, probe vectors, symmetry.

N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sections
7.1, 12.1, 15.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._numerics import column_maxima
from ..errors import NotSymmetric
from ..typing import Array, Trans

Symmetry: TypeAlias = Literal["none", "symmetric", "hermitian"]
"""The symmetry that the user stated: none, A = Aᵀ, or A = Aᴴ (equivalent for a real
A)."""

REFINE = 1e-13
"""Backward error above which a solution is refined once. A stable factorization stays
below 10⁻¹⁵, approximately."""

ACCEPT = 1e-10
"""Backward error above which a refined solution is refused: the factors are wrong, not
only rounded."""

ACCEPT_ROW = 1e-7
"""Backward error of a single row above which a refined solution is refused. Static
pivoting leaves about 10⁻⁹, after refinement, in the rows of void elements."""

BLOCK = 4096
"""Number of columns whose entries are summed at once: these entries stay in the
cache."""

SWEEPS = 10
"""Maximum number of iterations of equilibration. Each iteration halves the logarithms of
the sums."""

EVEN = 1.5
"""Equilibration ends when all sums lie between 1/EVEN and EVEN."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Backward errors above which a solution is refined (`refine`) or refused (`accept`).

    rows: True checks each row as well (direct solvers); False checks the norm only
    (iterative solvers, whose stopping test is a norm). probe: True solves with a random
    right-hand side in addition to the first solve. This detects matrices that are
    singular to working precision or not symmetric, even if the solve with b does not.
    """

    refine: float
    accept: float
    rows: bool
    probe: bool


def product(A: sparse.csc_array, u: Array, trans: Trans) -> Array:
    """Return A u ("N"), Aᵀ u ("T") or Aᴴ u ("H"), for u (n,) or (n, k)."""
    if u.ndim == 2:
        v = np.empty(u.shape, dtype=np.result_type(A.dtype, u.dtype), order="F")
        for j in range(u.shape[1]):  # Faster than one product with short rows of u.
            v[:, j] = product(A, u[:, j], trans)
        return v
    if trans == "N":
        return A @ u
    if trans == "T":
        return A.T @ u
    return (A.T @ u.conj()).conj()


def absolute_sums(A: sparse.csc_array, trans: Trans) -> Array:
    """Σ_j |a_ij| for each row i of A ("N") or of Aᵀ ("T", "H"), (n,); A has no empty column."""
    if trans == "N":
        magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
        return magnitude @ np.ones(A.shape[1])
    sums = np.empty(A.shape[1])
    for first in range(0, A.shape[1], BLOCK):  # By blocks: a third of the time.
        ends = A.indptr[first : first + BLOCK + 1]
        sums[first : first + BLOCK] = np.add.reduceat(
            np.abs(A.data[ends[0] : ends[-1]]), ends[:-1] - ends[0]
        )
    return sums


def equilibrate(magnitude: sparse.csc_array, symmetric: bool) -> tuple[Array, Array]:
    """Return vectors r, c, (n,), such that row and column sums of r_i |a_ij| c_j are about 1.

    magnitude: |a_ij|; rows and columns of zeros are not scaled. symmetric: True if
    |a_ij| is symmetric; then r and c are the same array.

    Knight, Ruiz & Uçar (2014), A symmetry preserving algorithm for matrix scaling, SIAM
    J. Matrix Anal. Appl. 35, 931.
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
    """True if all scaled row or column sums lie between 1/EVEN and EVEN."""
    return bool(sums.max() <= EVEN and sums.min() * EVEN >= 1.0)


def backward_error(residual: Array, u: Array, b: Array, norm: float) -> float:
    """Return the maximum over the columns of ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖), in the ∞-norm.

    See docs/math/verification.md, eq. 19.

    residual, u, b: (n, k). norm: ‖A‖. Returns nan if an argument holds nan, and 0 for b
    = u = 0.
    """
    with np.errstate(all="ignore"):
        # All terms are divided by ‖A‖: ‖A‖‖u‖ may overflow, and then any error would
        # pass.
        scale = column_maxima(u) + column_maxima(b) / norm
        error = column_maxima(residual) / norm / np.where(scale == 0.0, 1.0, scale)
    return float(np.max(error, initial=0.0))


def row_error(residual: Array, u: Array, b: Array, sums: Array) -> float:
    """Return max_i |b − Au|_i / (Σ_j |a_ij| ‖u‖ + |b_i|), with ‖u‖ in the ∞-norm.

    See docs/math/verification.md, eq. 20.

    residual, u, b: (n, k). sums: Σ_j |a_ij|, (n,). Returns nan if an argument holds
    nan. The result is at least the normwise error. If one diagonal entry of A is a
    penalty of 10²⁰, the normwise error does not show errors of the other rows; the
    rowwise error shows them.
    """
    with np.errstate(all="ignore"):
        relative, sizes = np.abs(residual) / sums[:, None], column_maxima(u)
        bound = float(np.max(column_maxima(relative) / sizes, initial=0.0))
        if bound <= ACCEPT_ROW:
            return bound  # The bound neglects b: it is larger than the error, and costs half.
        scale = sizes + np.abs(b) / sums[:, None]
        error = relative / np.where(scale == 0.0, 1.0, scale)
    return float(np.max(error, initial=0.0))


def probe_vector(n: int) -> Array:
    """Return a vector s of n reproducible random numbers, ½ ≤ |s_i| ≤ 1, for probes.

    See docs/math/verification.md, eq. 22.
    """
    # Signs alone would not do: their sum is often exactly zero, so that s is orthogonal
    # to a constant null vector. Small entries would not do: a null vector may consist
    # of one unknown.
    s = np.random.default_rng(n).uniform(-1.0, 1.0, n)
    return np.asarray(np.copysign(0.5 + 0.5 * np.abs(s), s))


def nearly_symmetric(A: sparse.csc_array, symmetry: Symmetry, sums: Array, r: Array) -> bool:
    """True if xᵀA y = yᵀA x (or its conjugate) up to rounding for two random vectors.

    sums: Σ_j |a_ij|, (n,). r: random, (n,); x is made of r, y of r in reverse order. x
    and y are divided by the square roots of the sums, so that each entry of A is
    measured relative to its row and column. The cost is two products with A: less than
    the cost of `require_symmetric`, which has to sort a transpose.
    """
    if symmetry == "none":
        return True
    root = np.sqrt(np.where(sums > 0.0, sums, 1.0))
    x, y = r / root, r[::-1] / root
    one, other = x @ product(A, y[:, None], "N")[:, 0], y @ product(A, x[:, None], "N")[:, 0]
    gap = one - (other.conj() if symmetry == "hermitian" else other)
    return bool(abs(gap) <= 10.0 * float(np.finfo(float).eps) * A.shape[0])


def require_symmetric(A: sparse.csc_array, symmetry: Symmetry, name: str) -> None:
    """Raise NotSymmetric unless A is symmetric, or Hermitian, as stated.

    The difference |a_ij − a_ji| may be at most ACCEPT times the smaller of the column
    sums Σ_k |a_ki| and Σ_k |a_kj|.
    """
    if symmetry == "none":
        return
    transpose = A.conj().T if symmetry == "hermitian" else A.T
    difference = sparse.coo_array(A - transpose)
    sums = np.maximum(abs(A).sum(axis=0), np.finfo(float).tiny)
    # Not relative to the largest entry of A: with a penalty of 10²⁰ on the diagonal
    # every matrix would be symmetric.
    scale = np.minimum(sums[difference.row], sums[difference.col])
    gap = float(np.max(np.abs(difference.data) / scale, initial=0.0))
    if not gap <= ACCEPT:
        raise NotSymmetric(
            f"{name}: the matrix is not {symmetry} (max|a_ij - a_ji| = {gap:.1e} of its row), so "
            "the factors belong to another matrix. Use adjoint.lu, or mend the assembly "
            "(boundary conditions put into rows but not into columns, a convection term)."
        )
