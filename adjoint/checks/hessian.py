"""Is the Hessian–vector product right? Taylor remainders of order 3, symmetry, linearity."""

from typing import Protocol, runtime_checkable

import numpy as np

from .._numerics import dot
from .._validation import as_cotangent, as_parameters, require_integer
from ..errors import SolveError
from ..typing import Array
from .directions import CANDIDATES, WEAKEST, balanced, random_direction, sizes_of
from .extrapolation import limit, order
from .points import Checked, gradient_of, validated_x, value_of, warm_started
from .report import CheckReport, Labels, Slope
from .tolerances import NOISE, RESOLVED, STEPS, TINY, TOLERANCE

FIRST_STEP = 2e-2
"""The longest step, relative to each x_i.

A remainder of order 3 meets rounding after few halvings.
"""

HESSIAN = Labels(
    "Hessian product",
    "|f(x+hv) - f(x) - h g.v|",
    "... - h^2/2 v.Hv",
    "w.Hv       ",
    "<Hv,w> - <v,Hw>",
    "of the terms",
    "; w·Hv is zero, nothing was tested",
    causes="Usual causes: an `hvp` that lacks a term or a conjugate; a gradient that is itself "
    "wrong: adjoint.check",
    # Far above rounding: an hvp may itself be made of differences, to eight digits.
    consistent=TOLERANCE,
)


@runtime_checkable
class PointWithHvp(Protocol):
    """A point x of f with f(x), df/dx and Hessian–vector products."""

    @property
    def value(self) -> float:
        """f(x)."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""

    def hvp(self, v: Array) -> Array:
        """(d²f/dx²) v, (m,)."""


def check_hvp(f: Checked, x: Array, *, seed: int = 0) -> CheckReport:
    """Taylor test of Hv: |f(x + h v) − f(x) − h g·v − ½h² v·Hv| must be O(h³).

    The directions v and w are random. Four numbers are tested: the order of this
    remainder; w·Hv, against the extrapolated central difference of w·∇f along v; the
    symmetry ⟨Hv, w⟩ = ⟨v, Hw⟩; and the linearity H(2v − w) = 2Hv − Hw. A second
    direction w gives more weight to the components that have little effect on w·Hv.

    Parameters
    ----------
    f : callable
        x ↦ point with `value`, `gradient` and ``hvp(v)``: an `adjoint.Reduced` of a
        problem with second derivatives, an `adjoint.optimize.ScalarFunction` with a
        product, or a `DifferencedHessian`. The gradient must be right: test it with
        `check` first.
    x : (m,) array
        Point at which the product is checked, float64 or complex128.
    seed : int
        Seed of the random directions; default 0.

    Returns
    -------
    CheckReport
        Measured numbers: ``report.ok`` is True if the product is right, and
        ``print(report)`` shows a table with the verdict.

    Raises
    ------
    TypeError
        If f is not callable, or if its points have no `hvp`, no gradient or no real
        value.
    ValueError
        If x is empty or not a vector, if Hv has another shape than x, or if `seed` is
        negative.
    NonFinite
        If x, the gradient or a product holds nan or inf.

    Notes
    -----
    Errors that f raises at x are passed on.

    Symmetry alone would not be enough: a Hessian may be symmetric and wrong.

    Components of x that are zero are moved as well. A component of the direction has
    there about the size min(1, median of the nonzero |x_i|). If f cannot be evaluated
    next to zero, these components are not tested: the report counts them, and its `ok` is
    False.

    Cost: 13 evaluations of f with gradients, and three products.

    Examples
    --------
    >>> import numpy as np
    >>> import adjoint
    >>> from adjoint.optimize import ScalarFunction
    >>> f = ScalarFunction(
    ...     lambda x: np.sum(x**4), lambda x: 4.0 * x**3, lambda x, v: 12.0 * x**2 * v
    ... )
    >>> adjoint.check_hvp(f, np.array([1.0, 2.0])).ok
    True
    """
    require_integer("check_hvp", "seed", seed, 0)
    x = validated_x("check_hvp", f, x)
    rng = np.random.default_rng(seed)
    point = f(x)
    value, g = value_of(point), gradient_of(point, x)
    if not isinstance(point, PointWithHvp):
        raise TypeError(
            f"check_hvp: {type(point).__name__} has no method hvp(v), expected points that have "
            "it, such as those of adjoint.Reduced or of ScalarFunction(value, gradient, product)"
        )
    v, w = random_direction(x, rng), random_direction(x, rng)
    f = warm_started(f, point)
    unmoved = 0
    if not (x.all() or _is_defined(f, x, FIRST_STEP * v)):
        unmoved = int(np.count_nonzero(x == 0.0))
        v, w = np.where(x == 0.0, 0.0, v), np.where(x == 0.0, 0.0, w)
    Hv, Hw, H_combined = (_product(point, x, u) for u in (v, w, 2.0 * v - w))
    steps = FIRST_STEP * 0.5 ** np.arange(STEPS)
    ahead, behind = ([f(x + h * v) for h in sign * steps] for sign in (1.0, -1.0))
    values = np.array([value_of(moved) for moved in ahead])
    gradients_ahead, gradients_behind = (
        np.array([gradient_of(moved, x) for moved in side]) for side in (ahead, behind)
    )
    first = np.abs(values - value - steps * dot(g, v))
    second = np.abs(values - value - steps * dot(g, v) - 0.5 * steps**2 * dot(Hv, v))
    noise = NOISE * float(np.abs(values).max())
    differences = (gradients_ahead - gradients_behind) / (2.0 * steps[:, None])
    slope = _compared(Hv, _limit(differences, w), g, w, steps)
    slopes = [slope]
    if np.count_nonzero(v) > 1:
        slopes.append(
            _compared_up_to_noise(
                Hv, differences, g, _balanced_direction(x, g, Hv, v, steps, rng), steps
            )
        )
    return CheckReport(
        steps=steps,
        first=first,
        second=second,
        orders=(order(first, noise, 2.0), order(second, noise, 3.0)),
        derivative=slope.derivative,
        difference=slope.difference,
        relative_error=float(np.max([tested.relative_error for tested in slopes])),
        dot_product_error=_ratio(
            abs(dot(Hv, w) - dot(Hw, v)), _absolute_sum(Hv, w) + _absolute_sum(Hw, v)
        ),
        seed=seed,
        expected=(2.0, 3.0),
        slopes=tuple(slopes),
        unmoved=unmoved,
        linearity_error=_linearity(Hv, Hw, H_combined, np.abs(v)),
        labels=HESSIAN,
    )


def _is_defined(f: Checked, x: Array, step: Array) -> bool:
    """True if f can be evaluated at x + step and at x − step."""
    for sign in (1.0, -1.0):
        try:
            with np.errstate(all="ignore"):
                value = value_of(f(x + sign * step))
        except (SolveError, ValueError, ArithmeticError):
            return False
        if not np.isfinite(value):
            return False
    return True


def _product(point: PointWithHvp, x: Array, v: Array) -> Array:
    """Return a copy of H v, (m,).

    Raises ValueError if the product has another shape than x, NonFinite if an entry is
    nan or inf.
    """
    return as_parameters(
        as_cotangent(point.hvp(v.copy()), x, "the Hessian–vector product"), "the hvp"
    )


def _limit(differences: Array, w: Array) -> tuple[float, float]:
    """Return the limit of w·d for differences d of ∇f, (k, m), and an estimate of its error."""
    return limit(np.array([dot(difference, w) for difference in differences]), 4.0)


def _compared(
    Hv: Array, difference: tuple[float, float], g: Array, w: Array, steps: Array
) -> Slope:
    """Return the comparison of w·Hv with a difference of w·∇f.

    If w·Hv and the difference are rounding, the error counts as small. difference: the
    extrapolated difference and an estimate of its error.
    """
    derivative, uncertain = dot(Hv, w), NOISE * _absolute_sum(g, w) / float(steps[-1])
    size = max(abs(derivative), abs(difference[0]))
    error = _ratio(abs(derivative - difference[0]), max(size, uncertain / TOLERANCE))
    return Slope("w", derivative, difference[0], uncertain, error, bool(size <= uncertain), "w.Hv")


def _balanced_direction(
    x: Array, g: Array, Hv: Array, v: Array, steps: Array, rng: np.random.Generator
) -> Array:
    """Return a direction w, (m,), in which all components have about the same share of w·Hv.

    A share is not weighted up if it is too small to be tested by differences of ∇f.
    """
    size = np.where(v == 0.0, 0.0, sizes_of(x))
    resolved = RESOLVED * NOISE * float(np.max(np.abs(g) * size)) / float(steps[-1]) / TOLERANCE
    candidates = [np.where(v == 0.0, 0.0, random_direction(x, rng)) for _ in range(CANDIDATES)]
    return balanced(size, Hv, v, candidates, WEAKEST, resolved)


def _compared_up_to_noise(Hv: Array, differences: Array, g: Array, w: Array, steps: Array) -> Slope:
    """Return the comparison of w·Hv with the difference of w·∇f, for a balanced w.

    The terms of w·Hv may cancel. Therefore only the part of the gap counts as an error that
    exceeds the rounding and the estimated error of the difference.
    """
    derivative, (difference, change) = dot(Hv, w), _limit(differences, w)
    uncertain = NOISE * _absolute_sum(g, w) / float(steps[-1]) + change
    size = max(abs(derivative), abs(difference))
    error = _ratio(max(abs(derivative - difference) - RESOLVED * uncertain, 0.0), size)
    error = error if np.isfinite(difference) else float("nan")
    return Slope(
        "second w", derivative, difference, uncertain, error, bool(size <= uncertain), "w.Hv"
    )


def _linearity(Hv: Array, Hw: Array, H_combined: Array, size: Array) -> float:
    """‖H(2v − w) − 2Hv + Hw‖ divided by the norm of its terms; ‖y‖ = max_i |y_i| size_i.

    H_combined: H(2v − w); size: weights of the components, (m,).
    """
    terms = float(np.max((np.abs(H_combined) + 2.0 * np.abs(Hv) + np.abs(Hw)) * size))
    return _ratio(float(np.max(np.abs(H_combined - 2.0 * Hv + Hw) * size)), terms)


def _absolute_sum(a: Array, b: Array) -> float:
    """Σ |a_i| |b_i|."""
    return dot(np.abs(a), np.abs(b))


def _ratio(error: float, size: float) -> float:
    """error / size, and 0 if both are 0."""
    return float(error / max(size, TINY))
