"""The Sellar system: two coupled disciplines, one with a square root.

Sellar, Batill & Renaud (1996), AIAA-96-0714; the published numbers are from OpenMDAO's
documentation.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Sellar:
    """R = (y₁ − z₁² − z₂ − x + 0.2 y₂, y₂ − √y₁ − z₁ − z₂); u = (y₁, y₂), p = (z₁, z₂, x).

    All quantities are dimensionless. If y₁ < 0, R is nan.
    """

    @property
    def nominal(self) -> Array:
        """(z₁, z₂, x) = (5, 2, 1)."""
        return np.array([5.0, 2.0, 1.0])

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (2,)."""
        (y1, y2), (z1, z2, x) = u, p
        with np.errstate(invalid="ignore"):
            return np.array([y1 - z1**2 - z2 - x + 0.2 * y2, y2 - np.sqrt(y1) - z1 - z2])

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """[[1, 0.2], [−½ y₁^(−½), 1]]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return sparse.csc_array(np.array([[1.0, 0.2], [-0.5 / np.sqrt(u[0]), 1.0]]))

    def _sensitivity(self, p: Array) -> Array:
        """∂R/∂p, (2, 3)."""
        return np.array([[-2.0 * p[0], -1.0, -1.0], [-1.0, -1.0, 0.0]])

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (3,)."""
        return self._sensitivity(p).conj().T @ lam

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (2,)."""
        return self._sensitivity(p) @ p_dot


@dataclass(frozen=True, eq=False)
class SellarObjective:
    """J = x² + z₂ + y₁ + exp(−y₂)."""

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return float(p[2] ** 2 + p[1] + u[0] + np.exp(-u[1]))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """((1, −exp(−y₂)), (0, 1, 2x))."""
        return np.array([1.0, -np.exp(-u[1])]), np.array([0.0, 1.0, 2.0 * p[2]])


def sellar() -> adjoint.NonlinearProblem:
    """Make the Sellar system, from y = (1, 1), with steps that keep y₁ positive.

    Returns
    -------
    NonlinearProblem
        With two unknowns and three parameters, see `Sellar`.
    """
    return adjoint.NonlinearProblem(
        Sellar(),
        np.ones(2),
        bounds=adjoint.Bounds(np.array([0.0, -np.inf]), np.array([np.inf, np.inf])),
    )
