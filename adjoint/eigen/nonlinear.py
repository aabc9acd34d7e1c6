"""Nonlinear eigenproblems T(μ, p) φ = 0, by Newton's method on a bordered system.

See docs/math/spectra.md, eqs. 230–234.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Local, Portable, short_repr
from .._validation import as_array, as_cotangent, as_parameters, first_nonfinite, require_methods
from ..errors import DefectiveEigenvalue, NewtonDiverged, NonFinite, SingularMatrix
from ..factor.backward_error import probe_vector, product
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc
from ..factor.evidence import Evidence
from ..factor.factorization import Factorizer
from ..factor.factorizers import factored, lu, require_factorizer
from ..protocols import Inverse
from ..typing import Array, Trans
from .biorthogonal import WORST, anchor
from .eigen_matrix import EigenMatrix, EigenMatrixWithHvp

TOLERANCE = 1e-11
"""Relative Newton correction of (φ, μ) at which the iteration ends."""

ROUNDING = 1e-7
"""Relative correction below which an iteration that no longer improves has reached rounding."""

MOST = 40
"""Maximum number of Newton steps."""

Start = complex | tuple[complex, Array]


@dataclass(frozen=True, eq=False)
class NonlinearEigenProblem(Portable):
    """T(μ, p) φ = 0: one eigenpair by Newton's method, and its exact derivatives.

    Each Newton step factors the bordered matrix [[T, T_μ φ], [eᵀ, 0]], which is regular
    at a simple eigenvalue. The last factors serve all derivatives.

    Parameters
    ----------
    T : EigenMatrix
        T(μ, p), for instance an `AnalyticSum`.
    start : complex, or (complex, (n,) array), or callable
        A guess of μ, or of (μ, φ), or a function p ↦ such a guess. Without φ, two steps
        of inverse iteration with T at the guess of μ make φ.
    factorize : callable
        The factorizer of the bordered matrix, which has no symmetry: `lu`, or a backend
        for general matrices.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or lacks a method.
    """

    T: EigenMatrix
    start: Start | Callable[[Array], Start]
    factorize: Factorizer = lu

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "NonlinearEigenProblem"
        expected = "an EigenMatrix such as adjoint.eigen.AnalyticSum(…)"
        require_methods(who, "T", self.T, ("__call__", "derivative", "vjp", "jvp"), expected)
        require_factorizer(who, self.factorize)
        if not callable(self.start):
            _as_guess(self.start)

    def solve(
        self, p: Array, near: "NonlinearEigenSolution | None" = None
    ) -> "NonlinearEigenSolution":
        """Find (μ, φ) with T(μ, p) φ = 0, φᴴφ = 1.

        Parameters
        ----------
        p : (m,) array
            Parameters.
        near : NonlinearEigenSolution, optional
            A solution for similar parameters, from which the iteration starts.

        Returns
        -------
        NonlinearEigenSolution
            The eigenpair, and the derivatives of p ↦ (μ, φ).

        Raises
        ------
        NewtonDiverged
            If the maximum number of steps was reached.
        DefectiveEigenvalue
            If ψᴴ T_μ φ is zero up to rounding: the eigenvalue is multiple.
        SingularMatrix
            If the bordered matrix is singular at an iterate.
        NonFinite
            If T, p or the start contains nan or inf.
        """
        p = as_parameters(p)
        p.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            if near is not None:
                mu, phi = complex(near.values[0]), near.vectors[:, 0]
            else:
                guess = self.start(p) if callable(self.start) else self.start
                mu, phi = self._prepared(*_as_guess(guess), p)
            return self._newton(mu, phi, p, counts)

    def _prepared(self, mu: complex, phi: Array | None, p: Array) -> tuple[complex, Array]:
        """Return the guess with a vector, by inverse iteration if φ is not given."""
        if phi is not None:
            return mu, phi
        T = self._matrix(mu, p)
        try:
            inverse = factored(self.factorize, T)
            v = probe_vector(T.shape[0]).astype(complex)
            for _ in range(2):
                v = inverse.solve(v / np.linalg.norm(v))
        except SingularMatrix:  # μ is an eigenvalue: move the guess a little.
            return self._prepared(mu * (1.0 + 1e-6) + (1e-6 if mu == 0 else 0.0), None, p)
        return mu, v

    def _matrix(self, mu: complex, p: Array) -> sparse.csc_array:
        with phase("assembly"):
            return as_csc(self.T(mu, p), "T(mu, p): ").astype(complex)

    def _newton(
        self, mu: complex, phi: Array, p: Array, counts: Counts
    ) -> "NonlinearEigenSolution":
        """Iterate until the correction is at rounding level."""
        history: list[float] = []
        moves: list[float] = []  # |Δμ| of each step
        previous = np.inf
        for _ in range(MOST):
            phi = phi / np.linalg.norm(phi)
            e = anchor(phi)
            phi = phi * (abs(phi[e]) / phi[e])
            T, slope = self._matrix(mu, p), as_csc(self.T.derivative(mu, p), "dT/dmu: ")
            if phi.shape != (T.shape[0],):
                raise ValueError(
                    f"start: got a vector of shape {phi.shape}, expected ({T.shape[0]},)"
                )
            B = _bordered(T, slope @ phi, e)
            try:
                inverse = factored(self.factorize, B)
                step = inverse.solve(np.append(T @ phi, 0.0))
            except SingularMatrix as error:
                if previous <= 1e-2:
                    raise self._defective(mu, np.inf) from error
                raise
            d_phi, d_mu = step[:-1], step[-1]
            # The scale of μ: a change of μ by this amount changes Tφ as much as T itself.
            size = float(np.linalg.norm(d_phi))
            relative = abs(d_mu) / max(abs(mu), 1e-300) if mu != 0 else size
            correction = float(max(size, min(relative, abs(d_mu) * _stiffness(T, slope, phi))))
            history.append(correction)
            moves.append(float(abs(d_mu)))
            if not np.isfinite(correction):
                break
            phi, mu = phi - d_phi, complex(mu - d_mu)
            if correction <= TOLERANCE or (correction <= ROUNDING and correction >= 0.9 * previous):
                return self._accepted(mu, phi, p, inverse, e, counts, tuple(history))
            previous = correction
        # At a multiple eigenvalue each step halves the error.
        halved = len(moves) > 6 and all(
            0.4 * a <= b <= 0.6 * a for a, b in zip(moves[-6:-1], moves[-5:], strict=True)
        )
        if halved:
            raise self._defective(mu, np.inf)
        failure = NewtonDiverged(
            f"Newton's method for T(mu, p) phi = 0 did not converge in {len(history)} steps: last "
            f"correction {history[-1]:.1e} at mu = {mu:.10g}. Usual causes: a start far from an "
            "eigenvalue, T not analytic in mu, or a wrong `derivative`. Remedy: a closer start, "
            "for instance from a linearized pencil."
        )
        failure.history = tuple(history)
        raise failure

    def _defective(self, mu: complex, condition: float) -> DefectiveEigenvalue:
        return DefectiveEigenvalue(
            f"the eigenvalue mu = {mu:.10g} of T(mu, p) is multiple: ψᴴ (∂T/∂μ) φ is zero up to "
            f"rounding (condition {condition:.1e}, accepted is {WORST:.0e}). The eigenvalue is not "
            "differentiable. Remedy: other parameters; for a multiple eigenvalue of a linear "
            "pencil: EigenProblem, and the sum of the cluster."
        )

    def _accepted(
        self,
        mu: complex,
        phi: Array,
        p: Array,
        inverse: Inverse,
        e: int,
        counts: Counts,
        history: tuple[float, ...],
    ) -> "NonlinearEigenSolution":
        """Make the solution, and verify that the eigenvalue is simple and T_μ a derivative."""
        phi = phi / np.linalg.norm(phi)
        phi = phi * (abs(phi[e]) / phi[e])
        phi[e] = abs(phi[e])
        T, slope = self._matrix(mu, p), as_csc(self.T.derivative(mu, p))
        M_phi = slope @ phi
        B = _bordered(T, M_phi, e)
        n = phi.size
        refined = _AtSolution(B, inverse)
        right = np.zeros(n + 1, complex)
        right[-1] = 1.0
        left = refined.solve(right, "H")[:-1]
        condition = float(np.linalg.norm(left) * np.linalg.norm(M_phi))
        if not condition <= WORST:
            raise self._defective(mu, condition)
        size = float(np.linalg.norm(abs(T) @ np.abs(phi)))
        residual = float(np.linalg.norm(T @ phi)) / size if size else 0.0
        u = np.append(mu, phi)[:, None]
        u.setflags(write=False)
        return NonlinearEigenSolution(
            u, p, self.T, left, e, condition, residual, slope, refined, counts, history
        )


def _as_guess(start: object) -> tuple[complex, Array | None]:
    """Return (μ, φ or None) from a start; raise TypeError, ValueError or NonFinite."""
    mu, phi = start, None
    if isinstance(start, tuple):
        if len(start) != 2:
            raise ValueError(f"start: got {len(start)} values, expected mu or (mu, phi)")
        mu, phi = start[0], as_array("NonlinearEigenProblem", "start", start[1])
        if phi.ndim != 1 or not phi.any():
            raise ValueError(f"start: got phi of shape {phi.shape}, expected a nonzero vector (n,)")
        if found := first_nonfinite(phi):
            raise NonFinite(f"start: phi[{found[0]}] is {found[1]}, expected finite numbers")
        phi = phi.astype(complex)
    if isinstance(mu, bool | str | bytes) or not isinstance(mu, int | float | complex | np.number):
        raise TypeError(
            f"start: got mu={mu!r}, expected a number, a pair (mu, phi), or a function of p"
        )
    if not np.isfinite(mu):
        raise NonFinite(f"start: mu is {mu}, expected a finite number")
    return complex(mu), phi


def _stiffness(T: sparse.csc_array, slope: sparse.csc_array, phi: Array) -> float:
    """‖T_μ φ‖ / ‖ |T| |φ| ‖: changes of μ are measured by their effect on T φ."""
    size = float(np.linalg.norm(abs(T) @ np.abs(phi)))
    return float(np.linalg.norm(slope @ phi)) / max(size, 1e-300)


def _bordered(T: sparse.csc_array, column: Array, e: int) -> sparse.csc_array:
    """Return [[T, column], [e_eᵀ, 0]], (n + 1, n + 1)."""
    n = T.shape[0]
    row = sparse.csr_array(([1.0 + 0j], ([0], [e])), shape=(1, n))
    return as_csc(
        sparse.block_array([[T, sparse.csc_array(column[:, None])], [row, None]], format="csc")
    )


@dataclass(frozen=True, eq=False)
class _AtSolution:
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
    _inverse: _AtSolution
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
