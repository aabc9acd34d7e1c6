"""Recorder of a run: values, counts and seconds of each iteration, written during the run."""

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

REPORTED_PHASES = {"design": "filter"}
"""Names of phases: name in the library ↦ name in the report, if the two names differ."""

Measures = Callable[[State], Mapping[str, float | None]]
"""State ↦ further numbers for the record of an iteration: name ↦ number."""


@dataclass(eq=False)
class _Session:
    """Clock and work of a recorder, at the start of this session and at the last record.

    A session is the part of a run in one process: a resumed run has several sessions.
    Clocks are in seconds; work is that of this thread. earlier_counts, earlier_seconds:
    work and seconds of the earlier sessions. last_iteration: iteration of the last
    record, None before the first record of this session.
    """

    start_clock: float = field(default_factory=time.perf_counter)
    start_work: Counts = field(default_factory=total)
    earlier_counts: dict[str, float] = field(default_factory=dict)
    earlier_seconds: float = 0.0
    last_clock: float = field(default_factory=time.perf_counter)
    last_work: Counts = field(default_factory=total)
    last_iteration: int | None = None
    has_header: bool = False


@dataclass(eq=False)
class Recorder:
    """Callback that writes a record of each state of a run to a history file.

    Work and seconds are counted in the thread that made the recorder, from the call of
    `header` on. Without this call they are counted from the making of the recorder on.
    The recorder remembers clock and work at the start and at the last record.

    Parameters
    ----------
    file : path
        The history, in JSON lines. An existing file is emptied unless `resume` is True.
    measures : callable, optional
        State ↦ your own numbers for the record of an iteration: name ↦ number. The report
        has one panel for "volume" and "grayness" (both fractions), and a panel for
        each of up to four other names.
    resume : bool
        Continue the history in the file, if the file exists; for a run that
        `minimize(..., resume=True)` continues. Records after the state from which the
        run continues are dropped; counts and seconds continue from the last record that
        is left.

    Raises
    ------
    ValueError
        If `resume` is True and the file is not a history.

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
            Title of the report.
        problem : mapping, optional
            Description of the problem: name ↦ number, string, or list of numbers and
            strings.
        environment : mapping of str to str, optional
            Versions, threads and machine; by default the result of `environment()`.
        algorithm : Algorithm or str
            The algorithm, whose name and settings are written.
        stop : Stopping, optional
            The stopping rules of the run.
        constraints : sequence of str
            Names of the constraints, in the algorithm's order.
        taylor : CheckReport, optional
            The result of `adjoint.check`.

        Raises
        ------
        ValueError
            If the file holds the history of another run: title, problem, algorithm or
            settings differ.
        """
        self.writer.begin(
            {
                "kind": "header",
                "title": title,
                "problem": dict(problem or {}),
                "environment": _environment_or_default(environment),
                "algorithm": algorithm if isinstance(algorithm, str) else type(algorithm).__name__,
                "settings": settings(algorithm),
                "started": _now(),
                "constraints": list(constraints),
                "stopping": {} if stop is None else asdict(stop),
                **(
                    {}
                    if taylor is None
                    else {"seed": taylor.seed, "taylor": _taylor_record(taylor)}
                ),
            }
        )
        session = self._session
        session.has_header, session.start_work = True, total()
        session.last_work, session.start_clock = session.start_work, time.perf_counter()
        session.last_clock = session.start_clock

    def __call__(self, state: State) -> None:
        """Write the record of an iteration, with the seconds since the record before.

        The last state of a run may be passed twice, the second time with the reason why
        the run ended. The second call writes no record.

        Raises
        ------
        ValueError
            If the iteration is not later than that of the record before, or if a measure
            has the name of a field of the record.
        """
        with phase("output"):
            session = self._session
            if state.iteration == session.last_iteration and state.ending is not None:
                return
            if session.last_iteration is None:
                self._begin(state.iteration)
            elif state.iteration <= session.last_iteration:
                raise ValueError(
                    f"Recorder: got iteration {state.iteration} after {session.last_iteration}, "
                    "expected a later iteration. Each run needs a new recorder and a new file"
                )
            now, done = time.perf_counter(), total()
            record = {
                "kind": "iteration",
                **_numbers_of(state),
                "counts": self._counts(done),
                "seconds": _seconds(session, now, done),
                "elapsed": session.earlier_seconds + now - session.start_clock,
                "peak_rss_mb": peak_memory(),
            }
            self.writer.append(record | self._measured(state, record))
            session.last_clock, session.last_work = now, done
            session.last_iteration = state.iteration

    def result(self, result: Result) -> None:
        """Write the last line of the history: the reason why the run ended, and totals.

        Parameters
        ----------
        result : Result
            The result of `minimize`.
        """
        session, found, state = self._session, result.found, result.state
        if session.last_iteration is None:
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
                "gradient_check": _gradient_check(result)
                or self.writer.ended.get("gradient_check"),
                "counts": self._counts(total()),
                "seconds": session.earlier_seconds + time.perf_counter() - session.start_clock,
            }
        )

    def _begin(self, iteration: int) -> None:
        """Write the header if it is missing; read counts and seconds of earlier sessions.

        iteration: the first iteration that this session records.
        """
        session, writer = self._session, self.writer
        if not session.has_header:
            before = writer.header or {
                "kind": "header",
                "title": Path(writer.path).parent.name,
                "environment": environment(),
            }
            writer.begin({**before, "started": _now()})
        last = writer.rewind(iteration) or {}
        counts = entries(last, "counts")
        session.earlier_counts = {name: number(count) for name, count in counts.items()}
        session.earlier_seconds = number(last.get("elapsed")) if last else 0.0

    def _counts(self, done: Counts) -> dict[str, int]:
        """Return the work of all sessions up to now: kind of work ↦ count.

        done: work of this thread.
        """
        session = self._session
        return {
            name: int(session.earlier_counts.get(name, 0.0))
            + getattr(done, name)
            - getattr(session.start_work, name)
            for name in COUNTS
        }

    def _measured(self, state: State, record: Mapping[str, object]) -> dict[str, float | None]:
        """Return the user's measures: name ↦ number.

        Raises ValueError if the name of a measure is the name of a field of the record.
        """
        found = {} if self.measures is None else dict(self.measures(state))
        if clash := [name for name in found if name in record]:
            raise ValueError(
                f"Recorder: got measures named {clash}, which are fields of the record; rename them"
            )
        return found


def _numbers_of(state: State) -> dict[str, object]:
    """Return the fields of a record that are numbers or arrays of the state.

    The tolerance of solves is a field of states by loose solves only, see
    `gradient_tolerance` of `minimize`.
    """
    tolerance = {"rtol": state.rtol} if state.rtol > 0.0 else {}
    return tolerance | {
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
    """Return the seconds since the last record: phase ↦ seconds.

    The time outside of all phases is the phase "optimizer".
    """
    spent = {name: s - session.last_work.seconds.get(name, 0.0) for name, s in done.seconds.items()}
    seconds = {
        REPORTED_PHASES.get(name, name): value for name, value in spent.items() if value > 0.0
    }
    seconds["optimizer"] = max(0.0, now - session.last_clock - sum(spent.values()))
    return seconds


def _taylor_record(taylor: CheckReport) -> dict[str, object]:
    """Return the Taylor test as an entry of the header."""
    return {
        "steps": taylor.steps,
        "remainders": [taylor.first, taylor.second],
        "orders": list(taylor.orders),
        "relative_error": taylor.relative_error,
        "dot_product_error": taylor.dot_product_error,
        "ok": taylor.ok,
    }


def _environment_or_default(given: Mapping[str, str] | None) -> dict[str, str]:
    return environment() if given is None else dict(given)


def _gradient_check(result: Result) -> dict[str, float] | None:
    """Return derivative and difference of the gradient check; None without a check."""
    check = result.gradient_check
    return (
        None if check is None else {"derivative": check.derivative, "difference": check.difference}
    )


def _now() -> str:
    """Return the present time, UTC, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


MOST_ENTRIES = 8
"""Maximum number of entries that are shown of a list, such as constraints or stages."""


def settings(of: object) -> dict[str, str]:
    """Return the settings of an algorithm: {"search": "StrongWolfe (c1 0.0001, c2 0.9)"}.

    Settings are numbers, strings, and dataclasses, mappings and lists of numbers and
    strings. The result is {} if the algorithm is not a dataclass.
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
    """Return a setting as text; "" if it holds only arrays, functions and infinite numbers."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if isinf(value) else f"{value:g}"  # An infinite bound or budget is no limit.
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, Stopping):
        return _changed_rules(value)
    if is_dataclass(value):
        inside = ", ".join(f"{name} {text}" for name, text in settings(value).items())
        name = type(value).__name__
        return f"{name} ({inside})" if inside else "" if fields(value) else name
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, list | tuple):
        return _listed([text for entry in value if (text := _text(entry))])
    return ""


def _listed(texts: list[str]) -> str:
    """Return a list of settings as text, with "3 × text" for three equal neighbours."""
    counted = [(text, len(list(same))) for text, same in groupby(texts)]
    shown = [text if count == 1 else f"{count} × {text}" for text, count in counted[:MOST_ENTRIES]]
    more = sum(count for _, count in counted[MOST_ENTRIES:])
    return "; ".join([*shown, *([f"{more} more"] if more else [])])


def _changed_rules(stop: Stopping) -> str:
    """Return the stopping rules that differ from the defaults, as text."""
    rules = [(field.name, getattr(stop, field.name), field.default) for field in fields(stop)]
    return ", ".join(f"{name} {_text(value)}" for name, value, default in rules if value != default)


PACKAGES = ("sparse-adjoint", "numpy", "scipy", "scikit-sparse", "pypardiso", "pyamg")
"""Packages whose versions are recorded, if they are installed."""


def environment(evidence: Evidence | None = None) -> dict[str, str]:
    """Return versions, threads and machine: last digits and seconds of a run depend on these.

    Parameters
    ----------
    evidence : Evidence, optional
        Evidence of a solve, from which the solver and its numbers of threads are taken.

    Returns
    -------
    dict of str to str
        Name ↦ value, for the header of a history.
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
    """Return the short name of a library file.

    Example: scipy_openblas64 for libscipy_openblas64_-32a4b2a6.so.
    """
    found = re.match(r"(?:lib)?(\w+)", Path(file).name)
    return found[1].rstrip("_") if found else file


def peak_memory() -> float:
    """Return the largest resident memory of this process up to now, in MB of 2²⁰ bytes."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024.0**2 if sys.platform == "darwin" else 1024.0)
