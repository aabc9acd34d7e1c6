"""Second derivatives, which a Hessian–vector product needs and a gradient does not: `hvp`, an optional method.

Every one of these is the derivative of what `vjp` or `gradients` returns, along given rates, cotangents held fixed.

The protocols of the physics: a matrix A(p), a vector b(p), a residual R(u, p).

A user's classes need not inherit from these: they only need the methods.

Objectives that are sums of squares, J = ½‖r‖²: their residual r and its derivatives, for Gauss–Newton.

The protocols of the physics in time: a vector field f(t, u, p), an integrand ℓ(t, u, p).
"""

from typing import Protocol, runtime_checkable

import scipy.sparse as sparse

from .factor.evidence import Evidence
from .typing import Array, Trans

__all__ = [
    "DesignMap",
    "DesignMapWithHvp",
    "Field",
    "Integrand",
    "Inverse",
    "Matrix",
    "MatrixWithHvp",
    "Objective",
    "ObjectiveWithHvp",
    "Problem",
    "Residual",
    "ResidualWithHvp",
    "Solution",
    "SolutionWithHvp",
    "Squares",
    "Step",
    "TimeDerivative",
    "Vector",
    "VectorWithHvp",
]


class DesignMap(Protocol):
    """p = φ(x), with its derivative and the transpose of that."""

    def __call__(self, x: Array) -> Array:
        """p = φ(x); x: (m_x,), p: (m,)."""

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄, (m_x,); the conjugate transpose for a complex x."""

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """(∂φ/∂x) ẋ, (m,)."""


class Objective(Protocol):
    """A real J(u, p), with dJ = Re(ūᴴ du) + Re(p̄ᴴ dp) (docs/math.md, eq. 6)."""

    def value(self, u: Array, p: Array) -> float:
        """J(u, p); u: (n,) or (n, k), p: (m,)."""

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(ū, p̄): ∂J/∂u of u's shape, ∂J/∂p (m,)."""


class Step(Protocol):
    """Φ_k: u_k = Φ_k(u_{k−1}, p), k = 1 … N, with its derivatives. u: u_{k−1}, (n,); p: (m,); neither is written to.

    The same arguments must give the same bits: steps are repeated where states are not kept.
    """

    def __call__(self, k: int, u: Array, p: Array) -> Array:
        """u_k, (n,)."""

    def vjp(self, k: int, u: Array, p: Array, lam: Array) -> tuple[Array, Array]:
        """((∂Φ_k/∂u)ᴴ λ, (n,); (∂Φ_k/∂p)ᴴ λ, (m,)); lam: (n,)."""

    def jvp(self, k: int, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂Φ_k/∂u) u̇ + (∂Φ_k/∂p) ṗ, (n,)."""


class Solution(Protocol):
    """What a problem's `solve` returns, as far as gradients need it."""

    @property
    def u(self) -> Array:
        """The state."""

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū, for one objective or a block of them."""

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ."""


@runtime_checkable
class SolutionWithHvp(Protocol):
    """A solution that Hessian–vector products can be made of; that of a steady problem is one."""

    def adjoint(self, u_bar: Array) -> Array:
        """λ."""

    def hvp(self, lam: Array, u_dot: Array, p_dot: Array, u_bar_dot: Array) -> Array:
        """The derivative of p ↦ (du/dp)ᴴ ū along ṗ, while ū changes by ū̇."""


class Problem(Protocol):
    """Physics, and how to solve it."""

    def solve(self, p: Array) -> Solution:
        """The solution at p."""


class Inverse(Protocol):
    """A factored Jacobian."""

    @property
    def evidence(self) -> Evidence:
        """How it was factored, and how well it solved."""

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k), with the matrix, its transpose or its conjugate transpose."""


class Matrix(Protocol):
    """A(p): (n, n) sparse, with the derivative of λᴴ A(p) u and its transpose (docs/math.md, eq. 5)."""

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), a csc_array (n, n) in canonical format; p: (m,)."""

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """g (m,) with Re(gᴴ ṗ) = Re(λᴴ (∂A/∂p ṗ) u); u, lam: (n,) or (n, k), summed over k."""

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """(∂A/∂p ṗ) u, of u's shape; p_dot: (m,)."""


class Vector(Protocol):
    """b(p): (n,) or (n, k), with its derivative and the transpose of that."""

    def __call__(self, p: Array) -> Array:
        """b(p), (n,) or (n, k); p: (m,)."""

    def vjp(self, p: Array, lam: Array) -> Array:
        """g (m,) with Re(gᴴ ṗ) = Re(λᴴ (∂b/∂p ṗ)); lam: of b's shape."""

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """(∂b/∂p ṗ), of b's shape; p_dot: (m,)."""


class Residual(Protocol):
    """R(u, p) = 0: the physics, stateless (docs/math.md, eq. 1)."""

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), of u's shape."""

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n); for a u of k columns the one that serves them all."""

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (m,), in the sense of Re(gᴴ ṗ) = Re(λᴴ (∂R/∂p) ṗ)."""

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, of u's shape."""


@runtime_checkable
class ResidualWithHvp(Protocol):
    """A `Residual` with second derivatives (docs/math.md, eqs. 70 and 71)."""

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᴴλ, (∂R/∂p)ᴴλ) along (u̇, ṗ), λ fixed: of u's shape, and (m,)."""


@runtime_checkable
class MatrixWithHvp(Protocol):
    """A `Matrix` with second derivatives."""

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """((∂A/∂p ṗ)ᴴ λ, the derivative of p ↦ vjp(p, u, λ) along ṗ): of u's shape, and (m,)."""


@runtime_checkable
class VectorWithHvp(Protocol):
    """A `Vector` with second derivatives."""

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """The derivative of p ↦ vjp(p, λ) along ṗ, (m,)."""


@runtime_checkable
class ObjectiveWithHvp(Protocol):
    """An `Objective` with second derivatives."""

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ (ū, p̄) along (u̇, ṗ): of u's shape, and (m,)."""


@runtime_checkable
class DesignMapWithHvp(Protocol):
    """A `DesignMap` with second derivatives."""

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """The derivative of x ↦ vjp(x, p̄) along ẋ, (m_x,)."""


@runtime_checkable
class Squares(Protocol):
    """An `Objective` J(u, p) = ½‖r(u, p)‖² with a real r, (k,)."""

    def residual(self, u: Array, p: Array) -> Array:
        """r(u, p), (k,)."""

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """The derivative of r along (u̇, ṗ), (k,)."""

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """The transpose of that for w (k,): of u's shape, and (m,), in the sense of docs/math.md, eq. 6."""


class Field(Protocol):
    """M u' = f(t, u, p): the physics, stateless. For derivatives with respect to times also `TimeDerivative`."""

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,); u: (n,), p: (m,)."""

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (n, n): a canonical csc_array, always on the same pattern; or a dense array, for small n."""

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (m,), in the sense of Re(gᴴ ṗ) = Re(λᴴ (∂f/∂p) ṗ); lam: (n,)."""

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,); p_dot: (m,)."""


class Integrand(Protocol):
    """ℓ(t, u, p), (q,): what is integrated along the trajectory."""

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """ℓ, (q,), real."""

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """((∂ℓ/∂u)ᴴ q̄, (∂ℓ/∂p)ᴴ q̄): (n,) and (m,); q_bar: (q,)."""

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂ℓ/∂u) u̇ + (∂ℓ/∂p) ṗ, (q,)."""


@runtime_checkable
class TimeDerivative(Protocol):
    """A field or an integrand that knows how it depends on t itself."""

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,), or ∂ℓ/∂t, (q,); zeros where time does not occur."""
