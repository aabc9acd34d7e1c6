"""The solution of an initial value problem, and the derivatives of the computed numbers."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._dataclasses import Local
from .._validation import as_array, as_parameters, as_reals, require_bool, require_integer
from ..checkpointing.policies import Memory
from ..checkpointing.store import Store, sweeps_alone
from ..derivative import Derivative
from ..errors import StepTooSmall
from ..protocols import Vector
from ..typing import Array
from .adjoint_states import adjoint_states
from .arguments import as_bars, as_direction, require_finite
from .discontinuities.breaks import Breaks, moves_of_breaks
from .evidence import ODEEvidence, evidence_of, full_jacobian
from .methods.method import Method
from .second_order.linearization import TrajectoryLinearization, require_second_derivatives
from .second_order.sweeps import TangentRecord, TangentSweeps
from .sensitivities import (
    Sensitivities,
    break_cotangents,
    gradient,
    moving_breaks,
    observation_cotangents,
    stop_time_tangents,
    tangent_of_u0,
)
from .steps.accepted_steps import AcceptedSteps
from .sweeps import Sweeps

SHARPER = 0.01
"""Ratio of the accuracies of the stages after and before `Trajectory.sharpened`."""

SHARP, SHARPEST = 1e-13, 1e-15
"""Largest and smallest accuracy of the stages after `Trajectory.sharpened`, relative to their
values. A smaller change of a loose accuracy may not change a single correction, although
stages have errors. Rounding prevents more than the smallest accuracy."""


class Replayable(Protocol):
    """Protocol: attributes and methods of a problem that its trajectories use; see `ODEProblem`."""

    @property
    def t(self) -> tuple[float, float]:
        """(t₀, t_f)."""

    @property
    def dense(self) -> bool:
        """True if observations are interpolated."""

    @property
    def method(self) -> Method:
        """The method of integration."""

    @property
    def initial(self) -> Vector:
        """u₀(p)."""

    @property
    def memory(self) -> Memory:
        """The memory policy for states and records of steps."""

    def replayed(self, p: Array, times: Array, accepted: AcceptedSteps) -> "Trajectory":
        """The trajectory at another p, observed at `times`, by given steps."""

    def on_grid(self, p: Array, times: Array, grid: Array, accuracy: float) -> "Trajectory":
        """The trajectory at p, observed at `times`, by the steps of a grid."""


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Local):
    """u(t) at the observation times, and the exact derivatives of the steps that computed it.

    `ODEProblem.solve` returns trajectories. Derivatives are exact for the computed
    numbers, at any tolerance: the step sizes are frozen, as in `replay`
    (docs/math/time.md, section 14). Derivatives use the states stored by the `memory`
    of the problem, and recompute the other states.

    Attributes
    ----------
    problem : ODEProblem
        The problem that was solved.
    p : (m,) array
        The parameters.
    times : (K,) array
        The observation times, in units of time.
    u : (K, n) array
        The states at the observation times, in units of the state.
    integrals : (q,) array
        ∫ℓ(t, u, p) dt from t₀ to t_f, in units of ℓ times time; (0,) without an integrand.
    u0 : (n,) array
        The initial state u₀(p) as given, before consistent algebraic unknowns are computed.
    grid : (N + 1,) array
        The times between the N accepted steps, t₀ and t_f included.
    breaks : Breaks
        The breaks at p (internal).
    sweeps : Sweeps
        The frozen steps, and the sweeps through them (internal).

    Examples
    --------
    J = ½ ‖u(t_f) − d‖² has ∂J/∂u(t_f) = u(t_f) − d:

    >>> import adjoint, numpy as np
    >>> field = adjoint.complex_step_field(lambda t, u, p: -p * u, 1, 1)
    >>> problem = adjoint.ODEProblem(field, np.ones(1), (0.0, 1.0))
    >>> trajectory = problem.solve(np.array([2.0]))
    >>> d = np.array([[0.1]])
    >>> gradient = trajectory.vjp(trajectory.u - d)
    >>> gradient.shape
    (1,)
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
        return (
            f"Trajectory(u: {self.u.dtype} {self.u.shape}, {self.sweeps.accepted.count} steps, "
            f"p: {self.p.shape})"
        )

    @property
    def grid(self) -> Array:
        """The times between the steps, (N + 1,), t₀ and t_f included."""
        return self.sweeps.accepted.grid()

    @property
    def alone(self) -> AbstractContextManager[None]:
        """A context in which no other sweep can run, see `Store.sweeping`."""
        return self.sweeps.alone

    @property
    def evidence(self) -> ODEEvidence:
        """Steps, work, memory, and notes on the integration and on derivatives so far."""
        return evidence_of(self.problem.method, self.sweeps)

    # Derivatives of the observations

    def vjp(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """(du/dp)ᴴ ū + (dq/dp)ᴴ q̄, (m,), by one reverse sweep.

        Issues an AbsoluteToleranceWarning if J depends on a component of u while this
        component is below its absolute tolerance.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array, optional
            ∂J/∂u at the observation times; of j objectives, if the array has a third axis.
            Zeros if not given.
        q_bar : (q,) or (q, j) array, optional
            ∂J/∂(integrals). Zeros if not given.

        Returns
        -------
        (m,) or (m, j) array
            The gradient ∂J/∂p of each objective.

        Raises
        ------
        TypeError
            If neither u_bar nor q_bar is given, or if u_bar or q_bar is not numeric.
        ValueError
            If shapes do not fit, or if an entry is nan or inf.
        NonFinite
            If the gradient is nan or inf; a NonFiniteField names the time and the
            component.
        """
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        with np.errstate(all="ignore"):  # Results that are not finite raise an error.
            return bars.shaped(gradient(self, bars, moving_breaks(self.breaks), False).p)

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ at the observation times, (K, n), by one tangent sweep.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            A direction ṗ, or j directions.

        Returns
        -------
        (K, n) or (K, n, j) array
            The tangent u̇ at the observation times, along each direction.

        Raises
        ------
        TypeError
            If p_dot is not numeric.
        ValueError
            If the shape does not fit, or if an entry is nan or inf.
        NonFinite
            If the tangent is nan or inf.
        """
        return self.tangent(p_dot)[0]

    def tangent(
        self, p_dot: Array | None = None, u0_dot: Array | None = None
    ) -> tuple[Array, Array]:
        """(u̇, q̇) along ṗ and u̇₀, by one tangent sweep.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array, optional
            A direction ṗ, or j directions. Zeros if not given.
        u0_dot : (n,) or (n, j) array, optional
            A change of u(t₀), in addition to the change of u₀(p) along ṗ. Zeros if not
            given.

        Returns
        -------
        u_dot : (K, n) or (K, n, j) array
            The tangent of the states at the observation times.
        q_dot : (q,) or (q, j) array
            The tangent of the integrals.

        Raises
        ------
        TypeError
            If a direction is not numeric.
        ValueError
            If no direction is given, if p_dot and u0_dot have different numbers of
            columns, if shapes do not fit, or if an entry is nan or inf.
        NonFinite
            If a tangent is nan or inf.
        """
        m, n = self.p.size, self.u.shape[1]
        p_dot = None if p_dot is None else as_direction("p_dot", p_dot, m, self.p.dtype.kind == "c")
        u0_dot = (
            None if u0_dot is None else as_direction("u0_dot", u0_dot, n, self.u.dtype.kind == "c")
        )
        given = [v for v in (p_dot, u0_dot) if v is not None]
        if not given or len({v.shape[1:] for v in given}) > 1:
            raise ValueError(
                "tangent: expected p_dot, u0_dot or both, with the same number of columns; got "
                f"shapes {[v.shape for v in given]}"
            )
        tail = given[0].shape[1:]
        j = tail[0] if tail else 1
        P = np.zeros((m, j)) if p_dot is None else p_dot.reshape(m, j)
        U = tangent_of_u0(self, P)
        U = U if u0_dot is None else U + u0_dot.reshape(n, j)
        if j == 0:
            return np.zeros((*self.u.shape, 0)), np.zeros((self.integrals.size, 0))
        with np.errstate(all="ignore"):
            u_dot, q_dot = self.sweeps.tangent(
                U, P, stop_time_tangents(self, P), self.integrals.size
            )
        q_dot = np.zeros((0, j)) if q_dot is None else q_dot
        require_finite("The tangent", u_dot)
        require_finite("The tangent of the integrals", q_dot)
        return (u_dot, q_dot) if tail else (u_dot[..., 0], q_dot[..., 0])

    @sweeps_alone
    def linearized(self, p_dot: Array) -> TrajectoryLinearization:
        """The tangent along ṗ, with all that Hessian-vector products along ṗ need.

        One tangent sweep stores the tangents of all steps by the `memory` policy of the
        problem. `Point.hvp` calls this method, and then `vjp_rate` of the result.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            A direction ṗ, or j directions.

        Returns
        -------
        TrajectoryLinearization
            The tangents `u_dot` and `q_dot`, and the method `vjp_rate`.

        Raises
        ------
        TypeError
            If p_dot is not numeric; if the field, the integrand, M(p) or u₀(p) has no
            method `hvp`; if breaks depend on p.
        ValueError
            If the shape does not fit, or if an entry is nan or inf.
        NonFinite
            If a tangent is nan or inf.
        MemoryTooSmall
            If the states and tangents do not fit into `memory`.
        """
        m, q = self.p.size, self.integrals.size
        p_dot = as_direction("p_dot", p_dot, m, self.p.dtype.kind == "c")
        require_second_derivatives(self)
        P = p_dot.reshape(m, -1) if m else p_dot.reshape(0, *(p_dot.shape[1:] or (1,)))
        accepted, notify = self.sweeps.accepted, self.sweeps.notify
        store: Store[TangentRecord] = self.problem.memory.open(
            accepted.count,
            lambda kind, k: notify(kind, k, accepted.t[k] if k < accepted.count else float("nan")),
        )
        sweeps = TangentSweeps(self.sweeps, P, store)
        if P.shape[1] == 0:
            u_dot, q_dot = np.zeros((*self.u.shape, 0)), np.zeros((q, 0))
        else:
            with np.errstate(all="ignore"):
                u_dot, found = sweeps.forward(tangent_of_u0(self, P), q)
            q_dot = np.zeros((q, P.shape[1])) if found is None else found
        require_finite("The tangent", u_dot)
        require_finite("The tangent of the integrals", q_dot)
        single = p_dot.ndim == 1
        return TrajectoryLinearization(
            self,
            u_dot[..., 0] if single else u_dot,
            q_dot[:, 0] if single else q_dot,
            P,
            single,
            sweeps,
        )

    @property
    def derivative(self) -> LinearOperator:
        """du/dp, a LinearOperator (K·n, m) with u in C order: `@` is the jvp, `.T @` is the vjp."""
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    def jacobian(self, of: Array | None = None, mode: str = "auto") -> Array:
        """d(outputs)/dp as an array, by tangents or by adjoints.

        The outputs are the observed states, or functionals of them.
        `evidence.jacobian_mode` and `evidence.jacobian_reason` say which mode was used,
        and why.

        Parameters
        ----------
        of : (K, n, j) array, optional
            Cotangents ū of j functionals Re Σ ū u: the outputs are these functionals.
            If not given, the outputs are all observed states, which must be real.
        mode : {"auto", "tangent", "adjoint"}
            "tangent": one tangent sweep with a block of m directions. "adjoint": one
            reverse sweep with a block of one objective per output. "auto", the default:
            the mode with fewer columns.

        Returns
        -------
        (K·n, m) or (j, m) array
            The Jacobian matrix, one row per output.

        Raises
        ------
        ValueError
            If mode is unknown, if the shape of `of` does not fit, or if u is complex and
            `of` is not given.
        """
        return full_jacobian(self, of, mode)

    # Derivatives with respect to times and initial values, and along the trajectory

    def sensitivities(
        self, u_bar: Array | None = None, q_bar: Array | None = None, *, times: bool = True
    ) -> Sensitivities:
        """∂J with respect to p, u₀, t₀, t_f, observation times and breaks, by one reverse sweep.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array, optional
            ∂J/∂u at the observation times. Zeros if not given.
        q_bar : (q,) or (q, j) array, optional
            ∂J/∂(integrals). Zeros if not given.
        times : bool
            False: derivatives with respect to times are not computed. They cost one
            evaluation of ∂f/∂t per stage. Default: True.

        Returns
        -------
        Sensitivities
            All derivatives.

        Raises
        ------
        TypeError
            If times=True and the field lacks a method `time_derivative`; also in the
            cases of `vjp`.
        ValueError
            In the cases of `vjp`.
        NonFinite
            If ∂f/∂t is infinite at t₀, t_f, an observation time or a break; also in
            the cases of `vjp`.
        """
        require_bool("sensitivities", "times", times)
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        with np.errstate(all="ignore"):  # Results that are not finite raise an error.
            found = gradient(self, bars, moving_breaks(self.breaks) or times, times)
        p, u0 = bars.shaped(found.p), bars.shaped(found.u0)
        if not times:
            return Sensitivities(p, u0, None, None, None, None)
        breaks = break_cotangents(self, found.stop_times, found.observed)
        t0, tf = (bars.shaped(bar[None])[0] for bar in (found.stop_times[0], found.stop_times[-1]))
        of_times = observation_cotangents(self, found)
        return Sensitivities(p, u0, t0, tf, bars.shaped(of_times), bars.shaped(breaks))

    @sweeps_alone
    def adjoint(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """λ_k = ∂J/∂u(t_k) at the times t_k between the steps, (N + 1, n).

        λ_k is M(p)ᴴ ψ(t_k), where ψ is the adjoint state and M the mass matrix.
        Observations at t_k are included: λ_k belongs to the state before the observation.

        λ_0 equals `sensitivities(…).u0`, the derivative of the computed numbers. The
        other λ_k solve the adjoint equation along the computed states by collocation of
        order 9 (order 5 above 64 unknowns). Their error has the size of the error of
        the trajectory. The exact derivative of the discrete steps after t_k is not
        used, because it is different in stiff components if the first stage of a step
        is explicit. The exact derivative, with K₁ = M⁻¹f(t_k, u_k) depending on u_k, is
        returned for methods without an explicit first stage (Radau), for θ-methods, and
        for explicit methods above 64 unknowns.

        For a DAE the derivative is with respect to the differential unknowns: the algebraic
        unknowns depend on them, and have λ_k = 0 (docs/math/time.md, sections 15 and 16).

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array, optional
            ∂J/∂u at the observation times. Zeros if not given.
        q_bar : (q,) or (q, j) array, optional
            ∂J/∂(integrals). Zeros if not given.

        Returns
        -------
        (N + 1, n) or (N + 1, n, j) array
            λ at the times `grid`, in units of J per unit of u.

        Raises
        ------
        TypeError, ValueError
            In the cases of `vjp`.
        NonFinite
            If an adjoint state is nan or inf.
        """
        bars = as_bars(self.u, self.integrals.size, u_bar, q_bar)
        lam = adjoint_states(self, bars)
        require_finite("The adjoint state", lam)
        return bars.shaped(lam)

    @sweeps_alone
    def accumulation(self, u_bar: Array | None = None, q_bar: Array | None = None) -> Array:
        """The contribution of each step to ∂J/∂p, (N, m), without the contribution of u₀(p).

        The contributions of consistent initial values and of K₁ = u'(t₀) are added to the
        first step.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array, optional
            ∂J/∂u at the observation times. Zeros if not given.
        q_bar : (q,) or (q, j) array, optional
            ∂J/∂(integrals). Zeros if not given.

        Returns
        -------
        (N, m) or (N, m, j) array
            The contributions: their sum over the steps is ∂J/∂p for a constant u₀.

        Raises
        ------
        TypeError, ValueError
            In the cases of `vjp`.
        NonFinite
            If a contribution is nan or inf.
        """
        bars, sweeps = as_bars(self.u, self.integrals.size, u_bar, q_bar), self.sweeps
        shares = np.zeros((sweeps.accepted.count, self.p.size, bars.u.shape[2]), dtype=self.p.dtype)
        with np.errstate(all="ignore"):
            for contribution in sweeps.reverse(bars.u, bars.q, False):
                shares[contribution.k] = contribution.p
                if contribution.k == 0:  # K₁ of the first step depends on p as well.
                    u0_bar = contribution.u + sweeps.observed_at_start(bars.u)
                    shares[0] += sweeps.initial_values.vjp(u0_bar, contribution.K1, None).p
        require_finite("The gradient", shares)
        return bars.shaped(shares)

    # The same steps at other parameters or times

    def replay(
        self, p: Array, t: tuple[float, float] | None = None, observe: Array | None = None
    ) -> "Trajectory":
        """The trajectory at another p by the steps of this trajectory, without error control.

        The derivatives of this object are the exact derivatives of `replay` with
        respect to its arguments, at any tolerance. Breaks that depend on p move.
        Between two stop times (t₀, t_f, observation times, breaks) the steps keep their
        proportions.

        Parameters
        ----------
        p : (m,) array
            The parameters. A complex p is allowed for complex steps through the whole
            integration, unless breaks depend on p.
        t : (float, float), optional
            Another (t₀, t_f), in units of time.
        observe : (K,) array, optional
            Other observation times; their number K must not change.

        Returns
        -------
        Trajectory
            The trajectory at p; this object itself if nothing changes.

        Raises
        ------
        TypeError
            If p, t or observe are not numeric.
        ValueError
            If p has another shape, if the number of observation times changes, or if the
            order of stop times changes.
        StageFailure
            If the stages of a step cannot be solved at this p.
        NonFiniteField
            If the field or the solution is nan or inf at this p.
        """
        p = as_parameters(p)
        if p.shape != self.p.shape:
            raise ValueError(f"replay: got p of shape {p.shape}, expected {self.p.shape}")
        if t is not None:
            ends = as_reals("replay", "t", t, 1, "(t0, tf)").tolist()
            if len(ends) != 2 or not ends[0] < ends[1]:
                raise ValueError(f"replay: got t={t!r}, expected (t0, tf) with t0 < tf")
            t = (ends[0], ends[1])
        if observe is not None:
            observe = as_reals("replay", "observe", observe, 1, "times (K,)")
        if t is None and observe is None and p.dtype == self.p.dtype and np.array_equal(p, self.p):
            return self
        accepted, times = self.sweeps.accepted, self.times
        if t is not None or observe is not None or self.breaks.moving:
            interval = self.breaks.interval if t is None else (float(t[0]), float(t[1]))
            observed = set() if self.problem.dense else set(self.times.tolist())
            moves = moves_of_breaks(
                self.breaks, Breaks.at(self.breaks.vector, p, interval), observed
            )
            accepted = accepted.moved(
                self._moved_stop_times(
                    self.problem.t if t is None else t,
                    self.times if observe is None else observe,
                    moves,
                )
            )
            times = self.times if observe is None else np.asarray(observe, dtype=float)
            if observe is None and t is not None:  # Observations at t₀ and t_f move with them.
                new = {self.problem.t[0]: t[0], self.problem.t[1]: t[1]}
                times = np.array([new.get(time, time) for time in self.times.tolist()])
        return self.problem.replayed(p, times, accepted)

    def refined(self, parts: int = 2) -> "Trajectory":
        """The trajectory at the same p, with each step divided into equal parts.

        No step size is controlled. The difference between both trajectories shows the
        error of the steps (docs/math/accuracy.md).

        Parameters
        ----------
        parts : int
            Number of parts of a step, at least 1. Default: 2.

        Returns
        -------
        Trajectory
            The trajectory on the finer grid, with derivatives of its own.

        Raises
        ------
        TypeError
            If parts is not an integer.
        ValueError
            If parts < 1.
        StepTooSmall
            If the steps are too short to be divided.
        StageFailure
            If the stages of a step cannot be solved.
        """
        require_integer("refined", "parts", parts, 1)
        start, end = self.grid[:-1, None], self.grid[1:, None]
        inner = start + (end - start) * (np.arange(1, parts) / parts)
        grid = np.concatenate([self.grid[:1], np.hstack([inner, end]).ravel()])
        if not np.all(np.diff(grid) > 0.0):
            raise StepTooSmall(
                f"refined: the shortest step, {np.diff(self.grid).min():.3g}, cannot be divided "
                f"into {parts} parts in double precision; expected longer steps, by a larger rtol"
            )
        return self.problem.on_grid(self.p, self.times, grid, self.problem.method.accuracy)

    def sharpened(self) -> "Trajectory":
        """The trajectory by the same steps, with stages that are solved more accurately.

        Returns
        -------
        Trajectory
            The trajectory with 1/100 of the `accuracy` of the method, at most 1e-13 and at
            least 1e-15; this object itself for explicit methods.

        Raises
        ------
        StageFailure
            If the stages of a step cannot be solved.
        """
        method = self.problem.method
        if method.tableau.gamma == 0.0:
            return self
        accuracy = max(min(SHARPER * method.accuracy, SHARP), SHARPEST)
        return self.problem.on_grid(self.p, self.times, self.grid, accuracy)

    def _moved_stop_times(
        self, t: tuple[float, float], observe: Array, breaks: dict[float, float]
    ) -> list[float]:
        """The stop times for other (t₀, t_f) and observation times; breaks: {old: new}."""
        if len(observe) != self.times.size:
            raise ValueError(
                f"replay: got {len(observe)} observation times, expected {self.times.size}"
            )
        new = (
            dict(zip(self.times.tolist(), np.asarray(observe, dtype=float).tolist(), strict=True))
            | breaks
        )
        old = self.sweeps.accepted.stop_times
        moved = [new.get(time, time) for time in old]
        moved[0] = t[0] if t[0] != old[0] else moved[0]
        moved[-1] = t[1] if t[1] != old[-1] else moved[-1]
        if not all(a < b for a, b in pairwise(moved)):
            raise ValueError(f"replay: got times {moved}, expected them to ascend strictly")
        return moved

    def at(self, times: Array | float) -> Array:
        """u at other times by the dense output of the method, (L, n); (n,) for a single time.

        At the end of a step the result is the computed state, before a jump at that time.
        Derivatives of the result are not available: for derivatives, give the times as
        `observe` to the problem.

        Parameters
        ----------
        times : (L,) array or float
            Times in [t₀, t_f], in any order.

        Returns
        -------
        (L, n) or (n,) array
            The states.

        Raises
        ------
        TypeError
            If times are not real numbers.
        ValueError
            If a time is outside [t₀, t_f], or if times is not a number or a vector.
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
                f"at: got time {flat[off[0]]:.17g}, expected times within "
                f"({grid[0]:.17g}, {grid[-1]:.17g})"
            )
        with self.alone:
            u = self.sweeps.interpolated(flat)
        return u if given.ndim else u[0]
