"""Multipliers at an iterate, for optimizers that give none: least squares with signs."""

import numpy as np
from scipy.optimize import lsq_linear

from ..bounds import Bounds
from ..optimize.constraints.values import Excess
from ..optimize.inner_products import InnerProduct
from ..typing import Array

ACTIVE = 1e-4
"""Scaled distance of an inequality from its bound within which it may have a multiplier."""

HELD_SHARE = 1e-5
"""Share of the free variables in the change of a constraint below which it has no multiplier.

Its other variables are held by bounds.
"""

NEAR_BOUND = 1e-3
"""Distance of a variable from its bound, relative to its size, within which it counts as held.

Iterates of interior-point methods never reach bounds.
"""

MOST_SETS = 20
"""Maximum number of sets of free variables that are tried.

A few sets are usually enough; the best set is kept.
"""


def lagrangian(
    g: Array,
    found: Excess,
    inequalities: int,
    x: Array,
    bounds: Bounds,
    inner: InnerProduct,
    sizes: Array,
) -> tuple[Array, Array]:
    """(λ, ∇L) with ∇L = ∇f + Σ λ_i ∇c_i of least norm; λ ≥ 0 for inequalities.

    The norm is the dual norm over the free variables: those that are not at a bound, and
    those that −∇L would move inwards from their bound. The set of free variables depends on
    λ, so that the squared norm is piecewise quadratic in λ: it is minimized for one set
    after another. A constraint that free variables hardly change gets no multiplier,
    because its multiplier could have any size.

    g: ∇f, (m,). inequalities: number of constraints c ≤ bound, which come before the
    equalities. sizes: sizes of the variables, (m,).

    Nocedal & Wright (2006), Numerical Optimization, eq. 18.22, with signs.
    """
    k = found.values.size
    active = (np.arange(k) >= inequalities) | (found.values >= -ACTIVE)
    best, least = np.zeros(k), np.inf
    moving, multipliers = np.zeros(x.shape, dtype=bool), best
    for _ in range(MOST_SETS):
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
    """True for free variables: between their bounds, or moved inwards by −slope, (m,)."""
    near = NEAR_BOUND * sizes
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
    free = np.linalg.norm(changes * moving, axis=1) > HELD_SHARE * np.linalg.norm(changes, axis=1)
    active, multipliers = active & free, np.zeros(len(rows))
    if not active.any():
        return multipliers
    parts = [np.where(moving, row, 0.0) for row in rows[active]]
    directions = [inner.direction(part) for part in parts]
    gram = np.array([[inner.pairing(part, d) for d in directions] for part in parts])
    right = np.array([inner.pairing(np.where(moving, g, 0.0), d) for d in directions])
    # min ‖g + Gᵀλ‖ with bounds on λ: the eigenvectors of the Gram matrix turn the normal equations
    # into a least-squares problem, which lsq_linear solves.
    values, vectors = np.linalg.eigh(gram)
    kept = values > 1e-12 * values.max(initial=0.0)
    root = np.sqrt(values[kept])
    matrix, target = root[:, None] * vectors[:, kept].T, -(vectors[:, kept].T @ right) / root
    lower = np.where(np.flatnonzero(active) < inequalities, 0.0, -np.inf)
    if kept.any():
        multipliers[active] = lsq_linear(matrix, target, bounds=(lower, np.inf), method="bvls").x
    return multipliers
