"""A band between two curves: where a quantity lies with some probability."""

from dataclasses import dataclass

from matplotlib.axes import Axes

from ..typing import Array

SHADE = 0.25  # opacity


@dataclass(frozen=True, eq=False)
class Band:
    """The area between low and high over x, (k,) each."""

    x: Array
    low: Array
    high: Array
    label: str
    color: str

    def draw(self, ax: Axes) -> None:
        """The area, pale, behind the curves."""
        ax.fill_between(
            self.x, self.low, self.high, color=self.color, alpha=SHADE, linewidth=0.0, label=self.label, zorder=1.2
        )
