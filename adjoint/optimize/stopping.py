"""Stopping rules: when a run ends, and why."""

from dataclasses import dataclass, replace

import numpy as np

from .._dataclasses import short_repr
from .._validation import require_settings
from .state import State
from .status import Status


@dataclass(frozen=True, eq=False)
class Progress:
    """Memory of the stopping rules: the amounts of a run that its last state does not hold.

    Parameters
    ----------
    first : float
        f at the start of the run, or of the stage of a `Continuation`.
    stationarity : float
        The measure of optimality at the start, which later measures are compared with.
    best : float
        The lowest value of f so far.
    since : int
        The iteration at which the lowest value last fell by `Stopping.improvement`.
    sized : float
        Σ size_i |∂f/∂x_i| at the start, with the sizes of the variables; in the units of f.
    stage : int
        The stage of a `Continuation`; 0 for other algorithms.
    factorizations : int
        Number of factorizations so far, in all sessions of a resumed run.
    seconds : float
        Time so far, s, in all sessions of a resumed run.
    steep : int
        Number of successive iterations that a plateau kept from ending as converged.
    calm : int
        Number of the last among these iterations at which f was small but not steep.
    roughness : float
        With a gradient tolerance: the error of ∇f divided by the relative tolerance of the
        solves, at the last measurement: the dual norm of the error, per unit of rtol.
    value_roughness : float
        The same for the error of f.
    gain : float
        With a gradient tolerance: an estimate of |Δf| of the next iteration; inf before the
        first step.
    later : float
        With a gradient tolerance: the relative tolerance of solves after an iteration to the
        user's tolerance that tests whether the design still changes; 0 for other iterations.
    tuned : int
        With a gradient tolerance: the iteration of this measurement.
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
    roughness: float = 0.0
    value_roughness: float = 0.0
    gain: float = np.inf
    later: float = 0.0
    tuned: int = 0

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Stopping:
    """A run ends at the first of these rules that holds.

    The measures of convergence (`stationarity`, `absolute`, `projected`, `change`) do not
    count while a constraint is violated by more than `feasibility`. Before the last stage
    of a `Continuation` only the budgets and the floor count.

    Parameters
    ----------
    iterations : int
        Budget of iterations.
    change : float
        End if an iteration changes no variable by more, in units of x; 0: never.
    stationarity : float
        End if the measure of optimality falls below this part of its first value; 0: never.
    absolute : float
        End if the measure of optimality falls below this number, in the units of
        `State.stationarity`.
    projected : float
        End if `State.projected` falls below this number, in units of x.
    feasibility : float
        Largest violation of a constraint, relative to its scale, that counts as met.
    stall : int
        End after this number of iterations that lowered f by less than improvement · |f|;
        0: never.
    improvement : float
        Relative decrease of f that counts as an improvement, for `stall`.
    factorizations : float
        Budget of factorizations.
    seconds : float
        Budget of time, s.
    floor : float
        A value of f below this number falls without bound.

    Raises
    ------
    TypeError
        If a setting is not a number.
    ValueError
        If a budget is not positive, or if a tolerance is negative or infinite.
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
        """The progress at the first state of a run, or of a stage.

        If constraints are violated there, later measures are compared with ∇f at most: a
        violation is not the size of a gradient. If ∇f is zero there, it gives no measure.

        Parameters
        ----------
        first : State
            The first state.
        steepness : float
            The dual norm of ∇f at the first state.
        sized : float
            See `Progress.sized`.

        Returns
        -------
        Progress
            The progress, without work.
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
        """The progress after another state.

        Parameters
        ----------
        progress : Progress
            The progress before this state.
        state : State
            The next state.
        steepness : float
            The dual norm of ∇f at the state; read only if a new stage begins.
        sized : float
            See `Progress.sized`; read only if a new stage begins.
        factorizations : int
            Number of factorizations so far.
        seconds : float
            Time so far, s.

        Returns
        -------
        Progress
            The progress with this state.
        """
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
        """Why the run ends at this state, or None.

        Parameters
        ----------
        state : State
            The last state.
        progress : Progress
            The progress with this state.

        Returns
        -------
        Status or None
            The first rule that holds; None if the run goes on.
        """
        if state.value < self.floor:
            return Status.UNBOUNDED
        converged = self._converged(state, progress) if state.left == 0 else None
        return converged or self.unconverged(state, progress)

    def unconverged(self, state: "State", progress: Progress) -> Status | None:
        """Why the run ends at this state if the measures of convergence do not count, or None.

        Parameters
        ----------
        state : State
            The last state.
        progress : Progress
            The progress with this state.

        Returns
        -------
        Status or None
            The first rule that holds; None if the run goes on.
        """
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
        # An algorithm that found no step leaves x as it was: x has not converged then.
        still = state.ending is None and self.change > 0.0 and state.change <= self.change
        return Status.UNCHANGING if still and feasible else None

    def _spent(self, state: "State", progress: Progress) -> Status | None:
        if state.iteration >= self.iterations:
            return Status.ITERATIONS
        if progress.factorizations >= self.factorizations:
            return Status.FACTORIZATIONS
        return Status.SECONDS if progress.seconds >= self.seconds else None
