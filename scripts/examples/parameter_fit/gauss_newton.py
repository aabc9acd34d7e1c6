"""Gauss–Newton iterations with a prior whose weight follows the discrepancy principle."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator, cg

import adjoint
from adjoint.typing import Array
from problems.optimization.thermography import Thermography
from problems.optimization.variation import TotalVariation

ALPHA = 100.0
"""First weight α of the prior."""

EXPONENT, LARGEST_FACTOR = -2.0, 2.0
"""Each iteration multiplies α by (misfit / noise)^EXPONENT, and by LARGEST_FACTOR at most:
the misfit grows about as α^¼."""

GRADIENT_FALL, MISFIT_ERROR = 1e-3, 0.01
"""Convergence: norm of the gradient relative to the first; error of misfit / noise."""

CG_TOLERANCE = 0.1
"""Relative residual of the conjugate gradients: far from the optimum, a smaller one is wasted."""

CG_ITERATIONS = 300
"""Maximum number of iterations of the conjugate gradients."""


@dataclass(frozen=True, eq=False)
class Iterate:
    """An iterate x = ln p and the solution there.

    ratio: misfit / noise; gradient: norm of the gradient; alpha: weight of the prior;
    counts: factorizations and solves up to this iterate.
    """

    x: Array
    solution: adjoint.steady.SteadySolution
    ratio: float
    gradient: float
    alpha: float
    counts: adjoint.factor.Counts


def fit(
    case: Thermography, prior: TotalVariation, iterations: int, show: Callable[[int, str], None]
) -> list[Iterate]:
    """Minimize ½‖C u(eˣ) − d‖² + α TV(x) from x = 0 by (DᵀD + αL) Δx = −g, D = d(C u)/dx.

    Conjugate gradients, preconditioned with αL, solve each system. A product with D or Dᵀ
    is one solve with the factors of the forward solution. The norm of the gradient is
    √(gᵀL⁻¹g).

    iterations: maximum number; show: called in each iteration with its number and a text.
    Returns all iterates. Raises ValueError if iterations < 1, and adjoint.SolveError if the
    fit does not converge.
    """
    if iterations < 1:
        raise ValueError(f"got {iterations} iterations, expected at least one")
    C, x, alpha, path = aslinearoperator(case.observe), np.zeros(case.truth.size), ALPHA, []
    with adjoint.counting() as counts:
        solution = case.problem.solve(np.exp(x))
        for iteration in range(iterations + 1):
            r = C @ solution.u - case.data
            ratio = float(np.sqrt(r @ r / r.size))
            if iteration > 1:
                alpha *= float(np.clip(ratio**EXPONENT, 1.0 / LARGEST_FACTOR, LARGEST_FACTOR))
            L = prior.form(x)
            smooth = adjoint.cholesky(L)
            D = C @ solution.derivative @ aslinearoperator(sparse.diags_array(solution.p))
            g = D.T @ r + alpha * (L @ x)
            size = float(np.sqrt(g @ smooth.solve(g)))
            path.append(Iterate(x, solution, ratio, size, alpha, counts.copy()))
            fall = path[-1].gradient / path[0].gradient
            show(iteration, f"misfit / noise {ratio:.4f}, gradient {fall:.1e} of the first")
            if fall <= GRADIENT_FALL and abs(ratio - 1.0) <= MISFIT_ERROR:
                return path
            H = D.T @ D + alpha * aslinearoperator(L)
            M = LinearOperator(L.shape, matvec=partial(_preconditioned, smooth, alpha), dtype=float)
            x = x + cg(H, -g, rtol=CG_TOLERANCE, maxiter=CG_ITERATIONS, M=M)[0]
            solution = case.problem.solve(np.exp(x), near=solution)
    raise adjoint.SolveError(
        f"no fit in {iterations} iterations: misfit / noise {path[-1].ratio:.3f}, expected 1; "
        f"gradient {fall:.1e} of the first, expected {GRADIENT_FALL:.0e}. Usual causes: too few "
        "iterations, or a noise level that is not the noise level of the data"
    )


def _preconditioned(factors: adjoint.factor.Factorization, alpha: float, v: Array) -> Array:
    """(αL)⁻¹ v."""
    return factors.solve(v) / alpha
