"""Problems 7 to 12: three variables."""

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares

BARD = np.array(
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
)
HALF_BELL = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
GAUSSIAN = np.array([*HALF_BELL, 0.3989, *HALF_BELL[::-1]])
MEYER = np.array(
    [
        34780.0, 28610.0, 23650.0, 19630.0, 16370.0, 13720.0, 11540.0, 9744.0,
        8261.0, 7030.0, 6005.0, 5147.0, 4427.0, 3820.0, 3307.0, 2872.0,
    ]
)  # fmt: skip
BARD_U = np.arange(1.0, 16.0)
BARD_V = 16.0 - BARD_U
BARD_W = np.minimum(BARD_U, BARD_V)
GAUSSIAN_T = (8.0 - BARD_U) / 2.0
MEYER_T = 45.0 + 5.0 * np.arange(1.0, 17.0)
GULF_T = np.arange(1.0, 100.0) / 100.0
GULF_Y = 25.0 + (-50.0 * np.log(GULF_T)) ** (2.0 / 3.0)
BOX_T = np.arange(1.0, 11.0) / 10.0


def _helical_valley(x: Array) -> Array:
    """(10(x₃ − 10θ), 10(ρ − 1), x₃), ρ = √(x₁² + x₂²), 2πθ = arctan(x₂/x₁), plus π if x₁ < 0.

    Fletcher & Powell (1963), Comput. J. 6, 163.
    """
    x1, x2, x3 = x
    theta = np.arctan(x2 / x1) / (2.0 * np.pi) + (0.5 if x1.real < 0.0 else 0.0)
    return np.array([10.0 * (x3 - 10.0 * theta), 10.0 * (np.sqrt(x1 * x1 + x2 * x2) - 1.0), x3])


def _helical_valley_jacobian(x: Array) -> Array:
    x1, x2, _ = x
    square = x1 * x1 + x2 * x2
    a, b = 50.0 / (np.pi * square), 10.0 / np.sqrt(square)
    return np.array([[a * x2, -a * x1, 10.0], [b * x1, b * x2, 0.0], [0.0, 0.0, 1.0]])


def _bard(x: Array) -> Array:
    """y_i − x₁ − u_i / (v_i x₂ + w_i x₃), i = 1, …, 15.

    Bard (1970), SIAM J. Numer. Anal. 7, 157.
    """
    return BARD - x[0] - BARD_U / (BARD_V * x[1] + BARD_W * x[2])


def _bard_jacobian(x: Array) -> Array:
    slope = BARD_U / (BARD_V * x[1] + BARD_W * x[2]) ** 2
    return np.column_stack([-np.ones(15), slope * BARD_V, slope * BARD_W])


def _gaussian(x: Array) -> Array:
    """x₁ exp(−½x₂(t_i − x₃)²) − y_i, i = 1, …, 15."""
    return x[0] * np.exp(-0.5 * x[1] * (GAUSSIAN_T - x[2]) ** 2) - GAUSSIAN


def _gaussian_jacobian(x: Array) -> Array:
    x1, x2, x3 = x
    away = GAUSSIAN_T - x3
    bell = np.exp(-0.5 * x2 * away**2)
    return np.column_stack([bell, -0.5 * x1 * away**2 * bell, x1 * x2 * away * bell])


def _meyer(x: Array) -> Array:
    """x₁ exp(x₂/(t_i + x₃)) − y_i, i = 1, …, 16.

    Meyer (1970), in Rosen, Nonlinear Programming, 465.
    """
    return x[0] * np.exp(x[1] / (MEYER_T + x[2])) - MEYER


def _meyer_jacobian(x: Array) -> Array:
    x1, x2, x3 = x
    away = MEYER_T + x3
    power = np.exp(x2 / away)
    return np.column_stack([power, x1 * power / away, -x1 * x2 * power / away**2])


def _gulf(x: Array) -> Array:
    """exp(−|y_i − x₂|^x₃ / x₁) − t_i, i = 1, …, 99; the formula in the paper has a misprint.

    Cox (1969), cited in the paper.
    """
    distance = np.where(x[1].real < GULF_Y, 1.0, -1.0) * (GULF_Y - x[1])
    return np.exp(-(distance ** x[2]) / x[0]) - GULF_T


def _gulf_jacobian(x: Array) -> Array:
    x1, x2, x3 = x
    side = np.where(x2.real < GULF_Y, 1.0, -1.0)
    distance = side * (GULF_Y - x2)
    exponent = distance**x3 / x1
    decay = exponent * np.exp(-exponent)
    return np.column_stack([decay / x1, decay * side * x3 / distance, -decay * np.log(distance)])


def _box(x: Array) -> Array:
    """e^(−t_i x₁) − e^(−t_i x₂) − x₃(e^−t_i − e^(−10t_i)), i = 1, …, 10.

    Box (1966), Comput. J. 9, 67.
    """
    x1, x2, x3 = x
    return np.exp(-BOX_T * x1) - np.exp(-BOX_T * x2) - x3 * (np.exp(-BOX_T) - np.exp(-10.0 * BOX_T))


def _box_jacobian(x: Array) -> Array:
    first, second = np.exp(-BOX_T * x[0]), np.exp(-BOX_T * x[1])
    return np.column_stack([-BOX_T * first, BOX_T * second, np.exp(-10.0 * BOX_T) - np.exp(-BOX_T)])


PROBLEMS = (
    SumOfSquares(
        7,
        "Helical valley",
        np.array([-1.0, 0.0, 0.0]),
        _helical_valley,
        _helical_valley_jacobian,
        (0.0,),
    ),
    SumOfSquares(
        8, "Bard", np.array([1.0, 1.0, 1.0]), _bard, _bard_jacobian, (8.21487e-3, 17.4286)
    ),
    SumOfSquares(
        9, "Gaussian", np.array([0.4, 1.0, 0.0]), _gaussian, _gaussian_jacobian, (1.12793e-8,)
    ),
    SumOfSquares(10, "Meyer", np.array([0.02, 4000.0, 250.0]), _meyer, _meyer_jacobian, (87.9458,)),
    SumOfSquares(11, "Gulf research", np.array([5.0, 2.5, 0.15]), _gulf, _gulf_jacobian, (0.0,)),
    SumOfSquares(
        12, "Box three-dimensional", np.array([0.0, 10.0, 20.0]), _box, _box_jacobian, (0.0,)
    ),
)
