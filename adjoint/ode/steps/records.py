"""The stored data of a step: the state before the step, and a record of stages and factors.

The state before a step is sufficient to repeat the step with the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from ..methods.tableau import Tableau
from ..stages.stage_matrices import Inverse
from ..stages.stages import Stages

State = tuple[Array, ...]
"""The state before a step: (u, K₁) for explicit methods, (u, K of the step before) if coupled.

For implicit methods a third array follows. It is the u at which the matrix of Newton's
method was evaluated, if that matrix was made for an earlier step. If the matrix was
made for this step, its u follows from the other arrays, and the third array is the
stage with the most corrections, provided the next state does not hold that stage; with
coupled stages it remains u. There is no third array for small coupled systems, and for
states that come from repeating the step before.
"""


Rates: TypeAlias = dict[int, Array]
"""{number of a stage: ℓ at that stage, (q,)}."""


@dataclass(frozen=True, eq=False)
class ComputedStep:
    """Step k with its stages: from u, with stages K and stage values Y, (s, n) each.

    interval: start, length and end. rates: ℓ at the stages, None if not computed yet.
    """

    k: int
    interval: Interval
    tableau: Tableau
    u: Array
    K: Array
    Y: Array
    rates: Rates | None = None


@dataclass(frozen=True, eq=False)
class StepRecord:
    """The stages and factors of a step, stored for the reverse sweep.

    K: (s, n). inverse: the factors of Newton's iterations; for explicit methods the
    factors of M, None for the identity. For small systems inverse is None, because
    sweeps factor the matrix of each stage.
    """

    K: Array
    inverse: Inverse | None

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """The objects that the record holds, as pairs (object, number of bytes)."""
        if self.inverse is None:
            return ((self.K, self.K.nbytes),)
        return ((self.K, self.K.nbytes), (self.inverse, self.inverse.nbytes))


def recorded(K: Array, inverse: Inverse | None, tableau: Tableau, dense: bool) -> StepRecord:
    """The record of a step; dense: True if matrices are dense: factors are then not kept."""
    return StepRecord(K, None if dense and tableau.gamma != 0.0 else inverse)


def state_before(
    tableau: Tableau,
    stages: Stages,
    u: Array,
    k: Array,
    base_u: Array | None,
    own: bool,
    dense: bool,
) -> State:
    """The state before a step that was just taken.

    k: K₁, or all stages of the step before if coupled. base_u: u at which the matrix of
    Newton's method was evaluated. own: True if this matrix was made for this step.
    dense: True if matrices are dense.
    """
    if base_u is None or (tableau.coupled and dense):
        return u, k
    i = costliest(stages.iterations) if own and not tableau.coupled else None
    return u, k, base_u if i is None else stages.K[i].copy()


def costliest(iterations: tuple[int, ...]) -> int | None:
    """The index of the stage with the most corrections, except the last stage.

    The next state holds the last stage. Returns None if no other stage took a
    correction.
    """
    others = [abs(m) for m in iterations[:-1]]
    return others.index(max(others)) if any(others) else None


def base_point(tableau: Tableau, t: float, u: Array, k: Array, hg: float) -> tuple[float, Array]:
    """(t, u) at which the matrix of Newton's method is evaluated: in the middle of the step.

    u is extrapolated along K₁ = k, or along the last stage of the step before if stages
    are coupled. The distance of each stage from this time is at most half a step.
    Methods without a known K₁ use the start of the step.
    """
    if not (tableau.continues or tableau.coupled):
        return t, u.copy()  # A copy, so that all states take the same number of bytes.
    half = 0.5 * hg / tableau.gamma
    return t + half, u + half * (k[-1] if tableau.coupled else k)
