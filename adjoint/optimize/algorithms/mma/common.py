"""What MMA and GCMMA share: minimize f(x) + Σ_i (c y_i + ½ y_i²) subject to c_i(x) ≤ y_i, y ≥ 0, within bounds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ....bounds import Bounds
from ....errors import NonFinite, SolveError
from ....reduced import Function, Point
from ....typing import Array
from ...constraint_values import Excess, excess, scaled, told
from ...constraints import Constraint
from ...inner_products import InnerProduct
from ...scaling import scaling
from ...settings import require_constraints, require_geometry, require_kind
from ...state import State
from ...status import Status
from ...trial import attempt, first_point, gradient_of
from .opposite_constraints import Interval, intervals, sides
from .subproblem import Approximation, Asymptotes, Region, Subproblem, maximized

SIZES = (1.0, 100.0)
"""An objective of this size is not scaled: Svanberg (2007)."""


SIZE = 10.0
"""What others are scaled to at the start."""


FLAT = 1e-290
"""An objective below this is zero: its scale would overflow."""


STILL = 1e-13
"""A proposal that changes no variable by more, relative to the distance of its bounds, is no new design."""


VIOLATED = 1e-6
"""A violation, relative, from which on a design that stands still is called infeasible."""


Curvature = Callable[[Array, Array, Array], Array]
"""Values (k+1,) and slopes (k+1, m) of the scaled objective and the constraints, and distances of the bounds, to ρ,
(k+1,)."""


SLACK = 1e-9
"""A constraint farther below zero is not at work; one farther above it is crossed."""


SWAPS = 4
"""Subproblems solved with one or the other side of narrow intervals, before all constraints are taken."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where approximations are least, (m,), relative to the distances of the poles, and the multipliers, (k,)."""

    s: Array
    multipliers: Array


@dataclass(frozen=True, eq=False)
class Evaluated:
    """f and the constraints at a design. length: of the design at the start; further: evaluations of f besides."""

    point: Point
    excess: Excess | None
    length: float
    further: int

    @property
    def constraints(self) -> Array:
        """(c − bound)/scale, (k,)."""
        return np.zeros(0) if self.excess is None else self.excess.values

    @property
    def scales(self) -> Array:
        """(k,)."""
        return np.zeros(0) if self.excess is None else self.excess.scales

    @cached_property
    def slopes(self) -> Array:
        """Of the constraints, (k, m); raises NonFinite, and what the solves raise."""
        if self.excess is None:
            return np.zeros((0, self.point.x.size))
        slopes = self.excess.gradients
        if slopes.shape[1:] != self.point.x.shape:
            raise ValueError(
                f"constraints have gradients of shape {slopes.shape[1:]}, the design {self.point.x.shape}"
            )
        bad = np.flatnonzero(~np.isfinite(slopes).all(axis=1))
        if bad.size:
            raise NonFinite(f"the gradient of constraint {bad[0]} is not finite")
        return slopes


@dataclass(frozen=True, eq=False)
class ElasticProblem:
    """The problem, how it is approximated, and the states of a run; name: of the algorithm, for messages.

    Everything is a function of what its arguments say; the settings are those of `MMA`.
    """

    name: str
    constraints: tuple[Constraint, ...]
    bounds: Bounds
    move: float
    asymptotes: Asymptotes
    elastic: float
    scale: float | None
    inner: InnerProduct

    def require_settings(self) -> None:
        """Raise ValueError for settings that cannot be, TypeError for others of the wrong kind."""
        require_constraints(self.name, self.constraints, ())
        require_geometry(self.name, self.bounds, self.inner)
        require_kind(self.name, "the asymptotes", self.asymptotes, Asymptotes)
        if not (np.all(np.isfinite(self.bounds.lower)) and np.all(np.isfinite(self.bounds.upper))):
            raise ValueError(
                f"{self.name}: got infinite bounds, expected finite ones: asymptotes and moves are parts of their "
                "distance. Use bounds that the solution will not meet"
            )
        if not (0.0 < self.move <= 1.0 and 0.0 < self.elastic < np.inf):
            raise ValueError(
                f"{self.name}: got move={self.move}, elastic={self.elastic}; expected 0 < move ≤ 1, c > 0"
            )
        if not (self.scale is None or 0.0 < self.scale < np.inf):
            raise ValueError(
                f"{self.name}: got scale={self.scale}, expected a positive number or None"
            )
        if not self.inner.diagonal:
            raise ValueError(
                f"{self.name}: the inner product is not diagonal, and the approximations are separable"
            )

    def first(self, f: Function, x: Array) -> Evaluated:
        """At the start; raises ValueError for an x outside of the bounds, NonFinite, and what f raises."""
        point = first_point(f, x, self.bounds, self.name)
        parts = told(self.constraints, point)
        values = np.array([float(part.values[0]) for part in parts])
        if not np.isfinite(values).all():
            raise NonFinite(f"{self.name}: the constraints are {values} at the start")
        found = scaling(f, self.constraints, point, parts, self.bounds, self.inner)
        return Evaluated(
            point, scaled(parts, found.scales) if parts else None, found.length, found.evaluations
        )

    def attempt(self, f: Function, x: Array, state: State) -> Evaluated | None:
        """At a trial after the state; None where a solve failed, or a value is not finite."""
        if (point := attempt(f, x)) is None:
            return None
        try:
            found = excess(self.constraints, point, state.scales) if self.constraints else None
        except SolveError:
            return None
        at = Evaluated(point, found, state.memory["length"].item(), 0)
        return at if np.isfinite(at.constraints).all() else None

    @cached_property
    def span(self) -> Array:
        """The distance of the bounds, 1 where they coincide; (m,), or one number where the bounds are numbers."""
        span = np.asarray(self.bounds.upper, dtype=float) - self.bounds.lower
        return np.where(span > 0.0, span, 1.0)

    def width(self, x: Array, before: State | None, nearer: float) -> Array:
        """σ at the next design x, (m,); nearer: a further factor."""
        if before is None:
            return np.zeros_like(x) + self.asymptotes.first(self.span)
        width = before.memory["width"]
        return self.asymptotes.moved(
            nearer * width, x - before.x, before.memory["moved"], self.span
        )

    def region(self, x: Array, width: Array) -> Region:
        """Where the next design is looked for."""
        return Region.around(x, width, self.span, self.move, self.bounds)

    def scaling(self, value: float, g: Array) -> float:
        """What f is multiplied by: 1 where f, or its largest change by one variable, is in SIZES."""
        if self.scale is not None:
            return self.scale
        size = max(abs(value), self.inner.largest(np.abs(g) * self.span))
        return 1.0 if SIZES[0] <= size <= SIZES[1] or size < FLAT else SIZE / size

    def solved(self, approximation: Approximation, region: Region, start: Array) -> Minimum:
        """The minimum of an approximation; start: multipliers, (k,). Raises SubproblemFailed.

        Of narrow intervals one side is left out: the one of the smaller multiplier, unless the design would cross it.
        """
        found = intervals(
            approximation.values[1:], 2.0 * approximation.e[1:] / region.width, region.span
        )
        idle = sides(found, start)
        for _ in range(SWAPS if found else 0):
            at = self._maximized(
                approximation, region, start, sorted(i for side in idle for i in side)
            )
            values = approximation.at(at.s, self.inner)[1:]
            swapped = [_swapped(each, side, values) for each, side in zip(found, idle, strict=True)]
            if swapped == idle:
                return at
            idle = swapped
        return self._maximized(approximation, region, start, [])

    def _maximized(
        self, approximation: Approximation, region: Region, start: Array, idle: list[int]
    ) -> Minimum:
        kept = np.delete(np.arange(start.size), idle)
        problem = Subproblem(approximation.only(kept), *region.relative, self.elastic, self.inner)
        at = maximized(problem, start[kept])
        multipliers = np.zeros_like(start)
        multipliers[kept] = at.multipliers
        return Minimum(at.s, multipliers)

    def state(
        self,
        at: Evaluated,
        before: State | None,
        rejected: Array,
        width: Array,
        curvature: Curvature,
    ) -> State:
        """The state at a design; its multipliers are those of its approximation's minimum, the next proposal."""
        x, g = at.point.x, gradient_of(at.point)
        scale = before.scale if before else self.scaling(at.point.value, g)
        values, slopes = (
            np.append(scale * at.point.value, at.constraints),
            np.concatenate([scale * g[None], at.slopes]),
        )
        region = self.region(x, width)
        rho = curvature(values, slopes, region.span)
        approximation = Approximation.of(values, slopes, region, rho)
        solved = self.solved(
            approximation,
            region,
            before.multipliers * scale if before else np.ones(len(slopes) - 1),
        )
        stationarity, projected = self.optimality(at, g, solved.multipliers, scale)
        moved = x - before.x if before else np.zeros_like(x)
        return State(
            iteration=before.iteration + 1 if before else 0,
            x=x,
            value=at.point.value,
            gradient=g,
            stationarity=stationarity,
            projected=projected,
            step=self.inner.largest(width / region.span),
            change=self.inner.largest(np.abs(moved)) if before else np.inf,
            constraints=at.constraints,
            multipliers=solved.multipliers / scale,
            violation=float(at.constraints.max(initial=0.0)),
            scales=at.scales,
            scale=scale,
            rejected=rejected,
            evaluations=(before.evaluations + rejected.size if before else at.further) + 1,
            memory={
                **{
                    "proposal": region.design(solved.s),
                    "width": width,
                    "moved": moved,
                    "curvature": rho,
                },
                "length": np.asarray(at.length),
            },
        )

    def optimality(
        self, at: Evaluated, g: Array, multipliers: Array, scale: float
    ) -> tuple[float, float]:
        """The KKT residual, and the Lagrangian's projected gradient. scale: of f.

        What the multipliers and the violation leave of f, |λ c| and c, is divided by the length: a slope, as ∇L is.
        """
        x, c = at.point.x, at.constraints
        lagrangian = g + np.einsum("i,ij->j", multipliers / scale, at.slopes)
        others = max(float(np.abs(multipliers * c).max(initial=0.0)), float(c.max(initial=0.0)))
        stationarity = max(
            self.inner.dual_norm(self.bounds.held(x, lagrangian)), others / (scale * at.length)
        )
        step = self.bounds.clip(x - self.inner.direction(lagrangian)) - x
        return stationarity, self.inner.largest(np.abs(step))

    def differs(self, proposal: Array, x: Array) -> bool:
        """Whether the proposal is another design than x, by more than rounding."""
        change = np.abs(proposal - x)
        change -= STILL * self.span
        return self.inner.largest(change) > 0.0

    def stands(self, state: State) -> Status | None:
        """Why there is no next design; None where there is one."""
        if self.differs(state.memory["proposal"], state.x):
            return None
        return Status.INFEASIBLE if state.violation > VIOLATED else Status.STUCK


def _swapped(interval: Interval, idle: tuple[int, ...], values: Array) -> tuple[int, ...]:
    """The side to leave out next time: the other one where this one is crossed and that one is not at work."""
    other = interval.above if idle == interval.below else interval.below
    return (
        other if values[list(idle)].max() > SLACK and values[list(other)].max() < -SLACK else idle
    )
