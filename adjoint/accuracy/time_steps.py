"""The error of J and of its gradient that time steps leave, and the error of their solver.

All steps of a trajectory are halved twice, without error control. The differences of the
three gradients show the error of the steps; the ratio of the differences shows that the
error falls with the steps. The error of the solver stands apart: it is the change by
the same steps with stages that are solved more accurately.

See docs/math/accuracy.md. Embedded formulas are not used: they estimate
the error of a less accurate method. On Lotka–Volterra (Tsit5 and DOP853, rtol 1e-3 to
1e-9) the embedded error, weighted by the adjoint state, was 1.4 to 500 times the error
of J, and often of the other sign.

References: Hairer, Nørsett & Wanner (1993), Solving ODEs I, sections II.4 and II.8
(extrapolation to h = 0); Sandu (2006), Lecture Notes in Computer Science 3994, 82
(order of discrete adjoints).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._numerics import dot, size_of
from ..errors import SolveError
from ..objectives import checked_gradients
from ..protocols import Objective, RefinableSolution, Solution
from ..typing import Array
from .accuracy import Accuracy, AccuracyStatus

ROUNDING = 100.0 * float(np.finfo(float).eps)
"""Relative rounding error of a gradient: ε √N after N = 10⁴ steps."""

FALLING = 0.6
"""Largest ratio of the second difference to the first difference at which the error falls
with the steps. The ratio is ½ for order 1, and ¼ for order 2."""

NEGLIGIBLE = 0.01
"""Ratio up to which the second difference may have the opposite direction. Behind a jump or
a kink of f inside of a step, differences of opposite direction were observed with ratios
from 0.03 on, and the error was up to 34 times the estimate."""

ALIGNED = 0.7
"""Smallest cosine of the angle between the two differences. The error of short steps is
C h^q with one vector C. The differences of a chaotic trajectory have any direction."""

SMALL_ERROR = 0.1
"""Error relative to the gradient above which the steps are also divided by eight. A larger
error may be right: a gradient that is zero for exact solutions is nothing but error. Two
differences of a chaotic trajectory may fall by chance."""

ACCEPTED = "Accepted: the error falls with the steps as expected."
"""The reason of an accepted estimate."""

ABOVE = 10.0
"""Ratio of a difference to the errors of the solver and of rounding above which the
difference is an effect of the steps."""


@dataclass(frozen=True, eq=False)
class Limit:
    """A number for shorter and shorter steps: its limit, and how it converges.

    Parameters
    ----------
    limit : array
        The number, extrapolated to steps of length zero.
    first : float
        Size of the difference between the numbers for whole and for half steps.
    ratio : float
        Size of the next difference, relative to `first`.
    agree : bool
        True if both differences have the same direction (the cosine of their angle is at
        least ALIGNED), or if the second difference is negligible.
    """

    limit: Array
    first: float
    ratio: float
    agree: bool

    @classmethod
    def of(cls, whole: Array, half: Array, quarter: Array, direction: Array | None) -> "Limit":
        """Return the limit of three vectors; direction: v to measure products with v, or None.

        The ratio is measured, and not taken from the order of the method, because stiff
        problems reduce this order.
        """
        d, e = half - whole, quarter - half
        first, second = measured(d, direction), measured(e, direction)
        along = dot(d, e) if direction is None else dot(d, direction) * dot(e, direction)
        ratio = second / first if first > 0.0 else 0.0
        agree = bool(along >= ALIGNED * first * second or ratio <= NEGLIGIBLE)
        rest = np.copysign(ratio, along) if ratio <= FALLING else 0.0
        return cls(quarter + rest / (1.0 - rest) * e, first, ratio, agree)

    def status(self, noise: float, parts: int) -> tuple[AccuracyStatus, str]:
        """Return the status of the estimate, and a reason unless it is accepted.

        noise: the errors of the solver and of rounding. parts: number of parts of a step in
        `half`, for the reason. The error may be larger than the
        number, for example than a gradient that is zero for exact solutions.
        """
        if self.agree and self.ratio <= FALLING and self.first > ABOVE * noise:
            return AccuracyStatus.ACCEPTED, ""
        if max(1.0, self.ratio) * self.first <= ABOVE * noise:
            return AccuracyStatus.ROUNDING, (
                "Rounding: the error of the time steps is as small as the error of their solver, "
                "or as rounding; its order of magnitude is known."
            )
        turned = "" if self.agree else " in another direction"
        return AccuracyStatus.REFUSED, (
            f"steps divided by {parts} change the gradient by {self.first:.1e}, and steps divided "
            f"by {2 * parts} by {self.ratio:.1e} of this change{turned}, "
            f"accepted is {FALLING} in the same direction. Usual causes: a jump or a kink of f "
            "where no step ends (remedy: breaks=…); long steps, whose error does not fall with "
            "their length yet (remedy: a smaller rtol); a chaotic trajectory (remedy: a shorter "
            "interval)."
        )


def measured(g: Array, direction: Array | None) -> float:
    """Return ‖g‖₂, or |Re(gᴴ v)| with a direction v."""
    return size_of(g) if direction is None else abs(dot(g, direction))


def time_step_accuracy(
    solution: RefinableSolution,
    objective: Objective,
    gradient: Array,
    pulled_back: Callable[[Array], Array],
    direction: Array | None,
) -> Accuracy:
    """Return the estimate for a solution of time steps, by two or three more integrations.

    The steps are halved and quartered. With their gradients the estimate costs about 6
    times as much as the value and the gradient (7 times for implicit methods). Where the
    error is above SMALL_ERROR of the gradient, the steps are also divided by eight, which
    costs 8 times as much in addition.

    gradient: df/dx, (m_x,), as computed. pulled_back: the map from df/dp to df/dx.
    direction: v, (m_x,), to estimate |δg·v|; None for ‖δg‖₂.
    """
    value, p = float(objective.value(solution.u, solution.p)), solution.p

    def evaluated(at: Solution) -> tuple[Array, Array]:
        """Return J, (1,), and df/dx, (m_x,)."""
        u_bar, p_bar = checked_gradients(objective, at.u, p)
        df_dp = np.asarray(at.vjp(u_bar)) + p_bar
        return np.array([float(objective.value(at.u, p))]), pulled_back(df_dp)

    try:
        sharp = solution.sharpened()
        J, g = (np.array([value]), gradient) if sharp is solution else evaluated(sharp)
        (J_half, g_half), (J_quarter, g_quarter) = (
            evaluated(sharp.refined(parts)) for parts in (2, 4)
        )
        of_g = Limit.of(g, g_half, g_quarter, direction)
        finer = of_g
        if not of_g.first <= SMALL_ERROR * measured(g_quarter, direction):
            finer = Limit.of(g_half, g_quarter, evaluated(sharp.refined(8))[1], direction)
    except SolveError as error:
        return _refused(f"an integration by shorter steps failed: {error}", gradient, {})
    of_J = Limit.of(J, J_half, J_quarter, None)
    size = size_of(gradient) if direction is None else dot(np.abs(gradient), np.abs(direction))
    solver, rounding = measured(g - gradient, direction), ROUNDING * size
    parts = {
        "time_step": max(measured(of_g.limit - g, direction), of_g.first),
        "solver": solver,
        "rounding": rounding,
    }
    status, reason = of_g.status(solver + rounding, 2)
    if status is AccuracyStatus.ACCEPTED:
        again, doubt = finer.status(solver + rounding, 4)
        if again is AccuracyStatus.REFUSED:
            status, reason = again, doubt
    if status is AccuracyStatus.REFUSED:
        return _refused(reason, gradient, parts, of_g.ratio)
    accepted = status is AccuracyStatus.ACCEPTED
    value_error, corrected, value_status = _value_error(of_J, value, float(J[0]))
    return Accuracy(
        status,
        reason or ACCEPTED,
        measured(of_g.limit - gradient, direction)
        if accepted
        else max(of_g.first, solver, rounding),
        value_status,
        value_error,
        corrected,
        of_g.limit if accepted else gradient,
        parts,
        of_g.ratio,
        float("nan"),
        np.zeros(0),
    )


def _value_error(found: Limit, value: float, sharp: float) -> tuple[float, float, AccuracyStatus]:
    """Return the error of J, the corrected J, and the status of both.

    value, sharp: J as computed, and J by more accurate stages.
    """
    solver, rounding = abs(sharp - value), ROUNDING * abs(value)
    status, _ = found.status(solver + rounding, 2)
    if status is AccuracyStatus.REFUSED:
        return float("nan"), float("nan"), status
    if status is AccuracyStatus.ROUNDING:
        return max(found.first, solver, rounding), value, status
    limit = float(found.limit[0])
    return abs(limit - value), limit, status


def _refused(
    reason: str, gradient: Array, parts: dict[str, float], ratio: float = float("nan")
) -> Accuracy:
    """Return an estimate without numbers."""
    nan, refused = float("nan"), AccuracyStatus.REFUSED
    nothing, text = np.full(gradient.shape, nan), f"{refused.value[:-1]}: {reason}"
    return Accuracy(refused, text, nan, refused, nan, nan, nothing, parts, ratio, nan, np.zeros(0))
