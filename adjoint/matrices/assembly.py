"""Element vectors and matrices that change with the state: f = Σ_e L_eᵀ f_e and A = Σ_e L_eᵀ K_e L_e."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._pickling import Portable
from .._repr import short_repr
from .._validation import as_array
from ..typing import Array

SPARSEST, AFFORDABLE = 100, 10_000_000
"""Unknowns may be numbered up to 100 times as high as there are unknowns that elements mention, and 10⁷ more: a few
springs in a large model mention few. A number that is far beyond these is a slip, and would take gigabytes."""


@dataclass(frozen=True, eq=False)
class Assembly(Portable):
    """f = Σ_e L_eᵀ f_e and A = Σ_e L_eᵀ K_e L_e: where every entry of f_e and K_e goes, found once.

    dofs: (n_e, k) integers, the unknown that each local one is; −1 for a fixed one, which is dropped. f is (n,),
    A (n, n) with n = dofs.max() + 1. Elements may be those of a mesh, the faces of finite volumes, the branches of
    a network. An assembly is one sparse product; real or complex.

    Raises ValueError or TypeError for dofs that are no such numbers, and for arrays of another shape.
    """

    dofs: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        object.__setattr__(self, "dofs", as_dofs(self.dofs, "Assembly"))

    @cached_property
    def n(self) -> int:
        """The number of unknowns."""
        return int(self.dofs.max()) + 1

    @cached_property
    def scatter(self) -> tuple[sparse.csr_array, sparse.csc_array]:
        """S of ones with A.data = S K, K all entries of all K_e, and a matrix of ones on the pattern of A, (n, n)."""
        count, k = self.dofs.shape
        rows = np.broadcast_to(self.dofs[:, :, None], (count, k, k))
        columns = np.broadcast_to(self.dofs[:, None, :], (count, k, k))
        kept = np.flatnonzero((rows >= 0) & (columns >= 0))
        key = (columns * self.n + rows).ravel()[kept]
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        starts = np.append(first, key.size)
        scatter = sparse.csr_array(
            (np.ones(key.size), kept[order], starts), shape=(first.size, count * k * k)
        )
        entry_columns, entry_rows = np.divmod(key[first], self.n)
        indptr = np.searchsorted(entry_columns, np.arange(self.n + 1))
        pattern = sparse.csc_array(
            (np.ones(first.size), entry_rows, indptr), shape=(self.n, self.n)
        )
        return scatter, pattern

    @property
    def pattern(self) -> sparse.csc_array:
        """A matrix of ones on the pattern of A, (n, n)."""
        return self.scatter[1]

    def on_pattern(self, data: Array) -> sparse.csc_array:
        """The matrix with these entries, (nnz,), in the order of the pattern's data."""
        A = sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )
        A.has_canonical_format = (
            True  # Known from the construction; finding out costs a pass over A.
        )
        return A

    def matrix(self, Ke: Array) -> sparse.csc_array:
        """Σ_e L_eᵀ K_e L_e, (n, n), always on the same pattern; Ke: (n_e, k, k)."""
        _require("Ke", Ke, (*self.dofs.shape, self.dofs.shape[1]))
        return self.on_pattern(self.scatter[0] @ Ke.ravel())

    def vector(self, fe: Array) -> Array:
        """Σ_e L_eᵀ f_e, (n,); fe: (n_e, k)."""
        _require("fe", fe, self.dofs.shape)
        return np.asarray(self._sum @ fe.ravel())

    def gather(self, u: Array) -> Array:
        """L_e u of every element, (n_e, k), with zeros for fixed unknowns; u: (n,)."""
        _require("u", u, (self.n,))
        return np.asarray(np.append(u, 0.0)[self.dofs])

    @cached_property
    def _sum(self) -> sparse.csr_array:
        """S of ones with f = S (all entries of all f_e), (n, n_e · k)."""
        kept = np.flatnonzero(self.dofs >= 0)
        places = (self.dofs.ravel()[kept], kept)
        return sparse.csr_array((np.ones(kept.size), places), shape=(self.n, self.dofs.size))


def as_dofs(dofs: Array, what: str) -> Array:
    """The unknowns of the elements of `what`, (n_e, k), as intp; raises TypeError or ValueError for other arrays."""
    dofs = as_array(what, "dofs", dofs)
    if dofs.dtype.kind not in "iu" or dofs.ndim != 2 or dofs.size == 0:
        raise TypeError(
            f"{what}: got dofs of dtype {dofs.dtype}, shape {dofs.shape}; expected integers (n_e, k)"
        )
    if dofs.min() < -1 or dofs.max() < 0:
        raise ValueError(
            f"{what}: got dofs from {dofs.min()} to {dofs.max()}, expected numbers ≥ 0, or −1 for fixed"
        )
    used = np.unique(dofs[dofs >= 0])
    if used[-1] >= SPARSEST * used.size + AFFORDABLE:
        raise ValueError(
            f"{what}: got dofs up to {used[-1]}, and only {used.size} different ones below; expected unknowns numbered "
            "from 0 on, with few gaps: np.unique(dofs, return_inverse=True) numbers them anew"
        )
    return dofs.astype(np.intp)


def _require(name: str, values: Array, shape: tuple[int, ...]) -> None:
    found = as_array("Assembly", name, values).shape
    if found != shape:
        raise ValueError(f"Assembly: got {name} of shape {found}, expected {shape}")
