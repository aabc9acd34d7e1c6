"""The user's function of time, f(t, u, p), with every argument and every value of it checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .complex_step import ComplexSlice
from .differences import FLOOR, sizes
from .user_function import FLOAT, UserFunction, read_only, require_size

CLOCK = 2.0**23
"""√ulp(t) times this is the size of t at most: its differences, 2⁻²³ of the size, are then √ulp(t) long."""


class Near(NamedTuple):
    """x ↦ f, x being u or p, at x; a tuple, for a dataclass takes a third of the time of a small field to be made.

    function: the user's own, unchecked; slice: the same checked, with its derivatives, and more costly to make.
    """

    x: Array
    function: Callable[[Array], object]
    slice: Callable[[], ComplexSlice]


@dataclass(frozen=True, eq=False)
class TimedFunction:
    """f: ℝ × ℝⁿ × ℝᵐ → ℝʳ, or its continuation to complex arguments; u and p are handed over read-only."""

    user: UserFunction
    n: int
    m: int

    def __post_init__(self) -> None:
        require_size(self.n, "n", 1, self.user.maker)
        require_size(self.m, "m", 0, self.user.maker)

    def point(self, t: float, u: Array, p: Array) -> tuple[float, Array, Array]:
        """t, u (n,) and p (m,), real; raises TypeError or ValueError."""
        return self._time(t), self.user.vector(u, "u", self.n), self.user.vector(p, "p", self.m)

    def __call__(self, t: complex, u: Array, p: Array) -> Array:
        """f, (r,), of real or complex arguments; an array of its own. Raises as `Function` does."""
        # Complex numbers of NumPy's have an order: f may compare t with other times.
        t = np.complex128(t) if isinstance(t, complex) else self._time(t)
        u, p = self.user.numbers(u, "u", self.n), self.user.numbers(p, "p", self.m)
        try:
            returned = self.user.function(t, read_only(u), read_only(p))
        except Exception as error:
            self.user.raise_for(error)
        return self.user.value(returned, u.dtype is FLOAT and p.dtype is FLOAT and not isinstance(t, complex))

    def _time(self, t: float) -> float:
        if t.__class__ is float:
            return t
        if np.shape(t) != () or np.asarray(t).dtype.kind not in "fiu":
            raise TypeError(f"{self.user.maker}: got t = {t!r}, expected a real number")
        return float(t)

    def in_u(self, t: float, u: Array, p: Array) -> Near:
        """u ↦ f(t, u, p) at a point as from `point`."""
        f, shown = self.user.function, read_only(p)
        return Near(
            u,
            lambda x: f(t, x, shown),
            lambda: ComplexSlice(self.user, lambda x: self(t, x, p), u, sizes(u, FLOOR)),
        )

    def in_p(self, t: float, u: Array, p: Array) -> Near:
        """p ↦ f(t, u, p)."""
        f, shown = self.user.function, read_only(u)
        return Near(
            p,
            lambda x: f(t, shown, x),
            lambda: ComplexSlice(self.user, lambda x: self(t, u, x), p, sizes(p, 0.0)),
        )

    def in_t(self, t: float, u: Array, p: Array) -> ComplexSlice:
        """t ↦ f(t, u, p), as a function of (1,)."""
        x = np.array([t])
        size = sizes(x, 0.0)
        if t:  # Of a clock with a far zero |t| tells nothing of how fast f changes; differences need some ulps of t.
            size = np.minimum(size, CLOCK * math.sqrt(math.ulp(t)))
        return ComplexSlice(self.user, lambda x: self(x[0], u, p), x, size)
