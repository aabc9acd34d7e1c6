"""One inequality constraint on the design: c(x) ≤ bound."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arrays import Array, dot
from ..design import DesignMap


class Constraint(Protocol):
    """c(x) ≤ bound."""

    @property
    def bound(self) -> float:
        """The largest value allowed."""

    def value(self, x: Array) -> float:
        """c(x)."""

    def gradient(self, x: Array) -> Array:
        """dc/dx, (m,)."""


@dataclass(frozen=True, eq=False)
class LinearConstraint:
    """wᵀx ≤ bound. weights: w, (m,)."""

    weights: Array
    bound: float

    @classmethod
    def volume(cls, linear: DesignMap, volumes: Array, fraction: float) -> "LinearConstraint":
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e, for a linear map φ such as a filter.

        volumes: v, (m,), positive; fraction: between 0 and 1. φ is transposed once: w = φᵀ v. Raises ValueError
        for a φ that is not linear.
        """
        v = _volumes(volumes, fraction)
        w = linear.vjp(np.zeros_like(v), v)
        gaps = (dot(w, v) - dot(v, linear(v)), dot(v, linear(0.0 * v)))  # zero for a linear φ
        if not max(map(abs, gaps)) <= 1e-8 * dot(v, v):
            raise ValueError(f"LinearConstraint: {type(linear).__name__} is not linear; use DesignConstraint.volume")
        return cls(w, fraction * float(v.sum()))

    def value(self, x: Array) -> float:
        """wᵀx."""
        return dot(self.weights, x)

    def gradient(self, x: Array) -> Array:
        """w."""
        return self.weights


@dataclass(frozen=True, eq=False)
class DesignConstraint:
    """wᵀφ(x) ≤ bound, φ any design map: for example the volume of a projected design."""

    design: DesignMap
    weights: Array
    bound: float

    @classmethod
    def volume(cls, design: DesignMap, volumes: Array, fraction: float) -> "DesignConstraint":
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e; volumes: v, (m,), positive."""
        v = _volumes(volumes, fraction)
        return cls(design, v, fraction * float(v.sum()))

    def value(self, x: Array) -> float:
        """wᵀφ(x)."""
        return dot(self.weights, self.design(x))

    def gradient(self, x: Array) -> Array:
        """(∂φ/∂x)ᵀ w."""
        return self.design.vjp(x, self.weights)


def _volumes(volumes: Array, fraction: float) -> Array:
    volumes = np.asarray(volumes, dtype=float)
    if not (volumes.ndim == 1 and np.all(volumes > 0.0) and 0.0 < fraction <= 1.0):
        raise ValueError(f"got volumes of shape {volumes.shape}, fraction {fraction}; expected v > 0, 0 < fraction ≤ 1")
    return volumes
