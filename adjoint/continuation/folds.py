"""The fold of a branch: where ∂R/∂u is singular and two solutions meet, with its derivative by all parameters."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._numerics import dot, size_of
from .._repr import short_repr
from .._validation import as_parameters, require_kind
from ..errors import NewtonDiverged, NonFinite, SingularJacobian, SingularMatrix
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorization
from ..factor.factorizers import lu
from ..newton.history import Failure, History, failure
from ..newton.problem import NonlinearProblem
from ..protocols import Residual
from ..typing import Array
from .bordered import as_index, bordered, unit

TOLERANCE = 1e-12
"""Relative size of the last correction: the next one would be of rounding size."""


ITERATIONS = 25


SWEEPS = 4
"""Of inverse iteration for the null vectors at the start, where the borders are random."""


ROUNDING = 1e-8
"""Relative size of a correction at which one that leaves ‖R‖ as it is means rounding."""


SLOPE = float(np.finfo(float).eps) ** (1 / 3)
"""Relative step of the central differences of Jacobians. They speed the iteration up; what it finds is exact."""


TRANSVERSAL = 1e-8
"""|ψᵀ∂R/∂λ| relative to its terms below which λ does not unfold the singularity: a branch point."""


@dataclass(frozen=True, eq=False)
class Fold:
    """λ_c = p[parameter] at which the branch turns, and its neighbourhood.

    u: (n,), the state there; p: (m,), with λ_c in its place; phi, psi: (n,), the right and left null vectors of ∂R/∂u,
    of 2-norm 1; gradient: dλ_c/dp, (m,), 0 at `parameter` itself; iterations: of Newton's method.
    """

    parameter: int
    u: Array
    p: Array
    phi: Array
    psi: Array
    gradient: Array
    iterations: int

    __repr__ = short_repr

    @property
    def value(self) -> float:
        """λ_c."""
        return float(self.p[self.parameter])


@dataclass(frozen=True, eq=False)
class _Singularity:
    """The test function g(u, p), zero where J = ∂R/∂u is singular, from one bordered factorization.

    J φ + b g = 0, cᵀφ = 1 and Jᵀψ + c g = 0, bᵀψ = 1: then dg = −ψᵀ dJ φ.
    """

    factors: Factorization
    phi: Array
    psi: Array
    g: float

    @classmethod
    def of(cls, J: sparse.csc_array, b: Array, c: Array) -> "_Singularity":
        n = J.shape[0]
        factors = lu(bordered(J, b, c, 0.0))
        last = unit(n + 1, n)
        right, left = factors.solve(last), factors.solve(last, "T")
        return cls(factors, right[:-1], left[:-1], float(right[-1]))


def fold(problem: NonlinearProblem, u: Array, p: Array, parameter: int) -> Fold:
    """The fold near (u, λ), λ = p[parameter], by Newton's method for R = 0, g = 0, with dλ_c/dp.

    u: (n,) and p: (m,), such as those of the `BranchPoint` that `turned`, or of a fold for similar parameters. One
    bordered factorization and five Jacobians an iteration, of which there are 3 to 6. Raises ValueError or TypeError
    for arguments that make no sense, NewtonDiverged if there is no fold nearby, SingularJacobian at a branch point.

    Griewank & Reddien (1984), IMA J. Numer. Anal. 4, 295; Govaerts (2000), Numerical Methods for Bifurcations of
    Dynamical Equilibria, section 4.1. See docs/math/newton_and_branches.md, eqs. 42–44.
    """
    require_kind("fold", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    p, u = as_parameters(p), as_numbers(u)
    if p.dtype.kind == "c" or u.dtype.kind not in "fiu" or u.ndim != 1:
        raise TypeError(
            f"fold: got u of {u.dtype}, shape {u.shape}, p of {p.dtype}; expected real ones, (n,) and (m,)"
        )
    if not np.isfinite(u).all():
        raise NonFinite(f"fold: u[{np.flatnonzero(~np.isfinite(u))[0]}] is not finite")
    with np.errstate(all="ignore"):  # An iterate that overflows is an error with a name, below.
        return _iterated(problem.equation, u.astype(float), p, as_index(parameter, p.size, "fold"))


def as_numbers(u: Array) -> Array:
    """u as an array; raises TypeError for what makes none, a ragged list."""
    try:
        return np.asarray(u)
    except (ValueError, TypeError) as error:
        raise TypeError(f"fold: u makes no array ({error}), expected real numbers (n,)") from error


def _iterated(equation: Residual, u: Array, p: Array, parameter: int) -> Fold:
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    norms: list[float] = []
    steps: list[float] = []
    reach_u, reach_value = size_of(u), abs(float(p[parameter]))
    for iteration in range(1, ITERATIONS + 1):
        r = np.array(
            equation.residual(u, p)
        )  # A copy: it may be written to by the next evaluation.
        norms.append(size_of(r))
        if not np.isfinite(norms[-1]):
            break
        J = as_csc(equation.jacobian(u, p))
        scale = _size(J)
        for _ in range(SWEEPS if iteration == 1 else 1):
            at = _regular(J, scale * b / size_of(b), c / size_of(c), norms)
            b, c = at.psi, at.phi
        du, change = _correction(equation, u, p, parameter, r, at, norms)
        u, p = u + du, p + change * unit(p.size, parameter)
        reach_u, reach_value = max(reach_u, size_of(u)), max(reach_value, abs(float(p[parameter])))
        steps.append(size_of(du) / max(reach_u, np.finfo(float).tiny))
        if steps[-1] <= TOLERANCE and abs(change) <= TOLERANCE * reach_value:
            return _found(equation, u, p, parameter, iteration, norms)
        if iteration > 3 and steps[-1] <= ROUNDING and stagnated(norms):
            return _found(equation, u, p, parameter, iteration, norms)
    if len(steps) > 3 and all(
        0.4 < new / old < 0.9 for old, new in zip(steps[-4:], steps[-3:], strict=False)
    ):
        raise _no_fold(norms)
    message = (
        f"no fold was found from λ = {p[parameter]:g} in {len(norms)} iterations. Start closer: from the point of "
        "adjoint.continuation.trace that `turned`."
    )
    raise failed(NewtonDiverged, message, norms)


def _size(J: sparse.csc_array) -> float:
    """The typical entry of J: with borders of this size M is as well scaled as J is."""
    return size_of(J.data) / float(np.sqrt(J.shape[0])) or 1.0


def stagnated(norms: list[float]) -> bool:
    """Whether ‖R‖ no longer falls: what is left of it is rounding."""
    return norms[-1] >= 0.5 * norms[-2]


def _regular(J: sparse.csc_array, b: Array, c: Array, norms: list[float]) -> _Singularity:
    try:
        return _Singularity.of(J, b, c)
    except SingularMatrix as error:
        raise failed(
            SingularJacobian, f"the bordered Jacobian is singular, twice over. {error}", norms
        ) from error


def _no_fold(norms: list[float]) -> SingularJacobian:
    message = (
        "λ does not move a singularity of the Jacobian here: this is a branch point (of a symmetric problem, mostly), "
        "where branches cross, or the problem is linear in u; it is no fold, and dλ_c/dp does not exist."
    )
    return failed(SingularJacobian, message, norms)


def failed(kind: type[Failure], message: str, norms: list[float]) -> Failure:
    """The error with ‖R‖ at the iterates."""
    history = History()
    for norm in norms:
        history.iterate(norm)
    return failure(kind, message, history)


def _correction(
    equation: Residual,
    u: Array,
    p: Array,
    parameter: int,
    r: Array,
    at: _Singularity,
    norms: list[float],
) -> tuple[Array, float]:
    """Newton's (Δu, Δλ) for R = 0 and g = 0, by solves with the bordered factors alone."""
    e = unit(p.size, parameter)
    rates = np.array(equation.jvp(u, p, e))
    x = at.factors.solve(-np.append(np.stack([r, rates], axis=1), np.zeros((1, 2)), axis=0))
    (x1, x2), (xi1, xi2) = x[:-1].T, x[-1]
    phi, psi, g = at.phi, at.psi, at.g
    eps = SLOPE * max(size_of(u), np.sqrt(u.size) * SLOPE) / size_of(phi)
    ahead, behind = (_copied(equation.jacobian(u + sign * eps * phi, p)) for sign in (1.0, -1.0))
    g_u = -((ahead - behind).T @ psi) / (2.0 * eps)
    eps = SLOPE * max(abs(float(p[parameter])), SLOPE)
    ahead, behind = (_copied(equation.jacobian(u, p + sign * eps * e)) for sign in (1.0, -1.0))
    g_value = -dot(psi, (ahead - behind) @ phi) / (2.0 * eps)
    # Δu = x₁ + Δλ x₂ + α φ solves J Δu + Δλ ∂R/∂λ = −R if ξ₁ + Δλ ξ₂ + α g = 0.
    system = np.array([[xi2, g], [dot(g_u, x2) + g_value, dot(g_u, phi)]])
    if not abs(np.linalg.det(system)) > TRANSVERSAL * np.prod(np.abs(system).sum(axis=1)):
        raise _no_fold(norms)
    change, alpha = np.linalg.solve(system, -np.array([xi1, g + dot(g_u, x1)]))
    return x1 + change * x2 + alpha * phi, float(change)


def _copied(J: sparse.csc_array) -> sparse.csc_array:
    """A copy: the user's function may fill the same matrix again."""
    return owned(as_csc(J))


def _found(
    equation: Residual, u: Array, p: Array, parameter: int, iterations: int, norms: list[float]
) -> Fold:
    """The fold with its null vectors and dλ_c/dp = −ψᵀ∂R/∂p / ψᵀ∂R/∂λ."""
    J = as_csc(equation.jacobian(u, p))
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    for _ in range(2):
        at = _regular(J, _size(J) * b / size_of(b), c / size_of(c), norms)
        b, c = at.psi, at.phi
    phi, psi = at.phi / size_of(at.phi), at.psi / size_of(at.psi)
    rates = np.asarray(equation.jvp(u, p, unit(p.size, parameter)))
    slope = dot(psi, rates)
    if not abs(slope) > TRANSVERSAL * float(np.abs(psi) @ np.abs(rates)):
        raise _no_fold(norms)
    gradient = -np.asarray(equation.vjp(u, p, psi)) / slope
    gradient[parameter] = 0.0
    for v in (u, p):
        v.setflags(write=False)
    return Fold(parameter, u, p, phi, psi, gradient, iterations)
