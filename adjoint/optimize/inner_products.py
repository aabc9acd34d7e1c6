"""Inner products: they turn a gradient (a derivative) into a direction, ∇f = M⁻¹ g."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import dot
from .._validation import as_array
from ..factor.csc import as_csc
from ..factor.factorization import Factorization, Factorizer
from ..factor.factorizers import cholesky, factored, require_factorizer
from ..typing import Array, SparseMatrix
from .square_roots import DiagonalRoot, FactorRoot, Root


class InnerProduct(Protocol):
    """⟨a, b⟩ = aᵀ M b on designs (docs/math/optimization.md, eq. 27).

    An inner product is the only object that sums over a design. A design that is
    distributed over processes needs an inner product whose sums run over all processes, and
    nothing else.
    """

    @property
    def diagonal(self) -> bool:
        """True if M is diagonal: only then does `Bounds.clip` project onto bounds."""

    def direction(self, g: Array) -> Array:
        """M⁻¹ g: the direction of a derivative.

        Parameters
        ----------
        g : (m,) array
            A derivative.

        Returns
        -------
        (m,) array
            The direction, in the units of the design.
        """

    def pairing(self, g: Array, d: Array) -> float:
        """g·d: a derivative applied to a direction, without M.

        Parameters
        ----------
        g : (m,) array
            A derivative.
        d : (m,) array
            A direction.

        Returns
        -------
        float
            The change of f, to first order, along d.
        """

    def covector(self, d: Array) -> Array:
        """M d: the derivative whose direction is d.

        Parameters
        ----------
        d : (m,) array
            A direction.

        Returns
        -------
        (m,) array
            The derivative.
        """

    def norm(self, d: Array) -> float:
        """√(dᵀ M d): the norm of a direction.

        Parameters
        ----------
        d : (m,) array
            A direction.

        Returns
        -------
        float
            The norm.
        """

    def dual_norm(self, g: Array) -> float:
        """√(gᵀ M⁻¹ g): the norm of a derivative.

        Parameters
        ----------
        g : (m,) array
            A derivative.

        Returns
        -------
        float
            The dual norm.
        """

    def total(self, V: Array) -> Array:
        """Σ_j V_ij: plain sums over the design.

        Parameters
        ----------
        V : (k, m) array
            One row for each sum.

        Returns
        -------
        (k,) array
            The sums.
        """

    def largest(self, v: Array) -> float:
        """max_j v_j.

        Parameters
        ----------
        v : (m,) array
            One number per design variable.

        Returns
        -------
        float
            The largest entry; -inf for an empty design.
        """

    @property
    def root(self) -> Root:
        """R with M = R Rᵀ: in the variables z = Rᵀ x, M is the identity."""


@dataclass(frozen=True, eq=False)
class Euclidean:
    """M = 1: for designs that are plain numbers of one unit, not values on a mesh."""

    __repr__ = short_repr

    @property
    def diagonal(self) -> bool:
        """True."""
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
    """M = diag(w): for variables of different units, or for lumped masses on a mesh.

    Parameters
    ----------
    weights : (m,) array or float
        w, positive; 1 / size² for variables of different sizes, or lumped masses.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If a weight is not positive and finite; in methods, if the design has another shape.
    """

    weights: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        weights = as_array("Weighted", "weights", self.weights)
        if weights.dtype.kind not in "fiu" or weights.ndim > 1:
            raise TypeError(
                f"Weighted: got weights of dtype {weights.dtype}, shape {weights.shape}; expected "
                "real numbers, (m,)"
            )
        bad = weights[~((weights > 0.0) & np.isfinite(weights))]
        if bad.size:
            raise ValueError(
                f"Weighted: got a weight of {bad[0]}, expected positive and finite ones"
            )

    @property
    def diagonal(self) -> bool:
        """True."""
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
        """w; raise ValueError unless w has the shape of v."""
        if np.shape(self.weights) not in ((), np.shape(v)):
            raise ValueError(
                f"Weighted: got weights of shape {np.shape(self.weights)}, expected {np.shape(v)}, "
                "the shape of x"
            )
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
    """M sparse and symmetric positive definite: a consistent mass matrix, or `helmholtz`.

    With a mass matrix the number of iterations does not grow as the mesh is refined. M is
    factorized once, when first needed.

    Parameters
    ----------
    M : (m, m) sparse matrix
        For example ∫NᵀN over the mesh.
    factorize : callable
        Makes the factorization of M, `cholesky` by default.

    Raises
    ------
    TypeError
        If M is not a sparse matrix, or `factorize` is not a factorizer.
    NotPositiveDefinite
        When first used, if M is not positive definite.

    References
    ----------
    Schwedes, Ham, Funke & Piggott (2017), Mesh Dependence in PDE-Constrained Optimisation.
    """

    M: SparseMatrix
    factorize: Factorizer = cholesky

    __repr__ = short_repr

    def __post_init__(self) -> None:
        as_csc(self.M, "MassMatrix: M: ")
        require_factorizer("MassMatrix", self.factorize)

    @classmethod
    def helmholtz(cls, mass: SparseMatrix, stiffness: SparseMatrix, length: float) -> "MassMatrix":
        """M + ℓ² K, the inner product of H¹: M⁻¹g solves d − ℓ²Δd = g, and d is smooth over ℓ.

        Parameters
        ----------
        mass : (m, m) sparse matrix
            ∫NᵀN.
        stiffness : (m, m) sparse matrix
            ∫∇Nᵀ∇N.
        length : float
            ℓ, in the units of length of the mesh; positive.

        Returns
        -------
        MassMatrix
            The inner product.

        Raises
        ------
        ValueError
            If the length is not positive and finite, or if the shapes of the matrices differ.

        References
        ----------
        Neuberger (2010), Sobolev Gradients and Differential Equations, 2nd ed.
        """
        if not 0.0 < length < np.inf:
            raise ValueError(
                f"MassMatrix.helmholtz: got length={length}, expected a positive length"
            )
        if mass.shape != stiffness.shape:
            raise ValueError(
                f"MassMatrix.helmholtz: got a mass matrix of shape {mass.shape} and a stiffness "
                f"matrix of shape {stiffness.shape}, expected equal shapes"
            )
        return cls(sparse.csc_array(mass + length**2 * stiffness))

    @cached_property
    def _inverse(self) -> Factorization:
        return factored(self.factorize, self.M)

    @property
    def diagonal(self) -> bool:
        """False, also if M happens to be diagonal."""
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
        """R = Pᵀ L: the Cholesky factor by SuperLU, computed once; see `FactorRoot.of`."""
        return FactorRoot.of(self.M)


def _total(V: Array) -> Array:
    return np.asarray(np.einsum("ij->i", V))  # Without BLAS, see `dot`.


def _largest(v: Array) -> float:
    return float(v.max(initial=-np.inf))
