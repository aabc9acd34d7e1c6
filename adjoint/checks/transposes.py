"""The dot-product test ⟨Dv, w⟩ = ⟨v, Dᵀw⟩ of the derivative D of a state u(x)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from .._numerics import dot
from ..errors import CutCluster, DefectiveEigenvalue, RepeatedEigenvalue
from ..typing import Array
from .tolerances import RESOLVED, TINY, TRANSPOSED

LINEAR_ROUNDING = 1e-6
"""Largest difference of D v and D(c v)/c, relative to ‖u‖, that counts as rounding."""


def dot_product_error(
    point: object, directions: Sequence[Array], rng: np.random.Generator
) -> float | None:
    """Return the largest |⟨Dv, w⟩ − ⟨v, Dᵀw⟩| / (‖Dv‖‖w‖) of all directions v, with random w.

    D is the derivative of the state, or of the residual of a sum of squares, at the point.
    The result is None if the point has neither a state nor a residual, or if random
    functions of the state have no derivative: single eigenvectors of a repeated eigenvalue.
    """
    D = _derivative(point)
    if D is None:
        return None
    try:
        return float(np.max([_relative_error(D, v, rng) for v in directions]))
    except (RepeatedEigenvalue, DefectiveEigenvalue, CutCluster):
        return None


def _relative_error(D: "_Derivative", v: Array, rng: np.random.Generator) -> float:
    """|⟨Dv, w⟩ − ⟨v, Dᵀw⟩| / (‖Dv‖‖w‖) for a random w at about 45° to Dv.

    Random vectors of many components are nearly orthogonal to Dv. Then ⟨Dv, w⟩ would be
    small, and a wrong factor would not be seen. The error counts as small if the rounding
    errors of the products explain it.
    """
    w = np.asarray(rng.standard_normal(D.u.shape))
    if D.u.dtype.kind == "c":
        w = w + 1j * rng.standard_normal(D.u.shape)
    Dv = np.array(D.forward(v))
    length = float(np.linalg.norm(Dv))
    w = w + Dv * (float(np.linalg.norm(w)) / length) if length > 0.0 else w
    Dw = np.array(D.transposed(w))
    gap, size = abs(dot(w, Dv) - dot(Dw, v)), length * float(np.linalg.norm(w))
    if not gap <= TRANSPOSED * size:
        # The rounding error of both products: the difference between D v and D(c v)/c. D is
        # linear, so that the two differ by rounding only, even if D is ill-conditioned.
        rounding = 0.0
        for factor in (3.0, 0.7):
            ahead = float(np.linalg.norm(D.forward(factor * v) / factor - Dv)) * float(
                np.linalg.norm(w)
            )
            rounding += ahead + dot(np.abs(D.transposed(factor * w) / factor - Dw), np.abs(v))
        if rounding <= LINEAR_ROUNDING * float(np.linalg.norm(D.u)) * float(np.linalg.norm(w)):
            size = max(size, RESOLVED * rounding / TRANSPOSED)
    return float(gap / max(size, TINY))


@dataclass(frozen=True, eq=False)
class _Derivative:
    """The derivative D of x ↦ u. u: the state; forward: v ↦ Dv; transposed: w ↦ Dᵀw."""

    u: Array
    forward: Callable[[Array], Array]
    transposed: Callable[[Array], Array]


def _derivative(point: object) -> _Derivative | None:
    """Return the derivative of the state of a point, or of its residual.

    The result is None if the point has neither a state nor a residual.
    """
    if isinstance(point, _Steady):
        solution, design, x = point.solution, point.design, point.x
        if (
            isinstance(solution, _Products)
            and isinstance(design, _Products)
            and hasattr(solution, "u")
        ):
            jvp, vjp, inner, outer = solution.jvp, solution.vjp, design.jvp, design.vjp
            return _Derivative(
                np.asarray(solution.u), lambda v: jvp(inner(x, v)), lambda w: outer(x, vjp(w))
            )
        return None
    if isinstance(point, _SumOfSquares):
        return _Derivative(np.asarray(point.residual), point.jvp_residual, point.vjp_residual)
    return None


@runtime_checkable
class _Steady(Protocol):
    """Protocol of a steady point, for instance `Point`.

    A steady point has a design x, a solution and a design map.
    """

    @property
    def x(self) -> Array:
        """The design x, (m,)."""

    @property
    def solution(self) -> object:
        """The solution, with the state u and the methods jvp and vjp."""

    @property
    def design(self) -> object:
        """The design map, with the methods jvp and vjp."""


@runtime_checkable
class _Products(Protocol):
    """Protocol of an object with the products D v and Dᵀ w."""

    @property
    def jvp(self) -> Callable[..., Array]:
        """v ↦ Dv."""

    @property
    def vjp(self) -> Callable[..., Array]:
        """w ↦ Dᵀw."""


@runtime_checkable
class _SumOfSquares(Protocol):
    """Protocol of a point of f = ½‖r‖² with the residual r and products of dr/dx."""

    residual: Array

    def jvp_residual(self, v: Array) -> Array:
        """(dr/dx) v."""

    def vjp_residual(self, w: Array) -> Array:
        """(dr/dx)ᵀ w."""
