"""Selected inverse of a Hermitian positive definite matrix that has been factored."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ...errors import InaccurateSolve
from ...typing import Array
from ..counts import phase
from ..csc import columns_of
from ..protocols import ReadableCholesky
from .certificate import refined, violations
from .cholesky import lower_entries
from .entries import SelectedEntries
from .factored import Factored
from .superlu import factored_again
from .supernodes import Supernodes, supernodes_of
from .symbolic import closed, spread

VERIFIED_COLUMNS = 4
"""Number of columns of the inverse that are compared with solves."""

LARGEST_ERROR = 1e-6
"""Largest error of a verified entry, relative to (z_ii z_jj)^½, that is accepted."""


def hermitian_entries(f: Factored) -> SelectedEntries:
    """Return the entries of A⁻¹ on the pattern of A, verified by four columns.

    Raises NotPositiveDefinite if A has to be factored once more and is not positive
    definite, InaccurateSolve if a verified entry is wrong by more than 1e-6.
    """
    A = f.A
    read = f.factors.lower() if isinstance(f.factors, ReadableCholesky) else None
    maps: dict[str, object] = {}
    if read is None:
        L, order = factored_again(A, f.name)
        method = f"SuperLU, in addition to {f.factors.backend}, whose factors cannot be read"
    else:
        (L, order), maps = read, f.factors.maps  # type: ignore[attr-defined]
        method = f.factors.backend
    with phase("gradient"):
        known, L = _known_supernodes(maps, L, order, A)
        lower = lower_entries(known, L.data)
        del L, read
        values = lower[known.place]
        if values.dtype.kind == "c":
            np.conjugate(values, out=values, where=known.flipped)
        Z = sparse.csc_array((values, A.indices, A.indptr), shape=A.shape)
        Z.has_canonical_format = True
        diagonal = Z.diagonal().real
    error = _verified(f, Z, diagonal)
    return SelectedEntries(Z, Z, diagonal, 1.0, method, error)


@dataclass(frozen=True, eq=False)
class _Maps:
    """The maps of one order of elimination; one object, since threads share the memory.

    closed: the pattern by symbolic elimination, if entries of the first L had cancelled;
    the supernodes are those of this pattern then.
    """

    supernodes: Supernodes
    closed: sparse.csc_array | None


def _known_supernodes(
    maps: dict[str, object], L: sparse.csc_array, order: Array, A: sparse.csc_array
) -> tuple[Supernodes, sparse.csc_array]:
    """Return the supernodes of L, from memory if its pattern is known, and L on their pattern."""
    known = maps.get("supernodes")
    if isinstance(known, _Maps):
        if known.supernodes.matches(L, order):
            return known.supernodes, L
        if known.closed is not None and np.array_equal(known.supernodes.order, order):
            return known.supernodes, spread(L, known.closed)
    pattern = None
    try:
        new = supernodes_of(L, order, A)
    except KeyError:  # Entries that cancelled are missing in L.
        pattern = closed(A, order)
        L = spread(L, pattern)
        new = supernodes_of(L, order, A)
    maps["supernodes"] = _Maps(new, pattern)
    return new, L


def _verified(f: Factored, Z: sparse.csc_array, diagonal: Array) -> float:
    """Compare columns of Z with refined solves, and return the largest error.

    The columns are the two that violate (A Z)_jj = 1 most, and those with the largest
    a_jj z_jj, which is 1 for a diagonal A and large for unknowns that the others
    determine almost completely.
    """
    A, n = f.A, f.A.shape[0]
    with np.errstate(all="ignore"):
        violated = violations(A.data * Z.data.conj(), columns_of(A), n)
        inflation = A.diagonal().real * diagonal
    columns = np.argsort(-violated, kind="stable")[:2]
    others = np.argsort(-inflation, kind="stable")[:VERIFIED_COLUMNS]
    columns = np.append(columns, others[~np.isin(others, columns)])[:VERIFIED_COLUMNS]
    # Refined: the errors of a solve without refinement are those of Z, by the same factors.
    exact = refined(f, columns, np.ones(n), "N")
    largest = 0.0
    with np.errstate(all="ignore"):
        scale = np.sqrt(diagonal)
        for j, x in zip(columns.tolist(), exact.T, strict=True):
            part = slice(Z.indptr[j], Z.indptr[j + 1])
            rows = Z.indices[part]
            difference = np.abs(Z.data[part] - x[rows]) / (scale[rows] * scale[j])
            largest = float(np.max([largest, difference.max()]))
    if not largest <= LARGEST_ERROR:
        raise InaccurateSolve(
            f"{f.name}: entries of the inverse differ by {largest:.1e} from refined solves, "
            f"relative to the diagonal; accepted is {LARGEST_ERROR:.0e}. Usual cause: a matrix "
            "with a condition number above 1e10, of which the inverse has few correct digits."
        )
    return largest
