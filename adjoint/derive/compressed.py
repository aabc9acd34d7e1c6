"""Sparse ∂R/∂u and ∂R/∂p by one directional derivative per colour, verified at each point."""

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
class Compressed:
    """A canonical pattern (n, k), with the colours of its columns.

    Colours and places are computed once, when first used.
    """

    pattern: sparse.csc_array

    @cached_property
    def colours(self) -> Array:
        """The colour of each column, (k,): see `colour_columns`."""
        return colour_columns(self.pattern)

    @cached_property
    def _entries(self) -> list[tuple[Array, Array]]:
        """For each colour the entries of its columns: places in the data, and rows."""
        of_entry = np.repeat(self.colours, np.diff(self.pattern.indptr))
        count = int(self.colours.max(initial=-1)) + 1
        # int16 if the colours fit: NumPy sorts these by radix, in linear time.
        order = np.argsort(
            of_entry.astype(np.int16 if count < 1 << 15 else np.int64), kind="stable"
        )
        ends = np.cumsum(np.bincount(of_entry, minlength=count))[:-1]
        # intp: NumPy would convert other integers at each use.
        rows = self.pattern.indices[order].astype(np.intp)
        return list(zip(np.split(order, ends), np.split(rows, ends), strict=True))

    def jacobian(self, at: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, (n, k), always on the same pattern."""
        data, sizes = np.zeros(self.pattern.nnz), at.sizes
        for colour, (places, rows) in enumerate(self._entries if self.pattern.nnz else []):
            data[places] = at.along(sizes * (self.colours == colour)).take(rows)
        if not np.all(sizes == 1.0):
            data /= np.repeat(sizes, np.diff(self.pattern.indptr))
        J = sparse.csc_array(
            (data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape
        )
        J.has_canonical_format = True  # The pattern is canonical; SciPy's own test costs a pass.
        return J

    def united(self, other: sparse.csc_array) -> "Compressed":
        """The compressed union of this pattern with another."""
        union = sparse.csc_array(self.pattern + other)
        union.sort_indices()
        union.data[:] = 1.0
        return Compressed(union)


@dataclass(eq=False)
class Block:
    """∂R/∂x, (n, k), at any point, where x is u or p.

    name: "∂R/∂u", argument: "u_pattern", maker: the public function, for messages.
    given: the user's pattern, or None. The block remembers its pattern with its colours
    (detected at the first point if not given, and enlarged if a later point needs more
    entries), and the latest derivative.
    """

    name: str
    argument: str
    maker: str
    columns: int
    given: sparse.csc_array | None
    examination: Examination = field(default_factory=Examination)
    _compressed: Compressed | None = field(default=None, init=False, repr=False)
    _latest: sparse.csc_array | None = field(default=None, init=False, repr=False)

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.columns, 3)

    def at(self, point: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, canonical: one derivative per colour, and one for verification.

        Raises SparsityError if the pattern given lacks entries, NonFinite if R or a
        derivative is nan or inf, and at the first point what `Slice.examine` raises.
        """
        try:
            J = self._verified(point)
        except NonFinite as error:
            raise NonFinite(f"{self.maker}, {self.name}: {error}") from None
        self._latest = J
        return J

    def terms(self, x: Array) -> Array:
        """Σ_j |∂R_i/∂x_j| |x_j|, (n,), by the latest derivative; 0 before the first."""
        return np.asarray(0.0 if self._latest is None else abs(self._latest) @ np.abs(x))

    def _verified(self, point: Slice) -> sparse.csc_array:
        """∂R/∂x on the pattern, which is detected first and enlarged if entries are missing."""
        self.examination.first(point)
        compressed = self._compressed
        if compressed is None:
            compressed = Compressed(detect(point) if self.given is None else self.given)
            self._compressed = compressed
            if self.given is None:
                compressed = self._explored(compressed, point)
        J, missing = self._evaluated(compressed, point)
        if missing and self.given is None:
            J, missing = self._evaluated(self._grown(compressed, point), point)
        if missing and not (missing[0].kink and self.given is None):
            raise self._wrong_pattern(missing[0])
        return J

    def _explored(self, compressed: Compressed, point: Slice) -> Compressed:
        """The pattern, enlarged by the branches that R takes near the point, but not at it."""
        for near in nearby(point, sizes(point.x, 0.0))[:1]:
            with suppress(NonFinite):  # R is finite near the point; its derivatives need not be.
                if self._evaluated(compressed, near)[1]:
                    return self._grown(compressed, near)
        return compressed

    def _grown(self, compressed: Compressed, point: Slice) -> Compressed:
        """The union of the pattern with all entries found at a point, for this block to keep.

        The point takes a branch not taken before, or R does not pass nan on.
        """
        found = sparse.csc_array(detect(point) + detect_by_derivatives(point))
        self._compressed = grown = compressed.united(found)
        return grown

    def _evaluated(
        self, compressed: Compressed, point: Slice
    ) -> tuple[sparse.csc_array, list[Missing]]:
        """∂R/∂x on a pattern, and the entries that the pattern lacks."""
        J = compressed.jacobian(point)
        # The direction is in the sizes of x, so that no term of a row hides another by
        # its unit.
        v = self._direction * sizes(point.x, 0.0)
        for finer in point.finer:
            J = closer(J, compressed.jacobian(finer), point.along(v), v)
        return J, missing_entries(J, point, v) if self.columns else []

    def _wrong_pattern(self, missing: Missing) -> SparsityError:
        """The error for a missing entry."""
        entry = (
            f"entry ({missing.row}, {missing.column}), where {self.name} is "
            f"{missing.derivative:.6g}"
        )
        if self.given is None:
            return SparsityError(
                f"{self.maker}: the pattern of {self.name} found by detection lacks {entry}. The "
                "function depends on more than its arguments, or on its earlier calls; if not so, "
                f"give {self.argument}."
            )
        return SparsityError(
            f"{self.maker}: {self.argument} lacks {entry}; {missing.rows} rows disagree. Add what "
            "is missing (too large a pattern does no harm), or give none: then it is detected."
        )


def as_pattern(
    pattern: sparse.sparray | sparse.spmatrix, shape: tuple[int, int], what: str
) -> sparse.csc_array:
    """Ones on the stored entries of a matrix, zeros included; canonical.

    Raises TypeError if the pattern is not a sparse matrix, ValueError if its shape is
    wrong.
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
