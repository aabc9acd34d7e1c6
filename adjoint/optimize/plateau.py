"""Plateaus: where the gradient is small because all of f is, and f still falls as steeply, relative to itself.

A mechanism whose structure has fallen apart, u_out → 0, has a gradient that is 10⁻⁹ of the first one, and so is f: the
gradient is small beside its start, and not beside f. A minimum has a small gradient for another reason: the slope
changes its sign nearby. What tells the two apart is how the slope changes over a step that is a small part of each
variable's size. It stays on a plateau, and turns round at a minimum, also at one of the value zero (docs/design.md).
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from .._numerics import dot
from ..bounds import Bounds
from ..errors import NonFinite, SolveError
from ..reduced import Function, Point
from ..typing import Array
from .constraints import Constraint
from .state import State
from .status import Status
from .stopping import Progress
from .trial import attempt, gradient_of
from .verification import sizes

COLLAPSED = 1e-2
"""Part of its first scale, of f or of what its variables' sizes change it by, below which f has collapsed."""


FLATTEST = 0.1
"""Relative to f: what its variables' sizes change it by, to first order, on a plateau at least,"""


STEEPEST = 30.0
"""and at most: where that is more, a small part of the sizes is enough to make f zero."""


LEVEL = 1e-4
"""The same where f is stationary beside itself too."""


STEP = 0.01
"""Part of the sizes, for the step over which the slope is compared."""


KEPT = 0.1
"""Part of the slope that is left after that step, on a plateau at least; at a minimum it has turned round."""


FALLEN = 0.5
"""Part of what the slope promises for that step, by which f falls on a plateau at least."""


PATIENCE = 20
"""Iterations in succession on a plateau that a run goes on for: it falls to a minimum where f is an exponential."""


BINDING = 1e-3
"""Scaled distance from its bound below which a constraint binds."""


CURVED = 1e-3
"""Of the first scale of f: what its curvature would change it by over the variables' sizes, at a regular minimum."""


CALM = 8
"""Iterations in succession at which f is small but not steep, after which it is believed to be least there."""


class Kind(Enum):
    """What is found where f is a small part of what it was, and the gradient vanishes beside the first one.

    LEVEL: the gradient vanishes beside f as well. REGULAR: nearby f is large again, as at most minima. STEEP: relative
    to f, its slope persists. SMALL: neither; all of f nearby is small, as at a minimum of high order and as in the
    hollows of a plateau.
    """

    LEVEL = 0
    REGULAR = 1
    STEEP = 2
    SMALL = 3


def believed(
    status: Status,
    f: Function,
    state: State,
    progress: Progress,
    start: Array,
    constraints: Sequence[Constraint],
    bounds: Bounds,
) -> tuple[Progress, Status | None]:
    """What a convergence is worth: the status itself, PLATEAU, or None where the run should go on; and the progress.

    A run goes on where f has collapsed with its gradient, unless the first such design is REGULAR: while its designs
    are STEEP, up to PATIENCE iterations, and until they have not been for CALM ones. start: x at the start of the run.
    """
    if not _collapsed(progress, state):
        return progress, status
    scale, doubted = max(abs(progress.first), progress.sized), progress.steep > 0
    kind = judged(f, state, scale, start, constraints, bounds, doubted)
    if kind is Kind.LEVEL or (kind is Kind.REGULAR and not doubted):
        return progress, status
    calm = 0 if kind is Kind.STEEP else progress.calm + 1
    if calm > CALM:
        return progress, status
    if kind is Kind.STEEP and progress.steep >= PATIENCE:
        return progress, Status.PLATEAU
    return replace(progress, steep=progress.steep + 1, calm=calm), None


def faded(progress: Progress, state: State) -> Progress:
    """The progress after an iteration that would not have ended the run: doubts fade, the last with the collapse."""
    least = min(progress.steep, int(_collapsed(progress, state)))
    return replace(progress, steep=max(least, progress.steep - 1), calm=0)


def _collapsed(progress: Progress, state: State) -> bool:
    """Whether f is a small part of its first scale, and not zero."""
    return 0.0 < abs(state.value) <= COLLAPSED * max(abs(progress.first), progress.sized)


def judged(
    f: Function,
    state: State,
    scale: float,
    start: Array,
    constraints: Sequence[Constraint],
    bounds: Bounds,
    doubted: bool,
) -> Kind:
    """What kind of a point a state is at which f has collapsed.

    scale: of f at the start of the run; start: x there, for the sizes of variables that go to zero. doubted: whether
    designs just before were STEEP. The slope is that of the Lagrangian of the constraints that bind, with multipliers
    by least squares. Up to two evaluations of f and of the constraints, one gradient; none where a small part of the
    sizes is enough to make a positive f zero, as at perfect fits, unless doubted. REGULAR for a sum of squares that is
    known as one, as zero is its least value; where f cannot be evaluated nearby; and for constraints whose values are
    not those of the state.
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
    """|x_j|, a hundredth of the distance of its bounds at least, |x_j| at the start where they are infinite, (m,).

    Not at the start where there are bounds: at a density of 0 a part of the one at the start is far.
    """
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    here = sizes(x, bounds)
    return np.where(np.isfinite(width), here, np.maximum(here, sizes(start, bounds)))


def _rows(constraints: Sequence[Constraint], point: Point | None, x: Array) -> Array:
    """Gradients of constraints at a point, (k, m); raises NonFinite without a point."""
    if not constraints:
        return np.zeros((0, x.size))
    if point is None:
        raise NonFinite("f cannot be evaluated again at the design of a state")
    return np.array([c.at(point).gradient for c in constraints])


def _values(constraints: Sequence[Constraint], point: Point | None) -> Array:
    """Values of constraints at a point, (k,)."""
    return np.array([] if point is None else [c.at(point).value for c in constraints])


def _multipliers(g: Array, rows: Array, size: Array, free: Array) -> Array:
    """λ that makes g + λ·rows smallest over the variables between their bounds, in units of their sizes, (k,)."""
    weights = np.where(free, size, 0.0)
    scales = np.abs(rows * weights).max(axis=1, initial=0.0)
    scales = np.where(scales > 0.0, scales, 1.0)
    largest = float(np.abs(g * weights).max(initial=0.0)) or 1.0
    found = np.linalg.lstsq(
        (rows * weights / scales[:, None]).T, -(g * weights) / largest, rcond=None
    )[0]
    return np.asarray(largest * found / scales)


def _is_squares(point: Point) -> bool:
    """Whether f is known as ½‖r‖²; a `Point` of another objective raises TypeError."""
    try:
        return bool(np.size(point.residual))
    except (AttributeError, TypeError):
        return False
