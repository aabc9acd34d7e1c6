"""Nonlinear eigenproblems T(μ, p) φ = 0, by Newton's method on a bordered system.

See docs/math/spectra.md, eqs. 230–231.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_array, as_parameters, first_nonfinite, require_methods
from ..errors import DefectiveEigenvalue, NewtonDiverged, NonFinite, SingularMatrix
from ..factor.backward_error import probe_vector
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc
from ..factor.factorization import Factorizer
from ..factor.factorizers import factored, lu, require_factorizer
from ..protocols import Inverse
from ..typing import Array
from .biorthogonal import WORST, anchor
from .eigen_matrix import EigenMatrix
from .nonlinear_solution import InverseOfBordered, NonlinearEigenSolution

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

    def solve(self, p: Array, near: NonlinearEigenSolution | None = None) -> NonlinearEigenSolution:
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

    def _newton(self, mu: complex, phi: Array, p: Array, counts: Counts) -> NonlinearEigenSolution:
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
    ) -> NonlinearEigenSolution:
        """Make the solution, and verify that the eigenvalue is simple and T_μ a derivative."""
        phi = phi / np.linalg.norm(phi)
        phi = phi * (abs(phi[e]) / phi[e])
        phi[e] = abs(phi[e])
        T, slope = self._matrix(mu, p), as_csc(self.T.derivative(mu, p))
        M_phi = slope @ phi
        B = _bordered(T, M_phi, e)
        n = phi.size
        refined = InverseOfBordered(B, inverse)
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
