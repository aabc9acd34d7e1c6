"""Comparison of the derivatives of a likelihood with differences, at the mode.

A wrong second derivative gives a wrong determinant, and a wrong third one a wrong gradient,
while Newton's method still converges. The test costs four evaluations of the likelihood.
"""

import numpy as np

from ..._numerics import dot
from ...errors import WrongGradient
from ...typing import Array
from .likelihood import CheckedLikelihood

STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Steps of the differences, relative to the width of each ℓ_i. One of them must agree."""

DIFFERENCE = 1e-2
"""Largest relative error of a derivative; the differences themselves are better by far."""

ROUNDING = 1e-12
"""Rounding error of a sum of log-densities, relative to its size."""

NAMES = (
    "first derivative ∂ℓ/∂η and the value",
    "second derivative ∂²ℓ/∂η² and the first",
    "third derivative ∂³ℓ/∂η³ and the second",
)


def require_derivatives(
    likelihood: CheckedLikelihood, eta: Array, derivatives: tuple[Array, Array, Array]
) -> None:
    """Raise WrongGradient unless each derivative agrees with differences of the one before.

    The signs of the steps are random, so that a dependence of ℓ_i on another η_j is seen,
    too.
    """
    with np.errstate(all="ignore"):
        width = np.minimum(1.0 / np.sqrt(np.abs(derivatives[1])), 1.0 + np.abs(eta))
    direction = width * np.where(np.random.default_rng(eta.size).random(eta.size) < 0.5, -1.0, 1.0)
    errors = np.full(3, np.inf)
    for step in STEPS:
        with np.errstate(all="ignore"):
            found = _errors(likelihood, eta, derivatives, step * direction)
        errors = np.fmin(errors, found)
        if (errors <= DIFFERENCE).all():
            return
    worst = int(np.argmax(errors > DIFFERENCE))
    raise WrongGradient(
        f"{likelihood.name}: the {NAMES[worst]} do not agree: they differ by "
        f"{errors[worst]:.1e} at the mode, relative to differences along a random direction. The "
        "determinant or the gradient would be wrong. Usual causes: a wrong formula, expected "
        "instead of observed information (∂²ℓ/∂η² must be the derivative itself), an ℓ_i that "
        "depends on more than η_i, a kink in ℓ, a value that loses its digits by cancellation"
    )


def _errors(
    likelihood: CheckedLikelihood, eta: Array, derivatives: tuple[Array, Array, Array], h: Array
) -> Array:
    """Return the errors of the three derivatives, relative to their sizes, (3,)."""
    above, below = eta + h, eta - h
    h = 0.5 * (above - below)  # Without the rounding errors of η ± h.
    values = likelihood.value(above), likelihood.value(below)
    first, second, third = derivatives
    slope = first * h
    noise = ROUNDING * (abs(values[0]) + abs(values[1]))
    curved = np.sum(np.abs(second) * h**2)
    error = abs(values[0] - values[1] - 2.0 * slope.sum())
    size = 2.0 * np.sqrt(dot(slope, slope)) + curved
    errors = [np.maximum(error - noise, 0.0) / max(size, np.finfo(float).tiny)]
    ahead, behind = likelihood.derivatives(above), likelihood.derivatives(below)
    for order, derivative in ((0, second), (1, third)):
        difference = ahead[order] - behind[order]
        # The sizes of the two levels: a derivative that is zero is compared with the level above.
        size = np.abs(derivative * h) + 1e-6 * (np.abs(ahead[order]) + np.abs(behind[order]))
        scale = np.abs(h) ** (order + 1)
        error_sum = np.sum(np.abs(difference - 2.0 * derivative * h) * scale)
        errors.append(error_sum / max(2.0 * np.sum(size * scale), np.finfo(float).tiny))
    return np.array(errors)
