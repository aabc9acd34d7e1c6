"""Folds of a branch, and their derivatives with respect to the parameters.

At a fold ∂R/∂u is singular, and two solutions meet.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import dot, size_of
from .._validation import as_parameters, first_nonfinite, require_kind
from ..errors import NewtonDiverged, NonFinite, SingularJacobian, SingularMatrix
from ..factor.csc import as_csc, owned
from ..newton.failures import failure
from ..newton.history import SINGULAR, History
from ..newton.problem import NonlinearProblem
from ..protocols import Residual
from ..typing import Array
from .bordered import DefiningFunction, parameter_index, unit_vector

TOLERANCE = 1e-12
"""Size of the last correction, relative to the iterates. The next correction would be of
the size of rounding errors."""

ITERATIONS = 25
"""Maximum number of Newton iterations."""

SWEEPS = 4
"""Steps of inverse iteration for the null vectors in the first iteration. The borders of
the bordered Jacobian are random at the start."""

ROUNDING = 1e-8
"""Size of a correction, relative to the iterates, that may be rounding error if ‖R‖ no
longer falls."""

SLOPE = float(np.finfo(float).eps) ** (1 / 3)
"""Relative step of central differences of Jacobians. The error of the differences slows
the iteration down, but does not change the fold that the iteration finds."""

TRANSVERSAL = 1e-8
"""Size of ψᵀ∂R/∂λ, relative to the sum of |ψ_i ∂R_i/∂λ|, below which the point counts as a
branch point: λ does not move the singularity."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A fold: λ_c = p[parameter] at which a branch turns back, with dλ_c/dp.

    Parameters
    ----------
    parameter : int
        The index of λ in p.
    u : (n,) array
        The state at the fold, read-only.
    p : (m,) array
        The parameters at the fold, including λ_c, read-only.
    phi, psi : (n,) array
        The right and the left null vector of ∂R/∂u, of 2-norm 1.
    gradient : (m,) array
        dλ_c/dp, in units of λ divided by units of p; 0 at `parameter` itself.
    iterations : int
        The number of Newton iterations.
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
        """λ_c, in the units of p[parameter]."""
        return float(self.p[self.parameter])


def fold(problem: NonlinearProblem, u: Array, p: Array, parameter: int) -> Fold:
    """Find the fold near (u, λ), λ = p[parameter], with dλ_c/dp.

    The fold is found by Newton's method for R(u, p) = 0, g(u, p) = 0; g = 0 means that
    ∂R/∂u is singular. The method takes 3 to 6 iterations, each with one bordered
    factorization and five Jacobians.

    Parameters
    ----------
    problem : NonlinearProblem
        The equations. The method, start and bounds of the problem are not used.
    u : (n,) array
        A state near the fold: `BranchPoint.u` of a point that `turned`, or `Fold.u` for
        similar parameters.
    p : (m,) array
        The parameters of that state.
    parameter : int
        The index of λ in p.

    Returns
    -------
    Fold
        The fold, its null vectors and dλ_c/dp.

    Raises
    ------
    TypeError
        If an argument is of the wrong type, or if u or p is complex.
    ValueError
        If parameter is out of range, or if p is not a vector.
    NonFinite
        If u or p contains nan or inf.
    NewtonDiverged
        If no fold is found nearby.
    SingularJacobian
        If the point found is a branch point instead of a fold.

    References
    ----------
    Griewank & Reddien (1984), IMA J. Numer. Anal. 4, 295.
    Govaerts (2000), Numerical Methods for Bifurcations of Dynamical Equilibria, section 4.1.
    See docs/math/newton_and_branches.md, eqs. 42–44.
    """
    require_kind("fold", "problem", problem, NonlinearProblem, "a NonlinearProblem")
    p, u = as_parameters(p), _as_numbers(u)
    if p.dtype.kind == "c" or u.dtype.kind not in "fiu" or u.ndim != 1:
        raise TypeError(
            f"fold: got u of {u.dtype}, shape {u.shape}, p of {p.dtype}; expected real u (n,) and "
            "real p (m,)"
        )
    if bad := first_nonfinite(u):
        index, entry, number = bad
        raise NonFinite(f"fold: u[{index}] is {entry} ({number} such), expected finite numbers")
    parameter = parameter_index(parameter, p.size, "fold")
    with np.errstate(all="ignore"):  # An iterate that overflows raises NewtonDiverged.
        return _iterate(problem.equation, u.astype(float), p, parameter)


def _as_numbers(u: Array) -> Array:
    """Return u as an array. Raise TypeError if u is a ragged list."""
    try:
        return np.asarray(u)
    except (ValueError, TypeError) as error:
        raise TypeError(f"fold: u makes no array ({error}), expected real numbers (n,)") from error


def _iterate(equation: Residual, u: Array, p: Array, parameter: int) -> Fold:
    """Find (u, λ) by Newton's method, with full steps by block elimination.

    `newton.Newton` is not used here, because it factors ∂R/∂u, which is singular at the
    fold.
    """
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    history = History()
    steps: list[float] = []
    u_size, value_size = size_of(u), abs(float(p[parameter]))
    for iteration in range(1, ITERATIONS + 1):
        r = np.array(equation.residual(u, p))  # A copy: the user's function may reuse its array.
        norm = size_of(r)
        history.add_iterate(norm)
        if not np.isfinite(norm):
            break
        J = as_csc(equation.jacobian(u, p))
        scale = _size(J)
        for _ in range(SWEEPS if iteration == 1 else 1):
            at = _defining_function(J, scale * b / size_of(b), c / size_of(c), history)
            b, c = at.psi, at.phi
        du, change = _correction(equation, u, p, parameter, r, at, history)
        u, p = u + du, p + change * unit_vector(p.size, parameter)
        u_size, value_size = max(u_size, size_of(u)), max(value_size, abs(float(p[parameter])))
        steps.append(size_of(du) / max(u_size, np.finfo(float).tiny))
        if steps[-1] <= TOLERANCE and abs(change) <= TOLERANCE * value_size:
            return _fold_at(equation, u, p, parameter, iteration, history)
        if iteration > 3 and steps[-1] <= ROUNDING and _stagnates(history):
            return _fold_at(equation, u, p, parameter, iteration, history)
    if len(steps) > 3 and all(
        SINGULAR[0] < new / old < SINGULAR[1]
        for old, new in zip(steps[-4:], steps[-3:], strict=False)
    ):
        raise _branch_point(history)
    message = (
        f"no fold was found from λ = {p[parameter]:g} in {len(history.norms)} iterations. Start "
        "closer: from the point of adjoint.continuation.trace that `turned`."
    )
    raise failure(NewtonDiverged, message, history)


def _size(J: sparse.csc_array) -> float:
    """The typical size of a row of J. Borders of this size keep the matrix well scaled."""
    return size_of(J.data) / float(np.sqrt(J.shape[0])) or 1.0


def _stagnates(history: History) -> bool:
    """True if ‖R‖ no longer falls, which means that R consists of rounding errors."""
    return history.norms[-1] >= 0.5 * history.norms[-2]


def _defining_function(
    J: sparse.csc_array, b: Array, c: Array, history: History
) -> DefiningFunction:
    try:
        return DefiningFunction.of(J, b, c)
    except SingularMatrix as error:
        message = (
            f"the bordered Jacobian is singular, mostly because ∂R/∂u has two null vectors. {error}"
        )
        raise failure(SingularJacobian, message, history) from error


def _branch_point(history: History) -> SingularJacobian:
    """Return the error for a singular ∂R/∂u that a change of λ does not make regular."""
    message = (
        "λ does not move a singularity of the Jacobian here: this is a branch point (mostly of a "
        "symmetric problem), where branches cross, or the problem is linear in u. It is not a "
        "fold, and dλ_c/dp does not exist."
    )
    return failure(SingularJacobian, message, history)


def _correction(
    equation: Residual,
    u: Array,
    p: Array,
    parameter: int,
    r: Array,
    at: DefiningFunction,
    history: History,
) -> tuple[Array, float]:
    """Return Newton's correction (Δu, Δλ) for R = 0 and g = 0.

    All solves use the bordered factors.
    """
    e = unit_vector(p.size, parameter)
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
        raise _branch_point(history)
    change, alpha = np.linalg.solve(system, -np.array([xi1, g + dot(g_u, x1)]))
    return x1 + change * x2 + alpha * phi, float(change)


def _copied(J: sparse.csc_array) -> sparse.csc_array:
    """Return a copy of J, because the user's function may fill the same matrix at each call."""
    return owned(as_csc(J))


def _fold_at(
    equation: Residual, u: Array, p: Array, parameter: int, iterations: int, history: History
) -> Fold:
    """Return the fold at (u, p), with its null vectors and dλ_c/dp = −ψᵀ∂R/∂p / ψᵀ∂R/∂λ."""
    J = as_csc(equation.jacobian(u, p))
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    for _ in range(2):
        at = _defining_function(J, _size(J) * b / size_of(b), c / size_of(c), history)
        b, c = at.psi, at.phi
    phi, psi = at.phi / size_of(at.phi), at.psi / size_of(at.psi)
    rates = np.asarray(equation.jvp(u, p, unit_vector(p.size, parameter)))
    slope = dot(psi, rates)
    if not abs(slope) > TRANSVERSAL * float(np.abs(psi) @ np.abs(rates)):
        raise _branch_point(history)
    gradient = -np.asarray(equation.vjp(u, p, psi)) / slope
    gradient[parameter] = 0.0
    for v in (u, p):
        v.setflags(write=False)
    return Fold(parameter, u, p, phi, psi, gradient, iterations)
