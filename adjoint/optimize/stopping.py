"""When a run ends, and why: all of it here."""

from dataclasses import dataclass, replace

import numpy as np

from .._repr import short_repr
from .._validation import require_settings
from .state import State
from .status import Status


@dataclass(frozen=True, eq=False)
class Progress:
    """What stopping rules remember of a run, besides its states; part of a restart file.

    first: f at the start; stationarity: its measure there. best: the lowest value so far; since: the iteration at
    which that last improved by `Stopping.improvement`. sized: the first slope in the
    variables' own sizes. steep, calm: iterations in succession that would have ended as converged but for a plateau,
    and of those the last ones where f is small but not steep: see plateau.py. factorizations, seconds: spent so far, in
    all sessions.
    """

    first: float
    stationarity: float
    best: float
    since: int
    sized: float
    stage: int
    factorizations: int
    seconds: float
    steep: int = 0
    calm: int = 0

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Stopping:
    """When `minimize` ends: at the first of these that holds.

    stationarity: the state's measure of optimality is below it times the first one (0: never); absolute: below this
    itself; projected: the projected gradient is below this. change: an iteration changes no design variable by more (0:
    never). None of these while constraints are violated by more than `feasibility`, relative to their scale.
    stall: so many iterations improved f by less than improvement · |f| (0: never). iterations, factorizations, seconds:
    budgets. floor: f below this falls without bound. Before the last stage of a continuation only budgets and the floor
    count.
    """

    iterations: int = 1000
    change: float = 0.0
    stationarity: float = 1e-6
    absolute: float = 0.0
    projected: float = 0.0
    feasibility: float = 1e-6
    stall: int = 0
    improvement: float = 1e-3
    factorizations: float = np.inf
    seconds: float = np.inf
    floor: float = -1e60

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        tolerances = (
            self.change,
            self.stationarity,
            self.absolute,
            self.projected,
            self.feasibility,
            self.improvement,
        )
        sound = (
            all(0.0 <= tolerance < np.inf for tolerance in tolerances)
            and -np.inf <= self.floor < np.inf
        )
        if not (self.iterations >= 1 and sound and self.stall >= 0):
            raise ValueError(
                f"Stopping: got {self}, expected at least one iteration, finite tolerances ≥ 0"
            )
        if not (self.factorizations > 0.0 and self.seconds > 0.0):
            raise ValueError(f"Stopping: got {self}, expected positive budgets")

    def begun(self, first: "State", steepness: float, sized: float) -> Progress:
        """What is remembered from the first state on; steepness: the dual norm of ∇f there; sized: see `Progress`.

        Where constraints are violated that limits the measure that later ones are compared with: a violation, in a
        measure, is no size of a gradient. Unless ∇f is zero there, which tells nothing.
        """
        unlimited = first.violation <= self.feasibility or steepness == 0.0
        measure = first.stationarity if unlimited else min(first.stationarity, steepness)
        return Progress(
            first.value, measure, first.value, first.iteration, sized, first.stage, 0, 0.0
        )

    def followed(
        self,
        progress: Progress,
        state: "State",
        steepness: float,
        sized: float,
        factorizations: int,
        seconds: float,
    ) -> Progress:
        """The same after another state, and after so much work in all."""
        if state.stage != progress.stage:  # Another objective, and another measure.
            anew = self.begun(state, steepness, sized)
            return replace(anew, factorizations=factorizations, seconds=seconds)
        best, since = progress.best, progress.since
        if state.value < best - self.improvement * abs(best):
            best, since = state.value, state.iteration
        return replace(
            progress, best=best, since=since, factorizations=factorizations, seconds=seconds
        )

    def reason(self, state: "State", progress: Progress) -> Status | None:
        """Why to stop at this state; None to go on."""
        if state.value < self.floor:
            return Status.UNBOUNDED
        converged = self._converged(state, progress) if state.left == 0 else None
        return converged or self.unconverged(state, progress)

    def unconverged(self, state: "State", progress: Progress) -> Status | None:
        """The same where no measure of convergence counts."""
        if state.value < self.floor:
            return Status.UNBOUNDED
        if state.ending:
            return state.ending
        if self.stall and state.left == 0 and state.iteration - progress.since >= self.stall:
            return Status.STALLED
        return self._spent(state, progress)

    def _converged(self, state: "State", progress: Progress) -> Status | None:
        feasible = state.violation <= self.feasibility
        small = (
            0.0
            <= state.stationarity
            <= max(self.stationarity * progress.stationarity, self.absolute)
            < np.inf
        )
        small = small and max(self.stationarity, self.absolute) > 0.0
        if feasible and (small or state.projected < self.projected):
            return Status.STATIONARY
        # An algorithm that found no way on leaves x as it was: that is no convergence.
        still = state.ending is None and self.change > 0.0 and state.change <= self.change
        return Status.UNCHANGING if still and feasible else None

    def _spent(self, state: "State", progress: Progress) -> Status | None:
        if state.iteration >= self.iterations:
            return Status.ITERATIONS
        if progress.factorizations >= self.factorizations:
            return Status.FACTORIZATIONS
        return Status.SECONDS if progress.seconds >= self.seconds else None
