"""A step in a trust region: proposed by a model of f, accepted if f falls about as the model promises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...bounds import Bounds
from ...factor.counts import phase
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import InnerProduct
from ..state import State
from ..trial import attempt, given_up, gradient_of

TRIALS = 40
"""Of one iteration: each is a quarter as long as the last one, 40 leave nothing of a step."""


NOISE = 1e2 * float(np.finfo(float).eps)
"""Relative to f, what its rounding may be: smaller differences say nothing about a step, which is then accepted."""


@dataclass(frozen=True, eq=False)
class Step:
    """s = y − x within the bounds, and Hs; products: with H, that it took."""

    y: Array
    s: Array
    Hs: Array
    products: int


class Subproblem(Protocol):
    """q(s) = g·s + ½ s·Hs at x, to be made small within ‖s‖ ≤ Δ, in a norm of its own."""

    def first_radius(self) -> tuple[float, int]:
        """Δ of the first step, and the products with H that it took."""

    def step(self, radius: float, tolerance: float) -> Step:
        """s with ‖s‖ ≤ Δ; iterations end where ‖∇q‖ ≤ tolerance in the dual norm."""

    def predicted(self, step: Step) -> float:
        """−q(s)."""

    def length(self, s: Array) -> float:
        """‖s‖."""


@dataclass(frozen=True, eq=False)
class TrustRegion:
    """The ratio test; accept: a step is, if f falls by more than this part of what the model promises.

    Nocedal & Wright (2006), algorithm 4.1; Conn, Gould & Toint (2000), Trust-Region Methods, section 17.4.2 on
    rounding.
    """

    inner: InnerProduct
    bounds: Bounds
    accept: float
    exponent: float

    def begun(self, point: Point, radius: float | None) -> State:
        """The first state, at the point; radius: nan in the memory where it is None, for `first_radius`."""
        state = self.measured(
            State(0, point.x, float(point.value), gradient_of(point), 0.0, 0.0, point=point)
        )
        unknown = np.nan if radius is None else radius
        memory = {"radius": unknown, "first": state.stationarity, "products": 0.0}
        return replace(state, memory={name: np.array(value) for name, value in memory.items()})

    def point(self, f: Function, state: State) -> Point:
        """f at the state's x; evaluated again, with its gradient, where the state is from a file."""
        if state.point is not None:
            return state.point
        with phase("model"):
            point = f(state.x)
        # Asked for first, as it was before: what later solves return may depend on those before, in their last bits.
        gradient_of(point)
        return point

    def advanced(
        self, f: Function, state: State, model: Subproblem, memory: Mapping[str, Array]
    ) -> State:
        """The state after the first step that is accepted: an evaluation a trial, one gradient.

        memory: what the state is to keep besides the radius and the count of products.
        """
        radius, spent = float(state.memory["radius"]), 0
        if np.isnan(radius):
            radius, spent = model.first_radius()
        rejected: list[float] = []
        for _ in range(TRIALS):
            step = model.step(radius, self._tolerance(state))
            spent += step.products
            promised = model.predicted(step)
            if not promised > 0.0 or np.array_equal(step.y, state.x):
                break
            trial, length = attempt(f, step.y), model.length(step.s)
            # Where Δ cuts the step short, what is promised is small for that reason, and rounding is no excuse.
            noise = NOISE * abs(state.value) if length < 0.9 * radius else 0.0
            ratio = (
                -np.inf
                if trial is None
                else (state.value - trial.value + noise) / (promised + noise)
            )
            radius = _adapted(radius, length, ratio)
            if trial is not None and ratio > self.accept:
                kept = {**state.memory, **memory, "radius": np.array(radius)}
                kept["products"] = np.array(state.memory["products"] + spent)
                return self._accepted(state, trial, step, length, rejected, kept)
            rejected.append(np.nan if trial is None else trial.value)
        refused, evaluations = np.array(rejected), state.evaluations + len(rejected)
        return replace(
            state, rejected=refused, evaluations=evaluations, ending=given_up(refused, state.value)
        )

    def _tolerance(self, state: State) -> float:
        """‖∇q‖ at which iterations end: min(½, (‖g‖/‖g₀‖)^exponent) ‖g‖, without what bounds hold."""
        first = float(state.memory["first"]) or 1.0
        return min(0.5, (state.stationarity / first) ** self.exponent) * state.stationarity

    def _accepted(
        self,
        state: State,
        point: Point,
        step: Step,
        length: float,
        rejected: list[float],
        memory: Mapping[str, Array],
    ) -> State:
        return self.measured(
            replace(
                state,
                iteration=state.iteration + 1,
                x=point.x,
                value=float(point.value),
                gradient=gradient_of(point),
                step=length,
                change=self.inner.largest(np.abs(step.s)),
                rejected=np.array(rejected),
                evaluations=state.evaluations + len(rejected) + 1,
                memory=memory,
                point=point,
            )
        )

    def measured(self, state: State) -> State:
        """The same with its measures of optimality."""
        x, g = state.x, state.gradient
        projected = self.inner.largest(np.abs(self.bounds.clip(x - self.inner.direction(g)) - x))
        return replace(
            state, stationarity=self.inner.dual_norm(self.bounds.held(x, g)), projected=projected
        )


def _adapted(radius: float, length: float, ratio: float) -> float:
    """Δ after a step: a quarter of a bad one, twice as much for a good one that went to the boundary."""
    if not ratio >= 0.25:
        return 0.25 * length
    return 2.0 * radius if ratio > 0.75 and length > 0.9 * radius else radius
