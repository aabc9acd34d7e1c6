"""Writing the history of a run while it goes on: values, counts and seconds of each iteration."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..check import CheckReport
from ..factor import Counts
from ..factor.counting import collecting, phase
from ..optimize import Result, State
from .environment import peak_memory
from .history import HistoryWriter

PHASE_OF = {"design": "filter"}
"""What the report calls a phase of the library, where it is another name."""


@dataclass(eq=False)
class _Clock:
    """When the last record was written, and the seconds by phase until then."""

    started: float
    last: float
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recorder:
    """One record for each state it is called with: `minimize(..., each=recorder)`.

    writer: of the history; measures: state ↦ further fields of the record (volume, grayness, …).
    Work is counted, and timed, inside of `with recorder.running():`.
    """

    writer: HistoryWriter
    measures: Callable[[State], Mapping[str, float | None]]
    counts: Counts = field(default_factory=Counts)
    _clock: _Clock = field(default_factory=lambda: _Clock(time.perf_counter(), time.perf_counter()))

    def header(
        self,
        title: str,
        problem: Mapping[str, object],
        environment: Mapping[str, str],
        algorithm: str,
        tolerances: Mapping[str, float],
        taylor: CheckReport | None,
    ) -> None:
        """Write the first line: what is solved, with what, and how the gradient was checked (None: not)."""
        record: dict[str, object] = {
            "kind": "header",
            "title": title,
            "problem": dict(problem),
            "environment": dict(environment),
            "algorithm": algorithm,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": 0 if taylor is None else taylor.seed,
            "tolerances": dict(tolerances),
        }
        if taylor is not None:
            record["taylor"] = {
                "steps": taylor.steps,
                "remainders": [taylor.first, taylor.second],
                "orders": list(taylor.orders),
                "relative_error": taylor.relative_error,
                "dot_product_error": taylor.dot_product_error,
                "ok": taylor.ok,
            }
        self.writer.append(record)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count and time what is done inside of the `with` block."""
        self._clock.started = self._clock.last = time.perf_counter()
        with collecting(self.counts):
            yield

    def __call__(self, state: State) -> None:
        """Write the record of an iteration: the time since the last one is its time."""
        with phase("output"):
            now = time.perf_counter()
            seconds = self._seconds(now)
            counts = self.counts
            self.writer.append(
                {
                    "kind": "iteration",
                    "iteration": state.iteration,
                    "stage": 0,
                    "objective": state.value,
                    "change": state.change,
                    **self.measures(state),
                    "counts": {
                        "symbolic": counts.symbolic,
                        "numeric": counts.numeric,
                        "solves": counts.solves,
                        "transposed": counts.transposed,
                        "rhs": counts.rhs,
                    },
                    "seconds": seconds,
                    "peak_rss_mb": peak_memory(),
                }
            )

    def _seconds(self, now: float) -> dict[str, float]:
        """Seconds by phase since the last record; what no phase claims is the optimizer's."""
        clock = self._clock
        spent = {name: s - clock.seconds.get(name, 0.0) for name, s in self.counts.seconds.items()}
        seconds = {PHASE_OF.get(name, name): value for name, value in spent.items()}
        seconds["optimizer"] = max(0.0, now - clock.last - sum(spent.values()))
        clock.last, clock.seconds = now, dict(self.counts.seconds)
        return seconds

    def result(self, result: Result) -> None:
        """Write the last line: why the run ended."""
        self.writer.append(
            {
                "kind": "result",
                "status": result.status.value,
                "iterations": result.iterations,
                "objective": result.value,
                "seconds": time.perf_counter() - self._clock.started,
            }
        )
