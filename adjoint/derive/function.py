"""The user's residual function, with every argument and every value of it checked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from ..arrays import Array
from .user_function import RESIDUAL, UserFunction, read_only, require_size

ResidualFunction: TypeAlias = Callable[[Array, Array], Array]
"""R(u, p): u (n,), p (m,), returns (n,)."""


@dataclass(frozen=True, eq=False)
class Function:
    """R: ℝⁿ × ℝᵐ → ℝⁿ, or its continuation to complex arguments.

    residual: given read-only arrays, so that one that writes into them is found out. maker: the name of the public
    function that it was handed to, for messages.
    """

    residual: ResidualFunction
    n: int
    m: int
    maker: str

    def __post_init__(self) -> None:
        _ = self.user
        require_size(self.n, "n", 1, self.maker)
        require_size(self.m, "m", 0, self.maker)

    @cached_property
    def user(self) -> UserFunction:
        """The residual function, (n,)."""
        return UserFunction(self.residual, self.n, RESIDUAL, self.maker)

    def vector(self, x: Array, name: str, size: int) -> Array:
        """x as float64, (size,); raises TypeError for what is not real, ValueError for another shape."""
        return self.user.vector(x, name, size)

    def point(self, u: Array, p: Array) -> tuple[Array, Array]:
        """u (n,) and p (m,) as float64."""
        return self.vector(u, "u", self.n), self.vector(p, "p", self.m)

    def __call__(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,), of u's and p's kind or real; an array of its own, for functions that reuse a buffer.

        Raises ValueError for another shape and for writing into u or p, TypeError for other dtypes; what the
        function raises by itself comes with a note.
        """
        try:
            returned = self.residual(read_only(u), read_only(p))
        except Exception as error:
            self.user.raise_for(error)
        return self.user.value(returned, u.dtype.kind != "c" and p.dtype.kind != "c")
