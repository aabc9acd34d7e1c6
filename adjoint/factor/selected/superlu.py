"""The Cholesky factor of a Hermitian positive definite matrix, from SuperLU's symmetric mode."""

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from ...errors import NotPositiveDefinite, out_of_memory
from ...typing import Array
from ..counts import count, phase


def cholesky_factor(lu: object, order: Array) -> tuple[sparse.csc_array, Array]:
    """Return (L, order) with A[order][:, order] = L Lᴴ.

    lu: SciPy's SuperLU object of A[order][:, order], with pivots on the diagonal, all
    positive.
    """
    L = sparse.csc_array(lu.L, copy=True)  # type: ignore[attr-defined]
    L.sort_indices()
    pivots = lu.U.diagonal().real  # type: ignore[attr-defined]
    L.data *= np.repeat(np.sqrt(pivots), np.diff(L.indptr))
    return L, order[np.argsort(lu.perm_c)]  # type: ignore[attr-defined]


def factored_again(A: sparse.csc_array, name: str) -> tuple[sparse.csc_array, Array]:
    """Factor A by SuperLU, and return (L, order) as `cholesky_factor` does.

    This function serves backends that do not export their factors. The factorization is
    counted.

    Raises NotPositiveDefinite if a pivot is not positive, OutOfMemory if the factors do
    not fit into memory.
    """
    with phase("factor"):
        count(numeric=1)
        try:
            lu = splu(
                A,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except MemoryError as error:
            raise out_of_memory(name, error) from error
        except RuntimeError as error:
            raise NotPositiveDefinite(_refused(name)) from error
    if not (np.array_equal(lu.perm_r, lu.perm_c) and np.all(lu.U.diagonal().real > 0.0)):
        raise NotPositiveDefinite(_refused(name))
    return cholesky_factor(lu, np.arange(A.shape[0]))


def _refused(name: str) -> str:
    return (
        f"{name} accepted the matrix, but SuperLU, which factors it once more to read the "
        "factors, met a pivot that is not positive. Usual cause: a matrix that is positive "
        "definite only up to rounding. adjoint.ldl or adjoint.lu may factor it."
    )
