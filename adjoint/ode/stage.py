"""One implicit stage: its equation, and the corrections of Newton's method for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arrays import Array
from ..factor.counting import owed
from .algebra import DenseInverse, Inverse
from .system import System


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
        field, p, tally, shape, kind = system.field, system.p, system.tally, system.shape, system.dtype
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
