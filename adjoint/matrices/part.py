"""Matrices and vectors that depend on a part of the parameters only."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..parameters import as_cotangent
from ..residual import Matrix, Vector
from ..second import of_matrix, of_vector


@dataclass(frozen=True, eq=False)
class Part:
    """A(p) = of(p[chosen]), for parameters that are not all the matrix's.

    of: a Matrix; chosen: a slice, or an array of indices into p.
    """

    of: Matrix
    chosen: slice | Array

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), (n, n)."""
        return self.of(p[self.chosen])

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """The derivative with respect to the chosen part; zero elsewhere, (m,)."""
        return _spread(p, self.chosen, self.of.vjp(p[self.chosen], u, lam))

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """(∂A/∂p ṗ) u, of u's shape."""
        return self.of.jvp(p[self.chosen], u, p_dot[self.chosen])

    def second(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """The second derivatives with respect to the chosen part; zero elsewhere."""
        u_part, p_part = of_matrix(self.of, p[self.chosen], u, lam, p_dot[self.chosen])
        return u_part, _spread(p, self.chosen, p_part)


@dataclass(frozen=True, eq=False)
class PartVector:
    """b(p) = of(p[chosen]). of: a Vector; chosen: a slice, or an array of indices into p."""

    of: Vector
    chosen: slice | Array

    def __call__(self, p: Array) -> Array:
        """b(p), (n,) or (n, k)."""
        return self.of(p[self.chosen])

    def vjp(self, p: Array, lam: Array) -> Array:
        """The derivative with respect to the chosen part; zero elsewhere, (m,)."""
        return _spread(p, self.chosen, self.of.vjp(p[self.chosen], lam))

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """(∂b/∂p ṗ), of b's shape."""
        return self.of.jvp(p[self.chosen], p_dot[self.chosen])

    def second(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """The second derivative with respect to the chosen part; zero elsewhere, (m,)."""
        return _spread(p, self.chosen, of_vector(self.of, p[self.chosen], lam, p_dot[self.chosen]))


def _spread(p: Array, chosen: slice | Array, g: Array) -> Array:
    """The transpose of p ↦ p[chosen]."""
    spread = np.zeros_like(p)
    g = as_cotangent(g, p[chosen], "the vjp of a Part")
    np.add.at(spread, np.arange(p.size)[chosen], g)  # Not spread[chosen] = g: an index may be chosen twice.
    return spread
