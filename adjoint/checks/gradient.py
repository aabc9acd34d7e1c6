"""Is the gradient of f right? A Taylor test with random directions and a dot-product test."""

from dataclasses import replace

import numpy as np

from .._validation import require_integer, require_positive
from ..typing import Array
from .directions import (
    CANDIDATES,
    WEAKEST,
    balanced,
    middle_of,
    random_direction,
    sizes_of,
    untested_components,
)
from .extrapolation import order
from .points import Checked, gradient_of, validated_x, value_of, warm_started
from .report import CheckReport
from .slopes import FURTHER_STEPS, Slopes
from .tolerances import NOISE, RESOLVED, SECOND_ORDER, TOLERANCE
from .transposes import dot_product_error

HALVINGS = 4
"""Maximum number of times that a group of zero components is divided into halves.

A group is divided if f cannot be evaluated when all its components move together.
"""


def check(f: Checked, x: Array, *, seed: int = 0, step: float = 1e-2) -> CheckReport:
    """Taylor test of a gradient g: |f(x + h v) − f(x) − h g·v| must be O(h²).

    The directions v are random. Three numbers are tested: the order of the remainder;
    g·v, against the extrapolated central difference of f; and, for the tangents and
    adjoints of the state, the identity ⟨Dv, w⟩ = ⟨v, Dᵀw⟩, where D is the derivative of
    the state with respect to x.

    Parameters
    ----------
    f : callable
        x ↦ point with the attributes `value` and `gradient`: an `adjoint.Reduced`, an
        `adjoint.optimize.ScalarFunction` of two plain functions, or a function of your
        own.
    x : (m,) array
        Point at which the gradient is checked, float64 or complex128. Choose a point
        without symmetry, in the range of practical values, at which f is smooth.
    seed : int
        Seed of the random directions; default 0.
    step : float
        First step h₀, 0 < step < 1; default 0.01. Component x_i changes by at most
        step·|x_i|, so that no component changes its sign.

    Returns
    -------
    CheckReport
        Measured numbers: ``report.ok`` is True if the gradient is right, and
        ``print(report)`` shows a table with the verdict.

    Raises
    ------
    TypeError
        If f is not callable, or if f(x) has no real `value` or no `gradient`.
    ValueError
        If x is empty or not a vector, if the gradient has another shape than x, if
        `step` is not between 0 and 1, or if `seed` is negative.
    NonFinite
        If x or the gradient holds nan or inf.

    Notes
    -----
    Errors that f raises at x are passed on.

    *Directions.* The first direction is x with random factors ±[½, 1] on its
    components. The second direction gives more weight to the components that have little
    effect on f.

    *Zeros.* Components of x that are zero are tested along a separate direction. A
    component of this direction has about the length L, the smaller of 1 and the median of
    the nonzero |x_i|. If rounding hides the difference of f, lengths up to the larger of
    these two numbers are tried. If f cannot be evaluated on one side, only the other side
    is used. The report counts the components next to which f cannot be evaluated on
    either side; `ok` is then False.

    *Cost.* 13 evaluations of f and one gradient; 8 evaluations more if m > 1, and about
    8 more if components are zero. In each evaluation Newton's method starts from the
    solution at x.

    References
    ----------
    docs/math/verification.md, eqs. 24–26; Farrell, Ham, Funke & Rognes (2013), SIAM J.
    Sci. Comput. 35, C369, section 6.

    Examples
    --------
    >>> import numpy as np
    >>> import adjoint
    >>> from adjoint.optimize import ScalarFunction
    >>> f = ScalarFunction(lambda x: np.sum(x**3), lambda x: 3.0 * x**2)
    >>> adjoint.check(f, np.array([1.0, 2.0])).ok
    True
    >>> wrong = ScalarFunction(lambda x: np.sum(x**3), lambda x: 2.0 * x**2)
    >>> report = adjoint.check(wrong, np.array([1.0, 2.0]))
    >>> report.ok, round(report.orders[1], 1)
    (False, 1.0)
    """
    require_integer("check", "seed", seed, 0)
    require_positive("check", "step", step)
    x = validated_x("check", f, x)
    if not step < 1.0:
        raise ValueError(
            f"check: got step={step!r}, expected a number between 0 and 1: a relative change of x"
        )
    rng = np.random.default_rng(seed)
    point = f(x)
    value, g = value_of(point), gradient_of(point, x)
    v = random_direction(x, rng)
    # The smallest slope that differences of f can test. The error of a difference is the rounding
    # error of f, divided by the shortest step; it must be at most TOLERANCE times the slope.
    resolved = RESOLVED * NOISE * abs(value) / (step * 0.5 ** (FURTHER_STEPS - 1)) / TOLERANCE
    candidates = [random_direction(x, rng) for _ in range(CANDIDATES)]
    w = balanced(sizes_of(x), g, v, candidates, WEAKEST, resolved)
    transpose_error = dot_product_error(point, [v] if x.size == 1 else [v, w], rng)
    f = warm_started(f, point)
    untested = untested_components(x, g, value)
    slopes = Slopes(f, x, g, value, step, middle_of(np.abs(x[~untested])), 0.0)
    first, slope, remainders = slopes.first(v)
    slopes = replace(slopes, scatter=first.scatter)
    orders = order(remainders[0], first.noise, 1.0), order(remainders[1], first.noise, 2.0)
    found = [slope]
    if np.count_nonzero(x) > 1:
        found += slopes.further("second v", w)
    right = slope.relative_error <= TOLERANCE and orders[1] >= SECOND_ORDER
    unmoved = 0
    if x.any() and untested.any():
        zeros, unmoved = slopes.zeros(v, np.flatnonzero(untested), HALVINGS)
        found += zeros
    elif not x.any() and not right:
        # At x = 0, f may be defined on one side only, or have a kink: test groups of components.
        zeros, unmoved = slopes.zeros(v, np.arange(x.size), HALVINGS)
        found = zeros or found
    return CheckReport(
        steps=first.steps,
        first=remainders[0],
        second=remainders[1],
        orders=orders,
        derivative=slope.derivative,
        difference=slope.difference,
        relative_error=float(np.max([tested.relative_error for tested in found])),
        dot_product_error=transpose_error,
        seed=seed,
        slopes=tuple(found),
        unmoved=unmoved,
    )
