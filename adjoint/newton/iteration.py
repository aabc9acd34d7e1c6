"""Newton's method for R(u, p) = 0: corrections, chord steps, convergence."""

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

NEAR_SOLUTION = 1e-7
"""Size of corrections, relative to the iterates, below which linear convergence shows a
singular Jacobian. At a fold, corrections stagnate at √ε. Near a regular solution,
convergence becomes quadratic at larger corrections than 10⁻⁷."""

QUADRATIC_RANGE = 1e-5
"""Size of corrections, relative to u, below which convergence must be quadratic. If the
convergence is linear, the Jacobian is wrong."""

EQUAL_RATIOS = 2.0
"""Three ratios of successive corrections count as equal if the largest one is at most this
number times the smallest one."""

ROUNDING_AT_ZERO = 1e-10
"""Size of corrections and of ‖R‖ that rounding errors may cause if the solution is zero,
relative to the largest correction and the largest ‖R‖ of the iteration."""

ZERO_CORRECTION = 1e-30
"""Size of a correction, relative to the largest correction, below which the correction
counts as zero. Without this limit, an iteration towards u = 0 would satisfy ‖Δu‖ ≤ rtol
‖u‖ only after an underflow."""

RESIDUAL_ROUNDING = 1e3
"""Ratio of ‖R‖ to its rounding error ε ‖|∂R/∂u| |u|‖, below which a stalled iteration has
converged to working precision."""

CORRECTION_ROUNDING = 1e-4
"""Size of a correction, relative to u, that rounding errors of R may cause if the Jacobian
is ill-conditioned."""


@dataclass(frozen=True, eq=False)
class _Iterate:
    """An iterate u, with r = R(u).

    peak: the largest |u_j| of all iterates so far, (n,).

    linearization: the last factored ∂R/∂u. delta: the next correction if it is small enough
    to be the last correction, otherwise None. curvature: ω, a Lipschitz constant of ∂R/∂u.
    last: the step that led to u. outcome: the solution if it has been found.
    """

    u: Array
    r: Array
    peak: Array
    linearization: Linearization | None = None
    delta: Array | None = None
    curvature: float = 0.0
    last: Step | None = None
    outcome: Outcome | None = None

    def moved(self, u: Array, r: Array) -> "_Iterate":
        """Return the iterate at another u.

        The field `curvature` (ω) is kept, and `peak` is updated; all other fields get
        their default values.
        """
        return _Iterate(u, r, np.maximum(self.peak, np.abs(u)), curvature=self.curvature)


@dataclass(frozen=True, eq=False)
class Newton:
    """Newton's method for R(u, p) = 0: J Δu = −R, u ← u + αΔu, with J = ∂R/∂u.

    See docs/math/newton_and_branches.md, eqs. 33–35. Near a solution, the factors of the
    last step also give the next correction. If this correction is small, it is added to u,
    and the iteration ends. All norms ‖u‖ are root mean squares of u / scale.

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
        The choice of α: `AffineInvariant()` (the default), `LineSearch()` or `FullSteps()`.
    chord : float
        Largest ratio ‖Δu_{k+1}‖/‖Δu_k‖ of corrections at which the factors of the Jacobian
        are used again (chord steps), at least 0 and below 1. With 0 (the default) every
        step factors a Jacobian.
    forcing : EisenstatWalker or None
        Tolerances of Krylov solves, adapted to the convergence. Best with `LineSearch()`,
        whose trial steps need no solve. None (the default): the tolerance of the
        factorizer.
    scale : float or (n,) array
        Typical sizes of the unknowns, in the units of u; needed if the units differ.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is out of range.
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
            The first iterate, as returned by `System.prepared`.

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
            If R contains nan or inf at the first iterate, or after each trial step of an
            iteration, however short.
        SolveError
            If the factorizer raises another error.
        """
        r = system.residual(u)
        norm = system.finite_norm(r)
        if not system.history.norms:  # Otherwise a `Start` has recorded this iterate.
            system.history.add_iterate(norm)
        last_step = system.history.steps + self.max_iterations
        iterate, rescaled, eta = _Iterate(u, r, np.abs(u)), False, 1.0
        while system.history.steps < last_step:
            if self.forcing is not None:
                eta = self.forcing.tolerance(system.history.norms, eta)
            solver = system if self.forcing is None else system.with_krylov_tolerance(eta)
            iterate = self._step(solver, iterate, last_step)
            if iterate.outcome is not None:
                return iterate.outcome
            if iterate.linearization is None or iterate.delta is None:
                continue
            tolerances = (self.rtol, self.gradient_rtol)
            final = apply_final_correction(
                solver,
                iterate.linearization,
                iterate.u,
                iterate.r,
                iterate.delta,
                iterate.curvature,
                tolerances,
                iterate.peak,
            )
            if final.outcome is not None:
                return final.outcome
            # The norm has converged, but some rows of R have not: their unknowns have small
            # units. The scale of each unknown becomes its largest absolute value so far.
            iterate = (
                iterate.moved(final.u, final.r) if rescaled else iterate.moved(iterate.u, iterate.r)
            )
            scale = np.where(iterate.peak > 0.0, iterate.peak, system.scale)
            system, rescaled = replace(system, scale=scale), True
            system.history.rescale()
        linearization, last = iterate.linearization, iterate.last
        if (
            linearization is not None
            and last is not None
            and self._is_rounding(system, iterate.u, iterate.r, linearization, last.du)
        ):
            distance = system.norm(last.du)
            return outcome_of(
                system, linearization, iterate.u, iterate.r, distance, iterate.curvature, False
            )
        raise self._diverged(system, iterate)

    def _step(self, system: System, iterate: _Iterate, last_step: int) -> _Iterate:
        """Factor a Jacobian; take a Newton step, and chord steps with the same factors."""
        u, r, curvature = iterate.u, iterate.r, iterate.curvature
        linearization = system.factored(system.jacobian(u))
        du = system.correction(linearization, r)
        if self._is_small(system, du, u):
            return replace(iterate, linearization=linearization, delta=du, last=None)
        self._require_regular(system, du, iterate.peak)
        try:
            last = self._globalized_step(system, u, r, linearization, du, iterate.last)
        except NewtonStalled:
            if system.history.is_linear or not self._is_rounding(system, u, r, linearization, du):
                raise
            outcome = outcome_of(system, linearization, u, r, system.norm(du), curvature, True)
            return replace(iterate, outcome=outcome)
        u, r, delta = last.u, last.r, last.simplified
        if delta is not None and last.factor == 1.0:
            size = system.norm(du)
            curvature = 2.0 * system.norm(delta) / size / size  # ω, from ‖Δ̄‖ ≤ ½ω‖Δu‖²
            u, r, delta, curvature = self._chord_steps(
                system, linearization, u, r, delta, curvature, size, last_step
            )
        converged = delta is not None and last.factor == 1.0 and self._is_small(system, delta, u)
        # Inexact corrections of Krylov solvers converge linearly with a correct Jacobian, too.
        krylov = isinstance(system.factorize, Krylov)
        if converged and not krylov and system.norm(du) <= QUADRATIC_RANGE * system.norm(u):
            self._require_correct_jacobian(system)
        # A step predicts the next step only if no chord step came in between.
        predictor = last if u is last.u else None
        peak = np.maximum(iterate.peak, np.abs(u))
        return _Iterate(
            u, r, peak, linearization, delta if converged else None, curvature, predictor
        )

    def _is_small(self, system: System, delta: Array, u: Array) -> bool:
        """True if ‖Δu‖ ≤ rtol ‖u‖, or if ‖Δu‖ is negligible compared with earlier corrections."""
        size = system.norm(delta)
        negligible = ZERO_CORRECTION * system.history.largest_correction
        return size <= self.rtol * system.norm(u) or size <= negligible

    def _globalized_step(
        self,
        system: System,
        u: Array,
        r: Array,
        linearization: Linearization,
        du: Array,
        last: Step | None,
    ) -> Step:
        """Take a globalized step.

        Near a solution, a full step always gets its simplified correction.
        """
        step = self.globalization.step(system, u, r, linearization, du, last)
        system.history.add_step(system.norm(du), step.factor, "Newton")
        system.history.add_iterate(size_of(step.r))
        near = system.norm(du) <= np.sqrt(self.rtol) * system.norm(step.u)
        if step.simplified is None and step.factor == 1.0 and (near or self.chord > 0.0):
            return replace(step, simplified=system.correction(linearization, step.r))
        return step

    def _chord_steps(
        self,
        system: System,
        linearization: Linearization,
        u: Array,
        r: Array,
        delta: Array,
        curvature: float,
        distance: float,
        last_step: int,
    ) -> tuple[Array, Array, Array, float]:
        """Take chord steps while the ratio of successive corrections is at most `chord`.

        Returns (u, R(u), next correction, ω). delta: the first correction. distance:
        ‖u − u₀‖, where u₀ is the iterate whose Jacobian was factored.
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
            following = system.correction(linearization, trial)
            contraction = system.norm(following) / size
            if not contraction <= self.chord:
                break
            system.history.add_step(size, 1.0, "chord")
            system.history.add_iterate(size_of(trial))
            u, r, delta = v, trial, following
            curvature = max(curvature, contraction / distance)
        return u, r, delta, curvature

    def _require_regular(self, system: System, du: Array, peak: Array) -> None:
        """Raise SingularJacobian if full steps converge linearly near a solution."""
        if system.history.is_linear and np.all(np.abs(du) <= NEAR_SOLUTION * peak):
            raise linear_convergence(system.history)

    def _require_correct_jacobian(self, system: System) -> None:
        """Raise WrongJacobian if the last three full steps have shrunk by the same factor."""
        ratios = system.history.ratios()[-3:]
        if (
            len(ratios) == 3
            and min(ratios) > 0.0
            and max(ratios) < min(1.0, EQUAL_RATIOS * min(ratios))
        ):
            raise wrong_jacobian(system.history)

    def _is_rounding(
        self, system: System, u: Array, r: Array, linearization: Linearization, du: Array
    ) -> bool:
        """True if the correction du is due to rounding errors: no more progress is possible."""
        size = system.norm(du)
        accurate = size_of(r) <= RESIDUAL_ROUNDING * system.rounding(
            u, linearization
        ) and size <= CORRECTION_ROUNDING * system.norm(u)
        vanished = size_of(r) <= ROUNDING_AT_ZERO * max(system.history.norms)
        return accurate or (
            vanished and size <= ROUNDING_AT_ZERO * system.history.largest_correction
        )

    def _diverged(self, system: System, iterate: _Iterate) -> NewtonDiverged:
        """Return the error after too many steps.

        Raises SingularJacobian if the steps converged linearly, as at a singular
        Jacobian.
        """
        if iterate.last is not None:
            self._require_regular(system, iterate.last.du, iterate.peak)
        return diverged(self.max_iterations, system.history)
