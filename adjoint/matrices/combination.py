"""Linear combinations of matrices, such as K(p) − ω² M(p)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._optional_methods import of_matrix
from .._pickling import Portable
from .._repr import short_repr
from .._validation import require_methods
from ..factor.csc import SparseMatrix, as_csc, owned
from ..protocols import Matrix
from ..typing import Array
from .affine import Constant
from .patterns import places, union_of_patterns


@dataclass(frozen=True, eq=False)
class _Known:
    """The terms' patterns, their union, and where each term's entries stand in it."""

    patterns: list[sparse.csc_array]
    union: sparse.csc_array
    slots: list[Array]


@dataclass(eq=False)
class _Union:
    """The union of the patterns that the terms had last."""

    known: _Known | None = None

    def of(self, terms: list[sparse.csc_array]) -> _Known:
        """The union pattern; found anew only where a term's pattern is another than last time."""
        known = self.known
        if known is None or not all(map(_same_pattern, known.patterns, terms)):
            union = union_of_patterns(terms)
            known = _Known(terms, union, [places(term, union) for term in terms])
            self.known = known  # All at once: other threads may be reading.
        return known


def _same_pattern(A: sparse.csc_array, B: sparse.csc_array) -> bool:
    return np.array_equal(A.indptr, B.indptr) and np.array_equal(A.indices, B.indices)


@dataclass(frozen=True, eq=False)
class Combination(Portable):
    """A(p) = Σ_j c_j A_j(p) (docs/math.md, eq. 11).

    terms: pairs (c_j, A_j), c_j a real or complex number, A_j a Matrix or a constant sparse matrix; all A_j of one
    shape, of the same p. Raises ValueError where they are no pairs, and from `__call__` where the shapes differ.
    """

    terms: Sequence[tuple[complex, Matrix | SparseMatrix]]
    _memory: _Union = field(default_factory=_Union, init=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if (
            not isinstance(self.terms, list | tuple)
            or not self.terms
            or not all(map(_is_pair, self.terms))
        ):
            raise ValueError(
                "Combination: terms: expected a list of pairs, [(1.0, K), (-omega**2, M)]"
            )
        for c, A in self.terms:
            if not np.isfinite(c):
                raise ValueError(
                    f"Combination: terms: got a coefficient of {c}, expected finite numbers"
                )
            if not sparse.issparse(A):
                require_methods(
                    "Combination", "terms", A, ("__call__",), "Matrix objects or sparse matrices"
                )

    @cached_property
    def _pairs(self) -> list[tuple[complex, Matrix]]:
        return [(c, A if callable(A) else Constant(A)) for c, A in self.terms]

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), (n, n), on the union of the patterns."""
        matrices = [
            owned(as_csc(A(p))) for _, A in self._pairs
        ]  # Terms may share the arrays that they fill.
        if len({A.shape for A in matrices}) != 1:
            raise ValueError(
                f"Combination: got shapes {[A.shape for A in matrices]}, expected all the same"
            )
        known = self._memory.of(matrices)
        union = known.union
        coefficients = [c for c, _ in self._pairs]
        data = np.zeros(
            union.nnz, dtype=np.result_type(*coefficients, *(A.dtype for A in matrices), float)
        )
        for c, A, slots in zip(coefficients, matrices, known.slots, strict=True):
            data[slots] += c * A.data
        return sparse.csc_array((data, union.indices, union.indptr), shape=union.shape)

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Σ_j of the terms' derivatives of λᴴ c_j A_j(p) u, (m,)."""
        for _, A in self._pairs:
            require_methods("Combination", "terms", A, ("vjp",), "Matrix objects")
        return np.asarray(sum(A.vjp(p, u, np.conj(c) * lam) for c, A in self._pairs))

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Σ_j c_j (∂A_j/∂p ṗ) u, of u's shape."""
        for _, A in self._pairs:
            require_methods("Combination", "terms", A, ("jvp",), "Matrix objects")
        return np.asarray(sum(c * A.jvp(p, u, p_dot) for c, A in self._pairs))

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """The terms' sums for conj(c_j) λ; raises TypeError for a term without `hvp`."""
        parts = [of_matrix(A, p, u, np.conj(c) * lam, p_dot) for c, A in self._pairs]
        return np.asarray(sum(u_part for u_part, _ in parts)), np.asarray(
            sum(p_part for _, p_part in parts)
        )


def _is_pair(term: object) -> bool:
    """Whether a term is (c, A) with a number c."""
    if not (isinstance(term, tuple) and len(term) == 2) or isinstance(term[0], bool | str | bytes):
        return False
    return isinstance(term[0], int | float | complex | np.number)
