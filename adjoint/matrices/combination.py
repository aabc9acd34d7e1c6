"""Linear combinations of matrices, such as K(p) − ω² M(p)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._optional_methods import (
    checked_contraction,
    checked_contraction_rate,
    checked_matrix_hvp,
)
from .._validation import require_methods
from ..factor.csc import as_csc, owned
from ..protocols import Matrix
from ..typing import Array, SparseMatrix
from .affine import Constant
from .patterns import entries_on, places, union_of_patterns


@dataclass(frozen=True, eq=False)
class _Known:
    """The patterns of the terms, their union, and the positions of each term's entries in it."""

    patterns: list[sparse.csc_array]
    union: sparse.csc_array
    slots: list[Array]


@dataclass(eq=False)
class _Union:
    """A memory of the patterns of the terms at the last call, and of their union."""

    known: _Known | None = None

    def of(self, terms: list[sparse.csc_array]) -> _Known:
        """Return the patterns and their union, computed only if a pattern has changed."""
        known = self.known
        if known is None or not all(map(_same_pattern, known.patterns, terms)):
            union = union_of_patterns(terms)
            known = _Known(terms, union, [places(term, union) for term in terms])
            self.known = known  # One assignment: other threads may be reading.
        return known


def _same_pattern(A: sparse.csc_array, B: sparse.csc_array) -> bool:
    return np.array_equal(A.indptr, B.indptr) and np.array_equal(A.indices, B.indices)


@dataclass(frozen=True, eq=False)
class Combination(Portable):
    """A(p) = Σ_j c_j A_j(p) (docs/math/matrices_and_objectives.md, eq. 11).

    Parameters
    ----------
    terms : list of (number, Matrix or sparse matrix)
        Pairs (c_j, A_j): c_j real or complex, A_j a Matrix of p or a constant sparse
        matrix, all of one shape (n, n).

    Raises
    ------
    TypeError
        If an A_j is neither a Matrix nor a sparse matrix.
    ValueError
        If the terms are not pairs; from a call, if the shapes differ.
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
        """Return A(p), (n, n), on the union of the patterns."""
        # Copies: terms may return the same arrays.
        matrices = [owned(as_csc(A(p))) for _, A in self._pairs]
        if len({A.shape for A in matrices}) != 1:
            raise ValueError(
                f"Combination: got shapes {[A.shape for A in matrices]}, expected equal shapes"
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
        """Return the derivative of Σ_j λᴴ c_j A_j(p) u with respect to p, (m,)."""
        for _, A in self._pairs:
            require_methods("Combination", "terms", A, ("vjp",), "Matrix objects")
        return np.asarray(sum(A.vjp(p, u, np.conj(c) * lam) for c, A in self._pairs))

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return Σ_j c_j (∂A_j/∂p ṗ) u, of u's shape."""
        for _, A in self._pairs:
            require_methods("Combination", "terms", A, ("jvp",), "Matrix objects")
        return np.asarray(sum(c * A.jvp(p, u, p_dot) for c, A in self._pairs))

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the sum of the terms' `hvp` for conj(c_j) λ.

        Raise TypeError if a term has no `hvp`.
        """
        parts = [checked_matrix_hvp(A, p, u, np.conj(c) * lam, p_dot) for c, A in self._pairs]
        return np.asarray(sum(u_part for u_part, _ in parts)), np.asarray(
            sum(p_part for _, p_part in parts)
        )

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return the sum of the terms' contractions with conj(c_j) Ā, (m,).

        Raise TypeError if a term has no method `contract`.
        """
        return np.asarray(
            sum(checked_contraction(A, p, B) for A, B in self._term_cotangents(p, A_bar))
        )

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return the sum of the terms' `contract_rate` for conj(c_j) Ā, (m,).

        Raise TypeError if a term has no method `contract_rate`.
        """
        return np.asarray(
            sum(
                checked_contraction_rate(A, p, B, p_dot) for A, B in self._term_cotangents(p, A_bar)
            )
        )

    def _term_cotangents(
        self, p: Array, A_bar: sparse.csc_array
    ) -> list[tuple[Matrix, sparse.csc_array]]:
        """Return the terms A_j, each with conj(c_j) Ā on its pattern."""
        matrices = [owned(as_csc(A(p), "Combination: ")) for _, A in self._pairs]
        known = self._memory.of(matrices)
        data = entries_on(A_bar, known.union, "Combination")
        return [
            (
                A,
                sparse.csc_array(
                    (np.conj(c) * data[slots], value.indices, value.indptr), shape=value.shape
                ),
            )
            for (c, A), value, slots in zip(self._pairs, matrices, known.slots, strict=True)
        ]


def _is_pair(term: object) -> bool:
    """True if a term is a pair (c, A) with a number c."""
    if not (isinstance(term, tuple) and len(term) == 2) or isinstance(term[0], bool | str | bytes):
        return False
    return isinstance(term[0], int | float | complex | np.number)
