"""The user's residual function, with every argument and every value of it checked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..arrays import Array

ResidualFunction: TypeAlias = Callable[[Array, Array], Array]
"""R(u, p): u (n,), p (m,), returns (n,)."""

_EXACT = (np.dtype(np.float64), np.dtype(np.complex128))


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
        if not callable(self.residual):
            raise TypeError(f"{self.maker}: got a {type(self.residual).__name__}, expected a function of (u, p)")
        for name, size, least in (("n", self.n, 1), ("m", self.m, 0)):
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
                raise ValueError(f"{self.maker}: got {name} = {size!r}, expected an integer ≥ {least}")

    def vector(self, x: Array, name: str, size: int) -> Array:
        """x as float64, (size,); raises TypeError for what is not real, ValueError for another shape."""
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise TypeError(
                f"{self.maker}: got {name} of dtype {x.dtype}, expected float64: derivatives are taken along the real "
                "line. Split complex unknowns into real and imaginary parts, or write the Residual by hand."
            )
        if x.dtype.kind not in "fiu":
            raise TypeError(f"{self.maker}: got {name} of dtype {x.dtype}, expected float64")
        if x.shape != (size,):
            raise ValueError(f"{self.maker}: got {name} of shape {x.shape}, expected ({size},)")
        return x.astype(np.float64, copy=False)

    def point(self, u: Array, p: Array) -> tuple[Array, Array]:
        """u (n,) and p (m,) as float64."""
        return self.vector(u, "u", self.n), self.vector(p, "p", self.m)

    def __call__(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,), of u's and p's kind or real; an array of its own, for functions that reuse a buffer.

        Raises ValueError for another shape and for writing into u or p, TypeError for other dtypes; what the
        function raises by itself comes with a note.
        """
        try:
            returned = self.residual(_read_only(u), _read_only(p))
        except ValueError as error:
            if "read-only" not in str(error):
                raise _noted(error, self.maker) from None
            raise ValueError(
                f"{self.maker}: the residual function writes into u or p ({error}). They belong to the caller: "
                "copy first, u = u.copy()"
            ) from error
        except Exception as error:
            raise _noted(error, self.maker) from None
        R = self.values(returned)
        if R.dtype.kind == "c" and u.dtype.kind != "c" and p.dtype.kind != "c":
            raise TypeError(
                f"{self.maker}: the residual function returned {R.dtype} for real u and p, expected float64. Does "
                "it keep something of an earlier call with complex ones, a matrix or a buffer? Keep it by p.tobytes()."
            )
        return R.astype(np.complex128 if R.dtype.kind == "c" else np.float64)

    def values(self, returned: Array) -> Array:
        """What the function returned, as an array (n,) of numbers; raises TypeError or ValueError if it is none."""
        if isinstance(returned, np.ma.MaskedArray):
            raise TypeError(
                f"{self.maker}: the residual function returned a masked array, whose mask would be lost; expected "
                "float64: np.ma.filled(R, value)"
            )
        try:
            R = np.asarray(returned)
        except ValueError as error:  # A list of parts of different lengths.
            raise TypeError(
                f"{self.maker}: the residual function returned a {type(returned).__name__} that is no array ({error}); "
                f"expected float64 ({self.n},): np.concatenate of its parts"
            ) from error
        if R.dtype.kind not in "iu" and R.dtype not in _EXACT:
            raise TypeError(
                f"{self.maker}: the residual function returned a {type(returned).__name__} of dtype {R.dtype}, shape "
                f"{R.shape}; expected an array, float64 ({self.n},). float32 comes from an array of that type, object "
                "from a sparse matrix, or from a function that does not return."
            )
        if R.shape != (self.n,):
            remedy = ": np.ravel(R)" if R.size == self.n else ", one equation for each unknown"
            raise ValueError(
                f"{self.maker}: the residual function returned shape {R.shape}, expected ({self.n},){remedy}"
            )
        return R


def _read_only(x: Array) -> Array:
    view = x.view()
    view.flags.writeable = False
    return view


def _noted(error: Exception, maker: str) -> Exception:
    error.add_note(f"Raised by the residual function given to adjoint.{maker}.")
    return error
