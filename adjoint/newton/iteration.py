"""Newton's method: corrections, convergence, the accuracy that is left for a gradient.

How accurately an inexact Newton method solves for its corrections.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .._numerics import size_of
from .._repr import short_repr
from .._validation import as_array, require_settings
from ..errors import NewtonDiverged, NewtonStalled, WrongJacobian
from ..factor.krylov import Krylov
from ..typing import Array
from .convergence import Outcome, ended, outcome_of
from .globalization import AffineInvariant, Globalization, Step
from .history import failure
from .system import Linearization, System, finite


@dataclass(frozen=True, eq=False)
class EisenstatWalker:
    """η_k = γ (‖R_k‖ / ‖R_{k−1}‖)^α: Krylov solves are as accurate as the last step was successful.

    gamma, alpha: γ ≤ 1 and 1 < α ≤ 2; largest: of η, and the first one. Superlinear convergence of order α.
    Raises ValueError for others. Eisenstat & Walker (1996), SIAM J. Sci. Comput. 17, 16, choice 2.
    """

    gamma: float = 0.9
    alpha: float = 2.0
    largest: float = 0.5

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.gamma <= 1.0 < self.alpha <= 2.0 and 0.0 < self.largest < 1.0):
            raise ValueError(
                f"EisenstatWalker: got gamma={self.gamma}, alpha={self.alpha}, largest={self.largest}; expected "
                "0 < gamma ≤ 1, 1 < alpha ≤ 2, 0 < largest < 1"
            )

    def tolerance(self, norms: tuple[float, ...], last: float) -> float:
        """η for the next correction; norms: ‖R‖ so far; last: η of the one before, 1 if there was none."""
        if len(norms) < 2 or not norms[-2] > 0.0:
            return self.largest
        eta = self.gamma * min(norms[-1] / norms[-2], 1.0) ** self.alpha
        kept = self.gamma * last**self.alpha
        if kept > 0.1:  # One lucky step is no reason to solve to rounding.
            eta = max(eta, kept)
        return min(eta, self.largest)


NEAR = 1e-7
"""Relative size of corrections below which convergence that is still linear means a singular Jacobian: at a fold they
stagnate at √ε, and solutions nearby converge quadratically before that."""


QUADRATIC = 1e-5
"""Relative size of corrections at which those of a right Jacobian shrink quadratically."""


STEADY = 2.0
"""Between the largest and the smallest of three ratios of corrections that are called equal."""


EXHAUSTED = 1e-10
"""Of the longest step, and of the largest ‖R‖: what rounding leaves of them where the solution itself is zero."""


ZERO = 1e-30
"""Of the longest step: a correction that is zero, as it is where the solution is. Without a bound in the steps before,
‖Δu‖ would have to fall below any multiple of ‖u‖, down to where numbers end."""


NOISY = 1e3
"""‖R‖ over its rounding error ε ‖|∂R/∂u| |u|‖ at which a stalled iteration has got as far as it can."""


NOISE = 1e-4
"""Relative size of a correction that may be rounding, where the Jacobian is badly conditioned."""


@dataclass(frozen=True, eq=False)
class _Progress:
    """An iterate: u, R, and the largest |u| so far.

    at: ∂R/∂u as last factored; delta: the correction from here, if it is small enough to be the last; curvature: ω;
    last: the step that led here; outcome: if nothing is left to do.
    """

    u: Array
    r: Array
    peak: Array
    at: Linearization | None = None
    delta: Array | None = None
    curvature: float = 0.0
    last: Step | None = None
    outcome: Outcome | None = None

    def moved(self, u: Array, r: Array) -> "_Progress":
        """Another iterate, nothing else known of it."""
        return _Progress(u, r, np.maximum(self.peak, np.abs(u)), curvature=self.curvature)


@dataclass(frozen=True, eq=False)
class Newton:
    """Newton's method for R(u, p) = 0: J Δu = −R, u ← u + αΔu.

    See docs/math/newton_and_branches.md, eqs. 33–35.

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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        for name, value in (("rtol", self.rtol), ("gradient_rtol", self.gradient_rtol)):
            if not 0.0 < value < 1.0:
                raise ValueError(
                    f"Newton: got {name}={value}, expected a relative tolerance between 0 and 1"
                )
        if not isinstance(self.forcing, EisenstatWalker | None):
            raise TypeError(
                f"Newton: got forcing={self.forcing!r}, expected adjoint.newton.EisenstatWalker(…) or None"
            )
        if not callable(getattr(self.globalization, "step", None)) or isinstance(
            self.globalization, type
        ):
            raise TypeError(
                f"Newton: got globalization={self.globalization!r}, expected one such as AffineInvariant()"
            )
        if not self.max_iterations >= 1:
            raise ValueError(
                f"Newton: got max_iterations={self.max_iterations}, expected at least 1"
            )
        if not 0.0 <= self.chord < 1.0:
            raise ValueError(
                f"Newton: got chord={self.chord}, expected a contraction of at least 0, below 1"
            )
        scale = as_array("Newton", "scale", self.scale)
        if not (scale.dtype.kind in "fiu" and np.all((scale > 0.0) & (scale < np.inf))):
            raise ValueError(f"Newton: got scale={self.scale}, expected typical sizes > 0")

    def solve(self, system: System, u: Array) -> Outcome:
        """u with R(u) = 0, from a start that `System.prepared` made.

        Raises NewtonDiverged, NewtonStalled, SingularJacobian, WrongJacobian, NonFiniteResidual, and what the
        factorizer raises.
        """
        r = system.residual(u)
        norm = system.accepted(r)
        if not system.history.norms:  # Else a `Start` has noted it.
            system.history.iterate(norm)
        most = system.history.steps + self.max_iterations
        now, resized, eta = _Progress(u, r, np.abs(u)), False, 1.0
        while system.history.steps < most:
            if self.forcing is not None:
                eta = self.forcing.tolerance(system.history.norms, eta)
            solver = system if self.forcing is None else system.loosened(eta)
            now = self._step(solver, now, most)
            if now.outcome is not None:
                return now.outcome
            if now.at is None or now.delta is None:
                continue
            tolerances = (self.rtol, self.gradient_rtol)
            end = ended(
                solver, now.at, now.u, now.r, now.delta, now.curvature, tolerances, now.peak
            )
            if end.outcome is not None:
                return end.outcome
            # Unknowns in small units have not converged: from here on each is measured in its own size.
            now = now.moved(end.u, end.r) if resized else now.moved(now.u, now.r)
            system, resized = (
                replace(system, scale=np.where(now.peak > 0.0, now.peak, system.scale)),
                True,
            )
            system.history.remeasure()
        if (
            now.at is not None
            and now.last is not None
            and self._exhausted(system, now.u, now.r, now.at, now.last.du)
        ):
            return outcome_of(
                system, now.at, now.u, now.r, system.norm(now.last.du), now.curvature, False
            )
        raise self._diverged(system, now)

    def _step(self, system: System, now: "_Progress", most: int) -> "_Progress":
        """One factorization, and the steps it serves."""
        u, r, curvature = now.u, now.r, now.curvature
        at = system.factored(system.jacobian(u))
        du = system.correction(at, r)
        if self._small(system, du, u):
            return replace(now, at=at, delta=du, last=None)
        self._require_regular(system, du, now.peak)
        try:
            last = self._advance(system, u, r, at, du, now.last)
        except NewtonStalled:
            if system.history.linear or not self._exhausted(system, u, r, at, du):
                raise
            return replace(
                now, outcome=outcome_of(system, at, u, r, system.norm(du), curvature, True)
            )
        u, r, delta = last.u, last.r, last.simplified
        if delta is not None and last.factor == 1.0:
            size = system.norm(du)
            curvature = 2.0 * system.norm(delta) / size / size  # ω, for ‖Δ̄‖ ≤ ½ω‖Δu‖²
            u, r, delta, curvature = self._chords(system, at, u, r, delta, curvature, size, most)
        ending = delta is not None and last.factor == 1.0 and self._small(system, delta, u)
        krylov = isinstance(system.factorize, Krylov)  # Whose corrections are only so accurate.
        if ending and not krylov and system.norm(du) <= QUADRATIC * system.norm(u):
            self._require_derivative(system)
        kept = (
            last if u is last.u else None
        )  # A step predicts the next one, unless chords came between.
        peak = np.maximum(now.peak, np.abs(u))
        return _Progress(u, r, peak, at, delta if ending else None, curvature, kept)

    def _small(self, system: System, delta: Array, u: Array) -> bool:
        """‖Δu‖ ≤ rtol ‖u‖, or zero beside the steps before: no size is left where the solution itself is zero."""
        size = system.norm(delta)
        return size <= self.rtol * system.norm(u) or size <= ZERO * system.history.longest

    def _advance(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """A globalized step, its simplified correction included wherever it may decide on convergence."""
        step = self.globalization.step(system, u, r, at, du, last)
        system.history.step(system.norm(du), step.factor, "Newton")
        system.history.iterate(size_of(step.r))
        near = system.norm(du) <= np.sqrt(self.rtol) * system.norm(step.u)
        if step.simplified is None and step.factor == 1.0 and (near or self.chord > 0.0):
            return replace(step, simplified=system.correction(at, step.r))
        return step

    def _chords(
        self,
        system: System,
        at: Linearization,
        u: Array,
        r: Array,
        delta: Array,
        curvature: float,
        distance: float,
        most: int,
    ) -> tuple[Array, Array, Array, float]:
        """(u, R, the next correction, ω) after corrections by the factors at hand, as long as they contract well.

        distance: of u from the iterate that was factored.
        """
        contraction = 0.5 * curvature * distance
        while (
            self.chord >= contraction > 0.0
            and system.history.steps < most
            and not self._small(system, delta, u)
        ):
            size, v = system.norm(delta), u + delta
            if system.longest(u, delta) < 1.0:
                break
            trial = system.residual(v)
            if not finite(trial):
                break
            following = system.correction(at, trial)
            contraction = system.norm(following) / size
            if not contraction <= self.chord:
                break
            system.history.step(size, 1.0, "chord")
            system.history.iterate(size_of(trial))
            u, r, delta = v, trial, following
            curvature = max(curvature, contraction / distance)
        return u, r, delta, curvature

    def _require_regular(self, system: System, du: Array, peak: Array) -> None:
        """Raise SingularJacobian where full steps near a solution still converge only linearly."""
        if system.history.linear and np.all(np.abs(du) <= NEAR * peak):
            raise system.degenerate()

    def _require_derivative(self, system: System) -> None:
        """Raise WrongJacobian where full steps have converged, but each as much as the one before: linearly."""
        ratios = system.history.ratios()[-3:]
        if len(ratios) == 3 and min(ratios) > 0.0 and max(ratios) < min(1.0, STEADY * min(ratios)):
            message = (
                f"Newton's corrections shrank by the same factor, {ratios[-1]:.1e}, in each of the last steps, where "
                "it should have become smaller and smaller: the Jacobian is not the derivative of the residual, and "
                "gradients would be wrong (adjoint.check_residual tells where). An approximate one finds u alone."
            )
            raise failure(WrongJacobian, message, system.history)

    def _exhausted(self, system: System, u: Array, r: Array, at: Linearization, du: Array) -> bool:
        """Whether the correction is rounding, so that an iteration that makes no progress is at its end."""
        size = system.norm(du)
        rounding = size_of(r) <= NOISY * system.rounding(u, at) and size <= NOISE * system.norm(u)
        vanished = size_of(r) <= EXHAUSTED * max(system.history.norms)
        return rounding or (vanished and size <= EXHAUSTED * system.history.longest)

    def _diverged(self, system: System, now: "_Progress") -> NewtonDiverged:
        if now.last is not None:
            self._require_regular(system, now.last.du, now.peak)
        message = (
            f"Newton's method did not converge in {self.max_iterations} iterations. Usual causes: no solution for "
            "these parameters (past a fold: adjoint.continuation.trace), a Jacobian that is not the derivative "
            "(adjoint.check_residual tells), a start too far off (another u0, start=adjoint.newton.PseudoTransient(…) or "
            "adjoint.newton.Homotopy(…)), unknowns in very different units (Newton(scale=…)); else more max_iterations."
        )
        return failure(NewtonDiverged, message, system.history)
