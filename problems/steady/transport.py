"""Advection, diffusion and reaction: nonsymmetric, with nonzero boundary values."""

import numpy as np

import adjoint

from ..finite_elements.element_matrices import advection_matrix, diffusion_matrix, mass_matrix
from ..finite_elements.grid import Grid


def advection_diffusion(
    grid: Grid, velocity: tuple[float, float], reaction: float
) -> adjoint.LinearProblem:
    """Make the problem −∇·(κ∇u) + β·∇u + σu = 1; the parameters are κ of each element, m²/s.

    On the left face u = 1 + y, on the right face u is the mean of the parameters:
    boundary values may depend on p. No flux passes the other faces. The elements are
    bilinear (Galerkin): keep |β| h / κ below 2.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    velocity : (float, float)
        Velocity β, m/s.
    reaction : float
        Reaction rate σ, 1/s.

    Returns
    -------
    LinearProblem
        The problem, with one parameter per element, (elements,). The unknowns are u at all
        nodes except the nodes with boundary values.
    """
    elements = len(grid.elements)
    transport = advection_matrix(grid, np.asarray(velocity, dtype=float)) + reaction * mass_matrix(
        grid
    )
    fixed_part = adjoint.Elements(grid.elements, transport)(np.ones(elements))
    A = adjoint.Combination(
        [
            (1.0, adjoint.Elements(grid.elements, diffusion_matrix(grid))),
            (1.0, adjoint.Constant(fixed_part)),
        ]
    )
    corners = grid.elements.shape[1]
    source = np.bincount(grid.elements.ravel(), minlength=len(grid.nodes)) * grid.volume / corners
    left, right = grid.boundary(0, 0), grid.boundary(0, 1)
    base = np.concatenate([1.0 + grid.nodes[left, 1], np.zeros(right.size)])
    mean = np.zeros((base.size, elements))
    mean[left.size :] = 1.0 / elements
    values = adjoint.matrices.AffineVector(base, mean)
    given = adjoint.Dirichlet(np.concatenate([left, right]), values)
    return adjoint.LinearProblem(A, source, adjoint.lu, given)
