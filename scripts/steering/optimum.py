"""The best powers within their limits, by L-BFGS-B with exact gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

import adjoint
from adjoint.typing import Array
from scripts.steering.plate import Steering

FLAT = 1e-3  # the end: projected gradient over the first one
KEPT, MOST = 30, 200  # pairs of steps and gradients that are kept; iterations at most


@dataclass(frozen=True, eq=False)
class Optimum:
    """point: of the lowest J; fall: its projected gradient over the first; history: (J, that) of all, (k, 2)."""

    point: adjoint.Point
    fall: float
    history: Array


def optimum(case: Steering, f: adjoint.Reduced, x: Array, show: Callable[[str], None]) -> Optimum:
    """Minimize f over |x| ≤ limit, from x; show: called with what is going on.

    Raises adjoint.SolveError if that does not succeed. Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190.
    """
    limit, history, best = case.limit, [], f(x)
    first = _projected(best, limit)

    def value(x: Array) -> tuple[float, Array]:
        nonlocal best
        point = f(x)
        history.append((point.value, _projected(point, limit)))
        best = point if point.value < best.value else best
        show(f"gradient {len(history)}, J {point.value:.4g}: ")
        return point.value, point.gradient

    options = {"maxcor": KEPT, "maxiter": MOST, "ftol": 0.0, "gtol": FLAT * first}
    result = minimize(
        value, x, jac=True, method="L-BFGS-B", bounds=[(-limit, limit)] * x.size, options=options
    )
    last = _projected(best, limit)
    if not last <= FLAT * first:
        raise adjoint.SolveError(
            f"no optimum in {result.nit} iterations: projected gradient {last:.2e}, expected {FLAT * first:.2e} "
            f"({result.message}). Is the gradient right? A higher price alpha makes it easier"
        )
    return Optimum(best, last / first, np.array(history))


def _projected(point: adjoint.Point, limit: float) -> float:
    """max |P(x − g) − x|, zero where no direction within the limits leads down."""
    return float(np.abs(np.clip(point.x - point.gradient, -limit, limit) - point.x).max())
