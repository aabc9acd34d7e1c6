"""One run of ours that all others are timed against: what else runs on the machine slows both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.ours import Ours, headline

SLOW = 5.0  # seconds; what takes longer is measured once
SPENT = 20.0  # seconds for the rounds of one ratio


@dataclass(frozen=True, eq=False)
class Anchor:
    """The run of a case, and how many seconds it took each time."""

    run: Ours
    times: list[float]

    @classmethod
    def of(cls, case: Case) -> "Anchor":
        """The headline run, twice: the first time has what is done once in it."""
        run = headline(case)
        run()
        return cls(run, [run().seconds])

    def __call__(self) -> float:
        """Seconds of one more run."""
        self.times.append(self.run().seconds)
        return self.times[-1]

    def compared(
        self, task: Callable[[], float], before: float, rounds: int
    ) -> tuple[float, float]:
        """(Seconds of a task, ratio to the anchor): medians. before: seconds it has just taken; all if it is slow."""
        usual = float(np.median(self.times))
        if before > SLOW:
            return before, before / usual
        ratios, last = [], self()
        for _ in range(max(1, min(rounds, int(SPENT / (before + usual))))):
            seconds, first, last = task(), last, self()
            ratios.append(2.0 * seconds / (first + last))
        over = float(np.median(ratios))
        return over * float(np.median(self.times)), over
