"""Filters of the densities on a structured grid."""

import numpy as np
import scipy.sparse as sparse

import adjoint

from .element_matrices import diffusion_matrix, mass_matrix
from .grid import Grid


def density_filter(grid: Grid, radius: float) -> adjoint.design.ConvolutionFilter:
    """Make the density filter with cone weights.

    Parameters
    ----------
    grid : Grid
        The grid of the densities.
    radius : float
        Radius of the filter, in units of the grid's spacing.

    Returns
    -------
    ConvolutionFilter
        The map from design variables to filtered densities, (elements,) to (elements,).
    """
    # The axes along which the elements are numbered, the slowest first.
    order = (0, 1) if grid.dimension == 2 else (2, 0, 1)
    shape, spacing = (
        tuple(values[axis] for axis in order) for values in (grid.cells, grid.spacing)
    )
    return adjoint.design.ConvolutionFilter(shape, spacing, radius)


def helmholtz_filter(grid: Grid, radius: float) -> adjoint.design.HelmholtzFilter:
    """Make the filter ρ − R²∇²ρ = x that compares with a density filter of the given radius.

    Parameters
    ----------
    grid : Grid
        The grid of the densities.
    radius : float
        Radius r of the density filter, in units of the grid's spacing; R = r / (2√3).
        With a radius below two elements densities may overshoot, to slightly less than
        0 or more than 1.

    Returns
    -------
    HelmholtzFilter
        The map from design variables to filtered densities, (elements,) to (elements,).

    Raises
    ------
    ValueError
        If the radius is not positive and finite.

    References
    ----------
    Lazarov & Sigmund (2011), Int. J. Numer. Methods Eng. 86, 765, eqs. 9 and 17.
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
