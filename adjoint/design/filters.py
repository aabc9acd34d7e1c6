"""Filters that give a design a length scale: weighted averages and the Helmholtz equation."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.spatial import KDTree

from .._dataclasses import Portable, short_repr
from .._validation import as_reals, require_length, require_settings, shown
from ..factor.csc import as_csc
from ..factor.factorization import Factorization
from ..factor.factorizers import cholesky
from ..protocols import DesignMap
from ..typing import Array, SparseMatrix
from .maps import Composed, guarded


def cone_weights(centres: Array, radius: float) -> sparse.csr_array:
    """Return H_ij = max(0, r − |c_i − c_j|), (m, m), for centres c (m, d) and a radius r.

    Raise ValueError unless the centres are finite and 0 < r < inf.
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
    """p_i = Σ_j H_ij v_j x_j / Σ_j H_ij v_j with H_ij = max(0, r − |c_i − c_j|).

    See docs/math/matrices_and_objectives.md, eq. 15.

    Parameters
    ----------
    centres : (m, d) array
        Centres c of the elements.
    radius : float
        r, in the unit of the centres. If r is at most the distance between
        neighbouring centres, then p = x.
    volumes : (m,) array, optional
        v; equal volumes by default.

    Raises
    ------
    TypeError, ValueError
        If the radius or a volume is not positive and finite, or if the numbers of centres
        and volumes differ. The arrays are checked at the first use.

    Notes
    -----
    The weights H take 12 bytes per pair of neighbours. `ConvolutionFilter` stores no
    weights.

    References
    ----------
    Bruns & Tortorelli (2001), Comput. Methods Appl. Mech. Eng. 190, 3443.
    Bourdin (2001), Int. J. Numer. Meth. Eng. 50, 2143.
    """

    centres: Array
    radius: float
    volumes: Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)

    @cached_property
    def _cone(self) -> tuple[sparse.csr_array, Array, Array]:
        """The weights H, (m, m), symmetric; the volumes v, (m,); the sums Σ_j H_ij v_j, (m,)."""
        H = cone_weights(self.centres, self.radius)
        v = (
            np.ones(H.shape[0])
            if self.volumes is None
            else as_reals("DensityFilter", "volumes", self.volumes, 1, "positive numbers (m,)")
        )
        require_length(v, H.shape[0], "DensityFilter volumes")
        if not np.all(v > 0.0):
            raise ValueError(f"DensityFilter: got a volume of {v.min()}, expected positive volumes")
        return H, v, H @ v

    def __call__(self, x: Array) -> Array:
        """Return the filtered design, (m,)."""
        H, v, total = self._cone
        require_length(x, v.size, "DensityFilter")
        return np.asarray(H @ (v * x)) / total

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return the transpose of the average, applied to p̄, (m,)."""
        H, v, total = self._cone
        return v * np.asarray(H @ (p_bar / total))

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return the average of ẋ, (m,)."""
        return self(x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return zeros: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class ConvolutionFilter(Portable):
    """The density filter on a regular grid, by fast Fourier transforms.

    Up to rounding, p equals the result of a `DensityFilter` with equal volumes. The
    cost does not depend on the radius.

    Parameters
    ----------
    shape : tuple of int
        Numbers of elements along the axes. x is an array of this shape in C order,
        flattened to (m,); m is the product of the numbers.
    spacing : tuple of float
        Edge lengths of an element along the axes.
    radius : float
        r, in the unit of the spacing.

    Raises
    ------
    TypeError, ValueError
        If a length is not positive and finite, or if `shape` and `spacing` have different
        numbers of axes.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    radius: float

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        shape = as_reals(
            "ConvolutionFilter", "shape", self.shape, 1, "numbers of elements, such as (60, 20)"
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
                f"ConvolutionFilter: got shape {self.shape}, spacing {self.spacing}, radius "
                f"{self.radius}; expected one length per axis, all positive"
            )

    @cached_property
    def _transform(self) -> tuple[tuple[int, ...], Array, Array]:
        """The padded shape, the Fourier transform of the cone, and the sums Σ_j H_ij.

        The padding keeps the cyclic convolution from averaging over opposite edges.
        """
        # Numbers of elements within r along the axes.
        reach = [
            min(int(np.ceil(self.radius / h)), n)
            for h, n in zip(self.spacing, self.shape, strict=True)
        ]
        padded = tuple(
            next_fast_len(n + k, real=True) for n, k in zip(self.shape, reach, strict=True)
        )
        # Offsets in the order of a cyclic convolution: 0, 1, …, −2, −1.
        offsets = [
            h * np.fft.fftfreq(n, 1.0 / n) for h, n in zip(self.spacing, padded, strict=True)
        ]
        distance = np.sqrt(
            sum(axis**2 for axis in np.meshgrid(*offsets, indexing="ij", sparse=True))
        )
        cone = rfftn(np.maximum(0.0, self.radius - distance))
        return padded, cone, self._convolved(np.ones(self.shape), padded, cone)

    def _convolved(self, x: Array, padded: tuple[int, ...], cone: Array) -> Array:
        """Return Σ_j H_ij x_j; the result and x have the shape of the grid."""
        if x.dtype.kind == "c":
            return self._convolved(x.real, padded, cone) + 1j * self._convolved(
                x.imag, padded, cone
            )
        inside = tuple(slice(0, n) for n in self.shape)
        return np.asarray(irfftn(rfftn(x, padded) * cone, padded)[inside])

    def __call__(self, x: Array) -> Array:
        """Return the filtered design, (m,)."""
        require_length(x, int(np.prod(self.shape)), "ConvolutionFilter")
        if x.dtype.kind == "c":
            return self(x.real) + 1j * self(x.imag)
        padded, cone, total = self._transform
        average = (self._convolved(x.reshape(self.shape), padded, cone) / total).ravel()
        # Rounding may give −10⁻¹⁷ for a density of zero, and SIMP a fractional power of it: nan.
        return np.clip(average, x.min(), x.max())

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return the transpose of the average, applied to p̄, (m,)."""
        padded, cone, total = self._transform
        return self._convolved(p_bar.reshape(self.shape) / total, padded, cone).ravel()

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return the average of ẋ, (m,)."""
        return self(x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return zeros: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)


@guarded
@dataclass(frozen=True, eq=False)
class HelmholtzFilter(Portable):
    """p = v⁻¹ Tᵀ K⁻¹ T x, where K discretizes −R²∇² + 1 with natural boundary conditions.

    v is the diagonal matrix of the element volumes. K is factorized at the first use; each
    application is one solve. A constant design stays constant. The length scale of
    R = r / (2√3) is comparable to that of a `DensityFilter` of radius r.

    Parameters
    ----------
    K : (n, n) sparse matrix
        R² ∫ ∇Nᵀ ∇N + ∫ NᵀN with the shape functions N of the n nodes: symmetric positive
        definite.
    T : (n, m) sparse matrix
        T_ie = ∫_e N_i, from the m elements to the n nodes.
    volumes : (m,) array
        v, the volumes of the elements, all positive.

    Raises
    ------
    TypeError
        If K or T is not a sparse matrix.
    ValueError
        If the shapes do not match, or if a volume is not positive.

    References
    ----------
    Lazarov & Sigmund (2011), Int. J. Numer. Methods Eng. 86, 765.
    docs/math/matrices_and_objectives.md, eq. 16.
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
                f"HelmholtzFilter: got K {K.shape}, T {self.T.shape}, volumes {v.shape} with the "
                f"minimum {v.min()}; expected T ({K.shape[0]}, m), with the rows of K, and volumes "
                f"({self.T.shape[1]},), all positive"
            )

    @cached_property
    def _inverse(self) -> Factorization:
        return cholesky(self.K)

    def __call__(self, x: Array) -> Array:
        """Return the filtered design, (m,)."""
        require_length(x, self.T.shape[1], "HelmholtzFilter")
        return np.asarray(self.T.T @ self._inverse.solve(self.T @ x)) / self.volumes

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return Tᵀ K⁻¹ T v⁻¹ p̄, (m,)."""
        return np.asarray(self.T.T @ self._inverse.solve(self.T @ (p_bar / self.volumes), "T"))

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return the filtered ẋ, (m,): the filter is linear."""
        return self(x_dot)

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return zeros: the filter is linear."""
        return np.zeros_like(x)

    def __rshift__(self, then: DesignMap) -> Composed:
        return Composed(self, then)

    def __rrshift__(self, first: DesignMap) -> Composed:
        return Composed(first, self)
