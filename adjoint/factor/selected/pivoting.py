"""LU factors of a general matrix in which the order of the pivots is as stable as needed.

Three choices are made in turn, by `general.general_entries`:

diagonal   the pivots are the diagonal entries, in an order for little fill; the order depends
           on the pattern of A only,
matched    the rows are first permuted so that the product of the diagonal entries is maximal,
threshold  the pivots are at least 0.01 times the largest entry of their column.

Duff & Koster (2001), On algorithms for permuting large entries to the diagonal of a sparse
matrix, SIAM J. Matrix Anal. Appl. 22, 973 (the matching). Li (2005), An overview of SuperLU,
ACM Trans. Math. Softw. 31, 302.
"""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.sparse.linalg import splu

from ...errors import out_of_memory
from ...typing import Array
from ..backward_error import probe_vector
from ..counts import count, phase

WEIGHT_STEPS = 1 << 16
"""Number of steps into which a factor of 2 between two entries is divided in the matching."""


def lu_factors(M: sparse.csc_array, threshold: float, order: str, name: str):  # type: ignore[no-untyped-def]
    """Return SciPy's SuperLU object of M; None if a pivot is exactly zero.

    threshold: least size of a pivot, relative to the largest entry of its column. order: the
    order of the columns, as `splu` names it. The factorization is counted.
    """
    with phase("factor"):
        count(numeric=1)
        try:
            return splu(
                M, permc_spec=order, diag_pivot_thresh=threshold, options={"SymmetricMode": True}
            )
        except MemoryError as error:
            raise out_of_memory(name, error) from error
        except RuntimeError as error:
            if "memory" in str(error).lower() or "malloc" in str(error).lower():
                raise out_of_memory(name, error) from error
            return None


def matched_rows(A: sparse.csc_array) -> Array | None:
    """Return rows, (n,), for which A[rows] has a diagonal with the largest product of sizes.

    Return None if A is structurally singular.
    """
    used = A.data != 0.0
    size = np.abs(A.data[used])
    rows, columns = A.indices[used], np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))[used]
    # The matching needs weights other than 0, which a sparse matrix would not store. They are
    # integers, so that sums are exact: SciPy's search did not end for weights with rounding
    # errors and many equal sizes.
    weights = np.round((np.log2(size.max()) - np.log2(size)) * WEIGHT_STEPS) + 1.0
    try:
        i, j = min_weight_full_bipartite_matching(
            sparse.csr_array((weights, (rows, columns)), shape=A.shape)
        )
    except ValueError:
        return None
    order = np.empty(A.shape[0], dtype=np.int64)
    order[j] = i
    return order


def solve_error(lu, M: sparse.csc_array) -> float:  # type: ignore[no-untyped-def]
    """Return the componentwise backward error of one solve without refinement, nan included."""
    with np.errstate(all="ignore"):
        x = probe_vector(M.shape[0]).astype(M.dtype)
        b = M @ x
        u = lu.solve(b)
        return float(np.max(np.abs(b - M @ u) / (abs(M) @ np.abs(u) + np.abs(b))))


def sign_of(lu, *orders: Array) -> complex:  # type: ignore[no-untyped-def]
    """Return det A / |det A| from the factors and the permutations before them (eq. 280)."""
    pivots = lu.U.diagonal()
    total = np.prod(pivots / np.abs(pivots))
    for order in (lu.perm_r, lu.perm_c, *orders):
        total = total * _parity(order)
    return complex(total) if pivots.dtype.kind == "c" else float(total)


def _parity(order: Array) -> int:
    """Return 1 for an even permutation, −1 for an odd one."""
    n = order.size
    cycles, _ = sparse.csgraph.connected_components(
        sparse.csr_array((np.ones(n), order, np.arange(n + 1)), shape=(n, n)), directed=False
    )
    return 1 if (n - cycles) % 2 == 0 else -1
