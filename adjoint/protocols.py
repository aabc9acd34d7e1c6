"""The protocols: classes that a user may write.

A class needs the methods of its protocol; it does not need to inherit from anything.
Each protocol has a value and two derivatives: `jvp`, along a given rate, and `vjp`, the
transpose of `jvp`. (A factorizer of your own: adjoint.factor.protocols.)

    physics             Matrix A(p), Vector b(p), Residual R(u, p)
    physics in time     Field f(t, u, p), Integrand ℓ(t, u, p), Step Φ_k(u, p)
    what is optimized   Objective J(u, p), DesignMap φ(x)
    what is solved      Problem p ↦ u(p), Solution u with du/dp, Inverse A⁻¹

Hessian-vector products need one more method, `hvp`: the protocols `…WithHvp`. The
method `hvp` is the directional derivative of what `vjp` (or `gradients`) returns, with
the cotangents held fixed. The gradient of log |det A| needs the method `contract` of A.
Gauss-Newton needs the residual of a sum of squares:
`Squares`.

Symbols: u, a state (n,) or (n, k) for k right-hand sides; p, parameters (m,); λ
(`lam`), an adjoint state of u's shape; `_dot`, a rate; `_bar`, a cotangent. For complex
p a gradient g means dJ = Re(gᴴ dp). Arguments must not be written to.
"""

from typing import Protocol, runtime_checkable

import scipy.sparse as sparse

from .factor.evidence import Evidence
from .typing import Array, Trans

__all__ = [
    "DesignMap",
    "DesignMapWithHvp",
    "Field",
    "FieldWithHvp",
    "Integrand",
    "IntegrandWithHvp",
    "Inverse",
    "Linearization",
    "LinearizableSolution",
    "Matrix",
    "MatrixWithContraction",
    "MatrixWithContractionRate",
    "MatrixWithHvp",
    "Objective",
    "ObjectiveWithHvp",
    "Problem",
    "RefinableSolution",
    "Residual",
    "ResidualWithHvp",
    "Solution",
    "SolutionWithHvp",
    "Squares",
    "Step",
    "StepWithHvp",
    "TimeDerivative",
    "TunableProblem",
    "Vector",
    "VectorWithHvp",
]

# Physics ------------------------------------------------------------------------------------------


class Matrix(Protocol):
    """A(p), sparse (n, n), with the derivative of λᴴ A(p) u with respect to p.

    See docs/math/steady.md, eq. 5.
    """

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A(p) as a csc_array (n, n) in canonical format."""

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return g (m,): Re(gᴴ ṗ) = Re(λᴴ (∂A/∂p ṗ) u), summed over the columns of u and λ."""

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return (∂A/∂p ṗ) u, of u's shape."""


class Vector(Protocol):
    """b(p), (n,) or (n, k), with its derivative."""

    def __call__(self, p: Array) -> Array:
        """Return b(p), (n,) or (n, k)."""

    def vjp(self, p: Array, lam: Array) -> Array:
        """Return g (m,) with Re(gᴴ ṗ) = Re(λᴴ (∂b/∂p ṗ)) for all ṗ; λ has b's shape."""

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """Return ∂b/∂p ṗ, of b's shape."""


class Residual(Protocol):
    """R(u, p), a function without memory, of R(u, p) = 0 (docs/math/steady.md, eq. 1)."""

    def residual(self, u: Array, p: Array) -> Array:
        """Return R(u, p), of u's shape."""

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """Return ∂R/∂u, (n, n). For u of k columns, one matrix must be valid for all columns."""

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """Return g = (∂R/∂p)ᴴ λ, (m,): Re(gᴴ ṗ) = Re(λᴴ (∂R/∂p ṗ)) for all ṗ."""

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """Return ∂R/∂p ṗ, of u's shape."""


@runtime_checkable
class MatrixWithHvp(Protocol):
    """A `Matrix` with second derivatives, for Hessian-vector products."""

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivatives along ṗ of A(p)ᴴ λ (u's shape) and of p ↦ vjp(p, u, λ) (m,)."""


@runtime_checkable
class MatrixWithContraction(Protocol):
    """A `Matrix` whose derivative is contracted with a whole matrix, for log det A.

    `vjp` contracts ∂A/∂p with the rank-one matrix λ uᴴ; the gradient of log |det A|
    needs the contraction with a matrix Ā on the pattern of A
    (docs/math/determinants.md, eq. 252).
    """

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return g (m,): Re(gᴴ ṗ) = Re Σ_ij conj(Ā_ij) (∂A_ij/∂p ṗ) for all ṗ.

        Ā has exactly the pattern of A(p): `A_bar.data` is in the order of `A(p).data`.
        """


@runtime_checkable
class MatrixWithContractionRate(Protocol):
    """A `MatrixWithContraction` with second derivatives, for Hessians of log det A."""

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return the derivative of p ↦ contract(p, Ā) along ṗ, (m,), while Ā is held fixed."""


@runtime_checkable
class VectorWithHvp(Protocol):
    """A `Vector` with second derivatives, for Hessian-vector products."""

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """Return the derivative of p ↦ vjp(p, λ) along ṗ, (m,)."""


@runtime_checkable
class ResidualWithHvp(Protocol):
    """A `Residual` with second derivatives, for Hessian-vector products.

    See docs/math/optimization.md, eqs. 70 and 71.
    """

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of ((∂R/∂u)ᴴ λ, (∂R/∂p)ᴴ λ) along (u̇, ṗ): (u's shape, (m,))."""


# Physics in time ----------------------------------------------------------------------------------


class Field(Protocol):
    """f(t, u, p) of M u' = f(t, u, p).

    Derivatives with respect to times need `TimeDerivative`, too.
    """

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """Return f, (n,), for u (n,)."""

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """Return ∂f/∂u, (n, n): a canonical csc_array, always of one pattern, or a dense array."""

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """Return g = (∂f/∂p)ᴴ λ, (m,): Re(gᴴ ṗ) = Re(λᴴ (∂f/∂p ṗ)) for all ṗ."""

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """Return ∂f/∂p ṗ, (n,)."""


class Integrand(Protocol):
    """ℓ(t, u, p), (q,), real: ∫ ℓ dt is computed along the trajectory."""

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """Return ℓ, (q,)."""

    def vjp(self, t: float, u: Array, p: Array, q_bar: Array) -> tuple[Array, Array]:
        """Return ((∂ℓ/∂u)ᴴ q̄, (∂ℓ/∂p)ᴴ q̄), (n,) and (m,)."""

    def jvp(self, t: float, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return ∂ℓ/∂u u̇ + ∂ℓ/∂p ṗ, (q,)."""


@runtime_checkable
class FieldWithHvp(Protocol):
    """A `Field` with second derivatives, for Hessian-vector products.

    See docs/math/second_derivatives.md, eq. 304.
    """

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of ((∂f/∂u)ᴴ λ, (∂f/∂p)ᴴ λ) along (u̇, ṗ): (n,) and (m,)."""


@runtime_checkable
class IntegrandWithHvp(Protocol):
    """An `Integrand` with second derivatives, for Hessian-vector products."""

    def hvp(
        self, t: float, u: Array, p: Array, q_bar: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of (u, p) ↦ vjp(t, u, p, q̄) along (u̇, ṗ): (n,) and (m,)."""


@runtime_checkable
class TimeDerivative(Protocol):
    """Optional part of a `Field` or an `Integrand`: the derivative with respect to t."""

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Return ∂f/∂t, (n,), or ∂ℓ/∂t, (q,); zeros if t does not occur."""


class Step(Protocol):
    """Φ_k of a recurrence u_k = Φ_k(u_{k−1}, p), k = 1 … N.

    Equal arguments must give equal bits: a reverse sweep repeats steps whose states
    were not kept.
    """

    def __call__(self, k: int, u: Array, p: Array) -> Array:
        """Return u_k, (n,), from u = u_{k−1}, (n,)."""

    def vjp(self, k: int, u: Array, p: Array, lam: Array) -> tuple[Array, Array]:
        """Return ((∂Φ_k/∂u)ᴴ λ, (∂Φ_k/∂p)ᴴ λ), (n,) and (m,)."""

    def jvp(self, k: int, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return ∂Φ_k/∂u u̇ + ∂Φ_k/∂p ṗ, (n,)."""


@runtime_checkable
class StepWithHvp(Protocol):
    """A `Step` with second derivatives, for Hessian-vector products."""

    def hvp(
        self, k: int, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of (u, p) ↦ vjp(k, u, p, λ) along (u̇, ṗ): ((n,), (m,))."""


# What is optimized --------------------------------------------------------------------------------


class Objective(Protocol):
    """J(u, p), real, with dJ = Re(ūᴴ du) + Re(p̄ᴴ dp) (docs/math/steady.md, eq. 6)."""

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, p̄): ∂J/∂u of u's shape, and ∂J/∂p, (m,)."""


@runtime_checkable
class ObjectiveWithHvp(Protocol):
    """An `Objective` with second derivatives, for Hessian-vector products."""

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivative of (u, p) ↦ (ū, p̄) along (u̇, ṗ): (u's shape, (m,))."""


@runtime_checkable
class Squares(Protocol):
    """An `Objective` J(u, p) = ½ ‖r(u, p)‖² with a real residual r, (k,), for Gauss-Newton."""

    def residual(self, u: Array, p: Array) -> Array:
        """Return r(u, p), (k,)."""

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return ∂r/∂u u̇ + ∂r/∂p ṗ, (k,)."""

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """Return ((∂r/∂u)ᴴ w, (∂r/∂p)ᴴ w), of u's shape and (m,), for w (k,)."""


class DesignMap(Protocol):
    """p = φ(x): the parameters p (m,) of a model as a function of a design x (m_x,)."""

    def __call__(self, x: Array) -> Array:
        """Return φ(x), (m,)."""

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return (∂φ/∂x)ᵀ p̄, (m_x,); the conjugate transpose if x is complex."""

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return ∂φ/∂x ẋ, (m,)."""


@runtime_checkable
class DesignMapWithHvp(Protocol):
    """A `DesignMap` with second derivatives, for Hessian-vector products."""

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return the derivative of x ↦ vjp(x, p̄) along ẋ, (m_x,)."""


# What is solved -----------------------------------------------------------------------------------


class Solution(Protocol):
    """The state u(p) at one p, with du/dp."""

    @property
    def u(self) -> Array:
        """The state."""

    def vjp(self, u_bar: Array) -> Array:
        """Return (du/dp)ᴴ ū, (m,); (m, j) for a block of j cotangents."""

    def jvp(self, p_dot: Array) -> Array:
        """Return du/dp ṗ, of u's shape."""


@runtime_checkable
class SolutionWithHvp(Protocol):
    """A `Solution` with second derivatives, whose adjoint state λ has the shape of u."""

    def adjoint(self, u_bar: Array) -> Array:
        """Return the adjoint state λ of ū, of u's shape."""

    def hvp(self, lam: Array, u_dot: Array, p_dot: Array, u_bar_dot: Array) -> Array:
        """Return the derivative of p ↦ (du/dp)ᴴ ū along ṗ, (m,), while ū has the rate ū̇.

        For j directions u̇, ṗ and ū̇ have one more axis of length j, and the result is
        (m, j).
        """


class Linearization(Protocol):
    """A solution, linearized along ṗ: its rate, and the rate of its derivative."""

    @property
    def u_dot(self) -> Array:
        """u̇ = (du/dp) ṗ, of u's shape; for j directions with one more axis of length j."""

    def vjp_rate(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """Return the derivative of p ↦ (du/dp)ᴴ ū along ṗ, while ū has the rate ū̇.

        ū has u's shape and ū̇ has the shape of u̇. The result is (m,), or (m, j) for j
        directions.
        """


@runtime_checkable
class LinearizableSolution(Protocol):
    """A `Solution` with second derivatives along directions that are chosen first.

    For solutions of many steps, where a tangent sweep keeps data for the reverse sweep
    that follows.
    """

    def linearized(self, p_dot: Array) -> Linearization:
        """Return the solution, linearized along ṗ, (m,), or along j directions, (m, j)."""


@runtime_checkable
class RefinableSolution(Solution, Protocol):
    """A `Solution` by steps in time that can be repeated with shorter steps.

    For estimates of the error that the length of the steps leaves in a gradient.
    """

    @property
    def p(self) -> Array:
        """The parameters, (m,)."""

    def refined(self, parts: int = 2) -> Solution:
        """Return the solution at the same p, with each step divided into equal parts."""

    def sharpened(self) -> "RefinableSolution":
        """Return the solution by the same steps, whose equations are solved more accurately.

        Explicit steps have no equations: then the method returns the same object.
        """


class Problem(Protocol):
    """A model that is solved for u at given p."""

    def solve(self, p: Array) -> Solution:
        """Return the solution at p; raise SolveError if the solve fails."""


@runtime_checkable
class TunableProblem(Problem, Protocol):
    """A `Problem` with iterative solves, whose tolerance `minimize` may choose.

    See `gradient_tolerance` of `adjoint.minimize`.
    """

    @property
    def rtol(self) -> float:
        """The tightest relative tolerance of the solves; 0 for solves without tolerance."""

    def solved_to(self, rtol: float) -> "TunableProblem":
        """Return the same problem, solved to rtol, 0 < rtol < 1, but no tighter than `self.rtol`.

        Raise TypeError if the solves have no tolerance.
        """


class Inverse(Protocol):
    """The inverse of a matrix, by its factors or by an iterative solver."""

    @property
    def evidence(self) -> Evidence:
        """The evidence: how the matrix was factored, and how accurate the solves are."""

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Return A⁻¹ b ("N"), A⁻ᵀ b ("T") or A⁻ᴴ b ("H"), for b (n,) or (n, k)."""
