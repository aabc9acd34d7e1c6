"""The Hessian matrix H = Q + Bᵀ W B on one pattern, and diag(B Z Bᵀ) from entries of Z there.

For each pair of entries of a row of B, the product B_ia B_ib is added to the entry (a, b)
of H with the weight W_i. These products are one sparse matrix P, (nnz of H, k): the
entries of BᵀWB are P w, and the diagonal of B Z Bᵀ is Pᵀ z, with the entries z of a
symmetric Z (docs/math/determinants.md, eqs. 434 and 435).
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ...factor.csc import columns_of
from ...matrices.patterns import places, union_of_patterns
from ...typing import Array

MAX_PAIRS = 50_000_000
"""Largest number of pairs of entries in the rows of B. A row of 7000 entries makes as many;
their products fill H."""


@dataclass(frozen=True, eq=False)
class Curvature:
    """The pattern of H for one pattern of Q and one B.

    q: the pattern of Q. pattern: the pattern of H. slots: the positions of the entries of
    Q among those of H, (nnz of Q,). products: P, (nnz of H, k).
    """

    q: sparse.csc_array
    pattern: sparse.csc_array
    slots: Array
    products: sparse.csc_array

    @classmethod
    def of(cls, Q: sparse.csc_array, B: sparse.csr_array) -> "Curvature":
        """Return the pattern of Q + BᵀWB; raise ValueError if a row of B has too many entries."""
        lengths = np.diff(B.indptr).astype(np.int64)
        pairs = int((lengths**2).sum())
        if pairs > MAX_PAIRS:
            row = int(np.argmax(lengths))
            raise ValueError(
                f"LatentGaussianModel: row {row} of B has {lengths[row]} entries; BᵀB would have "
                f"{pairs:.1e} products of entries, allowed are {MAX_PAIRS:.0e}. Expected few "
                "entries in each row: an average over many latent variables fills the Hessian "
                "matrix. Remedy: one more latent variable for the average, with a large precision"
            )
        row_of = np.repeat(np.arange(B.shape[0]), lengths)
        repeats = lengths[row_of]
        left = np.repeat(np.arange(B.nnz), repeats)
        place = np.arange(pairs) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        right = np.repeat(B.indptr[row_of].astype(np.int64), repeats) + place
        i, j = B.indices[left].astype(np.int64), B.indices[right].astype(np.int64)
        ones = sparse.coo_array((np.ones(pairs), (i, j)), shape=Q.shape).tocsc()
        pattern = union_of_patterns([Q, ones])
        keys = columns_of(pattern).astype(np.int64) * Q.shape[0] + pattern.indices
        products = sparse.csc_array(
            (
                B.data[left] * B.data[right],
                (np.searchsorted(keys, j * Q.shape[0] + i), row_of[left]),
            ),
            shape=(pattern.nnz, B.shape[0]),
        )
        return cls(Q, pattern, places(Q, pattern), products)

    def matches(self, Q: sparse.csc_array) -> bool:
        """True if Q has the pattern for which this object was made."""
        return (
            Q.shape == self.q.shape
            and np.array_equal(Q.indptr, self.q.indptr)
            and np.array_equal(Q.indices, self.q.indices)
        )

    def hessian(self, Q: sparse.csc_array, w: Array) -> sparse.csc_array:
        """Return Q + BᵀWB with W = diag(w), (n, n)."""
        data = np.asarray(self.products @ w)
        data[self.slots] += Q.data
        H = sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )
        H.has_canonical_format = True
        return H

    def observed_diagonal(self, Z: sparse.csc_array) -> Array:
        """Return diag(B Z Bᵀ), (k,), from a symmetric Z on the pattern of H."""
        return np.asarray(self.products.T @ Z.data)

    def on_precision(self, Z: sparse.csc_array) -> Array:
        """Return the entries of Z, on the pattern of H, that lie on the pattern of Q."""
        return np.asarray(Z.data[self.slots])


@dataclass(eq=False)
class CurvatureMemory:
    """A memory of the pattern of H for the last pattern of Q."""

    known: Curvature | None = None

    def of(self, Q: sparse.csc_array, B: sparse.csr_array) -> Curvature:
        """Return the pattern of H, made only if the pattern of Q has changed."""
        known = self.known
        if known is None or not known.matches(Q):
            known = self.known = Curvature.of(Q, B)  # One assignment: other threads may read.
        return known
