"""Hessian–vector products by differences of gradients."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._repr import short_repr
from ..checks.gradient import sizes_of
from ..reduced import Function, Point
from ..typing import Array
from .settings import require_function
from .trial import attempt, gradient_of, require_point

STEP = 2.0 * float(np.sqrt(np.finfo(float).eps))
"""Relative change of a variable where truncation and rounding of a forward difference are about equal."""


APART = 1e3
"""Ratio of the sizes of variables up to which they take one step together: rounding costs a larger one three digits."""


SEEN = 1e-9
"""Relative change of a gradient below which a step is too short for what it is to tell."""


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
        """Σ_k (∇f(x + ε_k v_k) − ∇f(x)) / ε_k, (m,), v = Σ v_k: about eight digits.

        v_k: the part of v for variables of one size, within a factor of a thousand, which one evaluation and one
        gradient serve; ε_k: 3·10⁻⁸ of these sizes. Raises what f raises on both sides of x.
        """
        v = np.asarray(v, dtype=float)
        if v.shape != self.x.shape:
            raise ValueError(f"hvp: got v of shape {v.shape}, expected {self.x.shape}")
        size = sizes_of(self.x)
        return np.asarray(
            sum((self._part(part, size) for part in _parts(v, size)), np.zeros(v.size))
        )

    def _part(self, v: Array, size: Array) -> Array:
        """H v for variables of one size; with longer steps, up to those for the largest one, where nothing is seen.

        A variable may be far smaller than the scale on which f changes, next to zero above all.
        """
        moved = v != 0.0
        step = STEP * float((size[moved] / np.abs(v[moved])).min())
        longest = STEP * max(1.0, float(size.max())) / float(np.abs(v).max())
        found = self._change(v, step)
        if found is None:
            return (
                gradient_of(self.function(self.x + step * v)) - self.gradient
            ) / step  # Raises what f raises.
        while not np.any(np.abs(found) > SEEN * np.abs(self.gradient)) and step * APART <= longest:
            if (longer := self._change(v, step * APART)) is None:
                break
            found, step = longer, step * APART
        return found / step

    def _change(self, v: Array, step: float) -> Array | None:
        """∇f(x + εv) − ∇f(x), or what it is by the other side; None where f cannot be evaluated.

        At bounds f may be defined ahead of one variable and behind another: then v is taken in two parts.
        """
        for h in (step, -step):
            if (near := attempt(self.function, self.x + h * v)) is not None:
                return (gradient_of(near) - self.gradient) * np.sign(h)
        parts = [np.maximum(v, 0.0), np.minimum(v, 0.0)]
        if not all(part.any() for part in parts):
            return None
        changes = [self._change(part, step) for part in parts]
        return None if changes[0] is None or changes[1] is None else changes[0] + changes[1]


@dataclass(frozen=True, eq=False)
class DifferencedHessian:
    """f with points whose `hvp` is a difference of gradients: one more forward and adjoint solve for each product.

    function: f. For `NewtonCG` where second derivatives are missing. Each variable is stepped by 3·10⁻⁸ of its own
    size: variables whose sizes differ by more than a thousand take a solve for each size. A variable that is zero has
    the size of the others, at most 1. The points next to x may be beyond bounds by as much; a failed solve there is
    tried on the other side.
    """

    function: Callable[[Array], Point]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("DifferencedHessian", "function", self.function)

    def __call__(self, x: Array) -> DifferencedPoint:
        """f at x; raises what f raises."""
        return DifferencedPoint(
            self.function, require_point(self.function(x), "the function of a DifferencedHessian")
        )


def _parts(v: Array, size: Array) -> Iterator[Array]:
    """v in parts for variables whose sizes are within a factor of a thousand, from the largest on."""
    left = v != 0.0
    while left.any():
        taken = left & (size * APART >= float(size[left].max()))
        yield np.where(taken, v, 0.0)
        left &= ~taken
