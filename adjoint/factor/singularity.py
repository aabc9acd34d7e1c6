"""Decide whether a matrix is singular to working precision.

See docs/math/verification.md, eq. 22a.

The decision is made for the equilibrated matrix Â = R A C, so that it does not depend
on the units of equations and unknowns. The decision needs additional solves. Therefore
it is made only if the probe, a solve with a random right-hand side (see
`factorization.py`), has a large solution.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..typing import Array, Trans
from .backward_error import equilibrate, probe_vector, product

SUSPECT = 1e10
"""Lower bound of the condition number by the probe, above which a matrix may be singular.
The smallest bound of 10 000 exactly singular matrices, factored with rounding, was
3·10¹². If the null vector has one nonzero entry, the probe may underestimate the
condition number by a factor of at most 2.
"""

SINGULAR = 1e14
"""‖v‖ / ‖Â v‖ above which a matrix is singular: whatever the scaling of rows and columns, a
solution has at most two correct digits. Measured for ten families of matrices and all
backends: at least 8·10¹⁴ for singular matrices, at most 10¹² for regular matrices."""

WELL_CONDITIONED = 1e6
"""Bound of the condition of Â by a probe of Â, below which A is regular and only badly
scaled. The limit is low: factors of a matrix with rows of size 10^±12 may be so inexact
that the probe of a singular Â gives 8·10⁹."""

MAX_NULL_VECTORS = 8
"""Maximum number of null vectors that are computed for a message: a body in space has six
rigid motions."""

Solve = Callable[[Array, Trans], Array]
"""Function (b, trans) ↦ u that solves by factors for b (n, k), without verification."""


@dataclass(frozen=True, eq=False)
class Equilibrated:
    """The equilibrated matrix Â = R A C: products with Â, and solves with Â by the factors of A.

    solve: the function that solves with A, Aᵀ or Aᴴ, without verification. r, c: the
    diagonals of R and C, (n,).
    """

    A: sparse.csc_array
    solve: Solve
    r: Array
    c: Array

    @classmethod
    def of(cls, A: sparse.csc_array, solve: Solve) -> "Equilibrated":
        """Equilibrate A by R = diag(r) and C = diag(c); r = c if |a_ij| is symmetric."""
        magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
        r, c = equilibrate(magnitude, symmetric=False)
        return cls(A, solve, r, c)

    def times(self, v: Array) -> Array:
        """Return Â v for v (n, k)."""
        return self.r[:, None] * product(self.A, self.c[:, None] * v, "N")

    def inverse_bound(self, v: Array) -> float:
        """‖v̂‖₂/‖Â v̂‖₂ with v̂ = C⁻¹v, v (n, 1): a lower bound of ‖Â⁻¹‖₂. 0 if v is not finite."""
        with np.errstate(all="ignore"):
            v = _normalized(v / self.c[:, None])
            image = float(np.linalg.norm(self.times(v)))
        if not np.isfinite(v).all():
            return 0.0
        return 1.0 / image if image > 0.0 else np.inf

    def transposed(self) -> "Equilibrated":
        """Return Âᴴ as an `Equilibrated` matrix that solves with the same factors of A."""
        A = sparse.csc_array(self.A.conj().T)
        return Equilibrated(
            A, lambda b, trans: self.solve(b, "H" if trans == "N" else "N"), self.c, self.r
        )

    def inverse_step(self, b: Array) -> Array:
        """Do a step of inverse iteration with Â: return Â⁻¹ b, (n, k), with normalized columns."""
        return _normalized(self.solve(_normalized(b / self.r[:, None]), "N") / self.c[:, None])

    def adjoint_inverse_step(self, b: Array) -> Array:
        """Do a step of inverse iteration with Âᴴ: return Â⁻ᴴ b, (n, k), with normalized columns."""
        return _normalized(self.solve(_normalized(b / self.c[:, None]), "H") / self.r[:, None])

    def refined(self, v: Array) -> Array:
        """Return (I − M Â) v, (n, k), with normalized columns; M ≈ Â⁻¹ are solves by the factors.

        If a column of v is a null vector with rounding errors, these errors become
        smaller.
        """
        image = self.times(v)
        return _normalized(v - self.solve(image / self.r[:, None], "N") / self.c[:, None])


def _normalized(v: Array) -> Array:
    """Return v with each column divided by its 2-norm; the norms do not overflow.

    Columns of zeros, and columns that contain nan or inf, are not divided.
    """
    largest = np.abs(v).max(axis=0)
    usable = (largest > 0.0) & (largest < np.inf)
    v = v / np.where(usable, largest, 1.0)
    norms = np.sqrt(np.einsum("ij,ij->j", v.conj(), v).real)
    return np.asarray(v / np.where(usable, norms, 1.0))


def condition_seen(matrix: Equilibrated) -> float:
    """A lower bound of ‖Â⁻¹‖₂ ≈ κ₂(Â): max 1/‖Â v‖₂ over two unit vectors v.

    The bound is sharp if A is close to singular. The vectors come from inverse
    iteration with a random right-hand side. The first solve is a probe of Â: if the
    bound from the probe shows that A is only badly scaled, this bound is returned.
    Otherwise three more solves follow. The solves need no verification, because every v
    gives a lower bound. Returns inf if Â v = 0, or if a solution is not finite.
    """
    b = probe_vector(matrix.r.size)[:, None]
    with np.errstate(all="ignore"):
        w = matrix.solve(b / matrix.r[:, None], "N") / matrix.c[:, None]
        condition = float(np.abs(w).max())
        if not condition < np.inf:
            return np.inf
        if condition < WELL_CONDITIONED:
            return condition
        v = matrix.inverse_step(matrix.adjoint_inverse_step(w))
        c = matrix.c[:, None]
        return max(matrix.inverse_bound(c * v), matrix.inverse_bound(c * matrix.refined(v)))


def null_vectors(matrix: Equilibrated) -> tuple[Array, float]:
    """Return null vectors of A, (n, k), k ≤ MAX_NULL_VECTORS, and a lower bound of ‖Â⁻¹‖₂.

    The vectors are in the units of the unknowns, and come from subspace iteration. If the
    iteration fails, k = 0 and the bound is 0. The cost does not matter: null vectors are
    computed for error messages only.
    """
    n = matrix.A.shape[0]
    block = np.random.default_rng(n).uniform(-1.0, 1.0, (n, min(n, MAX_NULL_VECTORS)))
    with np.errstate(all="ignore"):
        for step in (
            matrix.inverse_step,
            matrix.adjoint_inverse_step,
            matrix.inverse_step,
            matrix.refined,
        ):
            block = step(block)
            if not np.isfinite(block).all():
                return np.zeros((n, 0)), 0.0
            block = np.linalg.qr(block)[0]
        _, sizes, vectors = np.linalg.svd(matrix.times(block), full_matrices=False)
        basis = block @ vectors[sizes <= 1.0 / SINGULAR].conj().T
        bound = 1.0 / abs(sizes.min())  # LAPACK may return -0.0.
        return np.asarray(matrix.c[:, None] * basis), float(bound)
