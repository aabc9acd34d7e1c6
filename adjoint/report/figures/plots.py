"""Plots of a result, for sheets and reports: fields as colours, and curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.tri import Triangulation

from ..._dataclasses import short_repr
from ..._validation import as_reals
from ...typing import Array
from ..meshes import Mesh
from . import style as look
from .style import BESIDE, colour_bar

SHADE = 0.25  # opacity of a band
FEW = 1e3  # ratio of the ends of an axis up to which numbers stand between powers of ten


class Shades(Enum):
    """Scales of colours that can be told apart with every common colour blindness."""

    SEQUENTIAL = "viridis"
    DIVERGING = "RdBu_r"


class Plot(Protocol):
    """Protocol of a plot: a drawing in a frame, with a title, for a report or `write_sheet`.

    A plot of your own has the members `title` and `draw`. `draw` gets axes of matplotlib
    and may draw anything on these axes. `draw` is called once for each medium (figure,
    page), each time with the same values.

    Examples
    --------
    ::

        @dataclass(frozen=True)
        class Fit:
            t: np.ndarray
            data: np.ndarray
            model: np.ndarray
            title: str = "Fit"

            def draw(self, ax, room):
                ax.plot(self.t, self.data, "o", label="data")
                ax.plot(self.t, self.model, label="model")
                ax.set(xlabel="t / s", ylabel="y")
                ax.legend()
    """

    @property
    def title(self) -> str:
        """Title above the frame."""

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw the plot.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
            Axes that fill the frame. Outside of the frame about half an inch is free for
            the labels of the axes. A colour bar needs room within the frame: `draw` must
            then make the axes narrower.
        room : (float, float)
            Width and height of the frame, inches.
        """


@dataclass(frozen=True, eq=False)
class Map:
    """A field on a rectangle, with one coloured rectangle per cell and a colour bar.

    Parameters
    ----------
    title : str
        Title above the frame.
    values : (nx, ny) array
        Values of the cells. The first index runs along x (to the right), the second
        along y (upwards).
    size : (float, float)
        Width and height of the rectangle, in the unit `length`.
    label : str
        Label of the colour bar, such as "u / K".
    length : str
        Unit of length in the labels of the axes; "" writes no unit.
    shades : Shades
        Scale of colours.
    limits : (float, float), optional
        Values of the first and the last colour. By default the extremes of the values;
        for `Shades.DIVERGING` ± the largest modulus.
    logarithmic : bool
        True if the colours are proportional to the logarithm of the values.
    points : (q, 2) array, optional
        Coordinates of dots drawn on the field.
    at_points : (q,) array, optional
        Values shown by the colours of these dots; the field is then not drawn.
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

    __repr__ = short_repr

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw the field or the coloured dots, and a colour bar as high as the map."""
        inch = _fit(ax, room, self.size)
        colored = self.values if self.at_points is None else self.at_points
        norm, name = _norm(colored, self.limits, self.shades, self.logarithmic), self.shades.value
        shown: ScalarMappable
        if self.at_points is None:
            extent = (0.0, self.size[0], 0.0, self.size[1])
            shown = ax.imshow(
                self.values.T, origin="lower", extent=extent, aspect="auto", norm=norm, cmap=name
            )
            if self.points is not None:
                ax.plot(*self.points.T, "o", color="white", markersize=1.3, markeredgewidth=0.0)
        else:
            x_at, y_at = self._places().T
            shown = ax.scatter(
                x_at, y_at, s=9.0, c=self.at_points, linewidths=0.0, norm=norm, cmap=name
            )
        _lengths(ax, ((0.0, self.size[0]), (0.0, self.size[1])), self.length)
        colour_bar(ax, shown, self.label, self.logarithmic, inch)

    def _places(self) -> Array:
        if self.points is None:
            raise ValueError("Map: got at_points without points, expected both")
        return self.points


@dataclass(frozen=True, eq=False)
class MeshMap:
    """A field on a mesh in the plane, with its colour bar.

    Parameters
    ----------
    title : str
        Title above the frame.
    points : (n, 2) array
        Coordinates of the points, in the unit `length`.
    cells : (k, 3) or (k, 4) array of integers
        Point indices of the corners of triangles or quadrilaterals, in order around
        each cell.
    values : (k,) or (n,) array
        Values of the cells, or values at the points, which are interpolated.
    label : str
        Label of the colour bar, such as "u / K".
    length : str
        Unit of length in the labels of the axes; "" writes no unit.
    shades : Shades
        Scale of colours.
    limits : (float, float), optional
        Values of the first and the last colour; see `Map`.
    logarithmic : bool
        True if the colours are proportional to the logarithm of the values.
    """

    title: str
    points: Array
    cells: Array
    values: Array
    label: str
    length: str = "m"
    shades: Shades = Shades.SEQUENTIAL
    limits: tuple[float, float] | None = None
    logarithmic: bool = False

    __repr__ = short_repr

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw the field, and a colour bar as high as the mesh."""
        mesh = Mesh.of("MeshMap", self.points, self.cells)
        values = as_reals(
            "MeshMap", "values", self.values, 1, "one number for each cell, or for each point"
        )
        low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
        inch = _fit(ax, room, (high[0] - low[0], high[1] - low[1]))
        norm, name = _norm(values, self.limits, self.shades, self.logarithmic), self.shades.value
        shown: ScalarMappable
        if values.size == len(mesh.points) != len(mesh.cells):
            corners = (
                mesh.cells
                if mesh.kind == "triangle"
                else mesh.cells[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
            )
            triangles = Triangulation(mesh.points[:, 0], mesh.points[:, 1], corners)
            shown = ax.tripcolor(
                triangles, values, shading="gouraud", norm=norm, cmap=name, rasterized=True
            )
        else:
            cells = PolyCollection(
                list(mesh.points[mesh.cells]),
                norm=norm,
                cmap=name,
                edgecolors="face",
                linewidths=0.2,
            )
            cells.set(array=mesh.of_cells("MeshMap", values), rasterized=True)
            ax.add_collection(cells)
            shown = cells
        _lengths(ax, ((low[0], high[0]), (low[1], high[1])), self.length)
        colour_bar(ax, shown, self.label, self.logarithmic, inch)


def _fit(ax: Axes, room: tuple[float, float], size: tuple[float, float]) -> float:
    """Fit axes with equal scales into their frame, beside room for a colour bar.

    Returns the width of one inch as a fraction of the figure width. size: width and height
    of the region drawn, in its unit of length.
    """
    scale = min((room[0] - BESIDE) / size[0], room[1] / size[1])
    x, y, across, along = ax.get_position().bounds
    inch = across / room[0]
    high = along / room[1] * scale * size[1]
    # At the top, under the title.
    ax.set_position((x, y + along - high, scale * size[0] * inch, high))
    return float(inch)


def _lengths(
    ax: Axes, limits: tuple[tuple[float, float], tuple[float, float]], length: str
) -> None:
    """Set limits, labels and ticks of the axes x and y; length: the unit of length."""
    ax.set(xlim=limits[0], ylim=limits[1])
    for axis, letter in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        axis.set_label_text(f"{letter} / {length}" if length else letter)
        axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))


def _norm(
    values: Array, limits: tuple[float, float] | None, shades: Shades, logarithmic: bool
) -> Normalize:
    """Return the normalization of values for the colours; `Map` states the default limits."""
    low, high = limits or (float(values.min()), float(values.max()))
    if limits is None and shades is Shades.DIVERGING:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return LogNorm(low, high) if logarithmic else Normalize(low, high)


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve y(x), drawn as a line of a `Graph`.

    Parameters
    ----------
    x, y : (k,) arrays
        Points of the curve, in order.
    label : str
        Name of the curve, written above the frame.
    color : str
        Any colour of matplotlib; see `adjoint.report.figures.style` for colours that can
        be told apart with every common colour blindness.
    dashed : bool
        True draws a dashed line.
    marker : str
        Marker of matplotlib at the points, such as "o"; "" draws no markers.
    loose : bool
        True draws the markers without a line.
    """

    x: Array
    y: Array
    label: str
    color: str
    dashed: bool = False
    marker: str = ""
    loose: bool = False

    __repr__ = short_repr

    def draw(self, ax: Axes) -> None:
        """Draw the curve, with small markers because there may be many points."""
        line = "none" if self.loose else "--" if self.dashed else "-"
        (drawn,) = ax.plot(self.x, self.y, color=self.color, label=self.label)
        drawn.set(linestyle=line, marker=self.marker, markersize=3.8)


@dataclass(frozen=True, eq=False)
class Band:
    """The area between two curves: where a quantity lies with some probability.

    Parameters
    ----------
    x, low, high : (k,) arrays
        The area lies between the curves low(x) and high(x).
    label : str
        Name of the area, written above the frame.
    color : str
        Any colour of matplotlib; the area is drawn in a pale shade of this colour.
    """

    x: Array
    low: Array
    high: Array
    label: str
    color: str

    __repr__ = short_repr

    def draw(self, ax: Axes) -> None:
        """Draw the area in a pale shade, behind the curves."""
        ax.fill_between(
            self.x,
            self.low,
            self.high,
            color=self.color,
            alpha=SHADE,
            linewidth=0.0,
            label=self.label,
            zorder=1.2,
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """Curves y(x) on common axes.

    Parameters
    ----------
    title : str
        Title above the frame.
    x, y : str
        Labels of the axes, with units.
    curves : sequence of Curve
        The curves, at least one.
    bands : sequence of Band
        Areas behind the curves.
    notes : sequence of (float, float, str)
        Notes (x, y, text). The text stands to the right of the point (x, y), or to the
        left if the point is in the right half of the frame.
    logarithmic : (bool, bool)
        True for a logarithmic axis, for x and for y.
    level : float
        Value y of a dotted horizontal line; nan draws no line.
    low, high : float, optional
        Limits of the y axis; by default the limits fit the curves.
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

    __repr__ = short_repr

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw the curves, with their names above the frame."""
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
        if not self.logarithmic[
            1
        ]:  # A power of ten stands in the label, not over the axis among the names.
            look.powers(ax, max(map(abs, ax.get_ylim())), self.y, 6)
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


@dataclass(frozen=True, eq=False)
class Raster:
    """Values of several functions of x as colours, one row for each function.

    Parameters
    ----------
    title : str
        Title above the frame.
    x_label, y_label : str
        Labels of the axes.
    x : (k,) array
        Points x, increasing.
    values : (k, rows) array
        Values shown by colours. Each column of the array is drawn as a row; the rows are
        numbered from 1, from bottom to top.
    label : str
        Label of the colour bar.
    limits : (float, float), optional
        Values of the first and the last colour; by default ± the largest modulus.
    """

    title: str
    x_label: str
    y_label: str
    x: Array
    values: Array
    label: str
    limits: tuple[float, float] | None = None

    __repr__ = short_repr

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw one strip of colours per row, and the colour bar.

        Each colour reaches halfway to the neighbouring points x.
        """
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
