"""Natural continuation: solutions for one set of parameters after the other, each from the last."""

from collections.abc import Iterable, Iterator

from .._validation import as_parameters, require_kind, require_number, shown
from ..errors import SolveError
from ..newton.problem import NonlinearProblem
from ..steady.solution import SteadySolution
from ..typing import Array


def follow(
    problem: NonlinearProblem, parameters: Iterable[Array], *, shortest: float = 1e-3
) -> Iterator[SteadySolution]:
    """Solutions for each p in turn, as a generator: each starts from the last one, along its tangent.

    parameters: of the p, (m,), such as increasing loads. A step that fails is halved, down to `shortest` of itself;
    only the given p are yielded. Raises ValueError for a `shortest` that makes no sense, and the error of the shortest
    step: at a fold `trace` goes on where this cannot.
    """
    require_kind("follow", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    require_number("follow", "shortest", shortest)
    if not isinstance(parameters, Iterable) or isinstance(parameters, str):
        raise TypeError(
            f"follow: got parameters={shown(parameters)}, expected a sequence of vectors p, (m,) each"
        )
    if not 0.0 < shortest <= 1.0:
        raise ValueError(f"follow: got shortest={shortest}, expected a fraction of a step, 0 … 1")
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
    """The solution for p, by as many steps from the last one as it takes."""
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
