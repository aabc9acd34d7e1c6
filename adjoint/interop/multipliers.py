"""Multipliers of an iterate whose optimizer does not tell them: least squares with signs."""

import numpy as np
from scipy.optimize import lsq_linear

from ..arrays import Array
from ..optimize import Box, InnerProduct
from ..optimize.constraints import Excess

ACTIVE = 1e-4
"""Scaled distance from its bound within which an inequality may have a multiplier."""


def lagrangian(
    g: Array, found: Excess, inequalities: int, x: Array, bounds: Box, inner: InnerProduct
) -> tuple[Array, Array]:
    """(λ, ∇f + Σ λ_i ∇c_i), λ of the least dual norm over what is not held by bounds; λ ≥ 0 for inequalities.

    g: ∇f, (m,); the first `inequalities` of the constraints are c ≤ bound, the others equalities. Nocedal & Wright
    (2006), Numerical Optimization, eq. 18.22, with signs.
    """
    k = found.values.size
    active = np.array([i >= inequalities or found.values[i] >= -ACTIVE for i in range(k)], dtype=bool)
    multipliers = np.zeros(k)
    if active.any():
        inside = (x > bounds.lower) & (x < bounds.upper)
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
