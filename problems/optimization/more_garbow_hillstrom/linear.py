"""Problems 32 to 34: linear residuals r = A x − 1, m ≥ n. First published in the paper."""

from functools import partial

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares


def full_rank(n: int, m: int) -> SumOfSquares:
    """Problem 32: x_i − (2/m) Σ_j x_j − 1, the first term for i ≤ n only; f = m − n at x = −1."""
    return _linear(32, "Linear, full rank", np.eye(m, n) - 2.0 / m, float(m - n))


def rank_one(n: int, m: int) -> SumOfSquares:
    """Problem 33: i Σ_j j x_j − 1; f = m(m − 1)/(2(2m + 1)) if Σ_j j x_j = 3/(2m + 1)."""
    A = np.outer(np.arange(1.0, m + 1.0), np.arange(1.0, n + 1.0))
    return _linear(33, "Linear, rank 1", A, m * (m - 1) / (2 * (2 * m + 1)))


def rank_one_with_zeros(n: int, m: int) -> SumOfSquares:
    """Problem 34: (i − 1) Σ_j j x_j − 1 for 1 < i < m, else −1; the sum is over 1 < j < n.

    At the minimum f = (m² + 3m − 6)/(2(2m − 3)).
    """
    rows, columns = np.arange(0.0, m), np.arange(1.0, n + 1.0)
    rows[-1] = columns[0] = columns[-1] = 0.0
    return _linear(
        34,
        "Linear, rank 1, with zeros",
        np.outer(rows, columns),
        (m * m + 3 * m - 6) / (2 * (2 * m - 3)),
    )


def _linear(number: int, name: str, A: Array, minimum: float) -> SumOfSquares:
    return SumOfSquares(
        number, name, np.ones(A.shape[1]), partial(_residual, A), partial(_jacobian, A), (minimum,)
    )


def _residual(A: Array, x: Array) -> Array:
    """A x − 1, (m,)."""
    return A @ x - 1.0


def _jacobian(A: Array, x: Array) -> Array:
    return A
