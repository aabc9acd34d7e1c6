"""Types of the public interface."""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import scipy.sparse as sparse

# At run time the plain classes, so that signatures in `help` stay short.
if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
    SparseMatrix: TypeAlias = sparse.sparray | sparse.spmatrix
else:
    Array, SparseMatrix = np.ndarray, sparse.sparray
"""`Array`: float64 or complex128; docstrings give its shape. `SparseMatrix`: of any format."""

Trans: TypeAlias = Literal["N", "T", "H"]
"""The system that is solved: A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H")."""
