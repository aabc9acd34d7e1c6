"""The error of J and of its gradient that time steps and their solvers leave.

The steps of a trajectory are halved twice, without error control. The differences of the
three gradients show the error of the steps; their ratio shows that the error falls. The
error of the solver stands apart: the same steps, with stages that are solved more
accurately.

See docs/math/accuracy.md. Embedded formulas are not used: they estimate the error of a
less accurate method, which was 1.4 to 500 times the error of J, sometimes of the other
sign (Lotka–Volterra, Tsit5 and DOP853, rtol 1e-3 … 1e-9).

References: Hairer, Nørsett & Wanner (1993), Solving ODEs I, section II.4 (extrapolation
to h = 0); Sandu (2006), Lecture Notes in Computer Science 3994, 82 (order of discrete
adjoints).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._numerics import size_of
from ..errors import SolveError
from ..objectives import checked_gradients
from ..protocols import Objective, RefinableSolution, Solution
from ..typing import Array
from .accuracy import Accuracy, AccuracyStatus

EPS = float(np.finfo(float).eps)
"""The machine precision ε."""

FALLING = 0.6
"""Largest ratio of the second difference to the first one at which the error of the steps
falls: ½ for order 1, ¼ for order 2."""

LARGEST = 0.1
"""Largest error of the gradient, relative to the gradient, that is accepted."""

ABOVE = 10.0
"""Ratio of a difference to the errors of the solver and of rounding above which the
difference is an effect of the steps."""

Measure = Callable[[Array], float]
"""The size of an error of the gradient: its norm, or its product with a direction."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """J and its gradient, (m_x,), for one choice of the steps."""

    value: float
    gradient: Array


@dataclass(frozen=True, eq=False)
class Limit:
    """A number for shorter and shorter steps: its limit, and how it converges.

    limit: extrapolated to steps of length zero. error: distance of the first number from
    the limit. first, ratio: the first difference, and the second one relative to the first.
    """

    limit: Array
    error: float
    first: float
    ratio: float

    @classmethod
    def of(cls, numbers: tuple[Array, Array, Array], measure: Measure) -> "Limit":
        """Return the limit of three numbers, by the ratio of their two differences.

        The ratio is measured, because stiff problems reduce the order of a method.
        """
        g0, g1, g2 = numbers
        first, second = measure(g1 - g0), measure(g2 - g1)
        ratio = second / first if first > 0.0 else 0.0
        rest = ratio / (1.0 - ratio) if ratio <= FALLING else 0.0
        limit = g2 + rest * (g2 - g1)
        return cls(limit, measure(limit - g0), first, ratio)


def time_step_accuracy(
    solution: RefinableSolution,
    objective: Objective,
    p: Array,
    value: float,
    gradient: Array,
    pulled_back: Callable[[Array], Array],
    measure: Measure,
) -> Accuracy:
    """Return the estimate for a solution of time steps, by three more integrations.

    The steps are divided by 2 and by 4: with the gradients, the estimate costs about 7
    times as much as the value and the gradient, 6 times for explicit methods.

    value, gradient: J and df/dx, (m_x,), as computed. pulled_back: the map from df/dp to
    df/dx. measure: the size of an error of df/dx.
    """

    def evaluated(at: Solution) -> Evaluated:
        u_bar, p_bar = checked_gradients(objective, at.u, p)
        return Evaluated(
            float(objective.value(at.u, p)), pulled_back(np.asarray(at.vjp(u_bar)) + p_bar)
        )

    try:
        sharp = solution.sharpened()
        same = sharp is solution
        base = Evaluated(value, gradient) if same else evaluated(_as_solution(sharp))
        finer = [evaluated(sharp.refined(parts)) for parts in (2, 4)]
    except (SolveError, ValueError) as error:
        return _refused(f"a refined integration failed: {error}", gradient, {})
    numbers = (base, *finer)
    of_g = Limit.of((base.gradient, finer[0].gradient, finer[1].gradient), measure)
    values = [np.array([found.value]) for found in numbers]
    of_J = Limit.of((values[0], values[1], values[2]), size_of)
    rounding = EPS * max(measure(gradient), size_of(gradient))
    solver = measure(base.gradient - gradient)
    parts = {"time_step": of_g.error, "solver": solver, "rounding": rounding}
    status, reason = _verdict(of_g, solver + rounding, size_of(gradient))
    if status is AccuracyStatus.REFUSED:
        return _refused(reason, gradient, parts, of_g.ratio)
    accepted = status is AccuracyStatus.ACCEPTED
    noise = abs(base.value - value) + EPS * abs(value)
    value_status, _ = _verdict(of_J, noise, np.inf)
    J = float(of_J.limit[0])
    J_error = of_J.error if value_status is AccuracyStatus.ACCEPTED else of_J.first
    if value_status is AccuracyStatus.REFUSED:
        J = J_error = noise = float("nan")
    return Accuracy(
        status,
        reason or status.value,
        measure(of_g.limit - gradient) if accepted else max(of_g.first, solver, rounding),
        value_status,
        J_error + noise,
        J,
        of_g.limit if accepted else gradient,
        parts,
        of_g.ratio,
        float("nan"),
        np.zeros(0),
    )


def _verdict(found: Limit, noise: float, size: float) -> tuple[AccuracyStatus, str]:
    """Return the status of an estimate, and the reason if it is refused.

    noise: the errors of the solver and of rounding. size: the norm of the gradient.
    """
    if found.ratio <= FALLING and found.first > ABOVE * noise:
        if found.error <= LARGEST * size:
            return AccuracyStatus.ACCEPTED, ""
        return AccuracyStatus.REFUSED, (
            f"the error is {found.error / size:.1e} of the gradient, accepted is {LARGEST}. "
            "Remedy: a smaller rtol."
        )
    if max(1.0, found.ratio) * found.first <= ABOVE * noise:
        return AccuracyStatus.ROUNDING, ""
    return AccuracyStatus.REFUSED, (
        f"with half steps the gradient changes by {found.first:.1e}, with quarter steps by "
        f"{found.ratio:.1e} of that, accepted is {FALLING}. Usual causes: steps so long that "
        "the error does not fall with their length yet, jumps of f where no step ends "
        "(breaks=…), a chaotic trajectory, or errors at rounding level. Remedy: a smaller "
        "rtol, or breaks."
    )


def _as_solution(sharp: RefinableSolution) -> Solution:
    return sharp  # type: ignore[return-value]


def _refused(
    reason: str, gradient: Array, parts: dict[str, float], ratio: float = float("nan")
) -> Accuracy:
    """Return an estimate without numbers."""
    nan, refused = float("nan"), AccuracyStatus.REFUSED
    nothing = np.full(gradient.shape, nan)
    text = f"{refused.value[:-1]}: {reason}"
    return Accuracy(
        refused, text, nan, refused, nan, nan, nothing, parts, ratio, nan, np.zeros(0)
    )
