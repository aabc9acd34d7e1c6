"""Linear predictors at other places: their means and standard deviations."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..._dataclasses import short_repr
from ...factor.factorization import Factorization
from ...typing import Array

BLOCK = 64
"""Number of right-hand sides that are solved at once."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Linear predictors B u at the mode, for given parameters.

    The standard deviations are those of the Gaussian approximation of π(u | y, p). They do
    not include the uncertainty of the parameters.

    Attributes
    ----------
    mean : (k,) array
        B û.
    standard_deviation : (k,) array
        The square root of the diagonal of B H⁻¹ Bᵀ.
    """

    mean: Array
    standard_deviation: Array

    __repr__ = short_repr


def predicted(hessian: Factorization, mode: Array, B: sparse.csr_array) -> Prediction:
    """Return the prediction for the rows of B, (k, n), by k right-hand sides."""
    variance = np.empty(B.shape[0])
    for low in range(0, B.shape[0], BLOCK):
        rows = B[low : low + BLOCK]
        right = rows.T.toarray()
        variance[low : low + BLOCK] = np.einsum("ij,ij->j", right, hessian.solve(right))
    return Prediction(np.asarray(B @ mode), np.sqrt(np.maximum(variance, 0.0)))
