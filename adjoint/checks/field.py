"""Are the derivatives of a field right? For hand-written right-hand sides of ODEs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._optional_methods import checked_field_hvp
from .._validation import require_methods, require_number
from ..derive.differentiation.finite_differences import FLOOR, sizes
from ..derive.hvp import rate_along
from ..ode.equations import Mass, MassAt, as_mass, mass_at
from ..protocols import Field, FieldWithHvp, TimeDerivative
from ..typing import Array
from .residual import ResidualReport, check_residual
from .tolerances import TOLERANCE

CHANGE = 1e-3
"""Relative change of a parameter that shows whether f depends on the parameter."""


EXAMINED = 64
"""Maximum number of parameters that are changed one by one.

This is done if f depends on some of the parameters that have a zero vjp.
"""


SMALLER = 1e-3
"""Components of second derivatives below this part of the largest one count as this part."""


NAMED = 8
"""Maximum number of parameters that the table names."""


@dataclass(frozen=True, eq=False)
class FieldReport:
    """Measured errors of ∂f/∂u, ∂f/∂p and ∂f/∂t of a field f, and of its mass matrix M(p).

    `check_field` returns this report. ``print(report)`` shows the numbers and the
    verdict.

    Parameters
    ----------
    state : ResidualReport
        Errors of ∂f/∂u and ∂f/∂p at the time t.
    time : ResidualReport or None
        Errors of ∂f/∂t; None if the field has no `time_derivative`.
    mass : ResidualReport or None
        Errors of the products of M(p) u; None (default) if M does not depend on p.
    independent : tuple of int
        Indices k of the parameters p_k on which f does not depend at this point;
        default ().
    hvp : float or None
        Largest relative error of the second derivatives of `hvp`, against differences of
        `jacobian` and `vjp`; None (default) if the field has no `hvp`.
    """

    state: ResidualReport
    time: ResidualReport | None
    mass: ResidualReport | None = None
    independent: tuple[int, ...] = ()
    hvp: float | None = None

    def __repr__(self) -> str:
        return (
            f"FieldReport(ok={self.ok}, jacobian={self.state.jacobian.error:.1e}, "
            f"jvp={self.state.jvp.error:.1e}, independent={self.independent})"
        )

    def __str__(self) -> str:
        """The table, so that ``print(report)`` shows the numbers."""
        return self.table()

    @property
    def ok(self) -> bool:
        """True if all derivatives are right: see `ResidualReport.ok` for the limits.

        `hvp` must agree with differences to 1e-5.
        """
        first = all(report is None or report.ok for report in (self.state, self.time, self.mass))
        return first and (self.hvp is None or self.hvp <= TOLERANCE)

    def table(self) -> str:
        """Return the measured numbers and the verdict as lines of text, for a terminal."""
        lines = self.state.table().replace("R(", "f(").replace("R_p", "f_p").split("\n")[:-1]
        time = (
            "not provided (no derivatives with respect to times)"
            if self.time is None
            else f"relative error {self.time.jvp}"
        )
        lines.append(f"time      {time}")
        if self.hvp is not None:
            lines.append(f"hvp       relative error {self.hvp:.1e}")
        if self.mass is not None:
            lines += [
                f"mass      M(p): relative error {self.mass.jacobian}; (M_p w) u: {self.mass.jvp}",
                f"<(M_p w)u,lam> - <w,(M_p'lam)u>  {self.mass.dot_product_error:.1e} of the norms",
            ]
        if self.independent:
            lines.append(self._independent)
        verdict = (
            "the field is right" if self.ok else "THE FIELD IS WRONG (or it is not smooth here)"
        )
        return "\n".join([*lines, verdict])

    @property
    def _independent(self) -> str:
        """A sentence that names the parameters on which f does not depend."""
        names = ", ".join(f"p[{k}]" for k in self.independent[:NAMED])
        more = f" and {len(self.independent) - NAMED} more" if len(self.independent) > NAMED else ""
        return (
            f"f does not depend on {names}{more} at this point: the derivative there is zero. If\n"
            f"p[{self.independent[0]}] appears in comparisons only (a switching time, "
            f"`if t > p[{self.independent[0]}]`), the derivative is silently\n"
            "zero everywhere; give the switching time to breaks= of the initial value problem"
        )


def check_field(
    field: Field,
    t: float,
    u: Array,
    p: Array,
    *,
    mass: Mass = None,
    seed: int = 0,
) -> FieldReport:
    """Compare ∂f/∂u, ∂f/∂p and ∂f/∂t of a hand-written field f(t, u, p) with differences.

    Parameters
    ----------
    field : Field
        Object with the methods ``__call__``, `jacobian`, `vjp` and `jvp` of
        `adjoint.protocols.Field`, and `time_derivative` if there are derivatives with
        respect to times. If the field has `hvp`, `hvp` is compared with differences of
        `jacobian` and `vjp`.
    t : float
        Time at which the derivatives are checked, in the units of the problem.
    u : (n,) array
        State, real. f must be smooth at (t, u, p), and also a little before t.
    p : (m,) array
        Parameters, real.
    mass : matrix or Matrix, optional
        M or M(p) of the initial value problem M u' = f. For M(p) the products of `jvp`
        and `vjp` are compared with differences of M(p) u.
    seed : int
        Seed of the random directions; default 0.

    Returns
    -------
    FieldReport
        Measured numbers: ``report.ok`` is True if all derivatives are right, and
        ``print(report)`` shows a table with the verdict. The table names parameters on
        which f does not depend here.

    Raises
    ------
    TypeError
        If a method is missing, or if t, u, p or a result is not real.
    ValueError
        If t is not finite, if u, p or a result has the wrong shape, or if `seed` is
        negative.
    NonFinite
        If f or a derivative holds nan or inf at (t, u, p) or next to it.

    Notes
    -----
    A wrong Jacobian does not only cost steps: it enters every gradient.

    Cost: about 60 evaluations of f and four Jacobians; more for few unknowns or
    parameters, see `check_residual`.

    Examples
    --------
    >>> import numpy as np
    >>> import adjoint
    >>> decay = adjoint.complex_step_field(lambda t, u, p: -p[0] * u, n=2, m=1)
    >>> adjoint.check_field(decay, 0.0, np.array([1.0, 2.0]), np.array([0.5])).ok
    True
    """
    if np.ndim(t) != 0:
        raise TypeError(
            f"check_field: got t of shape {np.shape(t)}, expected a number: check_field(field, t, "
            "u, p)"
        )
    require_number("check_field", "t", t)
    if not np.isfinite(t):
        raise ValueError(f"check_field: got t={t}, expected a finite number")
    methods = ("__call__", "jacobian", "vjp", "jvp")
    require_methods(
        "check_field",
        "field",
        field,
        methods,
        "a field; a plain function: adjoint.complex_step_field(…)",
    )
    at, M = float(t), as_mass(mass)
    state = check_residual(_AtTime(field, at), u, p, seed=seed)
    u, p = np.asarray(u, dtype=float), np.asarray(p, dtype=float)
    time = None
    if isinstance(field, TimeDerivative):
        time = check_residual(_OverTime(field, p), u, np.array([at]), seed=seed)
    varies = mass_at(M, p, u.size).jvp is not None
    of_mass = (
        check_residual(_Mass(lambda q: mass_at(M, q, u.size)), u, p, seed=seed) if varies else None
    )
    return FieldReport(
        state, time, of_mass, _independent(field, at, u, p, seed), _hvp_error(field, at, u, p, seed)
    )


def _hvp_error(field: Field, t: float, u: Array, p: Array, seed: int) -> float | None:
    """The largest error of `hvp` along random directions; None if the field has no `hvp`.

    Differences of `jacobian` and `vjp` are the reference. Errors are relative to the
    component, or to `SMALLER` times the largest component if this is larger. Components
    are compared in units of the size of u_i and p_k.
    """
    if not isinstance(field, FieldWithHvp):
        return None
    rng, n = np.random.default_rng(seed), u.size
    x = np.concatenate([u, p])
    size = np.concatenate([sizes(u, FLOOR), sizes(p, 0.0)])
    lam, v = rng.standard_normal(n), size * rng.uniform(0.5, 1.0, x.size)
    v *= rng.choice([-1.0, 1.0], x.size)

    def pulled_back(y: Array) -> Array:
        J = field.jacobian(t, y[:n], y[n:])
        return np.concatenate([np.asarray(J.T @ lam), field.vjp(t, y[:n], y[n:], lam)])

    expected = size * np.concatenate(rate_along(pulled_back, u, p, v[:n], v[n:]))
    u_part, p_part = checked_field_hvp(field, t, u, p, lam, v[:n], v[n:])
    error = np.abs(size * np.concatenate([u_part, p_part]) - expected)
    first = float(np.abs(size * pulled_back(x)).max(initial=0.0))
    largest = max(float(np.abs(expected).max(initial=0.0)), SMALLER * first)
    allowed = np.maximum(np.abs(expected), SMALLER * largest)
    return float(np.max(error / np.where(allowed > 0.0, allowed, 1.0), initial=0.0))


def _independent(field: Field, t: float, u: Array, p: Array, seed: int) -> tuple[int, ...]:
    """Return the indices k of the parameters p_k on which f does not depend.

    The vjp is zero for these k, and a small change of p_k leaves each bit of f as it was.
    """
    rng = np.random.default_rng(seed)
    share = sum(
        (np.abs(field.vjp(t, u, p, rng.standard_normal(u.size))) for _ in range(2)),
        np.zeros(p.size),
    )
    candidates, here = np.flatnonzero(share == 0.0), np.array(field(t, u, p))

    def same(moved: Array) -> bool:
        """True if small changes of the parameters p[moved] leave each bit of f as it was."""
        change = np.zeros(p.size)
        change[moved] = CHANGE * np.where(p[moved] == 0.0, 1.0, p[moved])
        return all(np.array_equal(field(t, u, p + sign * change), here) for sign in (1.0, -1.0))

    if not candidates.size:
        return ()
    with np.errstate(all="ignore"):
        found = (
            candidates
            if same(candidates)
            else [k for k in candidates[:EXAMINED] if same(np.array([k]))]
        )
    return tuple(int(k) for k in found)


@dataclass(frozen=True, eq=False)
class _Mass:
    """The product M(p) u as a residual R(u, p); at: p ↦ M(p)."""

    at: Callable[[Array], MassAt]

    def residual(self, u: Array, p: Array) -> Array:
        return np.asarray(self.at(p).matrix @ u)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        matrix = self.at(p).matrix
        assert matrix is not None
        return _stored(matrix)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        vjp = self.at(p).vjp
        assert vjp is not None
        return vjp(u, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        jvp = self.at(p).jvp
        assert jvp is not None
        return jvp(u, p_dot)


@dataclass(frozen=True, eq=False)
class _AtTime:
    """f(t, u, p) at a fixed t as a residual R(u, p)."""

    field: Field
    t: float

    def residual(self, u: Array, p: Array) -> Array:
        return self.field(self.t, u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        return _stored(self.field.jacobian(self.t, u, p))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        return self.field.vjp(self.t, u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        return self.field.jvp(self.t, u, p, p_dot)


@dataclass(frozen=True, eq=False)
class _OverTime:
    """f(t, u, p) at a fixed p as a residual R(u, (t,)), with the time as the only parameter."""

    field: Field
    p: Array

    def residual(self, u: Array, t: Array) -> Array:
        return self.field(float(t[0]), u, self.p)

    def jacobian(self, u: Array, t: Array) -> sparse.csc_array:
        return _stored(self.field.jacobian(float(t[0]), u, self.p))

    def vjp(self, u: Array, t: Array, lam: Array) -> Array:
        return np.array([lam @ self._rate(u, t)])

    def jvp(self, u: Array, t: Array, t_dot: Array) -> Array:
        return self._rate(u, t) * t_dot[0]

    def _rate(self, u: Array, t: Array) -> Array:
        """∂f/∂t, (n,)."""
        assert isinstance(self.field, TimeDerivative)
        return np.asarray(self.field.time_derivative(float(t[0]), u, self.p))


def _stored(J: sparse.csc_array | Array) -> sparse.csc_array:
    """Return the Jacobian as a csc_array; a dense Jacobian is stored with its zeros."""
    if not isinstance(J, np.ndarray) or J.ndim != 2:
        return J if isinstance(J, np.ndarray) else sparse.csc_array(J)
    rows, columns = J.shape
    indices = np.tile(np.arange(rows, dtype=np.int32), columns)
    return sparse.csc_array(
        (J.ravel(order="F"), indices, np.arange(columns + 1, dtype=np.int32) * rows), shape=J.shape
    )
