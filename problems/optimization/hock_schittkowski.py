"""Small constrained problems with known solutions.

Hock & Schittkowski (1981), Test Examples for Nonlinear Programming Codes, Lecture Notes
in Economics and Mathematical Systems 187; the problems have the numbers of the book.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from adjoint.optimize import Bounds
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class FormulaPoint:
    """A point of a formula at x, with its value and its gradient."""

    x: Array
    value: float
    _gradient: Callable[[Array], Array]

    @property
    def gradient(self) -> Array:
        """The derivative of the formula at x, (m,)."""
        return np.array(self._gradient(self.x), dtype=float)


@dataclass(frozen=True, eq=False)
class Formula:
    """A function of x, given by expressions for its value and its derivative."""

    expression: Callable[[Array], float]
    derivative: Callable[[Array], list[float]]

    def __call__(self, x: Array) -> FormulaPoint:
        """Return the point of the formula at x, (m,)."""
        return FormulaPoint(x, float(self.expression(x)), self.derivative)


@dataclass(frozen=True, eq=False)
class Program:
    """min f(x) subject to c(x) ≤ 0, h(x) = 0 and bounds on x.

    start: the start of the book, (m,). optimum: f(x*); solution: x*, (m,); multipliers: λ
    of the constraints c, then λ of the constraints h, with ∇f + Σ λ∇c = 0 and λ ≥ 0 for c.
    """

    f: Formula
    start: Array
    optimum: float
    solution: Array
    multipliers: Array
    inequalities: tuple[Formula, ...] = ()
    equalities: tuple[Formula, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)


PROGRAMS = {
    6: Program(
        f=Formula(lambda x: (1 - x[0]) ** 2, lambda x: [-2 * (1 - x[0]), 0]),
        start=np.array([-1.2, 1.0]),
        optimum=0.0,
        solution=np.array([1.0, 1.0]),
        multipliers=np.array([0.0]),
        equalities=(Formula(lambda x: 10 * (x[1] - x[0] ** 2), lambda x: [-20 * x[0], 10]),),
    ),
    7: Program(
        f=Formula(
            lambda x: np.log(1 + x[0] ** 2) - x[1], lambda x: [2 * x[0] / (1 + x[0] ** 2), -1]
        ),
        start=np.array([2.0, 2.0]),
        optimum=-np.sqrt(3.0),
        solution=np.array([0.0, np.sqrt(3.0)]),
        multipliers=np.array([0.5 / np.sqrt(3.0)]),
        equalities=(
            Formula(
                lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4,
                lambda x: [4 * x[0] * (1 + x[0] ** 2), 2 * x[1]],
            ),
        ),
    ),
    26: Program(
        f=Formula(
            lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
            lambda x: [
                2 * (x[0] - x[1]),
                -2 * (x[0] - x[1]) + 4 * (x[1] - x[2]) ** 3,
                -4 * (x[1] - x[2]) ** 3,
            ],
        ),
        start=np.array([-2.6, 2.0, 2.0]),
        optimum=0.0,
        solution=np.array([1.0, 1.0, 1.0]),
        multipliers=np.array([0.0]),
        equalities=(
            Formula(
                lambda x: (1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3,
                lambda x: [1 + x[1] ** 2, 2 * x[0] * x[1], 4 * x[2] ** 3],
            ),
        ),
    ),
    28: Program(
        f=Formula(
            lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2,
            lambda x: [2 * (x[0] + x[1]), 2 * (x[0] + 2 * x[1] + x[2]), 2 * (x[1] + x[2])],
        ),
        start=np.array([-4.0, 1.0, 1.0]),
        optimum=0.0,
        solution=np.array([0.5, -0.5, 0.5]),
        multipliers=np.array([0.0]),
        equalities=(Formula(lambda x: x[0] + 2 * x[1] + 3 * x[2] - 1, lambda x: [1, 2, 3]),),
    ),
    35: Program(
        f=Formula(
            lambda x: (
                9
                - 8 * x[0]
                - 6 * x[1]
                - 4 * x[2]
                + 2 * x[0] ** 2
                + 2 * x[1] ** 2
                + x[2] ** 2
                + 2 * x[0] * x[1]
                + 2 * x[0] * x[2]
            ),
            lambda x: [
                -8 + 4 * x[0] + 2 * x[1] + 2 * x[2],
                -6 + 4 * x[1] + 2 * x[0],
                -4 + 2 * x[2] + 2 * x[0],
            ],
        ),
        start=np.array([0.5, 0.5, 0.5]),
        optimum=1.0 / 9.0,
        solution=np.array([4.0 / 3.0, 7.0 / 9.0, 4.0 / 9.0]),
        multipliers=np.array([2.0 / 9.0]),
        inequalities=(Formula(lambda x: x[0] + x[1] + 2 * x[2] - 3, lambda x: [1, 1, 2]),),
        bounds=Bounds(0.0, np.inf),
    ),
    43: Program(
        f=Formula(
            lambda x: (
                x[0] ** 2
                + x[1] ** 2
                + 2 * x[2] ** 2
                + x[3] ** 2
                - 5 * x[0]
                - 5 * x[1]
                - 21 * x[2]
                + 7 * x[3]
            ),
            lambda x: [2 * x[0] - 5, 2 * x[1] - 5, 4 * x[2] - 21, 2 * x[3] + 7],
        ),
        start=np.zeros(4),
        optimum=-44.0,
        solution=np.array([0.0, 1.0, 2.0, -1.0]),
        multipliers=np.array([1.0, 0.0, 2.0]),
        inequalities=(
            Formula(
                lambda x: (
                    x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 + x[0] - x[1] + x[2] - x[3] - 8
                ),
                lambda x: [2 * x[0] + 1, 2 * x[1] - 1, 2 * x[2] + 1, 2 * x[3] - 1],
            ),
            Formula(
                lambda x: x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2 + 2 * x[3] ** 2 - x[0] - x[3] - 10,
                lambda x: [2 * x[0] - 1, 4 * x[1], 2 * x[2], 4 * x[3] - 1],
            ),
            Formula(
                lambda x: 2 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + 2 * x[0] - x[1] - x[3] - 5,
                lambda x: [4 * x[0] + 2, 2 * x[1] - 1, 2 * x[2], -1],
            ),
        ),
    ),
    71: Program(
        f=Formula(
            lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
            lambda x: [
                x[3] * (2 * x[0] + x[1] + x[2]),
                x[0] * x[3],
                x[0] * x[3] + 1,
                x[0] * (x[0] + x[1] + x[2]),
            ],
        ),
        start=np.array([1.0, 5.0, 5.0, 1.0]),
        optimum=17.0140173,
        solution=np.array([1.0, 4.7429994, 3.8211503, 1.3794082]),
        multipliers=np.array([0.5522937, 0.1614686]),
        inequalities=(
            Formula(
                lambda x: 25 - x[0] * x[1] * x[2] * x[3],
                lambda x: [
                    -x[1] * x[2] * x[3],
                    -x[0] * x[2] * x[3],
                    -x[0] * x[1] * x[3],
                    -x[0] * x[1] * x[2],
                ],
            ),
        ),
        equalities=(
            Formula(
                lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 - 40,
                lambda x: [2 * x[0], 2 * x[1], 2 * x[2], 2 * x[3]],
            ),
        ),
        bounds=Bounds(1.0, 5.0),
    ),
    76: Program(
        f=Formula(
            lambda x: (
                x[0] ** 2
                + 0.5 * x[1] ** 2
                + x[2] ** 2
                + 0.5 * x[3] ** 2
                - x[0] * x[2]
                + x[2] * x[3]
                - x[0]
                - 3 * x[1]
                + x[2]
                - x[3]
            ),
            lambda x: [2 * x[0] - x[2] - 1, x[1] - 3, 2 * x[2] - x[0] + x[3] + 1, x[3] + x[2] - 1],
        ),
        start=np.full(4, 0.5),
        optimum=-103.0 / 22.0,
        solution=np.array([3.0 / 11.0, 23.0 / 11.0, 0.0, 6.0 / 11.0]),
        multipliers=np.array([5.0 / 11.0, 0.0, 0.0]),
        inequalities=(
            Formula(lambda x: x[0] + 2 * x[1] + x[2] + x[3] - 5, lambda x: [1, 2, 1, 1]),
            Formula(lambda x: 3 * x[0] + x[1] + 2 * x[2] - x[3] - 4, lambda x: [3, 1, 2, -1]),
            Formula(lambda x: 1.5 - x[1] - 4 * x[2], lambda x: [0, -1, -4, 0]),
        ),
        bounds=Bounds(0.0, np.inf),
    ),
}
