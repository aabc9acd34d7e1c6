"""The end of a Newton iteration: has it really converged, and how accurate is a gradient from there?"""

from dataclasses import dataclass

import numpy as np

from .._numerics import size_of
from .._repr import short_repr
from ..typing import Array
from .system import Linearization, System

SAFETY = 10.0
"""Of the implied error of a gradient: ω is measured along one direction, and ∂R/∂p changes with u as well."""


ROUNDING = 8.0 * float(np.finfo(float).eps)
"""Of Σ_j |J_ij||u_j|: what rounding leaves of R_i."""


NOISE = 1e4 * float(np.finfo(float).eps)
"""Of the same with the largest |u_j| there were: what it may leave of a row that no correction makes smaller."""


FALLING = 0.5
"""|R_i| after a correction over |R_i| before it, up to which a row still falls."""


VANISHED = 1e-14
"""Of the largest |u| there was: a solution that is zero to rounding has the size of what it came from."""


SOLVED = 1e-4
"""Relative size of Newton's correction up to which a state from elsewhere is called a solution."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """u with R(u, p) = 0, and what it took.

    at: ∂R/∂u at the iterate before the last, or, if `current`, at u; residual: ‖R(u, p)‖₂; error: of u, relative, the
    size of the next correction; gradient_error: what that implies in a gradient
    (docs/math/newton_and_branches.md, eq. 36).
    """

    u: Array
    at: Linearization
    residual: float
    error: float
    gradient_error: float
    current: bool

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Ending:
    """Where the last correction led: u, R; the outcome, None if some rows have not converged."""

    u: Array
    r: Array
    outcome: Outcome | None


def ended(
    system: System,
    at: Linearization,
    u: Array,
    r: Array,
    delta: Array,
    curvature: float,
    tolerances: tuple[float, float],
    peak: Array,
) -> Ending:
    """u + delta, by the next correction: accepted, polished by that correction, or to be iterated further.

    tolerances: rtol and gradient_rtol of `Newton`; peak: the largest |u_j| of all iterates. Norms are blind to unknowns
    in small units, so each row is looked at as well: |R_i| ≤ rtol Σ_j |J_ij||u_j|, which no change of units affects.
    """
    rtol, gradient_rtol = tolerances
    u, new, following = _corrected(system, at, u, delta, "last")
    terms = abs(at.A) @ np.abs(u)
    largest = abs(at.A) @ peak
    failing = np.abs(new) > np.maximum(rtol * terms, ROUNDING * largest)
    if np.any(failing & ((np.abs(new) > NOISE * largest) | (np.abs(new) <= FALLING * np.abs(r)))):
        return Ending(u, new, None)
    outcome = outcome_of(system, at, u, new, system.norm(following), curvature, False)
    if outcome.gradient_error > gradient_rtol and np.any(np.abs(new) > ROUNDING * terms):
        u, new, following = _corrected(system, at, u, following, "polish")
        outcome = outcome_of(system, at, u, new, system.norm(following), curvature, False)
    return Ending(u, new, outcome)


def _corrected(
    system: System, at: Linearization, u: Array, delta: Array, kind: str
) -> tuple[Array, Array, Array]:
    """u + delta, R there, and the next correction."""
    factor = system.longest(u, delta)
    system.history.step(system.norm(delta), factor, kind)
    u = u + factor * delta
    r = system.residual(u)
    system.history.iterate(system.accepted(r))
    return u, r, system.correction(at, r)


def outcome_of(
    system: System,
    at: Linearization,
    u: Array,
    r: Array,
    left: float,
    curvature: float,
    current: bool,
) -> Outcome:
    """u as the solution, with ‖u − u*‖ ≈ left and what that implies; curvature: ω."""
    # A solution that is zero to rounding has the size of what it came from.
    size = max(system.norm(u), VANISHED * system.history.longest)
    error = left / size if size > 0.0 else left
    return Outcome(u, at, size_of(r), error, SAFETY * (curvature * left + error), current)


def accepted(system: System, u: Array) -> Outcome:
    """A state as the solution that it is said to be; raises ValueError if Newton's correction is large."""
    r = system.residual(u)
    norm = system.accepted(r)
    system.history.iterate(norm)
    at = system.factored(system.jacobian(u))
    outcome = outcome_of(system, at, u, r, system.norm(system.correction(at, r)), 0.0, True)
    if not outcome.error <= SOLVED:
        raise ValueError(
            f"u does not solve R(u, p) = 0: ‖R‖ = {norm:.1e}, Newton's correction is {outcome.error:.1e} of u, "
            f"expected at most {SOLVED:.0e}; `solve` finds a solution from it"
        )
    return outcome
