"""Design maps: what lies between the design x of an optimizer and the parameters p of a model.

`>>` composes them.
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
