"""One directional difference: is the gradient that a run relies on the derivative of f?"""

import numpy as np

from ..arrays import Array, dot
from ..check import extrapolated
from .bounds import Box
from .evaluation import attempt
from .state import Function, State
from .stopping import Status

STEPS = np.array([1e-3, 5e-4])
"""Relative to the size of each variable; extrapolated, their difference is good to about 1e-9."""

SHORTER = (1.0, 1e-2, 1e-4)
"""What the steps are multiplied by, in turn, until f can be evaluated at all of the points."""

DIFFERENT = 1e-3
"""Relative difference from which on a gradient is wrong."""

BINDING = 1e-3
"""Scaled distance from its bound below which a constraint with a multiplier binds."""

CLIMBED = 1e-2
"""Part of what a run has gained by which it may end above its best state: not all algorithms descend in every step."""

LEAST = 1e-2
"""Of the distance of its bounds, for the direction of a variable next to zero: its derivative may be wrong too."""

GAINED = 1e-6
"""Part of what a run has gained that a slope left over may promise."""

NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding of f, relative to it, that differences have to put up with."""


class WrongGradient(RuntimeError):
    """The gradient of the objective is not its derivative: nothing was optimized."""


def require_derivative(f: Function, state: State, bounds: Box) -> None:
    """Raise WrongGradient unless g·v agrees with extrapolated differences along a random v.

    Four evaluations of f, within the bounds, no gradient. Where f cannot be evaluated next to x nothing is found out.
    """
    v = _direction(state.x, bounds)
    difference, spread, _ = _sampled(f, state, v, bounds)
    derivative = dot(state.gradient, v)
    if not np.isfinite(difference):
        return
    if not abs(difference - derivative) <= DIFFERENT * max(abs(difference), abs(derivative)) + spread:
        raise WrongGradient(
            f"along a random direction the gradient gives {derivative:.8e}, differences {difference:.8e}. "
            "Usual causes: a vjp without its transpose or with a wrong sign, a missing ∂J/∂p, an objective with kinks "
            "or noise. See adjoint.check(f, x).table(); check=False goes on regardless."
        )


def confirmed(status: Status, f: Function, state: State, first: float, bounds: Box) -> Status:
    """What convergence means, by differences of f: the status itself, where they have nothing against it.

    first: f at the start of the run. INCONSISTENT where the slope along a random direction is not g·v; FLAT where f is
    the same to its last bits next to x as at the start; SADDLE where the gradient vanishes, no constraint binds, and f
    is lower nearby. All but for rounding, for as much as its own extrapolation changes the slope, and for what would
    gain a millionth of what the run has gained. Four evaluations of f, or of what the state says is its f by now.
    """
    if not status.success:
        return status
    v = _direction(state.x, bounds)
    slope, spread, values = _sampled(state.function or f, state, v, bounds)
    rounding = 4.0 * float(np.finfo(float).eps) * abs(state.value)
    if state.value == first and np.all(np.abs(values - state.value) <= rounding):
        return Status.FLAT
    meant = dot(state.gradient, v)
    allowed = GAINED * abs(first - state.value) + NOISE * abs(first)
    if abs(slope - meant) > spread + DIFFERENT * max(abs(slope), abs(meant)) + allowed / STEPS[-1]:
        return Status.INCONSISTENT
    if status is not Status.STATIONARY or np.any((state.multipliers != 0.0) & (state.constraints > -BINDING)):
        return status
    lowest = float(np.fmin.reduce(values, initial=np.inf))
    return Status.SADDLE if lowest < state.value - 4.0 * STEPS[0] * abs(meant) - allowed - rounding else status


def risen(state: State, best: State, first: float) -> bool:
    """Whether f is higher than at the best state, by more than a hundredth of what was gained in between."""
    allowed = CLIMBED * abs(first - best.value) + GAINED * abs(best.value)
    return best.violation <= state.violation and state.value > best.value + allowed


def _direction(x: Array, bounds: Box) -> Array:
    """±|x_i| with random signs, into the box, by a hundredth of its width at least; zeros by the middle of the others.

    Not by more where nothing is known of a variable but its value: units differ.
    """
    sizes = np.abs(x)
    middle = float(np.median(sizes[sizes > 0.0])) if sizes.any() else 1.0
    sizes = np.where(sizes > 0.0, sizes, middle)
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    sizes = np.where(np.isfinite(width), np.clip(sizes, LEAST * width, width), sizes)
    v = sizes * np.random.default_rng(0).choice([-1.0, 1.0], x.size)
    # At a bound, inwards: what is found out there is worth as much.
    v = np.where(x + STEPS[0] * v > bounds.upper, -np.abs(v), v)
    return np.where(x + STEPS[0] * v < bounds.lower, np.abs(v), v)


def _sampled(f: Function, state: State, v: Array, bounds: Box) -> tuple[float, float, Array]:
    """The derivative of f along v by differences, what rounding may have done to it, and the values; nan without.

    Central where both sides are within the bounds, of one side elsewhere. The spread is at least what the extrapolation
    changed.
    """
    central = bounds.holds(state.x - STEPS[0] * v)
    for shorter in SHORTER:
        steps = shorter * STEPS
        at = np.concatenate([steps, -steps if central else 2.0 * steps])
        # Of one side, the longer step is twice the shorter one: they have a point in common.
        points = {h: attempt(f, bounds.clip(state.x + h * v)) for h in dict.fromkeys(at.tolist())}
        values = np.array([np.nan if (point := points[h]) is None else point.value for h in at.tolist()])
        if np.isfinite(values).all():
            break
    noise = NOISE * float(np.abs(values).max()) / steps[-1]
    if central:
        slopes = (values[:2] - values[2:]) / (2.0 * steps)
    else:
        # 4 f(x+h) − f(x+2h) − 3 f(x) over 2h has an error of h².
        slopes, noise = (4.0 * values[:2] - values[2:] - 3.0 * state.value) / (2.0 * steps), 10.0 * noise
    return extrapolated(slopes), noise + float(abs(slopes[1] - slopes[0])), values
