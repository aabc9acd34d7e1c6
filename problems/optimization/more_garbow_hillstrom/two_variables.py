"""Problems 1 to 6: two variables."""

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares

BEALE = np.array([1.5, 2.25, 2.625])
TEN = np.arange(1.0, 11.0)


def _rosenbrock(x: Array) -> Array:
    """(10(x₂ − x₁²), 1 − x₁). Rosenbrock (1960), Comput. J. 3, 175."""
    x1, x2 = x
    return np.array([10.0 * (x2 - x1 * x1), 1.0 - x1])


def _rosenbrock_jacobian(x: Array) -> Array:
    return np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]])


def _freudenstein_roth(x: Array) -> Array:
    """(x₁ − 13 + ((5 − x₂)x₂ − 2)x₂, x₁ − 29 + ((x₂ + 1)x₂ − 14)x₂).

    Freudenstein & Roth (1963), J. ACM 10, 550.
    """
    x1, x2 = x
    return np.array(
        [x1 - 13.0 + ((5.0 - x2) * x2 - 2.0) * x2, x1 - 29.0 + ((x2 + 1.0) * x2 - 14.0) * x2]
    )


def _freudenstein_roth_jacobian(x: Array) -> Array:
    x2 = x[1]
    return np.array([[1.0, (10.0 - 3.0 * x2) * x2 - 2.0], [1.0, (3.0 * x2 + 2.0) * x2 - 14.0]])


def _powell_badly_scaled(x: Array) -> Array:
    """(10⁴x₁x₂ − 1, e^−x₁ + e^−x₂ − 1.0001).

    Powell (1970), in Rabinowitz, Nonlinear Algebraic Equations, 87.
    """
    x1, x2 = x
    return np.array([1e4 * x1 * x2 - 1.0, np.exp(-x1) + np.exp(-x2) - 1.0001])


def _powell_badly_scaled_jacobian(x: Array) -> Array:
    x1, x2 = x
    return np.array([[1e4 * x2, 1e4 * x1], [-np.exp(-x1), -np.exp(-x2)]])


def _brown_badly_scaled(x: Array) -> Array:
    """(x₁ − 10⁶, x₂ − 2·10⁻⁶, x₁x₂ − 2)."""
    x1, x2 = x
    return np.array([x1 - 1e6, x2 - 2e-6, x1 * x2 - 2.0])


def _brown_badly_scaled_jacobian(x: Array) -> Array:
    return np.array([[1.0, 0.0], [0.0, 1.0], [x[1], x[0]]])


def _beale(x: Array) -> Array:
    """y_i − x₁(1 − x₂^i), i = 1, 2, 3. Beale (1958), Princeton University, technical report 25."""
    return BEALE - x[0] * (1.0 - x[1] ** np.arange(1, 4))


def _beale_jacobian(x: Array) -> Array:
    x1, x2 = x
    i = np.arange(1, 4)
    return np.column_stack([x2**i - 1.0, x1 * i * x2 ** (i - 1)])


def _jennrich_sampson(x: Array) -> Array:
    """2 + 2i − (e^(ix₁) + e^(ix₂)), i = 1, …, 10.

    Jennrich & Sampson (1968), Technometrics 10, 63.
    """
    return 2.0 + 2.0 * TEN - np.exp(TEN * x[0]) - np.exp(TEN * x[1])


def _jennrich_sampson_jacobian(x: Array) -> Array:
    return -TEN[:, None] * np.exp(TEN[:, None] * x)


PROBLEMS = (
    SumOfSquares(1, "Rosenbrock", np.array([-1.2, 1.0]), _rosenbrock, _rosenbrock_jacobian, (0.0,)),
    SumOfSquares(
        2,
        "Freudenstein and Roth",
        np.array([0.5, -2.0]),
        _freudenstein_roth,
        _freudenstein_roth_jacobian,
        (0.0, 48.9842),
    ),
    SumOfSquares(
        3,
        "Powell badly scaled",
        np.array([0.0, 1.0]),
        _powell_badly_scaled,
        _powell_badly_scaled_jacobian,
        (0.0,),
    ),
    SumOfSquares(
        4,
        "Brown badly scaled",
        np.array([1.0, 1.0]),
        _brown_badly_scaled,
        _brown_badly_scaled_jacobian,
        (0.0,),
    ),
    SumOfSquares(5, "Beale", np.array([1.0, 1.0]), _beale, _beale_jacobian, (0.0,)),
    SumOfSquares(
        6,
        "Jennrich and Sampson",
        np.array([0.3, 0.4]),
        _jennrich_sampson,
        _jennrich_sampson_jacobian,
        (124.362,),
    ),
)
