"""A strip of designs: which of them to show, and where they fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..typing import Array
from .images import checked

Designs: TypeAlias = Sequence[tuple[int, Array]]

CAPTION = 0.22  # inches above each picture
GAP = 0.12  # inches between pictures
NARROWEST = 0.95  # inches a caption needs
WIDEST = 5.0  # inches of a picture
FEWEST, MOST = 6, 12  # designs, where there are so many


@dataclass(frozen=True, eq=False)
class Layout:
    """Pictures in rows and columns: the size of each and of its cell, all in inches."""

    columns: int
    rows: int
    picture: tuple[float, float]
    cell: tuple[float, float]

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return self.rows * self.columns

    @property
    def height(self) -> float:
        """The height of all rows, captions included."""
        return self.rows * self.cell[1]


def in_order(designs: Designs) -> list[tuple[int, Array]]:
    """The designs by iteration. Raises ValueError for two of one iteration, or of different shapes."""
    ordered = sorted(((int(k), checked(design)) for k, design in designs), key=lambda item: item[0])
    iterations = [iteration for iteration, _ in ordered]
    if len(set(iterations)) < len(iterations):
        raise ValueError(f"got two designs of one iteration in {iterations}, expected one each")
    if len({design.shape for _, design in ordered}) > 1:
        raise ValueError("got designs of different shapes, expected one shape for all")
    return ordered


def log_spaced(iterations: Sequence[int], most: int) -> list[int]:
    """Positions of at most `most` increasing iterations, first and last among them, log-spaced between."""
    if len(iterations) <= most:
        return list(range(len(iterations)))
    since = np.asarray(iterations) - iterations[0] + 1.0
    targets = np.geomspace(1.0, since[-1], most)
    return sorted({int(np.argmin(np.abs(np.log(since / target)))) for target in targets})


def arrange(available: int, shape: tuple[int, int], room: tuple[float, float]) -> Layout:
    """The full grid of pictures that covers the most paper: how many, in how many rows and columns.

    available: the number of designs; shape: (rows, columns) of each; room: width and greatest height, inches.
    """
    aspect = shape[1] / shape[0]
    layouts = []
    for columns in range(1, min(available, MOST) + 1):
        for rows in range(1, min(available, MOST) // columns + 1):
            tallest = room[1] / rows - CAPTION - GAP
            wide = min((room[0] + GAP) / columns - GAP, tallest * aspect, WIDEST)
            cell = max(wide + GAP, NARROWEST)
            enough = columns * rows >= min(available, FEWEST)
            if enough and wide > 0 and columns * cell <= room[0] + GAP + 1e-9:
                high = wide / aspect
                layouts.append(Layout(columns, rows, (wide, high), (cell, high + CAPTION + GAP)))
    return max(layouts, key=lambda layout: layout.count * layout.picture[0] ** 2)
