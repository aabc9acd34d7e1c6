"""Does a function let imaginary parts through? Complex steps against differences, before any is trusted."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.exceptions import ComplexWarning

from ..arrays import Array
from .differences import LEVELS, RATIO, STEP, difference, differences
from .errors import NotComplexSafe
from .suspects import suspects
from .user_function import UserFunction

AGREEMENT = 1e-8
"""Relative error up to which a complex step and a difference agree: a lost part may be small beside stiff terms."""

MARGIN = 10.0
"""Times its own estimate, the error that a difference is granted: kinks within the steps make the estimate large."""

_NOISE = 1e2 * float(np.finfo(float).eps) / (STEP * RATIO ** (1 - LEVELS))
"""Rounding of a difference, relative to R and its terms."""

SMALL = 2.0**-18
"""The step of a single difference, 4e-6: its truncation error, for exp(60 u) too, and its rounding are below
`AGREEMENT`."""

VANISHING = 1e-180
"""Derivatives below this are not compared: times a step of 1e-100 they underflow, as at the tail of a front."""

TINY = 2.0**-23
"""A step, 1e-7, far smaller than those of extrapolated differences: what was rounding there is far larger here."""


def continued(owner: UserFunction, function: Callable[[Array], Array], z: Array) -> Array:
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


def doubtful(function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array) -> Array:
    """The rows in which a single difference along v, in two evaluations, is not `derivative`: no proof, but cheap.

    v, terms: as for `disagreement`, which is to be asked next.
    """
    with np.errstate(all="ignore"):
        try:
            gap = np.abs(difference(function, x, v, SMALL) - derivative)
        except Exception:  # The function's own.
            return np.empty(0, dtype=int)
        rounding = 1e1 * float(np.finfo(float).eps) / SMALL * terms
    return np.flatnonzero(gap > AGREEMENT * np.abs(derivative) + rounding + VANISHING)


def disagreement(
    function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array
) -> tuple[Array, Array]:
    """The rows in which differences along v are certain, and are not `derivative`; and the differences, (n,).

    v: of the size of x; terms: Σ_j |∂R_i/∂x_j| |x_j| or so, as far as known, (n,). Rows with nan in their differences,
    where x + v leaves the domain, say nothing; nor does a function that raises there. A part that is lost is lost at
    all steps: rounding, and tables of many short pieces, differ from one step to another.
    """
    with np.errstate(all="ignore"):
        try:
            value, error = differences(function, x, v, LEVELS)
            scale = np.maximum(np.abs(derivative), np.abs(value))
            allowed = AGREEMENT * scale + MARGIN * error + _NOISE * (np.abs(function(x)) + terms) + VANISHING
            wrong = ~(np.abs(value - derivative) <= allowed) & np.isfinite(value)
            if wrong.any():
                again = difference(function, x, v, TINY)
                wrong &= ~(np.abs(again - value) > 0.2 * np.abs(value - derivative))
        except Exception:  # The function's own.
            return np.empty(0, dtype=int), derivative
    return np.flatnonzero(wrong), value


def not_complex_safe(owner: UserFunction, found: str) -> NotComplexSafe:
    """The error; found: what the function does, as the rest of a sentence."""
    return NotComplexSafe(
        f"{owner.maker}: the {owner.kind.name} function {found}. "
        f"{suspects(owner.function, owner.kind.arguments, found)} adjoint.derive.safe has replacements that are the "
        f"same for real numbers; {owner.kind.remedy}."
    )
