"""Points of a function under check: validated values and gradients; restarted solves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from .._validation import as_cotangent, as_parameters
from ..protocols import Problem
from ..reduced import Point, Reduced
from ..typing import Array


class Evaluated(Protocol):
    """A point x of f with f(x) and df/dx."""

    @property
    def value(self) -> float:
        """f(x)."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""


Checked: TypeAlias = Callable[[Array], Evaluated]
"""A function x ↦ point with the value f(x) and the gradient df/dx."""


@runtime_checkable
class WithGradient(Protocol):
    """Protocol of a point that has a gradient."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""


def validated_x(name: str, f: object, x: Array) -> Array:
    """Return x as float64 or complex128, (m,).

    Raises TypeError if f is not callable or is a class, ValueError if x is empty or not
    a vector. f is not evaluated. name: name of the public function, for messages.
    """
    if not callable(f) or isinstance(f, type):
        got = (
            f"the class {f.__name__} itself"
            if isinstance(f, type)
            else "None"
            if f is None
            else f"a {type(f).__name__}"
        )
        raise TypeError(
            f"{name}: got {got} as f, expected a function of x that returns a Point, such as "
            "adjoint.Reduced(problem, objective) or adjoint.optimize.ScalarFunction(value, "
            f"gradient): {name}(f, x)"
        )
    x = as_parameters(x, "x")
    if x.size == 0:
        raise ValueError(f"{name}: x is empty, expected at least one component")
    return x


def value_of(point: Evaluated) -> float:
    """Return f(x); raise TypeError unless the value of the point is a real number."""
    if not hasattr(point, "value"):
        raise TypeError(
            f"f returned a {type(point).__name__}, expected a Point with value and gradient: see "
            "adjoint.optimize.ScalarFunction(value, gradient)"
        )
    value = np.asarray(point.value)
    if value.ndim != 0 or value.dtype.kind not in "fiu":
        raise TypeError(f"f has the value {point.value!r}, expected a real number")
    return float(value)


def gradient_of(point: Evaluated, x: Array) -> Array:
    """Return a copy of df/dx, (m,).

    Raises TypeError if the point has no gradient, or a complex gradient of a real x;
    ValueError if its shape is not the shape of x; NonFinite if an entry is nan or inf.
    """
    if not isinstance(point, WithGradient):
        raise TypeError(
            f"f returned a {type(point).__name__} without a gradient, expected a Point with one"
        )
    g = np.asarray(point.gradient)
    if g.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError(f"the gradient is of dtype {g.dtype}, expected real numbers, as those of x")
    return as_parameters(as_cotangent(g, x, "the gradient"), "the gradient")


@runtime_checkable
class _Restarted(Protocol):
    """Protocol of a problem whose iteration can start from a known solution."""

    def near(self, solution: object) -> Problem:
        """Return a copy of the problem whose iteration starts from a solution."""


def warm_started(f: Checked, point: Evaluated) -> Checked:
    """Return f with solves that start from the solution at a point.

    All evaluations then stay on the branch of this solution, and need few iterations. If
    the problem of f has no method `near`, the result is f itself.
    """
    if isinstance(f, Reduced) and isinstance(point, Point) and isinstance(f.problem, _Restarted):
        return replace(f, problem=f.problem.near(point.solution))
    return f
