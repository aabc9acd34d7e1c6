"""The stages of one step, forward, of methods whose stages depend on each other: Newton's method for all at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .algebra import Inverse, times
from .chord import NoConvergenceError, chord, full
from .coupled import CoupledStages, stage_jacobians
from .stages import UNKNOWN, Stages, values
from .system import System
from .tableau import Tableau

HIGHEST = 3
"""Degree of the polynomial in time that the stages of the next step are guessed by, at most."""

FARTHEST = 10.0
"""Steps this many times as long as the one before are guessed by its last stage instead: landings may be close."""


@dataclass(frozen=True, eq=False)
class Together:
    """M K_i = f(t + c_i h, u + h Σ_j a_ij K_j) for all i; K as one vector, (s·n,). guess: of it."""

    system: System
    tableau: Tableau
    t: float
    h: float
    V: Array
    guess: Array

    @property
    def hg(self) -> float:
        """h: what K is multiplied by."""
        return self.h

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """K ↦ B⁻¹ (f(Y_i) − M K_i), B ≈ I ⊗ M − h A ⊗ ∂f/∂u."""
        system, M, u, tableau = self.system, self.system.mass.matrix, self.V, self.tableau
        hA, nodes = self.h * tableau.A, (self.t + self.h * tableau.c).tolist()

        def correction(K: Array) -> Array:
            stages = K.reshape(len(nodes), -1)
            r = np.empty_like(stages)
            for i, Y in enumerate(system.combined(hA, stages) + u):
                r[i] = system.rate(nodes[i], Y)
            r -= stages if M is None else times(M, stages.T, "N").T
            return inverse.solve(r.reshape(-1), "N")

        return correction

    def inverse(self, K: Array) -> Inverse:
        """The factors for the Jacobian of each stage at K itself."""
        system, tableau, h = self.system, self.tableau, self.h
        Y = values(system, tableau, h, self.V, K.reshape(tableau.stages, -1))
        J = stage_jacobians(system, tableau, self.t, h, Y)
        system.tally.factorizations += 1
        return CoupledStages(system.algebra, h * tableau.A, J).inverse()


def solved_together(
    system: System,
    tableau: Tableau,
    t: float,
    h: float,
    u: Array,
    K: Array,
    before: float,
    inverse: Inverse,
    fresh: bool,
) -> Stages:
    """The stages of the step from (t, u) over h; K: (s, n), those of the step before, over `before`.

    As `solved_stages`; raises NoConvergenceError.
    """
    equation, w = _equation(system, tableau, t, h, u, K, before), _weights(system, tableau, h, u)
    try:
        found, iterations, rate = chord(equation, inverse, w, UNKNOWN, fresh)
    except NoConvergenceError:
        if not system.given:
            raise
        found, corrections = full(equation, w)
        iterations, rate = -corrections, 1.0
    system.tally.corrections += abs(iterations)
    return Stages(found.reshape(K.shape), (iterations,), rate, rate)


def repeated_together(
    system: System,
    tableau: Tableau,
    t: float,
    h: float,
    u: Array,
    K: Array,
    before: float,
    inverse: Inverse,
    iterations: int,
) -> Array:
    """The K of `solved_together` once more, to the last bit, (s, n)."""
    equation = _equation(system, tableau, t, h, u, K, before)
    if iterations < 0:
        return full(equation, _weights(system, tableau, h, u))[0].reshape(K.shape)
    found, correction = equation.guess, equation.corrections(inverse)
    for _ in range(iterations):
        found = found + correction(found)
    return found.reshape(K.shape)


def _equation(system: System, tableau: Tableau, t: float, h: float, u: Array, K: Array, before: float) -> Together:
    """Guessed by a polynomial in time through the stages of the step before, or near them where they are many."""
    if h > FARTHEST * before:
        return Together(system, tableau, t, h, u, np.tile(K[-1], tableau.stages))
    degree, c = min(tableau.stages - 1, HIGHEST), tableau.c
    fit = np.linalg.pinv(np.vander(c, degree + 1, increasing=True))
    guess = np.vander(1.0 + c * (h / before), degree + 1, increasing=True) @ fit
    return Together(system, tableau, t, h, u, system.combined(guess, K).reshape(-1))


def _weights(system: System, tableau: Tableau, h: float, u: Array) -> Array:
    """What turns a change of K into units of the tolerances, (s·n,)."""
    return np.tile(h * system.weights(u), tableau.stages)
