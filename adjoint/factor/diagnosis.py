"""Diagnose a singular matrix: find the likely modelling error from its null vectors.

The diagnosis is the text of an error message. A diagnosis takes as long as a
factorization.
"""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from ..errors import CAUSES, InaccurateSolve, SingularMatrix, SolveError, singular
from ..typing import Array, Trans
from .backward_error import equilibrate
from .singularity import MAX_NULL_VECTORS, SINGULAR, Equilibrated, Solve, null_vectors

DIAGNOSED = 20_000
"""Maximum number of unknowns of a matrix that is diagnosed if it cannot be factored: the
diagnosis takes another factorization."""

REGULAR = 1e12
"""Lower bound of the condition number below which a matrix is certainly regular."""

SHIFT = 4.0 * float(np.finfo(float).eps)
"""Number added to the diagonal of the equilibrated matrix, so that a singular matrix can be
factored. Its null vectors change by rounding errors only."""

NEGLIGIBLE = 1e-6
"""Size, relative to the largest entry of a null vector, below which an entry counts as
zero."""

EQUAL_ENTRIES = 1e-2
"""Difference, relative to the largest entry of a null vector, below which two entries
count as equal. Conductivities that differ by a factor of 10¹² cause such a difference, by
rounding errors."""

NAMED = 3
"""Maximum number of unknowns, and of sets of unknowns, that a message names."""

RIGID = {3: "the plane", 6: "space"}
"""Number of rigid motions of an elastic body, and the space in which the body can move."""


def diagnose(A: sparse.csc_array, name: str, error: SolveError) -> SolveError:
    """Return a SingularMatrix error that names the cause if A is singular; else return `error`.

    error: the error of the factorization; name: the name of the factorization. The
    error may be NotPositiveDefinite although A is singular: a pivot that is 0 in exact
    arithmetic may be negative by rounding errors. If A is regular, but digits of its
    pivots were cancelled, InaccurateSolve is returned.
    """
    if A.shape[0] > DIAGNOSED:
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
            f"{name}: pivots that were fixed in advance cancel, though the matrix is regular. "
            "Use adjoint.lu or adjoint.ldl, which then go on with SuperLU: it chooses each pivot "
            "as it goes."
        )
    if not condition >= SINGULAR:
        return error
    found = (
        f"is singular to working precision (condition at least {condition:.1e}, 1/eps is 4.5e+15)"
    )
    return singular(name, found, describe(A, basis) or CAUSES)


def _shifted_inverse(A: sparse.csc_array, r: Array, c: Array) -> Solve | None:
    """Return the solves with A + SHIFT R⁻¹ C⁻¹; None if this matrix cannot be factored."""
    scaled = sparse.csc_array(
        sparse.diags_array(r) @ A @ sparse.diags_array(c) + SHIFT * sparse.eye_array(A.shape[0])
    )
    try:
        lu = splu(scaled)
    except (RuntimeError, MemoryError):  # The caller raises its own error.
        return None

    def solve(b: Array, trans: Trans) -> Array:
        before, after = (r, c) if trans == "N" else (c, r)
        return np.asarray(after[:, None] * lu.solve((before[:, None] * b).astype(A.dtype), trans))

    return solve


def describe(A: sparse.csc_array, basis: Array) -> str:
    """Return sentences about the null vectors of A and their usual causes; "" if k = 0.

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
            f"The solution is known only up to a constant that may be added to {shifted}{more}. "
            "Usual causes: nothing fixes the level (of a temperature or potential of an "
            "insulated body, of the pressure in a closed vessel, of a body that can be shifted): "
            "give one value as boundary data, or connect the part to a support."
        )
    who = _named(involved, A.shape[0])
    number = k if k < MAX_NULL_VECTORS else f"At least {k}"
    count = f"{number} independent vectors v with A v = 0 were found; " if k > 1 else ""
    if not A.diagonal()[involved].any():
        return (
            f"{count}A v = 0 for a v in {who}, all of which have zeros on the diagonal, as "
            "multipliers have. Usual causes: constraints that depend on each other (one "
            "constraint given twice, or one that follows from others)."
        )
    if k in RIGID:
        return (
            f"{k} independent motions need no force, as many as the rigid motions of {RIGID[k]}: "
            "nothing holds the body. Usual causes: a missing boundary condition, a part that is "
            "not connected to the supports."
        )
    return (
        f"{count}A v = 0 for a v in {who}. Usual causes: a missing boundary condition (the body "
        "can turn, or a part of the body is a mechanism), an element with zero stiffness, two "
        "equations that are the same."
    )


def _constants(basis: Array) -> list[Array]:
    """Return k sets of unknowns such that the vectors of ones on these sets span the null space.

    Return [] if there are no such sets.

    The sets exist if the rows of the basis have k different values besides 0.
    """
    k = basis.shape[1]
    rows = basis / np.abs(basis).max()
    left, sets = np.flatnonzero(np.abs(rows).max(axis=1) > NEGLIGIBLE), []
    while left.size:
        same = np.abs(rows[left] - rows[left[0]]).max(axis=1) <= EQUAL_ENTRIES
        sets.append(left[same])
        left = left[~same]
        if len(sets) > k:
            return []
    # A set of one unknown is an unknown without stiffness, and no constant is added to it.
    return sets if len(sets) == k and all(unknowns.size > 1 for unknowns in sets) else []


def _named(unknowns: Array, n: int) -> str:
    """Text for a set of unknowns, such as "40 of 80 unknowns (1, 3, 5, …)"."""
    if unknowns.size == n:
        return f"all {n} unknowns"
    first = ", ".join(str(i) for i in unknowns[:NAMED])
    return f"{unknowns.size} of {n} unknowns ({first}{', …' if unknowns.size > NAMED else ''})"
