"""What the null vectors of a singular matrix say about the model: the cause, for messages."""

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from .errors import CAUSES
from .singularity import VECTORS

NEGLIGIBLE = 1e-6
"""Of the largest entry of a null vector: below this an unknown takes no part in it."""

LEVEL = 1e-2
"""The same: entries that differ by less are called equal. Conductivities 10¹² apart leave so much rounding."""

NAMED = 3
"""Unknowns of a set that a message names."""

RIGID = {3: "the plane", 6: "space"}
"""Rigid motions of a body, by the dimension of its space."""


def described(A: sparse.csc_array, basis: Array) -> str:
    """Sentences on the solutions of A v = 0 and their usual cause; "" if nothing is known.

    basis: (n, k), from `null_vectors`.
    """
    k = basis.shape[1]
    if k == 0:
        return ""
    sets = _constants(basis)
    involved = np.flatnonzero(np.abs(basis).max(axis=1) > NEGLIGIBLE * np.abs(basis).max())
    empty = np.flatnonzero((abs(A) @ np.ones(A.shape[0])) * (abs(A).T @ np.ones(A.shape[0])) == 0.0)
    if empty.size:
        return f"Rows or columns of zeros belong to {_named(empty, A.shape[0])}. {CAUSES}"
    if sets:
        shifted = "; ".join(_named(unknowns, A.shape[0]) for unknowns in sets[:NAMED])
        more = f"; and {len(sets) - NAMED} such sets more" if len(sets) > NAMED else ""
        return (
            f"The solution is known only up to a constant that may be added to {shifted}{more}. Usual causes: nothing "
            "fixes the level (of a temperature or potential of an insulated body, of the pressure in a closed vessel, "
            "of a body that can be shifted): give one value as boundary data, or connect the part to a support."
        )
    who = _named(involved, A.shape[0])
    count = f"{k if k < VECTORS else f'At least {k}'} independent vectors v with A v = 0 were found; " if k > 1 else ""
    if not A.diagonal()[involved].any():
        return (
            f"{count}A v = 0 for a v in {who}, all of which have zeros on the diagonal, as multipliers have. Usual "
            "causes: constraints that depend on each other (one given twice, or one that follows from others)."
        )
    if k in RIGID:
        return (
            f"{k} independent motions need no force, as many as the rigid motions of {RIGID[k]}: nothing holds the "
            "body. Usual causes: a missing boundary condition, a part that is not connected to the supports."
        )
    return (
        f"{count}A v = 0 for a v in {who}. Usual causes: a missing boundary condition (the body can turn, or a part "
        "of it is a mechanism), an element with zero stiffness, two equations that are the same."
    )


def _constants(basis: Array) -> list[Array]:
    """The sets of unknowns over which the null vectors are constant, if they are sums of such; [] otherwise.

    The null space is then spanned by the indicators of k sets: the rows of the basis take only k values besides 0.
    """
    k = basis.shape[1]
    rows = basis / np.abs(basis).max()
    left, sets = np.flatnonzero(np.abs(rows).max(axis=1) > NEGLIGIBLE), []
    while left.size:
        same = np.abs(rows[left] - rows[left[0]]).max(axis=1) <= LEVEL
        sets.append(left[same])
        left = left[~same]
        if len(sets) > k:
            return []
    # One unknown alone is constant in itself: that is an unknown without stiffness, not a level.
    return sets if len(sets) == k and all(unknowns.size > 1 for unknowns in sets) else []


def _named(unknowns: Array, n: int) -> str:
    """ "40 of 80 unknowns (1, 3, 5, …)"."""
    if unknowns.size == n:
        return f"all {n} unknowns"
    first = ", ".join(str(i) for i in unknowns[:NAMED])
    return f"{unknowns.size} of {n} unknowns ({first}{', …' if unknowns.size > NAMED else ''})"
