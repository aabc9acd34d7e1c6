"""The dual."""

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
