"""The null spaces of a singular mass matrix: algebraic equations and unknowns of a DAE."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components

from ...factor.factorizers import lu
from ...typing import Array
from ..equations import System
from ..stages.stage_matrices import times

LARGEST = 500
"""Largest block of coupled rows of M that is searched for null vectors.

The mass matrix of a finite element mesh is one larger block, and is regular.
"""


RANK = 1e-12
"""Singular values below this part of the largest one of their block count as zero."""


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Z and N with Zᴴ M = 0 and M N = 0, (n, a) each, sparse.

    Zᴴ f = 0 are the algebraic equations; Nᴴ u are the algebraic unknowns.
    """

    Z: sparse.csc_array
    N: sparse.csc_array


def null_space(M: Array | sparse.csc_array | None) -> NullSpace | None:
    """The null spaces of M (n, n), by an SVD of each block of coupled rows and columns.

    Blocks of more than `LARGEST` rows are taken for regular. Returns None if M is
    regular.
    """
    if M is None:
        return None
    A = sparse.csc_array(M)
    A.eliminate_zeros()
    n = A.shape[0]
    rows = np.flatnonzero(np.bincount(A.indices, minlength=n) == 0)
    columns = np.flatnonzero(np.diff(A.indptr) == 0)
    left = [_units(n, rows)]
    right = [_units(n, columns)]
    for R, C in _blocks(A):
        U, sizes, Vh = np.linalg.svd(A[R][:, C].toarray())
        rank = int(np.sum(sizes > RANK * sizes.max(initial=0.0)))
        left.append(_embedded(n, R, U[:, rank:]))
        right.append(_embedded(n, C, Vh[rank:].conj().T))
    Z, N = (sparse.csc_array(sparse.hstack(parts, format="csc")) for parts in (left, right))
    if Z.shape[1] == 0:
        return None
    return NullSpace(Z, N)


def constant_nulls(nulls: NullSpace, jvp: Callable[[Array, Array], Array] | None, p: Array) -> bool:
    """True if Zᴴ (∂M/∂p ṗ) = 0 and (∂M/∂p ṗ) N = 0 for a random ṗ.

    If True, the null spaces do not depend on p. jvp: (u, ṗ) ↦ (∂M/∂p ṗ) u, None for a
    constant M.
    """
    if jvp is None:
        return True
    rng = np.random.default_rng(0)
    p_dot = rng.uniform(0.5, 1.0, p.size)
    image = np.asarray(jvp(rng.uniform(0.5, 1.0, nulls.N.shape[0]), p_dot))
    right = np.asarray(jvp(nulls.N @ rng.uniform(0.5, 1.0, nulls.N.shape[1]), p_dot))
    left = nulls.Z.conj().T @ image
    size = float(np.abs(image).max())
    return bool(max(np.abs(left).max(), np.abs(right).max()) <= RANK * size)


def _blocks(A: sparse.csc_array) -> list[tuple[Array, Array]]:
    """(rows, columns) of the connected blocks of A with 2 to `LARGEST` rows and columns."""
    n = A.shape[0]
    entries = A.tocoo()
    graph = sparse.csr_array((np.ones(A.nnz), (entries.row, n + entries.col)), shape=(2 * n, 2 * n))
    _, labels = connected_components(graph, directed=False)
    sizes = np.bincount(labels)
    # Blocks of one row and one column are regular. Rows and columns of zeros are found
    # already.
    candidates = np.flatnonzero((sizes > 2) & (sizes <= 2 * LARGEST))
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(sizes)
    members = [order[ends[label] - sizes[label] : ends[label]] for label in candidates]
    return [(nodes[nodes < n], nodes[nodes >= n] - n) for nodes in members]


def _units(n: int, places: Array) -> sparse.csc_array:
    """The unit vectors e_i for each i in `places`, as columns, (n, number of places)."""
    return sparse.csc_array(
        (np.ones(places.size), (places, np.arange(places.size))), shape=(n, places.size)
    )


def _embedded(n: int, places: Array, vectors: Array) -> sparse.csc_array:
    """Vectors of a block, (rows of the block, k), as sparse columns with n rows, (n, k).

    places: the rows of the block.
    """
    matrix = sparse.lil_array((n, vectors.shape[1]), dtype=vectors.dtype)
    if vectors.size:
        matrix[places] = vectors
    return sparse.csc_array(matrix)


def consistent_term(
    system: System, nulls: NullSpace, t: float, u: Array, lam: Array, kappa: Array
) -> Array:
    """Jᴴ w of (M + J N Nᴴ)ᴴ w = κ − N Nᴴ λ, (n, j): docs/math/time.md, eq. 55 for a singular M.

    λ plus this term is the adjoint of consistent states, whose algebraic unknowns
    depend on the other unknowns. kappa: ∂J/∂K₁, (n, j).
    """
    J = system.jacobian(t, u)
    along = nulls.N @ nulls.N.conj().T
    A = sparse.csc_array(sparse.csc_array(system.mass.matrix) + sparse.csc_array(J) @ along)
    A.sum_duplicates()
    return times(J, lu(A).solve(np.asarray(kappa - along @ lam), "H"), "H")
