"""Eigenpairs of a general pencil K(p) φ = μ M(p) φ, and the exact derivatives of p ↦ (μ, φ).

See docs/math/spectra.md, eqs. 220–229.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Local
from .._optional_methods import checked_matrix_hvp
from .._validation import as_array, as_cotangent, as_parameters, first_nonfinite
from ..errors import DefectiveEigenvalue, NonFinite, RepeatedEigenvalue
from ..factor.backward_error import product
from ..factor.counts import Counts, collecting, phase
from ..factor.evidence import Evidence
from ..protocols import Inverse, Matrix, Objective
from ..typing import Array, Trans
from .biorthogonal import Modes
from .cluster_blocks import GAUGE, ROTATION, ascending, cotangent_of_block
from .complex_equations import (
    ComplexEigenEquations,
    ComplexEigenResidual,
    OfNormalized,
    PencilInverse,
    pencil,
)
from .equations import flat
from .resolvent import Resolvent, Side


@dataclass(frozen=True, eq=False, repr=False)
class GeneralEigenSolution(Local):
    """Eigenpairs of a general pencil, with left vectors, and the derivative of p ↦ (μ, φ).

    Each φ has the Euclidean norm 1 (φᴴφ = 1), and one entry of φ is real and positive:
    the first entry whose modulus is within 10⁻³ of the largest. Each ψ satisfies
    ψᴴ K = μ ψᴴ M and ψᴴ M φ = 1. Eigenvalues are ordered by |μ − σ|; in a conjugate pair
    the member with Im μ > 0 comes first. All derivatives use the factors of K − σM.

    Attributes
    ----------
    u : (n + 1, k) array, complex
        Row 0 holds the eigenvalues, rows 1 … n the right eigenvectors.
    p : (m,) array
        The parameters.
    sigma : float or complex
        σ, the shift.
    K, M : Matrix
        K(p) and M(p).
    modes : Modes
        All computed eigenpairs, guards included, with their conditions and gaps.
    inverse : Inverse
        (K − σM)⁻¹.
    iterations : int
        Largest number of iterations of a block solve for eigenvectors so far.
    """

    portable = "the problem and the parameters, and solve there"

    u: Array
    p: Array
    sigma: complex
    K: Matrix
    M: Matrix
    modes: Modes
    inverse: Inverse
    _matrices: tuple[sparse.csc_array, sparse.csc_array]
    _counts: Counts
    _log: "_Log"

    def __repr__(self) -> str:
        return f"GeneralEigenSolution({self.values.size} eigenvalues, n = {self.u.shape[0] - 1})"

    # The eigenpairs ---------------------------------------------------------------------------

    @property
    def values(self) -> Array:
        """Eigenvalues μ, (k,), by |μ − σ|."""
        return self.u[0]

    @property
    def vectors(self) -> Array:
        """Right eigenvectors φ, (n, k), of Euclidean norm 1."""
        return self.u[1:]

    @property
    def left(self) -> Array:
        """Left eigenvectors ψ, (n, k), with ψᴴ M φ = 1."""
        return self.modes.left[:, : self.modes.count]

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the eigenvalues of each cluster; a simple eigenvalue is one index."""
        return self.modes.groups

    @property
    def conditions(self) -> Array:
        """1/|ψᴴMφ| for vectors ψ and Mφ of norm 1, (k,): condition numbers of the values."""
        return self.modes.conditions[: self.modes.count]

    @property
    def residuals(self) -> Array:
        """‖Kφ − μMφ‖ / (‖Kφ‖ + |μ|‖Mφ‖) of each eigenpair, (k,)."""
        K, M = self._matrices
        K_phi, M_phi = K @ self.vectors, (M @ self.vectors) * self.values
        size = np.linalg.norm(K_phi, axis=0) + np.linalg.norm(M_phi, axis=0)
        r = np.linalg.norm(K_phi - M_phi, axis=0)
        return np.asarray(r / np.where(size > 0.0, size, 1.0))

    @property
    def iterations(self) -> int:
        """Largest number of iterations of a block solve for eigenvectors so far."""
        return self._log.iterations

    @property
    def evidence(self) -> Evidence:
        """The backward errors of the solves so far, and the counts of all work."""
        return replace(self.inverse.evidence, counts=self._counts.copy())

    def equations(self, objective: Objective) -> tuple[ComplexEigenEquations, OfNormalized]:
        """Return the eigenpairs as a solution of equations, for `Point.accuracy`.

        See docs/math/accuracy.md, eqs. 346–349.

        Parameters
        ----------
        objective : Objective
            J, a function of the packed state.

        Returns
        -------
        (ComplexEigenEquations, OfNormalized)
            The solution, and J as a function of its vector.

        Raises
        ------
        RepeatedEigenvalue
            If an eigenvalue is multiple: its equations are singular.
        """
        for block, _ in self._multiple():
            mu = ", ".join(f"{self.values[i]:.12g}" for i in block)
            raise RepeatedEigenvalue(
                f"the equations of the cluster {block} ({mu}) are singular, so that errors of its "
                "eigenpairs cannot be estimated"
            )
        phi = self.vectors
        M_phi = np.asarray(product(self._matrices[1], phi, "N"))
        inverse = PencilInverse(phi, self.left, M_phi, phi, self._solved, self.evidence)
        residual = ComplexEigenResidual(pencil(self.K, self.M), phi)
        anchors = self.modes.anchors[: self.modes.count]
        return (
            ComplexEigenEquations(flat(self.u), self.p, residual, inverse),
            OfNormalized(objective, anchors),
        )

    def _solved(self, rhs: Array, trans: Trans) -> Array:
        """Return `_resolvent` for the names of factorizers; rhs: (n, k, j)."""
        return self._resolvent(rhs.astype(complex), "N" if trans == "N" else "H")

    # First derivatives ------------------------------------------------------------------------

    def adjoint(self, u_bar: Array) -> Array:
        """Return the adjoint state of ū (docs/math/spectra.md, eq. 226).

        Parameters
        ----------
        u_bar : (n + 1, k) or (n + 1, k, j) array
            Cotangents of the values (row 0) and of the vectors; j objectives together.

        Returns
        -------
        array
            Of ū's shape: rows 1 … n hold λ with dJ = Re(λᴴ (dK − μ dM) φ), row 0 holds the
            multipliers of the norm (real part) and of the phase (imaginary part) of φ.

        Raises
        ------
        RepeatedEigenvalue
            If the cotangent depends on the basis of a cluster.
        DefectiveEigenvalue
            If the cotangent needs members of a nearly defective cluster.
        """
        u_bar = self._as_bar(u_bar)
        lam = self._adjoint(u_bar.reshape(*self.u.shape, -1))
        return lam.reshape(u_bar.shape)

    def _as_bar(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the packed cotangent as an array (n + 1, k) or (n + 1, k, j)."""
        u_bar = as_array("vjp", "u_bar", u_bar)
        n, k = self.vectors.shape
        if u_bar.shape == (k,) or vectors_bar is not None:
            values_bar = u_bar
            packed = np.zeros((n + 1, k), dtype=complex)
            if values_bar.shape != (k,):
                raise ValueError(f"got values_bar of shape {values_bar.shape}, expected ({k},)")
            packed[0] = values_bar
            if vectors_bar is not None:
                vectors_bar = as_array("vjp", "vectors_bar", vectors_bar)
                if vectors_bar.shape != (n, k):
                    raise ValueError(
                        f"got vectors_bar of shape {vectors_bar.shape}, expected ({n}, {k})"
                    )
                packed[1:] = vectors_bar
            u_bar = packed
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        if found := first_nonfinite(u_bar):
            raise NonFinite(f"an entry of u_bar is {found[1]}, expected finite numbers")
        return u_bar.astype(complex)

    def _adjoint(self, u_bar: Array, examine: bool = True) -> Array:
        """Return the adjoint state of ū, (n + 1, k, j); examine: False for rates of ū."""
        modes, phi = self.modes, self.vectors[:, :, None]
        k = modes.count
        values_bar, vectors_bar = u_bar[0], u_bar[1:]
        overlap = np.einsum("nk,nkj->kj", self.vectors.conj(), vectors_bar)
        pivots = self._pivots[:, None]
        multipliers = -overlap.real - 1j * overlap.imag / pivots
        y_bar = vectors_bar + multipliers.real[None] * phi
        y_bar[modes.anchors[:k], np.arange(k)] += 1j * multipliers.imag
        if examine:
            self._require_invariant(values_bar, vectors_bar, y_bar)
        z = self._resolvent(y_bar, "H")
        lam = np.empty_like(u_bar)
        lam[0] = multipliers
        lam[1:] = values_bar[None] * modes.left[:, :k, None] - z
        return lam

    @property
    def _real(self) -> bool:
        """True if K, M and σ are real."""
        K, M = self._matrices
        return K.dtype.kind == "f" and M.dtype.kind == "f" and np.imag(self.sigma) == 0.0

    @property
    def _pivots(self) -> Array:
        """The real positive entry of each φ, (k,)."""
        k = self.modes.count
        return self.vectors[self.modes.anchors[:k], np.arange(k)].real

    def _multiple(self) -> Iterator[tuple[list[int], bool]]:
        """Yield the members of each cluster with more than one, and True if it is defective."""
        for members, defective in zip(self.modes.groups, self.modes.defective, strict=True):
            if len(members) > 1:
                yield list(members), defective

    def _require_invariant(self, values_bar: Array, vectors_bar: Array, y_bar: Array) -> None:
        """Raise RepeatedEigenvalue or DefectiveEigenvalue unless ū is invariant in clusters."""
        for block, defective in self._multiple():
            part = values_bar[block]
            spread = np.abs(part - part.mean(axis=0)).max(axis=0)
            size = np.abs(part).max(axis=0)
            if (spread > GAUGE * size).any():
                raise self._dependent(block, defective, "values")
            # An orthonormal basis: the vectors of a defective cluster are nearly parallel.
            inside = np.einsum("na,nbj->abj", self.modes.basis(block).conj(), y_bar[:, block])
            size = np.linalg.norm(vectors_bar[:, block], axis=0).max(axis=0)
            if (np.abs(inside).max(axis=(0, 1)) > ROTATION * size).any():
                raise self._dependent(block, defective, "vectors")

    def _dependent(
        self, block: list[int], defective: bool, what: str
    ) -> RepeatedEigenvalue | DefectiveEigenvalue:
        """Return the error for a derivative that needs single members of a cluster."""
        mu = ", ".join(f"{self.values[i]:.12g}" for i in block)
        instead = (
            "Ask for a quantity of the whole cluster: the sum of its eigenvalues, or the "
            "projector on its invariant subspace (a function of the span of the vectors)."
        )
        if defective:
            worst = float(self.conditions[block].max())
            gap = float(self.modes.gaps[block].min())
            return DefectiveEigenvalue(
                f"the objective depends on single {what} of the nearly defective cluster {block} "
                f"({mu}): condition {worst:.1e} of the values, relative gap {gap:.1e}, so that "
                f"eigenvectors are known to {np.finfo(float).eps * worst / max(gap, 1e-300):.0e} "
                f"only, accepted is 1e-06. {instead}"
            )
        return RepeatedEigenvalue(
            f"the objective depends on single {what} of the cluster {block} ({mu}), which are not "
            f"differentiable there. {instead} One-sided derivatives of the members: "
            "directional(p_dot)."
        )

    def _resolvent(self, rhs: Array, side: Side) -> Array:
        """Solve (K − μ_i M) y = rhs without the part of cluster i; rhs: (n, k, j)."""
        resolvent = Resolvent(self._matrices[1], self.inverse, self.modes, self.sigma, self._real)
        with collecting(self._counts):
            y, iterations = resolvent.solve(rhs, side)
        self._log.iterations = max(self._log.iterations, iterations)
        return y

    def vjp(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the gradient (du/dp)ᴴ ū, by one block solve if ū has parts along vectors.

        Parameters
        ----------
        u_bar : (n + 1, k) or (n + 1, k, j) array, or (k,) array
            Packed cotangents, or the cotangents of the values only.
        vectors_bar : (n, k) array, optional
            Cotangents of the vectors; u_bar then holds those of the values, (k,).

        Returns
        -------
        (m,) or (m, j) array
            g with dJ = Re(gᴴ dp).

        Raises
        ------
        RepeatedEigenvalue, DefectiveEigenvalue
            Under the conditions of `adjoint`.
        """
        u_bar = self._as_bar(u_bar, vectors_bar)
        bars = u_bar.reshape(*self.u.shape, -1)
        lam = self._adjoint(bars)[1:]
        phi, phi_mu = [self.vectors], [self.vectors * self.values]
        left = [lam]
        for block, defective in self._multiple():
            if defective:
                # Values of a defective cluster: Σ ψ_i φ_iᴴ would cancel; use orthonormal bases.
                values_bar = bars[0, block]
                lam[:, block] -= values_bar[None] * self.left[:, block, None]
                Q, B, dual = self._block(block)
                phi.append(Q)
                phi_mu.append(Q @ B)
                left.append(dual[:, :, None] * values_bar.mean(axis=0))
        with collecting(self._counts), phase("gradient"):
            g = self._pulled_back(np.hstack(phi), np.hstack(phi_mu), np.concatenate(left, axis=1))
        return g if u_bar.ndim == 3 else g[:, 0]

    def _block(self, block: list[int]) -> tuple[Array, Array, Array]:
        """Return Q, B and W of a cluster: K Q = M Q B, WᴴMQ = I, QᴴQ = I."""
        K, M = self._matrices
        Q = self.modes.basis(block)
        W = np.linalg.qr(self.left[:, block])[0]
        W = W @ np.linalg.inv(W.conj().T @ (M @ Q)).conj().T
        return Q, W.conj().T @ (K @ Q), W

    def _pulled_back(self, phi: Array, phi_mu: Array, lam: Array) -> Array:
        """Return g, (m, j), with Re(gᴴ ṗ) = Re Σ λ_iᴴ (K̇ φ_i − Ṁ (μφ)_i).

        phi, phi_mu: (n, k); lam: (n, k, j).
        """
        phi, phi_mu = np.ascontiguousarray(phi), np.ascontiguousarray(phi_mu)
        columns = []
        for j in range(lam.shape[2]):
            left = np.ascontiguousarray(lam[:, :, j])
            gK = as_cotangent(self.K.vjp(self.p, phi, left), self.p, "the vjp of K")
            gM = as_cotangent(self.M.vjp(self.p, phi_mu, left), self.p, "the vjp of M")
            columns.append(gK - gM)
        g = np.stack(columns, axis=-1) if columns else np.zeros((self.p.size, 0))
        if found := first_nonfinite(g):
            raise NonFinite(f"the vjp of K or M is {found[1]} at component {found[0]}")
        return g

    def jvp(self, p_dot: Array) -> Array:
        """Return the rates of u along ṗ, (n + 1, k) or (n + 1, k, j).

        Inside a cluster the rates of the values are those of `directional`, and the rates
        of the vectors have no part inside the cluster: they are right for functions that do
        not depend on the basis.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions, which are solved together.

        Returns
        -------
        array
            The rates, of u's shape, or with one more axis of length j.

        Raises
        ------
        ValueError
            If ṗ has the wrong shape.
        DefectiveEigenvalue
            If a cluster is nearly defective; `vjp` gives the gradient of its sum.
        """
        p_dot = as_array("jvp", "p_dot", p_dot)
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != self.p.size:
            raise ValueError(
                f"got p_dot of shape {p_dot.shape}, expected ({self.p.size},) or ({self.p.size}, j)"
            )
        u_dot = self._tangent(p_dot.reshape(self.p.size, -1))
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    def _rates(self, p_dot: Array) -> Array:
        """(K̇ − μ Ṁ) Φ for each direction, (n, k, j); p_dot: (m, j)."""
        phi = np.ascontiguousarray(self.vectors)
        parts = [
            self.K.jvp(self.p, phi, d) - self.M.jvp(self.p, phi, d) * self.values
            for d in map(as_parameters, p_dot.T)
        ]
        return np.stack(parts, axis=-1) if parts else np.zeros((*phi.shape, 0))

    def _tangent(self, p_dot: Array) -> Array:
        """Return the rates of u, (n + 1, k, j)."""
        modes, k = self.modes, self.modes.count
        with collecting(self._counts), phase("gradient"):
            rates = self._rates(p_dot)
        u_dot = np.empty((*self.u.shape, p_dot.shape[1]), dtype=complex)
        u_dot[0] = np.einsum("nk,nkj->kj", self.left.conj(), rates)
        for block, defective in self._multiple():
            if defective:
                raise self._dependent(block, True, "members (rates)")
            inside = np.einsum("na,nbj->jab", self.left[:, block].conj(), rates[:, block])
            u_dot[0, block] = np.stack([ascending(B) for B in inside], axis=-1)
        y = self._resolvent(-rates, "N")
        pivot = y[modes.anchors[:k], np.arange(k)]
        along = np.einsum("nk,nkj->kj", self.vectors.conj(), y)
        a = -along.real - 1j * pivot.imag / self._pivots[:, None]
        u_dot[1:] = y + a * self.vectors[:, :, None]
        return u_dot

    def _block_rates(self, mu_dot: Array, p_dot: Array) -> Array:
        """Return diag(μ̇), (k, k), with the block Ψᴴ(K̇ − μṀ)Φ for each cluster."""
        B_dot = np.diag(mu_dot)
        if clusters := list(self._multiple()):
            rates = self._rates(p_dot[:, None])[..., 0]
            for block, _ in clusters:
                B_dot[np.ix_(block, block)] = self.left[:, block].conj().T @ rates[:, block]
        return B_dot

    def directional(self, p_dot: Array) -> Array:
        """Return one-sided derivatives of the eigenvalues along ṗ.

        A cluster of r eigenvalues splits into μ + h ν_i for small h > 0, where ν_i are the
        eigenvalues of the r × r block Ψᴴ(K̇ − μṀ)Φ of the cluster.

        Parameters
        ----------
        p_dot : (m,) array
            Direction.

        Returns
        -------
        (k,) array, complex
            The derivatives; within each cluster ascending by real part, then by imaginary
            part.

        Raises
        ------
        DefectiveEigenvalue
            If a cluster is nearly defective: its members move as √h.
        """
        p_dot = as_parameters(p_dot, "p_dot")
        rates = self._rates(p_dot[:, None])[..., 0]
        mu_dot = np.einsum("nk,nk->k", self.left.conj(), rates)
        for block, defective in self._multiple():
            if defective:
                raise self._dependent(block, True, "values")
            mu_dot[block] = ascending(self.left[:, block].conj().T @ rates[:, block])
        return np.asarray(mu_dot)

    # Second derivatives -----------------------------------------------------------------------

    def hvp(self, lam: Array, u_dot: Array, p_dot: Array, u_bar_dot: Array) -> Array:
        """Return the rate of p ↦ (du/dp)ᴴ ū along ṗ, while ū has the rate ū̇ (eq. 229).

        Parameters
        ----------
        lam : (n + 1, k) array
            `adjoint(u_bar)`.
        u_dot : (n + 1, k) or (n + 1, k, j) array
            `jvp(p_dot)`.
        p_dot : (m,) or (m, j) array
            ṗ.
        u_bar_dot : (n + 1, k) or (n + 1, k, j) array
            ū̇.

        Returns
        -------
        (m,) or (m, j) array
            The Hessian-vector product of p ↦ Re(ūᴴ u).

        Raises
        ------
        TypeError
            If K or M has no `hvp`.
        RepeatedEigenvalue
            If the members of a cluster move like a defective pencil along ṗ, and ū̇ differs
            between them.
        DefectiveEigenvalue
            If ū has parts in a nearly defective cluster.
        """
        lam = np.asarray(lam)
        single = np.ndim(p_dot) == 1
        j = 1 if single else np.shape(p_dot)[1]
        p_dot = np.asarray(p_dot).reshape(self.p.size, j)
        u_dot, bar = (np.array(a, complex).reshape(*self.u.shape, j) for a in (u_dot, u_bar_dot))
        for block, defective in self._multiple():
            if defective and (lam[:, block].any() or bar[:, block].any()):
                raise self._dependent(block, True, "members (second derivatives)")
        left, mu = np.ascontiguousarray(lam[1:]), self.values
        phi = np.ascontiguousarray(self.vectors)
        _, M = self._matrices
        MH_left, parts = product(M, left, "H"), []
        inside: list[tuple[list[int], int, Array]] = []  # parts of λ̇ inside of clusters
        with collecting(self._counts), phase("gradient"):
            for i, d in enumerate(map(as_parameters, p_dot.T)):
                uK, pK = checked_matrix_hvp(self.K, self.p, phi, left, d)
                uM, pM = checked_matrix_hvp(self.M, self.p, phi, mu.conj() * left, d)
                phi_dot = np.ascontiguousarray(u_dot[1:, :, i])
                B_dot = self._block_rates(u_dot[0, :, i], d)
                # ((MΦ)˙)ᴴ λ and Ṫᴴ λ, T = K − μM
                M_phi_dot = self.M.jvp(self.p, phi, d) + product(M, phi_dot, "N")
                for block, _ in self._multiple():
                    E = cotangent_of_block(
                        bar[0, block, i], u_dot[0, block, i], B_dot[np.ix_(block, block)]
                    )
                    inside.append((block, i, E - M_phi_dot[:, block].conj().T @ left[:, block]))
                bar[0, :, i] -= np.einsum("nk,nk->k", M_phi_dot.conj(), left)
                bar[1:, :, i] += uK - uM - MH_left @ B_dot.conj().T + lam[0].real * phi_dot
                parts.append(
                    pK
                    - pM
                    + self.K.vjp(self.p, phi_dot, left)
                    - self.M.vjp(self.p, phi_dot, mu.conj() * left)
                    - self.M.vjp(self.p, phi @ B_dot, left)
                )
        for block, i, _ in inside:
            bar[0, block, i] = 0.0
        lam_dot = self._adjoint(bar, examine=False)
        for block, i, E in inside:
            lam_dot[1:, block, i] += self.left[:, block] @ E
        with collecting(self._counts), phase("gradient"):
            g = self._pulled_back(phi, phi * mu, lam_dot[1:])
        g = g + np.stack([as_cotangent(part, self.p, "hvp") for part in parts], axis=-1)
        return g[:, 0] if single else g


@dataclass(eq=False)
class _Log:
    """A memory of the largest number of iterations."""

    iterations: int = 0


def general_solution(
    K: Matrix,
    M: Matrix,
    matrices: tuple[sparse.csc_array, sparse.csc_array],
    inverse: Inverse,
    modes: Modes,
    p: Array,
    sigma: complex,
    counts: Counts,
) -> GeneralEigenSolution:
    """Return the solution for the computed modes; K, M: the Matrix objects."""
    k = modes.count
    u = np.vstack([modes.values[None, :k], modes.right[:, :k]])
    u.setflags(write=False)
    return GeneralEigenSolution(u, p, sigma, K, M, modes, inverse, matrices, counts, _Log())
