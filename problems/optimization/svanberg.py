"""Svanberg's test problems for the method of moving asymptotes, with their optima.

Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359; Svanberg (2002), SIAM J. Optim.
12, 555. Digits beyond the printed ones were computed by sequential quadratic
programming (SciPy's SLSQP), to rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adjoint.optimize import Bounds, FunctionConstraint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class At:
    """A point of a function at x: its value, and its gradient, computed when first used."""

    x: Array
    value: float
    derivative: Callable[[Array], Array]

    @cached_property
    def gradient(self) -> Array:
        """The derivative of the function at x, (m,)."""
        return self.derivative(self.x)


@dataclass(frozen=True, eq=False)
class Smooth:
    """A function x ↦ value(x) with its derivative x ↦ (m,)."""

    value: Callable[[Array], float]
    derivative: Callable[[Array], Array]

    def __call__(self, x: Array) -> At:
        """Return the point of the function at x, (m,)."""
        return At(x, float(self.value(x)), self.derivative)


@dataclass(frozen=True, eq=False)
class Program:
    """min f(x) subject to constraints and bounds.

    start: a feasible design, (m,). optimum: f(x*). x: the solution x*, (m,), or an empty
    array if x* is not unique or not known.
    """

    name: str
    f: Smooth
    constraints: tuple[FunctionConstraint, ...]
    bounds: Bounds
    start: Array
    optimum: float
    x: Array


def cantilever() -> Program:
    """Make min 0.0624 Σ x_j subject to 61/x₁³ + 37/x₂³ + 19/x₃³ + 7/x₄³ + 1/x₅³ ≤ 1.

    The variables are the heights of five segments; the problem is convex and separable.

    Returns
    -------
    Program
        The problem, with its exact optimum.

    References
    ----------
    Svanberg (1987).
    """
    a, c = np.array([61.0, 37.0, 19.0, 7.0, 1.0]), 0.0624
    weight = Smooth(lambda x: c * x.sum(), lambda x: np.full(5, c))
    tip = Smooth(lambda x: (a / x**3).sum(), lambda x: -3.0 * a / x**4)
    # ∂L/∂x_j = 0: x_j ∝ a_j^¼, and the constraint holds with equality.
    shape = a**0.25
    x = shape * (a / shape**3).sum() ** (1.0 / 3.0)
    return Program(
        "cantilever",
        weight,
        (FunctionConstraint(tip, 1.0),),
        Bounds(1.0, 10.0),
        np.full(5, 5.0),
        c * float(x.sum()),
        x,
    )


def two_bar_truss() -> Program:
    """Make min x₁ √(1 + x₂²) subject to stresses 0.124 √(1 + x₂²) (8/x₁ ± 1/(x₁x₂)) ≤ 1.

    x₁ is the area of the bars, x₂ half their distance.

    Returns
    -------
    Program
        The problem, with its exact optimum; printed: x* = (1.41, 0.38), f* = 1.51.

    References
    ----------
    Svanberg (1987).
    """

    def stress(sign: float) -> Smooth:
        def value(x: Array) -> float:
            return 0.124 * np.hypot(1.0, x[1]) * (8.0 + sign / x[1]) / x[0]

        def derivative(x: Array) -> Array:
            root, load = np.hypot(1.0, x[1]), 8.0 + sign / x[1]
            return 0.124 * np.array(
                [-root * load / x[0] ** 2, (x[1] * load / root - sign * root / x[1] ** 2) / x[0]]
            )

        return Smooth(value, derivative)

    weight = Smooth(
        lambda x: x[0] * np.hypot(1.0, x[1]),
        lambda x: np.array([np.hypot(1.0, x[1]), x[0] * x[1] / np.hypot(1.0, x[1])]),
    )
    # The first stress is 1, which leaves f = 0.124 (1 + x₂²)(8 + 1/x₂): 16 x₂³ + x₂² = 1.
    half = float(np.roots([16.0, 1.0, 0.0, -1.0]).real.max())
    area = 0.124 * float(np.hypot(1.0, half)) * (8.0 + 1.0 / half)
    return Program(
        "two-bar truss",
        weight,
        (FunctionConstraint(stress(1.0), 1.0), FunctionConstraint(stress(-1.0), 1.0)),
        Bounds(np.array([0.2, 0.1]), np.array([4.0, 1.6])),
        np.array([1.5, 0.5]),
        area * float(np.hypot(1.0, half)),
        np.array([area, half]),
    )


def eight_bar_truss() -> Program:
    """Make min Σ ϱ L_j x_j subject to |stress_j| ≤ 100 N/mm².

    The variables are areas x_j, mm², of bars from the ground to one loaded node. The
    areas at the optimum are not unique.

    Returns
    -------
    Program
        The problem, with its optimum; printed: f* = 11.23 kg.

    References
    ----------
    Svanberg (1987).
    """
    ground = [(-250, -250, 0), (-250, 250, 0), (250, 250, 0), (250, -250, 0)]
    ground += [(-375, 0, 0), (0, -375, 0), (375, 0, 0), (0, 375, 0)]
    bars = np.array(ground) - np.array([0.0, 0.0, 375.0])  # mm
    lengths = np.linalg.norm(bars, axis=1)  # mm
    load, density = np.array([40e3, 20e3, 200e3]), 7.8e-6  # N, kg/mm³
    directions = bars / lengths[:, None]

    def stiffness(x: Array) -> Array:
        # Young's modulus is 1: the stresses do not depend on it.
        return (directions.T * (x / lengths)) @ directions

    def stresses(x: Array) -> Array:
        return directions @ np.linalg.solve(stiffness(x), load) / lengths

    def derivatives(x: Array) -> Array:
        flexibility = directions @ np.linalg.solve(stiffness(x), directions.T)
        return -flexibility / lengths[:, None] * stresses(x)

    def stress(bar: int, sign: float) -> Smooth:
        return Smooth(lambda x: sign * stresses(x)[bar], lambda x: sign * derivatives(x)[bar])

    constraints = tuple(
        FunctionConstraint(stress(bar, sign), 100.0) for bar in range(8) for sign in (1.0, -1.0)
    )
    weight = Smooth(lambda x: density * (lengths @ x), lambda x: density * lengths)
    return Program(
        "eight-bar truss",
        weight,
        constraints,
        Bounds(100.0, 1000.0),
        np.full(8, 600.0),
        11.2287408808,
        np.zeros(0),
    )


OPTIMA = {
    (30, False): 6.6054748590,
    (30, True): -23.3945251410,
    (100, False): 24.8959501153,
    (100, True): -75.1040498847,
}
"""(n, reverse) ↦ the optimum of `nonconvex` that is reached from its start."""


def nonconvex(n: int, reverse: bool) -> Program:
    """Make min xᵀS x subject to xᵀP x ≥ n/2, xᵀQ x ≥ n/2, −1 ≤ x ≤ 1.

    S, P, Q: (n, n), dense, positive definite.

    Parameters
    ----------
    n : int
        Number of variables; 100 and more in the paper.
    reverse : bool
        True for max xᵀS x subject to xᵀP x ≤ n/2, xᵀQ x ≤ n/2.

    Returns
    -------
    Program
        The problem; its optimum is nan if n is not in `OPTIMA`.

    References
    ----------
    Svanberg (2002).
    """
    i = np.arange(1, n + 1)
    alpha = (i[:, None] + i - 2.0) / (2.0 * n - 2.0)
    near = 1.0 / ((1.0 + np.abs(i[:, None] - i)) * np.log(n))
    S, P, Q = (
        (2.0 + np.sin(4.0 * np.pi * alpha)) * near,
        (1.0 + 2.0 * alpha) * near,
        (3.0 - 2.0 * alpha) * near,
    )
    sign, start = (-1.0, 0.25) if reverse else (1.0, 0.5)

    def quadratic(A: Array, sign: float) -> Smooth:
        return Smooth(lambda x: sign * (x @ A @ x), lambda x: 2.0 * sign * (A @ x))

    constraints = tuple(FunctionConstraint(quadratic(A, -sign), -sign * 0.5 * n) for A in (P, Q))
    optimum = OPTIMA.get((n, reverse), np.nan)
    name = f"nonconvex, n = {n}{', reverse' if reverse else ''}"
    return Program(
        name,
        quadratic(S, sign),
        constraints,
        Bounds(-1.0, 1.0),
        np.full(n, start),
        optimum,
        np.zeros(0),
    )
