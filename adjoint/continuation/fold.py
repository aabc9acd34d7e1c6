"""The fold of a branch: where ∂R/∂u is singular and two solutions meet, with its derivative by all parameters."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array, dot
from ..factor import Factorization, SingularMatrix, lu
from ..factor.matrix import as_csc
from ..newton import NewtonDiverged, NonlinearProblem, SingularJacobian
from ..newton.system import size_of
from ..parameters import as_parameters
from ..residual import Residual
from .bordered import bordered, unit

TOLERANCE = 1e-12
"""Relative size of the last correction: the next one would be of rounding size."""

ITERATIONS = 25

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
    Dynamical Equilibria, section 4.1. See docs/math.md, eqs. 42–44.
    """
    p, u = as_parameters(p), np.array(u, dtype=float)
    if p.dtype.kind == "c" or u.ndim != 1:
        raise TypeError(f"fold: got u of shape {u.shape} and {p.dtype} parameters, expected (n,) and real ones")
    if not 0 <= parameter < p.size:
        raise ValueError(f"fold: got parameter={parameter}, expected the index of one of {p.size} parameters")
    equation = problem.equation
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    norms: list[float] = []
    for iteration in range(1, ITERATIONS + 1):
        r = np.asarray(equation.residual(u, p))
        norms.append(size_of(r))
        if not np.isfinite(norms[-1]):
            break
        J = as_csc(equation.jacobian(u, p))
        scale = size_of(J.data) / np.sqrt(u.size)  # The borders in the size of J: M is as well scaled as J is.
        at = _regular(J, scale * b / size_of(b), c / size_of(c))
        du, change = _correction(equation, u, p, parameter, r, at)
        u, p = u + du, p + change * unit(p.size, parameter)
        b, c = at.psi, at.phi
        small = abs(change) <= TOLERANCE * abs(p[parameter]) and size_of(du) <= TOLERANCE * size_of(u)
        if small or (iteration > 3 and size_of(du) <= 1e-8 * size_of(u) and stagnated(norms)):
            return _found(equation, u, p, parameter, iteration)
    shown = ", ".join(f"{norm:.1e}" for norm in norms[-6:])
    error = NewtonDiverged(
        f"no fold was found from λ = {p[parameter]:g} in {len(norms)} iterations; ‖R‖: {shown}. Start closer: from the "
        "point of adjoint.trace that `turned`."
    )
    error.history = tuple(norms)
    raise error


def stagnated(norms: list[float]) -> bool:
    """Whether ‖R‖ no longer falls: what is left of it is rounding."""
    return norms[-1] >= 0.5 * norms[-2]


def _regular(J: sparse.csc_array, b: Array, c: Array) -> _Singularity:
    try:
        return _Singularity.of(J, b, c)
    except SingularMatrix as error:
        raise SingularJacobian(
            f"the bordered Jacobian is singular: two branches, not the two arms of one, meet near this point. {error}"
        ) from error


def _correction(
    equation: Residual, u: Array, p: Array, parameter: int, r: Array, at: _Singularity
) -> tuple[Array, float]:
    """Newton's (Δu, Δλ) for R = 0 and g = 0, by solves with the bordered factors alone."""
    e = unit(p.size, parameter)
    rates = equation.jvp(u, p, e)
    x = at.factors.solve(-np.append(np.stack([r, rates], axis=1), np.zeros((1, 2)), axis=0))
    (x1, x2), (xi1, xi2) = x[:-1].T, x[-1]
    phi, psi, g = at.phi, at.psi, at.g
    eps = SLOPE * max(size_of(u), np.sqrt(u.size) * SLOPE) / size_of(phi)
    ahead, behind = (equation.jacobian(u + sign * eps * phi, p) for sign in (1.0, -1.0))
    g_u = -((ahead - behind).T @ psi) / (2.0 * eps)
    eps = SLOPE * max(abs(float(p[parameter])), SLOPE)
    ahead, behind = (equation.jacobian(u, p + sign * eps * e) for sign in (1.0, -1.0))
    g_value = -dot(psi, (ahead - behind) @ phi) / (2.0 * eps)
    # Δu = x₁ + Δλ x₂ + α φ solves J Δu + Δλ ∂R/∂λ = −R if ξ₁ + Δλ ξ₂ + α g = 0.
    system = np.array([[xi2, g], [dot(g_u, x2) + g_value, dot(g_u, phi)]])
    change, alpha = np.linalg.solve(system, -np.array([xi1, g + dot(g_u, x1)]))
    return x1 + change * x2 + alpha * phi, float(change)


def _found(equation: Residual, u: Array, p: Array, parameter: int, iterations: int) -> Fold:
    """The fold with its null vectors and dλ_c/dp = −ψᵀ∂R/∂p / ψᵀ∂R/∂λ."""
    J = as_csc(equation.jacobian(u, p))
    b = c = np.random.default_rng(u.size).standard_normal(u.size)
    for _ in range(2):
        at = _regular(J, size_of(J.data) / np.sqrt(u.size) * b / size_of(b), c / size_of(c))
        b, c = at.psi, at.phi
    phi, psi = at.phi / size_of(at.phi), at.psi / size_of(at.psi)
    rates = np.asarray(equation.jvp(u, p, unit(p.size, parameter)))
    slope = dot(psi, rates)
    if not abs(slope) > TRANSVERSAL * float(np.abs(psi) @ np.abs(rates)):
        raise SingularJacobian(
            "the Jacobian is singular here, but λ does not move the singularity: a branch point (of a symmetric "
            "problem, mostly), where branches cross, and no fold; dλ_c/dp does not exist."
        )
    gradient = -np.asarray(equation.vjp(u, p, psi)) / slope
    gradient[parameter] = 0.0
    for v in (u, p):
        v.setflags(write=False)
    return Fold(parameter, u, p, phi, psi, gradient, iterations)
