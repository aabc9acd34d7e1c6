"""Schrödinger's equation in a shaken trap: a complex state of constant norm."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint._validation import cotangent
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Trap:
    """f = −i (−½ δ²_x ψ + (½p₁x² + p₂ x cos(p₃t)) ψ), with ψ = 0 at both ends.

    Central differences. u = ψ at the interior points of (−length/2, length/2), complex,
    (n,). p: stiffness of the trap, amplitude and frequency of the force, (3,). Atomic
    units, ħ = m = 1.

    Parameters
    ----------
    points : int
        Number of interior points, n.
    length : float
        Length of the interval.

    Raises
    ------
    ValueError
        If points < 1.
    """

    points: int
    length: float = field(default=10.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.points < 1:
            raise ValueError(f"Trap: got {self.points} points, expected at least one")

    @property
    def nominal(self) -> Array:
        """A trap of frequency 1, shaken off its resonance."""
        return np.array([1.0, 0.5, 0.7])

    @cached_property
    def x(self) -> Array:
        """The points, (n,)."""
        return self.length * (np.arange(1, self.points + 1) / (self.points + 1) - 0.5)

    @property
    def initial(self) -> Array:
        """A moving Gaussian, off the centre, of unit norm, (n,)."""
        psi = np.exp(-0.5 * (self.x - 0.8) ** 2 + 0.6j * self.x)
        return psi / np.linalg.norm(psi)

    @cached_property
    def _kinetic(self) -> sparse.csc_array:
        """−i (−½ δ²_x), (n, n)."""
        bands = 0.5j * ((self.points + 1) / self.length) ** 2 * np.array([1.0, -2.0, 1.0])
        A = sparse.csc_array(
            sparse.diags_array(bands, offsets=[-1, 0, 1], shape=(self.points, self.points))
        )
        A.sum_duplicates()
        return A

    @cached_property
    def _diagonal(self) -> Array:
        """Positions of the diagonal in the data of the Jacobian, (n,)."""
        A = self._kinetic
        return np.flatnonzero(A.indices == np.repeat(np.arange(self.points), np.diff(A.indptr)))

    def _potential(self, t: float, p: Array) -> Array:
        """½p₁x² + p₂ x cos(p₃t), (n,)."""
        return (0.5 * p[0] * self.x + p[1] * np.cos(p[2] * t)) * self.x

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        return np.asarray(self._kinetic @ u - 1j * (self._potential(t, p) * u))

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """∂f/∂u, (n, n), tridiagonal, skew-Hermitian."""
        A = self._kinetic
        data = A.data.copy()
        data[self._diagonal] -= 1j * self._potential(t, p)
        J = sparse.csc_array((data, A.indices, A.indptr), shape=A.shape)
        # Known from the construction; finding out costs a pass over J.
        J.has_canonical_format = True
        return J

    def _slopes(self, t: float, p: Array) -> Array:
        """The derivatives of the potential with respect to p, (3, n)."""
        phase = p[2] * t
        return np.stack(
            [0.5 * self.x**2, np.cos(phase) * self.x, -p[1] * t * np.sin(phase) * self.x]
        )

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (3,); its real part if p is real."""
        return cotangent(np.sum(-1j * self._slopes(t, p) * u * lam.conj(), axis=1), p)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        return np.asarray(-1j * np.sum(self._slopes(t, p) * p_dot[:, None], axis=0) * u)

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᴴ λ, (∂f/∂p)ᴴ λ) along (ψ̇, ṗ), (n,) and (3,), for real p."""
        slopes, phase = self._slopes(t, p), p[2] * t
        bent = (
            -t * self.x * np.array([[0.0], [np.sin(phase)], [p[1] * t * np.cos(phase)]]) * p_dot[2]
        )
        bent[2] -= t * np.sin(phase) * self.x * p_dot[1]
        rates = -1j * (slopes * u_dot + bent * u) * lam.conj()
        return 1j * (p_dot @ slopes) * lam, cotangent(np.sum(rates, axis=1), p)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,)."""
        return np.asarray(1j * p[1] * p[2] * np.sin(p[2] * t) * self.x * u)


def shaken_trap(points: int, tf: float) -> adjoint.ODEProblem:
    """Make a Gaussian in the shaken trap.

    Parameters
    ----------
    points : int
        Number of interior points, n.
    tf : float
        Final time, atomic units.

    Returns
    -------
    ODEProblem
        With n complex unknowns and three parameters, see `Trap`.
    """
    physics = Trap(points)
    return adjoint.ODEProblem(physics, physics.initial, t=(0.0, tf), rtol=1e-6, atol=1e-9)
