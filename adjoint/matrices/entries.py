"""Matrices on a fixed pattern, from a function that computes their entries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._validation import as_array, cotangent, first_nonfinite, require_function
from ..errors import NonFinite
from ..factor.csc import as_csc, columns_of
from ..typing import Array, SparseMatrix
from .patterns import entries_on


@dataclass(frozen=True, eq=False)
class Entries:
    """A(p) with A.data = values(p), on a fixed sparsity pattern.

    Parameters
    ----------
    pattern : (n, n) sparse matrix
        The pattern. Its values are not used; stored zeros belong to the pattern.
    values : callable
        values(p), (nnz,): the entries, in the order of `csc_array(pattern).data`.
    pullback : callable
        pullback(p, data_bar) = (∂values/∂p)ᴴ data_bar, (m,).
    pushforward : callable
        pushforward(p, p_dot) = ∂values/∂p ṗ, (nnz,).
    pullback_rate : callable, optional
        pullback_rate(p, data_bar, p_dot), the derivative of p ↦ pullback(p, data_bar)
        along ṗ, (m,). Only Hessian-vector products need it.

    Raises
    ------
    TypeError
        If a function is not callable; from `hvp`, if there is no pullback_rate.
    ValueError
        From the methods, if a function returns another shape.
    NonFinite
        From the methods, if a function returns nan or inf.
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
        if bad := first_nonfinite(data):
            raise NonFinite(f"Entries: {what} returned nan or inf at entry {bad[0]}")
        return sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A(p), (n, n)."""
        return self._entries(self.values(p), "values")

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return pullback(p, data_bar), (m,), with data_bar_ij = λ_i conj(u_j).

        See docs/math/matrices_and_objectives.md, eq. 12.
        """
        return self._pulled_back("pullback", self.pullback(p, self._data_bar(u, lam)), p)

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return pullback(p, Ā.data), (m,)."""
        data_bar = entries_on(A_bar, self.pattern, "Entries")
        return self._pulled_back("pullback", self.pullback(p, data_bar), p)

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return pullback_rate(p, Ā.data, ṗ), (m,)."""
        rate = self._required_rate()(p, entries_on(A_bar, self.pattern, "Entries"), p_dot)
        return self._pulled_back("pullback_rate", rate, p)

    def _data_bar(self, u: Array, lam: Array) -> Array:
        """Return λ_i conj(u_j) for the entries (i, j) of the pattern, (nnz,)."""
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
        """Return (∂A/∂p ṗ) u, of u's shape."""
        require_function(
            "Entries", "pushforward", self.pushforward, "(p, p_dot) ↦ the rates of the entries"
        )
        return np.asarray(self._entries(self.pushforward(p, p_dot), "pushforward") @ u)

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return (∂A/∂p ṗ)ᴴ λ, of u's shape, and the rate of `vjp` along ṗ, (m,), λ and u fixed."""
        pullback_rate = self._required_rate()
        A_dot = self._entries(self.pushforward(p, p_dot), "pushforward")
        rate = pullback_rate(p, self._data_bar(u, lam), p_dot)
        return np.asarray(A_dot.T.conj() @ lam), self._pulled_back("pullback_rate", rate, p)

    def _required_rate(self) -> Callable[[Array, Array, Array], Array]:
        """Return `pullback_rate`; raise TypeError if there is none."""
        if self.pullback_rate is None:
            raise TypeError(
                "Entries: a Hessian–vector product needs pullback_rate=(p, data_bar, p_dot) ↦ the "
                "derivative of p ↦ pullback(p, data_bar) along p_dot; zeros if values is linear"
            )
        return self.pullback_rate
