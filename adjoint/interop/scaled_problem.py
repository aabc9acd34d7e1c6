"""The scaled problem that an optimizer of another package sees, and how its run ends."""

from dataclasses import dataclass

import numpy as np

from ..errors import SolveError
from ..optimize.constraints.values import Excess
from ..optimize.scaling import Scaling
from ..optimize.square_roots import Root
from ..optimize.status import Status
from ..reduced import Point
from ..typing import Array

FLAT = 1e-290
"""Slope of f below which f counts as flat: 1/slope might overflow."""


class RunEnded(Exception):
    """Exception that ends the optimizer of another package, with the status of the run."""

    def __init__(self, status: Status, cause: SolveError | None) -> None:
        super().__init__(status.value)
        self.status, self.cause = status, cause


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The point of f at z, and its scaled constraints, inequalities first."""

    z: Array
    point: Point
    excess: Excess | None


@dataclass(frozen=True, eq=False)
class InitialScales:
    """Scales of constraints and design at the start, with f and the dual norm of ∇f there."""

    scaling: Scaling
    value: float
    steepness: float

    @property
    def scale(self) -> float:
        """Factor on f: 1 / (‖∇f‖ · length) at the start, or 1/|f| if f is flat there."""
        slope = self.steepness * self.scaling.length
        size = slope if FLAT < slope < np.inf else abs(self.value)
        return 1.0 / size if FLAT < size < np.inf else 1.0


@dataclass(frozen=True, eq=False)
class ScaledVariables:
    """The variables z = Rᵀ x / length. root: R, with M = R Rᵀ."""

    root: Root
    length: float

    def to_x(self, z: Array) -> Array:
        """The design x = length · R⁻ᵀ z, (m,)."""
        return self.root.to_x(z) * self.length

    def to_z(self, x: Array) -> Array:
        """z = Rᵀ x / length, (m,)."""
        return self.root.to_z(x) / self.length

    def pull(self, g: Array) -> Array:
        """df/dz = length · R⁻¹ g, (m,), for g = df/dx."""
        return self.root.pull(g) * self.length
