"""Running an algorithm: `descend` yields its states for ever, `minimize` is the loop with stopping rules.

How a run ended.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .._validation import as_parameters, as_path, has, named, require_bool, require_methods
from ..errors import RestartError, ResumedElsewhere, SolveError
from ..factor.counts import Counts, collecting
from ..reduced import Function
from ..typing import Array
from .plateau import believed, faded
from .restart import (
    Restart,
    fingerprint,
    read_restart,
    require_file,
    require_run,
    threads,
    write_restart,
)
from .state import Algorithm, State
from .status import Status
from .stopping import Progress, Stopping
from .trial import REFUSED, SHAPE, attempt
from .verification import GradientCheck, confirmed, require_derivative, sized_slope, unconfirmed


@dataclass(frozen=True, eq=False)
class Result:
    """How a run ended: its design, the best state, the last one, and why.

    state: the last one, from which the run could go on. best: of its stage, the lowest value among states that meet the
    constraints; the least violation where none does. status: why the run ended. cause: the error behind Status.FAILED,
    None for others. progress: factorizations and seconds spent. gradient_check: the comparison before the first step;
    None without one, and for a run that was resumed.
    """

    best: State
    state: State
    status: Status
    cause: SolveError | None
    progress: Progress
    gradient_check: GradientCheck | None = None

    def __repr__(self) -> str:
        return f"Result(value={self.value!r}, iterations={self.iterations}, {self.status.value!r})"

    @property
    def found(self) -> State:
        """The state to take: the last one of a run that converged, for it is what converged; the best one of others."""
        return self.state if self.success else self.best

    @property
    def x(self) -> Array:
        """The design found, (m,)."""
        return self.found.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.found.value

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.state.iteration

    @property
    def success(self) -> bool:
        """Whether the run converged."""
        return self.status.success


SAME = 1e-6
"""Relative difference of values up to which an objective is the one of a restart file."""


Observer = Callable[[State], None]
"""Called with every accepted state: to log, to plot."""


def descend(f: Function, x: Array, algorithm: Algorithm) -> Iterator[State]:
    """Yield the states of the algorithm from x on, without end: the caller stops, logs and plots.

    After a state with an `ending` the same one comes again and again.
    """
    require_methods(
        "descend",
        "algorithm",
        algorithm,
        ("start", "advance"),
        "one such as adjoint.optimize.LBFGS()",
    )
    return _descended(f, x, algorithm)


def _descended(f: Function, x: Array, algorithm: Algorithm) -> Iterator[State]:
    state = algorithm.start(f, x)
    while True:
        yield shown_state(state)
        if state.ending is None:
            state = algorithm.advance(f, state)


def minimize(
    f: Function,
    x: Array,
    algorithm: Algorithm,
    *,
    stop: Stopping | None = None,
    check: bool = True,
    callback: Observer | Sequence[Observer] = (),
    restart: Path | str | None = None,
    resume: bool = False,
) -> Result:
    """Run the algorithm from x until a stopping rule holds; the best state is returned.

    check: before the first step compare the gradients of f and of the algorithm's constraints with differences (up to
    four evaluations of f, one more with constraints); raises WrongGradient where they differ by more than 1e-3. Once
    more where the run would end as converged: Status.INCONSISTENT, FLAT or SADDLE where differences say otherwise.
    UNEVEN, where the gradient is small only beside that of variables in other units, and RISEN, above the best state,
    take no evaluation. callback: called with every state.

    restart: a file to which every state is written, after the calls of `callback`; resume: go on from the one it holds,
    where there is one: to the same bits as a run that was never interrupted; x has to be of its size, and f, unless
    check is False, what it was. KeyboardInterrupt ends the run with Status.INTERRUPTED, a failed solve that the
    algorithm cannot do without with Status.FAILED. Raises what f raises at the start, RestartError for a file that
    cannot be gone on from.
    """
    file = None if restart is None else as_path("minimize", "restart", restart)
    for name, flag in (("check", check), ("resume", resume)):
        require_bool("minimize", name, flag)
    start = as_parameters(x, "x")
    run = _Run(f, algorithm, Stopping() if stop is None else stop, check, file, start)
    observers = tuple(callback) if isinstance(callback, Sequence) else (callback,)
    if not (isinstance(run.stop, Stopping) and all(map(callable, observers))):
        raise TypeError(
            f"minimize: got stop={stop!r}, callback={callback!r}, expected a Stopping and functions of a state"
        )
    if not has(algorithm, "start", "advance"):
        raise TypeError(
            f"minimize: got {named(algorithm)}, expected an algorithm such as adjoint.optimize.LBFGS(); those of other packages "
            "run by adjoint.interop.minimization"
        )
    if run.file is not None:
        _prepare(run.file)
    at, found = (run.resumed(x) if resume else None), None
    if at is None:
        at, found = run.begun(x, observers)
    return replace(run.finished(at, observers), gradient_check=found)


@dataclass(frozen=True, eq=False)
class _Run:
    """What stays the same during a run."""

    f: Function
    algorithm: Algorithm
    stop: Stopping
    check: bool
    file: Path | None
    start: Array

    def begun(
        self, x: Array, observers: Sequence[Observer]
    ) -> tuple[Restart, GradientCheck | None]:
        """The first state, observed and saved, and the check of its gradient."""
        counts, started, found = Counts(), time.perf_counter(), None
        with collecting(counts):
            state = _stored(self.algorithm.start(self.f, x))
            if self.check:
                found = require_derivative(
                    self.f, state, self.algorithm.bounds, self.algorithm.constrained
                )
        progress = self.stop.begun(state, self._steepness(state), self._sized(state))
        spent = replace(
            progress, factorizations=counts.numeric, seconds=time.perf_counter() - started
        )
        at = Restart(state, _light(state), spent, fingerprint(self.algorithm), threads())
        self._note(at, observers)
        return at, found

    def resumed(self, x: Array) -> Restart | None:
        """What the file holds; None without a file. Raises ValueError without a path, RestartError."""
        if self.file is None:
            raise ValueError(
                "minimize: got resume=True without restart=, expected the path of the file"
            )
        if not os.path.exists(
            self.file
        ):  # Without an error for what cannot be looked at: writing will tell.
            return None
        at, here = read_restart(self.file), threads()
        require_run(self.file, at, fingerprint(self.algorithm), x)
        if self.check:
            self._require_function(at.state)
        if at.state.ending is Status.FAILED:  # What failed may work by now.
            at = replace(at, state=replace(at.state, ending=None))
        if other := {
            name: (n, here[name]) for name, n in at.threads.items() if here.get(name, n) != n
        }:
            changed = ", ".join(f"{name}: {was}, now {now}" for name, (was, now) in other.items())
            warnings.warn(
                f"{self.file}: numbers of threads have changed ({changed}); last bits may differ",
                ResumedElsewhere,
                4,
            )
        return at

    def _require_function(self, state: State) -> None:
        """Raise RestartError where f at the file's design is not what the file says; not in later stages."""
        point = None if state.stage else attempt(self.f, state.x)
        now, then = state.value if point is None else point.value, state.value
        if not abs(now - then) <= SAME * max(abs(now), abs(then)):
            raise RestartError(
                f"{self.file}: the restart file of another objective: at its design that was {then:.8g}, and is "
                f"{now:.8g}. Begin anew with another path; check=False goes on regardless"
            )

    def finished(self, at: Restart, observers: Sequence[Observer]) -> Result:
        """Go on to the end."""
        try:
            while True:
                at, status = self._judged(at)
                if status:
                    cause = REFUSED.get() if status is Status.FAILED else None
                    return Result(at.best, at.state, status, cause, at.progress)
                at = self._next(at)
                self._note(at, observers)
        except KeyboardInterrupt:
            return Result(at.best, at.state, Status.INTERRUPTED, None, at.progress)
        except SolveError as error:
            return Result(at.best, at.state, Status.FAILED, error, at.progress)

    def _next(self, at: Restart) -> Restart:
        counts, started = Counts(), time.perf_counter()
        with collecting(counts):
            state = _stored(self._advanced(at))
        work = at.progress.factorizations + counts.numeric
        seconds = at.progress.seconds + time.perf_counter() - started
        first = (
            (self._steepness(state), self._sized(state))
            if state.stage != at.state.stage
            else (np.inf, 0.0)
        )
        progress = self.stop.followed(at.progress, state, *first, work, seconds)
        return replace(
            at, state=state, best=self._better(state, at.best), progress=progress, read=False
        )

    def _steepness(self, state: State) -> float:
        """The dual norm of ∇f: all of it, for bounds that hold it at a start that is not feasible will not for long."""
        return self.algorithm.inner.dual_norm(state.gradient)

    def _sized(self, state: State) -> float:
        return sized_slope(state, self.algorithm.bounds, self.algorithm.inner)

    def _advanced(self, at: Restart) -> State:
        token = SHAPE.set(at.state.x.shape if at.read else None)
        try:
            return self.algorithm.advance(self.f, at.state)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            if not at.read or isinstance(error, SolveError) or not _ours(error):
                raise
            raise RestartError(
                f"{self.file}: the first iteration after it stopped with {error!r}: not written by this algorithm"
            ) from error
        finally:
            SHAPE.reset(token)

    def _note(self, at: Restart, observers: Sequence[Observer]) -> None:
        if at.state.ending is None or at.state.iteration == 0:
            shown = shown_state(at.state)
            for observe in observers:
                observe(shown)
        if self.file is not None:
            write_restart(self.file, at)

    def _better(self, state: State, best: State) -> State:
        """The better of two states; values of different stages are not compared."""
        if state.stage != best.stage:
            return _light(state)
        allowed = self.stop.feasibility
        measures = [(max(each.violation, allowed), each.value) for each in (state, best)]
        return _light(state) if measures[0] < measures[1] else best

    def _judged(self, at: Restart) -> tuple[Restart, Status | None]:
        """Why to stop, if at all. Where f has collapsed the run goes on for a while: a minimum may be behind it."""
        status, state, algorithm = self.stop.reason(at.state, at.progress), at.state, self.algorithm
        if status is None or not status.success:
            return replace(at, progress=faded(at.progress, state)), status
        if self.check:
            f, bounds = state.function or self.f, algorithm.bounds
            progress, end = believed(
                status, f, state, at.progress, self.start, algorithm.constrained, bounds
            )
            at = replace(at, progress=progress)
            if end is not status:
                return at, end or self.stop.unconverged(state, progress)
        return at, self._confirmed(status, at)

    def _confirmed(self, status: Status, at: Restart) -> Status:
        bounds, inner = self.algorithm.bounds, self.algorithm.inner
        status = unconfirmed(status, at.state, at.best, at.progress, bounds, inner)
        if not (self.check and status.success):
            return status
        return confirmed(status, self.f, at.state, at.progress.first, bounds)


def _prepare(file: Path) -> None:
    """Make the directory of a restart file; raises RestartError where there can be none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RestartError(
            f"{file}: cannot write a restart file there ({error.strerror or error})"
        ) from error
    require_file(file)


def _ours(error: Exception) -> bool:
    """Whether an algorithm raised it, and not what it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
    return name.startswith((__package__, "adjoint._numerics"))


def _light(state: State) -> State:
    """The state without what only its algorithm needs."""
    return replace(state, memory={}, point=None, function=None)


def _stored(state: State) -> State:
    """The state as it comes back from a file: sums over rows and columns may differ in their last bits."""
    memory = {name: np.asarray(array, order="C") for name, array in state.memory.items()}
    return replace(state, value=float(state.value), memory=memory)


def shown_state(state: State) -> State:
    """The state in arrays that whoever is shown it cannot change: the algorithm goes on from them."""
    return replace(
        state,
        x=_view(state.x),
        gradient=_view(state.gradient),
        constraints=_view(state.constraints),
        multipliers=_view(state.multipliers),
        rejected=_view(state.rejected),
        memory={name: _view(array) for name, array in state.memory.items()},
    )


def _view(array: Array) -> Array:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
