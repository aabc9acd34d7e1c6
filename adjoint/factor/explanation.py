"""What the null vectors of a singular matrix say about the model: the cause, for messages.

Why a matrix could not be factored: whether it is singular, and what its null vectors say.
"""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from ..errors import CAUSES, InaccurateSolve, SingularMatrix, SolveError, singular
from ..typing import Array, Trans
from .backward_error import equilibrate
from .singularity import SINGULAR, VECTORS, Equilibrated, Solve, null_vectors

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
    count = (
        f"{k if k < VECTORS else f'At least {k}'} independent vectors v with A v = 0 were found; "
        if k > 1
        else ""
    )
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


EXPLAINED = 20_000
"""Unknowns up to which a matrix that could not be factored is looked at: it takes another factorization."""


REGULAR = 1e12
"""Condition up to which a matrix surely is regular."""


SHIFT = 4.0 * float(np.finfo(float).eps)
"""Of the equilibrated matrix, added to its diagonal: then a singular one has factors, and its null vectors stay."""


def explained(A: sparse.csc_array, name: str, error: SolveError) -> SolveError:
    """SingularMatrix with the cause if A is singular to working precision; else the error that was met.

    A Cholesky factorization meets a pivot of any sign where exact arithmetic has a zero: ±10⁻¹⁶ of the diagonal.
    """
    if A.shape[0] > EXPLAINED:
        return error
    magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
    with np.errstate(all="ignore"):
        r, c = equilibrate(magnitude, symmetric=False)
        solve = _shifted_inverse(A, r, c)
        if solve is None:
            return error
        matrix = Equilibrated(A, solve, r, c)
        basis, condition = null_vectors(matrix)
    if condition < REGULAR and isinstance(error, SingularMatrix):
        return InaccurateSolve(
            f"{name}: pivots that were fixed in advance cancel, though the matrix is regular. Use adjoint.lu or "
            "adjoint.ldl, which then go on with SuperLU; it chooses each pivot as it goes."
        )
    if not condition >= SINGULAR:
        return error
    found = (
        f"is singular to working precision (condition at least {condition:.1e}, 1/eps is 4.5e+15)"
    )
    return singular(name, found, described(A, basis) or CAUSES)


def _shifted_inverse(A: sparse.csc_array, r: Array, c: Array) -> Solve | None:
    """Solves with A + SHIFT R⁻¹ C⁻¹, by SuperLU; None where that is singular as well."""
    scaled = sparse.csc_array(
        sparse.diags_array(r) @ A @ sparse.diags_array(c) + SHIFT * sparse.eye_array(A.shape[0])
    )
    try:
        lu = splu(scaled)
    except (RuntimeError, MemoryError):  # The error that was met says more.
        return None

    def solve(b: Array, trans: Trans) -> Array:
        before, after = (r, c) if trans == "N" else (c, r)
        return np.asarray(after[:, None] * lu.solve((before[:, None] * b).astype(A.dtype), trans))

    return solve
