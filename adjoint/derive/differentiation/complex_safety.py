"""Tests whether a function keeps imaginary parts, by complex steps and finite differences."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.exceptions import ComplexWarning

from ...errors import NotComplexSafe
from ...typing import Array
from ..user_function import UserFunction
from .finite_differences import LEVELS, RATIO, STEP, difference, differences
from .suspects import suspects

AGREEMENT = 1e-8
"""Relative error up to which a complex step and a difference agree.

The limit is small, since the part that is lost may be small relative to stiff terms.
"""

MARGIN = 10.0
"""Safety factor on the error estimate of a difference.

Kinks within the steps enlarge the estimate.
"""

_NOISE = 1e2 * float(np.finfo(float).eps) / (STEP * RATIO ** (1 - LEVELS))
"""Rounding error of a difference, relative to R and its terms."""

SMALL = 2.0**-18
"""Step of a single difference, about 4e-6.

Its truncation error, also for exp(60 u), and its rounding are below `AGREEMENT`.
"""

VANISHING = 1e-180
"""Derivative below which no comparison is made, as in the tail of a front.

Such a derivative times a step of 1e-100 underflows.
"""

TINY = 2.0**-23
"""A step of about 1e-7, far below the steps of extrapolated differences.

An error that was rounding with these steps is far larger with this step.
"""


def continued(owner: UserFunction, function: Callable[[Array], Array], z: Array) -> Array:
    """R at a complex argument, (n,).

    Raises NotComplexSafe if R accepts the real part of the argument, but not the
    argument itself, or if NumPy warns that an imaginary part was discarded.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)
            return function(z)
    except Exception as error:
        function(z.real.copy())  # If this raises too, complex numbers are not the cause.
        raise not_complex_safe(
            owner, f"does not work with complex numbers ({type(error).__name__}: {error})"
        ) from error


def doubtful(
    function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array
) -> Array:
    """Rows in which a single central difference along v disagrees with `derivative`.

    This test costs two evaluations and proves nothing: rows that it returns must be
    tested again by `disagreement`, which explains v and terms.
    """
    with np.errstate(all="ignore"):
        try:
            gap = np.abs(difference(function, x, v, SMALL) - derivative)
        except Exception:  # The user's function may raise any error.
            return np.empty(0, dtype=int)
        rounding = 1e1 * float(np.finfo(float).eps) / SMALL * terms
    return np.flatnonzero(gap > AGREEMENT * np.abs(derivative) + rounding + VANISHING)


def disagreement(
    function: Callable[[Array], Array], x: Array, v: Array, derivative: Array, terms: Array
) -> tuple[Array, Array]:
    """(rows, differences): rows in which extrapolated differences along v contradict `derivative`.

    v: (k,), a direction of the size of x; terms: (n,), Σ_j |∂R_i/∂x_j| |x_j| over the
    known derivatives. A row is not returned if its difference is nan, because x + v
    leaves the domain. No rows are returned if the function raises an error. A row is
    returned only if a much shorter step gives the same difference: a lost imaginary
    part is lost with every step, but the effects of rounding, and of tables with many
    short pieces, change with the step.
    """
    with np.errstate(all="ignore"):
        try:
            value, error = differences(function, x, v, LEVELS)
            scale = np.maximum(np.abs(derivative), np.abs(value))
            allowed = (
                AGREEMENT * scale
                + MARGIN * error
                + _NOISE * (np.abs(function(x)) + terms)
                + VANISHING
            )
            wrong = ~(np.abs(value - derivative) <= allowed) & np.isfinite(value)
            if wrong.any():
                again = difference(function, x, v, TINY)
                wrong &= ~(np.abs(again - value) > 0.2 * np.abs(value - derivative))
        except Exception:  # The user's function may raise any error.
            return np.empty(0, dtype=int), derivative
    return np.flatnonzero(wrong), value


def not_complex_safe(owner: UserFunction, found: str) -> NotComplexSafe:
    """The error NotComplexSafe; found: the end of the sentence "The function …"."""
    return NotComplexSafe(
        f"{owner.maker}: the {owner.kind.name} function {found}. "
        f"{suspects(owner.function, owner.kind.arguments, found)} adjoint.derive.safe has "
        f"replacements that are the same for real numbers; {owner.kind.remedy}."
    )
