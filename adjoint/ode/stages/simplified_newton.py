"""Newton's method for the stages of a step: simplified (old factors) or damped (new factors).

The unknown is K of one implicit stage (`StageEquation`), or of all coupled stages
(`coupled_stages.StepEquation`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._numerics import rms
from ...errors import KrylovStalled, NoConvergenceError, NonFinite, SingularMatrix
from ...factor.counts import owed
from ...typing import Array
from ..equations import System
from .stage_matrices import DenseInverse, Inverse

MAX_CORRECTIONS = 14
"""Maximum number of corrections if a shorter step may be tried.

With a contraction of 1/8, the error is rounding error after 14 corrections.
"""


MAX_CORRECTIONS_ON_GRID = 60
"""Maximum number of corrections on a given grid, where no shorter step can be tried."""


MAX_STAGNATION = 3
"""Maximum number of successive corrections that are not smaller than half of the smallest
correction so far. After that the iteration stops: the error is rounding error, or the
iteration does not converge.
"""


SLOW = 0.4
"""Contraction above which damped Newton replaces simplified Newton, on a given grid."""


MAX_DAMPED_CORRECTIONS = 50
"""Maximum number of corrections of damped Newton, on a given grid."""


LEAST_DAMPING = 1e-3
"""Smallest part of a correction that damped Newton tries."""


ROUNDING = 1e-3
"""Size of a correction, in units of the tolerances, below which the correction is rounding
error if it no longer decreases.
"""


class Equation(Protocol):
    """The equation for the K of one stage, (n,), or of all coupled stages of a step, (s·n,).

    guess: first guess of K. V, hg: the stage value is V + hg · K, with hg = hγ or h.
    """

    @property
    def system(self) -> System: ...

    @property
    def V(self) -> Array: ...

    @property
    def hg(self) -> float: ...

    @property
    def guess(self) -> Array: ...

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """Return the function K ↦ Newton correction of K by the given factors."""

    def inverse(self, K: Array) -> Inverse:
        """The factors of the derivative of the equation at K."""


@dataclass(frozen=True, eq=False)
class StageEquation:
    """M K = f(t, V + hγ K), with a first guess of K."""

    system: System
    t: float
    V: Array
    hg: float
    guess: Array

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """The function K ↦ B⁻¹ (f(t, V + hγ K) − M K), with B ≈ M − hγ ∂f/∂u."""
        system, M = self.system, self.system.mass.matrix
        if isinstance(inverse, DenseInverse) and system.dtype.kind != "c":
            return self._dense_corrections(inverse)

        def correction(K: Array) -> Array:
            r = system.rate(self.t, self.V + self.hg * K)
            return inverse.solve(r - (K if M is None else M @ K), "N")

        return correction

    def _dense_corrections(self, inverse: DenseInverse) -> Callable[[Array], Array]:
        """`corrections` for few unknowns, without calls, which cost more than the arithmetic."""
        system, t, V, hg, M = self.system, self.t, self.V, self.hg, self.system.mass.matrix
        field, p, statistics, shape, kind = (
            system.field,
            system.p,
            system.statistics,
            system.shape,
            system.dtype,
        )
        getrs, factors, pivots, work = inverse.getrs, inverse.factors, inverse.pivots, owed.work

        def correction(K: Array) -> Array:
            statistics.evaluations += 1
            work[0] += 1
            work[2] += 1
            f = field(t, V + hg * K, p)
            if f.__class__ is not np.ndarray or f.shape != shape or f.dtype != kind:
                f = system.checked(f)
            return getrs(factors, pivots, f - (K if M is None else M @ K), 1)[0]

        return correction

    def inverse(self, K: Array) -> Inverse:
        """The factors of M − hγ ∂f/∂u at K."""
        return self.system.inverse(self.t, self.V + self.hg * K, self.hg)


def simplified_newton(
    stage: Equation, inverse: Inverse, w: Array, contraction: float, fresh: bool
) -> tuple[Array, int, float]:
    """(K, number of corrections, contraction), by the factors of a nearby matrix.

    w: weights that convert a change of K to units of the tolerances, (n,). contraction:
    an estimate of the contraction, used for the first correction. fresh: True if the
    factors were made for this step. Returns the measured contraction, or 0 if there was
    only one correction. Raises NoConvergenceError if the corrections do not decrease
    fast enough.
    """
    system, K, last, rate, measured, best, stagnation = (
        stage.system,
        stage.guess,
        0.0,
        contraction,
        0.0,
        np.inf,
        0,
    )
    accurate = stage_tolerance(system)
    most = MAX_CORRECTIONS_ON_GRID if system.steps_given else MAX_CORRECTIONS
    correction = stage.corrections(inverse)
    for m in range(1, most + 1):
        d = computed_correction(correction, K)
        K = K + d
        size = rms(d.real * w if system.perturbed else d * w)
        if m > 1:
            measured = size / last if last else 0.0
            # One correction that happens to be small does not prove fast convergence.
            rate = max((0.5 if system.steps_given else 0.2) * rate, measured)
        if size * rate <= accurate * max(0.0, 1.0 - rate):
            break
        if system.steps_given:  # The first rates may mix fast and slow components.
            hopeless = m > 4 and not rate <= SLOW
        elif m > 1 and size <= ROUNDING:
            # The correction is rounding error if it does not decrease, or if three corrections
            # do not halve it: some unknowns have tiny tolerances next to large unknowns.
            if size >= 0.9 * last or (fresh and (stagnation >= MAX_STAGNATION or m == most)):
                measured = 0.0
                break
            hopeless = stagnation >= MAX_STAGNATION
        else:
            hopeless = m > 1 and not (rate < 1.0 and size * rate ** (most - m) <= accurate)
        if hopeless or m == most or not size < np.inf:
            raise NoConvergenceError(m == 1 and not np.isfinite(d).all())
        last = size
        best, stagnation = (size, 0) if size < 0.5 * best else (best, stagnation + 1)
    if not system.perturbed:
        return K, m, measured
    K, further = _with_imaginary_part(stage, inverse, K, d)
    return K, m + further, measured


def _with_imaginary_part(
    stage: Equation, inverse: Inverse, K: Array, d: Array
) -> tuple[Array, int]:
    """(K, number of further corrections), until the imaginary part of K has converged as well.

    d: the last correction. The imaginary part of a complex step converges linearly,
    after the real part.
    """
    best, stagnation, correction = np.inf, 0, stage.corrections(inverse)
    for further in range(MAX_CORRECTIONS_ON_GRID):
        change = float(np.abs(d.imag).max())
        best, stagnation = (change, 0) if change < 0.5 * best else (best, stagnation + 1)
        if change <= 1e-16 * float(np.abs(K.imag).max()) or stagnation > 3:
            return K, further
        d = correction(K)
        K = K + d
    return K, MAX_CORRECTIONS_ON_GRID


def damped_newton(stage: Equation, w: Array) -> tuple[Array, int]:
    """(K, number of corrections), with new factors at each iterate, and damped corrections.

    Steps of a given grid use this method if simplified Newton does not converge. Each
    correction is halved until the next correction with the same factors is smaller
    (Deuflhard 2011, section 3.3). Raises NoConvergenceError after
    `MAX_DAMPED_CORRECTIONS` corrections, or if a matrix is singular.
    """
    system, K = stage.system, stage.guess
    accurate = stage_tolerance(system)
    # The rounding errors of the largest unknown limit the accuracy of all unknowns, even of an
    # unknown of size 0 with a small atol.
    ulps = 100.0 * float(np.finfo(float).eps * np.abs(stage.V).max()) / stage.hg
    rounding = max(ROUNDING, ulps * rms(w))
    for m in range(1, MAX_DAMPED_CORRECTIONS + 1):
        try:
            inverse = stage.inverse(K)
        except (SingularMatrix, NonFinite):
            break
        correction = stage.corrections(inverse)
        d = computed_correction(correction, K)
        size = rms(d.real * w)
        factor = damping(size, _later_size(correction, K, d, w), LEAST_DAMPING)
        if factor <= LEAST_DAMPING and size > rounding:
            # No part of the correction reduces the next one, and the correction is not
            # rounding error: try the whole correction.
            factor = 1.0
        K = K + factor * d
        if not size < np.inf:
            break
        if size <= accurate or factor <= LEAST_DAMPING:
            return _with_imaginary_part(stage, inverse, K, d)[0] if system.perturbed else K, m
    raise NoConvergenceError(False)


def damping(size: float, later: Callable[[float], float], least: float) -> float:
    """The first factor of 1, 1/2, 1/4, … with later(factor) ≤ (1 − factor/4) size.

    size: size of the correction. later: factor ↦ size of the next correction, after a step
    of factor times the correction. If no factor > least satisfies the inequality, the
    result is at most `least`. Source: Deuflhard (2011), section 3.3.
    """
    factor = 1.0
    while factor > least:
        if later(factor) <= (1.0 - 0.25 * factor) * size:
            return factor
        factor *= 0.5
    return factor


def _later_size(
    correction: Callable[[Array], Array], K: Array, d: Array, w: Array
) -> Callable[[float], float]:
    """Return factor ↦ the size of the next correction after the step K + factor · d."""
    return lambda factor: rms(computed_correction(correction, K + factor * d).real * w)


def computed_correction(correction: Callable[[Array], Array], K: Array) -> Array:
    """The correction of K; raises NoConvergenceError if a solve fails."""
    try:
        return correction(K)
    except (NonFinite, KrylovStalled) as error:
        raise NoConvergenceError(False) from error


def stage_tolerance(system: System) -> float:
    """The largest error of a stage that is accepted, in units of the tolerances."""
    return min(1e-2, system.accuracy / system.rtol)
