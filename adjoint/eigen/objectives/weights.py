"""Weights W of inner products vᴴ W w of mode shapes."""

import numpy as np
import scipy.sparse as sparse

from ...errors import NotSymmetric
from ...factor.backward_error import require_symmetric
from ...typing import Array, SparseMatrix


def weighted(who: str, weight: SparseMatrix | None, V: Array) -> Array:
    """Return W V, (n, q)."""
    if weight is None:
        return V
    n = V.shape[0]
    if not sparse.issparse(weight) or weight.shape != (n, n):
        shape = getattr(weight, "shape", None)
        raise ValueError(
            f"{who}: got a weight of type {type(weight).__name__} and shape {shape}, expected a "
            f"sparse matrix ({n}, {n})"
        )
    return np.asarray(weight @ V)


def require_hermitian(who: str, weight: SparseMatrix | None) -> None:
    """Raise ValueError unless W is Hermitian; other weights have other gradients."""
    if weight is None or not sparse.issparse(weight) or weight.shape[0] != weight.shape[1]:
        return  # `weighted` names a wrong type or shape.
    try:
        require_symmetric(sparse.csc_array(weight), "hermitian", who)
    except NotSymmetric as error:
        raise ValueError(
            f"{who}: got a weight that is not symmetric (Hermitian), expected a positive definite "
            "Hermitian matrix, such as a mass matrix"
        ) from error
