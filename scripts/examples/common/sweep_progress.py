"""Progress of sweeps over time: a bar with the time left on a terminal, a line now and then where output is a file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from adjoint.checkpointing import SweepEvent
from adjoint.checkpointing.schedules import minimal_advances

LINE = 10.0  # seconds from one line to the next, where the output is no terminal
BAR = "{desc} {percentage:3.0f} % |{bar:30}| [{elapsed}, {remaining} left]"
SWEEPS = {"forward": "forward", "rejected": "forward", "tangent": "tangent", "reverse": "reverse"}


@dataclass(eq=False)
class SweepProgress:
    """Follows the events of initial value problems over `span`: give `callback` to them.

    A forward sweep is as far as the time it has reached. A reverse sweep is measured by the steps that are left, those
    included that must be repeated to get from `slots` checkpoints to the others (None: all states are kept).
    label: what goes on, shown in front. every: seconds between lines, None for no lines.
    """

    span: tuple[float, float]
    slots: int | None
    bar: "tqdm[Any]"
    every: float | None
    label: str = ""
    sweep: str = ""
    steps: int = 0
    fraction: float = 0.0
    started: float = 0.0
    printed: float = field(default_factory=time.monotonic)

    def name(self, label: str) -> None:
        """Show this in front from now on."""
        self.label = label

    def watch(self, event: SweepEvent) -> None:
        """Take one event."""
        if event.kind not in SWEEPS:
            return
        sweep, fraction = SWEEPS[event.kind], self._reached(event)
        if sweep != self.sweep or fraction < self.fraction:
            self.sweep, self.started = sweep, time.monotonic()
            self.bar.set_description_str(f"{self.label}{sweep} sweep", refresh=False)
            self.bar.reset()
            self.fraction = 0.0
        self.bar.update(fraction - self.fraction)
        self.fraction = fraction
        self._line()

    def _reached(self, event: SweepEvent) -> float:
        """The share of the sweep that is done."""
        if event.kind in ("forward", "rejected"):
            self.steps = event.step + 1
            return (event.t - self.span[0]) / (self.span[1] - self.span[0])
        if event.kind == "tangent":
            return (event.step + 1) / self.steps
        return 1.0 - self._work(event.step) / self._work(self.steps)

    def _work(self, left: int) -> int:
        """Steps to be taken while the first `left` ones are reversed: each in reverse, and all that are repeated."""
        return (
            left if self.slots is None or left == 0 else left + minimal_advances(left, self.slots)
        )

    def _line(self) -> None:
        now = time.monotonic()
        if self.every is not None and now - self.printed >= self.every and self.fraction > 0.0:
            left = (now - self.started) * (1.0 / self.fraction - 1.0)
            print(
                f"{self.label}{self.sweep} sweep: {self.fraction:.0%}, {left:.0f} s left",
                flush=True,
            )
            self.printed = now


@contextmanager
def sweep_progress(
    span: tuple[float, float], slots: int | None, quiet: bool
) -> Iterator[SweepProgress]:
    """Progress on this terminal, lines where there is none, nothing if `quiet`; see `SweepProgress`."""
    terminal = sys.stdout.isatty()
    hidden = quiet or not terminal
    with tqdm(
        total=1.0, bar_format=BAR, disable=hidden, file=sys.stdout, smoothing=0.0, leave=False
    ) as bar:
        yield SweepProgress(span, slots, bar, None if quiet or terminal else LINE)
