"""The objective of the control problem: final misfit, and squared powers over time."""

from dataclasses import dataclass

import numpy as np

from adjoint.typing import Array, SparseMatrix


@dataclass(frozen=True, eq=False)
class Power:
    """ℓ = ½ |s(t)|², (1,), K²/s², an integrand: s(t) are the powers of the heaters.

    knots: equally spaced times, (knots,), s; s is linear between the knots, and the
    parameters p are its values at the knots, (knots · heaters,).
    """

    knots: Array

    def _hats(self, t: float) -> Array:
        return np.maximum(0.0, 1.0 - np.abs(t - self.knots) / (self.knots[1] - self.knots[0]))

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ, (1,)."""
        return 0.5 * self.jvp(t, u, p, u, p)

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """(0, (∂ℓ/∂p)ᵀ q̄)."""
        hats = self._hats(t)
        return np.zeros_like(u), q_bar[0] * np.outer(hats, hats @ p.reshape(hats.size, -1)).ravel()

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """s(t) · ṡ(t), (1,)."""
        s, s_dot = (self._hats(t) @ each.reshape(self.knots.size, -1) for each in (p, p_dot))
        return np.array([s @ s_dot])


@dataclass(frozen=True, eq=False)
class Tracking:
    """J = ½ ‖u(T) − d‖²_M + α ∫ℓ dt, K² m², of the outputs y = (u(t₁), …, u(T), ∫ℓ dt).

    mass: M, (n, n), m²; target: d, (n,), K; alpha: price of the squared powers, m² s.
    """

    mass: SparseMatrix
    target: Array
    alpha: float

    def misfit(self, y: Array) -> Array:
        """u(T) − d, (n,), K."""
        return y[-1 - self.target.size : -1] - self.target

    def value(self, y: Array, p: Array) -> float:
        """J, K² m²."""
        error = self.misfit(y)
        return float(0.5 * (error @ (self.mass @ error)) + self.alpha * y[-1])

    def gradients(self, y: Array, p: Array) -> tuple[Array, Array]:
        """(∂J/∂y, 0)."""
        y_bar = np.zeros_like(y)
        y_bar[-1 - self.target.size : -1] = self.mass @ self.misfit(y)
        y_bar[-1] = self.alpha
        return y_bar, np.zeros_like(p)
