"""The step-size controller: a PI controller, equal steps between stop times, the first step."""

import math
from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import rms
from ..._validation import require_settings
from ...typing import Array
from ..equations import System
from ..methods.tableau import Tableau
from ..stages.stages import explicit_stage

SMALLEST, LARGEST = 0.2, 6.0
"""Smallest and largest factor by which a step may change."""


PROPORTIONAL, INTEGRAL = 0.2, 0.85
"""Exponents of the PI controller, divided by the order of the error (Hairer & Wanner 1996,
section IV.2).
"""


PREDICTED = 1.2
"""Largest factor by which the trend of the last two steps changes the next step.

Gustafsson (1994, ACM TOMS 20, 496) does not limit it. The proportional part alone lets
steps grow by 1.8 each, as in kinetics, only after errors have fallen to 10⁻² or 10⁻³.
The error estimates of coupled stages are too careful already: their order is half the
order of the method.
"""


UNSOLVED, UNSOLVED_TOGETHER = 0.25, 0.5
"""Factors for a step whose stages were not found: in general, and for coupled stages, whose
steps are long.
"""


@dataclass(frozen=True, eq=False)
class StepControl:
    """Settings of the step size control of `ODEProblem(..., control=StepControl(...))`.

    Parameters
    ----------
    first_step : float or None
        Length of the first step, in units of time. None, the default: automatic.
    max_step : float
        Largest step, in units of time. Default: no limit.
    max_steps : int
        Number of accepted steps after which TooManySteps is raised. Default: 100 000.
    safety : float
        Safety factor of the next step, in (0, 1), because the error is an estimate.
        Default: 0.9.
    hold : float
        The step size is kept unless it may grow by more than this factor, so that
        factors can be used again. At least 1. Default: 1.2.
    refresh : float
        Contraction of Newton's method above which the next step gets a new matrix, in
        [0, 1). Default: 0.02.
    integrals : bool
        False: the integrals of the problem's integrand do not influence the steps.
        Default: True.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range.
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
                raise ValueError(f"StepControl: got {name}={value!r}")


@dataclass(eq=False)
class StepSizeController:
    """The next step, within a segment from a to b; steps end exactly on a and b.

    Steps are a + j (b − a)/n, never a sum of steps. order: order of the error estimate.
    predictive: follow the trend of errors (coupled stages). wanted: the length that the
    controller asks for; n is the least number of steps that are no longer.

    Remembers the step number j, the error of the last step (None after a rejection),
    its length `before`, and the number of rejections in a row.
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
        """The number of equal steps from t to b that are no longer than wanted."""
        return max(
            1, math.ceil((self.b - t) / min(self.wanted, self.control.max_step) * (1.0 - 1e-10))
        )

    @property
    def h(self) -> float:
        """The length of the next step."""
        return (self.b - self.a) / self.n

    @property
    def t(self) -> float:
        """The start of the next step."""
        return self.a + self.j * self.h

    @property
    def end(self) -> float:
        """The end of the next step."""
        return self.b if self.j == self.n - 1 else self.a + (self.j + 1) * self.h

    def accept(self, error: float) -> None:
        """Move on behind an accepted step; error ≤ 1, in units of the tolerances."""
        h, end = self.h, self.end
        error = max(error, 1e-10)
        factor = min(max(self._factor(h, error), SMALLEST), LARGEST if not self.rejections else 1.0)
        self.error, self.before, self.rejections = error, h, 0
        self.j += 1
        if 0.95 <= factor <= self.control.hold:
            return
        # A step that a stop time has shortened does not shorten the next ones.
        self.wanted = max(self.wanted, h * factor) if factor > 1.0 else h * factor
        if self.j < self.n and self._number(end) != self.n - self.j:
            self.segment(end, self.b)

    def _factor(self, h: float, error: float) -> float:
        """The factor by which the controller would change an accepted step of length h."""
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
        """Try again with a shorter step, because the stages were not found."""
        self.reject(UNSOLVED_TOGETHER if self.predictive else UNSOLVED)

    def shortened(self, error: float) -> float:
        """The factor for a step that was rejected for its error."""
        if not math.isfinite(error):
            return SMALLEST
        return max(SMALLEST, min(0.9, self.control.safety * error ** (-1.0 / self.order)))


def first_step(
    system: System, tableau: Tableau, t: float, u: Array, k: Array | None, span: float
) -> float:
    """The first step from the sizes of u, u' and u'', in units of time.

    k: u' at t, None if unknown: then a small part of the span t_f − t₀. Source: Hairer,
    Nørsett & Wanner (1993), section II.4.
    """
    if k is None:
        return 1e-5 * span
    w = system.weights(u)
    size, slope = rms(u * w), rms(k * w)
    h = 0.01 * size / slope if size > 1e-5 and slope > 1e-5 else 1e-6 * span
    # Sizes are infinite for unknowns that are 0 and have no absolute tolerance.
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
