"""The methods: explicit ones, stiffly accurate L-stable ones, and θ-methods on a given grid."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.integrate import DOP853 as _SciPyDOP853  # noqa: N811

from ..._validation import require_number, require_settings
from ...typing import Array
from .tableau import Tableau, continuous, hermite


@dataclass(frozen=True, eq=False)
class Method:
    """A tableau, and how well its stage equations are solved.

    tableau: the coefficients, of a method of your own or of this package. accuracy: relative error of stage values at
    which Newton's iteration for implicit stages ends: 1e-13, so that gradients are those of the trajectory computed to
    all digits but the last few; a hundredth of rtol does where that is not needed. start: the tableau of the first step
    of a DAE, for methods whose first stage is explicit: one without explicit stage, such as `ESDIRK4().start`. Raises
    ValueError.
    """

    tableau: Tableau
    accuracy: float = 1e-13
    start: Tableau | None = None

    def __post_init__(self) -> None:
        require_settings(self)
        if not 1e-15 <= self.accuracy <= 1e-2:
            raise ValueError(
                f"got accuracy={self.accuracy!r}, expected a relative error in [1e-15, 1e-2]"
            )

    def __repr__(self) -> str:
        return repr(self.tableau)


def Tsit5() -> Method:
    """Explicit, order 5(4), 6 evaluations a step: for nonstiff problems. Dense output of order 4.

    Tsitouras (2011), Comput. Math. Appl. 62, 770.
    """
    return Method(_tsit5())


def DOP853() -> Method:
    """Explicit, order 8(5,3), 12 evaluations a step: for nonstiff problems and tight tolerances.

    Dense output of order 7. Dormand & Prince; Hairer, Nørsett & Wanner (1993), Solving ODEs I, section II.10.
    Coefficients as SciPy publishes them.
    """
    return Method(_dop853())


def TRBDF2(accuracy: float = 1e-13) -> Method:
    """L-stable, order 2(3), 2 implicit stages: for stiff problems and coarse tolerances.

    Bank et al. (1985), IEEE Trans. CAD 4, 436; Hosea & Shampine (1996), Appl. Numer. Math. 20, 21.
    """
    return Method(_trbdf2(), accuracy, _sdirk4())


def ESDIRK4(accuracy: float = 1e-13) -> Method:
    """L-stable, order 4(3), 5 implicit stages: ESDIRK4(3)6L[2]SA. Dense output of order 4.

    Kennedy & Carpenter (2003), Appl. Numer. Math. 44, 139; (2016), NASA/TM-2016-219173, section 6.
    """
    return Method(_esdirk4(), accuracy, _sdirk4())


def ESDIRK5(accuracy: float = 1e-13) -> Method:
    """L-stable, order 5(4), 6 implicit stages: ESDIRK5(4)7L[2]SA2. Dense output of order 4.

    Kennedy & Carpenter (2016), NASA/TM-2016-219173; (2019), Appl. Numer. Math. 136, 183.
    """
    return Method(_esdirk5(), accuracy, _sdirk4())


def Theta(theta: float, accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h ((1 − θ) f + θ f'), on a given grid; of order 1, of order 2 for θ = ½. θ in [½, 1].

    Hairer & Wanner (1996), Solving ODEs II, section IV.3. Raises ValueError.
    """
    require_number("Theta", "theta", theta)
    if not 0.5 <= theta <= 1.0:
        raise ValueError(
            f"got theta={theta!r}, expected a number in [0.5, 1]: smaller ones are unstable"
        )
    names = {0.5: "Crank-Nicolson", 1.0: "backward Euler"}
    name, order = names.get(theta, f"theta = {theta:g}"), 2 if theta == 0.5 else 1
    A = np.array([[1.0]]) if theta == 1.0 else np.array([[0.0, 0.0], [1.0 - theta, theta]])
    # Backward Euler knows no derivative where the step begins: a straight line.
    dense = A[-1:].T if theta == 1.0 else hermite(A)
    tableau = Tableau(name, order, A, (), order + 1, dense, np.zeros((0, A.shape[0])))
    return Method(tableau, accuracy, _sdirk4())


def BackwardEuler(accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h f', L-stable, of order 1, on a given grid."""
    return Theta(1.0, accuracy)


def CrankNicolson(accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h (f + f')/2, A-stable, of order 2, on a given grid: the trapezoidal rule."""
    return Theta(0.5, accuracy)


def _triangular(rows: list[list[float]], gamma: float) -> Array:
    """A from its entries below the diagonal; gamma: its diagonal, but for an explicit first row."""
    A = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        A[i, : len(row)] = row
        A[i, i] = gamma
    return A


@cache
def _tsit5() -> Tableau:
    A = _triangular(
        [
            [],
            [0.161],
            [-0.008480655492356989, 0.335480655492357],
            [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            [
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ],
            [
                0.09646076681806523,
                0.01,
                0.4798896504144996,
                1.379008574103742,
                -3.290069515436081,
                2.324710524099774,
            ],
        ],
        0.0,
    )
    error = np.array(
        [
            -0.00178001105222577714,
            -0.0008164344596567469,
            0.007880878010261995,
            -0.1447110071732629,
            0.5823571654525552,
            -0.45808210592918697,
            0.015151515151515152,
        ]
    )
    linear, square = np.array([0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    factors = [  # of the polynomials b_i(θ)
        (
            -1.0530884977290216,
            linear,
            [-1.3299890189751412, 1.0],
            [0.7139816917074209, -1.4364028541716351, 1.0],
        ),
        (0.1017, square, [1.2949852507374631, -2.1966568338249754, 1.0], [1.0]),
        (2.490627285651252793, square, [1.57803468208092486, -2.38535645472061657, 1.0], [1.0]),
        (-16.54810288924490272, square, [-1.21712927295533244, 1.0], [-0.61620406037800089, 1.0]),
        (47.37952196281928122, square, [-1.203071208372362603, 1.0], [-0.658047292653547382, 1.0]),
        (-34.87065786149660974, square, [-1.2, 1.0], [-0.666666666666666667, 1.0]),
        (2.5, square, [-1.0, 1.0], [-0.6, 1.0]),
    ]
    dense = np.array([size * np.convolve(np.convolve(a, b), c) for size, a, b, c in factors])[:, 1:]
    return Tableau("Tsit5", 5, A, (error,), 5, dense, np.zeros((0, 7)))


@cache
def _dop853() -> Tableau:
    given = _SciPyDOP853
    A = np.zeros((13, 13))
    A[:12, :12], A[12, :12] = given.A[:12, :12], given.B
    # SciPy's dense output is (F₀ + (F₁ + (F₂ + …) θ) (1 − θ)) θ, the F_j combinations of the stages.
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


@cache
def _trbdf2() -> Tableau:
    d, w = 1.0 - math.sqrt(0.5), math.sqrt(2.0) / 4.0
    A = np.array([[0.0, 0.0, 0.0], [d, d, 0.0], [w, w, d]])
    error = A[-1] - np.array([(1.0 - w) / 3.0, (3.0 * w + 1.0) / 3.0, d / 3.0])
    return Tableau("TR-BDF2", 2, A, (error,), 3, hermite(A), np.zeros((0, 3)))


@cache
def _esdirk4() -> Tableau:
    A = _triangular(
        [
            [],
            [1 / 4],
            [8611 / 62500, -1743 / 31250],
            [5012029 / 34652500, -654441 / 2922500, 174375 / 388108],
            [
                15267082809 / 155376265600,
                -71443401 / 120774400,
                730878875 / 902184768,
                2285395 / 8070912,
            ],
            [82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211],
        ],
        1 / 4,
    )
    A[0, 0] = 0.0
    embedded = np.array(
        [
            4586570599 / 29645900160,
            0.0,
            178811875 / 945068544,
            814220225 / 1159782912,
            -3700637 / 11593932,
            61727 / 225920,
        ]
    )
    return Tableau(
        "ESDIRK4(3)6L[2]SA", 4, A, (A[-1] - embedded,), 4, continuous(A), np.zeros((0, 6))
    )


@cache
def _esdirk5() -> Tableau:
    a3, a4, a5 = (
        791020047304 / 3561426431547,
        -158159076358 / 11257294102345,
        -1653327111580 / 4048416487981,
    )
    a6, a7, b = (
        -4540011970825 / 8418487046959,
        -188593204321 / 4778616380481,
        -582099335757 / 7214068459310,
    )
    A = _triangular(
        [
            [],
            [23 / 125],
            [a3, a3],
            [a4, a4, -85517644447 / 5003708988389],
            [a5, a5, 1514767744496 / 9099671765375, 14283835447591 / 12247432691556],
            [
                a6,
                a6,
                -1790937573418 / 7393406387169,
                10819093665085 / 7266595846747,
                4109463131231 / 7386972500302,
            ],
            [
                a7,
                a7,
                2809310203510 / 10304234040467,
                1021729336898 / 2364210264653,
                870612361811 / 2470410392208,
                -1307970675534 / 8059683598661,
            ],
        ],
        23 / 125,
    )
    A[0, 0] = 0.0
    embedded = np.array(
        [
            b,
            b,
            615023338567 / 3362626566945,
            3192122436311 / 6174152374399,
            6156034052041 / 14430468657929,
            -1011318518279 / 9693750372484,
            1914490192573 / 13754262428401,
        ]
    )
    return Tableau(
        "ESDIRK5(4)7L[2]SA2", 5, A, (A[-1] - embedded,), 5, continuous(A), np.zeros((0, 7))
    )


@cache
def _sdirk4() -> Tableau:
    """L-stable, order 4(3), no explicit stage: begins where derivatives are not known yet.

    Hairer & Wanner (1996), Solving ODEs II, section IV.6, table 6.5.
    """
    A = _triangular(
        [
            [],
            [1 / 2],
            [17 / 50, -1 / 25],
            [371 / 1360, -137 / 2720, 15 / 544],
            [25 / 24, -49 / 48, 125 / 16, -85 / 12],
        ],
        1 / 4,
    )
    error = A[-1] - np.array([59 / 48, -17 / 96, 225 / 32, -85 / 12, 0.0])
    # No stage lies where the step begins: dense output of order 3 from the order conditions alone.
    rows = np.stack([np.ones(5), A.sum(axis=1), A.sum(axis=1) ** 2, A @ A.sum(axis=1)])
    powers = np.array(
        [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0 / 3.0], [0.0, 0.0, 1.0 / 6.0]]
    )
    dense = np.linalg.pinv(rows) @ powers
    dense[:, 2] += A[-1] - dense.sum(axis=1)
    return Tableau("SDIRK4", 4, A, (error,), 4, dense, np.zeros((0, 5)))
