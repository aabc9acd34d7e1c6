"""Constraints: c ≤ bound, or c = bound, of the design or of the state.

Many constraints on one state as one vector, c(u, p) ≤ bounds: local stresses.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from .._numerics import dot
from .._repr import short_repr
from .._validation import as_array, as_reals, has, named, require_methods, require_number
from ..factor.counts import phase
from ..protocols import DesignMap, Objective
from ..reduced import Function, Point, Reduced
from ..typing import Array
from .settings import require_function, require_objective
from .trial import require_point


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
        return np.array(self.constraint.gradient(self.x))  # A copy: it is remembered.

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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _numbers("LinearConstraint", self.weights)

    @classmethod
    def volume(cls, linear: DesignMap, volumes: Array, fraction: float) -> "LinearConstraint":
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e, for a linear map φ such as a filter.

        volumes: v, (m,), positive; fraction: between 0 and 1. φ is transposed once: w = φᵀ v. Raises ValueError
        for a φ that is not linear.
        """
        v = _volumes("LinearConstraint.volume", volumes, fraction)
        expected = "a linear design map, such as adjoint.design.Identity() or a filter"
        require_methods("LinearConstraint.volume", "linear", linear, ("__call__", "vjp"), expected)
        w = linear.vjp(np.zeros_like(v), v)
        gaps = (dot(w, v) - dot(v, linear(v)), dot(v, linear(0.0 * v)))  # zero for a linear φ
        if not max(map(abs, gaps)) <= 1e-8 * dot(v, v):
            raise ValueError(
                f"LinearConstraint: {type(linear).__name__} is not linear; use DesignConstraint.volume"
            )
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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods(
            "DesignConstraint", "design", self.design, ("__call__", "vjp"), "a design map"
        )
        _numbers("DesignConstraint", self.weights)

    @classmethod
    def volume(cls, design: DesignMap, volumes: Array, fraction: float) -> "DesignConstraint":
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e; volumes: v, (m,), positive."""
        v = _volumes("DesignConstraint.volume", volumes, fraction)
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
        if not callable(second := getattr(self.design, "hvp", None)):
            raise TypeError(
                f"{type(self.design).__name__} has no method hvp(x, p_bar, x_dot), which a Hessian–vector product "
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

    __repr__ = short_repr

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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("FunctionConstraint", "function", self.function)
        if isinstance(self.function, type) and issubclass(self.function, Reduced):
            raise TypeError(
                "FunctionConstraint: got function=Reduced, the class itself, expected Reduced(…)"
            )

    def at(self, point: Point) -> Point:
        """c at the point's design."""
        with phase("model"):
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
        raise ValueError(
            f"{name}: got weights of shape {np.shape(weights)}, expected {np.shape(p)}, the design's"
        )


def _numbers(who: str, weights: Array) -> None:
    """Raise TypeError or ValueError for weights that are no vector of finite numbers; it may be empty."""
    if as_array(who, "weights", weights).shape != (0,):
        as_reals(who, "weights", weights, 1, "(m,)")


def _volumes(who: str, volumes: Array, fraction: float) -> Array:
    v = as_reals(who, "volumes", volumes, 1, "(m,)")
    require_number(who, "fraction", fraction)
    if not (np.all(v > 0.0) and 0.0 < fraction <= 1.0):
        raise ValueError(
            f"{who}: got volumes from {v.min()} on, fraction={fraction}; expected v > 0, 0 < fraction ≤ 1"
        )
    return v


class VectorFunction(Protocol):
    """c(u, p), (k,), and the transpose of its derivatives; no (k, m) matrix anywhere.

    For algorithms with Hessian–vector products, such as `NewtonCG`, two more methods: `jvp(u, p, u_dot, p_dot)`, the
    derivative of the values, (k,), and `second(u, p, weights, u_dot, p_dot)`, the derivative of what `vjp` returns.
    """

    def values(self, u: Array, p: Array) -> Array:
        """c, (k,)."""

    def vjp(self, u: Array, p: Array, weights: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, of u's shape, Σ w_i ∂c_i/∂p, (m,)); weights: w, (k,)."""


@dataclass(frozen=True, eq=False)
class StateConstraints:
    """c_i(u, p) ≤ bounds_i (or =, among equalities), i = 1 … k.

    u is the solution that the objective has already. bounds: a number, or (k,). A weighted sum of all k gradients costs
    one transposed solve, whatever k.
    """

    function: VectorFunction
    bounds: float | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        expected = "an object with values(u, p) -> (k,) and vjp(u, p, weights)"
        require_methods("StateConstraints", "function", self.function, ("values", "vjp"), expected)
        bounds = as_array("StateConstraints", "bounds", self.bounds)
        if bounds.dtype.kind not in "fiu" or bounds.ndim > 1 or np.isnan(bounds).any():
            raise ValueError(
                f"StateConstraints: got bounds={self.bounds}, expected a number or a vector (k,)"
            )


@dataclass(frozen=True, eq=False)
class Along:
    """J = Σ w_i c_i(u, p): an objective. weights: w, (k,)."""

    function: VectorFunction
    weights: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return dot(self.weights, self.function.values(u, p))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, Σ w_i ∂c_i/∂p)."""
        return self.function.vjp(u, p, self.weights)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of these gradients along (u̇, ṗ); raises TypeError for a function without `hvp`."""
        if not has(self.function, "hvp"):
            raise TypeError(
                f"{type(self.function).__name__} has no method hvp(u, p, weights, u_dot, p_dot), which a "
                "Hessian–vector product needs: the derivative of what vjp(u, p, weights) returns along (u̇, ṗ)"
            )
        found: tuple[Array, Array] = getattr(self.function, "hvp")(u, p, self.weights, u_dot, p_dot)  # noqa: B009
        return found
