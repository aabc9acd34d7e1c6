"""Any matrix on a fixed pattern, from a function that computes its entries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.errors import NonFinite
from ..factor.matrix import SparseMatrix, as_csc, columns_of
from ..parameters import cotangent


@dataclass(frozen=True, eq=False)
class Entries:
    """A(p) with A.data = values(p) on a fixed sparsity pattern.

    pattern: (n, n), sparse, in canonical format once converted to csc; its values do not matter, and entries
    stored as zero belong to it. values: p ↦ (nnz,), in the order of the csc pattern's data.
    pullback: (p, data_bar) ↦ (∂values/∂p)ᴴ data_bar, (m,). pushforward: (p, p_dot) ↦ (∂values/∂p) ṗ, (nnz,).

    Raises ValueError where values or pullback return another shape, NonFinite where values returns nan.
    """

    pattern: SparseMatrix
    values: Callable[[Array], Array]
    pullback: Callable[[Array, Array], Array]
    pushforward: Callable[[Array, Array], Array]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", as_csc(self.pattern))

    def _entries(self, data: Array, what: str) -> sparse.csc_array:
        if np.shape(data) != (self.pattern.nnz,):
            raise ValueError(f"Entries: {what} returned shape {np.shape(data)}, expected ({self.pattern.nnz},)")
        if not np.isfinite(data).all():
            raise NonFinite(f"Entries: {what} returned nan or inf at entry {np.flatnonzero(~np.isfinite(data))[0]}")
        return sparse.csc_array((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), (n, n)."""
        return self._entries(self.values(p), "values")

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """The pullback of data_bar_ij = λ_i conj(u_j), (m,) (docs/math.md, eq. 12)."""
        rows, columns = self.pattern.indices, columns_of(self.pattern)
        shape = (u.shape[0], -1)
        pairs = zip(u.reshape(shape).T, lam.reshape(shape).T, strict=True)
        data_bar = sum(w[rows] * v.conj()[columns] for v, w in pairs)
        g = np.asarray(self.pullback(p, np.asarray(data_bar)))
        if g.shape != p.shape:
            raise ValueError(f"Entries: pullback returned shape {g.shape}, expected {p.shape}")
        return cotangent(g.conj(), p)

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """(∂A/∂p ṗ) u, of u's shape."""
        return np.asarray(self._entries(self.pushforward(p, p_dot), "pushforward") @ u)
