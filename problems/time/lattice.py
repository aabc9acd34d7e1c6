"""Two species on the cells of a rectangle: Laplacians and Jacobians, on one pattern."""

from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sparse

from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Lattice:
    """(a₁Δ_h u, a₂Δ_h v) on nx × ny cells; matrices diag(a₁Δ_h, a₂Δ_h) + a 2 × 2 block per cell.

    The state, (2·nx·ny,), holds u and v of each cell next to each other, y running
    fastest: the factors of a matrix then fill in as for one species.

    Parameters
    ----------
    cells : (int, int)
        (nx, ny).
    size : (float, float)
        Lengths of the sides of the rectangle.
    periodic : bool
        True if opposite sides are joined, False if nothing passes the sides.

    Raises
    ------
    ValueError
        If a direction has no cells.
    """

    cells: tuple[int, int]
    size: tuple[float, float] = field(kw_only=True)
    periodic: bool = field(kw_only=True)

    def __post_init__(self) -> None:
        if len(self.cells) != 2 or min(self.cells) < 1:
            raise ValueError(
                f"Lattice: got cells {self.cells}, expected (nx, ny), at least one of each"
            )

    @property
    def count(self) -> int:
        """The number of cells."""
        return self.cells[0] * self.cells[1]

    @property
    def spacing(self) -> tuple[float, float]:
        """(dx, dy)."""
        return self.size[0] / self.cells[0], self.size[1] / self.cells[1]

    @cached_property
    def centres(self) -> Array:
        """The centres of the cells, (cells, 2)."""
        x, y = (h * (np.arange(n) + 0.5) for h, n in zip(self.spacing, self.cells, strict=True))
        return np.stack([np.repeat(x, y.size), np.tile(y, x.size)], axis=1)

    def diffused(self, w: Array, rates: Array) -> Array:
        """(a₁Δ_h u, a₂Δ_h v), (n,); w: u and v, (n,); rates: (a₁, a₂)."""
        (nx, ny), (dx, dy) = self.cells, self.spacing
        W = w.reshape(nx, 2 * ny)
        row = np.multiply.outer(self._column, rates / dy**2).ravel()
        across = np.multiply(W, row)  # Scaled once; the buffer serves both directions.
        result = across * (-2.0 - 2.0 * (dy / dx) ** 2)
        result[:, 2:] += across[:, :-2]
        result[:, :-2] += across[:, 2:]
        first, last = (slice(-2, None), slice(2)) if self.periodic else (slice(2), slice(-2, None))
        result[:, :2] += across[:, first]
        result[:, -2:] += across[:, last]
        across *= (dy / dx) ** 2
        result[1:] += across[:-1]
        result[:-1] += across[1:]
        low, high = (-1, 0) if self.periodic else (0, -1)
        result[0] += across[low]
        result[-1] += across[high]
        return result.ravel()

    @cached_property
    def _column(self) -> Array:
        """An array of ones, (ny,)."""
        return np.ones(self.cells[1])

    @cached_property
    def laplacian(self) -> sparse.csc_array:
        """Δ_h of one species, (cells, cells), with a stored diagonal."""
        number = np.arange(self.count).reshape(self.cells)
        rows, columns, values = [number.ravel()], [number.ravel()], [np.zeros(self.count)]
        for axis, h in enumerate(self.spacing):
            low, high = number, np.roll(number, -1, axis)
            if not self.periodic:
                low, high = (v.take(range(self.cells[axis] - 1), axis) for v in (low, high))
            a, b, one = low.ravel(), high.ravel(), np.full(low.size, 1.0 / h**2)
            rows += [a, b, a, b]
            columns += [b, a, a, b]
            values += [one, one, -one, -one]
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return sparse.csc_array(entries, shape=(self.count, self.count))

    @cached_property
    def _layout(self) -> tuple[sparse.csc_array, Array]:
        """diag(Δ_h, Δ_h) on the pattern of `matrix`, and positions of the blocks in its data.

        The positions are (uu, vu, uv, vv) of every cell, (4, cells).
        """
        L, own, n = sparse.coo_array(self.laplacian), 2 * np.arange(self.count), 2 * self.count
        rows = np.concatenate([2 * L.row, 2 * L.row + 1, own + 1, own])
        columns = np.concatenate([2 * L.col, 2 * L.col + 1, own, own + 1])
        values = np.concatenate([L.data, L.data, np.zeros(n)])
        keys = columns * n + rows
        order = np.argsort(keys)
        indptr = np.searchsorted(columns[order], np.arange(n + 1))
        indices, indptr = rows[order].astype(np.int32), indptr.astype(np.int32)
        matrix = sparse.csc_array((values[order], indices, indptr), shape=(n, n))
        matrix.has_canonical_format = True
        wanted = np.stack([(own + j) * n + own + i for j in (0, 1) for i in (0, 1)])
        return matrix, np.searchsorted(keys[order], wanted)

    @cached_property
    def _strips(self) -> list[tuple[slice, Array, Array]]:
        """For columns with the same x: (slice of the data, values of one strip, species).

        The strips between the outer two strips have equal values.
        """
        laplacian, nx, width = self._layout[0], self.cells[0], 2 * self.cells[1]
        strips = []
        for low, high in pairwise(
            np.unique([0, 1, nx - 1, nx])
        ):  # The strips between the outer ones are alike.
            columns = laplacian.indptr[low * width : (low + 1) * width + 1]
            species = np.repeat(np.arange(width) % 2, np.diff(columns))
            which = slice(columns[0], laplacian.indptr[high * width])
            strips.append((which, laplacian.data[columns[0] : columns[-1]], species))
        return strips

    def matrix(self, rates: Array, blocks: Array) -> sparse.csc_array:
        """diag(a₁Δ_h, a₂Δ_h) + blocks, (n, n).

        rates: (a₁, a₂); blocks: (uu, vu, uv, vv) of every cell, (4, cells).
        """
        laplacian, places = self._layout
        data = np.empty(laplacian.nnz, dtype=np.result_type(rates, blocks))
        for which, values, species in self._strips:
            data[which].reshape(-1, species.size)[:] = values * rates[species]
        diagonal = self._diagonal
        data[places[0]] = blocks[0] + rates[0] * diagonal
        data[places[1:3]] = blocks[1:3]
        data[places[3]] = blocks[3] + rates[1] * diagonal
        # A copy keeps has_canonical_format; SciPy's constructor would read the whole pattern.
        A = copy(laplacian)
        A.data = data
        return A

    @cached_property
    def _diagonal(self) -> Array:
        """The diagonal of Δ_h, (cells,)."""
        return self.laplacian.diagonal()
