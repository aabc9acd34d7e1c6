"""Square roots of inner products, M = R Rᵀ, and the change of variables z = Rᵀ x."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import splu

from ..errors import InaccurateSolve, NotPositiveDefinite, singular
from ..factor.backward_error import absolute_sums, probe_vector, require_symmetric
from ..factor.csc import as_csc, require_full_structure
from ..factor.singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen
from ..typing import Array, SparseMatrix, Trans

ACCURATE = 1e-12
"""Largest backward error ‖R Rᵀ v − M v‖ / (‖M‖‖v‖) of a root; a stable factorization has
about 10⁻¹⁵."""


class Root(Protocol):
    """z = Rᵀ x with M = R Rᵀ: then ‖z‖₂ = ‖x‖_M (docs/math/optimization.md, eq. 84).

    For the optimizers of other packages, whose inner product is fixed: they get f(R⁻ᵀ z)
    and its derivative in z, R⁻¹ g, never M⁻¹ g.
    """

    def to_x(self, z: Array) -> Array:
        """R⁻ᵀ z: the design, (m,)."""

    def to_z(self, x: Array) -> Array:
        """Rᵀ x, (m,)."""

    def pull(self, g: Array) -> Array:
        """R⁻¹ g: the derivative in z of a derivative in x, (m,)."""


@dataclass(frozen=True, eq=False)
class DiagonalRoot:
    """R = diag(r): bounds on x are bounds on z.

    entries: r, (m,), or one number for all; positive.
    """

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
    """The methods of SciPy's SuperLU object that are used here."""

    def solve(self, b: Array, trans: Literal["N", "T"] = "N") -> Array:
        """Solve A x = b or Aᵀ x = b."""


@dataclass(frozen=True, eq=False)
class FactorRoot:
    """R = Pᵀ L, with the Cholesky factor L of P M Pᵀ; bounds on x are not bounds on z.

    P is a fill-reducing order. lower: L, (m, m), lower triangular, sorted; order: q, with
    (P v)_i = v_{q_i}. Made by `FactorRoot.of`.
    """

    lower: sparse.csc_array
    order: Array

    @classmethod
    def of(cls, M: SparseMatrix) -> "FactorRoot":
        """The root of M, (m, m), by one factorization P M Pᵀ = L₁ D L₁ᵀ = L Lᵀ of SuperLU.

        Raise NotSymmetric or NotPositiveDefinite if M is not symmetric positive definite,
        SingularMatrix if M is singular to working precision, InaccurateSolve if L Lᵀ differs
        from P M Pᵀ by more than 1e-12, NonFinite if M has nan or inf, TypeError or ValueError
        if M is not a square sparse matrix.
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
        # The LU factors of a lower triangle are the triangle itself and a diagonal: without fill.
        # Its solves are as quick as SuperLU's own, and four times quicker than
        # spsolve_triangular, which examines its matrix each time.
        return splu(
            self.lower, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def _ordered_back(self, v: Array) -> Array:
        x = np.empty_like(v)
        x[self.order] = v
        return x

    def _verify(self, A: sparse.csc_array, name: str) -> None:
        """Raise unless R Rᵀ v = M v for a random v, and M is not singular to working precision."""
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
    """L and q with (L Lᵀ)_ij = A_{q_i q_j}, from SuperLU's factors L₁ D L₁ᵀ.

    Raise NotPositiveDefinite if a pivot is not positive, or is taken off the diagonal.
    """
    try:
        lu = splu(
            A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError as error:  # A pivot that is exactly zero.
        raise _indefinite(name) from error
    pivots = lu.U.diagonal()
    # SuperLU takes a pivot off the diagonal if the pivot on the diagonal is zero.
    if not (np.all(pivots > 0.0) and np.array_equal(lu.perm_r, lu.perm_c)):
        raise _indefinite(name)
    lower = sparse.csc_array(lu.L @ sparse.diags_array(np.sqrt(pivots)))
    lower.sort_indices()
    return lower, np.argsort(lu.perm_c)


def _indefinite(name: str) -> NotPositiveDefinite:
    return NotPositiveDefinite(
        f"{name}: the matrix is not positive definite. Usual causes: a stiffness without a mass "
        "matrix, a node that no element mentions, a wrong sign."
    )
