"""Progress of a run, a sweep or a loop on the terminal, and the time left."""

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

import numpy as np

from .._dataclasses import short_repr
from ..checkpointing.binomial import minimal_advances
from ..checkpointing.store import SweepEvent
from ..optimize.state import State
from ..optimize.stopping import Stopping
from ..typing import Array
from .summary import brief, duration

if TYPE_CHECKING:
    from tqdm import tqdm

RECENT, FEWEST = 30, 6  # iterations from which the rate of convergence is read; fewer say nothing
STRAIGHT = (
    0.9  # share of the spread of log values that a line must explain before it is extrapolated
)
LINE = 10.0  # seconds between lines if the output is a file
REDRAWN = 0.1  # seconds between two states of a line on a terminal
SWEEPS = {"forward": "forward", "rejected": "forward", "tangent": "tangent", "reverse": "reverse"}


@dataclass(eq=False)
class Progress:
    """One line of text that is rewritten on a terminal; in a file, a new line every 10 s.

    Base class of `ProgressLine`, `SweepProgress` and `LoopProgress`. A progress display
    is a context manager: its exit ends the line. The object remembers the last text that
    was not written, and the time at which a text was last written.

    Parameters
    ----------
    stream : text file, optional
        The text is written to this file; default: the standard output.
    quiet : bool
        True writes nothing.
    clock : callable
        Function that returns seconds since an arbitrary time.
    """

    stream: TextIO | None = field(default=None, kw_only=True)
    quiet: bool = field(default=False, kw_only=True)
    clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    _started: float = field(default=0.0, init=False, repr=False)
    _shown: float = field(default=-np.inf, init=False, repr=False)
    _pending: str = field(default="", init=False, repr=False)
    _bar: "tqdm[Any] | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the last text if it was not written yet, and end the line."""
        if self._pending:
            self._write(self._pending)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def show(self, now: float, text: Callable[[float], str], last: str) -> None:
        """Write a text, unless another text was written a moment ago.

        The moment is 0.1 s on a terminal and 10 s in a file. now: time of the clock; text:
        seconds since the start ↦ text; last: text that is written at the end if this call
        wrote nothing and no later call does.
        """
        if self.quiet:
            return
        if now - self._shown >= (REDRAWN if self._live else LINE):
            self._write(text(now - self._started))
            self._shown, self._pending = now, ""
        else:
            self._pending = last

    def _write(self, text: str) -> None:
        if not self._live:
            self._out.write(text + "\n")
            self._out.flush()
            return
        fitting = text[: shutil.get_terminal_size().columns - 1]
        if self._bar is None:
            from tqdm import (
                tqdm,  # Here: a run that is quiet, or writes to a file, does not need it.
            )

            # Without the thread that watches for bars that stand still: forks would inherit it.
            line = type("Line", (tqdm,), {"monitor_interval": 0})
            self._bar = line(desc=fitting, file=self._out, bar_format="{desc}")
        else:
            self._bar.set_description_str(fitting)

    @property
    def _live(self) -> bool:
        """True on a terminal or in a notebook, on which a line can be rewritten."""
        stream = self._out
        return stream.isatty() or type(stream).__module__.startswith("ipykernel")

    @property
    def _out(self) -> TextIO:
        return sys.stdout if self.stream is None else self.stream


@dataclass(eq=False)
class ProgressLine(Progress):
    """Progress of an optimization: iteration, f, KKT residual, time left.

    The time left is "at most" the time until the limit on iterations or on seconds of
    `stop`. The time left is "about" a shorter time if the run converges earlier at its
    recent rate.

    Parameters
    ----------
    stop : Stopping
        The stopping rules of the run.
    stream : text file, optional
        The text is written to this file; default: the standard output.
    quiet : bool
        True writes nothing.
    clock : callable
        Function that returns seconds since an arbitrary time.

    Examples
    --------
    ::

        with ProgressLine(stop) as progress:
            adjoint.minimize(f, x, algorithm, stop=stop, callback=progress)
    """

    stop: Stopping = field(default_factory=Stopping)
    _recent: deque[tuple[float, State]] = field(
        default_factory=lambda: deque(maxlen=RECENT), init=False, repr=False
    )
    _first: tuple[int, float] = field(default=(-1, 0.0), init=False, repr=False)

    __repr__ = short_repr

    def __call__(self, state: State) -> None:
        """Show the progress at a state."""
        now = self.clock()
        if state.stage != self._first[0]:
            self._first = (state.stage, state.stationarity)  # Another measure.
            self._recent.clear()
        self._recent.append((now, state))
        self.show(now, lambda elapsed: self.line(self._left(now, elapsed)), self.line([]))

    def line(self, left: Sequence[str]) -> str:
        """Return the line of text for the last state.

        Parameters
        ----------
        left : sequence of str
            Phrases about the time left, such as "at most 3 s left".

        Returns
        -------
        str
            The line.
        """
        state = self._recent[-1][1]
        facts = [
            f"iteration {state.iteration} of at most {self.stop.iterations}",
            *left,
            f"f = {state.value:.7g}",
            f"KKT {brief(state.stationarity)}",
            *(
                [f"violation {brief(state.violation)}"]
                if state.violation > self.stop.feasibility
                else []
            ),
            *([f"change {brief(state.change)}"] if np.isfinite(state.change) else []),
            *([f"stage {state.stage}"] if state.stage else []),
        ]
        return ", ".join(facts)

    def _left(self, now: float, elapsed: float) -> list[str]:
        """Return the time left as a phrase in a list; [] before the second iteration."""
        (then, before), (_, state) = self._recent[0], self._recent[-1]
        if state.iteration == before.iteration:
            return []
        each = (now - then) / (state.iteration - before.iteration)
        most = min((self.stop.iterations - state.iteration) * each, self.stop.seconds - elapsed)
        about = self._iterations_left() * each
        return [
            f"about {duration(about)} left"
            if about < most
            else f"at most {duration(max(most, 0.0))} left"
        ]

    def _iterations_left(self) -> float:
        """Return the number of iterations until a first measure meets its tolerance.

        The recent rates of convergence are extrapolated. The number is inf if no measure
        converges.
        """
        stop, states = self.stop, [state for _, state in self._recent]
        tolerances = (
            (
                [state.stationarity for state in states],
                max(stop.stationarity * self._first[1], stop.absolute),
            ),
            ([state.projected for state in states], stop.projected),
            ([state.change for state in states], stop.change),
        )
        k = np.array([state.iteration for state in states], dtype=float)
        return min(_until(k, np.array(values), tolerance) for values, tolerance in tolerances)


@dataclass(eq=False)
class SweepProgress(Progress):
    """Progress of sweeps over time: the share of the sweep that is done, and the time left.

    The share of a forward sweep is measured by the time t that the sweep has reached. The
    share of a reverse sweep is measured by the number of steps that are left, including
    the steps that are repeated between checkpoints.

    Parameters
    ----------
    span : (float, float)
        Start and end time, in the problem's unit of time.
    slots : int, optional
        Number of checkpoints; None if all states are kept.
    label : str
        Text at the start of the line.
    stream : text file, optional
        The text is written to this file; default: the standard output.
    quiet : bool
        True writes nothing.
    clock : callable
        Function that returns seconds since an arbitrary time.

    Attributes
    ----------
    sweep : str
        "forward", "reverse" or "tangent".
    fraction : float
        Share of this sweep that is done.

    Examples
    --------
    ::

        with SweepProgress((0.0, 1.0)) as progress:
            solution = adjoint.ODEProblem(..., callback=progress).solve(p)
    """

    span: tuple[float, float]
    slots: int | None = None
    label: str = ""
    sweep: str = field(default="", init=False)
    fraction: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False, repr=False)
    _begun: float = field(default=0.0, init=False, repr=False)

    __repr__ = short_repr

    def __call__(self, event: SweepEvent) -> None:
        """Show the progress at an event of a sweep."""
        if event.kind not in SWEEPS:
            return
        now, sweep, fraction = self.clock(), SWEEPS[event.kind], self._reached(event)
        if sweep != self.sweep or fraction < self.fraction:
            self.sweep, self._begun = sweep, now - self._started
        self.fraction = fraction
        words = f"{self.label}{sweep} sweep, {100 * fraction:.0f} %"
        self.show(now, lambda elapsed: words + self._left(elapsed - self._begun), words)

    def _left(self, spent: float) -> str:
        return (
            f", {duration(spent * (1.0 / self.fraction - 1.0))} left"
            if self.fraction > 0.0 < spent
            else ""
        )

    def _reached(self, event: SweepEvent) -> float:
        """Return the share of the sweep that is done at an event."""
        if event.kind in ("forward", "rejected"):
            self._steps = event.step + 1
            return (event.t - self.span[0]) / (self.span[1] - self.span[0])
        if event.kind == "tangent":
            return (event.step + 1) / self._steps
        return 1.0 - self._work(event.step) / self._work(self._steps)

    def _work(self, left: int) -> int:
        """Return the number of steps to compute until `left` steps are reversed.

        These are the `left` steps and the steps that are repeated between checkpoints.
        """
        return (
            left if self.slots is None or left == 0 else left + minimal_advances(left, self.slots)
        )


@dataclass(eq=False)
class LoopProgress(Progress):
    """Progress of your own loop: the passes that are done, the maximum time left, a text.

    Parameters
    ----------
    total : int
        Maximum number of passes of the loop.
    stream : text file, optional
        The text is written to this file; default: the standard output.
    quiet : bool
        True writes nothing.
    clock : callable
        Function that returns seconds since an arbitrary time.

    Examples
    --------
    ::

        with LoopProgress(len(cases)) as progress:
            for number, case in enumerate(cases, start=1):
                progress(number, f"error {run(case):.2e}")
    """

    total: int

    __repr__ = short_repr

    def __call__(self, number: int, text: str) -> None:
        """Show that the pass `number`, counted from 1, is done; text: your own words about it."""
        words = f"{number} of at most {self.total}"

        def line(elapsed: float) -> str:
            left = elapsed * (self.total / number - 1.0) if number > 0 else 0.0
            return f"{words}{f', at most {duration(left)} left' if left > 0.0 else ''}: {text}"

        self.show(self.clock(), line, f"{words}: {text}")


def _until(k: Array, values: Array, tolerance: float) -> float:
    """Return the number of iterations until the values fall to the tolerance.

    A straight line through the points (k, log(value)) is extrapolated. The number is inf if
    the points are not close to a falling line.
    """
    known = np.isfinite(values) & (values > 0.0)
    if not (tolerance > 0.0 and known[-1] and known.sum() >= FEWEST):
        return np.inf
    x, y = k[known] - k[-1], np.log(values[known])
    slope, level = np.polyfit(x, y, 1)
    spread = float(np.sum((y - y.mean()) ** 2))
    straight = float(np.sum((y - level - slope * x) ** 2)) <= (1.0 - STRAIGHT) * spread
    return (
        max(0.0, float((np.log(tolerance) - level) / slope)) if slope < 0.0 and straight else np.inf
    )
