"""The convex separable problem of an MMA iteration, solved by its dual in the k multipliers.

min g_0(s) + Σ_i (c y_i + ½ y_i²) subject to g_i(s) ≤ y_i, y_i ≥ 0, lower ≤ s ≤ upper,
where the g_i are those of an `Approximation`. For multipliers λ the minimum of the
Lagrangian has a closed form, s(λ) and y(λ) = max(0, λ − c). The dual ψ(λ) is concave;
ψ' = g(s(λ)) − y(λ) is continuous, and ψ'' is a sum over the variables between their
bounds.

Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359, section 4; Svanberg (2007),
section 5.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from ....errors import SubproblemFailed
from ....typing import Array
from ...inner_products import InnerProduct
from .approximation import Approximation, paired

TOLERANCE = 1e-13
"""Largest violation and complementarity at a solution, relative to the sizes of the
constraints."""


ROUGH = 1e-9
"""The same tolerance if rounding keeps the residual from falling further."""


ITERATIONS = 500
"""Largest number of Newton steps: about ten are enough, a hundred if constraints
contradict each other."""


GROWTH = 10.0
"""Largest factor by which a step, before its line search, lets a multiplier grow if ψ has
no curvature."""


SMALLEST = 1e-3
"""Value that a multiplier of zero counts as, for this growth."""


FLATTER = 0.5
"""Part of the first slope below which a line search ends."""


TRIALS = 60
"""Largest number of trials in a line search; after them the ends of its bracket are one
number."""


SINGULAR = 1e-13
"""Added to the diagonal of the scaled Hessian: redundant constraints have no unique
multipliers."""


@dataclass(frozen=True, eq=False)
class Subproblem:
    """min g_0(s) + Σ_i (c y_i + ½ y_i²) subject to g_i(s) ≤ y_i, y_i ≥ 0, lower ≤ s ≤ upper.

    approximation: the g_i; lower, upper: (m,), between −1 and 1; elastic: c > 0.
    """

    approximation: Approximation
    lower: Array
    upper: Array
    elastic: float
    inner: InnerProduct

    @cached_property
    def sizes(self) -> Array:
        """The sizes of the terms of each constraint, (k,), at least 1.

        Residuals are divided by these sizes.
        """
        model = self.approximation
        return np.maximum(1.0, np.abs(model.values[1:]) + self.inner.total(model.h[1:]))


@dataclass(frozen=True, eq=False)
class DualPoint:
    """s(λ) and ψ'(λ) at the multipliers λ, (k,)."""

    problem: Subproblem
    multipliers: Array

    @cached_property
    def _minimum(self) -> tuple[Array, Array, Array]:
        """s(λ) before clipping, s(λ) after clipping, and √(h² − e²), (m,) each.

        e and h are the sums over the functions, with the weights (1, λ).
        """
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
        """s(λ), the minimizer of the Lagrangian, (m,)."""
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
        """The largest violation and complementarity, relative to the sizes."""
        r, sizes = self.slope, self.problem.sizes + self.excess
        left = np.where(r > 0.0, r, -r * np.minimum(1.0, self.multipliers))
        return float((left / sizes).max(initial=0.0))

    def curvature(self) -> Array:
        """−ψ''(λ), (k, k): Σ r_i r_k / (√(h² − e²) (1 − s²)²) with r_i = e_i (1 + s²) + 2 h_i s.

        The matrix is positive semidefinite; the sum is over the variables between their
        bounds. The diagonal has a further 1 where λ_i > c.
        """
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

    The direction of a step leads to the maximum over λ ≥ 0 of the quadratic model. The
    step ends at a point along this direction at which the slope of ψ has almost
    vanished. The search compares slopes, not values, because the values of ψ have fewer
    correct digits. Raise SubproblemFailed if Newton's method does not converge.
    """
    at, last = DualPoint(problem, start), np.inf
    for _ in range(ITERATIONS):
        if at.residual <= TOLERANCE or 0.5 * last <= at.residual <= ROUGH:
            return at
        at, last = _searched(at, _newton_step(at)), at.residual
    raise SubproblemFailed(
        f"the dual of the MMA subproblem has a residual of {at.residual:.2e} after {ITERATIONS} "
        "Newton steps. Usual causes: slopes of the constraints, or of the objective, that differ "
        "by more than 1e12; scale them"
    )


def _newton_step(at: DualPoint) -> Array:
    """z − λ, where z ≥ 0 maximizes r·(z − λ) − ½ (z − λ)ᵀ (N + δ) (z − λ).

    r: ψ'; N: −ψ''. The diagonal matrix δ limits the growth of λ if N is singular; δ
    vanishes with the residual, so that the convergence stays superlinear.
    """
    N, r, multipliers = at.curvature(), at.slope, at.multipliers
    N = N + np.diag(np.abs(r) / (GROWTH * (multipliers + SMALLEST)))
    scale = np.sqrt(np.maximum(N.diagonal(), np.finfo(float).tiny))
    M = N / np.multiply.outer(scale, scale) + SINGULAR * np.eye(len(r))
    R = cholesky(M)
    target = solve_triangular(R, r / scale + M @ (scale * multipliers), trans="T")
    return np.asarray(nnls(R, target, maxiter=100 * len(r))[0]) / scale - multipliers


def _searched(at: DualPoint, d: Array) -> DualPoint:
    """The point along d at which the slope of ψ has almost vanished, or a multiplier is zero."""
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
    """The next trial step: the zero of the secant of the slope.

    If the ends of the bracket differ by more than a factor of 4: their geometric mean.
    """
    if high[0] > 4.0 * low[0]:
        return max(0.1 * high[0], float(np.sqrt(low[0] * high[0])))
    secant = low[0] + (high[0] - low[0]) * low[1] / (low[1] - high[1])
    tenth = 0.1 * (high[0] - low[0])
    return min(max(secant, low[0] + tenth), high[0] - tenth)
