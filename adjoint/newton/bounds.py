"""Bounds on the state of a Newton iteration: how far a step may go."""

import numpy as np

from ..bounds import Bounds
from ..typing import Array

BACK = 0.9
"""Share of the way to a bound that a step takes which would cross the bound: the fraction-to-the-boundary rule."""


def require_interior(bounds: Bounds) -> None:
    """Raise ValueError unless lower < upper: a Newton step needs room."""
    if not np.all(np.asarray(bounds.lower) < np.asarray(bounds.upper)):
        raise ValueError(
            f"Bounds: got lower={bounds.lower}, upper={bounds.upper}; expected lower < upper everywhere"
        )


def require_start(bounds: Bounds, u: Array) -> None:
    """Raise ValueError unless the start u is within the bounds, and has their length."""
    if u.dtype.kind == "c":
        raise TypeError("bounds are for real states; this one is complex")
    lower, upper = _expanded(bounds, u)
    outside = np.flatnonzero(~((lower <= u) & (u <= upper)))
    if outside.size:
        i = outside[0]
        raise ValueError(
            f"the start u0[{i}] = {u[i]:g} is outside of its bounds [{lower[i]:g}, {upper[i]:g}] ({outside.size} "
            "such); start inside, or widen the bounds"
        )


def longest(bounds: Bounds, u: Array, du: Array) -> float:
    """The largest factor α ≤ 1 for which u + α du is within the bounds (Nocedal & Wright, 2006, section 19.2)."""
    lower, upper = _expanded(bounds, u)
    if np.all((lower <= u + du) & (u + du <= upper)):
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(du < 0.0, (lower - u) / du, np.where(du > 0.0, (upper - u) / du, np.inf))
    return BACK * float(room.min())


def nearest(bounds: Bounds, u: Array) -> int:
    """The index of the unknown that is closest to one of its bounds."""
    lower, upper = _expanded(bounds, u)
    return int(np.argmin(np.minimum(u - lower, upper - u)))


def _expanded(bounds: Bounds, u: Array) -> tuple[Array, Array]:
    for name, bound in (("lower", bounds.lower), ("upper", bounds.upper)):
        if np.ndim(bound) and np.shape(bound) != u.shape:
            raise ValueError(
                f"Bounds: got {name} of shape {np.shape(bound)}, expected a number or {u.shape}"
            )
    return np.broadcast_to(bounds.lower, u.shape), np.broadcast_to(bounds.upper, u.shape)
