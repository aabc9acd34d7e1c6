"""The strong Wolfe line search of quasi-Newton methods, with gradients on demand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...reduced import Point
from .step import Step

NEAREST, FARTHEST = 1.1, 9.0
"""Least and largest length of an extrapolated step, in units of the last increment."""


SHRINK = 0.66
"""Part of the bracket above which two trials have gained too little: the middle is tried
next. Moré & Thuente (1994), section 4."""


CLOSEST = 0.2
"""Least part of the bracket to go on at after a value that is too large: such a value
shows that φ grows faster than a parabola."""


FAILED = 0.1
"""Part of the bracket to go on at after a failed solve, of which only its place is known."""


@dataclass(frozen=True, eq=False)
class Sample:
    """φ at α. value: inf for a failed solve; slope: φ'(α), nan if it was not asked for."""

    alpha: float
    value: float
    slope: float


@dataclass(frozen=True, eq=False)
class StrongWolfe:
    """φ(α) ≤ φ(0) + c₁ α φ'(0) and |φ'(α)| ≤ c₂ |φ'(0)|: the strong Wolfe conditions.

    The left end of the bracket always satisfies the first condition and has a negative
    slope. The right end violates the first condition, or is a failed solve, or has a
    positive slope. So there are acceptable steps between the ends. Only a trial that
    satisfies the first condition pays for a gradient; the value of any other trial is
    interpolated.

    Parameters
    ----------
    c1 : float
        c₁, the part of the decrease promised by the slope that is required.
    c2 : float
        c₂, the part of the slope that may be left; 0 < c₁ < c₂ < 1.
    trials : int
        Largest number of evaluations. After them the lowest trial that satisfies the first
        condition is taken; without such a trial the search fails.
    noise : float
        Rounding error of f, relative to |f|, by which the first condition may be violated:
        near a minimum differences of f are rounding errors, and the slopes decide (Hager &
        Zhang's approximate conditions).

    Raises
    ------
    TypeError
        If a setting is not a number.
    ValueError
        If a setting is out of range.

    References
    ----------
    Nocedal & Wright (2006), Numerical Optimization, section 3.5. Moré & Thuente (1994), ACM
    Trans. Math. Softw. 20, 286. Hager & Zhang (2005), SIAM J. Optim. 16, 170, section 4.
    """

    c1: float = 1e-4
    c2: float = 0.9
    trials: int = 20
    noise: float = 1e-12

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.c1 < self.c2 < 1.0 and self.trials >= 1 and 0.0 <= self.noise < 1.0):
            raise ValueError(
                f"StrongWolfe: got {self}, expected 0 < c1 < c2 < 1, at least one trial and 0 ≤ "
                "noise < 1"
            )

    def __call__(
        self,
        phi: Callable[[float], Point | None],
        slope: Callable[[Point], float],
        start: Sample,
        alpha: float,
        limits: tuple[float, float],
    ) -> Step:
        """A step that satisfies the conditions, from a first trial at alpha, within the limits.

        phi: α ↦ the evaluated point, None for a failed solve; slope: the point ↦ φ'(α); start:
        φ and its negative slope at 0. limits: below the first, a step changes nothing; a step
        as long as the second is accepted if φ still descends there.
        """
        allowance = self.noise * abs(start.value)
        bracket = Bracket(start, start, None, (), allowance)
        tried: list[tuple[Sample, Point | None]] = []
        alpha = min(alpha, limits[1])
        while len(tried) < self.trials and alpha > limits[0] and bracket.open:
            point = phi(alpha)
            sample = self._sample(point, alpha, slope, start, allowance)
            tried.append((sample, point))
            if abs(sample.slope) <= -self.c2 * start.slope or (
                alpha >= limits[1] and sample.slope < 0.0
            ):
                return ended(tried, len(tried) - 1)
            bracket = bracket.with_trial(sample)
            alpha = min(bracket.trial(), limits[1])
        allowed = [k for k in range(len(tried)) if not math.isnan(tried[k][0].slope)]
        lowest = min(allowed, key=lambda k: tried[k][0].value, default=None)
        return ended(
            tried, None if lowest is None or tried[lowest][0].value >= start.value else lowest
        )

    def _sample(
        self,
        point: Point | None,
        alpha: float,
        slope: Callable[[Point], float],
        start: Sample,
        allowance: float,
    ) -> Sample:
        if point is None:
            return Sample(alpha, math.inf, math.nan)
        if point.value <= start.value + self.c1 * alpha * start.slope + allowance:
            return Sample(alpha, point.value, slope(point))
        return Sample(alpha, point.value, math.nan)


@dataclass(frozen=True, eq=False)
class Bracket:
    """An interval of α that holds acceptable steps.

    left: the longest step known to be too short; right: the shortest step known to be too
    long, None while no such step is known; before: the sample before `left`; widths: of the last
    three brackets; allowance: differences of φ below it are rounding errors.
    """

    left: Sample
    before: Sample
    right: Sample | None
    widths: tuple[float, ...]
    allowance: float

    @property
    def open(self) -> bool:
        """True if there are numbers between the ends."""
        return self.right is None or self.right.alpha - self.left.alpha > 1e-15 * self.right.alpha

    def with_trial(self, sample: Sample) -> "Bracket":
        """The bracket after a trial between its ends."""
        left, before, right = self.left, self.before, self.right
        if sample.slope < 0.0:
            left, before = sample, left
        else:
            right = sample
        widths = (*self.widths, right.alpha - left.alpha)[-3:] if right else ()
        return Bracket(left, before, right, widths, self.allowance)

    def trial(self) -> float:
        """The next trial step α.

        By extrapolation while the bracket has no upper end, otherwise between the two
        ends.
        """
        if self.right is None:
            return extrapolated(self.before, self.left)
        width = self.right.alpha - self.left.alpha
        if len(self.widths) == 3 and self.widths[2] > SHRINK * self.widths[0]:
            return self.left.alpha + 0.5 * width
        return self.left.alpha + interpolated(self.left, self.right, self.allowance) * width


def ended(tried: Sequence[tuple[Sample, Point | None]], taken: int | None) -> Step:
    """The step of the trial that is taken, with the values of the other trials."""
    values = [math.nan if point is None else sample.value for sample, point in tried]
    rejected = tuple(value for k, value in enumerate(values) if k != taken)
    return (
        Step(0.0, None, rejected)
        if taken is None
        else Step(tried[taken][0].alpha, tried[taken][1], rejected)
    )


def extrapolated(before: Sample, last: Sample) -> float:
    """The minimizer of the cubic through two samples with descent, beyond the last sample.

    Its distance from the last sample is between NEAREST and FARTHEST increments.
    """
    width = last.alpha - before.alpha
    beyond = cubic(before, last) - 1.0
    return last.alpha + width * (min(max(beyond, NEAREST), FARTHEST) if beyond > 0.0 else FARTHEST)


def interpolated(left: Sample, right: Sample, allowance: float) -> float:
    """The place between the ends of a bracket at which φ is least, as a part of its width."""
    if math.isinf(right.value):
        return FAILED
    if math.isnan(right.slope):
        return min(max(parabola(left, right), CLOSEST), 0.5)
    secant = abs(right.value - left.value) <= allowance
    at = left.slope / (left.slope - right.slope) if secant else cubic(left, right)
    return min(max(at, 0.01), 0.99) if math.isfinite(at) else 0.5


def parabola(left: Sample, right: Sample) -> float:
    """The minimizer of the parabola through two values and the left slope.

    The result is relative to the left end, as a fraction of the width of the bracket.
    """
    width = right.alpha - left.alpha
    curvature = right.value - left.value - width * left.slope
    return -0.5 * width * left.slope / curvature if curvature > 0.0 else 0.5


def cubic(left: Sample, right: Sample) -> float:
    """The minimizer of the cubic through two values and slopes; nan if the cubic has none.

    The result is relative to the left end, as a fraction of the width of the bracket.
    Nocedal & Wright (2006), eq. 3.59.
    """
    width = right.alpha - left.alpha
    a, b = width * left.slope, width * right.slope
    theta = a + b - 3.0 * (right.value - left.value)
    scale = max(abs(theta), abs(a), abs(b))
    under = (theta / scale) ** 2 - (a / scale) * (b / scale) if scale > 0.0 else -1.0
    if not under >= 0.0:
        return math.nan
    gamma = scale * math.sqrt(under)
    return (gamma - a + theta) / (2.0 * gamma - a + b) if 2.0 * gamma - a + b != 0.0 else math.nan
