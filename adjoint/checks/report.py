"""Reports of Taylor tests: measured numbers, the verdict, and the table for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..typing import Array
from .tolerances import CONVINCING, SHORT, TOLERANCE, TRANSPOSED

CAUSES = """\
Usual causes:
  a vjp without its transpose, or with a wrong sign or factor
  an objective without its derivative ∂J/∂p
  a parameter that appears in comparisons only (a switching time, `if t > p[2]`): its derivative
  is silently zero; give the switching time to breaks= of the initial value problem"""


@dataclass(frozen=True, eq=False)
class CheckReport:
    """Measured remainders |f(x+hv) − f(x) − h g·v|, slopes g·v and ⟨Dv, w⟩ − ⟨v, Dᵀw⟩.

    `check` returns the report of a gradient g, and `check_hvp` the report of a Hessian
    product v ↦ Hv. ``print(report)`` shows the numbers and the verdict.

    Parameters
    ----------
    steps : (k,) array
        Steps h, relative to the direction v, from the longest to the shortest.
    first : (k,) array
        |f(x+hv) − f(x)|, in the units of f, of order 1 in h. For `check_hvp`: |f(x+hv) −
        f(x) − h g·v|, of order 2.
    second : (k,) array
        |f(x+hv) − f(x) − h g·v|, in the units of f, of order 2 in h. For `check_hvp`:
        |f(x+hv) − f(x) − h g·v − ½h² v·Hv|, of order 3.
    orders : (float, float)
        Measured orders of `first` and `second`. If all remainders are rounding, these are
        the expected orders.
    derivative : float
        g·v along the first direction, in the units of f. For `check_hvp`: w·Hv.
    difference : float
        Extrapolated central difference of f along v. For `check_hvp`:
        extrapolated central difference of w·∇f along v.
    relative_error : float
        Largest relative error between derivative and difference, of all directions.
    dot_product_error : float or None
        |⟨Dv, w⟩ − ⟨v, Dᵀw⟩| divided by ‖Dv‖‖w‖, where D is the derivative of the state
        with respect to x. None if the points of f have no state. For `check_hvp`: |⟨Hv,
        w⟩ − ⟨v, Hw⟩| divided by the sum of the absolute terms.
    seed : int
        Seed of the random directions.
    expected : (float, float)
        Orders of `first` and `second` for a right derivative; default (1, 2).
    slopes : sequence of Slope
        Derivative and difference along each direction; default ().
    unmoved : int
        Number of components of x that are zero and next to which f cannot be evaluated.
        These components are not tested; default 0.
    linearity_error : float or None
        ‖H(2v − w) − 2Hv + Hw‖ divided by the sum of the terms; None for a gradient.
    labels : Labels or None
        Words of the table; None stands for the words of a gradient.
    """

    steps: Array
    first: Array
    second: Array
    orders: tuple[float, float]
    derivative: float
    difference: float
    relative_error: float
    dot_product_error: float | None
    seed: int
    expected: tuple[float, float] = (1.0, 2.0)
    slopes: Sequence["Slope"] = ()
    unmoved: int = 0
    linearity_error: float | None = None
    labels: "Labels | None" = None

    def __repr__(self) -> str:
        orders = ", ".join(f"{order:.2f}" for order in self.orders)
        identity = "None" if self.dot_product_error is None else f"{self.dot_product_error:.1e}"
        return (
            f"CheckReport(ok={self.ok}, orders=({orders}), "
            f"relative_error={self.relative_error:.1e}, dot_product_error={identity})"
        )

    def __str__(self) -> str:
        """The table, so that ``print(report)`` shows the numbers."""
        return self.table()

    @property
    def ok(self) -> bool:
        """True if all components of x were tested and the derivative is right.

        A derivative is right if the remainder has its order (within 0.1), the slopes
        agree with differences to 1e-5, and the dot-product error is at most 1e-8.
        Slopes that agree to 1e-6 count whatever the order is.
        """
        return self._right and self.unmoved == 0

    @property
    def _right(self) -> bool:
        """True if the derivative is right along all directions that were tested."""
        labels = self._labels
        # The order alone does not decide: if f is nearly linear, the remainder is the
        # error of the solves, which has no order; near an inflection the order is
        # between two integers; if f cannot be evaluated along v, it is unknown.
        smooth = self.orders[1] >= self.expected[1] - SHORT or self.relative_error <= CONVINCING
        smooth = smooth or not np.isfinite(self.second).all()
        errors = (self.dot_product_error, self.linearity_error)
        consistent = all(error is None or error <= labels.consistent for error in errors)
        return smooth and self.relative_error <= TOLERANCE and consistent

    @property
    def _labels(self) -> "Labels":
        return self.labels or GRADIENT

    def table(self) -> str:
        """Return the measured numbers and the verdict as lines of text, for a terminal."""
        labels = self._labels
        lines = [f"         h    {labels.first}    {labels.second}"]
        width = len(labels.first)
        rows = zip(self.steps, self.first, self.second, strict=True)
        lines += [f"{h:10.2e}    {first:{width}.6e}  {second:12.4e}" for h, first, second in rows]
        pairs = zip(self.orders, self.expected, strict=True)
        expected = [f"{order:.2f} (expected {wanted:.0f})" for order, wanted in pairs]
        lines += [
            f"orders     {', '.join(expected)}",
            f"{labels.derivative}{self.derivative:.12e}",
            f"difference {self.difference:.12e}  (relative error {self._first_error:.1e})",
        ]
        if self.slopes and self.slopes[0].zero:
            lines[-1] += labels.nothing
        lines += [str(slope) for slope in self.slopes[1:]]
        if self.dot_product_error is None:
            lines.append("no dot-product test: the points have no state with jvp and vjp")
        else:
            lines.append(f"{labels.identity}  {self.dot_product_error:.1e} {labels.norms}")
        if self.linearity_error is not None:
            lines.append(f"H(2v-w) - 2Hv + Hw  {self.linearity_error:.1e} of the terms")
        return "\n".join([*lines, self._verdict])

    @property
    def _first_error(self) -> float:
        """Relative error of the derivative along the first direction."""
        return self.slopes[0].relative_error if self.slopes else self.relative_error

    @property
    def _verdict(self) -> str:
        """The verdict, as the last lines of the table."""
        what = self._labels.what
        if not self._right and not (self.unmoved and not np.isfinite(self.relative_error)):
            return f"THE {what.upper()} IS WRONG (or f is not smooth here)\n{self._labels.causes}"
        if self.unmoved:
            return (
                f"NOT ALL WAS TESTED: {self.unmoved} components of x are zero, and f cannot be "
                "evaluated next to zero there; check at an x without zeros"
            )
        return f"the {what} is right"


@dataclass(frozen=True, eq=False)
class Slope:
    """The derivative of f along one direction v, by the gradient and by differences.

    what: name of the direction; derivative: g·v, or w·Hv for `check_hvp`; difference:
    extrapolated difference; uncertain: estimated error of the difference (rounding, and
    truncation if known); relative_error: relative distance of derivative and difference;
    zero: True if derivative and difference are rounding; product: name of the derivative,
    "g.v" or "w.Hv".
    """

    what: str
    derivative: float
    difference: float
    uncertain: float
    relative_error: float
    zero: bool
    product: str = "g.v"

    def __str__(self) -> str:
        nothing = (
            f"; {self.product.replace('.', '·')} is zero, nothing was tested" if self.zero else ""
        )
        wrong = not self.relative_error <= TOLERANCE
        by_differences = f"difference {self.difference:.6e}, " if wrong else ""
        return (
            f"{self.what}: {self.product} {self.derivative:.6e}, {by_differences}relative error "
            f"{self.relative_error:.1e}{nothing}"
        )


@dataclass(frozen=True)
class Labels:
    """Words of a report for one kind of derivative (gradient or Hessian–vector product).

    consistent: the largest dot-product error of a right derivative.
    """

    what: str
    first: str
    second: str
    derivative: str
    identity: str
    norms: str
    nothing: str
    causes: str
    consistent: float


GRADIENT = Labels(
    "gradient",
    "|f(x+hv) - f(x)|",
    "... - h g.v",
    "g.v        ",
    "<Dv,w> - <v,D'w>",
    "of ||Dv|| ||w||",
    nothing="; g·v is zero, nothing was tested",
    causes=CAUSES,
    consistent=TRANSPOSED,
)
