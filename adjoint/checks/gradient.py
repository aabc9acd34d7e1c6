"""Is the gradient the derivative? Taylor remainders, the dot-product identity, Richardson differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from .._numerics import dot
from .._repr import short_repr
from .._validation import as_cotangent, as_parameters, require_integer, require_positive
from ..protocols import Problem
from ..reduced import Point, Reduced
from ..typing import Array

UNSETTLED, APART = 0.02, 0.1
"""Relative change of an extrapolated difference above which it has not settled, and its relative distance from g·v."""


STEPS = 6
"""Steps h₀, h₀/2, …: enough for an order, and for an extrapolation to about 10 digits."""


SHORTEST = 4
"""Steps by which the noise of f is estimated, where truncation plays no part: one more than there are coefficients."""


FEWER = 4
"""Steps along the further directions, of which only the extrapolated difference is compared."""


TOLERANCE = 1e-5
"""Relative error of the extrapolated difference from which on a gradient is wrong."""


SECOND_ORDER = 1.9
"""Order of the remainder from which on it is called 2."""


SHORT = 0.1
"""By how much an order may fall short of the expected one: 1.9 for 2, 2.9 for 3."""


CONVINCING = 1e-6
"""An error against extrapolated differences that no kink would leave, whatever the order of the remainder."""


TRANSPOSED = 1e-8
"""Dot-product error up to which a vjp is the transpose of its jvp: far above rounding, far below any mistake."""


NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding of f, relative to it, that a difference is granted."""


RESOLVED = 10.0
"""Factor on its own estimate of the error that a difference is granted along the further directions."""


WEAKEST = 1e-4
"""Part of the largest g_i x_i below which no g_i x_i is weighted up in the second direction: rounding would follow."""


CANDIDATES = 8
"""Random directions of which the second is the one that is farthest from the first."""


SMALL = 1e-8
"""Part of the largest |x_i| below which a component without effect on f is moved as if it were zero: 1e-17 beside 1."""


SHORTER = (1.0, 1e-3)
"""Factors on the steps, tried in turn until f can be evaluated on one side at least."""


NEARER = (1e-2, 1e-4, 1e-6, 1e-8)
"""Factors on the steps beside zero before a gradient is called wrong: f may be steep there."""


HALVINGS = 4
"""How often components that are zero and cannot be moved together are divided into halves."""


LINEAR = 1e-6
"""Part of ‖u‖ up to which what is left of a tangent that vanishes may be rounding."""


TINY = float(np.finfo(float).tiny)


FAILED = (RuntimeError, ValueError, ArithmeticError)
"""Errors of a function beyond its domain: a `SolveError`, a NonFinite, a root or a logarithm of a negative number."""


CAUSES = (
    "Usual causes: a vjp without its transpose, or with a wrong sign or factor; a missing ∂J/∂p; a parameter that\n"
    "appears in comparisons only (a switching time, `if t > p[2]`), whose derivative is silently zero: breaks= of the\n"
    "initial value problem"
)


@dataclass(frozen=True, eq=False)
class Slope:
    """The derivative of f along one direction v, as the gradient has it and as differences have it.

    what: the direction in words; derivative: g·v; difference: the extrapolated difference; uncertain: its error by
    rounding and, as far as it tells, by truncation; relative_error: between the two. zero: whether both are rounding.
    product: what the derivative is, w.Hv for `check_hvp`.
    """

    what: str
    derivative: float
    difference: float
    uncertain: float
    relative_error: float
    zero: bool
    product: str = "g.v"

    def __str__(self) -> str:
        nothing = (
            f"; {self.product.replace('.', '·')} is zero, nothing was tested" if self.zero else ""
        )
        return f"{self.what}: {self.product} {self.derivative:.6e}, relative error {self.relative_error:.1e}{nothing}"


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `check` measured along random directions v, or `check_hvp` (in brackets, where that differs).

    steps: h, relative to v; first, second: |f(x+hv) − f(x)| and |f(x+hv) − f(x) − h g·v|, whose orders in h are
    1 and 2 for a right gradient [|f(x+hv) − f(x) − h g·v| and |… − ½h² v·Hv|, of orders 2 and 3]; orders: as measured
    (the expected ones where the remainder is rounding throughout). derivative: g·v; difference: the extrapolated
    central difference [w·Hv, and that of w·∇f along v]. relative_error between them, the largest of all directions;
    further: the other directions. dot_product_error: |⟨Dv, w⟩ − ⟨v, Dᵀw⟩| relative to ‖Dv‖‖w‖, D the derivative of the
    state [|⟨Hv, w⟩ − ⟨v, Hw⟩|]; None for a function without one. linearity_error: [of H]. unmoved: the number of
    components of x that are zero, and that f cannot be evaluated beside. seed: of the directions.
    """

    steps: Array
    first: Array
    second: Array
    orders: tuple[float, float]
    derivative: float
    difference: float
    relative_error: float
    dot_product_error: float | None
    seed: int
    expected: tuple[float, float] = (1.0, 2.0)
    slopes: Sequence[Slope] = ()
    unmoved: int = 0
    linearity_error: float | None = None
    labels: "Labels | None" = None

    __repr__ = short_repr

    @property
    def ok(self) -> bool:
        """Whether the remainder has its order, the differences are within 1e-5, the transposes within 1e-8.

        And whether all components of x were moved. Differences within 1e-6 count for the order.
        """
        return self._right and self.unmoved == 0

    @property
    def _right(self) -> bool:
        labels = self._labels
        # Of a function that is nearly linear the remainder is what solves leave, which has no order; near an inflection
        # its order is between two others; and of a function that cannot be evaluated along v nothing is known.
        smooth = self.orders[1] >= self.expected[1] - SHORT or self.relative_error <= CONVINCING
        smooth = smooth or not np.isfinite(self.second).all()
        errors = (self.dot_product_error, self.linearity_error)
        consistent = all(error is None or error <= labels.consistent for error in errors)
        return smooth and self.relative_error <= TOLERANCE and consistent

    @property
    def _labels(self) -> "Labels":
        return self.labels or GRADIENT

    def table(self) -> str:
        """The measured numbers, for a terminal."""
        labels = self._labels
        lines = [f"         h    {labels.first}    {labels.second}"]
        width = len(labels.first)
        rows = zip(self.steps, self.first, self.second, strict=True)
        lines += [f"{h:10.2e}    {first:{width}.6e}  {second:12.4e}" for h, first, second in rows]
        pairs = zip(self.orders, self.expected, strict=True)
        expected = [f"{order:.2f} (expected {wanted:.0f})" for order, wanted in pairs]
        lines += [
            f"orders     {', '.join(expected)}",
            f"{labels.derivative}{self.derivative:.12e}",
            f"difference {self.difference:.12e}  (relative error {self._first_error:.1e})",
        ]
        if self.slopes and self.slopes[0].zero:
            lines[-1] += labels.nothing
        lines += [str(slope) for slope in self.slopes[1:]]
        if self.dot_product_error is None:
            lines.append("no dot-product test: the points have no state with jvp and vjp")
        else:
            lines.append(f"{labels.identity}  {self.dot_product_error:.1e} {labels.norms}")
        if self.linearity_error is not None:
            lines.append(f"H(2v-w) - 2Hv + Hw  {self.linearity_error:.1e} of the terms")
        return "\n".join([*lines, self._verdict])

    @property
    def _first_error(self) -> float:
        return self.slopes[0].relative_error if self.slopes else self.relative_error

    @property
    def _verdict(self) -> str:
        what = self._labels.what
        if not self._right and not (self.unmoved and not np.isfinite(self.relative_error)):
            return f"THE {what.upper()} IS WRONG (or f is not smooth here)\n{self._labels.causes}"
        if self.unmoved:
            return (
                f"NOT ALL WAS TESTED: f cannot be evaluated next to x where {self.unmoved} of its components are zero; "
                "check at an x without zeros"
            )
        return f"the {what} is right"


@dataclass(frozen=True)
class Labels:
    """Words of a report, and up to which error its identity holds."""

    what: str
    first: str
    second: str
    derivative: str
    identity: str
    norms: str
    nothing: str
    causes: str
    consistent: float


GRADIENT = Labels(
    "gradient",
    "|f(x+hv) - f(x)|",
    "... - h g.v",
    "g.v        ",
    "<Dv,w> - <v,D'w>",
    "of ||Dv|| ||w||",
    nothing="; g·v is zero, nothing was tested",
    causes=CAUSES,
    consistent=TRANSPOSED,
)


class Evaluated(Protocol):
    """A point, as far as checks need it."""

    @property
    def value(self) -> float:
        """f(x)."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""


Checked: TypeAlias = Callable[[Array], Evaluated]
"""f: whatever maps x to a point."""


def check(f: Checked, x: Array, *, seed: int = 0, step: float = 1e-2) -> CheckReport:
    """Compare f's gradient at x with differences of f along random directions; returns the numbers.

    f: a `Reduced`, a `ScalarFunction`, a `ResidualFunction`, or anything else that returns points with a value and a
    gradient. x: (m,). step: h₀, times |x_i| the largest change of x_i: no component changes its sign. A second
    direction weights up the components with little effect on f. Components that are zero are moved along a direction
    of their own, by the size of the others, or by 1; to one side where f cannot be evaluated on the other. The report
    counts those that cannot be moved, and is not ok then. Newton's method starts from the solution at x.

    13 solutions of the problem, 8 more with several parameters, and about 8 more where components are zero. Raises
    TypeError or ValueError for wrong arguments, before f is evaluated; what f raises.

    See docs/math/verification.md, eqs. 24–26; Farrell, Ham, Funke & Rognes (2013), SIAM J. Sci.
    Comput. 35, C369, section 6.
    """
    require_integer("check", "seed", seed, 0)
    require_positive("check", "step", step)
    x = required("check", f, x)
    if not step < 1.0:
        raise ValueError(
            f"check: got step={step!r}, expected a number between 0 and 1: a relative change of x"
        )
    rng = np.random.default_rng(seed)
    point = f(x)
    here, g = value_of(point), gradient_of(point, x)
    v = random_direction(x, rng)
    rounding = RESOLVED * NOISE * abs(here) / (step * 0.5 ** (FEWER - 1)) / TOLERANCE
    w = balanced(
        sizes_of(x), g, v, [random_direction(x, rng) for _ in range(CANDIDATES)], WEAKEST, rounding
    )
    dot_product_error = _dot_product_error(point, [v] if x.size == 1 else [v, w], rng)
    f = started(f, point)
    unseen = _unseen(x, g, here)
    along = _Along(f, x, g, here, step, middle_of(np.abs(x[~unseen])), 0.0)
    first, slope, shown = along.first(v)
    along = replace(along, scatter=first.scatter)
    slopes = [slope]
    if np.count_nonzero(x) > 1:
        slopes += along.further("second v", w)
    unmoved = 0
    if x.any() and unseen.any():
        zeros, unmoved = along.zeros(v, np.flatnonzero(unseen), HALVINGS)
        slopes += zeros
    elif not (
        x.any()
        or (slope.relative_error <= TOLERANCE and order(shown[1], first.noise, 2.0) >= SECOND_ORDER)
    ):
        # In parts, to one side, or at a kink, it may be right.
        zeros, unmoved = along.zeros(v, np.arange(x.size), HALVINGS)
        slopes = zeros or slopes
    return CheckReport(
        steps=first.steps,
        first=shown[0],
        second=shown[1],
        orders=(order(shown[0], first.noise, 1.0), order(shown[1], first.noise, 2.0)),
        derivative=slope.derivative,
        difference=slope.difference,
        relative_error=_worst([each.relative_error for each in slopes]),
        dot_product_error=dot_product_error,
        seed=seed,
        slopes=tuple(slopes),
        unmoved=unmoved,
    )


def _unsettled(slope: Slope) -> bool:
    """Whether differences that are no rounding contradict g·v, but change too much from step to step to tell it."""
    size = max(abs(slope.difference), abs(slope.derivative))
    apart = abs(slope.difference - slope.derivative) > APART * size
    return bool(apart and UNSETTLED * size < slope.uncertain < size)


def required(name: str, f: object, x: Array) -> Array:
    """x as float64 or complex128, (m,); raises TypeError, ValueError for bad arguments before f is evaluated."""
    if not callable(f) or isinstance(f, type):
        got = (
            f"the class {f.__name__} itself"
            if isinstance(f, type)
            else "None"
            if f is None
            else f"a {type(f).__name__}"
        )
        raise TypeError(
            f"{name}: got {got} as f, expected a function of x that returns a Point, such as adjoint.Reduced(problem, "
            f"objective) or adjoint.optimize.ScalarFunction(value, gradient): {name}(f, x)"
        )
    x = as_parameters(x, "x")
    if x.size == 0:
        raise ValueError(f"{name}: x is empty, expected at least one component")
    return x


def value_of(point: Evaluated) -> float:
    """f at a point; raises TypeError unless that is a Point, and its value a real number."""
    if not hasattr(point, "value"):
        raise TypeError(
            f"f returned a {type(point).__name__}, expected a Point with value and gradient: see "
            "adjoint.optimize.ScalarFunction(value, gradient)"
        )
    value = np.asarray(point.value)
    if value.ndim != 0 or value.dtype.kind not in "fiu":
        raise TypeError(f"f has the value {point.value!r}, expected a real number")
    return float(value)


def gradient_of(point: Evaluated, x: Array) -> Array:
    """A copy of df/dx, (m,); raises TypeError if the point has no gradient or a complex one, ValueError, NonFinite."""
    if not isinstance(point, Gradient):
        raise TypeError(
            f"f returned a {type(point).__name__} without a gradient, expected a Point with one"
        )
    g = np.asarray(point.gradient)
    if g.dtype.kind == "c" and x.dtype.kind != "c":
        raise TypeError(f"the gradient is of dtype {g.dtype}, expected real numbers, as those of x")
    return as_parameters(as_cotangent(g, x, "the gradient"), "the gradient")


@runtime_checkable
class Gradient(Protocol):
    """A point with a gradient."""

    @property
    def gradient(self) -> Array:
        """df/dx, (m,)."""


def sizes_of(x: Array) -> Array:
    """|x_i|; where x_i is zero the middle of the others, of their logarithms for units differ, at most 1, (m,)."""
    found = np.abs(x)
    return np.where(found > 0.0, found, min(middle_of(found), 1.0))


def middle_of(sizes: Array) -> float:
    """The median of the logarithms of the sizes that are not zero, as a size; 1 where all are zero."""
    known = sizes[sizes > 0.0]
    return float(np.exp(np.median(np.log(known)))) if known.size else 1.0


def random_direction(x: Array, rng: np.random.Generator) -> Array:
    """±[½, 1] of the size of each component (phases, where x is complex); positive where x is zero, (m,).

    Random in magnitude as well: along ±x the derivative of a homogeneous f is known whatever the shares of the
    components in it (Euler's identity). Positive, for of a density that is zero only one side exists.
    """
    size = sizes_of(x) * rng.uniform(0.5, 1.0, x.size)
    if x.dtype.kind == "c":
        return size * np.exp(2j * np.pi * rng.random(x.size))
    return size * np.where(x == 0.0, 1.0, rng.choice([-1.0, 1.0], x.size))


def _unseen(x: Array, g: Array, here: float) -> Array:
    """Which components are zero, or so small that neither their size nor their share of f tells anything, (m,)."""
    size = np.abs(x)
    tiny = (size <= SMALL * float(size.max())) & (np.abs(g) * size <= NOISE * abs(here))
    return np.asarray((size == 0.0) | tiny)


def balanced(
    size: Array, g: Array, v: Array, candidates: Sequence[Array], weakest: float, rounding: float
) -> Array:
    """Another direction, in which all components have about the same share of g·v: of the candidates that far from v.

    Next to a parameter with a large effect a wrong derivative with respect to one with a small effect is not seen.
    weakest: the part of the largest |g_i| size_i, and rounding: the share, below which none is weighted up.
    """
    free = size > 0.0
    w = min(candidates, key=lambda u: abs(dot(u[free] / size[free], v[free] / size[free])))
    share = np.abs(g) * size
    largest = float(share.max())
    least = float(share[share > 0.0].min(initial=largest))
    least = min(max(least, weakest * largest, rounding), largest)
    return w if largest == 0.0 else np.asarray(w * least / np.maximum(share, least))


@dataclass(frozen=True, eq=False)
class _Line:
    """f at x + h v and x − h v, (k,) each, nan from where on it could not be evaluated; here: f(x)."""

    steps: Array
    forward: Array
    backward: Array
    here: float
    error: Exception | None

    @property
    def noise(self) -> float:
        """Rounding of f."""
        values = np.abs([self.here, *self.forward, *self.backward])
        return NOISE * float(values[np.isfinite(values)].max(initial=0.0))

    @property
    def rounding(self) -> float:
        """That of a difference."""
        return self.noise / float(self.steps[-1])

    @property
    def sides(self) -> tuple[bool, bool]:
        """Whether f was evaluated at all of the points on either side."""
        return bool(np.isfinite(self.forward).all()), bool(np.isfinite(self.backward).all())

    @property
    def steeper(self) -> bool:
        """Whether the differences on a side grow as steps get shorter: those of √x at 0 do, without end."""
        for values, finite in zip((self.forward, self.backward), self.sides, strict=True):
            if finite:
                slopes = np.abs(values - self.here) / self.steps
                if (
                    slopes[-1]
                    > (1.0 + UNSETTLED) * slopes[-2]
                    > (1.0 + UNSETTLED) ** 2 * slopes[-3]
                ):
                    return True
        return False

    @property
    def scatter(self) -> float:
        """How far f is from a smooth curve, by what iterations leave of a solution, for example; 0 if not known."""
        return self._scatter(self.steps.size)

    @property
    def jitter(self) -> float:
        """The same by the shortest steps: little of it is truncation, but it may be too low; 0 on one side."""
        return self._scatter(SHORTEST) if all(self.sides) else 0.0

    def _scatter(self, count: int) -> float:
        """Twice the largest distance from a polynomial with fewer coefficients than there are steps: odd along v.

        Of the values on one side, where there are no others.
        """
        ahead, behind = self.sides
        if not (ahead or behind):
            return 0.0
        gaps = self.forward - self.here if ahead else self.backward - self.here
        odd = ahead and behind
        values, powers = (
            ((self.forward - self.backward) / 2.0, [1, 3, 5])
            if odd
            else (gaps, [1, 2, 3, 4][: count - 1])
        )
        V = (self.steps[-count:] / self.steps[-count])[:, None] ** np.array(powers)
        return 2.0 * float(
            np.abs(values[-count:] - V @ np.linalg.lstsq(V, values[-count:])[0]).max()
        )

    def difference(self) -> tuple[float, float]:
        """The derivative of f along v and its change by the last extrapolation: central where both sides are known."""
        ahead, behind = self.sides
        if ahead and behind:
            return limit((self.forward - self.backward) / (2.0 * self.steps), 4.0)
        if ahead or behind:
            return self.one_sided(ahead)
        return np.nan, np.nan

    def one_sided(self, ahead: bool) -> tuple[float, float]:
        """The same from the values on one side."""
        gaps = self.forward - self.here if ahead else self.here - self.backward
        return limit(gaps / self.steps, 2.0)


@dataclass(frozen=True, eq=False)
class _Along:
    """f next to x, where it has the gradient g and the value `here`; middle: of the sizes of the components.

    scatter: the noise of f along the first direction.
    """

    f: Checked
    x: Array
    g: Array
    here: float
    step: float
    middle: float
    scatter: float

    def first(self, v: Array) -> tuple[_Line, Slope, tuple[Array, Array]]:
        """All steps along v, without the components that are zero unless all are; the slope; both remainders.

        Raises what f raises where it can be evaluated neither ahead nor behind, unless x is zero.
        """
        v = np.where(self.x == 0.0, 0.0, v) if self.x.any() else v
        line = self._shortened(v, STEPS, True)
        ahead, behind = line.sides
        if not (ahead or behind) and self.x.any() and line.error is not None:
            raise line.error
        derivative = dot(self.g, v)
        gap = line.backward - self.here if behind and not ahead else line.forward - self.here
        slope = -derivative if behind and not ahead else derivative
        shown = np.abs(gap), np.abs(gap - line.steps * slope)
        return line, self._slope("v", line, derivative), shown

    def further(self, what: str, v: Array) -> list[Slope]:
        """The slope along another direction, without the components that are zero; none where f cannot be evaluated."""
        v = np.where(self.x == 0.0, 0.0, v)
        line = self._shortened(v, FEWER, True)
        return (
            [self._granted(what, line, dot(self.g, v), *line.difference())]
            if any(line.sides)
            else []
        )

    def zeros(self, v: Array, indices: Array, halvings: int) -> tuple[list[Slope], int]:
        """Slopes along components that are zero, together or in parts, and how many of them cannot be moved."""
        noun = "component that is" if indices.size == 1 else "components that are"
        unit = np.zeros_like(v)
        unit[indices] = v[indices] / sizes_of(self.x)[indices]
        slope = self._from_zero(f"{indices.size} {noun} zero", unit)
        if slope is not None:
            return [slope], 0
        if indices.size == 1 or halvings == 0:
            return [], indices.size
        parts = [self.zeros(v, half, halvings - 1) for half in np.array_split(indices, 2)]
        return [slope for slopes, _ in parts for slope in slopes], sum(
            unmoved for _, unmoved in parts
        )

    def _from_zero(self, what: str, v: Array) -> Slope | None:
        """The slope along v, in units that make it visible.

        None where f cannot be evaluated on either side, and where its differences do not settle, as those of √x at 0.

        The size of a component that is zero is a guess: it grows, from the smaller of 1 and the middle of the others
        to the larger, while the difference is rounding.
        """
        best, steeper = None, False
        for scale in sorted({min(1.0, self.middle), 1.0, self.middle}):
            line = self._shortened(scale * v, FEWER, False)
            if not any(line.sides):
                break
            found = self._beside_zero(what, line, dot(self.g, scale * v))
            if not found.relative_error <= TOLERANCE:
                found = self._nearer(what, scale * v, found.difference) or found
            trusted = 1e-3 * abs(found.difference) >= found.uncertain
            if best is not None and scale > 1.0 and not trusted:
                break  # So long a step tells only where its extrapolation has settled.
            best, steeper = found, line.steeper
            if found.uncertain <= 1e-2 * max(abs(found.difference), abs(found.derivative)):
                break
        return None if best is not None and steeper and _unsettled(best) else best

    def _shortened(self, v: Array, count: int, both: bool) -> _Line:
        """f along v, with shorter steps where it cannot be evaluated on one side at least, or on both."""
        lines = list[_Line]()
        for shorter in SHORTER:
            lines.append(self._line(v, shorter * self.step * 0.5 ** np.arange(count)))
            if all(lines[-1].sides) or (any(lines[-1].sides) and not both):
                return lines[-1]
        return next((line for line in lines if any(line.sides)), lines[0])

    def _nearer(self, what: str, v: Array, farther: float) -> Slope | None:
        """The slope by a shorter step, if it agrees, and is not that of the usual step, by more than its rounding.

        Where nearly nothing holds a structure, at a density of zero, f changes by decades within the usual step. Of
        an f that is smooth the slope stays what it is.
        """
        for nearer in NEARER:
            line = self._line(v, nearer * self.step * 0.5 ** np.arange(FEWER))
            if any(line.sides):
                found = self._beside_zero(what, line, dot(self.g, v))
                another = (
                    TOLERANCE * max(abs(found.difference), abs(farther))
                    + RESOLVED**2 * found.uncertain
                )
                if found.relative_error <= TOLERANCE and abs(found.difference - farther) > another:
                    return found
        return None

    def _beside_zero(self, what: str, line: _Line, derivative: float) -> Slope:
        """The slope, either side's at a kink: of max(0, x) at zero any slope from 0 to 1 is a derivative."""
        found = self._granted(what, line, derivative, *line.difference())
        if all(line.sides) and not found.relative_error <= TOLERANCE:
            (ahead, changed), (behind, more) = line.one_sided(True), line.one_sided(False)
            if abs(ahead - behind) > RESOLVED * (line.rounding + changed + more):
                nearest = float(np.clip(derivative, min(ahead, behind), max(ahead, behind)))
                found = self._granted(what, line, derivative, nearest, changed + more)
        return found

    def _slope(self, what: str, line: _Line, derivative: float) -> Slope:
        """The slope along the first direction, beside the difference as it is."""
        difference = line.difference()[0]
        uncertain = line.rounding + RESOLVED * line.jitter / float(line.steps[-1])
        size = max(abs(derivative), abs(difference))
        # The second term: differences that are rounding throughout, as at a stationary point, are no error.
        scale = max(size, uncertain / TOLERANCE, TINY)
        error = abs(derivative - difference) / scale
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _granted(
        self, what: str, line: _Line, derivative: float, difference: float, change: float
    ) -> Slope:
        """The slope along a further direction, beside a difference that is granted its own uncertainty.

        Along these f may change by little more than by its rounding, and by what an iteration leaves of a solution.
        """
        uncertain = max(line.rounding + change, self.scatter / float(line.steps[-1]))
        size = max(abs(derivative), abs(difference))
        error = max(abs(derivative - difference) - RESOLVED * uncertain, 0.0) / max(size, TINY)
        error = error if np.isfinite(difference) else np.nan
        return Slope(what, derivative, difference, uncertain, float(error), bool(size <= uncertain))

    def _line(self, v: Array, steps: Array) -> _Line:
        forward, error = self._values(v, steps)
        backward, other = self._values(-v, steps)
        return _Line(steps, forward, backward, self.here, error or other)

    def _values(self, v: Array, steps: Array) -> tuple[Array, Exception | None]:
        """f(x + h v), nan from the first step on, the longest, at which it cannot be evaluated; and the error there."""
        values = np.full(steps.size, np.nan)
        for i, h in enumerate(steps):
            try:
                with np.errstate(
                    all="ignore"
                ):  # A logarithm beyond its domain is looked for in what comes back.
                    values[i] = value_of(self.f(self.x + h * v))
            except FAILED as error:
                return values, error
            if not np.isfinite(values[i]):
                return values, None
        return values, None


def _worst(errors: Sequence[float]) -> float:
    """The largest, nan if there is one."""
    return float(np.max(errors))


def limit(differences: Array, base: float) -> tuple[float, float]:
    """The limit h → 0 of differences at h, h/2, h/4, …, and how much the last extrapolation changed it.

    base: 4 where the error is even in h, as of central differences; 2 for one-sided ones. Of the entries of the
    Richardson table the one that changed least: Ridders (1982), Adv. Eng. Softw. 4, 75.
    """
    best, smallest = float(differences[0]), np.inf
    row = [float(differences[0])]
    for value in differences[1:]:
        new = [float(value)]
        for j, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (base**j - 1.0))
            change = max(abs(new[-1] - new[-2]), abs(new[-1] - previous))
            if change < smallest:
                best, smallest = new[-1], change
        row = new
    return best, smallest


def extrapolated(differences: Array) -> float:
    """The limit h → 0 of central differences at h, h/2, h/4, …, whose error is even in h."""
    return limit(differences, 4.0)[0]


def order(remainders: Array, noise: float, exact: float) -> float:
    """The median slope of remainders above the noise in steps halved; `exact` where all are noise."""
    if not np.isfinite(remainders).all():
        return float("nan")
    above = remainders > noise
    slopes = [
        np.log2(a / b)
        for a, b, real in zip(remainders, remainders[1:], above[1:], strict=False)
        if real
    ]
    return float(np.median(slopes)) if slopes else exact


@runtime_checkable
class _Restarted(Protocol):
    """A problem whose iteration can start from a solution at hand."""

    def near(self, solution: object) -> Problem:
        """The same problem, started from a solution."""


def started(f: Checked, point: Evaluated) -> Checked:
    """f whose solves start from the solution at this point: on its branch, and in few iterations."""
    if isinstance(f, Reduced) and isinstance(point, Point) and isinstance(f.problem, _Restarted):
        return replace(f, problem=f.problem.near(point.solution))
    return f


@dataclass(frozen=True, eq=False)
class _Derivative:
    """D, the derivative of x ↦ u: v ↦ Dv, w ↦ Dᵀw, at the state u."""

    u: Array
    forward: Callable[[Array], Array]
    back: Callable[[Array], Array]


@runtime_checkable
class _Steady(Protocol):
    """A point of a problem with a design map: a `Point` is one."""

    @property
    def x(self) -> Array:
        """The design."""

    @property
    def solution(self) -> object:
        """With u, jvp, vjp."""

    @property
    def design(self) -> object:
        """With jvp, vjp."""


@runtime_checkable
class _Products(Protocol):
    """Tangents and cotangents."""

    @property
    def jvp(self) -> Callable[..., Array]:
        """v ↦ Dv."""

    @property
    def vjp(self) -> Callable[..., Array]:
        """w ↦ Dᵀw."""


@runtime_checkable
class _SumOfSquares(Protocol):
    """A point of f = ½‖r‖² that knows the derivative of r."""

    residual: Array

    def jvp_residual(self, v: Array) -> Array:
        """(dr/dx) v."""

    def vjp_residual(self, w: Array) -> Array:
        """(dr/dx)ᵀ w."""


def _derivative(point: object) -> _Derivative | None:
    """D of a point's state, or of its residual; None for points that have neither."""
    if isinstance(point, _Steady):
        solution, design, x = point.solution, point.design, point.x
        if (
            isinstance(solution, _Products)
            and isinstance(design, _Products)
            and hasattr(solution, "u")
        ):
            jvp, vjp, inner, outer = solution.jvp, solution.vjp, design.jvp, design.vjp
            return _Derivative(
                np.asarray(solution.u), lambda v: jvp(inner(x, v)), lambda w: outer(x, vjp(w))
            )
        return None
    if isinstance(point, _SumOfSquares):
        return _Derivative(np.asarray(point.residual), point.jvp_residual, point.vjp_residual)
    return None


def _dot_product_error(
    point: object, directions: Sequence[Array], rng: np.random.Generator
) -> float | None:
    """The largest |⟨Dv, w⟩ − ⟨v, Dᵀw⟩| / (‖Dv‖‖w‖) of these v and random w; None where the point has no D."""
    D = _derivative(point)
    return None if D is None else _worst([_transposed(D, v, rng) for v in directions])


def _transposed(D: _Derivative, v: Array, rng: np.random.Generator) -> float:
    """|⟨Dv, w⟩ − ⟨v, Dᵀw⟩| / (‖Dv‖‖w‖) for a random w at an angle of about 45° to Dv; 0 where that is rounding.

    At a right angle, as random vectors of many components nearly are, a wrong factor would not be seen.
    """
    w = np.asarray(rng.standard_normal(D.u.shape))
    if D.u.dtype.kind == "c":
        w = w + 1j * rng.standard_normal(D.u.shape)
    Dv = np.array(D.forward(v))
    length = float(np.linalg.norm(Dv))
    w = w + Dv * (float(np.linalg.norm(w)) / length) if length > 0.0 else w
    Dw = np.array(D.back(w))
    gap, size = abs(dot(w, Dv) - dot(Dw, v)), length * float(np.linalg.norm(w))
    if not gap <= TRANSPOSED * size:
        # Both sides once more, in other units: what is linear changes by its rounding, however ill-conditioned.
        rounding = 0.0
        for factor in (3.0, 0.7):
            ahead = float(np.linalg.norm(D.forward(factor * v) / factor - Dv)) * float(
                np.linalg.norm(w)
            )
            rounding += ahead + dot(np.abs(D.back(factor * w) / factor - Dw), np.abs(v))
        if rounding <= LINEAR * float(np.linalg.norm(D.u)) * float(np.linalg.norm(w)):
            size = max(size, RESOLVED * rounding / TRANSPOSED)
    return float(gap / max(size, TINY))
