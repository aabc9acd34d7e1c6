"""The equations of all stages of a step, for methods whose stages depend on each other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._numerics import rms
from ...errors import NoConvergenceError, NonFinite, SingularMatrix
from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from ..equations import System
from ..methods.tableau import Tableau
from .coupled_matrices import coupled_stage_matrix
from .simplified_newton import (
    ROUNDING,
    computed_correction,
    damped_newton,
    simplified_newton,
    stage_tolerance,
)
from .stage_matrices import Inverse, times
from .stages import ASSUMED_CONTRACTION, Stages, values

RENEWED = 0.01
"""Contraction above which a small matrix is made again, with the Jacobian of each stage."""


FARTHEST = 10.0
"""Largest ratio of a step to the step before for which stages are extrapolated.

Longer steps, as behind a short step to a stop time, are guessed by the last stage.
"""


@dataclass(frozen=True, eq=False)
class StepEquation:
    """M K_i = f(t + c_i h, u + h Σ_j a_ij K_j) for all i; K is one vector, (s·n,).

    V: the state u, (n,). guess: first guess of K. constant_guess: another first guess,
    the last stage of the step before for all stages.
    """

    system: System
    tableau: Tableau
    step: Interval
    V: Array
    guess: Array
    constant_guess: Array

    @property
    def hg(self) -> float:
        """h, the factor of K in the stage values."""
        return self.step.h

    @property
    def weights(self) -> Array:
        """Factors that convert a change of K to units of the tolerances, (s·n,)."""
        return np.concatenate([self.hg * self.system.weights(self.V)] * self.tableau.stages)

    def from_guess(self, K: Array) -> "StepEquation":
        """This equation with the first guess K, (s·n,)."""
        return StepEquation(self.system, self.tableau, self.step, self.V, K, self.constant_guess)

    def corrections(self, inverse: Inverse) -> Callable[[Array], Array]:
        """The function K ↦ B⁻¹ (f(Y_i) − M K_i), with B ≈ I ⊗ M − h A ⊗ ∂f/∂u."""
        system, M, u, tableau = self.system, self.system.mass.matrix, self.V, self.tableau
        hA, nodes = self.hg * tableau.A, tableau.times(self.step)
        field, p, statistics, shape, kind = (
            system.field,
            system.p,
            system.statistics,
            system.shape,
            system.dtype,
        )

        def correction(K: Array) -> Array:
            stages = K.reshape(len(nodes), -1)
            r = np.empty(stages.shape, dtype=kind)
            statistics.evaluations += len(nodes)
            for i, Y in enumerate(system.combined(hA, stages) + u):
                # Not `system.rate`: for few unknowns the call takes as long as f.
                f = field(nodes[i], Y, p)
                if f.__class__ is not np.ndarray or f.shape != shape or f.dtype != kind:
                    f = system.checked(f)
                r[i] = f
            r -= stages if M is None else times(M, stages.T, "N").T
            return inverse.solve(r.reshape(-1), "N")

        return correction

    def inverse(self, K: Array) -> Inverse:
        """The factors of the matrix of all stages, with the Jacobian of each stage at K."""
        system, tableau = self.system, self.tableau
        Y = values(system, tableau, self.hg, self.V, K.reshape(tableau.stages, -1))
        system.statistics.factorizations += 1
        return coupled_stage_matrix(system, tableau, self.step, Y).inverse()


def step_equation(
    system: System, tableau: Tableau, step: Interval, u: Array, K: Array, before: float
) -> StepEquation:
    """The equations of a step from u.

    K: (s, n), stages of the step before, whose length was `before`. The first guess is
    extrapolated by a polynomial in time through these stages.
    """
    constant_guess = np.concatenate([K[-1]] * tableau.stages)
    if step.h > FARTHEST * before:
        return StepEquation(system, tableau, step, u, constant_guess, constant_guess)
    guess = system.combined(tableau.extrapolation(step.h / before), K).reshape(-1)
    return StepEquation(system, tableau, step, u, guess, constant_guess)


def solved_coupled_stages(equation: StepEquation, inverse: Inverse, fresh: bool) -> Stages:
    """The coupled stages of a step, solved together by Newton's method.

    inverse: factors that may be old. fresh: True if the factors were made for this
    step. `solved_stages` is the corresponding function for stages that are not coupled.
    Raises NoConvergenceError if Newton's method does not converge.
    """
    system = equation.system
    try:
        K, iterations, rate = _found(equation, inverse, fresh)
    except NoConvergenceError:
        if not system.steps_given:
            raise
        K, corrections = _by_own_factors(equation)
        iterations, rate = (-corrections, 0), 1.0
    system.statistics.corrections += abs(iterations[0]) + iterations[1]
    return Stages(K.reshape(-1, system.n), iterations, rate, rate)


def _found(
    equation: StepEquation, inverse: Inverse, fresh: bool
) -> tuple[Array, tuple[int, int], float]:
    """(K, (corrections by the given factors, corrections by new factors), contraction)."""
    system, w = equation.system, equation.weights
    if not system.algebra.dense:
        K, iterations, rate = simplified_newton(equation, inverse, w, ASSUMED_CONTRACTION, fresh)
        return K, (iterations, 0), rate
    correction, K = equation.corrections(inverse), equation.guess
    first = computed_correction(correction, K)
    K = K + first
    second = computed_correction(correction, K)
    K = K + second
    last, size = (rms(d.real * w if system.perturbed else d * w) for d in (first, second))
    rate = size / last if last else 0.0
    # One correction that happens to be small does not prove fast convergence, as in
    # `simplified_newton`.
    trusted = max(0.2 * ASSUMED_CONTRACTION, rate)
    if size * trusted <= stage_tolerance(system) * (1.0 - trusted) and not system.perturbed:
        return K, (2, 0), rate
    # If corrections grow, the Jacobian changes so much within the step that its error
    # estimate is useless.
    if not rate < 1.0 and not system.steps_given:
        raise NoConvergenceError(not np.isfinite(first).all())
    if RENEWED < rate < 1.0 and size > ROUNDING:
        try:
            inverse = equation.inverse(K)
        except (SingularMatrix, NonFinite) as error:
            raise NoConvergenceError(False) from error
        K, iterations, rate = simplified_newton(
            equation.from_guess(K), inverse, w, min(rate, ASSUMED_CONTRACTION), True
        )
        return K, (2, iterations), rate
    K, iterations, _ = simplified_newton(equation.from_guess(K), inverse, w, trusted, fresh)
    return K, (2 + iterations, 0), rate


def repeated_coupled_stages(
    equation: StepEquation, inverse: Inverse, iterations: tuple[int, ...]
) -> Array:
    """The stages that `solved_coupled_stages` found, computed again with the same bits, (s, n)."""
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


def _by_own_factors(equation: StepEquation) -> tuple[Array, int]:
    """(K, number of corrections) by damped Newton, from `guess` or else `constant_guess`."""
    try:
        return damped_newton(equation, equation.weights)
    except NoConvergenceError:
        return damped_newton(equation.from_guess(equation.constant_guess), equation.weights)
