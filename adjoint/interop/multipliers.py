"""Multipliers at an iterate whose optimizer does not give them: least squares with signs."""

import numpy as np
from scipy.optimize import lsq_linear

from ..bounds import Bounds
from ..optimize.constraints.values import Excess
from ..optimize.inner_products import InnerProduct
from ..typing import Array

ACTIVE = 1e-4
"""Scaled distance from its bound within which an inequality may have a multiplier."""


HELD = 1e-5
"""Part of a constraint's change due to free variables below which bounds hold the
constraint."""


NEAR = 1e-3
"""Distance from its bound, relative to its size, within which a variable counts as held:
iterates of interior-point methods never reach bounds."""


SETS = 20
"""Largest number of sets of free variables tried: a few are enough, and the best set is
kept."""


def lagrangian(
    g: Array,
    found: Excess,
    inequalities: int,
    x: Array,
    bounds: Bounds,
    inner: InnerProduct,
    sizes: Array,
) -> tuple[Array, Array]:
    """(λ, ∇f + Σ λ_i ∇c_i), with the λ that makes this gradient least; λ ≥ 0 for inequalities.

    Least in the dual norm, over the variables that bounds do not hold. g: ∇f, (m,);
    inequalities: number of constraints c ≤ bound, which come first; the others are
    equalities; sizes: of the variables, (m,). A variable at a bound counts if −∇L would
    move it inwards. The sum of squares is piecewise quadratic in λ, and is minimized set by
    set. A constraint that free variables hardly change gets no multiplier, for its
    multiplier could have any size.

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
    """True for variables between their bounds, or that would move inwards, (m,) booleans."""
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
    """λ, (k,), with the least dual norm of ∇L over the moving variables."""
    changes = np.abs(rows) * sizes
    free = np.linalg.norm(changes * moving, axis=1) > HELD * np.linalg.norm(changes, axis=1)
    active, multipliers = active & free, np.zeros(len(rows))
    if not active.any():
        return multipliers
    parts = [np.where(moving, row, 0.0) for row in rows[active]]
    directions = [inner.direction(part) for part in parts]
    gram = np.array([[inner.pairing(part, d) for d in directions] for part in parts])
    right = np.array([inner.pairing(np.where(moving, g, 0.0), d) for d in directions])
    # min ‖g + Gᵀλ‖ by the normal equations, in a basis that makes them a least-squares problem.
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values.max(initial=0.0)
    root = np.sqrt(values[kept])
    matrix, target = root[:, None] * vectors[:, kept].T, -(vectors[:, kept].T @ right) / root
    lower = np.where(np.flatnonzero(active) < inequalities, 0.0, -np.inf)
    if kept.any():
        multipliers[active] = lsq_linear(matrix, target, bounds=(lower, np.inf), method="bvls").x
    return multipliers
