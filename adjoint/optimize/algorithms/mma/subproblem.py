"""The convex separable problem of one MMA iteration, solved by its dual in the k multipliers.

minimize g_0(s) + Σ_i (c y_i + ½ y_i²) subject to g_i(s) ≤ y_i, y_i ≥ 0, lower ≤ s ≤ upper; the g_i are those of an
`Approximation`. For multipliers λ the minimum of the Lagrangian has a closed form, s(λ) and y(λ) = max(0, λ − c); the
dual ψ(λ) is concave, with ψ' = g(s(λ)) − y(λ), continuous, and ψ'' a sum over the variables between their bounds.

Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359, section 4; Svanberg (2007), section 5.

Convex separable approximations with moving asymptotes, of the objective and the constraints at a design.

Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359; Svanberg (2002), SIAM J. Optim. 12, 555; the constants are those
of Svanberg (2007), MMA and GCMMA: two methods for nonlinear optimization, KTH Stockholm.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from ...._repr import short_repr
from ...._validation import require_settings
from ....bounds import Bounds
from ....errors import SubproblemFailed
from ....typing import Array
from ...inner_products import InnerProduct

BOTH = 1e-3
"""Part of each slope that both poles get: strict convexity, 2007."""


NEAREST = 0.1
"""Part of the distance to its pole that no variable goes below in one iteration: albefa, 2007."""


@dataclass(frozen=True, eq=False)
class Asymptotes:
    """σ ← γσ, the distance of the poles x ± σ: γ small for a variable that oscillates, large for one that goes on.

    initial: σ at the start; increase, decrease: γ; least, most: bounds on σ; those and `initial` relative to the
    distance of the variable's bounds. With a `least` of 0.01, as published, a variable oscillates for ever about a
    minimum that no constraint holds; elsewhere the two agree. The default is next to rounding: whatever it is, such a
    variable ends that far from the minimum. Raises ValueError unless 0 < least ≤ initial ≤ most and
    decrease ≤ 1 ≤ increase.

    Svanberg (2007), section 3.
    """

    initial: float = 0.5
    increase: float = 1.2
    decrease: float = 0.7
    least: float = 1e-12
    most: float = 10.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (
            0.0 < self.least <= self.initial <= self.most < np.inf
            and 0.0 < self.decrease <= 1.0 <= self.increase < np.inf
        ):
            raise ValueError(
                f"Asymptotes: got {self}, expected 0 < least ≤ initial ≤ most, 0 < decrease ≤ 1 ≤ increase"
            )

    def first(self, span: Array) -> Array:
        """σ at the start, for the distances of the bounds."""
        return self.initial * span

    def moved(self, width: Array, change: Array, before: Array, span: Array) -> Array:
        """The next σ, (m,), from the last two changes of the design."""
        went = np.sign(change * before)
        # 1 for 0, `increase` for 1, `decrease` for −1: without a mask, which takes longer on long arrays.
        mean, half = (
            0.5 * (self.increase + self.decrease) - 1.0,
            0.5 * (self.increase - self.decrease),
        )
        factor = 1.0 + went * (half + mean * went)
        return np.clip(factor * width, self.least * span, self.most * span)


@dataclass(frozen=True, eq=False)
class Region:
    """α ≤ x ≤ β around a design, x_j = at_j + σ_j s_j with |s_j| < 1.

    at, lower, upper, width: the design, α, β and σ, (m,); span: the distance of the bounds, 1 where they coincide, (m,)
    or one number for all.
    """

    at: Array
    lower: Array
    upper: Array
    width: Array
    span: Array

    @classmethod
    def around(cls, x: Array, width: Array, span: Array, move: float, bounds: Bounds) -> "Region":
        """Within the bounds, the poles and the move limit, relative to `span`."""
        reach = np.minimum((1.0 - NEAREST) * width, move * span)
        return cls(x, bounds.clip(x - reach), bounds.clip(x + reach), width, span)

    @cached_property
    def relative(self) -> tuple[Array, Array]:
        """α and β as s, (m,) each."""
        return (self.lower - self.at) / self.width, (self.upper - self.at) / self.width

    def design(self, s: Array) -> Array:
        """x of s; α and β are met to the last bit, for a variable has to be seen to stand at its bound."""
        lowest, highest = self.relative
        x = self.at + self.width * s
        np.copyto(x, self.lower, where=s <= lowest)
        np.copyto(x, self.upper, where=s >= highest)
        return np.clip(x, self.lower, self.upper, out=x)


@dataclass(frozen=True, eq=False)
class Approximation:
    """g_i(s) = g_i(0) + Σ_j (e_ij 2s_j + h_ij 2s_j²) / (1 − s_j²), i = 0 … k: convex, tangent, poles at s = ±1.

    The sum of p_ij/(U_j − x_j) and q_ij/(x_j − L_j) of the papers, less its value at x, without cancellation:
    p = σ(h + e), q = σ(h − e). values: g(0), (k+1,), the objective first; e: (k+1, m) half slopes; h: (k+1, m), above
    |e|.
    """

    values: Array
    e: Array
    h: Array

    @classmethod
    def of(cls, values: Array, slopes: Array, region: Region, curvature: Array) -> "Approximation":
        """From the values (k+1,) and slopes (k+1, m); curvature: ρ, (k+1,), positive: raa0."""
        e = 0.5 * region.width * slopes
        h = (1.0 + 2.0 * BOTH) * np.abs(e)
        relative = region.width / region.span
        for row, rho in zip(h, curvature, strict=True):
            row += rho * relative
        return cls(values, e, h)

    def only(self, rows: Array) -> "Approximation":
        """Of these constraints, (j,) indices, and of the objective."""
        kept = np.append(0, 1 + rows)
        return Approximation(self.values[kept], self.e[kept], self.h[kept])

    def at(self, s: Array, inner: InnerProduct) -> Array:
        """g_i(s), (k+1,)."""
        odd = 2.0 * s / (1.0 - s * s)
        return self.values + paired(self.e, odd, inner) + paired(self.h, s * odd, inner)


def paired(rows: Array, v: Array, inner: InnerProduct) -> Array:
    """Σ_j rows_ij v_j, (k,)."""
    return np.array([inner.pairing(row, v) for row in rows])


TOLERANCE = 1e-13
"""Largest violation and complementarity that is left, relative to the constraints' own sizes."""


ROUGH = 1e-9
"""The same where rounding lets it fall no further."""


ITERATIONS = 500
"""Steps of Newton's method: about ten are enough, a hundred where constraints contradict each other."""


GROWTH = 10.0
"""Largest factor by which a step, before its line search, lets a multiplier grow where ψ has no curvature."""


SMALLEST = 1e-3
"""What a multiplier of zero counts as in that."""


FLATTER = 0.5
"""A line search ends where the slope is below this part of the first one."""


TRIALS = 60
"""Of a line search; there the ends of its bracket are the same number."""


SINGULAR = 1e-13
"""Added to the diagonal of the scaled Hessian: redundant constraints have no unique multipliers."""


@dataclass(frozen=True, eq=False)
class Subproblem:
    """The approximation, and where: lower, upper: (m,), between −1 and 1; elastic: c > 0."""

    approximation: Approximation
    lower: Array
    upper: Array
    elastic: float
    inner: InnerProduct

    @cached_property
    def sizes(self) -> Array:
        """Of what the constraints are sums of, (k,), at least 1: residuals are relative to them."""
        model = self.approximation
        return np.maximum(1.0, np.abs(model.values[1:]) + self.inner.total(model.h[1:]))


@dataclass(frozen=True, eq=False)
class DualPoint:
    """s(λ) and ψ'(λ)."""

    problem: Subproblem
    multipliers: Array

    @cached_property
    def _minimum(self) -> tuple[Array, Array, Array]:
        """s(λ) before it is clipped and after, and √(h² − e²), (m,) each; e, h those of the Lagrangian."""
        weights = np.concatenate([[1.0], self.multipliers])
        e = np.einsum("i,ij->j", weights, self.problem.approximation.e)
        h = np.einsum("i,ij->j", weights, self.problem.approximation.h)
        root = h - e
        root *= h + e
        np.sqrt(root, out=root)
        h += root
        free = np.divide(e, h, out=e)
        np.negative(free, out=free)
        return free, np.clip(free, self.problem.lower, self.problem.upper), root

    @property
    def s(self) -> Array:
        """The minimum of the Lagrangian, (m,)."""
        return self._minimum[1]

    @cached_property
    def _gap(self) -> Array:
        """1 − s², (m,)."""
        return 1.0 - self.s * self.s

    @property
    def excess(self) -> Array:
        """y(λ), (k,)."""
        return np.maximum(0.0, self.multipliers - self.problem.elastic)

    @cached_property
    def slope(self) -> Array:
        """ψ'(λ), (k,)."""
        model, inner = self.problem.approximation, self.problem.inner
        odd = 2.0 * self.s
        odd /= self._gap
        linear = paired(model.e[1:], odd, inner)
        odd *= self.s
        return model.values[1:] + linear + paired(model.h[1:], odd, inner) - self.excess

    @cached_property
    def residual(self) -> float:
        """The largest violation and complementarity, relative."""
        r, sizes = self.slope, self.problem.sizes + self.excess
        left = np.where(r > 0.0, r, -r * np.minimum(1.0, self.multipliers))
        return float((left / sizes).max(initial=0.0))

    def curvature(self) -> Array:
        """−ψ''(λ), (k, k), positive semidefinite: Σ r_i r_k / (√(h² − e²) (1 − s²)²), r_i = e_i (1 + s²) + 2 h_i s."""
        free, s, root = self._minimum
        model, inner, gap = self.problem.approximation, self.problem.inner, self._gap
        weight = root * gap
        weight *= gap
        np.divide(free == s, weight, out=weight)  # none at the bounds
        rows = model.e[1:] * (2.0 - gap)
        rows += model.h[1:] * (2.0 * s)
        k = len(rows)
        N = np.zeros((k, k))
        for i in range(k):
            N[i, : i + 1] = N[: i + 1, i] = paired(rows[: i + 1], rows[i] * weight, inner)
        return N + np.diag(1.0 * (self.multipliers > self.problem.elastic))


def maximized(problem: Subproblem, start: Array) -> DualPoint:
    """The maximum of ψ over λ ≥ 0 by Newton's method; start: (k,), λ ≥ 0.

    The step goes to the maximum over λ ≥ 0 of the quadratic model, then along it to where the slope has all but
    vanished: slopes, not values, for ψ is known to fewer digits than they are. Raises SubproblemFailed.
    """
    at, last = DualPoint(problem, start), np.inf
    for _ in range(ITERATIONS):
        if at.residual <= TOLERANCE or 0.5 * last <= at.residual <= ROUGH:
            return at
        at, last = _searched(at, _newton_step(at)), at.residual
    raise SubproblemFailed(
        f"the dual of the MMA subproblem has a residual of {at.residual:.2e} after {ITERATIONS} Newton steps. Usual "
        "causes: slopes of the constraints, or of the objective, that differ by more than 1e12; scale them"
    )


def _newton_step(at: DualPoint) -> Array:
    """The maximum z ≥ 0 of r·(z − λ) − ½ (z − λ)ᵀ (N + δ) (z − λ), less λ.

    δ limits the growth of λ where N is singular, and vanishes with the residual: the convergence stays superlinear.
    """
    N, r, multipliers = at.curvature(), at.slope, at.multipliers
    N = N + np.diag(np.abs(r) / (GROWTH * (multipliers + SMALLEST)))
    scale = np.sqrt(np.maximum(N.diagonal(), np.finfo(float).tiny))
    M = N / np.multiply.outer(scale, scale) + SINGULAR * np.eye(len(r))
    R = cholesky(M)
    target = solve_triangular(R, r / scale + M @ (scale * multipliers), trans="T")
    return np.asarray(nnls(R, target, maxiter=100 * len(r))[0]) / scale - multipliers


def _searched(at: DualPoint, d: Array) -> DualPoint:
    """Where ψ along d has all but lost its slope, or λ meets zero."""
    first = float(at.slope @ d)
    shrinking = d < 0.0
    longest = float((-at.multipliers[shrinking] / d[shrinking]).min(initial=np.inf))
    low, high = (0.0, first), (np.inf, -np.inf)  # Bracket: t and the slope there.
    t = 1.0
    for _ in range(TRIALS):
        point = DualPoint(at.problem, np.maximum(0.0, at.multipliers + t * d))
        slope = float(point.slope @ d)
        if abs(slope) <= FLATTER * first or (slope > 0.0 and t >= longest):
            break
        low, high = ((t, slope), high) if slope > 0.0 else (low, (t, slope))
        t = min(4.0 * t, longest) if high[0] == np.inf else _between(low, high)
    return point


def _between(low: tuple[float, float], high: tuple[float, float]) -> float:
    """The next trial: the zero of the secant, or a geometric mean where the ends differ in order of magnitude."""
    if high[0] > 4.0 * low[0]:
        return max(0.1 * high[0], float(np.sqrt(low[0] * high[0])))
    secant = low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1])
    tenth = 0.1 * (high[0] - low[0])
    return min(max(secant, low[0] + tenth), high[0] - tenth)
