"""The sweeps through a trajectory, in reverse and tangent, over its frozen steps."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor import lu
from ..recurrence import StorageFailed
from ..recurrence.storage import Store, sweeps_alone
from .algebra import Inverse, times
from .beginning import Beginning
from .coupled import factored
from .course import Course, StepRecord, base_point, recorded
from .observed import extended_stages
from .recent import Recent
from .reverse import Seed, Step, pulled
from .stages import repeated_stages, values
from .state import costliest
from .step_equation import repeated_step, step_equation
from .system import System
from .tableau import handed
from .tangent import pushed

Kept = tuple[int, tuple[Array, ...], StepRecord | None]
"""(k, the state before step k, its record or None)."""

Progress = Callable[[str, int, float], None]
"""Told ("reverse" or "tangent", step, t) as sweeps go."""


@dataclass(frozen=True, eq=False)
class Share:
    """What one step contributes to a reverse sweep.

    k: its number. state: the u where it begins, (n,). u, K1: ∂J/∂(u, K₁) where it begins, (n, j). p: (m, j), its share
    of ∂J/∂p. t, h: (j,). observed: [(place, (j,))], ∂J/∂(times observed inside of it).
    """

    k: int
    state: Array
    u: Array
    K1: Array
    p: Array
    t: Array
    h: Array
    observed: list[tuple[int, Array]]


@dataclass(frozen=True, eq=False)
class Sweeps:
    """A trajectory's steps, to be swept over.

    places: of the observations, see `Observer`. store: what was kept of the forward sweep.
    """

    system: System
    beginning: Beginning
    course: Course
    places: list[tuple[int, float | None]]
    store: Store[StepRecord]
    notify: Progress
    _latest: list[tuple[tuple[int, float], Inverse]] = field(default_factory=list)

    def advance(self, k: int, state: tuple[Array, ...]) -> tuple[tuple[Array, ...], StepRecord]:
        """The state after step k, and its record: the step once more, to the last bit."""
        record = self._record(k, state, None)
        course, tableau = self.course, self.course.tableau[k]
        u = values(self.system, tableau, course.h[k], state[0], record.K)[tableau.last].copy()
        K1 = handed(tableau, record.K)
        if tableau.gamma == 0.0:
            return (u, K1), record
        if k + 1 == course.steps or course.base[k + 1] != k + 1:
            return (u, K1, self._base_u(k, state)), record
        return (u, K1), record

    def _record(self, k: int, state: tuple[Array, ...], last: Array | None) -> StepRecord:
        """The stages of step k once more; last: what the next one began with, None if it is not known."""
        course, tableau = self.course, self.course.tableau[k]
        dense = self.system.algebra.dense
        if tableau.coupled and last is not None and dense:
            return recorded(last, None, tableau, dense)
        inverse, iterations = self._inverse(k, state), course.iterations[k]
        t, h, u, k1 = course.t[k], course.h[k], state[0], state[1]
        if tableau.coupled and inverse is not None:
            if last is None:
                equation = step_equation(self.system, tableau, t, h, u, k1, course.h[k - 1] if k else h)
                last = repeated_step(equation, inverse, iterations)
            return recorded(last, inverse, tableau, dense)
        known = {} if last is None else {tableau.stages - 1: last}
        i = costliest(iterations)
        if course.base[k] == k and len(state) > 2 and i is not None:
            known[i] = state[2]
        K = repeated_stages(self.system, tableau, t, h, u, k1, known, inverse, iterations)
        return recorded(K, inverse, tableau, dense)

    def _inverse(self, k: int, state: tuple[Array, ...]) -> Inverse | None:
        course = self.course
        if course.tableau[k].gamma == 0.0:
            return self.system.mass_inverse
        key = (course.base[k], course.base_hg[k])
        for known, inverse in self._latest:
            if known == key:
                return inverse
        # The one before goes when this one is there: backends keep their memory while any factors are alive.
        base_t, base_u = course.base_t[k], self._base_u(k, state)
        inverse = factored(self.system, course.tableau[k], base_t, base_u, key[1])
        self._latest[:] = [(key, inverse)]
        return inverse  # Not what stands there now: another thread may sweep as well.

    def _base_u(self, k: int, state: tuple[Array, ...]) -> Array:
        """Where the matrix of step k was evaluated."""
        course = self.course
        if course.base[k] != k:
            return state[2]
        return base_point(course.tableau[k], course.t[k], state[0], state[1], course.base_hg[k])[1]

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
            yield from steps

    def backward(self, u_bar: Array, q_bar: Array | None, timed: bool) -> Iterator[Share]:
        """The shares of the steps, from the last one to the first; u_bar: (K, n, j), q_bar: (q, j)."""
        n, j = u_bar.shape[1:]
        lam, kappa = np.zeros((n, j), dtype=self.system.dtype), np.zeros((n, j), dtype=self.system.dtype)
        landed, seeds = self._seeds(u_bar)
        recent, last = Recent(), None
        if j == 0:  # A block without objectives: solvers need not see it.
            return
        for k, state, record in self._dated(self.store.backward(self.advance)):
            for place in landed.get(k + 1, []):
                lam = lam + u_bar[place]
            found = seeds.get(k, [])
            record = self._record(k, state, last) if record is None else record
            last = state[1]  # The last stage of step k − 1, or all: they need not be solved for again.
            step = self._step(k, state, record, bool(found), recent)
            back = pulled(step, lam, kappa, q_bar, found, timed)
            lam, kappa = back.u, back.k
            observed = [(seed.place, back.observed[number]) for number, seed in enumerate(found)]
            self.notify("reverse", k, self.course.t[k])
            yield Share(k, state[0], lam, kappa, back.p, back.t, back.h, observed)
        self._latest.clear()

    def total(self, share: Share) -> Array:
        """∂J/∂u where a step begins, K₁ included, (n, j): docs/math.md, eq. 55.

        Of a DAE that of consistent states: its algebraic unknowns follow the others.
        """
        system, nulls = self.system, self.beginning.nulls
        if nulls is None and not self.course.tableau[share.k].continues:
            return share.u
        J = system.jacobian(self.course.t[share.k], share.state)
        if nulls is None:
            inverse = system.mass_inverse
            w = share.K1 if inverse is None else inverse.solve(share.K1, "H")
            return share.u + times(J, w, "H")
        along = nulls.N @ nulls.N.conj().T
        A = sparse.csc_array(sparse.csc_array(system.mass.matrix) + sparse.csc_array(J) @ along)
        A.sum_duplicates()
        return share.u + times(J, lu(A).solve(np.asarray(share.K1 - along @ share.u), "H"), "H")

    def at_start(self, u_bar: Array) -> Array:
        """What is observed where it begins, (n, j): no step has it."""
        landed, _ = self._seeds(u_bar)
        start = np.zeros(u_bar.shape[1:], dtype=self.system.dtype)
        for place in landed.get(0, []):
            start = start + u_bar[place]
        return start

    @property
    def alone(self) -> AbstractContextManager[None]:
        """See `Store.sweeping`."""
        return self.store.sweeping()

    @sweeps_alone
    def forward(self, u0_dot: Array, p_dot: Array, integrals: int) -> tuple[Array, Array | None]:
        """(u̇ (K, n, j) at the observations, q̇ (q, j)) along u̇₀ (n, j) and ṗ (m, j); integrals: q."""
        u_dot, k_dot = self.beginning.push(u0_dot, p_dot)
        kind: np.dtype[Any] = np.result_type(self.system.dtype, u_dot)
        observed = np.zeros((len(self.places), *u_dot.shape), dtype=kind)
        for place, (k, theta) in enumerate(self.places):
            if k == 0 and theta is None:
                observed[place] = u_dot
        q_dot: Array | None = None
        at, recent = self._observed_in, Recent()
        for k, state, record in self._dated(self.store.forward(self.advance)):
            inside = [(place, theta) for place, theta in at.get(k, []) if theta is not None]
            record = self._record(k, state, None) if record is None else record
            step = self._step(k, state, record, bool(inside), recent)
            K_dot, share = pushed(step, u_dot, k_dot, p_dot, integrals)
            q_dot = share if q_dot is None or share is None else q_dot + share
            for place, theta in inside:
                observed[place] = u_dot + step.h * np.einsum("i,i...->...", step.tableau.weights(theta), K_dot)
            last = step.tableau.last
            u_dot = u_dot + np.einsum("i,i...->...", step.h * step.tableau.b, K_dot[: step.tableau.A.shape[1]])
            k_dot = K_dot[last]
            for place, theta in at.get(k + 1, []):
                if theta is None:
                    observed[place] = u_dot
            self.notify("tangent", k, self.course.t[k])
        self._latest.clear()
        return observed, q_dot

    @property
    def _observed_in(self) -> dict[int, list[tuple[int, float | None]]]:
        found: dict[int, list[tuple[int, float | None]]] = {}
        for place, (k, theta) in enumerate(self.places):
            found.setdefault(k, []).append((place, theta))
        return found

    def _seeds(self, u_bar: Array) -> tuple[dict[int, list[int]], dict[int, list[Seed]]]:
        landed: dict[int, list[int]] = {}
        seeds: dict[int, list[Seed]] = {}
        for place, (k, theta) in enumerate(self.places):
            if theta is None:
                landed.setdefault(k, []).append(place)
            else:
                seeds.setdefault(k, []).append(Seed(theta, u_bar[place], place))
        return landed, seeds

    def _step(self, k: int, state: tuple[Array, ...], record: StepRecord, dense: bool, recent: Recent) -> Step:
        course, tableau, K = self.course, self.course.tableau[k], record.K
        if dense and tableau.extended is not tableau:
            K = extended_stages(self.system, tableau, course.t[k], course.h[k], state[0], K)
            tableau = tableau.extended
        return Step(self.system, tableau, course.t[k], course.h[k], state[0], K, record.inverse, recent)
