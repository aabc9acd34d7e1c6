"""Why an integration cannot go on, in words."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor import NonFinite, SolveError
from .chord import NoConvergenceError
from .errors import NonFiniteField, StageFailure, StepTooSmall, failure
from .system import System


@dataclass(frozen=True, eq=False)
class Refusal:
    """A step from (t, u) over h that was refused: for its error, nan included; None: its stages were not found.

    cause: what was raised, by a factorization or by the user's jacobian.
    """

    t: float
    h: float
    u: Array
    error: float | None
    cause: Exception | None


def explained(system: System, last: Refusal | None, t: float, h: float, steps: int) -> SolveError:
    """The error for a step of h at t that is still too long, the last refusal being this one."""
    error: SolveError
    if last is None or (last.error is not None and np.isfinite(last.error)):
        error = failure(
            StepTooSmall,
            f"A step of {h:.3g} is still too long. Usual causes: a solution that blows up, a discontinuity, a "
            "wrong jacobian, tolerances below rounding.",
            t,
            steps,
        )
        return error
    finite_jacobian = _finite_jacobian(system, last)
    with np.errstate(all="ignore"):
        rates = [system.rate(time, last.u) for time in (last.t, last.t + 0.5 * last.h, last.t + last.h)]
    nonfinite = isinstance(last.cause, NoConvergenceError) and last.cause.nonfinite
    if last.error is not None or not all(np.isfinite(f).all() for f in rates) or (nonfinite and finite_jacobian):
        return failure(NonFiniteField, f"The field is nan or inf after any step, one of {h:.3g} too.", t, steps)
    causes = (
        "a solution that blows up, a wrong jacobian, a singular one (a DAE of higher index), atol = 0 for an unknown "
        "that is 0, a discontinuity"
    )
    if isinstance(last.cause, NonFinite) or not finite_jacobian:
        causes = "the jacobian of the field holds nan or inf"
    error = failure(
        StageFailure,
        f"Newton's method does not converge for the stages of a step of {h:.3g}. Usual causes: {causes}.",
        t,
        steps,
    )
    if isinstance(last.cause, SolveError):
        error.__cause__ = last.cause
    return error


def _finite_jacobian(system: System, last: Refusal) -> bool:
    try:
        with np.errstate(all="ignore"):
            J = system.jacobian(last.t + last.h, last.u)
    except NonFinite:  # Derived fields say so themselves.
        return False
    return bool(np.isfinite(J.data if sparse.issparse(J) else J).all())


def require_resolution(system: System, u: Array, t: float) -> None:
    """Raise StepTooSmall where the tolerances are below rounding: where ulps of u are larger than they are."""
    size = float(np.max(np.abs(u) * system.weights(u), initial=0.0))
    if np.finfo(float).eps * size > 1.0:
        raise failure(
            StepTooSmall,
            f"The tolerances (rtol = {system.rtol:.1e}, atol = {np.min(system.atol):.1e}) are below rounding: expected "
            "an rtol of at least 1e-15.",
            t,
            0,
        )
