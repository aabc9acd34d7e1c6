"""Ways to a start from which Newton's method converges: pseudo-transient continuation, homotopy in the parameters."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sparse

from .._numerics import size_of
from .._repr import short_repr
from .._validation import as_array, as_parameters, require_kind, require_settings
from ..errors import NewtonDiverged, SolveError
from ..factor.csc import columns_of
from ..typing import Array
from .history import History, failure
from .iteration import Newton
from .system import System, finite

GROWTH = 10.0
"""By which a pseudo-time step grows at most, and ‖R‖ may."""


@dataclass(frozen=True, eq=False)
class PseudoTransient:
    """Follows M u′ = −R(u) towards its steady state: (M/δ + J) Δu = −R, δ growing as ‖R‖ falls.

    step: the first δ, in pseudo-time. mass: the diagonal of M, a number or (n,); negative where u′ = +R is the stable
    direction. until: of ‖R‖, relative to the start, at which Newton takes over. max_steps: at most so many
    factorizations. Raises ValueError for values that make no sense; NewtonDiverged when called and not successful.

    Kelley & Keyes (1998), SIAM J. Numer. Anal. 35, 508: switched evolution relaxation.
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
                f"PseudoTransient: got step={self.step}, until={self.until}, max_steps={self.max_steps}; expected "
                "a finite step > 0, 0 < until < 1, at least one step"
            )
        mass = as_array("PseudoTransient", "mass", self.mass)
        if mass.dtype.kind not in "fiu" or not np.isfinite(mass).all() or not mass.any():
            raise ValueError(
                f"PseudoTransient: got mass={self.mass}, expected finite numbers, not all zero"
            )

    def __call__(self, system: System, u: Array) -> Array:
        """A state with ‖R‖ ≤ until ‖R(u)‖."""
        if np.ndim(self.mass) and np.shape(self.mass) != u.shape:
            raise ValueError(
                f"PseudoTransient: got mass of shape {np.shape(self.mass)}, expected a number or {u.shape}"
            )
        mass = np.broadcast_to(self.mass, u.shape)
        r = system.residual(u)
        norm = system.accepted(r)
        target, delta = self.until * norm, self.step
        system.history.iterate(norm)
        for _ in range(self.max_steps):
            if norm <= target:
                return u
            du = system.correction(system.factored(_shifted(system.jacobian(u), mass / delta)), r)
            factor = system.longest(u, du)
            trial = system.residual(u + factor * du)
            new = size_of(trial) if finite(trial) else np.inf
            if not new <= GROWTH * norm:
                delta /= GROWTH
                continue
            u, r = u + factor * du, trial
            delta *= min(GROWTH, norm / max(new, np.finfo(float).tiny))
            system.history.step(system.norm(du), factor, "pseudo-transient")
            system.history.iterate(new)
            norm = new
        message = (
            f"pseudo-transient continuation did not reach {self.until:.0e} of ‖R(u0)‖ in {self.max_steps} steps. Usual "
            "causes: M u′ = −R runs away from the solution (mass=-1.0 turns it round), a first step that is too long "
            "or far too short, no steady state."
        )
        raise failure(NewtonDiverged, message, system.history)


def _shifted(A: sparse.csc_array, d: Array) -> sparse.csc_array:
    """A + diag(d) on the pattern of A and the diagonal: SciPy's sum would drop entries that happen to be zero."""
    diagonal = np.arange(d.size)
    rows, columns = np.concatenate([A.indices, diagonal]), np.concatenate([columns_of(A), diagonal])
    shifted = sparse.csc_array((np.concatenate([A.data, d]), (rows, columns)), shape=A.shape)
    shifted.sum_duplicates()
    return shifted


@dataclass(frozen=True, eq=False)
class Homotopy:
    """Solves for easy parameters first, and follows: p_s = path(p, s), s from 1/steps to 1, path(p, 1) = p.

    path: (p, s) ↦ p_s, (m,), such as a load scaled by s. steps: equal ones to begin with; one that fails is halved,
    down to `shortest`. method: for the states on the way, which need not be accurate. Raises ValueError for values that
    make no sense; when called, the error of the shortest step.
    """

    path: Callable[[Array, float], Array]
    steps: int = 4
    shortest: float = 1e-4
    method: Newton = field(default_factory=lambda: Newton(rtol=1e-4, gradient_rtol=0.5))

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_kind("Homotopy", "method", self.method, Newton, "adjoint.newton.Newton(…)")
        if not callable(self.path):
            raise TypeError(f"Homotopy: got path={self.path!r}, expected a function (p, s) ↦ p_s")
        if not (self.steps >= 1 and 0.0 < self.shortest <= 1.0):
            raise ValueError(
                f"Homotopy: got steps={self.steps}, shortest={self.shortest}; expected ≥ 1, and 0 … 1"
            )

    def __call__(self, system: System, u: Array) -> Array:
        """The solution at s = 1, as accurate as `method` makes it."""
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
            start = (
                u if before is None else u + (u - before[1]) * ds / (s - before[0])
            )  # along the secant
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
        return stage.prepared(u + stage.longest(u, start - u) * (start - u))
