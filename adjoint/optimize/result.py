"""Result: the design that a run found, and why the run ended."""

from dataclasses import dataclass

from ..errors import SolveError
from ..typing import Array
from .state import State
from .status import Status
from .stopping import Progress
from .verification.gradient_check import GradientCheck


@dataclass(frozen=True, eq=False)
class Result:
    """x ≈ argmin f: the design that a run found, and why the run ended.

    Parameters
    ----------
    best : State
        The best state of the last stage: the lowest value among states that meet the
        constraints, or the least violation if no state meets them.
    state : State
        The last state, from which the run could go on.
    status : Status
        Why the run ended; `status.value` is a sentence.
    cause : SolveError or None
        The error behind `Status.FAILED`; None for other endings.
    progress : Progress
        Work and time spent: `progress.factorizations`, `progress.seconds`.
    gradient_check : GradientCheck or None
        The comparison of the gradient with differences before the first step; None without
        a check, and for a run that was resumed.
    """

    best: State
    state: State
    status: Status
    cause: SolveError | None
    progress: Progress
    gradient_check: GradientCheck | None = None

    def __repr__(self) -> str:
        return f"Result(value={self.value!r}, iterations={self.iterations}, {self.status.value!r})"

    @property
    def found(self) -> State:
        """The state to use: the last state of a run that converged, else the best state."""
        return self.state if self.success else self.best

    @property
    def x(self) -> Array:
        """The design found, (m,)."""
        return self.found.x

    @property
    def value(self) -> float:
        """f(x) at the design found."""
        return self.found.value

    @property
    def iterations(self) -> int:
        """The number of iterations done."""
        return self.state.iteration

    @property
    def success(self) -> bool:
        """True if the run converged."""
        return self.status.success
