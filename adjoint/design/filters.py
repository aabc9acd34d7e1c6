"""Filters that give a design a length scale: weighted averages, and the Helmholtz equation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.spatial import KDTree

from ..arrays import Array
from ..factor import Factorization, cholesky
from ..factor.matrix import SparseMatrix
from ..parameters import require_length
from .maps import Composed, DesignMap


def cone_weights(centres: Array, radius: float) -> sparse.csr_array:
    """H_ij = max(0, r − |c_i − c_j|), (m, m). centres: (m, d); radius: r > 0, in the same unit of length."""
    centres = np.asarray(centres, dtype=float)
    if centres.ndim != 2 or centres.shape[0] == 0 or not np.isfinite(centres).all():
        raise ValueError(f"got centres of shape {centres.shape}, expected finite coordinates (m, d)")
    if not 0.0 < radius < np.inf:
        raise ValueError(f"got a filter radius of {radius}, expected a positive length")
    pairs = KDTree(centres).query_pairs(radius, output_type="ndarray")
    distance = np.linalg.norm(centres[pairs[:, 0]] - centres[pairs[:, 1]], axis=1)
    m = centres.shape[0]
    i, j = pairs.astype(np.int32).T
    upper = sparse.coo_array((radius - distance, (i, j)), shape=(m, m)).tocsr()
    weights = sparse.csr_array(upper + upper.T + radius * sparse.eye_array(m))
    weights.eliminate_zeros()
    return weights


@dataclass(frozen=True, eq=False)
class DensityFilter:
    """p_i = Σ_j H_ij v_j x_j / Σ_j H_ij v_j with H_ij = max(0, r − |c_i − c_j|).

    centres: (m, d) of the elements; radius: r, in the unit of the centres; at most a neighbour's distance
    leaves x as it is. volumes: v, (m,), None for equal ones. Memory: 12 bytes for each pair of neighbours.

    Bruns & Tortorelli (2001), Comput. Methods Appl. Mech. Eng. 190, 3443; Bourdin (2001).
    """

    centres: Array
    radius: float
    volumes: Array | None = None

    @cached_property
    def weights(self) -> sparse.csr_array:
        """The rows of averaging weights, (m, m); each sums to 1."""
        H = cone_weights(self.centres, self.radius)
        if self.volumes is not None:
            require_length(np.asarray(self.volumes), H.shape[0], "DensityFilter volumes")
            H = sparse.csr_array(H @ sparse.diags_array(np.asarray(self.volumes, dtype=float)))
        return sparse.csr_array(sparse.diags_array(1.0 / H.sum(axis=1)) @ H)

    @cached_property
    def _transpose(self) -> sparse.csr_array:
        # A csr product runs along rows: twice as quick as the transposed product, for the same memory again.
        return sparse.csr_array(self.weights.T)

    def __call__(self, x: Array) -> Array:
        """The filtered design, (m,)."""
        require_length(x, self.weights.shape[0], "DensityFilter")
        return np.asarray(self.weights @ x)

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """The transposed average of p̄, (m,)."""
        return np.asarray(self._transpose @ p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """The average of ẋ, (m,)."""
        return np.asarray(self.weights @ x_dot)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)


@dataclass(frozen=True, eq=False)
class HelmholtzFilter:
    """p = v⁻¹ Tᵀ K⁻¹ T x, where K discretizes −R²∇² + 1 with natural boundary conditions.

    K: (n, n), symmetric positive definite, stiffness R²∫∇Nᵀ∇N plus mass ∫NᵀN. T: (n, m), T_ie = ∫_e N_i, from
    elements to nodes. volumes: v, (m,). R = r / (2√3) compares with a DensityFilter of radius r. One
    factorization for good, one solve for each application; a constant design stays as it is.

    Lazarov & Sigmund (2011), Int. J. Numer. Methods Eng. 86, 765.
    """

    K: SparseMatrix
    T: SparseMatrix
    volumes: Array

    @cached_property
    def _inverse(self) -> Factorization:
        return cholesky(self.K)

    def __call__(self, x: Array) -> Array:
        """The filtered design, (m,)."""
        require_length(x, self.T.shape[1], "HelmholtzFilter")
        return np.asarray(self.T.T @ self._inverse.solve(self.T @ x)) / self.volumes

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """(∂φ/∂x)ᵀ p̄ = Tᵀ K⁻¹ T v⁻¹ p̄, (m,)."""
        return np.asarray(self.T.T @ self._inverse.solve(self.T @ (p_bar / self.volumes), "T"))

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """φ(ẋ): the filter is linear."""
        return self(x_dot)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)
