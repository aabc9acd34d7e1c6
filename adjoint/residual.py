"""The protocols of the physics: a matrix A(p), a vector b(p), a residual R(u, p).

A user's classes need not inherit from these: they only need the methods.
"""

from typing import Protocol

import scipy.sparse as sparse

from .arrays import Array


class Matrix(Protocol):
    """A(p): (n, n) sparse, with the derivative of λᴴ A(p) u and its transpose (docs/math/steady.md, eq. 5)."""

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
    """R(u, p) = 0: the physics, stateless (docs/math/steady.md, eq. 1)."""

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), of u's shape."""

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n); for a u of k columns the one that serves them all."""

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (m,), in the sense of Re(gᴴ ṗ) = Re(λᴴ (∂R/∂p) ṗ)."""

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, of u's shape."""
