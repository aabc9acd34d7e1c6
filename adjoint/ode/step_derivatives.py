"""Cotangents (docs/math/time.md, eqs. 52–54) and tangents (eq. 50) of one step."""

from collections.abc import Sequence

import numpy as np

from .._numerics import BLAS
from ..typing import Array
from .equations import parameter_cotangents, parameter_tangents
from .stages.coupled_matrices import coupled_stage_matrix
from .stages.stage_matrices import SingleStage, product, times
from .steps.frozen_step import FrozenStep, Move, Seed, StepCotangents, time_rate


def step_vjp(
    step: FrozenStep,
    u_bar: Array,
    k_bar: Array,
    q_bar: Array | None,
    seeds: Sequence[Seed],
    timed: bool,
) -> StepCotangents:
    """The cotangents before a step, from the cotangents after the step, u_bar and k_bar (n, j).

    u_bar, k_bar: ∂J/∂u and ∂J/∂(last stage) at the end of the step. q_bar: cotangents
    of the integrals, (q, j), None without integrals. seeds: the observations inside the
    step. timed: True to compute ∂J/∂(start) and ∂J/∂(length) of the step as well.
    """
    system, tableau, h = step.system, step.tableau, step.h
    Y = system.combined(h * tableau.A, step.K) + step.u
    Y_bar, K_bar = np.zeros((2, *Y.shape, u_bar.shape[1]), dtype=system.dtype)
    Y_bar[tableau.last], K_bar[tableau.last] = u_bar, k_bar
    p_bar = np.zeros((system.p.size, u_bar.shape[1]), dtype=system.p.dtype)
    t_bar, h_bar = np.zeros(u_bar.shape[1]), np.zeros(u_bar.shape[1])
    start = np.zeros(u_bar.shape, dtype=system.dtype)
    observed = np.zeros((len(seeds), u_bar.shape[1]))
    for number, seed in enumerate(seeds):
        start += seed.u_bar
        K_bar += h * np.multiply.outer(tableau.weights(seed.theta), seed.u_bar)
        if timed:
            slope = inner(seed.u_bar, system.combined(tableau.slopes(seed.theta), step.K))
            observed[number] = slope
            t_bar -= slope
            h_bar += (
                inner(seed.u_bar, system.combined(tableau.weights(seed.theta), step.K))
                - seed.theta * slope
            )
    if q_bar is not None:
        _integral_cotangents(step, Y, q_bar, Y_bar, p_bar, (t_bar, h_bar) if timed else None)
    V_bar, W, through_p = _stage_cotangents(step, Y, Y_bar, K_bar)
    p_bar += through_p
    if timed:
        sizes = np.abs(step.K).max(axis=0)
        for i, w in W:
            rate = inner(w, time_rate(step, i, Y[i], system.time_derivative, sizes, "f"))
            t_bar += rate
            h_bar += tableau.c[i] * rate + inner(V_bar[i], system.combined(tableau.A[i], step.K))
    before = start + V_bar.sum(axis=0)
    if not tableau.continues:
        return StepCotangents(
            before, np.zeros(start.shape, dtype=start.dtype), p_bar, t_bar, h_bar, observed
        )
    return StepCotangents(
        before + Y_bar[0],
        K_bar[0] + _weighted_sum(h * tableau.A[1:, 0], V_bar[1:]),
        p_bar,
        t_bar,
        h_bar,
        observed,
    )


def step_jvp(
    step: FrozenStep, u_dot: Array, k_dot: Array, p_dot: Array, integrals: int, move: Move | None
) -> tuple[Array, Array | None]:
    """(K̇ (s, n, j), q̇ (q, j)) of a step, from u̇, k̇ (n, j) and ṗ (m, j).

    integrals: q; q̇ is None for q = 0. move: tangents of start and length of the step, None
    if start and length are fixed.
    """
    Y = step.system.combined(step.h * step.tableau.A, step.K) + step.u
    if step.tableau.coupled:
        K_dot = _coupled_stage_tangents(step, Y, u_dot, p_dot, move)
    else:
        K_dot = _stage_tangents(step, Y, u_dot, k_dot, p_dot, move)
    if not integrals:
        return K_dot, None
    return K_dot, _integral_tangents(step, Y, u_dot, K_dot, p_dot, integrals, move)


def _stage_cotangents(
    step: FrozenStep, Y: Array, Y_bar: Array, K_bar: Array
) -> tuple[Array, list[tuple[int, Array]], Array]:
    """(V̄ (s, n, j), [(i, w_i)], p̄ (m, j)) from the transposed stage equations, last stage first.

    w_i (n, j): the solution of the transposed equation of stage i. The first stage is
    not included if it is the last stage of the step before.
    """
    system, shape = step.system, Y_bar.shape
    if step.tableau.coupled:
        return _coupled_stage_cotangents(step, Y, Y_bar, K_bar)
    if shape[2] == 1:  # Arithmetic with vectors (n,) is faster than with columns (n, 1).
        Y_bar, K_bar = Y_bar.reshape(shape[:2]), K_bar.reshape(shape[:2])
    V_bar, W = np.zeros_like(Y_bar), []
    p_bar = np.zeros((system.p.size, *Y_bar.shape[2:]), dtype=system.p.dtype)
    hA, stage_times = step.h * step.tableau.A, step.times
    for i in reversed(range(int(step.tableau.continues), shape[0])):
        t = stage_times[i]
        w, Jw = _one_stage_cotangent(
            step,
            t,
            Y[i],
            hA[i, i],
            K_bar[i] + _weighted_sum(hA[i + 1 :, i], V_bar[i + 1 :]),
            Y_bar[i],
        )
        np.add(Y_bar[i], Jw, out=V_bar[i])
        p_bar += parameter_cotangents(system, t, Y[i], step.K[i], w)
        W.append((i, w.reshape(shape[1:])))
    return V_bar.reshape(shape), W, p_bar.reshape(-1, shape[2])


def _one_stage_cotangent(
    step: FrozenStep, t: float, Y: Array, hg: float, K_bar: Array, Y_bar: Array
) -> tuple[Array, Array]:
    """(w, Jᴴ w) with (M − hγ J)ᴴ w = K̄ + hγ Ȳ; w and Jᴴ w: (n,) or (n, j)."""
    system = step.system
    J = system.jacobian(t, Y)
    if hg == 0.0:
        w = K_bar if step.inverse is None else step.inverse.solve(K_bar, "H")
        return w, times(J, w, "H")
    w = step.solved(SingleStage(system.algebra, J, hg), K_bar + hg * Y_bar, "H")
    return w, product(J, w, "H")


def _stage_tangents(
    step: FrozenStep, Y: Array, u_dot: Array, k_dot: Array, p_dot: Array, move: Move | None
) -> Array:
    """K̇ (s, n, j), from the differentiated stage equations, first stage first."""
    system, tableau, h = step.system, step.tableau, step.h
    A, stage_times = tableau.A, step.times
    K_dot = np.zeros((A.shape[0], *u_dot.shape), dtype=np.result_type(system.dtype, p_dot))
    if tableau.continues:
        K_dot[0] = k_dot
    for i in range(int(tableau.continues), A.shape[0]):
        ti, hg = stage_times[i], h * A[i, i]
        V_dot = u_dot + _sum(h * A[i, :i], K_dot[:i]) + _stretched(step, i, move)
        J = system.jacobian(ti, Y[i])
        rate = (
            times(J, V_dot, "N")
            + parameter_tangents(system, ti, Y[i], step.K[i], p_dot)
            + _shifted(step, i, Y, move)
        )
        if hg == 0.0:
            K_dot[i] = rate if step.inverse is None else step.inverse.solve(rate, "N")
        else:
            K_dot[i] = step.solved(SingleStage(system.algebra, J, hg), rate, "N")
    return K_dot


def _coupled_stage_cotangents(
    step: FrozenStep, Y: Array, Y_bar: Array, K_bar: Array
) -> tuple[Array, list[tuple[int, Array]], Array]:
    """`_stage_cotangents` for coupled stages, by one system for all stages."""
    system, (s, n, j), hA = step.system, Y_bar.shape, step.h * step.tableau.A
    A = coupled_stage_matrix(system, step.tableau, step.interval, Y)
    b = K_bar.reshape(s, -1) + system.combined(hA.T, Y_bar.reshape(s, -1))
    W = step.solved(A, b.reshape(s * n, j), "H").reshape(s, n, j)
    p_bar = np.zeros((system.p.size, *(() if j == 1 else (j,))), dtype=system.p.dtype)
    for t, y, K, w in zip(step.times, Y, step.K, W.reshape(s, n) if j == 1 else W, strict=True):
        p_bar += parameter_cotangents(system, t, y, K, w)
    return Y_bar + A.slopes(W), list(enumerate(W)), p_bar.reshape(-1, j)


def _coupled_stage_tangents(
    step: FrozenStep, Y: Array, u_dot: Array, p_dot: Array, move: Move | None
) -> Array:
    """`_stage_tangents` for coupled stages, by one system for all stages."""
    system = step.system
    A = coupled_stage_matrix(system, step.tableau, step.interval, Y)
    rates = [
        times(A.J[i], u_dot + _stretched(step, i, move), "N")
        + parameter_tangents(system, t, Y[i], step.K[i], p_dot)
        + _shifted(step, i, Y, move)
        for i, t in enumerate(step.times)
    ]
    return step.solved(A, np.concatenate(rates), "N").reshape(len(rates), *u_dot.shape)


def _integral_cotangents(
    step: FrozenStep,
    Y: Array,
    q_bar: Array,
    Y_bar: Array,
    p_bar: Array,
    times_bar: tuple[Array, Array] | None,
) -> None:
    """Add the cotangents of q = h Σ b_i ℓ(t_i, Y_i, p) to Ȳ, p̄ and, if given, (t̄, h̄)."""
    system, tableau = step.system, step.tableau
    assert system.integrand is not None
    columns = list((step.h * q_bar).T)
    for i, weight, c in tableau.quadrature:
        ti = step.times[i]
        for j, q in enumerate(columns):
            through_u, through_p = system.integrand_cotangents(ti, Y[i], weight * q)
            Y_bar[i, :, j] += through_u
            p_bar[:, j] += through_p
        if times_bar is not None:
            value = np.array(system.integrand(ti, Y[i], system.p))
            slope = time_rate(step, i, Y[i], system.integrand_time_derivative, np.abs(value), "ℓ")
            rate = step.h * weight * (q_bar.T @ slope)
            times_bar[0][:] += rate
            times_bar[1][:] += c * rate + weight * (q_bar.T @ value)


def _integral_tangents(
    step: FrozenStep,
    Y: Array,
    u_dot: Array,
    K_dot: Array,
    p_dot: Array,
    integrals: int,
    move: Move | None,
) -> Array:
    """q̇ (q, j), the tangent of h Σ b_i ℓ(t_i, Y_i, p)."""
    system, tableau, h = step.system, step.tableau, step.h
    assert system.integrand is not None
    q_dot = np.zeros((integrals, u_dot.shape[1]), dtype=complex if system.perturbed else float)
    for i in range(tableau.last + 1):
        if tableau.b[i] == 0.0:
            continue
        Y_dot = u_dot + value_tangent(step, i, K_dot, move)
        for j in range(u_dot.shape[1]):
            rate = np.asarray(
                system.integrand.jvp(step.times[i], Y[i], system.p, Y_dot[:, j], p_dot[:, j])
            )
            if rate.shape != (integrals,):
                raise ValueError(
                    f"the jvp of the integrand returned shape {rate.shape}, expected ({integrals},)"
                )
            q_dot[:, j] += h * tableau.b[i] * rate
        if move is not None:
            value = np.array(system.integrand(step.times[i], Y[i], system.p))
            slope = h * time_rate(
                step, i, Y[i], system.integrand_time_derivative, np.abs(value), "ℓ"
            )
            q_dot += tableau.b[i] * (
                np.multiply.outer(value, move.h)
                + np.multiply.outer(slope, move.t + tableau.c[i] * move.h)
            )
    return q_dot


def value_tangent(step: FrozenStep, i: int, K_dot: Array, move: Move | None) -> Array:
    """Ẏ_i − u̇, (n, j): the tangent of the value of stage i without u̇."""
    return _sum(step.h * step.tableau.A[i], K_dot[: step.tableau.A.shape[1]]) + _stretched(
        step, i, move
    )


def dense_tangent(step: FrozenStep, theta: float, K_dot: Array, move: Move | None) -> Array:
    """The tangent of u at the fixed time t + θh without u̇, (n, j); the step may move."""
    change = _sum(step.h * step.tableau.weights(theta), K_dot)
    if move is None:
        return change
    stretched = step.system.combined(step.tableau.weights(theta), step.K)
    slope = step.system.combined(step.tableau.slopes(theta), step.K)
    return (
        change
        + np.multiply.outer(stretched, move.h)
        - np.multiply.outer(slope, move.t + theta * move.h)
    )


def _stretched(step: FrozenStep, i: int, move: Move | None) -> Array | float:
    """ḣ Σ_j a_ij K_j, (n, j): the tangent of stage value i if the length of the step changes."""
    return (
        0.0
        if move is None
        else np.multiply.outer(step.system.combined(step.tableau.A[i], step.K), move.h)
    )


def _shifted(step: FrozenStep, i: int, Y: Array, move: Move | None) -> Array | float:
    """∂f/∂t (ṫ + c_i ḣ), (n, j): the tangent of f at stage i if the time of the stage changes."""
    shift = None if move is None else move.t + step.tableau.c[i] * move.h
    if shift is None or not shift.any():
        return 0.0
    rate = time_rate(step, i, Y[i], step.system.time_derivative, np.abs(step.K).max(axis=0), "f")
    return np.multiply.outer(rate, shift)


def _weighted_sum(weights: Array, V_bar: Array) -> Array:
    """Σ_i weights_i V̄_i, (n,) or (n, j); by BLAS for a few unknowns and one column."""
    shape = V_bar.shape[1:]
    if len(shape) == 1 and shape[0] <= BLAS:
        return weights.dot(V_bar)
    return np.asarray(np.einsum("i,i...->...", weights, V_bar))


def _sum(weights: Array, K: Array) -> Array:
    """Σ_i weights_i K_i, (n, j)."""
    return np.asarray(np.einsum("i,i...->...", weights, K))


def inner(w: Array, v: Array) -> Array:
    """Re(wᴴ v) for each column of w, (j,); w: (n, j), v: (n,)."""
    return np.asarray(np.einsum("ij,i->j", w.conj(), v).real)
