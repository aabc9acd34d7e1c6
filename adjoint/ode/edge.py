"""Where a trajectory touches the edge of its field's domain: there a root has a value, but no derivative."""

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor import NonFinite
from .errors import NonFiniteField
from .system import System

SEARCHED = 200
"""Unknowns up to which each is moved to find the one at the edge: two Jacobians apiece."""


def at_the_edge(
    system: System, times: list[float], Y: Array, interval: tuple[float, float], number: int, what: str
) -> NonFiniteField:
    """The error for derivatives that are not finite, of a step over an interval; what: is not, in words.

    times, Y: (s, n), of its stages.
    """
    with np.errstate(all="ignore"):
        bad = [i for i in reversed(range(len(times))) if not _finite(system, times[i], Y[i])]
        place = bad[0] if bad else len(times) - 1
        component = _component(system, times[place], Y[place]) if bad else None
    where = f"in the step from t = {interval[0]:.10g} to {interval[1]:.10g}"
    if component is None:
        text = f"{what} {where}: the derivatives of the field or of the integrand are nan or inf there."
    else:
        text = (
            f"{what} {where}: u[{component}] = {Y[place][component]:.3g} at t = {times[place]:.10g} has reached the "
            "edge of the field's domain, where sqrt, log or a power has a value, but no finite derivative."
        )
    error = NonFiniteField(
        f"{text} What to do: end or observe before that time; keep the argument away from the edge in the field "
        "(np.sqrt(u + 1e-12) for np.sqrt(u), adjoint.derive.safe.maximum(u, 1e-12)); or state the problem in another "
        "unknown, such as the root or the logarithm itself."
    )
    error.t, error.steps = times[place], number
    return error


def _finite(system: System, t: float, u: Array) -> bool:
    """Whether f and its derivatives by u and p are finite at (t, u)."""
    try:
        J = system.jacobian(t, u)
        g = np.asarray(system.field.vjp(t, u, system.p, np.ones(system.n, dtype=system.dtype)))
        found = (system.rate(t, u), J.data if sparse.issparse(J) else J, g)
    except NonFinite:  # Derived fields say so themselves.
        return False
    return all(bool(np.isfinite(values).all()) for values in found)


def _component(system: System, t: float, u: Array) -> int | None:
    """The unknown that, moved by its tolerance, makes all derivatives finite; None if no single one does."""
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
