"""The sweeps through a trajectory, in reverse and tangent, over its frozen steps."""

from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..checkpointing.store import Store, sweeps_alone
from ..errors import NonFinite, NonFiniteField, StorageFailed
from ..factor.counts import settle
from ..typing import Array
from .adjoint_states import with_slopes
from .dense_output import extended_stages
from .discontinuities.restart import Restarts
from .equations import System
from .failures import at_the_edge
from .initial_values import Beginning
from .methods.tableau import handed
from .stages.coupled_matrices import CoupledInverse, factored
from .stages.coupled_stages import repeated_step, step_equation
from .stages.refinement import Recent
from .stages.stage_matrices import Inverse, times
from .stages.stages import repeated_stages, values
from .step_control.absolute_tolerances import Findings
from .step_derivatives import (
    Move,
    Pulled,
    Seed,
    Step,
    dense_tangent,
    inner,
    pulled,
    pushed,
    value_tangent,
)
from .steps import Course, StepRecord, base_point, costliest, recorded

Kept = tuple[int, tuple[Array, ...], StepRecord | None]
"""(k, the state before step k, its record or None)."""


Progress = Callable[[str, int, float], None]
"""Told ("reverse" or "tangent", step, t) as sweeps go."""


@dataclass(frozen=True, eq=False)
class Share:
    """What one step contributes to a reverse sweep.

    k: its number. state: the u where it begins, (n,). u, K1: ∂J/∂(u, K₁) where it begins, (n, j). p: (m, j), its share
    of ∂J/∂p. t, h: (j,). observed: [(place, (j,))], ∂J/∂(times observed inside of it,
    or where it ends). infinite: [t] if ∂f/∂t is infinite where it begins, and no stage lies there.
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
    """A trajectory's steps, to be swept over.

    restarts: what begins anew at knots. places: of the observations, see `Observer`. store: what was kept of the
    forward sweep. findings: what reverse sweeps have found out.
    """

    system: System
    beginning: Beginning
    restarts: Restarts
    course: Course
    places: list[tuple[int, float | None]]
    store: Store[StepRecord]
    notify: Progress
    findings: Findings = field(default_factory=Findings)
    _latest: list[tuple[tuple[int, float], Inverse]] = field(default_factory=list)

    def advance(self, k: int, state: tuple[Array, ...]) -> tuple[tuple[Array, ...], StepRecord]:
        """The state after step k, and its record: the step once more, to the last bit."""
        k1 = self._first_stage(k, state)
        record = self._record(k, state, k1, None)
        course, tableau = self.course, self.course.tableau[k]
        u = values(self.system, tableau, course.h[k], state[0], record.K)[tableau.last].copy()
        if course.restarts.get(k + 1, False):
            u = self.restarts.solved(course.first[k + 1], u, k + 1)
        last = handed(tableau, record.K)
        if tableau.gamma == 0.0:
            return (u, last), record
        if k + 1 == course.steps or course.base[k + 1] != k + 1:
            return (u, last, self._base_u(k, state, k1)), record
        return (u, last), record

    def _restart(
        self, k: int, state: tuple[Array, ...], record: StepRecord | None
    ) -> Beginning | None:
        """What step k begins with at a knot; None where it goes on from the step before. record: None if not kept."""
        course = self.course
        if k not in course.restarts:
            return None
        t, tableau = course.first[k], course.tableau[k]
        if record is None:
            k1 = self.restarts.first_stage(t, state[0], state[1], tableau, None, k)
        else:
            k1 = record.K[0] if tableau.continues else state[1]
        return self.restarts.known(t, state[0], k1, tableau)

    def _near(self, restart: Beginning, k: int, record: StepRecord) -> Beginning:
        """The same with the factors of its step, where there are any: they nearly solve for algebraic unknowns."""
        inverse = record.inverse
        if inverse is None or not restart.moved or self.system.algebra.dense:
            return restart
        single = inverse.single if isinstance(inverse, CoupledInverse) else inverse
        return replace(restart, near=(single, self.course.base_hg[k]))

    def _first_stage(self, k: int, state: tuple[Array, ...]) -> Array:
        """K₁ of step k; of coupled stages those of the step before."""
        restart = self._restart(k, state, None)
        return state[1] if restart is None else restart.k

    def _record(
        self, k: int, state: tuple[Array, ...], k1: Array, last: Array | None
    ) -> StepRecord:
        """The stages of step k once more; last: the last of them, or all, None if it is not known."""
        course, tableau = self.course, self.course.tableau[k]
        dense = self.system.algebra.dense
        if tableau.coupled and last is not None and dense:
            return recorded(last, None, tableau, dense)
        inverse, iterations = self._inverse(k, state, k1), course.iterations[k]
        step, u = course.interval(k), state[0]
        if tableau.coupled and inverse is not None:
            if last is None:
                equation = step_equation(
                    self.system, tableau, step, u, k1, course.h[k - 1] if k else step.h
                )
                last = repeated_step(equation, inverse, iterations)
            return recorded(last, inverse, tableau, dense)
        known = {} if last is None else {tableau.stages - 1: last}
        i = costliest(iterations)
        if course.base[k] == k and len(state) > 2 and i is not None:
            known[i] = state[2]
        K = repeated_stages(self.system, tableau, step, u, k1, known, inverse, iterations)
        return recorded(K, inverse, tableau, dense)

    def _inverse(self, k: int, state: tuple[Array, ...], k1: Array) -> Inverse | None:
        course = self.course
        if course.tableau[k].gamma == 0.0:
            return self.system.mass_inverse
        key = (course.base[k], course.base_hg[k])
        for known, inverse in self._latest:
            if known == key:
                return inverse
        # The one before goes when this one is there: backends keep their memory while any factors are alive.
        base_t, base_u = course.base_t[k], self._base_u(k, state, k1)
        inverse = factored(self.system, course.tableau[k], base_t, base_u, key[1])
        self._latest[:] = [(key, inverse)]
        return inverse  # Not what stands there now: another thread may sweep as well.

    def _base_u(self, k: int, state: tuple[Array, ...], k1: Array) -> Array:
        """Where the matrix of step k was evaluated."""
        course = self.course
        if course.base[k] != k:
            return state[2]
        return base_point(course.tableau[k], course.first[k], state[0], k1, course.base_hg[k])[1]

    @contextmanager
    def dated(self) -> Iterator[None]:
        """Note the time in errors of the storage, which only knows the number of the step."""
        try:
            yield
        except StorageFailed as error:
            error.t = float(self.course.grid()[min(error.steps, self.course.steps)])
            raise

    def _dated(self, steps: Iterator[Kept]) -> Iterator[Kept]:
        with self.dated():
            try:
                yield from steps
            finally:
                settle()

    def backward(
        self, u_bar: Array, q_bar: Array | None, timed: bool, still: Container[int] = ()
    ) -> Iterator[Share]:
        """The shares of the steps, from the last one to the first; u_bar: (K, n, j), q_bar: (q, j).

        still: the numbers of steps before knots that nothing moves.
        """
        n, j = u_bar.shape[1:]
        lam, kappa = (
            np.zeros((n, j), dtype=self.system.dtype),
            np.zeros((n, j), dtype=self.system.dtype),
        )
        landed, seeds = self.seeds(u_bar)
        recent, last = Recent(), None
        if j == 0:  # A block without objectives: solvers need not see it.
            return
        for k, state, record in self._dated(self.store.backward(self.advance)):
            for place in landed.get(k + 1, []):
                lam = lam + u_bar[place]
            found = seeds.get(k, [])
            restart = self._restart(k, state, record)
            if record is None:
                record = self._record(k, state, state[1] if restart is None else restart.k, last)
            last = state[
                1
            ]  # The last stage of step k − 1, or all: they need not be solved for again.
            step = self._step(k, state, record, bool(found), recent, (k in still, k + 1 in still))
            try:
                back = pulled(step, lam, kappa, q_bar, found, timed)
            except NonFiniteField:  # It has its time and its causes.
                raise
            except NonFinite as error:
                raise self.at_the_edge(
                    k, state[0], record.K, f"The reverse sweep fails ({error})"
                ) from error
            observed = [(seed.place, back.observed[number]) for number, seed in enumerate(found)]
            if timed:
                slope = step.K[step.tableau.last]
                observed += [(place, inner(u_bar[place], slope)) for place in landed.get(k + 1, [])]
            moved = timed and k not in still
            infinite = (
                [step.interval.t]
                if moved and k in self.course.knots and step.begins_unseen()
                else []
            )
            # Values of stages do not depend on the algebraic unknowns before them: only K₁ and dense output do.
            if restart is not None and (restart.derived or found):
                bars = self._near(restart, k, record).pull(
                    back.u, back.k, step.h if moved else None
                )
                none = np.zeros(back.k.shape, dtype=back.k.dtype)
                back = Pulled(
                    bars.u0, none, back.p + bars.p, back.t + bars.t, back.h, back.observed
                )
            lam, kappa = back.u, back.k
            self.notify("reverse", k, self.course.t[k])
            yield Share(k, state[0], lam, kappa, back.p, back.t, back.h, observed, infinite)
        self._latest.clear()

    def taken_backward(self) -> Iterator[tuple[int, Array, Array]]:
        """(k, u, K) of the steps, from the last one to the first."""
        last = None
        try:
            for k, state, record in self._dated(self.store.backward(self.advance)):
                record = (
                    self._record(k, state, self._first_stage(k, state), last)
                    if record is None
                    else record
                )
                last = state[1]
                yield k, state[0], record.K
        finally:
            self._latest.clear()

    def taken_forward(self) -> Iterator[tuple[int, Array, Array]]:
        """(k, u, K) of the steps, from the first one to the last."""
        try:
            for k, state, record in self._dated(self.store.forward(self.advance)):
                record = (
                    self._record(k, state, self._first_stage(k, state), None)
                    if record is None
                    else record
                )
                yield k, state[0], record.K
        finally:
            self._latest.clear()

    def dense(self, times: Array) -> Array:
        """u at times (L,) within the steps, (L, n), in any order; where a step ends that is its last stage."""
        u = np.empty((times.size, self.system.n), dtype=self.system.dtype)
        steps = np.searchsorted(self.course.grid(), times, side="left") - 1
        u[steps < 0] = self.beginning.u
        if not (steps >= 0).any():
            return u
        for k, start, K in self.taken_forward():
            places = np.flatnonzero(steps == k)
            if places.size:
                step, tableau = self.course.interval(k), self.course.tableau[k]
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

    def total(self, share: Share) -> Array:
        """∂J/∂u where a step begins, K₁ included, (n, j), without what is observed there:
        docs/math/time.md, eq. 55.

        Of a DAE that of consistent states: its algebraic unknowns follow the others.
        """
        system, nulls = self.system, self.beginning.nulls
        if share.k in self.course.restarts:  # K₁ and the algebraic unknowns follow u there.
            return share.u if nulls is None else share.u - nulls.N @ (nulls.N.conj().T @ share.u)
        t, continues = self.course.first[share.k], self.course.tableau[share.k].continues
        if nulls is not None:
            return share.u + with_slopes(system, nulls, t, share.state, share.u, share.K1)
        if not continues:
            return share.u
        inverse = system.mass_inverse
        w = share.K1 if inverse is None else inverse.solve(share.K1, "H")
        return share.u + times(system.jacobian(t, share.state), w, "H")

    def at_the_edge(self, k: int, u: Array, K: Array, what: str) -> NonFiniteField:
        """The error for derivatives of step k that are not finite."""
        tableau, step = self.course.tableau[k], self.course.interval(k)
        Y = values(self.system, tableau, step.h, u, K)
        return at_the_edge(self.system, tableau.times(step), Y, (step.t, step.end), k, what)

    def nonfinite(self, u_bar: Array, q_bar: Array | None, what: str) -> NonFiniteField | None:
        """The error for the last step whose share is not finite, None if all are; for a gradient that is not."""
        bad = None
        for share in self.backward(u_bar, q_bar, False):
            if not (
                np.isfinite(share.u).all()
                and np.isfinite(share.K1).all()
                and np.isfinite(share.p).all()
            ):
                bad = share.k
                break
        if bad is None:
            return None
        for k, u, K in self.taken_backward():
            if k == bad:
                return self.at_the_edge(k, u, K, what)
        return None

    def at_start(self, u_bar: Array) -> Array:
        """What is observed where it begins, (n, j): no step has it."""
        landed, _ = self.seeds(u_bar)
        start = np.zeros(u_bar.shape[1:], dtype=self.system.dtype)
        for place in landed.get(0, []):
            start = start + u_bar[place]
        return start

    @property
    def alone(self) -> AbstractContextManager[None]:
        """See `Store.sweeping`."""
        return self.store.sweeping()

    @sweeps_alone
    def forward(
        self, u0_dot: Array, p_dot: Array, landings_dot: Array | None, integrals: int
    ) -> tuple[Array, Array | None]:
        """(u̇ (K, n, j) at the observations, q̇ (q, j)) along u̇₀ (n, j) and ṗ (m, j); integrals: q.

        landings_dot: (L, j), by which the landings move, t₀ and t_f not among them, and no observation; None: nothing.
        """
        u_dot, k_dot = self.beginning.push(u0_dot, p_dot, None, self.course.h[0])
        moves = None if landings_dot is None else self.course.pushed_forward(landings_dot)
        landing = (
            {} if landings_dot is None else dict(zip(self.course.landed, landings_dot, strict=True))
        )
        still = {k for k, dot in landing.items() if not dot.any()}
        kind: np.dtype[Any] = np.result_type(self.system.dtype, u_dot)
        observed = np.zeros((len(self.places), *u_dot.shape), dtype=kind)
        for place, (k, theta) in enumerate(self.places):
            if k == 0 and theta is None:
                observed[place] = u_dot
        q_dot: Array | None = None
        at, recent = self._observed_in, Recent()
        for k, state, record in self._dated(self.store.forward(self.advance)):
            inside = [(place, theta) for place, theta in at.get(k, []) if theta is not None]
            move = None if moves is None else Move(moves[0][k], moves[1][k])
            restart = self._restart(k, state, record)
            if record is None:
                record = self._record(k, state, state[1] if restart is None else restart.k, None)
            if restart is not None and (restart.derived or inside):
                at_knot = None if move is None else move.t
                u_dot, k_dot = self._near(restart, k, record).push(
                    u_dot, p_dot, at_knot, self.course.h[k]
                )
            step = self._step(k, state, record, bool(inside), recent, (k in still, k + 1 in still))
            try:
                K_dot, share = pushed(step, u_dot, k_dot, p_dot, integrals, move)
            except NonFiniteField:
                raise
            except NonFinite as error:
                raise self.at_the_edge(
                    k, state[0], record.K, f"The tangent sweep fails ({error})"
                ) from error
            q_dot = share if q_dot is None or share is None else q_dot + share
            for place, theta in inside:
                observed[place] = u_dot + dense_tangent(step, theta, K_dot, move)
            last = step.tableau.last
            u_dot = u_dot + value_tangent(step, last, K_dot, move)
            k_dot = K_dot[last]
            for place, theta in at.get(k + 1, []):
                if theta is None:
                    # What is observed stays where it is, when the break that the step ends on moves on.
                    stays = landing.get(k + 1)
                    observed[place] = (
                        u_dot if stays is None else u_dot - np.multiply.outer(step.K[last], stays)
                    )
            self.notify("tangent", k, self.course.t[k])
        self._latest.clear()
        return observed, q_dot

    @property
    def _observed_in(self) -> dict[int, list[tuple[int, float | None]]]:
        found: dict[int, list[tuple[int, float | None]]] = {}
        for place, (k, theta) in enumerate(self.places):
            found.setdefault(k, []).append((place, theta))
        return found

    def seeds(self, u_bar: Array) -> tuple[dict[int, list[int]], dict[int, list[Seed]]]:
        """Observations where steps end, {steps before it: places}, and inside of steps, {k: seeds}."""
        landed: dict[int, list[int]] = {}
        seeds: dict[int, list[Seed]] = {}
        for place, (k, theta) in enumerate(self.places):
            if theta is None:
                landed.setdefault(k, []).append(place)
            else:
                seeds.setdefault(k, []).append(Seed(theta, u_bar[place], place))
        return landed, seeds

    def _step(
        self,
        k: int,
        state: tuple[Array, ...],
        record: StepRecord,
        dense: bool,
        recent: Recent,
        still: tuple[bool, bool],
    ) -> Step:
        course, tableau, K = self.course, self.course.tableau[k], record.K
        if dense and tableau.extended is not tableau:
            K = extended_stages(self.system, tableau, course.interval(k), state[0], K)
            tableau = tableau.extended
        return Step(
            self.system,
            tableau,
            course.interval(k),
            state[0],
            K,
            record.inverse,
            recent,
            still=still,
        )
