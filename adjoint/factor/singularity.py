"""Whether a matrix is singular to working precision, asked where the cheap probe is in doubt.

See docs/math/verification.md, eq. 22a.

The question is put to the equilibrated matrix Â = R A C: units of equations and unknowns are not singular.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..typing import Array, Trans
from .backward_error import equilibrate, probe_vector, product

SUSPECT = 1e10
"""Condition as the probe sees it, from which the question is put. Of 10 000 exactly singular matrices factored in
rounding none was below 3·10¹²; the probe of a null vector in one unknown may see half of it, not less."""


SINGULAR = 1e14
"""‖v‖ / ‖Â v‖ from which a matrix is called singular: no scaling of rows and columns leaves more than two digits.
Measured: singular matrices of ten families and all backends ≥ 8·10¹⁴; regular ones of the same up to their condition,
which was up to 10¹²."""


UNITS = 1e6
"""Condition of the equilibrated matrix, as its own probe sees it, below which A was suspect for its units alone.
Factors of a matrix in rows of 10^±12 may be so inexact that a probe by them sees 8·10⁹ where A is singular."""


VECTORS = 8
"""Null vectors that a message looks for: a body in space has six motions."""


Solve = Callable[[Array, Trans], Array]
"""(b, trans) ↦ u for a block b (n, k), by factors, not verified."""


@dataclass(frozen=True, eq=False)
class Equilibrated:
    """Â = R A C by the factors of A: products and solves. r, c: (n,), the diagonals of R and C."""

    A: sparse.csc_array
    solve: Solve
    r: Array
    c: Array

    @classmethod
    def of(cls, A: sparse.csc_array, solve: Solve) -> "Equilibrated":
        """Â for A, equilibrated; where the magnitudes |a_ij| are symmetric, r = c."""
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
        """Âᴴ by the same factors."""
        A = sparse.csc_array(self.A.conj().T)
        return Equilibrated(
            A, lambda b, trans: self.solve(b, "H" if trans == "N" else "N"), self.c, self.r
        )

    def inverse(self, b: Array) -> Array:
        """Â⁻¹ b, (n, k), to a common factor: each column has the size 1."""
        return _normalized(self.solve(_normalized(b / self.r[:, None]), "N") / self.c[:, None])

    def adjoint_inverse(self, b: Array) -> Array:
        """Â⁻ᴴ b, (n, k), to a common factor."""
        return _normalized(self.solve(_normalized(b / self.c[:, None]), "H") / self.r[:, None])

    def polished(self, v: Array) -> Array:
        """(I − M Â) v, M ≈ Â⁻¹ by the factors: a null vector stays, whatever rounding has added to it goes."""
        image = self.times(v)
        return _normalized(v - self.solve(image / self.r[:, None], "N") / self.c[:, None])


def _normalized(v: Array) -> Array:
    """Each column divided by its 2-norm, without overflow; a column of zeros, nan or inf as it is."""
    largest = np.abs(v).max(axis=0)
    usable = (largest > 0.0) & (largest < np.inf)
    v = v / np.where(usable, largest, 1.0)
    norms = np.sqrt(np.einsum("ij,ij->j", v.conj(), v).real)
    return np.asarray(v / np.where(usable, norms, 1.0))


def condition_seen(matrix: Equilibrated) -> float:
    """A lower bound of ‖Â⁻¹‖₂ ≈ κ₂(Â), nearly reached if A is close to singular: max 1/‖Â v‖₂ over two unit vectors v.

    Inverse iteration from a random right-hand side: one solve by the factors if units alone made A suspect, else four;
    none is verified, for the bound holds whatever they return. inf for Â v = 0, and where solutions are not finite.
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
    """A basis of what A maps to zero, to working precision, (n, k), k ≤ VECTORS, and a lower bound of ‖Â⁻¹‖₂.

    In the units of the unknowns. Subspace iteration, for messages: its cost is of no account. k = 0 where it fails.
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
