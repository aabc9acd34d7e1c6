"""SciPy's BFGS and L-BFGS-B on a counted problem, ended at a 2-norm of the gradient."""

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from adjoint.typing import Array
from problems.optimization.more_garbow_hillstrom import Counted, Evaluation


class Last:
    """f and its gradient as two functions, as SciPy needs them; remembers the last point."""

    def __init__(self, f: Counted, tolerance: float) -> None:
        self.f, self.tolerance, self.point = f, tolerance, f(f.problem.start)

    def at(self, x: Array) -> Evaluation:
        """Return the last point if it is at x, else a new point."""
        if not np.array_equal(x, self.point.x):
            self.point = self.f(x)
        return self.point

    def value(self, x: Array) -> float:
        """f(x)."""
        return self.at(x).value

    def gradient(self, x: Array) -> Array:
        """∇f(x)."""
        return self.at(x).gradient

    def stop(self, intermediate_result: OptimizeResult) -> None:
        """SciPy's callback: end the run if ‖g‖₂ ≤ tolerance."""
        if np.linalg.norm(self.gradient(intermediate_result.x)) <= self.tolerance:
            raise StopIteration


def scipy_bfgs(f: Counted, tolerance: float, iterations: int) -> Array:
    """Return the end of a run of BFGS, (n,)."""
    last, options = Last(f, tolerance), {"gtol": tolerance, "norm": 2, "maxiter": iterations}
    with np.errstate(all="ignore"):  # its own arithmetic, where f overflows
        return minimize(
            last.value, f.problem.start, jac=last.gradient, method="BFGS", options=options
        ).x


def scipy_lbfgs(f: Counted, tolerance: float, iterations: int) -> Array:
    """Return the end of a run of L-BFGS-B, (n,).

    L-BFGS-B has no test of ‖g‖₂, so that a callback ends the run; with ftol = 0 its
    test of f ends a run only if f does not decrease at all.
    """
    last = Last(f, tolerance)
    run = {"method": "L-BFGS-B", "callback": last.stop}
    options = {"ftol": 0.0, "gtol": 0.0, "maxiter": iterations, "maxfun": 20 * iterations}
    with np.errstate(all="ignore"):
        return minimize(last.value, f.problem.start, jac=last.gradient, options=options, **run).x
