"""Symmetric positive definite matrices with the affine-invariant metric."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg as linalg

from ..._dataclasses import short_repr
from ..._validation import require_integer
from ...errors import NotPositiveDefinite
from ...typing import Array
from .manifold import Moved
from .points import far_from, require_size


@dataclass(frozen=True, eq=False)
class SymmetricPositiveDefinite:
    """{X in ℝⁿˣⁿ: X = Xᵀ > 0} with ⟨V, W⟩ = tr(X⁻¹V X⁻¹W) (eq. 394).

    Equation 394 is that of docs/math/matrix_functions.md. x is X by rows: entry n i + j of x
    is X_ij; both triangles are stored, and gradients have entries for both. The metric does
    not change under X ↦ A X Aᵀ, so that the units of rows do not matter, and singular
    matrices are infinitely far. Retraction: X + V + ½ V X⁻¹ V, which is positive definite for
    all V. Transport: parallel, along the geodesic, E V Eᵀ with E = (Y X⁻¹)^½.

    Parameters
    ----------
    n : int
        The number of rows.

    Raises
    ------
    TypeError, ValueError
        If n is not a positive integer.
    NotPositiveDefinite
        In its methods, if X has become singular to working precision.

    References
    ----------
    Bhatia (2007), Positive Definite Matrices, chapter 6. Jeuris, Vandebril & Vandereycken
    (2012), Electron. Trans. Numer. Anal. 39, 379. Sra & Hosseini (2015), SIAM J. Optim. 25,
    713.
    """

    n: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("SymmetricPositiveDefinite", "n", self.n, 1)

    @property
    def size(self) -> int:
        """n²."""
        return self.n * self.n

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless X is symmetric and positive definite."""
        require_size(self, x, name)
        X = self._matrix(x)
        skew = float(np.abs(X - X.T).max() / (np.abs(X).max() or 1.0))
        far_from(self, name, skew, "0.5 * (X + X.T)")
        try:  # By Cholesky's factorization, which does not depend on the units of rows.
            self._factor(x)
        except NotPositiveDefinite:
            least, largest = np.linalg.eigvalsh(_symmetric(X))[[0, -1]]
            raise ValueError(
                f"{name}: got x with the eigenvalue {least:.3g} (the largest is {largest:.3g}), at "
                f"the distance {-least:.3g} from {self}, expected a positive definite matrix"
            ) from None

    def tangent(self, x: Array, v: Array) -> Array:
        """sym(V)."""
        return _symmetric(self._matrix(v)).ravel()

    def gradient(self, x: Array, g: Array) -> Array:
        """X sym(G) X."""
        X = self._matrix(x)
        return _symmetric(X @ _symmetric(self._matrix(g)) @ X).ravel()

    def covector(self, x: Array, v: Array) -> Array:
        """X⁻¹ V X⁻¹."""
        factor = self._factor(x)
        half = linalg.cho_solve(factor, self._matrix(v))
        return _symmetric(linalg.cho_solve(factor, half.T)).ravel()

    def retract(self, x: Array, v: Array) -> Moved:
        """X + V + ½ V X⁻¹ V."""
        X, V = self._matrix(x), self._matrix(v)
        bend = _symmetric(V @ linalg.cho_solve(self._factor(x), V))
        return Moved(_symmetric(X + V + 0.5 * bend).ravel(), (V + bend).ravel())

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """E V Eᵀ with E = (Y X⁻¹)^½ = L (L⁻¹ Y L⁻ᵀ)^½ L⁻¹, where X = L Lᵀ."""
        L = np.tril(self._factor(x)[0])
        half = linalg.solve_triangular(L, self._matrix(y), lower=True)
        inner = linalg.solve_triangular(L, half.T, lower=True)
        values, Q = np.linalg.eigh(_symmetric(inner))
        root = (Q * np.sqrt(np.maximum(values, 0.0))) @ Q.T
        E = linalg.solve_triangular(L, (L @ root).T, lower=True, trans="T").T
        return _symmetric(E @ self._matrix(v) @ E.T).ravel()

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """sym(HV) + sym(X⁻¹ V sym(G))."""
        G, V = _symmetric(self._matrix(g)), self._matrix(v)
        bend = linalg.cho_solve(self._factor(x), V @ G)
        return (_symmetric(self._matrix(Hv)) + _symmetric(bend)).ravel()

    def random_point(self, rng: np.random.Generator) -> Array:
        """exp of a symmetric matrix with independent normal entries."""
        values, Q = np.linalg.eigh(_symmetric(rng.standard_normal((self.n, self.n))))
        return _symmetric((Q * np.exp(values)) @ Q.T).ravel()

    def _matrix(self, x: Array) -> Array:
        return np.reshape(x, (self.n, self.n))

    def _factor(self, x: Array) -> tuple[Array, bool]:
        try:
            L, lower = linalg.cho_factor(self._matrix(x), lower=True)
        except linalg.LinAlgError as error:
            raise NotPositiveDefinite(
                f"{self}: a point has become singular to working precision ({error}). Usual "
                "cause: the minimum is at a singular matrix, which the manifold excludes"
            ) from None
        return L, bool(lower)


def _symmetric(A: Array) -> Array:
    return np.asarray(0.5 * (A + A.T))
