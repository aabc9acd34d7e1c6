"""Better starts for Newton's method: pseudo-transient continuation and homotopy."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import size_of
from .._validation import (
    as_array,
    as_parameters,
    require_function,
    require_kind,
    require_settings,
)
from ..errors import NewtonDiverged, SolveError
from ..factor.csc import columns_of
from ..typing import Array
from .failures import failure
from .history import History
from .iteration import Newton
from .system import System, is_finite

GROWTH = 10.0
"""Largest growth of the pseudo-time step, and of ‖R‖, in one step."""


@dataclass(frozen=True, eq=False)
class PseudoTransient:
    """Follow M u′ = −R(u) to its steady state by (M/δ + J) Δu = −R.

    The pseudo-time step δ grows as ‖R‖ falls: switched evolution relaxation. δ is
    divided by 10 if ‖R‖ grows by more than a factor of 10. Newton's method then starts from
    the last state. Pass an instance as `NonlinearProblem(..., start=...)`.

    Parameters
    ----------
    step : float
        The first δ > 0, in units of pseudo-time.
    mass : float or (n,) array
        The diagonal of M, in units of R times pseudo-time divided by units of u. Negative
        entries if u′ = +R is the stable direction.
    until : float
        ‖R‖ at which Newton's method takes over, relative to ‖R‖ at the start; 0 < until
        < 1.
    max_steps : int
        Maximum number of steps, hence of factorizations.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is outside of its range.
    NewtonDiverged
        On the call, if ‖R‖ has not fallen far enough after `max_steps` steps.

    References
    ----------
    Kelley & Keyes (1998), SIAM J. Numer. Anal. 35, 508.
    """

    step: float
    mass: float | Array = 1.0
    until: float = 1e-3
    max_steps: int = 200

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.step < np.inf and 0.0 < self.until < 1.0 and self.max_steps >= 1):
            raise ValueError(
                f"PseudoTransient: got step={self.step}, until={self.until}, "
                f"max_steps={self.max_steps}; expected a finite step > 0, 0 < until < 1, at least "
                "one step"
            )
        mass = as_array("PseudoTransient", "mass", self.mass)
        if mass.dtype.kind not in "fiu" or not np.isfinite(mass).all() or not mass.any():
            raise ValueError(
                f"PseudoTransient: got mass={self.mass}, expected finite numbers, not all zero"
            )

    def __call__(self, system: System, u: Array) -> Array:
        """Return a state v, (n,), with ‖R(v)‖ ≤ until ‖R(u)‖."""
        if np.ndim(self.mass) and np.shape(self.mass) != u.shape:
            raise ValueError(
                f"PseudoTransient: got mass of shape {np.shape(self.mass)}, expected a number or "
                f"{u.shape}"
            )
        mass = np.broadcast_to(self.mass, u.shape)
        r = system.residual(u)
        norm = system.finite_norm(r)
        target, delta = self.until * norm, self.step
        system.history.add_iterate(norm)
        for _ in range(self.max_steps):
            if norm <= target:
                return u
            du = system.correction(system.factored(_shifted(system.jacobian(u), mass / delta)), r)
            factor = system.longest_factor(u, du)
            trial = system.residual(u + factor * du)
            new = size_of(trial) if is_finite(trial) else np.inf
            if not new <= GROWTH * norm:
                delta /= GROWTH
                continue
            u, r = u + factor * du, trial
            delta *= min(GROWTH, norm / max(new, np.finfo(float).tiny))
            system.history.add_step(system.norm(du), factor, "pseudo-transient")
            system.history.add_iterate(new)
            norm = new
        message = (
            f"pseudo-transient continuation did not reach {self.until:.0e} of ‖R(u0)‖ in "
            f"{self.max_steps} steps. Usual causes: M u′ = −R runs away from the solution "
            "(mass=-1.0 turns it round), a first step that is too long or far too short, no "
            "steady state."
        )
        raise failure(NewtonDiverged, message, system.history)


def _shifted(A: sparse.csc_array, d: Array) -> sparse.csc_array:
    """Return A + diag(d) on the union of both patterns.

    SciPy's sum would drop entries that are zero.
    """
    diagonal = np.arange(d.size)
    rows, columns = np.concatenate([A.indices, diagonal]), np.concatenate([columns_of(A), diagonal])
    shifted = sparse.csc_array((np.concatenate([A.data, d]), (rows, columns)), shape=A.shape)
    shifted.sum_duplicates()
    return shifted


def _coarse_newton() -> Newton:
    """Return Newton's method for intermediate states, with coarse tolerances."""
    return Newton(rtol=1e-4, gradient_rtol=0.5)


@dataclass(frozen=True, eq=False)
class Homotopy:
    """Solve R(u, p_s) = 0 for p_s = path(p, s), with s from 1/steps to 1, path(p, 1) = p.

    Each solve starts from the last solutions, extrapolated along their secant. Newton's
    method then starts from the solution at s = 1. Pass an instance as
    `NonlinearProblem(..., start=...)`.

    Parameters
    ----------
    path : callable
        (p, s) ↦ p_s, (m,), with easy parameters at small s: a load scaled by s, say.
    steps : int
        The number of equal steps to begin with, at least 1. A step that fails is halved.
    shortest : float
        The shortest step of s, between 0 and 1.
    method : Newton
        Newton's method for s ≤ 1. The default is coarse: rtol = 1e-4.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is outside of its range.
    SolveError
        On the call, the error of the shortest step.
    """

    path: Callable[[Array, float], Array]
    steps: int = 4
    shortest: float = 1e-4
    method: Newton = field(default_factory=_coarse_newton)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_kind("Homotopy", "method", self.method, Newton, "adjoint.newton.Newton(…)")
        require_function("Homotopy", "path", self.path, "a function (p, s) ↦ p_s")
        if not (self.steps >= 1 and 0.0 < self.shortest <= 1.0):
            raise ValueError(
                f"Homotopy: got steps={self.steps}, shortest={self.shortest}; expected steps ≥ 1 "
                "and 0 < shortest ≤ 1"
            )

    def __call__(self, system: System, u: Array) -> Array:
        """Return the solution at s = 1, (n,), as accurate as `method` makes it."""
        s, ds = 0.0, 1.0 / self.steps
        before: tuple[float, Array] | None = None
        while s < 1.0:
            ds = 1.0 - s if s + 1.5 * ds > 1.0 else ds
            p = as_parameters(self.path(system.p, s + ds), "path(p, s)")
            if p.shape != system.p.shape:
                raise ValueError(
                    f"Homotopy: path(p, s) has shape {p.shape}, expected {system.p.shape}"
                )
            stage = replace(system, p=p, history=History())
            # Along the secant through the last two solutions.
            start = u if before is None else u + (u - before[1]) * ds / (s - before[0])
            try:
                found = self.method.solve(stage, self._inside(stage, u, start)).u
            except SolveError:
                if not ds / 2.0 >= self.shortest:
                    raise
                ds /= 2.0
                continue
            before, u, s = (s, u) if s > 0.0 else None, found, s + ds
        return system.prepared(u)

    def _inside(self, stage: System, u: Array, start: Array) -> Array:
        """Return u + α (start − u) within the bounds, with α from `System.longest_factor`."""
        return stage.prepared(u + stage.longest_factor(u, start - u) * (start - u))
