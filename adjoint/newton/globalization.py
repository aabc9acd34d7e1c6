"""How far to go along a Newton correction: damping and line searches, each an object."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .._numerics import size_of
from .._repr import short_repr
from .._validation import require_settings
from ..errors import NewtonStalled, NonFiniteResidual
from ..typing import Array
from .bounds import nearest
from .history import failure
from .system import Linearization, System, finite

SHORTEST = 1e-8
"""Factor of a step below which Newton has stalled."""


CUT = 0.1
"""A step is shortened to a tenth of itself at most: far outside, where exp overflows, no model of R holds."""


FAR = 1e6
"""Growth of ‖R‖ beyond which its size says nothing about how far to go back, and its square may overflow."""


@dataclass(frozen=True, eq=False)
class Step:
    """u → u + factor · du. u, r: where it ends, and R there; du: −J⁻¹R where it began.

    simplified: −J⁻¹r with the J of its beginning, None if it was not needed.
    """

    u: Array
    r: Array
    du: Array
    factor: float
    simplified: Array | None

    __repr__ = short_repr


class Globalization(Protocol):
    """Chooses a step from a Newton correction; a trust region fits as well, with du its own."""

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """A step that makes progress; last: the one before. Raises NewtonStalled, NonFiniteResidual."""


@dataclass(frozen=True, eq=False)
class FullSteps:
    """u ← u + Δu: Newton's method as it is, for starts that are known to be good."""

    __repr__ = short_repr

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """The whole step, or as much of it as bounds allow."""
        factor = system.longest(u, du)
        v = u + factor * du
        return Step(v, _finite_residual(system, v), du, factor, None)


def _finite_residual(system: System, u: Array) -> Array:
    r = system.residual(u)
    if not finite(r):
        raise system.not_finite(r, f" in Newton step {system.history.steps + 1}")
    return r


@dataclass(frozen=True, eq=False)
class AffineInvariant:
    """Damping that does not see how the equations are scaled: the *correction* must shrink, not the residual.

    A step α is taken if ‖Δ̄‖ ≤ (1 − α/4) ‖Δu‖, Δ̄ = −J(u)⁻¹R(u + αΔu); α is predicted from the step before, and
    corrected, by estimates of the Lipschitz constant ω of J⁻¹J′ (docs/math/newton_and_branches.md,
    eqs. 34 and 35). One solve a trial. shortest: α below which Newton has stalled.

    Deuflhard (2011), Newton Methods for Nonlinear Problems, section 3.3.3, algorithm NLEQ-ERR.
    """

    shortest: float = SHORTEST

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        _require_fraction("AffineInvariant", "shortest", self.shortest)

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """The first trial, from the prediction on, that contracts."""
        size = system.norm(du)
        longest = system.longest(u, du)
        factor = min(longest, self._predicted(system, du, size, last))
        shortened = False
        while factor >= self.shortest:
            v = u + factor * du
            trial = system.residual(v)
            if not finite(trial):
                factor, shortened = _halved(factor), True
                continue
            simplified = system.correction(at, trial)
            bar = system.norm(simplified)
            curvature = system.norm(simplified - (1.0 - factor) * du)
            best = 0.5 * size * factor**2 / curvature if curvature > 0.0 else 1.0
            if not bar <= (1.0 - 0.25 * factor) * size:
                factor, shortened = max(CUT * factor, min(best, 0.5 * factor)), True
                continue
            longer = min(longest, best)
            if longer < 4.0 * factor or shortened:
                return Step(v, trial, du, factor, simplified)
            factor = longer
        raise _stalled(system, u, du, self.shortest)

    def _predicted(self, system: System, du: Array, size: float, last: Step | None) -> float:
        """min(1, 1/h), h = ω‖Δu‖ with ω estimated from the last step."""
        if last is None or last.simplified is None:
            return 1.0
        change = system.norm(last.simplified - du)
        if not change * size > 0.0:  # Equal corrections, or such as zero is made of.
            return 1.0
        ratio = system.norm(last.du) * system.norm(last.simplified) / (change * size)
        return max(min(1.0, ratio * last.factor), self.shortest)


@dataclass(frozen=True, eq=False)
class LineSearch:
    """Backtracking on ‖R‖₂: α is halved, or interpolated, until ‖R(u + αΔu)‖ ≤ (1 − c₁α) ‖R‖.

    No solve for a trial: the choice for Newton–Krylov. Sensible where the equations are of one scale. c1: the decrease
    that is demanded; shortest: α below which Newton has stalled. Dennis & Schnabel (1983), algorithm A6.3.1.
    """

    c1: float = 1e-4
    shortest: float = SHORTEST

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        _require_fraction("LineSearch", "c1", self.c1)
        _require_fraction("LineSearch", "shortest", self.shortest)

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """The first trial, from the full step on, with a smaller residual."""
        norm = size_of(r)
        factor = system.longest(u, du)
        while factor >= self.shortest:
            v = u + factor * du
            trial = system.residual(v)
            if finite(trial):
                new = size_of(trial)
                if new <= (1.0 - self.c1 * factor) * norm:
                    return Step(v, trial, du, factor, None)
                # The parabola through ‖R‖², its slope −2‖R‖² and the trial, relative to ‖R‖².
                growth = min(new / norm, FAR) ** 2
                factor *= float(np.clip(factor / (growth - 1.0 + 2.0 * factor), CUT, 0.5))
            else:
                factor = _halved(factor)
        raise _stalled(system, u, du, self.shortest)


def _require_fraction(who: str, name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{who}: got {name}={value}, expected a fraction between 0 and 1")


def _halved(factor: float) -> float:
    """The next trial after one outside of R's domain: first by halves, then, as it is far off, by tenths."""
    return 0.5 * factor if factor > CUT else CUT * factor


def _stalled(
    system: System, u: Array, du: Array, shortest: float
) -> NewtonStalled | NonFiniteResidual:
    r = system.residual(u + min(shortest, system.longest(u, du)) * du)
    if not finite(r):
        return system.not_finite(r, ", for steps however short,")
    at_bound = ""
    if system.bounds is not None and system.longest(u, du) < 1.0:
        i = nearest(system.bounds, u)
        at_bound = f" The bounds leave no room: u[{i}] = {u[i]:g} is at one of them."
    message = (
        f"Newton stalled in step {system.history.steps + 1}: no factor of the correction down to {shortest:.0e} "
        f"makes progress.{at_bound} Usual causes: no solution nearby (past a fold: adjoint.continuation.trace), a Jacobian that is "
        "not the derivative (adjoint.check_residual tells), a kink in R; else another u0, or "
        "start=adjoint.newton.PseudoTransient(…)."
    )
    return failure(NewtonStalled, message, system.history)
