"""The state before a step: all that it takes to repeat the step to the last bit."""

from ..arrays import Array
from .stages import Stages
from .tableau import Tableau

State = tuple[Array, ...]
"""(u, K₁) for explicit methods, (u, K of the step before) for coupled stages.

Implicit methods add the u that the matrix of Newton's method was evaluated at, if it was made for an earlier step. If
it was made for this one, that u follows from the others, and the costliest stage takes its place, where there is one
that the next state does not have; of coupled stages the u stays. Small coupled systems, and states that come from
repeating the step before, have no third array then.
"""


def state_before(
    tableau: Tableau, stages: Stages, u: Array, k: Array, base_u: Array | None, own: bool, dense: bool
) -> State:
    """The state before a step that was just taken; k: K₁, or K; own: whether its matrix was made for it."""
    if base_u is None or (tableau.coupled and dense):
        return u, k
    i = costliest(stages.iterations) if own and not tableau.coupled else None
    return u, k, base_u if i is None else stages.K[i].copy()


def costliest(iterations: tuple[int, ...]) -> int | None:
    """The stage that took the most corrections, but for the last one, which the next step has; None without others."""
    others = [abs(m) for m in iterations[:-1]]
    return others.index(max(others)) if any(others) else None
