"""Richardson extrapolation of differences, and orders of remainders, for halved steps."""

import numpy as np

from ..typing import Array


def limit(differences: Array, base: float) -> tuple[float, float]:
    """Return the limit h → 0 of differences at h, h/2, h/4, …, and an estimate of its error.

    base: 4 if the error is even in h (central differences), 2 if not (one-sided
    differences). The limit is the entry of the Richardson table that changed least, and the
    estimate is this change: Ridders (1982), Adv. Eng. Softw. 4, 75.
    """
    best, smallest = float(differences[0]), np.inf
    row = [float(differences[0])]
    for value in differences[1:]:
        new = [float(value)]
        for j, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (base**j - 1.0))
            change = max(abs(new[-1] - new[-2]), abs(new[-1] - previous))
            if change < smallest:
                best, smallest = new[-1], change
        row = new
    return best, smallest


def extrapolated(differences: Array) -> float:
    """Return the limit h → 0 of central differences at h, h/2, h/4, …"""
    return limit(differences, 4.0)[0]


def order(remainders: Array, noise: float, exact: float) -> float:
    """Return the measured order: the median of log₂(r_i / r_(i+1)) for halved steps.

    Only remainders r_(i+1) above the noise count. Returns `exact` if all remainders are
    noise, nan if a remainder is not finite.
    """
    if not np.isfinite(remainders).all():
        return float("nan")
    above = remainders > noise
    slopes = [
        np.log2(a / b)
        for a, b, real in zip(remainders, remainders[1:], above[1:], strict=False)
        if real
    ]
    return float(np.median(slopes)) if slopes else exact
