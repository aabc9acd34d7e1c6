"""Selected inverse of a general matrix: nonsymmetric, symmetric indefinite, saddle point.

The factors of the solves are not read, because their pivots change with the values. A second
factorization, by SuperLU, keeps the pivots on the diagonal, so that the maps of a pattern are
kept. Each result is verified against solves with the first factors; where the verification
fails, pivots that are more stable are tried (docs/math/determinants.md, eqs. 270–279).
"""

import threading
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ...errors import InaccurateSolve, SelectedInverseTooLarge, singular
from ...typing import Array
from ..backward_error import equilibrate
from ..counts import phase
from ..csc import columns_of
from .certificate import VERIFIED, largest_error, violations
from .closed_pattern import ClosedPattern, closed_pattern
from .entries import SelectedEntries
from .factored import Factored
from .pivoting import lu_factors, matched_rows, sign_of, solve_error
from .unsymmetric import entries_of_inverse

STABLE = 1e-11
"""Backward error of a solve, without refinement, up to which an order of pivots is tried."""

GOOD = 1e-11
"""Error of the verified entries at which no further order of pivots is tried."""

ACCEPTED = 1e-6
"""Largest error of the verified entries that is accepted."""

FILL = 8.0
"""Largest number of entries of the closed pattern, relative to those of L and U."""

SMALL = 1 << 20
"""Number of entries up to which a closed pattern is never too large: 8 MB."""

THRESHOLD = 0.01
"""Least size of a pivot, relative to its column, where the diagonal is unstable."""

PATTERNS = 2
"""Number of patterns whose maps are kept."""


@dataclass(eq=False)
class _Memory:
    """The maps of the patterns that were used last, for all threads.

    An object has a memory: `patterns`, the last one first, each a tuple (indptr, indices,
    choice, maps).
    """

    patterns: list[tuple[Array, Array, str, ClosedPattern]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, A: sparse.csc_array, choice: str) -> ClosedPattern | None:
        """Return the maps for the pattern of A and a choice of pivots, or None."""
        with self.lock:
            for indptr, indices, known, maps in self.patterns:
                if (
                    known == choice
                    and np.array_equal(indptr, A.indptr)
                    and np.array_equal(indices, A.indices)
                ):
                    return maps
        return None

    def keep(self, A: sparse.csc_array, choice: str, maps: ClosedPattern) -> None:
        """Keep maps, instead of the oldest ones."""
        with self.lock:
            self.patterns.insert(0, (A.indptr.copy(), A.indices.copy(), choice, maps))
            del self.patterns[PATTERNS:]


memory = _Memory()


@dataclass(frozen=True, eq=False)
class _Attempt:
    """LU factors of the scaled matrix on a closed pattern.

    lower, upper: the entries of L and of Uᵀ on the closed pattern. phase: det A / |det A|.
    """

    maps: ClosedPattern
    lower: Array
    upper: Array
    phase: complex
    pivots: Array


def general_entries(f: Factored) -> SelectedEntries:
    """Return the entries of A⁻¹ on the pattern of A, verified by five columns and five rows.

    Raises SingularMatrix if A is singular, InaccurateSolve if the verified entries are wrong by
    more than 1e-6 for all orders of pivots, SelectedInverseTooLarge if the closed pattern has
    more than 10⁶ entries and more than 8 times those of a triangular factor.
    """
    A = f.A
    r, c = scaling = _scales(A)
    scaled = sparse.csc_array(
        (A.data * r[A.indices] * c[columns_of(A)], A.indices, A.indptr), shape=A.shape
    )
    best: SelectedEntries | None = None
    refused: SelectedInverseTooLarge | None = None
    # Where the diagonal was unstable for an earlier matrix of the pattern, it comes second.
    again = memory.find(A, "matched") is not None
    choices = ("matched", "diagonal") if again else ("diagonal", "matched")
    for choice in (*choices, "threshold"):
        try:
            attempt = _attempt(scaled, choice, f.name, last=choice == "threshold")
        except SelectedInverseTooLarge as error:
            refused = error
            continue
        if attempt is None:
            continue
        found = _entries(f, attempt, scaling, choice)
        if best is None or not best.error <= found.error:
            best = found
        if best.error <= GOOD:
            return best
    if best is None:
        raise refused or singular(f.name, "has no order of pivots that are not zero")
    if not best.error <= ACCEPTED:
        raise InaccurateSolve(
            f"{f.name}: entries of the inverse differ by {best.error:.1e} from refined solves, "
            f"relative to the largest entry; accepted is {ACCEPTED:.0e}. Pivots on the diagonal, "
            "on a diagonal of matched rows and with a threshold were tried. Usual cause: a "
            "matrix with a condition number above 1e10, of which the inverse has few correct "
            "digits."
        )
    return best


def _scales(A: sparse.csc_array) -> tuple[Array, Array]:
    """Return powers of 2, r, c (n,), such that r_i |a_ij| c_j is of size 1."""
    magnitude = sparse.csc_array((np.abs(A.data), A.indices, A.indptr), shape=A.shape)
    with np.errstate(all="ignore"):
        r, c = (np.exp2(np.round(np.log2(s))) for s in equilibrate(magnitude, symmetric=False))
    if not (np.isfinite(r).all() and np.isfinite(c).all() and r.min() > 0.0 and c.min() > 0.0):
        return np.ones(A.shape[0]), np.ones(A.shape[0])
    return r, c


def _attempt(A: sparse.csc_array, choice: str, name: str, last: bool) -> _Attempt | None:
    """Return factors of A by a choice of pivots; None if they are unstable or zero.

    last: True if unstable factors are returned, too.
    """
    n = A.shape[0]
    identity = np.arange(n)
    matching = matched_rows(A) if choice == "matched" else identity
    if matching is None:
        return None
    threshold = THRESHOLD if choice == "threshold" else 0.0
    maps = None if choice == "threshold" else memory.find(A, choice)
    if maps is not None and np.array_equal(maps.matching, matching):
        M = A[maps.p][:, maps.q]
        lu = lu_factors(sparse.csc_array(M), threshold, "NATURAL", name)
        if _is_usable(lu, M, last) and np.array_equal(lu.perm_r, lu.perm_c):
            with phase("gradient"):
                try:
                    lower, upper = maps.spread(lu.L, lu.U, np.argsort(lu.perm_r))
                except KeyError:
                    pass
                else:
                    sign = sign_of(lu, maps.p, maps.q)
                    pivots = np.empty(n, A.dtype)
                    pivots[np.argsort(lu.perm_r)] = lu.U.diagonal()
                    return _Attempt(maps, lower, upper, sign, pivots)
    M = A[matching] if choice == "matched" else A
    lu = lu_factors(sparse.csc_array(M), threshold, "MMD_AT_PLUS_A", name)
    if not _is_usable(lu, M, last):
        return None
    with phase("gradient"):
        p, q = matching[np.argsort(lu.perm_r)], np.argsort(lu.perm_c)
        most = max(SMALL, FILL * (lu.L.nnz + lu.U.nnz) / 2)
        maps, at = closed_pattern(A, p, q, matching, most, name)
        if choice != "threshold" and np.array_equal(lu.perm_r, lu.perm_c):
            memory.keep(A, choice, maps)
        lower, upper = maps.spread(lu.L, lu.U, at)
        pivots = np.empty(n, A.dtype)
        pivots[at] = lu.U.diagonal()
        return _Attempt(maps, lower, upper, sign_of(lu, matching), pivots)


def _is_usable(lu, M: sparse.csc_array, last: bool) -> bool:  # type: ignore[no-untyped-def]
    """True if the factors exist, and a solve has a small backward error or nothing is left."""
    if lu is None:
        return False
    error = solve_error(lu, M)
    return error <= STABLE or (last and bool(np.isfinite(error)))


def _entries(
    f: Factored, attempt: _Attempt, scaling: tuple[Array, Array], choice: str
) -> SelectedEntries:
    """Run the recurrence on factors, and verify the result against solves."""
    A, maps, known = f.A, attempt.maps, attempt.maps.known
    r, c = scaling
    with phase("gradient"), np.errstate(all="ignore"):
        below, above = entries_of_inverse(known, attempt.lower, attempt.upper)
        values = np.empty(maps.pattern.nnz, A.dtype)
        values[maps.gather] = np.where(known.flipped, below[known.place], above[known.place])
        cancellation = np.abs(1.0 / attempt.pivots) / np.abs(values[maps.pivots])
        worst = np.argsort(-cancellation, kind="stable")[:VERIFIED]
        values *= r[maps.pattern.indices]
        values *= c[columns_of(maps.pattern)]
    Z = sparse.csc_array((values, maps.pattern.indices, maps.pattern.indptr), shape=A.shape)
    with np.errstate(all="ignore"):
        products = A.data * values[maps.entries]  # a_ij (A⁻¹)_ji
        column = np.argmax(violations(products, A.indices, A.shape[0]))
        row = np.argmax(violations(products, columns_of(A), A.shape[0]))
    error = largest_error(
        f, Z, np.append(maps.p[worst], column), np.append(maps.q[worst], row), scaling
    )
    return SelectedEntries(
        _on_pattern(A, values[maps.entries].conj()),
        _on_pattern(A, values[maps.transposed]),
        values[maps.diagonal],
        attempt.phase,
        f"SuperLU, in addition to {f.factors.backend}; pivots: {choice}",
        error,
    )


def _on_pattern(A: sparse.csc_array, values: Array) -> sparse.csc_array:
    made = sparse.csc_array((values, A.indices, A.indptr), shape=A.shape)
    made.has_canonical_format = True
    return made
