"""Problems 20 to 27: sums of squares in any number of variables."""

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares

PENALTY = 1e-5


def watson(n: int) -> SumOfSquares:
    """Problem 20, 2 ≤ n ≤ 31.

    Kowalik & Osborne (1968), Methods for Unconstrained Optimization Problems.
    """
    minima = {6: 2.28767e-3, 9: 1.39976e-6, 12: 4.72238e-10}
    return SumOfSquares(20, "Watson", np.zeros(n), _watson, _watson_jacobian, _known(minima, n))


def _watson(x: Array) -> Array:
    """Σ_j (j − 1)x_j t_i^(j−2) − (Σ_j x_j t_i^(j−1))² − 1, t_i = i/29, i ≤ 29; x₁; x₂ − x₁² − 1."""
    powers, slopes = _watson_basis(x.size)
    return np.concatenate([slopes @ x - (powers @ x) ** 2 - 1.0, [x[0], x[1] - x[0] ** 2 - 1.0]])


def _watson_jacobian(x: Array) -> Array:
    powers, slopes = _watson_basis(x.size)
    last = np.eye(2, x.size, dtype=x.dtype)
    last[1, 0] = -2.0 * x[0]
    return np.concatenate([slopes - 2.0 * (powers @ x)[:, None] * powers, last])


def _watson_basis(n: int) -> tuple[Array, Array]:
    """t_i^(j−1) and (j − 1) t_i^(j−2), (29, n) each."""
    t, j = np.arange(1.0, 30.0)[:, None] / 29.0, np.arange(n)
    return t**j, j * t ** np.maximum(j - 1, 0)


def extended_rosenbrock(n: int) -> SumOfSquares:
    """Problem 21, n even: n/2 Rosenbrock functions. Spedicato (1975), CISE-N-175, Segrate."""
    return SumOfSquares(
        21,
        "Extended Rosenbrock",
        np.tile([-1.2, 1.0], n // 2),
        _extended_rosenbrock,
        _extended_rosenbrock_jacobian,
        (0.0,),
    )


def _extended_rosenbrock(x: Array) -> Array:
    """(10(x_{2i} − x_{2i−1}²), 1 − x_{2i−1}), i ≤ n/2."""
    return np.stack([10.0 * (x[1::2] - x[::2] ** 2), 1.0 - x[::2]], axis=1).ravel()


def _extended_rosenbrock_jacobian(x: Array) -> Array:
    J, odd, even = _zeros(x), np.arange(0, x.size, 2), np.arange(1, x.size, 2)
    J[odd, odd], J[odd, even], J[even, odd] = -20.0 * x[odd], 10.0, -1.0
    return J


def extended_powell_singular(n: int) -> SumOfSquares:
    """Problem 22, n a multiple of 4: n/4 Powell singular functions. Spedicato (1975)."""
    return SumOfSquares(
        22,
        "Extended Powell singular",
        np.tile([3.0, -1.0, 0.0, 1.0], n // 4),
        _extended_powell_singular,
        _extended_powell_singular_jacobian,
        (0.0,),
    )


def _extended_powell_singular(x: Array) -> Array:
    """(x₁ + 10x₂, √5(x₃ − x₄), (x₂ − 2x₃)², √10(x₁ − x₄)²) for every four variables."""
    x1, x2, x3, x4 = x.reshape(-1, 4).T
    parts = [
        x1 + 10.0 * x2,
        np.sqrt(5.0) * (x3 - x4),
        (x2 - 2.0 * x3) ** 2,
        np.sqrt(10.0) * (x1 - x4) ** 2,
    ]
    return np.stack(parts, axis=1).ravel()


def _extended_powell_singular_jacobian(x: Array) -> Array:
    J, a = _zeros(x), np.arange(0, x.size, 4)
    b, c, d = a + 1, a + 2, a + 3
    third, fourth = 2.0 * (x[b] - 2.0 * x[c]), 2.0 * np.sqrt(10.0) * (x[a] - x[d])
    J[a, a], J[a, b] = 1.0, 10.0
    J[b, c], J[b, d] = np.sqrt(5.0), -np.sqrt(5.0)
    J[c, b], J[c, c] = third, -2.0 * third
    J[d, a], J[d, d] = fourth, -fourth
    return J


def penalty_1(n: int) -> SumOfSquares:
    """Problem 23. Gill, Murray & Pitfield (1972), NPL report NAC 11."""
    minima = {4: 2.24997e-5, 10: 7.08765e-5}
    return SumOfSquares(
        23, "Penalty I", np.arange(1.0, n + 1.0), _penalty_1, _penalty_1_jacobian, _known(minima, n)
    )


def _penalty_1(x: Array) -> Array:
    """√a(x_i − 1), i ≤ n; Σ x_j² − ¼; a = 10⁻⁵."""
    return np.concatenate([np.sqrt(PENALTY) * (x - 1.0), [np.sum(x * x) - 0.25]])


def _penalty_1_jacobian(x: Array) -> Array:
    return np.concatenate([np.sqrt(PENALTY) * np.eye(x.size), [2.0 * x]])


def penalty_2(n: int) -> SumOfSquares:
    """Problem 24. Gill, Murray & Pitfield (1972), NPL report NAC 11."""
    minima = {4: 9.37629e-6, 10: 2.93660e-4}
    return SumOfSquares(
        24, "Penalty II", np.full(n, 0.5), _penalty_2, _penalty_2_jacobian, _known(minima, n)
    )


def _penalty_2(x: Array) -> Array:
    """x₁ − 0.2; √a(e^(x_i/10) + e^(x_{i−1}/10) − y_i); √a(e^(x_i/10) − e^(−1/10)); last.

    The last is Σ (n − j + 1)x_j² − 1; 1 < i ≤ n, y_i = e^(i/10) + e^((i−1)/10), a =
    10⁻⁵.
    """
    n, grown = x.size, np.exp(x / 10.0)
    nominal = np.exp(np.arange(1.0, n + 1.0) / 10.0)
    pairs = grown[1:] + grown[:-1] - (nominal[1:] + nominal[:-1])
    middle = np.sqrt(PENALTY) * np.concatenate([pairs, grown[1:] - np.exp(-0.1)])
    return np.concatenate([[x[0] - 0.2], middle, [np.sum(np.arange(n, 0, -1) * x * x) - 1.0]])


def _penalty_2_jacobian(x: Array) -> Array:
    n, identity = x.size, np.eye(x.size)
    slopes = np.sqrt(PENALTY) * np.exp(x / 10.0) / 10.0
    pairs = (identity[1:] + identity[:-1]) * slopes
    return np.concatenate(
        [identity[:1], pairs, identity[1:] * slopes, [2.0 * np.arange(n, 0, -1) * x]]
    )


def variably_dimensioned(n: int) -> SumOfSquares:
    """Problem 25. First published in the paper."""
    start = 1.0 - np.arange(1.0, n + 1.0) / n
    return SumOfSquares(
        25,
        "Variably dimensioned",
        start,
        _variably_dimensioned,
        _variably_dimensioned_jacobian,
        (0.0,),
    )


def _variably_dimensioned(x: Array) -> Array:
    """x_i − 1, i ≤ n; s; s²; s = Σ j(x_j − 1)."""
    s = np.sum(np.arange(1.0, x.size + 1.0) * (x - 1.0))
    return np.concatenate([x - 1.0, [s, s * s]])


def _variably_dimensioned_jacobian(x: Array) -> Array:
    j = np.arange(1.0, x.size + 1.0)
    return np.concatenate([np.eye(x.size), [j, 2.0 * np.sum(j * (x - 1.0)) * j]])


def trigonometric(n: int) -> SumOfSquares:
    """Problem 26. Spedicato (1975), CISE-N-175, Segrate.

    The global minimum is zero, but the start leads to another minimum. The value of
    this minimum for n = 10 is not in the paper.
    """
    minima = (0.0, *_known({10: 2.79506e-5}, n))
    return SumOfSquares(
        26, "Trigonometric", np.full(n, 1.0 / n), _trigonometric, _trigonometric_jacobian, minima
    )


def _trigonometric(x: Array) -> Array:
    """n − Σ_j cos x_j + i(1 − cos x_i) − sin x_i, i ≤ n."""
    return x.size - np.sum(np.cos(x)) + np.arange(1.0, x.size + 1.0) * (1.0 - np.cos(x)) - np.sin(x)


def _trigonometric_jacobian(x: Array) -> Array:
    return np.sin(x) + np.diag(np.arange(1.0, x.size + 1.0) * np.sin(x) - np.cos(x))


def brown_almost_linear(n: int) -> SumOfSquares:
    """Problem 27. Brown (1969), SIAM J. Numer. Anal. 6, 560."""
    return SumOfSquares(
        27,
        "Brown almost-linear",
        np.full(n, 0.5),
        _brown_almost_linear,
        _brown_almost_linear_jacobian,
        (0.0, 1.0),
    )


def _brown_almost_linear(x: Array) -> Array:
    """x_i + Σ_j x_j − (n + 1), i < n; Π_j x_j − 1."""
    return np.concatenate([x[:-1] + np.sum(x) - (x.size + 1.0), [np.prod(x) - 1.0]])


def _brown_almost_linear_jacobian(x: Array) -> Array:
    n = x.size
    others = np.prod(np.where(np.eye(n) > 0.0, 1.0, x), axis=1)  # Not Π/x_j: x_j may be zero.
    return np.concatenate([1.0 + np.eye(n - 1, n), [others]])


def _zeros(x: Array) -> Array:
    return np.zeros((x.size, x.size), dtype=x.dtype)


def _known(minima: dict[int, float], n: int) -> tuple[float, ...]:
    """Return the published minimum for n as a tuple, or ()."""
    return (minima[n],) if n in minima else ()
