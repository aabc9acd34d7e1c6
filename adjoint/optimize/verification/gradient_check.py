"""Before a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..._numerics import dot
from ...bounds import Bounds
from ...errors import WrongGradient
from ...reduced import Function, Point
from ...typing import Array
from ..constraint_values import excess
from ..constraints import Constraint
from ..state import State
from ..trial import attempt
from .sampling import NOISE, STEPS, Samples, directions

DIFFERENT = 1e-3
"""Relative difference from which on a gradient is wrong."""


NEARER = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps before a gradient is called wrong: where f is very steep only the shortest are short enough."""


CLEARLY = 10.0
"""Factor on the rounding of two slopes from which on they are different."""


JUMP = 3.0
"""Factor on what extrapolation changes: where f jumps the slope doubles as the step is halved, and tells nothing."""


def require_derivative(
    f: Function, state: State, bounds: Bounds, constraints: Sequence[Constraint]
) -> None:
    """Raise WrongGradient unless g·v agrees with extrapolated differences along a random v, for f and each constraint.

    Up to four evaluations of f, within the bounds, no gradient of it; with constraints one more of f, at x, and their
    gradients there. With two to eight variables two of these along each of two directions, and two more along one
    where they disagree. Where f cannot be evaluated next to x nothing is found out.
    """
    along = directions(state.x, state.gradient, state.value, bounds)
    steps = STEPS[: 3 - len(along)]
    rays = [_Ray(f, state.x, v, bounds, Samples.of(f, state.x, v, bounds, steps)) for v in along]
    for ray in rays:
        ray.require(_value, state.value, state.gradient, "the gradient")
    if not constraints or (here := state.point or attempt(f, state.x)) is None:
        return
    # c itself, for its rounding is relative to c: beside a bound nearby that would not be seen.
    unscaled = np.ones(len(constraints))

    def told(point: Point) -> Array:
        return np.concatenate([part.values for part in excess(constraints, point, unscaled).parts])

    near = [[None if point is None else told(point) for point in ray.points] for ray in rays]
    at = excess(constraints, here, unscaled)
    for i, (part, row) in enumerate(zip(at.parts, at.gradients, strict=True)):

        def read(point: Point, i: int = i) -> float:
            return float(told(point)[i])

        for ray, known in zip(rays, near, strict=True):
            values = np.array([np.nan if each is None else each[i] for each in known])
            ray.require_known(
                values, read, float(part.values[0]), row, f"the gradient of constraint {i}"
            )


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
        """Where it was evaluated."""
        return self.samples.points

    def require(
        self, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> None:
        """Raise WrongGradient unless what is read off the points has this gradient; here: at x."""
        self.require_known(_read(read, self.samples), read, here, gradient, what)

    def require_known(
        self, values: Array, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> None:
        """The same for values that have been read off."""
        derivative = dot(gradient, self.v)
        # Where the products cancel, differences are the rounding of what a zero value is the sum of.
        floor = NOISE * float(np.abs(gradient * self.v).sum())
        difference, spread = self.samples.slope(values, here)
        spread += floor / self.samples.steps[-1]
        if _agree(difference, derivative, spread):
            return
        if self.samples.steps.size < STEPS.size:
            # Only a shorter step tells an f that is steep from one whose gradient is wrong.
            finer = self.samples.finer(self.f, self.x, self.v, self.bounds)
            difference, spread = finer.slope(_read(read, finer), here)
            spread += floor / finer.steps[-1]
        if not (
            _agree(difference, derivative, JUMP * spread)
            or self._agrees_nearer(read, here, derivative, difference)
        ):
            raise WrongGradient(
                f"along a random direction {what} gives {derivative:.8e}, differences {difference:.8e}. Usual causes: "
                "a vjp without its transpose or with a wrong sign, a missing ∂J/∂p, a parameter that appears in "
                "comparisons only (a switching time, `if t > p[2]`), whose derivative is silently zero (breaks= of the "
                "initial value problem), a function with kinks or noise. See adjoint.check(f, x).table(); check=False "
                "goes on regardless."
            )

    def _agrees_nearer(
        self, read: Callable[[Point], float], here: float, derivative: float, farther: float
    ) -> bool:
        """Whether the slope of a shorter step agrees, and is not that of the usual step, by more than its rounding.

        Where nearly nothing holds a structure, at a density of zero, f changes by decades within the usual step. Of
        an f that is smooth the slope stays what it is.
        """
        for nearer in NEARER:
            samples = Samples.of(self.f, self.x, self.v, self.bounds, nearer * STEPS)
            difference, spread = samples.slope(_read(read, samples), here)
            if not np.isfinite(difference):
                return False
            another = DIFFERENT * max(abs(difference), abs(farther)) + CLEARLY * spread
            if _agree(difference, derivative, spread) and abs(difference - farther) > another:
                return True
        return False


def _read(read: Callable[[Point], float], samples: Samples) -> Array:
    return np.array([np.nan if point is None else read(point) for point in samples.points])


def _value(point: Point) -> float:
    return float(point.value)


def _agree(difference: float, derivative: float, spread: float) -> bool:
    """Whether g·v is the slope, or nothing is known of that."""
    allowed = DIFFERENT * max(abs(difference), abs(derivative)) + spread
    return not np.isfinite(difference) or bool(abs(difference - derivative) <= allowed)
