"""Constraints: c ≤ bound or c = bound, of the design, of the state, or of any function.

Volume constraints are made by `LinearConstraint.volume` and `DesignConstraint.volume`.
An algorithm gets all values and gradients at a point from `constraint_values`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from .._dataclasses import short_repr
from .._numerics import dot
from .._validation import as_array, as_reals, has, named, require_methods, require_number
from ..factor.counts import phase
from ..protocols import DesignMap, Objective
from ..reduced import Function, Point, Reduced
from ..typing import Array
from .settings import require_function, require_objective
from .trial import require_point


class Valued(Protocol):
    """A number that depends on the design, with its derivative on demand; a `Point` is one."""

    @property
    def value(self) -> float:
        """c."""

    @property
    def gradient(self) -> Array:
        """dc/dx, (m,)."""


class Constraint(Protocol):
    """c ≤ bound (or c = bound, among equalities), with c a function of an evaluated point."""

    @property
    def bound(self) -> float:
        """The largest value allowed, in the units of c."""

    def at(self, point: Point) -> Valued:
        """c at a point.

        Parameters
        ----------
        point : Point
            The objective at a design, with its solution if the objective has one.

        Returns
        -------
        Valued
            An object with `value`, c, and `gradient`, dc/dx, (m,).
        """


class DesignOnly(Protocol):
    """A constraint on the design alone: c(x) ≤ bound."""

    @property
    def bound(self) -> float:
        """The largest value allowed, in the units of c."""

    def value(self, x: Array) -> float:
        """c(x)."""

    def gradient(self, x: Array) -> Array:
        """dc/dx, (m,)."""


@dataclass(frozen=True, eq=False)
class AtDesign:
    """A constraint on the design, at x; the value and the gradient are computed once."""

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
        """(d²c/dx²) v, (m,); raise TypeError if the constraint has no `product`."""
        if not callable(product := getattr(self.constraint, "product", None)):
            raise TypeError(
                f"{type(self.constraint).__name__} has no method product(x, v), the product of its "
                "Hessian and v, which this algorithm needs"
            )
        return np.asarray(product(self.x, v))


@dataclass(frozen=True, eq=False)
class OfDesign:
    """A constraint on the design alone in the form of a `Constraint`."""

    constraint: DesignOnly

    @property
    def bound(self) -> float:
        """The largest value allowed, in the units of c."""
        return self.constraint.bound

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self.constraint, point.x)


@dataclass(frozen=True, eq=False)
class LinearConstraint:
    """wᵀx ≤ bound.

    Parameters
    ----------
    weights : (m,) array
        w.
    bound : float
        The largest value allowed, in the units of wᵀx.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If the weights are not finite; when evaluated, if x has another shape than w.
    """

    weights: Array
    bound: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _numbers("LinearConstraint", self.weights)

    @classmethod
    def volume(cls, linear: DesignMap, volumes: Array, fraction: float) -> "LinearConstraint":
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e, a volume constraint for a linear map φ.

        φ is transposed once: w = φᵀ v.

        Parameters
        ----------
        linear : DesignMap
            φ, such as a filter, or `Identity()`.
        volumes : (m,) array
            v, the volumes of the elements, positive.
        fraction : float
            The part of the volume that may be filled, between 0 and 1.

        Returns
        -------
        LinearConstraint
            The constraint.

        Raises
        ------
        ValueError
            If φ is not linear, if a volume is not positive, or if the fraction is out of range.
        """
        v = _volumes("LinearConstraint.volume", volumes, fraction)
        expected = "a linear design map, such as adjoint.design.Identity() or a filter"
        require_methods("LinearConstraint.volume", "linear", linear, ("__call__", "vjp"), expected)
        w = linear.vjp(np.zeros_like(v), v)
        gaps = (dot(w, v) - dot(v, linear(v)), dot(v, linear(0.0 * v)))  # zero for a linear φ
        if not max(map(abs, gaps)) <= 1e-8 * dot(v, v):
            raise ValueError(
                f"LinearConstraint: {type(linear).__name__} is not linear; use "
                "DesignConstraint.volume"
            )
        return cls(w, fraction * float(v.sum()))

    def value(self, x: Array) -> float:
        """wᵀx.

        Parameters
        ----------
        x : (m,) array
            The design.

        Returns
        -------
        float
            c.
        """
        _require_weights(self.weights, x, "LinearConstraint")
        return dot(self.weights, x)

    def gradient(self, x: Array) -> Array:
        """w.

        Parameters
        ----------
        x : (m,) array
            The design.

        Returns
        -------
        (m,) array
            dc/dx.
        """
        return self.weights

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian of c times v: zero.

        Parameters
        ----------
        x : (m,) array
            The design.
        v : (m,) array
            A direction.

        Returns
        -------
        (m,) array
            Zeros.
        """
        return np.zeros_like(v)

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self, point.x)


@dataclass(frozen=True, eq=False)
class DesignConstraint:
    """wᵀφ(x) ≤ bound, with any design map φ: for example the volume of a projected design.

    Parameters
    ----------
    design : DesignMap
        φ.
    weights : (n,) array
        w, one number for each entry of φ(x).
    bound : float
        The largest value allowed, in the units of wᵀφ.

    Raises
    ------
    TypeError
        If the design map has no `vjp`, or if the weights are not real numbers.
    ValueError
        If the weights are not finite; when evaluated, if φ(x) has another shape than w.
    """

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
        """Σ_e v_e φ_e(x) ≤ fraction · Σ_e v_e, a volume constraint for any design map φ.

        Parameters
        ----------
        design : DesignMap
            φ, to densities.
        volumes : (n,) array
            v, the volumes of the elements, positive.
        fraction : float
            The part of the volume that may be filled, between 0 and 1.

        Returns
        -------
        DesignConstraint
            The constraint.

        Raises
        ------
        ValueError
            If a volume is not positive, or if the fraction is out of range.
        """
        v = _volumes("DesignConstraint.volume", volumes, fraction)
        return cls(design, v, fraction * float(v.sum()))

    def value(self, x: Array) -> float:
        """wᵀφ(x).

        Parameters
        ----------
        x : (m,) array
            The design.

        Returns
        -------
        float
            c.

        Raises
        ------
        ValueError
            If φ(x) has another shape than w.
        """
        p = self.design(x)
        _require_weights(self.weights, p, "DesignConstraint")
        return dot(self.weights, p)

    def gradient(self, x: Array) -> Array:
        """(∂φ/∂x)ᵀ w.

        Parameters
        ----------
        x : (m,) array
            The design.

        Returns
        -------
        (m,) array
            dc/dx.
        """
        return self.design.vjp(x, self.weights)

    def product(self, x: Array, v: Array) -> Array:
        """The Hessian of c times v.

        Parameters
        ----------
        x : (m,) array
            The design.
        v : (m,) array
            A direction.

        Returns
        -------
        (m,) array
            (d²c/dx²) v.

        Raises
        ------
        TypeError
            If φ has no second derivatives (`hvp`).
        """
        if not callable(second := getattr(self.design, "hvp", None)):
            raise TypeError(
                f"{type(self.design).__name__} has no method hvp(x, p_bar, x_dot), which a "
                "Hessian–vector product needs: the derivative of x ↦ vjp(x, p̄) along ẋ, zeros "
                "for a linear map"
            )
        return np.asarray(second(x, self.weights, v))

    def at(self, point: Point) -> AtDesign:
        """c at the point's design."""
        return AtDesign(self, point.x)


@dataclass(frozen=True, eq=False)
class StateConstraint:
    """J(u, p) ≤ bound, at the solution u of the objective: without another forward solve.

    The gradients of several state constraints at one point take one block of transposed
    solves.

    Parameters
    ----------
    objective : Objective
        J, with value(u, p) and gradients(u, p).
    bound : float
        The largest value allowed, in the units of J.

    Raises
    ------
    TypeError
        If J is not an objective; when evaluated, if the objective of the run has no state.
    """

    objective: Objective
    bound: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_objective("StateConstraint", self.objective)

    def at(self, point: Point) -> Point:
        """J at the point's solution; raise TypeError if the point has no solution."""
        require_solution(point)
        return point.of(self.objective)


@dataclass(frozen=True, eq=False)
class FunctionConstraint:
    """c(x) ≤ bound, with any function c, such as a `Reduced` of another problem.

    Parameters
    ----------
    function : callable
        c: x, (m,) ↦ a point with x, value and gradient, as f of `minimize`; called once per
        point.
    bound : float
        The largest value allowed, in the units of c.

    Raises
    ------
    TypeError
        If `function` is not a function; when evaluated, if it does not return a point.
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
    """Raise TypeError if the point has no state to constrain."""
    if not has(point, "of", "of_each"):
        raise TypeError(
            f"StateConstraint: f returns {named(point)}, which has no state, expected f to be a "
            "Reduced; with another f: FunctionConstraint(Reduced(problem, objective, design), "
            "bound)"
        )


def _require_weights(weights: Array, p: Array, name: str) -> None:
    if np.shape(weights) != np.shape(p):
        raise ValueError(
            f"{name}: got weights of shape {np.shape(weights)}, expected {np.shape(p)}, the "
            "shape of the design"
        )


def _numbers(who: str, weights: Array) -> None:
    """Raise TypeError or ValueError unless the weights are a vector of finite numbers.

    The vector may be empty.
    """
    if as_array(who, "weights", weights).shape != (0,):
        as_reals(who, "weights", weights, 1, "(m,)")


def _volumes(who: str, volumes: Array, fraction: float) -> Array:
    v = as_reals(who, "volumes", volumes, 1, "(m,)")
    require_number(who, "fraction", fraction)
    if not (np.all(v > 0.0) and 0.0 < fraction <= 1.0):
        raise ValueError(
            f"{who}: got volumes of at least {v.min()}, fraction={fraction}; expected v > 0, "
            "0 < fraction ≤ 1"
        )
    return v


class VectorFunction(Protocol):
    """c(u, p), (k,), and the transpose of its derivatives, without any (k, m) matrix.

    Algorithms with Hessian–vector products, such as `NewtonCG`, need two more methods:
    `jvp(u, p, u_dot, p_dot)`, the derivative of the values along (u̇, ṗ), (k,), and
    `hvp(u, p, weights, u_dot, p_dot)`, the derivative of the result of `vjp` along (u̇, ṗ).
    """

    def values(self, u: Array, p: Array) -> Array:
        """c(u, p).

        Parameters
        ----------
        u : (n,) array
            The solution.
        p : (m,) array
            The parameters.

        Returns
        -------
        (k,) array
            The values.
        """

    def vjp(self, u: Array, p: Array, weights: Array) -> tuple[Array, Array]:
        """(Σ_i w_i ∂c_i/∂u, Σ_i w_i ∂c_i/∂p).

        Parameters
        ----------
        u : (n,) array
            The solution.
        p : (m,) array
            The parameters.
        weights : (k,) array
            w.

        Returns
        -------
        tuple of arrays
            The weighted sums, of the shapes of u and p.
        """


@dataclass(frozen=True, eq=False)
class StateConstraints:
    """c_i(u, p) ≤ bounds_i (or =, among equalities), i = 1 … k: local stresses, for example.

    u is the solution of the objective. A weighted sum of all k gradients costs one
    transposed solve, whatever k is.

    Parameters
    ----------
    function : VectorFunction
        c(u, p), (k,), with its vjp.
    bounds : float or (k,) array
        The largest values allowed, in the units of c.

    Raises
    ------
    TypeError
        If the function has no methods `values` and `vjp`.
    ValueError
        If the bounds are not a number or a vector of numbers.
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
    """J(u, p) = Σ w_i c_i(u, p): an objective. weights: w, (k,)."""

    function: VectorFunction
    weights: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return dot(self.weights, self.function.values(u, p))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, Σ w_i ∂c_i/∂p)."""
        return self.function.vjp(u, p, self.weights)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of these gradients along (u̇, ṗ).

        Raise TypeError if the function has no `hvp`.
        """
        if not has(self.function, "hvp"):
            raise TypeError(
                f"{type(self.function).__name__} has no method hvp(u, p, weights, u_dot, p_dot), "
                "which a Hessian–vector product needs: the derivative of the result of vjp(u, p, "
                "weights) along (u̇, ṗ)"
            )
        found: tuple[Array, Array] = getattr(self.function, "hvp")(u, p, self.weights, u_dot, p_dot)  # noqa: B009
        return found
