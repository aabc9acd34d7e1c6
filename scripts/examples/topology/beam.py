"""The half MBB beam: from design variables to densities, volume and compliance."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.finite_elements.filters import density_filter, helmholtz_filter
from problems.steady.elasticity import Elastic, mbb

FILTERS = ("density", "sensitivity", "helmholtz")

RELATIVE_RADIUS = 0.04
"""Radius of the filter, relative to the length of the beam, if no radius is given."""


@dataclass(frozen=True)
class Beam:
    """Half an MBB beam of nelx × nely square elements, and its design parametrization.

    The densities are ρ = projection(filter(x)), Young's modulus of an element is SIMP's,
    10⁻⁹ + ρ^penalty (1 − 10⁻⁹).

    filter: one of FILTERS; "sensitivity" filters the gradient instead of the densities.
    radius: of the filter, in elements, or None for RELATIVE_RADIUS · nelx. projection:
    steepness β of the Heaviside projection, 0 for no projection. volume: solid fraction of
    the area.
    """

    nelx: int = 300
    nely: int = 100
    filter: str = "density"
    radius: float | None = None
    projection: float = 8.0
    penalty: float = 3.0
    volume: float = 0.5

    @property
    def elements(self) -> int:
        """The number of elements, which is the number of design variables."""
        return self.nelx * self.nely

    @property
    def filter_radius(self) -> float:
        """The radius of the filter, in elements."""
        return RELATIVE_RADIUS * self.nelx if self.radius is None else self.radius

    @property
    def start(self) -> Array:
        """The uniform design of the given volume, (elements,)."""
        return np.full(self.elements, self.volume)

    @cached_property
    def body(self) -> Elastic:
        """The finite element model."""
        return mbb(self.nelx, self.nely)

    @cached_property
    def smoothing(self) -> adjoint.protocols.DesignMap:
        """The filter of the densities; the identity for "sensitivity"."""
        if self.filter == "sensitivity":
            return adjoint.design.Identity()
        make = density_filter if self.filter == "density" else helmholtz_filter
        return make(self.body.grid, self.filter_radius)

    @cached_property
    def density(self) -> adjoint.protocols.DesignMap:
        """The map from design variables to densities."""
        if self.projection == 0.0:
            return self.smoothing
        projection = adjoint.design.HeavisideProjection(self.projection)
        return adjoint.design.Composed(self.smoothing, projection)

    @cached_property
    def volume_constraint(
        self,
    ) -> adjoint.optimize.LinearConstraint | adjoint.optimize.DesignConstraint:
        """The volume of the densities is at most the given fraction; linear without projection."""
        areas = np.ones(self.elements)
        if self.projection == 0.0:
            return adjoint.optimize.LinearConstraint.volume(self.density, areas, self.volume)
        return adjoint.optimize.DesignConstraint.volume(self.density, areas, self.volume)

    @cached_property
    def compliance(self) -> adjoint.Reduced:
        """The work of the load, as a function of the design variables."""
        modulus = adjoint.design.SIMP(self.penalty)
        return self.body.compliance(adjoint.design.Composed(self.density, modulus))

    @property
    def sensitivity_filter(self) -> adjoint.optimize.SensitivityFilter | None:
        """The filter of the gradient, for optimality criteria; None for other filters."""
        if self.filter != "sensitivity":
            return None
        return adjoint.optimize.SensitivityFilter(
            density_filter(self.body.grid, self.filter_radius)
        )

    def picture(self, x: Array) -> Array:
        """The densities of a design as an image, (nely, nelx), clipped to 0 … 1."""
        return np.clip(self.density(x), 0.0, 1.0).reshape(self.nelx, self.nely).T
