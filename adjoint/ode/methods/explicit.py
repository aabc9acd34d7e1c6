"""Explicit Runge–Kutta methods for nonstiff problems: Tsit5 and DOP853."""

from functools import cache

import numpy as np
from scipy.integrate import DOP853 as _SciPyDOP853  # noqa: N811

from .method import Method
from .tableau import Tableau, lower_triangular


def Tsit5() -> Method:
    """Explicit Runge–Kutta method of order 5(4), 6 evaluations of f per step.

    The method is for nonstiff problems. The dense output has order 4.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=Tsit5())`.

    References
    ----------
    Tsitouras (2011), Comput. Math. Appl. 62, 770.
    """
    return Method(_tsit5())


def DOP853() -> Method:
    """Explicit Runge–Kutta method of order 8(5,3), 12 evaluations of f per step.

    The method is for nonstiff problems and tight tolerances. The dense output has order
    7. The coefficients are published in SciPy.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=DOP853())`.

    References
    ----------
    Dormand & Prince; Hairer, Nørsett & Wanner (1993), Solving ODEs I, section II.10.
    """
    return Method(_dop853())


@cache
def _tsit5() -> Tableau:
    """The tableau of Tsitouras (2011), table 1."""
    # fmt: off
    A = lower_triangular(
        [
            [],
            [0.161],
            [-0.008480655492356989, 0.335480655492357],
            [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401,
             -0.028269050394068383],
            [0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742,
             -3.290069515436081, 2.324710524099774],
        ],
        0.0,
    )
    error = np.array(
        [-0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995,
         -0.1447110071732629, 0.5823571654525552, -0.45808210592918697, 0.015151515151515152]
    )
    # b_i(θ) as a product of three polynomials in θ, the first one times a number.
    linear, square = np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    factors = [
        (-1.0530884977290216, linear, [-1.3299890189751412, 1.0],
         [0.7139816917074209, -1.4364028541716351, 1.0]),
        (0.1017, square, [1.2949852507374631, -2.1966568338249754, 1.0], [1.0]),
        (2.490627285651252793, square, [1.57803468208092486, -2.38535645472061657, 1.0], [1.0]),
        (-16.54810288924490272, square, [-1.21712927295533244, 1.0], [-0.61620406037800089, 1.0]),
        (47.37952196281928122, square, [-1.203071208372362603, 1.0], [-0.658047292653547382, 1.0]),
        (-34.87065786149660974, square, [-1.2, 1.0], [-0.666666666666666667, 1.0]),
        (2.5, square, [-1.0, 1.0], [-0.6, 1.0]),
    ]
    # fmt: on
    dense = np.array([size * np.convolve(np.convolve(a, b), c) for size, a, b, c in factors])[:, 1:]
    return Tableau("Tsit5", 5, A, (error,), 5, dense, np.zeros((0, 7)))


@cache
def _dop853() -> Tableau:
    """The tableau from SciPy's coefficients, with the weights b as a thirteenth stage."""
    given = _SciPyDOP853
    A = np.zeros((13, 13))
    A[:12, :12], A[12, :12] = given.A[:12, :12], given.B
    # SciPy's dense output is (F₀ + (F₁ + (F₂ + …) θ) (1 − θ)) θ. Each F_j is a
    # combination of the stages.
    first, last, b = np.eye(16)[0], np.eye(16)[12], np.append(A[12], np.zeros(3))
    F = np.vstack([b, first - b, 2.0 * b - last - first, given.D])
    products = [np.array([0.0, 1.0])]
    for j in range(1, 7):
        products.append(np.convolve(products[-1], [1.0, -1.0] if j % 2 else [0.0, 1.0]))
    dense = sum(
        np.outer(row, np.pad(product, (0, 8 - product.size)))
        for row, product in zip(F, products, strict=True)
    )
    return Tableau("DOP853", 8, A, (given.E5, given.E3), 8, np.asarray(dense)[:, 1:], given.A_EXTRA)
