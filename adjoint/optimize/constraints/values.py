"""Constraints at a point: their values c, and the excess (c − bound) / scale.

An algorithm sees every constraint, for instance on a volume, through this module:
`values_at` evaluates the user's constraints, and `excess` scales the values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._validation import first_nonfinite
from ...errors import NonFinite
from ...reduced import Point
from ...typing import Array
from .constraint import Constraint, Valued
from .state_constraints import StateConstraint, StateConstraints, require_solution


@dataclass(frozen=True, eq=False)
class ConstraintValue:
    """c at a point, of one constraint or of one vector of constraints.

    values: c, (k,), and bounds: (k,), both in the units of c. valued: c of a single
    constraint, with its gradient; None for a vector of constraints.
    """

    constraint: Constraint | StateConstraints
    values: Array
    bounds: Array
    valued: Valued | None


@dataclass(frozen=True, eq=False)
class Excess:
    """(c_i − bound_i) / scale_i at a point; constraint i is met if this number is ≤ 0.

    scales: (k,), chosen at the start of the run.
    """

    values: Array
    scales: Array
    parts: tuple[ConstraintValue, ...]

    @cached_property
    def gradients(self) -> Array:
        """The gradients of the excess, (k, m)."""
        rows = [_gradient(part) for part in self.parts]
        return np.stack([row / scale for row, scale in zip(rows, self.scales, strict=True)])


def values_at(
    constraints: Sequence[Constraint | StateConstraints], point: Point
) -> tuple[ConstraintValue, ...]:
    """The values of all constraints at a point, in order.

    The gradients of several `StateConstraint` cost one block of solves. Raise
    ValueError if shapes do not fit, TypeError if a constraint depends on the state and
    the point has no state.
    """
    of_state = [c.objective for c in constraints if isinstance(c, StateConstraint)]
    if of_state:
        require_solution(point)
    block = iter(point.of_each(of_state) if of_state else ())
    return tuple(
        _vector(c, point)
        if isinstance(c, StateConstraints)
        else _single(c, next(block) if isinstance(c, StateConstraint) else c.at(point))
        for c in constraints
    )


def excess(constraints: Sequence[Constraint], point: Point, scales: Array) -> Excess:
    """The excess of all constraints at a point, in order; at least one constraint.

    scales: scales of the constraints, (k,).
    """
    return scaled(values_at(constraints, point), scales)


def scaled(parts: tuple[ConstraintValue, ...], scales: Array) -> Excess:
    """The excess of constraints whose values are known; scales: (k,)."""
    values = np.concatenate([part.values - part.bounds for part in parts]) / scales
    return Excess(values, scales, parts)


def row(part: ConstraintValue, index: int, x: Array) -> Array:
    """dc/dx of a single constraint, (m,).

    index: index of the constraint, for messages. Raise ValueError if the shape of dc/dx
    is not that of x, NonFinite if an entry is nan or inf.
    """
    g = _gradient(part)
    if g.shape != x.shape:
        raise ValueError(f"constraints have gradients of shape {g.shape}, the design {x.shape}")
    if not np.isfinite(g).all():
        raise NonFinite(f"the gradient of constraint {index} is not finite")
    return g


def finite_rows(slopes: Array) -> Array:
    """Return the gradients of constraints, (k, m); raise NonFinite if a gradient is not finite."""
    if (bad := first_nonfinite(slopes)) is not None:
        row = bad[0][0] if isinstance(bad[0], tuple) else bad[0]
        raise NonFinite(f"the gradient of constraint {row} is not finite")
    return slopes


def _gradient(part: ConstraintValue) -> Array:
    assert part.valued is not None  # A vector of constraints has weighted sums of gradients only.
    return np.asarray(part.valued.gradient, dtype=float)


def _single(constraint: Constraint, valued: Valued) -> ConstraintValue:
    return ConstraintValue(
        constraint,
        np.array([valued.value], dtype=float),
        np.array([constraint.bound], dtype=float),
        valued,
    )


def _vector(constraint: StateConstraints, point: Point) -> ConstraintValue:
    bounds = np.asarray(constraint.bounds, dtype=float)
    values = np.asarray(constraint.function.values(point.solution.u, point.p))
    if values.ndim != 1 or bounds.shape not in ((), values.shape):
        raise ValueError(
            f"{type(constraint.function).__name__}: values of shape {values.shape} for bounds of "
            f"shape {bounds.shape}, expected (k,) and (k,), or one number as the bound"
        )
    return ConstraintValue(constraint, values, np.broadcast_to(bounds, values.shape), None)
