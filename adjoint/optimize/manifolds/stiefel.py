"""Matrices with orthonormal columns."""

from dataclasses import dataclass

import numpy as np

from ... import dense
from ..._dataclasses import short_repr
from ..._validation import require_integer
from ...typing import Array
from .manifold import Moved
from .points import far_from, require_size


@dataclass(frozen=True, eq=False)
class Stiefel:
    """{X in ℝⁿˣᵏ: XᵀX = 1} with the metric of ℝⁿˣᵏ (docs/math/matrix_functions.md, eq. 393).

    x is X by rows: entry k i + j of x is X_ij, so that X = x.reshape(n, k). Retraction: the
    polar factor of X + V. Transport: projection. A function of the space spanned by the
    columns, as trace(XᵀAX), has the same value at X and at X Q; NewtonCG then has Hessians
    that are singular along the fibres, which does no harm.

    Parameters
    ----------
    n : int
        The number of rows.
    k : int
        The number of columns, at most n.

    Raises
    ------
    TypeError, ValueError
        If n and k are not integers with 1 ≤ k ≤ n.

    References
    ----------
    Absil, Mahony & Sepulchre (2008), Optimization Algorithms on Matrix Manifolds, sections
    3.3.2 and 4.1.1. Absil, Mahony & Trumpf (2013), An extrinsic look at the Riemannian
    Hessian, GSI 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.optimize.manifolds import Stiefel
    >>> X = Stiefel(4, 2).random_point(np.random.default_rng(0)).reshape(4, 2)
    >>> print(np.round(X.T @ X, 12))
    [[1. 0.]
     [0. 1.]]
    """

    n: int
    k: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("Stiefel", "n", self.n, 1)
        require_integer("Stiefel", "k", self.k, 1)
        if self.k > self.n:
            raise ValueError(f"Stiefel: got n={self.n}, k={self.k}, expected k ≤ n")

    @property
    def size(self) -> int:
        """n k."""
        return self.n * self.k

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless XᵀX = 1."""
        require_size(self, x, name)
        X = self._matrix(x)
        distance = float(np.linalg.norm(X.T @ X - np.eye(self.k)))
        far_from(self, name, distance, "np.linalg.qr(x.reshape(n, k)).Q.ravel()")

    def tangent(self, x: Array, v: Array) -> Array:
        """V − X sym(XᵀV)."""
        X, V = self._matrix(x), self._matrix(v)
        return np.asarray(V - X @ _symmetric(X.T @ V)).ravel()

    def gradient(self, x: Array, g: Array) -> Array:
        """G − X sym(XᵀG)."""
        return self.tangent(x, g)

    def covector(self, x: Array, v: Array) -> Array:
        """V."""
        return self.tangent(x, v)

    def retract(self, x: Array, v: Array) -> Moved:
        """The polar factor (X + V)(1 + VᵀV)^(−½)."""
        V = self._matrix(v)
        factors = dense.polar(self._matrix(x) + V)
        return Moved(factors.value.U.ravel(), factors.jvp(V).U.ravel())

    def transport(self, x: Array, y: Array, v: Array) -> Array:
        """V − Y sym(YᵀV)."""
        return self.tangent(y, v)

    def hessian(self, x: Array, g: Array, v: Array, Hv: Array) -> Array:
        """P (HV − V sym(XᵀG))."""
        X, G, V = self._matrix(x), self._matrix(g), self._matrix(v)
        return self.tangent(x, Hv - (V @ _symmetric(X.T @ G)).ravel())

    def random_point(self, rng: np.random.Generator) -> Array:
        """A point of uniform distribution."""
        return dense.polar(rng.standard_normal((self.n, self.k))).value.U.ravel()

    def _matrix(self, x: Array) -> Array:
        return np.reshape(x, (self.n, self.k))


def _symmetric(A: Array) -> Array:
    return np.asarray(0.5 * (A + A.T))
