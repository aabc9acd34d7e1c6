"""f at the start and at trial points: a solve that fails at a trial means a step too long."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .._validation import as_parameters, first_nonfinite, named
from ..bounds import Bounds
from ..errors import NonFinite, SolveError
from ..factor.counts import phase
from ..reduced import Function, Point
from ..typing import Array
from .status import Status

NEAR = 1e-10
"""Relative difference of two values up to which a trial has returned to its beginning."""


@dataclass(frozen=True, eq=False)
class Trial:
    """f at a trial point. failure: why there is no point, None if there is a point."""

    point: Point | None
    failure: SolveError | None


def tried(f: Function, x: Array) -> Trial:
    """f(x); a solve that fails, or a value of nan or inf, is kept as the trial's failure."""
    try:
        with phase("model"):
            # f gets a copy: a function that writes to its argument must not move the algorithm.
            point = f(np.array(x))
    except SolveError as error:
        return Trial(None, error)
    if np.isfinite(value := value_of(point)):
        return Trial(point, None)
    return Trial(None, NonFinite(f"the objective is {value} at a trial point"))


def attempt(f: Function, x: Array) -> Point | None:
    """f(x), or None if a solve failed or the value is not finite."""
    return tried(f, x).point


class Domain(Protocol):
    """A set of designs that knows its points, such as a manifold."""

    def require(self, x: Array, name: str) -> None:
        """Raise ValueError unless x is in the set; name: of the algorithm, for the message."""


def first_point(
    f: Function, x: Array, bounds: Bounds, name: str, domain: Domain | None = None
) -> Point:
    """f at the start x, (m,); name: of the algorithm, for messages; domain: a manifold or None.

    Raise ValueError if x is outside of the bounds or the domain, or empty, TypeError if x is
    not real or f is not a function, NonFinite if f is not finite at x, and any error that f
    raises.
    """
    x = as_parameters(x, "x")
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: got x of dtype {x.dtype}, expected real numbers")
    if x.size == 0:
        raise ValueError(f"{name}: the design is empty, expected at least one variable")
    bounds.require(x, name)
    if domain is not None:
        domain.require(x, name)
    if not callable(f):
        raise TypeError(
            f"{name}: got {named(f)} as f, expected a function of x, such as "
            "ScalarFunction(value, gradient)"
        )
    with phase("model"):
        point = f(x)
    if not np.isfinite(value_of(point)):
        raise NonFinite(f"{name}: the objective is {point.value} at the start")
    return point


def require_point(point: Point, what: str) -> Point:
    """Return the point; raise TypeError unless it has x and value.

    what: the function that returned it.
    """
    if not (hasattr(point, "x") and hasattr(point, "value")):
        raise TypeError(
            f"{what} returned {named(point)}, expected a Point (x, value, gradient): see "
            "ScalarFunction(value, gradient), and ScalarFunction.of(f) for an f that returns both"
        )
    return point


def value_of(point: Point) -> float:
    """f at a point.

    Raise TypeError unless the point has a value and the value is a real number.
    """
    value = np.asarray(require_point(point, "f").value)
    if value.ndim != 0 or value.dtype.kind not in "fiu":
        raise TypeError(f"the objective returned the value {point.value!r}, expected a real number")
    return float(value)


def gradient_of(point: Point) -> Array:
    """df/dx at a point, (m,).

    Raise NonFinite if an entry is nan or inf, ValueError if the shape is not that of x,
    TypeError if the gradient is not real.
    """
    with phase("model"):
        g = np.asarray(point.gradient)
    if g.dtype.kind not in "fiu":
        raise TypeError(
            f"the gradient of the objective is of type {g.dtype}, expected real numbers"
        )
    if g.shape != point.x.shape:
        raise ValueError(
            f"the gradient of the objective has shape {g.shape}, the design {point.x.shape}"
        )
    if (bad := first_nonfinite(g)) is not None:
        index, entry, count = bad
        raise NonFinite(
            f"the gradient of the objective is {entry} at component {index} ({count} such)"
        )
    return g.astype(float)  # A copy: the states of a run keep it.


def given_up(rejected: Array, value: float) -> Status:
    """The status of a search that found no step: FAILED if the last trial failed, else STUCK.

    rejected: f of the trials, nan for a failed solve. value: f at the start of the search.
    Trials with f equal to `value`, up to a relative difference `NEAR`, are ignored.
    """
    moved = rejected[~(np.abs(rejected - value) <= NEAR * abs(value))]
    return Status.FAILED if moved.size and np.isnan(moved[-1]) else Status.STUCK
