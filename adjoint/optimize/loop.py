"""The loop of a run: one iteration after another, judged by the stopping rules."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import SolveError
from ..factor.counts import Counts, collecting
from ..reduced import Function
from ..typing import Array
from .gradient_tolerance import GradientTolerance
from .manifolds.manifold import Manifold, inner_at
from .manifolds.neighbourhood import nearby
from .restart.fingerprint import fingerprint
from .restart.restart_file import Restart, read_restart, threads, write_restart
from .restart.verification import require_run, require_same_objective, warn_of_threads
from .result import Result
from .state import Algorithm, State
from .status import Status
from .stopping import Progress, Stopping
from .verification.convergence import sized_slope, status_by_differences, status_by_values
from .verification.gradient_check import GradientCheck, require_derivative
from .verification.plateau import plateau_status, with_fading_doubts

Observer = Callable[[State], None]
"""A function that is called with every accepted state: to log, to plot, to record."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run of `minimize`: its arguments, and the steps of its loop."""

    f: Function
    algorithm: Algorithm
    stop: Stopping
    check: bool
    file: Path | None
    start: Array
    tuning: GradientTolerance | None

    @property
    def _fingerprint(self) -> str:
        """The fingerprint of the algorithm, and the gradient tolerance if there is one."""
        own = fingerprint(self.algorithm)
        return own if self.tuning is None else f"{own} gradient_tolerance={self.tuning.tolerance}"

    def _f(self, state: State) -> Function:
        """f by solves to the tolerance of the state."""
        return self.f if self.tuning is None else self.tuning.at(state.rtol)

    def begun(
        self, x: Array, observers: Sequence[Observer]
    ) -> tuple[Restart, GradientCheck | None]:
        """The first state, checked, observed and saved; and the check of its gradient."""
        counts, started, found = Counts(), time.perf_counter(), None
        with collecting(counts):
            state = _stored(self.algorithm.start(self.f, x))
            if self.check:
                found = require_derivative(
                    self._near(self.f, state),
                    state,
                    self.algorithm.bounds,
                    self.algorithm.constrained,
                )
            progress = self.stop.begun(state, self.steepness(state), self._sized(state))
            if self.tuning is not None:
                tuned, progress = self.tuning.begun(state, progress)
                state = _stored(tuned)
        spent = replace(
            progress, factorizations=counts.numeric, seconds=time.perf_counter() - started
        )
        at = Restart(state, self._kept(state), spent, self._fingerprint, threads())
        self._note(at, observers)
        return at, found

    def resumed(self, x: Array) -> Restart | None:
        """The content of the restart file, verified; None if the file does not exist.

        Raise ValueError if the run has no path, RestartError if the file is not of this run.
        """
        if self.file is None:
            raise ValueError(
                "minimize: got resume=True without restart=, expected the path of the file"
            )
        if not os.path.exists(self.file):  # A path that cannot be examined is reported by writing.
            return None
        at = read_restart(self.file)
        require_run(self.file, at, self.algorithm, self._fingerprint, x)
        if self.check:
            require_same_objective(self.file, self._f(at.state), at.state)
        warn_of_threads(self.file, at)
        if at.state.ending is Status.FAILED:  # The solve that failed may succeed now.
            return replace(at, state=replace(at.state, ending=None))
        return at

    def finished(self, at: Restart, observers: Sequence[Observer]) -> Result:
        """Iterate until the run ends."""
        try:
            while True:
                at, status = self._tested(at)
                if status:
                    cause = at.state.failure if status is Status.FAILED else None
                    return Result(at.best, at.state, status, cause, at.progress)
                at = self._next(at)
                self._note(at, observers)
        except KeyboardInterrupt:
            return Result(at.best, at.state, Status.INTERRUPTED, None, at.progress)
        except SolveError as error:
            return Result(at.best, at.state, Status.FAILED, error, at.progress)

    def _next(self, at: Restart) -> Restart:
        """One iteration: the next state, the better of two states, and the work so far."""
        counts, started = Counts(), time.perf_counter()
        with collecting(counts):
            after = self.algorithm.advance(self._f(at.state), at.state)
            state = _stored(replace(after, rtol=at.state.rtol))
        work = at.progress.factorizations + counts.numeric
        seconds = at.progress.seconds + time.perf_counter() - started
        first = (
            (self.steepness(state), self._sized(state))
            if state.stage != at.state.stage
            else (np.inf, 0.0)
        )
        progress = self.stop.followed(at.progress, state, *first, work, seconds)
        if self.tuning is not None:
            progress = self.tuning.advanced(at.state, state, progress)
        return replace(at, state=state, best=self._better(state, at.best), progress=progress)

    def _tested(self, at: Restart) -> tuple[Restart, Status | None]:
        """The status if the run ends here; else None, and the run before its next iteration."""
        if at.state.rtol > 0.0:
            return self._doubted(at)
        at, status = self._judged(at)
        if status is None and at.progress.later > 0.0:  # The design has changed once more.
            loose = self._solved_to(at, at.progress.later)
            return replace(loose, progress=replace(loose.progress, later=0.0)), None
        return at, status

    def _doubted(self, at: Restart) -> tuple[Restart, Status | None]:
        """The status if the run ends here; else None, and the tolerance of the next iteration.

        The state is by loose solves. If it meets a rule of convergence, or if the budget is
        spent, the design is solved to the user's tolerance. If the rule then fails, or if the
        algorithm found no step, the run goes on with a tighter tolerance.
        """
        tuning, state = self.tuning, at.state
        assert tuning is not None
        status = self.stop.reason(state, at.progress)
        if status is Status.FAILED:
            return at, status
        if status is None:
            return self._tuned(at, lambda: tuning.followed(state, at.progress)), None
        if status in (Status.STUCK, Status.INFEASIBLE):
            return self._solved_to(at, tuning.tighter(state.rtol)), None
        exact = self._solved_to(at, 0.0)
        if status is Status.STALLED:  # Perhaps because of the errors of f: begin to count again.
            anew = replace(exact.progress, best=exact.best.value, since=state.iteration)
            return replace(exact, progress=anew), None
        if not status.success:
            return exact, status
        unchanging = status is Status.UNCHANGING
        exact, status = self._judged(exact)
        if status is not None:
            return exact, status
        tighter = tuning.tighter(state.rtol)
        if unchanging and tuning.misled(state, exact.state):
            return self._tuned(exact, lambda: (tuning.anew(state), exact.progress)), None
        if unchanging:  # An iteration by exact solves shows whether the design still changes.
            return replace(exact, progress=replace(exact.progress, later=tighter)), None
        return self._solved_to(replace(at, progress=exact.progress), tighter), None

    def _solved_to(self, at: Restart, rtol: float) -> Restart:
        """The last and the best state, by solves to the relative tolerance rtol."""
        tuning, progress = self.tuning, at.progress
        assert tuning is not None
        return self._tuned(at, lambda: (tuning.revalued(at.state, rtol), progress))

    def _tuned(self, at: Restart, tune: Callable[[], tuple[State, Progress]]) -> Restart:
        """The run after a change of the tolerance; its work counts.

        If the best state is another one, it is solved again, so that values of one tolerance
        are compared.
        """
        tuning = self.tuning
        assert tuning is not None
        counts, started = Counts(), time.perf_counter()
        with collecting(counts):
            state, progress = tune()
            best = at.best
            if best.iteration == state.iteration:
                best = self._kept(_stored(state))
            elif best.rtol != state.rtol:
                best = self._better(state, _stored(tuning.revalued(best, state.rtol)))
                best = self._kept(best)
        spent = replace(
            progress,
            factorizations=progress.factorizations + counts.numeric,
            seconds=progress.seconds + time.perf_counter() - started,
        )
        return replace(at, state=_stored(state), best=best, progress=spent)

    def steepness(self, state: State) -> float:
        """The dual norm of ∇f, with all components.

        Components at active bounds count: bounds that an infeasible start has reached become
        inactive soon.
        """
        inner = inner_at(self._manifold, self.algorithm.inner, state.x)
        return inner.dual_norm(state.gradient)

    @property
    def _manifold(self) -> Manifold | None:
        """The manifold of the designs; None for algorithms without one."""
        return getattr(self.algorithm, "manifold", None)

    def _near(self, f: Function, state: State) -> Function:
        """f, or f next to the design of the state, along the manifold."""
        return nearby(f, self._manifold, state.x)

    def _sized(self, state: State) -> float:
        return sized_slope(state, self.algorithm.bounds, self.algorithm.inner)

    def _note(self, at: Restart, observers: Sequence[Observer]) -> None:
        """Call the observers with the state, then write the restart file."""
        if at.state.ending is None or at.state.iteration == 0:
            shown = shown_state(at.state)
            for observe in observers:
                observe(shown)
        if self.file is not None:
            write_restart(self.file, at)

    def _better(self, state: State, best: State) -> State:
        """The better of two states; values of different stages are not compared."""
        if state.stage != best.stage:
            return self._kept(state)
        allowed = self.stop.feasibility
        measures = [(max(each.violation, allowed), each.value) for each in (state, best)]
        return self._kept(state) if measures[0] < measures[1] else best

    def _kept(self, state: State) -> State:
        """The best state as it is kept: with its memory if it may have to be revalued."""
        light = _light(state)
        return light if self.tuning is None else replace(light, memory=state.memory)

    def _judged(self, at: Restart) -> tuple[Restart, Status | None]:
        """The status if the run ends here, else None; and the progress with what was learned.

        If f has collapsed the run goes on for a while: a minimum may be behind the plateau.
        """
        status, state, algorithm = self.stop.reason(at.state, at.progress), at.state, self.algorithm
        if status is None or not status.success:
            return replace(at, progress=with_fading_doubts(at.progress, state)), status
        if self.check:
            f, bounds = self._near(state.function or self.f, state), algorithm.bounds
            # On a manifold of positive matrices a design cannot move by its first size.
            start = self.start if self._manifold is None else state.x
            progress, end = plateau_status(
                status, f, state, at.progress, start, algorithm.constrained, bounds
            )
            at = replace(at, progress=progress)
            if end is not status:
                return at, end or self.stop.unconverged(state, progress)
        return at, self._confirmed(status, at)

    def _confirmed(self, status: Status, at: Restart) -> Status:
        bounds, inner = self.algorithm.bounds, self.algorithm.inner
        status = status_by_values(status, at.state, at.best, at.progress, bounds, inner)
        if not (self.check and status.success):
            return status
        return status_by_differences(
            status, self._near(self.f, at.state), at.state, at.progress.first, bounds
        )


def shown_state(state: State) -> State:
    """The state with read-only arrays: an observer cannot change the run."""
    return replace(
        state,
        x=_view(state.x),
        gradient=_view(state.gradient),
        constraints=_view(state.constraints),
        multipliers=_view(state.multipliers),
        rejected=_view(state.rejected),
        memory={name: _view(array) for name, array in state.memory.items()},
    )


def _light(state: State) -> State:
    """The state without memory, point, function and failure, which only its algorithm needs."""
    return replace(state, memory={}, point=None, function=None, failure=None)


def _stored(state: State) -> State:
    """The state as a file returns it: sums over rows and columns may differ in last bits."""
    memory = {name: np.asarray(array, order="C") for name, array in state.memory.items()}
    return replace(state, value=float(state.value), memory=memory)


def _view(array: Array) -> Array:
    """A read-only view; unlike `_numerics.read_only` also of arrays of shape ()."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
