"""Factors of one matrix by Pardiso: solves, pivots, and a bound of the condition number."""

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ....errors import SolveError
from ....typing import Array, Trans
from ...csc import columns_of
from ..equilibration import Scaling
from .mkl import Handle, Pattern, library

LIMIT = np.iinfo(np.int32).max
"""Number of entries that the 32-bit integers of Pardiso can number."""

GROWTH = 1e6
"""max |pivot| / max |a_ij| above which too many digits are lost: the matching of rows
and columns was made for other values."""

SLIGHT = 1e-8
"""Smallest pivot of a symmetric matrix, relative to the largest entry, below which a
forward substitution with a random vector is made as well."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The entries of A.data that Pardiso gets: all (read as CSR of Aᵀ), or the lower triangle.

    gather: indices into A.data. absent: indices of diagonal entries that Pardiso needs
    and A does not store.
    """

    pattern: Pattern
    gather: Array | slice
    absent: Array

    @classmethod
    def of(cls, A: sparse.csc_array, mtype: int) -> "Layout":
        n = A.shape[0]
        if A.nnz + n > LIMIT:
            raise SolveError(
                f"got a matrix of {A.nnz} entries, and Pardiso's 32-bit integers number {LIMIT}: "
                "use adjoint.cg or adjoint.gmres"
            )
        nothing = np.empty(0, dtype=np.int64)
        if mtype in (11, 13):
            return cls(
                Pattern(mtype, A.indptr.astype(np.int32), A.indices.astype(np.int32)),
                slice(None),
                nothing,
            )
        columns = columns_of(A)
        gather = np.flatnonzero(A.indices >= columns)
        rows, columns = A.indices[gather], columns[gather]
        missing_diagonal = np.setdiff1d(np.arange(n), rows[rows == columns], assume_unique=True)
        where = np.searchsorted(columns, missing_diagonal)
        sizes = np.bincount(np.insert(columns, where, missing_diagonal), minlength=n)
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        indices = np.insert(rows, where, missing_diagonal).astype(np.int32)
        absent = where + np.arange(where.size)
        return cls(Pattern(mtype, indptr, indices), np.insert(gather, where, 0), absent)

    def values(self, data: Array) -> Array:
        """Return the values of the entries that Pardiso gets; data: A.data, (nnz,)."""
        taken = np.ascontiguousarray(data[self.gather])
        if self.absent.size:
            taken[self.absent] = 0.0
        return taken


@dataclass(frozen=True, eq=False)
class PardisoFactors:
    """The factors of R A C in one slot of a handle. The slot is freed with this object.

    perturbed: number of pivots that were replaced. values: entries of R A C, needed by
    MKL for refinement if pivots were replaced. (For n = 1 MKL always reads the values,
    and crashes if the values are missing.) scaled: True if MKL has scaled R A C again, so that
    the pivots are those of another matrix.
    """

    backend: str
    name: str
    handle: Handle
    slot: int
    perturbed: int
    values: Array
    scaling: Scaling
    dtype: "np.dtype[np.generic]"
    scaled: bool = False

    def __post_init__(self) -> None:
        weakref.finalize(self, self.handle.drop, self.slot).atexit = False

    def solve(self, b: Array, trans: Trans) -> Array:
        if trans == "H" and self.dtype.kind == "c":
            return self.solve(b.conj(), "T").conj()
        before, after = self.scaling if trans == "N" else self.scaling[::-1]
        if before is not None:
            b = b * before[:, None]
        # Pardiso holds Aᵀ. form 2 solves with its transpose, A.
        form = 2 if trans == "N" and self.handle.pattern.mtype != 6 else 0
        refinements = 2 if self.perturbed else 0
        u = self.handle.solve(self.slot, form, refinements, self.values, np.asfortranarray(b))
        return u if after is None else u * after[:, None]

    @property
    def doubt(self) -> float:
        """See `StaticPivoting.doubt`. 0 for definite matrices; inf if MKL has scaled A."""
        if self.handle.pattern.mtype in (2, 4):
            return 0.0
        if self.scaled:
            return np.inf
        largest, _, most = self._range
        with np.errstate(all="ignore"):
            growth = float(most / np.maximum(largest, np.finfo(float).tiny))
        return growth if self.perturbed or not growth <= GROWTH else 0.0

    @property
    def grown(self) -> float:
        """max|pivot| / max|a_ij|; nan for a matrix of zeros."""
        largest, _, most = self._range
        with np.errstate(all="ignore"):
            return float(np.float64(most) / largest)

    @cached_property
    def _range(self) -> tuple[float, float, float]:
        """The largest absolute entry of R A C, the smallest and the largest |pivot|."""
        pivots = self.pivots()
        return float(np.abs(self.values).max()), float(pivots.min()), float(pivots.max())

    def growth(self, s: Array, r: Array, trans: Trans) -> float:
        """See `ConditionEstimate.growth`.

        Pardiso's factors have this method, because a solve with two columns takes up to
        five times as long as a solve with one column.

        In 2-D a solve takes 1/6 of the time of a symmetric factorization. Therefore, if
        all pivots are large enough, the bound is computed from the pivots, without a
        solve.
        """
        largest, least, most = self._range
        # A random vector may miss a loose part; the pivot of the loose part, zero up to
        # rounding, or replaced, is always visible. If pivots have grown, small ones are
        # compared with the largest pivot, because they have lost as many digits.
        shown = max(largest, most) / least if least > 0.0 else np.inf
        if self.handle.pattern.mtype in (11, 13):
            before = self.scaling[0] if trans == "N" else self.scaling[1]
            # Pardiso factors Aᵀ: transposed solves begin with U, others end with U.
            phase, form = (331, 2) if trans == "N" else (333, 0)
            w = self._part(phase, form, s if before is None else s * before[:, None])
            return max(shown, float(np.abs(w).max()))
        # A pivot of a singular matrix is zero up to rounding, and rounding grows with
        # the pivots.
        if not self.perturbed and shown <= 1.0 / SLIGHT and most <= GROWTH * largest:
            return shown
        # The largest term, because a mean over all unknowns would hide a small loose
        # part.
        w = self._part(331, 0, r)
        z = self._part(332, 0, w)
        return max(shown, float(np.abs(w * z).max()) * largest)

    def _part(self, phase: int, form: int, b: Array) -> Array:
        return self.handle.part(
            phase, self.slot, form, self.values, np.asfortranarray(b, dtype=self.dtype)
        )

    def pivots(self) -> Array:
        """The absolute values of the pivots, (n,)."""
        return np.abs(self.handle.diagonal(self.slot, self.dtype))

    def log_abs_det(self) -> float:
        if self.scaled:
            raise SolveError(
                f"{self.name}: log|det A| is not known, because MKL had to scale A and does not "
                "return the factors of the scaling (solutions are refined and verified all the "
                "same). Use adjoint.factor.superlu or superlu_ldl: they pivot fully."
            )
        if self.perturbed:
            raise SolveError(
                f"{self.name}: log|det A| is not known, because Pardiso perturbed {self.perturbed} "
                "pivots (solutions are refined and verified all the same). Use "
                "adjoint.factor.superlu or superlu_ldl: they pivot fully."
            )
        scaling = sum(float(np.log(s).sum()) for s in self.scaling if s is not None)
        return float(np.log(self.pivots()).sum()) - scaling


def factored(
    handle: Handle,
    slot: int,
    A: sparse.csc_array,
    values: Array,
    scaling: Scaling,
    name: str,
    scaled: bool = False,
) -> PardisoFactors:
    """Factor the matrix with the given values; the factors go into a reserved slot of a handle."""
    perturbed = handle.factor(slot, values, name)
    return PardisoFactors(
        library().name, name, handle, slot, perturbed, values, scaling, A.dtype, scaled
    )
