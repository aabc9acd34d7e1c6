"""Newton's method for the equations of a stage, or of several at once: by factors nearby, or by its own.

One implicit stage: its equation, and the corrections of Newton's method for it.
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


class Equation(Protocol):
    """What Newton's method is applied to: one stage, or all of a step at once, in one vector.

    guess: of K; V: the values that K moves, hg: by about how much.
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
        """K ↦ the correction of it by these factors."""

    def inverse(self, K: Array) -> Inverse:
        """The factors of the derivative at K itself."""


@dataclass(frozen=True, eq=False)
class Stage:
    """M K = f(t, V + hγ K), from a guess of K."""

    system: System
    t: float
    V: Array
    hg: float
    guess: Array

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """K ↦ B⁻¹ (f(t, V + hγ K) − M K), B ≈ M − hγ ∂f/∂u."""
        system, M = self.system, self.system.mass.matrix
        if isinstance(inverse, DenseInverse) and system.dtype.kind != "c":
            return self._small(inverse)

        def correction(K: Array) -> Array:
            r = system.rate(self.t, self.V + self.hg * K)
            return inverse.solve(r - (K if M is None else M @ K), "N")

        return correction

    def _small(self, inverse: DenseInverse) -> Callable[[Array], Array]:
        """The same for few unknowns: without calls that take longer than what they do."""
        system, t, V, hg, M = self.system, self.t, self.V, self.hg, self.system.mass.matrix
        field, p, tally, shape, kind = (
            system.field,
            system.p,
            system.tally,
            system.shape,
            system.dtype,
        )
        getrs, factors, pivots, work = inverse.getrs, inverse.factors, inverse.pivots, owed.work

        def correction(K: Array) -> Array:
            tally.evaluations += 1
            work[0] += 1
            work[2] += 1
            f = field(t, V + hg * K, p)
            if f.__class__ is not np.ndarray or f.shape != shape or f.dtype != kind:
                f = system.checked(f)
            return getrs(factors, pivots, f - (K if M is None else M @ K), 1)[0]

        return correction

    def inverse(self, K: Array) -> Inverse:
        """The factors of M − hγ ∂f/∂u at K itself."""
        return self.system.inverse(self.t, self.V + self.hg * K, self.hg)


ITERATIONS = 14
"""Corrections of one stage at most, where a shorter step may be tried: by a contraction of 1/8 they reach rounding."""


PERSISTENT = 60
"""The same on a given grid, where none can be."""


IDLE = 3
"""Corrections that do not halve the smallest one before, after which it is rounding, or hopeless."""


SLOW = 0.4
"""Contraction above which a chord iteration on a given grid is given up for factors of its own."""


NEWTON = 50
"""Corrections with factors of their own, where chords do not converge on a given grid."""


DAMPED = 1e-3
"""Part of a correction below which none is tried."""


ROUNDING = 1e-3
"""Size of a correction, in units of the tolerances, below which one that no longer shrinks is rounding."""


def enough(system: System) -> float:
    """The size of what may be left of a stage, in units of the tolerances."""
    return min(1e-2, system.accuracy / system.rtol)


def corrected(correction: Callable[[Array], Array], K: Array) -> Array:
    """The correction of K; raises NoConvergenceError where an iterative solver does not find it."""
    try:
        return correction(K)
    except (NonFinite, KrylovStalled) as error:
        raise NoConvergenceError(False) from error


def chord(
    stage: Equation, inverse: Inverse, w: Array, known: float, fresh: bool
) -> tuple[Array, int, float]:
    """(K, corrections, contraction) by factors nearby.

    w: what turns a change of K into units of the tolerances. known: the contraction, before it is measured. fresh:
    whether the factors were made for this step.
    """
    system, K, last, rate, measured, best, idle = (
        stage.system,
        stage.guess,
        0.0,
        known,
        0.0,
        np.inf,
        0,
    )
    accurate = enough(system)
    most = PERSISTENT if system.given else ITERATIONS
    correction = stage.corrections(inverse)
    for m in range(1, most + 1):
        d = corrected(correction, K)
        K = K + d
        size = rms(d.real * w if system.perturbed else d * w)
        if m > 1:
            measured = size / last if last else 0.0
            # A correction that happens to be small once does not show that all that follow are.
            rate = max((0.5 if system.given else 0.2) * rate, measured)
        if size * rate <= accurate * max(0.0, 1.0 - rate):
            break
        if system.given:  # The first rates may belong to components of different kinds.
            hopeless = m > 4 and not rate <= SLOW
        elif m > 1 and size <= ROUNDING:
            # Rounding, of unknowns with tiny tolerances next to large ones: no longer halved by three corrections.
            if size >= 0.9 * last or (fresh and (idle >= IDLE or m == most)):
                measured = 0.0
                break
            hopeless = idle >= IDLE
        else:
            hopeless = m > 1 and not (rate < 1.0 and size * rate ** (most - m) <= accurate)
        if hopeless or m == most or not size < np.inf:
            raise NoConvergenceError(m == 1 and not np.isfinite(d).all())
        last = size
        best, idle = (size, 0) if size < 0.5 * best else (best, idle + 1)
    if not system.perturbed:
        return K, m, measured
    K, further = _imaginary(stage, inverse, K, d)
    return K, m + further, measured


def _imaginary(stage: Equation, inverse: Inverse, K: Array, d: Array) -> tuple[Array, int]:
    """K once its imaginary part, which follows the real one, has converged as well, and the corrections it took."""
    best, idle, correction = np.inf, 0, stage.corrections(inverse)
    for further in range(PERSISTENT):
        change = float(np.abs(d.imag).max())
        best, idle = (change, 0) if change < 0.5 * best else (best, idle + 1)
        if change <= 1e-16 * float(np.abs(K.imag).max()) or idle > 3:
            return K, further
        d = correction(K)
        K = K + d
    return K, PERSISTENT


def full(stage: Equation, w: Array) -> tuple[Array, int]:
    """(K, corrections) by factors of its own at each iterate: where steps are given, and chords do not converge.

    Damped until the next correction by the same factors is smaller (Deuflhard 2011, section 3.3).
    """
    system, K = stage.system, stage.guess
    accurate = enough(system)
    # Unknowns of 0 next to others of 6 are known to no more than the rounding of these, however small atol is.
    ulps = 100.0 * float(np.finfo(float).eps * np.abs(stage.V).max()) / stage.hg
    rounding = max(ROUNDING, ulps * rms(w))
    for m in range(1, NEWTON + 1):
        try:
            inverse = stage.inverse(K)
        except (SingularMatrix, NonFinite):
            break
        correction = stage.corrections(inverse)
        d = corrected(correction, K)
        size, factor = rms(d.real * w), 1.0
        while factor > DAMPED:
            later = corrected(correction, K + factor * d)
            if rms(later.real * w) <= (1.0 - 0.25 * factor) * size:
                break
            factor *= 0.5
        else:
            # Rounding; or a valley that only a whole step may lead out of.
            factor = 1.0 if size > rounding else factor
        K = K + factor * d
        if not size < np.inf:
            break
        if size <= accurate or factor <= DAMPED:
            return _imaginary(stage, inverse, K, d)[0] if system.perturbed else K, m
    raise NoConvergenceError(False)
