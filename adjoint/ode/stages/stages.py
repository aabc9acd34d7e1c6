"""The stages of one step, forward: explicit ones by evaluation, implicit ones by Newton's method with old factors."""

from dataclasses import dataclass

import numpy as np

from ...errors import NoConvergenceError
from ...typing import Array
from ..discontinuities.knots import Interval
from ..equations import System
from ..methods.tableau import Tableau
from .simplified_newton import Stage, chord, full
from .stage_matrices import Inverse

UNKNOWN = 0.5
"""The contraction that new factors are trusted with, before it has been measured."""


SAFETY = 10.0
"""What the contraction at the last stage of a step is multiplied by, before first corrections in the next step are
trusted with it."""


@dataclass(frozen=True, eq=False)
class Stages:
    """K: (s, n). iterations: corrections of each stage, what it takes to find the same bits again; below zero for those
    with factors of their own. contraction: the worst; last: that of the last stage; 0 where it was not measured."""

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
    known: float,
    fresh: bool,
) -> Stages:
    """The stages of a step from u, K₁ = k being the last stage before; known: the contraction so far.

    inverse: factors of M − hγ ∂f/∂u nearby, fresh: whether they were made for this step; of M, or None, for an
    explicit method. Newton's method ends when the error predicted from the contraction is below the accuracy wanted.
    Raises NoConvergenceError. Hairer & Wanner (1996), Solving ODEs II, section IV.8.
    """
    h, times = step.h, tableau.times(step)
    K, hA, iterations = _begun(system, tableau, k), h * tableau.A, [0] * tableau.stages
    hg, worst, rate = h * tableau.gamma, 0.0, 0.0
    w = h * tableau.gamma * system.weights(u)
    for i in range(int(tableau.continues), tableau.stages):
        ti, V = times[i], u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        stage = Stage(system, ti, V, hg, _guess(system, tableau, i, K))
        try:
            # The last stage, mostly the farthest from where the matrix was made, is measured in every step.
            K[i], iterations[i], rate = chord(
                stage, inverse, w, UNKNOWN if i == tableau.last else known, fresh
            )
        except NoConvergenceError:
            if not system.given:
                raise
            K[i], corrections = full(stage, w)
            iterations[i], rate = -corrections, 1.0
        worst = max(worst, rate)
    system.tally.corrections += sum(abs(m) for m in iterations)
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
    """The K of `solved_stages` once more, to the last bit: as many corrections, and no questions asked.

    known: {i: K_i}, those that were kept.
    """
    h, times = step.h, tableau.times(step)
    K, hA, hg = _begun(system, tableau, k), h * tableau.A, h * tableau.gamma
    for i in range(int(tableau.continues), tableau.stages):
        if i in known:
            K[i] = known[i]
            continue
        ti, V = times[i], u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        stage = Stage(system, ti, V, hg, _guess(system, tableau, i, K))
        Ki, correction = stage.guess, stage.corrections(inverse)
        for _ in range(iterations[i]):
            Ki = Ki + correction(Ki)
        K[i] = Ki if iterations[i] >= 0 else full(stage, h * tableau.gamma * system.weights(u))[0]
    return K


def explicit_stage(system: System, inverse: Inverse | None, t: float, Y: Array) -> Array:
    """M⁻¹ f(t, Y)."""
    f = system.rate(t, Y)
    return f if inverse is None else inverse.solve(np.array(f), "N")


def values(system: System, tableau: Tableau, h: float, u: Array, K: Array) -> Array:
    """Y_i = u + h Σ_j a_ij K_j, (s, n); the last is u'."""
    return system.combined(h * tableau.A, K) + u


def _begun(system: System, tableau: Tableau, k: Array) -> Array:
    K = np.empty((tableau.stages, system.n), dtype=system.dtype)
    if tableau.continues:
        K[0] = k
    return K


def _guess(system: System, tableau: Tableau, i: int, K: Array) -> Array:
    return (
        system.combined(tableau.predictor[i, :i], K[:i])
        if i
        else np.zeros(system.n, dtype=system.dtype)
    )
