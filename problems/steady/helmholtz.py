"""The Helmholtz equation with an absorbing layer: complex symmetric, indefinite."""

import numpy as np

import adjoint
from adjoint.typing import Array

from ..finite_elements.element_matrices import diffusion_matrix, mass_matrix
from ..finite_elements.grid import Grid


def helmholtz(grid: Grid, omega: float, layer: int) -> adjoint.LinearProblem:
    """−∇²u − ω² (1 + iδ) p u = point source, with the squared slowness p (s²/m²) of each element as parameters.

    omega: ω, rad/s. layer: width, in elements, of the damped zone along all sides, where δ rises quadratically
    to 1; at least 1. No flux through the outer sides. The source stands a third of the way in, at mid-height. Needs
    some ten elements a wavelength 2π / (ω√p).
    """
    stiffness = adjoint.Elements(grid.elements, diffusion_matrix(grid))(np.ones(len(grid.elements)))
    delta = damping(grid, layer)
    mass = adjoint.Elements(grid.elements, (1.0 + 1j * delta)[:, None, None] * mass_matrix(grid))
    A = adjoint.Combination([(1.0, adjoint.Constant(stiffness)), (-(omega**2), mass)])
    b = np.zeros(len(grid.nodes), dtype=complex)
    b[grid.node_numbers[grid.cells[0] // 3, grid.cells[1] // 2]] = 1.0
    return adjoint.LinearProblem(A, b, adjoint.ldl)


def damping(grid: Grid, layer: int) -> Array:
    """δ of each element: 0 inside, rising quadratically to 1 over the outermost `layer` elements, (elements,)."""
    size = np.array(grid.cells) * grid.spacing
    width = layer * np.array(grid.spacing)
    depth = (width - np.minimum(grid.centres, size - grid.centres)) / width
    return np.clip(depth.max(axis=1), 0.0, 1.0) ** 2


def receivers(grid: Grid) -> Array:
    """Nodes of a vertical line two thirds of the way in, every second one."""
    return grid.node_numbers[2 * grid.cells[0] // 3, ::2]
