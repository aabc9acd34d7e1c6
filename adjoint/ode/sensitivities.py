"""Gradients of a trajectory from one reverse sweep: with respect to p, u₀, and all times."""

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_cotangent
from ..checkpointing.store import sweeps_alone
from ..errors import AbsoluteToleranceWarning
from ..protocols import Vector
from ..typing import Array
from .arguments import Bars, require_finite
from .discontinuities.breaks import Breaks
from .step_control.absolute_tolerances import ToleranceMonitor, advice
from .sweeps import Sweeps


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """∂J with respect to all data of an initial value problem, from one reverse sweep.

    With j objectives (`u_bar` of shape (K, n, j)) each array has one more axis, the last
    one, of length j. With `sensitivities(..., times=False)` all derivatives with respect to
    times are None.

    Parameters
    ----------
    p : (m,) array
        ∂J/∂p, in units of J per unit of p.
    u0 : (n,) array
        ∂J/∂u(t₀), in units of J per unit of u.
    t0 : array of shape () or None
        ∂J/∂t₀ with all other times fixed, in units of J per unit of time. The steps
        between t₀ and the next stop time keep their proportions.
    tf : array of shape () or None
        ∂J/∂t_f with all other times fixed, in units of J per unit of time.
    times : (K,) array or None
        ∂J/∂(observation times), in units of J per unit of time. An observation at t₀ or t_f
        moves with t₀ or t_f: its entry is equal to `t0` or `tf`, and must not be added to
        `t0` or `tf`.
    breaks : (B,) array or None
        ∂J/∂(breaks), in units of J per unit of time; zero for breaks outside (t₀, t_f). If
        an observation time equals a break time, the entry in `breaks` is the derivative
        for moving the break with the observation fixed; the entry in `times` is the
        derivative for moving the observation with the break fixed.

    Notes
    -----
    If f jumps at an observation time that is not in `breaks`, the jump moves with the
    observation.
    """

    p: Array
    u0: Array
    t0: Array | None
    tf: Array | None
    times: Array | None
    breaks: Array | None

    __repr__ = short_repr


class Start(Protocol):
    """Protocol: the attributes of a problem that gradients of its trajectories use."""

    @property
    def initial(self) -> Vector:
        """u₀(p)."""


class Integrated(Protocol):
    """Protocol: the attributes of a trajectory that its gradients use; see `Trajectory`."""

    @property
    def problem(self) -> Start:
        """The problem that was solved."""

    @property
    def p(self) -> Array:
        """(m,) parameters."""

    @property
    def times(self) -> Array:
        """(K,) observation times."""

    @property
    def u(self) -> Array:
        """(K, n) observed states."""

    @property
    def integrals(self) -> Array:
        """(q,) integrals ∫ℓ dt."""

    @property
    def breaks(self) -> Breaks:
        """The breaks at p."""

    @property
    def sweeps(self) -> Sweeps:
        """The `Sweeps` object, which runs reverse and tangent sweeps through the accepted steps."""

    @property
    def alone(self) -> AbstractContextManager[None]:
        """A context in which no other sweep may run."""


class Gradient(NamedTuple):
    """∂J with respect to p (m, j), u₀ (n, j), stop times (L, j) and observation times (K, j).

    observed: ∂J/∂(time of an observation) for fixed stop times.
    """

    p: Array
    u0: Array
    stop_times: Array
    observed: Array


@sweeps_alone
def gradient(solution: Integrated, bars: Bars, timed: bool, all_times: bool) -> Gradient:
    """∂J by one reverse sweep, from the cotangents of the observed states and integrals.

    timed: True to compute derivatives with respect to times. all_times: True if these
    times are all stop times, False if they are the breaks only.
    """
    sweeps, breaks, j = solution.sweeps, solution.breaks, bars.u.shape[2]
    accepted = sweeps.accepted
    p_bar = np.zeros((solution.p.size, j), dtype=solution.p.dtype)
    t_bar, h_bar = np.zeros((accepted.count, j)), np.zeros((accepted.count, j))
    observed = np.zeros((solution.times.size, j))
    lam = kappa = np.zeros((solution.u.shape[1], j), dtype=solution.u.dtype)
    fixed = set() if all_times else _stops_without_break(solution)
    monitor = ToleranceMonitor(sweeps.system, not sweeps.system.steps_given)
    infinite: list[float] = []
    for contribution in sweeps.reverse(bars.u, bars.q, timed, fixed):
        k, lam, kappa = contribution.k, contribution.u, contribution.K1
        p_bar += contribution.p
        infinite += contribution.infinite
        monitor.add(accepted.t[k], contribution.state, lam, contribution.p)
        if timed:
            t_bar[k], h_bar[k] = contribution.t, contribution.h
            for place, bar in contribution.observed:
                observed[place] += bar
    if j == 0:
        return Gradient(p_bar, lam, np.zeros((len(accepted.stop_times), 0)), observed)
    length = accepted.h[0] if all_times else None
    start = sweeps.initial_values.vjp(lam + sweeps.observed_at_start(bars.u), kappa, length)
    stop_times = accepted.stop_times_vjp(t_bar, h_bar)
    stop_times[0] += start.t
    p_bar = p_bar + start.p + through_u0(solution, start.u0)
    if not (np.isfinite(p_bar).all() and np.isfinite(start.u0).all()):
        error = sweeps.nonfinite(bars.u, bars.q, "The gradient is nan or inf")
        if error is not None:
            raise error
    if breaks.moving:
        p_bar = p_bar + breaks.vjp(break_cotangents(solution, stop_times, observed))
    require_finite("The gradient", p_bar)
    require_finite("The adjoint state", start.u0)
    require_finite("The derivative with respect to times", stop_times)
    sweeps.findings.infinite = tuple(infinite)
    _record_findings(solution, bars, p_bar, monitor)
    return Gradient(p_bar, start.u0, stop_times, observed)


def _record_findings(
    solution: Integrated, bars: Bars, p_bar: Array, monitor: ToleranceMonitor
) -> None:
    """Store findings of the reverse sweep for the evidence; warn of components that atol hides."""
    findings = solution.sweeps.findings
    seen = bars.u.any() or (bars.q is not None and bars.q.any())
    findings.unaffected = bool(p_bar.size and seen and not p_bar.any())
    unused = np.flatnonzero(~(monitor.used() | p_bar.any(axis=1)))
    findings.unused = () if findings.unaffected or not seen else tuple(unused.tolist())
    findings.hidden = monitor.hidden(solution.u, solution.integrals, bars)
    if findings.hidden:
        warnings.warn(advice(findings.hidden), AbsoluteToleranceWarning, stacklevel=4)


def through_u0(solution: Integrated, u0_bar: Array) -> Array:
    """(du₀/dp)ᴴ ū₀, (m, j)."""
    p_bar = np.empty((solution.p.size, u0_bar.shape[1]), dtype=solution.p.dtype)
    for j, column in enumerate(u0_bar.T):
        g = solution.problem.initial.vjp(solution.p, np.ascontiguousarray(column))
        p_bar[:, j] = as_cotangent(g, solution.p, "the vjp of u0")
    return p_bar


def tangent_of_u0(solution: Integrated, p_dot: Array) -> Array:
    """(du₀/dp) ṗ, (n, j), for ṗ (m, j)."""
    n = solution.u.shape[1]
    u0_dot = np.empty((n, p_dot.shape[1]), dtype=np.result_type(solution.u, p_dot))
    for i, column in enumerate(p_dot.T):
        along = np.asarray(solution.problem.initial.jvp(solution.p, np.ascontiguousarray(column)))
        if along.shape != (n,):
            raise ValueError(f"the jvp of u0 returned shape {along.shape}, expected ({n},)")
        u0_dot[:, i] = along
    return u0_dot


def moving_breaks(breaks: Breaks) -> bool:
    """True if breaks may depend on p; raise CoincidentBreaks if their derivatives do not exist."""
    if breaks.moving:
        breaks.require_distinct()
    return breaks.moving


def break_cotangents(solution: Integrated, stop_times_bar: Array, observed: Array) -> Array:
    """∂J/∂(breaks), (B, j), from ∂J/∂(stop times), with the observation times fixed.

    An observation at the time of a break does not move with the break: the part of
    ∂J/∂(stop time) that comes from moving the observation is subtracted. observed:
    ∂J/∂(time of an observation) for fixed stop times, (K, j).
    """
    sweeps, breaks = solution.sweeps, solution.breaks
    bars = np.zeros((breaks.times.size, stop_times_bar.shape[1]))
    positions = {t: i for i, t in enumerate(sweeps.accepted.stop_times)}
    places = zip(solution.times.tolist(), sweeps.places, strict=True)
    at_ends = {t: place for place, (t, (_, theta)) in enumerate(places) if theta is None}
    for b, (time, within) in enumerate(zip(breaks.times.tolist(), breaks.inside, strict=True)):
        if within:
            bars[b] = stop_times_bar[positions[time]]
            if time in at_ends:
                bars[b] -= observed[at_ends[time]]
    return bars


def stop_time_tangents(solution: Integrated, p_dot: Array) -> Array | None:
    """Tangents of the stop times along ṗ (m, j), (L, j); None if no break depends on p."""
    breaks = solution.breaks
    if not moving_breaks(breaks):
        return None
    positions = {t: i for i, t in enumerate(solution.sweeps.accepted.stop_times)}
    stop_times_dot = np.zeros((len(positions), p_dot.shape[1]))
    for b, (time, dot) in enumerate(zip(breaks.times.tolist(), breaks.jvp(p_dot), strict=True)):
        if breaks.inside[b]:
            stop_times_dot[positions[time]] = dot
    return stop_times_dot


def observation_cotangents(solution: Integrated, found: Gradient) -> Array:
    """∂J/∂(observation times), (K, j).

    If an observation at a stop time moves, the stop time moves, too. But if a break
    lies at this time, the stop time is fixed, and only the observation moves.
    """
    fixed = set(solution.breaks.stop_times)
    stop_times = solution.sweeps.accepted.stop_times
    positions = {t: i for i, t in enumerate(stop_times) if t not in fixed}
    return np.array(
        [
            found.stop_times[positions[t]] if t in positions else found.observed[place]
            for place, t in enumerate(solution.times.tolist())
        ]
    ).reshape(found.observed.shape)


def _stops_without_break(solution: Integrated) -> set[int]:
    """The numbers of the steps that begin at a stop time that is not a break."""
    accepted, breaks = solution.sweeps.accepted, set(solution.breaks.stop_times)
    return {
        k for t, k in zip(accepted.stop_times, accepted.stop_steps, strict=True) if t not in breaks
    }
