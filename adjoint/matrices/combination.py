"""Linear combinations of matrices, such as K(p) − ω² M(p)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..residual import Matrix
from .patterns import places, union_of_patterns


@dataclass(eq=False)
class _Union:
    """The union of the terms' patterns, and where each term's entries stand in it."""

    patterns: list[sparse.csc_array] = field(default_factory=list)
    union: sparse.csc_array | None = None
    slots: list[Array] = field(default_factory=list)

    def of(self, terms: list[sparse.csc_array]) -> sparse.csc_array:
        """The union pattern; found anew only where a term's pattern is another than last time."""
        if self.union is None or not all(map(_same_pattern, self.patterns, terms)):
            self.union = union_of_patterns(terms)
            self.slots = [places(term, self.union) for term in terms]
            self.patterns = terms
        return self.union


def _same_pattern(A: sparse.csc_array, B: sparse.csc_array) -> bool:
    return np.array_equal(A.indptr, B.indptr) and np.array_equal(A.indices, B.indices)


@dataclass(frozen=True, eq=False)
class Combination:
    """A(p) = Σ_j c_j A_j(p).

    terms: pairs (c_j, A_j), c_j a real or complex number, A_j a Matrix; all A_j of one shape, of the same p.
    Raises ValueError from `__call__` where the shapes differ.
    """

    terms: Sequence[tuple[complex, Matrix]]
    _memory: _Union = field(default_factory=_Union)

    def __call__(self, p: Array) -> sparse.csc_array:
        """A(p), (n, n), on the union of the patterns."""
        matrices = [A(p) for _, A in self.terms]
        if len({A.shape for A in matrices}) != 1:
            raise ValueError(f"Combination: got shapes {[A.shape for A in matrices]}, expected all the same")
        union = self._memory.of(matrices)
        coefficients = [c for c, _ in self.terms]
        data = np.zeros(union.nnz, dtype=np.result_type(*coefficients, *(A.dtype for A in matrices), float))
        for c, A, slots in zip(coefficients, matrices, self._memory.slots, strict=True):
            data[slots] += c * A.data
        return sparse.csc_array((data, union.indices, union.indptr), shape=union.shape)

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Σ_j of the terms' derivatives of λᴴ c_j A_j(p) u, (m,)."""
        return np.asarray(sum(A.vjp(p, u, np.conj(c) * lam) for c, A in self.terms))

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Σ_j c_j (∂A_j/∂p ṗ) u, of u's shape."""
        return np.asarray(sum(c * A.jvp(p, u, p_dot) for c, A in self.terms))
