"""Sparse ∂R/∂u and ∂R/∂p by one directional derivative per colour, verified at each point.

Columns without a common row get the same colour, so that one directional derivative gives
all their entries (Curtis, Powell & Reid 1974). The entries are correct only if the sparsity
pattern is complete, which one more derivative verifies (`verification.py`).
"""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..errors import NonFinite, SparsityError
from ..typing import Array
from .colouring import colour_columns
from .differentiation.directional import Examination, Slice, nearby, random_signs
from .differentiation.finite_differences import sizes
from .sparsity import detect, detect_by_derivatives
from .verification import Missing, closer, missing_entries


@dataclass(frozen=True, eq=False)
class ColouredPattern:
    """A sparsity pattern (n, k), canonical, with the colours of its columns.

    The colours are computed when they are first used.
    """

    pattern: sparse.csc_array

    @cached_property
    def colours(self) -> Array:
        """The colour of each column, (k,): see `colour_columns`."""
        return colour_columns(self.pattern)

    @cached_property
    def _entries(self) -> list[tuple[Array, Array]]:
        """For each colour, the entries of its columns: (indices of the entries in `data`, rows)."""
        colour_of_entry = np.repeat(self.colours, np.diff(self.pattern.indptr))
        count = int(self.colours.max(initial=-1)) + 1
        # int16 if the colours fit: NumPy sorts int16 by radix, in linear time.
        order = np.argsort(
            colour_of_entry.astype(np.int16 if count < 1 << 15 else np.int64), kind="stable"
        )
        ends = np.cumsum(np.bincount(colour_of_entry, minlength=count))[:-1]
        # intp, because NumPy converts other integers each time they are used as indices.
        rows = self.pattern.indices[order].astype(np.intp)
        return list(zip(np.split(order, ends), np.split(rows, ends), strict=True))

    def jacobian(self, at: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, (n, k), always on the same pattern."""
        # Column j is the derivative along units_j e_j, divided by units_j.
        data, units = np.zeros(self.pattern.nnz), at.sizes
        for colour, (indices, rows) in enumerate(self._entries if self.pattern.nnz else []):
            data[indices] = at.along(units * (self.colours == colour)).take(rows)
        if not np.all(units == 1.0):
            data /= np.repeat(units, np.diff(self.pattern.indptr))
        J = sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )
        J.has_canonical_format = True  # Otherwise SciPy tests all entries.
        return J

    def united(self, other: sparse.csc_array) -> "ColouredPattern":
        """The union of this pattern with another, with new colours."""
        union = sparse.csc_array(self.pattern + other)
        union.sort_indices()
        union.data[:] = 1.0
        return ColouredPattern(union)


@dataclass(eq=False)
class JacobianBlock:
    """∂R/∂x, (n, k), at any point, where x is u or p.

    name, argument, maker: words of messages, such as "∂R/∂u", "u_pattern" and the name
    of the public function. columns: k. given: the user's pattern, or None. examination:
    the tests of directional derivatives at the first point.

    The block remembers its pattern and the latest derivative. A pattern that is not given
    is detected at the first point, and enlarged if a later point needs more entries.
    """

    name: str
    argument: str
    maker: str
    columns: int
    given: sparse.csc_array | None
    examination: Examination = field(default_factory=Examination)
    _pattern: ColouredPattern | None = field(default=None, init=False, repr=False)
    _latest: sparse.csc_array | None = field(default=None, init=False, repr=False)

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.columns, 3)

    def at(self, point: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, in canonical CSC format.

        The cost is one derivative per colour, and one derivative to verify the pattern. Raise
        SparsityError if the pattern lacks entries and cannot be enlarged, NonFinite if R or a
        derivative is nan or inf. At the first point the errors of `Slice.examine` are raised, too.
        """
        try:
            J = self._verified(point)
        except NonFinite as error:
            raise NonFinite(f"{self.maker}, {self.name}: {error}") from None
        self._latest = J
        return J

    def terms(self, x: Array) -> Array:
        """Σ_j |∂R_i/∂x_j| |x_j|, (n,), by the latest derivative; 0 before the first derivative."""
        return np.asarray(0.0 if self._latest is None else abs(self._latest) @ np.abs(x))

    def _verified(self, point: Slice) -> sparse.csc_array:
        """∂R/∂x on the pattern; the pattern is detected at the first point, enlarged if needed."""
        self.examination.first(point)
        detected, pattern = self.given is None, self._pattern
        if pattern is None:
            pattern = ColouredPattern(detect(point) if self.given is None else self.given)
            self._pattern = pattern
            if detected:
                pattern = self._explored(pattern, point)
        J, missing = self._evaluated(pattern, point)
        if missing and detected:
            J, missing = self._evaluated(self._enlarged(pattern, point), point)
        # At a kink of R no pattern has all entries: a detected one is accepted.
        if missing and not (missing[0].kink and detected):
            raise self._wrong_pattern(missing[0])
        return J

    def _explored(self, pattern: ColouredPattern, point: Slice) -> ColouredPattern:
        """The pattern, enlarged by the entries of ∂R/∂x at one point near `point`.

        R may take branches near the point that R does not take at the point itself.
        """
        for near in nearby(point, sizes(point.x, 0.0))[:1]:
            with suppress(NonFinite):  # R is finite near the point; its derivatives need not be.
                if self._evaluated(pattern, near)[1]:
                    return self._enlarged(pattern, near)
        return pattern

    def _enlarged(self, pattern: ColouredPattern, point: Slice) -> ColouredPattern:
        """The union of the pattern with all entries found at a point, kept by this block.

        Entries are missing if R takes another branch than before, or if `detect`, which
        follows nan through R, has missed them.
        """
        found = sparse.csc_array(detect(point) + detect_by_derivatives(point))
        self._pattern = enlarged = pattern.united(found)
        return enlarged

    def _evaluated(
        self, pattern: ColouredPattern, point: Slice
    ) -> tuple[sparse.csc_array, list[Missing]]:
        """(∂R/∂x on a pattern, [] or [one entry that the pattern lacks])."""
        J = pattern.jacobian(point)
        # The direction is scaled by the sizes of x. Otherwise a term of a row could hide other
        # terms, because of its units.
        v = self._direction * sizes(point.x, 0.0)
        for finer in point.finer:
            J = closer(J, pattern.jacobian(finer), point.along(v), v)
        return J, missing_entries(J, point, v) if self.columns else []

    def _wrong_pattern(self, missing: Missing) -> SparsityError:
        """The SparsityError for an entry that the pattern lacks."""
        entry = (
            f"entry ({missing.row}, {missing.column}), where {self.name} is "
            f"{missing.derivative:.6g}"
        )
        if self.given is None:
            return SparsityError(
                f"{self.maker}: the detected pattern of {self.name} lacks {entry}. Usual cause: "
                "the function depends on more than its arguments, or on its earlier calls. "
                f"Otherwise give {self.argument}."
            )
        return SparsityError(
            f"{self.maker}: {self.argument} lacks {entry}; a derivative along a random direction "
            f"differs in {missing.rows} rows. Add the missing entries (too large a pattern does no "
            "harm), or omit the pattern: it is then detected."
        )


def as_pattern(
    pattern: sparse.sparray | sparse.spmatrix, shape: tuple[int, int], what: str
) -> sparse.csc_array:
    """The pattern as a canonical matrix: 1 for each stored entry, also for a stored zero.

    what: the start of error messages. Raises TypeError if the pattern is not a SciPy
    sparse matrix, ValueError if it does not have the expected shape.
    """
    if not sparse.issparse(pattern):
        raise TypeError(
            f"{what}: got a {type(pattern).__name__}, expected a SciPy sparse matrix: "
            "scipy.sparse.csc_array(…)"
        )
    if pattern.shape != shape:
        raise ValueError(f"{what}: got shape {pattern.shape}, expected {shape}")
    entries = sparse.coo_array(pattern)
    ones = sparse.csc_array((np.ones(entries.nnz), (entries.row, entries.col)), shape=shape)
    ones.sum_duplicates()
    ones.data[:] = 1.0
    return ones
