"""Decide whether a matrix is singular to working precision.

See docs/math/verification.md, eq. 22a.

The decision is made for the equilibrated matrix Â = R A C: a choice of units for
equations and unknowns does not make a matrix singular. The decision takes additional
solves, and is made only if the probe of the first solve raises a suspicion.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..typing import Array, Trans
from .backward_error import equilibrate, probe_vector, product

SUSPECT = 1e10
"""Condition, as seen by the probe, from which a matrix is suspected to be singular. The
smallest value of 10 000 exactly singular matrices, factored with rounding, was 3·10¹².
A probe may underestimate by a factor of 2 if the null vector consists of one unknown,
not by more."""

SINGULAR = 1e14
"""‖v‖ / ‖Â v‖ from which a matrix is singular: no scaling of rows and columns leaves
more than two digits. Measured: ≥ 8·10¹⁴ for singular matrices of ten families with all
backends; for regular matrices of these families at most their condition, up to 10¹²."""

UNITS = 1e6
"""Condition of Â, as seen by its own probe, below which A was suspect only for its
units. Factors of a matrix with rows of size 10^±12 may be so inexact that a probe sees
8·10⁹ for a singular A."""

VECTORS = 8
"""Number of null vectors that a message looks for: a body in space has six rigid
motions."""

Solve = Callable[[Array, Trans], Array]
"""(b, trans) ↦ u for a block b (n, k), by factors, not verified."""


@dataclass(frozen=True, eq=False)
class Equilibrated:
    """Â = R A C: products, and solves with the factors of A. r, c: (n,), diagonals of R and C."""

    A: sparse.csc_array
    solve: Solve
    r: Array
    c: Array

    @classmethod
    def of(cls, A: sparse.csc_array, solve: Solve) -> "Equilibrated":
        """Equilibrate A; r = c if |a_ij| is symmetric."""
        magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
        r, c = equilibrate(magnitude, symmetric=False)
        return cls(A, solve, r, c)

    def times(self, v: Array) -> Array:
        """Â v, (n, k)."""
        return self.r[:, None] * product(self.A, self.c[:, None] * v, "N")

    def height(self, v: Array) -> float:
        """‖v̂‖₂/‖Â v̂‖₂ for v = C v̂, (n, 1): a lower bound of ‖Â⁻¹‖₂; 0 if v is not finite."""
        with np.errstate(all="ignore"):
            v = _normalized(v / self.c[:, None])
            image = float(np.linalg.norm(self.times(v)))
        if not np.isfinite(v).all():
            return 0.0
        return 1.0 / image if image > 0.0 else np.inf

    def transposed(self) -> "Equilibrated":
        """Âᴴ, with the same factors."""
        A = sparse.csc_array(self.A.conj().T)
        return Equilibrated(
            A, lambda b, trans: self.solve(b, "H" if trans == "N" else "N"), self.c, self.r
        )

    def inverse(self, b: Array) -> Array:
        """Â⁻¹ b, (n, k); each column is normalized."""
        return _normalized(self.solve(_normalized(b / self.r[:, None]), "N") / self.c[:, None])

    def adjoint_inverse(self, b: Array) -> Array:
        """Â⁻ᴴ b, (n, k); each column is normalized."""
        return _normalized(self.solve(_normalized(b / self.c[:, None]), "H") / self.r[:, None])

    def polished(self, v: Array) -> Array:
        """(I − M Â) v, normalized, M ≈ Â⁻¹. Rounding errors of a null vector v vanish."""
        image = self.times(v)
        return _normalized(v - self.solve(image / self.r[:, None], "N") / self.c[:, None])


def _normalized(v: Array) -> Array:
    """v with each column divided by its 2-norm, without overflow.

    Columns of zeros, and columns with nan or inf, are not divided.
    """
    largest = np.abs(v).max(axis=0)
    usable = (largest > 0.0) & (largest < np.inf)
    v = v / np.where(usable, largest, 1.0)
    norms = np.sqrt(np.einsum("ij,ij->j", v.conj(), v).real)
    return np.asarray(v / np.where(usable, norms, 1.0))


def condition_seen(matrix: Equilibrated) -> float:
    """A lower bound of ‖Â⁻¹‖₂ ≈ κ₂(Â): max 1/‖Â v‖₂ over two unit vectors v.

    The bound is sharp if A is close to singular. The vectors come from inverse
    iteration with a random right-hand side: one solve if A was suspect only for its
    units, else four. The solves need no verification, because every v gives a lower
    bound. Returns inf if Â v = 0, or if a solution is not finite.
    """
    b = probe_vector(matrix.r.size)[:, None]
    with np.errstate(all="ignore"):
        w = matrix.solve(b / matrix.r[:, None], "N") / matrix.c[:, None]
        condition = float(np.abs(w).max())
        if not condition < np.inf:
            return np.inf
        if condition < UNITS:
            return condition
        v = matrix.inverse(matrix.adjoint_inverse(w))
        c = matrix.c[:, None]
        return max(matrix.height(c * v), matrix.height(c * matrix.polished(v)))


def null_vectors(matrix: Equilibrated) -> tuple[Array, float]:
    """Null vectors of A, (n, k), k ≤ VECTORS, and a lower bound of ‖Â⁻¹‖₂.

    The vectors are in the units of the unknowns, and come from subspace iteration; k =
    0 if the iteration fails. The cost does not matter: null vectors are for error
    messages.
    """
    n = matrix.A.shape[0]
    block = np.random.default_rng(n).uniform(-1.0, 1.0, (n, min(n, VECTORS)))
    with np.errstate(all="ignore"):
        for step in (matrix.inverse, matrix.adjoint_inverse, matrix.inverse, matrix.polished):
            block = step(block)
            if not np.isfinite(block).all():
                return np.zeros((n, 0)), 0.0
            block = np.linalg.qr(block)[0]
        _, sizes, vectors = np.linalg.svd(matrix.times(block), full_matrices=False)
        basis = block @ vectors[sizes <= 1.0 / SINGULAR].conj().T
        return np.asarray(matrix.c[:, None] * basis), float(1.0 / sizes.min())
