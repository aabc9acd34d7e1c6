"""A solution branch with one fold: its two arms, and the states on the arms for one λ."""

from dataclasses import dataclass, replace
from itertools import takewhile

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Branch:
    """A problem with λ = p[0], the points of its branch in the order of the trace, and the fold."""

    problem: adjoint.NonlinearProblem
    points: list[adjoint.continuation.BranchPoint]
    fold: adjoint.continuation.Fold

    @classmethod
    def of(
        cls, problem: adjoint.NonlinearProblem, p: Array, highest: float, longest: float
    ) -> "Branch":
        """Trace the branch from p until max u reaches `highest`, then compute the fold.

        longest: maximum arc length of a step.
        """
        points = adjoint.continuation.trace(problem, p, 0, step=0.5 * longest, longest=longest)
        drawn = list(takewhile(lambda point: point.u.max() < highest, points))
        near = next(point for point in drawn if point.turned)
        return cls(problem, drawn, adjoint.continuation.fold(problem, near.u, near.p, 0))

    def arms(self) -> list[list[adjoint.continuation.BranchPoint]]:
        """Return the points before the fold, and the points after the fold."""
        turn = next(i for i, point in enumerate(self.points) if point.turned)
        return [self.points[:turn], self.points[turn:]]

    def states(self, value: float) -> list[adjoint.steady.SteadySolution]:
        """Solve for λ = value on both arms, from the nearest traced point of each arm."""
        p = self.fold.p.copy()
        p[0] = value
        nearest = [min(arm, key=lambda point: abs(point.value - value)) for arm in self.arms()]
        return [replace(self.problem, u0=point.u).solve(p) for point in nearest]
