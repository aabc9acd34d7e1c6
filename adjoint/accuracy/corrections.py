"""Corrections of (u, λ) by the residuals of the state and of the adjoint equation.

See docs/math/accuracy.md, eqs. 331–336.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse

from .._numerics import dot, size_of
from ..factor.backward_error import product
from ..factor.csc import as_csc
from ..objectives import checked_gradients
from ..protocols import Inverse, Objective, Residual
from ..typing import Array, Trans

EPS = float(np.finfo(float).eps)

PERTURBED = 2.0**-26
"""Relative perturbation of u and λ that shows how the gradient amplifies rounding errors."""


@runtime_checkable
class SolutionOfEquations(Protocol):
    """A solution that gives access to its equations R(u, p) = 0 and to the inverse of ∂R/∂u."""

    @property
    def u(self) -> Array:
        """The state, (n,) or (n, k)."""

    @property
    def p(self) -> Array:
        """The parameters, (m,)."""

    @property
    def residual(self) -> Residual:
        """R(u, p)."""

    @property
    def inverse(self) -> Inverse:
        """(∂R/∂u)⁻¹."""

    def adjoint(self, u_bar: Array) -> Array:
        """Return λ with (∂R/∂u)ᴴ λ = ū."""


@runtime_checkable
class SolutionWithEquations(Protocol):
    """A solution that can be written as the solution of equations R(u, p) = 0."""

    def equations(self, objective: Objective) -> tuple[SolutionOfEquations, Objective]:
        """Return the solution of the equations, and the objective as a function of its u."""


@dataclass(frozen=True, eq=False)
class Equations:
    """The state equation and the adjoint equation of one objective at one p.

    pulled_back: p̄ ↦ (∂φ/∂x)ᵀ p̄, (m_x,).
    """

    solution: SolutionOfEquations
    objective: Objective
    pulled_back: Callable[[Array], Array]

    def pair(self, u: Array, lam: Array) -> "Pair":
        """The approximate state u with the approximate adjoint state λ."""
        return Pair(self, u, lam)

    def solve(self, b: Array, trans: Trans) -> Array:
        """Solve with the solution's inverse; b: of u's shape."""
        n = b.shape[0]
        return self.solution.inverse.solve(b.reshape(n, -1), trans).reshape(b.shape)


@dataclass(frozen=True, eq=False)
class Pair:
    """An approximate state u and an approximate adjoint state λ, both of u's shape."""

    equations: Equations
    u: Array
    lam: Array

    @cached_property
    def r(self) -> Array:
        """R(u, p), of u's shape."""
        solution = self.equations.solution
        return np.array(solution.residual.residual(self.u, solution.p))

    @cached_property
    def jacobian(self) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        solution = self.equations.solution
        return as_csc(solution.residual.jacobian(self.u, solution.p))

    @cached_property
    def _bars(self) -> tuple[Array, Array]:
        """(∂J/∂u, ∂J/∂p)."""
        return checked_gradients(self.equations.objective, self.u, self.equations.solution.p)

    @cached_property
    def s(self) -> Array:
        """∂J/∂u − (∂R/∂u)ᴴ λ, of u's shape."""
        return np.asarray(self._bars[0] - product(self.jacobian, self.lam, "H"))

    @cached_property
    def gradient(self) -> Array:
        """(∂φ/∂x)ᵀ (∂J/∂p − (∂R/∂p)ᴴ λ), (m_x,)."""
        solution = self.equations.solution
        through_u = solution.residual.vjp(self.u, solution.p, self.lam)
        return self.equations.pulled_back(self._bars[1] - through_u)

    @cached_property
    def value(self) -> float:
        """J(u, p) − Re(λᴴ R(u, p)), whose error is of second order."""
        J = self.equations.objective.value(self.u, self.equations.solution.p)
        return float(J) - dot(self.lam, self.r)

    def with_corrected_state(self) -> "Pair":
        """The pair with u − S R(u, p), where S is the solver; one solve."""
        return self.equations.pair(self.u - self.equations.solve(self.r, "N"), self.lam)

    def with_corrected_adjoint(self) -> "Pair":
        """The pair with λ + Sᴴ s; one transposed solve."""
        return self.equations.pair(self.u, self.lam + self.equations.solve(self.s, "H"))

    @cached_property
    def terms(self) -> tuple[Array, Array]:
        """(|∂R/∂u| |u|, |∂R/∂u|ᵀ |λ|): the sizes of the terms of R and of the adjoint equation."""
        A = abs(self.jacobian)
        return product(A, np.abs(self.u), "N"), product(A, np.abs(self.lam), "T")

    def rounding_of_gradient(self) -> float:
        """The rounding error of the sums of the gradient, for given u and λ.

        Relative perturbations of u and of λ, of random signs and sizes, act as rounding errors
        of the products in the gradient do.
        """
        rng = np.random.default_rng(self.u.size)
        xi, eta = (rng.standard_normal(self.u.shape) for _ in range(2))
        moved = self.equations.pair(
            self.u * (1.0 + PERTURBED * xi), self.lam * (1.0 + PERTURBED * eta)
        )
        change = size_of(moved.gradient - self.gradient) / PERTURBED
        return EPS * max(change, size_of(self.gradient))

    def rounding_of_value(self) -> float:
        """The rounding error of J − Re(λᴴ R), from rounding errors of the terms of R."""
        J = abs(float(self.equations.objective.value(self.u, self.equations.solution.p)))
        return EPS * (J + size_of(np.abs(self.lam) * self.terms[0]))

    def probe(self) -> float:
        """The relative error of the solver for the known solution that it finds hardest.

        See docs/math/accuracy.md, eq. 338. Let w be a random vector and e = S(Aw) − w the error
        of the solver S for a right-hand side with the solution w, where A = ∂R/∂u. e consists
        of the vectors that S resolves worst, so that S(Ae) shows if S resolves them at all. The
        result is the larger of ‖S(Ae) − e‖ / ‖e‖ for A and for Aᴴ; four solves.
        """
        A = self.jacobian
        w = np.random.default_rng(A.shape[0] + 1).standard_normal(A.shape[0])
        return max(self._probed(A, w, "N"), self._probed(A, w, "H"))

    def _probed(self, A: sparse.csc_array, w: Array, trans: Trans) -> float:
        solve = self.equations.solution.inverse.solve
        e = solve(product(A, w, trans), trans) - w
        size = size_of(e)
        if size == 0.0:
            return 0.0
        e = e / size
        return size_of(solve(product(A, e, trans), trans) - e)
