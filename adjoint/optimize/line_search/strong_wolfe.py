"""A line search for quasi-Newton methods: φ(α) = f(x + α d), the strong Wolfe conditions, gradients on demand."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..._repr import short_repr
from ..._validation import require_settings
from ...reduced import Point


@dataclass(frozen=True, eq=False)
class Step:
    """How a search ended: α and its evaluated point, None if no trial decreased f enough.

    rejected: values of the other trials, nan for failed solves.
    """

    alpha: float
    point: Point | None
    rejected: tuple[float, ...]

    def then(self, other: "Step") -> "Step":
        """Another search's end, after this one came to nothing."""
        return replace(other, rejected=self.rejected + other.rejected)


@dataclass(frozen=True, eq=False)
class Sample:
    """φ at α: its value, inf where a solve failed; its slope, nan where it was not asked for."""

    alpha: float
    value: float
    slope: float


@dataclass(frozen=True, eq=False)
class StrongWolfe:
    """Find α with φ(α) ≤ φ(0) + c₁ α φ'(0) and |φ'(α)| ≤ c₂ |φ'(0)|, the strong Wolfe conditions.

    The left end of the bracket always satisfies the first of them and has a negative slope; the right end fails
    the first, or a solve failed there, or has a positive slope: so there are acceptable steps between. Only a trial
    that satisfies the first condition is asked for its slope, and so pays for a gradient; one that fails it is
    interpolated by its value.

    trials: evaluations at most; after them the lowest trial that satisfied the first condition is taken, and if there
    is none the search fails. noise: rounding of f relative to |f|, by which the first condition may be missed: near a
    minimum differences of f are rounding, and the slopes alone decide (Hager & Zhang's approximate Wolfe conditions).

    Nocedal & Wright (2006), Numerical Optimization, section 3.5; Moré & Thuente (1994), ACM Trans. Math. Softw.
    20, 286; Hager & Zhang (2005), SIAM J. Optim. 16, 170, section 4.
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
                f"StrongWolfe: got {self}, expected 0 < c1 < c2 < 1, at least one trial and 0 ≤ noise < 1"
            )

    def __call__(
        self,
        phi: Callable[[float], Point | None],
        slope: Callable[[Point], float],
        start: Sample,
        alpha: float,
        limits: tuple[float, float],
    ) -> Step:
        """The step from `start`, φ and its negative slope at 0, by a first trial at alpha and none outside of limits.

        phi: α ↦ the evaluated point, None for a failed solve; slope: the point ↦ φ'(α). limits: below the first a step
        changes nothing; one as long as the second is acceptable where φ still descends.
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


def ended(tried: Sequence[tuple[Sample, Point | None]], taken: int | None) -> Step:
    """The step of the trial that is taken, and the values of the others."""
    values = [math.nan if point is None else sample.value for sample, point in tried]
    rejected = tuple(value for k, value in enumerate(values) if k != taken)
    return (
        Step(0.0, None, rejected)
        if taken is None
        else Step(tried[taken][0].alpha, tried[taken][1], rejected)
    )


NEAREST, FARTHEST = 1.1, 9.0
"""How much longer an extrapolated step is, at least and at most, in units of the last increment."""


SHRINK = 0.66
"""Two trials that leave more than this of the bracket are followed by its middle: Moré & Thuente, section 4."""


CLOSEST = 0.2
"""Where in the bracket to go on at least, after a value too large: it tells of growth beyond a parabola's."""


FAILED = 0.1
"""Where in the bracket to go on after a failed solve, of which nothing but its place is known."""


@dataclass(frozen=True, eq=False)
class Bracket:
    """left: the longest step known to be too short, right: the shortest known to be too long, None for none yet.

    before: left's predecessor. widths: of the last three brackets. allowance: differences of φ below this are rounding.
    """

    left: Sample
    before: Sample
    right: Sample | None
    widths: tuple[float, ...]
    allowance: float

    @property
    def open(self) -> bool:
        """Whether there are numbers between."""
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
        """The next α: extrapolated until there is a right end, then within."""
        if self.right is None:
            return extrapolated(self.before, self.left)
        width = self.right.alpha - self.left.alpha
        if len(self.widths) == 3 and self.widths[2] > SHRINK * self.widths[0]:
            return self.left.alpha + 0.5 * width
        return self.left.alpha + interpolated(self.left, self.right, self.allowance) * width


def extrapolated(before: Sample, last: Sample) -> float:
    """Beyond two samples that descend: the minimizer of their cubic, 1.1 to FARTHEST increments after the last."""
    width = last.alpha - before.alpha
    beyond = cubic(before, last) - 1.0
    return last.alpha + width * (min(max(beyond, NEAREST), FARTHEST) if beyond > 0.0 else FARTHEST)


def interpolated(left: Sample, right: Sample, allowance: float) -> float:
    """Where φ is least between the ends of a bracket, as a part of its width."""
    if math.isinf(right.value):
        return FAILED
    if math.isnan(right.slope):
        return min(max(parabola(left, right), CLOSEST), 0.5)
    secant = abs(right.value - left.value) <= allowance
    at = left.slope / (left.slope - right.slope) if secant else cubic(left, right)
    return min(max(at, 0.01), 0.99) if math.isfinite(at) else 0.5


def parabola(left: Sample, right: Sample) -> float:
    """The minimizer of the parabola through both values and the left slope, as a part of the width."""
    width = right.alpha - left.alpha
    curvature = right.value - left.value - width * left.slope
    return -0.5 * width * left.slope / curvature if curvature > 0.0 else 0.5


def cubic(left: Sample, right: Sample) -> float:
    """The minimizer of the cubic through both values and slopes, as a part of the width; nan if it has none.

    Nocedal & Wright, eq. 3.59, from the left end.
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
