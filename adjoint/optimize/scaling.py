"""Scales of constraints and of the design, found once, at the start of a run: no unit of f, x or c matters.

The scale of a constraint is |bound|, where that is as large as what c varies by; else it is what c varies by:

    v = max( Σ_j size_j |∂c/∂x_j| , |c − bound| ) at the start,   size_j = |x_j|.

Feasibility, complementarity and multipliers are relative to it (docs/math.md, eq. 83a).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..factor.errors import SolveError
from ..reduced import Point
from .bounds import Box
from .constraints import Constraint
from .evaluation import attempt, gradient_of
from .excess import Told, row, told
from .inner import InnerProduct
from .state import Function
from .state_constraints import StateConstraints

FAR = 30.0
"""A bound that is so many times what c varies by is no scale of c: c(x) ≤ 10⁶ for a c of 10⁶ + x."""

ROUNDED = 1e-12
"""A bound below this, relative to what c varies by, is zero but for rounding."""

UNTOLD = 1e-12
"""A variable below this, relative to the distance of its bounds, is zero: its size is not known."""

NARROWEST = 1e-6
"""Size of a variable whose start is zero, relative to the distance of its bounds, at least."""

PROBES = 4
"""Random directions along which a vector of constraints is differenced."""

STEP = 1e-4
"""Of these differences, relative to the sizes: two digits of a scale are plenty."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """What is found at the start.

    scales: of the constraints, (k,), positive; sizes: of the variables, (m,); length: of the design, ‖sizes‖_M,
    positive; evaluations: of f that it took.
    """

    scales: Array
    sizes: Array
    length: float
    evaluations: int


@dataclass(frozen=True, eq=False)
class Sizes:
    """How large the variables are. known: |x_j|, 0 where x_j is zero, (m,); guessed: a size for each, (m,).

    A variable that is zero is taken to be as large as the middle of the others, in the inner product; where all are
    zero, as |f| / |∂f/∂x_j|, within 10⁻⁶ and 1 of the distance of its bounds. No size is beyond that distance.
    """

    known: Array
    guessed: Array

    @classmethod
    def of(cls, x: Array, value: float, g: Array, bounds: Box, inner: InnerProduct) -> "Sizes":
        """At the start, x; value, g: f and its gradient there."""
        width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
        known = np.minimum(np.abs(x), width)
        known = np.where(np.isfinite(width) & (known <= UNTOLD * width), 0.0, known)
        if known.any():
            unit = np.sqrt(inner.covector(np.ones_like(x))) if inner.diagonal else np.ones_like(x)
            guess = np.median((unit * known)[known > 0.0]) / unit
        else:
            steepest = inner.largest(np.abs(g))
            guess = np.full(x.shape, abs(value) / steepest if steepest > 0.0 else 0.0)
            least = np.where(np.isfinite(width), NARROWEST * width, 0.0)
            guess = np.where(guess > 0.0, np.maximum(guess, least), np.inf)
        guess = np.minimum(guess, width)
        return cls(known, np.where(known > 0.0, known, np.where(np.isfinite(guess), guess, 1.0)))

    def directions(self, count: int) -> Array:
        """± the sizes, with random signs and magnitudes, (count, m)."""
        rng = np.random.default_rng(0)
        size = self.known if self.known.any() else self.guessed
        return rng.choice([-1.0, 1.0], (count, size.size)) * rng.uniform(0.5, 1.0, (count, size.size)) * size


def reach(x: Array, value: float, g: Array, bounds: Box, inner: InnerProduct) -> float:
    """The largest |x_j|; where all are zero the largest size that f and the bounds tell, 1 without bounds."""
    if (largest := inner.largest(np.abs(x))) > 0.0:
        return largest
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    sizes = np.where(np.isfinite(width), Sizes.of(x, value, g, bounds, inner).guessed, 0.0)
    return inner.largest(sizes) or 1.0


def scaling(
    f: Function,
    constraints: Sequence[Constraint | StateConstraints],
    point: Point,
    parts: tuple[Told, ...],
    bounds: Box,
    inner: InnerProduct,
) -> Scaling:
    """Of the constraints, and of the design, at the start. parts: the constraints at the point.

    Gradients are asked for of those constraints whose bound is not obviously a scale; where c does not seem to vary, or
    by far less than its bound, f is evaluated at another design, once. Raises ValueError, NonFinite for gradients.
    """
    sizes = Sizes.of(point.x, float(point.value), gradient_of(point), bounds, inner)
    length = inner.norm(sizes.guessed)
    length = length if 0.0 < length < np.inf else 1.0  # 0 where all variables are fixed.
    if not parts:
        return Scaling(np.zeros(0), sizes.guessed, length, 0)
    values, limits = np.concatenate([part.values for part in parts]), np.concatenate([part.bounds for part in parts])
    varies, size = np.abs(values - limits), np.abs(limits)
    # Within what c − bound is already: no gradient is needed to see that.
    unclear = (size > FAR * varies) | (size <= np.sqrt(ROUNDED) * np.maximum(np.abs(values), varies))
    ends = np.cumsum([part.values.size for part in parts])[:-1]
    for index, (part, some, found) in enumerate(
        zip(parts, np.split(unclear, ends), np.split(varies, ends), strict=True)
    ):
        if some.any():  # `found` is a view of `varies`.
            np.maximum(found, _slopes(part, index, point, sizes, inner), out=found)
    evaluations = 0
    if np.any(unclear & ((varies == 0.0) | (size > FAR * varies))):
        evaluations, there = 1, _values(f, constraints, bounds.clip(point.x + sizes.directions(1)[0]), values)
        varies = np.where(unclear & np.isfinite(there), np.maximum(varies, np.abs(there - values)), varies)
    own = (size > ROUNDED * varies) & ((size <= FAR * varies) | (varies == 0.0))
    scales = np.where(own, size, varies)
    return Scaling(np.where(scales > 0.0, scales, 1.0), sizes.guessed, length, evaluations)


def _slopes(part: Told, index: int, point: Point, sizes: Sizes, inner: InnerProduct) -> Array:
    """Σ_j size_j |∂c/∂x_j|, (k,): of the sizes known, or, where that is zero, of all."""
    if part.valued is None:
        assert isinstance(part.constraint, StateConstraints)
        return _probed(part.constraint, point, sizes, part.values)
    slopes = np.abs(row(part, index, point.x))
    changes = [float(inner.total((size * slopes)[None])[0]) for size in (sizes.known, sizes.guessed)]
    return np.array([changes[0] or changes[1]])


def _probed(constraint: StateConstraints, point: Point, sizes: Sizes, values: Array) -> Array:
    """What the constraints change by along random directions, at most, (k,): one block of tangent solves."""
    v = sizes.directions(PROBES)
    if not all(callable(getattr(each, "jvp", None)) for each in (point.solution, point.design)):
        return np.zeros_like(values)
    p_dot = np.stack([np.asarray(point.design.jvp(point.x, each)) for each in v])
    u_dot = np.asarray(point.solution.jvp(p_dot.T))
    found = np.zeros_like(values)
    for j in range(PROBES):
        u, p = STEP * u_dot[..., j], STEP * p_dot[j]
        ahead, behind = (
            np.asarray(constraint.function.values(point.solution.u + sign * u, point.p + sign * p)) for sign in (1, -1)
        )
        found = np.fmax(found, np.abs(ahead - behind) / (2.0 * STEP))
    return np.where(np.isfinite(found), found, 0.0)


def _values(f: Function, constraints: Sequence[Constraint | StateConstraints], x: Array, otherwise: Array) -> Array:
    """The constraints at another design, (k,); `otherwise` where a solve fails there."""
    if (there := attempt(f, x)) is None:
        return otherwise
    try:
        return np.concatenate([part.values for part in told(constraints, there)])
    except SolveError:
        return otherwise
