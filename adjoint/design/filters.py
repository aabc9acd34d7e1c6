"""Filters that give a design a length scale: weighted averages, and the Helmholtz equation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.spatial import KDTree

from .._pickling import Portable
from .._repr import short_repr
from .._validation import as_reals, require_length, require_settings, shown
from ..factor.csc import SparseMatrix, as_csc
from ..factor.factorization import Factorization
from ..factor.factorizers import cholesky
from ..protocols import DesignMap
from ..typing import Array
from .maps import Composed, guarded


def cone_weights(centres: Array, radius: float) -> sparse.csr_array:
    """H_ij = max(0, r − |c_i − c_j|), (m, m). centres: (m, d); radius: r > 0, in the same unit of length.

    Raises ValueError for centres that are not finite coordinates, and for another radius.
    """
    centres = as_reals("DensityFilter", "centres", centres, 2, "finite coordinates (m, d)")
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


@guarded
@dataclass(frozen=True, eq=False)
class DensityFilter(Portable):
    """p_i = Σ_j H_ij v_j x_j / Σ_j H_ij v_j with H_ij = max(0, r − |c_i − c_j|) (docs/math.md, eq. 15).

    centres: (m, d) of the elements; radius: r, in the unit of the centres; at most a neighbour's distance
    leaves x as it is. volumes: v, (m,), None for equal ones. Memory: 12 bytes for each pair of neighbours.

    Bruns & Tortorelli (2001), Comput. Methods Appl. Mech. Eng. 190, 3443; Bourdin (2001).
    """

    centres: Array
    radius: float
    volumes: Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)

    @cached_property
    def _cone(self) -> tuple[sparse.csr_array, Array, Array]:
        """H, (m, m), symmetric; v; and Σ_j H_ij v_j, (m,)."""
        H = cone_weights(self.centres, self.radius)
        v = (
            np.ones(H.shape[0])
            if self.volumes is None
            else as_reals("DensityFilter", "volumes", self.volumes, 1, "positive ones (m,)")
        )
        require_length(v, H.shape[0], "DensityFilter volumes")
        if not np.all(v > 0.0):
            raise ValueError(f"DensityFilter: got a volume of {v.min()}, expected positive ones")
        return H, v, H @ v

    def __call__(self, x: Array) -> Array:
        """The filtered design, (m,)."""
        H, v, total = self._cone
        require_length(x, v.size, "DensityFilter")
        return np.asarray(H @ (v * x)) / total

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """The transposed average of p̄, (m,)."""
        H, v, total = self._cone
        return v * np.asarray(H @ (p_bar / total))

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """The average of ẋ, (m,)."""
        return self(x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Zero: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class ConvolutionFilter(Portable):
    """The density filter of a regular grid, by fast Fourier transforms: its cost does not grow with the radius.

    shape: of the densities as an array in C order, m = Π shape; spacing: edge lengths along its axes; radius: r, in
    their unit. Agrees with `DensityFilter` for equal volumes, to rounding.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    radius: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        shape = as_reals(
            "ConvolutionFilter", "shape", self.shape, 1, "the densities' shape, such as (60, 20)"
        )
        spacing = as_reals(
            "ConvolutionFilter",
            "spacing",
            self.spacing,
            1,
            "positive edge lengths, such as (1.0, 1.0)",
        )
        valid = shape.shape == spacing.shape and np.all(shape >= 1) and np.all(spacing > 0.0)
        if not np.all(shape == np.round(shape)):
            raise ValueError(f"ConvolutionFilter: got shape={self.shape}, expected integers")
        if not (valid and 0.0 < self.radius < np.inf):
            raise ValueError(
                f"ConvolutionFilter: got shape {self.shape}, spacing {self.spacing}, radius {self.radius}; expected "
                "as many lengths as axes, and all of them positive"
            )

    @cached_property
    def _transform(self) -> tuple[tuple[int, ...], Array, Array]:
        """The padded shape, the transform of the cone, and Σ_j H_ij."""
        reach = [
            min(int(np.ceil(self.radius / h)), n)
            for h, n in zip(self.spacing, self.shape, strict=True)
        ]
        padded = tuple(
            next_fast_len(n + k, real=True) for n, k in zip(self.shape, reach, strict=True)
        )
        # Offsets as a cyclic convolution sees them: 0, 1, …, −2, −1.
        offsets = [
            h * np.fft.fftfreq(n, 1.0 / n) for h, n in zip(self.spacing, padded, strict=True)
        ]
        distance = np.sqrt(
            sum(axis**2 for axis in np.meshgrid(*offsets, indexing="ij", sparse=True))
        )
        cone = rfftn(np.maximum(0.0, self.radius - distance))
        return padded, cone, self._convolved(np.ones(self.shape), padded, cone)

    def _convolved(self, x: Array, padded: tuple[int, ...], cone: Array) -> Array:
        if x.dtype.kind == "c":
            return self._convolved(x.real, padded, cone) + 1j * self._convolved(
                x.imag, padded, cone
            )
        inside = tuple(slice(0, n) for n in self.shape)
        return np.asarray(irfftn(rfftn(x, padded) * cone, padded)[inside])

    def __call__(self, x: Array) -> Array:
        """The filtered design, (m,)."""
        require_length(x, int(np.prod(self.shape)), "ConvolutionFilter")
        if x.dtype.kind == "c":
            return self(x.real) + 1j * self(x.imag)
        padded, cone, total = self._transform
        average = (self._convolved(x.reshape(self.shape), padded, cone) / total).ravel()
        # Rounding would make a void −10⁻¹⁷, of which Simp takes no fractional power.
        return np.clip(average, x.min(), x.max())

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """The transposed average of p̄, (m,)."""
        padded, cone, total = self._transform
        return self._convolved(p_bar.reshape(self.shape) / total, padded, cone).ravel()

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """The average of ẋ, (m,)."""
        return self(x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Zero: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class HelmholtzFilter(Portable):
    """p = v⁻¹ Tᵀ K⁻¹ T x, where K discretizes −R²∇² + 1 with natural boundary conditions (docs/math.md, eq. 16).

    K: (n, n), symmetric positive definite, stiffness R²∫∇Nᵀ∇N plus mass ∫NᵀN. T: (n, m), T_ie = ∫_e N_i, from
    elements to nodes. volumes: v, (m,). R = r / (2√3) compares with a DensityFilter of radius r. One
    factorization for good, one solve for each application; a constant design stays as it is.

    Lazarov & Sigmund (2011), Int. J. Numer. Methods Eng. 86, 765.
    """

    K: SparseMatrix
    T: SparseMatrix
    volumes: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        K, v = (
            as_csc(self.K, "HelmholtzFilter: K: "),
            as_reals("HelmholtzFilter", "volumes", self.volumes, 1, "(m,)"),
        )
        if not sparse.issparse(self.T):
            raise TypeError(
                f"HelmholtzFilter: got T={shown(self.T)}, expected a sparse matrix (n, m)"
            )
        if self.T.shape != (K.shape[0], v.size) or not np.all(v > 0.0):
            raise ValueError(
                f"HelmholtzFilter: got K {K.shape}, T {self.T.shape}, volumes {v.shape} from {v.min()} on; expected T "
                f"({K.shape[0]}, m), as K has rows, and v ({self.T.shape[1]},), all positive"
            )

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

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Zero: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)
