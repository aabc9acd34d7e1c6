"""Any matrix on a fixed pattern, from a function that computes its entries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from .._validation import as_array, cotangent, require_function
from ..errors import NonFinite
from ..factor.csc import SparseMatrix, as_csc, columns_of
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Entries:
    """A(p) with A.data = values(p) on a fixed sparsity pattern.

    pattern: (n, n), sparse, in canonical format once converted to csc; its values do not matter, and entries
    stored as zero belong to it. values: p ↦ (nnz,), in the order of the csc pattern's data.
    pullback: (p, data_bar) ↦ (∂values/∂p)ᴴ data_bar, (m,). pushforward: (p, p_dot) ↦ (∂values/∂p) ṗ, (nnz,).
    pullback_rate: (p, data_bar, p_dot) ↦ the derivative of p ↦ pullback(p, data_bar) along ṗ, (m,); Hessian–vector
    products alone need it, and raise TypeError without it.

    Raises ValueError where values or pullback return another shape, NonFinite where values returns nan.
    """

    pattern: SparseMatrix
    values: Callable[[Array], Array]
    pullback: Callable[[Array, Array], Array]
    pushforward: Callable[[Array, Array], Array]
    pullback_rate: Callable[[Array, Array, Array], Array] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", as_csc(self.pattern, "Entries: pattern: "))
        for name in ("values", "pullback", "pushforward", "pullback_rate"):
            if name in ("values", "pullback") or getattr(self, name) is not None:
                require_function(
                    "Entries", name, getattr(self, name), "a function of p: see the docstring"
                )

    def _entries(self, data: Array, what: str) -> sparse.csc_array:
        data = as_array("Entries", what, data)
        if np.shape(data) != (self.pattern.nnz,):
            raise ValueError(
                f"Entries: {what} returned shape {np.shape(data)}, expected ({self.pattern.nnz},)"
            )
        if not np.isfinite(data).all():
            raise NonFinite(
                f"Entries: {what} returned nan or inf at entry {np.flatnonzero(~np.isfinite(data))[0]}"
            )
        return sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), (n, n)."""
        return self._entries(self.values(p), "values")

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """The pullback of data_bar_ij = λ_i conj(u_j), (m,) (docs/math.md, eq. 12)."""
        return self._pulled_back("pullback", self.pullback(p, self._data_bar(u, lam)), p)

    def _data_bar(self, u: Array, lam: Array) -> Array:
        """λ_i conj(u_j) on the pattern, (nnz,)."""
        rows, columns = self.pattern.indices, columns_of(self.pattern)
        shape = (u.shape[0], -1)
        pairs = zip(u.reshape(shape).T, lam.reshape(shape).T, strict=True)
        return np.asarray(sum(w[rows] * v.conj()[columns] for v, w in pairs))

    def _pulled_back(self, what: str, returned: Array, p: Array) -> Array:
        g = as_array("Entries", what, returned)
        if g.shape != p.shape:
            raise ValueError(f"Entries: {what} returned shape {g.shape}, expected {p.shape}")
        return cotangent(g.conj(), p)

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """(∂A/∂p ṗ) u, of u's shape."""
        require_function(
            "Entries", "pushforward", self.pushforward, "(p, p_dot) ↦ the rates of the entries"
        )
        return np.asarray(self._entries(self.pushforward(p, p_dot), "pushforward") @ u)

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """((∂A/∂p ṗ)ᴴ λ, the pullback's rate), of u's shape and (m,); TypeError without `pullback_rate`."""
        if self.pullback_rate is None:
            raise TypeError(
                "Entries: a Hessian–vector product needs pullback_rate=(p, data_bar, p_dot) ↦ the derivative of "
                "p ↦ pullback(p, data_bar) along p_dot; zeros where values is linear"
            )
        A_dot = self._entries(self.pushforward(p, p_dot), "pushforward")
        rate = self.pullback_rate(p, self._data_bar(u, lam), p_dot)
        return np.asarray(A_dot.T.conj() @ lam), self._pulled_back("pullback_rate", rate, p)
