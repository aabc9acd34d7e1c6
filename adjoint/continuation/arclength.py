"""Pseudo-arclength continuation: a branch as a curve in (u, λ), also around folds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import dot
from .._validation import as_parameters, require_bool, require_kind, require_number
from ..bounds import Bounds
from ..errors import NewtonStalled, SolveError
from ..factor.counts import Counts, collecting
from ..factor.csc import as_csc
from ..factor.factorizers import lu
from ..newton.bounds import longest_factor
from ..newton.problem import NonlinearProblem
from ..protocols import Residual
from ..steady.solution import SteadySolution
from ..typing import Array
from .bordered import bordered_matrix, parameter_index, unit_vector

LEAST_COSINE = 0.8
"""Smallest cosine of the angle between consecutive tangents. A step that turns further is
repeated with half its length, because it may have left the branch."""

TARGET_ANGLE = 0.25
"""Angle between consecutive tangents, in radians, at which step lengths aim. This angle
is far below the limit that LEAST_COSINE sets, so that few steps are repeated."""

TARGET_FACTORIZATIONS = 3
"""Number of factorizations of a corrector at which the step length stays the same. After
fewer factorizations the next step is longer, after more factorizations the next step is
shorter."""

SHORTEST = 1e-6
"""Shortest step, relative to the first step."""


@dataclass(frozen=True, eq=False)
class BranchPoint:
    """A point of a branch of solutions R(u, p) = 0, with p[parameter] = λ.

    Parameters
    ----------
    problem : NonlinearProblem
        The equations.
    parameter : int
        The index of λ in p.
    u : (n,) array
        The state, read-only.
    p : (m,) array
        The parameters, including λ, read-only.
    arclength : float
        The sum of the step lengths from the first point, in the metric of `trace`.
    tangent : ((n,) array, float)
        (u̇, λ̇), of length 1 in the metric of `trace`.
    turned : bool
        True if λ̇ has changed its sign since the point before: a fold lies in between.
    """

    problem: NonlinearProblem
    parameter: int
    u: Array
    p: Array
    arclength: float
    tangent: tuple[Array, float]
    turned: bool

    __repr__ = short_repr

    @property
    def value(self) -> float:
        """λ, in the units of p[parameter]."""
        return float(self.p[self.parameter])

    @cached_property
    def solution(self) -> SteadySolution:
        """The solution at this point, with derivatives with respect to p; costs one factorization.

        If the point is exactly a fold, a derivative of this solution raises
        SingularJacobian.
        """
        return self.problem.at(self.u, self.p)


@dataclass(frozen=True, eq=False)
class Metric:
    """⟨(u, λ), (v, μ)⟩ = uᵀv / (n s²) + λμ / σ², which does not depend on the mesh.

    The metric of points (u, λ) of a branch. state: s, the typical sizes of u, (n,) or a
    number; parameter: σ, the typical size of λ.
    """

    state: float | Array
    parameter: float

    def dual(self, u: Array, value: float) -> tuple[Array, float]:
        """Return (row, corner) with ⟨(u, λ), (v, μ)⟩ = rowᵀv + corner μ for all (v, μ)."""
        return np.asarray(u / (u.size * np.asarray(self.state) ** 2)), value / self.parameter**2

    def unit(self, u: Array, value: float) -> tuple[Array, float]:
        """Return (u, λ) / ‖(u, λ)‖, of length 1 in this metric."""
        row, corner = self.dual(u, value)
        length = float(np.sqrt(dot(row, u) + corner * value))
        return u / length, value / length


@dataclass(frozen=True, eq=False)
class AugmentedResidual:
    """(R(u, p + (λ − p_i) e_i), ⟨t, (u, λ)⟩ − s), the residual of a corrector, (n + 1,).

    The state is (u, λ), (n + 1,); the parameter is s, (1,). The last equation is that
    of a hyperplane across the branch (docs/math/newton_and_branches.md, eq. 41). row,
    corner: the linear form ⟨t, ·⟩, as `Metric.dual` returns it.
    """

    equation: Residual
    p: Array
    parameter: int
    row: Array
    corner: float

    def parameters(self, value: float) -> Array:
        """Return p with p_i = λ."""
        p = self.p.copy()
        p[self.parameter] = value
        return p

    def residual(self, v: Array, p: Array) -> Array:
        """Return (R(u, p), ⟨t, (u, λ)⟩ − s), (n + 1,), for p with p_i = λ."""
        u, value = v[:-1], float(v[-1])
        distance = dot(self.row, u) + self.corner * value - p[0]
        return np.append(self.equation.residual(u, self.parameters(value)), distance)

    def jacobian(self, v: Array, p: Array) -> sparse.csc_array:
        """Return [[∂R/∂u, ∂R/∂λ], [row, corner]], (n + 1, n + 1)."""
        u, q = v[:-1], self.parameters(float(v[-1]))
        column = self.equation.jvp(u, q, unit_vector(q.size, self.parameter))
        return bordered_matrix(as_csc(self.equation.jacobian(u, q)), column, self.row, self.corner)

    def vjp(self, v: Array, p: Array, lam: Array) -> Array:
        """Return −lam[n], (1,), the derivative with respect to s times the last entry of lam."""
        return -lam[-1:]

    def jvp(self, v: Array, p: Array, p_dot: Array) -> Array:
        """Return (0, …, 0, −ṡ), (n + 1,)."""
        return np.append(np.zeros(v.size - 1), -p_dot[0])


def trace(
    problem: NonlinearProblem,
    p: Array,
    parameter: int,
    *,
    step: float = 0.1,
    longest: float = np.inf,
    scale: float = 1.0,
    decreasing: bool = False,
) -> Iterator[BranchPoint]:
    """Trace the branch of solutions R(u, p) = 0 through the solution at p, λ = p[parameter].

    This generator does not end: the caller stops it. Each point is found by a predictor
    step along the tangent, and by a corrector: Newton's method across the tangent. A
    point costs 2 to 4 factorizations of the bordered Jacobian, (n + 1, n + 1), by `lu`.
    Lengths are measured by the root mean square of u / problem.method.scale, and by λ /
    scale.

    Parameters
    ----------
    problem : NonlinearProblem
        The equations, and the method for the first point.
    p : (m,) array
        The parameters of the first point.
    parameter : int
        The index of λ in p.
    step : float
        The first step length. Later lengths are adapted, and are at least 10⁻⁶ of the first.
    longest : float
        The maximum step length.
    scale : float
        The typical size of λ, in the units of λ.
    decreasing : bool
        True if λ decreases at the first point.

    Yields
    ------
    BranchPoint
        The points of the branch, from the first point on.

    Raises
    ------
    TypeError
        If an argument is of the wrong type, or if p or the state is complex.
    ValueError
        If an argument is out of range.
    NewtonStalled
        While iterating, if the step length becomes too short.
    SolveError
        While iterating, if `problem.solve` fails at the first point.

    References
    ----------
    Keller (1977), in Applications of Bifurcation Theory, 359.
    Allgower & Georg (2003), Introduction to Numerical Continuation Methods, chapter 10.
    See docs/math/newton_and_branches.md, eqs. 40 and 41.
    """
    require_kind("trace", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    for name, value in (("step", step), ("longest", longest), ("scale", scale)):
        require_number("trace", name, value)
    require_bool("trace", "decreasing", decreasing)
    p = as_parameters(p)
    if p.dtype.kind == "c":
        raise TypeError("trace: got complex parameters; a branch is a curve in real parameters")
    parameter = parameter_index(parameter, p.size, "trace")
    if not (0.0 < step <= longest and step < np.inf and 0.0 < scale < np.inf):
        raise ValueError(
            f"trace: got step={step}, longest={longest}, scale={scale}; expected "
            "0 < step ≤ longest, scale > 0"
        )
    return _points(
        problem, p, parameter, step, longest, Metric(problem.method.scale, scale), decreasing
    )


def _points(
    problem: NonlinearProblem,
    p: Array,
    parameter: int,
    step: float,
    longest: float,
    metric: Metric,
    decreasing: bool,
) -> Iterator[BranchPoint]:
    first = problem.solve(p)
    if first.u.dtype.kind == "c":
        raise TypeError("trace: the state is complex; a branch is a curve in real states")
    sign = -1.0 if decreasing else 1.0
    tangent = metric.unit(sign * first.jvp(unit_vector(p.size, parameter)), sign)
    point = BranchPoint(problem, parameter, first.u, first.p, 0.0, tangent, False)
    shortest, length = SHORTEST * step, step
    while True:
        yield point
        while True:
            try:
                point, factorizations, angle = _next_point(point, length, metric)
                break
            except SolveError as error:
                length /= 2.0
                if not length >= shortest:
                    raise NewtonStalled(
                        f"the branch cannot be traced beyond λ = {point.value:g}: steps of "
                        f"{2 * length:.1e} fail. Usual causes: the branch ends at the bounds or "
                        "the domain of R, a branch point, a kink in R."
                    ) from error
        effort = 2.0 ** ((TARGET_FACTORIZATIONS - factorizations) / 2.0)
        wanted = min(effort, TARGET_ANGLE / max(angle, 1e-3 * TARGET_ANGLE))
        length = min(longest, length * float(np.clip(wanted, 0.5, 2.0)))


def _next_point(
    point: BranchPoint, length: float, metric: Metric
) -> tuple[BranchPoint, int, float]:
    """Return the next point, the number of factorizations, and the angle between the tangents.

    The angle is in radians.

    length: distance of the next point along the tangent. Raises SolveError if the
    corrector fails, if the tangent leaves the bounds, or if the tangents differ too
    much.
    """
    problem, (u_dot, value_dot) = point.problem, point.tangent
    row, corner = metric.dual(u_dot, value_dot)
    augmented = AugmentedResidual(problem.equation, point.p, point.parameter, row, corner)
    if problem.bounds is not None and longest_factor(problem.bounds, point.u, length * u_dot) < 1.0:
        raise NewtonStalled("the tangent leaves the bounds")
    start = np.append(point.u + length * u_dot, point.value + length * value_dot)
    distance = np.array([dot(row, start[:-1]) + corner * start[-1]])
    scales = np.append(np.broadcast_to(problem.method.scale, point.u.shape), metric.parameter)
    method = replace(problem.method, max_iterations=8, forcing=None, scale=scales)
    corrector = NonlinearProblem(
        augmented, start, lu, None, method, None, _widened(problem.bounds, point.u)
    )
    counts = Counts()
    with collecting(counts):
        solution = corrector.solve(distance)
    # d(u, λ)/ds is the new tangent. Its orientation is kept, because ⟨t, d(u, λ)/ds⟩ = 1.
    ahead = solution.jvp(np.ones(1))
    tangent = metric.unit(ahead[:-1], float(ahead[-1]))
    new_row, new_corner = metric.dual(*tangent)
    cosine = dot(new_row, u_dot) + new_corner * value_dot
    if not cosine >= LEAST_COSINE:
        raise NewtonStalled(f"the tangent turns too far in one step (cosine {cosine:.2f})")
    u, value = solution.u[:-1].copy(), float(solution.u[-1])
    u.setflags(write=False)
    p = augmented.parameters(value)
    p.setflags(write=False)
    turned = tangent[1] * value_dot < 0.0
    s = point.arclength + length
    following = BranchPoint(problem, point.parameter, u, p, s, tangent, turned)
    return following, counts.numeric, float(np.arccos(min(cosine, 1.0)))


def _widened(bounds: Bounds | None, u: Array) -> Bounds | None:
    """Return the bounds of (u, λ): the bounds of u, and −∞ and ∞ for λ."""
    if bounds is None:
        return None
    lower, upper = (np.broadcast_to(bound, u.shape) for bound in (bounds.lower, bounds.upper))
    return Bounds(np.append(lower, -np.inf), np.append(upper, np.inf))
