"""The stages of one step, forward: explicit ones by evaluation, implicit ones by Newton's method with old factors."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .algebra import Inverse, times
from .system import System, rms
from .tableau import Tableau

ITERATIONS = 14
"""Corrections of one stage at most, where a shorter step may be tried: with a contraction of 1/8 they reach rounding."""

PERSISTENT = 100
"""The same on a given grid, where none can be."""

ROUNDING = 1e-3
"""Size of a correction, in units of the tolerances, below which one that no longer shrinks is rounding."""

UNKNOWN = 0.5
"""The contraction that new factors are trusted with, before it has been measured."""


@dataclass(frozen=True, eq=False)
class Stages:
    """K: (s, n). iterations: of each stage, what it takes to find the same bits again. contraction: the worst."""

    K: Array
    iterations: tuple[int, ...]
    contraction: float


class NoConvergenceError(Exception):
    """Newton's method does not converge within one step: which has to be shorter, or its matrix newer."""


def solved_stages(
    system: System, tableau: Tableau, t: float, h: float, u: Array, k: Array, inverse: Inverse | None, known: float
) -> Stages:
    """The stages of the step from (t, u), K₁ = k being the last stage before; known: the contraction so far.

    inverse: factors of M − hγ ∂f/∂u at a point nearby; of M, or None, for an explicit method. Newton's method ends when
    the error predicted from the contraction is below the accuracy wanted. Raises NoConvergenceError.
    Hairer & Wanner (1996), Solving ODEs II, section IV.8.
    """
    K, hA, iterations, worst = _begun(system, tableau, h, k), h * tableau.A, [0] * tableau.stages, 0.0
    most = PERSISTENT if system.given else ITERATIONS
    enough = min(1e-2, system.accuracy / system.rtol)
    w = h * tableau.gamma * system.weights(u)
    for i in range(int(tableau.continues), tableau.stages):
        ti, V = t + tableau.c[i] * h, u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        Ki, hg, last, rate = _guess(system, tableau, i, K), hA[i, i], 0.0, known
        for m in range(1, most + 1):
            d = correction(system, inverse, ti, V + hg * Ki, Ki)
            Ki = Ki + d
            size = _size(system, d, w, hg, V, enough)
            if m > 1:
                rate = max(0.1 * rate, size / last if last else 0.0)
            if size * rate <= enough * max(0.0, 1.0 - rate):
                break
            if m > 1 and size <= ROUNDING and rate >= 0.25:  # What is left is rounding.
                rate = worst
                break
            if not (m == 1 or size * rate ** (most - m) <= enough) or m == most:
                raise NoConvergenceError
            last = size
        K[i], iterations[i], worst = Ki, m, max(worst, rate if m > 1 else 0.0)
        known = max(0.5 * known, worst)
    system.tally.corrections += sum(iterations)
    return Stages(K, tuple(iterations), worst)


def repeated_stages(
    system: System,
    tableau: Tableau,
    t: float,
    h: float,
    u: Array,
    k: Array,
    inverse: Inverse | None,
    iterations: tuple[int, ...],
) -> Array:
    """The K of `solved_stages` once more, to the last bit: as many corrections, and no questions asked."""
    K, hA = _begun(system, tableau, h, k), h * tableau.A
    for i in range(int(tableau.continues), tableau.stages):
        ti, V = t + tableau.c[i] * h, u + system.combined(hA[i, :i], K[:i]) if i else u
        if tableau.gamma == 0.0:
            K[i] = explicit_stage(system, inverse, ti, V)
            continue
        assert inverse is not None
        Ki, hg = _guess(system, tableau, i, K), hA[i, i]
        for _ in range(iterations[i]):
            Ki = Ki + correction(system, inverse, ti, V + hg * Ki, Ki)
        K[i] = Ki
    return K


def correction(system: System, inverse: Inverse, t: float, Y: Array, K: Array) -> Array:
    """B⁻¹ (f(t, Y) − M K), B ≈ M − hγ ∂f/∂u."""
    r = system.rate(t, Y) - times(system.mass.matrix, K, "N")
    return inverse.solve(r, "N")


def explicit_stage(system: System, inverse: Inverse | None, t: float, Y: Array) -> Array:
    """M⁻¹ f(t, Y)."""
    f = system.rate(t, Y)
    return f if inverse is None else inverse.solve(np.array(f), "N")


def values(system: System, tableau: Tableau, h: float, u: Array, K: Array) -> Array:
    """Y_i = u + h Σ_j a_ij K_j, (s, n); the last is u'."""
    return system.combined(h * tableau.A, K) + u


def _begun(system: System, tableau: Tableau, h: float, k: Array) -> Array:
    K = np.empty((tableau.stages, system.n), dtype=system.dtype)
    if tableau.continues:
        K[0] = k
    return K


def _guess(system: System, tableau: Tableau, i: int, K: Array) -> Array:
    return system.combined(tableau.predictor[i, :i], K[:i]) if i else np.zeros(system.n, dtype=system.dtype)


def _size(system: System, d: Array, w: Array, hg: float, V: Array, enough: float) -> float:
    """The size of a correction in units of the tolerances."""
    if not system.perturbed:
        return rms(d * w)
    # The imaginary part, which is of another order, has to converge as well: relative to the largest there is.
    change = float(np.abs(hg * d.imag).max())
    largest = float(np.abs(V.imag + hg * d.imag).max())
    relative = 100.0 * change / largest / system.accuracy * enough if largest > 0.0 else 0.0
    return max(rms(d.real * w), relative)
