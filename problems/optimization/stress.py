"""Von Mises stresses of sheets with one thickness per element."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adjoint.typing import Array

from ..finite_elements.grid import Grid
from ..steady.elasticity import Elastic


@dataclass(frozen=True, eq=False)
class Thickness:
    """J = Σ p_e / m: the mean thickness, which does not depend on the state."""

    def value(self, u: Array, p: Array) -> float:
        """J."""
        return float(p.mean())

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(∂J/∂u, ∂J/∂p) = (0, 1/m)."""
        return np.zeros_like(u), np.full_like(p, 1.0 / p.size)


@dataclass(frozen=True, eq=False)
class VonMises:
    """σ² = σ_x² − σ_xσ_y + σ_y² + 3 τ² at the centre of each element, (m,).

    Plane stress, Young's modulus 1. body: a body in 2-D whose parameters are the
    thicknesses; the stress follows from the strain alone. poisson: Poisson's ratio ν.
    """

    body: Elastic
    poisson: float = 0.3

    @cached_property
    def quadratic(self) -> Array:
        """Q, (8, 8), with σ² = u_eᵀ Q u_e for an element."""
        nu = self.poisson
        D = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
        V = np.array([[1.0, -0.5, 0.0], [-0.5, 1.0, 0.0], [0.0, 0.0, 3.0]])
        B = middle_strain(self.body.grid)
        return B.T @ D @ V @ D @ B

    def _displacements(self, u: Array) -> Array:
        """Return the displacements of each element, (m, 8), with zeros for fixed unknowns."""
        dofs = self.body.K.dofs
        return np.where(dofs >= 0, u[dofs], 0.0)

    def values(self, u: Array, p: Array) -> Array:
        """σ² of each element, (m,)."""
        ue = self._displacements(u)
        return np.einsum("ei,ij,ej->e", ue, self.quadratic, ue)

    def vjp(self, u: Array, p: Array, weights: Array) -> tuple[Array, Array]:
        """(Σ_e w_e ∂σ_e²/∂u, 0) for the weights w_e; the second part is for p."""
        dofs = self.body.K.dofs
        parts = 2.0 * weights[:, None] * (self._displacements(u) @ self.quadratic)
        u_bar = np.zeros_like(u)
        np.add.at(u_bar, dofs[dofs >= 0], parts[dofs >= 0])
        return u_bar, np.zeros_like(p)


def middle_strain(grid: Grid) -> Array:
    """B, (3, 8): u_e ↦ (ε_x, ε_y, 2ε_xy) at the centre of an element.

    B is the mean over the quadrature points.
    """
    weights, _, gradients = grid.shape_functions()
    slopes = np.einsum("q,qci->ci", weights, gradients) / weights.sum()
    B = np.zeros((3, len(slopes), 2))
    B[0, :, 0], B[1, :, 1] = slopes[:, 0], slopes[:, 1]
    B[2, :, 0], B[2, :, 1] = slopes[:, 1], slopes[:, 0]
    return B.reshape(3, -1)
