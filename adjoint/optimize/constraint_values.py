"""Constraints at a point: their values c, and (c − bound)/scale, which algorithms see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import NonFinite
from ..reduced import Point
from ..typing import Array
from .constraints import Constraint, StateConstraint, StateConstraints, Valued, require_solution


@dataclass(frozen=True, eq=False)
class Told:
    """c at a point, as the user's code tells it, of one constraint or one vector of constraints.

    values: c, (k,); bounds: (k,). valued: c of a single constraint, with its gradient; None for a vector.
    """

    constraint: Constraint | StateConstraints
    values: Array
    bounds: Array
    valued: Valued | None


@dataclass(frozen=True, eq=False)
class Excess:
    """(c_i − bound_i) / scale_i at a point; met where ≤ 0. scales: (k,), those of the run, see `scaling`."""

    values: Array
    scales: Array
    parts: tuple[Told, ...]

    @cached_property
    def gradients(self) -> Array:
        """(k, m)."""
        rows = [_gradient(part) for part in self.parts]
        return np.stack([row / scale for row, scale in zip(rows, self.scales, strict=True)])


def told(constraints: Sequence[Constraint | StateConstraints], point: Point) -> tuple[Told, ...]:
    """All constraints at a point, in order; the gradients of several `StateConstraint` take one block of solves.

    Raises ValueError for shapes that do not fit, TypeError for a point without a state where one is constrained.
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
    """All constraints at a point, in order; at least one. scales: (k,)."""
    return scaled(told(constraints, point), scales)


def scaled(parts: tuple[Told, ...], scales: Array) -> Excess:
    """The same, of what is known of the constraints."""
    values = np.concatenate([part.values - part.bounds for part in parts]) / scales
    return Excess(values, scales, parts)


def row(part: Told, index: int, x: Array) -> Array:
    """dc/dx of a single constraint, (m,); raises ValueError for another shape, NonFinite. index: for the message."""
    g = _gradient(part)
    if g.shape != x.shape:
        raise ValueError(f"constraints have gradients of shape {g.shape}, the design {x.shape}")
    if not np.isfinite(g).all():
        raise NonFinite(f"the gradient of constraint {index} is not finite")
    return g


def _gradient(part: Told) -> Array:
    assert part.valued is not None  # Vectors of constraints have weighted sums of gradients only.
    return np.asarray(part.valued.gradient, dtype=float)


def _single(constraint: Constraint, valued: Valued) -> Told:
    return Told(
        constraint,
        np.array([valued.value], dtype=float),
        np.array([constraint.bound], dtype=float),
        valued,
    )


def _vector(constraint: StateConstraints, point: Point) -> Told:
    bounds = np.asarray(constraint.bounds, dtype=float)
    values = np.asarray(constraint.function.values(point.solution.u, point.p))
    if values.ndim != 1 or bounds.shape not in ((), values.shape):
        raise ValueError(
            f"{type(constraint.function).__name__}: values of shape {values.shape} for bounds of shape "
            f"{bounds.shape}, expected (k,) and (k,), or one number as the bound"
        )
    return Told(constraint, values, np.broadcast_to(bounds, values.shape), None)
