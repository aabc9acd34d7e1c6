"""The forward sweep: steps under error control from landing to landing, or on a grid that is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..errors import (
    KrylovStalled,
    MemoryTooSmall,
    NoConvergenceError,
    NonFinite,
    NonFiniteField,
    SingularMatrix,
    StageFailure,
    StorageFailed,
    TooManySteps,
    integration_failure,
)
from ..typing import Array
from .discontinuities.knots import AHEAD, Interval, after, before
from .discontinuities.restart import Restarts
from .equations import System
from .failures import Refusal, explained, require_resolution
from .methods.tableau import Tableau, handed
from .stages.coupled_matrices import CoupledInverse, factored
from .stages.coupled_stages import solved_step, step_equation
from .stages.stage_matrices import Inverse
from .stages.stages import SAFETY, UNKNOWN, Stages, solved_stages, values
from .step_control.controller import Pace, StepControl, estimated_error, first_step
from .step_control.integral_errors import IntegralControl
from .steps import Course, Rates, State, StepRecord, Taken, base_point, recorded, state_before

MATRIX = 0.01
"""Relative change of hγ up to which a matrix still serves: it adds as much to the contraction."""


REJECTIONS = 60
"""Rejections in a row after which the integration is given up: 0.5⁶⁰ is no step any more."""


FIRST = 1e3
"""Ulps of t₀ that an automatic first step is long at least: a much shorter one is no step there."""


Visitor = Callable[[Taken], None]


@dataclass(eq=False)
class March:
    """An integration under way: what one step hands on to the next.

    tableau: of all steps but the first one, `start`, where K₁ is not known there. restarts: what begins anew at knots.
    keep: given (k, state, record) of each accepted step. visit: given the step, for observations and integrals. first:
    the time at which f is seen where the next step begins, if that is a knot. handed: the last stage of the step
    before, or all; k: K₁, or the same. largest: of all times, in size. integrals: their error control, None without.
    """

    system: System
    tableau: Tableau
    start: Tableau | None
    restarts: Restarts
    control: StepControl
    keep: Callable[[int, State, StepRecord], None]
    visit: Visitor
    notify: Callable[[str, int, float], None]
    u: Array
    k: Array
    first: float | None
    largest: float
    course: Course = field(default_factory=Course)
    handed: Array = field(init=False)
    inverse: Inverse | None = None
    base_u: Array | None = None
    base: int = -1
    base_t: float = 0.0
    base_hg: float = 0.0
    contraction: float = UNKNOWN
    stale: bool = True
    cause: Exception | None = None
    refused: Refusal | None = None
    integrals: IntegralControl | None = None

    def __post_init__(self) -> None:
        self.handed = self.k

    @property
    def step(self) -> Tableau:
        """What the next step is taken by."""
        return self.start if self.start is not None and not self.course.h else self.tableau

    def adaptive(self, landings: Sequence[float], first: float | None) -> None:
        """Steps under error control; landings: t₀ < … < t_f.

        Raises StepTooSmall, TooManySteps, StageFailure, NonFiniteField; what the user's functions raise.
        """
        require_resolution(self.system, self.u, landings[0])
        span = landings[-1] - landings[0]
        slope = self.k if self.k.ndim == 1 else self.k[-1]
        known = (
            None if self.start is not None or (self.tableau.coupled and not slope.any()) else slope
        )
        shortest = min(FIRST * np.finfo(float).eps * abs(landings[0]), span)
        wanted = first or max(
            first_step(self.system, self.tableau, landings[0], self.u, known, span), shortest
        )
        pace = Pace(self.control, self.tableau.error_order, self.tableau.coupled, wanted)
        self._land(landings[0])
        for a, b in pairwise(landings):
            if a != landings[0]:
                self._restart(a, b)
            pace.segment(a, b)
            while pace.j < pace.n:
                self._controlled(pace)
            self._land(b)

    def fixed(self, times: Array, landings: Sequence[float]) -> None:
        """Steps on a grid, (N + 1,), whose stages have to be found as they are; landings: among its times.

        f may jump at all times of the grid.
        """
        marks = set(landings)
        self._land(float(times[0]))
        for t, end in zip(times.tolist(), times[1:].tolist(), strict=False):
            if self.course.steps:
                self._restart(t, end)
            self._given(
                Interval(t, end - t, end, self._first(t), before(end, end - t, self.largest))
            )
            if end in marks:
                self._land(end)
            self.course.knots.add(self.course.steps)

    def repeated(self, course: Course) -> None:
        """The steps of another course, whatever the error."""
        marks = {k: t for k, t in zip(course.landed, course.landings, strict=True)}
        self._land(course.landings[0])
        for k in range(course.steps):
            step = course.interval(k)
            if k in course.restarts:
                self._begin(step.first, None)
            self._given(step)
            if k + 1 in marks:
                self._land(marks[k + 1])
        self.course.knots = set(course.knots)

    def _land(self, t: float) -> None:
        self.course.landings.append(t)
        self.course.landed.append(self.course.steps)
        self.course.knots.add(self.course.steps)

    def _restart(self, t: float, b: float) -> None:
        """Begin anew at a knot; b: the next one."""
        room = min(b - t, AHEAD * self.course.h[-1])
        self.first = after(t, room, self.largest)
        if not self.restarts.needed(self.tableau):
            return
        hg = self.base_hg or self.course.h[-1] * self.tableau.gamma
        inconsistent, f = self.restarts.inconsistent(self.first, self.u, self.inverse, hg)
        self._begin(self.first, None if inconsistent else f)

    def _begin(self, t: float, f: Array | None) -> None:
        """K₁ at t⁺; f: f(t, u), None where the algebraic unknowns have to be solved for first."""
        solve, steps = f is None and self.restarts.nulls is not None, self.course.steps
        if solve:
            self.u = self.restarts.solved(t, self.u, steps)
        self.k = self.restarts.first_stage(t, self.u, self.handed, self.tableau, f, steps)
        self.course.restarts[steps] = solve

    def _first(self, t: float) -> float:
        return t if self.first is None else self.first

    def _given(self, step: Interval) -> None:
        t, h = step.t, step.h
        stages = self._stages(step)
        if stages is None:
            raise integration_failure(
                StageFailure,
                f"Newton's method does not converge for the stages of a step of {h:.3g} on the given grid. Usual "
                "causes: a wrong jacobian, steps too long, nan in the field.",
                t,
                self.course.steps,
            )
        Y = values(self.system, self.step, h, self.u, stages.K)
        if not np.isfinite(Y[-1]).all():
            raise integration_failure(
                NonFiniteField,
                "The solution is no longer finite on the given grid.",
                t,
                self.course.steps,
            )
        self._accept(step, stages, Y, float("nan"), None)
        self.course.refused.append(0)

    def _controlled(self, pace: Pace) -> None:
        t, h, end = pace.t, pace.h, pace.end
        self._require_room(pace, t, h)
        final = before(end, h, self.largest) if pace.j == pace.n - 1 else t + h
        step = Interval(t, h, end, self._first(t), final)
        stages = self._stages(step)
        if stages is None:
            self._unsolved(pace, t, h)
            return
        Y = values(self.system, self.step, h, self.u, stages.K)
        try:
            local = estimated_error(
                self.system, self.step, step.first, h, self.u, Y[-1], stages.K, self.inverse
            )
        except (NonFinite, KrylovStalled) as cause:
            self.cause = cause
            self._unsolved(pace, t, h)
            return
        error, rates = local.size, None
        if self.integrals is not None and error <= 1.0:
            taken = Taken(self.course.steps, step, self.step, self.u, stages.K, Y)
            rates = self.integrals.rates(taken)
            error = max(error, self.integrals.error(taken, rates, local, pace.rejections))
            if error <= 1.0:
                self.integrals.accept(taken, rates)
        if not error <= 1.0:
            self._reject(Refusal(t, h, self.u, error, None))
            pace.reject(pace.shortened(error))
            return
        self._accept(step, stages, Y, error, rates)
        self.course.refused.append(pace.rejections)
        pace.accept(error)

    def _unsolved(self, pace: Pace, t: float, h: float) -> None:
        self._reject(Refusal(t, h, self.u, None, self.cause))
        pace.unsolved()

    def _reject(self, refusal: Refusal) -> None:
        self.course.rejected += 1
        self.notify("rejected", self.course.steps, refusal.t)
        self.refused = refusal

    def _require_room(self, pace: Pace, t: float, h: float) -> None:
        """Raise where the integration cannot go on."""
        steps = self.course.steps
        if steps >= self.control.max_steps:
            raise integration_failure(
                TooManySteps,
                f"{steps} steps, as many as allowed (max_steps), before t = {pace.b:.6g}; the next one would be "
                f"{h:.3g} long, and {self.course.rejected} were rejected. {self._doubt()} Are the tolerances too "
                "tight?",
                t,
                steps,
            )
        # From landing to landing any step will do, however short.
        whole = pace.n == 1 and not pace.rejections
        if pace.rejections >= REJECTIONS or not (whole or h > 16.0 * np.finfo(float).eps * abs(t)):
            raise explained(self.system, self.refused, t, h, steps)

    def _doubt(self) -> str:
        if self.integrals is not None and 2 * self.integrals.refused > self.course.rejected:
            return (
                f"{self.integrals.refused} of these for the error of an integral: StepControl(integrals=False) leaves "
                "integrals out, integral_atol says how exact they have to be."
            )
        if self.tableau.gamma == 0.0:
            return "Is the problem stiff, and the method explicit?"
        return "Is the jacobian of the field right? Newton's method depends on it."

    def _stages(self, step: Interval) -> Stages | None:
        """The stages of a step, with a new matrix if the old one does not serve; None if that does not help."""
        tableau = self.step
        if tableau.gamma == 0.0:
            self.inverse = self.system.mass_inverse
            return solved_stages(
                self.system, tableau, step, self.u, self.k, self.inverse, 0.0, True
            )
        hg = step.h * tableau.gamma
        if self.stale or not abs(hg - self.base_hg) <= MATRIX * self.base_hg:
            return self._renewed(step, hg)
        known = max(min(UNKNOWN, SAFETY * self.contraction), abs(hg / self.base_hg - 1.0))
        try:
            return self._solved(step, known, False)
        except NoConvergenceError:
            return None if self.base == self.course.steps else self._renewed(step, hg)

    def _solved(self, step: Interval, known: float, fresh: bool) -> Stages:
        system, tableau, inverse = self.system, self.step, self.inverse
        if not tableau.coupled or inverse is None:
            return solved_stages(system, tableau, step, self.u, self.k, inverse, known, fresh)
        last = self.course.h[-1] if self.course.h else step.h
        return solved_step(
            step_equation(system, tableau, step, self.u, self.k, last), inverse, fresh
        )

    def _renewed(self, step: Interval, hg: float) -> Stages | None:
        base_t, base_u = base_point(self.step, step.first, self.u, self.k, hg)
        try:
            self.inverse = factored(self.system, self.step, base_t, base_u, hg)
            if isinstance(self.inverse, CoupledInverse) and not self.system.given:
                # Now: it may be singular where the matrix of all stages is not, and J may be the field's own array.
                _ = self.inverse.single
        except (SingularMatrix, NonFinite) as error:  # Of another step length it need not be.
            self.stale, self.cause = True, error
            return None
        self.cause = None
        self.base, self.base_t, self.base_u, self.base_hg = self.course.steps, base_t, base_u, hg
        self.stale = False
        self.contraction = UNKNOWN
        try:
            return self._solved(step, UNKNOWN, True)
        except NoConvergenceError as error:
            self.stale, self.cause = True, error
            return None

    def _accept(
        self, step: Interval, stages: Stages, Y: Array, error: float, rates: Rates | None
    ) -> None:
        k, course, tableau = self.course.steps, self.course, self.step
        base = self.base if tableau.gamma else k
        course.t.append(step.t)
        course.h.append(step.h)
        course.first.append(step.first)
        course.final.append(step.final)
        course.tableau.append(tableau)
        course.base.append(base)
        course.base_t.append(self.base_t)
        course.base_hg.append(self.base_hg)
        course.iterations.append(stages.iterations)
        course.error.append(error)
        dense = self.system.algebra.dense
        state = state_before(tableau, stages, self.u, self.handed, self.base_u, base == k, dense)
        try:
            self.keep(k, state, recorded(stages.K, self.inverse, tableau, dense))
        except (MemoryTooSmall, StorageFailed) as failed:
            failed.t = step.t
            raise
        self.visit(Taken(k, step, tableau, self.u, stages.K, Y, rates))
        self.notify("forward", k, step.t)
        self.u, self.k, self.first = Y[-1].copy(), handed(tableau, stages.K), None
        self.handed = self.k
        self.contraction = stages.last if stages.last > 0.0 else self.contraction
        # A small matrix costs less than the corrections that it saves; that of the start has another γ.
        self.stale = stages.contraction > self.control.refresh or dense or self.start is tableau
