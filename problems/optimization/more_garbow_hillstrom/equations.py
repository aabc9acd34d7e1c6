"""Problems 28 to 31 and 35: n nonlinear equations in n unknowns."""

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares


def discrete_boundary_value(n: int) -> SumOfSquares:
    """Problem 28. Moré & Cosnard (1979), ACM TOMS 5, 64."""
    t = _grid(n)
    return SumOfSquares(
        28,
        "Discrete boundary value",
        t * (t - 1.0),
        _discrete_boundary_value,
        _discrete_boundary_value_jacobian,
        (0.0,),
    )


def _grid(n: int) -> Array:
    """t_i = ih, h = 1/(n + 1), (n,)."""
    return np.arange(1.0, n + 1.0) / (n + 1.0)


def _discrete_boundary_value(x: Array) -> Array:
    """2x_i − x_{i−1} − x_{i+1} + ½h²(x_i + t_i + 1)³, x₀ = x_{n+1} = 0."""
    inner = np.concatenate([[0.0], x, [0.0]])
    h = 1.0 / (x.size + 1.0)
    return 2.0 * x - inner[:-2] - inner[2:] + 0.5 * h * h * (x + _grid(x.size) + 1.0) ** 3


def _discrete_boundary_value_jacobian(x: Array) -> Array:
    h = 1.0 / (x.size + 1.0)
    diagonal = 2.0 + 1.5 * h * h * (x + _grid(x.size) + 1.0) ** 2
    return np.diag(diagonal) - np.eye(x.size, k=1) - np.eye(x.size, k=-1)


def discrete_integral(n: int) -> SumOfSquares:
    """Problem 29. Moré & Cosnard (1979), ACM TOMS 5, 64."""
    t = _grid(n)
    return SumOfSquares(
        29,
        "Discrete integral equation",
        t * (t - 1.0),
        _discrete_integral,
        _discrete_integral_jacobian,
        (0.0,),
    )


def _kernel(n: int) -> Array:
    """½h times (1 − t_i)t_j for j ≤ i, t_i(1 − t_j) for j > i, (n, n)."""
    t = _grid(n)
    return 0.5 / (n + 1.0) * np.where(t <= t[:, None], np.outer(1.0 - t, t), np.outer(t, 1.0 - t))


def _discrete_integral(x: Array) -> Array:
    """x_i + ½h[(1 − t_i) Σ_{j≤i} t_j(x_j + t_j + 1)³ + t_i Σ_{j>i} (1 − t_j)(x_j + t_j + 1)³]."""
    return x + _kernel(x.size) @ (x + _grid(x.size) + 1.0) ** 3


def _discrete_integral_jacobian(x: Array) -> Array:
    return np.eye(x.size) + _kernel(x.size) * (3.0 * (x + _grid(x.size) + 1.0) ** 2)


def broyden_tridiagonal(n: int) -> SumOfSquares:
    """Problem 30. Broyden (1965), Math. Comput. 19, 577."""
    start = np.full(n, -1.0)
    return SumOfSquares(
        30,
        "Broyden tridiagonal",
        start,
        _broyden_tridiagonal,
        _broyden_tridiagonal_jacobian,
        (0.0,),
    )


def _broyden_tridiagonal(x: Array) -> Array:
    """(3 − 2x_i)x_i − x_{i−1} − 2x_{i+1} + 1, x₀ = x_{n+1} = 0."""
    inner = np.concatenate([[0.0], x, [0.0]])
    return (3.0 - 2.0 * x) * x - inner[:-2] - 2.0 * inner[2:] + 1.0


def _broyden_tridiagonal_jacobian(x: Array) -> Array:
    return np.diag(3.0 - 4.0 * x) - 2.0 * np.eye(x.size, k=1) - np.eye(x.size, k=-1)


def broyden_banded(n: int) -> SumOfSquares:
    """Problem 31. Broyden (1971), Math. Comput. 25, 285."""
    start = np.full(n, -1.0)
    return SumOfSquares(
        31, "Broyden banded", start, _broyden_banded, _broyden_banded_jacobian, (0.0,)
    )


def _band(n: int) -> Array:
    """1 if j ≠ i and i − 5 ≤ j ≤ i + 1, else 0, (n, n)."""
    ahead = np.arange(n) - np.arange(n)[:, None]
    return np.where((ahead >= -5) & (ahead <= 1) & (ahead != 0), 1.0, 0.0)


def _broyden_banded(x: Array) -> Array:
    """x_i(2 + 5x_i²) + 1 − Σ_j x_j(1 + x_j), j ≠ i from i − 5 to i + 1."""
    return x * (2.0 + 5.0 * x * x) + 1.0 - _band(x.size) @ (x * (1.0 + x))


def _broyden_banded_jacobian(x: Array) -> Array:
    return np.diag(2.0 + 15.0 * x * x) - _band(x.size) * (1.0 + 2.0 * x)


def chebyquad(n: int) -> SumOfSquares:
    """Problem 35; f > 0 for n = 8 and n ≥ 10. Fletcher (1965), Comput. J. 8, 33."""
    minima = {8: (3.51687e-3,), 10: (6.50395e-3,)} | {k: (0.0,) for k in (1, 2, 3, 4, 5, 6, 7, 9)}
    return SumOfSquares(
        35, "Chebyquad", _grid(n), _chebyquad, _chebyquad_jacobian, minima.get(n, ())
    )


def _chebyquad(x: Array) -> Array:
    """(1/n) Σ_j T_i(x_j) − ∫T_i, with T_i shifted to (0, 1).

    The integral is 0 for odd i, −1/(i² − 1) for even i.
    """
    i = np.arange(1.0, x.size + 1.0)
    integrals = np.where(i % 2 == 0, -1.0 / np.maximum(i * i - 1.0, 1.0), 0.0)
    return np.mean(_chebyshev(x)[0], axis=1) - integrals


def _chebyquad_jacobian(x: Array) -> Array:
    return _chebyshev(x)[1] / x.size


def _chebyshev(x: Array) -> tuple[Array, Array]:
    """T_i(x_j) and its derivative, i = 1, …, n, (n, n) each, by the three-term recurrence."""
    y = 2.0 * x - 1.0
    T, D = [np.ones_like(y), y], [np.zeros_like(y), np.full_like(y, 2.0)]
    for _ in range(x.size - 1):
        D.append(4.0 * T[-1] + 2.0 * y * D[-1] - D[-2])
        T.append(2.0 * y * T[-1] - T[-2])
    return np.array(T[1:]), np.array(D[1:])
