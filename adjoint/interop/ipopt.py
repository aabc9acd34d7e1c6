"""Ipopt through cyipopt: `apt-get install coinor-libipopt-dev pkg-config`, `pip install cyipopt`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ..bounds import Bounds
from ..optimize.constraints import Constraint
from ..optimize.inner_products import Euclidean, InnerProduct
from ..typing import Array
from .run import Run, missing

try:
    import cyipopt
except ImportError as error:
    raise missing("ipopt", error) from error


ENDLESS = 10**9
"""Iterations: `Stopping` counts them."""


INFINITE = 2e19
"""What Ipopt takes for no bound."""


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Ipopt:
    """Ipopt, interior point with a filter, its Hessians by L-BFGS. tolerance: its own, below which it ends by itself.

    Wächter & Biegler (2006), Math. Program. 106, 25.
    """

    constraints: Sequence[Constraint] = ()
    equalities: Sequence[Constraint] = ()
    bounds: Bounds = field(default_factory=Bounds)
    inner: InnerProduct = field(default_factory=Euclidean)
    tolerance: float = 1e-12

    def optimize(self, run: Run) -> bool:
        """From `run.start`; whether Ipopt claims success."""
        lower, upper = run.box
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
        if callbacks.ended:
            raise callbacks.ended[0]
        run.accept(z)
        return bool(info["status"] == 0)


@dataclass(frozen=True, eq=False)
class _Callbacks:
    """What Ipopt calls. An exception must not pass through it: it is kept, and Ipopt asked to stop."""

    run: Run
    ended: list[BaseException] = field(default_factory=list)
    latest: list[Array] = field(default_factory=list)

    def objective(self, z: Array) -> float:
        """f."""
        return self._kept(lambda: self.run.value(z), 0.0)

    def gradient(self, z: Array) -> Array:
        """df/dz, (m,)."""
        self.latest[:] = [np.array(z)]
        return self._kept(lambda: self.run.gradient(z), np.zeros(z.size))

    def constraints(self, z: Array) -> Array:
        """c, (k,)."""
        return self._kept(lambda: self.run.excesses(z), np.zeros(self.run.number))

    def jacobian(self, z: Array) -> Array:
        """dc/dz, row by row, (k m,)."""
        return self._kept(lambda: self.run.slopes(z).ravel(), np.zeros(self.run.number * z.size))

    def intermediate(self, *_: float) -> bool:
        """Called once an iteration, when the gradient of the iterate has just been asked for."""
        if self.latest and not self.ended:
            self._kept(lambda: self.run.accept(self.latest[0]), None)
        return not self.ended

    def _kept(self, compute: Callable[[], T], otherwise: T) -> T:
        if not self.ended:
            try:
                return compute()
            except BaseException as error:  # Raised again once the package has returned.
                self.ended.append(error)
        return otherwise
