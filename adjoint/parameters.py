"""What every map of p shares: validation of p, and the cotangent of a real or a complex parameter."""

import numpy as np

from .arrays import Array
from .factor.errors import NonFinite
from .factor.matrix import finite_sum


def as_parameters(p: Array, name: str = "p") -> Array:
    """A copy of p as a float64 or complex128 vector (m,): derivatives asked for later must find it unchanged.

    Raises TypeError for what are no numbers, ValueError for what is no vector, NonFinite for nan and inf.
    """
    try:
        p = np.asarray(p)
    except (ValueError, TypeError) as error:
        raise TypeError(f"got {name} that makes no array ({error}), expected a vector of numbers") from error
    if p.dtype.kind not in "fciu":
        raise TypeError(f"got {name} of dtype {p.dtype}, expected float64 or complex128")
    if p.ndim != 1:
        raise ValueError(f"got {name} of shape {p.shape}, expected a vector (m,): np.ravel({name})")
    p = p.astype(np.complex128 if p.dtype.kind == "c" else np.float64)
    if not finite_sum(p) and not np.isfinite(p).all():
        bad = np.flatnonzero(~np.isfinite(p))
        raise NonFinite(f"{name}[{bad[0]}] is {p[bad[0]]} ({bad.size} such), expected finite numbers")
    return p


def require_length(p: Array, m: int, what: str) -> None:
    """Raise ValueError unless p has m entries."""
    if p.shape != (m,):
        raise ValueError(f"{what}: got parameters of shape {p.shape}, expected ({m},)")


def as_cotangent(g: Array, p: Array, what: str) -> Array:
    """What a user's class returned as a gradient, of p's shape and kind: Re(gᴴ ṗ) of a real p has no use for Im(g).

    p: (m,), float64 or complex128. what: who returned it. The result is a copy: a user's object may return the same
    array each time. Raises ValueError for another shape, which NumPy would broadcast without a word, TypeError for
    what are no numbers.
    """
    g = np.asarray(g)
    if g.shape != p.shape:
        raise ValueError(f"{what} has shape {g.shape}, expected {p.shape}; np.zeros_like(p) where p plays no part")
    if g.dtype.kind not in "fciu":
        raise TypeError(f"{what} has dtype {g.dtype}, expected float64 or complex128")
    return (g if p.dtype.kind == "c" else g.real).astype(p.dtype)


def cotangent(derivative: Array, p: Array) -> Array:
    """g with dJ = Re(gᴴ dp), from the complex-linear form dJ = Re(Σ derivative_i dp_i).

    A real p has a real gradient, Re(derivative); a complex one conj(derivative).
    """
    return derivative.conj() if p.dtype.kind == "c" else np.ascontiguousarray(derivative.real)
