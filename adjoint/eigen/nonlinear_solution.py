"""One eigenpair of T(μ, p) φ = 0, and the exact derivatives of p ↦ (μ, φ).

See docs/math/spectra.md, eqs. 231–234.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Local
from .._validation import as_array, as_cotangent, as_parameters, first_nonfinite
from ..errors import NonFinite
from ..factor.backward_error import product
from ..factor.counts import Counts, collecting, phase
from ..factor.evidence import Evidence
from ..protocols import Inverse, Objective
from ..typing import Array, Trans
from .complex_equations import (
    BorderedInverse,
    ComplexEigenEquations,
    ComplexEigenResidual,
    OfNormalized,
)
from .eigen_matrix import EigenMatrix, EigenMatrixWithHvp
from .equations import flat


@dataclass(frozen=True, eq=False)
class InverseOfBordered:
    """The inverse of B at the solution by the factors of the last iterate, refined once."""

    B: sparse.csc_array
    inverse: Inverse

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Return B⁻¹ b or B⁻ᴴ b for b (n + 1,) or (n + 1, j)."""
        x = self.inverse.solve(b, trans)
        return np.asarray(x + self.inverse.solve(b - product(self.B, x, trans), trans))


@dataclass(frozen=True, eq=False, repr=False)
class NonlinearEigenSolution(Local):
    """One eigenpair of T(μ, p) φ = 0, and the derivative of p ↦ (μ, φ).

    φᴴφ = 1, and one entry of φ is real and positive: the first entry whose modulus is
    within 10⁻³ of the largest; ψᴴ T_μ φ = 1 for the left vector.

    Attributes
    ----------
    u : (n + 1, 1) array, complex
        Row 0 holds μ, rows 1 … n hold φ.
    p : (m,) array
        The parameters.
    T : EigenMatrix
        T(μ, p).
    condition : float
        1/|ψᴴ T_μ φ| for vectors ψ and T_μ φ of norm 1: the condition of μ.
    residual : float
        ‖T φ‖ / ‖ |T| |φ| ‖.
    history : tuple of float
        Relative Newton corrections.
    """

    portable = "the problem and the parameters, and solve there"

    u: Array
    p: Array
    T: EigenMatrix
    _left: Array
    _anchor: int
    condition: float
    residual: float
    _slope: sparse.csc_array
    _inverse: InverseOfBordered
    _counts: Counts
    history: tuple[float, ...]

    def __repr__(self) -> str:
        return f"NonlinearEigenSolution(mu={self.u[0, 0]:.10g}, n = {self.u.shape[0] - 1})"

    @property
    def values(self) -> Array:
        """The eigenvalue μ, (1,)."""
        return self.u[0]

    @property
    def vectors(self) -> Array:
        """The right eigenvector φ, (n, 1), of Euclidean norm 1."""
        return self.u[1:]

    @property
    def left(self) -> Array:
        """The left eigenvector ψ, (n, 1), with ψᴴ T = 0 and ψᴴ T_μ φ = 1."""
        return self._left[:, None]

    @property
    def evidence(self) -> Evidence:
        """Backward errors of the solves, Newton's history, and the counts of all work."""
        return replace(
            self._inverse.inverse.evidence,
            counts=self._counts.copy(),
            residual=self.residual,
            history=self.history,
        )

    def equations(self, objective: Objective) -> tuple[ComplexEigenEquations, OfNormalized]:
        """Return the eigenpair as a solution of equations, for `Point.accuracy`.

        See docs/math/accuracy.md, eqs. 346–349.

        Parameters
        ----------
        objective : Objective
            J, a function of the packed state.

        Returns
        -------
        (ComplexEigenEquations, OfNormalized)
            The solution, and J as a function of its vector.
        """
        a = self._anchor
        pivot = complex(self.u[1 + a, 0])
        row = np.zeros((self.u.shape[0] - 1, 1), dtype=complex)
        row[a] = 1.0 / np.conj(pivot)
        inverse = BorderedInverse(self._inverse.solve, a, pivot, self.evidence)
        residual = ComplexEigenResidual(self.T, row)
        return (
            ComplexEigenEquations(flat(self.u), self.p, residual, inverse),
            OfNormalized(objective, np.array([a])),
        )

    def _as_bar(self, u_bar: Array, vectors_bar: Array | None) -> Array:
        u_bar = as_array("vjp", "u_bar", u_bar)
        n = self.u.shape[0] - 1
        if u_bar.shape == (1,):
            part = np.zeros((n, 1)) if vectors_bar is None else np.asarray(vectors_bar)
            if part.shape != (n, 1):
                raise ValueError(f"got vectors_bar of shape {part.shape}, expected ({n}, 1)")
            u_bar = np.vstack([u_bar[None, :], part])
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        if found := first_nonfinite(u_bar):
            raise NonFinite(f"an entry of u_bar is {found[1]}, expected finite numbers")
        return u_bar.astype(complex)

    def adjoint(self, u_bar: Array) -> Array:
        """Return the adjoint state of ū (docs/math/spectra.md, eq. 233).

        Parameters
        ----------
        u_bar : (n + 1, 1) or (n + 1, 1, j) array
            Cotangents of μ (row 0) and of φ.

        Returns
        -------
        array
            Of ū's shape: rows 1 … n hold λ with dJ = Re(λᴴ (∂T/∂p dp) φ), row 0 the
            multipliers of the norm (real part) and of the phase (imaginary part).

        Raises
        ------
        ValueError, NonFinite
            If ū has the wrong shape, or contains nan or inf.
        """
        u_bar = self._as_bar(u_bar, None)
        return self._adjoint(u_bar.reshape(self.u.shape[0], -1)).reshape(u_bar.shape)

    def _adjoint(self, u_bar: Array) -> Array:
        """Return the adjoint state, (n + 1, j), for ū (n + 1, j)."""
        phi, e = self.u[1:, 0], self._anchor
        overlap = phi.conj() @ u_bar[1:]
        multipliers = -overlap.real - 1j * overlap.imag / phi[e].real
        rhs = np.vstack([-u_bar[1:] - phi[:, None] * multipliers.real, -u_bar[:1]])
        rhs[e] -= 1j * multipliers.imag
        with collecting(self._counts):
            lam = self._inverse.solve(rhs, "H")
        return np.vstack([multipliers[None, :], lam[:-1]])

    def vjp(self, u_bar: Array, vectors_bar: Array | None = None) -> Array:
        """Return the gradient (du/dp)ᴴ ū by one transposed solve.

        Parameters
        ----------
        u_bar : (n + 1, 1) or (n + 1, 1, j) array, or (1,) array
            Packed cotangents, or the cotangent of μ only.
        vectors_bar : (n, 1) array, optional
            Cotangent of φ; u_bar then holds that of μ, (1,).

        Returns
        -------
        (m,) or (m, j) array
            g with dJ = Re(gᴴ dp).

        Raises
        ------
        ValueError, NonFinite
            Under the conditions of `adjoint`.
        """
        u_bar = self._as_bar(u_bar, vectors_bar)
        lam = self._adjoint(u_bar.reshape(self.u.shape[0], -1))[1:]
        phi = np.ascontiguousarray(self.u[1:, 0])
        columns = [self._pulled_back(phi, np.ascontiguousarray(column)) for column in lam.T]
        g = np.stack(columns, axis=-1) if columns else np.zeros((self.p.size, 0))
        return g if u_bar.ndim == 3 else g[:, 0]

    def _pulled_back(self, phi: Array, lam: Array) -> Array:
        with collecting(self._counts), phase("gradient"):
            g = self.T.vjp(complex(self.u[0, 0]), self.p, phi, lam)
        g = as_cotangent(g, self.p, "the vjp of T")
        if found := first_nonfinite(g):
            raise NonFinite(f"the vjp of T is {found[1]} at component {found[0]}")
        return g

    def jvp(self, p_dot: Array) -> Array:
        """Return the rates of u along ṗ by one solve.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions.

        Returns
        -------
        (n + 1, 1) or (n + 1, 1, j) array
            The rates of (μ, φ).

        Raises
        ------
        ValueError
            If ṗ has the wrong shape.
        """
        p_dot = as_array("jvp", "p_dot", p_dot)
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != self.p.size:
            raise ValueError(
                f"got p_dot of shape {p_dot.shape}, expected ({self.p.size},) or ({self.p.size}, j)"
            )
        mu, phi, n = complex(self.u[0, 0]), np.ascontiguousarray(self.u[1:, 0]), self.u.shape[0]
        rhs = np.zeros((n, 1 if p_dot.ndim == 1 else p_dot.shape[1]), complex)
        for j, d in enumerate(p_dot.reshape(self.p.size, -1).T):
            rhs[:-1, j] = -self.T.jvp(mu, self.p, phi, as_parameters(d))
        with collecting(self._counts):
            step = self._inverse.solve(rhs)
        y, mu_dot = step[:-1], step[-1]
        phi_dot = y - phi[:, None] * (phi.conj() @ y).real
        u_dot = np.vstack([mu_dot[None, :], phi_dot])[:, None, :]
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    def hvp(self, lam: Array, u_dot: Array, p_dot: Array, u_bar_dot: Array) -> Array:
        """Return the rate of p ↦ (du/dp)ᴴ ū along ṗ, while ū has the rate ū̇ (eq. 234).

        Parameters
        ----------
        lam : (n + 1, 1) array
            `adjoint(u_bar)`.
        u_dot : (n + 1, 1) or (n + 1, 1, j) array
            `jvp(p_dot)`.
        p_dot : (m,) or (m, j) array
            ṗ.
        u_bar_dot : (n + 1, 1) or (n + 1, 1, j) array
            ū̇.

        Returns
        -------
        (m,) or (m, j) array
            The Hessian-vector product of p ↦ Re(ūᴴ u).

        Raises
        ------
        TypeError
            If T has no `hvp`.
        """
        if not isinstance(self.T, EigenMatrixWithHvp):
            raise TypeError(
                f"{type(self.T).__name__} has no method hvp(mu, p, u, lam, mu_dot, p_dot), which a "
                "Hessian–vector product needs. Expected the rates along (μ̇, ṗ) of Tᴴλ, of "
                "uᴴ(∂T/∂μ)ᴴλ and of vjp. Without hvp: adjoint.optimize.DifferencedHessian(f)"
            )
        lam, n = np.asarray(lam), self.u.shape[0]
        single = np.ndim(p_dot) == 1
        p_dot = np.asarray(p_dot).reshape(self.p.size, -1)
        j = p_dot.shape[1]
        u_dot, bar = (np.array(a, complex).reshape(n, j) for a in (u_dot, u_bar_dot))
        mu, phi = complex(self.u[0, 0]), np.ascontiguousarray(self.u[1:, 0])
        left, parts = np.ascontiguousarray(lam[1:, 0]), []
        for i, d in enumerate(map(as_parameters, p_dot.T)):
            mu_dot, phi_dot = complex(u_dot[0, i]), np.ascontiguousarray(u_dot[1:, i])
            with collecting(self._counts), phase("gradient"):
                T_lam, slope, g = self.T.hvp(mu, self.p, phi, left, mu_dot, d)
            bar[0, i] += slope + np.vdot(self._slope @ phi_dot, left)
            bar[1:, i] += T_lam + lam[0, 0].real * phi_dot
            parts.append(as_cotangent(g, self.p, "the hvp of T") + self._pulled_back(phi_dot, left))
        lam_dot = self._adjoint(bar)[1:]
        result = np.stack(
            [
                part + self._pulled_back(phi, np.ascontiguousarray(column))
                for part, column in zip(parts, lam_dot.T, strict=True)
            ],
            axis=-1,
        )
        return result[:, 0] if single else result
