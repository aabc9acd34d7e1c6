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
from ..optimize.constraints import Constraint, LinearConstraint
from ..optimize.inner_products import Euclidean, InnerProduct
from ..typing import Array
from .run import Run

ENDLESS = 10**9
"""SciPy's budget of iterations and evaluations: `Stopping` counts them."""


LEAST = 1e-100
"""Measure of optimality below which trust-constr ends by itself. It is the measure of a
problem with a barrier: only zero would be right."""


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

    A `LinearConstraint` is linear for SciPy too. The curvature of f without `hessian`, and
    of other constraints, is that of BFGS, and zero until a gradient changes.

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
        True if points of f have Hessian–vector products.

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
                f"TrustConstr: got {len(self.equalities)} equalities of {run.start.size} variables"
            )
        options = {"maxiter": ENDLESS, "gtol": LEAST, "xtol": 1e-14, "barrier_tol": 1e-14}
        second = {"hessp": run.hvp} if self.hessian else {"hess": _Curvature()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The approximate Hessian of a linear function is zero at the start, and stays zero.
            warnings.filterwarnings("ignore", message="delta_grad == 0.0")
            # SciPy goes on with another factorization.
            warnings.filterwarnings("ignore", message="Singular Jacobian matrix")
            return _minimized(run, "trust-constr", second, options, _split(run))


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
        some, root = _Free(run.start, lower < upper), np.sqrt(run.scale)
        with np.errstate(all="ignore"):  # SciPy itself looks for infinite values.
            found = scipy.optimize.least_squares(
                lambda y: root * np.asarray(run.at(some.all(y)).point.residual),
                run.start[some.free],
                jac=_jacobian(run, some, self.dense),
                bounds=(lower[some.free], upper[some.free]),
                method="trf",
                tr_solver="exact" if self.dense else "lsmr",
                max_nfev=ENDLESS,
                ftol=None,
                xtol=1e-15,
                gtol=1e-15,
                callback=_callback(run, some.all),
            )
        run.accept(some.all(found.x))
        return bool(found.success)


@dataclass(frozen=True, eq=False)
class _Free:
    """The free variables: least_squares takes no variables that bounds fix.

    whole: z of the start, (m,); free: (m,) booleans.
    """

    whole: Array
    free: Array

    def all(self, y: Array) -> Array:
        """z, (m,), with these values of the free variables."""
        z = self.whole.copy()
        z[self.free] = y
        return z

    def change(self, v: Array) -> Array:
        """The change of z, (m,), by a change of the free variables."""
        change = np.zeros_like(self.whole)
        change[self.free] = np.ravel(v)
        return change


def _jacobian(run: Run, some: _Free, dense: bool) -> Callable[[Array], Array | LinearOperator]:
    def operator(y: Array) -> LinearOperator:
        point, root, unit = run.at(some.all(y)).point, run.root, np.sqrt(run.scale)
        return LinearOperator(
            (point.residual.size, np.size(y)),
            matvec=lambda v: run.guarded(
                lambda: unit * point.jvp_residual(root.to_x(some.change(v)))
            ),
            rmatvec=lambda w: run.guarded(
                lambda: unit * root.pull(point.vjp_residual(np.ravel(w)))
            )[some.free],
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
    """A callback that reports iterates.

    SciPy passes its result so far to a parameter of this very name, and x to others
    (trust-constr).
    """

    def accepted(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        run.accept(variables(intermediate_result.x))

    return accepted


class _Curvature(scipy.optimize.BFGS):  # type: ignore[misc]
    """BFGS that begins with zero, so that linear functions keep no curvature.

    SciPy's begins with 1.
    """

    def dot(self, p: Array) -> Array:
        """H p, (m,)."""
        return np.zeros_like(p) if self.first_iteration else super().dot(p)

    def get_matrix(self) -> Array:
        """H, (m, m)."""
        H = super().get_matrix()
        return np.zeros_like(H) if self.first_iteration else H


def _split(run: Run) -> list[object]:
    """The constraints for trust-constr: linear ones as such, others with a BFGS curvature."""
    both = (*run.method.constraints, *run.method.equalities)
    lower = np.where(np.arange(len(both)) < len(run.method.constraints), -np.inf, 0.0)
    linear = np.array([isinstance(each, LinearConstraint) for each in both], dtype=bool)
    found: list[object] = []
    if linear.any():
        # (wᵀx − bound)/scale, without its constant.
        bounds = (
            np.array([each.bound for each in both], dtype=float)[linear]
            / run.initial.scaling.scales[linear]
        )
        rows = run.constraint_jacobian(run.start)[linear]
        found.append(scipy.optimize.LinearConstraint(rows, lower[linear] + bounds, bounds))
    if not linear.all():
        some = ~linear
        curved = scipy.optimize.NonlinearConstraint(
            lambda z: run.constraint_values(z)[some],
            lower[some],
            0.0,
            jac=lambda z: run.constraint_jacobian(z)[some],
            hess=_Curvature(),
        )
        found.append(curved)
    return found
