"""SciPy's optimizers: L-BFGS-B, trust-constr, SLSQP and least_squares."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
from scipy.sparse.linalg import LinearOperator

from .._dataclasses import short_repr
from .._validation import require_settings
from ..bounds import Bounds
from ..optimize.constraints.constraint import Constraint
from ..optimize.constraints.design_constraints import LinearConstraint
from ..optimize.inner_products import Euclidean, InnerProduct
from ..typing import Array
from .run import Run

ENDLESS = 10**9
"""Maximum number of iterations and of evaluations given to SciPy: `Stopping` has the budgets."""

LEAST_OPTIMALITY = 1e-100
"""Optimality measure below which trust-constr ends by itself.

The measure is that of the barrier problem. Its scale is unknown, so that no value above
zero is a sure sign of convergence.
"""


@dataclass(frozen=True, eq=False)
class LBFGSB:
    """L-BFGS-B of SciPy: bounds, no constraints.

    For constraints use `SLSQP`, `TrustConstr`, or `adjoint.optimize.AugmentedLagrangian`.

    Parameters
    ----------
    bounds : Bounds
        Bounds on the design.
    inner : InnerProduct
        M; with bounds M must be diagonal.
    memory : int
        Largest number of curvature pairs.

    Raises
    ------
    TypeError
        If `memory` is not an integer.
    ValueError
        If `memory` is not positive.

    References
    ----------
    Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190.
    """

    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)
    memory: int = 10

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if self.memory < 1:
            raise ValueError(f"LBFGSB: got memory={self.memory}, expected at least one pair")

    @property
    def constraints(self) -> tuple[()]:
        """(): L-BFGS-B takes no constraints."""
        return ()

    @property
    def equalities(self) -> tuple[()]:
        """(): L-BFGS-B takes no equalities."""
        return ()

    def optimize(self, run: Run) -> bool:
        """Run SciPy from `run.start`; True if SciPy claims success."""
        options = {
            "maxcor": self.memory,
            "maxiter": ENDLESS,
            "maxfun": ENDLESS,
            "ftol": 0.0,
            "gtol": 0.0,
            "maxls": 40,
        }
        return _minimized(run, "L-BFGS-B", {}, options, ())


@dataclass(frozen=True, eq=False)
class TrustConstr:
    """trust-constr of SciPy: bounds, constraints and equalities.

    SciPy gets each `LinearConstraint` as a linear constraint. The Hessians of all other
    constraints, and of f unless `hessian` is True, are approximated by BFGS. They are zero
    until a gradient changes.

    Parameters
    ----------
    constraints : sequence of Constraint
        c ≤ bound.
    equalities : sequence of Constraint
        c = bound.
    bounds : Bounds
        Bounds on the design.
    inner : InnerProduct
        M; with bounds M must be diagonal.
    hessian : bool
        If True, Hessian–vector products of f are used; points of f must have `hvp`.

    Raises
    ------
    TypeError
        If `hessian` is not a bool.
    ValueError
        In a run, if there are more equalities than variables.

    References
    ----------
    Byrd, Hribar & Nocedal (1999), SIAM J. Optim. 9, 877.
    """

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)
    hessian: bool = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)

    def optimize(self, run: Run) -> bool:
        """Run SciPy from `run.start`; True if SciPy claims success."""
        if len(self.equalities) > run.start.size:
            raise ValueError(
                f"TrustConstr: got {len(self.equalities)} equalities for "
                f"{run.start.size} variables, expected at most as many equalities as variables"
            )
        options = {
            "maxiter": ENDLESS,
            "gtol": LEAST_OPTIMALITY,
            "xtol": 1e-14,
            "barrier_tol": 1e-14,
        }
        second = {"hessp": run.hvp} if self.hessian else {"hess": _BFGSFromZero()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The approximate Hessian of a linear function is zero at the start, and stays zero.
            warnings.filterwarnings("ignore", message="delta_grad == 0.0")
            # SciPy then continues with another factorization.
            warnings.filterwarnings("ignore", message="Singular Jacobian matrix")
            return _minimized(run, "trust-constr", second, options, _split_constraints(run))


@dataclass(frozen=True, eq=False)
class SLSQP:
    """SLSQP of SciPy, for few variables: it keeps dense (m, m) matrices.

    Parameters
    ----------
    constraints : sequence of Constraint
        c ≤ bound.
    equalities : sequence of Constraint
        c = bound.
    bounds : Bounds
        Bounds on the design.
    inner : InnerProduct
        M; with bounds M must be diagonal.

    References
    ----------
    Kraft (1988), DFVLR-FB 88-28.
    """

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)

    __repr__ = short_repr

    def optimize(self, run: Run) -> bool:
        """Run SciPy from `run.start`; True if SciPy claims success."""
        k = len(self.constraints)
        met = {
            "type": "ineq",
            "fun": lambda z: -run.constraint_values(z)[:k],
            "jac": lambda z: -run.constraint_jacobian(z)[:k],
        }
        equal = {
            "type": "eq",
            "fun": lambda z: run.constraint_values(z)[k:],
            "jac": lambda z: run.constraint_jacobian(z)[k:],
        }
        both = (*((met,) if k else ()), *((equal,) if self.equalities else ()))
        return _minimized(run, "SLSQP", {}, {"maxiter": ENDLESS, "ftol": 1e-16}, both)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """least_squares of SciPy (trust region reflective), for f = ½‖r‖².

    Points of f have `residual`, `jvp_residual` and `vjp_residual`, as for `GaussNewton`.

    Parameters
    ----------
    bounds : Bounds
        Bounds on the design.
    inner : InnerProduct
        M; with bounds M must be diagonal.
    dense : bool
        If True, dr/dx, (k, m), is formed, by m tangent solves; else its products are used.

    Raises
    ------
    TypeError
        If `dense` is not a bool.

    References
    ----------
    Branch, Coleman & Li (1999), SIAM J. Sci. Comput. 21, 1.
    """

    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)
    dense: bool = True

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)

    @property
    def constraints(self) -> tuple[()]:
        """(): least_squares takes no constraints."""
        return ()

    @property
    def equalities(self) -> tuple[()]:
        """(): least_squares takes no equalities."""
        return ()

    def optimize(self, run: Run) -> bool:
        """Run SciPy from `run.start`; True if SciPy claims success."""
        lower, upper = run.z_bounds
        variables = _FreeVariables(run.start, lower < upper)
        root_scale = np.sqrt(run.scale)
        with np.errstate(all="ignore"):  # SciPy itself looks for infinite values.
            found = scipy.optimize.least_squares(
                lambda y: root_scale * np.asarray(run.at(variables.all(y)).point.residual),
                run.start[variables.free],
                jac=_jacobian(run, variables, self.dense),
                bounds=(lower[variables.free], upper[variables.free]),
                method="trf",
                tr_solver="exact" if self.dense else "lsmr",
                max_nfev=ENDLESS,
                ftol=None,
                xtol=1e-15,
                gtol=1e-15,
                callback=_callback(run, variables.all),
            )
        run.accept(variables.all(found.x))
        return bool(found.success)


@dataclass(frozen=True, eq=False)
class _FreeVariables:
    """The variables y of z that are free: least_squares does not accept equal bounds.

    whole: z at the start, (m,); free: (m,) booleans, False if the two bounds are equal.
    """

    whole: Array
    free: Array

    def all(self, y: Array) -> Array:
        """z, (m,), with the values y of the free variables."""
        z = self.whole.copy()
        z[self.free] = y
        return z

    def change(self, v: Array) -> Array:
        """The change of z, (m,), if the free variables change by v."""
        change = np.zeros_like(self.whole)
        change[self.free] = np.ravel(v)
        return change


def _jacobian(
    run: Run, variables: _FreeVariables, dense: bool
) -> Callable[[Array], Array | LinearOperator]:
    """y ↦ √scale dr/dy, as an array (k, free variables) if `dense`, else as an operator."""

    def operator(y: Array) -> LinearOperator:
        point, root_scale = run.at(variables.all(y)).point, np.sqrt(run.scale)
        return LinearOperator(
            (point.residual.size, np.size(y)),
            matvec=lambda v: run.guarded(
                lambda: root_scale * point.jvp_residual(run.root.to_x(variables.change(v)))
            ),
            rmatvec=lambda w: run.guarded(
                lambda: root_scale * run.root.pull(point.vjp_residual(np.ravel(w)))
            )[variables.free],
            dtype=float,
        )

    return (lambda y: operator(y) @ np.eye(np.size(y))) if dense else operator


def _minimized(
    run: Run,
    method: str,
    second: Mapping[str, object],
    options: Mapping[str, object],
    constraints: Sequence[object],
) -> bool:
    """Run `scipy.optimize.minimize`; True if SciPy claims success."""
    lower, upper = run.z_bounds
    bounded = np.isfinite(lower).any() or np.isfinite(upper).any()
    found = scipy.optimize.minimize(
        run.value,
        run.start,
        jac=run.gradient,
        hess=second.get("hess"),
        hessp=second.get("hessp"),
        method=method,
        bounds=scipy.optimize.Bounds(lower, upper) if bounded else None,
        constraints=constraints,
        callback=_callback(run, np.asarray),
        options=dict(options),
    )
    run.accept(found.x)
    return bool(found.success)


def _callback(run: Run, variables: Callable[[Array], Array]) -> Callable[..., None]:
    """A callback that reports iterates; variables: maps SciPy's variables to z.

    SciPy passes an OptimizeResult to a parameter named `intermediate_result`, else x.
    """

    def accepted(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        run.accept(variables(intermediate_result.x))

    return accepted


class _BFGSFromZero(scipy.optimize.BFGS):  # type: ignore[misc]
    """BFGS from the matrix zero: the Hessian of a linear function stays zero.

    The BFGS of SciPy starts from a multiple of the identity.
    """

    def dot(self, p: Array) -> Array:
        """H p, (m,)."""
        return np.zeros_like(p) if self.first_iteration else super().dot(p)

    def get_matrix(self) -> Array:
        """H, (m, m)."""
        H = super().get_matrix()
        return np.zeros_like(H) if self.first_iteration else H


def _split_constraints(run: Run) -> list[object]:
    """The constraints for trust-constr: a linear part, and a part with BFGS Hessians."""
    both = (*run.method.constraints, *run.method.equalities)
    lower = np.where(np.arange(len(both)) < len(run.method.constraints), -np.inf, 0.0)
    linear = np.array([isinstance(c, LinearConstraint) for c in both], dtype=bool)
    found: list[object] = []
    if linear.any():
        # (wᵀx − bound)/scale, without its constant.
        bounds = (
            np.array([c.bound for c in both], dtype=float)[linear]
            / run.initial.scaling.scales[linear]
        )
        rows = run.constraint_jacobian(run.start)[linear]
        found.append(scipy.optimize.LinearConstraint(rows, lower[linear] + bounds, bounds))
    if not linear.all():
        nonlinear = ~linear
        curved = scipy.optimize.NonlinearConstraint(
            lambda z: run.constraint_values(z)[nonlinear],
            lower[nonlinear],
            0.0,
            jac=lambda z: run.constraint_jacobian(z)[nonlinear],
            hess=_BFGSFromZero(),
        )
        found.append(curved)
    return found
