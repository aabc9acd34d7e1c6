"""Many constraints on one state as one vector, c(u, p) ≤ bounds: local stresses."""

from dataclasses import dataclass
from typing import Protocol

from ..arrays import Array, dot
from .settings import has


class VectorFunction(Protocol):
    """c(u, p), (k,), and the transpose of its derivatives; no (k, m) matrix anywhere.

    For algorithms with Hessian–vector products, such as `NewtonCg`, two more methods: `jvp(u, p, u_dot, p_dot)`, the
    derivative of the values, (k,), and `second(u, p, weights, u_dot, p_dot)`, the derivative of what `vjp` returns.
    """

    def values(self, u: Array, p: Array) -> Array:
        """c, (k,)."""

    def vjp(self, u: Array, p: Array, weights: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, of u's shape, Σ w_i ∂c_i/∂p, (m,)); weights: w, (k,)."""


@dataclass(frozen=True, eq=False)
class StateConstraints:
    """c_i(u, p) ≤ bounds_i (or =, among equalities), i = 1 … k.

    u is the solution that the objective has already. bounds: a number, or (k,). A weighted sum of all k gradients costs
    one transposed solve, whatever k.
    """

    function: VectorFunction
    bounds: float | Array


@dataclass(frozen=True, eq=False)
class Along:
    """J = Σ w_i c_i(u, p): an objective. weights: w, (k,)."""

    function: VectorFunction
    weights: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return dot(self.weights, self.function.values(u, p))

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(Σ w_i ∂c_i/∂u, Σ w_i ∂c_i/∂p)."""
        return self.function.vjp(u, p, self.weights)

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of these gradients along (u̇, ṗ); raises TypeError for a function without `second`."""
        if not has(self.function, "second"):
            raise TypeError(
                f"{type(self.function).__name__} has no method second(u, p, weights, u_dot, p_dot), which a "
                "Hessian–vector product needs: the derivative of what vjp(u, p, weights) returns along (u̇, ṗ)"
            )
        found: tuple[Array, Array] = getattr(self.function, "second")(u, p, self.weights, u_dot, p_dot)  # noqa: B009
        return found
