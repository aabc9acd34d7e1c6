"""What the quasi-Newton methods share: the search along a line or a projected arc, its first trial, the next state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import InnerProduct
from ..line_search.strong_wolfe import Sample, Step, StrongWolfe
from ..scaling import reach
from ..settings import require_geometry, require_kind
from ..state import State
from ..status import Status
from ..trial import attempt, gradient_of

IDLE = 10
"""Steps in a row without any gain that end a run; near a minimum the gradient does not fall with every step."""


REACH = 0.5
"""The first trial of a run changes x by this part of its largest entry: the gradient has no length in units of x."""


@dataclass(frozen=True, eq=False)
class Setting:
    """What a method was given."""

    name: str
    inner: InnerProduct
    bounds: Bounds
    search: StrongWolfe
    first_step: float | None

    def check(self) -> None:
        """Raise ValueError for a first step that is none, and for bounds where the projection is no clip; TypeError."""
        require_geometry(self.name, self.bounds, self.inner)
        require_kind(self.name, "the search", self.search, StrongWolfe)
        if not (self.first_step is None or 0.0 < self.first_step < np.inf):
            raise ValueError(
                f"{self.name}: got first_step={self.first_step}, expected a positive number or None"
            )
        if not (self.inner.diagonal or self.bounds.everywhere):
            raise ValueError(
                f"{self.name}: got bounds and the inner product {type(self.inner).__name__}, in which the projection "
                "is no clip; expected a diagonal one, such as Weighted of lumped masses"
            )

    def free(self, x: Array, g: Array, gamma: float) -> tuple[Array, Array]:
        """Which variables −γ M⁻¹ g keeps strictly within the bounds, (m,) booleans, and where it takes the others.

        At a solution without degenerate bounds these are, from some step on, exactly the variables within the bounds:
        Bertsekas (1982), SIAM J. Control Optim. 20, 221, section 2, with γ M⁻¹ in place of his ε.
        """
        to = x - gamma * self.inner.direction(g)
        return (to > self.bounds.lower) & (to < self.bounds.upper), self.bounds.clip(to)

    def first_trial(self, state: State, d: Array) -> float:
        """α of a direction of unknown length: as far as the last step; `first_step`, or REACH of x, at the start."""
        if not np.isfinite(state.change) and self.first_step is not None:
            return self.first_step
        if 0.0 < state.change < np.inf:
            size = state.change
        else:
            size = REACH * reach(state.x, state.value, state.gradient, self.bounds, self.inner)
        largest = self.inner.largest(np.abs(d))
        return size / largest if largest > 0.0 else 1.0

    def searched(self, f: Function, state: State, d: Array, alpha: float) -> Step:
        """The step along d: by strong Wolfe up to the first bound met, along the projected arc if alpha is beyond that.

        None where d does not descend.
        """
        if not self.inner.pairing(state.gradient, d) < 0.0:
            return Step(0.0, None, ())
        shortest, longest, last = self._limits(state.x, d)
        if longest < alpha:
            return self._arc(f, state, d, min(alpha, last))
        return self._line(f, state, d, alpha, (shortest, longest))

    def _limits(self, x: Array, d: Array) -> tuple[float, float, float]:
        """α below which x + α d is x, to rounding; at which it meets the first bound, and the last one."""
        moving = d != 0.0
        sizes = np.where(moving, np.abs(d), 1.0)
        shortest = (
            0.5
            * float(np.finfo(float).eps)
            * self._least(np.where(moving, np.abs(x) / sizes, np.inf))
        )
        if self.bounds.everywhere:
            return shortest, np.inf, np.inf
        room = np.where(d > 0.0, self.bounds.upper - x, x - self.bounds.lower) / sizes
        return (
            shortest,
            self._least(np.where(moving, room, np.inf)),
            self.inner.largest(np.where(moving, room, 0.0)),
        )

    def _least(self, v: Array) -> float:
        return -self.inner.largest(-v)

    def _line(
        self, f: Function, state: State, d: Array, alpha: float, limits: tuple[float, float]
    ) -> Step:
        return self.search(
            lambda alpha: attempt(f, self.bounds.clip(state.x + alpha * d)),
            lambda point: self.inner.pairing(gradient_of(point), d),
            Sample(0.0, state.value, self.inner.pairing(state.gradient, d)),
            alpha,
            limits,
        )

    def _arc(self, f: Function, state: State, d: Array, alpha: float) -> Step:
        """Along P(x + α d), from alpha downwards to f ≤ f(x) + c₁ g·(P(x + α d) − x); no trial pays for a gradient.

        Bertsekas (1982), section 2, with the parabola through a refused value instead of a fixed factor.
        """
        rejected: list[float] = []
        allowance = self.search.noise * abs(state.value)
        for _ in range(self.search.trials):
            x = self.bounds.clip(state.x + alpha * d)
            predicted = self.inner.pairing(state.gradient, x - state.x)
            if (
                not predicted < 0.0
            ):  # The way in goes uphill, or nowhere: no need to evaluate f to know.
                alpha *= 0.1
                continue
            point = attempt(f, x)
            if (
                point is not None
                and point.value <= state.value + self.search.c1 * predicted + allowance
            ):
                return Step(alpha, point, tuple(rejected))
            rejected.append(math.nan if point is None else point.value)
            excess = rejected[-1] - state.value - predicted
            alpha *= min(max(-0.5 * predicted / excess, 0.2), 0.5) if excess > 0.0 else 0.1
        return Step(0.0, None, tuple(rejected))

    def state(
        self, point: Point, before: State | None, step: Step, memory: Mapping[str, Array]
    ) -> State:
        """The state at an accepted point."""
        x, g = point.x, gradient_of(point)
        held = self.bounds.held(x, g)
        d = self.inner.direction(held)
        stationarity = math.sqrt(max(self.inner.pairing(held, d), 0.0))
        return State(
            iteration=before.iteration + 1 if before else 0,
            x=x,
            value=point.value,
            gradient=g,
            stationarity=stationarity,
            projected=self.inner.largest(np.abs(self.bounds.clip(x - d) - x)),
            step=step.alpha,
            change=self.inner.largest(np.abs(x - before.x)) if before else np.inf,
            rejected=np.array(step.rejected),
            evaluations=(before.evaluations if before else 0) + len(step.rejected) + 1,
            memory={**memory, **_gains(before, point.value, stationarity)},
        )


def _gains(before: State | None, value: float, stationarity: float) -> dict[str, Array]:
    """The least of both so far, and how many steps in a row have lowered neither."""
    now = np.array([value, stationarity])
    if before is None:
        return {"least": now, "idle": np.array(0)}
    least = before.memory["least"]
    return {
        "least": np.minimum(least, now),
        "idle": np.array(0 if (now < least).any() else before.memory["idle"] + 1),
    }


def idle(state: State) -> bool:
    """Whether the last IDLE steps lowered neither f nor the optimality measure: they move in the rounding of f."""
    return bool(state.memory["idle"] >= IDLE)


def stopped(state: State, rejected: tuple[float, ...]) -> State:
    """The same state, with why there is no step from it: every trial failed, or none decreased f."""
    failed = len(rejected) > 0 and all(map(math.isnan, rejected))
    return replace(
        state,
        rejected=np.array(rejected),
        evaluations=state.evaluations + len(rejected),
        ending=Status.FAILED if failed else Status.STUCK,
    )
