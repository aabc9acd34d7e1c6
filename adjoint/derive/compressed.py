"""A sparse Jacobian from one directional derivative a colour."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from .colouring import colour_columns
from .slices import Slice


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
        order = np.argsort(of_entry.astype(np.int16 if count < 1 << 15 else np.int64), kind="stable")
        ends = np.cumsum(np.bincount(of_entry, minlength=count))[:-1]
        rows = self.pattern.indices[order].astype(np.intp)  # What NumPy would make of them each time.
        return list(zip(np.split(order, ends), np.split(rows, ends), strict=True))

    def jacobian(self, at: Slice) -> sparse.csc_array:
        """∂R/∂x at a point, (n, k), always on the same pattern."""
        data, sizes = np.zeros(self.pattern.nnz), at.sizes
        for colour, (places, rows) in enumerate(self._entries if self.pattern.nnz else []):
            data[places] = at.along(sizes * (self.colours == colour)).take(rows)
        if not np.all(sizes == 1.0):
            data /= np.repeat(sizes, np.diff(self.pattern.indptr))
        J = sparse.csc_array((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)
        J.has_canonical_format = True  # As the pattern was made; finding out costs a pass.
        return J

    def united(self, other: sparse.csc_array) -> "Compressed":
        """The same on the union with another pattern."""
        union = sparse.csc_array(self.pattern + other)
        union.sort_indices()
        union.data[:] = 1.0
        return Compressed(union)
