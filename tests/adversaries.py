"""Objectives that lead optimizers astray: what each tells, what is true of it, and why it is here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from adjoint import SolveError, WrongGradient
from adjoint.errors import NonFinite
from adjoint.optimize import Box

N = 4
A = np.array([1.0, -0.5, 2.0, 0.25])
H = np.array([1.0, 2.0, 5.0, 10.0])
START = A + np.array([1.0, -1.5, 0.8, 1.2])
WINDOW = 4.0
"""Half the width of the box, around the start, of algorithms that need one."""


@dataclass(frozen=True, eq=False)
class Adversary:
    """value, gradient: what it tells at x in its k-th evaluation, k = 1, 2, …; either may raise.

    truth: the derivative of the function that is meant, of the least norm at kinks (within 1e-4 of them): what a
    success is measured by. refused: what `minimize` raises at the start; surely: whether it has to. squares: whether f
    is never negative, so that it is ½‖√(2f)‖². size: of the variables, in their units. never: there is no success,
    whatever the truth at x.
    """

    reason: str
    value: Callable[[np.ndarray, int], object]
    gradient: Callable[[np.ndarray, int], object]
    truth: Callable[[np.ndarray], np.ndarray]
    start: np.ndarray = field(default_factory=lambda: START.copy())
    size: np.ndarray = field(default_factory=lambda: np.ones(1))
    bounds: Box = field(default_factory=Box)
    refused: tuple[type[Exception], ...] = ()
    surely: bool = True
    squares: bool = True
    never: bool = False


@dataclass(eq=False)
class Telling:
    """f of an adversary: counts its evaluations, and remembers what it told where."""

    adversary: Adversary
    limit: int
    evaluations: int = 0
    told: dict = field(default_factory=dict)

    def __call__(self, x):
        self.evaluations += 1
        assert self.evaluations <= self.limit, f"more than {self.limit} evaluations"
        point = Told(self.adversary, x, self.evaluations, self.adversary.value(x, self.evaluations))
        self.told.setdefault(np.asarray(x, dtype=float).tobytes(), []).append(point.value)
        return point


@dataclass(eq=False)
class Told:
    """A point, also of least squares with the one residual √(2f), and with differences for Hessian products."""

    adversary: Adversary
    x: np.ndarray
    k: int
    value: object

    @cached_property
    def gradient(self):
        return self.adversary.gradient(self.x, self.k)

    def hvp(self, v):
        h = 1e-6 / (np.abs(v).max() or 1.0)
        return (self.adversary.gradient(self.x + h * v, self.k) - self.gradient) / h

    @property
    def residual(self):
        return np.array([np.sqrt(2.0 * self.value)])

    def jvp_residual(self, v):
        return np.asarray(self._row @ v)[None] if np.ndim(v) == 1 else (self._row @ v)[None, :]

    def vjp_residual(self, w):
        return self._row * w[0] if np.ndim(w) == 1 else np.outer(self._row, w[0])

    @property
    def _row(self):
        r = self.residual[0]
        return np.asarray(self.gradient) / r if r != 0.0 else np.zeros(np.size(self.x))


def bowl(x, k=1):
    with np.errstate(over="ignore"):
        return 0.5 * float(np.sum(H[: x.size] * (x - A[: x.size]) ** 2))


def slope(x, k=1):
    return H[: x.size] * (x - A[: x.size])


def rosenbrock(x, k=1):
    return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)


def rosenbrock_slope(x, k=1):
    t = x[1] - x[0] ** 2
    return np.array([-400.0 * x[0] * t - 2.0 * (1.0 - x[0]), 200.0 * t])


def after(k, then, before):
    """before's answers up to the k-th evaluation, then's later."""
    return lambda x, n: then(x, n) if n > k else before(x, n)


def beyond(x0, then, before):
    """then's answers in the half space x_0 < x0, which the way down leads into."""
    return lambda x, n: then(x, n) if x[0] < x0 else before(x, n)


def scaled(factor, function=slope):
    return lambda x, k: factor * function(x, k)


def told(number):
    return lambda x, k: number


def filled(number):
    return lambda x, k: np.full(x.size, number)


def raises(error):
    def failing(x, k):
        raise error

    return failing


def noisy(function, size):
    """With noise that depends on how often it is called, and on nothing else that repeats."""
    return lambda x, k: function(x, k) + size * np.random.default_rng(k).standard_normal(np.shape(function(x, k)))


def lying(reason, gradient, **changes):
    """The bowl with another gradient."""
    return Adversary(reason, bowl, gradient, slope, **changes)


def breaking(reason, value, gradient=slope, **changes):
    """The bowl with another value."""
    return Adversary(reason, value, gradient, slope, **changes)


ONE = np.array([1.0, 1.0, 0.0, 1.0])
REFUSED = (WrongGradient,)
UNSURE = {"refused": REFUSED, "surely": False}
SINGULAR = raises(SolveError("singular"))
INSIDE = A[0] + 0.3
"""x_0 of the half space in which answers change: the minimum is in it, the start is not."""

LIARS = {
    "sign": lying("adjoint with the wrong sign", scaled(-1.0), refused=REFUSED),
    "scale 2": lying("a forgotten ½", scaled(2.0), refused=REFUSED),
    "scale 1.01": lying("a quadrature that is not the one of f", scaled(1.01), refused=REFUSED),
    "scale 1e-9": lying("units", scaled(1e-9), refused=REFUSED),
    "zero": lying("a gradient that nothing was written to", scaled(0.0), refused=REFUSED),
    "one component zero": lying("a parameter forgotten", scaled(ONE), refused=REFUSED),
    "one component's sign": lying("one wrong sign", scaled(2.0 * ONE - 1.0), refused=REFUSED),
    "components exchanged": lying("numbering", lambda x, k: np.roll(slope(x), 1), refused=REFUSED),
    "sign later": lying("the sign changes in the run", after(6, scaled(-1.0), slope)),
    "zero later": lying("the gradient vanishes in the run", after(6, scaled(0.0), slope)),
    "scale 1e-9 later": lying("the gradient shrinks in the run", after(6, scaled(1e-9), slope)),
    "one component zero later": lying("one component vanishes in the run", after(6, scaled(ONE), slope)),
    "sign in a region": lying("a branch with the wrong sign", beyond(INSIDE, scaled(-1.0), slope)),
    "zero in a region": lying("a branch that returns zeros", beyond(INSIDE, scaled(0.0), slope)),
    "scale 1e-9 in a region": lying("a branch with other units", beyond(INSIDE, scaled(1e-9), slope)),
    "one component zero in a region": lying("a branch forgets one", beyond(INSIDE, scaled(ONE), slope)),
    "stale": lying("the gradient of the start, always", lambda x, k: slope(START)),
    "tiny variable": lying(
        "one component zero, of a variable that is all but zero at the start, in units that its bounds tell",
        scaled(np.array([0.0, 1.0, 1.0, 1.0])),
        start=np.array([1e-9, 1.0, 1.0, 1.0]),
        bounds=Box(-5.0, 5.0),
        **UNSURE,
    ),
}

BREAKING = {
    "nan at once": breaking("nan", told(np.nan), refused=(NonFinite,)),
    "inf at once": breaking("inf", told(np.inf), refused=(NonFinite,)),
    "-inf at once": breaking("-inf", told(-np.inf), refused=(NonFinite,)),
    "gradient nan at once": breaking("nan", bowl, filled(np.nan), refused=(NonFinite,)),
    "gradient inf at once": breaking("inf", bowl, filled(np.inf), refused=(NonFinite,)),
    "solve fails at once": breaking("singular", SINGULAR, refused=(SolveError,)),
    "gradient's solve fails at once": breaking("singular", bowl, SINGULAR, refused=(SolveError,)),
    "nan but at the start": breaking("nan from the second evaluation on", after(1, told(np.nan), bowl), never=True),
    "solves fail but at the start": breaking("they fail from the second on", after(1, SINGULAR, bowl), never=True),
    "nan later": breaking("nan after some iterations", after(7, told(np.nan), bowl)),
    "-inf later": breaking("-inf after some iterations", after(7, told(-np.inf), bowl)),
    "solves fail later": breaking("singular after some iterations", after(7, SINGULAR, bowl)),
    "every other solve fails": breaking("now and then", lambda x, k: bowl(x) if k % 2 else SINGULAR(x, k)),
    "nan in a region": breaking("the minimum is out of the domain", beyond(INSIDE, told(np.nan), bowl)),
    "-inf in a region": breaking("log of zero", beyond(INSIDE, told(-np.inf), bowl)),
    "inf in a region": breaking("overflow", beyond(INSIDE, told(np.inf), bowl)),
    "solves fail in a region": breaking("a singular region", beyond(INSIDE, SINGULAR, bowl)),
    "gradient nan later": breaking("nan where f is good", bowl, after(7, filled(np.nan), slope)),
    "gradient inf in a region": breaking("sqrt at zero", bowl, beyond(INSIDE, filled(np.inf), slope)),
    "gradient's solve fails in a region": breaking("adjoint fails", bowl, beyond(INSIDE, SINGULAR, slope)),
}


def wall(x, k):
    if x[0] ** 2 + x[1] ** 2 > 2.5 or x[0] < -1.3:
        raise SolveError("beyond the wall")
    return rosenbrock(x)


def flat_truth(x):
    return np.zeros_like(x)


def largest(x, k=1):
    return float(np.abs(x - A).max())


def largest_slope(x, k=1):
    d = x - A
    i = int(np.abs(d).argmax())
    return np.where(np.arange(x.size) == i, np.sign(d[i]), 0.0)


def largest_truth(x):
    return largest_slope(x) if largest(x) > 1e-4 else np.zeros_like(x)


def valley(x, k=1):
    """Wolfe's: descent with exact steps converges to a point that is not stationary; the minimum is at x_0 = −1."""
    return float(5.0 * np.sqrt(9.0 * x[0] ** 2 + 16.0 * x[1] ** 2) if x[0] >= abs(x[1]) else 9 * x[0] + 16 * abs(x[1]))


def valley_slope(x, k=1):
    if x[0] >= abs(x[1]):
        return 5.0 * np.array([9.0 * x[0], 16.0 * x[1]]) / np.sqrt(9.0 * x[0] ** 2 + 16.0 * x[1] ** 2)
    return np.array([9.0, 16.0 * np.sign(x[1])])


def stairs(x, k=1):
    return float(np.floor(4.0 * np.abs(x - A)).sum())


def decay(x, k=1):
    with np.errstate(under="ignore"):
        return float(np.exp(-x).sum())


def decay_slope(x, k=1):
    with np.errstate(under="ignore"):
        return -np.exp(-x)


def barrier(x, k=1):
    with np.errstate(all="ignore"):
        return float(x.sum() - np.log(x).sum())


def plates(x, k=1):
    """Of two Young's moduli, Pa, and two Poisson ratios."""
    with np.errstate(over="ignore", divide="ignore"):
        return float(0.5 * np.sum((x[:2] / 1e11 - 1.0) ** 2) + 1.0 / (1.0 - x[2] ** 2) + np.exp(x[3]) - x[3])


def plates_slope(x, k=1):
    with np.errstate(over="ignore", divide="ignore"):
        moduli = (x[:2] / 1e11 - 1.0) / 1e11
        return np.array([*moduli, 2.0 * x[2] / (1.0 - x[2] ** 2) ** 2, np.exp(x[3]) - 1.0])


def shape(value, gradient, reason, truth=None, **changes):
    return Adversary(reason, value, gradient, truth or (lambda x: gradient(x, 1)), **changes)


SI = np.array([1e11, 1e11, 1.0, 1.0])
UNITS = np.array([1e8, 1.0, 1e-8, 1e4])

SHAPES = {
    "absolute": shape(
        lambda x, k: float(np.abs(x - A).sum()),
        lambda x, k: np.sign(x - A),
        "kinks, also at the minimum",
        lambda x: np.where(np.abs(x - A) < 1e-4, 0.0, np.sign(x - A)),
    ),
    "largest": shape(largest, largest_slope, "max |x_i − a_i|", largest_truth),
    "valley of Wolfe": shape(valley, valley_slope, "a kink along the way", start=np.array([5.0, 4.0]), squares=False),
    "root": shape(
        lambda x, k: float(np.sqrt(np.abs(x - A)).sum()),
        lambda x, k: 0.5 * np.sign(x - A) / np.sqrt(np.abs(x - A) + 1e-300),
        "slopes without bound at the minimum",
        lambda x: np.where(np.abs(x - A) < 1e-4, 0.0, 1.0),
    ),
    "stairs": shape(
        stairs, filled(0.0), "steps, its gradient zero almost everywhere", lambda x: np.sign(x - A), never=True
    ),
    "stairs on a slope": shape(
        lambda x, k: bowl(x) + 0.1 * stairs(x), slope, "a remeshing now and then", lambda x: slope(x)
    ),
    "constant": shape(told(3.0), filled(0.0), "nothing depends on the design", flat_truth, never=True),
    "zero f": shape(told(0.0), filled(0.0), "nothing at all", flat_truth, never=True),
    "plateau": shape(
        lambda x, k: 1.0 - float(np.exp(-50.0 * np.sum((x - A) ** 2))),
        lambda x, k: 100.0 * (x - A) * np.exp(-50.0 * np.sum((x - A) ** 2)),
        "flat to rounding at the start, which is no minimum",
    ),
    "maximum": shape(
        lambda x, k: 10.0 - bowl(x + A),
        lambda x, k: -slope(x + A),
        "starts at its maximum",
        start=np.zeros(N),
        never=True,
        squares=False,
    ),
    "linear": shape(lambda x, k: float(-3.0 * x.sum()), filled(-3.0), "falls without bound", squares=False),
    "cubic": shape(
        lambda x, k: float(np.sum(x**3)),
        lambda x, k: 3.0 * x**2,
        "falls faster and faster",
        squares=False,
        start=np.full(N, 0.5),
    ),
    "minus exponential": shape(
        lambda x, k: -float(np.exp(np.minimum(x, 800.0)).sum()) if x.max() < 700 else -np.inf,
        lambda x, k: -np.exp(np.minimum(x, 700.0)),
        "falls to overflow",
        squares=False,
    ),
    "decay": shape(decay, decay_slope, "no minimum, the gradient vanishes at infinity", start=np.full(N, 0.5)),
    "barrier": shape(barrier, lambda x, k: 1.0 - 1.0 / x, "nan outside of its domain", start=np.full(N, 3.0)),
    "wall": shape(wall, rosenbrock_slope, "Rosenbrock's, with failed solves", start=np.array([-1.2, 1.0])),
    "inflection": shape(
        lambda x, k: float(np.sum(x**3)) + 1e4,
        lambda x, k: 3.0 * x**2,
        "a flat inflection on the way",
        squares=False,
        start=np.array([1.0, 0.5, 0.1, 2.0]),
    ),
    "quartic": shape(lambda x, k: float(np.sum((x - A) ** 4)), lambda x, k: 4.0 * (x - A) ** 3, "singular Hessian"),
    "1e150 f": shape(lambda x, k: 1e150 * bowl(x), scaled(1e150), "squares of its gradient overflow"),
    "1e-150 f": shape(lambda x, k: 1e-150 * bowl(x), scaled(1e-150), "squares of its gradient vanish"),
    "1e-18 f": shape(lambda x, k: 1e-18 * bowl(x), scaled(1e-18), "an objective in large units"),
    "1e150 x": shape(
        lambda x, k: bowl(1e-150 * x),
        lambda x, k: 1e-150 * slope(1e-150 * x),
        "a design in huge units",
        start=1e150 * START,
        size=np.full(N, 1e150),
    ),
    "1e-150 x": shape(
        lambda x, k: bowl(1e150 * x),
        lambda x, k: 1e150 * slope(1e150 * x),
        "a design in tiny units",
        start=1e-150 * START,
        size=np.full(N, 1e-150),
    ),
    "units": shape(
        lambda x, k: bowl(x / UNITS),
        lambda x, k: slope(x / UNITS) / UNITS,
        "variables in units that differ",
        start=START * UNITS,
        size=UNITS,
    ),
    "moduli and ratios": shape(
        plates,
        plates_slope,
        "units that differ by 1e11, and nothing wrong with its gradient",
        start=np.array([2.1e11, 7e10, 0.3, 0.25]),
        size=SI,
        squares=False,
    ),
    "1e12 and a bowl": shape(lambda x, k: 1e12 + bowl(x), slope, "differences of f are near its rounding"),
    "one variable": shape(bowl, slope, "m = 1", start=START[:1]),
}

NOISY = {
    "noise of f 1e-12": breaking("", noisy(bowl, 1e-12)),
    "noise of f 1e-6": breaking("an iterative solver's tolerance, exact gradient", noisy(bowl, 1e-6), squares=False),
    "noise of both 1e-6": breaking(
        "an iterative solver's tolerance", noisy(bowl, 1e-6), noisy(slope, 1e-6), squares=False
    ),
    "noise of both 1e-2": breaking(
        "a Monte Carlo estimate", noisy(bowl, 1e-2), noisy(slope, 1e-2), squares=False, **UNSURE
    ),
    "noise of the gradient 1e-2": breaking(
        "a loose adjoint tolerance", bowl, noisy(slope, 1e-2), squares=False, **UNSURE
    ),
    "drifting": breaking("f is another one each time", lambda x, k: bowl(x) + 0.1 * k, **UNSURE),
    "sinking": breaking("f is lower each time, wherever", lambda x, k: 1e3 + bowl(x) - 0.01 * k, **UNSURE),
}

LIARS["ratio forgotten"] = replace(
    SHAPES["moduli and ratios"],
    reason="the gradient of a Poisson ratio is zero, beside moduli in Pa",
    gradient=lambda x, k: plates_slope(x) * ONE,
    refused=REFUSED,
)

FREE = {**LIARS, **BREAKING, **SHAPES, **NOISY}


def boxed(adversary: Adversary) -> Adversary:
    """The same, within a box around its start; for algorithms that need one."""
    lower = np.maximum(adversary.bounds.lower, adversary.start - WINDOW * adversary.size)
    upper = np.minimum(adversary.bounds.upper, adversary.start + WINDOW * adversary.size)
    return replace(adversary, bounds=Box(lower, upper))


def as_densities(adversary: Adversary) -> Adversary:
    """The same as a function of densities from 0 to 1, the ends of its box."""
    there = boxed(adversary)
    low, span = there.bounds.lower, there.bounds.upper - there.bounds.lower

    def gradient(r, k):
        return span * adversary.gradient(low + span * r, k)

    return replace(
        there,
        value=lambda r, k: adversary.value(low + span * r, k),
        gradient=gradient,
        truth=lambda r: span * adversary.truth(low + span * r),
        start=(there.start - low) / span,
        size=np.ones(1),
        bounds=Box(0.0, 1.0),
    )
