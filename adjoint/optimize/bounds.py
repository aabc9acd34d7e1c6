"""Bounds on a design: lower ≤ x ≤ upper."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array


@dataclass(frozen=True, eq=False)
class Box:
    """lower ≤ x ≤ upper; numbers, or arrays (m,); ±inf where there is no bound. ValueError if none is between."""

    lower: float | Array = -np.inf
    upper: float | Array = np.inf

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.lower) <= np.asarray(self.upper)):
            raise ValueError(f"Box: a lower bound exceeds its upper bound, or is nan: got {self.lower}, {self.upper}")

    @property
    def everywhere(self) -> bool:
        """Whether nothing is bounded."""
        return bool(np.all(np.isneginf(self.lower)) and np.all(np.isposinf(self.upper)))

    def clip(self, x: Array) -> Array:
        """The nearest point of the box (in any diagonal inner product)."""
        return np.clip(x, self.lower, self.upper)

    def holds(self, x: Array) -> bool:
        """Whether x is in the box."""
        return bool(np.all((x >= self.lower) & (x <= self.upper)))

    def blocked(self, x: Array, g: Array) -> Array:
        """Where −g points out of the box at a bound that x stands at, (m,) booleans."""
        return np.asarray(((x <= self.lower) & (g > 0.0)) | ((x >= self.upper) & (g < 0.0)))

    def held(self, x: Array, g: Array) -> Array:
        """g without the components that push against a bound x stands at: zero at a stationary point."""
        return np.where(self.blocked(x, g), 0.0, g)
