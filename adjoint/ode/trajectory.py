"""The solution of an initial value problem, and the derivatives of what was computed."""

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._pickling import Local
from .._repr import short_repr
from .._validation import as_array, as_cotangent, as_parameters, as_reals, require_bool
from ..checkpointing.store import sweeps_alone
from ..derivative import Derivative
from ..errors import AbsoluteToleranceWarning
from ..protocols import Vector
from ..typing import Array
from .adjoint_states import Collocation, collocated
from .arguments import Bars, as_bars, as_direction, require_finite
from .discontinuities.breaks import Breaks
from .evidence import Jacobian, ODEEvidence, by_counts, evidence_of
from .methods.method import Method
from .stages.refinement import Recent
from .step_control.absolute_tolerances import Watch, advice
from .step_derivatives import Seed
from .sweeps import Sweeps


class Replayable(Protocol):
    """What a trajectory needs of the problem that it solves (`ODEProblem`)."""

    @property
    def t(self) -> tuple[float, float]:
        """(t₀, t_f)."""

    @property
    def dense(self) -> bool:
        """Whether observations are interpolated."""

    @property
    def method(self) -> Method:
        """The method of integration."""

    @property
    def initial(self) -> Vector:
        """u₀(p)."""

    def replayed(
        self, p: Array, trajectory: "Trajectory", landings: list[float] | None
    ) -> "Trajectory":
        """The trajectory at another p on the same steps, or on steps between other stop times."""


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """∂J with respect to everything that an initial value problem is given, from one reverse sweep.

    p: (m,); u0: (n,), that of u(t₀); t0, tf: numbers, all other times fixed, steps between them keeping their
    proportions; times: (K,), of the observation times. An observation at t₀ or t_f moves with it: both entries are the
    same number, to be used once. breaks: (B,), of the breaks, zero for those outside of (t₀, t_f); where an observation
    has the time of a break, each is that of moving alone. For a block of j objectives each has one axis more, of length
    j. t0, tf, times and breaks are None where derivatives with respect to times were left out.

    If f jumps at an observation that is not named in `breaks`, the jump moves with the observation.
    """

    p: Array
    u0: Array
    t0: Array | None
    tf: Array | None
    times: Array | None
    breaks: Array | None

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Local):
    """u at the observation times, and the exact derivative of the steps that computed it.

    times: (K,); u: (K, n); integrals: (q,), ∫ℓ dt; p: (m,); u0: (n,) as given. Step sizes are frozen: derivatives are
    those of `replay`, at any tolerance (docs/math/time.md, section 14).
    """

    problem: Replayable
    p: Array
    times: Array
    u: Array
    integrals: Array
    u0: Array
    breaks: Breaks
    sweeps: Sweeps

    def __repr__(self) -> str:
        return f"Trajectory(u: {self.u.dtype} {self.u.shape}, {self.sweeps.course.steps} steps, p: {self.p.shape})"

    @property
    def grid(self) -> Array:
        """The times between the steps, (N + 1,), t₀ and t_f included."""
        return self.sweeps.course.grid()

    def vjp(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """(du/dp)ᴴ ū + (dq/dp)ᴴ q̄: (m,), or (m, j) for blocks of j objectives; one reverse sweep.

        u_bar: (K, n) or (K, n, j), None for zeros; q_bar: (q,) or (q, j), of the integrals, None for zeros. Raises
        ValueError, TypeError, NonFinite. Warns by AbsoluteToleranceWarning of components that matter to J where they
        are below their absolute tolerance.
        """
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        with np.errstate(all="ignore"):  # What is not finite is refused, by name.
            return bars.shaped(self._swept(bars, self._follow_breaks(), False)[0])

    def sensitivities(
        self, u_bar: Array | None = None, q_bar: Array | None = None, *, times: bool = True
    ) -> Sensitivities:
        """The derivatives with respect to p, u₀, t₀, t_f, observation times and breaks, in one reverse sweep.

        times: False leaves those with respect to times out, which take one ∂f/∂t a stage. Raises TypeError if the field
        has no `time_derivative`, NonFinite where ∂f/∂t is infinite at an end of the interval, an observation time or a
        break; otherwise as `vjp`.
        """
        require_bool("sensitivities", "times", times)
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        with np.errstate(all="ignore"):  # What is not finite is refused, by name.
            p_bar, u0_bar, landings, inside = self._swept(
                bars, self._follow_breaks() or times, times
            )
        if not times:
            return Sensitivities(bars.shaped(p_bar), bars.shaped(u0_bar), None, None, None, None)
        breaks = self._break_bars(landings, inside)
        # Where a break stays, an observation at the same time moves alone.
        course, fixed = self.sweeps.course, set(self.breaks.landings)
        positions = {t: i for i, t in enumerate(course.landings) if t not in fixed}
        of_times = np.array(
            [
                landings[positions[t]] if t in positions else inside[place]
                for place, t in enumerate(self.times.tolist())
            ]
        ).reshape(inside.shape)
        t0_bar, tf_bar = (bars.shaped(landing[None])[0] for landing in (landings[0], landings[-1]))
        of_p, of_u0 = bars.shaped(p_bar), bars.shaped(u0_bar)
        return Sensitivities(
            of_p, of_u0, t0_bar, tf_bar, bars.shaped(of_times), bars.shaped(breaks)
        )

    def _follow_breaks(self) -> bool:
        """Whether breaks move with p; raises CoincidentBreaks where derivatives do not exist."""
        if self.breaks.moving:
            self.breaks.require_distinct()
        return self.breaks.moving

    @property
    def _still(self) -> set[int]:
        """The numbers of steps before landings that are no breaks."""
        course, breaks = self.sweeps.course, set(self.breaks.landings)
        return {k for t, k in zip(course.landings, course.landed, strict=True) if t not in breaks}

    def _break_bars(self, landings: Array, inside: Array) -> Array:
        """∂J/∂(breaks), (B, j): steps end there, and observations at the same time stay where they are.

        Those of dense output stay anyhow: the shares of their steps say so already.
        """
        bars = np.zeros((self.breaks.times.size, landings.shape[1]))
        positions = {t: i for i, t in enumerate(self.sweeps.course.landings)}
        places = zip(self.times.tolist(), self.sweeps.places, strict=True)
        observed = {t: place for place, (t, (_, theta)) in enumerate(places) if theta is None}
        for b, (time, within) in enumerate(
            zip(self.breaks.times.tolist(), self.breaks.inside, strict=True)
        ):
            if within:
                bars[b] = landings[positions[time]]
                if time in observed:
                    bars[b] -= inside[observed[time]]
        return bars

    @property
    def alone(self) -> AbstractContextManager[None]:
        """See `Store.sweeping`."""
        return self.sweeps.alone

    @sweeps_alone
    def _swept(self, bars: Bars, timed: bool, times: bool) -> tuple[Array, Array, Array, Array]:
        """(p̄ (m, j), ū₀ (n, j), those of the landings (L, j), of times seen inside or at the end of steps (K, j)).

        timed: whether times are wanted; times: of all landings, not of breaks alone.
        """
        sweeps, j = self.sweeps, bars.u.shape[2]
        N = sweeps.course.steps
        p_bar = np.zeros((self.p.size, j), dtype=self.p.dtype)
        t_bar, h_bar, inside = np.zeros((N, j)), np.zeros((N, j)), np.zeros((self.times.size, j))
        lam = kappa = np.zeros((self.u.shape[1], j), dtype=self.u.dtype)
        still = set() if times else self._still
        watch, infinite = Watch(sweeps.system, not sweeps.system.given), []
        for share in sweeps.backward(bars.u, bars.q, timed, still):
            lam, kappa = share.u, share.K1
            p_bar += share.p
            infinite += share.infinite
            watch.see(sweeps.course.t[share.k], share.state, lam, share.p)
            if timed:
                t_bar[share.k], h_bar[share.k] = share.t, share.h
                for place, bar in share.observed:
                    inside[place] += bar
        if j == 0:
            return p_bar, lam, np.zeros((len(sweeps.course.landings), 0)), inside
        length = sweeps.course.h[0] if times else None
        start = sweeps.beginning.pull(lam + sweeps.at_start(bars.u), kappa, length)
        landings = sweeps.course.pulled_back(t_bar, h_bar)
        landings[0] += start.t
        p_bar = p_bar + start.p + self._through_u0(start.u0)
        if not (np.isfinite(p_bar).all() and np.isfinite(start.u0).all()):
            error = sweeps.nonfinite(bars.u, bars.q, "The gradient is nan or inf")
            if error is not None:
                raise error
        if self.breaks.moving:
            p_bar = p_bar + self.breaks.pull(self._break_bars(landings, inside))
        require_finite("The gradient", p_bar)
        require_finite("The adjoint state", start.u0)
        require_finite("The derivative with respect to times", landings)
        sweeps.findings.infinite = tuple(infinite)
        self._found(bars, p_bar, watch)
        return p_bar, start.u0, landings, inside

    def _found(self, bars: Bars, p_bar: Array, watch: Watch) -> None:
        """Remember, and warn of, what a reverse sweep has found."""
        findings = self.sweeps.findings
        seen = bars.u.any() or (bars.q is not None and bars.q.any())
        findings.unaffected = bool(p_bar.size and seen and not p_bar.any())
        unused = np.flatnonzero(~(watch.used() | p_bar.any(axis=1)))
        findings.unused = () if findings.unaffected or not seen else tuple(unused.tolist())
        findings.hidden = watch.hidden(self.u, self.integrals, bars)
        if findings.hidden:
            warnings.warn(advice(findings.hidden), AbsoluteToleranceWarning, stacklevel=4)

    def _through_u0(self, u0_bar: Array) -> Array:
        p_bar = np.empty((self.p.size, u0_bar.shape[1]), dtype=self.p.dtype)
        for j, column in enumerate(u0_bar.T):
            g = self.problem.initial.vjp(self.p, np.ascontiguousarray(column))
            p_bar[:, j] = as_cotangent(g, self.p, "the vjp of u0")
        return p_bar

    @sweeps_alone
    def adjoint(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """λ_k = ∂J/∂u(t_k) at the steps, (N + 1, n), or (N + 1, n, j): what J gains if the state is moved there.

        λ_k is M(p)ᴴ ψ(t_k), ψ being the adjoint state, M the mass matrix. What is observed at t_k is included: λ_k is
        that of the state before it is observed. λ_0 is `sensitivities(…).u0`, the derivative of the computed numbers.
        The other λ_k solve the adjoint equation along the computed states by collocation of order 9, or of order 5
        beyond 64 unknowns; their error is of the size of the trajectory's. The derivative of the steps from t_k on
        would be another number in stiff components, because the first stage of a step is explicit. That derivative,
        which includes K₁ = M⁻¹f(t_k, u_k), is returned for Radau methods, which have no such stage, for θ-methods, and
        for explicit methods beyond 64 unknowns. For a DAE only consistent states are moved: algebraic unknowns follow
        the others, and their λ_k is zero (docs/math/time.md, sections 15 and 16).
        """
        bars, sweeps = as_bars(self.u, self.integrals.size, u_bar, q_bar), self.sweeps
        lam = np.zeros((sweeps.course.steps + 1, *bars.u.shape[1:]), dtype=self.u.dtype)
        landed, seeds = sweeps.seeds(bars.u)
        for k, places in landed.items():
            lam[k] = bars.u[places].sum(axis=0)
        if bars.u.shape[2]:
            with np.errstate(all="ignore"):
                collocation = Collocation(sweeps.system, sweeps.beginning.nulls, Recent())
                for (
                    k,
                    places,
                ) in (
                    landed.items()
                ):  # Of consistent states, just before the time of the observation.
                    if k and lam[k].any():
                        lam[k] = collocation.consistent(
                            sweeps.course.final[k - 1], self.u[places[0]], lam[k]
                        )
                self._adjoint(lam, bars, seeds, collocation)
        require_finite("The adjoint state", lam)
        return lam[..., 0] if bars.single else lam

    def _adjoint(
        self, lam: Array, bars: Bars, seeds: dict[int, list[Seed]], collocation: Collocation
    ) -> None:
        """Complete lam (N + 1, n, j), which holds what is observed at the steps."""
        sweeps, course = self.sweeps, self.sweeps.course
        along = collocated(course.tableau[-1], sweeps.system.algebra.dense)
        for share in sweeps.backward(bars.u, bars.q, False):
            if share.k == 0:
                lam[0] = sweeps.beginning.pull(share.u + lam[0], share.K1, None).u0
            elif not along:
                lam[share.k] += sweeps.total(share)
        if not along:
            return
        for k, u, K in sweeps.taken_backward():
            if k == 0:
                break
            at = course.interval(k)
            before = collocation.pulled(
                course.tableau[k], at, u, K, lam[k + 1], bars.q, seeds.get(k, [])
            )
            lam[k] += collocation.consistent(at.first, u, before)

    @sweeps_alone
    def accumulation(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """The share of each step in ∂J/∂p, (N, m), or (N, m, j); that of u₀(p) is not among them.

        That of a consistent start, and of K₁ = u'(t₀), is in the first step.
        """
        bars, sweeps = as_bars(self.u, self.integrals.size, u_bar, q_bar), self.sweeps
        shares = np.zeros((sweeps.course.steps, self.p.size, bars.u.shape[2]), dtype=self.p.dtype)
        with np.errstate(all="ignore"):
            for share in sweeps.backward(bars.u, bars.q, False):
                shares[share.k] = share.p
                if share.k == 0:  # K₁ of the first step depends on p as well.
                    shares[0] += sweeps.beginning.pull(
                        share.u + sweeps.at_start(bars.u), share.K1, None
                    ).p
        require_finite("The gradient", shares)
        return shares[..., 0] if bars.single else shares

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ at the observation times: (K, n) for ṗ (m,), (K, n, j) for ṗ (m, j): one tangent sweep."""
        return self.tangent(p_dot)[0]

    def tangent(
        self, p_dot: Array | None = None, u0_dot: Array | None = None
    ) -> tuple[Array, Array]:
        """(u̇ (K, n), q̇ (q,)) along ṗ (m,) and u̇₀ (n,), zero where not given; with one axis more for blocks (…, j).

        u̇₀ adds to what u₀(p) changes by along ṗ. Raises ValueError for other shapes.
        """
        m, n = self.p.size, self.u.shape[1]
        p_dot = None if p_dot is None else as_direction("p_dot", p_dot, m, self.p.dtype.kind == "c")
        u0_dot = (
            None if u0_dot is None else as_direction("u0_dot", u0_dot, n, self.u.dtype.kind == "c")
        )
        given = [v for v in (p_dot, u0_dot) if v is not None]
        if not given or len({v.shape[1:] for v in given}) > 1:
            raise ValueError(
                f"tangent: got directions of shapes {[v.shape for v in given]}, expected as many of each"
            )
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
        with np.errstate(all="ignore"):
            u_dot, q_dot = self.sweeps.forward(U, P, self._landings_dot(P), self.integrals.size)
        q_dot = np.zeros((0, j)) if q_dot is None else q_dot
        require_finite("The tangent", u_dot)
        require_finite("The tangent of the integrals", q_dot)
        return (u_dot, q_dot) if tail else (u_dot[..., 0], q_dot[..., 0])

    def _landings_dot(self, p_dot: Array) -> Array | None:
        """By what the landings move along ṗ (m, j), with breaks: (L, j); None if they stay."""
        if not self._follow_breaks():
            return None
        positions = {t: i for i, t in enumerate(self.sweeps.course.landings)}
        landings_dot = np.zeros((len(positions), p_dot.shape[1]))
        for b, (time, dot) in enumerate(
            zip(self.breaks.times.tolist(), self.breaks.push(p_dot), strict=True)
        ):
            if self.breaks.inside[b]:
                landings_dot[positions[time]] = dot
        return landings_dot

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

    def replay(
        self, p: Array, t: tuple[float, float] | None = None, observe: Array | None = None
    ) -> "Trajectory":
        """The trajectory at another p over the same steps: what the derivatives here are those of, at any tolerance.

        t, observe: other times, as many as before; breaks that depend on p move with it; steps keep their proportions
        between all these. p may be complex, for complex steps through it all, unless breaks depend on it. Raises
        ValueError for other numbers of times, and where times or breaks pass one another; StageFailure, NonFiniteField.
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
        if t is not None or observe is not None or self.breaks.moving:
            breaks = self._moved_breaks(
                p, self.breaks.interval if t is None else (float(t[0]), float(t[1]))
            )
            landings = self._moved(
                self.problem.t if t is None else t,
                self.times if observe is None else observe,
                breaks,
            )
            times = self.times if observe is None else np.asarray(observe, dtype=float)
            if observe is None and t is not None:  # What is observed at an end moves with it.
                ends = {self.problem.t[0]: t[0], self.problem.t[1]: t[1]}
                times = np.array([ends.get(time, time) for time in self.times.tolist()])
            return self.problem.replayed(p, replace(self, times=times), landings)
        return self.problem.replayed(p, self, None)

    def _moved_breaks(self, p: Array, interval: tuple[float, float]) -> dict[float, float]:
        """Where each break that is landed on moves to; raises ValueError where frozen steps cannot follow."""
        new = Breaks.at(self.breaks.vector, p, interval)
        if not np.array_equal(new.inside, self.breaks.inside):
            raise ValueError(
                "replay: a break leaves or enters the interval of integration; solve at this p instead"
            )
        moves: dict[float, float] = {}
        for old, time in zip(
            self.breaks.times[new.inside].tolist(), new.times[new.inside].tolist(), strict=True
        ):
            if moves.setdefault(old, time) != time:
                raise ValueError(
                    f"replay: breaks that were both {old:.10g} move apart; solve at this p instead"
                )
            if time != old and old in self.times and not self.problem.dense:
                raise ValueError(
                    f"replay: the break at {old:.10g} moves, and the observation at that time stays; solve at this p "
                    "instead"
                )
        return moves

    def _moved(
        self, t: tuple[float, float], observe: Array, breaks: dict[float, float]
    ) -> list[float]:
        if len(observe) != self.times.size:
            raise ValueError(
                f"replay: got {len(observe)} observation times, expected {self.times.size}"
            )
        new = (
            dict(zip(self.times.tolist(), np.asarray(observe, dtype=float).tolist(), strict=True))
            | breaks
        )
        old = self.sweeps.course.landings
        moved = [new.get(time, time) for time in old]
        moved[0] = t[0] if t[0] != old[0] else moved[0]
        moved[-1] = t[1] if t[1] != old[-1] else moved[-1]
        if not all(a < b for a, b in pairwise(moved)):
            raise ValueError(f"replay: got times {moved}, expected them to ascend strictly")
        return moved

    def at(self, times: Array | float) -> Array:
        """u at other times, (L, n), by the dense output of the method; (n,) for a single time.

        times: (L,), in [t₀, t_f], in any order. Where a step ends it is the state itself, before whatever changes
        there. Not differentiated: for derivatives put times into `observe`. Raises TypeError or ValueError for times
        that are not numbers within [t₀, t_f].
        """
        given = as_array("at", "times", times)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"at: got times of dtype {given.dtype}, expected real numbers")
        if given.ndim > 1:
            raise ValueError(f"at: got times of shape {given.shape}, expected a number or a vector")
        grid, flat = self.grid, given.astype(float).reshape(-1)
        off = np.flatnonzero(~((flat >= grid[0]) & (flat <= grid[-1])))
        if off.size:
            raise ValueError(
                f"at: got time {flat[off[0]]:.17g}, expected times within ({grid[0]:.17g}, {grid[-1]:.17g})"
            )
        with self.alone:
            u = self.sweeps.dense(flat)
        return u if given.ndim else u[0]

    @property
    def evidence(self) -> ODEEvidence:
        """Steps, work, and what was kept."""
        return evidence_of(self.problem.method, self.sweeps)
