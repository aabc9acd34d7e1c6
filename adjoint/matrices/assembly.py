"""Assembly of element vectors and matrices: f = Σ_e L_eᵀ f_e and A = Σ_e L_eᵀ K_e L_e."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_array
from ..typing import Array

LARGEST_GAP = 100
"""Largest ratio of the highest number of an unknown to the number of different unknowns.

The limit is this ratio plus ALWAYS_ACCEPTED: a few springs in a large model mention few of
its unknowns. A higher number is a mistake, and a matrix of that size would need gigabytes.
"""

ALWAYS_ACCEPTED = 10_000_000
"""Number of an unknown below which no ratio is required."""


@dataclass(frozen=True, eq=False)
class Assembly(Portable):
    """f = Σ_e L_eᵀ f_e and A = Σ_e L_eᵀ K_e L_e, for element vectors and matrices that change.

    The positions of all entries are computed once; after that an assembly is one sparse
    product, real or complex. Elements may be the elements of a mesh, the faces of
    finite volumes, or the branches of a network.

    Parameters
    ----------
    dofs : (n_e, k) array of int
        Global numbers of the k local unknowns of each element; −1 for a fixed unknown,
        which is left out. f is (n,) and A is (n, n), with n = dofs.max() + 1.

    Raises
    ------
    TypeError
        If dofs is not an array (n_e, k) of integers.
    ValueError
        If a number is below −1 or far above the number of unknowns; from the methods,
        if an array has another shape.
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
        """The matrix S with A.data = S K, and a matrix of ones on the pattern of A, (n, n).

        K, (n_e·k·k,), holds the entries of all K_e in C order; S is (nnz, n_e·k·k).
        """
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
        """The matrix with given entries.

        Parameters
        ----------
        data : (nnz,) array
            The entries, in the order of `pattern.data`.

        Returns
        -------
        (n, n) csc_array
            The matrix, on `pattern`.
        """
        A = sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )
        A.has_canonical_format = True  # By construction: SciPy need not test all entries.
        return A

    def matrix(self, Ke: Array) -> sparse.csc_array:
        """Σ_e L_eᵀ K_e L_e, always on the same pattern.

        Parameters
        ----------
        Ke : (n_e, k, k) array
            The element matrices.

        Returns
        -------
        (n, n) csc_array
            The assembled matrix.
        """
        _require("Ke", Ke, (*self.dofs.shape, self.dofs.shape[1]))
        return self.on_pattern(self.scatter[0] @ Ke.ravel())

    def vector(self, fe: Array) -> Array:
        """Σ_e L_eᵀ f_e.

        Parameters
        ----------
        fe : (n_e, k) array
            The element vectors.

        Returns
        -------
        (n,) array
            The assembled vector.
        """
        _require("fe", fe, self.dofs.shape)
        return np.asarray(self._sum @ fe.ravel())

    def gather(self, u: Array) -> Array:
        """L_e u of every element.

        Parameters
        ----------
        u : (n,) array
            A vector of unknowns.

        Returns
        -------
        (n_e, k) array
            The unknowns of each element; zero for fixed unknowns.
        """
        _require("u", u, (self.n,))
        return np.asarray(np.append(u, 0.0)[self.dofs])

    @cached_property
    def _sum(self) -> sparse.csr_array:
        """The matrix S, (n, n_e·k), with f = S · (the entries of all f_e, in C order)."""
        kept = np.flatnonzero(self.dofs >= 0)
        places = (self.dofs.ravel()[kept], kept)
        return sparse.csr_array((np.ones(kept.size), places), shape=(self.n, self.dofs.size))


def as_dofs(dofs: Array, what: str) -> Array:
    """Return dofs as an intp array (n_e, k).

    Raise TypeError unless dofs are integers (n_e, k), ValueError if a number is below −1 or
    too large (LARGEST_GAP), or if no unknown is free.
    """
    dofs = as_array(what, "dofs", dofs)
    if dofs.dtype.kind not in "iu" or dofs.ndim != 2 or dofs.size == 0:
        raise TypeError(
            f"{what}: got dofs of dtype {dofs.dtype}, shape {dofs.shape}; expected integers (n_e, "
            "k)"
        )
    if dofs.min() < -1 or dofs.max() < 0:
        raise ValueError(
            f"{what}: got dofs from {dofs.min()} to {dofs.max()}, expected numbers ≥ 0, or −1 for "
            "fixed"
        )
    used = np.unique(dofs[dofs >= 0])
    if used[-1] >= LARGEST_GAP * used.size + ALWAYS_ACCEPTED:
        raise ValueError(
            f"{what}: got dofs up to {used[-1]}, but only {used.size} different numbers; expected "
            "unknowns numbered from 0 on, with few gaps: np.unique(dofs, return_inverse=True) "
            "renumbers them"
        )
    return dofs.astype(np.intp)


def _require(name: str, values: Array, shape: tuple[int, ...]) -> None:
    found = as_array("Assembly", name, values).shape
    if found != shape:
        raise ValueError(f"Assembly: got {name} of shape {found}, expected {shape}")
