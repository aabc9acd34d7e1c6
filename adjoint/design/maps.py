"""The protocol of a design map, and the composition of two."""

from dataclasses import dataclass
from typing import Protocol

from ..arrays import Array


class DesignMap(Protocol):
    """p = φ(x), with its derivative and the transpose of that."""

    def __call__(self, x: Array) -> Array:
        """p = φ(x); x: (m_x,), p: (m,)."""

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄, (m_x,); the conjugate transpose for a complex x."""

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """(∂φ/∂x) ẋ, (m,)."""


@dataclass(frozen=True, eq=False)
class Composed:
    """φ(x) = then(first(x)), written `first >> then`."""

    first: DesignMap
    then: DesignMap

    def __call__(self, x: Array) -> Array:
        """φ(x)."""
        return self.then(self.first(x))

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄: the transposes in reverse order."""
        return self.first.vjp(x, self.then.vjp(self.first(x), p_bar))

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """(∂φ/∂x) ẋ."""
        return self.then.jvp(self.first(x), self.first.jvp(x, x_dot))

    def __rshift__(self, then: DesignMap) -> "Composed":
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> "Composed":
        return Composed(first, self)


@dataclass(frozen=True, eq=False)
class Identity:
    """φ(x) = x."""

    def __call__(self, x: Array) -> Array:
        """x."""
        return x

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """p̄."""
        return p_bar

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """ẋ."""
        return x_dot

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)
