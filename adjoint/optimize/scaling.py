"""Scales of constraints and of the design, found once at the start of a run.

With these scales the run does not depend on the units of f, x or c. The scale of a
constraint is |bound| if |bound| is comparable with the amount v by which c varies;
otherwise the scale is v:

    v = max( Σ_j size_j |∂c/∂x_j| , |c − bound| ) at the start,   size_j = |x_j|.

Feasibility, complementarity and multipliers are relative to the scale
(docs/math/optimization.md, eq. 83a).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..bounds import Bounds
from ..errors import SolveError
from ..reduced import Function, Point
from ..typing import Array
from .constraints.constraint import Constraint
from .constraints.state_constraints import StateConstraints
from .constraints.values import ConstraintValue, row, values_at
from .inner_products import InnerProduct
from .trial import attempt, gradient_of

FAR = 30.0
"""Ratio |bound| / v above which a bound does not give the scale of c, as in c = 10⁶ + x ≤
10⁶."""


ROUNDED = 1e-9
"""Ratio |bound| / v below which a bound is zero but for rounding."""


UNTOLD = 1e-12
"""Ratio of |x_j| to the distance of its bounds below which x_j is zero, and its size
unknown."""


OFFSET = 1e3
"""Ratio of the length of a design to the change that alters f by |f|, above which the
design has an offset."""


LEAST = 1e-4
"""Least part of a design with an offset that is taken for its size: f may be small at the
start by chance."""


NARROWEST = 1e-6
"""Least size of a variable that is zero at the start, relative to the distance of its
bounds."""


PROBES = 3
"""Number of random directions along which a vector of constraints is differenced."""


STEP = 1e-4
"""Step of these differences, relative to the sizes; two digits of a scale are plenty."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """Scales at the start of a run.

    scales: of the constraints, (k,), positive, in the units of c; sizes: of the variables,
    (m,), in units of x; length: of the design, ‖sizes‖_M, positive; evaluations: number of
    evaluations of f spent.
    """

    scales: Array
    sizes: Array
    length: float
    evaluations: int


def scaling(
    f: Function,
    constraints: Sequence[Constraint | StateConstraints],
    point: Point,
    parts: tuple[ConstraintValue, ...],
    bounds: Bounds,
    inner: InnerProduct,
) -> Scaling:
    """The scales of the constraints and of the design at the start.

    parts: the constraints at the point.

    Gradients are computed for constraints whose bound is not obviously a scale. If c does
    not seem to vary, or varies far less than its bound, f is evaluated at one more design.
    Raise ValueError for gradients of a wrong shape, NonFinite for gradients with nan or
    inf.
    """
    sizes = Sizes.of(point.x, float(point.value), gradient_of(point), bounds, inner)
    if not parts:
        return Scaling(np.zeros(0), sizes.guessed, _positive(inner.norm(sizes.guessed)), 0)
    values, limits = (
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.bounds for part in parts]),
    )
    varies, size = np.abs(values - limits), np.abs(limits)
    # Elsewhere |bound| is comparable with |c − bound|, and no gradient is needed.
    unclear = (size > FAR * varies) | (
        size <= np.sqrt(ROUNDED) * np.maximum(np.abs(values), varies)
    )
    ends = np.cumsum([part.values.size for part in parts])[:-1]
    asked = [
        (part, found, None if part.valued is None else row(part, index, point.x))
        for index, (part, some, found) in enumerate(
            zip(parts, np.split(unclear, ends), np.split(varies, ends), strict=True)
        )
        if some.any()
    ]
    sizes = sizes.refined(
        [(float(found[0]), g) for _, found, g in asked if g is not None], point.x, bounds, inner
    )
    for part, found, g in asked:  # `found` is a view of `varies`.
        slopes = _probed(part, point, sizes) if g is None else _sized(g, sizes, inner)
        np.maximum(found, slopes, out=found)
    evaluations = 0
    if np.any(unclear & ((varies == 0.0) | (size > FAR * varies))):
        evaluations, there = (
            1,
            _values(f, constraints, bounds.clip(point.x + sizes.directions(1)[0]), values),
        )
        varies = np.where(
            unclear & np.isfinite(there), np.maximum(varies, np.abs(there - values)), varies
        )
    own = (size > ROUNDED * varies) & ((size <= FAR * varies) | (varies == 0.0))
    scales = np.where(own, size, varies)
    scales = np.where(scales > 0.0, scales, 1.0)
    return Scaling(scales, sizes.guessed, _positive(inner.norm(sizes.guessed)), evaluations)


def reach(x: Array, value: float, g: Array, bounds: Bounds, inner: InnerProduct) -> float:
    """The largest |x_j|; if all are zero, the largest size that f and the bounds give, or 1."""
    if (largest := inner.largest(np.abs(x))) > 0.0:
        return largest
    sizes = np.where(
        np.isfinite(_width(x, bounds)), Sizes.of(x, value, g, bounds, inner).guessed, 0.0
    )
    return inner.largest(sizes) or 1.0


@dataclass(frozen=True, eq=False)
class Sizes:
    """Sizes of the variables: known, |x_j| or 0 if x_j is zero, (m,).

    Guessed, a size for each, (m,).

    A variable that is zero gets the middle size of the others, in the inner product. If all
    variables are zero, their size is the change that alters f by |f|, or else the change
    that moves a constraint to its bound, within 10⁻⁶ and 1 of the distance of the bounds.
    Without f and constraints to tell, the size is the distance of the bounds, or 1 in the
    inner product. No size exceeds the distance of the bounds. If f changes by |f| over far
    less than a thousandth of x, then x has an offset, as coordinates on a map have, and a
    part of x is its size. certain: True if x or f gives a size.
    """

    known: Array
    guessed: Array
    certain: bool

    @classmethod
    def of(cls, x: Array, value: float, g: Array, bounds: Bounds, inner: InnerProduct) -> "Sizes":
        """The sizes at the start x. value: f there; g: its gradient, (m,)."""
        width, unit = _width(x, bounds), _unit(x, inner)
        known = np.minimum(np.abs(x), width)
        known = np.where(np.isfinite(width) & (known <= UNTOLD * width), 0.0, known)
        if known.any():
            middle = float(np.median((unit * known)[known > 0.0]))
            guessed = np.where(known > 0.0, known, np.minimum(middle / unit, width))
            share = _share(value, inner.dual_norm(g), inner.norm(guessed))
            return cls(share * known, share * guessed, True)
        length = _length(abs(value), g, unit, inner)
        return cls(known, _within(length, width, unit), length > 0.0)

    def refined(
        self, changes: Sequence[tuple[float, Array]], x: Array, bounds: Bounds, inner: InnerProduct
    ) -> "Sizes":
        """The sizes, from constraints if neither x nor f gives a size.

        changes: for each constraint its distance from the bound and its gradient.
        """
        unit = _unit(x, inner)
        lengths = [
            length for gap, row in changes if (length := _length(gap, row, unit, inner)) > 0.0
        ]
        if self.certain or not lengths:
            return self
        return Sizes(self.known, _within(float(np.median(lengths)), _width(x, bounds), unit), True)

    def directions(self, count: int) -> Array:
        """± the sizes, with random signs and magnitudes, (count, m)."""
        rng = np.random.default_rng(0)
        size = self.known if self.known.any() else self.guessed
        return (
            rng.choice([-1.0, 1.0], (count, size.size))
            * rng.uniform(0.5, 1.0, (count, size.size))
            * size
        )


def _width(x: Array, bounds: Bounds) -> Array:
    """upper − lower of each variable, (m,)."""
    return np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)


def _unit(x: Array, inner: InnerProduct) -> Array:
    """√M_jj, (m,), which makes sizes comparable; 1 if M is not diagonal."""
    return np.sqrt(inner.covector(np.ones_like(x))) if inner.diagonal else np.ones_like(x)


def _length(change: float, g: Array, unit: Array, inner: InnerProduct) -> float:
    """change / max_j (|g_j| / unit_j): the length at which a linear function changes by `change`.

    g: the slopes, (m,). The result is 0 if all slopes are zero.
    """
    steepest = inner.largest(np.abs(g) / unit)
    return change / steepest if steepest > 0.0 and change / steepest < np.inf else 0.0


def _share(value: float, steepness: float, length: float) -> float:
    """OFFSET |f| / (steepness · length), from LEAST to 1: the fraction of x that is its size.

    A fraction below 1 means that x has an offset. steepness: the dual norm of ∇f.
    """
    if not (value != 0.0 and steepness > 0.0 and length > 0.0):
        return 1.0
    return float(np.clip(OFFSET * abs(value) / steepness / length, LEAST, 1.0))


def _within(length: float, width: Array, unit: Array) -> Array:
    """The size of each variable for a given length, (m,), at most upper − lower.

    If the length is 0, the size is upper − lower, or 1 if a variable has no bounds.
    """
    bounded = np.isfinite(width)
    if length > 0.0:
        return np.minimum(
            np.maximum(length / unit, np.where(bounded, NARROWEST * width, 0.0)), width
        )
    return np.where(bounded, width, 1.0 / unit)


def _positive(length: float) -> float:
    """The length, or 1 if the length is zero because bounds fix all variables."""
    return length if 0.0 < length < np.inf else 1.0


def _sized(g: Array, sizes: Sizes, inner: InnerProduct) -> Array:
    """Σ_j size_j |∂c/∂x_j|, (1,), with the known sizes; with all sizes if this is zero."""
    changes = [
        float(inner.total((size * np.abs(g))[None])[0]) for size in (sizes.known, sizes.guessed)
    ]
    return np.array([changes[0] or changes[1]])


def _probed(part: ConstraintValue, point: Point, sizes: Sizes) -> Array:
    """The largest change of a vector of constraints along random directions, (k,).

    Each direction costs a tangent solve.
    """
    assert isinstance(part.constraint, StateConstraints)
    function, found = part.constraint.function, np.zeros(part.values.shape)
    if not all(callable(getattr(each, "jvp", None)) for each in (point.solution, point.design)):
        return found
    for v in sizes.directions(PROBES):
        p_dot = np.asarray(point.design.jvp(point.x, v))
        u, p = STEP * np.asarray(point.solution.jvp(p_dot)), STEP * p_dot
        ahead, behind = (
            np.asarray(function.values(point.solution.u + sign * u, point.p + sign * p))
            for sign in (1, -1)
        )
        found = np.fmax(found, np.abs(ahead - behind) / (2.0 * STEP))
    return np.where(np.isfinite(found), found, 0.0)


def _values(
    f: Function, constraints: Sequence[Constraint | StateConstraints], x: Array, otherwise: Array
) -> Array:
    """The constraints at another design, (k,); `otherwise` if a solve fails there."""
    if (there := attempt(f, x)) is None:
        return otherwise
    try:
        return np.concatenate([part.values for part in values_at(constraints, there)])
    except SolveError:
        return otherwise
