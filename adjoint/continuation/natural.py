"""Natural continuation: solve for given parameters in turn, each time from the last solution."""

from collections.abc import Iterable, Iterator

from .._validation import as_parameters, require_kind, require_number, shown
from ..errors import SolveError
from ..newton.problem import NonlinearProblem
from ..steady.solution import SteadySolution
from ..typing import Array


def follow(
    problem: NonlinearProblem, parameters: Iterable[Array], *, shortest: float = 1e-3
) -> Iterator[SteadySolution]:
    """Solve R(u, p) = 0 for each p in turn, from the tangent of the last solution.

    A step that fails is halved, with intermediate parameters that are not yielded. At a
    fold `follow` fails; `trace` goes around it.

    Parameters
    ----------
    problem : NonlinearProblem
        The equations.
    parameters : iterable of (m,) arrays
        The parameters, such as increasing loads.
    shortest : float
        The shortest intermediate step, as a fraction of the whole step; 0 < shortest ≤ 1.

    Yields
    ------
    SteadySolution
        The solution for each p.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If shortest is out of range, or if a p has another shape.
    SolveError
        While iterating, the error of the shortest step.
    """
    require_kind("follow", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    require_number("follow", "shortest", shortest)
    if not isinstance(parameters, Iterable) or isinstance(parameters, str):
        raise TypeError(
            f"follow: got parameters={shown(parameters)}, expected a sequence of vectors p, (m,) "
            "each"
        )
    if not 0.0 < shortest <= 1.0:
        raise ValueError(
            f"follow: got shortest={shortest}, expected a fraction of a step, 0 < shortest ≤ 1"
        )
    return _solutions(problem, parameters, shortest)


def _solutions(
    problem: NonlinearProblem, parameters: Iterable[Array], shortest: float
) -> Iterator[SteadySolution]:
    last: SteadySolution | None = None
    for p in parameters:
        p = as_parameters(p, "one of the parameters p")
        last = problem.solve(p) if last is None else _reached(problem, last, p, shortest)
        yield last


def _reached(
    problem: NonlinearProblem, last: SteadySolution, p: Array, shortest: float
) -> SteadySolution:
    """Return the solution for p, after as many intermediate steps as necessary."""
    origin, done, step = last.p, 0.0, 1.0
    while done < 1.0:
        step = min(step, 1.0 - done)
        target = p if done + step >= 1.0 else origin + (done + step) * (p - origin)
        try:
            last = problem.solve(target, near=last)
        except SolveError:
            step /= 2.0
            if not step >= shortest:
                raise
            continue
        done = 1.0 if target is p else done + step
        step *= 2.0
    return last
