"""The other libraries, and the form in which each one solves a case."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adjoint.typing import Array

PEERS = {
    "diffrax, reverse": ("diffrax", "diffrax.reverse"),
    "diffrax, forward mode": ("diffrax", "diffrax.forward"),
    "torchdiffeq, backprop": ("torchdiffeq", "torch.backprop"),
    "torchdiffeq, adjoint": ("torchdiffeq", "torch.continuous"),
    "CasADi (CVODES)": ("casadi", "casadi.prepare"),
    "sundials4py (CVODES)": ("sundials4py", "sundials.prepare"),
    "scikit-sundae (CVODE)": ("sksundae", "sundae.prepare"),
    "pydiffsol": ("pydiffsol", "diffsol.prepare"),
}
"""Name ↦ (package that must be installed; module of this folder and function). The function
makes a `Prepared` of a case and a relative tolerance."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case, ready to be solved by a library at one tolerance.

    value: () ↦ J; gradient: () ↦ (J, dJ/dp); field: u ↦ f(0, u, p) as the library
    evaluates it, (n,).
    """

    value: Callable[[], float]
    gradient: Callable[[], tuple[float, Array]]
    field: Callable[[Array], Array]


def difference(x: Array, expected: Array) -> float:
    """max |x − e| / max |e|."""
    return float(np.abs(x - expected).max() / np.abs(expected).max())
