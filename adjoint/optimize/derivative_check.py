"""One directional difference: are the gradients that a run relies on the derivatives of f and of its constraints?"""

from collections.abc import Sequence

import numpy as np

from ..arrays import Array, dot
from .bounds import Box
from .constraints import Constraint, excess
from .evaluation import attempt
from .sampling import NOISE, Samples, direction
from .state import Function, State

DIFFERENT = 1e-3
"""Relative difference from which on a gradient is wrong."""


class WrongGradient(RuntimeError):
    """The gradient of the objective, or of a constraint, is not its derivative: nothing was optimized."""


def require_derivative(f: Function, state: State, bounds: Box, constraints: Sequence[Constraint]) -> None:
    """Raise WrongGradient unless g·v agrees with extrapolated differences along a random v, for f and each constraint.

    Up to four evaluations of f, within the bounds, no gradient of it; with constraints one more of f, at x, and their
    gradients there. Where f cannot be evaluated next to x nothing is found out.
    """
    v = direction(state.x, bounds)
    samples = Samples.of(f, state.x, v, bounds)
    _compare(samples, samples.values, state.value, state.gradient * v, "the gradient")
    if not constraints or (here := state.point or attempt(f, state.x)) is None:
        return
    near = [None if point is None else excess(constraints, point).values for point in samples.points]
    at = excess(constraints, here)
    values = np.array([np.full(len(constraints), np.nan) if each is None else each for each in near])
    for i, (value, row) in enumerate(zip(at.values, at.gradients, strict=True)):
        _compare(samples, values[:, i], float(value), row * v, f"the gradient of constraint {i}")


def _compare(samples: Samples, values: Array, here: float, products: Array, what: str) -> None:
    """products: g_j v_j, (m,). Where they cancel, differences are the rounding of what a zero value is the sum of."""
    difference, spread = samples.slope(values, here)
    derivative = dot(products, np.ones_like(products))
    spread += NOISE * float(np.abs(products).sum()) / samples.steps[-1]
    if not np.isfinite(difference):
        return
    if not abs(difference - derivative) <= DIFFERENT * max(abs(difference), abs(derivative)) + spread:
        raise WrongGradient(
            f"along a random direction {what} gives {derivative:.8e}, differences {difference:.8e}. "
            "Usual causes: a vjp without its transpose or with a wrong sign, a missing ∂J/∂p, a function with kinks "
            "or noise. See adjoint.check(f, x).table(); check=False goes on regardless."
        )
