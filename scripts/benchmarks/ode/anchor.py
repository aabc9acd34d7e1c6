"""One run of ours against which all other runs are timed: other work slows both."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.ours import Ours, headline

SLOW = 5.0  # seconds; a longer task is measured once
SPENT = 20.0  # maximum seconds for the rounds of one ratio


@dataclass(frozen=True, eq=False)
class Anchor:
    """The anchor run of a case, which remembers the seconds of each repetition."""

    run: Ours
    times: list[float]

    @classmethod
    def of(cls, case: Case) -> "Anchor":
        """Make the anchor of a case, after one run that does all one-time work."""
        run = headline(case)
        run()
        return cls(run, [run().seconds])

    def __call__(self) -> float:
        """Repeat the run, and return its seconds."""
        self.times.append(self.run().seconds)
        return self.times[-1]

    def compared(
        self, task: Callable[[], float], before: float, rounds: int
    ) -> tuple[float, float]:
        """Return the seconds of a task and their ratio to the anchor, as medians.

        before: seconds that the task has just taken. A task that took more than SLOW is
        not repeated.
        """
        usual = float(np.median(self.times))
        if before > SLOW:
            return before, before / usual
        ratios, last = [], self()
        for _ in range(max(1, min(rounds, int(SPENT / (before + usual))))):
            seconds, first, last = task(), last, self()
            ratios.append(2.0 * seconds / (first + last))
        over = float(np.median(ratios))
        return over * float(np.median(self.times)), over
