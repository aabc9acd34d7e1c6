"""What a trial of another package's optimizer is: a point and its constraints; and how a run ends from within."""

from dataclasses import dataclass

import numpy as np

from ..errors import NonFinite, SolveError
from ..optimize.constraint_values import Excess
from ..optimize.inner_products import Root
from ..optimize.scaling import Scaling
from ..optimize.status import Status
from ..reduced import Point
from ..typing import Array

LEAST = 1e-290
"""A slope below this is zero: its scale would overflow."""


class Enough(Exception):
    """The run has to end, for the reason given."""

    def __init__(self, status: Status, cause: SolveError | None) -> None:
        super().__init__(status.value)
        self.status, self.cause = status, cause


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A point, and its constraints, inequalities first."""

    z: Array
    point: Point
    excess: Excess | None


@dataclass(frozen=True, eq=False)
class Beginning:
    """What the start of a run tells: the scales of constraints and design, f, and ‖∇f‖ in the dual norm."""

    found: Scaling
    value: float
    steepness: float

    @property
    def scale(self) -> float:
        """What f is multiplied by: then it has a slope of 1 in designs of a length of 1, or is 1 where it is flat."""
        slope = self.steepness * self.found.length
        size = slope if LEAST < slope < np.inf else abs(self.value)
        return 1.0 / size if LEAST < size < np.inf else 1.0


@dataclass(frozen=True, eq=False)
class Lengthened:
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
        """length · R⁻¹ g: the derivative in z of a derivative in x, (m,)."""
        return self.root.pull(g) * self.length


def finite(slopes: Array) -> Array:
    """The gradients of constraints; raises NonFinite."""
    bad = np.flatnonzero(~np.isfinite(slopes).all(axis=1))
    if bad.size:
        raise NonFinite(f"the gradient of constraint {bad[0]} is not finite")
    return slopes
