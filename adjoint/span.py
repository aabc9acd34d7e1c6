"""Right-hand sides already solved for, and those that they span: their solutions cost no solve.

For a compliance J = bᵀu of a symmetric problem ∂J/∂u = b, so that λ = u (docs/math.md, eq. 8).
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .arrays import Array, Trans
from .factor import Evidence
from .factor.accuracy import ACCEPT, Symmetry, product

SPANNED = 1e-14
"""Relative distance of a right-hand side to the span, above which it is solved for: some ulps of a sum."""


class Inverse(Protocol):
    """A factored Jacobian."""

    @property
    def A(self) -> sparse.csc_array:
        """The matrix that was factored."""

    @property
    def symmetry(self) -> Symmetry:
        """As its user stated it."""

    @property
    def evidence(self) -> Evidence:
        """How it was factored, and how well it solved."""

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k)."""


@dataclass(frozen=True, eq=False)
class KnownSolves:
    """An inverse that remembers A u = b, and recombines it for adjoint right-hand sides where A is symmetric.

    b, u: (n,) or (n, k), as the forward solve had them.
    """

    inverse: Inverse
    b: Array
    u: Array
    _adjoints: list[tuple[Array, Array]] = field(default_factory=list)

    def adjoint(self, u_bar: Array) -> Array:
        """λ with Aᴴ λ = ū, (n, j): recombined from what is known where possible, else by one block solve."""
        for known, lam in self._adjoints:
            if np.array_equal(known, u_bar):
                return lam
        lam = self._recombined(u_bar)
        if lam is None:
            lam = self.inverse.solve(u_bar, "H")
        # One block only: the next objective mostly asks for another, and each holds two full vectors.
        self._adjoints[:] = [(u_bar.copy(), lam)]
        return lam

    def tangent(self, rhs: Array) -> Array:
        """u̇ with A u̇ = rhs, (n, j)."""
        return self.inverse.solve(rhs)

    def _recombined(self, u_bar: Array) -> Array | None:
        """λ = u c for ū = b c, if A is stated to be symmetric and c exists; verified against Aᴴ."""
        if self.inverse.symmetry == "none":
            return None
        n = u_bar.shape[0]
        b, u = self.b.reshape(n, -1), self.u.reshape(n, -1)
        if self.inverse.symmetry == "symmetric":  # Aᴴ is the conjugate of A
            b, u = b.conj(), u.conj()
        gram = b.conj().T @ b
        c = np.linalg.lstsq(gram, b.conj().T @ u_bar)[0]
        gap = np.abs(u_bar - b @ c).max(axis=0)
        if not np.all(gap <= SPANNED * np.abs(u_bar).max(axis=0)):
            return None
        lam = np.asarray(u @ c)
        # As any solve: no solution leaves here unverified. It fails if A is not as stated.
        residual = np.abs(u_bar - product(self.inverse.A, lam, "H")).max(axis=0)
        largest = np.abs(self.inverse.A.data).max() * np.abs(lam).max(axis=0) + np.abs(u_bar).max(axis=0)
        return lam if np.all(residual <= ACCEPT * largest) else None
