"""Constant and affine matrices: A(p) = A₀ + Σ_i p_i A_i, for a few parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import cotangent, require_length, shown
from ..factor.csc import as_csc
from ..typing import Array, SparseMatrix
from .patterns import entries_on, on_pattern, union_of_patterns


@dataclass(frozen=True, eq=False)
class Constant:
    """A(p) = A: a matrix that does not depend on p.

    Parameters
    ----------
    value : (n, n) sparse matrix
        A.

    Raises
    ------
    TypeError, ValueError, NonFinite
        If the value is not a square sparse matrix of finite numbers.
    """

    value: SparseMatrix

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", as_csc(self.value, "Constant: "))

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A."""
        return self.value

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return zeros, of u's shape."""
        return np.zeros_like(u)

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return zeros, of u's shape and (m,)."""
        return np.zeros_like(lam), np.zeros_like(p)

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class Affine(Portable):
    """A(p) = A₀ + Σ_i p_i A_i (docs/math/matrices_and_objectives.md, eq. 11).

    Parameters
    ----------
    base : (n, n) sparse matrix or None
        A₀; None if A₀ = 0.
    terms : list of (n, n) sparse matrices
        A₁, …, A_m, in units of A per unit of p_i.

    Raises
    ------
    TypeError
        If terms is not a list of matrices.
    ValueError
        If the shapes differ, or if there is no matrix; from a call, if p does not have
        m entries.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> A = adjoint.Affine(None, [sparse.eye_array(2), sparse.diags_array([1.0, 2.0])])
    >>> A(np.array([1.0, 10.0])).diagonal()
    array([11., 21.])
    """

    base: SparseMatrix | None
    terms: Sequence[SparseMatrix]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.terms, list | tuple):
            raise TypeError(
                f"Affine: got terms={shown(self.terms)}, expected a list of matrices: [A1, A2]"
            )
        if self.base is None and not self.terms:
            raise ValueError("Affine: got neither a base nor terms, expected at least one of them")
        object.__setattr__(
            self, "terms", tuple(as_csc(term, "Affine: terms: ") for term in self.terms)
        )
        base = (
            sparse.csc_array(self.terms[0].shape)
            if self.base is None
            else as_csc(self.base, "Affine: base: ")
        )
        object.__setattr__(self, "base", base)
        shapes = [matrix.shape for matrix in (self.base, *self.terms)]
        if len(set(shapes)) > 1:
            raise ValueError(f"Affine: got matrices of shapes {shapes}, expected equal shapes")

    @cached_property
    def _spread(self) -> tuple[sparse.csc_array, Array, Array]:
        """The union of the patterns, and on it the entries of A₀ (nnz,) and of all A_i (nnz, m)."""
        union = union_of_patterns([self.base, *self.terms])
        columns = [on_pattern(term, union) for term in self.terms]
        return union, on_pattern(self.base, union), np.array(columns).reshape(-1, union.nnz).T

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A(p), (n, n), on the union of the patterns."""
        require_length(p, len(self.terms), "Affine")
        union, base, columns = self._spread
        return sparse.csc_array(
            (base + columns @ p, union.indices, union.indptr), shape=union.shape
        )

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return g_i = λᴴ A_i u, (m,)."""
        return cotangent(
            np.array([np.sum(lam.conj() * (term @ u)) for term in self.terms], dtype=complex), p
        )

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return Σ_i ṗ_i A_i u, of u's shape."""
        require_length(p_dot, len(self.terms), "Affine")
        return np.asarray(
            sum(
                (rate * (term @ u) for rate, term in zip(p_dot, self.terms, strict=True)),
                np.zeros(u.shape),
            )
        )

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return (Σ_i ṗ_i A_i)ᴴ λ, of u's shape, and zeros, (m,)."""
        pairs = zip(np.conj(p_dot), self.terms, strict=True)
        applied = sum((rate * (term.T.conj() @ lam) for rate, term in pairs), np.zeros(lam.shape))
        return np.asarray(applied), np.zeros_like(p)

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return the gradient from h_i = Σ_jk conj(Ā_jk) (A_i)_jk, (m,)."""
        union, _, columns = self._spread
        return cotangent(columns.T @ entries_on(A_bar, union, "Affine").conj(), p)

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)
