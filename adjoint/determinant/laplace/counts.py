"""What likelihoods of counts share: validation, and log n! without its large terms."""

import numpy as np
from scipy.special import gammaln

from ..._validation import as_array, first_nonfinite
from ...typing import Array

SERIES = 16.0
"""Smallest n for which Stirling's series is used; its error is below 1e-16 there."""


def as_counts(who: str, name: str, value: object) -> Array:
    """Return counts as a float vector, (k,).

    Raise TypeError unless they are real numbers, ValueError unless they are a vector of
    finite whole numbers ≥ 0.
    """
    counts = as_array(who, name, value)
    if counts.dtype.kind not in "fiu":
        raise TypeError(f"{who}: got {name} of dtype {counts.dtype}, expected whole numbers")
    if counts.ndim != 1 or counts.size == 0:
        raise ValueError(f"{who}: got {name} of shape {counts.shape}, expected (k,) with k ≥ 1")
    if bad := first_nonfinite(counts):
        raise ValueError(
            f"{who}: {name}[{bad[0]}] is {bad[1]}, expected whole numbers ≥ 0. Missing data have "
            "no row in the observation matrix B"
        )
    counts = counts.astype(float)
    wrong = np.flatnonzero((counts < 0.0) | (counts != np.floor(counts)))
    if wrong.size:
        raise ValueError(
            f"{who}: {name}[{wrong[0]}] is {counts[wrong[0]]}, expected whole numbers ≥ 0 "
            f"({wrong.size} others)"
        )
    counts.setflags(write=False)
    return counts


def stirling_remainder(n: Array) -> Array:
    """Return log n! − ((n + ½) log n − n + ½ log 2π) for n ≥ 1; 0 for n = 0."""
    n = np.asarray(n, dtype=float)
    safe = np.maximum(n, 1.0)
    direct = gammaln(safe + 1.0) - (safe + 0.5) * np.log(safe) + safe - 0.5 * np.log(2.0 * np.pi)
    r = 1.0 / safe**2
    # Abramowitz & Stegun (1964), 6.1.41.
    tail = 1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - r * 691 / 360360))
    series = (1 / 12 - r * (1 / 360 - r * tail)) / safe
    return np.where(n >= SERIES, series, np.where(n > 0.0, direct, 0.0))
