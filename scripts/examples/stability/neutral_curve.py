"""The neutral curve Im c(α, Re) = 0 and its nose, by gradients of an eigenvalue."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.steady.orr_sommerfeld import Coefficients, GrowthRate, orr_sommerfeld

ABOVE = 0.01j
"""Distance of the shift from the last eigenvalue: close enough that the wave is the nearest."""

CONVERGED = 1e-12
"""Relative step of (α, Re) at which Newton's method ends."""


@dataclass(frozen=True, eq=False)
class Nose:
    """The critical point: x = (α_c, Re_c), the points of the iteration, and the wave speed c."""

    x: Array
    iterates: Array
    c: complex
    hessian: Array


def growth(n: int, sigma: complex) -> adjoint.Reduced:
    """Return the function (α, Re) ↦ Im c of the wave next to σ."""
    return adjoint.Reduced(orr_sommerfeld(n, sigma=sigma), GrowthRate(), Coefficients())


def find_nose(n: int, x: Array, sigma: complex) -> Nose:
    """Solve Im c = 0, ∂ Im c/∂α = 0 for (α, Re) by Newton's method.

    The Jacobian has the gradient of Im c in its first row, and one Hessian-vector
    product in its second row. x: the start.
    """
    f, iterates = growth(n, sigma), [x]
    while len(iterates) < 12:
        point = f(x)
        toward_alpha = point.hvp(np.array([1.0, 0.0]))
        jacobian = np.array([point.gradient, toward_alpha])
        step = np.linalg.solve(jacobian, np.array([point.value, point.gradient[0]]))
        x = x - step
        iterates.append(x)
        if np.abs(step / x).max() <= CONVERGED:
            break
    point = f(x)
    hessian = np.stack([point.hvp(direction) for direction in np.eye(2)], axis=1)
    return Nose(x, np.array(iterates), complex(point.solution.u[0, 0]), hessian)


def trace(n: int, nose: Nose, direction: float, highest: float, step: float) -> Array:
    """Follow the neutral curve from its nose until Re reaches `highest`; returns rows (α, Re, c).

    direction: +1 for larger α first, −1 for smaller α. Coordinates z = (α, log₁₀ Re);
    step: length of a step in z. Each point is found by Newton's method along the
    gradient.
    """
    z = np.array([nose.x[0], np.log10(nose.x[1])])
    c, rows = nose.c, [[*nose.x, nose.c.real]]
    tangent = np.array([direction, 0.0])
    while rows[-1][1] < highest:
        guess = z + step * tangent
        for _ in range(8):
            f = growth(n, complex(c.real, 0.0) + ABOVE)
            alpha, Re = guess[0], 10.0 ** guess[1]
            point = f(np.array([alpha, Re]))
            g = point.gradient * np.array([1.0, Re * np.log(10.0)])  # along z
            move = -point.value * g / (g @ g)
            guess = guess + move
            c = complex(point.solution.u[0, 0])
            if np.abs(move).max() <= 1e-9:
                break
        normal = g / np.linalg.norm(g)
        turned = np.array([-normal[1], normal[0]])
        tangent = turned if turned @ (guess - z) > 0.0 else -turned
        z = guess
        rows.append([z[0], 10.0 ** z[1], c.real])
    return np.array(rows)


def nearest(n: int, x: Array, count: int, sigma: complex) -> tuple[Array, Array]:
    """Return the `count` eigenvalues nearest to σ at x = (α, Re), and their conditions."""
    solution = orr_sommerfeld(n, count=count, sigma=sigma).solve(Coefficients()(x))
    return solution.values, solution.conditions
