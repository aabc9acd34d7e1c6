"""Hessian–vector products of a function that has gradients only: differences of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Array
from ..reduced import Point
from .evaluation import attempt, gradient_of, require_point
from .settings import require_function
from .state import Function

STEP = 2.0 * float(np.sqrt(np.finfo(float).eps))
"""Of the largest |x_i|: where truncation and rounding of a forward difference are about equal."""


@dataclass(frozen=True, eq=False)
class DifferencedPoint:
    """A point of f with hvp. x: (m,); value: f(x)."""

    function: Function
    point: Point

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.point.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.point.value

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        return gradient_of(self.point)

    def hvp(self, v: Array) -> Array:
        """(∇f(x + εv) − ∇f(x)) / ε, (m,): one evaluation and one gradient, about eight digits."""
        largest = float(np.abs(v).max(initial=0.0))
        if largest == 0.0:
            return np.zeros_like(self.x)
        epsilon = STEP * (float(np.abs(self.x).max(initial=0.0)) or 1.0) / largest
        for h in (epsilon, -epsilon):
            if (near := attempt(self.function, self.x + h * v)) is not None:
                return (gradient_of(near) - self.gradient) / h
        return (gradient_of(self.function(self.x + epsilon * v)) - self.gradient) / epsilon


@dataclass(frozen=True, eq=False)
class DifferencedHessian:
    """f with points whose `hvp` is a difference of gradients: one more forward and adjoint solve for each product.

    function: f. For `NewtonCg` where second derivatives are missing. The points next to x may be beyond bounds by
    10⁻⁸ of the largest |x_i|; a failed solve there is tried on the other side.
    """

    function: Callable[[Array], Point]

    def __post_init__(self) -> None:
        require_function("DifferencedHessian", "function", self.function)

    def __call__(self, x: Array) -> DifferencedPoint:
        """f at x; raises what f raises."""
        return DifferencedPoint(self.function, require_point(self.function(x), "the function of a DifferencedHessian"))
