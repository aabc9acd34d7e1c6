"""Linear elasticity on structured grids: the beams of topology optimization."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array

from ..finite_elements.grid import Grid, number_free


def stiffness_matrix(grid: Grid, poisson: float = 0.3) -> Array:
    """K_e = ∫ Bᵀ D B of an element with Young's modulus 1.

    (8, 8) in 2-D, in plane stress with thickness 1; (24, 24) in 3-D. The unknowns of a
    node stand together. poisson: ν.

    Zienkiewicz & Taylor, The Finite Element Method, vol. 1, sections 4.2 and 6.2.
    """
    nu = poisson
    if grid.dimension == 2:
        D = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
        strains = [(0, 0), (1, 1), (0, 1)]  # ε_xx, ε_yy, γ_xy
    else:
        shear = (1 - 2 * nu) / 2
        D = np.diag([1 - nu, 1 - nu, 1 - nu, shear, shear, shear])
        D[:3, :3] += nu * (1 - np.eye(3))
        D /= (1 + nu) * (1 - 2 * nu)
        strains = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0)]  # ε_xx, …, γ_xy, γ_yz, γ_zx
    weights, _, gradients = grid.shape_functions()
    points, corners, d = gradients.shape
    B = np.zeros((points, len(strains), corners, d))
    for row, (i, j) in enumerate(strains):  # ∂u_i/∂x_j + ∂u_j/∂x_i, or ∂u_i/∂x_i if i = j
        B[:, row, :, i] = gradients[:, :, j]
        B[:, row, :, j] = gradients[:, :, i]
    B = B.reshape(points, len(strains), corners * d)
    return np.einsum("q,qsi,st,qtj->ij", weights, B, D, B)


@dataclass(frozen=True, eq=False)
class Elastic:
    """An elastic body on a grid; the parameters are the Young's moduli E_e of the elements.

    Parameters
    ----------
    grid : Grid
        The grid, in 2-D or 3-D.
    free : (n,) array of int
        Numbers of the displacements that are not fixed; displacement i of a node has the
        number node · dimension + i.
    K : Elements
        Stiffness matrix of the free displacements.
    load : (n,) or (n, k) array
        Forces at the free displacements, for one or k load cases.
    """

    grid: Grid
    free: Array
    K: adjoint.Elements
    load: Array

    @classmethod
    def supported(cls, grid: Grid, fixed: Array, load: Array) -> "Elastic":
        """Make a body with supports, where displacements are zero.

        fixed: numbers of the displacements that are zero. load: forces at all
        displacements, (nodes · dimension,) or (nodes · dimension, k).
        """
        n = len(grid.nodes) * grid.dimension
        dofs, free = number_free(grid.dofs(grid.dimension), fixed, n)
        return cls(grid, free, adjoint.Elements(dofs, stiffness_matrix(grid)), load[free])

    @property
    def problem(self) -> adjoint.LinearProblem:
        """K(E) u = load, with Cholesky factors."""
        return adjoint.LinearProblem(self.K, self.load, factorize=adjoint.cholesky)

    def compliance(self, design: adjoint.protocols.DesignMap) -> adjoint.Reduced:
        """Return the work of the loads as a function of the design.

        design: the map from design variables to Young's moduli.
        """
        return adjoint.Reduced(self.problem, adjoint.Compliance(self.load), design)


def mbb(nelx: int, nely: int) -> Elastic:
    """Make the right half of the MBB beam, with a unit load.

    The left side is a plane of symmetry, a roller supports the bottom right corner, and
    the load pulls the top left corner down.

    Parameters
    ----------
    nelx, nely : int
        Number of unit square elements along x and y.

    Returns
    -------
    Elastic
        The beam, with nelx · nely parameters.

    References
    ----------
    Andreassen et al. (2011), Struct. Multidiscip. Optim. 43, 1, figure 1.
    """
    grid = Grid.unit(nelx, nely)
    node = grid.node_numbers
    # u_x = 0 on the left side, u_y = 0 in the bottom right corner.
    fixed = np.append(2 * grid.boundary(0, 0), 2 * node[nelx, nely] + 1)
    load = np.zeros(2 * len(grid.nodes))
    load[2 * node[0, 0] + 1] = -1.0
    return Elastic.supported(grid, fixed, load)


def cantilever(nelx: int, nely: int) -> Elastic:
    """Make a cantilever, clamped on the left, with a unit load at mid-height of its end.

    Parameters
    ----------
    nelx, nely : int
        Number of unit square elements along x and y. For an odd nely the load is at the
        node below the middle.

    Returns
    -------
    Elastic
        The beam, with nelx · nely parameters.
    """
    grid = Grid.unit(nelx, nely)
    load = np.zeros(2 * len(grid.nodes))
    load[2 * grid.node_numbers[nelx, (nely + 1) // 2] + 1] = -1.0
    return Elastic.supported(grid, _clamped(grid), load)


def two_load_cantilever(nelx: int, nely: int) -> Elastic:
    """Make a cantilever with two load cases: bottom right corner down, top right corner up.

    Parameters
    ----------
    nelx, nely : int
        Number of unit square elements along x and y.

    Returns
    -------
    Elastic
        The beam, with nelx · nely parameters.

    References
    ----------
    Sigmund (2001), Struct. Multidiscip. Optim. 21, 120, section 5.2.
    """
    grid = Grid.unit(nelx, nely)
    load = np.zeros((2 * len(grid.nodes), 2))
    load[2 * grid.node_numbers[nelx, nely] + 1, 0] = -1.0
    load[2 * grid.node_numbers[nelx, 0] + 1, 1] = 1.0
    return Elastic.supported(grid, _clamped(grid), load)


def cantilever_3d(nelx: int, nely: int, nelz: int) -> Elastic:
    """Make a cantilever in 3-D with a line load on the bottom edge of its end.

    Parameters
    ----------
    nelx, nely, nelz : int
        Number of unit cubes along x, y and z.

    Returns
    -------
    Elastic
        The beam, with nelx · nely · nelz parameters.

    References
    ----------
    Liu & Tovar (2014), Struct. Multidiscip. Optim. 50, 1175, section 3.
    """
    grid = Grid.unit(nelx, nely, nelz)
    load = np.zeros(3 * len(grid.nodes))
    load[3 * grid.node_numbers[nelx, nely, :] + 1] = -1.0
    return Elastic.supported(grid, _clamped(grid), load)


def _clamped(grid: Grid) -> Array:
    """Numbers of all displacements of the left side."""
    d = grid.dimension
    return (grid.boundary(0, 0)[:, None] * d + np.arange(d)).ravel()
