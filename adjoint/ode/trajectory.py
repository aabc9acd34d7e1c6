"""The solution of an initial value problem, and the derivatives of what was computed."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import LinearOperator

from ..arguments import as_reals
from ..arrays import Array, Local
from ..derivative import Derivative
from ..parameters import as_cotangent, as_parameters
from ..recurrence.storage import sweeps_alone
from .cotangents import Bars, as_bars, as_direction, require_finite
from .evidence import OdeEvidence, evidence_of
from .jacobian import Jacobian, by_counts
from .sweeps import Sweeps

if TYPE_CHECKING:
    from .problem import OdeProblem


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """∂J with respect to everything that an initial value problem is given, from one reverse sweep.

    p: (m,); u0: (n,), that of u(t₀); t0, tf: numbers, all other times fixed, steps between them keeping their
    proportions; times: (K,), of the observation times. An observation at t₀ or t_f moves with it: both entries are the
    same number, to be used once. For a block of j objectives each has one axis more, of length j.
    """

    p: Array
    u0: Array
    t0: Array
    tf: Array
    times: Array


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Local):
    """u at the observation times, and the exact derivative of the steps that computed it.

    times: (K,); u: (K, n); integrals: (q,), ∫ℓ dt; p: (m,); u0: (n,) as given. Step sizes are frozen: derivatives are
    those of `replay`, at any tolerance (docs/math.md, section 14).
    """

    problem: "OdeProblem"
    p: Array
    times: Array
    u: Array
    integrals: Array
    u0: Array
    sweeps: Sweeps

    def __repr__(self) -> str:
        return f"Trajectory(u: {self.u.dtype} {self.u.shape}, {self.sweeps.course.steps} steps, p: {self.p.shape})"

    @property
    def grid(self) -> Array:
        """The times between the steps, (N + 1,), t₀ and t_f included."""
        return self.sweeps.course.grid()

    def vjp(self, u_bar: Array, q_bar: Array | None = None) -> Array:
        """(du/dp)ᴴ ū + (dq/dp)ᴴ q̄: (m,), or (m, j) for blocks of j objectives; one reverse sweep.

        u_bar: (K, n) or (K, n, j); q_bar: (q,) or (q, j), of the integrals. Raises ValueError, TypeError, NonFinite.
        """
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        return bars.shaped(self._swept(bars, False)[0])

    def sensitivities(self, u_bar: Array, q_bar: Array | None = None) -> Sensitivities:
        """The derivatives with respect to p, u₀, t₀, t_f and the observation times, in one reverse sweep.

        Raises TypeError if the field has no `time_derivative`; otherwise as `vjp`.
        """
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        p_bar, u0_bar, landings, inside = self._swept(bars, True)
        course = self.sweeps.course
        positions = {t: i for i, t in enumerate(course.landings)}
        times = np.array(
            [landings[positions[t]] if t in positions else inside[place] for place, t in enumerate(self.times.tolist())]
        ).reshape(inside.shape)
        t0_bar, tf_bar = (bars.shaped(landing[None])[0] for landing in (landings[0], landings[-1]))
        return Sensitivities(bars.shaped(p_bar), bars.shaped(u0_bar), t0_bar, tf_bar, bars.shaped(times))

    @property
    def alone(self) -> AbstractContextManager[None]:
        """See `Store.sweeping`."""
        return self.sweeps.alone

    @sweeps_alone
    def _swept(self, bars: Bars, timed: bool) -> tuple[Array, Array, Array, Array]:
        """(p̄ (m, j), ū₀ (n, j), those of the landings (L, j), of times inside of steps (K, j))."""
        sweeps, j = self.sweeps, bars.u.shape[2]
        N = sweeps.course.steps
        p_bar = np.zeros((self.p.size, j), dtype=self.p.dtype)
        t_bar, h_bar, inside = np.zeros((N, j)), np.zeros((N, j)), np.zeros((self.times.size, j))
        lam = kappa = np.zeros((self.u.shape[1], j), dtype=self.u.dtype)
        for share in sweeps.backward(bars.u, bars.q, timed):
            lam, kappa = share.u, share.K1
            p_bar += share.p
            if timed:
                t_bar[share.k], h_bar[share.k] = share.t, share.h
                for place, bar in share.observed:
                    inside[place] += bar
        if j == 0:
            return p_bar, lam, np.zeros((len(sweeps.course.landings), 0)), inside
        start = sweeps.beginning.pull(lam + sweeps.at_start(bars.u), kappa, timed)
        landings = sweeps.course.pulled_back(t_bar, h_bar)
        landings[0] += start.t
        p_bar = p_bar + start.p + self._through_u0(start.u0)
        require_finite("The gradient", p_bar)
        require_finite("The adjoint state", start.u0)
        return p_bar, start.u0, landings, inside

    def _through_u0(self, u0_bar: Array) -> Array:
        p_bar = np.empty((self.p.size, u0_bar.shape[1]), dtype=self.p.dtype)
        for j, column in enumerate(u0_bar.T):
            g = self.problem.initial.vjp(self.p, np.ascontiguousarray(column))
            p_bar[:, j] = as_cotangent(g, self.p, "the vjp of u0")
        return p_bar

    @sweeps_alone
    def adjoint(self, u_bar: Array, q_bar: Array | None = None) -> Array:
        """λ_k = ∂J/∂u(t_k) at the steps, (N + 1, n), or (N + 1, n, j): what J gains if the state is moved there.

        Jumps at observation times are included: λ_k is that of the state before it is observed.
        """
        bars, sweeps = as_bars(self.u, self.integrals.size, u_bar, q_bar), self.sweeps
        lam = np.zeros((sweeps.course.steps + 1, *bars.u.shape[1:]), dtype=self.u.dtype)
        for share in sweeps.backward(bars.u, bars.q, False):
            lam[share.k] += sweeps.total(share)
        for place, (k, theta) in enumerate(sweeps.places):
            if theta is None:
                lam[k] += bars.u[place]
        return lam[..., 0] if bars.single else lam

    @sweeps_alone
    def accumulation(self, u_bar: Array, q_bar: Array | None = None) -> Array:
        """The share of each step in ∂J/∂p, (N, m), or (N, m, j); that of u₀(p) is not among them.

        That of a consistent start, and of K₁ = u'(t₀), is in the first step.
        """
        bars, sweeps = as_bars(self.u, self.integrals.size, u_bar, q_bar), self.sweeps
        shares = np.zeros((sweeps.course.steps, self.p.size, bars.u.shape[2]), dtype=self.p.dtype)
        for share in sweeps.backward(bars.u, bars.q, False):
            shares[share.k] = share.p
            if share.k == 0:  # K₁ of the first step depends on p as well.
                shares[0] += sweeps.beginning.pull(share.u + sweeps.at_start(bars.u), share.K1, False).p
        return shares[..., 0] if bars.single else shares

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ at the observation times: (K, n) for ṗ (m,), (K, n, j) for ṗ (m, j): one tangent sweep."""
        return self.tangent(p_dot)[0]

    def tangent(self, p_dot: Array | None = None, u0_dot: Array | None = None) -> tuple[Array, Array]:
        """(u̇ (K, n), q̇ (q,)) along ṗ (m,) and u̇₀ (n,), zero where not given; with one axis more for blocks (…, j).

        u̇₀ adds to what u₀(p) changes by along ṗ. Raises ValueError for other shapes.
        """
        m, n = self.p.size, self.u.shape[1]
        p_dot = None if p_dot is None else as_direction("p_dot", p_dot, m, self.p.dtype.kind == "c")
        u0_dot = None if u0_dot is None else as_direction("u0_dot", u0_dot, n, self.u.dtype.kind == "c")
        given = [v for v in (p_dot, u0_dot) if v is not None]
        if not given or len({v.shape[1:] for v in given}) > 1:
            raise ValueError(f"tangent: got directions of shapes {[v.shape for v in given]}, expected as many of each")
        tail = given[0].shape[1:]
        j = tail[0] if tail else 1
        P = np.zeros((m, j)) if p_dot is None else p_dot.reshape(m, j)
        U = np.empty((n, j), dtype=np.result_type(self.u, P))
        for i, column in enumerate(P.T):
            along = np.asarray(self.problem.initial.jvp(self.p, np.ascontiguousarray(column)))
            if along.shape != (n,):
                raise ValueError(f"the jvp of u0 returned shape {along.shape}, expected ({n},)")
            U[:, i] = along
        U = U if u0_dot is None else U + u0_dot.reshape(n, j)
        if j == 0:
            return np.zeros((*self.u.shape, 0)), np.zeros((self.integrals.size, 0))
        u_dot, q_dot = self.sweeps.forward(U, P, self.integrals.size)
        q_dot = np.zeros((0, j)) if q_dot is None else q_dot
        require_finite("The tangent", u_dot)
        require_finite("The tangent of the integrals", q_dot)
        return (u_dot, q_dot) if tail else (u_dot[..., 0], q_dot[..., 0])

    def jacobian(self, of: Array | None = None, mode: str = "auto") -> Jacobian:
        """d(outputs)/dp as a matrix: of all states observed, (K·n, m), or of j functionals ū (K, n, j), (j, m).

        mode: "tangent" (a block of m directions), "adjoint" (a block of one objective an output), or "auto": the one
        with the fewer columns; the result says which, and why.
        """
        return by_counts(self, of, mode)

    @property
    def derivative(self) -> LinearOperator:
        """du/dp as a SciPy LinearOperator (K·n, m): `@` is the jvp, `.T @` the vjp; u is flattened in C order."""
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    def replay(self, p: Array, t: tuple[float, float] | None = None, observe: Array | None = None) -> "Trajectory":
        """The trajectory at another p over the same steps: what the derivatives here are those of, at any tolerance.

        t, observe: other times, as many as before; steps keep their proportions between them. p may be complex, for
        complex steps through it all. Raises ValueError for other numbers of times, StageFailure, NonFiniteField.
        """
        p = as_parameters(p)
        if p.shape != self.p.shape:
            raise ValueError(f"replay: got p of shape {p.shape}, expected {self.p.shape}")
        if t is not None:
            ends = as_reals("replay", "t", t, 1, "(t0, tf)").tolist()
            if len(ends) != 2 or not ends[0] < ends[1]:
                raise ValueError(f"replay: got t={t!r}, expected (t0, tf), which ascend")
            t = (ends[0], ends[1])
        if observe is not None:
            observe = as_reals("replay", "observe", observe, 1, "times (K,)")
        if t is None and observe is None and p.dtype == self.p.dtype and np.array_equal(p, self.p):
            return self
        if t is not None or observe is not None:
            landings = self._moved(self.problem.t if t is None else t, self.times if observe is None else observe)
            times = self.times if observe is None else np.asarray(observe, dtype=float)
            if observe is None and t is not None:  # What is observed at an end moves with it.
                ends = {self.problem.t[0]: t[0], self.problem.t[1]: t[1]}
                times = np.array([ends.get(time, time) for time in self.times.tolist()])
            return self.problem.replayed(p, replace(self, times=times), landings)
        return self.problem.replayed(p, self, None)

    def _moved(self, t: tuple[float, float], observe: Array) -> list[float]:
        if len(observe) != self.times.size:
            raise ValueError(f"replay: got {len(observe)} observation times, expected {self.times.size}")
        new = dict(zip(self.times.tolist(), np.asarray(observe, dtype=float).tolist(), strict=True))
        old = self.sweeps.course.landings
        moved = [new.get(time, time) for time in old]
        moved[0] = t[0] if t[0] != old[0] else moved[0]
        moved[-1] = t[1] if t[1] != old[-1] else moved[-1]
        if not all(a < b for a, b in pairwise(moved)):
            raise ValueError(f"replay: got times {moved}, expected them to ascend strictly")
        return moved

    @property
    def evidence(self) -> OdeEvidence:
        """Steps, work, and what was kept."""
        return evidence_of(self.problem.method, self.sweeps)
