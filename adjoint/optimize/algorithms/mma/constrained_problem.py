"""Common part of MMA and GCMMA: scaled f and constraints at a design, and the states.

min f(x) + Σ_i (c y_i + ½ y_i²) subject to c_i(x) ≤ y_i, y ≥ 0, within bounds. A
constraint, such as the volume, enters in `ConstrainedProblem.first` (at the start) and
`ConstrainedProblem.tried` (at a trial); `ConstrainedProblem.state` puts its value and
gradient into an `Approximation`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ....bounds import Bounds
from ....errors import NonFinite, SolveError
from ....reduced import Function, Point
from ....typing import Array
from ...constraints.constraint import Constraint
from ...constraints.values import Excess, excess, finite_rows, scaled, values_at
from ...inner_products import InnerProduct
from ...memory import Shape, require_entries
from ...scaling import scaling
from ...settings import require_constraints, require_geometry, require_kind
from ...state import State
from ...status import Status
from ...trial import first_point, gradient_of, tried
from .approximation import Approximation, Asymptotes, Region
from .opposite_constraints import Interval, intervals, sides
from .subproblem import Subproblem, maximized

SIZES = (1.0, 100.0)
"""Least and largest size of an objective that is not scaled: Svanberg (2007)."""


SIZE = 10.0
"""Size to which other objectives are scaled at the start."""


FLAT = 1e-290
"""Size of an objective below which it is zero: its scale would overflow."""


STILL = 1e-13
"""Change of a variable, relative to the distance of its bounds, below which a proposal is
not a new design."""


VIOLATED = 1e-6
"""Scaled violation above which a design that stands still is infeasible."""


Curvature = Callable[[Array, Array, Array], Array]
"""A function from values (k+1,) and slopes (k+1, m) of the scaled objective and the
constraints, and the distances of the bounds, to ρ, (k+1,)."""


SLACK = 1e-9
"""Scaled distance: a constraint farther below zero is inactive, a constraint farther above
it is crossed."""


SWAPS = 4
"""Largest number of subproblems with one or the other side of narrow intervals, before all
constraints are taken."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """The minimum of an approximation of f within approximations of the constraints.

    s: change of the design divided by the distances of the poles, (m,); multipliers: λ,
    (k,).
    """

    s: Array
    multipliers: Array


@dataclass(frozen=True, eq=False)
class Evaluated:
    """f and the constraints at a design.

    length: length of the design at the start; further: number of evaluations of f at
    other designs.
    """

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
        """The scales of the constraints, (k,)."""
        return np.zeros(0) if self.excess is None else self.excess.scales

    @cached_property
    def slopes(self) -> Array:
        """The gradients of the scaled constraints, (k, m).

        Raise NonFinite if a gradient has nan or inf, ValueError if a shape is wrong,
        and any error that a solve raises.
        """
        if self.excess is None:
            return np.zeros((0, self.point.x.size))
        slopes = self.excess.gradients
        if slopes.shape[1:] != self.point.x.shape:
            raise ValueError(
                f"constraints have gradients of shape {slopes.shape[1:]}, the design "
                f"{self.point.x.shape}"
            )
        return finite_rows(slopes)


@dataclass(frozen=True, eq=False)
class ConstrainedProblem:
    """The problem, its approximations and the states of a run.

    The settings are those of `MMA`.

    name: name of the algorithm, for messages.
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
        """Raise ValueError if a setting is out of range, TypeError if it has the wrong type."""
        require_constraints(self.name, self.constraints, ())
        require_geometry(self.name, self.bounds, self.inner)
        require_kind(self.name, "the asymptotes", self.asymptotes, Asymptotes)
        if not (np.all(np.isfinite(self.bounds.lower)) and np.all(np.isfinite(self.bounds.upper))):
            raise ValueError(
                f"{self.name}: got infinite bounds, expected finite bounds: asymptotes and moves "
                "are parts of their distance. Use bounds that the solution will not meet"
            )
        if not (0.0 < self.move <= 1.0 and 0.0 < self.elastic < np.inf):
            raise ValueError(
                f"{self.name}: got move={self.move}, elastic={self.elastic}; expected 0 < move ≤ "
                "1, c > 0"
            )
        if not (self.scale is None or 0.0 < self.scale < np.inf):
            raise ValueError(
                f"{self.name}: got scale={self.scale}, expected a positive number or None"
            )
        if not self.inner.diagonal:
            raise ValueError(
                f"{self.name}: the inner product is not diagonal, and the approximations are "
                "separable"
            )

    def first(self, f: Function, x: Array) -> Evaluated:
        """f and the constraints at the start, with their scales.

        Raise ValueError if x is outside of the bounds, NonFinite if f or a constraint
        is nan or inf, and any error that f raises.
        """
        point = first_point(f, x, self.bounds, self.name)
        parts = values_at(self.constraints, point)
        values = np.array([float(part.values[0]) for part in parts])
        if not np.isfinite(values).all():
            raise NonFinite(f"{self.name}: the constraints are {values} at the start")
        found = scaling(f, self.constraints, point, parts, self.bounds, self.inner)
        return Evaluated(
            point, scaled(parts, found.scales) if parts else None, found.length, found.evaluations
        )

    def tried(
        self, f: Function, x: Array, state: State
    ) -> tuple[Evaluated | None, SolveError | None]:
        """(f and the constraints at a trial, None), or (None, the error of a failed solve).

        A value that is nan or inf counts as a failed solve.
        """
        trial = tried(f, x)
        if trial.point is None:
            return None, trial.failure
        try:
            found = (
                excess(self.constraints, trial.point, state.scales) if self.constraints else None
            )
        except SolveError as error:
            return None, error
        at = Evaluated(trial.point, found, state.memory["length"].item(), 0)
        if np.isfinite(at.constraints).all():
            return at, None
        return None, NonFinite(f"the constraints are {at.constraints} at a trial point")

    def require_memory(self, state: State, further: dict[str, Shape]) -> None:
        """Raise ValueError unless the memory has the arrays of MMA, and the arrays `further`.

        further: names and shapes.
        """
        m, k = state.x.size, len(self.constraints)
        shapes: dict[str, Shape] = {name: (m,) for name in ("proposal", "width", "moved")}
        shapes |= {"curvature": (k + 1,), "length": ()}
        require_entries(self.name, state.memory, shapes | further)
        if state.constraints.size != k:
            raise ValueError(f"{self.name} has {k} constraints, the state {state.constraints.size}")

    @cached_property
    def span(self) -> Array:
        """The distance between lower and upper bounds, 1 if they coincide.

        The shape is (m,), or () if both bounds are numbers.
        """
        span = np.asarray(self.bounds.upper, dtype=float) - self.bounds.lower
        return np.where(span > 0.0, span, 1.0)

    def width(self, x: Array, before: State | None, nearer: float) -> Array:
        """σ at the next design x, (m,). nearer: a factor on the last σ."""
        if before is None:
            return np.zeros_like(x) + self.asymptotes.first(self.span)
        width = before.memory["width"]
        return self.asymptotes.moved(
            nearer * width, x - before.x, before.memory["moved"], self.span
        )

    def region(self, x: Array, width: Array) -> Region:
        """The region in which the next design is searched."""
        return Region.around(x, width, self.span, self.move, self.bounds)

    def scaling(self, value: float, g: Array) -> float:
        """The factor on f, chosen at the start unless it is a setting.

        The factor is 1 if the larger of |f| and its largest first-order change by one
        variable is within SIZES, or is below FLAT; otherwise the factor makes this
        number equal to SIZE.
        """
        if self.scale is not None:
            return self.scale
        size = max(abs(value), self.inner.largest(np.abs(g) * self.span))
        return 1.0 if SIZES[0] <= size <= SIZES[1] or size < FLAT else SIZE / size

    def solved(self, approximation: Approximation, region: Region, start: Array) -> Minimum:
        """The minimum of the approximation within the region.

        Two opposite constraints may bound a function to a narrow interval. The subproblem then
        leaves out the constraint with the smaller multiplier. If the minimum violates the omitted
        constraint, the other constraint is omitted instead; after `SWAPS` subproblems all
        constraints are kept. start: multipliers, (k,). Raise SubproblemFailed if the dual method
        does not converge.
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
        """The minimum of the approximation without the constraints `idle`, by maximizing the dual.

        The multipliers of these constraints are zero. idle: their indices; start:
        multipliers, (k,).
        """
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
        """The state at a design, with a proposal for the next design.

        The minimum of the approximation at the design gives the multipliers and the
        proposal.
        """
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

    def revalued(self, f: Function, state: State, curvature: Curvature) -> tuple[Evaluated, State]:
        """f and the constraints at the design of the state, and the state with a new proposal.

        The poles stay where they are. Raise any error that f raises.
        """
        point = first_point(f, state.x, self.bounds, self.name)
        found = excess(self.constraints, point, state.scales) if self.constraints else None
        at = Evaluated(point, found, state.memory["length"].item(), 0)
        if not np.isfinite(at.constraints).all():
            raise NonFinite(f"{self.name}: the constraints are {at.constraints} at the design")
        after = self.state(at, state, state.rejected, state.memory["width"], curvature)
        return at, replace(
            after,
            iteration=state.iteration,
            change=state.change,
            evaluations=state.evaluations + 1,
            memory={**after.memory, "moved": state.memory["moved"]},
        )

    def optimality(
        self, at: Evaluated, g: Array, multipliers: Array, scale: float
    ) -> tuple[float, float]:
        """The KKT residual, and the projected gradient of the Lagrangian.

        |λ c| and the violation c are divided by the length of the design, which makes
        the quotients comparable with ∇L. scale: the factor on f.
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
        """True if the proposal differs from x by more than rounding."""
        change = np.abs(proposal - x)
        change -= STILL * self.span
        return self.inner.largest(change) > 0.0

    def standstill(self, state: State) -> Status | None:
        """INFEASIBLE or STUCK if there is no next design, else None."""
        if self.differs(state.memory["proposal"], state.x):
            return None
        return Status.INFEASIBLE if state.violation > VIOLATED else Status.STUCK


def _swapped(interval: Interval, idle: tuple[int, ...], values: Array) -> tuple[int, ...]:
    """The side of the interval to leave out next time: a tuple of constraint indices.

    The sides are swapped if the minimum violates a constraint of the side `idle` and
    the other side is inactive.
    """
    other = interval.above if idle == interval.below else interval.below
    return (
        other if values[list(idle)].max() > SLACK and values[list(other)].max() < -SLACK else idle
    )
