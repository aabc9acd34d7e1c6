"""Plateaus: the gradient is small because f is small; relative to f the slope is steep.

A mechanism whose structure has fallen apart, u_out → 0, has a gradient that is 10⁻⁹ of
the first gradient, and f has fallen by as much: the gradient is small relative to its
start, but not relative to f. A minimum has a small gradient for another reason: the
slope changes its sign nearby. The two are told apart by the change of the slope over a
small part of each variable's size. On a plateau the slope stays; at a minimum, also at
a minimum of the value zero, the slope turns round (docs/design.md).
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from ..._numerics import dot
from ...bounds import Bounds
from ...errors import NonFinite, SolveError
from ...reduced import Function, Point
from ...typing import Array
from ..constraints.constraint import Constraint
from ..state import State
from ..status import Status
from ..stopping import Progress
from ..trial import attempt, gradient_of
from .sampling import sizes

COLLAPSED = 1e-2
"""Part of the first scale of f below which f has collapsed. The first scale is |f| at the
start, or Σ size_i |∂f/∂x_i| there if this is larger."""


FLATTEST = 0.1
"""Least slope on a plateau: Σ size_i |∂f/∂x_i| / |f|."""


STEEPEST = 30.0
"""Largest slope on a plateau, as for FLATTEST; at a larger slope a small part of the sizes
is enough to make f zero."""


LEVEL = 1e-4
"""Slope, as for FLATTEST, below which f is stationary relative to itself too."""


STEP = 0.01
"""Length of the step over which slopes are compared, in sizes of the variables."""


KEPT = 0.1
"""Least part of the slope that is left after the step on a plateau; at a minimum the slope
has turned round."""


FALLEN = 0.5
"""Least decrease of f over the step on a plateau, relative to the decrease that the slope
promises."""


PATIENCE = 20
"""Largest number of successive iterations on a plateau for which a run goes on: an f that
is an exponential falls to a minimum."""


BINDING = 1e-3
"""Scaled distance from its bound below which a constraint binds."""


CURVED = 1e-3
"""Least change of f by its curvature over the variables' sizes at a regular minimum,
relative to the first scale of f."""


CALM = 8
"""Number of successive iterations with a small but not steep f after which the minimum is
believed."""


class Kind(Enum):
    """Kinds of designs at which f has collapsed and the gradient is small.

    LEVEL: the gradient is small relative to f as well. REGULAR: f is large again nearby, as
    at most minima. STEEP: relative to f the slope persists. SMALL: none of these; f is
    small everywhere nearby, as at a minimum of high order and in the hollows of a plateau.
    """

    LEVEL = 0
    REGULAR = 1
    STEEP = 2
    SMALL = 3


def plateau_status(
    status: Status,
    f: Function,
    state: State,
    progress: Progress,
    start: Array,
    constraints: Sequence[Constraint],
    bounds: Bounds,
) -> tuple[Progress, Status | None]:
    """Return the progress, and the status with which the run ends, or None if it goes on.

    The run ends with the given status if f has not collapsed, if the design is LEVEL,
    or if the design is REGULAR and the run has not been extended before. Otherwise the
    run is extended. It then ends with PLATEAU if a design is STEEP after PATIENCE extra
    iterations, and with the given status after more than CALM successive designs that
    are not STEEP. start: x at the start of the run.
    """
    if not _collapsed(progress, state):
        return progress, status
    scale, doubted = max(abs(progress.first), progress.sized), progress.steep > 0
    kind = kind_of_design(f, state, scale, start, constraints, bounds, doubted)
    if kind is Kind.LEVEL or (kind is Kind.REGULAR and not doubted):
        return progress, status
    calm = 0 if kind is Kind.STEEP else progress.calm + 1
    if calm > CALM:
        return progress, status
    if kind is Kind.STEEP and progress.steep >= PATIENCE:
        return progress, Status.PLATEAU
    return replace(progress, steep=progress.steep + 1, calm=calm), None


def with_fading_doubts(progress: Progress, state: State) -> Progress:
    """The progress after an iteration that would not have ended the run: doubts fade by one.

    The last doubt stays while f is collapsed.
    """
    least = min(progress.steep, int(_collapsed(progress, state)))
    return replace(progress, steep=max(least, progress.steep - 1), calm=0)


def _collapsed(progress: Progress, state: State) -> bool:
    """True if f is a small part of its first scale, and not zero."""
    return 0.0 < abs(state.value) <= COLLAPSED * max(abs(progress.first), progress.sized)


def kind_of_design(
    f: Function,
    state: State,
    scale: float,
    start: Array,
    constraints: Sequence[Constraint],
    bounds: Bounds,
    doubted: bool,
) -> Kind:
    """The kind of a design at which f has collapsed.

    scale: the first scale of f; start: x at the start of the run, for the sizes of
    variables that go to zero; doubted: True if designs just before were STEEP. The slope is
    that of the Lagrangian of the constraints that bind, with multipliers by least squares.
    Costs up to two evaluations of f and of the constraints, and one gradient. It costs none
    if a small part of the sizes is enough to make a positive f zero, as at perfect fits,
    unless doubted. REGULAR also for a known sum of squares, whose least value is zero, if f
    cannot be evaluated nearby, and if there are vectors of constraints.
    """
    if len(constraints) != state.constraints.size:
        return Kind.REGULAR
    x = state.x
    size = _sizes(x, start, bounds)
    binding = [
        c for c, value in zip(constraints, state.constraints, strict=True) if value > -BINDING
    ]
    try:
        here = attempt(f, x) if binding else None
        rows = _rows(binding, here, x)
        multipliers = _multipliers(
            state.gradient, rows, size, (x > bounds.lower) & (x < bounds.upper)
        )
        slope = state.gradient + multipliers @ rows
        room = np.where(slope > 0.0, x - bounds.lower, bounds.upper - x)
        steepness = float(np.abs(np.minimum(size, room) * slope).sum()) / abs(state.value)
        if steepness <= LEVEL:
            return Kind.LEVEL
        if not doubted and state.value > 0.0 and steepness > STEEPEST:
            return Kind.REGULAR
        d = -np.sign(slope) * np.minimum(STEP * size, room)
        there = attempt(f, bounds.clip(x + d))
        if there is None or (state.value > 0.0 and _is_squares(there)):
            return Kind.REGULAR
        beyond = gradient_of(there) + multipliers @ _rows(binding, there, x)
    except SolveError:
        return Kind.REGULAR
    largest = float(np.abs(slope).max()) or 1.0
    before, after = largest * dot(slope / largest, d), largest * dot(beyond / largest, d)
    rise = (
        float(there.value)
        - state.value
        + dot(multipliers, _values(binding, there) - _values(binding, here))
    )
    negative = min(state.value, float(there.value)) < 0.0
    persists = after <= KEPT * before or rise <= FALLEN * before
    if persists and FLATTEST <= steepness <= (np.inf if negative else STEEPEST):
        return Kind.STEEP
    return (
        Kind.REGULAR
        if max(abs(rise), abs(after - before)) > CURVED * STEP**2 * scale
        else Kind.SMALL
    )


def _sizes(x: Array, start: Array, bounds: Bounds) -> Array:
    """The size of each variable at x, (m,).

    A variable without bounds has at least its size at the start of the run. With bounds the
    start does not count: for a density of 0, a fraction of its first value is a long way.
    """
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    here = sizes(x, bounds)
    return np.where(np.isfinite(width), here, np.maximum(here, sizes(start, bounds)))


def _rows(constraints: Sequence[Constraint], point: Point | None, x: Array) -> Array:
    """Gradients of the constraints at a point, (k, m); raise NonFinite if there is no point."""
    if not constraints:
        return np.zeros((0, x.size))
    if point is None:
        raise NonFinite("f cannot be evaluated again at the design of a state")
    return np.array([c.at(point).gradient for c in constraints])


def _values(constraints: Sequence[Constraint], point: Point | None) -> Array:
    """Values of the constraints at a point, (k,)."""
    return np.array([] if point is None else [c.at(point).value for c in constraints])


def _multipliers(g: Array, rows: Array, size: Array, free: Array) -> Array:
    """λ, (k,), with the least g + λ·rows over the variables between their bounds.

    Each entry of the sum is in units of its variable's size.
    """
    weights = np.where(free, size, 0.0)
    scales = np.abs(rows * weights).max(axis=1, initial=0.0)
    scales = np.where(scales > 0.0, scales, 1.0)
    largest = float(np.abs(g * weights).max(initial=0.0)) or 1.0
    found = np.linalg.lstsq(
        (rows * weights / scales[:, None]).T, -(g * weights) / largest, rcond=None
    )[0]
    return np.asarray(largest * found / scales)


def _is_squares(point: Point) -> bool:
    """True if f is known as ½‖r‖².

    The `Point` of another objective raises TypeError when asked for r.
    """
    try:
        return bool(np.size(point.residual))
    except (AttributeError, TypeError):
        return False
