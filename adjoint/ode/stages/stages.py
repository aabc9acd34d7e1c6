"""The stages of one step: explicit stages by evaluation, implicit stages by Newton's method."""

from dataclasses import dataclass

import numpy as np

from ...errors import NoConvergenceError
from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from ..equations import System
from ..methods.tableau import Tableau
from .simplified_newton import StageEquation, damped_newton, simplified_newton
from .stage_matrices import Inverse

ASSUMED_CONTRACTION = 0.5
"""Contraction of Newton's method that is assumed for new factors, before it is measured."""


SAFETY = 10.0
"""Safety factor of the contraction at the last stage of a step, as an estimate for the next
step.
"""


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages K, (s, n), and how Newton's method found them.

    iterations: number of corrections of each stage, from which the same bits can be
    computed again; negative if each iterate had new factors. contraction: the largest
    contraction of all stages. last: the contraction at the last stage. A contraction
    that was not measured is 0.
    """

    K: Array
    iterations: tuple[int, ...]
    contraction: float
    last: float


def solved_stages(
    system: System,
    tableau: Tableau,
    step: Interval,
    u: Array,
    k: Array,
    inverse: Inverse | None,
    contraction: float,
    fresh: bool,
) -> Stages:
    """The stages of a step from u with K₁ = k, by factors that may be old.

    inverse: factors of a nearby matrix M − hγ ∂f/∂u; for explicit methods the factors
    of M, or None. contraction: an estimate of the contraction. fresh: True if the
    factors were made for this step. Newton's method stops when the error predicted from
    the contraction is below the accuracy of the method. Raises NoConvergenceError if
    this accuracy is not reached. Source: Hairer & Wanner (1996), Solving ODEs II,
    section IV.8.
    """
    h, times = step.h, tableau.times(step)
    K, hA, iterations = _allocated(system, tableau, k), h * tableau.A, [0] * tableau.stages
    hg, worst, rate = h * tableau.gamma, 0.0, 0.0
    w = h * tableau.gamma * system.weights(u)
    for i in range(int(tableau.continues), tableau.stages):
        ti, V = times[i], u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        stage = StageEquation(system, ti, V, hg, _guess(system, tableau, i, K))
        try:
            # The contraction at the last stage, which is usually farthest from the point of
            # the matrix, is measured in each step.
            K[i], iterations[i], rate = simplified_newton(
                stage, inverse, w, ASSUMED_CONTRACTION if i == tableau.last else contraction, fresh
            )
        except NoConvergenceError:
            if not system.steps_given:
                raise
            K[i], corrections = damped_newton(stage, w)
            iterations[i], rate = -corrections, 1.0
        worst = max(worst, rate)
    system.statistics.corrections += sum(abs(m) for m in iterations)
    return Stages(K, tuple(iterations), worst, rate)


def repeated_stages(
    system: System,
    tableau: Tableau,
    step: Interval,
    u: Array,
    k: Array,
    known: dict[int, Array],
    inverse: Inverse | None,
    iterations: tuple[int, ...],
) -> Array:
    """The stages that `solved_stages` found, computed again with the same bits, (s, n).

    Repeats the recorded number of Newton corrections (`iterations`) without convergence
    tests, hence with the same bits. known: {i: K_i} of the stages that were stored.
    """
    h, times = step.h, tableau.times(step)
    K, hA, hg = _allocated(system, tableau, k), h * tableau.A, h * tableau.gamma
    for i in range(int(tableau.continues), tableau.stages):
        if i in known:
            K[i] = known[i]
            continue
        ti, V = times[i], u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        stage = StageEquation(system, ti, V, hg, _guess(system, tableau, i, K))
        Ki, correction = stage.guess, stage.corrections(inverse)
        for _ in range(iterations[i]):
            Ki = Ki + correction(Ki)
        K[i] = (
            Ki
            if iterations[i] >= 0
            else damped_newton(stage, h * tableau.gamma * system.weights(u))[0]
        )
    return K


def explicit_stage(system: System, inverse: Inverse | None, t: float, Y: Array) -> Array:
    """The stage K = M⁻¹ f(t, Y) of an explicit method, (n,)."""
    f = system.rate(t, Y)
    return f if inverse is None else inverse.solve(np.array(f), "N")


def values(system: System, tableau: Tableau, h: float, u: Array, K: Array) -> Array:
    """The stage values Y_i = u + h Σ_j a_ij K_j, (s, n); the last row is the new state."""
    return system.combined(h * tableau.A, K) + u


def _allocated(system: System, tableau: Tableau, k: Array) -> Array:
    """An array for the stages, (s, n), with K₁ = k if the method continues the step before."""
    K = np.empty((tableau.stages, system.n), dtype=system.dtype)
    if tableau.continues:
        K[0] = k
    return K


def _guess(system: System, tableau: Tableau, i: int, K: Array) -> Array:
    """The first guess of K_i from the stages before stage i; zeros for the first stage."""
    return (
        system.combined(tableau.predictor[i, :i], K[:i])
        if i
        else np.zeros(system.n, dtype=system.dtype)
    )
