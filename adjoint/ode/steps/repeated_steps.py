"""Repeat accepted steps, with the same bits, from the stored states before these steps."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...typing import Array
from ..equations import System
from ..initial_values.initial_values import InitialValues
from ..initial_values.reinitialization import Reinitialization
from ..methods.tableau import carried_over
from ..stages.coupled_matrices import CoupledInverse, newton_factors
from ..stages.coupled_stages import repeated_coupled_stages, step_equation
from ..stages.stage_matrices import Inverse
from ..stages.stages import repeated_stages, values
from .accepted_steps import AcceptedSteps
from .records import State, StepRecord, base_point, costliest, recorded

FactorKey: TypeAlias = tuple[int, float]
"""(number of the step that a matrix of Newton's method was made for, hγ of the matrix)."""


@dataclass(eq=False)
class RepeatedSteps:
    """The accepted steps, which can be repeated one by one.

    accepted: the steps. reinitialization: computes K₁ and algebraic unknowns at times at
    which f may jump.

    Remembers the last factors of Newton's method, because neighbouring steps often have
    the same factors. `forget` drops these factors at the end of a sweep.
    """

    system: System
    reinitialization: Reinitialization
    accepted: AcceptedSteps
    _latest: tuple[FactorKey, Inverse] | None = field(default=None, init=False, repr=False)

    def advance(self, k: int, state: State) -> tuple[State, StepRecord]:
        """(state after step k, record of step k), from the state before step k."""
        k1 = self.first_stage(k, state)
        record = self.record(k, state, k1, None)
        accepted, tableau = self.accepted, self.accepted.tableau[k]
        u = values(self.system, tableau, accepted.h[k], state[0], record.K)[tableau.last].copy()
        if accepted.reinitialized.get(k + 1, False):
            u = self.reinitialization.solved(accepted.first[k + 1], u, k + 1)
        last = carried_over(tableau, record.K)
        if tableau.gamma == 0.0:
            return (u, last), record
        if k + 1 == accepted.count or accepted.base[k + 1] != k + 1:
            return (u, last, self._base_u(k, state, k1)), record
        return (u, last), record

    def initial_values(
        self, k: int, state: State, record: StepRecord | None
    ) -> InitialValues | None:
        """The initial values of step k if reinitialized; None if step k continues step k − 1.

        record: the record of step k, None if the record was not stored.
        """
        accepted = self.accepted
        if k not in accepted.reinitialized:
            return None
        t, tableau = accepted.first[k], accepted.tableau[k]
        if record is None:
            k1 = self.reinitialization.first_stage(t, state[0], state[1], tableau, None, k)
        else:
            k1 = record.K[0] if tableau.continues else state[1]
        return self.reinitialization.known(t, state[0], k1, tableau)

    def with_factors(self, initial: InitialValues, k: int, record: StepRecord) -> InitialValues:
        """`initial` with the factors of step k, which help to solve for algebraic unknowns.

        Returns `initial` unchanged if the record has no factors, or if no factors are
        needed.
        """
        inverse = record.inverse
        if inverse is None or not initial.moved or self.system.algebra.dense:
            return initial
        single = inverse.single if isinstance(inverse, CoupledInverse) else inverse
        return replace(initial, near=(single, self.accepted.base_hg[k]))

    def first_stage(self, k: int, state: State) -> Array:
        """The input of step k from step k − 1: K₁, (n,), or all stages, (s, n), if coupled.

        K₁ is computed again if step k was reinitialized.
        """
        initial = self.initial_values(k, state, None)
        return state[1] if initial is None else initial.k

    def record(self, k: int, state: State, k1: Array, last: Array | None) -> StepRecord:
        """Repeat step k, and return the record of its stages and factors.

        k1: K₁ as from `first_stage`. last: the last stage of step k, or all stages if they
        are coupled; None if unknown.
        """
        accepted, tableau = self.accepted, self.accepted.tableau[k]
        dense = self.system.algebra.dense
        if tableau.coupled and last is not None and dense:
            return recorded(last, None, tableau, dense)
        inverse, iterations = self._inverse(k, state, k1), accepted.iterations[k]
        step, u = accepted.interval(k), state[0]
        if tableau.coupled and inverse is not None:
            if last is None:
                equation = step_equation(
                    self.system, tableau, step, u, k1, accepted.h[k - 1] if k else step.h
                )
                last = repeated_coupled_stages(equation, inverse, iterations)
            return recorded(last, inverse, tableau, dense)
        known = {} if last is None else {tableau.stages - 1: last}
        i = costliest(iterations)
        if accepted.base[k] == k and len(state) > 2 and i is not None:
            known[i] = state[2]
        K = repeated_stages(self.system, tableau, step, u, k1, known, inverse, iterations)
        return recorded(K, inverse, tableau, dense)

    def forget(self) -> None:
        """Drop the remembered factors of Newton's method."""
        self._latest = None

    def _inverse(self, k: int, state: State, k1: Array) -> Inverse | None:
        """The factors of Newton's method in step k; for explicit methods the factors of M."""
        accepted = self.accepted
        if accepted.tableau[k].gamma == 0.0:
            return self.system.mass_inverse
        key = (accepted.base[k], accepted.base_hg[k])
        latest = self._latest  # Read once: another thread may sweep, and replace the factors.
        if latest is not None and latest[0] == key:
            return latest[1]
        base_t, base_u = accepted.base_t[k], self._base_u(k, state, k1)
        inverse = newton_factors(self.system, accepted.tableau[k], base_t, base_u, key[1])
        # The old factors are dropped only now: backends keep their memory as long as any
        # factors are alive.
        self._latest = key, inverse
        return inverse

    def _base_u(self, k: int, state: State, k1: Array) -> Array:
        """The state at which the matrix of Newton's method in step k was evaluated, (n,)."""
        accepted = self.accepted
        if accepted.base[k] != k:
            return state[2]
        return base_point(
            accepted.tableau[k], accepted.first[k], state[0], k1, accepted.base_hg[k]
        )[1]
