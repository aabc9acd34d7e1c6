"""Reuse solutions: adjoint states that are cached, or combinations of solutions.

For a compliance J = bᵀu of a symmetric problem ∂J/∂u = b, so that λ = u
(docs/math/steady.md, eq. 8).
"""

from dataclasses import dataclass, field

import numpy as np

from .._numerics import column_maxima
from ..factor.evidence import Evidence
from ..factor.factorization import Factorization
from ..protocols import Inverse
from ..typing import Array, Trans

SPANNED = 1e-14
"""Distance of a right-hand side from the span of earlier right-hand sides, relative to
its size, up to which the distance counts as rounding error."""

_TINY = float(np.finfo(float).tiny)


@dataclass(eq=False)
class CachedAdjoint:
    """An inverse with a memory of one adjoint solve: λ, and then the gradient, cost one solve.

    It remembers the right-hand side and the solution of its last solve with Aᴴ. Threads
    may share it: they may solve once more than necessary, but never get a wrong λ.
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
        lam.setflags(write=False)  # The user's vjp sees λ.
        # One solve only: another objective mostly needs another λ, and each takes two
        # vectors.
        self._last = (b.copy(), lam)
        return lam


@dataclass(eq=False)
class SpanReuse:
    """A factorization with a memory of two solves, which it combines for adjoint solves.

    It remembers b and u of its first solve A u = b. If A is stated to be symmetric, it
    also remembers the last solve with at most as many columns. An adjoint solve whose
    right-hand side lies in the span of a remembered b is a combination of the columns
    of u.

    The first solve is that of the state. The last one is that of a tangent, whose
    right-hand side is also the right-hand side of the second adjoint of a compliance.
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
        recombined = self._recombined(b)
        return self.factorization.solve(b, "H") if recombined is None else recombined

    def _recombined(self, u_bar: Array) -> Array | None:
        """λ as a combination of remembered solutions; None if this is not possible."""
        if self.factorization.symmetry == "none":
            return None
        for known in (self._first, self._last):
            if known is not None and (lam := self._combined(*known, u_bar)) is not None:
                return lam
        return None

    def _combined(self, b: Array, u: Array, u_bar: Array) -> Array | None:
        """λ = u c if ū = b c for some c; otherwise None."""
        n = u_bar.shape[0]
        b, u = b.reshape(n, -1), u.reshape(n, -1)
        if self.factorization.symmetry == "symmetric":  # Aᴴ is the conjugate of A.
            b, u = b.conj(), u.conj()
        c = _coefficients(b, u_bar)
        if c is None:
            return None
        lam = _times(u, c)
        # If the factorization was probed, A u = b and A is as stated. Otherwise λ is
        # verified.
        return (
            lam
            if self.factorization.probed or self.factorization.accepts(lam, u_bar, "H")
            else None
        )


def _coefficients(b: Array, u_bar: Array) -> Array | None:
    """c, (k, j), with ū = b c up to rounding, for b (n, k) and ū (n, j); None if no c exists."""
    size, height = np.maximum(column_maxima(b), _TINY), np.maximum(column_maxima(u_bar), _TINY)
    # Divided first: squares in the Gram matrix would overflow for loads above 10¹⁵⁴.
    columns, wanted = b / size, u_bar / height
    if b.shape[1] == 1:
        dual = columns.conj()
        c = np.sum(dual * wanted, axis=0, keepdims=True) / np.maximum(np.sum(dual * columns), _TINY)
    else:
        c = np.linalg.lstsq(columns.conj().T @ columns, columns.conj().T @ wanted)[0]
    c = c * height / size[:, None]
    return c if np.all(column_maxima(u_bar - _times(b, c)) <= SPANNED * height) else None


def _times(b: Array, c: Array) -> Array:
    """b c; without BLAS if b is one column (see `adjoint._numerics.dot`)."""
    return b * c if b.shape[1] == 1 else np.asarray(b @ c)
