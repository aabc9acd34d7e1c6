"""Progress of an optimization on the terminal: where it stands, and how long it will take."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

import numpy as np

from ..optimize.state import State
from ..optimize.stopping import Stopping
from ..typing import Array
from .summary import brief, duration

RECENT, FEWEST = 30, 6  # iterations that the rate of convergence is read off; fewer say nothing
STRAIGHT = 0.9  # share of the spread of log values that a line must explain, to be gone by
LINE = 10.0  # seconds from one line to the next, where the output is no terminal


@dataclass(eq=False)
class ProgressLine:
    """A line on each iterate: `with ProgressLine(stop) as progress: minimize(..., stop=stop, callback=progress)`.

    On a terminal, and in a notebook, the line is written over; elsewhere one is written every ten seconds. Time left:
    "at most" by the budgets of `stop`; "about" where the recent rate of convergence, if it lasts, ends the run earlier.

    stop: the stopping rules of the run; stream: None for the standard output; quiet: write nothing; clock: seconds.
    """

    stop: Stopping = field(default_factory=Stopping)
    stream: TextIO | None = None
    quiet: bool = False
    clock: Callable[[], float] = time.monotonic
    _recent: deque[tuple[float, State]] = field(default_factory=lambda: deque(maxlen=RECENT), init=False, repr=False)
    _started: float = field(default=0.0, init=False, repr=False)
    _shown: float = field(default=-np.inf, init=False, repr=False)
    _first: tuple[int, float] = field(default=(-1, 0.0), init=False, repr=False)
    _pending: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the line that was written over, or write one on the last state."""
        if self._pending and self._live:
            self._write("\n")
        elif self._pending:
            self._write(self.line([]) + "\n")
        self._pending = False

    def __call__(self, state: State) -> None:
        """Show a state."""
        if self.quiet:
            return
        now = self.clock()
        if state.stage != self._first[0]:
            self._first = (state.stage, state.stationarity)  # Another measure.
            self._recent.clear()
        self._recent.append((now, state))
        text = self.line(self._left(now))
        if self._live:
            columns = shutil.get_terminal_size().columns
            self._write("\r" + text[: columns - 1].ljust(columns - 1))
            self._pending = True
        elif now - self._shown >= LINE:
            self._write(text + "\n")
            self._shown, self._pending = now, False
        else:
            self._pending = True

    def line(self, left: Sequence[str]) -> str:
        """The last state in words; left: the time, in words."""
        state = self._recent[-1][1]
        facts = [
            f"iteration {state.iteration} of at most {self.stop.iterations}",
            *left,
            f"f = {state.value:.7g}",
            f"KKT {brief(state.stationarity)}",
            *([f"violation {brief(state.violation)}"] if state.violation > self.stop.feasibility else []),
            *([f"change {brief(state.change)}"] if np.isfinite(state.change) else []),
            *([f"stage {state.stage}"] if state.stage else []),
        ]
        return ", ".join(facts)

    def _left(self, now: float) -> list[str]:
        """The time left, where a second iteration has shown how long one takes."""
        (then, before), (_, state) = self._recent[0], self._recent[-1]
        if state.iteration == before.iteration:
            return []
        each = (now - then) / (state.iteration - before.iteration)
        most = min((self.stop.iterations - state.iteration) * each, self.stop.seconds - (now - self._started))
        about = self._iterations_left() * each
        return [f"about {duration(about)} left" if about < most else f"at most {duration(max(most, 0.0))} left"]

    def _iterations_left(self) -> float:
        """Until the first measure falls below its tolerance, at the rate at which it fell lately; inf if it did not."""
        stop, states = self.stop, [state for _, state in self._recent]
        tolerances = (
            ([state.stationarity for state in states], max(stop.stationarity * self._first[1], stop.absolute)),
            ([state.projected for state in states], stop.projected),
            ([state.change for state in states], stop.change),
        )
        k = np.array([state.iteration for state in states], dtype=float)
        return min(_until(k, np.array(values), tolerance) for values, tolerance in tolerances)

    @property
    def _live(self) -> bool:
        """Whether lines can be written over: on a terminal, or in a notebook, whose stream is the kernel's."""
        stream = self._out
        return stream.isatty() or type(stream).__module__.startswith("ipykernel")

    @property
    def _out(self) -> TextIO:
        return sys.stdout if self.stream is None else self.stream

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _until(k: Array, values: Array, tolerance: float) -> float:
    """Iterations until values falls to the tolerance on a line through their logarithms; inf where none fits."""
    known = np.isfinite(values) & (values > 0.0)
    if not (tolerance > 0.0 and known[-1] and known.sum() >= FEWEST):
        return np.inf
    x, y = k[known] - k[-1], np.log(values[known])
    slope, level = np.polyfit(x, y, 1)
    spread = float(np.sum((y - y.mean()) ** 2))
    straight = float(np.sum((y - level - slope * x) ** 2)) <= (1.0 - STRAIGHT) * spread
    return max(0.0, float((np.log(tolerance) - level) / slope)) if slope < 0.0 and straight else np.inf
