"""Inner products: what turns a gradient (a derivative, dual) into a direction (primal), ∇f = M⁻¹ g."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from ..arguments import as_array
from ..arrays import Array, dot
from ..factor import Factorization, cholesky
from ..factor.arguments import factored, require_factorizer
from ..factor.matrix import SparseMatrix, as_csc
from .roots import DiagonalRoot, FactorRoot, Root


class InnerProduct(Protocol):
    """⟨a, b⟩ = aᵀ M b on designs; the only place that sums over a design (docs/math/optimization.md, eq. 27).

    A design that is spread over processes needs another one, whose sums are over all of them, and nothing else.
    """

    @property
    def diagonal(self) -> bool:
        """Whether M is diagonal: only then is the projection onto bounds a clip."""

    def direction(self, g: Array) -> Array:
        """M⁻¹ g: the direction of a derivative g, (m,)."""

    def pairing(self, g: Array, d: Array) -> float:
        """g·d: a derivative applied to a direction; no M in it."""

    def covector(self, d: Array) -> Array:
        """M d: the derivative whose direction is d, (m,)."""

    def norm(self, d: Array) -> float:
        """√(dᵀ M d) of a direction."""

    def dual_norm(self, g: Array) -> float:
        """√(gᵀ M⁻¹ g) of a derivative."""

    def total(self, V: Array) -> Array:
        """Σ_j V_ij, plain sums over the design, (k,); V: (k, m)."""

    def largest(self, v: Array) -> float:
        """max_j v_j; -inf of an empty design."""

    @property
    def root(self) -> Root:
        """z = Rᵀ x with M = R Rᵀ: variables in which M is the identity, for foreign optimizers."""


def _total(V: Array) -> Array:
    return np.asarray(np.einsum("ij->i", V))  # Without BLAS, see `dot`.


def _largest(v: Array) -> float:
    return float(v.max(initial=-np.inf))


@dataclass(frozen=True, eq=False)
class Euclidean:
    """M = 1: right for designs that are plain numbers of one unit, not values on a mesh."""

    @property
    def diagonal(self) -> bool:
        """It is."""
        return True

    def direction(self, g: Array) -> Array:
        """g."""
        return g

    def pairing(self, g: Array, d: Array) -> float:
        """g·d."""
        return dot(g, d)

    def covector(self, d: Array) -> Array:
        """d."""
        return d

    def norm(self, d: Array) -> float:
        """‖d‖₂."""
        return math.sqrt(dot(d, d))

    def dual_norm(self, g: Array) -> float:
        """‖g‖₂."""
        return math.sqrt(dot(g, g))

    def total(self, V: Array) -> Array:
        """Σ_j V_ij."""
        return _total(V)

    def largest(self, v: Array) -> float:
        """max_j v_j."""
        return _largest(v)

    @property
    def root(self) -> DiagonalRoot:
        """R = 1."""
        return DiagonalRoot(1.0)


@dataclass(frozen=True, eq=False)
class Weighted:
    """M = diag(w): units that differ, or lumped masses. weights: w, (m,), positive; ValueError for others.

    Designs of another shape are a ValueError, too.
    """

    weights: Array

    def __post_init__(self) -> None:
        weights = as_array("Weighted", "weights", self.weights)
        if weights.dtype.kind not in "fiu" or weights.ndim > 1:
            raise TypeError(
                f"Weighted: got weights of dtype {weights.dtype}, shape {weights.shape}; expected real numbers, (m,)"
            )
        bad = weights[~((weights > 0.0) & np.isfinite(weights))]
        if bad.size:
            raise ValueError(f"Weighted: got a weight of {bad[0]}, expected positive and finite ones")

    @property
    def diagonal(self) -> bool:
        """It is."""
        return True

    def direction(self, g: Array) -> Array:
        """g / w."""
        return g / self._of(g)

    def pairing(self, g: Array, d: Array) -> float:
        """g·d."""
        return dot(g, d)

    def covector(self, d: Array) -> Array:
        """w d."""
        return self._of(d) * d

    def norm(self, d: Array) -> float:
        """√(Σ w d²)."""
        return math.sqrt(dot(d, self._of(d) * d))

    def dual_norm(self, g: Array) -> float:
        """√(Σ g²/w)."""
        return math.sqrt(dot(g, g / self._of(g)))

    def _of(self, v: Array) -> Array:
        """w, for a v of its shape."""
        if np.shape(self.weights) not in ((), np.shape(v)):
            raise ValueError(f"Weighted: got weights of shape {np.shape(self.weights)}, expected {np.shape(v)}, x's")
        return self.weights

    def total(self, V: Array) -> Array:
        """Σ_j V_ij."""
        return _total(V)

    def largest(self, v: Array) -> float:
        """max_j v_j."""
        return _largest(v)

    @cached_property
    def root(self) -> DiagonalRoot:
        """R = diag(√w)."""
        return DiagonalRoot(np.sqrt(self.weights))


@dataclass(frozen=True, eq=False)
class MassMatrix:
    """M sparse, symmetric positive definite: a consistent mass matrix, or mass plus stiffness (`helmholtz`).

    With it the number of iterations does not grow as the mesh is refined: Schwedes, Ham, Funke & Piggott
    (2017), Mesh Dependence in PDE-Constrained Optimisation. One factorization, by `factorize`, for good.
    """

    M: SparseMatrix
    factorize: Callable[[sparse.csc_array], Factorization] = cholesky

    def __post_init__(self) -> None:
        as_csc(self.M, "MassMatrix: M: ")
        require_factorizer("MassMatrix", self.factorize)

    @classmethod
    def helmholtz(cls, mass: SparseMatrix, stiffness: SparseMatrix, length: float) -> "MassMatrix":
        """M + ℓ² K, the inner product of H¹: directions are smooth over ℓ, M⁻¹g solves d − ℓ²Δd = g.

        mass: ∫NᵀN; stiffness: ∫∇Nᵀ∇N, of the same shape; length: ℓ, in the unit of the mesh. Raises ValueError for a
        length that is not positive and finite, and for matrices of different shapes.

        Neuberger (2010), Sobolev Gradients and Differential Equations, 2nd ed.
        """
        if not 0.0 < length < np.inf:
            raise ValueError(f"MassMatrix.helmholtz: got length={length}, expected a positive length")
        if mass.shape != stiffness.shape:
            raise ValueError(
                f"MassMatrix.helmholtz: got a mass matrix of shape {mass.shape} and a stiffness matrix of shape "
                f"{stiffness.shape}, expected one shape"
            )
        return cls(sparse.csc_array(mass + length**2 * stiffness))

    @cached_property
    def _inverse(self) -> Factorization:
        return factored(self.factorize, self.M)

    @property
    def diagonal(self) -> bool:
        """It is not taken to be."""
        return False

    def direction(self, g: Array) -> Array:
        """M⁻¹ g."""
        return self._inverse.solve(g)

    def pairing(self, g: Array, d: Array) -> float:
        """g·d."""
        return dot(g, d)

    def covector(self, d: Array) -> Array:
        """M d."""
        return np.asarray(self.M @ d)

    def norm(self, d: Array) -> float:
        """√(dᵀ M d)."""
        return math.sqrt(dot(d, self.M @ d))

    def dual_norm(self, g: Array) -> float:
        """√(gᵀ M⁻¹ g)."""
        return math.sqrt(dot(g, self._inverse.solve(g)))

    def total(self, V: Array) -> Array:
        """Σ_j V_ij."""
        return _total(V)

    def largest(self, v: Array) -> float:
        """max_j v_j."""
        return _largest(v)

    @cached_property
    def root(self) -> FactorRoot:
        """R = Pᵀ L, the Cholesky factor by SuperLU, once; raises what `FactorRoot.of` raises."""
        return FactorRoot.of(self.M)
