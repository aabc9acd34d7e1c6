"""Nonlinear problems R(u, p) = 0.

The inverse of ∂R/∂u at the solution, by the factors with which Newton's method ended.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .._numerics import size_of
from .._pickling import Portable
from .._repr import short_repr
from .._validation import as_array, as_parameters, named, require_kind
from ..bounds import Bounds
from ..derive.residual import DerivedResidual
from ..errors import NonFinite, SingularMatrix
from ..factor.counts import Counts, collecting
from ..factor.evidence import Evidence
from ..factor.factorization import Factorization
from ..factor.factorizers import lu, require_factorizer
from ..factor.krylov import Krylov
from ..protocols import Inverse, Residual
from ..steady.dirichlet import Constrained, Dirichlet
from ..steady.reuse import CachedAdjoint
from ..steady.solution import SteadySolution
from ..typing import Array, Trans
from .bounds import require_interior, require_start
from .convergence import Outcome, accepted
from .history import History
from .iteration import Newton
from .system import System

EPS = float(np.finfo(float).eps)
"""Times the condition of ∂R/∂u: the relative error that rounding alone may leave in a gradient."""


@dataclass(frozen=True, eq=False)
class InverseAtSolution:
    """(∂R/∂u)⁻¹ at u with R(u, p) = 0.

    The Jacobian is assembled when a derivative is first asked for. Not Newton's last one: that belongs to the iterate
    before, and would leave an error of the last step's size in the gradient.
    """

    system: System
    outcome: Outcome

    @cached_property
    def _refined(self) -> Inverse:
        if self.outcome.current:
            return self.outcome.at.inverse
        return self.system.renewed(self.system.jacobian(self.outcome.u), self.outcome.at.inverse)

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k); see `RefinedInverse.solve`. Raises SingularJacobian if ∂R/∂u is singular here."""
        try:
            return self._refined.solve(b, trans)
        except SingularMatrix as error:
            raise self.system.singular_at_solution(error) from error

    @property
    def evidence(self) -> Evidence:
        """Of the factors and of Newton's method."""
        evidence = (
            self._refined if "_refined" in self.__dict__ else self.outcome.at.inverse
        ).evidence
        return replace(
            evidence,
            residual=self.outcome.residual,
            gradient_error=float(np.fmax(self.outcome.gradient_error, EPS * evidence.condition)),
            history=self.system.history.norms,
        )


class Start(Protocol):
    """Makes a better start for Newton's method from u0, where that is too far off."""

    def __call__(self, system: System, u: Array) -> Array:
        """A state from which Newton's method will converge."""


@dataclass(frozen=True, eq=False)
class NonlinearProblem(Portable):
    """R(u, p) = 0, solved by Newton's method: the solution gives every derivative without a factorization more.

    residual: R with its derivatives: a class of your own, or `complex_step_residual(function, n, m)`. u0: (n,), or a function
    p ↦ u0, a first guess. factorize: what ∂R/∂u is stated to be: `lu` (anything), `cholesky`, `ldl`, a named backend,
    `cg(…)`, `gmres(…)`. dirichlet: unknowns whose values are given; their rows of R are not used. method: tolerances
    and globalization. start: `PseudoTransient(…)` or `Homotopy(…)`, for hard starts. bounds: within which u must stay.
    Raises TypeError or ValueError for what cannot be.
    """

    residual: Residual
    u0: Array | Callable[[Array], Array]
    factorize: Callable[[sparse.csc_array], Factorization] = lu
    dirichlet: Dirichlet | None = None
    method: Newton = field(default_factory=Newton)
    start: Start | None = None
    bounds: Bounds | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        missing = [name for name in _METHODS if not callable(getattr(self.residual, name, None))]
        if missing:
            raise TypeError(
                f"NonlinearProblem: {type(self.residual).__name__} has no method {missing[0]}; expected a residual "
                f"with {', '.join(_METHODS)}. A plain function: adjoint.complex_step_residual(function, n=…, m=…)"
            )
        for name, value, expected, fits in (
            (
                "residual",
                self.residual,
                "an object, not a class",
                not isinstance(self.residual, type),
            ),
            (
                "dirichlet",
                self.dirichlet,
                "adjoint.Dirichlet(…)",
                isinstance(self.dirichlet, Dirichlet | None),
            ),
            ("method", self.method, "adjoint.newton.Newton(…)", isinstance(self.method, Newton)),
            (
                "start",
                self.start,
                "such as PseudoTransient(…)",
                self.start is None or _is_function(self.start),
            ),
            ("bounds", self.bounds, "adjoint.Bounds(…)", isinstance(self.bounds, Bounds | None)),
        ):
            if not fits:
                raise TypeError(f"NonlinearProblem: got {name}={value!r}, expected {expected}")
        if self.bounds is not None:
            require_interior(self.bounds)
        require_factorizer("NonlinearProblem", self.factorize)
        if isinstance(self.u0, type):
            raise TypeError(
                f"NonlinearProblem: got u0={named(self.u0)}, expected an array (n,) or a function of p"
            )
        if self.method.forcing is not None and not isinstance(self.factorize, Krylov):
            raise TypeError(
                "NonlinearProblem: forcing is for Krylov solves: factorize=adjoint.gmres(…) or cg(…)"
            )
        if not callable(self.u0):
            _as_state(self.u0)

    @cached_property
    def equation(self) -> Residual:
        """R(u, p) with the rows of Dirichlet data."""
        return (
            self.residual if self.dirichlet is None else Constrained(self.residual, self.dirichlet)
        )

    def solve(self, p: Array, near: SteadySolution | None = None) -> SteadySolution:
        """u with R(u, p) = 0, ready for derivatives; p: (m,).

        near: a solution for similar parameters, from which to start, along its tangent if that is closer. Each step
        factors one Jacobian. Raises NewtonDiverged, NewtonStalled, SingularJacobian, WrongJacobian, NonFiniteResidual,
        what `factorize` raises; ValueError or TypeError for a residual, a Jacobian or a p of the wrong shape or type.
        """
        p = as_parameters(p)
        p.setflags(write=False)  # The user's functions will see it.
        counts = Counts()
        with collecting(counts):
            system = self.system(p)
            if near is None:
                u = system.prepared(_as_state(self.u0(p) if callable(self.u0) else self.u0))
                u = u if self.start is None else self.start(system, u)
            else:
                u = _followed(system, near)
            outcome = self.method.solve(system, u)
        return self._solution(system, outcome, p, counts)

    def at(self, u: Array, p: Array) -> SteadySolution:
        """A state found otherwise, by a solver of your own, as the solution it is: one factorization.

        u: (n,), taken as it is. Raises ValueError if it is no solution: if Newton's correction is more than 10⁻⁴ of it;
        otherwise evidence.gradient_error tells what that implies. Raises what `solve` raises.
        """
        p, u = as_parameters(p), _as_state(u)
        p.setflags(write=False)
        u.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            system = self.system(p)
            if self.bounds is not None:
                require_start(self.bounds, u)
            outcome = accepted(system, u)
        return self._solution(system, outcome, p, counts)

    def _solution(
        self, system: System, outcome: Outcome, p: Array, counts: Counts
    ) -> SteadySolution:
        u = outcome.u
        u.setflags(write=False)  # Gradients come from it later.
        physics = (
            self.residual.at(u, p) if isinstance(self.residual, DerivedResidual) else self.residual
        )
        equation = physics if self.dirichlet is None else Constrained(physics, self.dirichlet)
        return SteadySolution(
            u, p, equation, CachedAdjoint(InverseAtSolution(system, outcome)), counts
        )

    def system(self, p: Array) -> System:
        """The equations for one p."""
        return System(
            self.residual,
            self.dirichlet,
            p,
            self.factorize,
            self.bounds,
            self.method.scale,
            History(),
        )

    def near(self, solution: SteadySolution) -> "NonlinearProblem":
        """The same problem, started from a solution."""
        require_kind(
            "near", "solution", solution, SteadySolution, "a solution; a start of your own is u0"
        )
        return replace(self, u0=solution.u, start=None)


_METHODS = ("residual", "jacobian", "vjp", "jvp")


def _is_function(value: object) -> bool:
    """Whether it can be called; a class, forgotten to be made an object of, is none."""
    return callable(value) and not isinstance(value, type)


def _as_state(u: Array) -> Array:
    """A float64 or complex128 copy of a start, (n,)."""
    u = as_array("NonlinearProblem", "u0", u)
    if u.dtype.kind not in "fciu":
        raise TypeError(f"got u0 of dtype {u.dtype}, expected float64 or complex128")
    if u.ndim != 1 or u.size == 0:
        raise ValueError(
            f"got u0 of shape {u.shape}, expected a vector (n,) with at least one unknown"
        )
    if not np.isfinite(u).all():
        bad = np.flatnonzero(~np.isfinite(u))
        raise NonFinite(f"u0[{bad[0]}] is {u[bad[0]]} ({bad.size} such), expected finite numbers")
    return u.astype(np.complex128 if u.dtype.kind == "c" else np.float64)


def _followed(system: System, near: SteadySolution) -> Array:
    """The start from a nearby solution: along its tangent, or the solution itself if ‖R‖ is smaller there."""
    if not isinstance(near, SteadySolution):
        raise TypeError(
            f"near: got a {type(near).__name__}, expected a solution; a start of your own is u0"
        )
    if near.p.shape != system.p.shape or near.u.ndim != 1:
        raise ValueError(
            f"near: got a solution with p {near.p.shape} and u {near.u.shape}, expected p {system.p.shape} and u (n,)"
        )
    u = system.prepared(near.u)
    du = near.jvp(system.p - near.p)
    along = system.prepared(u + system.longest(u, du) * du)
    there, here = size_of(system.residual(along)), size_of(system.residual(u))
    return u if here <= there or not np.isfinite(there) else along
