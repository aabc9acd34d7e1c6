"""The protocols of the physics in time: a vector field f(t, u, p), an integrand ℓ(t, u, p)."""

from typing import Protocol, runtime_checkable

import scipy.sparse as sparse

from ..arrays import Array


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
