"""Running an algorithm: `descend` yields its states for ever, `minimize` is the loop with stopping rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

import numpy as np

from ..arrays import Array, dot
from ..check import extrapolated, random_direction
from ..reduced import Point


class State(Protocol):
    """What every algorithm's state holds; a frozen record of arrays and numbers, enough to go on from."""

    @property
    def iteration(self) -> int:
        """Iterations done."""

    @property
    def x(self) -> Array:
        """The design, (m,)."""

    @property
    def value(self) -> float:
        """f(x)."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""

    @property
    def change(self) -> float:
        """max|Δx| of the iteration; inf before the first."""

    @property
    def stationarity(self) -> float:
        """A measure of optimality that is zero at a solution."""

    @property
    def stuck(self) -> bool:
        """Whether the algorithm found no way on."""


S = TypeVar("S", bound=State)


class Algorithm(Protocol[S]):
    """An algorithm: a frozen dataclass of its settings with these two functions."""

    def start(self, f: Callable[[Array], Point], x: Array) -> S:
        """The first state, at x."""

    def advance(self, f: Callable[[Array], Point], state: S) -> S:
        """The next state."""


class Status(Enum):
    """Why a run ended."""

    STATIONARY = "Converged: the optimality measure fell below its tolerance."
    UNCHANGING = "Converged: the largest design change of an iteration fell below its tolerance."
    BUDGET = "Stopped: the budget of iterations is used up."
    STUCK = "Stopped: no trial step decreases the objective; it is flat to rounding, or its gradient is wrong."
    INTERRUPTED = "Stopped: interrupted from outside."


class WrongGradient(RuntimeError):
    """The gradient of the objective is not its derivative: nothing was optimized."""


@dataclass(frozen=True, eq=False)
class Stopping:
    """When `minimize` ends.

    iterations: at most so many. change: stop when an iteration changes no design variable by more (0: never).
    stationarity: stop when the state's measure of optimality is below it times the first one (0: never).
    """

    iterations: int = 1000
    change: float = 0.0
    stationarity: float = 1e-6

    def __post_init__(self) -> None:
        if not (self.iterations >= 1 and self.change >= 0.0 and self.stationarity >= 0.0):
            raise ValueError(f"Stopping: got {self}, expected at least one iteration and tolerances ≥ 0")

    def reason(self, state: State, first: State) -> Status | None:
        """Why to stop at this state; None to go on."""
        if state.stationarity <= self.stationarity * first.stationarity and self.stationarity > 0.0:
            return Status.STATIONARY
        if state.stuck:  # Before the change, which is zero then.
            return Status.STUCK
        if state.change <= self.change and self.change > 0.0:
            return Status.UNCHANGING
        return Status.BUDGET if state.iteration >= self.iterations else None


@dataclass(frozen=True, eq=False)
class Result:
    """How a run ended: the last state, whose x, value and gradient belong together, and why."""

    state: State
    status: Status

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.state.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.state.value

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.state.iteration


def descend(f: Callable[[Array], Point], x: Array, algorithm: Algorithm[S]) -> Iterator[S]:
    """Yield the states of the algorithm from x on, without end: the caller stops, logs and plots."""
    state = algorithm.start(f, x)
    while True:
        yield state
        state = algorithm.advance(f, state)


def minimize(
    f: Callable[[Array], Point],
    x: Array,
    algorithm: Algorithm[S],
    *,
    stop: Stopping | None = None,
    check: bool = True,
    each: Callable[[S], None] | None = None,
) -> Result:
    """Run the algorithm from x until a stopping rule holds.

    check: before the first step compare the gradient with differences of f (four evaluations of f, no gradient);
    raises WrongGradient where they differ by more than 1e-3. each: called with every state: to log, to plot;
    KeyboardInterrupt from it, or during an iteration, ends the run with the last state and Status.INTERRUPTED.
    Raises what f raises at the start; a failed solve later is the algorithm's to handle.
    """
    stop = stop or Stopping()
    states = descend(f, x, algorithm)
    first = state = next(states)
    if check:
        _require_derivative(f, state)
    try:
        while True:
            if each is not None:
                each(state)
            if reason := stop.reason(state, first):
                return Result(state, reason)
            state = next(states)
    except KeyboardInterrupt:
        return Result(state, Status.INTERRUPTED)


def _require_derivative(f: Callable[[Array], Point], state: State) -> None:
    """Raise WrongGradient unless g·v agrees with extrapolated differences along a random v."""
    v = random_direction(state.x, np.random.default_rng(0))
    steps = np.array([1e-3, 5e-4])
    values = np.array([[f(state.x + h * v).value, f(state.x - h * v).value] for h in steps])
    difference = extrapolated((values[:, 0] - values[:, 1]) / (2.0 * steps))
    derivative = dot(state.gradient, v)
    noise = 1e3 * np.finfo(float).eps * float(np.abs(values).max() / steps[-1])
    if not abs(difference - derivative) <= 1e-3 * max(abs(difference), abs(derivative)) + noise:
        raise WrongGradient(
            f"along a random direction the gradient gives {derivative:.8e}, differences {difference:.8e}. "
            "Usual causes: a vjp without its transpose or with a wrong sign, a missing ∂J/∂p, an objective with kinks "
            "or noise. See adjoint.check(f, x).table(); check=False goes on regardless."
        )
