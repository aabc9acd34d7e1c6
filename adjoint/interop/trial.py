"""What a trial of another package's optimizer is: a point and its constraints; and how a run ends from within."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..factor.errors import NonFinite, SolveError
from ..optimize import Status
from ..optimize.constraints import Excess
from ..reduced import Point


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


def finite(slopes: Array) -> Array:
    """The gradients of constraints; raises NonFinite."""
    bad = np.flatnonzero(~np.isfinite(slopes).all(axis=1))
    if bad.size:
        raise NonFinite(f"the gradient of constraint {bad[0]} is not finite")
    return slopes
