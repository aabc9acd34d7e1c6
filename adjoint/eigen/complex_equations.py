"""The equations of simple complex eigenpairs, for error estimates.

The normalization φᴴφ = 1 of a complex vector is no analytic function of φ. Here an eigenpair
is the solution of wᴴφ = 1 and T(μ, p) φ = 0 with a constant w, and the objective normalizes
φ before it uses φ. See docs/math/accuracy.md, eqs. 346–349. The states of k eigenpairs are
one vector (k(n + 1),): μ_1, φ_1, μ_2, φ_2, …
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from ..factor.evidence import Evidence
from ..protocols import Inverse, Matrix, Objective
from ..typing import Array, Trans
from .eigen_matrix import AnalyticFunction, AnalyticSum, EigenMatrix, power
from .equations import flat, packed

MINUS_MU = AnalyticFunction(lambda mu: -mu, lambda mu: -1.0, lambda mu: 0.0)


def pencil(K: Matrix, M: Matrix) -> AnalyticSum:
    """Return T(μ, p) = K(p) − μ M(p)."""
    return AnalyticSum([(power(0), K), (MINUS_MU, M)])


@dataclass(frozen=True, eq=False)
class ComplexEigenResidual:
    """R of k eigenpairs, (k(n + 1),); an implementation of `adjoint.protocols.Residual`.

    T: the matrix. rows: w of each eigenpair, (n, k).
    """

    T: EigenMatrix
    rows: Array

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """wᴴφ − 1 and T(μ, p) φ of each eigenpair."""
        u = packed(u, self.rows.shape[1])
        parts = [self.T(complex(mu), p) @ phi for mu, phi in zip(u[0], u[1:].T, strict=True)]
        norm = np.sum(self.rows.conj() * u[1:], axis=0) - 1.0
        return flat(np.vstack([norm, np.stack(parts, axis=1)]))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u: a block [[0, wᴴ], [T_μ φ, T]] for each eigenpair."""
        u, blocks = packed(u, self.rows.shape[1]), []
        for mu, phi, w in zip(u[0], u[1:].T, self.rows.T, strict=True):
            slope = (self.T.derivative(complex(mu), p) @ phi)[:, None]
            blocks.append(
                sparse.block_array([[None, w.conj()[None, :]], [slope, self.T(complex(mu), p)]])
            )
        return sparse.csc_array(sparse.block_diag(blocks, format="csc"))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (m,)."""
        k = self.rows.shape[1]
        u, lam = packed(u, k), packed(lam, k)
        g = np.zeros_like(p)
        for i, mu in enumerate(u[0]):
            phi, row = np.ascontiguousarray(u[1:, i]), np.ascontiguousarray(lam[1:, i])
            g = g + np.asarray(self.T.vjp(complex(mu), p, phi, row))
        return g

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """∂R/∂p ṗ, (k(n + 1),)."""
        u = packed(u, self.rows.shape[1])
        rates = [
            self.T.jvp(complex(mu), p, np.ascontiguousarray(phi), p_dot)
            for mu, phi in zip(u[0], u[1:].T, strict=True)
        ]
        return flat(np.vstack([np.zeros(len(rates)), np.stack(rates, axis=1)]))


@dataclass(frozen=True, eq=False)
class PencilInverse:
    """Solves with ∂R/∂u of k eigenpairs of a pencil, by the reduced resolvents.

    resolvent: (b, trans) ↦ y with (K − μ_i M) y_i = b_i, or its adjoint, without the parts
    along the eigenvector; b, y: (n, k, j). right, left: φ and ψ, (n, k), with
    ψᴴMφ = 1. M_right: Mφ. rows: w, with wᴴφ = 1.
    """

    right: Array
    left: Array
    M_right: Array
    rows: Array
    resolvent: Callable[[Array, Trans], Array]
    known: Evidence

    @property
    def evidence(self) -> Evidence:
        """The evidence of the solution."""
        return self.known

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with ∂R/∂u ("N") or its adjoint; b: (k(n + 1),) or (k(n + 1), j)."""
        n, k = self.right.shape
        rows = b.reshape(k, n + 1, -1)
        first, rest = rows[:, 0], rows[:, 1:].transpose(1, 0, 2)  # (k, j), (n, k, j)

        def along(vectors: Array, x: Array) -> Array:
            return np.asarray(np.einsum("nk,nkj->kj", vectors.conj(), x))

        if trans == "N":
            scalar = -along(self.left, rest)
            y = self.resolvent(rest + self.M_right[:, :, None] * scalar, "N")
            y = y + self.right[:, :, None] * (first - along(self.rows, y))
        else:
            scalar = along(self.right, rest)
            y = self.resolvent(rest - self.rows[:, :, None] * scalar, "H")
            y = y - self.left[:, :, None] * (first + along(self.M_right, y))
        return np.concatenate([scalar[:, None], y.transpose(1, 0, 2)], axis=1).reshape(b.shape)


@dataclass(frozen=True, eq=False)
class BorderedInverse:
    """Solves with ∂R/∂u of one eigenpair by a matrix [[T, T_μφ], [e_aᵀ, 0]].

    bordered: its inverse. anchor: a. pivot: the entry a of φ; w = e_a / conj(φ_a).
    """

    bordered: Callable[[Array, Trans], Array]
    anchor: int
    pivot: complex
    known: Evidence

    @property
    def evidence(self) -> Evidence:
        """The evidence of the solution."""
        return self.known

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve with ∂R/∂u ("N") or its adjoint; b: (n + 1,) or (n + 1, j)."""
        if trans == "N":
            x = self.bordered(np.concatenate([b[1:], b[:1] * self.pivot]), "N")
            return np.concatenate([x[-1:], x[:-1]])
        x = self.bordered(np.concatenate([b[1:], b[:1]]), "H")
        return np.concatenate([x[-1:] * np.conj(self.pivot), x[:-1]])


@dataclass(frozen=True, eq=False)
class ComplexEigenEquations:
    """k eigenpairs as the solution of equations: a `SolutionOfEquations`; u: (k(n + 1),)."""

    u: Array
    p: Array
    residual: ComplexEigenResidual
    inverse: Inverse

    __repr__ = short_repr

    def adjoint(self, u_bar: Array) -> Array:
        """Return λ with (∂R/∂u)ᴴ λ = ū."""
        return self.inverse.solve(u_bar, "H")


@dataclass(frozen=True, eq=False)
class OfNormalized:
    """An objective of the packed state, as a function of vectors of any length and phase.

    The vectors get φᴴMφ = 1 and a real positive entry `anchors[i]`, as those of the
    solution. M: None for the Euclidean norm.
    """

    objective: Objective
    anchors: Array
    M: Matrix | None = field(default=None)

    __repr__ = short_repr

    def value(self, u: Array, p: Array) -> float:
        """Return J."""
        return self.objective.value(self._normalized(packed(u, self.anchors.size), p)[0], p)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (∂J/∂u, ∂J/∂p)."""
        k = self.anchors.size
        u = packed(u, k)
        normal, lengths, turns, M_vectors = self._normalized(u, p)
        u_bar, p_bar = self.objective.gradients(normal, p)
        u_bar, columns = np.array(u_bar, dtype=complex), np.arange(k)
        inner = np.sum(u_bar[1:].conj() * normal[1:], axis=0)
        stretch = inner.real / lengths**2
        u_bar[1:] = u_bar[1:] * (turns / lengths) - M_vectors * stretch
        u_bar[1 + self.anchors, columns] += 1j * inner.imag / u[1 + self.anchors, columns].conj()
        if self.M is not None:
            vectors = np.ascontiguousarray(u[1:])
            p_bar = p_bar - 0.5 * np.asarray(self.M.vjp(p, vectors * stretch, vectors))
        return flat(u_bar), p_bar

    def _normalized(self, u: Array, p: Array) -> tuple[Array, Array, Array, Array]:
        """Return the packed state with normal vectors, their lengths and turns (k,), and Mφ."""
        vectors = u[1:]
        M_vectors = vectors if self.M is None else np.asarray(self.M(p) @ vectors)
        lengths = np.sqrt(np.sum(vectors.conj() * M_vectors, axis=0).real)
        pivots = vectors[self.anchors, np.arange(self.anchors.size)]
        turns = pivots / np.abs(pivots)
        return np.vstack([u[:1], vectors * (turns.conj() / lengths)]), lengths, turns, M_vectors
