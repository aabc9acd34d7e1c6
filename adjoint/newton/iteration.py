"""Newton's method: corrections, chord steps, and the end of an iteration."""

from dataclasses import dataclass, field, replace

import numpy as np

from .._dataclasses import short_repr
from .._numerics import size_of
from .._validation import as_array, require_kind, require_methods, require_settings
from ..errors import NewtonDiverged, NewtonStalled
from ..factor.krylov import Krylov
from ..typing import Array
from .convergence import Outcome, apply_final_correction, outcome_of
from .failures import diverged, linear_convergence, wrong_jacobian
from .forcing import EisenstatWalker
from .globalization import AffineInvariant, Globalization, Step
from .system import Linearization, System, is_finite

NEAR = 1e-7
"""Size of corrections, relative to the iterates, below which linear convergence means a
singular Jacobian. At a fold corrections stagnate at √ε, and near a regular solution
convergence is quadratic before corrections are that small."""

QUADRATIC = 1e-5
"""Size of corrections, relative to u, at which a correct Jacobian gives quadratic
convergence."""

EQUAL = 2.0
"""Ratio of the largest to the smallest of three ratios of corrections, up to which the
ratios count as equal."""

EXHAUSTED = 1e-10
"""Size of corrections and of ‖R‖, relative to their maxima, that rounding may cause if the
solution itself is zero."""

ZERO = 1e-30
"""Size of corrections, relative to the largest correction, that counts as zero. Without
this limit, a zero solution would satisfy ‖Δu‖ ≤ rtol ‖u‖ only after an underflow."""

NOISY = 1e3
"""Ratio of ‖R‖ to its rounding error ε ‖|∂R/∂u| |u|‖, up to which a stalled iteration has
converged as far as it can."""

NOISE = 1e-4
"""Size of a correction, relative to u, that rounding may cause if the Jacobian is
ill-conditioned."""


@dataclass(frozen=True, eq=False)
class _Iterate:
    """An iterate: u, R there, and peak, the largest |u| so far.

    at: ∂R/∂u as last factored; delta: the next correction, if small enough to be the last;
    curvature: ω; last: the step that led to u; outcome: the solution, if it has been found.
    """

    u: Array
    r: Array
    peak: Array
    at: Linearization | None = None
    delta: Array | None = None
    curvature: float = 0.0
    last: Step | None = None
    outcome: Outcome | None = None

    def moved(self, u: Array, r: Array) -> "_Iterate":
        """Return another iterate, with the same ω and nothing else known."""
        return _Iterate(u, r, np.maximum(self.peak, np.abs(u)), curvature=self.curvature)


@dataclass(frozen=True, eq=False)
class Newton:
    """Newton's method for R(u, p) = 0: J Δu = −R, u ← u + αΔu, with J = ∂R/∂u.

    See docs/math/newton_and_branches.md, eqs. 33–35. The last factors give the
    next correction. If that correction is small, it is added, and the iteration ends.
    All sizes are root mean squares of u / scale.

    Parameters
    ----------
    rtol : float
        Tolerance of ‖Δu‖ relative to ‖u‖, between 0 and 1.
    gradient_rtol : float
        Tolerance of the relative error of a gradient that follows from the error of u,
        between 0 and 1. If the estimate is larger, a second correction is added.
    max_iterations : int
        Maximum number of steps, at least 1.
    globalization : Globalization
        Chooses α: `AffineInvariant()`, `LineSearch()`, `FullSteps()`.
    chord : float
        Contraction ‖Δu_{k+1}‖/‖Δu_k‖ < 1 up to which factors are kept for further
        corrections. With 0 (the default) every step factors a Jacobian.
    forcing : EisenstatWalker or None
        Tolerances of Krylov solves, mostly with `LineSearch()`, whose trials need no solve.
        None (the default): the tolerance of the factorizer.
    scale : float or (n,) array
        Typical sizes of the unknowns, in the units of u; needed if the units differ.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is outside of its range.
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
        expected = "adjoint.newton.EisenstatWalker(…) or None"
        require_kind("Newton", "forcing", self.forcing, EisenstatWalker | None, expected)
        expected = "a globalization such as adjoint.newton.AffineInvariant()"
        require_methods("Newton", "globalization", self.globalization, ("step",), expected)
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
        """Find u with R(u) = 0.

        Parameters
        ----------
        system : System
            The equations.
        u : (n,) array
            The start, which `System.prepared` has returned.

        Returns
        -------
        Outcome
            The solution, with its accuracy.

        Raises
        ------
        NewtonDiverged
            If the maximum number of steps was reached.
        NewtonStalled
            If no step makes progress.
        SingularJacobian
            If ∂R/∂u is singular at an iterate or at the solution.
        WrongJacobian
            If the convergence shows that the Jacobian is not ∂R/∂u.
        NonFiniteResidual
            If R at the start contains nan or inf, or for all steps however short.
        SolveError
            If the factorizer raises another error.
        """
        r = system.residual(u)
        norm = system.finite_norm(r)
        if not system.history.norms:  # A `Start` has added its last iterate already.
            system.history.add_iterate(norm)
        last_step = system.history.steps + self.max_iterations
        now, rescaled, eta = _Iterate(u, r, np.abs(u)), False, 1.0
        while system.history.steps < last_step:
            if self.forcing is not None:
                eta = self.forcing.tolerance(system.history.norms, eta)
            solver = system if self.forcing is None else system.with_krylov_tolerance(eta)
            now = self._step(solver, now, last_step)
            if now.outcome is not None:
                return now.outcome
            if now.at is None or now.delta is None:
                continue
            tolerances = (self.rtol, self.gradient_rtol)
            final = apply_final_correction(
                solver, now.at, now.u, now.r, now.delta, now.curvature, tolerances, now.peak
            )
            if final.outcome is not None:
                return final.outcome
            # Unknowns in small units have not converged. The scale of each unknown becomes
            # the largest absolute value of that unknown so far.
            now = now.moved(final.u, final.r) if rescaled else now.moved(now.u, now.r)
            scale = np.where(now.peak > 0.0, now.peak, system.scale)
            system, rescaled = replace(system, scale=scale), True
            system.history.rescale()
        at, last = now.at, now.last
        if (
            at is not None
            and last is not None
            and self._exhausted(system, now.u, now.r, at, last.du)
        ):
            distance = system.norm(last.du)
            return outcome_of(system, at, now.u, now.r, distance, now.curvature, False)
        raise self._diverged(system, now)

    def _step(self, system: System, now: _Iterate, last_step: int) -> _Iterate:
        """Factor a Jacobian, and take a step, and chord steps with the same factors."""
        u, r, curvature = now.u, now.r, now.curvature
        at = system.factored(system.jacobian(u))
        du = system.correction(at, r)
        if self._is_small(system, du, u):
            return replace(now, at=at, delta=du, last=None)
        self._require_regular(system, du, now.peak)
        try:
            last = self._globalized(system, u, r, at, du, now.last)
        except NewtonStalled:
            if system.history.is_linear or not self._exhausted(system, u, r, at, du):
                raise
            outcome = outcome_of(system, at, u, r, system.norm(du), curvature, True)
            return replace(now, outcome=outcome)
        u, r, delta = last.u, last.r, last.simplified
        if delta is not None and last.factor == 1.0:
            size = system.norm(du)
            curvature = 2.0 * system.norm(delta) / size / size  # ω, from ‖Δ̄‖ ≤ ½ω‖Δu‖²
            u, r, delta, curvature = self._chord_steps(
                system, at, u, r, delta, curvature, size, last_step
            )
        converged = delta is not None and last.factor == 1.0 and self._is_small(system, delta, u)
        krylov = isinstance(system.factorize, Krylov)  # Its corrections are inaccurate.
        if converged and not krylov and system.norm(du) <= QUADRATIC * system.norm(u):
            self._require_derivative(system)
        # A step predicts the next step only if no chord step came in between.
        predictor = last if u is last.u else None
        peak = np.maximum(now.peak, np.abs(u))
        return _Iterate(u, r, peak, at, delta if converged else None, curvature, predictor)

    def _is_small(self, system: System, delta: Array, u: Array) -> bool:
        """‖Δu‖ ≤ rtol ‖u‖, or ‖Δu‖ is zero relative to earlier corrections."""
        size = system.norm(delta)
        negligible = ZERO * system.history.largest_correction
        return size <= self.rtol * system.norm(u) or size <= negligible

    def _globalized(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """Take a globalized step, with its simplified correction if convergence may be near."""
        step = self.globalization.step(system, u, r, at, du, last)
        system.history.add_step(system.norm(du), step.factor, "Newton")
        system.history.add_iterate(size_of(step.r))
        near = system.norm(du) <= np.sqrt(self.rtol) * system.norm(step.u)
        if step.simplified is None and step.factor == 1.0 and (near or self.chord > 0.0):
            return replace(step, simplified=system.correction(at, step.r))
        return step

    def _chord_steps(
        self,
        system: System,
        at: Linearization,
        u: Array,
        r: Array,
        delta: Array,
        curvature: float,
        distance: float,
        last_step: int,
    ) -> tuple[Array, Array, Array, float]:
        """Take chord steps while each contracts by `chord`: (u, R, next correction, ω).

        distance: ‖u − u₀‖, where u₀ is the iterate whose Jacobian was factored.
        """
        contraction = 0.5 * curvature * distance
        while (
            self.chord >= contraction > 0.0
            and system.history.steps < last_step
            and not self._is_small(system, delta, u)
        ):
            size, v = system.norm(delta), u + delta
            if system.longest_factor(u, delta) < 1.0:
                break
            trial = system.residual(v)
            if not is_finite(trial):
                break
            following = system.correction(at, trial)
            contraction = system.norm(following) / size
            if not contraction <= self.chord:
                break
            system.history.add_step(size, 1.0, "chord")
            system.history.add_iterate(size_of(trial))
            u, r, delta = v, trial, following
            curvature = max(curvature, contraction / distance)
        return u, r, delta, curvature

    def _require_regular(self, system: System, du: Array, peak: Array) -> None:
        """Raise SingularJacobian if full steps near a solution converge only linearly."""
        if system.history.is_linear and np.all(np.abs(du) <= NEAR * peak):
            raise linear_convergence(system.history)

    def _require_derivative(self, system: System) -> None:
        """Raise WrongJacobian if the last full steps have shrunk by the same factor."""
        ratios = system.history.ratios()[-3:]
        if len(ratios) == 3 and min(ratios) > 0.0 and max(ratios) < min(1.0, EQUAL * min(ratios)):
            raise wrong_jacobian(system.history)

    def _exhausted(self, system: System, u: Array, r: Array, at: Linearization, du: Array) -> bool:
        """True if the correction is rounding error: no further progress is possible."""
        size = system.norm(du)
        rounding = size_of(r) <= NOISY * system.rounding(u, at) and size <= NOISE * system.norm(u)
        vanished = size_of(r) <= EXHAUSTED * max(system.history.norms)
        return rounding or (vanished and size <= EXHAUSTED * system.history.largest_correction)

    def _diverged(self, system: System, now: _Iterate) -> NewtonDiverged:
        if now.last is not None:
            self._require_regular(system, now.last.du, now.peak)
        return diverged(self.max_iterations, system.history)
