"""The latent Gaussian model: a Gaussian field, its observation, and a likelihood."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..._dataclasses import short_repr
from ..._validation import as_array, first_nonfinite, require_methods
from ...errors import NonFinite
from ...matrices.affine import Constant
from ...matrices.vectors import ConstantVector
from ...protocols import Matrix, Vector
from ...typing import Array, SparseMatrix
from .likelihood import Likelihood, require_likelihood


@dataclass(frozen=True, eq=False)
class LatentGaussianModel:
    """u ~ N(m(p), Q(p)⁻¹), η = B u + o(p), and data y with log π(y | η, p) = Σ_i ℓ_i(η_i, p).

    The latent field u is Gaussian with a sparse precision matrix Q; the data are
    independent, given u. All parts take the same parameters p: `Part` and `PartVector`
    choose some of them (docs/math/determinants.md, eq. 430).

    Parameters
    ----------
    Q : Matrix, or (n, n) sparse matrix
        The precision matrix of u: symmetric positive definite, in units of 1/u². For
        gradients it needs the method `contract`, which the matrices of the library have.
    likelihood : Likelihood
        log π(y | η, p): `Poisson`, `Binomial`, `Gaussian`, or a class of your own.
    mean : Vector or (n,) array, optional
        m, in units of u; the default is zero.
    B : (k, n) sparse matrix, optional
        The observation matrix; the default is the identity: one observation of each
        latent variable, in order. Rows with several entries interpolate or average.
    offset : Vector or (k,) array, optional
        o, in units of η; the default is zero.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or lacks a method.
    ValueError, NonFinite
        If B is not a matrix of finite real numbers.
    """

    Q: Matrix | SparseMatrix
    likelihood: Likelihood
    mean: Vector | Array | None = None
    B: SparseMatrix | None = None
    offset: Vector | Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "LatentGaussianModel"
        if callable(self.Q):
            require_methods(who, "Q", self.Q, ("__call__", "vjp"), "a Matrix")
        else:
            object.__setattr__(self, "Q", Constant(self.Q))
        require_likelihood(who, "likelihood", self.likelihood)
        for name in ("mean", "offset"):
            value = getattr(self, name)
            if callable(value):
                require_methods(who, name, value, ("__call__", "vjp"), "a Vector")
            elif value is not None:
                object.__setattr__(self, name, ConstantVector(_vector(who, name, value)))
        if self.B is not None:
            object.__setattr__(self, "B", observation_matrix(who, self.B))


def _vector(who: str, name: str, value: object) -> Array:
    v = as_array(who, name, value)
    if v.ndim != 1 or v.dtype.kind not in "fiu":
        raise ValueError(
            f"{who}: got {name} of dtype {v.dtype}, shape {v.shape}; expected a real vector"
        )
    if bad := first_nonfinite(v):
        raise NonFinite(f"{who}: {name}[{bad[0]}] is {bad[1]}, expected finite numbers")
    return v.astype(float)


def observation_matrix(who: str, B: SparseMatrix | Array) -> sparse.csr_array:
    """Return B, (k, n), as a canonical csr_array of float64.

    Raise TypeError or ValueError unless B is a real matrix, NonFinite for nan and inf.
    """
    if not (isinstance(B, np.ndarray) or sparse.issparse(B)):
        raise TypeError(f"{who}: got B={type(B).__name__}, expected a sparse matrix (k, n)")
    if B.ndim != 2 or 0 in B.shape or B.dtype.kind not in "fiub":
        raise ValueError(
            f"{who}: got B of dtype {B.dtype}, shape {B.shape}; expected a real "
            "matrix (k, n) with k, n ≥ 1"
        )
    rows: sparse.csr_array = sparse.csr_array(B, dtype=float, copy=True)
    rows.sum_duplicates()
    if bad := first_nonfinite(rows.data):
        raise NonFinite(f"{who}: an entry of B is {bad[1]}, expected finite numbers")
    return rows
