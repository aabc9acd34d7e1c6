"""Second derivatives, which a Hessian–vector product needs and a gradient does not: `second`, an optional method.

Every one of these is the derivative of what `vjp` or `gradients` returns, along given rates, cotangents held fixed.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from .arrays import Array
from .parameters import as_cotangent


@runtime_checkable
class TwiceResidual(Protocol):
    """A `Residual` with second derivatives (docs/math/optimization.md, eqs. 70 and 71)."""

    def second(self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᴴλ, (∂R/∂p)ᴴλ) along (u̇, ṗ), λ fixed: of u's shape, and (m,)."""


@runtime_checkable
class TwiceMatrix(Protocol):
    """A `Matrix` with second derivatives."""

    def second(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """((∂A/∂p ṗ)ᴴ λ, the derivative of p ↦ vjp(p, u, λ) along ṗ): of u's shape, and (m,)."""


@runtime_checkable
class TwiceVector(Protocol):
    """A `Vector` with second derivatives."""

    def second(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """The derivative of p ↦ vjp(p, λ) along ṗ, (m,)."""


@runtime_checkable
class TwiceObjective(Protocol):
    """An `Objective` with second derivatives."""

    def second(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ (ū, p̄) along (u̇, ṗ): of u's shape, and (m,)."""


@runtime_checkable
class TwiceMap(Protocol):
    """A `DesignMap` with second derivatives."""

    def second(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """The derivative of x ↦ vjp(x, p̄) along ẋ, (m_x,)."""


def of_residual(residual: object, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
    """What a residual's `second` returns, of the shapes of u and p; raises TypeError where it has none."""
    if not isinstance(residual, TwiceResidual):
        raise _missing(residual, "(u, p, lam, u_dot, p_dot)", "(u, p) ↦ ((∂R/∂u)ᴴλ, (∂R/∂p)ᴴλ) along (u̇, ṗ)", STEPPED)
    return _pair(residual, residual.second(u, p, lam, u_dot, p_dot), u, p)


def of_matrix(matrix: object, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
    """What a matrix's `second` returns, of the shapes of u and p; raises TypeError where it has none."""
    if not isinstance(matrix, TwiceMatrix):
        raise _missing(matrix, "(p, u, lam, p_dot)", "p ↦ (A(p)ᴴλ, vjp(p, u, λ)) along ṗ", "")
    return _pair(matrix, matrix.second(p, u, lam, p_dot), u, p)


def of_vector(vector: object, p: Array, lam: Array, p_dot: Array) -> Array:
    """What a vector's `second` returns, (m,); raises TypeError where it has none."""
    if not isinstance(vector, TwiceVector):
        raise _missing(vector, "(p, lam, p_dot)", "p ↦ vjp(p, λ) along ṗ", "")
    return as_cotangent(vector.second(p, lam, p_dot), p, f"the second of {type(vector).__name__}")


def of_objective(objective: object, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
    """What an objective's `second` returns, of the shapes of u and p; raises TypeError where it has none."""
    if not isinstance(objective, TwiceObjective):
        raise _missing(objective, "(u, p, u_dot, p_dot)", "(u, p) ↦ (ū, p̄), its gradients, along (u̇, ṗ)", "")
    return _pair(objective, objective.second(u, p, u_dot, p_dot), u, p)


def of_map(design: object, x: Array, p_bar: Array, x_dot: Array) -> Array:
    """What a design map's `second` returns, (m_x,); raises TypeError where it has none."""
    if not isinstance(design, TwiceMap):
        raise _missing(design, "(x, p_bar, x_dot)", "x ↦ vjp(x, p̄) along ẋ: zeros for a linear map", "")
    return as_cotangent(design.second(x, p_bar, x_dot), x, f"the second of {type(design).__name__}")


STEPPED = "; or adjoint.with_second(residual), which takes complex steps of the first derivatives"


def _missing(thing: object, arguments: str, meaning: str, otherwise: str) -> TypeError:
    return TypeError(
        f"{type(thing).__name__} has no method second{arguments}, which a Hessian–vector product needs. Expected the "
        f"derivative of {meaning}{otherwise}. Without any: adjoint.DifferencedHessian(f)"
    )


def _pair(thing: object, returned: tuple[Array, Array], u: Array, p: Array) -> tuple[Array, Array]:
    u_part, p_part = returned
    name = f"the second of {type(thing).__name__}"
    if np.shape(u_part) != u.shape:
        raise ValueError(f"{name} returned for u an array of shape {np.shape(u_part)}, expected {u.shape}")
    return np.array(u_part), as_cotangent(p_part, p, f"{name} returned for p an array, which")
