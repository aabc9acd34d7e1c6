"""Globalizations: how far to go along a Newton correction (damping and line searches)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .._dataclasses import short_repr
from .._numerics import size_of
from .._validation import require_settings
from ..errors import NewtonStalled, NonFiniteResidual
from ..typing import Array
from .bounds import nearest_to_bound
from .failures import nonfinite_residual, stalled
from .system import Linearization, System, is_finite

SHORTEST = 1e-8
"""Default factor α of a step below which Newton's method has stalled."""

CUT = 0.1
"""Smallest ratio of a trial factor to the factor before it. A smaller ratio is not used: the
estimates are not reliable far from the iterate, where for example exp may overflow."""

LARGEST_GROWTH = 1e6
"""Limit of ‖R_new‖/‖R‖ in the interpolation. A larger ratio contains no information about the
next factor, and its square may overflow."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step u_new = u + factor · du of Newton's method.

    Parameters
    ----------
    u : (n,) array
        The new iterate.
    r : (n,) array
        R at the new iterate.
    du : (n,) array
        Newton's correction −J⁻¹R at the iterate before.
    factor : float
        α, 0 < α ≤ 1.
    simplified : (n,) array or None
        −J⁻¹r, the next correction by the factors of the iterate before; None if not
        computed.
    """

    u: Array
    r: Array
    du: Array
    factor: float
    simplified: Array | None

    __repr__ = short_repr


class Globalization(Protocol):
    """Chooses a step from a Newton correction.

    A trust-region method fits as well: `Step.du` then is the trust-region correction.
    """

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """Return a step that makes progress.

        Parameters
        ----------
        system : System
            The equations.
        u, r : (n,) array
            The iterate, and R at the iterate.
        at : Linearization
            ∂R/∂u at the iterate.
        du : (n,) array
            Newton's correction −J⁻¹r.
        last : Step or None
            The step before; None at the start and after chord steps.

        Returns
        -------
        Step
            The step.

        Raises
        ------
        NewtonStalled
            If no factor makes progress.
        NonFiniteResidual
            If R contains nan or inf after each trial step.
        """


@dataclass(frozen=True, eq=False)
class FullSteps:
    """u ← u + Δu: Newton's method without damping, for starts known to be good."""

    __repr__ = short_repr

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """Take the whole step, or as much of it as the bounds allow.

        Parameters
        ----------
        system, u, r, at, du, last : see `Globalization.step`
            The iterate and its correction.

        Returns
        -------
        Step
            The step.

        Raises
        ------
        NonFiniteResidual
            If R at the new iterate contains nan or inf.
        """
        factor = system.longest_factor(u, du)
        v = u + factor * du
        trial = system.residual(v)
        if not is_finite(trial):
            when = f" in Newton step {system.history.steps + 1}"
            raise nonfinite_residual(trial, when, system.history)
        return Step(v, trial, du, factor, None)


@dataclass(frozen=True, eq=False)
class AffineInvariant:
    """Damping by ‖Δ̄‖ ≤ (1 − α/4) ‖Δu‖, which no scaling of the equations affects.

    The simplified correction Δ̄ = −J(u)⁻¹R(u + αΔu) must be shorter than Δu; the residual
    may grow. α is predicted from the step before, and corrected after each trial, by
    estimates of the Lipschitz constant ω of J⁻¹J′ (docs/math/newton_and_branches.md, eqs.
    34 and 35). A trial step costs one solve with the factors of the iterate.

    Parameters
    ----------
    shortest : float
        α below which Newton's method has stalled, between 0 and 1.

    Raises
    ------
    TypeError
        If shortest is not a real number.
    ValueError
        If shortest is not between 0 and 1.

    References
    ----------
    Deuflhard (2011), Newton Methods for Nonlinear Problems, section 3.3.3, algorithm
    NLEQ-ERR.
    """

    shortest: float = SHORTEST

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        _require_fraction("AffineInvariant", "shortest", self.shortest)

    def step(
        self, system: System, u: Array, r: Array, at: Linearization, du: Array, last: Step | None
    ) -> Step:
        """Take the first trial step, from the predicted α on, whose correction shrinks.

        Parameters
        ----------
        system, u, r, at, du, last : see `Globalization.step`
            The iterate and its correction.

        Returns
        -------
        Step
            The step, with its simplified correction.

        Raises
        ------
        NewtonStalled
            If no α down to `shortest` contracts the correction.
        NonFiniteResidual
            If R contains nan or inf for every α.
        """
        size = system.norm(du)
        longest = system.longest_factor(u, du)
        factor = min(longest, self._predicted(system, du, size, last))
        shortened = False
        while factor >= self.shortest:
            v = u + factor * du
            trial = system.residual(v)
            if not is_finite(trial):
                factor, shortened = _after_nonfinite(factor), True
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
        raise _no_progress(system, u, du, self.shortest)

    def _predicted(self, system: System, du: Array, size: float, last: Step | None) -> float:
        """The first trial α: min(1, 1/h) with h = ω‖Δu‖, and ω estimated from the last step."""
        if last is None or last.simplified is None:
            return 1.0
        change = system.norm(last.simplified - du)
        if not change * size > 0.0:  # The corrections are equal, or their product underflows.
            return 1.0
        ratio = system.norm(last.du) * system.norm(last.simplified) / (change * size)
        return max(min(1.0, ratio * last.factor), self.shortest)


@dataclass(frozen=True, eq=False)
class LineSearch:
    """Backtracking until ‖R(u + αΔu)‖₂ ≤ (1 − c₁α) ‖R(u)‖₂.

    α is reduced by quadratic interpolation, by a factor between 0.1 and 0.5. A trial step
    costs no solve, which suits Newton–Krylov methods. All equations should have the same
    scale, because ‖R‖₂ compares their residuals.

    Parameters
    ----------
    c1 : float
        c₁, the fraction of the predicted decrease of ‖R‖ that a step must achieve, between
        0 and 1.
    shortest : float
        α below which Newton's method has stalled, between 0 and 1.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is not between 0 and 1.

    References
    ----------
    Dennis & Schnabel (1983), Numerical Methods for Unconstrained Optimization and Nonlinear
    Equations, algorithm A6.3.1.
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
        """Take the first trial step, from α = 1 on, that decreases ‖R‖ sufficiently.

        Parameters
        ----------
        system, u, r, at, du, last : see `Globalization.step`
            The iterate and its correction.

        Returns
        -------
        Step
            The step, without a simplified correction.

        Raises
        ------
        NewtonStalled
            If no α down to `shortest` decreases ‖R‖.
        NonFiniteResidual
            If R contains nan or inf for every α.
        """
        norm = size_of(r)
        factor = system.longest_factor(u, du)
        while factor >= self.shortest:
            v = u + factor * du
            trial = system.residual(v)
            if is_finite(trial):
                new = size_of(trial)
                if new <= (1.0 - self.c1 * factor) * norm:
                    return Step(v, trial, du, factor, None)
                # The minimum of a parabola: through ‖R‖² with slope −2‖R‖² at α = 0, and
                # through ‖R_new‖² at the trial factor.
                growth = min(new / norm, LARGEST_GROWTH) ** 2
                factor *= float(np.clip(factor / (growth - 1.0 + 2.0 * factor), CUT, 0.5))
            else:
                factor = _after_nonfinite(factor)
        raise _no_progress(system, u, du, self.shortest)


def _require_fraction(who: str, name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{who}: got {name}={value}, expected a fraction between 0 and 1")


def _after_nonfinite(factor: float) -> float:
    """Return the next α after a trial at which R is not finite: α/2 if α > 0.1, otherwise α/10."""
    return 0.5 * factor if factor > CUT else CUT * factor


def _no_progress(
    system: System, u: Array, du: Array, shortest: float
) -> NewtonStalled | NonFiniteResidual:
    """Return NonFiniteResidual if R is not finite near u, otherwise NewtonStalled.

    If an unknown is at a bound, the message of NewtonStalled names this unknown.
    """
    r = system.residual(u + min(shortest, system.longest_factor(u, du)) * du)
    if not is_finite(r):
        return nonfinite_residual(r, ", even after the shortest trial steps,", system.history)
    at_bound = ""
    if system.bounds is not None and system.longest_factor(u, du) < 1.0:
        i = nearest_to_bound(system.bounds, u)
        at_bound = f" The bounds leave no room: u[{i}] = {u[i]:g} is at a bound."
    return stalled(shortest, at_bound, system.history)
