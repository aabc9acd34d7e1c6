"""Constraints on the design alone, such as volumes: c(x) ≤ bound."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import as_array, as_reals, require_methods, require_number
from ...protocols import DesignMap
from ...reduced import Point
from ...typing import Array


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
    """c(x) and dc/dx of a constraint on the design alone, each computed once."""

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


def _require_weights(weights: Array, p: Array, name: str) -> None:
    if np.shape(weights) != np.shape(p):
        raise ValueError(
            f"{name}: got weights of shape {np.shape(weights)}, expected {np.shape(p)}, the "
            "shape of the design"
        )


def _numbers(who: str, weights: Array) -> None:
    """Raise TypeError or ValueError unless the weights are a vector of finite numbers.

    The vector of weights may be empty.
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
