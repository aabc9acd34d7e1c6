"""Maps from design variables to physical parameters, p = φ(x), each with its derivative and transpose."""

from ..protocols import DesignMap
from .filters import ConvolutionFilter, DensityFilter, HelmholtzFilter
from .interpolation import HeavisideProjection, Ramp, Simp
from .maps import Composed, Identity

__all__ = [
    "Composed",
    "ConvolutionFilter",
    "DensityFilter",
    "DesignMap",
    "HeavisideProjection",
    "HelmholtzFilter",
    "Identity",
    "Ramp",
    "Simp",
]
