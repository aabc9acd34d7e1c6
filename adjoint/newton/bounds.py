"""Bounds on the state of a Newton iteration: the longest step that stays inside."""

import numpy as np

from ..bounds import Bounds
from ..typing import Array

FRACTION_TO_BOUNDARY = 0.9
"""Fraction of the way to a bound that a step takes if the whole step would cross the bound
(Nocedal & Wright, 2006, section 19.2)."""


def require_interior(bounds: Bounds) -> None:
    """Raise ValueError unless lower < upper for every unknown."""
    if not np.all(np.asarray(bounds.lower) < np.asarray(bounds.upper)):
        raise ValueError(
            f"Bounds: got lower={bounds.lower}, upper={bounds.upper}; expected lower < upper "
            "everywhere"
        )


def require_start(bounds: Bounds, u: Array) -> None:
    """Raise ValueError unless u has the shape of the bounds and lies within the bounds."""
    if u.dtype.kind == "c":
        raise TypeError("bounds are for real states; this state is complex")
    lower, upper = _expanded(bounds, u)
    outside = np.flatnonzero(~((lower <= u) & (u <= upper)))
    if outside.size:
        i = outside[0]
        raise ValueError(
            f"the start u0[{i}] = {u[i]:g} is outside of its bounds [{lower[i]:g}, {upper[i]:g}] "
            f"({outside.size} such); start inside, or widen the bounds"
        )


def longest_factor(bounds: Bounds, u: Array, du: Array) -> float:
    """Return α ≤ 1 with u + α du within the bounds, by the fraction-to-the-boundary rule."""
    lower, upper = _expanded(bounds, u)
    if np.all((lower <= u + du) & (u + du <= upper)):
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(du < 0.0, (lower - u) / du, np.where(du > 0.0, (upper - u) / du, np.inf))
    return FRACTION_TO_BOUNDARY * float(room.min())


def nearest_to_bound(bounds: Bounds, u: Array) -> int:
    """Return the index of the unknown that is closest to a bound."""
    lower, upper = _expanded(bounds, u)
    return int(np.argmin(np.minimum(u - lower, upper - u)))


def _expanded(bounds: Bounds, u: Array) -> tuple[Array, Array]:
    """Return the lower and the upper bounds as arrays of u's shape."""
    for name, bound in (("lower", bounds.lower), ("upper", bounds.upper)):
        if np.ndim(bound) and np.shape(bound) != u.shape:
            raise ValueError(
                f"Bounds: got {name} of shape {np.shape(bound)}, expected a number or {u.shape}"
            )
    return np.broadcast_to(bounds.lower, u.shape), np.broadcast_to(bounds.upper, u.shape)
