"""Design maps x ↦ p, from the design x of an optimizer to the parameters p of a model.

The operator `>>` composes design maps.
"""

from .filters import ConvolutionFilter, DensityFilter, HelmholtzFilter
from .interpolation import SIMP, HeavisideProjection, Ramp
from .maps import Composed, Identity

__all__ = [
    # Filters
    "ConvolutionFilter",
    "DensityFilter",
    "HelmholtzFilter",
    # Interpolations and projections
    "SIMP",
    "Ramp",
    "HeavisideProjection",
    # Composition
    "Composed",
    "Identity",
]
