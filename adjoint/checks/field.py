"""Are a field's derivatives its derivatives? For right-hand sides of initial value problems written by hand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from .._validation import require_methods, require_number
from ..ode.equations import Mass, MassAt, as_mass, mass_at
from ..protocols import Field, TimeDerivative
from ..typing import Array
from .residual import ResidualReport, check_residual

CHANGE = 1e-3
"""Relative change of a parameter by which it is found out whether f depends on it."""


EXAMINED = 64
"""Parameters that are changed one by one, where f depends on some of those whose derivative is zero."""


NAMED = 8
"""Parameters that a table names."""


@dataclass(frozen=True, eq=False)
class FieldReport:
    """What `check_field` measured of a field, and of its mass matrix.

    state: of ∂f/∂u and ∂f/∂p; time: of ∂f/∂t, None for a field without it; mass: of M(p) u, None for a constant M;
    independent: the indices of the parameters on which f does not depend at this point.
    """

    state: ResidualReport
    time: ResidualReport | None
    mass: ResidualReport | None = None
    independent: tuple[int, ...] = ()

    __repr__ = short_repr

    @property
    def ok(self) -> bool:
        """Whether all derivatives agree, to what `ResidualReport.ok` asks for."""
        return all(report is None or report.ok for report in (self.state, self.time, self.mass))

    def table(self) -> str:
        """The measured numbers, for a terminal."""
        lines = self.state.table().replace("R(", "f(").replace("R_p", "f_p").split("\n")[:-1]
        time = (
            "not provided (no derivatives with respect to times)"
            if self.time is None
            else f"relative error {self.time.jvp}"
        )
        lines.append(f"time      {time}")
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
        names = ", ".join(f"p[{k}]" for k in self.independent[:NAMED])
        more = f" and {len(self.independent) - NAMED} more" if len(self.independent) > NAMED else ""
        return (
            f"f does not depend on {names}{more} at this point: the derivative there is zero. A likely cause: a "
            f"parameter that appears\nin comparisons only (a switching time, `if t > p[{self.independent[0]}]`), whose "
            "derivative is silently zero everywhere: breaks= of the\ninitial value problem"
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
    """Compare the jacobian, jvp, vjp and time_derivative of a field with differences of f at (t, u, p).

    u: (n,), p: (m,), real, where f is smooth, also a little before t. mass: M or M(p) as the initial value problem has
    it, whose jvp and vjp are compared with differences of M(p) u. A wrong jacobian costs steps, and is in every
    gradient. The report names the parameters on which f does not depend at this point. About 60 evaluations of f and
    four Jacobians; see `check_residual`, and for what is raised.
    """
    if np.ndim(t) != 0:
        raise TypeError(
            f"check_field: got t of shape {np.shape(t)}, expected a number: check_field(field, t, u, p)"
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
    return FieldReport(state, time, of_mass, _independent(field, at, u, p, seed))


def _independent(field: Field, t: float, u: Array, p: Array, seed: int) -> tuple[int, ...]:
    """The indices k for which vjp is zero, and f the same to its last bit where p_k is a little larger or smaller."""
    rng = np.random.default_rng(seed)
    share = sum(
        (np.abs(field.vjp(t, u, p, rng.standard_normal(u.size))) for _ in range(2)),
        np.zeros(p.size),
    )
    candidates, here = np.flatnonzero(share == 0.0), np.array(field(t, u, p))

    def same(moved: Array) -> bool:
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
    """M(p) u as a residual of (u, p); at: p ↦ M(p), which varies."""

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
    """f(t, ·, ·) as a residual of (u, p)."""

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
    """f(·, ·, p) as a residual of (u, (t,))."""

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
        assert isinstance(self.field, TimeDerivative)
        return np.asarray(self.field.time_derivative(float(t[0]), u, self.p))


def _stored(J: sparse.csc_array | Array) -> sparse.csc_array:
    """A dense Jacobian with all of its entries stored, zeros too; a sparse one as it is."""
    if not isinstance(J, np.ndarray) or J.ndim != 2:
        return J if isinstance(J, np.ndarray) else sparse.csc_array(J)
    rows, columns = J.shape
    indices = np.tile(np.arange(rows, dtype=np.int32), columns)
    return sparse.csc_array(
        (J.ravel(order="F"), indices, np.arange(columns + 1, dtype=np.int32) * rows), shape=J.shape
    )
