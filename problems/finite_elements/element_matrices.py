"""Element matrices of scalar equations on a structured grid."""

import numpy as np

from adjoint.typing import Array

from .grid import Grid


def diffusion_matrix(grid: Grid) -> Array:
    """∫∇Nᵀ∇N over an element, (corners, corners)."""
    weights, _, gradients = grid.shape_functions()
    return np.einsum("q,qid,qjd->ij", weights, gradients, gradients)


def advection_matrix(grid: Grid, velocity: Array) -> Array:
    """∫Nᵀ(β·∇N) over an element, (corners, corners); velocity: β, (dimension,), m/s."""
    weights, N, gradients = grid.shape_functions()
    return np.einsum("q,qi,qjd,d->ij", weights, N, gradients, velocity)


def mass_matrix(grid: Grid) -> Array:
    """∫NᵀN over an element, (corners, corners)."""
    weights, N, _ = grid.shape_functions()
    return np.einsum("q,qi,qj->ij", weights, N, N)
