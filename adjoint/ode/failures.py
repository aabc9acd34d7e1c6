"""Errors of integrations that cannot continue, and of derivatives that do not exist."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..errors import (
    NoConvergenceError,
    NonFinite,
    NonFiniteField,
    SolveError,
    StageFailure,
    StepTooSmall,
    integration_failure,
)
from ..typing import Array
from .equations import System

SEARCHED = 200
"""Largest number of unknowns for which `_component` searches the unknown at the edge of the
domain of f. It moves each unknown, with two Jacobians per unknown.
"""


@dataclass(frozen=True, eq=False)
class RejectedStep:
    """A rejected step from (t, u) over h.

    error: the estimated error of the step, which may be nan; None if the stages of the
    step could not be computed. cause: the exception of a factorization or of the user's
    jacobian, None without such an exception.
    """

    t: float
    h: float
    u: Array
    error: float | None
    cause: Exception | None


def step_failure(
    system: System, last: RejectedStep | None, t: float, h: float, steps: int
) -> SolveError:
    """The error for an integration that stops at t because even a step of length h fails.

    last: the last rejected step. steps: number of accepted steps.
    """
    error: SolveError
    if last is None or (last.error is not None and np.isfinite(last.error)):
        error = integration_failure(
            StepTooSmall,
            f"A step of {h:.3g} is still too long. Usual causes: a solution that blows up, a "
            "discontinuity, a wrong jacobian, tolerances below rounding.",
            t,
            steps,
        )
        return error
    finite_jacobian = _finite_jacobian(system, last)
    with np.errstate(all="ignore"):
        rates = [
            system.rate(time, last.u) for time in (last.t, last.t + 0.5 * last.h, last.t + last.h)
        ]
    nonfinite = isinstance(last.cause, NoConvergenceError) and last.cause.nonfinite
    if (
        last.error is not None
        or not all(np.isfinite(f).all() for f in rates)
        or (nonfinite and finite_jacobian)
    ):
        return integration_failure(
            NonFiniteField,
            f"The field is nan or inf after each step that was tried, down to a step of {h:.3g}.",
            t,
            steps,
        )
    causes = (
        "a solution that blows up, a wrong jacobian, a singular one (a DAE of higher index), "
        "atol = 0 for an unknown that is 0, a discontinuity"
    )
    if isinstance(last.cause, NonFinite) or not finite_jacobian:
        causes = "the jacobian of the field holds nan or inf"
    error = integration_failure(
        StageFailure,
        f"Newton's method does not converge for the stages of a step of {h:.3g}. Usual causes: "
        f"{causes}.",
        t,
        steps,
    )
    if isinstance(last.cause, SolveError):
        error.__cause__ = last.cause
    return error


def _finite_jacobian(system: System, last: RejectedStep) -> bool:
    """True if ∂f/∂u is finite at the end of the rejected step."""
    try:
        with np.errstate(all="ignore"):
            J = system.jacobian(last.t + last.h, last.u)
    except NonFinite:  # Raised by derived fields.
        return False
    return bool(np.isfinite(J.data if sparse.issparse(J) else J).all())


def require_resolution(system: System, u: Array, t: float) -> None:
    """Raise StepTooSmall if the tolerances are smaller than one ulp of u."""
    size = float(np.max(np.abs(u) * system.weights(u), initial=0.0))
    if np.finfo(float).eps * size > 1.0:
        raise integration_failure(
            StepTooSmall,
            f"The tolerances (rtol = {system.rtol:.1e}, atol = {np.min(system.atol):.1e}) are "
            "below rounding: expected an rtol of at least 1e-15.",
            t,
            0,
        )


def domain_edge_error(
    system: System,
    times: list[float],
    Y: Array,
    interval: tuple[float, float],
    number: int,
    what: str,
) -> NonFiniteField:
    """The error for derivatives of a step that are not finite.

    In such a step u touches the edge of the domain of f: sqrt, log or a power has a
    value, but no finite derivative. times, Y: times (s) and values (s, n) of the
    stages. interval: start and end of the step. number: number of the step. what: start
    of the message.
    """
    with np.errstate(all="ignore"):
        bad = [i for i in reversed(range(len(times))) if not _finite(system, times[i], Y[i])]
        place = bad[0] if bad else len(times) - 1
        component = _component(system, times[place], Y[place]) if bad else None
    where = f"in the step from t = {interval[0]:.10g} to {interval[1]:.10g}"
    if component is None:
        text = (
            f"{what} {where}: the derivatives of the field or of the integrand are nan or inf "
            "there."
        )
    else:
        text = (
            f"{what} {where}: u[{component}] = {Y[place][component]:.3g} at t = "
            f"{times[place]:.10g} has reached the edge of the field's domain, where sqrt, log or "
            "a power has a value, but its derivative is not finite."
        )
    error = NonFiniteField(
        f"{text} What to do: end or observe before that time; keep the argument away from the "
        "edge in the field (np.sqrt(u + 1e-12) for np.sqrt(u), adjoint.derive.safe.maximum(u, "
        "1e-12)); or state the problem in another unknown, such as the root or the logarithm "
        "itself."
    )
    error.t, error.steps = times[place], number
    return error


def _finite(system: System, t: float, u: Array) -> bool:
    """True if f and its derivatives with respect to u and p are finite at (t, u)."""
    try:
        J = system.jacobian(t, u)
        g = np.asarray(system.field.vjp(t, u, system.p, np.ones(system.n, dtype=system.dtype)))
        found = (system.rate(t, u), J.data if sparse.issparse(J) else J, g)
    except NonFinite:  # Raised by derived fields.
        return False
    return all(bool(np.isfinite(values).all()) for values in found)


def _component(system: System, t: float, u: Array) -> int | None:
    """The number of the unknown that makes all derivatives finite if moved by its tolerance.

    None if no single unknown has this effect, or if there are more than `SEARCHED`
    unknowns.
    """
    if u.size > SEARCHED:
        return None
    reach = 1.0 / system.weights(u)
    for i in np.argsort(np.abs(u), kind="stable").tolist():
        for moved in (u[i] + reach[i], u[i] - reach[i]):
            other = u.copy()
            other[i] = moved
            if _finite(system, t, other):
                return int(i)
    return None
