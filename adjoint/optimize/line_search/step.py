"""The result of a line search, or of a search along a path."""

from dataclasses import dataclass, replace

from ...errors import SolveError
from ...reduced import Point


@dataclass(frozen=True, eq=False)
class Step:
    """α and the evaluated point at α; the point is None if no trial decreased f enough.

    rejected: values of f at the other trials, nan for failed solves. failure: why the last
    failed trial failed, None if no trial failed.
    """

    alpha: float
    point: Point | None
    rejected: tuple[float, ...]
    failure: SolveError | None = None

    def then(self, other: "Step") -> "Step":
        """The result of another search, with the trials of this one, which found no step."""
        return replace(
            other,
            rejected=self.rejected + other.rejected,
            failure=other.failure or self.failure,
        )
