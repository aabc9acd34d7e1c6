"""∂f/∂t and ∂ℓ/∂t at stages, and whether they exist where a stage lies at a knot."""

from collections.abc import Callable

import numpy as np

from ...errors import NonFiniteField
from ...typing import Array

PROBE = 1e-7
"""Part of a step at which a rate at its end is looked at a second time: one that exists is nearly the same there."""


STEADY = 1e-3
"""Relative change of a rate over that distance, above which it is taken for infinite at the knot."""


SMALL = 1e-4
"""Part of the rate of change over the step below which a rate with respect to t is not looked at."""


def rate_at(
    rate: Callable[[float], Array], t: float, inwards: float, size: Array, what: str
) -> Array:
    """∂f/∂t at a time t just beside a knot, from `rate`; raises NonFiniteField where it is infinite at the knot.

    inwards: the length of the step on that side, below zero where the step ends at t. size: of f in the step.
    A root or another power of the time from the knot has a huge rate beside it, which is not that of the solution.
    """
    found = np.array(rate(t))  # A copy: the rate may be the same array again.
    probe = rate(t + PROBE * inwards)
    if np.isfinite(found).all() and not singular(found, probe, abs(inwards), size).any():
        return found
    doubtful = ~np.isfinite(found) | singular(found, probe, abs(inwards), size)
    bad = int(np.flatnonzero(doubtful)[0])
    error = NonFiniteField(
        f"∂{what}/∂t in component {bad} at t = {t:.10g} is infinite, or as good as ({found[bad]:.3g}, and "
        f"{probe[bad]:.3g} a little farther inside): a root or a power of the time, beginning there? Derivatives with "
        "respect to times do not exist then; times=False leaves them out."
    )
    error.t = t
    raise error


def singular(found: Array, probe: Array, length: float, size: Array) -> Array:
    """Whether a rate decays steeply from the knot, by components."""
    change, found = np.abs(found - probe), np.abs(found)
    return np.asarray(
        (change > STEADY * found) & (found > np.abs(probe)) & (found * length > SMALL * size)
    )
