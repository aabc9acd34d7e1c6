"""Right-hand sides b(p): constant and affine."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._validation import as_array, cotangent, require_length
from ..typing import Array, SparseMatrix


@dataclass(frozen=True, eq=False)
class ConstantVector:
    """b(p) = b: a vector that does not depend on p.

    Parameters
    ----------
    value : (n,) or (n, k) array
        b; columns are load cases.

    Raises
    ------
    TypeError, ValueError, NonFinite
        If the value is not an array (n,) or (n, k) of finite numbers.
    """

    value: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        b = as_array("ConstantVector", "value", self.value)
        if b.dtype.kind not in "fciu":
            raise TypeError(f"got a vector of dtype {b.dtype}, expected float64 or complex128")
        if b.ndim not in (1, 2) or b.shape[0] == 0:
            raise ValueError(f"got a vector of shape {b.shape}, expected (n,) or (n, k)")
        object.__setattr__(
            self, "value", b.astype(complex if b.dtype.kind == "c" else float, copy=False)
        )

    def __call__(self, p: Array) -> Array:
        """Return b."""
        return self.value

    def vjp(self, p: Array, lam: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """Return zeros, of b's shape."""
        return np.zeros_like(self.value)

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)


@dataclass(frozen=True, eq=False)
class AffineVector:
    """b(p) = b₀ + B p.

    Parameters
    ----------
    base : (n,) array
        b₀.
    slope : (n, m) sparse matrix or array
        B, in units of b per unit of p.

    Raises
    ------
    TypeError, ValueError, NonFinite
        If the arrays have other shapes, or contain anything but finite numbers.
    """

    base: Array
    slope: SparseMatrix | Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "base", as_array("AffineVector", "base", self.base))
        if not sparse.issparse(self.slope):
            object.__setattr__(self, "slope", as_array("AffineVector", "slope", self.slope))
        if np.ndim(self.base) != 1 or self.slope.ndim != 2 or self.slope.shape[0] != len(self.base):
            raise ValueError(
                f"AffineVector: got b₀ of shape {np.shape(self.base)} and B of shape "
                f"{self.slope.shape}, expected (n,) and (n, m)"
            )

    def __call__(self, p: Array) -> Array:
        """Return b(p), (n,)."""
        require_length(p, self.slope.shape[1], "AffineVector")
        return np.asarray(self.base + self.slope @ p)

    def vjp(self, p: Array, lam: Array) -> Array:
        """Return Bᴴ λ, (m,)."""
        return cotangent(np.asarray(self.slope.T @ lam.conj()), p)

    def jvp(self, p: Array, p_dot: Array) -> Array:
        """Return B ṗ, (n,)."""
        return np.asarray(self.slope @ p_dot)

    def hvp(self, p: Array, lam: Array, p_dot: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(p)
