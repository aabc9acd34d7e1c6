"""The equations of simple eigenpairs of a real symmetric pencil, for error estimates.

See docs/math/accuracy.md, eqs. 342–345. An eigenpair is the solution of ½(φᵀMφ − 1) = 0 and
Kφ − μMφ = 0. The states of k eigenpairs are one vector (k(n + 1),): μ_1, φ_1, μ_2, φ_2, …
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from ..factor.evidence import Evidence
from ..protocols import Inverse, Matrix, Objective
from ..typing import Array, Trans


def packed(u: Array, k: int) -> Array:
    """Return the packed state, (n + 1, k), of a vector (k(n + 1),)."""
    return np.ascontiguousarray(u.reshape(k, -1).T)


def flat(u: Array) -> Array:
    """Return the vector, (k(n + 1),), of a packed state (n + 1, k)."""
    return np.ascontiguousarray(u.T).reshape(-1)


@dataclass(frozen=True, eq=False)
class EigenResidual:
    """R of k eigenpairs, (k(n + 1),); an implementation of `adjoint.protocols.Residual`.

    K, M: functions of p. count: k.
    """

    K: Matrix
    M: Matrix
    count: int

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """½(φᵀMφ − 1) and Kφ − μMφ of each eigenpair."""
        u = packed(u, self.count)
        M_phi = self.M(p) @ u[1:]
        normalization = 0.5 * (np.sum(u[1:] * M_phi, axis=0) - 1.0)
        return flat(np.vstack([normalization, self.K(p) @ u[1:] - M_phi * u[0]]))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u: a block [[0, φᵀM], [−Mφ, K − μM]] for each eigenpair."""
        u, K, M = packed(u, self.count), self.K(p), self.M(p)
        blocks = []
        for mu, phi in zip(u[0], u[1:].T, strict=True):
            M_phi = (M @ phi)[:, None]
            blocks.append(sparse.block_array([[None, M_phi.T], [-M_phi, K - mu * M]]))
        return sparse.csc_array(sparse.block_diag(blocks, format="csc"))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        u, lam = packed(u, self.count), packed(lam, self.count)
        phi, rows = np.ascontiguousarray(u[1:]), np.ascontiguousarray(lam[1:])
        mass = np.ascontiguousarray(0.5 * lam[0] * phi - u[0] * rows)
        return np.asarray(self.K.vjp(p, phi, rows)) + np.asarray(self.M.vjp(p, phi, mass))

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """∂R/∂p ṗ, (k(n + 1),)."""
        u = packed(u, self.count)
        phi = np.ascontiguousarray(u[1:])
        M_rate = np.asarray(self.M.jvp(p, phi, p_dot))
        K_rate = np.asarray(self.K.jvp(p, phi, p_dot))
        rows = 0.5 * np.sum(phi * M_rate, axis=0)
        return flat(np.vstack([rows, K_rate - M_rate * u[0]]))


@dataclass(frozen=True, eq=False)
class EigenInverse:
    """Solves with ∂R/∂u of k eigenpairs, by the solver for eigenvectors of the solution.

    resolvent: b ↦ y with (K − μ_i M) y_i = b_i and φ_iᵀMy_i = 0, for b, y (n, k, j).
    vectors, M_vectors: φ and Mφ, (n, k).
    """

    vectors: Array
    M_vectors: Array
    resolvent: Callable[[Array], Array]
    known: Evidence

    @property
    def evidence(self) -> Evidence:
        """The evidence of the solution."""
        return self.known

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with ∂R/∂u ("N") or its transpose; b: (k(n + 1),) or (k(n + 1), j)."""
        k = self.vectors.shape[1]
        rows = b.reshape(k, self.vectors.shape[0] + 1, -1)
        along, rest = rows[:, 0], rows[:, 1:].transpose(1, 0, 2)  # (k, j), (n, k, j)
        sign = 1.0 if trans == "N" else -1.0
        # Row 0 of the solution follows from φᵀ times the other rows.
        mu = -sign * np.einsum("nk,nkj->kj", self.vectors, rest)
        y = self.resolvent(rest + sign * self.M_vectors[:, :, None] * mu)
        y = y + sign * self.vectors[:, :, None] * along
        return np.concatenate([mu[:, None], y.transpose(1, 0, 2)], axis=1).reshape(b.shape)


@dataclass(frozen=True, eq=False)
class EigenEquations:
    """k eigenpairs as the solution of equations: a `SolutionOfEquations`; u: (k(n + 1),)."""

    u: Array
    p: Array
    residual: EigenResidual
    inverse: Inverse

    __repr__ = short_repr

    def adjoint(self, u_bar: Array) -> Array:
        """Return λ with (∂R/∂u)ᵀ λ = ū."""
        return self.inverse.solve(u_bar, "H")

    def vjp(self, u_bar: Array) -> Array:
        """Return (du/dp)ᵀ ū, (m,)."""
        return -self.residual.vjp(self.u, self.p, self.adjoint(u_bar))

    def jvp(self, p_dot: Array) -> Array:
        """Return (du/dp) ṗ, (k(n + 1),)."""
        return -self.inverse.solve(self.residual.jvp(self.u, self.p, p_dot))


@dataclass(frozen=True, eq=False)
class OfVector:
    """An objective of the packed state, as a function of the vector (k(n + 1),)."""

    objective: Objective
    count: int

    __repr__ = short_repr

    def value(self, u: Array, p: Array) -> float:
        """Return J."""
        return self.objective.value(packed(u, self.count), p)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (∂J/∂u, ∂J/∂p)."""
        u_bar, p_bar = self.objective.gradients(packed(u, self.count), p)
        return flat(np.asarray(u_bar)), p_bar
