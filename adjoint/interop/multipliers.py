"""Multipliers of an iterate whose optimizer does not tell them: least squares with signs."""

import numpy as np
from scipy.optimize import lsq_linear

from ..arrays import Array
from ..optimize import Box, InnerProduct
from ..optimize.excess import Excess

ACTIVE = 1e-4
"""Scaled distance from its bound within which an inequality may have a multiplier."""

HELD = 1e-5
"""Share of what a constraint changes by that is left to the variables between their bounds, below which it is held."""


def lagrangian(
    g: Array, found: Excess, inequalities: int, x: Array, bounds: Box, inner: InnerProduct, sizes: Array
) -> tuple[Array, Array]:
    """(λ, ∇f + Σ λ_i ∇c_i), λ of the least dual norm over what is not held by bounds; λ ≥ 0 for inequalities.

    g: ∇f, (m,); the first `inequalities` of the constraints are c ≤ bound, the others equalities; sizes: of the
    variables, (m,). A constraint that the variables between their bounds hardly change gets no multiplier: it would be
    of any size. Nocedal & Wright (2006), Numerical Optimization, eq. 18.22, with signs.
    """
    k = found.values.size
    inside = (x > bounds.lower) & (x < bounds.upper)
    changes = np.abs(found.gradients) * sizes
    movable = np.linalg.norm(changes * inside, axis=1) > HELD * np.linalg.norm(changes, axis=1)
    active = movable & ((np.arange(k) >= inequalities) | (found.values >= -ACTIVE))
    multipliers = np.zeros(k)
    if active.any():
        rows = [np.where(inside, row, 0.0) for row in found.gradients[active]]
        directions = [inner.direction(row) for row in rows]
        gram = np.array([[inner.pairing(row, d) for d in directions] for row in rows])
        right = np.array([inner.pairing(np.where(inside, g, 0.0), d) for d in directions])
        # min ‖g + Gᵀλ‖ through its normal equations, in the basis where they are a least-squares problem.
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-12 * values.max(initial=0.0)
        root = np.sqrt(values[kept])
        matrix, target = root[:, None] * vectors[:, kept].T, -(vectors[:, kept].T @ right) / root
        lower = np.where(np.flatnonzero(active) < inequalities, 0.0, -np.inf)
        if kept.any():
            multipliers[active] = lsq_linear(matrix, target, bounds=(lower, np.inf), method="bvls").x
    return multipliers, g + np.einsum("i,ij->j", multipliers, found.gradients)
