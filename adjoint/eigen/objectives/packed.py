"""The packed state of an eigenproblem: row 0 has the eigenvalues, the other rows the vectors."""

import numpy as np

from ..._validation import is_integer, named
from ...typing import Array


def values_of(u: Array) -> Array:
    """Return the eigenvalues of a packed state u (n + 1, k), (k,)."""
    return u[0]


def vectors_of(u: Array) -> Array:
    """Return the eigenvectors of a packed state u (n + 1, k), (n, k), one per column."""
    return u[1:]


def packed(values: Array, vectors: Array) -> Array:
    """Return the packed state (n + 1, k) of values (k,) and vectors (n, k)."""
    return np.concatenate([np.asarray(values)[None, :], vectors])


def require_index(who: str, name: str, index: object) -> None:
    """Raise TypeError or ValueError unless the value is an integer ≥ 0."""
    if not is_integer(index):
        raise TypeError(f"{who}: got {name}={named(index)}, expected an integer ≥ 0")
    if not int(str(index)) >= 0:
        raise ValueError(f"{who}: got {name}={index}, expected an integer ≥ 0; 0 is the first mode")


def require_modes(who: str, u: Array, needed: int) -> None:
    """Raise ValueError unless u is a packed state (n + 1, k) with at least `needed` modes."""
    if u.ndim != 2 or u.shape[0] < 2:
        raise ValueError(
            f"{who}: got a state of shape {u.shape}, expected the packed state (n + 1, count) of "
            "an EigenProblem"
        )
    if u.shape[1] < needed:
        raise ValueError(
            f"{who} needs {needed} modes, but the EigenProblem computes {u.shape[1]}; "
            f"set count={needed} or more"
        )
