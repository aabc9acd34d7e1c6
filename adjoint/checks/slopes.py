"""Slopes g·v compared with differences of f: generic directions, zero components, kinks."""

from dataclasses import dataclass

import numpy as np

from .._numerics import dot
from ..typing import Array
from .directions import sizes_of
from .lines import UNSETTLED, Line, line_through
from .points import Checked
from .report import Slope
from .tolerances import RESOLVED, STEPS, TINY, TOLERANCE

FURTHER_STEPS = 4
"""Number of steps along each direction except the first.

The number is smaller than STEPS, because only the extrapolated difference is used along
these directions, and no order is measured.
"""

CONTRADICTION = 0.1
"""Relative distance from which on g·v and a difference contradict each other."""

SHORTENED = (1.0, 1e-3)
"""Factors on the steps, tried in turn until f can be evaluated on at least one side."""

NEAR_ZERO = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps next to a zero component, tried before a gradient is called wrong.

f may be steep next to a zero component.
"""


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of f at x along given directions: g·v, compared with differences of f.

    g: the gradient, (m,); value: f(x); step: h₀, relative to the directions; middle: the
    median size of the components of x; scatter: the noise of f along the first direction,
    or 0 as long as this noise is not known.
    """

    f: Checked
    x: Array
    g: Array
    value: float
    step: float
    middle: float
    scatter: float

    def first(self, v: Array) -> tuple[Line, Slope, tuple[Array, Array]]:
        """Return the values of f along v, the slope, and the remainders of order 1 and 2.

        The remainders are two arrays, (k,) each. If x has a nonzero component, v_i is set
        to zero for each x_i = 0; if then f can be evaluated on neither side, the error of
        f is raised.
        """
        v = np.where(self.x == 0.0, 0.0, v) if self.x.any() else v
        line = self._line_within_domain(v, STEPS, True)
        ahead, behind = line.sides
        if not (ahead or behind) and self.x.any() and line.error is not None:
            raise line.error
        derivative = dot(self.g, v)
        only_behind = behind and not ahead
        gap = (line.backward if only_behind else line.forward) - self.value
        slope = -derivative if only_behind else derivative
        remainders = np.abs(gap), np.abs(gap - line.steps * slope)
        return line, self._compared("v", line, derivative), remainders

    def further(self, what: str, v: Array) -> list[Slope]:
        """Return the slope along another direction, in a list; [] if f fails on both sides.

        v_i is set to zero for each x_i = 0. what: name of the direction.
        """
        v = np.where(self.x == 0.0, 0.0, v)
        line = self._line_within_domain(v, FURTHER_STEPS, True)
        if not any(line.sides):
            return []
        return [self._compared_up_to_noise(what, line, dot(self.g, v), *line.difference())]

    def zeros(self, v: Array, indices: Array, halvings: int) -> tuple[list[Slope], int]:
        """Return slopes along components that are zero, and the number of untested components.

        indices: indices of the zero components. All these components are moved together.
        If f cannot be evaluated at the moved point, the components are divided into two
        halves; this is repeated for each half, at most `halvings` times.
        """
        noun = "component that is" if indices.size == 1 else "components that are"
        unit = np.zeros_like(v)
        unit[indices] = v[indices] / sizes_of(self.x)[indices]
        slope = self._from_zero(f"{indices.size} {noun} zero", unit)
        if slope is not None:
            return [slope], 0
        if indices.size == 1 or halvings == 0:
            return [], indices.size
        parts = [self.zeros(v, half, halvings - 1) for half in np.array_split(indices, 2)]
        return [slope for slopes, _ in parts for slope in slopes], sum(
            unmoved for _, unmoved in parts
        )

    def _from_zero(self, what: str, v: Array) -> Slope | None:
        """Return the slope along v at zero components, with steps long enough to exceed rounding.

        The right size of a component that is zero is unknown. While the difference is
        rounding, the steps grow from min(1, middle) to max(1, middle). Returns None if
        f can be evaluated on neither side, or if the differences grow without limit as
        steps get shorter, like √h / h for the function √x at 0.
        """
        best, steeper = None, False
        for scale in sorted({min(1.0, self.middle), 1.0, self.middle}):
            line = self._line_within_domain(scale * v, FURTHER_STEPS, False)
            if not any(line.sides):
                break
            found = self._at_kink(what, line, dot(self.g, scale * v))
            if not found.relative_error <= TOLERANCE:
                found = self._near_zero(what, scale * v, found.difference) or found
            settled = 1e-3 * abs(found.difference) >= found.uncertain
            if best is not None and scale > 1.0 and not settled:
                break  # Steps longer than 1 count only if their difference has settled.
            best, steeper = found, line.steeper
            if found.uncertain <= 1e-2 * max(abs(found.difference), abs(found.derivative)):
                break
        return None if best is not None and steeper and _unsettled(best) else best

    def _near_zero(self, what: str, v: Array, usual: float) -> Slope | None:
        """Return the slope by shorter steps if this slope agrees with g·v; None otherwise.

        usual: the difference by the usual steps. If an element has a density of zero,
        f may change by decades within a usual step. The difference by shorter steps
        must then differ from `usual` by more than rounding. If f is smooth, the two
        differences are equal, and the result is None.
        """
        for shorter in NEAR_ZERO:
            line = self._line(v, shorter * self.step * 0.5 ** np.arange(FURTHER_STEPS))
            if any(line.sides):
                found = self._at_kink(what, line, dot(self.g, v))
                rounding = (
                    TOLERANCE * max(abs(found.difference), abs(usual))
                    + RESOLVED**2 * found.uncertain
                )
                if found.relative_error <= TOLERANCE and abs(found.difference - usual) > rounding:
                    return found
        return None

    def _at_kink(self, what: str, line: Line, derivative: float) -> Slope:
        """Return the slope along zero components, at which f may have a kink.

        At a kink each slope between the two one-sided derivatives is right. Example: each
        slope from 0 to 1 is right for max(0, x) at x = 0.
        """
        found = self._compared_up_to_noise(what, line, derivative, *line.difference())
        if all(line.sides) and not found.relative_error <= TOLERANCE:
            ahead, change_ahead = line.one_sided(True)
            behind, change_behind = line.one_sided(False)
            changes = change_ahead + change_behind
            if abs(ahead - behind) > RESOLVED * (line.rounding + change_ahead + change_behind):
                nearest = float(np.clip(derivative, min(ahead, behind), max(ahead, behind)))
                found = self._compared_up_to_noise(what, line, derivative, nearest, changes)
        return found

    def _compared(self, what: str, line: Line, derivative: float) -> Slope:
        """Return the slope along the first direction.

        The error is the whole gap between derivative and difference.
        """
        difference = line.difference()[0]
        uncertain = line.rounding + RESOLVED * line.jitter / float(line.steps[-1])
        size = max(abs(derivative), abs(difference))
        # The second term: at a stationary point, derivative and difference are both rounding.
        scale = max(size, uncertain / TOLERANCE, TINY)
        error = abs(derivative - difference) / scale
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _compared_up_to_noise(
        self, what: str, line: Line, derivative: float, difference: float, change: float
    ) -> Slope:
        """Return the slope along a further direction.

        Only the part of the gap that exceeds the uncertainty is an error: along further
        directions f may change by little more than its rounding and the error of an
        iteration. change: estimated error of the difference by the extrapolation.
        """
        uncertain = max(line.rounding + change, self.scatter / float(line.steps[-1]))
        size = max(abs(derivative), abs(difference))
        error = max(abs(derivative - difference) - RESOLVED * uncertain, 0.0) / max(size, TINY)
        error = error if np.isfinite(difference) else np.nan
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _line_within_domain(self, v: Array, count: int, both: bool) -> Line:
        """Evaluate f along ±v, with shorter steps if f fails on both sides.

        If `both` is True, steps are shortened as well if f fails on one side only. If f fails
        on one side for all lengths of steps, the other side is used.
        """
        lines = list[Line]()
        for factor in SHORTENED:
            lines.append(self._line(v, factor * self.step * 0.5 ** np.arange(count)))
            if all(lines[-1].sides) or (any(lines[-1].sides) and not both):
                return lines[-1]
        return next((line for line in lines if any(line.sides)), lines[0])

    def _line(self, v: Array, steps: Array) -> Line:
        """Evaluate f at x ± h v for the steps h, (k,)."""
        return line_through(self.f, self.x, self.value, v, steps)


def _unsettled(slope: Slope) -> bool:
    """True if the difference contradicts g·v, but its own uncertainty is too large to decide."""
    size = max(abs(slope.difference), abs(slope.derivative))
    contradicts = abs(slope.difference - slope.derivative) > CONTRADICTION * size
    return bool(contradicts and UNSETTLED * size < slope.uncertain < size)
