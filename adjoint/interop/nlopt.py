"""NLopt's gradient-based local optimizers: `pip install nlopt`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .._dataclasses import short_repr
from ..bounds import Bounds
from ..optimize.constraints.constraint import Constraint
from ..optimize.inner_products import Euclidean, InnerProduct
from ..optimize.settings import require_constraints
from ..typing import Array
from .run import Run, missing

try:
    import nlopt
except ImportError as error:
    raise missing("nlopt", error) from error


ACCEPTED_VIOLATION = 1e-9
"""Scaled violation of a constraint that NLopt accepts.

The violation accepted in the result is `Stopping.feasibility`.
"""

LEAST_CHANGE = 1e-15
"""Relative change of f or z below which NLopt ends by itself, so that every run ends."""

INEQUALITIES = (nlopt.LD_MMA, nlopt.LD_CCSAQ)
"""Algorithms that accept c ≤ bound, but no equalities.

See https://nlopt.readthedocs.io/en/latest/NLopt_Algorithms.
"""

EQUALITIES = (nlopt.LD_SLSQP, nlopt.LD_AUGLAG, nlopt.LD_AUGLAG_EQ)
"""Algorithms that accept c ≤ bound and c = bound."""


@dataclass(frozen=True, eq=False)
class NLopt:
    """A local algorithm of NLopt that uses gradients.

    NLopt reports evaluations, but not which of them are iterates. An evaluation that is
    better than all evaluations before it counts as an iterate.

    Parameters
    ----------
    algorithm : int
        nlopt.LD_MMA, LD_CCSAQ, LD_SLSQP, LD_LBFGS, LD_VAR2, …
    constraints : sequence of Constraint
        c ≤ bound.
    equalities : sequence of Constraint
        c = bound.
    bounds : Bounds
        Bounds on the design.
    inner : InnerProduct
        M; with bounds M must be diagonal.

    Raises
    ------
    TypeError
        If the algorithm is not an integer, such as nlopt.LD_MMA.
    ValueError
        If the algorithm uses no gradients, or does not accept the constraints given.

    References
    ----------
    Johnson, The NLopt nonlinear-optimization package, https://nlopt.readthedocs.io.
    """

    algorithm: int = nlopt.LD_MMA
    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.algorithm, int):
            raise TypeError(
                f"NLopt: got algorithm={self.algorithm!r}, expected a number of the module nlopt, "
                "such as nlopt.LD_MMA"
            )
        name = nlopt.algorithm_name(self.algorithm)
        if "local, derivative" not in name.lower().replace("(", "").replace("-based", ""):
            raise ValueError(
                f"NLopt: got {name}, expected a local algorithm that uses gradients, such as "
                "nlopt.LD_MMA"
            )
        for constraints in (self.constraints, self.equalities):
            require_constraints("NLopt", constraints, ())
        if self.constraints and self.algorithm not in (*INEQUALITIES, *EQUALITIES):
            raise ValueError(
                f"NLopt: got constraints, expected none: {name} does not accept constraints. Use "
                "nlopt.LD_MMA or nlopt.LD_SLSQP"
            )
        if self.equalities and self.algorithm not in EQUALITIES:
            raise ValueError(
                f"NLopt: got equalities, expected none: {name} does not accept equalities. Use "
                "nlopt.LD_SLSQP"
            )

    def optimize(self, run: Run) -> bool:
        """Run NLopt from `run.start`; True if NLopt claims success."""
        optimizer = nlopt.opt(self.algorithm, run.start.size)
        guarded = _Guard(optimizer)
        lower, upper = run.z_bounds
        optimizer.set_lower_bounds(lower)
        optimizer.set_upper_bounds(upper)
        optimizer.set_min_objective(guarded(_objective(run)))
        k, equal = len(self.constraints), len(self.equalities)
        if k:
            optimizer.add_inequality_mconstraint(
                guarded(_constraints(run, slice(0, k))), np.full(k, ACCEPTED_VIOLATION)
            )
        if equal:
            optimizer.add_equality_mconstraint(
                guarded(_constraints(run, slice(k, k + equal))), np.full(equal, ACCEPTED_VIOLATION)
            )
        optimizer.set_ftol_rel(LEAST_CHANGE)
        optimizer.set_xtol_rel(LEAST_CHANGE)
        try:
            optimizer.optimize(run.start)
        except (RuntimeError, nlopt.ForcedStop, nlopt.RoundoffLimited, nlopt.exception):
            if guarded.failure is None:
                return False
        if guarded.failure is not None:
            raise guarded.failure
        return bool(optimizer.last_optimize_result() > 0)


@dataclass(eq=False)
class _Guard:
    """Wrapper of functions that NLopt's C code calls: no exception passes through the C code.

    The first exception is kept in `failure`, and NLopt is asked to stop.
    """

    optimizer: nlopt.opt
    failure: BaseException | None = field(default=None, init=False, repr=False)

    def __call__(self, function: Callable[..., float]) -> Callable[..., float]:
        """Return a function that calls `function` and raises nothing.

        After the first exception the function returns 0 and asks NLopt to stop.
        """

        def called(*arguments: Array) -> float:
            if self.failure is None:
                try:
                    return function(*arguments)
                except BaseException as error:  # Raised again once the package has returned.
                    self.failure = error
            self.optimizer.force_stop()
            return 0.0

        return called


def _objective(run: Run) -> Callable[[Array, Array], float]:
    def objective(z: Array, gradient: Array) -> float:
        value = run.value(z)
        if gradient.size:
            gradient[:] = run.gradient(z)
            if run.improves(z):
                run.accept(z)
        return value

    return objective


def _constraints(run: Run, which: slice) -> Callable[[Array, Array, Array], float]:
    def constraints(values: Array, z: Array, slopes: Array) -> float:
        values[:] = run.constraint_values(z)[which]
        if slopes.size:
            slopes[:] = run.constraint_jacobian(z)[which]
        return 0.0

    return constraints
