"""The tangent of one step: the stage equations, differentiated along directions (docs/math/time.md, eq. 50)."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .algebra import times
from .beginning import parameter_tangents
from .coupled import stage_matrix
from .reverse import Step, time_rate
from .stage_matrix import SingleStage


@dataclass(frozen=True, eq=False)
class Move:
    """How a step moves along each direction: the time where it begins, and its length, (j,) each."""

    t: Array
    h: Array


def pushed(
    step: Step, u_dot: Array, k_dot: Array, p_dot: Array, integrals: int, move: Move | None
) -> tuple[Array, Array | None]:
    """(K̇ (s, n, j), q̇ (q, j)) of a step from u̇, k̇ (n, j) and ṗ (m, j); integrals: q; move: None if it stays."""
    system, tableau, h = step.system, step.tableau, step.h
    A = tableau.A
    Y = system.combined(h * A, step.K) + step.u
    if tableau.coupled:
        K_dot = _coupled(step, Y, u_dot, p_dot, move)
        return K_dot, _integrals(step, Y, u_dot, K_dot, p_dot, integrals, move) if integrals else None
    K_dot = np.zeros((A.shape[0], *u_dot.shape), dtype=np.result_type(system.dtype, p_dot))
    if tableau.continues:
        K_dot[0] = k_dot
    for i in range(int(tableau.continues), A.shape[0]):
        ti, hg = step.times[i], h * A[i, i]
        V_dot = u_dot + _sum(h * A[i, :i], K_dot[:i]) + _stretched(step, i, move)
        J = system.jacobian(ti, Y[i])
        rate = (
            times(J, V_dot, "N") + parameter_tangents(system, ti, Y[i], step.K[i], p_dot) + _shifted(step, i, Y, move)
        )
        if hg == 0.0:
            K_dot[i] = rate if step.inverse is None else step.inverse.solve(rate, "N")
        else:
            K_dot[i] = step.solved(SingleStage(system.algebra, J, hg), rate, "N")
    return K_dot, _integrals(step, Y, u_dot, K_dot, p_dot, integrals, move) if integrals else None


def value_tangent(step: Step, i: int, K_dot: Array, move: Move | None) -> Array:
    """What stage i's value changes by, beside u̇, (n, j)."""
    return _sum(step.h * step.tableau.A[i], K_dot[: step.tableau.A.shape[1]]) + _stretched(step, i, move)


def dense_tangent(step: Step, theta: float, K_dot: Array, move: Move | None) -> Array:
    """What the value at t + θh changes by, beside u̇, (n, j): the time stays as it is when the step moves."""
    change = _sum(step.h * step.tableau.weights(theta), K_dot)
    if move is None:
        return change
    stretched = step.system.combined(step.tableau.weights(theta), step.K)
    slope = step.system.combined(step.tableau.slopes(theta), step.K)
    return change + np.multiply.outer(stretched, move.h) - np.multiply.outer(slope, move.t + theta * move.h)


def _stretched(step: Step, i: int, move: Move | None) -> Array | float:
    """ḣ Σ_j a_ij K_j."""
    return 0.0 if move is None else np.multiply.outer(step.system.combined(step.tableau.A[i], step.K), move.h)


def _shifted(step: Step, i: int, Y: Array, move: Move | None) -> Array | float:
    """∂f/∂t (ṫ + c_i ḣ) at stage i."""
    shift = None if move is None else move.t + step.tableau.c[i] * move.h
    if shift is None or not shift.any():
        return 0.0
    rate = time_rate(step, i, Y[i], step.system.time_derivative, np.abs(step.K).max(axis=0), "f")
    return np.multiply.outer(rate, shift)


def _coupled(step: Step, Y: Array, u_dot: Array, p_dot: Array, move: Move | None) -> Array:
    """K̇, (s, n, j), where the stages depend on each other."""
    system = step.system
    A = stage_matrix(system, step.tableau, step.interval, Y)
    rates = [
        times(A.J[i], u_dot + _stretched(step, i, move), "N")
        + parameter_tangents(system, t, Y[i], step.K[i], p_dot)
        + _shifted(step, i, Y, move)
        for i, t in enumerate(step.times)
    ]
    return step.solved(A, np.concatenate(rates), "N").reshape(len(rates), *u_dot.shape)


def _integrals(
    step: Step, Y: Array, u_dot: Array, K_dot: Array, p_dot: Array, integrals: int, move: Move | None
) -> Array:
    system, tableau, h = step.system, step.tableau, step.h
    assert system.integrand is not None
    q_dot = np.zeros((integrals, u_dot.shape[1]), dtype=complex if system.perturbed else float)
    for i in range(tableau.last + 1):
        if tableau.b[i] == 0.0:
            continue
        Y_dot = u_dot + value_tangent(step, i, K_dot, move)
        for j in range(u_dot.shape[1]):
            rate = np.asarray(system.integrand.jvp(step.times[i], Y[i], system.p, Y_dot[:, j], p_dot[:, j]))
            if rate.shape != (integrals,):
                raise ValueError(f"the jvp of the integrand returned shape {rate.shape}, expected ({integrals},)")
            q_dot[:, j] += h * tableau.b[i] * rate
        if move is not None:
            value = np.array(system.integrand(step.times[i], Y[i], system.p))
            slope = h * time_rate(step, i, Y[i], system.integrand_time_derivative, np.abs(value), "ℓ")
            q_dot += tableau.b[i] * (
                np.multiply.outer(value, move.h) + np.multiply.outer(slope, move.t + tableau.c[i] * move.h)
            )
    return q_dot


def _sum(weights: Array, K: Array) -> Array:
    return np.asarray(np.einsum("i,i...->...", weights, K))
