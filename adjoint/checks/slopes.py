"""Slopes g·v compared with differences of f: generic directions, zero components, kinks."""

from dataclasses import dataclass

import numpy as np

from .._numerics import dot
from ..typing import Array
from .directions import sizes_of
from .lines import UNSETTLED, Line, evaluated
from .points import Checked
from .report import Slope
from .tolerances import RESOLVED, STEPS, TINY, TOLERANCE

FEWER = 4
"""Number of steps along the further directions: only the extrapolated difference is used."""

APART = 0.1
"""Relative distance of g·v and a difference from which on the two contradict each other."""

SHORTER = (1.0, 1e-3)
"""Factors on the steps, tried in turn until f can be evaluated on one side at least."""

NEARER = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps next to zero, tried before a gradient is called wrong.

f may be steep there.
"""


@dataclass(frozen=True, eq=False)
class Slopes:
    """Slopes of f at x along given directions, by the gradient g and by differences.

    value: f(x); step: h₀, relative to the directions; middle: the median size of the
    components of x; scatter: the noise of f along the first direction, 0 before that is
    known.
    """

    f: Checked
    x: Array
    g: Array
    value: float
    step: float
    middle: float
    scatter: float

    def first(self, v: Array) -> tuple[Line, Slope, tuple[Array, Array]]:
        """The values of f along v, the slope, and the remainders of order 1 and 2, (k,) each.

        Components of v are set to zero where x is zero, unless x is zero as a whole. If
        f can be evaluated on neither side and x is not zero, the error of f is raised.
        """
        v = np.where(self.x == 0.0, 0.0, v) if self.x.any() else v
        line = self._shortened(v, STEPS, True)
        ahead, behind = line.sides
        if not (ahead or behind) and self.x.any() and line.error is not None:
            raise line.error
        derivative = dot(self.g, v)
        gap = line.backward - self.value if behind and not ahead else line.forward - self.value
        slope = -derivative if behind and not ahead else derivative
        remainders = np.abs(gap), np.abs(gap - line.steps * slope)
        return line, self._slope("v", line, derivative), remainders

    def further(self, what: str, v: Array) -> list[Slope]:
        """The slope along another direction, without zero components; [] if f fails there."""
        v = np.where(self.x == 0.0, 0.0, v)
        line = self._shortened(v, FEWER, True)
        return (
            [self._granted(what, line, dot(self.g, v), *line.difference())]
            if any(line.sides)
            else []
        )

    def zeros(self, v: Array, indices: Array, halvings: int) -> tuple[list[Slope], int]:
        """Slopes along components that are zero, and the number that cannot be moved.

        indices: positions of the components. All of them are moved together. If f
        cannot be evaluated there, they are divided into halves, `halvings` times at
        most.
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
        """The slope along v, with steps long enough to be seen above rounding.

        The right size of a component that is zero is unknown. While the difference is
        rounding, the steps grow from min(1, middle) to max(1, middle). Returns None if
        f can be evaluated on neither side, and if its differences do not settle, like
        those of √x at 0.
        """
        best, steeper = None, False
        for scale in sorted({min(1.0, self.middle), 1.0, self.middle}):
            line = self._shortened(scale * v, FEWER, False)
            if not any(line.sides):
                break
            found = self._beside_zero(what, line, dot(self.g, scale * v))
            if not found.relative_error <= TOLERANCE:
                found = self._nearer(what, scale * v, found.difference) or found
            trusted = 1e-3 * abs(found.difference) >= found.uncertain
            if best is not None and scale > 1.0 and not trusted:
                break  # The difference by so long a step must have settled.
            best, steeper = found, line.steeper
            if found.uncertain <= 1e-2 * max(abs(found.difference), abs(found.derivative)):
                break
        return None if best is not None and steeper and _unsettled(best) else best

    def _shortened(self, v: Array, count: int, both: bool) -> Line:
        """f along v, with shorter steps if f fails on both sides, or, if `both`, on either side."""
        lines = list[Line]()
        for shorter in SHORTER:
            lines.append(self._line(v, shorter * self.step * 0.5 ** np.arange(count)))
            if all(lines[-1].sides) or (any(lines[-1].sides) and not both):
                return lines[-1]
        return next((line for line in lines if any(line.sides)), lines[0])

    def _nearer(self, what: str, v: Array, farther: float) -> Slope | None:
        """The slope by shorter steps, if g·v agrees; farther: the difference by usual steps.

        At a density of zero nearly nothing holds a structure, and f changes by decades
        within the usual step. The difference by shorter steps must then differ from
        `farther` by more than rounding; if f is smooth, the two are equal, and None is
        returned.
        """
        for nearer in NEARER:
            line = self._line(v, nearer * self.step * 0.5 ** np.arange(FEWER))
            if any(line.sides):
                found = self._beside_zero(what, line, dot(self.g, v))
                another = (
                    TOLERANCE * max(abs(found.difference), abs(farther))
                    + RESOLVED**2 * found.uncertain
                )
                if found.relative_error <= TOLERANCE and abs(found.difference - farther) > another:
                    return found
        return None

    def _beside_zero(self, what: str, line: Line, derivative: float) -> Slope:
        """The slope at a component that is zero, where f may have a kink.

        At a kink any slope between the two one-sided derivatives is right: of max(0, x)
        at zero any slope from 0 to 1.
        """
        found = self._granted(what, line, derivative, *line.difference())
        if all(line.sides) and not found.relative_error <= TOLERANCE:
            (ahead, changed), (behind, more) = line.one_sided(True), line.one_sided(False)
            if abs(ahead - behind) > RESOLVED * (line.rounding + changed + more):
                nearest = float(np.clip(derivative, min(ahead, behind), max(ahead, behind)))
                found = self._granted(what, line, derivative, nearest, changed + more)
        return found

    def _slope(self, what: str, line: Line, derivative: float) -> Slope:
        """The slope along the first direction; a gap within rounding is not counted."""
        difference = line.difference()[0]
        uncertain = line.rounding + RESOLVED * line.jitter / float(line.steps[-1])
        size = max(abs(derivative), abs(difference))
        # The second term: at a stationary point the gap is rounding throughout.
        scale = max(size, uncertain / TOLERANCE, TINY)
        error = abs(derivative - difference) / scale
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _granted(
        self, what: str, line: Line, derivative: float, difference: float, change: float
    ) -> Slope:
        """The slope along a further direction; a gap within the uncertainty is not counted.

        Along further directions f may change by little more than its rounding and than
        the error of an iteration. change: the change of the difference by the last
        extrapolation.
        """
        uncertain = max(line.rounding + change, self.scatter / float(line.steps[-1]))
        size = max(abs(derivative), abs(difference))
        error = max(abs(derivative - difference) - RESOLVED * uncertain, 0.0) / max(size, TINY)
        error = error if np.isfinite(difference) else np.nan
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _line(self, v: Array, steps: Array) -> Line:
        """f along x ± h v for the steps h, (k,)."""
        return evaluated(self.f, self.x, self.value, v, steps)


def _unsettled(slope: Slope) -> bool:
    """True if a difference contradicts g·v but changes too much from step to step."""
    size = max(abs(slope.difference), abs(slope.derivative))
    apart = abs(slope.difference - slope.derivative) > APART * size
    return bool(apart and UNSETTLED * size < slope.uncertain < size)
