"""Are a field's derivatives its derivatives? For right-hand sides of initial value problems written by hand."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .arguments import require_methods, require_number
from .arrays import Array
from .check_residual import ResidualReport, check_residual
from .ode.field import Field, TimeDerivative


@dataclass(frozen=True, eq=False)
class FieldReport:
    """What `check_field` measured of ∂f/∂u and ∂f/∂p (state), and of ∂f/∂t (time; None for a field without it)."""

    state: ResidualReport
    time: ResidualReport | None

    @property
    def ok(self) -> bool:
        """Whether all derivatives agree, to what `ResidualReport.ok` asks for."""
        return self.state.ok and (self.time is None or self.time.ok)

    def table(self) -> str:
        """The measured numbers, for a terminal."""
        lines = self.state.table().replace("R(", "f(").replace("R_p", "f_p").split("\n")[:-1]
        time = "there is none: no derivatives by times" if self.time is None else f"relative error {self.time.jvp}"
        verdict = "the field is right" if self.ok else "THE FIELD IS WRONG (or it is not smooth here)"
        return "\n".join([*lines, f"time      {time}", verdict])


def check_field(field: Field, t: float, u: Array, p: Array, *, seed: int = 0) -> FieldReport:
    """Compare the jacobian, jvp, vjp and time_derivative of a field with differences of f at (t, u, p).

    u: (n,), p: (m,), real, where f is smooth, also a little before t. A wrong jacobian costs steps, and is in every
    gradient. About 60 evaluations of f and four Jacobians; see `check_residual`, and for what is raised.
    """
    if np.ndim(t) != 0:
        raise TypeError(f"check_field: got t of shape {np.shape(t)}, expected a number: check_field(field, t, u, p)")
    require_number("check_field", "t", t)
    if not np.isfinite(t):
        raise ValueError(f"check_field: got t={t}, expected a finite number")
    methods = ("__call__", "jacobian", "vjp", "jvp")
    require_methods("check_field", "field", field, methods, "a field; a plain function: adjoint.complex_step_field(…)")
    at = float(t)
    state = check_residual(_AtTime(field, at), u, p, seed=seed)
    if not isinstance(field, TimeDerivative):
        return FieldReport(state, None)
    return FieldReport(state, check_residual(_OverTime(field, np.asarray(p)), u, np.array([at]), seed=seed))


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
    return sparse.csc_array((J.ravel(order="F"), indices, np.arange(columns + 1, dtype=np.int32) * rows), shape=J.shape)
