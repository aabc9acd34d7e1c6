"""Constraints: c ≤ bound, or c = bound, of the design or of the state."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..arrays import Array, dot
from ..design import DesignMap
from ..objectives import Objective
from ..reduced import Point
from .evaluation import require_point
from .settings import has, named, require_function, require_objective
from .state import Function


class Valued(Protocol):
    """A number that depends on the design, its derivative on demand; a `Point` is one."""

    @property
    def value(self) -> float:
        """c."""

    @property
    def gradient(self) -> Array:
        """dc/dx, (m,)."""


class Constraint(Protocol):
    """c ≤ bound (or = bound, where an algorithm takes equalities), c a function of an evaluated point."""

    @property
    def bound(self) -> float:
        """The largest value allowed."""

    def at(self, point: Point) -> Valued:
        """c at the point."""


class DesignOnly(Protocol):
    """A constraint that knows no state: c(x) ≤ bound."""

    @property
    def bound(self) -> float:
        """The largest value allowed."""

    def value(self, x: Array) -> float:
        """c(x)."""

    def gradient(self, x: Array) -> Array:
        """dc/dx, (m,)."""


@dataclass(frozen=True, eq=False)
class AtDesign:
    """A constraint on the design, at x."""

    constraint: DesignOnly
    x: Array

    @cached_property
    def value(self) -> float:
        """c(x)."""
        return self.constraint.value(self.x)

    @cached_property
    def gradient(self) -> Array:
        """dc/dx, (m,)."""
        return self.constraint.gradient(self.x)

    def hvp(self, v: Array) -> Array:
        """(d²c/dx²) v, (m,); raises TypeError for a constraint that has no `product`."""
        if not callable(product := getattr(self.constraint, "product", None)):
            raise TypeError(
                f"{type(self.constraint).__name__} has no method product(x, v), the product of its Hessian and v, "
                "which this algorithm needs"
            )
        return np.asarray(product(self.x, v))


@dataclass(frozen=True, eq=False)
class OfDesign:
    """A constraint that knows no state, as one at a point."""

    constraint: DesignOnly

    @property
    def bound(self) -> float:
        """The largest value allowed."""
        return self.constraint.bound

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self.constraint, point.x)


@dataclass(frozen=True, eq=False)
class LinearConstraint:
    """wᵀx ≤ bound. weights: w, (m,); raises ValueError for an x of another shape."""

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
        _require_weights(self.weights, x, "LinearConstraint")
        return dot(self.weights, x)

    def gradient(self, x: Array) -> Array:
        """w."""
        return self.weights

    def product(self, x: Array, v: Array) -> Array:
        """Zero, (m,): the Hessian of c times v."""
        return np.zeros_like(v)

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self, point.x)


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
        """wᵀφ(x); raises ValueError where φ(x) has another shape than w."""
        p = self.design(x)
        _require_weights(self.weights, p, "DesignConstraint")
        return dot(self.weights, p)

    def gradient(self, x: Array) -> Array:
        """(∂φ/∂x)ᵀ w."""
        return self.design.vjp(x, self.weights)

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian of c times v, (m,); raises TypeError for a φ without second derivatives."""
        if not callable(second := getattr(self.design, "second", None)):
            raise TypeError(
                f"{type(self.design).__name__} has no method second(x, p_bar, x_dot), which a Hessian–vector product "
                "needs: the derivative of x ↦ vjp(x, p̄) along ẋ, zeros for a linear map"
            )
        return np.asarray(second(x, self.weights, v))

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self, point.x)


@dataclass(frozen=True, eq=False)
class StateConstraint:
    """J(u, p) ≤ bound, of the solution that the objective has already: no further forward solve.

    The gradients of several of them at one point take one block of transposed solves.
    """

    objective: Objective
    bound: float

    def __post_init__(self) -> None:
        require_objective("StateConstraint", self.objective)

    def at(self, point: Point) -> Point:
        """J at the point's solution; raises TypeError for a point without."""
        require_solution(point)
        return point.of(self.objective)


@dataclass(frozen=True, eq=False)
class FunctionConstraint:
    """c(x) ≤ bound, c a function of its own, such as a `Reduced` of another problem: evaluated once a point.

    function: as f of `minimize`; raises TypeError for what is none, or returns no point.
    """

    function: Function
    bound: float

    def __post_init__(self) -> None:
        require_function("FunctionConstraint", "function", self.function)

    def at(self, point: Point) -> Point:
        """c at the point's design."""
        return require_point(self.function(point.x), "the function of a FunctionConstraint")


def require_solution(point: Point) -> None:
    """Raise TypeError for a point that has no state to constrain."""
    if not has(point, "of", "of_each"):
        raise TypeError(
            f"StateConstraint: f returns {named(point)}, which has no state, expected f to be a Reduced; with "
            "another f: FunctionConstraint(Reduced(problem, objective, design), bound)"
        )


def _require_weights(weights: Array, p: Array, name: str) -> None:
    if np.shape(weights) != np.shape(p):
        raise ValueError(f"{name}: got weights of shape {np.shape(weights)}, expected {np.shape(p)}, the design's")


def _volumes(volumes: Array, fraction: float) -> Array:
    volumes = np.asarray(volumes, dtype=float)
    if not (volumes.ndim == 1 and np.all(volumes > 0.0) and 0.0 < fraction <= 1.0):
        raise ValueError(f"got volumes of shape {volumes.shape}, fraction {fraction}; expected v > 0, 0 < fraction ≤ 1")
    return volumes
