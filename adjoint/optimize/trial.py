"""f at a trial point: a failed solve, or nan, there means that the step was too long, and is no error."""

from contextvars import ContextVar

import numpy as np

from .._validation import as_parameters, named
from ..bounds import Bounds
from ..errors import NonFinite, SolveError
from ..factor.counts import phase
from ..reduced import Function, Point
from ..typing import Array
from .status import Status

REFUSED: ContextVar[SolveError | None] = ContextVar("REFUSED", default=None)
"""Why the last trial that failed did: for the message of a run that ends so; no algorithm looks at it."""


SHAPE: ContextVar[tuple[int, ...] | None] = ContextVar("SHAPE", default=None)
"""Of the designs of the run, while it goes on from a file whose memory may be another run's; None: not looked at."""


NEAR = 1e-10
"""Relative difference of values up to which a trial has come back to where the search began."""


def attempt(f: Function, x: Array) -> Point | None:
    """f(x), or None where a solve failed or the value is not finite."""
    if SHAPE.get() not in (None, x.shape):
        raise ValueError(f"a trial design of shape {x.shape}, expected {SHAPE.get()}")
    try:
        with phase("model"):
            # A copy: what a function does to its argument must not move the algorithm.
            point = f(np.array(x))
    except SolveError as error:
        REFUSED.set(error)
        return None
    if np.isfinite(value := value_of(point)):
        return point
    REFUSED.set(NonFinite(f"the objective is {value} at a trial point"))
    return None


def require_point(point: Point, what: str) -> Point:
    """The same; raises TypeError for what is no point. what: returned it."""
    if not (hasattr(point, "x") and hasattr(point, "value")):
        raise TypeError(
            f"{what} returned {named(point)}, expected a Point (x, value, gradient): see ScalarFunction(value, "
            "gradient), and ScalarFunction.of(f) for an f that returns both"
        )
    return point


def value_of(point: Point) -> float:
    """f at a point; raises TypeError for what is no real number, and no point."""
    value = np.asarray(require_point(point, "f").value)
    if value.ndim != 0 or value.dtype.kind not in "fiu":
        raise TypeError(f"the objective returned the value {point.value!r}, expected a real number")
    return float(value)


def gradient_of(point: Point) -> Array:
    """df/dx at a point, (m,); raises NonFinite, ValueError for another shape, TypeError for a complex one."""
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
    if not np.isfinite(g).all():
        bad = np.flatnonzero(~np.isfinite(g))
        raise NonFinite(
            f"the gradient of the objective is {g[bad[0]]} at component {bad[0]} ({bad.size} such)"
        )
    return g.astype(float)  # A copy: the states of a run keep it.


def given_up(rejected: Array, value: float) -> Status:
    """The ending of a search whose trials were all refused: FAILED where the last solves failed, STUCK for others.

    rejected: values, nan for failed solves; value: f where they began, which the last trials may have come back to.
    """
    told = rejected[~(np.abs(rejected - value) <= NEAR * abs(value))]
    return Status.FAILED if told.size and np.isnan(told[-1]) else Status.STUCK


def first_point(f: Function, x: Array, bounds: Bounds, name: str) -> Point:
    """f at the start; raises ValueError for an x outside of the bounds, NonFinite, and what f raises."""
    x = as_parameters(x, "x")
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: got x of dtype {x.dtype}, expected real numbers")
    if x.size == 0:
        raise ValueError(f"{name}: the design is empty, expected at least one variable")
    bounds.require(x, name)
    if not callable(f):
        raise TypeError(
            f"{name}: got {named(f)} as f, expected a function of x, such as ScalarFunction(value, gradient)"
        )
    with phase("model"):
        point = f(x)
    if not np.isfinite(value_of(point)):
        raise NonFinite(f"{name}: the objective is {point.value} at the start")
    return point
