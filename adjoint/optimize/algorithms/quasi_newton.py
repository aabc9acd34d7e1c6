"""Common part of BFGS and L-BFGS: the search along a line or an arc, and the next state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...bounds import Bounds
from ...errors import SolveError
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import InnerProduct
from ..line_search.step import Step
from ..line_search.strong_wolfe import Sample, StrongWolfe
from ..manifolds.manifold import Manifold, derivative_of, inner_at
from ..memory import Shape
from ..scaling import reach
from ..settings import require_geometry, require_kind, require_manifold
from ..state import State
from ..status import Status
from ..trial import gradient_of, tried

IDLE = 10
"""Number of steps in a row without any gain that end a run; near a minimum the gradient
does not fall in every step."""


REACH = 0.5
"""Part of the largest entry of x by which the first trial changes x: the gradient has no
length in units of x."""


GAINS: dict[str, Shape] = {"least": (2,), "idle": ()}
"""Names and shapes of the memory that `idle` reads."""


@dataclass(frozen=True, eq=False)
class Setting:
    """The settings of a quasi-Newton method; name: name of the method, for messages.

    manifold: the manifold of the designs, or None.
    """

    name: str
    inner: InnerProduct
    bounds: Bounds
    search: StrongWolfe
    first_step: float | None
    manifold: Manifold | None

    def inner_at(self, x: Array) -> InnerProduct:
        """The inner product at x."""
        return inner_at(self.manifold, self.inner, x)

    def check(self) -> None:
        """Raise ValueError unless first_step > 0, or if there are bounds and M is not diagonal.

        Raise TypeError if a setting has the wrong type.
        """
        require_geometry(self.name, self.bounds, self.inner)
        require_manifold(self.name, self.manifold, self.bounds, self.inner)
        require_kind(self.name, "the search", self.search, StrongWolfe)
        if not (self.first_step is None or 0.0 < self.first_step < np.inf):
            raise ValueError(
                f"{self.name}: got first_step={self.first_step}, expected a positive number or None"
            )
        if not (self.inner.diagonal or self.bounds.everywhere):
            raise ValueError(
                f"{self.name}: got bounds and the inner product {type(self.inner).__name__}, for "
                "which the projection onto bounds is not a clip; expected a diagonal inner "
                "product, such as Weighted of lumped masses"
            )

    def free(self, x: Array, g: Array, gamma: float) -> tuple[Array, Array]:
        """The free variables, (m,) booleans, and the points to which −γ M⁻¹ g takes the others.

        A variable is free if −γ M⁻¹ g keeps it strictly within its bounds. Near a
        solution with nonzero multipliers at all active bounds, the free variables are
        exactly the variables between their bounds: Bertsekas (1982), SIAM J. Control
        Optim. 20, 221, section 2, with γ M⁻¹ in place of ε.
        """
        to = x - gamma * self.inner.direction(g)
        return (to > self.bounds.lower) & (to < self.bounds.upper), self.bounds.clip(to)

    def first_trial(self, state: State, d: Array) -> float:
        """α of the first trial along a direction of unknown length.

        The trial changes x by as much as the last step. At the start α is `first_step`,
        or the trial changes x by REACH times the size of x.
        """
        if not np.isfinite(state.change) and self.first_step is not None:
            return self.first_step
        if 0.0 < state.change < np.inf:
            size = state.change
        else:
            size = REACH * reach(state.x, state.value, state.gradient, self.bounds, self.inner)
        largest = self.inner.largest(np.abs(d))
        return size / largest if largest > 0.0 else 1.0

    def searched(self, f: Function, state: State, d: Array, alpha: float) -> Step:
        """The step along d; a step without a point if d is not a descent direction.

        Up to the first bound the search demands the strong Wolfe conditions. If alpha
        is beyond this bound, the search goes along the projected arc.
        """
        if not self.inner.pairing(state.gradient, d) < 0.0:
            return Step(0.0, None, ())
        shortest, longest, last = self._limits(state.x, d)
        if longest < alpha:
            return self._arc(f, state, d, min(alpha, last))
        return self._line(f, state, d, alpha, (shortest, longest))

    def _limits(self, x: Array, d: Array) -> tuple[float, float, float]:
        """Three values of α for the search along d.

        Below the first value x + α d rounds to x; at the second value x + α d meets its
        first bound, at the third value its last bound.
        """
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
        failures: list[SolveError] = []
        velocities = [d]  # Of the last trial; constant along a line.

        def moved(alpha: float) -> Array:
            if self.manifold is None:
                return self.bounds.clip(state.x + alpha * d)
            x, velocity = self.manifold.retract(state.x, alpha * d)
            velocities[0] = velocity / alpha
            return x

        def phi(alpha: float) -> Point | None:
            # A retraction may fail as a solve may: both mean a step too long.
            trial = tried(lambda at: f(moved(float(at))), np.array(alpha))
            if trial.failure is not None:
                failures.append(trial.failure)
            return trial.point

        step = self.search(
            phi,
            lambda point: self.inner.pairing(gradient_of(point), velocities[0]),
            Sample(0.0, state.value, self.inner.pairing(state.gradient, d)),
            alpha,
            limits,
        )
        return replace(step, failure=failures[-1]) if failures else step

    def _arc(self, f: Function, state: State, d: Array, alpha: float) -> Step:
        """The first step along P(x + α d) with f ≤ f(x) + c₁ g·(P(x + α d) − x).

        The search goes from alpha downwards, and no trial costs a gradient. The method
        is that of Bertsekas (1982), section 2, but α is shortened by the parabola
        through a refused value instead of a fixed factor.
        """
        rejected: list[float] = []
        failure: SolveError | None = None
        allowance = self.search.noise * abs(state.value)
        for _ in range(self.search.trials):
            x = self.bounds.clip(state.x + alpha * d)
            predicted = self.inner.pairing(state.gradient, x - state.x)
            if not predicted < 0.0:  # Uphill, or no step at all: f need not be evaluated.
                alpha *= 0.1
                continue
            trial = tried(f, x)
            point, failure = trial.point, trial.failure or failure
            if (
                point is not None
                and point.value <= state.value + self.search.c1 * predicted + allowance
            ):
                return Step(alpha, point, tuple(rejected))
            rejected.append(math.nan if point is None else point.value)
            excess = rejected[-1] - state.value - predicted
            alpha *= min(max(-0.5 * predicted / excess, 0.2), 0.5) if excess > 0.0 else 0.1
        return Step(0.0, None, tuple(rejected), failure)

    def state(
        self, point: Point, before: State | None, step: Step, memory: Mapping[str, Array]
    ) -> State:
        """The state at an accepted point."""
        x, g = point.x, derivative_of(self.manifold, point)
        held = self.bounds.held(x, g)
        d = self.inner_at(x).direction(held)
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
    """The least f and optimality measure so far, and the number of idle steps.

    A step is idle if it lowered neither the least f nor the least optimality measure.
    """
    now = np.array([value, stationarity])
    if before is None:
        return {"least": now, "idle": np.array(0)}
    least = before.memory["least"]
    return {
        "least": np.minimum(least, now),
        "idle": np.array(0 if (now < least).any() else before.memory["idle"] + 1),
    }


def revalued(at: State, state: State) -> State:
    """The state with values and gradients of `at`, the first state of a run at the same design.

    The count of idle steps begins again.
    """
    return replace(
        state,
        value=at.value,
        gradient=at.gradient,
        stationarity=at.stationarity,
        projected=at.projected,
        evaluations=state.evaluations + 1,
        memory={**state.memory, **{name: at.memory[name] for name in GAINS}},
    )


def idle(state: State) -> bool:
    """True if the last IDLE steps lowered neither f nor the optimality measure.

    Such steps change f by rounding errors only.
    """
    return bool(state.memory["idle"] >= IDLE)


def stopped(state: State, step: Step | None) -> State:
    """The state with an ending: FAILED if a solve failed at every trial of the step, else STUCK.

    step: the result of a search without an accepted trial; None if no search was made.
    """
    rejected = () if step is None else step.rejected
    failed = len(rejected) > 0 and all(map(math.isnan, rejected))
    return replace(
        state,
        rejected=np.array(rejected),
        evaluations=state.evaluations + len(rejected),
        failure=None if step is None else step.failure,
        ending=Status.FAILED if failed else Status.STUCK,
    )
