"""Does a function let imaginary parts through? Complex steps against differences, before any is trusted."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.exceptions import ComplexWarning

from ..arrays import Array
from .differences import LEVELS, RATIO, STEP, differences
from .errors import NotComplexSafe
from .function import Function
from .suspects import suspects

AGREEMENT = 1e-4
"""Relative error up to which a complex step and an extrapolated difference agree: lost parts change all digits."""

MARGIN = 10.0
"""Times its own estimate, the error that a difference is granted: kinks within the steps make the estimate large."""

_NOISE = 1e2 * float(np.finfo(float).eps) / (STEP * RATIO ** (1 - LEVELS))
"""Rounding of a difference, relative to R."""


def continued(owner: Function, function: Callable[[Array], Array], z: Array) -> Array:
    """R at a complex argument, (n,); raises NotComplexSafe where R accepts its real part alone.

    NumPy's warning that an imaginary part was discarded is such an error.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)
            return function(z)
    except Exception as error:
        function(z.real.copy())  # If this raises too, complex numbers are not to blame.
        raise not_complex_safe(
            owner, f"does not work with complex numbers ({type(error).__name__}: {error})"
        ) from error


def disagreement(function: Callable[[Array], Array], x: Array, v: Array, derivative: Array) -> tuple[Array, Array]:
    """The rows in which differences along v are certain, and are not `derivative`; and the differences, (n,).

    v: of the size of x. Rows with nan in their differences, where x + v leaves the domain, say nothing; nor does
    a function that raises there.
    """
    with np.errstate(all="ignore"):
        try:
            difference, error = differences(function, x, v)
        except Exception:  # The function's own.
            return np.empty(0, dtype=int), derivative
        scale = np.maximum(np.abs(derivative), np.abs(difference))
        allowed = AGREEMENT * scale + MARGIN * error + _NOISE * np.abs(function(x))
        wrong = ~(np.abs(derivative - difference) <= allowed)
    return np.flatnonzero(wrong & np.isfinite(difference)), difference


def not_complex_safe(owner: Function, found: str) -> NotComplexSafe:
    """The error; found: what the function does, as the rest of a sentence."""
    return NotComplexSafe(
        f"{owner.maker}: the residual function {found}. {suspects(owner.residual)} adjoint.derive.safe has "
        "replacements that are the same for real numbers; adjoint.finite_difference needs real evaluations only."
    )
