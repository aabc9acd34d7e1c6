"""Rates of the cotangents of one step along tangents of the step.

The equations are in docs/math/second_derivatives.md. Arrays of cotangents have 1 + j
columns: column 0 is the cotangent, and the other columns are its rates along j tangents.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from ...typing import Array, Trans
from ..equations import parameter_cotangents
from ..stages.coupled_matrices import coupled_stage_matrix
from ..stages.refinement import Recent, StageMatrix
from ..stages.stage_matrices import SingleStage, product, times
from ..step_derivatives import value_tangent
from ..steps.frozen_step import FrozenStep, Seed
from .contractions import contraction, integrand_rates

Solve: TypeAlias = Callable[[Array, Trans], Array]
"""(b, trans) ↦ the solution of A w = b ("N") or Aᴴ w = b ("H")."""


@dataclass(frozen=True, eq=False)
class StepTangents:
    """Tangents of a step: u̇ at its start (n, j), K̇ of the stages (s, n, j), ṗ (m, j)."""

    u_dot: Array
    K_dot: Array
    p_dot: Array


@dataclass(frozen=True, eq=False)
class StepBars:
    """Cotangents with rates before a step: u, k (n, 1 + j); the rate of p̄, (m, j)."""

    u: Array
    k: Array
    p: Array


def step_vjp_rates(
    step: FrozenStep,
    tangents: StepTangents,
    bars: tuple[Array, Array],
    q_bars: Array | None,
    seeds: Sequence[Seed],
    recent: Recent,
) -> StepBars:
    """The cotangents before a step with their rates, and the part of the rate of ∂J/∂p.

    bars: (ū, k̄) after the step, (n, 1 + j) each. q_bars: cotangents of the integrals,
    (q, 1 + j), None without integrals. seeds: the observations inside the step, with
    1 + j columns. recent: the latest solutions for rates; `step.recent` has the latest
    solutions for cotangents. See docs/math/second_derivatives.md, eqs. 303–306.
    """
    system, tableau, h = step.system, step.tableau, step.h
    Y = system.combined(h * tableau.A, step.K) + step.u
    Y_bar, K_bar = np.zeros((2, *Y.shape, bars[0].shape[1]), dtype=system.dtype)
    Y_bar[tableau.last], K_bar[tableau.last] = bars
    start = np.zeros(bars[0].shape, dtype=system.dtype)
    for seed in seeds:
        start += seed.u_bar
        K_bar += h * np.multiply.outer(tableau.weights(seed.theta), seed.u_bar)
    p_rate = np.zeros(tangents.p_dot.shape, dtype=system.p.dtype)
    if q_bars is not None:
        for i, weight, _ in tableau.quadrature:
            Y_dot = tangents.u_dot + value_tangent(step, i, tangents.K_dot, None)
            u_bars, p_rates = integrand_rates(
                system, step.times[i], Y[i], weight * h * q_bars, (Y_dot, tangents.p_dot)
            )
            Y_bar[i] += u_bars
            p_rate += p_rates
    stages = _coupled_stage_rates if tableau.coupled else _stage_rates
    V_bar, through_p = stages(step, tangents, Y, Y_bar, K_bar, recent)
    before = start + V_bar.sum(axis=0)
    if not tableau.continues:
        return StepBars(before, np.zeros_like(before), p_rate + through_p)
    k_bar = K_bar[0] + np.einsum("i,i...->...", h * tableau.A[1:, 0], V_bar[1:])
    return StepBars(before + Y_bar[0], k_bar, p_rate + through_p)


def _stage_rates(
    step: FrozenStep,
    tangents: StepTangents,
    Y: Array,
    Y_bar: Array,
    K_bar: Array,
    recent: Recent,
) -> tuple[Array, Array]:
    """(V̄ (s, n, 1 + j), rate of p̄ (m, j)) from the transposed stages, last stage first.

    The contraction of each stage is added to Ȳ and K̄.
    """
    system, hA, stage_times = step.system, step.h * step.tableau.A, step.times
    V_bar, p_rate = np.zeros_like(Y_bar), np.zeros(tangents.p_dot.shape, dtype=system.p.dtype)
    sizes: list[Array] = []
    for i in reversed(range(int(step.tableau.continues), Y.shape[0])):
        t, hg = stage_times[i], hA[i, i]
        b = K_bar[i] + np.einsum("i,i...->...", hA[i + 1 :, i], V_bar[i + 1 :])
        J = system.jacobian(t, Y[i])
        if hg == 0.0:
            solve, solve_rates = _by_mass(step), _by_mass(step)
        else:
            A = SingleStage(system.algebra, J, hg)
            solve, solve_rates = _solvers(step, A, recent, sizes)
        w = solve(np.ascontiguousarray(b[:, 0] + hg * Y_bar[i, :, 0]), "H")
        Y_dot = tangents.u_dot + value_tangent(step, i, tangents.K_dot, None)
        found = contraction(
            system, t, Y[i], step.K[i], w, (Y_dot, tangents.K_dot[i], tangents.p_dot)
        )
        Y_bar[i, :, 1:] += found.u
        rates = b[:, 1:] + hg * Y_bar[i, :, 1:]
        if found.mass is not None:
            rates -= found.mass
        w_rates = solve_rates(np.ascontiguousarray(rates), "H")
        V_bar[i, :, 0] = Y_bar[i, :, 0] + times(J, w, "H")
        V_bar[i, :, 1:] = Y_bar[i, :, 1:] + product(J, w_rates, "H")
        p_rate += parameter_cotangents(system, t, Y[i], step.K[i], w_rates) + found.p
    return V_bar, p_rate


def _coupled_stage_rates(
    step: FrozenStep,
    tangents: StepTangents,
    Y: Array,
    Y_bar: Array,
    K_bar: Array,
    recent: Recent,
) -> tuple[Array, Array]:
    """`_stage_rates` for coupled stages, by two solves with one system for all stages."""
    system, (s, n, columns), hA = step.system, Y_bar.shape, step.h * step.tableau.A
    p_rate = np.zeros(tangents.p_dot.shape, dtype=system.p.dtype)
    A = coupled_stage_matrix(system, step.tableau, step.interval, Y)
    solve, solve_rates = _solvers(step, A, recent, [])
    b = K_bar[..., 0] + system.combined(hA.T, np.ascontiguousarray(Y_bar[..., 0]))
    W = np.empty_like(Y_bar)
    W[..., 0] = solve(b.reshape(-1), "H").reshape(s, n)
    for i, t in enumerate(step.times):
        Y_dot = tangents.u_dot + value_tangent(step, i, tangents.K_dot, None)
        found = contraction(
            system,
            t,
            Y[i],
            step.K[i],
            np.ascontiguousarray(W[i, :, 0]),
            (Y_dot, tangents.K_dot[i], tangents.p_dot),
        )
        Y_bar[i, :, 1:] += found.u
        if found.mass is not None:
            K_bar[i, :, 1:] -= found.mass
        p_rate += found.p
    b = K_bar[..., 1:] + np.einsum("li,l...->i...", hA, Y_bar[..., 1:])
    W[..., 1:] = solve_rates(b.reshape(s * n, columns - 1), "H").reshape(s, n, -1)
    for i, t in enumerate(step.times):
        w_rates = np.ascontiguousarray(W[i, :, 1:])
        p_rate += parameter_cotangents(system, t, Y[i], step.K[i], w_rates)
    return Y_bar + A.slopes(W), p_rate


def _solvers(
    step: FrozenStep, A: StageMatrix, recent: Recent, sizes: list[Array]
) -> tuple[Solve, Solve]:
    """Solvers with one matrix A for the cotangent and for its rates.

    A small matrix is factored once. recent, sizes: as in `FrozenStep`, for the rates.
    """
    if A.dense:
        inverse = A.inverse()
        return inverse.solve, inverse.solve
    return partial(step.solved, A), partial(step.with_memory(recent, sizes).solved, A)


def _by_mass(step: FrozenStep) -> Solve:
    """A solver with M, for explicit stages."""
    inverse = step.inverse
    return (lambda b, trans: b) if inverse is None else inverse.solve
