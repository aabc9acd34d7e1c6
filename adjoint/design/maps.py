"""The composition of design maps, the identity, and the checks that all maps share."""

from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TypeVar

import numpy as np

from .._dataclasses import Portable, short_repr
from .._numerics import finite_sum
from .._optional_methods import checked_design_hvp
from .._validation import as_parameters, first_nonfinite, require_methods
from ..errors import NonFinite
from ..protocols import DesignMap
from ..typing import Array

M = TypeVar("M", bound=DesignMap)


def guarded(kind: type[M]) -> type[M]:
    """Class decorator for maps from (m,) to (m,): check arguments and results of the methods.

    Every result is finite, or an error names the map. Without the checks NumPy would
    broadcast arguments of another shape, and nan would pass through.
    """
    who = kind.__name__

    def point(self: M, x: Array) -> Array:
        return finite_values(who, "value", apply(self, _vector(who, "x", x)))

    def pulled_back(self: M, x: Array, p_bar: Array) -> Array:
        return finite_values(who, "vjp", pull(self, *_pair(who, x, p_bar, "p_bar")))

    def pushed_forward(self: M, x: Array, x_dot: Array) -> Array:
        return finite_values(who, "jvp", push(self, *_pair(who, x, x_dot, "x_dot")))

    apply, pull, push = kind.__call__, kind.vjp, kind.jvp
    for name, method, plain in (
        ("__call__", point, apply),
        ("vjp", pulled_back, pull),
        ("jvp", pushed_forward, push),
    ):
        setattr(kind, name, wraps(plain)(method))
    return kind


def _vector(who: str, name: str, v: Array) -> Array:
    """Return v as a finite float64 or complex128 vector; if v is such a vector, v itself.

    No copy is needed, since maps do not write to their arguments.
    """
    if (
        isinstance(v, np.ndarray)
        and v.dtype in (np.float64, np.complex128)
        and v.ndim == 1
        and finite_sum(v)
    ):
        return v
    return as_parameters(v, f"{name} of {who}")


def _pair(who: str, x: Array, v: Array, name: str) -> tuple[Array, Array]:
    x, v = _vector(who, "x", x), _vector(who, name, v)
    if x.shape != v.shape:
        raise ValueError(
            f"{who}: got {name} of shape {v.shape}, expected the shape of x, {x.shape}"
        )
    return x, v


def finite_values(who: str, what: str, values: Array) -> Array:
    """Return the values; raise NonFinite unless all values are finite."""
    if not finite_sum(values) and (bad := first_nonfinite(values)):
        raise NonFinite(
            f"{who}: the {what} is {bad[1]} in component {bad[0]}. Usual cause: a design far "
            "outside of [0, 1]"
        )
    return values


@dataclass(frozen=True, eq=False)
class Composed(Portable):
    """φ(x) = then(first(x)), written `first >> then`.

    Parameters
    ----------
    first, then : DesignMap
        The map that is applied to x, and the map that is applied to first(x).

    Raises
    ------
    TypeError
        If an argument is not a design map.
    """

    first: DesignMap
    then: DesignMap

    __repr__ = short_repr

    def __post_init__(self) -> None:
        for name, part in (("first", self.first), ("then", self.then)):
            require_methods(
                "Composed (>>)",
                name,
                part,
                ("__call__", "vjp"),
                "a design map, such as adjoint.design.SIMP()",
            )

    @cached_property
    def _stages(self) -> "list[DesignMap]":
        """The maps in the order in which they are applied; nested compositions are flattened.

        With a flat list, a derivative applies each map once per point.
        """
        parts = (self.first, self.then)
        return [
            stage
            for part in parts
            for stage in (part._stages if isinstance(part, Composed) else [part])
        ]

    def _points(self, x: Array) -> list[Array]:
        """Return the points at which the maps are applied, one point per map."""
        points = [x]
        for stage in self._stages[:-1]:
            # A copy, because a map that occurs twice may return the same array both times.
            points.append(np.array(stage(points[-1])))
        return points

    def __call__(self, x: Array) -> Array:
        """Return φ(x)."""
        return self.then(self.first(x))

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return (∂φ/∂x)ᵀ p̄: the transposes in reverse order."""
        for stage, at in zip(reversed(self._stages), reversed(self._points(x)), strict=True):
            p_bar = stage.vjp(at, p_bar)
        return p_bar

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return ∂φ/∂x ẋ."""
        for stage, at in zip(self._stages, self._points(x), strict=True):
            x_dot = stage.jvp(at, x_dot)
        return x_dot

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return φ₁''(ẋ)ᵀ φ₂'ᵀ p̄ + φ₁'ᵀ φ₂''(φ₁' ẋ)ᵀ p̄ for two maps.

        For more maps the formula is applied repeatedly.

        Raise TypeError if a map has no `hvp`.
        """
        stages, points, tangents = self._stages, self._points(x), [x_dot]
        for stage, at in zip(stages[:-1], points, strict=False):
            tangents.append(np.array(stage.jvp(at, tangents[-1])))
        p_bar_dot = checked_design_hvp(stages[-1], points[-1], p_bar, tangents[-1])
        for k in reversed(range(len(points) - 1)):
            p_bar = stages[k + 1].vjp(points[k + 1], p_bar)
            p_bar_dot = checked_design_hvp(stages[k], points[k], p_bar, tangents[k]) + stages[
                k
            ].vjp(points[k], p_bar_dot)
        return p_bar_dot

    def __rshift__(self, then: DesignMap) -> "Composed":
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> "Composed":
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class Identity:
    """φ(x) = x."""

    __repr__ = short_repr

    def __call__(self, x: Array) -> Array:
        """Return x."""
        return x

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return p̄."""
        return p_bar

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return ẋ."""
        return x_dot

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return zeros: the map is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)
