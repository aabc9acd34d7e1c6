"""The optimal powers within their limits, by SciPy's L-BFGS-B with exact gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

import adjoint
from adjoint.typing import Array
from scripts.examples.optimal_control.plate import Steering

GRADIENT_FALL = 1e-3
"""Convergence: projected gradient relative to the first."""

MEMORY, ITERATIONS = 30, 200
"""Pairs of steps and gradients in the approximate Hessian; maximum number of iterations."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The result of the optimization.

    point: of the lowest J; fall: its projected gradient, relative to the first; history:
    (J, projected gradient) of all evaluations, (k, 2).
    """

    point: adjoint.Point
    fall: float
    history: Array


def optimum(case: Steering, f: adjoint.Reduced, x: Array, show: Callable[[str], None]) -> Optimum:
    """Minimize f over |x| ≤ limit, from x.

    show: called with a label after each evaluation. Raises adjoint.SolveError if the
    projected gradient does not fall to GRADIENT_FALL.

    Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190.
    """
    limit, history, best = case.limit, [], f(x)
    first = _projected_gradient(best, limit)

    def value(x: Array) -> tuple[float, Array]:
        nonlocal best
        point = f(x)
        history.append((point.value, _projected_gradient(point, limit)))
        best = point if point.value < best.value else best
        show(f"gradient {len(history)}, J {point.value:.4g}: ")
        return point.value, point.gradient

    options = {
        "maxcor": MEMORY,
        "maxiter": ITERATIONS,
        "ftol": 0.0,
        "gtol": GRADIENT_FALL * first,
    }
    bounds = [(-limit, limit)] * x.size
    result = minimize(value, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    last = _projected_gradient(best, limit)
    if not last <= GRADIENT_FALL * first:
        raise adjoint.SolveError(
            f"no optimum in {result.nit} iterations: projected gradient {last:.2e}, expected "
            f"{GRADIENT_FALL * first:.2e} ({result.message}). Usual cause: a wrong gradient. "
            "Remedy: a higher price alpha makes the problem better conditioned"
        )
    return Optimum(best, last / first, np.array(history))


def _projected_gradient(point: adjoint.Point, limit: float) -> float:
    """max |P(x − g) − x|: zero at a stationary point of the problem with limits."""
    return float(np.abs(np.clip(point.x - point.gradient, -limit, limit) - point.x).max())
