"""SciPy's optimizers: L-BFGS-B, trust-constr, SLSQP and least_squares."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
from scipy.sparse.linalg import LinearOperator

from ..arguments import require_settings
from ..arrays import Array
from ..optimize import Box, Constraint, Euclidean, InnerProduct
from .run import Run

ENDLESS = 10**9
"""Iterations and evaluations: `Stopping` counts them."""


@dataclass(frozen=True, eq=False)
class LBFGSB:
    """L-BFGS-B of SciPy. memory: pairs it keeps. Constraints: `SLSQP`, `TrustConstr`, or our `AugmentedLagrangian`.

    Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190.
    """

    bounds: Box = field(default_factory=Box)
    inner: InnerProduct = field(default_factory=Euclidean)
    memory: int = 10

    def __post_init__(self) -> None:
        require_settings(self)
        if self.memory < 1:
            raise ValueError(f"LBFGSB: got memory={self.memory}, expected at least one pair")

    @property
    def constraints(self) -> tuple[()]:
        """It takes none."""
        return ()

    @property
    def equalities(self) -> tuple[()]:
        """It takes none."""
        return ()

    def optimize(self, run: Run) -> bool:
        """From `run.start`; whether SciPy claims success."""
        options = {"maxcor": self.memory, "maxiter": ENDLESS, "maxfun": ENDLESS, "ftol": 0.0, "gtol": 0.0, "maxls": 40}
        return _minimized(run, "L-BFGS-B", {}, options, ())


@dataclass(frozen=True, eq=False)
class TrustConstr:
    """trust-constr of SciPy. hessian: whether points of f have Hessian products; curvature of constraints by BFGS.

    Byrd, Hribar & Nocedal (1999), SIAM J. Optim. 9, 877.
    """

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Box = field(default_factory=Box)
    inner: InnerProduct = field(default_factory=Euclidean)
    hessian: bool = False

    def __post_init__(self) -> None:
        require_settings(self)

    def optimize(self, run: Run) -> bool:
        """From `run.start`; whether SciPy claims success."""
        if len(self.equalities) > run.start.size:
            raise ValueError(f"TrustConstr: got {len(self.equalities)} equalities of {run.start.size} variables")
        lower = [-np.inf] * len(self.constraints) + [0.0] * len(self.equalities)
        curvature = scipy.optimize.BFGS()
        both = scipy.optimize.NonlinearConstraint(run.excesses, lower, 0.0, jac=run.slopes, hess=curvature)
        options = {"maxiter": ENDLESS, "gtol": 1e-14, "xtol": 1e-14, "barrier_tol": 1e-14}
        second = {"hessp": _product(run)} if self.hessian else {"hess": scipy.optimize.BFGS()}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # What is linear has no curvature: its approximation is zero from the start, and stays so.
            warnings.filterwarnings("ignore", message="delta_grad == 0.0")
            warnings.filterwarnings("ignore", message="Singular Jacobian matrix")  # It goes on by other factors.
            return _minimized(run, "trust-constr", second, options, (both,) if lower else ())


@dataclass(frozen=True, eq=False)
class SLSQP:
    """SLSQP of SciPy: for few variables, it keeps dense matrices (m, m). Kraft (1988), DFVLR-FB 88-28."""

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Box = field(default_factory=Box)
    inner: InnerProduct = field(default_factory=Euclidean)

    def optimize(self, run: Run) -> bool:
        """From `run.start`; whether SciPy claims success."""
        k = len(self.constraints)
        met = {"type": "ineq", "fun": lambda z: -run.excesses(z)[:k], "jac": lambda z: -run.slopes(z)[:k]}
        equal = {"type": "eq", "fun": lambda z: run.excesses(z)[k:], "jac": lambda z: run.slopes(z)[k:]}
        both = (*((met,) if k else ()), *((equal,) if self.equalities else ()))
        return _minimized(run, "SLSQP", {}, {"maxiter": ENDLESS, "ftol": 1e-16}, both)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """least_squares of SciPy (trust region reflective), f a `Residuals`: f = ½‖r‖².

    dense: whether dr/dx is formed, (k, m), one tangent or transposed solve a column or row; else its products are used.
    Branch, Coleman & Li (1999), SIAM J. Sci. Comput. 21, 1.
    """

    bounds: Box = field(default_factory=Box)
    inner: InnerProduct = field(default_factory=Euclidean)
    dense: bool = True

    def __post_init__(self) -> None:
        require_settings(self)

    @property
    def constraints(self) -> tuple[()]:
        """It takes none."""
        return ()

    @property
    def equalities(self) -> tuple[()]:
        """It takes none."""
        return ()

    def optimize(self, run: Run) -> bool:
        """From `run.start`; whether SciPy claims success."""
        lower, upper = run.box
        some = _Free(run.start, lower < upper)
        with np.errstate(all="ignore"):  # It finds out by itself what has become infinite.
            found = scipy.optimize.least_squares(
                lambda y: np.asarray(run.at(some.all(y)).point.residual),
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
    """The variables that are not fixed by their bounds, which least_squares does not take. whole: the start, (m,)."""

    whole: Array
    free: Array

    def all(self, y: Array) -> Array:
        """z, (m,), of the free variables."""
        z = self.whole.copy()
        z[self.free] = y
        return z

    def change(self, v: Array) -> Array:
        """Of z, (m,), by one of the free variables."""
        change = np.zeros_like(self.whole)
        change[self.free] = np.ravel(v)
        return change


def _jacobian(run: Run, some: _Free, dense: bool) -> Callable[[Array], Array | LinearOperator]:
    def operator(y: Array) -> LinearOperator:
        point, root = run.at(some.all(y)).point, run.root
        return LinearOperator(
            (point.residual.size, np.size(y)),
            matvec=lambda v: run.guarded(lambda: point.jvp_residual(root.to_x(some.change(v)))),
            rmatvec=lambda w: run.guarded(lambda: root.pull(point.vjp_residual(np.ravel(w))))[some.free],
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
    lower, upper = run.box
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
    """Reports iterates; SciPy passes its result so far to a parameter of this very name, x to others (trust-constr)."""

    def accepted(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        run.accept(variables(intermediate_result.x))

    return accepted


def _product(run: Run) -> Callable[[Array, Array], Array]:
    """(d²f/dz²) v."""
    return lambda z, v: run.root.pull(run.at(z).point.hvp(run.root.to_x(np.asarray(v, dtype=float))))
