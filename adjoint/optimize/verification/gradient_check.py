"""Before a run: are the gradients of f and of the constraints their derivatives?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..._numerics import dot
from ...bounds import Bounds
from ...errors import WrongGradient
from ...reduced import Function, Point
from ...typing import Array
from ..constraints.constraint import Constraint
from ..constraints.values import excess
from ..state import State
from ..trial import attempt
from .sampling import NOISE, STEPS, Samples, directions

DIFFERENT = 1e-3
"""Relative difference of two slopes above which a gradient is wrong."""


NEARER = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps, tried before a gradient is called wrong: if f is very steep, only
the shortest steps are short enough."""


CLEARLY = 10.0
"""Factor on the rounding errors of two slopes above which the slopes are different."""


JUMP = 3.0
"""Factor on the amount by which extrapolation changes a slope: if f jumps, the slope
doubles as the step is halved, and says nothing about the gradient."""


@dataclass(frozen=True)
class GradientCheck:
    """The slope of f at the start of a run, along a random direction v, computed twice.

    derivative: g·v by the gradient. difference: the slope by extrapolated differences of f.
    """

    derivative: float
    difference: float


def require_derivative(
    f: Function, state: State, bounds: Bounds, constraints: Sequence[Constraint]
) -> GradientCheck | None:
    """Raise WrongGradient unless g·v agrees with differences along a random direction v.

    Return the two slopes of f along the first direction; None if f cannot be evaluated next
    to x, so that nothing is verified.

    Verified are f and each constraint. The differences are extrapolated. They cost up to
    four evaluations of f, within the bounds, and no gradient; with constraints, one more
    evaluation of f, at x, and the constraints' gradients there. With two to eight variables
    there are two evaluations along each of two directions, and two more along one of them
    if slope and gradient disagree. Before a gradient is called wrong, shorter steps take
    sixteen more evaluations.
    """
    along = directions(state.x, state.gradient, state.value, bounds)
    steps = STEPS[: 3 - len(along)]
    rays = [_Ray(f, state.x, v, bounds, Samples.of(f, state.x, v, bounds, steps)) for v in along]
    slopes = [ray.require(_value, state.value, state.gradient, "the gradient") for ray in rays]
    known = bool(rays) and np.isfinite(slopes[0])
    found = GradientCheck(dot(state.gradient, along[0]), slopes[0]) if known else None
    if not constraints or (here := state.point or attempt(f, state.x)) is None:
        return found
    # c, not c − bound: the rounding error is relative to c, and c − bound may be small.
    unscaled = np.ones(len(constraints))

    def values_at(point: Point) -> Array:
        return np.concatenate([part.values for part in excess(constraints, point, unscaled).parts])

    near = [[None if point is None else values_at(point) for point in ray.points] for ray in rays]
    at = excess(constraints, here, unscaled)
    for i, (part, row) in enumerate(zip(at.parts, at.gradients, strict=True)):

        def read(point: Point, i: int = i) -> float:
            return float(values_at(point)[i])

        for ray, known in zip(rays, near, strict=True):
            values = np.array([np.nan if each is None else each[i] for each in known])
            ray.require_known(
                values, read, float(part.values[0]), row, f"the gradient of constraint {i}"
            )
    return found


@dataclass(frozen=True, eq=False)
class _Ray:
    """f along v from x."""

    f: Function
    x: Array
    v: Array
    bounds: Bounds
    samples: Samples

    @property
    def points(self) -> Sequence[Point | None]:
        """The points at which f was evaluated."""
        return self.samples.points

    def require(
        self, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> float:
        """The slope of a quantity by differences; nan if the slope is not known.

        Raise WrongGradient unless the quantity has this gradient. read: the quantity at a
        point; here: the quantity at x; what: its name, for the message.
        """
        return self.require_known(_read(read, self.samples), read, here, gradient, what)

    def require_known(
        self, values: Array, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> float:
        """As `require`, for values at the points that are known already."""
        derivative = dot(gradient, self.v)
        # If the products g_j v_j cancel, differences are the rounding errors of large terms.
        floor = NOISE * float(np.abs(gradient * self.v).sum())
        difference, spread = self.samples.slope(values, here)
        spread += floor / self.samples.steps[-1]
        if _agree(difference, derivative, spread):
            return difference
        if self.samples.steps.size < STEPS.size:
            # Only a shorter step tells a steep f from a wrong gradient.
            finer = self.samples.finer(self.f, self.x, self.v, self.bounds)
            difference, spread = finer.slope(_read(read, finer), here)
            spread += floor / finer.steps[-1]
        if _agree(difference, derivative, JUMP * spread):
            return difference
        nearer = self._nearer(read, here, derivative, difference)
        if nearer is None:
            raise WrongGradient(
                f"along a random direction {what} gives {derivative:.8e}, differences "
                f"{difference:.8e}. Usual causes: a vjp without its transpose or with a wrong "
                "sign, a missing ∂J/∂p, a parameter that appears in comparisons only (a "
                "switching time, `if t > p[2]`), whose derivative is silently zero (breaks= of "
                "the initial value problem), a function with kinks or noise. See "
                "adjoint.check(f, x).table(); check=False goes on regardless."
            )
        return nearer

    def _nearer(
        self, read: Callable[[Point], float], here: float, derivative: float, farther: float
    ) -> float | None:
        """The slope by a shorter step if it is g·v, and differs from that of the usual step.

        Next to a density of zero almost nothing holds a structure: f changes by decades within
        the usual step, and only a shorter step sees the derivative. The slope of a smooth f
        does not change with the step, so that a wrong gradient stays wrong.
        """
        for nearer in NEARER:
            samples = Samples.of(self.f, self.x, self.v, self.bounds, nearer * STEPS)
            difference, spread = samples.slope(_read(read, samples), here)
            if not np.isfinite(difference):
                return None
            another = DIFFERENT * max(abs(difference), abs(farther)) + CLEARLY * spread
            if _agree(difference, derivative, spread) and abs(difference - farther) > another:
                return difference
        return None


def _read(read: Callable[[Point], float], samples: Samples) -> Array:
    return np.array([np.nan if point is None else read(point) for point in samples.points])


def _value(point: Point) -> float:
    return float(point.value)


def _agree(difference: float, derivative: float, spread: float) -> bool:
    """True if g·v is the slope, or if the slope is not known."""
    allowed = DIFFERENT * max(abs(difference), abs(derivative)) + spread
    return not np.isfinite(difference) or bool(abs(difference - derivative) <= allowed)
