"""The matrices M − hγ ∂f/∂u of implicit stages, and their factors.

Small systems use LAPACK; large systems use a sparse factorizer. Solutions are not
verified here: the stage equations verify them, and in the reverse sweep refinement
verifies them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse
from scipy.linalg import lapack
from scipy.sparse import _sparsetools as kernels

from ...errors import SingularMatrix
from ...factor.backward_error import require_symmetric
from ...factor.counts import owed
from ...factor.factorization import Factorization, Factorizer
from ...factor.factorizers import factored
from ...typing import Array, SparseMatrix, Trans

SMALL = 64
"""Largest number of unknowns for which matrices are dense.

A LAPACK solve with three unknowns takes 0.5 µs, which a call of SuperLU takes with
none.
"""


_STAGE = (
    "the matrix M - h gamma J of a step is singular. Usual causes: a DAE of higher index, an "
    "unknown that no equation determines, a wrong jacobian"
)


_MASS = (
    "the mass matrix is singular. Usual causes: an algebraic equation; with rows and columns of "
    "zeros an implicit method takes the problem as a DAE"
)


class Inverse(Protocol):
    """Protocol for the factors of a matrix of one step."""

    @property
    def nbytes(self) -> int:
        """The bytes of the factors, estimated."""

    def solve(self, b: Array, trans: Trans) -> Array:
        """The solution of the system with right-hand side b, (n,) or (n, j)."""


@dataclass(frozen=True, eq=False)
class PatternUnion:
    """The pattern of M − hγ J for one pattern of J.

    indices, indptr: the pattern, by columns. mass: the entries of M in the pattern.
    places: the positions of the entries of J in the pattern. of_jacobian: (indices,
    indptr) of J.
    """

    indices: Array
    indptr: Array
    mass: Array
    places: Array
    of_jacobian: tuple[Array, Array]

    @classmethod
    def of(cls, J: sparse.csc_array, M: sparse.csc_array) -> "PatternUnion":
        """The union of two canonical patterns."""
        n = J.shape[0]
        ones = [
            sparse.csc_array((np.ones(A.nnz), A.indices, A.indptr), shape=A.shape) for A in (J, M)
        ]
        union = sparse.csc_array(ones[0] + ones[1])
        union.sort_indices()
        keys = np.repeat(np.arange(n, dtype=np.int64), np.diff(union.indptr)) * n + union.indices
        places = [
            np.searchsorted(
                keys, np.repeat(np.arange(n, dtype=np.int64), np.diff(A.indptr)) * n + A.indices
            )
            for A in (J, M)
        ]
        mass = np.zeros(union.nnz, dtype=M.dtype)
        mass[places[1]] = M.data
        return cls(
            union.indices, union.indptr, mass, places[0], (J.indices.copy(), J.indptr.copy())
        )

    def matches(self, J: sparse.csc_array) -> bool:
        """True if J has the pattern for which the union was made."""
        indices, indptr = self.of_jacobian
        return (
            indices.size == J.indices.size
            and np.array_equal(indptr, J.indptr)
            and np.array_equal(indices, J.indices)
        )

    def combined(self, J: sparse.csc_array, hg: complex) -> sparse.csc_array:
        """M − hγ J."""
        data = self.mass.astype(np.result_type(self.mass, J.data, hg))
        data[self.places] -= hg * J.data
        A = sparse.csc_array((data, self.indices, self.indptr), shape=J.shape)
        A.has_canonical_format = True
        return A


@dataclass(eq=False)
class Algebra:
    """M, and the factors of M − hγ J: dense for small systems, otherwise sparse.

    mass: (n, n), a dense array for small systems, a csc_array for large systems; None
    for the identity. factorize: factorizer of sparse matrices. iterative: True if
    `factorize` is a Krylov method. is_complex: True if states are complex.

    Remembers the union of the patterns of M and of the last J.
    """

    n: int
    mass: Array | sparse.csc_array | None
    factorize: Factorizer
    iterative: bool
    is_complex: bool
    _union: PatternUnion | None = field(default=None, init=False, repr=False)

    @property
    def dense(self) -> bool:
        """True if matrices are dense arrays."""
        return self.n <= SMALL

    def jacobian(self, J: Array | SparseMatrix) -> Array | sparse.csc_array:
        """The result of the user's `jacobian`, dense or csc.

        Raises TypeError if the result is not a matrix of numbers, or is complex for
        real u and p; ValueError if its shape is wrong.
        """
        if not (isinstance(J, np.ndarray) or sparse.issparse(J)):
            raise TypeError(
                f"the jacobian of the field is a {type(J).__name__}, expected a csc_array or an "
                "array"
            )
        if J.dtype.kind not in "fiu" and not (J.dtype.kind == "c" and self.is_complex):
            raise TypeError(
                f"the jacobian of the field has dtype {J.dtype}, expected float64 for real u and p"
            )
        if J.shape != (self.n, self.n):
            raise ValueError(
                f"the jacobian of the field has shape {J.shape}, expected {(self.n, self.n)}"
            )
        if self.dense:
            # np.asarray, because np.matrix is an instance of np.ndarray too.
            return np.asarray(J if isinstance(J, np.ndarray) else J.toarray())
        if isinstance(J, sparse.csc_array) and J.has_canonical_format:
            return J
        J = sparse.csc_array(J, copy=True)  # A copy: the user's arrays must not be sorted in place.
        J.sum_duplicates()
        return J

    def inverse(self, J: Array | sparse.csc_array, hg: float) -> Inverse:
        """The factors of M − hγ J.

        Raises SingularMatrix if the matrix is singular, NonFinite if an entry is nan or
        inf.
        """
        if isinstance(J, np.ndarray):
            A = np.multiply(J, -hg, order="C")  # C order, whatever the order of the user's array.
            if self.mass is None:
                A.reshape(-1)[:: self.n + 1] += 1.0
            else:
                A = np.add(A, self.mass, order="C")
            return dense_inverse(A, "M - h gamma J")
        return self.sparse_inverse(J, hg)

    def sparse_inverse(self, J: sparse.csc_array, hg: complex) -> "SparseInverse":
        """The factors of M − hγ J for a sparse J.

        Raises SingularMatrix if the matrix is singular, NonFinite if an entry is nan or
        inf, NotSymmetric if the factorizer needs a symmetric matrix and this one is
        not.
        """
        return self.factored(self.combined(J, hg))

    def factored(self, A: sparse.csc_array) -> "SparseInverse":
        """The factors of a sparse matrix; only solves by a Krylov method are verified.

        Raises the errors of `sparse_inverse`.
        """
        return self._sparse(A, self.iterative, _STAGE)

    def _sparse(self, A: sparse.csc_array, careful: bool, singular: str) -> "SparseInverse":
        """The factors of a sparse matrix; singular: the text of a SingularMatrix error."""
        try:
            factorization = factored(self.factorize, A)
        except SingularMatrix:  # Its message names causes in statics.
            raise SingularMatrix(f"{singular} ({A.shape[0]}x{A.shape[0]})") from None
        # Newton's method converges with the factors of a wrong matrix too, but transposed
        # solves would be wrong.
        require_symmetric(A, factorization.symmetry, factorization.name)
        return SparseInverse(factorization, careful)

    def combined(self, J: sparse.csc_array, hg: complex) -> sparse.csc_array:
        """M − hγ J, canonical, on the union of both patterns."""
        union = self._union
        if union is None or not union.matches(J):
            M = (
                self.mass
                if self.mass is not None
                else sparse.csc_array(sparse.eye_array(self.n, format="csc"))
            )
            self._union = union = PatternUnion.of(J, sparse.csc_array(M))
        return union.combined(J, hg)

    def mass_inverse(self) -> Inverse | None:
        """The factors of M, None for the identity; raises SingularMatrix if M is singular."""
        if self.mass is None:
            return None
        if isinstance(self.mass, np.ndarray):
            return dense_inverse(np.array(self.mass, order="C"), "the mass matrix")
        return self._sparse(self.mass, True, _MASS)  # Verified: no iteration follows.


@dataclass(frozen=True, eq=False)
class SingleStage:
    """The matrix M − hγ J of one stage; J: (n, n) at the stage, hg: hγ."""

    algebra: Algebra
    J: Array | sparse.csc_array
    hg: float

    @property
    def dense(self) -> bool:
        """True if J is a dense array."""
        return isinstance(self.J, np.ndarray)

    def product(self, v: Array, trans: Trans) -> Array:
        """(M − hγ J) v, or (M − hγ J)ᴴ v; v: (n,) or (n, j)."""
        assert not isinstance(self.J, np.ndarray)
        M = self.algebra.mass
        Mv = v.copy() if M is None else add_product(M, v, trans, np.zeros_like(v))
        return add_product(self.J, -self.hg * v, trans, Mv)

    def inverse(self) -> Inverse:
        """The factors of M − hγ J.

        Raises SingularMatrix if the matrix is singular, NonFinite if an entry is nan or
        inf.
        """
        return self.algebra.inverse(self.J, self.hg)


@dataclass(frozen=True, eq=False)
class DenseInverse:
    """LU factors of Aᵀ: LAPACK reads a C-ordered A as Aᵀ, so that no copy is needed."""

    factors: Array
    pivots: Array
    getrs: Callable[..., tuple[Array, int]]

    @property
    def nbytes(self) -> int:
        """The bytes of the factors: 8 n² if real, 16 n² if complex."""
        return self.factors.nbytes

    def solve(self, b: Array, trans: Trans) -> Array:
        """A⁻¹ b, A⁻ᵀ b or A⁻ᴴ b."""
        work, getrs, factors, pivots = owed.work, self.getrs, self.factors, self.pivots
        work[0] += 1
        work[1] += trans != "N"
        work[2] += 1 if b.ndim == 1 else b.shape[1]
        transposed = int(trans == "N")  # The factors are those of the transpose.
        if factors.dtype.kind == "f":
            if b.dtype.kind != "c":
                return getrs(factors, pivots, b, transposed)[0]
            parts = (
                getrs(factors, pivots, np.array(part), transposed)[0] for part in (b.real, b.imag)
            )
            return next(parts) + 1j * next(parts)
        if trans == "H":
            return getrs(factors, pivots, b.conj(), transposed)[0].conj()
        return getrs(factors, pivots, b, transposed)[0]


def dense_inverse(A: Array, what: str) -> DenseInverse:
    """The LU factors of a C-ordered A (n, n), which is overwritten.

    what: the name of the matrix in the error. Raises SingularMatrix if a pivot is zero.
    """
    owed.work[3] += 1
    if A.dtype.kind == "c":
        factors, pivots, info = lapack.zgetrf(A.T, overwrite_a=1)
        getrs = lapack.zgetrs
    else:
        factors, pivots, info = lapack.dgetrf(A.T, overwrite_a=1)
        getrs = lapack.dgetrs
    if info:
        raise SingularMatrix(
            f"{what} ({A.shape[0]}x{A.shape[0]}) is singular: pivot {info - 1} is zero"
        )
    return DenseInverse(factors, pivots, getrs)


@dataclass(frozen=True, eq=False)
class SparseInverse:
    """Sparse factors; careful: True if each solve is verified (Krylov methods, factors of M)."""

    factorization: Factorization
    careful: bool

    @cached_property
    def nbytes(self) -> int:
        """The bytes of the factors, estimated as for a 2-D grid.

        With nested dissection, L and U then have 8 n log₂ n entries.
        """
        n = self.factorization.A.shape[0]
        return int(12 * max(2 * self.factorization.A.nnz, 8 * n * np.log2(max(n, 2))))

    def solve(self, b: Array, trans: Trans) -> Array:
        """A⁻¹ b, A⁻ᵀ b or A⁻ᴴ b."""
        if self.careful:
            return self.verified(b, trans)
        return self.factorization.unverified(b, trans)

    def verified(self, b: Array, trans: Trans) -> Array:
        """`solve` with a test of the backward error.

        Raises InaccurateSolve if the backward error is too large, NotSymmetric if the
        cause is a matrix that is not symmetric.
        """
        return self.factorization.solve(b, trans)


def times(A: Array | sparse.csc_array | None, v: Array, trans: Trans) -> Array:
    """A v, or Aᴴ v; v: (n,) or (n, j); A: None for the identity."""
    if A is None:
        return v
    if isinstance(A, np.ndarray) and A.dtype.kind != "c":  # Few unknowns: `@` takes twice as long.
        return (A if trans == "N" else A.T).dot(v)
    if trans == "N":
        return np.asarray(A @ v)
    if A.dtype.kind == "c":
        return np.asarray((A.T @ v.conj()).conj())
    return np.asarray(A.T @ v)


def product(A: Array | sparse.csc_array, w: Array, trans: Trans) -> Array:
    """A w, or Aᴴ w; w: (n,) or (n, j). Three times as fast as `@` for a few thousand unknowns."""
    if isinstance(A, np.ndarray):
        return times(A, w, trans)
    if w.ndim == 2 and w.shape[1] == 1:
        return add_product(A, w[:, 0], trans, np.zeros_like(w[:, 0]))[:, None]
    return add_product(A, w, trans, np.zeros_like(w))


def add_product(A: sparse.csc_array, v: Array, trans: Trans, y: Array) -> Array:
    """Add A v, or Aᴴ v, to y, a C-ordered array; v: (n,) or (n, j). Returns y."""
    if v.ndim > 1 or not A.dtype == v.dtype == y.dtype:
        y += times(A, v, trans)
        return y
    data = A.data if trans == "N" or A.dtype.kind != "c" else A.data.conj()
    # The columns of A are the rows of Aᵀ.
    multiply = kernels.csc_matvec if trans == "N" else kernels.csr_matvec
    multiply(*A.shape, A.indptr, A.indices, data, v, y)
    return y
