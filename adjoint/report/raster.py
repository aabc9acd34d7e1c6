"""Values over two axes of different kinds as colours: many courses over time, one in each row."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from ..typing import Array
from .bars import BESIDE, colour_bar
from .plots import Shades


@dataclass(frozen=True, eq=False)
class Raster:
    """values: (k, rows), at x (k,) in each row, numbered from 1 upwards; label: of the colour bar.

    limits: of the colours, None for ± the largest modulus.
    """

    title: str
    x_label: str
    y_label: str
    x: Array
    values: Array
    label: str
    limits: tuple[float, float] | None = None

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """A strip of colours a row, each colour halfway to the next x, and the bar."""
        largest = float(np.abs(self.values).max())
        low, high = self.limits or (-largest, largest)
        x, y, width, height = ax.get_position().bounds
        inch = width / room[0]
        ax.set_position((x, y, width - BESIDE * inch, height))
        edges = np.concatenate([self.x[:1], 0.5 * (self.x[1:] + self.x[:-1]), self.x[-1:]])
        rows = np.arange(self.values.shape[1] + 1) + 0.5
        norm, name = Normalize(low, high), Shades.DIVERGING.value
        shown = ax.pcolormesh(edges, rows, self.values.T, norm=norm, cmap=name, rasterized=True)
        ax.set(xlabel=self.x_label, ylabel=self.y_label)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
        colour_bar(ax, shown, self.label, False, inch)
