"""The user's function, with every argument and every result checked."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, TypeAlias

import numpy as np

from .._numerics import read_only
from ..typing import Array

ResidualFunction: TypeAlias = Callable[[Array, Array], Array]
"""R(u, p) ↦ (n,) array, for u (n,) and p (m,)."""


@dataclass(frozen=True, eq=False)
class Kind:
    """The words that messages use for one kind of function.

    name: "residual"; protocol: the class to write by hand instead; arguments: "(u, p)";
    symbol: "R"; row: the meaning of each component; remedy: an alternative for a
    function that loses imaginary parts.
    """

    name: str
    protocol: str
    arguments: str
    symbol: str
    row: str
    remedy: str


@dataclass(frozen=True, eq=False)
class UserFunction:
    """A user's function that returns an array (rows,), with checks.

    maker: name of the public function that received the user's function, for messages.
    """

    function: Callable[..., Array]
    rows: int
    kind: Kind
    maker: str

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"{self.maker}: got a {type(self.function).__name__}, expected a function of "
                f"{self.kind.arguments}"
            )

    def vector(self, x: Array, name: str, size: int) -> Array:
        """Return x as float64, (size,).

        Raises TypeError if x is complex or not numeric, ValueError if its shape is
        wrong.
        """
        # The common case first: fields of few unknowns are called many times.
        if x.__class__ is np.ndarray and x.dtype is FLOAT and x.shape == (size,):
            return x
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError(
                f"{self.maker}: got {name} of dtype {x.dtype}, expected float64: derivatives are "
                "taken along the real line. Split complex unknowns into real and imaginary parts, "
                f"or write the {self.kind.protocol} by hand."
            )
        return self.numbers(x, name, size).astype(FLOAT, copy=False)

    def numbers(self, x: Array, name: str, size: int) -> Array:
        """Return x as float64 or complex128, (size,).

        Raises TypeError if x is not numeric, ValueError if its shape is wrong.
        """
        if x.__class__ is np.ndarray and x.dtype is FLOAT and x.shape == (size,):
            return x
        x = np.asarray(x)
        if x.dtype.kind not in "fiuc":
            raise TypeError(f"{self.maker}: got {name} of dtype {x.dtype}, expected float64")
        if x.shape != (size,):
            raise ValueError(f"{self.maker}: got {name} of shape {x.shape}, expected ({size},)")
        return x.astype(COMPLEX if x.dtype.kind == "c" else FLOAT, copy=False)

    def value(self, returned: Array, real: bool) -> Array:
        """The result of the function as a new array, (rows,); real: all arguments were real.

        The result is copied, because the function may reuse a buffer. Raises TypeError
        if the result is complex for real arguments, and the errors of `values`.
        """
        if (
            returned.__class__ is np.ndarray
            and returned.dtype is FLOAT
            and returned.shape == (self.rows,)
        ):
            return returned.copy()
        R = self.values(returned)
        if real and R.dtype.kind == "c":
            raise TypeError(
                f"{self.maker}: the {self.kind.name} function returned {R.dtype} for real u and p, "
                "expected float64. Does it keep something of an earlier call with complex ones, a "
                "matrix or a buffer? Keep it by p.tobytes()."
            )
        return R.astype(COMPLEX if R.dtype.kind == "c" else FLOAT)

    def values(self, returned: Array) -> Array:
        """The result of the function as an array of numbers, (rows,).

        Raises TypeError if the result is not an array of float64 or complex128,
        ValueError if its shape is wrong.
        """
        name = f"{self.maker}: the {self.kind.name} function"
        if isinstance(returned, np.ma.MaskedArray):
            raise TypeError(
                f"{name} returned a masked array, whose mask would be lost; expected float64: "
                f"np.ma.filled({self.kind.symbol}, value)"
            )
        try:
            R = np.asarray(returned)
        except ValueError as error:  # The result is a list of parts of different lengths.
            raise TypeError(
                f"{name} returned a {type(returned).__name__} that is not an array ({error}); "
                f"expected float64 ({self.rows},): np.concatenate of its parts"
            ) from error
        if R.dtype.kind not in "iu" and R.dtype not in (FLOAT, COMPLEX):
            raise TypeError(
                f"{name} returned a {type(returned).__name__} of dtype {R.dtype}, shape {R.shape}; "
                f"expected an array, float64 ({self.rows},). float32 comes from an array of that "
                "type, object from a sparse matrix, or from a function that does not return."
            )
        if R.shape != (self.rows,):
            remedy = f": np.ravel({self.kind.symbol})" if R.size == self.rows else self.kind.row
            raise ValueError(f"{name} returned shape {R.shape}, expected ({self.rows},){remedy}")
        return R

    def raise_for(self, error: Exception) -> NoReturn:
        """Raise the error of the function again, with a note that names the function.

        If the function writes into its arguments, a ValueError with the remedy is
        raised instead.
        """
        if isinstance(error, ValueError) and "read-only" in str(error):
            raise ValueError(
                f"{self.maker}: the {self.kind.name} function writes into u or p ({error}). They "
                "belong to the caller: copy first, u = u.copy()"
            ) from error
        error.add_note(f"Raised by the {self.kind.name} function given to adjoint.{self.maker}.")
        raise error from None


@dataclass(frozen=True, eq=False)
class Function:
    """R: ℝⁿ × ℝᵐ → ℝⁿ, or its continuation to complex arguments.

    residual: the user's function, which receives read-only arrays, so that writing into
    them raises an error. maker: name of the public function that received `residual`,
    for messages. Raises ValueError unless n ≥ 1 and m ≥ 0 are integers.
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
        """The residual function with its checks."""
        return UserFunction(self.residual, self.n, RESIDUAL, self.maker)

    def vector(self, x: Array, name: str, size: int) -> Array:
        """Return x as float64, (size,).

        Raises TypeError if x is complex or not numeric, ValueError if its shape is
        wrong.
        """
        return self.user.vector(x, name, size)

    def point(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return u (n,) and p (m,) as float64; raises the errors of `vector`."""
        return self.vector(u, "u", self.n), self.vector(p, "p", self.m)

    def __call__(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,), a new array, complex if u or p is complex and R depends on them.

        Raises ValueError if the result has the wrong shape, or if the function writes
        into u or p; TypeError if the result has another dtype. Errors of the function
        itself get a note that names the function.
        """
        try:
            returned = self.residual(read_only(u), read_only(p))
        except Exception as error:
            self.user.raise_for(error)
        return self.user.value(returned, u.dtype.kind != "c" and p.dtype.kind != "c")


FLOAT, COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


RESIDUAL = Kind(
    "residual",
    "Residual",
    "(u, p)",
    "R",
    ", one equation for each unknown",
    "adjoint.finite_difference_residual needs real evaluations only",
)


FIELD = Kind(
    "field",
    "Field",
    "(t, u, p)",
    "f",
    ", the rate of each unknown",
    "or write a Field, with its derivatives, by hand",
)


STEP = Kind(
    "step",
    "Step",
    "(k, u, p)",
    "Φ",
    ", the next value of each unknown",
    "or write a Step, with its derivatives, by hand",
)


INTEGRAND = Kind(
    "integrand",
    "Integrand",
    "(t, u, p)",
    "terms",
    ", as many terms as before, or as W has columns",
    "or write an Integrand, with its derivatives, by hand",
)


def require_size(size: int, name: str, least: int, maker: str) -> None:
    """Raise ValueError unless `size` is an integer ≥ `least`; name, maker: for the message."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
        raise ValueError(f"{maker}: got {name} = {size!r}, expected an integer ≥ {least}")
