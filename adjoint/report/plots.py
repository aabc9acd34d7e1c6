"""What a sheet shows: fields as colours on a rectangle, and curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..report import axes as look
from ..typing import Array
from .bands import Band
from .bars import BESIDE, colour_bar

FEW = 1e3  # an axis up to so long, end over beginning, has numbers between the powers of ten


class Shades(Enum):
    """How values become colours; all can be told apart with every common colour blindness."""

    SEQUENTIAL = "viridis"
    DIVERGING = "RdBu_r"


class Plot(Protocol):
    """A titled drawing in a frame."""

    @property
    def title(self) -> str:
        """Over the frame."""

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw in axes that fill a frame of this width and height, inches."""


@dataclass(frozen=True, eq=False)
class Map:
    """A field on a rectangle, one square of colour a cell, with its colour bar.

    values: (nx, ny), x rightwards, y upwards; size: of the rectangle, in the unit `length`, "" for none; label: of the
    colour bar; limits: of the colours, None for the extremes (symmetric about 0 where the shades diverge); logarithmic:
    the colours; points: (q, 2), marked by dots; at_points: (q,), shown by their colours, with no field behind.
    """

    title: str
    values: Array
    size: tuple[float, float]
    label: str
    length: str = "m"
    shades: Shades = Shades.SEQUENTIAL
    limits: tuple[float, float] | None = None
    logarithmic: bool = False
    points: Array | None = None
    at_points: Array | None = None

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """The colours, the points, and a bar as high as the map."""
        width, height = self._fitted(room[0] - BESIDE, room[1])
        x, y, across, along = ax.get_position().bounds
        inch, high = across / room[0], along / room[1] * height
        ax.set_position((x, y, width * inch, high))
        norm, name = self._norm(), self.shades.value
        shown: ScalarMappable
        if self.at_points is None:
            extent = (0.0, self.size[0], 0.0, self.size[1])
            shown = ax.imshow(self.values.T, origin="lower", extent=extent, aspect="auto", norm=norm, cmap=name)
            if self.points is not None:
                ax.plot(*self.points.T, "o", color="white", markersize=1.3, markeredgewidth=0.0)
        else:
            x_at, y_at = self._places().T
            shown = ax.scatter(x_at, y_at, s=9.0, c=self.at_points, linewidths=0.0, norm=norm, cmap=name)
        for axis, limit, letter in ((ax.xaxis, ax.set_xlim, "x"), (ax.yaxis, ax.set_ylim, "y")):
            limit(0.0, self.size[letter == "y"])
            axis.set_label_text(f"{letter} / {self.length}" if self.length else letter)
            axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        colour_bar(ax, shown, self.label, self.logarithmic, inch)

    def _places(self) -> Array:
        if self.points is None:
            raise ValueError("Map: got at_points without points, expected both")
        return self.points

    def _fitted(self, width: float, height: float) -> tuple[float, float]:
        """The largest map of the true proportions in this room, inches."""
        scale = min(width / self.size[0], height / self.size[1])
        return scale * self.size[0], scale * self.size[1]

    def _norm(self) -> Normalize:
        colored = self.values if self.at_points is None else self.at_points
        low, high = self.limits or (float(colored.min()), float(colored.max()))
        if self.limits is None and self.shades is Shades.DIVERGING:
            low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
        return LogNorm(low, high) if self.logarithmic else Normalize(low, high)


@dataclass(frozen=True, eq=False)
class Curve:
    """y over x, (k,) each, as a line; dashed or marked by a symbol, such as "o" (with no line if `loose`)."""

    x: Array
    y: Array
    label: str
    color: str
    dashed: bool = False
    marker: str = ""
    loose: bool = False

    def draw(self, ax: Axes) -> None:
        """The line, its markers small enough for many."""
        line = "none" if self.loose else "--" if self.dashed else "-"
        (drawn,) = ax.plot(self.x, self.y, color=self.color, label=self.label)
        drawn.set(linestyle=line, marker=self.marker, markersize=3.8)


@dataclass(frozen=True, eq=False)
class Graph:
    """Curves over a common axis.

    bands: behind them; notes: (x, y, text), each text beside its point, to the left of it where x is in the right half;
    level: of a dotted line across, nan for none; low, high: limits of y where they are not the curves' own.
    """

    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    bands: Sequence[Band] = field(default=(), kw_only=True)
    notes: Sequence[tuple[float, float, str]] = field(default=(), kw_only=True)
    logarithmic: tuple[bool, bool] = field(default=(False, False), kw_only=True)
    level: float = field(default=float("nan"), kw_only=True)
    low: float | None = field(default=None, kw_only=True)
    high: float | None = field(default=None, kw_only=True)

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """The curves, named above the frame."""
        for band in self.bands:
            band.draw(ax)
        for curve in self.curves:
            curve.draw(ax)
        if np.isfinite(self.level):
            ax.axhline(self.level, color=look.GRAY, linestyle=":", linewidth=1.0, zorder=1.5)
        if self.logarithmic[0]:
            self._logarithmic_along(ax)
        if self.logarithmic[1]:
            shown = np.concatenate([curve.y for curve in self.curves])
            look.logarithmic(ax, shown[shown > 0.0])
        ax.set(xlabel=self.x, ylabel=self.y)
        ax.set_ylim(self.low, self.high)
        left, right = ax.get_xlim()
        for x, y, text in self.notes:
            side = -1 if x > 0.5 * (left + right) else 1
            ax.annotate(
                text,
                (x, y),
                xytext=(6 * side, 0),
                textcoords="offset points",
                ha="right" if side < 0 else "left",
                va="center",
                fontsize=8.0,
            )
        look.legend(ax)

    def _logarithmic_along(self, ax: Axes) -> None:
        ax.set_xscale("log")
        left, right = ax.get_xlim()
        if right <= FEW * left:
            ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            ax.xaxis.set_major_locator(LogLocator(numticks=8))
        ax.xaxis.set_minor_locator(NullLocator())
