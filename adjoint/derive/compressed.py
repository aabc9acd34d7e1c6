"""∂R/∂u or ∂R/∂p of a function: its pattern, given or found, and its entries, each time verified.

A sparse Jacobian from one directional derivative a colour.
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
class Compressed:
    """A pattern (n, k), canonical, with the colours of its columns and the places of its entries found once."""

    pattern: sparse.csc_array

    @cached_property
    def colours(self) -> Array:
        """The colour of each column, (k,): see `colour_columns`."""
        return colour_columns(self.pattern)

    @cached_property
    def _entries(self) -> list[tuple[Array, Array]]:
        """For each colour the entries of its columns, as places in the data, and their rows."""
        of_entry = np.repeat(self.colours, np.diff(self.pattern.indptr))
        count = int(self.colours.max(initial=-1)) + 1
        # 16 bits where they do: NumPy sorts those by radix, in linear time.
        order = np.argsort(
            of_entry.astype(np.int16 if count < 1 << 15 else np.int64), kind="stable"
        )
        ends = np.cumsum(np.bincount(of_entry, minlength=count))[:-1]
        rows = self.pattern.indices[order].astype(
            np.intp
        )  # What NumPy would make of them each time.
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
        J.has_canonical_format = True  # As the pattern was made; finding out costs a pass.
        return J

    def united(self, other: sparse.csc_array) -> "Compressed":
        """The same on the union with another pattern."""
        union = sparse.csc_array(self.pattern + other)
        union.sort_indices()
        union.data[:] = 1.0
        return Compressed(union)


@dataclass(frozen=True, eq=False)
class Block:
    """∂R/∂x, (n, k), at any point; x is u or p.

    name: "∂R/∂u", argument: "u_pattern", maker: the public function, for messages. given: the user's pattern, or
    None: it is detected at the first point, and grown where a later one shows it too small.
    """

    name: str
    argument: str
    maker: str
    columns: int
    given: sparse.csc_array | None
    _known: list[Compressed] = field(default_factory=list)
    examination: Examination = field(default_factory=Examination)
    _latest: list[sparse.csc_array] = field(default_factory=list)

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.columns, 3)

    def at(self, point: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, canonical, in one derivative a colour and one more.

        Raises SparsityError if the pattern given lacks entries, NonFinite where R or a derivative is nan, what
        `Slice.examine` raises the first time.
        """
        try:
            J = self._verified(point)
        except NonFinite as error:
            raise NonFinite(f"{self.maker}, {self.name}: {error}") from None
        self._latest[:] = [J]
        return J

    def terms(self, x: Array) -> Array:
        """Σ_j |∂R_i/∂x_j| |x_j|, (n,), by the latest derivative, of whatever point; 0 before the first."""
        return np.asarray(abs(self._latest[0]) @ np.abs(x) if self._latest else 0.0)

    def _verified(self, point: Slice) -> sparse.csc_array:
        self.examination.first(point)
        if not self._known:
            self._known.append(Compressed(detect(point) if self.given is None else self.given))
            if self.given is None:
                self._explore(point)
        J, missing = self._evaluated(point)
        if missing and self.given is None:
            self._grow(point)
            J, missing = self._evaluated(point)
        if missing and not (missing[0].kink and self.given is None):
            raise self._wrong_pattern(missing[0])
        return J

    def _explore(self, point: Slice) -> None:
        """Grow the pattern by the branches that R takes near a point: where u = 0, others than at it."""
        for near in nearby(point, sizes(point.x, 0.0))[:1]:
            with suppress(NonFinite):  # R is finite there, a derivative need not be.
                if self._evaluated(near)[1]:
                    self._grow(near)

    def _grow(self, point: Slice) -> None:
        """The union with what is found at a point: a branch not taken before, or nan that R does not hand on."""
        found = sparse.csc_array(detect(point) + detect_by_derivatives(point))
        self._known[:] = [self._known[0].united(found)]

    def _evaluated(self, point: Slice) -> tuple[sparse.csc_array, list[Missing]]:
        J = self._known[0].jacobian(point)
        # In sizes of the unknowns, so that no term of a row hides another behind its unit.
        v = self._direction * sizes(point.x, 0.0)
        for finer in point.finer:
            J = closer(J, self._known[0].jacobian(finer), point.along(v), v)
        return J, missing_entries(J, point, v) if self.columns else []

    def _wrong_pattern(self, missing: Missing) -> SparsityError:
        entry = f"entry ({missing.row}, {missing.column}), where {self.name} is {missing.derivative:.6g}"
        if self.given is None:
            return SparsityError(
                f"{self.maker}: the pattern of {self.name} found by detection lacks {entry}. The function depends on "
                f"more than its arguments, or on its earlier calls; if not so, give {self.argument}."
            )
        return SparsityError(
            f"{self.maker}: {self.argument} lacks {entry}; {missing.rows} rows disagree. Add what is missing (too "
            "large a pattern does no harm), or give none: then it is detected."
        )


def as_pattern(
    pattern: sparse.sparray | sparse.spmatrix, shape: tuple[int, int], what: str
) -> sparse.csc_array:
    """A matrix of ones on the stored entries, zeros included; canonical. Raises TypeError or ValueError."""
    if not sparse.issparse(pattern):
        raise TypeError(
            f"{what}: got a {type(pattern).__name__}, expected a SciPy sparse matrix: scipy.sparse.csc_array(…)"
        )
    if pattern.shape != shape:
        raise ValueError(f"{what}: got shape {pattern.shape}, expected {shape}")
    entries = sparse.coo_array(pattern)
    ones = sparse.csc_array((np.ones(entries.nnz), (entries.row, entries.col)), shape=shape)
    ones.sum_duplicates()
    ones.data[:] = 1.0
    return ones
