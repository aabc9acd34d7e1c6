"""Convergence of a Newton iteration, and the accuracy of gradients at the solution."""

from dataclasses import dataclass

import numpy as np

from .._dataclasses import short_repr
from .._numerics import size_of
from ..typing import Array
from .system import Linearization, System

SAFETY = 10.0
"""Safety factor of the gradient error: ω is measured along one direction only, and ∂R/∂p
changes with u, too."""

ROUNDING = 8.0 * float(np.finfo(float).eps)
"""Rounding error of R_i, relative to Σ_j |J_ij||u_j|."""

LARGEST_ROUNDING = 1e4 * float(np.finfo(float).eps)
"""Largest rounding error of R_i, relative to Σ_j |J_ij| max|u_j| over the iterates. A row
below this limit that corrections no longer reduce has converged."""

FALLING = 0.5
"""Largest ratio of |R_i| after and before a correction at which row i still converges."""

VANISHED = 1e-14
"""Lower limit of ‖u‖ in relative errors, relative to the largest correction. A solution
that is zero to rounding has the size of the corrections that led to the solution."""

SOLVED = 1e-4
"""Largest Newton correction, relative to ‖u‖, at which a given state is a solution."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The solution u of R(u, p) = 0 that an iteration found, with its accuracy.

    Parameters
    ----------
    u : (n,) array
        The solution.
    at : Linearization
        ∂R/∂u at u if `current` is true, otherwise at the last iterate that was factored.
    residual : float
        ‖R(u, p)‖₂, in the units of R.
    error : float
        Relative error of u, estimated by the size of the next correction.
    gradient_error : float
        Relative error of a gradient that follows from the error of u
        (docs/math/newton_and_branches.md, eq. 36).
    current : bool
        True if `at` belongs to u itself.
    """

    u: Array
    at: Linearization
    residual: float
    error: float
    gradient_error: float
    current: bool

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class FinalCorrection:
    """u and R after a correction that may be the last.

    outcome: the solution; None if a row of R has not converged.
    """

    u: Array
    r: Array
    outcome: Outcome | None


def apply_final_correction(
    system: System,
    at: Linearization,
    u: Array,
    r: Array,
    delta: Array,
    curvature: float,
    tolerances: tuple[float, float],
    peak: Array,
) -> FinalCorrection:
    """Take the step u + delta, and decide by the next correction if the iteration ends.

    curvature: ω; tolerances: rtol and gradient_rtol of `Newton`; peak: the largest
    |u_j| of all iterates, (n,). If the gradient error exceeds gradient_rtol, the next
    correction is added, too. A norm hides errors of unknowns in small units. Therefore
    each row must also satisfy |R_i| ≤ rtol Σ_j |J_ij||u_j|, a condition that no change
    of units affects.
    """
    rtol, gradient_rtol = tolerances
    u, new, following = _corrected(system, at, u, delta, "last")
    terms = abs(at.A) @ np.abs(u)
    largest = abs(at.A) @ peak
    failing = np.abs(new) > np.maximum(rtol * terms, ROUNDING * largest)
    above_rounding = np.abs(new) > LARGEST_ROUNDING * largest
    if np.any(failing & (above_rounding | (np.abs(new) <= FALLING * np.abs(r)))):
        return FinalCorrection(u, new, None)
    outcome = outcome_of(system, at, u, new, system.norm(following), curvature, False)
    if outcome.gradient_error > gradient_rtol and np.any(np.abs(new) > ROUNDING * terms):
        u, new, following = _corrected(system, at, u, following, "polish")
        outcome = outcome_of(system, at, u, new, system.norm(following), curvature, False)
    return FinalCorrection(u, new, outcome)


def _corrected(
    system: System, at: Linearization, u: Array, delta: Array, kind: str
) -> tuple[Array, Array, Array]:
    """Take the step u + delta; return the new u, R at the new u, and the next correction."""
    factor = system.longest_factor(u, delta)
    system.history.add_step(system.norm(delta), factor, kind)
    u = u + factor * delta
    r = system.residual(u)
    system.history.add_iterate(system.finite_norm(r))
    return u, r, system.correction(at, r)


def outcome_of(
    system: System,
    at: Linearization,
    u: Array,
    r: Array,
    distance: float,
    curvature: float,
    current: bool,
) -> Outcome:
    """Return the outcome for the solution u, with its estimated errors.

    distance: estimate of ‖u − u*‖, where u* is the exact solution; curvature: ω;
    current: True if `at` is the linearization at u.
    """
    size = max(system.norm(u), VANISHED * system.history.largest_correction)
    error = distance / size if size > 0.0 else distance
    return Outcome(u, at, size_of(r), error, SAFETY * (curvature * distance + error), current)


def accept_solution(system: System, u: Array) -> Outcome:
    """Return a given state as a solution. Raise ValueError if Newton's correction is large."""
    r = system.residual(u)
    norm = system.finite_norm(r)
    system.history.add_iterate(norm)
    at = system.factored(system.jacobian(u))
    outcome = outcome_of(system, at, u, r, system.norm(system.correction(at, r)), 0.0, True)
    if not outcome.error <= SOLVED:
        raise ValueError(
            f"u does not solve R(u, p) = 0: ‖R‖ = {norm:.1e}, and Newton's correction relative to "
            f"u is {outcome.error:.1e}, expected at most {SOLVED:.0e}; `solve` finds a solution "
            "from u"
        )
    return outcome
