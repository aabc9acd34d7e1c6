"""A tangent sweep whose states are stored, and the reverse sweep for rates of cotangents.

Shapes as in `adjoint.ode.sweeps`; j is the number of directions. Cotangents have 1 + j
columns, see `step_rates`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...checkpointing.store import Store
from ...errors import NonFinite, NonFiniteField
from ...typing import Array
from ..initial_values.initial_values import InitialRates
from ..stages.refinement import Recent
from ..step_derivatives import dense_tangent, step_jvp, value_tangent
from ..steps.frozen_step import FrozenStep, Seed
from ..steps.records import State, StepRecord
from ..sweeps import Sweeps
from .step_rates import StepBars, StepTangents, step_vjp_rates


@dataclass(frozen=True, eq=False)
class TangentRecord:
    """The record of a step and its tangents: u̇ at the start (n, j), and K̇ (s, n, j)."""

    step: StepRecord
    u_dot: Array
    K_dot: Array

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """The objects that the record holds, as pairs (object, number of bytes)."""
        own = ((self.u_dot, self.u_dot.nbytes), (self.K_dot, self.K_dot.nbytes))
        return (*self.step.parts, *own)


@dataclass(frozen=True, eq=False)
class TangentSweeps:
    """The sweeps through the steps of a trajectory and their tangents along ṗ.

    sweeps: the sweeps through the steps. p_dot: ṗ, (m, j). store: the states before the
    steps, each followed by the tangents u̇ and k̇ of u and K₁; and the records. Stages and
    tangents that are not stored are computed again, with the same bits.
    """

    sweeps: Sweeps
    p_dot: Array
    store: Store[TangentRecord]
    _inside: dict[int, list[float]] = field(default_factory=dict)
    """{k: the θ of the observations inside step k}."""

    def __post_init__(self) -> None:
        for k, theta in self.sweeps.places:
            if theta is not None:
                self._inside.setdefault(k, []).append(theta)

    # The tangent sweep

    def forward(self, u0_dot: Array, integrals: int) -> tuple[Array, Array | None]:
        """(u̇ (K, n, j) at the observations, q̇ (q, j)); fills `store`. integrals: q.

        u0_dot: du₀/dp ṗ, (n, j).
        """
        sweeps, q_dot = self.sweeps, None
        u_dot, k_dot = sweeps.initial_values.jvp(u0_dot, self.p_dot, None, sweeps.accepted.h[0])
        observed = np.zeros(
            (len(sweeps.places), *u_dot.shape), dtype=np.result_type(sweeps.system.dtype, u_dot)
        )
        observations = sweeps.observations_of_steps()
        for place, theta in observations.get(0, []):
            if theta is None:
                observed[place] = u_dot
        for k, state, record in sweeps.with_times(sweeps.store.forward(sweeps.steps.advance)):
            if record is None:
                record = sweeps.steps.record(k, state, sweeps.steps.first_stage(k, state), None)
            step, found, more = self._taken(k, (*state, u_dot, k_dot), record, integrals)
            self.store.put(k, (*state, u_dot, k_dot), found)
            if more is not None:
                q_dot = more if q_dot is None else q_dot + more
            for place, theta in observations.get(k, []):
                if theta is not None:
                    observed[place] = found.u_dot + dense_tangent(step, theta, found.K_dot, None)
            u_dot, k_dot = self._following(k, step, found)
            for place, theta in observations.get(k + 1, []):
                if theta is None:
                    observed[place] = u_dot
            sweeps.notify("tangent", k, sweeps.accepted.t[k])
        sweeps.steps.forget()
        with sweeps.time_of_errors():
            self.store.finish(sweeps.accepted.count)
        return observed, q_dot

    def _taken(
        self, k: int, state: State, record: StepRecord, integrals: int
    ) -> tuple[FrozenStep, TangentRecord, Array | None]:
        """(step k, its record with tangents, q̇ (q, j) or None).

        The solves do not use solutions of earlier steps. So the tangents have the same
        bits wherever a sweep starts.
        """
        *before, u_dot, k_dot = state
        sweeps, inside = self.sweeps, k in self._inside
        initial = sweeps.steps.initial_values(k, tuple(before), record)
        if initial is not None and (initial.derived or inside):
            u_dot, k_dot = sweeps.steps.with_factors(initial, k, record).jvp(
                u_dot, self.p_dot, None, sweeps.accepted.h[k]
            )
        step = sweeps.frozen(k, tuple(before), record, inside, Recent(), (False, False))
        try:
            K_dot, q_dot = step_jvp(step, u_dot, k_dot, self.p_dot, integrals, None)
        except NonFiniteField:
            raise
        except NonFinite as error:
            raise sweeps.domain_edge_error(
                k, state[0], record.K, f"The tangent sweep fails ({error})"
            ) from error
        return step, TangentRecord(record, u_dot, K_dot), q_dot

    def _following(self, k: int, step: FrozenStep, found: TangentRecord) -> tuple[Array, Array]:
        """(u̇, k̇) after step k; k̇ is empty if the next step does not start with K₁."""
        accepted, last = self.sweeps.accepted, step.tableau.last
        u_dot = found.u_dot + value_tangent(step, last, found.K_dot, None)
        if k + 1 < accepted.count and accepted.tableau[k + 1].continues:
            return u_dot, found.K_dot[last].copy()
        return u_dot, u_dot[:0]

    def _advance(self, k: int, state: State) -> tuple[State, TangentRecord]:
        """(state with tangents after step k, record of step k)."""
        following, record = self.sweeps.steps.advance(k, state[:-2])
        step, found, _ = self._taken(k, state, record, 0)
        return (*following, *self._following(k, step, found)), found

    # The reverse sweep

    def reverse(self, u_bars: Array, q_bars: Array | None) -> InitialRates:
        """∂J/∂u₀ with its rates, and the rate of ∂J/∂p without the part of u₀(p).

        u_bars: ū and its rates at the observations, (K, n, 1 + j). q_bars: the same of
        the integrals, (q, 1 + j), None without integrals.
        """
        sweeps = self.sweeps
        system = sweeps.system
        u = np.zeros(u_bars.shape[1:], dtype=system.dtype)
        k_bars, p_rate = np.zeros_like(u), np.zeros(self.p_dot.shape, dtype=system.p.dtype)
        at_ends, seeds = sweeps.seeds(u_bars)
        recent, recent_rates, last_stage = Recent(), Recent(), None
        initial: State = ()
        with self.store.sweeping():
            for k, state, found in sweeps.with_times(self.store.backward(self._advance)):
                before, initial = state[:-2], state[-2:]
                for place in at_ends.get(k + 1, []):
                    u = u + u_bars[place]
                if found is None:
                    k1 = sweeps.steps.first_stage(k, before)
                    record = sweeps.steps.record(k, before, k1, last_stage)
                    found = self._taken(k, state, record, 0)[1]
                last_stage = state[1]  # Of step k − 1.
                bars = self._before(
                    k, before, found, (u, k_bars), q_bars, seeds.get(k, []), (recent, recent_rates)
                )
                u, k_bars, p_rate = bars.u, bars.k, p_rate + bars.p
                sweeps.notify("reverse", k, sweeps.accepted.t[k])
        sweeps.steps.forget()
        start = sweeps.initial_values.vjp_rates(
            u + sweeps.observed_at_start(u_bars), k_bars, (initial[0], initial[1], self.p_dot)
        )
        return InitialRates(start.u0, p_rate + start.p)

    def _before(
        self,
        k: int,
        state: State,
        found: TangentRecord,
        bars: tuple[Array, Array],
        q_bars: Array | None,
        seeds: list[Seed],
        recent: tuple[Recent, Recent],
    ) -> StepBars:
        """The cotangents and rates before step k from those after step k."""
        sweeps, record = self.sweeps, found.step
        tangents = StepTangents(found.u_dot, found.K_dot, self.p_dot)
        step = sweeps.frozen(k, state, record, bool(seeds), recent[0], (False, False))
        try:
            back = step_vjp_rates(step, tangents, bars, q_bars, seeds, recent[1])
        except NonFiniteField:
            raise
        except NonFinite as error:
            raise sweeps.domain_edge_error(
                k, state[0], record.K, f"The reverse sweep fails ({error})"
            ) from error
        initial = sweeps.steps.initial_values(k, state, record)
        if initial is None or not (initial.derived or seeds):
            return back
        start = sweeps.steps.with_factors(initial, k, record).vjp_rates(
            back.u, back.k, (found.u_dot, found.K_dot[0], self.p_dot)
        )
        return StepBars(start.u0, np.zeros_like(back.k), back.p + start.p)
