"""Progress on the terminal: where a run, a sweep or a loop stands, and the time left."""

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
LINE = 10.0  # seconds between lines where the output is a file
REDRAWN = 0.1  # seconds between two states of a line on a terminal
SWEEPS = {"forward": "forward", "rejected": "forward", "tangent": "tangent", "reverse": "reverse"}


@dataclass(eq=False)
class Progress:
    """One line of text, written over on a terminal; elsewhere a new line every ten seconds.

    The display of `ProgressLine`, `SweepProgress` and `LoopProgress`: a context manager
    that ends the line. It remembers the text that was not written yet, and when the
    last one was.

    Parameters
    ----------
    stream : text file, optional
        Where to; the standard output by default.
    quiet : bool
        Write nothing.
    clock : callable
        Seconds that pass, from any beginning.
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
        """Write the text that is still to be written, and end the line."""
        if self._pending:
            self._write(self._pending)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def show(self, now: float, text: Callable[[float], str], last: str) -> None:
        """Show a text, unless the last one has just been written.

        now: from the clock; text: seconds since the start ↦ what to show; last: what to
        show if nothing follows.
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
        """True if a line can be written over: on a terminal, or in a notebook."""
        stream = self._out
        return stream.isatty() or type(stream).__module__.startswith("ipykernel")

    @property
    def _out(self) -> TextIO:
        return sys.stdout if self.stream is None else self.stream


@dataclass(eq=False)
class ProgressLine(Progress):
    """Progress of an optimization: iteration, f, KKT residual, time left.

    Time left: "at most" by the budgets of `stop`; "about" where the recent rate of
    convergence, if it lasts, ends the run earlier.

    Parameters
    ----------
    stop : Stopping
        The stopping rules of the run.
    stream : text file, optional
        Where to; the standard output by default.
    quiet : bool
        Write nothing.
    clock : callable
        Seconds that pass, from any beginning.

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
        """Show a state."""
        now = self.clock()
        if state.stage != self._first[0]:
            self._first = (state.stage, state.stationarity)  # Another measure.
            self._recent.clear()
        self._recent.append((now, state))
        self.show(now, lambda elapsed: self.line(self._left(now, elapsed)), self.line([]))

    def line(self, left: Sequence[str]) -> str:
        """The last state in words.

        Parameters
        ----------
        left : sequence of str
            Words on the time that is left.

        Returns
        -------
        str
            One line.
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
        """The time left, where a second iteration has shown how long one takes."""
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
        """Iterations until a measure meets its tolerance at its recent rate; inf if none does."""
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
    """Progress of sweeps over time: the share of a sweep that is done, the time left.

    A forward sweep is as far as the time it has reached. A reverse sweep is measured by
    the steps that are left, including those that must be repeated between checkpoints.

    Parameters
    ----------
    span : (float, float)
        Beginning and end, in the problem's unit of time.
    slots : int, optional
        Number of checkpoints; None where all states are kept.
    label : str
        What goes on, shown in front.
    stream : text file, optional
        Where to; the standard output by default.
    quiet : bool
        Write nothing.
    clock : callable
        Seconds that pass, from any beginning.

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
        """Show an event."""
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
        """The share of the sweep that is done."""
        if event.kind in ("forward", "rejected"):
            self._steps = event.step + 1
            return (event.t - self.span[0]) / (self.span[1] - self.span[0])
        if event.kind == "tangent":
            return (event.step + 1) / self._steps
        return 1.0 - self._work(event.step) / self._work(self._steps)

    def _work(self, left: int) -> int:
        """Steps to take while `left` steps are reversed: these, and those that are repeated."""
        return (
            left if self.slots is None or left == 0 else left + minimal_advances(left, self.slots)
        )


@dataclass(eq=False)
class LoopProgress(Progress):
    """A loop of your own: how many of its passes are done, a text, the time left at most.

    Parameters
    ----------
    total : int
        The largest number of passes.
    stream : text file, optional
        Where to; the standard output by default.
    quiet : bool
        Write nothing.
    clock : callable
        Seconds that pass, from any beginning.

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
        """Show that the pass of this number, counted from 1, is done."""
        words = f"{number} of at most {self.total}"

        def line(elapsed: float) -> str:
            left = elapsed * (self.total / number - 1.0) if number > 0 else 0.0
            return f"{words}{f', at most {duration(left)} left' if left > 0.0 else ''}: {text}"

        self.show(self.clock(), line, f"{words}: {text}")


def _until(k: Array, values: Array, tolerance: float) -> float:
    """Iterations until a line through log(values) falls to the tolerance; inf if none fits."""
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
