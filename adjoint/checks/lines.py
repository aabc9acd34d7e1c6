"""Values of f along a line x ± h v: rounding, scatter, and the derivative by differences."""

from dataclasses import dataclass

import numpy as np

from ..typing import Array
from .extrapolation import limit
from .points import Checked, value_of
from .tolerances import NOISE

SHORTEST = 4
"""Number of short steps from which the noise of f is estimated.

Truncation plays no part in them. The number is one more than the number of coefficients
that are fitted.
"""

UNSETTLED = 0.02
"""Relative change of an extrapolated difference above which it has not settled."""

FAILED = (RuntimeError, ValueError, ArithmeticError)
"""Errors of f outside its domain: SolveError, NonFinite, the logarithm of −1."""


@dataclass(frozen=True, eq=False)
class Line:
    """f(x + h v) and f(x − h v) for the steps h, (k,) each; centre: f(x).

    Values are nan from the first step on at which f cannot be evaluated. error: the
    error that f raised there, or None.
    """

    steps: Array
    forward: Array
    backward: Array
    centre: float
    error: Exception | None

    @property
    def noise(self) -> float:
        """Rounding error of a value of f."""
        values = np.abs([self.centre, *self.forward, *self.backward])
        return NOISE * float(values[np.isfinite(values)].max(initial=0.0))

    @property
    def rounding(self) -> float:
        """Rounding error of a difference with the shortest step."""
        return self.noise / float(self.steps[-1])

    @property
    def sides(self) -> tuple[bool, bool]:
        """(ahead, behind): True if f was evaluated at all points of that side."""
        return bool(np.isfinite(self.forward).all()), bool(np.isfinite(self.backward).all())

    @property
    def steeper(self) -> bool:
        """True if the differences on a side grow as steps get shorter, like those of √x at 0."""
        for values, finite in zip((self.forward, self.backward), self.sides, strict=True):
            if finite:
                slopes = np.abs(values - self.centre) / self.steps
                if (
                    slopes[-1]
                    > (1.0 + UNSETTLED) * slopes[-2]
                    > (1.0 + UNSETTLED) ** 2 * slopes[-3]
                ):
                    return True
        return False

    @property
    def scatter(self) -> float:
        """Distance of the values from a smooth curve, caused by iterations; 0 if unknown."""
        return self._scatter(self.steps.size)

    @property
    def jitter(self) -> float:
        """The scatter of the shortest steps; 0 unless both sides are known.

        Truncation adds little to this number, but the number may be too low: it has few
        values.
        """
        return self._scatter(SHORTEST) if all(self.sides) else 0.0

    def _scatter(self, count: int) -> float:
        """Twice the largest distance of the last `count` values from a fitted polynomial.

        The polynomial has fewer coefficients than there are values. It is odd in h if
        both sides are known.
        """
        ahead, behind = self.sides
        if not (ahead or behind):
            return 0.0
        gaps = self.forward - self.centre if ahead else self.backward - self.centre
        odd = ahead and behind
        values, powers = (
            ((self.forward - self.backward) / 2.0, [1, 3, 5])
            if odd
            else (gaps, [1, 2, 3, 4][: count - 1])
        )
        V = (self.steps[-count:] / self.steps[-count])[:, None] ** np.array(powers)
        return 2.0 * float(
            np.abs(values[-count:] - V @ np.linalg.lstsq(V, values[-count:])[0]).max()
        )

    def difference(self) -> tuple[float, float]:
        """The derivative of f along v, and its change by the last extrapolation.

        The difference is central if both sides are known, one-sided if one side is, nan
        if none is.
        """
        ahead, behind = self.sides
        if ahead and behind:
            return limit((self.forward - self.backward) / (2.0 * self.steps), 4.0)
        if ahead or behind:
            return self.one_sided(ahead)
        return np.nan, np.nan

    def one_sided(self, ahead: bool) -> tuple[float, float]:
        """The derivative of f along v from the values on one side, and its change."""
        gaps = self.forward - self.centre if ahead else self.centre - self.backward
        return limit(gaps / self.steps, 2.0)


def line_through(f: Checked, x: Array, value: float, v: Array, steps: Array) -> Line:
    """f along x ± h v for the steps h, (k,); value: f(x)."""
    forward, error = _values(f, x, v, steps)
    backward, other = _values(f, x, -v, steps)
    return Line(steps, forward, backward, value, error or other)


def _values(f: Checked, x: Array, v: Array, steps: Array) -> tuple[Array, Exception | None]:
    """f(x + h v), (k,), and the error that f raised, or None.

    The longest step comes first. Values are nan from the first step on at which f
    cannot be evaluated.
    """
    values = np.full(steps.size, np.nan)
    for i, h in enumerate(steps):
        try:
            # NumPy need not warn of a logarithm outside its domain: nan is looked for
            # below.
            with np.errstate(all="ignore"):
                values[i] = value_of(f(x + h * v))
        except FAILED as error:
            return values, error
        if not np.isfinite(values[i]):
            return values, None
    return values, None
