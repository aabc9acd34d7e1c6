"""Objectives that are sums of squares, J = ½‖r‖²: their residual r and its derivatives, for Gauss–Newton."""

from typing import Protocol, runtime_checkable

import numpy as np

from .arrays import Array
from .parameters import as_cotangent


@runtime_checkable
class Squares(Protocol):
    """An `Objective` J(u, p) = ½‖r(u, p)‖² with a real r, (k,)."""

    def residual(self, u: Array, p: Array) -> Array:
        """r(u, p), (k,)."""

    def residual_jvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """The derivative of r along (u̇, ṗ), (k,)."""

    def residual_vjp(self, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
        """The transpose of that for w (k,): of u's shape, and (m,), in the sense of docs/math/steady.md, eq. 6."""


def as_squares(objective: object) -> Squares:
    """The objective, if it is one; raises TypeError otherwise."""
    if not isinstance(objective, Squares):
        raise TypeError(
            f"{type(objective).__name__} is no sum of squares: it has no residual(u, p), residual_jvp(u, p, u_dot, "
            "p_dot) and residual_vjp(u, p, w). Expected LeastSquares, or a Sum of such with weights ≥ 0"
        )
    return objective


def residual_of(squares: Squares, u: Array, p: Array) -> Array:
    """r, (k,), float64; raises TypeError for what is not real, ValueError for what is no vector."""
    r = np.asarray(squares.residual(u, p))
    if r.dtype.kind not in "fiu" or r.ndim != 1:
        raise TypeError(
            f"{type(squares).__name__}: residual returned {r.dtype}, shape {r.shape}; expected a real vector (k,): of "
            "complex numbers the real and the imaginary parts"
        )
    return r.astype(float)


def residual_along(squares: Squares, u: Array, p: Array, rates: tuple[Array, Array], k: int) -> Array:
    """The derivative of r along rates = (u̇, ṗ), (k,); raises ValueError for another shape."""
    r_dot = np.asarray(squares.residual_jvp(u, p, *rates))
    if r_dot.shape != (k,):
        raise ValueError(f"{type(squares).__name__}: residual_jvp returned shape {r_dot.shape}, expected ({k},)")
    return r_dot


def residual_back(squares: Squares, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
    """(ū, p̄) of w, of the shapes of u and p; raises ValueError for others."""
    u_bar, p_bar = squares.residual_vjp(u, p, w)
    name = f"{type(squares).__name__}: residual_vjp returned"
    if np.shape(u_bar) != u.shape:
        raise ValueError(f"{name} u_bar of shape {np.shape(u_bar)}, expected {u.shape}")
    return np.array(u_bar), as_cotangent(p_bar, p, f"{name} p_bar, which")
