"""Is the Hessian–vector product the derivative of the gradient? Taylor remainders of order 3, symmetry, linearity."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from .._numerics import dot
from .._validation import as_cotangent, as_parameters, require_integer
from ..errors import SolveError
from ..typing import Array
from .gradient import (
    CANDIDATES,
    NOISE,
    RESOLVED,
    STEPS,
    TINY,
    TOLERANCE,
    WEAKEST,
    CheckReport,
    Evaluated,
    Labels,
    Slope,
    balanced,
    gradient_of,
    limit,
    order,
    random_direction,
    required,
    sizes_of,
    started,
    value_of,
)

FIRST_STEP = 2e-2
"""The largest step, relative to each x_i: remainders of order 3 meet rounding after few halvings."""


HESSIAN = Labels(
    "Hessian product",
    "|f(x+hv) - f(x) - h g.v|",
    "... - h^2/2 v.Hv",
    "w.Hv       ",
    "<Hv,w> - <v,Hw>",
    "of the terms",
    "; w·Hv is zero, nothing was tested",
    causes="Usual causes: a `second` that lacks a term or a conjugate; a gradient that is itself wrong: adjoint.check",
    # Far above rounding: an hvp may itself be made of differences, to eight digits.
    consistent=TOLERANCE,
)


@runtime_checkable
class Twice(Protocol):
    """A point with Hessian–vector products."""

    @property
    def value(self) -> float:
        """f(x)."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""

    def hvp(self, v: Array) -> Array:
        """(d²f/dx²) v, (m,)."""


Function: TypeAlias = Callable[[Array], Evaluated]
"""f: whatever maps x to a point; its points need an `hvp`."""


def check_hvp(f: Function, x: Array, *, seed: int = 0) -> CheckReport:
    """Compare f's Hessian–vector product at x with its values and gradients along a random direction v.

    Three properties of the Hessian H: the Taylor remainder |f(x+hv) − f(x) − h g·v − ½h² v·Hv| is of order 3, and
    w·Hv is the extrapolated central difference of w·∇f along v; ⟨Hv, w⟩ = ⟨v, Hw⟩; H(2v − w) = 2Hv − Hw. Symmetry alone
    would not do: a Hessian may be symmetric and wrong. A second w weights up the components that have little effect on
    w·Hv. The gradient is taken to be right: see `check`.

    f: a function whose points have `hvp`, such as a `Reduced` of a steady problem, a `ScalarFunction` with a product,
    or a `DifferencedHessian`. x: (m,). Components that are zero are moved as well, by the size of the others, or by 1;
    where f cannot be evaluated there the report counts them, and is not ok. 13 solutions of the problem with gradients,
    and three Hessian–vector products. Raises TypeError for points without `hvp`, ValueError; what f raises.
    """
    require_integer("check_hvp", "seed", seed, 0)
    x = required("check_hvp", f, x)
    rng = np.random.default_rng(seed)
    point = f(x)
    value, g = value_of(point), gradient_of(point, x)
    if not isinstance(point, Twice):
        raise TypeError(
            f"check_hvp: {type(point).__name__} has no method hvp(v), expected points with one, as those of "
            "adjoint.Reduced or of ScalarFunction(value, gradient, product)"
        )
    v, w = random_direction(x, rng), random_direction(x, rng)
    f = started(f, point)
    unmoved = 0
    if not (x.all() or _is_defined(f, x, FIRST_STEP * v)):
        unmoved = int(np.count_nonzero(x == 0.0))
        v, w = np.where(x == 0.0, 0.0, v), np.where(x == 0.0, 0.0, w)
    Hv, Hw, both = (_product(point, x, each) for each in (v, w, 2.0 * v - w))
    steps = FIRST_STEP * 0.5 ** np.arange(STEPS)
    ahead, behind = ([f(x + h * v) for h in sign * steps] for sign in (1.0, -1.0))
    values = np.array([value_of(each) for each in ahead])
    along, beyond = (np.array([gradient_of(each, x) for each in side]) for side in (ahead, behind))
    first = np.abs(values - value - steps * dot(g, v))
    second = np.abs(values - value - steps * dot(g, v) - 0.5 * steps**2 * dot(Hv, v))
    noise = NOISE * float(np.abs(values).max())
    differences = (along - beyond) / (2.0 * steps[:, None])
    slope = _slope(Hv, _limit(differences, w), g, w, steps)
    slopes = [slope]
    if np.count_nonzero(v) > 1:
        slopes.append(_weighted(Hv, differences, g, _even(x, g, Hv, v, steps, rng), steps))
    return CheckReport(
        steps=steps,
        first=first,
        second=second,
        orders=(order(first, noise, 2.0), order(second, noise, 3.0)),
        derivative=slope.derivative,
        difference=slope.difference,
        relative_error=float(np.max([each.relative_error for each in slopes])),
        dot_product_error=_relative(abs(dot(Hv, w) - dot(Hw, v)), _terms(Hv, w) + _terms(Hw, v)),
        seed=seed,
        expected=(2.0, 3.0),
        slopes=tuple(slopes),
        unmoved=unmoved,
        linearity_error=_linearity(Hv, Hw, both, np.abs(v)),
        labels=HESSIAN,
    )


def _is_defined(f: Function, x: Array, step: Array) -> bool:
    """Whether f can be evaluated at both ends of the longest step."""
    for sign in (1.0, -1.0):
        try:
            with np.errstate(all="ignore"):
                value = value_of(f(x + sign * step))
        except (SolveError, ValueError, ArithmeticError):
            return False
        if not np.isfinite(value):
            return False
    return True


def _product(point: Twice, x: Array, v: Array) -> Array:
    """A copy of H v, (m,); raises ValueError for another shape, NonFinite for nan."""
    return as_parameters(
        as_cotangent(point.hvp(v.copy()), x, "the Hessian–vector product"), "the hvp"
    )


def _limit(differences: Array, w: Array) -> tuple[float, float]:
    """The extrapolated w·d of differences d (k, m) of ∇f, and its last change."""
    return limit(np.array([dot(each, w) for each in differences]), 4.0)


def _slope(Hv: Array, difference: tuple[float, float], g: Array, w: Array, steps: Array) -> Slope:
    """w·Hv beside the difference of w·∇f, whose terms' rounding it is granted."""
    derivative, uncertain = dot(Hv, w), NOISE * _terms(g, w) / float(steps[-1])
    size = max(abs(derivative), abs(difference[0]))
    error = _relative(abs(derivative - difference[0]), max(size, uncertain / TOLERANCE))
    return Slope("w", derivative, difference[0], uncertain, error, bool(size <= uncertain), "w.Hv")


def _even(x: Array, g: Array, Hv: Array, v: Array, steps: Array, rng: np.random.Generator) -> Array:
    """A w of which all components have about the same share of w·Hv, as far as the rounding of ∇f lets them, (m,)."""
    size = np.where(v == 0.0, 0.0, sizes_of(x))
    rounding = RESOLVED * NOISE * float(np.max(np.abs(g) * size)) / float(steps[-1]) / TOLERANCE
    candidates = [np.where(v == 0.0, 0.0, random_direction(x, rng)) for _ in range(CANDIDATES)]
    return balanced(size, Hv, v, candidates, WEAKEST, rounding)


def _weighted(Hv: Array, differences: Array, g: Array, w: Array, steps: Array) -> Slope:
    """w·Hv along such a w, beside a difference that is granted its rounding and its last change: terms may cancel."""
    derivative, (difference, change) = dot(Hv, w), _limit(differences, w)
    uncertain = NOISE * _terms(g, w) / float(steps[-1]) + change
    size = max(abs(derivative), abs(difference))
    error = _relative(max(abs(derivative - difference) - RESOLVED * uncertain, 0.0), size)
    error = error if np.isfinite(difference) else float("nan")
    return Slope(
        "second w", derivative, difference, uncertain, error, bool(size <= uncertain), "w.Hv"
    )


def _linearity(Hv: Array, Hw: Array, both: Array, size: Array) -> float:
    """‖H(2v − w) − 2Hv + Hw‖ relative to its terms, in the sizes of the variables."""
    terms = float(np.max((np.abs(both) + 2.0 * np.abs(Hv) + np.abs(Hw)) * size))
    return _relative(float(np.max(np.abs(both - 2.0 * Hv + Hw) * size)), terms)


def _terms(a: Array, b: Array) -> float:
    """Σ |a_i||b_i|."""
    return dot(np.abs(a), np.abs(b))


def _relative(error: float, size: float) -> float:
    return float(error / max(size, TINY))
