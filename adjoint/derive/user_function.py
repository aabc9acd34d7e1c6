"""A function that the user handed over: how messages speak of it, and what it must return.

The user's residual function, with every argument and every value of it checked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, TypeAlias

import numpy as np

from ..typing import Array

ResidualFunction: TypeAlias = Callable[[Array, Array], Array]
"""R(u, p): u (n,), p (m,), returns (n,)."""


@dataclass(frozen=True, eq=False)
class Kind:
    """How messages speak of a function.

    name: "residual"; protocol: the class to write by hand instead; arguments: "(u, p)"; symbol: "R"; row: what each
    component is; remedy: for a function that loses imaginary parts, besides replacements for what loses them.
    """

    name: str
    protocol: str
    arguments: str
    symbol: str
    row: str
    remedy: str


@dataclass(frozen=True, eq=False)
class UserFunction:
    """A function that returns (rows,); maker: the public function that it was handed to, for messages."""

    function: Callable[..., Array]
    rows: int
    kind: Kind
    maker: str

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"{self.maker}: got a {type(self.function).__name__}, expected a function of {self.kind.arguments}"
            )

    def vector(self, x: Array, name: str, size: int) -> Array:
        """x as float64, (size,); raises TypeError for what is not real, ValueError for another shape."""
        if (
            x.__class__ is np.ndarray and x.dtype is FLOAT and x.shape == (size,)
        ):  # In the hot path of small fields.
            return x
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError(
                f"{self.maker}: got {name} of dtype {x.dtype}, expected float64: derivatives are taken along the "
                "real line. Split complex unknowns into real and imaginary parts, or write the "
                f"{self.kind.protocol} by hand."
            )
        return self.numbers(x, name, size).astype(FLOAT, copy=False)

    def numbers(self, x: Array, name: str, size: int) -> Array:
        """x as float64 or complex128, (size,); raises TypeError for what are no numbers, ValueError for its shape."""
        if x.__class__ is np.ndarray and x.dtype is FLOAT and x.shape == (size,):
            return x
        x = np.asarray(x)
        if x.dtype.kind not in "fiuc":
            raise TypeError(f"{self.maker}: got {name} of dtype {x.dtype}, expected float64")
        if x.shape != (size,):
            raise ValueError(f"{self.maker}: got {name} of shape {x.shape}, expected ({size},)")
        return x.astype(COMPLEX if x.dtype.kind == "c" else FLOAT, copy=False)

    def value(self, returned: Array, real: bool) -> Array:
        """What the function returned for real or complex arguments: an array of its own, if it reuses a buffer."""
        if (
            returned.__class__ is np.ndarray
            and returned.dtype is FLOAT
            and returned.shape == (self.rows,)
        ):
            return returned.copy()
        R = self.values(returned)
        if real and R.dtype.kind == "c":
            raise TypeError(
                f"{self.maker}: the {self.kind.name} function returned {R.dtype} for real u and p, expected float64. "
                "Does it keep something of an earlier call with complex ones, a matrix or a buffer? Keep it by "
                "p.tobytes()."
            )
        return R.astype(COMPLEX if R.dtype.kind == "c" else FLOAT)

    def values(self, returned: Array) -> Array:
        """What the function returned, as an array (rows,) of numbers; raises TypeError or ValueError if it is none."""
        name = f"{self.maker}: the {self.kind.name} function"
        if isinstance(returned, np.ma.MaskedArray):
            raise TypeError(
                f"{name} returned a masked array, whose mask would be lost; expected float64: np.ma.filled("
                f"{self.kind.symbol}, value)"
            )
        try:
            R = np.asarray(returned)
        except ValueError as error:  # A list of parts of different lengths.
            raise TypeError(
                f"{name} returned a {type(returned).__name__} that is no array ({error}); expected float64 "
                f"({self.rows},): np.concatenate of its parts"
            ) from error
        if R.dtype.kind not in "iu" and R.dtype not in (FLOAT, COMPLEX):
            raise TypeError(
                f"{name} returned a {type(returned).__name__} of dtype {R.dtype}, shape {R.shape}; expected an array, "
                f"float64 ({self.rows},). float32 comes from an array of that type, object from a sparse matrix, or "
                "from a function that does not return."
            )
        if R.shape != (self.rows,):
            remedy = f": np.ravel({self.kind.symbol})" if R.size == self.rows else self.kind.row
            raise ValueError(f"{name} returned shape {R.shape}, expected ({self.rows},){remedy}")
        return R

    def raise_for(self, error: Exception) -> NoReturn:
        """Raise what the function raised, with a note; ValueError, with the remedy, if it writes into its arguments."""
        if isinstance(error, ValueError) and "read-only" in str(error):
            raise ValueError(
                f"{self.maker}: the {self.kind.name} function writes into u or p ({error}). They belong to the caller: "
                "copy first, u = u.copy()"
            ) from error
        error.add_note(f"Raised by the {self.kind.name} function given to adjoint.{self.maker}.")
        raise error from None


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


INTEGRAND = Kind(
    "integrand",
    "Integrand",
    "(t, u, p)",
    "terms",
    ", as many terms as before, or as W has columns",
    "or write an Integrand, with its derivatives, by hand",
)


def require_size(size: int, name: str, least: int, maker: str) -> None:
    """Raise ValueError unless a size is an integer ≥ least."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
        raise ValueError(f"{maker}: got {name} = {size!r}, expected an integer ≥ {least}")


def read_only(x: Array) -> Array:
    """A view of x that cannot be written to."""
    view = x[:]  # Half the time of x.view().
    view.setflags(write=False)
    return view
