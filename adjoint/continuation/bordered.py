"""Bordered Jacobians [[J, b], [cᵀ, d]]: regular at a fold, where J itself is singular."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._validation import is_integer
from ..factor.factorization import Factorization
from ..factor.factorizers import lu
from ..typing import Array


def bordered_matrix(
    A: sparse.csc_array, column: Array, row: Array, corner: float
) -> sparse.csc_array:
    """Return the matrix [[A, column], [row, corner]], (n + 1, n + 1).

    Zeros in the borders are stored, so that the pattern does not change.
    """
    n = A.shape[0]
    data = np.insert(A.data.astype(np.result_type(A.data, column, row)), A.indptr[1:], row)
    indices = np.insert(A.indices, A.indptr[1:], n)
    indptr = np.append(A.indptr + np.arange(n + 1), A.nnz + 2 * n + 1)
    data = np.concatenate([data, column, [corner]])
    indices = np.concatenate([indices, np.arange(n + 1)])
    M = sparse.csc_array((data, indices, indptr), shape=(n + 1, n + 1))
    M.has_canonical_format = True  # Because A has it.
    return M


@dataclass(frozen=True, eq=False)
class DefiningFunction:
    """The function g(u, p), which is zero if J = ∂R/∂u is singular, by a bordered factorization.

    g, φ and ψ solve J φ + b g = 0, cᵀφ = 1, and Jᵀψ + c g = 0, bᵀψ = 1. The derivative
    of g is dg = −ψᵀ dJ φ. See Griewank & Reddien (1984), IMA J. Numer. Anal. 4, 295.
    """

    factors: Factorization
    phi: Array
    psi: Array
    g: float

    @classmethod
    def of(cls, J: sparse.csc_array, b: Array, c: Array) -> "DefiningFunction":
        """Factor [[J, b], [cᵀ, 0]] and solve for φ, ψ and g."""
        n = J.shape[0]
        factors = lu(bordered_matrix(J, b, c, 0.0))
        last = unit_vector(n + 1, n)
        right, left = factors.solve(last), factors.solve(last, "T")
        return cls(factors, right[:-1], left[:-1], float(right[-1]))


def parameter_index(parameter: int, m: int, who: str) -> int:
    """Return the index as an int.

    Raise TypeError unless the index is an integer, ValueError unless 0 ≤ parameter < m.
    """
    if not is_integer(parameter):
        raise TypeError(f"{who}: got parameter={parameter!r}, expected the index of a parameter")
    if not 0 <= parameter < m:
        raise ValueError(
            f"{who}: got parameter={parameter}, expected the index of one of {m} parameters"
        )
    return int(parameter)


def unit_vector(m: int, i: int) -> Array:
    """Return the unit vector e_i, (m,)."""
    e = np.zeros(m)
    e[i] = 1.0
    return e
