"""How a run ended."""

from dataclasses import dataclass

from ..arrays import Array
from ..factor.errors import SolveError
from .state import State
from .stopping import Progress, Status


@dataclass(frozen=True, eq=False)
class Result:
    """How a run ended: its design, the best state, the last one, and why.

    state: the last one, from which the run could go on. best: of its stage, the lowest value among states that meet the
    constraints; the least violation where none does. status: why the run ended. cause: the error behind Status.FAILED,
    None for others. progress: factorizations and seconds spent.
    """

    best: State
    state: State
    status: Status
    cause: SolveError | None
    progress: Progress

    def __repr__(self) -> str:
        return f"Result(value={self.value!r}, iterations={self.iterations}, {self.status.value!r})"

    @property
    def found(self) -> State:
        """The state to take: the last one of a run that converged, for it is what converged; the best one of others."""
        return self.state if self.success else self.best

    @property
    def x(self) -> Array:
        """The design found, (m,)."""
        return self.found.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.found.value

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return self.state.iteration

    @property
    def success(self) -> bool:
        """Whether the run converged."""
        return self.status.success
