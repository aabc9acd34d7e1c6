"""θ-methods on a given grid: backward Euler, Crank–Nicolson and all methods between them."""

import numpy as np

from ..._validation import require_number
from .esdirk import sdirk4
from .interpolants import hermite
from .method import Method
from .tableau import Tableau


def Theta(theta: float, accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h ((1 − θ) f + θ f'): the θ-method, on a given grid.

    u, f are state and field at the start of a step, u', f' at its end. Order 2 for θ = ½,
    order 1 otherwise. There is no error estimate: give `ODEProblem` a grid.

    Parameters
    ----------
    theta : float
        θ, in [½, 1].
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=Theta(0.6), grid=...)`.

    Raises
    ------
    ValueError
        If θ is not in [½, 1]: methods with θ < ½ are unstable for stiff problems.
    TypeError
        If θ is not a number.

    References
    ----------
    Hairer & Wanner (1996), Solving ODEs II, section IV.3.
    """
    require_number("Theta", "theta", theta)
    if not 0.5 <= theta <= 1.0:
        raise ValueError(
            f"got theta={theta!r}, expected a number in [0.5, 1]: smaller values are unstable"
        )
    names = {0.5: "Crank-Nicolson", 1.0: "backward Euler"}
    name, order = names.get(theta, f"theta = {theta:g}"), 2 if theta == 0.5 else 1
    A = np.array([[1.0]]) if theta == 1.0 else np.array([[0.0, 0.0], [1.0 - theta, theta]])
    # Backward Euler has no stage at the start of the step: its dense output is linear.
    dense = A[-1:].T if theta == 1.0 else hermite(A)
    tableau = Tableau(name, order, A, (), order + 1, dense, np.zeros((0, A.shape[0])))
    return Method(tableau, accuracy, sdirk4())


def BackwardEuler(accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h f': backward Euler, L-stable, of order 1, on a given grid.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=BackwardEuler(), grid=...)`.
    """
    return Theta(1.0, accuracy)


def CrankNicolson(accuracy: float = 1e-13) -> Method:
    """M (u' − u) = h (f + f')/2: the trapezoidal rule, A-stable, of order 2, on a given grid.

    Parameters
    ----------
    accuracy : float
        Relative error of the stage values, see `Method`.

    Returns
    -------
    Method
        The method, for `ODEProblem(..., method=CrankNicolson(), grid=...)`.
    """
    return Theta(0.5, accuracy)
