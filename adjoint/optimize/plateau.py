"""Plateaus: where the gradient is small because all of f is, and f still falls as steeply, relative to itself.

A mechanism whose structure has fallen apart, u_out → 0, has a gradient that is 10⁻⁹ of the first one, and so is f: the
gradient is small beside its start, and not beside f. A minimum has a small gradient for another reason: the slope
changes its sign nearby. What tells the two apart is how the slope changes over a step that is a small part of each
variable's size. It stays on a plateau, and turns round at a minimum, also at one of the value zero (docs/design.md).
"""

from collections.abc import Sequence

import numpy as np

from ..arrays import Array, dot
from ..factor.errors import SolveError
from ..reduced import Point
from .bounds import Box
from .constraints import Constraint
from .evaluation import attempt, gradient_of
from .sampling import sizes
from .state import Function, State

COLLAPSED = 1e-3
"""Part of its first scale, of f or of what its variables' sizes change it by, below which f has collapsed."""

FLATTEST = 1e-2
"""Relative to f: what its variables' sizes change it by, to first order, on a plateau at least,"""

STEEPEST = 30.0
"""and at most: where that is more, a small part of the sizes is enough to make f zero."""

STEP = 0.01
"""Part of the sizes, for the step over which the slope is compared."""

KEPT = 0.1
"""Part of the slope that is left after that step, on a plateau at least; at a minimum it has turned round."""

PATIENCE = 20
"""Iterations in succession on a plateau that a run goes on for: it falls to a minimum where f is an exponential."""

BINDING = 1e-3
"""Scaled distance from its bound below which a constraint binds."""


def collapsed(value: float, first: float, sized: float) -> bool:
    """Whether f is a small part of its first scale; sized: what the variables' sizes changed it by at the start."""
    return 0.0 < abs(value) <= COLLAPSED * max(abs(first), sized)


def on_plateau(f: Function, state: State, start: Array, constraints: Sequence[Constraint], bounds: Box) -> bool:
    """Whether the slope of f, relative to f, persists beyond the design of a state where f has collapsed.

    start: x at the start of the run, for the sizes of variables that go to zero. The slope is that of the Lagrangian of
    the constraints that bind, with multipliers by least squares. Up to two evaluations of f and of the constraints, one
    gradient. False for a sum of squares that is known as one: zero is its least value. False where f cannot be
    evaluated nearby, and for constraints whose values are not those of the state.
    """
    if len(constraints) != state.constraints.size:
        return False
    x = state.x
    size = _sizes(x, start, bounds)
    binding = [c for c, value in zip(constraints, state.constraints, strict=True) if value > -BINDING]
    try:
        rows = _rows(binding, attempt(f, x) if binding else None, x)
        if rows is None:
            return False
        multipliers = _multipliers(state.gradient, rows, size, (x > bounds.lower) & (x < bounds.upper))
        slope = state.gradient + multipliers @ rows
        room = np.where(slope > 0.0, x - bounds.lower, bounds.upper - x)
        steepness = float(np.abs(np.minimum(size, room) * slope).sum()) / abs(state.value)
        if not FLATTEST <= steepness <= STEEPEST:
            return False
        d = -np.sign(slope) * np.minimum(STEP * size, room)
        there = attempt(f, bounds.clip(x + d))
        if there is None or (state.value > 0.0 and _is_squares(there)):
            return False
        beyond = _rows(binding, there, x)
        if beyond is None:
            return False
        largest = float(np.abs(slope).max())
        after = (gradient_of(there) + multipliers @ beyond) / largest
        return dot(after, d) <= KEPT * dot(slope / largest, d)
    except SolveError:
        return False


def _sizes(x: Array, start: Array, bounds: Box) -> Array:
    """|x_j|, a hundredth of the distance of its bounds at least, |x_j| at the start where they are infinite, (m,).

    Not at the start where there are bounds: at a density of 0 a part of the one at the start is far.
    """
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    here = sizes(x, bounds)
    return np.where(np.isfinite(width), here, np.maximum(here, sizes(start, bounds)))


def _rows(constraints: Sequence[Constraint], point: Point | None, x: Array) -> Array | None:
    """Gradients of constraints at a point, (k, m); None without a point."""
    if not constraints:
        return np.zeros((0, x.size))
    return None if point is None else np.array([c.at(point).gradient for c in constraints])


def _multipliers(g: Array, rows: Array, size: Array, free: Array) -> Array:
    """λ that makes g + λ·rows smallest over the variables between their bounds, in units of their sizes, (k,)."""
    weights = np.where(free, size, 0.0)
    scales = np.abs(rows * weights).max(axis=1, initial=0.0)
    scales = np.where(scales > 0.0, scales, 1.0)
    largest = float(np.abs(g * weights).max(initial=0.0)) or 1.0
    found = np.linalg.lstsq((rows * weights / scales[:, None]).T, -(g * weights) / largest, rcond=None)[0]
    return np.asarray(largest * found / scales)


def _is_squares(point: Point) -> bool:
    """Whether f is known as ½‖r‖²; a `Point` of another objective raises TypeError."""
    try:
        return bool(np.size(point.residual))
    except (AttributeError, TypeError):
        return False
