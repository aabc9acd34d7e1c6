"""Step sizes: the error estimate, a PI controller, steps of equal length between landings, the first step."""

import math
from dataclasses import dataclass

import numpy as np

from ..._numerics import rms
from ..._repr import short_repr
from ..._validation import require_settings
from ...typing import Array
from ..equations import System
from ..methods.tableau import Tableau
from ..stages.coupled_matrices import CoupledInverse
from ..stages.stage_matrices import Inverse, times
from ..stages.stages import explicit_stage
from .integral_errors import LocalError

SMALLEST, LARGEST = 0.2, 6.0
"""Factors by which a step may change."""


PROPORTIONAL, INTEGRAL = 0.2, 0.85
"""Exponents of the controller, over the order of the error (Hairer & Wanner 1996, section IV.2)."""


PREDICTED = 1.2
"""By how much at most the trend of the last two steps lengthens or shortens the next (Gustafsson 1994, ACM TOMS 20,
496, who has no limit). The proportional part lets steps grow by 1.8 each, as those of kinetics may, only once errors
are 10⁻² to 10⁻³; the error estimates of coupled stages are too careful already, being of half the method's order."""


UNSOLVED, UNSOLVED_TOGETHER = 0.25, 0.5
"""The factors for a step whose stages were not found; of coupled ones, whose steps are long."""


def first_step(
    system: System, tableau: Tableau, t: float, u: Array, k: Array | None, span: float
) -> float:
    """A first step from the sizes of u, u' and u'': Hairer, Nørsett & Wanner (1993), section II.4.

    k: u' where it begins, None if it is not known: then a small part of the span.
    """
    if k is None:
        return 1e-5 * span
    w = system.weights(u)
    size, slope = rms(u * w), rms(k * w)
    h = 0.01 * size / slope if size > 1e-5 and slope > 1e-5 else 1e-6 * span
    # Infinite sizes, of unknowns that are 0 and have no absolute tolerance, say nothing.
    h = min(h, span) if 0.0 < h < math.inf else 1e-6 * span
    with np.errstate(all="ignore"):
        later = explicit_stage(system, system.mass_inverse, t + h, u + h * k)
        curvature = rms((later - k) * w) / h
    if not math.isfinite(curvature):
        return 0.01 * h
    steepest = max(slope, curvature)
    smooth = (
        max(1e-6 * span, 1e-3 * h)
        if steepest <= 1e-15
        else (0.01 / steepest) ** (1.0 / tableau.error_order)
    )
    return min(100.0 * h, smooth, span)


@dataclass(frozen=True, eq=False)
class StepControl:
    """How steps are chosen. Raises ValueError for what cannot be.

    first_step: None for an automatic one; max_step: not longer than this; both in units of t. max_steps: accepted ones
    before TooManySteps. safety: of the next step, for the error is only an estimate. hold: a step is kept as it is
    unless it may grow by more than this, so that factors live on. refresh: contraction of Newton's method above which
    the next step gets a new matrix. integrals: False for steps that are chosen for the states alone, and not for the
    integrals of the problem's integrand.
    """

    first_step: float | None = None
    max_step: float = math.inf
    max_steps: int = 100_000
    safety: float = 0.9
    hold: float = 1.2
    refresh: float = 0.02
    integrals: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        for name, value, fits in (
            (
                "first_step",
                self.first_step,
                self.first_step is None or 0.0 < self.first_step < math.inf,
            ),
            ("max_step", self.max_step, self.max_step > 0.0),
            ("max_steps", self.max_steps, isinstance(self.max_steps, int) and self.max_steps >= 1),
            ("safety", self.safety, 0.0 < self.safety < 1.0),
            ("hold", self.hold, 1.0 <= self.hold < math.inf),
            ("refresh", self.refresh, 0.0 <= self.refresh < 1.0),
            ("integrals", self.integrals, isinstance(self.integrals, bool)),
        ):
            if not fits:
                raise ValueError(f"Control: got {name}={value!r}")


@dataclass(eq=False)
class Pace:
    """The next step, within a segment from a to b, both of which are landed on exactly.

    Steps are a + j (b − a)/n, never a sum of steps. predictive: whether the trend of errors is followed. wanted: the
    length that the controller asks for; n is the number of steps no longer than it. error: of the step before, over
    `before`, None after a rejection.
    """

    control: StepControl
    order: int
    predictive: bool
    wanted: float
    a: float = 0.0
    b: float = 0.0
    n: int = 1
    j: int = 0
    error: float | None = None
    before: float = 0.0
    rejections: int = 0

    def segment(self, a: float, b: float) -> None:
        """Go on from a to b."""
        self.a, self.b, self.j = a, b, 0
        self.n = self._number(a)

    def _number(self, t: float) -> int:
        """How many steps from t to b are none longer than wanted."""
        return max(
            1, math.ceil((self.b - t) / min(self.wanted, self.control.max_step) * (1.0 - 1e-10))
        )

    @property
    def h(self) -> float:
        """The length of the next step."""
        return (self.b - self.a) / self.n

    @property
    def t(self) -> float:
        """Where the next step begins."""
        return self.a + self.j * self.h

    @property
    def end(self) -> float:
        """Where the next step ends."""
        return self.b if self.j == self.n - 1 else self.a + (self.j + 1) * self.h

    def accept(self, error: float) -> None:
        """Move on behind a step whose error, in units of the tolerances, is at most 1."""
        h, end = self.h, self.end
        error = max(error, 1e-10)
        factor = min(max(self._factor(h, error), SMALLEST), LARGEST if not self.rejections else 1.0)
        self.error, self.before, self.rejections = error, h, 0
        self.j += 1
        if 0.95 <= factor <= self.control.hold:
            return
        # A step cut short by a landing is no reason to want shorter ones.
        self.wanted = max(self.wanted, h * factor) if factor > 1.0 else h * factor
        if self.j < self.n and self._number(end) != self.n - self.j:
            self.segment(end, self.b)

    def _factor(self, h: float, error: float) -> float:
        """By what the controller would change a step of h that was accepted."""
        safety, power = self.control.safety, 1.0 / self.order
        if not self.predictive:
            factor = safety * error ** (-INTEGRAL * power)
            return factor if self.error is None else factor * self.error ** (PROPORTIONAL * power)
        factor = safety * error**-power
        if self.error is None:
            return factor
        trend = h / self.before * (self.error / error) ** power
        return factor * min(max(trend, 1.0 / PREDICTED), PREDICTED)

    def reject(self, factor: float) -> None:
        """Try again with a shorter step."""
        t, self.wanted = self.t, self.h * factor
        self.rejections += 1
        self.error = None
        self.segment(t, self.b)

    def unsolved(self) -> None:
        """Try again with a shorter step, for the stages of this one were not found."""
        self.reject(UNSOLVED_TOGETHER if self.predictive else UNSOLVED)

    def shortened(self, error: float) -> float:
        """The factor for a step rejected for its error."""
        if not math.isfinite(error):
            return SMALLEST
        return max(SMALLEST, min(0.9, self.control.safety * error ** (-1.0 / self.order)))


def estimated_error(
    system: System,
    tableau: Tableau,
    t: float,
    h: float,
    u: Array,
    new: Array,
    K: Array,
    inverse: Inverse | None,
) -> LocalError:
    """The local error in units of the tolerances, by the embedded formulas; nan if anything is.

    Of implicit methods filtered by B⁻¹M, so that stiff components, which every L-stable step damps, do not count
    (Hairer & Wanner 1996, eq. IV.8.19).
    """
    w = 1.0 / (system.atol + system.rtol * np.maximum(np.abs(u), np.abs(new)))
    if isinstance(inverse, CoupledInverse):
        e = np.array(times(system.mass.matrix, h * system.combined(tableau.errors[0], K), "N"))
        return _filtered(system, inverse.single, t, h * tableau.gamma, u, e, w)
    sizes, filtered = [], None
    for weights in tableau.errors:
        e = h * system.combined(weights, K)
        if tableau.gamma != 0.0 and inverse is not None:
            e = filtered = inverse.solve(np.array(times(system.mass.matrix, e, "N")), "N")
        sizes.append(rms(e * w))
    if len(sizes) == 1:
        return LocalError(sizes[0], filtered, u)
    fifth, third = sizes  # Hairer, Nørsett & Wanner (1993), section II.10.
    return LocalError(
        fifth**2 / math.sqrt(fifth**2 + 0.01 * third**2) if fifth != 0.0 else 0.0, None, u
    )


def _filtered(
    system: System, inverse: Inverse, t: float, hg: float, u: Array, e: Array, w: Array
) -> LocalError:
    """The local error of coupled stages, from e = M Σ h e_i K_i: B⁻¹ (e + hγ f(t, u)),
    docs/math/time.md, eq. 89.

    Where u is off a slow manifold, by no more than the tolerance, f is large, and B⁻¹ makes of hγ f that distance,
    whatever h is. It is damped by filtering once more: Hairer & Wanner (1996), eq. IV.8.20.
    """
    error = inverse.solve(e + hg * system.rate(t, u), "N")
    size = rms(error * w)
    if size > 1.0:
        f = system.rate(t, u + error)
        if np.isfinite(f).all():  # So far from u it need not be.
            again = inverse.solve(e + hg * f, "N")
            return LocalError(rms(again * w), again, u + error)
    return LocalError(size, error, u)
