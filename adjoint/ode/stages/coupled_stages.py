"""The equation of a step whose stages depend on each other: Newton's method for all of them at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._numerics import rms
from ...errors import NoConvergenceError, NonFinite, SingularMatrix
from ...typing import Array
from ..discontinuities.knots import Interval
from ..equations import System
from ..methods.tableau import Tableau
from .coupled_matrices import stage_matrix
from .simplified_newton import ROUNDING, chord, corrected, enough, full
from .stage_matrices import Inverse, times
from .stages import UNKNOWN, Stages, values

RENEWED = 0.01
"""Contraction above which a small matrix is made again, of the Jacobian of each stage where it is by then."""


FARTHEST = 10.0
"""Steps this many times as long as the one before are guessed by its last stage instead: landings may be close."""


@dataclass(frozen=True, eq=False)
class StepEquation:
    """M K_i = f(t + c_i h, u + h Σ_j a_ij K_j) for all i; K as one vector, (s·n,).

    guess: of it. constant: another one, the last stage of the step before for all.
    """

    system: System
    tableau: Tableau
    step: Interval
    V: Array
    guess: Array
    constant: Array

    @property
    def hg(self) -> float:
        """h: what K is multiplied by."""
        return self.step.h

    @property
    def weights(self) -> Array:
        """What turns a change of K into units of the tolerances, (s·n,)."""
        return np.concatenate([self.hg * self.system.weights(self.V)] * self.tableau.stages)

    def from_guess(self, K: Array) -> "StepEquation":
        """The same from another guess."""
        return StepEquation(self.system, self.tableau, self.step, self.V, K, self.constant)

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """K ↦ B⁻¹ (f(Y_i) − M K_i), B ≈ I ⊗ M − h A ⊗ ∂f/∂u."""
        system, M, u, tableau = self.system, self.system.mass.matrix, self.V, self.tableau
        hA, nodes = self.hg * tableau.A, tableau.times(self.step)
        field, p, tally, shape, kind = (
            system.field,
            system.p,
            system.tally,
            system.shape,
            system.dtype,
        )

        def correction(K: Array) -> Array:
            stages = K.reshape(len(nodes), -1)
            r = np.empty(stages.shape, dtype=kind)
            tally.evaluations += len(nodes)
            for i, Y in enumerate(system.combined(hA, stages) + u):
                f = field(
                    nodes[i], Y, p
                )  # Not `system.rate`: for few unknowns the call takes as long as f.
                if f.__class__ is not np.ndarray or f.shape != shape or f.dtype != kind:
                    f = system.checked(f)
                r[i] = f
            r -= stages if M is None else times(M, stages.T, "N").T
            return inverse.solve(r.reshape(-1), "N")

        return correction

    def inverse(self, K: Array) -> Inverse:
        """The factors for the Jacobian of each stage at K itself."""
        system, tableau = self.system, self.tableau
        Y = values(system, tableau, self.hg, self.V, K.reshape(tableau.stages, -1))
        system.tally.factorizations += 1
        return stage_matrix(system, tableau, self.step, Y).inverse()


def step_equation(
    system: System, tableau: Tableau, step: Interval, u: Array, K: Array, before: float
) -> StepEquation:
    """The equations of a step from u; K: (s, n), the stages of the step before, over `before`.

    Guessed by a polynomial in time through those, or near them where they are many.
    """
    constant = np.concatenate([K[-1]] * tableau.stages)
    if step.h > FARTHEST * before:
        return StepEquation(system, tableau, step, u, constant, constant)
    guess = system.combined(tableau.extrapolation(step.h / before), K).reshape(-1)
    return StepEquation(system, tableau, step, u, guess, constant)


def solved_step(equation: StepEquation, inverse: Inverse, fresh: bool) -> Stages:
    """The stages, as `solved_stages` finds them; raises NoConvergenceError."""
    system = equation.system
    try:
        K, iterations, rate = _found(equation, inverse, fresh)
    except NoConvergenceError:
        if not system.given:
            raise
        K, corrections = _by_own_factors(equation)
        iterations, rate = (-corrections, 0), 1.0
    system.tally.corrections += abs(iterations[0]) + iterations[1]
    return Stages(K.reshape(-1, system.n), iterations, rate, rate)


def _found(
    equation: StepEquation, inverse: Inverse, fresh: bool
) -> tuple[Array, tuple[int, int], float]:
    """(K, corrections by these factors and by renewed ones, contraction)."""
    system, w = equation.system, equation.weights
    if not system.algebra.dense:
        K, iterations, rate = chord(equation, inverse, w, UNKNOWN, fresh)
        return K, (iterations, 0), rate
    correction, K = equation.corrections(inverse), equation.guess
    first = corrected(correction, K)
    K = K + first
    second = corrected(correction, K)
    K = K + second
    last, size = (rms(d.real * w if system.perturbed else d * w) for d in (first, second))
    rate = size / last if last else 0.0
    # A correction that happens to be small once does not show that all that follow are; as in `chord`.
    trusted = max(0.2 * UNKNOWN, rate)
    if size * trusted <= enough(system) * (1.0 - trusted) and not system.perturbed:
        return K, (2, 0), rate
    # Where corrections grow, the Jacobian changes so much within the step that no error estimate is to be believed.
    if not rate < 1.0 and not system.given:
        raise NoConvergenceError(not np.isfinite(first).all())
    if RENEWED < rate < 1.0 and size > ROUNDING:
        try:
            inverse = equation.inverse(K)
        except (SingularMatrix, NonFinite) as error:
            raise NoConvergenceError(False) from error
        K, iterations, rate = chord(equation.from_guess(K), inverse, w, min(rate, UNKNOWN), True)
        return K, (2, iterations), rate
    K, iterations, _ = chord(equation.from_guess(K), inverse, w, trusted, fresh)
    return K, (2 + iterations, 0), rate


def _by_own_factors(equation: StepEquation) -> tuple[Array, int]:
    """(K, corrections) by factors at each iterate; from another guess where the polynomial's does not lead there."""
    try:
        return full(equation, equation.weights)
    except NoConvergenceError:
        return full(equation.from_guess(equation.constant), equation.weights)


def repeated_step(equation: StepEquation, inverse: Inverse, iterations: tuple[int, ...]) -> Array:
    """The K of `solved_step` once more, to the last bit, (s, n)."""
    K, n = equation.guess, equation.system.n
    if iterations[0] < 0:
        return _by_own_factors(equation)[0].reshape(-1, n)
    correction = equation.corrections(inverse)
    for _ in range(iterations[0]):
        K = K + correction(K)
    if iterations[1]:
        correction = equation.corrections(equation.inverse(K))
    for _ in range(iterations[1]):
        K = K + correction(K)
    return K.reshape(-1, n)
