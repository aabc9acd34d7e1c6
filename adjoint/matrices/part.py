"""Matrices and vectors that depend on some of the parameters."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._optional_methods import (
    checked_contraction,
    checked_contraction_rate,
    checked_matrix_hvp,
    checked_vector_hvp,
)
from .._validation import as_array, as_cotangent, require_methods
from ..protocols import Matrix, Vector
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Part:
    """A(p) = of(p[chosen]): a matrix that depends on some of the parameters.

    Parameters
    ----------
    of : Matrix
        The matrix as a function of the chosen parameters.
    chosen : slice, or (k,) array of int or bool
        The indices of the parameters on which the matrix depends.

    Raises
    ------
    TypeError
        If `of` is not a Matrix, or if `chosen` is neither a slice nor an array of indices.
    ValueError
        From the methods, if `chosen` is out of range for p.
    """

    of: Matrix
    chosen: slice | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods("Part", "of", self.of, ("__call__", "vjp"), "a Matrix")
        _require_indices("Part", self.chosen)

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A(p), (n, n)."""
        return self.of(_part(p, self.chosen))

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return the derivative of λᴴ A(p) u, (m,); zero for parameters that are not chosen."""
        return _spread(p, self.chosen, self.of.vjp(_part(p, self.chosen), u, lam))

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return (∂A/∂p ṗ) u, of u's shape."""
        return self.of.jvp(_part(p, self.chosen), u, p_dot[self.chosen])

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the `hvp` of the matrix; the part (m,) is zero for the other parameters."""
        u_part, p_part = checked_matrix_hvp(self.of, p[self.chosen], u, lam, p_dot[self.chosen])
        return u_part, _spread(p, self.chosen, p_part)

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return the contraction of the matrix, (m,); zero for parameters that are not chosen."""
        g = checked_contraction(self.of, _part(p, self.chosen), A_bar)
        return _spread(p, self.chosen, g)

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return the `contract_rate` of the matrix, (m,); zero for the other parameters."""
        g = checked_contraction_rate(self.of, p[self.chosen], A_bar, p_dot[self.chosen])
        return _spread(p, self.chosen, g)


@dataclass(frozen=True, eq=False)
class PartVector:
    """b(p) = of(p[chosen]): a vector that depends on some of the parameters.

    Parameters
    ----------
    of : Vector
        The vector as a function of the chosen parameters.
    chosen : slice, or (k,) array of int or bool
        The indices of the parameters on which the vector depends.

    Raises
    ------
    TypeError
        If `of` is not a Vector, or if `chosen` is neither a slice nor an array of indices.
    ValueError
        From the methods, if `chosen` is out of range for p.
    """

    of: Vector
    chosen: slice | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods("PartVector", "of", self.of, ("__call__", "vjp"), "a Vector")
        _require_indices("PartVector", self.chosen)

    def __call__(self, p: Array) -> Array:
        """Return b(p), (n,) or (n, k)."""
        return self.of(_part(p, self.chosen))

    def vjp(self, p: Array, lam: Array) -> Array:
        """Return the derivative of λᴴ b(p), (m,); zero for parameters that are not chosen."""
        return _spread(p, self.chosen, self.of.vjp(_part(p, self.chosen), lam))

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """Return ∂b/∂p ṗ, of b's shape."""
        return self.of.jvp(_part(p, self.chosen), p_dot[self.chosen])

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """Return the `hvp` of the vector, (m,): zero for parameters that are not chosen."""
        return _spread(
            p, self.chosen, checked_vector_hvp(self.of, p[self.chosen], lam, p_dot[self.chosen])
        )


def _require_indices(who: str, chosen: object) -> None:
    """Raise TypeError unless `chosen` is a slice or a vector of integers or booleans."""
    if isinstance(chosen, slice):
        return
    indices = as_array(who, "chosen", chosen)
    if indices.ndim != 1 or indices.dtype.kind not in "iub":
        raise TypeError(
            f"{who}: got chosen of dtype {indices.dtype}, shape {indices.shape}; expected a slice, "
            "or indices (k,)"
        )


def _part(p: Array, chosen: slice | Array) -> Array:
    """Return p[chosen].

    Raise ValueError if `chosen` is out of range (NumPy would shorten a slice silently).
    """
    m = p.size
    if isinstance(chosen, slice):
        beyond = max(chosen.start or 0, chosen.stop or 0) > m
    else:
        indices = np.asarray(chosen)
        flags = indices.dtype.kind == "b"
        beyond = indices.size != m if flags else bool(np.any((indices >= m) | (indices < -m)))
    if beyond:
        raise ValueError(f"Part: chosen={chosen!r} goes beyond p, which has {m} entries")
    return p[chosen]


def _spread(p: Array, chosen: slice | Array, g: Array) -> Array:
    """Return the transpose of p ↦ p[chosen], applied to g: g on the chosen parameters, else 0."""
    spread = np.zeros_like(p)
    g = as_cotangent(g, p[chosen], "the vjp of a Part")
    # Not spread[chosen] = g: an index may be chosen twice.
    np.add.at(spread, np.arange(p.size)[chosen], g)
    return spread
