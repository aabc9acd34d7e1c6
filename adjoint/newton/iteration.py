"""Newton's method: corrections, convergence, the accuracy that is left for a gradient."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import Array
from .errors import NewtonDiverged, NewtonStalled, SingularJacobian, failure
from .forcing import EisenstatWalker
from .globalization import AffineInvariant, Globalization, Step
from .system import Linearization, System, finite, size_of

NEAR = 1e-4
"""Relative size of corrections below which convergence that is still linear means a singular Jacobian."""

EXHAUSTED = 1e-10
"""Of the longest step: the size of a correction that rounding makes, where the solution itself is zero."""

NOISY = 1e3
"""‖R‖ over its rounding error by ε ‖|∂R/∂u| |u|‖ at which a stalled iteration has got as far as it can."""

SOLVED = 1e-4
"""Relative size of Newton's correction up to which a state from elsewhere is called a solution."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """u with R(u, p) = 0, and what it took.

    at: ∂R/∂u at the iterate before the last, or, if `current`, at u; residual: ‖R(u, p)‖₂; error: of u, as the last
    correction and what it left of ‖R‖ imply, relative to the size of u; gradient_error: what that implies in a gradient
    (docs/math.md, eq. 36).
    """

    u: Array
    at: Linearization
    residual: float
    error: float
    gradient_error: float
    current: bool


@dataclass(frozen=True, eq=False)
class Newton:
    """Newton's method for R(u, p) = 0: J Δu = −R, u ← u + αΔu (docs/math.md, eqs. 33–35).

    rtol: of u; ends when the next correction, by the last factors, is below rtol ‖u‖, and adds it. gradient_rtol: if
    the error left in u implies more in a gradient, one such correction more is added. globalization: chooses α. chord:
    factors are kept while the corrections contract by this factor at least; 0 factors in every step. forcing: of Krylov
    solves, `EisenstatWalker()` (with `LineSearch`, which asks for no further solve); None for their own tolerance.
    scale: typical sizes of the unknowns, if their units differ.
    Raises ValueError for values that make no sense.
    """

    rtol: float = 1e-10
    gradient_rtol: float = 1e-13
    max_iterations: int = 50
    globalization: Globalization = field(default_factory=AffineInvariant)
    chord: float = 0.0
    forcing: EisenstatWalker | None = None
    scale: float | Array = 1.0

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("gradient_rtol", self.gradient_rtol)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"Newton: got {name}={value}, expected a relative tolerance between 0 and 1")
        if not self.max_iterations >= 1:
            raise ValueError(f"Newton: got max_iterations={self.max_iterations}, expected at least 1")
        if not 0.0 <= self.chord < 1.0:
            raise ValueError(f"Newton: got chord={self.chord}, expected a contraction of at least 0, below 1")
        if not (np.all(np.asarray(self.scale) > 0.0) and np.isfinite(self.scale).all()):
            raise ValueError(f"Newton: got scale={self.scale}, expected typical sizes > 0")

    def solve(self, system: System, u: Array) -> Outcome:
        """u with R(u) = 0, from a start that `System.prepared` made.

        Raises NewtonDiverged, NewtonStalled, SingularJacobian, NonFiniteResidual, and what the factorizer raises.
        """
        r = system.residual(u)
        norm = system.accepted(r)
        if not system.history.norms:  # Else a `Start` has noted it.
            system.history.iterate(norm)
        last: Step | None = None
        eta, curvature, most = 1.0, 0.0, system.history.steps + self.max_iterations
        while system.history.steps < most:
            if self.forcing is not None:
                eta = self.forcing.tolerance(system.history.norms, eta)
            solver = system if self.forcing is None else system.loosened(eta)
            at = solver.factored(system.jacobian(u))
            du = solver.correction(at, r)
            if system.norm(du) <= self.rtol * system.norm(u):
                return self._finished(system, at, u, r, du, curvature)
            if system.history.linear and system.norm(du) <= NEAR * system.norm(u):
                raise system.degenerate()
            try:
                last = self._advance(solver, u, r, at, du, last)
            except NewtonStalled:
                if not self._exhausted(system, u, r, at, du):
                    raise
                return _outcome(system, u, r, at, system.norm(du), curvature, True)
            u, r, delta = last.u, last.r, last.simplified
            if delta is None:
                continue
            size, correction = system.norm(last.du), system.norm(delta)
            contraction = correction / size
            if last.factor == 1.0:
                curvature = 2.0 * contraction / size  # ω, for ‖Δ̄‖ ≤ ½ω‖Δu‖²
            if last.factor == 1.0 and correction <= self.rtol * system.norm(u):
                return self._finished(system, at, u, r, delta, curvature)
            if last.factor == 1.0 and contraction <= self.chord:
                u, r, done = self._chords(system, at, u, r, delta, curvature, most)
                if done is not None:
                    return done
                last = None
        if self._exhausted(system, u, r, at, du):
            return _outcome(system, u, r, at, system.norm(du), curvature, False)
        raise self._diverged(system)

    def _advance(self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None) -> Step:
        """A globalized step, its simplified correction included wherever it may decide on convergence."""
        step = self.globalization.step(system, u, r, at, du, last)
        system.history.step(system.norm(du), step.factor, "Newton")
        system.history.iterate(size_of(step.r))
        near = system.norm(du) <= np.sqrt(self.rtol) * system.norm(step.u)
        if step.simplified is None and step.factor == 1.0 and (near or self.chord > 0.0):
            return replace(step, simplified=system.correction(at, step.r))
        return step

    def _chords(
        self, system: System, at: Linearization, u: Array, r: Array, delta: Array, curvature: float, most: int
    ) -> tuple[Array, Array, Outcome | None]:
        """Corrections by the factors at hand, as long as they contract well: (u, R, the outcome if they converged)."""
        while system.history.steps < most:
            v = u + delta
            trial = system.residual(v)
            if not finite(trial) or system.longest(u, delta) < 1.0:
                break
            following = system.correction(at, trial)
            size, new = system.norm(delta), system.norm(following)
            if not new <= self.chord * size:
                break
            system.history.step(size, 1.0, "chord")
            system.history.iterate(size_of(trial))
            u, r, delta = v, trial, following
            if new <= self.rtol * system.norm(u):
                return u, r, self._finished(system, at, u, r, delta, curvature)
        return u, r, None

    def _finished(
        self, system: System, at: Linearization, u: Array, r: Array, delta: Array, curvature: float
    ) -> Outcome:
        """u + delta, and one correction more if what is left is not rounding and implies too much in a gradient."""
        before = max(size_of(r), np.finfo(float).tiny)
        for polishing in (False, True):
            system.history.step(system.norm(delta), 1.0, "polish" if polishing else "last")
            u = u + delta * system.longest(u, delta)
            r = system.residual(u)
            norm = system.accepted(r)
            system.history.iterate(norm)
            outcome = _outcome(system, u, r, at, system.norm(delta) * norm / before, curvature, False)
            if outcome.gradient_error <= self.gradient_rtol or norm <= system.rounding(u, at):
                break
            delta, before = system.correction(at, r), max(norm, np.finfo(float).tiny)
        return outcome

    def _exhausted(self, system: System, u: Array, r: Array, at: Linearization, du: Array) -> bool:
        """Whether the correction is rounding, so that an iteration that makes no progress is at its end."""
        size, longest = system.norm(du), system.history.longest
        rounding = size_of(r) <= NOISY * system.rounding(u, at) and size <= NEAR * system.norm(u)
        return rounding or size <= EXHAUSTED * longest

    def _diverged(self, system: System) -> NewtonDiverged | SingularJacobian:
        if system.history.linear:
            return system.degenerate()
        message = (
            f"Newton's method did not converge in {self.max_iterations} iterations. Usual causes: no solution for "
            "these parameters (past a fold: adjoint.trace), a Jacobian that is not the derivative "
            "(adjoint.check_residual tells), a start too far off: another u0, start=adjoint.PseudoTransient(…) or "
            "adjoint.Homotopy(…); else more max_iterations."
        )
        return failure(NewtonDiverged, message, system.history)


def _outcome(
    system: System, u: Array, r: Array, at: Linearization, left: float, curvature: float, current: bool
) -> Outcome:
    """u as the solution, with ‖u − u*‖ ≈ left and what that implies (docs/math.md, eq. 36)."""
    size = system.norm(u)
    error = left / size if size > 0.0 else left
    return Outcome(u, at, size_of(r), error, curvature * left + error, current)


def accepted(system: System, u: Array) -> Outcome:
    """A state as the solution that it is said to be; raises ValueError if Newton's correction is large."""
    r = system.residual(u)
    norm = system.accepted(r)
    system.history.iterate(norm)
    at = system.factored(system.jacobian(u))
    outcome = _outcome(system, u, r, at, system.norm(system.correction(at, r)), 0.0, True)
    if not outcome.error <= SOLVED:
        raise ValueError(
            f"u does not solve R(u, p) = 0: ‖R‖ = {norm:.1e}, Newton's correction is {outcome.error:.1e} of u, "
            f"expected at most {SOLVED:.0e}; `solve` finds a solution from it"
        )
    return outcome
