"""Adjoint states without a solve: from a cache, or as combinations of earlier solutions.

The usual case is the compliance J = bᵀu of a symmetric problem A u = b. Then ∂J/∂u = b,
and the adjoint state is λ = u (docs/math/steady.md, eq. 8).
"""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from .._numerics import column_maxima
from ..factor.evidence import Evidence
from ..factor.factorization import Factorization
from ..protocols import Inverse
from ..typing import Array, Trans
from .dirichlet import DirichletInverse

IN_SPAN = 1e-14
"""Distance of a right-hand side from the span of earlier right-hand sides, relative to the
right-hand side, below which the distance is rounding error."""

_TINY = float(np.finfo(float).tiny)
"""Lower limit of divisors, against a division by zero."""


@dataclass(eq=False)
class CachedAdjoint:
    """An inverse that caches its last adjoint solve.

    If λ and then the gradient are computed, both together cost one solve.

    The cache holds the right-hand side and the solution of the last solve with Aᴴ.
    Several threads may use the object at once: a thread may repeat a solve that another
    thread has done, but never gets a wrong λ.
    """

    inverse: Inverse
    _last: tuple[Array, Array] | None = field(default=None, init=False, repr=False)

    @property
    def evidence(self) -> Evidence:
        """The evidence of the inverse."""
        return self.inverse.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with A ("N"), Aᵀ ("T") or Aᴴ ("H"); b: (n,) or (n, k)."""
        if trans == "N":
            return self.inverse.solve(b)
        if trans == "T":
            return self.solve(b.conj(), "H").conj()
        last = self._last
        if last is not None and np.array_equal(last[0], b):
            return last[1]
        lam = self.inverse.solve(b, "H")
        lam.setflags(write=False)  # The user's vjp receives λ, and must not modify the cache.
        # Only one solve is cached. A solve takes two vectors of memory, and another objective
        # usually needs another λ.
        self._last = (b.copy(), lam)
        return lam


@dataclass(eq=False)
class SpanReuse:
    """A factorization whose adjoint solves combine the solutions of earlier forward solves.

    The object remembers b and u of two solves A u = b: the first solve, and, if A is
    stated to be symmetric, the last solve whose b has at most as many columns as the
    first b. If the right-hand side of an adjoint solve lies in the span of the columns
    of a remembered b, the solution is a combination of the columns of u, and costs no
    solve.

    The first solve gives the state. The last solve gives a tangent of the state: for a
    compliance, the second adjoint equation has the right-hand side of this tangent.
    """

    factorization: Factorization
    _first: tuple[Array, Array] | None = field(default=None, init=False, repr=False)
    _last: tuple[Array, Array] | None = field(default=None, init=False, repr=False)

    @property
    def evidence(self) -> Evidence:
        """The evidence of the factorization."""
        return self.factorization.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with A ("N"), Aᵀ ("T") or Aᴴ ("H"); b: (n,) or (n, k)."""
        if trans == "N":
            u = self.factorization.solve(b)
            if self._first is None:
                self._first = (b.copy(), u)
            elif self.factorization.symmetry != "none" and b.size <= self._first[0].size:
                self._last = (b.copy(), u)
            return u
        if trans == "T":
            return self.solve(b.conj(), "H").conj()
        lam = self._from_memory(b)
        return self.factorization.solve(b, "H") if lam is None else lam

    def _from_memory(self, u_bar: Array) -> Array | None:
        """Solve Aᴴ λ = ū by a combination of remembered solutions; None if ū is not in a span."""
        if self.factorization.symmetry == "none":
            return None
        for remembered in (self._first, self._last):
            if remembered is not None:
                lam = self._combined(*remembered, u_bar)
                if lam is not None:
                    return lam
        return None

    def _combined(self, b: Array, u: Array, u_bar: Array) -> Array | None:
        """Return λ = u c with Aᴴ λ = ū if there is a c with ū = b c; otherwise None.

        b, u: right-hand side and solution of a remembered solve A u = b.
        """
        n, shape = u_bar.shape[0], u_bar.shape
        b, u, u_bar = b.reshape(n, -1), u.reshape(n, -1), u_bar.reshape(n, -1)
        if self.factorization.symmetry == "symmetric":  # Aᴴ = conj(A): Aᴴ conj(u) = conj(b).
            b, u = b.conj(), u.conj()
        c = _coefficients(b, u_bar)
        if c is None:
            return None
        lam = _times(u, c)
        # A probed factorization has the stated symmetry, so that λ is accurate. Otherwise λ
        # is verified.
        if self.factorization.probed or self.factorization.accepts(lam, u_bar, "H"):
            return lam.reshape(shape)
        return None


def undecorated(inverse: Inverse) -> tuple[Factorization, Array | None, sparse.csc_array | None]:
    """Return (the factorization of A or A_ff, the free unknowns, A) of an inverse of A.

    The free unknowns and A are None without Dirichlet data. Raises TypeError if the inverse
    is not that of a linear problem.
    """
    free, A = None, None
    if isinstance(inverse, DirichletInverse):
        free, A, inverse = inverse.free, inverse.A, inverse.inner
    if isinstance(inverse, CachedAdjoint):
        inverse = inverse.inverse
    if isinstance(inverse, SpanReuse):
        inverse = inverse.factorization
    if not isinstance(inverse, Factorization):
        raise TypeError(f"got {type(inverse).__name__}, expected the factors of a linear problem")
    return inverse, free, A


def _coefficients(b: Array, u_bar: Array) -> Array | None:
    """Return c, (k, j), with ū = b c up to rounding; None if no such c exists.

    b: (n, k); ū: (n, j).

    c is the least-squares solution, by the normal equations of the scaled columns.
    """
    b_max = np.maximum(column_maxima(b), _TINY)
    u_bar_max = np.maximum(column_maxima(u_bar), _TINY)
    # Columns are scaled first: squares would overflow for right-hand sides above 10¹⁵⁴.
    scaled, right = b / b_max, u_bar / u_bar_max
    if b.shape[1] == 1:
        conjugate = scaled.conj()
        c = np.sum(conjugate * right, axis=0, keepdims=True) / np.maximum(
            np.sum(conjugate * scaled), _TINY
        )
    else:
        c = np.linalg.lstsq(scaled.conj().T @ scaled, scaled.conj().T @ right)[0]
    c = c * u_bar_max / b_max[:, None]
    return c if np.all(column_maxima(u_bar - _times(b, c)) <= IN_SPAN * u_bar_max) else None


def _times(b: Array, c: Array) -> Array:
    """Return b c, (n, j).

    If b has one column, BLAS is not used (see `adjoint._numerics.dot`).
    """
    return b * c if b.shape[1] == 1 else np.asarray(b @ c)
