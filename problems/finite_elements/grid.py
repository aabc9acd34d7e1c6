"""Structured grids of rectangles and boxes: numbering, coordinates, shape functions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of rectangles (nx, ny) or boxes (nx, ny, nz).

    Nodes and elements are numbered down the columns, from the top left: y runs fastest,
    downwards, then x, then z (Andreassen et al. 2011, section 2.2).

    Parameters
    ----------
    cells : tuple of 2 or 3 int
        Number of elements in each direction.
    spacing : tuple of 2 or 3 float
        Edge lengths of an element, in any unit of length.

    Raises
    ------
    ValueError
        If the number of cells or the edge length of a direction is not positive.
    """

    cells: tuple[int, ...]
    spacing: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.cells) not in (2, 3) or len(self.spacing) != len(self.cells):
            raise ValueError(
                f"got cells {self.cells}, spacing {self.spacing}; expected two or three of each"
            )
        if min(self.cells) < 1 or not all(h > 0.0 for h in self.spacing):
            raise ValueError(
                f"got cells {self.cells}, spacing {self.spacing}; "
                "expected at least one cell, lengths > 0"
            )

    @classmethod
    def unit(cls, *cells: int) -> "Grid":
        """Make a grid of unit squares or cubes."""
        return cls(cells, (1.0,) * len(cells))

    @property
    def dimension(self) -> int:
        """The dimension, 2 or 3."""
        return len(self.cells)

    def _numbers(self, counts: tuple[int, ...]) -> Array:
        """Return numbers 0, 1, … as an array with the indices [x, y] or [x, y, z].

        counts: the shape of the array. The index of y counts downwards.
        """
        if self.dimension == 2:
            return np.arange(counts[0] * counts[1]).reshape(counts)
        nx, ny, nz = counts
        return np.arange(nx * ny * nz).reshape(nz, nx, ny).transpose(1, 2, 0)

    @cached_property
    def node_numbers(self) -> Array:
        """Node numbers, (nx + 1, ny + 1[, nz + 1]); the second index counts downwards."""
        return self._numbers(tuple(n + 1 for n in self.cells))

    @cached_property
    def nodes(self) -> Array:
        """Coordinates of the nodes, (nodes, dimension); y points up."""
        return self._coordinates(self.node_numbers, 0.0)

    @cached_property
    def centres(self) -> Array:
        """Coordinates of the element centres, (elements, dimension)."""
        return self._coordinates(self._numbers(self.cells), 0.5)

    def _coordinates(self, numbers: Array, offset: float) -> Array:
        index = [axis.astype(float) + offset for axis in np.indices(numbers.shape)]
        index[1] = self.cells[1] - index[1]
        coordinates = np.empty((numbers.size, self.dimension))
        for d in range(self.dimension):
            coordinates[numbers.ravel(), d] = index[d].ravel() * self.spacing[d]
        return coordinates

    @cached_property
    def elements(self) -> Array:
        """Nodes of the elements, (elements, 4 or 8).

        The nodes of an element are in counterclockwise order from the lower left corner. In
        3-D the four nodes of the back layer come first.
        """
        n = self.node_numbers
        corners = [
            (0, 1),
            (1, 1),
            (1, 0),
            (0, 0),
        ]  # (x, y downwards) of lower left, lower right, upper right, …
        nx, ny = self.cells[:2]
        layers = (
            [()]
            if self.dimension == 2
            else [(slice(0, self.cells[2]),), (slice(1, self.cells[2] + 1),)]
        )
        columns = [
            n[(slice(i, i + nx), slice(j, j + ny), *layer)] for layer in layers for i, j in corners
        ]
        order = np.argsort(self._numbers(self.cells).ravel())
        return np.stack([column.ravel()[order] for column in columns], axis=1)

    def dofs(self, components: int) -> Array:
        """Return the unknowns of each element, (elements, corners · components).

        Component i of a node has the number node · components + i.
        """
        return (self.elements[:, :, None] * components + np.arange(components)).reshape(
            len(self.elements), -1
        )

    def boundary(self, axis: int, end: int) -> Array:
        """Return the nodes of a face: axis 0 (x), 1 (y) or 2 (z); end 0 (low) or 1 (high)."""
        take = -1 if bool(end) != (axis == 1) else 0  # y counts downwards
        return np.sort(self.node_numbers.take(take, axis=axis).ravel())

    @property
    def volume(self) -> float:
        """The volume of an element, or its area."""
        return float(np.prod(self.spacing))

    def shape_functions(self) -> tuple[Array, Array, Array]:
        """Return the Gauss weights times volume, N and ∇N at two points per direction.

        The shapes are (q,), (q, corners) and (q, corners, dimension).
        """
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float)
        if self.dimension == 3:
            corners = np.vstack([np.column_stack([corners, np.full(4, z)]) for z in (-1.0, 1.0)])
        points = corners / np.sqrt(3.0)
        factors = 0.5 * (1.0 + points[:, None, :] * corners[None, :, :])  # (q, corner, direction)
        N = factors.prod(axis=2)
        gradients = np.empty_like(factors)
        for d in range(self.dimension):
            others = np.delete(factors, d, axis=2).prod(axis=2)
            gradients[:, :, d] = others * corners[:, d] / self.spacing[d]
        return np.full(len(points), self.volume / len(points)), N, gradients


def number_free(dofs: Array, fixed: Array, n: int) -> tuple[Array, Array]:
    """Renumber the unknowns that are not fixed.

    dofs: (n_e, k), unknowns 0 … n − 1 of the elements; fixed: unknowns that are zero.
    Returns the new dofs, with −1 for fixed unknowns, and the free unknowns.
    """
    free = np.setdiff1d(np.arange(n), fixed)
    number = np.full(n, -1)
    number[free] = np.arange(free.size)
    return number[dofs], free
