"""Right-hand sides already solved for, and those that they span: their solutions cost no solve.

For a compliance J = bᵀu of a symmetric problem ∂J/∂u = b, so that λ = u (docs/math.md, eq. 8).
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .arrays import Array, Trans
from .factor import Evidence, Factorization

SPANNED = 1e-14
"""Relative distance of a right-hand side to the span, above which it is solved for: some ulps of a sum."""


_TINY = float(np.finfo(float).tiny)


class Inverse(Protocol):
    """A factored Jacobian."""

    @property
    def evidence(self) -> Evidence:
        """How it was factored, and how well it solved."""

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k), with the matrix, its transpose or its conjugate transpose."""


@dataclass(frozen=True, eq=False)
class Remembering:
    """A factorization that remembers its first solve and its last adjoint one, and solves no system twice.

    What A u = b gave is recombined for adjoint right-hand sides in the span of b where A is stated to be
    symmetric or Hermitian.
    """

    factorization: Factorization
    _forward: list[tuple[Array, Array]] = field(default_factory=list)
    _adjoint: list[tuple[Array, Array]] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence:
        """That of the factorization."""
        return self.factorization.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k); see `Factorization.solve`."""
        if trans == "N":
            u = self.factorization.solve(b)
            if not self._forward:
                self._forward.append((b.copy(), u))
            return u
        if trans == "T":
            return self.solve(b.conj(), "H").conj()
        for known, lam in self._adjoint:
            if np.array_equal(known, b):
                return lam
        recombined = self._recombined(b)
        lam = self.factorization.solve(b, "H") if recombined is None else recombined
        # One block only: the next objective mostly asks for another, and each holds two full vectors.
        self._adjoint[:] = [(b.copy(), lam)]
        return lam

    def _recombined(self, u_bar: Array) -> Array | None:
        """λ = u c for ū = b c, if A is stated to be symmetric and c exists; verified against Aᴴ."""
        if self.factorization.symmetry == "none" or not self._forward:
            return None
        n = u_bar.shape[0]
        b, u = (v.reshape(n, -1) for v in self._forward[0])
        if self.factorization.symmetry == "symmetric":  # Aᴴ is the conjugate of A
            b, u = b.conj(), u.conj()
        size, height = np.maximum(_largest(b), _TINY), np.maximum(_largest(u_bar), _TINY)
        b, u = b / size, u / size  # Else the squares in the Gram matrix overflow for loads above 10¹⁵⁴.
        c = np.linalg.lstsq(b.conj().T @ b, b.conj().T @ (u_bar / height))[0] * height
        if not np.all(_largest(u_bar - b @ c) <= SPANNED * _largest(u_bar)):
            return None
        lam = np.asarray(u @ c)
        # As any solve: nothing leaves here unverified. It fails if A is not as stated.
        return lam if self.factorization.accepts(lam, u_bar, "H") else None


def _largest(v: Array) -> Array:
    return np.abs(v).max(axis=0)
