"""Gauss–Newton steps for a regularized fit, the weight of the prior steered until the misfit is the noise."""

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

ALPHA = 100.0  # the first weight
EXPONENT, MOST = (
    -2.0,
    2.0,
)  # α ← α ratio^EXPONENT, by a factor of MOST at most: the misfit grows about as α^¼
FLAT, CLOSE = (
    1e-3,
    0.01,
)  # the end: of the gradient, relative to the first; of the misfit, relative to the noise
INNER = 0.1  # relative residual of the conjugate gradients in a step: far from the end, more would be wasted
LONGEST = 300  # iterations of them


@dataclass(frozen=True, eq=False)
class Iterate:
    """x, and the solution there; ratio: misfit / noise; gradient: its norm; alpha: α; counts: of all work so far."""

    x: Array
    solution: adjoint.steady.SteadySolution
    ratio: float
    gradient: float
    alpha: float
    counts: adjoint.factor.Counts


def fit(
    case: Thermography, prior: TotalVariation, most: int, show: Callable[[int, str], None]
) -> list[Iterate]:
    """Minimize ½‖C u(eˣ) − d‖² + α TV(x) from x = 0 by (DᵀD + αL) Δx = −g, D = d(C u)/dx; returns the path.

    Each step solves its system by conjugate gradients preconditioned with αL, with products with D and Dᵀ alone: two
    solves with the factors of the forward solution. The gradient's norm is √(gᵀL⁻¹g). most: iterations; show: called
    with the number of each and a text. Raises adjoint.SolveError if they do not suffice.
    """
    if most < 1:
        raise ValueError(f"got {most} iterations, expected at least one")
    C, x, alpha, path = aslinearoperator(case.observe), np.zeros(case.truth.size), ALPHA, []
    with adjoint.counting() as counts:
        solution = case.problem.solve(np.exp(x))
        for iteration in range(most + 1):
            r = C @ solution.u - case.data
            ratio = float(np.sqrt(r @ r / r.size))
            if iteration > 1:
                alpha *= float(np.clip(ratio**EXPONENT, 1.0 / MOST, MOST))
            L = prior.form(x)
            smooth = adjoint.cholesky(L)
            D = C @ solution.derivative @ aslinearoperator(sparse.diags_array(solution.p))
            g = D.T @ r + alpha * (L @ x)
            path.append(
                Iterate(
                    x, solution, ratio, float(np.sqrt(g @ smooth.solve(g))), alpha, counts.copy()
                )
            )
            fall = path[-1].gradient / path[0].gradient
            show(iteration, f"misfit / noise {ratio:.4f}, gradient {fall:.1e} of the first")
            if fall <= FLAT and abs(ratio - 1.0) <= CLOSE:
                return path
            H = D.T @ D + alpha * aslinearoperator(L)
            M = LinearOperator(L.shape, matvec=partial(_divided, smooth, alpha), dtype=float)
            x = x + cg(H, -g, rtol=INNER, maxiter=LONGEST, M=M)[0]
            solution = case.problem.solve(np.exp(x), near=solution)
    raise adjoint.SolveError(
        f"no fit in {most} iterations: misfit / noise {path[-1].ratio:.3f}, expected 1; gradient {fall:.1e} of the "
        f"first, expected {FLAT:.0e}. More iterations, or a level of noise that the data have"
    )


def _divided(factors: adjoint.factor.Factorization, alpha: float, v: Array) -> Array:
    """(αL)⁻¹ v."""
    return factors.solve(v) / alpha
