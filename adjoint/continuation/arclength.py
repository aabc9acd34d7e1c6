"""Pseudo-arclength continuation: a branch of solutions as a curve in (u, λ), which folds do not stop."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._numerics import dot
from .._repr import short_repr
from .._validation import as_parameters, require_bool, require_kind, require_number
from ..bounds import Bounds
from ..errors import NewtonStalled, SolveError
from ..factor.counts import Counts, collecting
from ..factor.csc import as_csc
from ..factor.factorizers import lu
from ..newton.bounds import longest
from ..newton.problem import NonlinearProblem
from ..protocols import Residual
from ..steady.solution import SteadySolution
from ..typing import Array
from .bordered import as_index, bordered, unit

TURN = 0.8
"""Cosine between two tangents below which a step is repeated at half its length: it may have left the branch."""


ANGLE = 0.25
"""Between two tangents, radians, to which steps are fitted, and so refused ones avoided."""


EASY = 3
"""Factorizations of a corrector after which the next step is as long; fewer make it longer, more make it shorter."""


@dataclass(frozen=True, eq=False)
class BranchPoint:
    """A point of a branch of solutions R(u, p) = 0, p[parameter] = λ.

    u: (n,); p: (m,); value: λ; arclength: from the first point, the sum of the steps along the tangents; tangent:
    (u̇, λ̇), of length 1 in the metric of `trace`; turned: whether λ̇ changed its sign since the point before, so that a
    fold lies between.
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
        """λ."""
        return float(self.p[self.parameter])

    @cached_property
    def solution(self) -> SteadySolution:
        """The solution with its derivatives at fixed λ: one factorization. Raises SingularJacobian on a fold."""
        return self.problem.at(self.u, self.p)


@dataclass(frozen=True, eq=False)
class Metric:
    """⟨(u, λ), (v, μ)⟩ = uᵀv / (n s²) + λμ / σ²: s the scale of the state, σ that of λ; the same on every mesh."""

    state: float | Array
    parameter: float

    def dual(self, u: Array, value: float) -> tuple[Array, float]:
        """The row that takes the inner product with (u, λ)."""
        return np.asarray(u / (u.size * np.asarray(self.state) ** 2)), value / self.parameter**2

    def unit(self, u: Array, value: float) -> tuple[Array, float]:
        """(u, λ) / ‖(u, λ)‖."""
        row, corner = self.dual(u, value)
        length = float(np.sqrt(dot(row, u) + corner * value))
        return u / length, value / length


@dataclass(frozen=True, eq=False)
class Augmented:
    """(R(u, p + (λ − p_i) e_i), ⟨t, (u, λ)⟩ − s) for the state (u, λ), (n + 1,); its parameter is s, (1,).

    The last row is a hyperplane across the branch (docs/math/newton_and_branches.md, eq. 41). row,
    corner: the dual of t.
    """

    equation: Residual
    p: Array
    parameter: int
    row: Array
    corner: float

    def at(self, value: float) -> Array:
        """p with λ in its place."""
        p = self.p.copy()
        p[self.parameter] = value
        return p

    def residual(self, v: Array, p: Array) -> Array:
        """(R, the distance from the hyperplane), (n + 1,)."""
        u, value = v[:-1], float(v[-1])
        distance = dot(self.row, u) + self.corner * value - p[0]
        return np.append(self.equation.residual(u, self.at(value)), distance)

    def jacobian(self, v: Array, p: Array) -> sparse.csc_array:
        """[[∂R/∂u, ∂R/∂λ], [row, corner]], (n + 1, n + 1)."""
        u, q = v[:-1], self.at(float(v[-1]))
        column = self.equation.jvp(u, q, unit(q.size, self.parameter))
        return bordered(as_csc(self.equation.jacobian(u, q)), column, self.row, self.corner)

    def vjp(self, v: Array, p: Array, lam: Array) -> Array:
        """−lam[n], (1,)."""
        return -lam[-1:]

    def jvp(self, v: Array, p: Array, p_dot: Array) -> Array:
        """(0, …, 0, −ṡ), (n + 1,)."""
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
    """The branch of solutions through that of p, for λ = p[parameter], as a generator without end.

    step: the first arc length, in which the root mean square of u (over the problem's `scale`) and λ / scale count
    alike; it is adapted, up to `longest`, down to 10⁻⁶ of the first. decreasing: whether λ decreases at first. A point
    costs 2 to 4 factorizations by `lu` of the bordered Jacobian (n + 1, n + 1). Raises ValueError or TypeError for
    arguments that make no sense, NewtonStalled when the step becomes too short, and what `problem.solve` raises.

    Keller (1977), in Applications of Bifurcation Theory, 359; Allgower & Georg (2003), Introduction to Numerical
    Continuation Methods, chapter 10. See docs/math/newton_and_branches.md, eqs. 40 and 41.
    """
    require_kind("trace", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    for name, value in (("step", step), ("longest", longest), ("scale", scale)):
        require_number("trace", name, value)
    require_bool("trace", "decreasing", decreasing)
    p = as_parameters(p)
    if p.dtype.kind == "c":
        raise TypeError("trace: got complex parameters; a branch is a curve in real ones")
    parameter = as_index(parameter, p.size, "trace")
    if not (0.0 < step <= longest and step < np.inf and 0.0 < scale < np.inf):
        raise ValueError(
            f"trace: got step={step}, longest={longest}, scale={scale}; expected 0 < step ≤ longest, scale > 0"
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
    tangent = metric.unit(sign * first.jvp(unit(p.size, parameter)), sign)
    point = BranchPoint(problem, parameter, first.u, first.p, 0.0, tangent, False)
    shortest, length = 1e-6 * step, step
    while True:
        yield point
        while True:
            try:
                point, work, angle = _next(point, length, metric)
                break
            except SolveError as error:
                length /= 2.0
                if not length >= shortest:
                    raise NewtonStalled(
                        f"the branch cannot be traced beyond λ = {point.value:g}: steps of {2 * length:.1e} fail. "
                        "Usual causes: the branch ends at the bounds or the domain of R, a branch point, a kink in R."
                    ) from error
        wanted = min(2.0 ** ((EASY - work) / 2.0), ANGLE / max(angle, 1e-3 * ANGLE))
        length = min(longest, length * float(np.clip(wanted, 0.5, 2.0)))


def _next(point: BranchPoint, length: float, metric: Metric) -> tuple[BranchPoint, int, float]:
    """The point at a distance along the tangent, its factorizations, the angle turned; SolveError if there is none."""
    problem, (u_dot, value_dot) = point.problem, point.tangent
    row, corner = metric.dual(u_dot, value_dot)
    augmented = Augmented(problem.equation, point.p, point.parameter, row, corner)
    if problem.bounds is not None and longest(problem.bounds, point.u, length * u_dot) < 1.0:
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
    ahead = solution.jvp(
        np.ones(1)
    )  # d(u, λ)/ds, the tangent: it keeps the orientation, as ⟨t, ·⟩ = 1.
    tangent = metric.unit(ahead[:-1], float(ahead[-1]))
    new_row, new_corner = metric.dual(*tangent)
    cosine = dot(new_row, u_dot) + new_corner * value_dot
    if not cosine >= TURN:
        raise NewtonStalled(f"the tangent turns too far in one step (cosine {cosine:.2f})")
    u, value = solution.u[:-1].copy(), float(solution.u[-1])
    u.setflags(write=False)
    p = augmented.at(value)
    p.setflags(write=False)
    turned = tangent[1] * value_dot < 0.0
    s = point.arclength + length
    following = BranchPoint(problem, point.parameter, u, p, s, tangent, turned)
    return following, counts.numeric, float(np.arccos(min(cosine, 1.0)))


def _widened(bounds: Bounds | None, u: Array) -> Bounds | None:
    """The bounds of u, with none for λ."""
    if bounds is None:
        return None
    lower, upper = (np.broadcast_to(bound, u.shape) for bound in (bounds.lower, bounds.upper))
    return Bounds(np.append(lower, -np.inf), np.append(upper, np.inf))
