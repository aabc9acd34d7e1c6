"""Is the gradient the derivative? Taylor remainders, the dot-product identity, Richardson differences."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arguments import require_function, require_integer, require_positive
from .arrays import Array, dot
from .parameters import as_parameters
from .reduced import Point

STEPS = 6
"""Steps h₀, h₀/2, …: enough for an order, and for an extrapolation to about 10 digits."""

TOLERANCE = 1e-5
"""Relative error of the extrapolated difference from which on a gradient is wrong."""

SECOND_ORDER = 1.9
"""Order of the remainder from which on it is called 2."""

TRANSPOSED = 1e-8
"""Dot-product error up to which a vjp is the transpose of its jvp: far above rounding, far below any mistake."""


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `check` measured along one random direction v.

    steps: h, relative to v; first, second: |f(x+hv) − f(x)| and |f(x+hv) − f(x) − h g·v|, whose orders in h are
    1 and 2 for a right gradient; orders: as measured (2 where the remainder is rounding throughout: f is linear).
    derivative: g·v; difference: the extrapolated central difference; relative_error between them.
    dot_product_error: |⟨Dv, w⟩ − ⟨v, Dᵀw⟩| relative to ‖Dv‖‖w‖, D the derivative of the state. seed: of v and w.
    """

    steps: Array
    first: Array
    second: Array
    orders: tuple[float, float]
    derivative: float
    difference: float
    relative_error: float
    dot_product_error: float
    seed: int

    @property
    def ok(self) -> bool:
        """Whether the remainder is of second order, the difference within 1e-5, the transposes within 1e-8."""
        right = self.orders[1] >= SECOND_ORDER and self.relative_error <= TOLERANCE
        return right and self.dot_product_error <= TRANSPOSED

    def table(self) -> str:
        """The measured numbers, for a terminal."""
        lines = ["         h    |f(x+hv) - f(x)|    ... - h g.v"]
        rows = zip(self.steps, self.first, self.second, strict=True)
        lines += [f"{h:10.2e}    {first:16.6e}  {second:12.4e}" for h, first, second in rows]
        lines += [
            f"orders     {self.orders[0]:.2f} (expected 1), {self.orders[1]:.2f} (expected 2)",
            f"g.v        {self.derivative:.12e}",
            f"difference {self.difference:.12e}  (relative error {self.relative_error:.1e})",
            f"<Dv,w> - <v,D'w>  {self.dot_product_error:.1e} of ||Dv|| ||w||",
            "the gradient is right" if self.ok else "THE GRADIENT IS WRONG (or f is not smooth here)",
        ]
        return "\n".join(lines)


def check(f: Callable[[Array], Point], x: Array, *, seed: int = 0, step: float = 1e-2) -> CheckReport:
    """Compare f's gradient at x with differences of f along a random direction; returns the numbers.

    f: a `Reduced`, or anything that returns a `Point`. x: (m,). step: h₀, times |x_i| (1 where x is zero
    throughout) the largest change of x_i: components that are zero stay so, and none changes its sign.
    About 13 solutions of the problem. Raises what f raises.

    See docs/math.md, eqs. 24–26; Farrell, Ham, Funke & Rognes (2013), SIAM J. Sci. Comput. 35, C369, section 6.
    """
    require_function("check", "f", f, "a function of x, such as a Reduced")
    require_integer("check", "seed", seed, 0)
    require_positive("check", "step", step)
    x = as_parameters(x, "x")
    rng = np.random.default_rng(seed)
    v = random_direction(x, rng)
    point = f(x)
    derivative = dot(point.gradient, v)
    steps = step * 0.5 ** np.arange(STEPS)
    forward = np.array([f(x + h * v).value for h in steps])
    backward = np.array([f(x - h * v).value for h in steps])
    first = np.abs(forward - point.value)
    second = np.abs(forward - point.value - steps * derivative)
    noise = 1e3 * np.finfo(float).eps * np.abs(forward).max()
    difference = extrapolated((forward - backward) / (2.0 * steps))
    # The last term: differences that are rounding throughout, as at a stationary point, are no error.
    scale = float(max(abs(derivative), abs(difference), noise / steps[-1] / TOLERANCE, np.finfo(float).tiny))
    return CheckReport(
        steps,
        first,
        second,
        (order(first, noise, 1.0), order(second, noise, 2.0)),
        derivative,
        difference,
        abs(derivative - difference) / scale,
        _dot_product_error(point, v, rng),
        seed,
    )


def random_direction(x: Array, rng: np.random.Generator) -> Array:
    """±|x_i| with random signs (phases, where x is complex), or of modulus 1 if x is zero."""
    phases = rng.choice([-1.0, 1.0], x.size)
    if x.dtype.kind == "c":
        phases = np.exp(2j * np.pi * rng.random(x.size))
    return phases * np.abs(x) if x.any() else phases


def extrapolated(differences: Array) -> float:
    """The limit h → 0 of central differences at h, h/2, h/4, …, whose error is even in h.

    Of the entries of the Richardson table the one that changed least: Ridders (1982), Adv. Eng. Softw. 4, 75.
    """
    best, smallest = float(differences[0]), np.inf
    row = [float(differences[0])]
    for value in differences[1:]:
        new = [float(value)]
        for j, previous in enumerate(row, start=1):
            new.append(new[-1] + (new[-1] - previous) / (4.0**j - 1.0))
            change = max(abs(new[-1] - new[-2]), abs(new[-1] - previous))
            if change < smallest:
                best, smallest = new[-1], change
        row = new
    return best


def order(remainders: Array, noise: float, exact: float) -> float:
    """The median slope of remainders above the noise in steps halved; `exact` where all are noise."""
    above = remainders > noise
    slopes = [np.log2(a / b) for a, b, real in zip(remainders, remainders[1:], above[1:], strict=False) if real]
    return float(np.median(slopes)) if slopes else exact


def _dot_product_error(point: Point, v: Array, rng: np.random.Generator) -> float:
    """|⟨Dv, w⟩ − ⟨v, Dᵀw⟩| / (‖Dv‖‖w‖) for a random w, D the derivative of x ↦ u."""
    u = point.solution.u
    w = np.asarray(rng.standard_normal(u.shape))
    if u.dtype.kind == "c":
        w = w + 1j * rng.standard_normal(u.shape)
    Dv = point.solution.jvp(point.design.jvp(point.x, v))
    Dw = point.design.vjp(point.x, point.solution.vjp(w))
    gap = abs(dot(w, Dv) - dot(Dw, v))
    return float(gap / max(np.linalg.norm(Dv) * np.linalg.norm(w), np.finfo(float).tiny))
