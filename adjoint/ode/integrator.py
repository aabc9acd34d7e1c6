"""The integration: steps under error control from stop time to stop time, or on a given grid."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..errors import (
    KrylovStalled,
    MemoryTooSmall,
    NonFinite,
    NonFiniteField,
    StageFailure,
    StorageFailed,
    TooManySteps,
    integration_failure,
)
from ..typing import Array
from .discontinuities.one_sided_times import AHEAD, Interval, after, before
from .equations import System
from .failures import RejectedStep, require_resolution, step_failure
from .initial_values.reinitialization import Reinitialization
from .methods.tableau import Tableau, carried_over
from .stages.reused_factors import ReusedFactors
from .stages.stages import Stages, values
from .step_control.controller import StepControl, StepSizeController, first_step
from .step_control.error_estimate import estimated_error
from .step_control.integral_errors import IntegralControl
from .steps.accepted_steps import AcceptedSteps
from .steps.records import ComputedStep, Rates, State, StepRecord, recorded, state_before

MAX_REJECTIONS = 60
"""Maximum number of successive rejections: steps are then shortened by a factor of 0.5⁶⁰ or
less."""


FIRST_STEP_ULPS = 1e3
"""Least length of an automatic first step, in ulps of t₀: a shorter step would be rounding."""


Visitor: TypeAlias = Callable[[ComputedStep], None]
"""Called with each accepted step, for observations and integrals."""


@dataclass(eq=False)
class Integrator:
    """An integration in progress, with the data that each step leaves for the next step.

    Parameters
    ----------
    system : the equations at p.
    tableau : the tableau of the steps.
    first_tableau : the tableau of the first step of a DAE, whose K₁ is unknown; None if the
        first step is like the other steps.
    reinitialization : computes K₁ and algebraic unknowns at times at which f may jump.
    control : settings of the step size control.
    keep : called with (k, state, record) of each accepted step.
    visit : called with each accepted step, for observations and integrals.
    notify : called with (kind, k, t) for each accepted and each rejected step.
    u : (n,) state at the start of the next step.
    k : (n,) K₁ of the next step; (s, n) the stages of the last step if stages are coupled.
    first_time : t⁺, at which the next step evaluates f at its start t; None if f does not
        jump at t.
    largest : the largest |t| of the integration.
    accepted : the accepted steps so far.

    Remembers for the next step: `carried`, the last stage of the last step (all stages
    if coupled); `factors`, the factors of Newton's method; `rejection`, the last
    rejected step, or None; `integrals`, the error control of integrals, or None.
    """

    system: System
    tableau: Tableau
    first_tableau: Tableau | None
    reinitialization: Reinitialization
    control: StepControl
    keep: Callable[[int, State, StepRecord], None]
    visit: Visitor
    notify: Callable[[str, int, float], None]
    u: Array
    k: Array
    first_time: float | None
    largest: float
    accepted: AcceptedSteps = field(default_factory=AcceptedSteps)
    carried: Array = field(init=False)
    factors: ReusedFactors = field(init=False)
    rejection: RejectedStep | None = None
    integrals: IntegralControl | None = None

    def __post_init__(self) -> None:
        self.carried = self.k
        self.factors = ReusedFactors(self.system, self.control.refresh)

    @property
    def next_tableau(self) -> Tableau:
        """The tableau of the next step."""
        if self.first_tableau is not None and not self.accepted.h:
            return self.first_tableau
        return self.tableau

    # Which steps are taken

    def adaptive(self, stop_times: Sequence[float], first: float | None) -> None:
        """Integrate under error control, from stop time to stop time, t₀ < … < t_f.

        first: length of the first step, None for an automatic length. Raises
        StepTooSmall, TooManySteps, StageFailure or NonFiniteField, each with the time
        reached, and all errors of the user's functions.
        """
        require_resolution(self.system, self.u, stop_times[0])
        span = stop_times[-1] - stop_times[0]
        slope = self.k if self.k.ndim == 1 else self.k[-1]
        unknown = self.first_tableau is not None or (self.tableau.coupled and not slope.any())
        shortest = min(FIRST_STEP_ULPS * np.finfo(float).eps * abs(stop_times[0]), span)
        wanted = first or max(
            first_step(
                self.system,
                self.tableau,
                stop_times[0],
                self.u,
                None if unknown else slope,
                span,
            ),
            shortest,
        )
        controller = StepSizeController(
            self.control, self.tableau.error_order, self.tableau.coupled, wanted
        )
        self._stop(stop_times[0])
        for a, b in pairwise(stop_times):
            if a != stop_times[0]:
                self._reinitialize_if_needed(a, b)
            controller.segment(a, b)
            while controller.j < controller.n:
                self._try_step(controller)
            self._stop(b)

    def on_grid(self, times: Array, stop_times: Sequence[float]) -> None:
        """Take the steps of a grid, (N + 1,), without error control.

        stop_times: the stop times, which are times of the grid. f may jump at each time of
        the grid.
        """
        marks = set(stop_times)
        self._stop(float(times[0]))
        for t, end in zip(times.tolist(), times[1:].tolist(), strict=False):
            if self.accepted.count:
                self._reinitialize_if_needed(t, end)
            final = before(end, end - t, self.largest)
            self._take_given(Interval(t, end - t, end, self._first_time(t), final))
            if end in marks:
                self._stop(end)
            self.accepted.discontinuities.add(self.accepted.count)

    def repeat(self, frozen: AcceptedSteps) -> None:
        """Take the steps of an earlier integration, without error control."""
        marks = {k: t for k, t in zip(frozen.stop_steps, frozen.stop_times, strict=True)}
        self._stop(frozen.stop_times[0])
        for k in range(frozen.count):
            step = frozen.interval(k)
            if k in frozen.reinitialized:
                self._reinitialize(step.first, None)
            self._take_given(step)
            if k + 1 in marks:
                self._stop(marks[k + 1])
        self.accepted.discontinuities = set(frozen.discontinuities)

    def _stop(self, t: float) -> None:
        """Record t as a stop time, at which f may jump."""
        self.accepted.stop_times.append(t)
        self.accepted.stop_steps.append(self.accepted.count)
        self.accepted.discontinuities.add(self.accepted.count)

    # After a possible discontinuity

    def _reinitialize_if_needed(self, t: float, b: float) -> None:
        """Prepare the step after t, if f may jump at t; b: the next time at which f may jump."""
        room = min(b - t, AHEAD * self.accepted.h[-1])
        self.first_time = after(t, room, self.largest)
        if not self.reinitialization.needed(self.tableau):
            return
        hg = self.factors.base_hg or self.accepted.h[-1] * self.tableau.gamma
        inconsistent, f = self.reinitialization.inconsistent(
            self.first_time, self.u, self.factors.inverse, hg
        )
        self._reinitialize(self.first_time, None if inconsistent else f)

    def _reinitialize(self, t: float, f: Array | None) -> None:
        """Compute K₁ of the next step; if f is None, compute consistent algebraic unknowns first.

        t: the time t⁺ at which f is evaluated. f: f(t, u), (n,), or None.
        """
        solve, steps = f is None and self.reinitialization.nulls is not None, self.accepted.count
        if solve:
            self.u = self.reinitialization.solved(t, self.u, steps)
        self.k = self.reinitialization.first_stage(t, self.u, self.carried, self.tableau, f, steps)
        self.accepted.reinitialized[steps] = solve

    def _first_time(self, t: float) -> float:
        """The time at which a step from t first evaluates f: t⁺ if f may jump at t, otherwise t."""
        return t if self.first_time is None else self.first_time

    # One step

    def _take_given(self, step: Interval) -> None:
        """Take a step of given length; raise StageFailure or NonFiniteField if the step fails."""
        t, h = step.t, step.h
        stages = self._stages(step)
        if stages is None:
            raise integration_failure(
                StageFailure,
                f"Newton's method does not converge for the stages of a step of {h:.3g} on the "
                "given grid. Usual causes: a wrong jacobian, steps too long, nan in the field.",
                t,
                self.accepted.count,
            )
        Y = values(self.system, self.next_tableau, h, self.u, stages.K)
        if not np.isfinite(Y[-1]).all():
            raise integration_failure(
                NonFiniteField,
                "The solution is no longer finite on the given grid.",
                t,
                self.accepted.count,
            )
        self._accept(step, stages, Y, float("nan"), None)
        self.accepted.rejections.append(0)

    def _try_step(self, controller: StepSizeController) -> None:
        """Try the step that the controller proposes, and accept or reject this step."""
        t, h, end = controller.t, controller.h, controller.end
        self._require_room(controller, t, h)
        final = before(end, h, self.largest) if controller.j == controller.n - 1 else t + h
        step = Interval(t, h, end, self._first_time(t), final)
        stages = self._stages(step)
        if stages is None:
            self._reject_unsolved(controller, t, h)
            return
        tableau = self.next_tableau
        Y = values(self.system, tableau, h, self.u, stages.K)
        try:
            local = estimated_error(
                self.system, tableau, step.first, h, self.u, Y[-1], stages.K, self.factors.inverse
            )
        except (NonFinite, KrylovStalled) as cause:
            self.factors.cause = cause
            self._reject_unsolved(controller, t, h)
            return
        error, rates = local.size, None
        if self.integrals is not None and error <= 1.0:
            computed = ComputedStep(self.accepted.count, step, tableau, self.u, stages.K, Y)
            rates = self.integrals.rates(computed)
            error = max(error, self.integrals.error(computed, rates, local, controller.rejections))
            if error <= 1.0:
                self.integrals.accept(computed, rates)
        if not error <= 1.0:
            self._reject(RejectedStep(t, h, self.u, error, None))
            controller.reject(controller.rejection_factor(error))
            return
        self._accept(step, stages, Y, error, rates)
        self.accepted.rejections.append(controller.rejections)
        controller.accept(error)

    def _reject_unsolved(self, controller: StepSizeController, t: float, h: float) -> None:
        """Reject a step whose stages or error estimate could not be computed."""
        self._reject(RejectedStep(t, h, self.u, None, self.factors.cause))
        controller.reject_unsolved()

    def _reject(self, rejection: RejectedStep) -> None:
        """Count a rejected step, and report the rejection to the callback."""
        self.accepted.rejected += 1
        self.notify("rejected", self.accepted.count, rejection.t)
        self.rejection = rejection

    def _require_room(self, controller: StepSizeController, t: float, h: float) -> None:
        """Raise TooManySteps, or the error of `step_failure` if h is too short for a step at t."""
        steps = self.accepted.count
        if steps >= self.control.max_steps:
            raise integration_failure(
                TooManySteps,
                f"max_steps = {steps} steps were taken before t = {controller.b:.6g}; the next "
                f"step would be {h:.3g} long, and {self.accepted.rejected} steps were rejected. "
                f"{self._advice()} Are the tolerances too tight?",
                t,
                steps,
            )
        # A step that goes from one stop time to the next may be arbitrarily short.
        whole = controller.n == 1 and not controller.rejections
        if controller.rejections >= MAX_REJECTIONS or not (
            whole or h > 16.0 * np.finfo(float).eps * abs(t)
        ):
            raise step_failure(self.system, self.rejection, t, h, steps)

    def _advice(self) -> str:
        """The most likely cause of too many steps, for a message."""
        if self.integrals is not None and 2 * self.integrals.rejected > self.accepted.rejected:
            return (
                f"{self.integrals.rejected} of these were rejected for the error of an integral "
                "only: StepControl(integrals=False) ignores integrals, integral_atol sets their "
                "tolerance."
            )
        if self.tableau.gamma == 0.0:
            return "Is the problem stiff, and the method explicit?"
        return "Is the jacobian of the field right? Newton's method depends on it."

    def _stages(self, step: Interval) -> Stages | None:
        """The stages of the next step; None if Newton's method does not converge."""
        last = self.accepted.h[-1] if self.accepted.h else step.h
        return self.factors.stages(
            self.accepted.count, self.next_tableau, step, self.u, self.k, last
        )

    def _accept(
        self, step: Interval, stages: Stages, Y: Array, error: float, rates: Rates | None
    ) -> None:
        """Record an accepted step; its end becomes the start of the next step. Y: (s, n)."""
        k, accepted, tableau = self.accepted.count, self.accepted, self.next_tableau
        factors = self.factors
        base = factors.base if tableau.gamma else k
        accepted.t.append(step.t)
        accepted.h.append(step.h)
        accepted.first.append(step.first)
        accepted.final.append(step.final)
        accepted.tableau.append(tableau)
        accepted.base.append(base)
        accepted.base_t.append(factors.base_t)
        accepted.base_hg.append(factors.base_hg)
        accepted.iterations.append(stages.iterations)
        accepted.error.append(error)
        dense = self.system.algebra.dense
        state = state_before(
            tableau, stages, self.u, self.carried, factors.base_u, base == k, dense
        )
        try:
            self.keep(k, state, recorded(stages.K, factors.inverse, tableau, dense))
        except (MemoryTooSmall, StorageFailed) as failed:
            failed.t = step.t
            raise
        self.visit(ComputedStep(k, step, tableau, self.u, stages.K, Y, rates))
        self.notify("forward", k, step.t)
        self.u, self.k, self.first_time = Y[-1].copy(), carried_over(tableau, stages.K), None
        self.carried = self.k
        # New factors are needed after the first step of a DAE, whose tableau has another γ. For
        # small systems new factors cost less than the corrections that they save.
        factors.accept(stages, dense or self.first_tableau is tableau)
