"""The interval in which a state must stay, and how far a step may go in it."""

from dataclasses import dataclass

import numpy as np

from .._validation import as_array
from ..typing import Array

BACK = 0.9
"""Of the way to a bound that a step may go which would cross it: the fraction-to-the-boundary rule."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """lower ≤ u ≤ upper, for every iterate; outside, R need not be defined.

    lower, upper: a number for all unknowns, or (n,). A step that would cross a bound goes 0.9 of the way to it;
    Nocedal & Wright (2006), section 19.2. Raises ValueError for nan, and for a lower bound that is not below the upper.
    """

    lower: float | Array = -np.inf
    upper: float | Array = np.inf

    def __post_init__(self) -> None:
        lower, upper = (as_array("Bounds", name, getattr(self, name)) for name in ("lower", "upper"))
        if lower.dtype.kind not in "fiu" or upper.dtype.kind not in "fiu":
            raise TypeError(f"Bounds: got lower of dtype {lower.dtype}, upper of {upper.dtype}; expected real numbers")
        if max(lower.ndim, upper.ndim) > 1 or (lower.ndim and upper.ndim and lower.shape != upper.shape):
            raise ValueError(f"Bounds: got lower of shape {lower.shape}, upper of shape {upper.shape}")
        if not np.all(lower < upper):
            raise ValueError(f"Bounds: got lower={self.lower}, upper={self.upper}; expected lower < upper everywhere")

    def require(self, u: Array) -> None:
        """Raise ValueError unless u is inside, or of another length than the bounds."""
        if u.dtype.kind == "c":
            raise TypeError("bounds are for real states; this one is complex")
        lower, upper = self._expanded(u)
        outside = np.flatnonzero(~((lower <= u) & (u <= upper)))
        if outside.size:
            i = outside[0]
            raise ValueError(
                f"the start u0[{i}] = {u[i]:g} is outside of its bounds [{lower[i]:g}, {upper[i]:g}] ({outside.size} "
                "such); start inside, or widen the bounds"
            )

    def longest(self, u: Array, du: Array) -> float:
        """The largest factor α ≤ 1 for which u + α du is inside."""
        lower, upper = self._expanded(u)
        if np.all((lower <= u + du) & (u + du <= upper)):
            return 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(du < 0.0, (lower - u) / du, np.where(du > 0.0, (upper - u) / du, np.inf))
        return BACK * float(room.min())

    def nearest(self, u: Array) -> int:
        """The unknown that is closest to one of its bounds."""
        lower, upper = self._expanded(u)
        return int(np.argmin(np.minimum(u - lower, upper - u)))

    def _expanded(self, u: Array) -> tuple[Array, Array]:
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if np.ndim(bound) and np.shape(bound) != u.shape:
                raise ValueError(f"Bounds: got {name} of shape {np.shape(bound)}, expected a number or {u.shape}")
        return np.broadcast_to(self.lower, u.shape), np.broadcast_to(self.upper, u.shape)
