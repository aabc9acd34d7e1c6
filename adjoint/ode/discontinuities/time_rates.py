"""∂f/∂t and ∂ℓ/∂t at a discontinuity, with a test whether these derivatives exist."""

from collections.abc import Callable

import numpy as np

from ...errors import NonFiniteField
from ...typing import Array

PROBE = 1e-7
"""Distance at which ∂f/∂t is evaluated a second time, relative to the step: a finite ∂f/∂t is
nearly equal there.
"""


STEADY = 1e-3
"""Relative change of ∂f/∂t over that distance above which ∂f/∂t counts as infinite."""


SMALL = 1e-4
"""Rates below this part of |f| divided by the step are not examined."""


def rate_at(
    rate: Callable[[float], Array], t: float, inwards: float, size: Array, what: str
) -> Array:
    """∂f/∂t at a time t next to a discontinuity; raises NonFiniteField if ∂f/∂t is infinite.

    rate: t ↦ ∂f/∂t. inwards: the length of the step that begins or ends at t, negative
    if the step ends at t. size: |f| in the step. what: "f" or "ℓ". If f is a root or
    another power of the time from the discontinuity, ∂f/∂t next to the discontinuity is
    huge, and is not the rate of the solution.
    """
    found = np.array(rate(t))  # A copy: the field may fill the same array again.
    probe = rate(t + PROBE * inwards)
    if np.isfinite(found).all() and not singular(found, probe, abs(inwards), size).any():
        return found
    doubtful = ~np.isfinite(found) | singular(found, probe, abs(inwards), size)
    bad = int(np.flatnonzero(doubtful)[0])
    error = NonFiniteField(
        f"∂{what}/∂t in component {bad} at t = {t:.10g} is infinite, or nearly so "
        f"({found[bad]:.3g}, and {probe[bad]:.3g} slightly farther inside the step). Usual "
        "cause: a root or a power of the time since then. Derivatives with respect to times do "
        "not exist; times=False leaves them out."
    )
    error.t = t
    raise error


def singular(found: Array, probe: Array, length: float, size: Array) -> Array:
    """True for each component whose rate ∂f/∂t decays steeply from the discontinuity."""
    change, found = np.abs(found - probe), np.abs(found)
    return np.asarray(
        (change > STEADY * found) & (found > np.abs(probe)) & (found * length > SMALL * size)
    )
