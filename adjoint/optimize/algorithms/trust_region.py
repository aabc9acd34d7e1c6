"""A step in a trust region: proposed by a model of f, accepted if f falls accordingly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...bounds import Bounds
from ...errors import SolveError
from ...factor.counts import phase
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import InnerProduct
from ..manifolds.manifold import Manifold, derivative_of, inner_at
from ..memory import Shape
from ..state import State
from ..trial import given_up, gradient_of, tried

TRIALS = 40
"""Largest number of trials in an iteration: each is a quarter as long as the last one, so
that 40 leave nothing of a step."""


NOISE = 1e2 * float(np.finfo(float).eps)
"""Rounding error of f, relative to f; smaller differences say nothing about a step, which
is then accepted."""


REGION: dict[str, Shape] = {"radius": (), "first": (), "products": ()}
"""Names and shapes of the memory that a trust region reads."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step s = y − x to a design y within the bounds, and Hs.

    products: number of products with H that the step cost.
    """

    y: Array
    s: Array
    Hs: Array
    products: int


class Subproblem(Protocol):
    """min q(s) = g·s + ½ s·Hs within ‖s‖ ≤ Δ, in a norm of the subproblem's choice."""

    def first_radius(self) -> tuple[float, int]:
        """Δ of the first step, and the number of products with H that it cost."""

    def step(self, radius: float, tolerance: float) -> Step:
        """s with ‖s‖ ≤ Δ; iterations end at ‖∇q‖ ≤ tolerance in the dual norm."""

    def predicted(self, step: Step) -> float:
        """−q(s), the decrease of f that the model promises."""

    def length(self, s: Array) -> float:
        """‖s‖."""


@dataclass(frozen=True, eq=False)
class TrustRegion:
    """The ratio test: accept a step if f falls by more than `accept` times the model's decrease.

    Nocedal & Wright (2006), algorithm 4.1; rounding: Conn, Gould & Toint (2000),
    Trust-Region Methods, section 17.4.2. manifold: the manifold of the designs, or None.
    """

    inner: InnerProduct
    bounds: Bounds
    accept: float
    exponent: float
    manifold: Manifold | None

    def begun(self, point: Point, radius: float | None) -> State:
        """The state of iteration 0 at the point.

        If `radius` is None, the radius in the memory is nan: the first step then calls
        `first_radius`.
        """
        state = self.measured(
            State(
                0,
                point.x,
                float(point.value),
                derivative_of(self.manifold, point),
                0.0,
                0.0,
                point=point,
            )
        )
        unknown = np.nan if radius is None else radius
        memory = {"radius": unknown, "first": state.stationarity, "products": 0.0}
        return replace(state, memory={name: np.array(value) for name, value in memory.items()})

    def point(self, f: Function, state: State) -> Point:
        """The point of f at the state's x; f is evaluated again if the state comes from a file."""
        if state.point is not None:
            return state.point
        with phase("model"):
            point = f(state.x)
        # The gradient first, as in the interrupted run: the last bits of a solve may depend on the
        # solves before it.
        gradient_of(point)
        return point

    def advanced(
        self, f: Function, state: State, model: Subproblem, memory: Mapping[str, Array]
    ) -> State:
        """The state after the first accepted step, or the given state with an ending.

        An iteration costs one evaluation per trial and one gradient. memory: arrays for
        the state's memory besides the radius and the count of products.
        """
        radius, spent = float(state.memory["radius"]), 0
        if np.isnan(radius):
            radius, spent = model.first_radius()
        rejected: list[float] = []
        failure: SolveError | None = None
        for _ in range(TRIALS):
            step = model.step(radius, self._tolerance(state))
            spent += step.products
            promised = model.predicted(step)
            if not promised > 0.0 or np.array_equal(step.y, state.x):
                break
            found, length = tried(f, step.y), model.length(step.s)
            trial, failure = found.point, found.failure or failure
            # A step that Δ cuts short promises little for that reason: rounding excuses nothing.
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
            state,
            rejected=refused,
            evaluations=evaluations,
            ending=given_up(refused, state.value),
            failure=failure,
        )

    def _tolerance(self, state: State) -> float:
        """‖∇q‖ at which iterations end: min(½, (‖g‖/‖g₀‖)^exponent) ‖g‖.

        Components held by bounds are left out.
        """
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
                gradient=derivative_of(self.manifold, point),
                step=length,
                change=self.inner.largest(np.abs(step.s)),
                rejected=np.array(rejected),
                evaluations=state.evaluations + len(rejected) + 1,
                memory=memory,
                point=point,
            )
        )

    def measured(self, state: State) -> State:
        """The state with its measures of optimality."""
        x, g = state.x, state.gradient
        inner = inner_at(self.manifold, self.inner, x)
        projected = inner.largest(np.abs(self.bounds.clip(x - inner.direction(g)) - x))
        return replace(
            state, stationarity=inner.dual_norm(self.bounds.held(x, g)), projected=projected
        )


def _adapted(radius: float, length: float, ratio: float) -> float:
    """Δ after a step.

    After a step with ratio < ¼, Δ is a quarter of the length of the step. After a step
    to the boundary with ratio > ¾, Δ is doubled. Otherwise Δ stays.
    """
    if not ratio >= 0.25:
        return 0.25 * length
    return 2.0 * radius if ratio > 0.75 and length > 0.9 * radius else radius
