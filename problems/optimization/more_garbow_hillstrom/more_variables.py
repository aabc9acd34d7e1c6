"""Problems 13 to 19: four to eleven variables."""

import numpy as np

from adjoint.typing import Array

from .problem import SumOfSquares

KOWALIK_OSBORNE = np.array(
    [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
)
KOWALIK_OSBORNE_U = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
BROWN_DENNIS_T = np.arange(1.0, 21.0) / 5.0
OSBORNE_1 = np.array(
    [
        0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751,
        0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490,
        0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
    ]
)  # fmt: skip
OSBORNE_1_T = 10.0 * np.arange(33.0)
BIGGS_T = np.arange(1.0, 14.0) / 10.0
BIGGS = np.exp(-BIGGS_T) - 5.0 * np.exp(-10.0 * BIGGS_T) + 3.0 * np.exp(-4.0 * BIGGS_T)
OSBORNE_2 = np.array(
    [
        1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746,
        0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649,
        0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395,
        0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653,
        0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739,
        0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
    ]
)  # fmt: skip
OSBORNE_2_T = np.arange(65.0) / 10.0


def _powell_singular(x: Array) -> Array:
    """(x₁ + 10x₂, √5(x₃ − x₄), (x₂ − 2x₃)², √10(x₁ − x₄)²). Powell (1962), Comput. J. 5, 147."""
    x1, x2, x3, x4 = x
    return np.array(
        [
            x1 + 10.0 * x2,
            np.sqrt(5.0) * (x3 - x4),
            (x2 - 2.0 * x3) ** 2,
            np.sqrt(10.0) * (x1 - x4) ** 2,
        ]
    )


def _powell_singular_jacobian(x: Array) -> Array:
    x1, x2, x3, x4 = x
    a, b, c = np.sqrt(5.0), 2.0 * (x2 - 2.0 * x3), 2.0 * np.sqrt(10.0) * (x1 - x4)
    return np.array(
        [[1.0, 10.0, 0.0, 0.0], [0.0, 0.0, a, -a], [0.0, b, -2.0 * b, 0.0], [c, 0.0, 0.0, -c]]
    )


def _wood(x: Array) -> Array:
    """(10(x₂ − x₁²), 1 − x₁, √90(x₄ − x₃²), 1 − x₃, √10(x₂ + x₄ − 2), (x₂ − x₄)/√10).

    Colville (1968), IBM New York Scientific Center, report 320-2949.
    """
    x1, x2, x3, x4 = x
    a, b = np.sqrt(90.0), np.sqrt(10.0)
    first = [10.0 * (x2 - x1 * x1), 1.0 - x1, a * (x4 - x3 * x3), 1.0 - x3]
    return np.array([*first, b * (x2 + x4 - 2.0), (x2 - x4) / b])


def _wood_jacobian(x: Array) -> Array:
    a, b = np.sqrt(90.0), np.sqrt(10.0)
    return np.array(
        [
            [-20.0 * x[0], 10.0, 0.0, 0.0],
            [-1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, -2.0 * a * x[2], a],
            [0.0, 0.0, -1.0, 0.0],
            [0.0, b, 0.0, b],
            [0.0, 1.0 / b, 0.0, -1.0 / b],
        ]
    )


def _kowalik_osborne(x: Array) -> Array:
    """y_i − x₁(u_i² + u_i x₂)/(u_i² + u_i x₃ + x₄), i = 1, …, 11.

    Kowalik & Osborne (1968), Elsevier.
    """
    u = KOWALIK_OSBORNE_U
    return KOWALIK_OSBORNE - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3])


def _kowalik_osborne_jacobian(x: Array) -> Array:
    u = KOWALIK_OSBORNE_U
    above, below = u * u + u * x[1], u * u + u * x[2] + x[3]
    slope = x[0] * above / below**2
    return np.column_stack([-above / below, -x[0] * u / below, slope * u, slope])


def _brown_dennis(x: Array) -> Array:
    """(x₁ + t_i x₂ − e^t_i)² + (x₃ + x₄ sin t_i − cos t_i)², i = 1, …, 20.

    Brown & Dennis (1971), Numer. Math. 18.
    """
    t = BROWN_DENNIS_T
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def _brown_dennis_jacobian(x: Array) -> Array:
    t = BROWN_DENNIS_T
    first, second = 2.0 * (x[0] + t * x[1] - np.exp(t)), 2.0 * (x[2] + x[3] * np.sin(t) - np.cos(t))
    return np.column_stack([first, t * first, second, np.sin(t) * second])


def _osborne_1(x: Array) -> Array:
    """y_i − (x₁ + x₂e^(−t_i x₄) + x₃e^(−t_i x₅)), i = 1, …, 33. Osborne (1972), Academic Press."""
    t = OSBORNE_1_T
    return OSBORNE_1 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def _osborne_1_jacobian(x: Array) -> Array:
    t = OSBORNE_1_T
    first, second = np.exp(-t * x[3]), np.exp(-t * x[4])
    return np.column_stack([-np.ones(33), -first, -second, t * x[1] * first, t * x[2] * second])


def _biggs(x: Array) -> Array:
    """x₃e^(−t_i x₁) − x₄e^(−t_i x₂) + x₆e^(−t_i x₅) − y_i, i = 1, …, 13.

    Biggs (1971), J. IMA 8, 315.
    """
    t = BIGGS_T
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - BIGGS


def _biggs_jacobian(x: Array) -> Array:
    t = BIGGS_T
    a, b, c = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t * x[4])
    return np.column_stack([-t * x[2] * a, t * x[3] * b, a, -b, -t * x[5] * c, c])


def _osborne_2(x: Array) -> Array:
    """y_i − x₁e^(−t_i x₅) − Σ_k x_{k+1} exp(−(t_i − x_{k+8})² x_{k+5}), i = 1, …, 65.

    k = 1, 2, 3. Osborne (1972), Academic Press.
    """
    bells = np.exp(-((OSBORNE_2_T[:, None] - x[8:]) ** 2) * x[5:8])
    return OSBORNE_2 - x[0] * np.exp(-OSBORNE_2_T * x[4]) - bells @ x[1:4]


def _osborne_2_jacobian(x: Array) -> Array:
    t, away = OSBORNE_2_T, OSBORNE_2_T[:, None] - x[8:]
    decay, bells = np.exp(-t * x[4]), np.exp(-(away**2) * x[5:8])
    heights = x[1:4] * bells
    return np.column_stack(
        [-decay, -bells, t * x[0] * decay, heights * away**2, -2.0 * heights * away * x[5:8]]
    )


OSBORNE_2_START = np.array([1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5])

PROBLEMS = (
    SumOfSquares(
        13,
        "Powell singular",
        np.array([3.0, -1.0, 0.0, 1.0]),
        _powell_singular,
        _powell_singular_jacobian,
        (0.0,),
    ),
    SumOfSquares(14, "Wood", np.array([-3.0, -1.0, -3.0, -1.0]), _wood, _wood_jacobian, (0.0,)),
    SumOfSquares(
        15,
        "Kowalik and Osborne",
        np.array([0.25, 0.39, 0.415, 0.39]),
        _kowalik_osborne,
        _kowalik_osborne_jacobian,
        (3.07505e-4, 1.02734e-3),
    ),
    SumOfSquares(
        16,
        "Brown and Dennis",
        np.array([25.0, 5.0, -5.0, -1.0]),
        _brown_dennis,
        _brown_dennis_jacobian,
        (85822.2,),
    ),
    SumOfSquares(
        17,
        "Osborne 1",
        np.array([0.5, 1.5, -1.0, 0.01, 0.02]),
        _osborne_1,
        _osborne_1_jacobian,
        (5.46489e-5,),
    ),
    SumOfSquares(
        18,
        "Biggs EXP6",
        np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0]),
        _biggs,
        _biggs_jacobian,
        (0.0, 5.65565e-3),
    ),
    SumOfSquares(19, "Osborne 2", OSBORNE_2_START, _osborne_2, _osborne_2_jacobian, (4.01377e-2,)),
)
