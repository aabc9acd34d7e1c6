"""The state of a run at the same design, by values and gradients of another accuracy."""

from dataclasses import replace

from .._validation import has
from ..reduced import Function
from .state import Algorithm, State


def revalued(algorithm: Algorithm, f: Function, state: State) -> State:
    """The state at the same design, by one evaluation of f and one gradient.

    The algorithm's own method `revalued` makes this state, see `AlgorithmWithRevaluation`.
    Without this method, the value, the gradient, the optimality measures and the point are
    those of `algorithm.start`, and all else, such as the memory, stays.

    Raise SolveError if f fails.
    """
    if has(algorithm, "revalued"):
        made: State = getattr(algorithm, "revalued")(f, state)  # noqa: B009
        return made
    at = algorithm.start(f, state.x)
    return replace(
        state,
        value=at.value,
        gradient=at.gradient,
        stationarity=at.stationarity,
        projected=at.projected,
        evaluations=state.evaluations + 1,
        point=at.point,
    )
