"""Small blocks of clusters: rates of their eigenvalues, and cotangents of these blocks."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import RepeatedEigenvalue
from ..typing import Array

GAUGE = 1e-6
"""Relative difference of the cotangents of a cluster's values that counts as zero."""

RESOLUTION = 1e-12
"""Relative difference of eigenvalues above which cotangents of a cluster may differ by more."""

ROTATION = 1e-12
"""Relative size of the part of vector cotangents inside of a cluster that counts as zero.

A derivative divides this part by the gaps, which may be 1e-8: more than rounding is refused.
"""


def ascending(block: Array) -> Array:
    """Eigenvalues of a small block, ascending by real part, then by imaginary part."""
    values = np.linalg.eigvals(block)
    return values[np.lexsort((values.imag, values.real))]


def cotangent_of_block(values_bar: Array, rates: Array, block: Array) -> Array:
    """Return the cotangent of a block whose eigenvalues have the cotangents v: R⁻ᴴ diag(v) Rᴴ.

    R: eigenvectors of `block`, (r, r), in the order of its eigenvalues `rates`, which are
    the rates of the values along ṗ. Equal cotangents v do not need R.
    """
    mean = values_bar.mean()
    if np.abs(values_bar - mean).max() <= GAUGE * np.abs(values_bar).max():
        return np.asarray(mean * np.eye(values_bar.size))
    values, R = np.linalg.eig(block)
    # Not by sorting: rounding errors may exchange equal real parts.
    R = R[:, linear_sum_assignment(np.abs(rates[:, None] - values[None, :]))[1]]
    if not np.linalg.cond(R) <= 1e8:
        raise RepeatedEigenvalue(
            "the members of a cluster have parallel eigenvectors along this direction: functions "
            "of single members have no second derivative. Ask for the sum of the cluster."
        )
    return np.asarray(np.linalg.solve(R.conj().T, values_bar[:, None] * R.conj().T))
