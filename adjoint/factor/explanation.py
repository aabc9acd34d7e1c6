"""Why a matrix could not be factored: whether it is singular, and what its null vectors say."""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from ..arrays import Array, Trans
from .accuracy import equilibrate
from .errors import CAUSES, InaccurateSolve, SingularMatrix, SolveError, singular
from .nullspace import described
from .singularity import SINGULAR, Equilibrated, Solve, null_vectors

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
    found = f"is singular to working precision (condition at least {condition:.1e}, 1/eps is 4.5e+15)"
    return singular(name, found, described(A, basis) or CAUSES)


def _shifted_inverse(A: sparse.csc_array, r: Array, c: Array) -> Solve | None:
    """Solves with A + SHIFT R⁻¹ C⁻¹, by SuperLU; None where that is singular as well."""
    scaled = sparse.csc_array(sparse.diags_array(r) @ A @ sparse.diags_array(c) + SHIFT * sparse.eye_array(A.shape[0]))
    try:
        lu = splu(scaled)
    except (RuntimeError, MemoryError):  # The error that was met says more.
        return None

    def solve(b: Array, trans: Trans) -> Array:
        before, after = (r, c) if trans == "N" else (c, r)
        return np.asarray(after[:, None] * lu.solve((before[:, None] * b).astype(A.dtype), trans))

    return solve
