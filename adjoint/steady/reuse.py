"""Right-hand sides already solved for, and those that they span: their solutions cost no solve.

For a compliance J = bᵀu of a symmetric problem ∂J/∂u = b, so that λ = u (docs/math/steady.md,
eq. 8).
"""

from dataclasses import dataclass, field

import numpy as np

from ..factor.evidence import Evidence
from ..factor.factorization import Factorization
from ..protocols import Inverse
from ..typing import Array, Trans

SPANNED = 1e-14
"""Relative distance of a right-hand side to the span, above which it is solved for: some ulps of a sum."""


_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class CachedAdjoint:
    """An inverse that remembers its last adjoint solve: asked for λ, then for the gradient, it solves once."""

    inverse: Inverse
    _adjoint: list[tuple[Array, Array]] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence:
        """That of the inverse."""
        return self.inverse.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k); see `Factorization.solve`."""
        if trans == "N":
            return self.inverse.solve(b)
        if trans == "T":
            return self.solve(b.conj(), "H").conj()
        for known, lam in self._adjoint:
            if np.array_equal(known, b):
                return lam
        lam = self.inverse.solve(b, "H")
        lam.setflags(write=False)  # The physics' vjp sees it.
        # One block only: the next objective mostly asks for another, and each holds two full vectors.
        self._adjoint[:] = [(b.copy(), lam)]
        return lam


@dataclass(frozen=True, eq=False)
class SpanReuse:
    """A factorization that remembers its first solve A u = b, and its last one of no more columns.

    Both are recombined for adjoint right-hand sides in the span of b where A is stated to be symmetric or Hermitian:
    the last one is the tangent, whose right-hand side the second adjoint of a compliance has as well.
    """

    factorization: Factorization
    _forward: list[tuple[Array, Array]] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence:
        """That of the factorization."""
        return self.factorization.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k); see `Factorization.solve`."""
        if trans == "N":
            u = self.factorization.solve(b)
            if not self._forward or (
                self.factorization.symmetry != "none" and b.size <= self._forward[0][0].size
            ):
                self._forward[1:] = [
                    (b.copy(), u)
                ]  # The first goes to the beginning of an empty list.
            return u
        if trans == "T":
            return self.solve(b.conj(), "H").conj()
        recombined = self._recombined(b)
        return self.factorization.solve(b, "H") if recombined is None else recombined

    def _recombined(self, u_bar: Array) -> Array | None:
        """λ = u c for ū = b c, if A is stated to be symmetric and c exists; None otherwise."""
        known = self._forward if self.factorization.symmetry != "none" else []
        found = (self._combined(b, u, u_bar) for b, u in known)
        return next((lam for lam in found if lam is not None), None)

    def _combined(self, b: Array, u: Array, u_bar: Array) -> Array | None:
        """λ = u c for ū = b c, or None."""
        n = u_bar.shape[0]
        b, u = b.reshape(n, -1), u.reshape(n, -1)
        if self.factorization.symmetry == "symmetric":  # Aᴴ is the conjugate of A
            b, u = b.conj(), u.conj()
        c = _coefficients(b, u_bar)
        if c is None:
            return None
        lam = _times(u, c)
        # A probed factorization has shown that A u = b, and that A is as stated; any other is asked once more.
        return (
            lam
            if self.factorization.probed or self.factorization.accepts(lam, u_bar, "H")
            else None
        )


def _coefficients(b: Array, u_bar: Array) -> Array | None:
    """c, (k, j), with ū = b c to rounding; None if there is none. b: (n, k), ū: (n, j)."""
    size, height = np.maximum(_largest(b), _TINY), np.maximum(_largest(u_bar), _TINY)
    # Divided, for the squares in the Gram matrix overflow for loads above 10¹⁵⁴.
    columns, wanted = b / size, u_bar / height
    if b.shape[1] == 1:
        dual = columns.conj()
        c = np.sum(dual * wanted, axis=0, keepdims=True) / np.maximum(np.sum(dual * columns), _TINY)
    else:
        c = np.linalg.lstsq(columns.conj().T @ columns, columns.conj().T @ wanted)[0]
    c = c * height / size[:, None]
    return c if np.all(_largest(u_bar - _times(b, c)) <= SPANNED * height) else None


def _times(b: Array, c: Array) -> Array:
    """b c; without BLAS where b is one column (see `adjoint._numerics.dot`)."""
    return b * c if b.shape[1] == 1 else np.asarray(b @ c)


def _largest(v: Array) -> Array:
    return np.abs(v).max(axis=0)
