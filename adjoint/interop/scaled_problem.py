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

LEAST = 1e-290
"""Slope below which f is flat: its scale would overflow."""


class RunEnded(Exception):
    """Raised inside of an optimizer: the run has to end, for the reason given."""

    def __init__(self, status: Status, cause: SolveError | None) -> None:
        super().__init__(status.value)
        self.status, self.cause = status, cause


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A point at z, and its constraints, inequalities first."""

    z: Array
    point: Point
    excess: Excess | None


@dataclass(frozen=True, eq=False)
class InitialScales:
    """Scales at the start: of constraints and design, f there, and ‖∇f‖ in the dual norm."""

    scaling: Scaling
    value: float
    steepness: float

    @property
    def scale(self) -> float:
        """Factor on f: then f has a slope of 1 in a design of length 1, or is 1 if it is flat."""
        slope = self.steepness * self.scaling.length
        size = slope if LEAST < slope < np.inf else abs(self.value)
        return 1.0 / size if LEAST < size < np.inf else 1.0


@dataclass(frozen=True, eq=False)
class ScaledVariables:
    """z = Rᵀ x / length. root: R."""

    root: Root
    length: float

    def to_x(self, z: Array) -> Array:
        """R⁻ᵀ z · length: the design, (m,)."""
        return self.root.to_x(z) * self.length

    def to_z(self, x: Array) -> Array:
        """Rᵀ x / length, (m,)."""
        return self.root.to_z(x) / self.length

    def pull(self, g: Array) -> Array:
        """length · R⁻¹ g: the derivative with respect to z, (m,), of f with df/dx = g."""
        return self.root.pull(g) * self.length
