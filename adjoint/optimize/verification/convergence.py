"""After a run that would end as converged: is its last design a minimum?

A gradient may be small although the design is not a minimum: the gradient is wrong, f
does not depend on the design, the design is a saddle point, or the gradient is small
only in comparison with the gradient with respect to variables in another unit.
"""

import numpy as np

from ..._numerics import dot
from ...bounds import Bounds
from ...reduced import Function
from ..inner_products import InnerProduct
from ..state import State
from ..status import Status
from ..stopping import Progress
from .gradient_check import DIFFERENT
from .sampling import NOISE, STEPS, Samples, directions, sizes

BINDING = 1e-3
"""Scaled distance from its bound below which a constraint with a multiplier binds."""


CLIMBED = 1e-2
"""Part of the decrease of f so far by which a run may end above its best state: some
algorithms do not decrease f in every step."""


GAINED = 1e-6
"""Part of the decrease of f so far that a remaining slope may promise."""


UNEVEN = 1e-3
"""Part of the first slope, and of the decrease of f so far, up to which a slope in the
variables' own sizes is small."""


def status_by_values(
    status: Status,
    state: State,
    best: State,
    progress: Progress,
    bounds: Bounds,
    inner: InnerProduct,
) -> Status:
    """The status of convergence by known values: RISEN, UNEVEN, or the status given.

    RISEN: f is above the best state. UNEVEN: the gradient is small only relative to the
    gradient with respect to variables of other sizes.
    """
    gained = abs(progress.first - best.value)
    if (
        best.violation <= state.violation
        and state.value > best.value + CLIMBED * gained + GAINED * abs(best.value)
    ):
        return Status.RISEN
    if status is not Status.STATIONARY or _binds(state):
        return status
    slope = sized_slope(state, bounds, inner)
    enough = UNEVEN * abs(progress.first - state.value) + NOISE * max(
        abs(progress.first), abs(state.value)
    )
    return Status.UNEVEN if slope > UNEVEN * progress.sized and slope > enough else status


def status_by_differences(
    status: Status, f: Function, state: State, first: float, bounds: Bounds
) -> Status:
    """The status of convergence by differences of f.

    INCONSISTENT: the slope along a random direction is not g·v. FLAT: f next to x equals f
    at the start to its last bits. SADDLE: the gradient vanishes, no constraint binds, and f
    is lower nearby. Otherwise the status given. Each comparison allows for rounding, for
    the amount by which extrapolation changes a slope, and for a millionth of the decrease
    of f so far. first: f at the start of the run. Costs up to four evaluations of f, or of
    the objective that the state names; two more if few variables look inconsistent.
    """
    f = state.function or f
    along = directions(state.x, state.gradient, state.value, bounds)
    # Few variables: one step along each of two directions costs as much as two steps along one.
    sampled = [Samples.of(f, state.x, v, bounds, STEPS[: 3 - len(along)]) for v in along]
    values = np.concatenate([samples.values for samples in sampled])
    rounding = 4.0 * float(np.finfo(float).eps) * abs(state.value)
    if state.value == first and np.all(np.abs(values - state.value) <= rounding):
        return Status.FLAT
    meant = [dot(state.gradient, v) for v in along]
    allowed = GAINED * abs(first - state.value) + NOISE * abs(first)
    for v, samples, slope in zip(along, sampled, meant, strict=True):
        if not _consistent(samples, state.value, slope, allowed) and (
            samples.steps.size == STEPS.size
            or not _consistent(samples.finer(f, state.x, v, bounds), state.value, slope, allowed)
        ):
            return Status.INCONSISTENT
    if status is not Status.STATIONARY or _binds(state):
        return status
    lowest = float(np.fmin.reduce(values, initial=np.inf))
    steepest = max(abs(slope) for slope in meant)
    return (
        Status.SADDLE
        if lowest < state.value - 4.0 * STEPS[0] * steepest - allowed - rounding
        else status
    )


def sized_slope(state: State, bounds: Bounds, inner: InnerProduct) -> float:
    """Σ size_i |g_i|: the decrease of f, to first order, if each variable moves by its size.

    A variable whose bound is nearer moves to its bound.
    """
    x, g = state.x, state.gradient
    room = np.where(g > 0.0, x - bounds.lower, bounds.upper - x)
    return float(inner.total((np.minimum(sizes(x, bounds), room) * np.abs(g))[None, :])[0])


def _consistent(samples: Samples, here: float, meant: float, allowed: float) -> bool:
    """True if the slope of f is that of the gradient, or if the slope is not known."""
    slope, spread = samples.slope(samples.values, here)
    return (
        not abs(slope - meant)
        > spread + DIFFERENT * max(abs(slope), abs(meant)) + allowed / STEPS[-1]
    )


def _binds(state: State) -> bool:
    return bool(np.any((state.multipliers != 0.0) & (state.constraints > -BINDING)))
