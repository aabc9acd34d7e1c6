"""The reverse sweep and the tangent sweep through the frozen steps of a trajectory.

The equations are in docs/math/time.md. Shapes: n unknowns, m parameters, q integrals, s
stages, N steps, K observations, L stop times; j columns, one for each objective (reverse
sweep) or direction (tangent sweep). λ = ∂J/∂u and κ = ∂J/∂K₁ belong to the state between
two steps; K₁, the first stage of a step, may be the last stage of the step before.
"""

from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..checkpointing.store import Store, sweeps_alone
from ..errors import NonFinite, NonFiniteField, StorageFailed
from ..factor.counts import settle
from ..typing import Array
from .dense_output import extended_stages
from .equations import System
from .failures import domain_edge_error
from .initial_values.initial_values import InitialValues
from .initial_values.null_spaces import consistent_term
from .stages.refinement import Recent
from .stages.stage_matrices import times
from .stages.stages import values
from .step_control.absolute_tolerances import Findings
from .step_derivatives import dense_tangent, inner, step_jvp, step_vjp, value_tangent
from .steps.accepted_steps import AcceptedSteps
from .steps.frozen_step import FrozenStep, Move, Seed, StepCotangents
from .steps.records import State, StepRecord
from .steps.repeated_steps import RepeatedSteps

R = TypeVar("R")
"""Type of the records of steps."""


Notify: TypeAlias = Callable[[str, int, float], None]
"""Called with ("reverse" or "tangent", step, t) after each step of a sweep."""


@dataclass(frozen=True, eq=False)
class Contribution:
    """The result of the reverse sweep for step k.

    state: u at the start of the step, (n,). u, K1: ∂J/∂u and ∂J/∂K₁ at the start of the
    step, (n, j). p: the part of ∂J/∂p that comes from this step, (m, j). t, h:
    ∂J/∂(start) and ∂J/∂(length) of the step, (j,), zero if not requested. observed: a
    pair (number of the observation, ∂J/∂(time of the observation), (j,)) for each
    observation inside the step or at its end. infinite: a list with the
    start time of the step if ∂f/∂t is infinite there and no stage lies there, otherwise [].
    This is tested only at a discontinuity that moves.
    """

    k: int
    state: Array
    u: Array
    K1: Array
    p: Array
    t: Array
    h: Array
    observed: list[tuple[int, Array]]
    infinite: list[float]


@dataclass(frozen=True, eq=False)
class Sweeps:
    """The sweeps through the steps of a trajectory.

    initial_values: u(t₀) and K₁, with derivatives. steps: the accepted steps, which can
    be repeated. places: (k, θ) for each observation, which lies at t + θh inside step
    k, or at the start of step k if θ is None. store: the states and records stored by
    the integration. notify: called after each step of a sweep. findings: the findings
    of the last reverse sweep, for the evidence; each reverse sweep changes them.
    """

    system: System
    initial_values: InitialValues
    steps: RepeatedSteps
    places: list[tuple[int, float | None]]
    store: Store[StepRecord]
    notify: Notify
    findings: Findings = field(default_factory=Findings)

    @property
    def accepted(self) -> AcceptedSteps:
        """The accepted steps."""
        return self.steps.accepted

    @property
    def alone(self) -> AbstractContextManager[None]:
        """A context in which no other sweep can run, see `Store.sweeping`."""
        return self.store.sweeping()

    # The reverse sweep

    def reverse(
        self, u_bar: Array, q_bar: Array | None, timed: bool, fixed: Container[int] = ()
    ) -> Iterator[Contribution]:
        """The contributions of the steps, last step first; u_bar: (K, n, j), q_bar: (q, j).

        u_bar: ∂J/∂u at the observations. q_bar: ∂J/∂(integrals), None without
        integrals. timed: True to compute ∂J/∂(start) and ∂J/∂(length) of the steps as
        well. fixed: the numbers k of the steps that begin at a fixed time at which f
        may jump.
        """
        n, j = u_bar.shape[1:]
        if j == 0:  # Without an objective there is nothing to compute.
            return
        lam = np.zeros((n, j), dtype=self.system.dtype)
        kappa = np.zeros((n, j), dtype=self.system.dtype)
        at_ends, seeds = self.seeds(u_bar)
        recent, last_stage = Recent(), None
        for k, state, record in self.with_times(self.store.backward(self.steps.advance)):
            for place in at_ends.get(k + 1, []):
                lam = lam + u_bar[place]
            inside = seeds.get(k, [])
            initial = self.steps.initial_values(k, state, record)
            if record is None:
                k1 = state[1] if initial is None else initial.k
                record = self.steps.record(k, state, k1, last_stage)
            # The state before step k holds the last stage of step k − 1 (all stages if they
            # are coupled), which need not be solved again.
            last_stage = state[1]
            step = self.frozen(k, state, record, bool(inside), recent, (k in fixed, k + 1 in fixed))
            try:
                back = step_vjp(step, lam, kappa, q_bar, inside, timed)
            except NonFiniteField:  # This error names the time and the causes already.
                raise
            except NonFinite as error:
                raise self.domain_edge_error(
                    k, state[0], record.K, f"The reverse sweep fails ({error})"
                ) from error
            observed = [(seed.place, back.observed[number]) for number, seed in enumerate(inside)]
            if timed:
                slope = step.K[step.tableau.last]
                observed += [
                    (place, inner(u_bar[place], slope)) for place in at_ends.get(k + 1, [])
                ]
            moved = timed and k not in fixed
            infinite = (
                [step.interval.t]
                if moved and k in self.accepted.discontinuities and step.infinite_rate_at_start()
                else []
            )
            # Stage values do not depend on the algebraic unknowns before the step; only K₁ and
            # dense output do.
            if initial is not None and (initial.derived or inside):
                bars = self.steps.with_factors(initial, k, record).vjp(
                    back.u, back.k, step.h if moved else None
                )
                zero = np.zeros(back.k.shape, dtype=back.k.dtype)
                back = StepCotangents(
                    bars.u0, zero, back.p + bars.p, back.t + bars.t, back.h, back.observed
                )
            lam, kappa = back.u, back.k
            self.notify("reverse", k, self.accepted.t[k])
            yield Contribution(k, state[0], lam, kappa, back.p, back.t, back.h, observed, infinite)
        self.steps.forget()

    def seeds(self, u_bar: Array) -> tuple[dict[int, list[int]], dict[int, list[Seed]]]:
        """({k: observations at the start of step k}, {k: seeds inside step k}).

        Observations at t_f are listed at the start of step N, a step that does not
        exist.
        """
        at_ends: dict[int, list[int]] = {}
        seeds: dict[int, list[Seed]] = {}
        for place, (k, theta) in enumerate(self.places):
            if theta is None:
                at_ends.setdefault(k, []).append(place)
            else:
                seeds.setdefault(k, []).append(Seed(theta, u_bar[place], place))
        return at_ends, seeds

    def observed_at_start(self, u_bar: Array) -> Array:
        """The sum of ū over the observations at t₀, (n, j), which `reverse` does not include."""
        at_ends, _ = self.seeds(u_bar)
        start = np.zeros(u_bar.shape[1:], dtype=self.system.dtype)
        for place in at_ends.get(0, []):
            start = start + u_bar[place]
        return start

    def total(self, contribution: Contribution) -> Array:
        """∂J/∂u at the start of a step, (n, j), where K₁ depends on u: docs/math/time.md, eq. 55.

        Observations at the start of the step are not included. For a DAE, the
        derivative is with respect to the differential unknowns: the algebraic unknowns
        depend on them.
        """
        system, nulls, k = self.system, self.initial_values.nulls, contribution.k
        if k in self.accepted.reinitialized:  # K₁ and the algebraic unknowns follow u here.
            if nulls is None:
                return contribution.u
            return contribution.u - nulls.N @ (nulls.N.conj().T @ contribution.u)
        t, continues = self.accepted.first[k], self.accepted.tableau[k].continues
        if nulls is not None:
            return contribution.u + consistent_term(
                system, nulls, t, contribution.state, contribution.u, contribution.K1
            )
        if not continues:
            return contribution.u
        inverse = system.mass_inverse
        w = contribution.K1 if inverse is None else inverse.solve(contribution.K1, "H")
        return contribution.u + times(system.jacobian(t, contribution.state), w, "H")

    # The tangent sweep

    @sweeps_alone
    def tangent(
        self, u0_dot: Array, p_dot: Array, stop_times_dot: Array | None, integrals: int
    ) -> tuple[Array, Array | None]:
        """(u̇ (K, n, j) at the observations, q̇ (q, j)) along u̇₀ (n, j) and ṗ (m, j).

        stop_times_dot: tangents of the stop times, (L, j), zero for t₀ and t_f; None if no
        stop time moves. Observation times do not move. integrals: q.
        """
        u_dot, k_dot = self.initial_values.jvp(u0_dot, p_dot, None, self.accepted.h[0])
        moves = None if stop_times_dot is None else self.accepted.stop_times_jvp(stop_times_dot)
        stop_dot = (
            {}
            if stop_times_dot is None
            else dict(zip(self.accepted.stop_steps, stop_times_dot, strict=True))
        )
        fixed = {k for k, dot in stop_dot.items() if not dot.any()}
        dtype: np.dtype[Any] = np.result_type(self.system.dtype, u_dot)
        observed = np.zeros((len(self.places), *u_dot.shape), dtype=dtype)
        for place, (k, theta) in enumerate(self.places):
            if k == 0 and theta is None:
                observed[place] = u_dot
        q_dot: Array | None = None
        observations, recent = self.observations_of_steps(), Recent()
        for k, state, record in self.with_times(self.store.forward(self.steps.advance)):
            inside = [
                (place, theta) for place, theta in observations.get(k, []) if theta is not None
            ]
            move = None if moves is None else Move(moves[0][k], moves[1][k])
            initial = self.steps.initial_values(k, state, record)
            if record is None:
                k1 = state[1] if initial is None else initial.k
                record = self.steps.record(k, state, k1, None)
            if initial is not None and (initial.derived or inside):
                t_dot = None if move is None else move.t
                u_dot, k_dot = self.steps.with_factors(initial, k, record).jvp(
                    u_dot, p_dot, t_dot, self.accepted.h[k]
                )
            step = self.frozen(k, state, record, bool(inside), recent, (k in fixed, k + 1 in fixed))
            try:
                K_dot, integral_dot = step_jvp(step, u_dot, k_dot, p_dot, integrals, move)
            except NonFiniteField:
                raise
            except NonFinite as error:
                raise self.domain_edge_error(
                    k, state[0], record.K, f"The tangent sweep fails ({error})"
                ) from error
            q_dot = integral_dot if q_dot is None or integral_dot is None else q_dot + integral_dot
            for place, theta in inside:
                observed[place] = u_dot + dense_tangent(step, theta, K_dot, move)
            last = step.tableau.last
            u_dot = u_dot + value_tangent(step, last, K_dot, move)
            k_dot = K_dot[last]
            for place, theta in observations.get(k + 1, []):
                if theta is None:
                    # If a break at the end of the step moves, the observation time does not.
                    moved = stop_dot.get(k + 1)
                    observed[place] = (
                        u_dot if moved is None else u_dot - np.multiply.outer(step.K[last], moved)
                    )
            self.notify("tangent", k, self.accepted.t[k])
        self.steps.forget()
        return observed, q_dot

    def observations_of_steps(self) -> dict[int, list[tuple[int, float | None]]]:
        """{k: [(number of the observation, θ)]}; θ is None at the start of step k."""
        found: dict[int, list[tuple[int, float | None]]] = {}
        for place, (k, theta) in enumerate(self.places):
            found.setdefault(k, []).append((place, theta))
        return found

    # Both sweeps

    def frozen(
        self,
        k: int,
        state: State,
        record: StepRecord,
        dense: bool,
        recent: Recent,
        fixed_ends: tuple[bool, bool],
    ) -> FrozenStep:
        """Step k, to be differentiated; dense: include the extra stages of dense output.

        fixed_ends: (True if the start of the step is fixed, True if its end is fixed).
        """
        accepted, tableau, K = self.accepted, self.accepted.tableau[k], record.K
        if dense and tableau.extended is not tableau:
            K = extended_stages(self.system, tableau, accepted.interval(k), state[0], K)
            tableau = tableau.extended
        return FrozenStep(
            self.system,
            tableau,
            accepted.interval(k),
            state[0],
            K,
            record.inverse,
            recent,
            fixed_ends=fixed_ends,
        )

    @contextmanager
    def time_of_errors(self) -> Iterator[None]:
        """Add the time to errors of the storage, which know only the number of the step."""
        try:
            yield
        except StorageFailed as error:
            error.t = float(self.accepted.grid()[min(error.steps, self.accepted.count)])
            raise

    def with_times(
        self, steps: Iterator[tuple[int, State, R | None]]
    ) -> Iterator[tuple[int, State, R | None]]:
        """Yield the stored steps; add the time to errors of the storage, count work at the end.

        steps: (k, the state before step k, the record of step k; None if it was not kept).
        """
        with self.time_of_errors():
            try:
                yield from steps
            finally:
                settle()

    def computed_backward(self) -> Iterator[tuple[int, Array, Array]]:
        """Yield (k, u before step k, stages K of step k), last step first; u: (n,), K: (s, n)."""
        last_stage = None
        try:
            for k, state, record in self.with_times(self.store.backward(self.steps.advance)):
                if record is None:
                    k1 = self.steps.first_stage(k, state)
                    record = self.steps.record(k, state, k1, last_stage)
                last_stage = state[1]  # Of step k − 1, as in `reverse`.
                yield k, state[0], record.K
        finally:
            self.steps.forget()

    def computed_forward(self) -> Iterator[tuple[int, Array, Array]]:
        """Yield (k, u before step k, stages K of step k), first step first; u: (n,), K: (s, n)."""
        try:
            for k, state, record in self.with_times(self.store.forward(self.steps.advance)):
                if record is None:
                    k1 = self.steps.first_stage(k, state)
                    record = self.steps.record(k, state, k1, None)
                yield k, state[0], record.K
        finally:
            self.steps.forget()

    def interpolated(self, times: Array) -> Array:
        """u at times in any order, by dense output; at the end of a step, u is the computed state.

        times: (L,). Returns u, (L, n).
        """
        u = np.empty((times.size, self.system.n), dtype=self.system.dtype)
        steps = np.searchsorted(self.accepted.grid(), times, side="left") - 1
        u[steps < 0] = self.initial_values.u
        if not (steps >= 0).any():
            return u
        for k, start, K in self.computed_forward():
            places = np.flatnonzero(steps == k)
            if places.size:
                step, tableau = self.accepted.interval(k), self.accepted.tableau[k]
                extended = extended_stages(self.system, tableau, step, start, K)
                for place in places.tolist():
                    if times[place] == step.end:
                        u[place] = values(self.system, tableau, step.h, start, K)[tableau.last]
                    else:
                        weights = tableau.weights((times[place] - step.t) / step.h)
                        u[place] = start + step.h * self.system.combined(weights, extended)
            if k == steps.max():
                break
        return u

    def nonfinite(self, u_bar: Array, q_bar: Array | None, what: str) -> NonFiniteField | None:
        """The error that names the last step whose contribution to a gradient is nan or inf.

        Returns None if the contributions of all steps are finite. what: start of the
        message.
        """
        bad = None
        for contribution in self.reverse(u_bar, q_bar, False):
            if not (
                np.isfinite(contribution.u).all()
                and np.isfinite(contribution.K1).all()
                and np.isfinite(contribution.p).all()
            ):
                bad = contribution.k
                break
        if bad is None:
            return None
        for k, u, K in self.computed_backward():
            if k == bad:
                return self.domain_edge_error(k, u, K, what)
        return None

    def domain_edge_error(self, k: int, u: Array, K: Array, what: str) -> NonFiniteField:
        """The error for derivatives of step k that are nan or inf; u: (n,), K: (s, n)."""
        tableau, step = self.accepted.tableau[k], self.accepted.interval(k)
        Y = values(self.system, tableau, step.h, u, K)
        return domain_edge_error(self.system, tableau.times(step), Y, (step.t, step.end), k, what)
