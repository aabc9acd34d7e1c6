"""Step-size control: a PI controller, equal steps between stop times, the first step."""

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

SMALLEST_FACTOR, LARGEST_FACTOR = 0.2, 6.0
"""Smallest and largest factor by which the step size changes after one step."""


PROPORTIONAL, INTEGRAL = 0.2, 0.85
"""Exponents of the PI controller for an error estimate of order 1; order q divides them by q.

Source: Hairer & Wanner (1996), section IV.2.
"""


LARGEST_TREND = 1.2
"""Largest factor by which the trend of the last two errors changes the next step.

Gustafsson (1994, ACM TOMS 20, 496) does not limit this factor. Without the trend, steps
grow by a factor of 1.8, as kinetics needs, only after errors have fallen to 10⁻² or 10⁻³.
The error estimates of coupled stages are pessimistic already: their order is half the order
of the method.
"""


STAGE_FAILURE, COUPLED_STAGE_FAILURE = 0.25, 0.5
"""Factors by which a step is shortened if Newton's method does not find its stages.

The second factor is for methods with coupled stages, whose steps are long.
"""


@dataclass(frozen=True, eq=False)
class StepControl:
    """Settings of the step size control, for `ODEProblem(..., control=StepControl(...))`.

    Parameters
    ----------
    first_step : float or None
        Length of the first step, in units of time. None, the default: automatic.
    max_step : float
        Largest step, in units of time. Default: no limit.
    max_steps : int
        Maximum number of accepted steps; TooManySteps is raised if they do not suffice.
        Default: 100 000.
    safety : float
        Factor applied to the step size that the error estimate allows, in (0, 1).
        Default: 0.9.
    hold : float
        Smallest growth of the step size, at least 1: a step that may grow by less than
        this factor keeps its size, so that the factors of its matrix can be used again.
        Default: 1.2.
    refresh : float
        Contraction of Newton's method, in [0, 1), above which the next step evaluates and
        factors a new matrix. Default: 0.02.
    integrals : bool
        True, the default: the step size also controls the errors of the integrals of the
        problem's integrand. False: only the error of the state.

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
        first, most = self.first_step, self.max_steps
        for name, value, fits, expected in (
            (
                "first_step",
                first,
                first is None or 0.0 < first < math.inf,
                "a positive number or None",
            ),
            ("max_step", self.max_step, self.max_step > 0.0, "a positive number"),
            ("max_steps", most, isinstance(most, int) and most >= 1, "an integer of at least 1"),
            ("safety", self.safety, 0.0 < self.safety < 1.0, "a number in (0, 1)"),
            ("hold", self.hold, 1.0 <= self.hold < math.inf, "a number of at least 1"),
            ("refresh", self.refresh, 0.0 <= self.refresh < 1.0, "a number in [0, 1)"),
            ("integrals", self.integrals, isinstance(self.integrals, bool), "True or False"),
        ):
            if not fits:
                raise ValueError(f"StepControl: got {name}={value!r}, expected {expected}")


@dataclass(eq=False)
class StepSizeController:
    """The size of the next step, in a segment from a to b that is divided into n equal steps.

    Step j begins at a + j (b − a)/n, so that the last step ends exactly at b. When the
    step size changes, the rest of the segment becomes a new segment. order: order of
    the error estimate. predictive: True if the controller uses the trend of the errors
    (for coupled stages).

    Remembers `wanted`, the step size that the error control allows; n, the least number
    of steps that are not longer than `wanted`; j, the number of the next step;
    `last_error` and `last_h`, the error and length of the last accepted step
    (last_error: None after a rejection); `rejections`, the number of successive
    rejections.
    """

    control: StepControl
    order: int
    predictive: bool
    wanted: float
    a: float = 0.0
    b: float = 0.0
    n: int = 1
    j: int = 0
    last_error: float | None = None
    last_h: float = 0.0
    rejections: int = 0

    def segment(self, a: float, b: float) -> None:
        """Begin a segment of equal steps, from the time a to the time b."""
        self.a, self.b, self.j = a, b, 0
        self.n = self._number(a)

    def _number(self, t: float) -> int:
        """The least number of equal steps from t to b that are not longer than `wanted`."""
        longest = min(self.wanted, self.control.max_step)
        # 1e-10: rounding must not add a step.
        return max(1, math.ceil((self.b - t) / longest * (1.0 - 1e-10)))

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
        """Choose the next step after an accepted step; error ≤ 1, in units of the tolerances."""
        h, end = self.h, self.end
        error = max(error, 1e-10)  # The error may be zero.
        factor = min(
            max(self._factor(h, error), SMALLEST_FACTOR),
            LARGEST_FACTOR if not self.rejections else 1.0,
        )
        self.last_error, self.last_h, self.rejections = error, h, 0
        self.j += 1
        if 0.95 <= factor <= self.control.hold:
            return  # The next step has the same size, and can use the same factors.
        # A step that is short because of a stop time does not shorten the steps after it.
        self.wanted = max(self.wanted, h * factor) if factor > 1.0 else h * factor
        if self.j < self.n and self._number(end) != self.n - self.j:
            self.segment(end, self.b)

    def _factor(self, h: float, error: float) -> float:
        """The growth factor after an accepted step of length h, before limits are applied."""
        safety, power = self.control.safety, 1.0 / self.order
        if not self.predictive:
            factor = safety * error ** (-INTEGRAL * power)
            return (
                factor
                if self.last_error is None
                else factor * self.last_error ** (PROPORTIONAL * power)
            )
        factor = safety * error**-power
        if self.last_error is None:
            return factor
        trend = h / self.last_h * (self.last_error / error) ** power
        return factor * min(max(trend, 1.0 / LARGEST_TREND), LARGEST_TREND)

    def reject(self, factor: float) -> None:
        """Reject the step; the next step starts at the same time and is `factor` times as long."""
        t, self.wanted = self.t, self.h * factor
        self.rejections += 1
        self.last_error = None
        self.segment(t, self.b)

    def reject_unsolved(self) -> None:
        """Reject a step whose stages were not found; the next step is shorter."""
        self.reject(COUPLED_STAGE_FAILURE if self.predictive else STAGE_FAILURE)

    def rejection_factor(self, error: float) -> float:
        """The factor that shortens a step that is rejected because its error is > 1 or nan."""
        if not math.isfinite(error):
            return SMALLEST_FACTOR
        return max(SMALLEST_FACTOR, min(0.9, self.control.safety * error ** (-1.0 / self.order)))


def first_step(
    system: System, tableau: Tableau, t: float, u: Array, k: Array | None, span: float
) -> float:
    """The length of the first step from the sizes of u, u' and u'', in units of time.

    k: u' at t, (n,). If k is None (unknown), the result is 1e-5 times the span t_f −
    t₀. Source: Hairer, Nørsett & Wanner (1993), section II.4.
    """
    if k is None:
        return 1e-5 * span
    w = system.weights(u)
    size, slope = rms(u * w), rms(k * w)
    h = 0.01 * size / slope if size > 1e-5 and slope > 1e-5 else 1e-6 * span
    # The weight, and so the size, is infinite for an unknown that is 0 with atol = 0.
    h = min(h, span) if 0.0 < h < math.inf else 1e-6 * span
    with np.errstate(all="ignore"):
        later = explicit_stage(system, system.mass_inverse, t + h, u + h * k)  # u' at t + h.
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
