"""Multipliers of an iterate whose optimizer does not tell them: least squares with signs."""

import numpy as np
from scipy.optimize import lsq_linear

from ..bounds import Bounds
from ..optimize.constraint_values import Excess
from ..optimize.inner_products import InnerProduct
from ..typing import Array

ACTIVE = 1e-4
"""Scaled distance from its bound within which an inequality may have a multiplier."""


HELD = 1e-5
"""Share of what a constraint changes by that is left to the variables that may move, below which bounds hold it."""


NEAR = 1e-3
"""Distance from its bound, in its size, within which a variable is held by it: interior points never stand there."""


SETS = 20
"""Sets of moving variables tried: a few are enough, and the best one is kept."""


def lagrangian(
    g: Array,
    found: Excess,
    inequalities: int,
    x: Array,
    bounds: Bounds,
    inner: InnerProduct,
    sizes: Array,
) -> tuple[Array, Array]:
    """(λ, ∇f + Σ λ_i ∇c_i), λ of the least dual norm of what bounds do not hold; λ ≥ 0 for inequalities.

    g: ∇f, (m,); the first `inequalities` of the constraints are c ≤ bound, the others equalities; sizes: of the
    variables, (m,). A variable at a bound counts where ∇L would move it inwards: the sum of squares is piecewise
    quadratic in λ, and is made small set by set. A constraint that the variables that count hardly change gets no
    multiplier: it would be of any size.

    Nocedal & Wright (2006), Numerical Optimization, eq. 18.22, with signs.
    """
    k = found.values.size
    active = (np.arange(k) >= inequalities) | (found.values >= -ACTIVE)
    best, least = np.zeros(k), np.inf
    moving, multipliers = np.zeros(x.shape, dtype=bool), best
    for _ in range(SETS):
        slope = g + np.einsum("i,ij->j", multipliers, found.gradients)
        before, moving = moving, _moving(slope, x, bounds, sizes)
        left = inner.dual_norm(np.where(moving, slope, 0.0))
        if left < least:
            best, least = multipliers, left
        if least == 0.0 or np.array_equal(before, moving):
            break
        multipliers = _fitted(g, found.gradients, moving, active, inequalities, inner, sizes)
    return best, g + np.einsum("i,ij->j", best, found.gradients)


def _moving(slope: Array, x: Array, bounds: Bounds, sizes: Array) -> Array:
    """Which variables are between their bounds, or would leave them for the inside, (m,) booleans."""
    near = NEAR * sizes
    return np.asarray(
        ((x > bounds.lower + near) | (slope < 0.0)) & ((x < bounds.upper - near) | (slope > 0.0))
    )


def _fitted(
    g: Array,
    rows: Array,
    moving: Array,
    active: Array,
    inequalities: int,
    inner: InnerProduct,
    sizes: Array,
) -> Array:
    """λ, (k,), of the least dual norm of ∇L over the moving variables."""
    changes = np.abs(rows) * sizes
    free = np.linalg.norm(changes * moving, axis=1) > HELD * np.linalg.norm(changes, axis=1)
    active, multipliers = active & free, np.zeros(len(rows))
    if not active.any():
        return multipliers
    parts = [np.where(moving, row, 0.0) for row in rows[active]]
    directions = [inner.direction(part) for part in parts]
    gram = np.array([[inner.pairing(part, d) for d in directions] for part in parts])
    right = np.array([inner.pairing(np.where(moving, g, 0.0), d) for d in directions])
    # min ‖g + Gᵀλ‖ through its normal equations, in the basis where they are a least-squares problem.
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values.max(initial=0.0)
    root = np.sqrt(values[kept])
    matrix, target = root[:, None] * vectors[:, kept].T, -(vectors[:, kept].T @ right) / root
    lower = np.where(np.flatnonzero(active) < inequalities, 0.0, -np.inf)
    if kept.any():
        multipliers[active] = lsq_linear(matrix, target, bounds=(lower, np.inf), method="bvls").x
    return multipliers
