"""Hessian–vector products by differences of gradients, if f has no second derivatives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._dataclasses import short_repr
from .._numerics import by_columns
from ..checks.directions import sizes_of
from ..reduced import Function, Point
from ..typing import Array
from .settings import require_function
from .trial import attempt, gradient_of, require_point

STEP = 2.0 * float(np.sqrt(np.finfo(float).eps))
"""Relative change of a variable that balances truncation and rounding of a forward
difference."""


APART = 1e3
"""Largest ratio of the sizes of variables that take one step together; at this ratio the
largest variable loses three digits to rounding."""


SEEN = 1e-9
"""Relative change of a gradient below which a step is too short to tell H v from rounding."""


@dataclass(frozen=True, eq=False)
class DifferencedHessian:
    """f with points whose `hvp(v)` is a difference of gradients, (∇f(x + εv) − ∇f(x)) / ε.

    For `NewtonCG` if f has no second derivatives. Each product costs one more forward and
    adjoint solve. Each variable is moved by 3·10⁻⁸ of its size: variables whose sizes
    differ by more than a factor of a thousand cost a solve for each size. A variable that
    is zero has the size of the others, at most 1. The neighbours of x may be outside of
    bounds by this small amount; if a solve fails there, the other side of x is tried.

    Parameters
    ----------
    function : callable
        f: x, (m,) ↦ a point with x, value and gradient.

    Raises
    ------
    TypeError
        If `function` is not a function.
    """

    function: Callable[[Array], Point]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("DifferencedHessian", "function", self.function)

    def __call__(self, x: Array) -> "DifferencedPoint":
        """f at x; raise any error that f raises."""
        return DifferencedPoint(
            self.function, require_point(self.function(x), "the function of a DifferencedHessian")
        )


@dataclass(frozen=True, eq=False)
class DifferencedPoint:
    """A point of f with `hvp`. function: f; point: f at x."""

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
        """Σ_k (∇f(x + ε_k v_k) − ∇f(x)) / ε_k, (m,), with v = Σ v_k: about eight digits.

        v_k is the part of v for variables whose sizes agree within a factor of a thousand; each
        part costs one evaluation and one gradient. ε_k changes these variables by 3·10⁻⁸ of
        their sizes. For a block v, (m, j), each column costs the same. Raise any error that f
        raises on both sides of x.
        """
        v = np.asarray(v, dtype=float)
        if v.ndim not in (1, 2) or v.shape[:1] != self.x.shape or v.size == 0:
            m = self.x.size
            raise ValueError(f"hvp: got v of shape {v.shape}, expected ({m},) or ({m}, j)")
        return by_columns(self._product, v)

    def hessian(self) -> Array:
        """d²f/dx², (m, m), by m products, to about eight digits."""
        return self.hvp(np.eye(self.x.size))

    def _product(self, v: Array) -> Array:
        """H v for one direction, (m,)."""
        size = sizes_of(self.x)
        return np.asarray(
            sum((self._part(part, size) for part in _parts(v, size)), np.zeros(v.size))
        )

    def _part(self, v: Array, size: Array) -> Array:
        """H v for the variables of one size.

        If the gradient does not change along the step, longer steps are tried, up to the step for
        the largest variable: a variable close to zero may be far smaller than the length over
        which f changes.
        """
        moved = v != 0.0
        step = STEP * float((size[moved] / np.abs(v[moved])).min())
        longest = STEP * max(1.0, float(size.max())) / float(np.abs(v).max())
        found = self._change(v, step)
        if found is None:
            # Evaluated once more, for the error that f raises.
            return (gradient_of(self.function(self.x + step * v)) - self.gradient) / step
        while not np.any(np.abs(found) > SEEN * np.abs(self.gradient)) and step * APART <= longest:
            if (longer := self._change(v, step * APART)) is None:
                break
            found, step = longer, step * APART
        return found / step

    def _change(self, v: Array, step: float) -> Array | None:
        """∇f(x + εv) − ∇f(x); None if f cannot be evaluated.

        The difference is taken at the other side of x if f cannot be evaluated ahead. At bounds
        one variable may only increase and another only decrease: then v is split in two parts.
        """
        for h in (step, -step):
            if (near := attempt(self.function, self.x + h * v)) is not None:
                return (gradient_of(near) - self.gradient) * np.sign(h)
        parts = [np.maximum(v, 0.0), np.minimum(v, 0.0)]
        if not all(part.any() for part in parts):
            return None
        changes = [self._change(part, step) for part in parts]
        return None if changes[0] is None or changes[1] is None else changes[0] + changes[1]


def _parts(v: Array, size: Array) -> Iterator[Array]:
    """Parts of v for variables of sizes within a factor of a thousand, the largest first."""
    left = v != 0.0
    while left.any():
        taken = left & (size * APART >= float(size[left].max()))
        yield np.where(taken, v, 0.0)
        left &= ~taken
