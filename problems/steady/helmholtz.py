"""The Helmholtz equation with an absorbing layer: complex symmetric, indefinite."""

import numpy as np

import adjoint
from adjoint.typing import Array

from ..finite_elements.element_matrices import diffusion_matrix, mass_matrix
from ..finite_elements.grid import Grid


def helmholtz(grid: Grid, omega: float, layer: int) -> adjoint.LinearProblem:
    """Make the problem −∇²u − ω² (1 + iδ) p u = point source; p: squared slowness, s²/m².

    The source stands at a third of the length, at half the height. No flux passes the
    outer sides. About ten elements per wavelength 2π / (ω√p) are needed.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    omega : float
        Angular frequency ω, rad/s.
    layer : int
        Width of the absorbing layer along all sides, in elements, at least 1; the
        damping δ rises quadratically to 1.

    Returns
    -------
    LinearProblem
        With the squared slowness of each element as parameters, (elements,).
    """
    stiffness = adjoint.Elements(grid.elements, diffusion_matrix(grid))(np.ones(len(grid.elements)))
    delta = damping(grid, layer)
    mass = adjoint.Elements(grid.elements, (1.0 + 1j * delta)[:, None, None] * mass_matrix(grid))
    A = adjoint.Combination([(1.0, adjoint.Constant(stiffness)), (-(omega**2), mass)])
    b = np.zeros(len(grid.nodes), dtype=complex)
    b[grid.node_numbers[grid.cells[0] // 3, grid.cells[1] // 2]] = 1.0
    return adjoint.LinearProblem(A, b, adjoint.ldl)


def damping(grid: Grid, layer: int) -> Array:
    """δ of each element, (elements,): 0 inside, rising to 1 over the outer layer."""
    size = np.array(grid.cells) * grid.spacing
    width = layer * np.array(grid.spacing)
    depth = (width - np.minimum(grid.centres, size - grid.centres)) / width
    return np.clip(depth.max(axis=1), 0.0, 1.0) ** 2


def receivers(grid: Grid) -> Array:
    """Return every second node of a vertical line at two thirds of the length."""
    return grid.node_numbers[2 * grid.cells[0] // 3, ::2]
