"""A user's function f(t, u, p) of time, with checked arguments and results."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._numerics import read_only
from ..typing import Array
from .differentiation.complex_step import ComplexSlice
from .differentiation.finite_differences import FLOOR, sizes
from .user_function import FLOAT, UserFunction, require_size

CLOCK = 2.0**23
"""√ulp(t) times this number is the greatest size of t for differences.

Differences, with steps 2⁻²³ of the size, then have steps of √ulp(t).
"""


@dataclass(frozen=True, eq=False)
class FunctionOfTime:
    """f: ℝ × ℝⁿ × ℝᵐ → ℝʳ, or its continuation to complex arguments.

    The user's function receives u and p as read-only arrays. Raises ValueError unless
    n ≥ 1 and m ≥ 0 are integers.
    """

    user: UserFunction
    n: int
    m: int

    def __post_init__(self) -> None:
        require_size(self.n, "n", 1, self.user.maker)
        require_size(self.m, "m", 0, self.user.maker)

    def point(self, t: float, u: Array, p: Array) -> tuple[float, Array, Array]:
        """Return t, u (n,) and p (m,) as real numbers.

        Raises TypeError if t, u or p is not real, ValueError if a shape is wrong.
        """
        return self._time(t), self.user.vector(u, "u", self.n), self.user.vector(p, "p", self.m)

    def __call__(self, t: complex, u: Array, p: Array) -> Array:
        """f(t, u, p), (r,), a new array; t, u and p are real or complex.

        Raises the errors of `Function.__call__`.
        """
        # NumPy's complex numbers have an order, Python's do not: f may compare t with
        # other times.
        t = np.complex128(t) if isinstance(t, complex) else self._time(t)
        u, p = self.user.numbers(u, "u", self.n), self.user.numbers(p, "p", self.m)
        try:
            returned = self.user.function(t, read_only(u), read_only(p))
        except Exception as error:
            self.user.raise_for(error)
        return self.user.value(
            returned, u.dtype is FLOAT and p.dtype is FLOAT and not isinstance(t, complex)
        )

    def _time(self, t: float) -> float:
        """t as a float; raises TypeError if t is not a real number."""
        if t.__class__ is float:
            return t
        if np.shape(t) != () or np.asarray(t).dtype.kind not in "fiu":
            raise TypeError(f"{self.user.maker}: got t = {t!r}, expected a real number")
        return float(t)

    def in_u(self, t: float, u: Array, p: Array) -> "LocalFunction":
        """The function u ↦ f(t, u, p) at a point that `point` has checked."""
        f, shown = self.user.function, read_only(p)
        return LocalFunction(
            u,
            lambda x: f(t, x, shown),
            lambda: ComplexSlice(self.user, lambda x: self(t, x, p), u, sizes(u, FLOOR)),
        )

    def in_p(self, t: float, u: Array, p: Array) -> "LocalFunction":
        """The function p ↦ f(t, u, p) at a point that `point` has checked."""
        f, shown = self.user.function, read_only(u)
        return LocalFunction(
            p,
            lambda x: f(t, shown, x),
            lambda: ComplexSlice(self.user, lambda x: self(t, u, x), p, sizes(p, 0.0)),
        )

    def in_t(self, t: float, u: Array, p: Array) -> ComplexSlice:
        """The function t ↦ f(t, u, p) with its derivative; t is an array (1,)."""
        x = np.array([t])
        size = sizes(x, 0.0)
        if t:
            # A clock may have a far zero: then |t| does not tell how fast f changes.
            # Differences need some ulps of t.
            size = np.minimum(size, CLOCK * math.sqrt(math.ulp(t)))
        return ComplexSlice(self.user, lambda x: self(x[0], u, p), x, size)


class LocalFunction(NamedTuple):
    """The function x ↦ f at a point x, where x is u or p and the other arguments are fixed.

    function: the user's function without checks; slice: a function that makes the
    `ComplexSlice`, with checks and derivatives, which takes longer. The class is a
    named tuple, because making a dataclass takes a third of the time of a small field.
    """

    x: Array
    function: Callable[[Array], object]
    slice: Callable[[], ComplexSlice]
