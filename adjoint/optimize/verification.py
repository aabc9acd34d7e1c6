"""One directional difference: are the gradients that a run relies on the derivatives of f and of its constraints?

Values of f next to a design, along one random direction, and the slopes that they tell.

What convergence is worth: gradients may vanish because they are wrong, or beside others in another unit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .._numerics import dot
from ..bounds import Bounds
from ..checks.gradient import CANDIDATES, balanced, extrapolated, middle_of
from ..errors import WrongGradient
from ..reduced import Function, Point
from ..typing import Array
from .constraint_values import excess
from .constraints import Constraint
from .inner_products import InnerProduct
from .state import State
from .status import Status
from .stopping import Progress
from .trial import attempt

STEPS = np.array([1e-3, 5e-4])
"""Relative to the size of each variable; extrapolated, their difference is good to about 1e-9."""


SHORTER = (1.0, 1e-2, 1e-4)
"""What the steps are multiplied by, in turn, until f can be evaluated at all of the points."""


LEAST = 1e-2
"""Of the distance of its bounds, for the direction of a variable next to zero: its derivative may be wrong too."""


FEW = 8
"""Variables up to which f is sampled along a second direction: along one alone, few errors may cancel out."""


WEAKEST = 1e-2
"""Part of the largest |g_i| size_i below which no variable is weighted up in the second direction."""


NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding of f, relative to it, that differences have to put up with."""


def sizes(x: Array, bounds: Bounds) -> Array:
    """|x_i|, a hundredth of the distance of its bounds at least; the middle of the others where x_i is zero, (m,).

    Not more where nothing is known of a variable but its value: units differ.
    """
    found = np.abs(x)
    found = np.where(found > 0.0, found, middle_of(found))
    width = np.broadcast_to(np.asarray(bounds.upper, dtype=float) - bounds.lower, x.shape)
    return np.where(np.isfinite(width), np.clip(found, LEAST * width, width), found)


def direction(x: Array, bounds: Bounds) -> Array:
    """±[½, 1] of the sizes, at random, into the box, (m,).

    Random in magnitude as well: along ±x the derivative of a homogeneous f is known, whatever the shares in it.
    """
    return _drawn(x, bounds, np.random.default_rng(0))


def directions(x: Array, g: Array, value: float, bounds: Bounds) -> list[Array]:
    """The direction; for few variables another one, far from it, in which all have about the same share of g·v."""
    v = direction(x, bounds)
    if not 1 < x.size <= FEW:
        return [v]
    rng = np.random.default_rng(1)
    candidates = [_drawn(x, bounds, rng) for _ in range(CANDIDATES)]
    return [
        v,
        balanced(sizes(x, bounds), g, v, candidates, WEAKEST, 1e3 * NOISE * abs(value) / STEPS[-1]),
    ]


def _drawn(x: Array, bounds: Bounds, rng: np.random.Generator) -> Array:
    v = sizes(x, bounds) * rng.choice([-1.0, 1.0], x.size) * rng.uniform(0.5, 1.0, x.size)
    v = np.where(
        x == 0.0, np.abs(v), v
    )  # Of a density that is zero only one side exists, stated as a bound or not.
    # At a bound, inwards: what is found out there is worth as much.
    v = np.where(x + STEPS[0] * v > bounds.upper, -np.abs(v), v)
    return np.where(x + STEPS[0] * v < bounds.lower, np.abs(v), v)


@dataclass(frozen=True, eq=False)
class Samples:
    """f along v: at ±h and ±h/2, or of one side at h, h/2, 2h and h where the other one is out of the bounds.

    Or where f cannot be evaluated on the other one. points: two for each step, None where f could not be evaluated;
    steps: h, h/2, or h alone; negative for the side behind. known: f at all steps that were tried.
    """

    points: Sequence[Point | None]
    steps: Array
    central: bool
    known: Mapping[float, Point | None]

    @classmethod
    def of(cls, f: Function, x: Array, v: Array, bounds: Bounds, lengths: Array) -> "Samples":
        """Two evaluations for each length, nearer ones, or of one side, where f cannot be evaluated."""
        return cls._of(f, x, v, bounds, lengths, {})

    def finer(self, f: Function, x: Array, v: Array, bounds: Bounds) -> "Samples":
        """With both steps."""
        return self._of(f, x, v, bounds, STEPS, dict(self.known))

    @classmethod
    def _of(
        cls,
        f: Function,
        x: Array,
        v: Array,
        bounds: Bounds,
        lengths: Array,
        known: dict[float, Point | None],
    ) -> "Samples":
        both = bounds.holds(x - STEPS[0] * v)
        for shorter in SHORTER:
            steps = shorter * lengths
            for central, h in (
                ((True, steps), (False, steps), (False, -steps)) if both else ((False, steps),)
            ):
                if any(known.get(each, f) is None for each in h.tolist()):
                    continue
                # Of one side, the longer step is twice the shorter one: they have a point in common.
                at = np.concatenate([h, -h if central else 2.0 * h]).tolist()
                new = [each for each in dict.fromkeys(at) if each not in known]
                known |= {each: attempt(f, bounds.clip(x + each * v)) for each in new}
                found = cls([known[each] for each in at], h, central, known)
                if all(point is not None for point in found.points):
                    return found
        return found

    @property
    def values(self) -> Array:
        """f, (4,) or (2,), nan where it could not be evaluated."""
        return np.array([np.nan if point is None else float(point.value) for point in self.points])

    def slope(self, values: Array, here: float) -> tuple[float, float]:
        """The derivative along v of what has these values at the points, and `here` at x; and how far it may be wrong.

        By rounding, and by as much as its own extrapolation changes it.
        """
        k = self.steps.size
        noise = NOISE * float(np.abs(values).max()) / abs(self.steps[-1])
        if self.central:
            slopes = (values[:k] - values[k:]) / (2.0 * self.steps)
        else:
            # 4 f(x+h) − f(x+2h) − 3 f(x) over 2h has an error of h².
            slopes, noise = (
                (4.0 * values[:k] - values[k:] - 3.0 * here) / (2.0 * self.steps),
                10.0 * noise,
            )
        return extrapolated(slopes), noise + float(abs(slopes[-1] - slopes[0]))


DIFFERENT = 1e-3
"""Relative difference from which on a gradient is wrong."""


NEARER = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps before a gradient is called wrong: where f is very steep only the shortest are short enough."""


CLEARLY = 10.0
"""Factor on the rounding of two slopes from which on they are different."""


JUMP = 3.0
"""Factor on what extrapolation changes: where f jumps the slope doubles as the step is halved, and tells nothing."""


@dataclass(frozen=True)
class GradientCheck:
    """A slope of f at the start of a run, along a random direction v.

    derivative: g·v by the gradient; difference: by extrapolated differences of f.
    """

    derivative: float
    difference: float


def require_derivative(
    f: Function, state: State, bounds: Bounds, constraints: Sequence[Constraint]
) -> GradientCheck | None:
    """Raise WrongGradient unless g·v agrees with extrapolated differences along a random v, for f and each constraint.

    Up to four evaluations of f, within the bounds, no gradient of it; with constraints one more of f, at x, and their
    gradients there. With two to eight variables two of these along each of two directions, and two more along one
    where they disagree. Returns what agreed, for f along the first direction; None where f cannot be evaluated next
    to x, and nothing is found out.
    """
    along = directions(state.x, state.gradient, state.value, bounds)
    steps = STEPS[: 3 - len(along)]
    rays = [_Ray(f, state.x, v, bounds, Samples.of(f, state.x, v, bounds, steps)) for v in along]
    slopes = [ray.require(_value, state.value, state.gradient, "the gradient") for ray in rays]
    known = bool(rays) and np.isfinite(slopes[0])
    found = GradientCheck(dot(state.gradient, along[0]), slopes[0]) if known else None
    if not constraints or (here := state.point or attempt(f, state.x)) is None:
        return found
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
        """Where it was evaluated."""
        return self.samples.points

    def require(
        self, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> float:
        """The slope by differences, nan where nothing is known of it; here: at x.

        Raises WrongGradient unless what is read off the points has this gradient.
        """
        return self.require_known(_read(read, self.samples), read, here, gradient, what)

    def require_known(
        self, values: Array, read: Callable[[Point], float], here: float, gradient: Array, what: str
    ) -> float:
        """The same for values that have been read off."""
        derivative = dot(gradient, self.v)
        # Where the products cancel, differences are the rounding of what a zero value is the sum of.
        floor = NOISE * float(np.abs(gradient * self.v).sum())
        difference, spread = self.samples.slope(values, here)
        spread += floor / self.samples.steps[-1]
        if _agree(difference, derivative, spread):
            return difference
        if self.samples.steps.size < STEPS.size:
            # Only a shorter step tells an f that is steep from one whose gradient is wrong.
            finer = self.samples.finer(self.f, self.x, self.v, self.bounds)
            difference, spread = finer.slope(_read(read, finer), here)
            spread += floor / finer.steps[-1]
        if _agree(difference, derivative, JUMP * spread):
            return difference
        nearer = self._nearer(read, here, derivative, difference)
        if nearer is None:
            raise WrongGradient(
                f"along a random direction {what} gives {derivative:.8e}, differences {difference:.8e}. Usual causes: "
                "a vjp without its transpose or with a wrong sign, a missing ∂J/∂p, a parameter that appears in "
                "comparisons only (a switching time, `if t > p[2]`), whose derivative is silently zero (breaks= of the "
                "initial value problem), a function with kinks or noise. See adjoint.check(f, x).table(); check=False "
                "goes on regardless."
            )
        return nearer

    def _nearer(
        self, read: Callable[[Point], float], here: float, derivative: float, farther: float
    ) -> float | None:
        """The slope by a shorter step, if it agrees and is not that of the usual step, by more than its rounding.

        Where nearly nothing holds a structure, at a density of zero, f changes by decades within the usual step. Of
        an f that is smooth the slope stays what it is.
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
    """Whether g·v is the slope, or nothing is known of that."""
    allowed = DIFFERENT * max(abs(difference), abs(derivative)) + spread
    return not np.isfinite(difference) or bool(abs(difference - derivative) <= allowed)


BINDING = 1e-3
"""Scaled distance from its bound below which a constraint with a multiplier binds."""


CLIMBED = 1e-2
"""Part of what a run has gained by which it may end above its best state: not all algorithms descend in every step."""


GAINED = 1e-6
"""Part of what a run has gained that a slope left over may promise."""


UNEVEN = 1e-3
"""Part of the first, and of what the run has gained, up to which a slope in the variables' own sizes is small."""


def sized_slope(state: State, bounds: Bounds, inner: InnerProduct) -> float:
    """Σ size_i |g_i|: what f would fall by if each variable changed by its own size, or as far as its bound."""
    x, g = state.x, state.gradient
    room = np.where(g > 0.0, x - bounds.lower, bounds.upper - x)
    return float(inner.total((np.minimum(sizes(x, bounds), room) * np.abs(g))[None, :])[0])


def unconfirmed(
    status: Status,
    state: State,
    best: State,
    progress: Progress,
    bounds: Bounds,
    inner: InnerProduct,
) -> Status:
    """What convergence means, by what is known already: RISEN above the best state, UNEVEN, or the status itself."""
    gained = abs(progress.first - best.value)
    if (
        best.violation <= state.violation
        and state.value > best.value + CLIMBED * gained + GAINED * abs(best.value)
    ):
        return Status.RISEN
    if status is not Status.STATIONARY or _binds(state):
        return status
    slope = sized_slope(state, bounds, inner)
    enough = UNEVEN * abs(progress.first - state.value) + NOISE * max(
        abs(progress.first), abs(state.value)
    )
    return Status.UNEVEN if slope > UNEVEN * progress.sized and slope > enough else status


def confirmed(status: Status, f: Function, state: State, first: float, bounds: Bounds) -> Status:
    """What convergence means, by differences of f: the status itself, where they have nothing against it.

    first: f at the start of the run. INCONSISTENT where the slope along a random direction is not g·v; FLAT where f is
    the same to its last bits next to x as at the start; SADDLE where the gradient vanishes, no constraint binds, and f
    is lower nearby. All but for rounding, for as much as its own extrapolation changes the slope, and for what would
    gain a millionth of what the run has gained. Up to four evaluations of f, or of what the state says its f is by now;
    two more where few variables look inconsistent.
    """
    f = state.function or f
    along = directions(state.x, state.gradient, state.value, bounds)
    # With few variables one step along each of two directions, for the price of two steps along one.
    sampled = [Samples.of(f, state.x, v, bounds, STEPS[: 3 - len(along)]) for v in along]
    values = np.concatenate([samples.values for samples in sampled])
    rounding = 4.0 * float(np.finfo(float).eps) * abs(state.value)
    if state.value == first and np.all(np.abs(values - state.value) <= rounding):
        return Status.FLAT
    meant = [dot(state.gradient, v) for v in along]
    allowed = GAINED * abs(first - state.value) + NOISE * abs(first)
    for v, samples, slope in zip(along, sampled, meant, strict=True):
        if not _consistent(samples, state.value, slope, allowed) and (
            samples.steps.size == STEPS.size
            or not _consistent(samples.finer(f, state.x, v, bounds), state.value, slope, allowed)
        ):
            return Status.INCONSISTENT
    if status is not Status.STATIONARY or _binds(state):
        return status
    lowest = float(np.fmin.reduce(values, initial=np.inf))
    steepest = max(abs(slope) for slope in meant)
    return (
        Status.SADDLE
        if lowest < state.value - 4.0 * STEPS[0] * steepest - allowed - rounding
        else status
    )


def _consistent(samples: Samples, here: float, meant: float, allowed: float) -> bool:
    """Whether the slope of f is what the gradient means, or nothing is known of it."""
    slope, spread = samples.slope(samples.values, here)
    return (
        not abs(slope - meant)
        > spread + DIFFERENT * max(abs(slope), abs(meant)) + allowed / STEPS[-1]
    )


def _binds(state: State) -> bool:
    return bool(np.any((state.multipliers != 0.0) & (state.constraints > -BINDING)))
