"""Whether a matrix is singular to working precision, asked where the cheap probe is in doubt (docs/math.md, eq. 23).

The question is put to the equilibrated matrix Â = R A C: units of equations and unknowns are not singular.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array, Trans
from .accuracy import equilibrate, product

SUSPECT = 1e10
"""Condition as the probe sees it, from which the question is put. Of 10 000 exactly singular matrices factored in
rounding none was below 3·10¹²; the probe of a null vector in one unknown may see half of it, not less."""

SINGULAR = 1e14
"""‖v‖ / ‖Â v‖ from which a matrix is called singular: no scaling of rows and columns leaves more than two digits.
Measured: singular matrices of ten families and all backends ≥ 8·10¹⁴; regular ones of the same up to their condition,
which was up to 10¹²."""

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

    def height(self, v: Array, trans: Trans) -> float:
        """‖v̂‖₂/‖Â v̂‖₂ (or with Âᴴ) for v = C v̂ (or R v̂), (n, 1): a lower bound of ‖Â⁻¹‖₂; 0 if v is not finite."""
        rows, columns = (self.r, self.c) if trans == "N" else (self.c, self.r)
        with np.errstate(all="ignore"):
            v = _normalized(v / columns[:, None])
            image = float(np.linalg.norm(rows[:, None] * product(self.A, columns[:, None] * v, trans)))
        if not np.isfinite(v).all():
            return 0.0
        return 1.0 / image if image > 0.0 else np.inf

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


def condition_seen(matrix: Equilibrated, b: Array, w: Array, trans: Trans) -> float:
    """A lower bound of κ₂(Â)/‖Â‖₂, nearly reached if A is close to singular: max 1/‖Â v‖₂ over two unit vectors v.

    b, w: (n, 1), a random right-hand side and the solution of A w = b (or Aᵀ, Aᴴ), from which inverse iteration goes
    on: two or three solves by the factors, none verified, for the bound holds whatever they return. None at all where
    in these units w is not suspect. inf for Â v = 0, and for a w that is not finite.
    """
    if not np.isfinite(w).all():
        return np.inf
    rows, columns = (matrix.r, matrix.c) if trans == "N" else (matrix.c, matrix.r)
    with np.errstate(all="ignore"):
        w = w / columns[:, None]
        condition = float(np.abs(w).max() / np.abs(b * rows[:, None]).max())
        if condition < SUSPECT:
            return condition
        if trans == "N":
            left = matrix.adjoint_inverse(_normalized(w))
        else:
            left = _normalized(w.conj() if trans == "T" else w)
        v = matrix.inverse(left)
        c = matrix.c[:, None]
        return max(matrix.height(c * v, "N"), matrix.height(c * matrix.polished(v), "N"))


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
