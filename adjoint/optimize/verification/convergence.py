"""After a run."""

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
"""Part of what a run has gained by which it may end above its best state: not all algorithms descend in every step."""


GAINED = 1e-6
"""Part of what a run has gained that a slope left over may promise."""


UNEVEN = 1e-3
"""Part of the first, and of what the run has gained, up to which a slope in the variables' own sizes is small."""


def unconfirmed(
    status: Status,
    state: State,
    best: State,
    progress: Progress,
    bounds: Bounds,
    inner: InnerProduct,
) -> Status:
    """What convergence means, by what is known already: RISEN above the best state, UNEVEN, or the status itself."""
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


def confirmed(status: Status, f: Function, state: State, first: float, bounds: Bounds) -> Status:
    """What convergence means, by differences of f: the status itself, where they have nothing against it.

    first: f at the start of the run. INCONSISTENT where the slope along a random direction is not g·v; FLAT where f is
    the same to its last bits next to x as at the start; SADDLE where the gradient vanishes, no constraint binds, and f
    is lower nearby. All but for rounding, for as much as its own extrapolation changes the slope, and for what would
    gain a millionth of what the run has gained. Up to four evaluations of f, or of what the state says its f is by now;
    two more where few variables look inconsistent.
    """
    f = state.function or f
    along = directions(state.x, state.gradient, state.value, bounds)
    # With few variables one step along each of two directions, for the price of two steps along one.
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
    """Σ size_i |g_i|: what f would fall by if each variable changed by its own size, or as far as its bound."""
    x, g = state.x, state.gradient
    room = np.where(g > 0.0, x - bounds.lower, bounds.upper - x)
    return float(inner.total((np.minimum(sizes(x, bounds), room) * np.abs(g))[None, :])[0])


def _consistent(samples: Samples, here: float, meant: float, allowed: float) -> bool:
    """Whether the slope of f is what the gradient means, or nothing is known of it."""
    slope, spread = samples.slope(samples.values, here)
    return (
        not abs(slope - meant)
        > spread + DIFFERENT * max(abs(slope), abs(meant)) + allowed / STEPS[-1]
    )


def _binds(state: State) -> bool:
    return bool(np.any((state.multipliers != 0.0) & (state.constraints > -BINDING)))
