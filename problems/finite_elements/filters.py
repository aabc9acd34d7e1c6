"""Filters of a structured grid."""

import numpy as np
import scipy.sparse as sparse

import adjoint

from .element_matrices import diffusion_matrix, mass_matrix
from .grid import Grid


def density_filter(grid: Grid, radius: float) -> adjoint.design.ConvolutionFilter:
    """The density filter with cone weights; radius: in units of the grid's spacing."""
    order = (
        (0, 1) if grid.dimension == 2 else (2, 0, 1)
    )  # The axes in which the elements are numbered, slowest first.
    shape, spacing = (
        tuple(values[axis] for axis in order) for values in (grid.cells, grid.spacing)
    )
    return adjoint.design.ConvolutionFilter(shape, spacing, radius)


def helmholtz_filter(grid: Grid, radius: float) -> adjoint.design.HelmholtzFilter:
    """The filter that compares with a density filter of the given radius, in units of the grid's spacing.

    Raises ValueError for a radius that is not positive.

    Lazarov & Sigmund (2011), Int. J. Numer. Methods Eng. 86, 765, eqs. 9 and 17: R = r / (2√3). Below a
    radius of two elements densities may overshoot, to slightly less than 0 or more than 1.
    """
    if not 0.0 < radius < np.inf:
        raise ValueError(f"got a filter radius of {radius}, expected a positive length")
    elements, corners = grid.elements.shape
    Ke = radius**2 / 12.0 * diffusion_matrix(grid) + mass_matrix(grid)
    K = adjoint.Elements(grid.elements, Ke)(np.ones(elements))
    columns = np.repeat(np.arange(elements), corners)
    averages = np.full(elements * corners, grid.volume / corners)
    T = sparse.coo_array(
        (averages, (grid.elements.ravel(), columns)), shape=(len(grid.nodes), elements)
    )
    return adjoint.design.HelmholtzFilter(K, sparse.csc_array(T), np.full(elements, grid.volume))
