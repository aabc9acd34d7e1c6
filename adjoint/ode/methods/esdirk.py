"""Diagonally implicit Runge–Kutta methods for stiff problems: L-stable and stiffly accurate."""

import math
from functools import cache

import numpy as np

from .interpolants import continuous, hermite
from .method import Method
from .tableau import Tableau, lower_triangular


def TRBDF2(accuracy: float = 1e-13) -> Method:
    """L-stable method of order 2(3), 2 implicit stages, for stiff problems and coarse tolerances.

    A step is a step of the trapezoidal rule, followed by a step of the backward
    difference formula of order 2.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=TRBDF2())`.

    References
    ----------
    Bank et al. (1985), IEEE Trans. CAD 4, 436; Hosea & Shampine (1996), Appl. Numer. Math.
    20, 21.
    """
    return Method(_trbdf2(), accuracy, sdirk4())


def ESDIRK4(accuracy: float = 1e-13) -> Method:
    """L-stable method ESDIRK4(3)6L[2]SA of order 4(3), 5 implicit stages, for stiff problems.

    The dense output has order 4. `ODEProblem` uses this method by default.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=ESDIRK4())`.

    References
    ----------
    Kennedy & Carpenter (2003), Appl. Numer. Math. 44, 139; (2016), NASA/TM-2016-219173,
    section 6.
    """
    return Method(_esdirk4(), accuracy, sdirk4())


def ESDIRK5(accuracy: float = 1e-13) -> Method:
    """L-stable method ESDIRK5(4)7L[2]SA2 of order 5(4), 6 implicit stages, for stiff problems.

    The dense output has order 4.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=ESDIRK5())`.

    References
    ----------
    Kennedy & Carpenter (2016), NASA/TM-2016-219173; (2019), Appl. Numer. Math. 136, 183.
    """
    return Method(_esdirk5(), accuracy, sdirk4())


@cache
def _trbdf2() -> Tableau:
    """The tableau of Hosea & Shampine (1996)."""
    d, w = 1.0 - math.sqrt(0.5), math.sqrt(2.0) / 4.0
    A = np.array([[0.0, 0.0, 0.0], [d, d, 0.0], [w, w, d]])
    error = A[-1] - np.array([(1.0 - w) / 3.0, (3.0 * w + 1.0) / 3.0, d / 3.0])
    return Tableau("TR-BDF2", 2, A, (error,), 3, hermite(A), np.zeros((0, 3)))


@cache
def _esdirk4() -> Tableau:
    """The tableau of Kennedy & Carpenter (2003); c₂ = 2γ = 1/2."""
    # fmt: off
    A = lower_triangular(
        [
            [],
            [1 / 4],
            [8611 / 62500, -1743 / 31250],
            [5012029 / 34652500, -654441 / 2922500, 174375 / 388108],
            [15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768,
             2285395 / 8070912],
            [82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211],
        ],
        1 / 4,
    )
    A[0, 0] = 0.0
    embedded = np.array(
        [4586570599 / 29645900160, 0.0, 178811875 / 945068544, 814220225 / 1159782912,
         -3700637 / 11593932, 61727 / 225920]
    )
    # fmt: on
    return Tableau(
        "ESDIRK4(3)6L[2]SA", 4, A, (A[-1] - embedded,), 4, continuous(A), np.zeros((0, 6))
    )


@cache
def _esdirk5() -> Tableau:
    """The tableau of Kennedy & Carpenter (2016); a_i1 = a_i2 in each row."""
    # fmt: off
    a3, a4 = 791020047304 / 3561426431547, -158159076358 / 11257294102345
    a5, a6 = -1653327111580 / 4048416487981, -4540011970825 / 8418487046959
    a7, b = -188593204321 / 4778616380481, -582099335757 / 7214068459310
    A = lower_triangular(
        [
            [],
            [23 / 125],
            [a3, a3],
            [a4, a4, -85517644447 / 5003708988389],
            [a5, a5, 1514767744496 / 9099671765375, 14283835447591 / 12247432691556],
            [a6, a6, -1790937573418 / 7393406387169, 10819093665085 / 7266595846747,
             4109463131231 / 7386972500302],
            [a7, a7, 2809310203510 / 10304234040467, 1021729336898 / 2364210264653,
             870612361811 / 2470410392208, -1307970675534 / 8059683598661],
        ],
        23 / 125,
    )
    A[0, 0] = 0.0
    embedded = np.array(
        [b, b, 615023338567 / 3362626566945, 3192122436311 / 6174152374399,
         6156034052041 / 14430468657929, -1011318518279 / 9693750372484,
         1914490192573 / 13754262428401]
    )
    # fmt: on
    return Tableau(
        "ESDIRK5(4)7L[2]SA2", 5, A, (A[-1] - embedded,), 5, continuous(A), np.zeros((0, 7))
    )


@cache
def sdirk4() -> Tableau:
    """The L-stable SDIRK method of order 4(3) for the first step of a DAE.

    The method has no explicit stage. ESDIRK methods need K₁ = u'(t₀), which is not
    known for a DAE. Source: Hairer & Wanner (1996), Solving ODEs II, section IV.6,
    table 6.5.
    """
    A = lower_triangular(
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
    # No stage lies at the start of the step: dense output of order 3 from the order
    # conditions alone.
    rows = np.stack([np.ones(5), A.sum(axis=1), A.sum(axis=1) ** 2, A @ A.sum(axis=1)])
    powers = np.array(
        [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 1.0 / 3.0], [0.0, 0.0, 1.0 / 6.0]]
    )
    dense = np.linalg.pinv(rows) @ powers
    dense[:, 2] += A[-1] - dense.sum(axis=1)
    return Tableau("SDIRK4", 4, A, (error,), 4, dense, np.zeros((0, 5)))
