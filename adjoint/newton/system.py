"""R(·, p) = 0 as Newton's method sees it: checked residuals, factored Jacobians, corrections."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._numerics import finite_sum, size_of
from .._repr import short_repr
from ..bounds import Bounds
from ..errors import (
    InaccurateSolve,
    NonFiniteResidual,
    NotPositiveDefinite,
    SingularJacobian,
    SingularMatrix,
)
from ..factor.counts import phase
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorization
from ..factor.factorizers import factored
from ..factor.krylov import Krylov
from ..protocols import Inverse, Residual
from ..steady.dirichlet import Constrained, Dirichlet, DirichletInverse, within
from ..steady.refinement import RefinedInverse
from ..typing import Array
from .bounds import longest, require_start
from .history import History, failure


@dataclass(frozen=True, eq=False)
class Linearization:
    """∂R/∂u at an iterate, without the rows of Dirichlet data, (n, n), and its inverse with them."""

    A: sparse.csc_array
    inverse: Inverse


@dataclass(frozen=True, eq=False)
class System:
    """R(u, p) = 0 for one p.

    physics: R without Dirichlet data; dirichlet: those; p: (m,), read-only; factorize: of ∂R/∂u; bounds: of u, None
    for none; scale: typical sizes of the unknowns, a number or (n,); history: of the iteration.
    """

    physics: Residual
    dirichlet: Dirichlet | None
    p: Array
    factorize: Callable[[sparse.csc_array], Factorization]
    bounds: Bounds | None
    scale: float | Array
    history: History

    __repr__ = short_repr

    @property
    def equation(self) -> Residual:
        """R with the rows of Dirichlet data."""
        return self.physics if self.dirichlet is None else Constrained(self.physics, self.dirichlet)

    def norm(self, v: Array) -> float:
        """The root of the mean of |v_i / scale_i|²: the same on every mesh."""
        scaled = v / self.scale
        return size_of(scaled) / float(np.sqrt(scaled.size))

    def residual(self, u: Array) -> Array:
        """R(u, p), (n,), maybe with nan or inf; raises ValueError or TypeError for what cannot be a residual."""
        u = u.view()
        u.setflags(write=False)
        with (
            phase("assembly"),
            np.errstate(all="ignore"),
        ):  # Trial steps may overflow; they are shortened then.
            r = np.array(
                self.equation.residual(u, self.p)
            )  # A copy: it may be written to by the next evaluation.
        if r.dtype.kind not in "fciu":
            raise TypeError(f"the residual has dtype {r.dtype}, expected float64 or complex128")
        if r.shape != u.shape:
            raise ValueError(
                f"the residual has shape {r.shape}, expected {u.shape}, one equation for each unknown"
            )
        self._require_real("residual", r.dtype, u)
        return r

    def accepted(self, r: Array) -> float:
        """‖r‖₂ of a residual that must be finite; raises NonFiniteResidual."""
        if not finite(r):
            raise self.not_finite(r, "")
        return size_of(r)

    def not_finite(self, r: Array, where: str) -> NonFiniteResidual:
        """The error that names the first entries of r that are nan or inf; where: in the iteration."""
        bad = np.flatnonzero(~np.isfinite(r))
        named = ", ".join(f"R[{i}] = {r[i]}" for i in bad[:3])
        message = (
            f"the residual{where} is not finite: {named} ({bad.size} of {r.size}). Usual causes: u0 outside of the "
            "domain of a sqrt, log or power (adjoint.Bounds keeps steps inside), an overflow, a parameter that is nan."
        )
        return failure(NonFiniteResidual, message, self.history)

    def jacobian(self, u: Array) -> sparse.csc_array:
        """∂R/∂u without Dirichlet rows, (n, n), checked."""
        u = u.view()
        u.setflags(write=False)
        with phase("assembly"), np.errstate(all="ignore"):  # What is not finite is refused by name.
            A = as_csc(self.physics.jacobian(u, self.p))
        if A.shape[0] != u.size:
            raise ValueError(f"the Jacobian has shape {A.shape}, expected ({u.size}, {u.size})")
        self._require_real("Jacobian", A.dtype, u)
        return owned(
            A
        )  # Physics that fills one matrix again and again would change what has been factored.

    def _require_real(self, what: str, dtype: np.dtype[np.generic], u: Array) -> None:
        if dtype.kind == "c" and u.dtype.kind != "c":
            raise TypeError(
                f"the {what} is complex where u is real: start from a complex u0 if the state is complex (as it is for "
                "complex p); else a square root or a power of a negative number, or an FFT without .real, made it so"
            )

    def factored(self, A: sparse.csc_array) -> Linearization:
        """∂R/∂u and its inverse; raises SingularJacobian, and what `factorize` raises."""
        try:
            return Linearization(
                A, within(self.dirichlet, A, lambda free: factored(self.factorize, free))
            )
        except SingularMatrix as error:
            raise self.singular(error) from error
        except NotPositiveDefinite as error:
            error.add_note(
                f"This was ∂R/∂u in Newton step {self.history.steps + 1}: adjoint.ldl or lu take any sign."
            )
            raise

    def correction(self, at: Linearization, r: Array) -> Array:
        """−(∂R/∂u)⁻¹ r, (n,); raises SingularJacobian where the first solve finds it singular."""
        try:
            return -at.inverse.solve(r)
        except SingularMatrix as error:
            raise self.singular(error) from error
        except InaccurateSolve as error:
            if self.history.linear:
                raise self.degenerate() from error
            error.add_note(
                f"This was ∂R/∂u in Newton step {self.history.steps + 1}.\n{self.history.table()}"
            )
            raise

    def singular(self, error: SingularMatrix) -> SingularJacobian:
        """The error for a Jacobian that could not be factored."""
        message = (
            f"the Jacobian in Newton step {self.history.steps + 1} is singular: {error} In a nonlinear problem also: a "
            "start where the derivative vanishes (choose another u0), or a fold (adjoint.continuation.trace goes around it)."
        )
        return failure(SingularJacobian, message, self.history)

    def singular_at_solution(self, error: SingularMatrix) -> SingularJacobian:
        """The error for a derivative at a solution whose Jacobian is singular."""
        message = (
            f"the Jacobian at the solution is singular, and no derivative exists there: {error} In a nonlinear problem "
            "also: a fold or a branch point (adjoint.continuation.fold finds it, adjoint.continuation.trace goes around it), a double "
            "eigenvalue, solutions that are not isolated."
        )
        return failure(SingularJacobian, message, self.history)

    def degenerate(self) -> SingularJacobian:
        """The error for a solution at which the Jacobian is singular."""
        message = (
            "the Jacobian is singular at the solution: Newton's corrections shrink only by a factor of "
            f"{self.history.ratios()[-1]:.2f} a step, where they should shrink quadratically. Usual causes: the "
            "parameters are at a fold or a branch point (no derivative exists there; adjoint.continuation.fold finds it, "
            "adjoint.continuation.trace goes around it), a double root; or the Jacobian is not the derivative "
            "(adjoint.check_residual tells)."
        )
        return failure(SingularJacobian, message, self.history)

    def rounding(self, u: Array, at: Linearization) -> float:
        """What rounding leaves of ‖R(u)‖₂: ε ‖|∂R/∂u| |u|‖₂, for an iterate near u."""
        return float(np.finfo(float).eps) * size_of(abs(at.A) @ np.abs(u))

    def renewed(self, A: sparse.csc_array, stale: Inverse) -> Inverse:
        """The inverse of a Jacobian A, near the one that `stale` was made for, by its factors."""
        factors = stale.inner if isinstance(stale, DirichletInverse) else stale
        assert isinstance(factors, Factorization)  # What `factored` returned.
        return within(self.dirichlet, A, lambda free: RefinedInverse(free, factors, self.factorize))

    def loosened(self, rtol: float) -> "System":
        """The same with Krylov solves to a tolerance of their own; as it is with a direct factorizer."""
        if not isinstance(self.factorize, Krylov):
            return self
        return replace(self, factorize=replace(self.factorize, rtol=rtol))

    def prepared(self, u: Array) -> Array:
        """A copy of u to start from, with the given values of fixed unknowns; raises ValueError if out of bounds."""
        u = u.copy()
        if np.ndim(self.scale) and np.shape(self.scale) != u.shape:
            raise ValueError(
                f"Newton: got scale of shape {np.shape(self.scale)}, expected a number or {u.shape}"
            )
        if self.dirichlet is not None:
            self.dirichlet.free(u.size)
            g = self.dirichlet.at(self.p, u.shape)
            u = u.astype(np.result_type(u, g))
            u[self.dirichlet.fixed] = g
        if self.bounds is not None:
            require_start(self.bounds, u)
        return u

    def longest(self, u: Array, du: Array) -> float:
        """The largest factor ≤ 1 of a step that the bounds allow."""
        return 1.0 if self.bounds is None else longest(self.bounds, u, du)


def finite(r: Array) -> bool:
    """Whether all entries are finite."""
    return finite_sum(r) or bool(np.isfinite(r).all())
