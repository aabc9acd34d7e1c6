"""Values of f along a line x ± h v: rounding, scatter, and the derivative by differences."""

from dataclasses import dataclass

import numpy as np

from ..typing import Array
from .extrapolation import limit
from .points import Checked, value_of
from .tolerances import NOISE

SHORTEST = 4
"""Number of short steps from which the noise of f is estimated.

The truncation error of these steps is negligible. The number is one more than the
number of coefficients that are fitted.
"""

UNSETTLED = 0.02
"""Relative change above which an extrapolated difference has not settled."""

FAILED = (RuntimeError, ValueError, ArithmeticError)
"""Errors of f outside its domain: SolveError, NonFinite, the logarithm of −1."""


@dataclass(frozen=True, eq=False)
class Line:
    """The values f(x + h v), (k,), and f(x − h v), (k,), for k steps h; centre: f(x).

    The longest step comes first. If f cannot be evaluated at a step, the values of this
    step and of all later steps are nan. error: the error that f raised at this step, or
    None.
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
        """Rounding error of the difference quotient with the shortest step."""
        return self.noise / float(self.steps[-1])

    @property
    def sides(self) -> tuple[bool, bool]:
        """(ahead, behind): True if f was evaluated at all points x + h v, or x − h v."""
        return bool(np.isfinite(self.forward).all()), bool(np.isfinite(self.backward).all())

    @property
    def steeper(self) -> bool:
        """True if the difference quotients on a side grow for shorter steps, like √h / h at 0."""
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
        """Distance of the values from a smooth curve; 0 if f failed on both sides.

        The cause of this distance is usually an iterative solve.
        """
        return self._scatter(self.steps.size)

    @property
    def jitter(self) -> float:
        """The scatter of the shortest steps; 0 unless f was evaluated on both sides.

        Truncation adds little to this number. The number may be too low, because it is
        computed from few values.
        """
        return self._scatter(SHORTEST) if all(self.sides) else 0.0

    def _scatter(self, count: int) -> float:
        """Twice the largest distance of the last `count` values from a fitted polynomial.

        The polynomial has fewer coefficients than there are values. The polynomial is odd
        in h if f was evaluated on both sides.
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
        """Return the derivative of f along v by differences, and an estimate of its error.

        The difference is central if f was evaluated on both sides, and one-sided if f was
        evaluated on one side. Otherwise both numbers are nan.
        """
        ahead, behind = self.sides
        if ahead and behind:
            return limit((self.forward - self.backward) / (2.0 * self.steps), 4.0)
        if ahead or behind:
            return self.one_sided(ahead)
        return np.nan, np.nan

    def one_sided(self, ahead: bool) -> tuple[float, float]:
        """Return the derivative of f along v from one side, and an estimate of its error."""
        gaps = self.forward - self.centre if ahead else self.centre - self.backward
        return limit(gaps / self.steps, 2.0)


def line_through(f: Checked, x: Array, value: float, v: Array, steps: Array) -> Line:
    """Evaluate f at x ± h v for the steps h, (k,); value: f(x)."""
    forward, error = _values(f, x, v, steps)
    backward, other = _values(f, x, -v, steps)
    return Line(steps, forward, backward, value, error or other)


def _values(f: Checked, x: Array, v: Array, steps: Array) -> tuple[Array, Exception | None]:
    """Return f(x + h v), (k,), and the error that f raised, or None.

    The longest step comes first. If f cannot be evaluated at a step, the values of this
    step and of all later steps are nan.
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
