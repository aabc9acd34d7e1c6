"""Nonlinear problems R(u, p) = 0, solved by Newton's method."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from .._dataclasses import Portable, short_repr
from .._numerics import size_of
from .._validation import (
    as_array,
    as_parameters,
    first_nonfinite,
    named,
    require_kind,
    require_methods,
)
from ..bounds import Bounds
from ..derive.residual import DerivedResidual
from ..errors import NonFinite
from ..factor.counts import Counts, collecting
from ..factor.factorization import Factorizer
from ..factor.factorizers import lu, require_factorizer
from ..factor.krylov import Krylov
from ..protocols import Residual
from ..steady.dirichlet import Constrained, Dirichlet
from ..steady.reuse import CachedAdjoint
from ..steady.solution import SteadySolution
from ..typing import Array
from .bounds import require_interior, require_start
from .convergence import Outcome, accept_solution
from .history import History
from .inverse import InverseAtSolution
from .iteration import Newton
from .system import System

_METHODS = ("residual", "jacobian", "vjp", "jvp")
"""The methods of a `Residual`."""


class Start(Protocol):
    """Computes a better start for Newton's method if u0 is too far from a solution."""

    def __call__(self, system: System, u: Array) -> Array:
        """Return a state, (n,), from which Newton's method should converge.

        system: the equations; u: (n,), the first guess, within the bounds.
        """


@dataclass(frozen=True, eq=False)
class NonlinearProblem(Portable):
    """R(u, p) = 0, solved by Newton's method; derivatives by the factors of the solution.

    A gradient costs one transposed solve, with the factors that `solve` has computed.

    Parameters
    ----------
    residual : Residual
        R with the methods `residual`, `jacobian`, `vjp` and `jvp`. For a plain function:
        `adjoint.complex_step_residual(function, n=…, m=…)`.
    u0 : (n,) array or callable
        The first guess, or a function p ↦ u0; float64 or complex128.
    factorize : callable
        The factorizer of ∂R/∂u: `lu` (any matrix), `cholesky`, `ldl`, a named backend,
        `cg(…)` or `gmres(…)`. The choice states the properties of the matrix.
    dirichlet : Dirichlet or None
        Unknowns with given values. Their rows of R are not used.
    method : Newton
        Tolerances and globalization.
    start : Start or None
        `PseudoTransient(…)` or `Homotopy(…)`, if Newton's method does not converge from u0.
    bounds : Bounds or None
        Bounds lower < upper of all iterates, in the units of u.

    Raises
    ------
    TypeError
        If an argument has the wrong type or lacks a method, or if `method.forcing` is
        combined with a direct factorizer.
    ValueError
        If u0 is not a vector, or if bounds leave no interior.

    Examples
    --------
    >>> import adjoint, numpy as np
    >>> residual = adjoint.complex_step_residual(lambda u, p: u**2 - p, n=2, m=2)
    >>> solution = adjoint.NonlinearProblem(residual, u0=np.ones(2)).solve([4.0, 9.0])
    >>> solution.u.round(12), solution.vjp(np.ones(2)).round(12)
    (array([2., 3.]), array([0.25      , 0.16666667]))
    """

    residual: Residual
    u0: Array | Callable[[Array], Array]
    factorize: Factorizer = lu
    dirichlet: Dirichlet | None = None
    method: Newton = field(default_factory=Newton)
    start: Start | None = None
    bounds: Bounds | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "NonlinearProblem"
        expected = (
            f"a residual with {', '.join(_METHODS)}. For a plain function: "
            "adjoint.complex_step_residual(function, n=…, m=…)"
        )
        require_methods(who, "residual", self.residual, _METHODS, expected)
        expected = "adjoint.Dirichlet(…) or None"
        require_kind(who, "dirichlet", self.dirichlet, Dirichlet | None, expected)
        require_kind(who, "method", self.method, Newton, "adjoint.newton.Newton(…)")
        if self.start is not None:
            expected = "a start such as adjoint.newton.PseudoTransient(…)"
            require_methods(who, "start", self.start, ("__call__",), expected)
        require_kind(who, "bounds", self.bounds, Bounds | None, "adjoint.Bounds(…) or None")
        if self.bounds is not None:
            require_interior(self.bounds)
        require_factorizer(who, self.factorize)
        if isinstance(self.u0, type):
            raise TypeError(
                f"NonlinearProblem: got u0={named(self.u0)}, expected an array (n,) or a function "
                "of p"
            )
        if self.method.forcing is not None and not isinstance(self.factorize, Krylov):
            raise TypeError(
                "NonlinearProblem: forcing requires a Krylov solver: factorize=adjoint.gmres(…) "
                "or adjoint.cg(…)"
            )
        if not callable(self.u0):
            _as_state(self.u0)

    @cached_property
    def equation(self) -> Residual:
        """The residual R(u, p) with the rows of Dirichlet data."""
        return (
            self.residual if self.dirichlet is None else Constrained(self.residual, self.dirichlet)
        )

    def solve(self, p: Array, near: SteadySolution | None = None) -> SteadySolution:
        """Find u with R(u, p) = 0.

        Parameters
        ----------
        p : (m,) array
            The parameters, float64 or complex128.
        near : SteadySolution or None
            A solution u₁ for similar parameters p₁. The iteration starts from
            u₁ + (du/dp) (p − p₁), or from u₁ if ‖R‖ is smaller there.

        Returns
        -------
        SteadySolution
            u, and the derivatives of p ↦ u.

        Raises
        ------
        NewtonDiverged
            If the maximum number of steps was reached.
        NewtonStalled
            If no step makes progress.
        SingularJacobian
            If ∂R/∂u is singular at an iterate or at the solution.
        WrongJacobian
            If the convergence shows that the Jacobian is not ∂R/∂u.
        NonFiniteResidual
            If R contains nan or inf at the start, or after each trial step of an iteration,
            however short.
        NonFinite
            If p or u0 contains nan or inf.
        TypeError, ValueError
            If p, u0, the residual or the Jacobian has the wrong type or shape.
        SolveError
            If the factorizer raises another error.
        """
        p = as_parameters(p)
        p.setflags(write=False)  # The user's functions receive p itself.
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
        """Turn a state u from another solver into a solution, by one factorization.

        Parameters
        ----------
        u : (n,) array
            The state, which is not changed.
        p : (m,) array
            The parameters.

        Returns
        -------
        SteadySolution
            u, and the derivatives of p ↦ u; `evidence.gradient_error` estimates the
            error of a gradient that follows from the error of u.

        Raises
        ------
        ValueError
            If u is out of bounds, or if u is not a solution: if Newton's correction exceeds
            10⁻⁴ of u.
        TypeError, SolveError
            Under the conditions of `solve`.
        """
        p, u = as_parameters(p), _as_state(u)
        p.setflags(write=False)
        u.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            system = self.system(p)
            if self.bounds is not None:
                require_start(self.bounds, u)
            outcome = accept_solution(system, u)
        return self._solution(system, outcome, p, counts)

    def _solution(
        self, system: System, outcome: Outcome, p: Array, counts: Counts
    ) -> SteadySolution:
        """The solution with its derivatives, from the outcome of an iteration."""
        u, physics = outcome.u, self.residual
        u.setflags(write=False)  # Derivatives are valid for this state.
        if isinstance(physics, DerivedResidual):
            physics = physics.at(u, p)
        equation = physics if self.dirichlet is None else Constrained(physics, self.dirichlet)
        inverse = CachedAdjoint(InverseAtSolution(system, outcome))
        return SteadySolution(u, p, equation, inverse, counts)

    def system(self, p: Array) -> System:
        """Return the equations for one p, with an empty history.

        Parameters
        ----------
        p : (m,) array
            The parameters.

        Returns
        -------
        System
            R(·, p), the factorizer, the bounds and the scale.
        """
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
        """Return the same problem, started from a solution.

        Parameters
        ----------
        solution : SteadySolution
            A solution for similar parameters. The u of the solution becomes u0.

        Returns
        -------
        NonlinearProblem
            A new problem, without `start`.

        Raises
        ------
        TypeError
            If solution is not a SteadySolution.
        """
        expected = "a solution; another start is set by u0"
        require_kind("near", "solution", solution, SteadySolution, expected)
        return replace(self, u0=solution.u, start=None)


def _as_state(u: Array) -> Array:
    """Return a copy of a start, (n,), as a float64 or complex128 array."""
    u = as_array("NonlinearProblem", "u0", u)
    if u.dtype.kind not in "fciu":
        raise TypeError(f"got u0 of dtype {u.dtype}, expected float64 or complex128")
    if u.ndim != 1 or u.size == 0:
        raise ValueError(
            f"got u0 of shape {u.shape}, expected a vector (n,) with at least one unknown"
        )
    if bad := first_nonfinite(u):
        index, entry, number = bad
        raise NonFinite(f"u0[{index}] is {entry} ({number} such), expected finite numbers")
    return u.astype(np.complex128 if u.dtype.kind == "c" else np.float64)


def _followed(system: System, near: SteadySolution) -> Array:
    """Return the start for p: near.u + (du/dp) (p − near.p), or near.u if ‖R‖ is smaller there."""
    expected = "a solution; another start is set by u0"
    require_kind("solve", "near", near, SteadySolution, expected)
    if near.p.shape != system.p.shape or near.u.ndim != 1:
        raise ValueError(
            f"near: got a solution with p {near.p.shape} and u {near.u.shape}, expected "
            f"p {system.p.shape} and u (n,)"
        )
    u = system.prepared(near.u)
    du = near.jvp(system.p - near.p)
    along = system.prepared(u + system.longest_factor(u, du) * du)
    there, here = size_of(system.residual(along)), size_of(system.residual(u))
    return u if here <= there or not np.isfinite(there) else along
