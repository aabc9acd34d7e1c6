"""Inner products: what turns a gradient (a derivative, dual) into a direction (primal), ∇f = M⁻¹ g.

Square roots of inner products, M = R Rᵀ: the change of variables z = Rᵀ x for optimizers that know only Rⁿ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from .._numerics import dot
from .._repr import short_repr
from .._validation import as_array
from ..errors import InaccurateSolve, NotPositiveDefinite, singular
from ..factor.backward_error import absolute_sums, probe_vector, require_symmetric
from ..factor.csc import SparseMatrix, as_csc, require_full_structure
from ..factor.factorization import Factorization
from ..factor.factorizers import cholesky, factored, require_factorizer
from ..factor.singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen
from ..typing import Array, Trans

ACCURATE = 1e-12
"""Backward error ‖R Rᵀ v − M v‖ / (‖M‖‖v‖) above which R is no root of M: a stable one leaves some 10⁻¹⁵."""


class Root(Protocol):
    """z = Rᵀ x with M = R Rᵀ: ‖z‖₂ = ‖x‖_M, and the derivative in z is R⁻¹ g.

    See docs/math/optimization.md, eq. 84.

    For foreign optimizers, whose inner product is fixed: they get f(R⁻ᵀ z) and its derivative, never M⁻¹ g.
    """

    def to_x(self, z: Array) -> Array:
        """R⁻ᵀ z: the design, (m,)."""

    def to_z(self, x: Array) -> Array:
        """Rᵀ x, (m,)."""

    def pull(self, g: Array) -> Array:
        """R⁻¹ g: the derivative in z of a derivative in x, (m,)."""


@dataclass(frozen=True, eq=False)
class DiagonalRoot:
    """R = diag(r): a box in x is a box in z. entries: r, (m,), or one number for all; positive."""

    entries: Array | float

    def to_x(self, z: Array) -> Array:
        """z / r."""
        return z / self.entries

    def to_z(self, x: Array) -> Array:
        """r x."""
        return self.entries * x

    def pull(self, g: Array) -> Array:
        """g / r."""
        return g / self.entries


class _Solvable(Protocol):
    """SciPy's SuperLU object, as far as it is used here."""

    def solve(self, b: Array, trans: Literal["N", "T"] = "N") -> Array:
        """The solution for b with the matrix or its transpose."""


@dataclass(frozen=True, eq=False)
class FactorRoot:
    """R = Pᵀ L: the Cholesky factor L of P M Pᵀ, P a fill-reducing order. A box in x is no box in z.

    lower: L, (m, m), lower triangular, sorted; order: q, with (P v)_i = v_{q_i}. Made by `of`.
    """

    lower: sparse.csc_array
    order: Array

    @classmethod
    def of(cls, M: SparseMatrix) -> "FactorRoot":
        """The root of M, (m, m): one factorization by SuperLU, on the diagonal, P M Pᵀ = L₁ D L₁ᵀ = L Lᵀ.

        Raises NotPositiveDefinite, NotSymmetric, SingularMatrix, InaccurateSolve where L Lᵀ is not M to 1e-12,
        NonFinite; TypeError and ValueError for what is no square matrix.
        """
        A = as_csc(M)
        require_full_structure(A)
        name = f"the root of a {A.shape[0]}x{A.shape[1]} inner product"
        require_symmetric(A, "symmetric", name)
        lower, order = _factored(A, name)
        root = cls(lower, order)
        root._verify(A, name)
        return root

    def to_x(self, z: Array) -> Array:
        """Pᵀ L⁻ᵀ z."""
        return self._ordered_back(self._triangle.solve(z, "T"))

    def to_z(self, x: Array) -> Array:
        """Lᵀ P x."""
        return np.asarray(self.lower.T @ x[self.order])

    def pull(self, g: Array) -> Array:
        """L⁻¹ P g."""
        return np.asarray(self._triangle.solve(g[self.order]))

    @cached_property
    def _triangle(self) -> _Solvable:
        # The LU factors of a lower triangle are itself and a diagonal: no fill, and solves as quick as SuperLU's own,
        # four times quicker than spsolve_triangular, which looks its matrix over each time.
        return splu(
            self.lower, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def _ordered_back(self, v: Array) -> Array:
        x = np.empty_like(v)
        x[self.order] = v
        return x

    def _verify(self, A: sparse.csc_array, name: str) -> None:
        """Raise unless R Rᵀ v = M v for a random v, and M⁻¹ of another is of a size to be trusted."""
        v, sums = probe_vector(A.shape[0]), absolute_sums(A, "T")
        difference = self._ordered_back(self.lower @ self.to_z(v)) - A @ v
        error = float(np.abs(difference).max() / (sums.max() * np.abs(v).max()))
        if not error <= ACCURATE:
            raise InaccurateSolve(
                f"{name}: R Rᵀ differs from M by {error:.1e}, expected rounding, {ACCURATE:.0e}"
            )
        condition = float(np.abs(self.to_x(self.pull(v * sums))).max())
        if not condition < SUSPECT:
            condition = condition_seen(Equilibrated.of(A, self._inverse))
        if not condition < SINGULAR:
            raise singular(
                name, f"is that of a singular matrix (condition at least {condition:.1e})"
            )

    def _inverse(self, b: Array, trans: Trans) -> Array:
        """M⁻¹ b for columns b, (n, k); M is symmetric."""
        return np.column_stack([self.to_x(self.pull(column)) for column in b.T])


def _factored(A: sparse.csc_array, name: str) -> tuple[sparse.csc_array, Array]:
    """L and q with (L Lᵀ)_ij = A_{q_i q_j}, from SuperLU's factors L₁ D L₁ᵀ; NotPositiveDefinite if there are none."""
    try:
        lu = splu(
            A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as error:  # A pivot that is exactly zero.
        raise _indefinite(name) from error
    pivots = lu.U.diagonal()
    # One off the diagonal was taken because that on it was zero.
    if not (np.all(pivots > 0.0) and np.array_equal(lu.perm_r, lu.perm_c)):
        raise _indefinite(name)
    lower = sparse.csc_array(lu.L @ sparse.diags_array(np.sqrt(pivots)))
    lower.sort_indices()
    return lower, np.argsort(lu.perm_c)


def _indefinite(name: str) -> NotPositiveDefinite:
    return NotPositiveDefinite(
        f"{name}: the matrix is not positive definite. Usual causes: a stiffness without a mass matrix, a node that no "
        "element mentions, a wrong sign."
    )


class InnerProduct(Protocol):
    """⟨a, b⟩ = aᵀ M b on designs; the only place that sums over a design.

    See docs/math/optimization.md, eq. 27.

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

    __repr__ = short_repr

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

    __repr__ = short_repr

    def __post_init__(self) -> None:
        weights = as_array("Weighted", "weights", self.weights)
        if weights.dtype.kind not in "fiu" or weights.ndim > 1:
            raise TypeError(
                f"Weighted: got weights of dtype {weights.dtype}, shape {weights.shape}; expected real numbers, (m,)"
            )
        bad = weights[~((weights > 0.0) & np.isfinite(weights))]
        if bad.size:
            raise ValueError(
                f"Weighted: got a weight of {bad[0]}, expected positive and finite ones"
            )

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
            raise ValueError(
                f"Weighted: got weights of shape {np.shape(self.weights)}, expected {np.shape(v)}, x's"
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
    """M sparse, symmetric positive definite: a consistent mass matrix, or mass plus stiffness (`helmholtz`).

    With it the number of iterations does not grow as the mesh is refined: Schwedes, Ham, Funke & Piggott
    (2017), Mesh Dependence in PDE-Constrained Optimisation. One factorization, by `factorize`, for good.
    """

    M: SparseMatrix
    factorize: Callable[[sparse.csc_array], Factorization] = cholesky

    __repr__ = short_repr

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
            raise ValueError(
                f"MassMatrix.helmholtz: got length={length}, expected a positive length"
            )
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
