"""Ipopt by cyipopt; needs `coinor-libipopt-dev pkg-config` (apt), `cyipopt` (pip)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ..bounds import Bounds
from ..optimize.constraints.constraint import Constraint
from ..optimize.inner_products import Euclidean, InnerProduct
from ..typing import Array
from .run import Run, missing

try:
    import cyipopt
except ImportError as error:
    raise missing("ipopt", error) from error


ENDLESS = 10**9
"""Maximum number of iterations given to Ipopt: `Stopping` has the budgets."""

INFINITE = 2e19
"""Size of a bound that Ipopt treats as infinite."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Ipopt:
    """Ipopt: an interior-point method with a filter line search and L-BFGS Hessians.

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
    tolerance : float
        Tolerance at which Ipopt ends by itself.

    References
    ----------
    Wächter & Biegler (2006), Math. Program. 106, 25.
    """

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)
    tolerance: float = 1e-12

    def optimize(self, run: Run) -> bool:
        """Run Ipopt from `run.start`; True if Ipopt claims success."""
        lower, upper = run.z_bounds
        k, equal = len(self.constraints), len(self.equalities)
        problem = cyipopt.Problem(
            n=run.start.size,
            m=k + equal,
            problem_obj=(callbacks := _Callbacks(run)),
            lb=np.maximum(lower, -INFINITE),
            ub=np.minimum(upper, INFINITE),
            cl=np.concatenate([np.full(k, -INFINITE), np.zeros(equal)]),
            cu=np.zeros(k + equal),
        )
        for name, value in (
            ("print_level", 0),
            ("sb", "yes"),
            ("hessian_approximation", "limited-memory"),
        ):
            problem.add_option(name, value)
        problem.add_option("max_iter", ENDLESS)
        problem.add_option("tol", self.tolerance)
        z, info = problem.solve(run.start)
        if callbacks.failure is not None:
            raise callbacks.failure
        run.accept(z)
        return bool(info["status"] == 0)


@dataclass(eq=False)
class _Callbacks:
    """The functions that Ipopt calls.

    No exception may pass through Ipopt: the first one is kept in `failure`, and Ipopt is
    asked to stop. latest: z of the last gradient, which is the iterate when an iteration
    ends.
    """

    run: Run
    failure: BaseException | None = field(default=None, init=False, repr=False)
    latest: Array | None = field(default=None, init=False, repr=False)

    def objective(self, z: Array) -> float:
        """f, scaled."""
        return self._guarded(lambda: self.run.value(z), 0.0)

    def gradient(self, z: Array) -> Array:
        """df/dz, (m,)."""
        self.latest = np.array(z)
        return self._guarded(lambda: self.run.gradient(z), np.zeros(z.size))

    def constraints(self, z: Array) -> Array:
        """The scaled constraints, (k,)."""
        return self._guarded(
            lambda: self.run.constraint_values(z), np.zeros(self.run.constraint_count)
        )

    def jacobian(self, z: Array) -> Array:
        """dc/dz, row by row, (k m,)."""
        return self._guarded(
            lambda: self.run.constraint_jacobian(z).ravel(),
            np.zeros(self.run.constraint_count * z.size),
        )

    def intermediate(self, *_: float) -> bool:
        """Called once per iteration, after the gradient of the iterate; False stops Ipopt."""
        z = self.latest
        if z is not None and self.failure is None:
            self._guarded(lambda: self.run.accept(z), None)
        return self.failure is None

    def _guarded(self, compute: Callable[[], T], otherwise: T) -> T:
        if self.failure is None:
            try:
                return compute()
            except BaseException as error:  # Raised again once the package has returned.
                self.failure = error
        return otherwise
