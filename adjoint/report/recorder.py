"""Recording a run while it goes on: values, counts and seconds of each iteration."""

import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from math import isinf
from pathlib import Path

from .._dataclasses import short_repr
from .._validation import as_path, require_bool, require_function
from ..checks.report import CheckReport
from ..factor.counts import Counts, phase, total
from ..factor.evidence import Evidence
from ..optimize.restart.restart_file import threads
from ..optimize.result import Result
from ..optimize.state import Algorithm, State
from ..optimize.stopping import Stopping
from .history import COUNTS, entries, number
from .writer import HistoryWriter

PHASE_OF = {"design": "filter"}
"""What the report calls a phase of the library, where it is another name."""

Measures = Callable[[State], Mapping[str, float | None]]
"""State ↦ further numbers of a record, by name."""


@dataclass(eq=False)
class _Session:
    """Where counting and timing began, and how far they have got.

    started, first: the clock, and this thread's work, at the beginning; counts,
    elapsed: those of earlier sessions. last, done: the clock and the work at the last
    record; written: its iteration.
    """

    started: float = field(default_factory=time.perf_counter)
    first: Counts = field(default_factory=total)
    counts: dict[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    last: float = field(default_factory=time.perf_counter)
    done: Counts = field(default_factory=total)
    written: int | None = None
    headed: bool = False


@dataclass(eq=False)
class Recorder:
    """Record the history of a run, called with each of its states.

    Work is counted, and timed, from `header` on, in the thread that made the recorder;
    without a header from when the recorder was made. The recorder remembers where
    counting began, and the last record.

    Parameters
    ----------
    file : path
        Of the history; emptied unless `resume`.
    measures : callable, optional
        State ↦ numbers of your own for each record, by name. "volume" and "grayness",
        fractions, have a panel of the report; up to four others have one each.
    resume : bool
        Go on with the history in the file, if there is one, as `minimize(...,
        resume=True)` does with the run: records beyond the state that the run is
        resumed from are dropped, counts and seconds go on from the last one that is
        left.

    Raises
    ------
    ValueError
        With `resume`, for a file that is not a history.

    Examples
    --------
    ::

        recorder = Recorder("run/history.jsonl")
        recorder.header("Beam", algorithm=algorithm, stop=stop)
        result = adjoint.minimize(f, x, algorithm, stop=stop, callback=recorder)
        recorder.result(result)
        convergence_report(["run"], "run")
    """

    file: Path | str
    measures: Measures | None = None
    resume: bool = False
    writer: HistoryWriter = field(init=False, repr=False)
    _session: _Session = field(default_factory=_Session, init=False, repr=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        as_path("Recorder", "file", self.file)
        if self.measures is not None:
            require_function("Recorder", "measures", self.measures, "a function of a state")
        require_bool("Recorder", "resume", self.resume)
        self.writer = HistoryWriter(self.file, self.resume)

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
        """Write the first line of the history.

        Parameters
        ----------
        title : str
            Of the report.
        problem : mapping, optional
            What is solved: names and numbers, words or lists of them.
        environment : mapping of str to str, optional
            By default that of `environment()`.
        algorithm : Algorithm or str
            Its name and settings are written.
        stop : Stopping, optional
            The rules by which the run ends.
        constraints : sequence of str
            Names of the constraints, in the algorithm's order.
        taylor : CheckReport, optional
            The result of `adjoint.check`.

        Raises
        ------
        ValueError
            If the file holds another run: another title, problem, algorithm or settings.
        """
        self.writer.begin(
            {
                "kind": "header",
                "title": title,
                "problem": dict(problem or {}),
                "environment": _given_or_here(environment),
                "algorithm": algorithm if isinstance(algorithm, str) else type(algorithm).__name__,
                "settings": settings(algorithm),
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

        A state that ends its run is that of the record before, which stays.

        Raises
        ------
        ValueError
            For an iteration that does not follow the last one, and for measures with the
            name of a field of the record.
        """
        with phase("output"):
            session = self._session
            if state.iteration == session.written and state.ending is not None:
                return
            if session.written is None:
                self._begin(state.iteration)
            elif state.iteration <= session.written:
                raise ValueError(
                    f"Recorder: got iteration {state.iteration} after {session.written}, "
                    "expected a later one; "
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
        """Write the last line: how the run ended.

        Parameters
        ----------
        result : Result
            What `minimize` returned.
        """
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
                "cause": None
                if result.cause is None
                else f"{type(result.cause).__name__}: {result.cause}",
                "rejected": state.rejected if state.ending is not None else [],
                "gradient_check": _agreement(result) or self.writer.ended.get("gradient_check"),
                "counts": self._counts(total()),
                "seconds": session.elapsed + time.perf_counter() - session.started,
            }
        )

    def _begin(self, iteration: int) -> None:
        """Write a missing header; add up what earlier sessions spent until this iteration."""
        session, writer = self._session, self.writer
        if not session.headed:
            before = writer.header or {
                "kind": "header",
                "title": Path(writer.path).parent.name,
                "environment": environment(),
            }
            writer.begin({**before, "started": _now()})
        last = writer.rewind(iteration) or {}
        session.counts = {name: number(count) for name, count in entries(last, "counts").items()}
        session.elapsed = number(last.get("elapsed")) if last else 0.0

    def _counts(self, done: Counts) -> dict[str, int]:
        """Work in all sessions, by kind."""
        session = self._session
        return {
            name: int(session.counts.get(name, 0.0))
            + getattr(done, name)
            - getattr(session.first, name)
            for name in COUNTS
        }

    def _measured(self, state: State, record: Mapping[str, object]) -> dict[str, float | None]:
        found = {} if self.measures is None else dict(self.measures(state))
        if clash := [name for name in found if name in record]:
            raise ValueError(
                f"Recorder: got measures named {clash}, which are fields of the record; rename them"
            )
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


def _given_or_here(given: Mapping[str, str] | None) -> dict[str, str]:
    return environment() if given is None else dict(given)


def _agreement(result: Result) -> dict[str, float] | None:
    """The comparison of the gradient with differences; None if `minimize` made none."""
    check = result.gradient_check
    return (
        None if check is None else {"derivative": check.derivative, "difference": check.difference}
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


MOST = 8
"""Entries of a list, such as constraints or stages, that are shown."""


def settings(of: object) -> dict[str, str]:
    """Settings of an algorithm in words: {"search": "StrongWolfe (c1 0.0001, c2 0.9)"}.

    Numbers, words, and dataclasses of them; {} for an algorithm that is not a dataclass.
    """
    if not is_dataclass(of):
        return {}
    shown = (
        (field.name, _text(getattr(of, field.name)))
        for field in fields(of)
        if field.init and field.repr
    )
    return {name.replace("_", " "): text for name, text in shown if text}


def _text(value: object) -> str:
    """A setting in words; "" for arrays, functions and objects that hold nothing else."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if isinf(value) else f"{value:g}"  # No bound, no budget.
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, Stopping):
        return _asked(value)
    if is_dataclass(value):
        inside = ", ".join(f"{name} {text}" for name, text in settings(value).items())
        name = type(value).__name__
        return f"{name} ({inside})" if inside else "" if fields(value) else name
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return _listed([text for each in value if (text := _text(each))])
    return ""


def _listed(texts: list[str]) -> str:
    """A list of settings, equal neighbours counted; "" for none."""
    counted = [(text, len(list(same))) for text, same in groupby(texts)]
    shown = [text if count == 1 else f"{count} × {text}" for text, count in counted[:MOST]]
    more = sum(count for _, count in counted[MOST:])
    return "; ".join([*shown, *([f"{more} more"] if more else [])])


def _asked(stop: Stopping) -> str:
    """The rules that are not the default ones."""
    asked = [(field.name, getattr(stop, field.name), field.default) for field in fields(stop)]
    return ", ".join(f"{name} {_text(value)}" for name, value, default in asked if value != default)


PACKAGES = ("sparse-adjoint", "numpy", "scipy", "scikit-sparse", "pypardiso", "pyamg")


def environment(evidence: Evidence | None = None) -> dict[str, str]:
    """Versions, threads and machine, on which last digits and seconds may depend.

    Parameters
    ----------
    evidence : Evidence, optional
        Of a solve, which knows its solver and its threads.

    Returns
    -------
    dict of str to str
        Names and values, for the header of a history.
    """
    entries = {} if evidence is None else {"solver": evidence.backend}
    entries["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            entries[package] = version(package)
        except PackageNotFoundError:
            continue
    pools = threads() if evidence is None else evidence.threads
    entries["threads"] = ", ".join(
        f"{plain_library(library)} {number}" for library, number in pools.items()
    )
    entries["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return entries


def plain_library(file: str) -> str:
    """The name of a library: scipy_openblas64 for libscipy_openblas64_-32a4b2a6.so."""
    found = re.match(r"(?:lib)?(\w+)", Path(file).name)
    return found[1].rstrip("_") if found else file


def peak_memory() -> float:
    """The largest resident size of this process so far, MB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024.0**2 if sys.platform == "darwin" else 1024.0)
