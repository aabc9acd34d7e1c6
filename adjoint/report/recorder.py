"""Writing the history of a run while it goes on: values, counts and seconds of each iteration."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from .._validation import as_path, require_bool, require_function
from ..checks.report import CheckReport
from ..factor.counts import Counts, phase, total
from ..optimize.run import Result
from ..optimize.state import Algorithm, State
from ..optimize.stopping import Stopping
from .environment import environment as here
from .environment import peak_memory
from .record import COUNTS, entries, number
from .settings import settings
from .writer import HistoryWriter

PHASE_OF = {"design": "filter"}
"""What the report calls a phase of the library, where it is another name."""

Measures = Callable[[State], Mapping[str, float | None]]
"""State ↦ further numbers of a record, by name."""


@dataclass(eq=False)
class _Session:
    """Where counting and timing began, and how far they have got.

    started, first: the clock, and this thread's work, at the beginning; counts, elapsed: those of earlier sessions.
    last, done: the clock and the work at the last record; written: its iteration.
    """

    started: float = field(default_factory=time.perf_counter)
    first: Counts = field(default_factory=total)
    counts: dict[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    last: float = field(default_factory=time.perf_counter)
    done: Counts = field(default_factory=total)
    written: int | None = None
    headed: bool = False


@dataclass(frozen=True, eq=False)
class Recorder:
    """One record for each state it is called with: `minimize(..., callback=recorder)`, then `recorder.result(result)`.

    file: the path of the history. measures: numbers of your own in each record, such as "volume" and "grayness",
    fractions that have a panel. resume: go on with the history that is there, if there is one, as `minimize(...,
    resume=True)` does with the run: records of iterations beyond the state that the run is resumed from are dropped,
    counts and seconds go on from the last one that is left. Without it the file is emptied. Raises ValueError for
    what is no history.

    Work is counted, and timed, from `header` on (without one, from when the recorder was made), in the thread that
    made the recorder.
    """

    file: Path | str
    measures: Measures | None = None
    resume: bool = False
    writer: HistoryWriter = field(init=False, repr=False)
    _session: _Session = field(default_factory=_Session, init=False, repr=False)

    def __post_init__(self) -> None:
        as_path("Recorder", "file", self.file)
        if self.measures is not None:
            require_function("Recorder", "measures", self.measures, "a function of a state")
        require_bool("Recorder", "resume", self.resume)
        object.__setattr__(self, "writer", HistoryWriter(self.file, self.resume))

    def header(
        self,
        title: str,
        *,
        problem: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        algorithm: Algorithm | str = "",
        stop: Stopping | None = None,
        constraints: Sequence[str] = (),
        taylor: CheckReport | None = None,
    ) -> None:
        """Write the first line: what is solved, where, by what, when it ends, and how the gradient was checked.

        constraints: their names, in the order of the algorithm's.
        Raises ValueError where the file goes on with another run (title, problem, algorithm).
        """
        self.writer.begin(
            {
                "kind": "header",
                "title": title,
                "problem": dict(problem or {}),
                "environment": dict(here() if environment is None else environment),
                "algorithm": settings(algorithm),
                "started": _now(),
                "constraints": list(constraints),
                "stopping": {} if stop is None else asdict(stop),
                **({} if taylor is None else {"seed": taylor.seed, "taylor": _tested(taylor)}),
            }
        )
        session = self._session
        session.headed, session.first = True, total()
        session.done, session.started = session.first, time.perf_counter()
        session.last = session.started

    def __call__(self, state: State) -> None:
        """Write the record of an iteration: the time since the last one is its time.

        A state that ends its run is that of the record before, which stays. Raises ValueError for an iteration that
        does not follow the last one, and for measures that are named as fields of the record.
        """
        with phase("output"):
            session = self._session
            if state.iteration == session.written and state.ending is not None:
                return
            if session.written is None:
                self._begin(state.iteration)
            elif state.iteration <= session.written:
                raise ValueError(
                    f"Recorder: got iteration {state.iteration} after {session.written}, expected a later one; "
                    "each run needs a recorder, and a file, of its own"
                )
            now, done = time.perf_counter(), total()
            record = {
                "kind": "iteration",
                **_of(state),
                "counts": self._counts(done),
                "seconds": _seconds(session, now, done),
                "elapsed": session.elapsed + now - session.started,
                "peak_rss_mb": peak_memory(),
            }
            self.writer.append(record | self._measured(state, record))
            session.last, session.done, session.written = now, done, state.iteration

    def result(self, result: Result) -> None:
        """Write the last line: how the run ended."""
        session, found, state = self._session, result.found, result.state
        if session.written is None:
            self._begin(result.iterations + 1)
        self.writer.append(
            {
                "kind": "result",
                "status": result.status.value,
                "success": result.success,
                "iterations": result.iterations,
                "evaluations": state.evaluations,
                "objective": result.value,
                "constraint_violation": found.violation,
                "found": found.iteration,
                "cause": None if result.cause is None else f"{type(result.cause).__name__}: {result.cause}",
                "rejected": state.rejected if state.ending is not None else [],
                "counts": self._counts(total()),
                "seconds": session.elapsed + time.perf_counter() - session.started,
            }
        )

    def _begin(self, iteration: int) -> None:
        """A header, where there is none, and what earlier sessions have spent until this iteration."""
        session, writer = self._session, self.writer
        if not session.headed:
            before = writer.header or {"kind": "header", "title": Path(writer.path).parent.name, "environment": here()}
            writer.begin({**before, "started": _now()})
        last = writer.rewind(iteration) or {}
        session.counts = {name: number(count) for name, count in entries(last, "counts").items()}
        session.elapsed = number(last.get("elapsed")) if last else 0.0

    def _counts(self, done: Counts) -> dict[str, int]:
        """Work in all sessions, by kind."""
        session = self._session
        return {
            name: int(session.counts.get(name, 0.0)) + getattr(done, name) - getattr(session.first, name)
            for name in COUNTS
        }

    def _measured(self, state: State, record: Mapping[str, object]) -> dict[str, float | None]:
        found = {} if self.measures is None else dict(self.measures(state))
        if clash := [name for name in found if name in record]:
            raise ValueError(f"Recorder: got measures named {clash}, which are fields of the record; rename them")
        return found


def _of(state: State) -> dict[str, object]:
    """What a state says of itself."""
    return {
        "iteration": state.iteration,
        "stage": state.stage,
        "objective": state.value,
        "scaled": state.value * state.scale,
        "constraints": state.constraints,
        "multipliers": state.multipliers,
        "constraint_scales": state.scales,
        "constraint_violation": state.violation,
        "projected_gradient": state.projected,
        "kkt": state.stationarity,
        "step": state.step,
        "change": state.change,
        "rejected": state.rejected,
        "evaluations": state.evaluations,
    }


def _seconds(session: _Session, now: float, done: Counts) -> dict[str, float]:
    """Seconds by phase since the last record; what no phase claims is the optimizer's."""
    spent = {name: s - session.done.seconds.get(name, 0.0) for name, s in done.seconds.items()}
    seconds = {PHASE_OF.get(name, name): value for name, value in spent.items() if value > 0.0}
    seconds["optimizer"] = max(0.0, now - session.last - sum(spent.values()))
    return seconds


def _tested(taylor: CheckReport) -> dict[str, object]:
    return {
        "steps": taylor.steps,
        "remainders": [taylor.first, taylor.second],
        "orders": list(taylor.orders),
        "relative_error": taylor.relative_error,
        "dot_product_error": taylor.dot_product_error,
        "ok": taylor.ok,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
