"""Large deformations of a compressible neo-Hookean solid in plane strain."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.matrices.assembly import Assembly
from adjoint.typing import Array

from ..finite_elements.grid import Grid, number_free


@dataclass(frozen=True, eq=False)
class Hyperelastic:
    """R(u, p) = ∫ P(F)·∇N − p_load f, with P = E_e ∂W/∂F and J = det F.

    W = ½μ(tr FᵀF − 2 − 2 ln J) + ½λ(ln J)². Bilinear quadrilaterals with four Gauss
    points, F = I + ∇u in the undeformed coordinates, thickness 1; μ and λ are the Lamé
    constants of a unit Young's modulus. u: displacements, m, (n,). p: E_e of each
    element, Pa, then a factor of the loads, (n_e + 1,). If an element is inverted, J ≤
    0, then R is nan.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    dofs : (n_e, 8) array of int
        Unknowns of the elements, −1 for unknowns that are zero.
    load : (n,) array
        Dead loads f, N per m of thickness.
    poisson : float
        Poisson's ratio ν.

    References
    ----------
    Bonet & Wood (2008), Nonlinear Continuum Mechanics for Finite Element Analysis,
    eqs. 6.27–6.30.
    """

    grid: Grid
    dofs: Array
    load: Array
    poisson: float = field(default=0.3, kw_only=True)

    @cached_property
    def assembly(self) -> Assembly:
        """The map from element forces and tangents to R and ∂R/∂u."""
        return Assembly(self.dofs)

    @property
    def nominal(self) -> Array:
        """All Young's moduli 1 Pa, load factor 1, (n_e + 1,)."""
        return np.ones(len(self.dofs) + 1)

    @property
    def lame(self) -> tuple[float, float]:
        """μ and λ for a unit Young's modulus."""
        nu = self.poisson
        return 0.5 / (1.0 + nu), nu / ((1.0 + nu) * (1.0 - 2.0 * nu))

    def _kinematics(self, u: Array) -> tuple[Array, Array, Array]:
        """F (q, 2, 2, n_e), ln J (q, n_e) and F⁻ᵀ∇N (q, 4, 2, n_e) at the Gauss points.

        The elements are the last axis, along which NumPy vectorizes.
        """
        _, _, gradients = self.grid.shape_functions()
        displacements = np.ascontiguousarray(self.assembly.gather(u).T).reshape(4, 2, -1)
        F = np.einsum("qaj,aie->qije", gradients, displacements) + np.eye(2)[:, :, None]
        a, b, c, d = F[:, 0, 0], F[:, 0, 1], F[:, 1, 0], F[:, 1, 1]
        J = a * d - b * c
        with np.errstate(invalid="ignore", divide="ignore"):
            inverse = (np.stack([d, -c, -b, a], axis=1) / J[:, None]).reshape(F.shape)  # F⁻ᵀ
            return F, np.log(J), np.einsum("qije,qaj->qaie", inverse, gradients)

    def _forces(self, u: Array) -> Array:
        """Forces of the elements for unit moduli, (n_e, 8)."""
        mu, lam = self.lame
        weights, _, gradients = self.grid.shape_functions()
        F, volumetric, deformed = self._kinematics(u)
        with np.errstate(invalid="ignore"):
            forces = np.einsum("qije,qaj->aie", F, mu * weights[:, None, None] * gradients)
            forces += np.einsum(
                "qe,qaie->aie", weights[:, None] * (lam * volumetric - mu), deformed
            )
        return forces.reshape(8, -1).T

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        return self.assembly.vector(p[:-1, None] * self._forces(u)) - p[-1] * self.load

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n): the consistent tangent, symmetric, indefinite beyond a buckling load."""
        mu, lam = self.lame
        weights, _, gradients = self.grid.shape_functions()
        _, volumetric, deformed = self._kinematics(u)
        points = deformed.reshape(len(weights), 8, -1)
        with np.errstate(invalid="ignore"):
            swapped = np.einsum(
                "qie,qje->ije",
                (weights[:, None] * (mu - lam * volumetric))[:, None] * points,
                points,
            )
            Ke = np.einsum("qie,qje->ije", lam * weights[:, None, None] * points, points).reshape(
                4, 2, 4, 2, -1
            )
            Ke += swapped.reshape(4, 2, 4, 2, -1).swapaxes(1, 3)
        Ke += np.einsum("q,qaj,qbj,ik->aibk", mu * weights, gradients, gradients, np.eye(2))[
            ..., None
        ]
        return self.assembly.matrix((p[:-1] * Ke).reshape(8, 8, -1).transpose(2, 0, 1))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(f_e · λ_e, −f · λ), (n_e + 1,)."""
        work = np.einsum("ei,ei->e", self._forces(u), self.assembly.gather(lam))
        return np.append(work, -np.sum(self.load * lam))

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,)."""
        return self.assembly.vector(p_dot[:-1, None] * self._forces(u)) - p_dot[-1] * self.load


LENGTH = 4.0
"""Length of the beams, m; their height is 1 m."""


def beam(nelx: int, nely: int) -> Grid:
    """Make a grid of 4 m × 1 m."""
    return Grid((nelx, nely), (LENGTH / nelx, 1.0 / nely))


def bent_cantilever(nelx: int, nely: int, force: float = 5e-3) -> adjoint.NonlinearProblem:
    """Make a beam, clamped on the left, with a uniform dead traction down on the right side.

    Parameters
    ----------
    nelx, nely : int
        Number of elements along x and y.
    force : float
        Total force, N per m of thickness. With moduli of 1 Pa the default bends the end
        down by about a quarter of the length.

    Returns
    -------
    NonlinearProblem
        With 2 nelx (nely + 1) unknowns and nelx · nely + 1 parameters, see
        `Hyperelastic`.
    """
    grid = beam(nelx, nely)
    left, right = grid.boundary(0, 0), grid.boundary(0, 1)
    load = np.zeros(2 * len(grid.nodes))
    load[2 * right[1:-1] + 1] = -force / nely
    load[2 * right[[0, -1]] + 1] = -0.5 * force / nely
    dofs, free = number_free(grid.dofs(2), np.concatenate([2 * left, 2 * left + 1]), load.size)
    return adjoint.NonlinearProblem(Hyperelastic(grid, dofs, load[free]), np.zeros(free.size))


def stretched_block(nelx: int, nely: int, stretch: float = 1.0) -> adjoint.NonlinearProblem:
    """Make a block, clamped on the left, whose right side is displaced by the last parameter.

    Parameters
    ----------
    nelx, nely : int
        Number of elements along x and y.
    stretch : float
        Displacement of the right side along x, m, per unit of the last parameter.

    Returns
    -------
    NonlinearProblem
        With 2 (nelx + 1)(nely + 1) unknowns, including the given ones, and nelx · nely
        + 1 parameters, see `Hyperelastic`.
    """
    grid = beam(nelx, nely)
    left, right = grid.boundary(0, 0), grid.boundary(0, 1)
    fixed = np.concatenate([2 * left, 2 * left + 1, 2 * right, 2 * right + 1])
    pulled = slice(2 * left.size, 2 * left.size + right.size)
    rates = sparse.lil_array((fixed.size, len(grid.elements) + 1))
    rates[pulled, -1] = stretch
    given = adjoint.Dirichlet(
        fixed, adjoint.matrices.AffineVector(np.zeros(fixed.size), sparse.csc_array(rates))
    )
    n = 2 * len(grid.nodes)
    return adjoint.NonlinearProblem(
        Hyperelastic(grid, grid.dofs(2), np.zeros(n)), np.zeros(n), dirichlet=given
    )
