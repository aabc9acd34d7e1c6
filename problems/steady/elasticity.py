"""Linear elasticity on structured grids: plane stress and 3-D, with the beams of topology optimization."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array

from ..finite_elements.grid import Grid, number_free


def stiffness_matrix(grid: Grid, poisson: float = 0.3) -> Array:
    """K_e of an element with Young's modulus 1, (8, 8) in plane stress, (24, 24) in 3-D.

    poisson: ν; thickness 1 in plane stress.

    Zienkiewicz & Taylor, The Finite Element Method, vol. 1, sections 4.2 and 6.2.
    """
    nu = poisson
    if grid.dimension == 2:
        D = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
        strains = [(0, 0), (1, 1), (0, 1)]
    else:
        shear = (1 - 2 * nu) / 2
        D = np.diag([1 - nu, 1 - nu, 1 - nu, shear, shear, shear])
        D[:3, :3] += nu * (1 - np.eye(3))
        D /= (1 + nu) * (1 - 2 * nu)
        strains = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)]
    weights, _, gradients = grid.shape_functions()
    points, corners, d = gradients.shape
    B = np.zeros((points, len(strains), corners, d))
    for row, (i, j) in enumerate(strains):
        B[:, row, :, i] = gradients[:, :, j]
        B[:, row, :, j] = gradients[:, :, i]
    B = B.reshape(points, len(strains), corners * d)
    return np.einsum("q,qsi,st,qtj->ij", weights, B, D, B)


@dataclass(frozen=True, eq=False)
class Elastic:
    """An elastic body on a grid, with one Young's modulus an element as the parameters.

    grid; free: the unknowns (node · dimension + component) that are not fixed; K: `Elements` on the free
    unknowns; load: (n,), or (n, k) for k load cases, on the free unknowns.
    """

    grid: Grid
    free: Array
    K: adjoint.Elements
    load: Array

    @classmethod
    def supported(cls, grid: Grid, fixed: Array, load: Array) -> "Elastic":
        """A body with the unknowns `fixed` held at zero; load: on all unknowns, (nodes · dimension[, k])."""
        n = len(grid.nodes) * grid.dimension
        dofs, free = number_free(grid.dofs(grid.dimension), fixed, n)
        return cls(grid, free, adjoint.Elements(dofs, stiffness_matrix(grid)), load[free])

    @property
    def problem(self) -> adjoint.LinearProblem:
        """K(E) u = load, factored by Cholesky."""
        return adjoint.LinearProblem(self.K, self.load, factorize=adjoint.cholesky)

    def compliance(self, design: adjoint.protocols.DesignMap) -> adjoint.Reduced:
        """The work of the loads as a function of the design; design: densities to moduli."""
        return adjoint.Reduced(self.problem, adjoint.Compliance(self.load), design)


def mbb(nelx: int, nely: int) -> Elastic:
    """The half MBB beam: symmetry on the left, a roller at the bottom right, a unit load down at the top left.

    Andreassen et al. (2011), Struct. Multidiscip. Optim. 43, 1, figure 1.
    """
    grid = Grid.unit(nelx, nely)
    corner = grid.node_numbers
    fixed = np.append(2 * grid.boundary(0, 0), 2 * corner[nelx, nely] + 1)
    load = np.zeros(2 * len(grid.nodes))
    load[2 * corner[0, 0] + 1] = -1.0
    return Elastic.supported(grid, fixed, load)


def cantilever(nelx: int, nely: int) -> Elastic:
    """Clamped on the left, a unit load down at the middle of the right edge (below it for an odd nely)."""
    grid = Grid.unit(nelx, nely)
    load = np.zeros(2 * len(grid.nodes))
    load[2 * grid.node_numbers[nelx, (nely + 1) // 2] + 1] = -1.0
    return Elastic.supported(grid, _clamped(grid), load)


def two_load_cantilever(nelx: int, nely: int) -> Elastic:
    """Clamped on the left; load case 1 pushes the bottom right corner down, load case 2 the top right one up.

    Sigmund (2001), Struct. Multidiscip. Optim. 21, 120, section 5.2.
    """
    grid = Grid.unit(nelx, nely)
    load = np.zeros((2 * len(grid.nodes), 2))
    load[2 * grid.node_numbers[nelx, nely] + 1, 0] = -1.0
    load[2 * grid.node_numbers[nelx, 0] + 1, 1] = 1.0
    return Elastic.supported(grid, _clamped(grid), load)


def cantilever_3d(nelx: int, nely: int, nelz: int) -> Elastic:
    """Clamped at x = 0, a unit line load down along the bottom edge of the far end.

    Liu & Tovar (2014), Struct. Multidiscip. Optim. 50, 1175, section 3.
    """
    grid = Grid.unit(nelx, nely, nelz)
    load = np.zeros(3 * len(grid.nodes))
    load[3 * grid.node_numbers[nelx, nely, :] + 1] = -1.0
    return Elastic.supported(grid, _clamped(grid), load)


def _clamped(grid: Grid) -> Array:
    d = grid.dimension
    return (grid.boundary(0, 0)[:, None] * d + np.arange(d)).ravel()
