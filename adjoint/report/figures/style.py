"""Style of the axes of a panel: colours, lines, limits, legends, fonts."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.style import context
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import offset_copy

from ...typing import Array
from ..history import History

# Okabe & Ito (2008), Color Universal Design: told apart with every common colour blindness.
BLUE, SKY, GREEN = "#0072b2", "#56b4e9", "#009e73"
ORANGE, YELLOW, VERMILLION, PURPLE, GRAY = "#e69f00", "#f0e442", "#d55e00", "#cc79a7", "#999999"
INK, FAINT, PAPER = "#1f2328", "#d3d7dc", "#fffffe"  # text and frame; grid; background

LEGEND = 8.0  # font size of a legend, points

STYLE: dict[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.4,
    "path.snap": False,  # a constant line stays straight
    "legend.frameon": False,
    "legend.fontsize": LEGEND,
    "svg.fonttype": "path",
    "svg.hashsalt": "adjoint.report",  # the same run gives the same file
}
DASHES = (0, (4, 3))  # dashes of the line at the start of a stage
MOST_MARKERS = 40  # number of points up to which each point has a marker
OUTSIDE = 0.4  # inches a legend begins to the left of the frame
HANDLE, PAD, SPACE = 1.5, 0.5, 1.2
"""Length of a line in a legend, distance of line and text, distance of columns.

The unit is the font size.
"""
BETWEEN = 0.06  # gap between two axes in a frame, as a share of its height
MANY = 200  # number of dots above which the dots are fainter


def drawing() -> AbstractContextManager[None]:
    """Return a context manager with the style of the report, without the user's settings."""
    return context(["default", STYLE])


def line(ax: Axes, x: Array, y: Array, label: str, color: str) -> None:
    """Draw y over x as a line; nan and inf are gaps.

    Each point has a marker if there are at most MOST_MARKERS points; otherwise only points
    between two gaps have one.
    """
    known = np.isfinite(y)
    padded = np.pad(known, 1)
    marked = known & ((known.sum() <= MOST_MARKERS) | ~(padded[:-2] | padded[2:]))
    if known.any():
        ax.plot(x, y, color=color, label=label)
        ax.plot(x[marked], y[marked], "o", color=color, markersize=3.2)


def dots(ax: Axes, x: Array, y: Array, label: str, color: str, marker: str) -> None:
    """Draw faint markers behind the lines; the edge of the frame does not cut the markers."""
    (drawn,) = ax.plot(x, y, marker, color=color, label=label, zorder=1.5, clip_on=False)
    drawn.set_markersize(5.0 if marker == "." else 3.5)
    drawn.set_alpha(0.7 if x.size <= MANY else 0.35)


def whole_numbers(ax: Axes, history: History) -> None:
    """Set the x axis: integer iterations, with a margin at both ends."""
    x = history.numbers
    first, last = (x[0], x[-1]) if x.size else (0, 1)
    margin = max(0.7, 0.02 * (last - first))
    ax.set_xlim(first - margin, last + margin)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    ax.set_xlabel("iteration")


def iterations_along(ax: Axes, history: History) -> None:
    """Set the x axis of iterations, and draw a dashed line where a new stage begins."""
    whole_numbers(ax, history)
    for start in stages(history):
        ax.axvline(start, color=GRAY, linestyle=DASHES, linewidth=0.9, zorder=1.2)


def stages(history: History) -> Array:
    """Return the x where new stages begin, halfway between two iterations, (k,)."""
    x = history.numbers
    rows = np.flatnonzero(np.abs(np.diff(history.series("stage"))) > 0)
    return 0.5 * (x[rows] + x[rows + 1])


def logarithmic(ax: Axes, shown: Array) -> None:
    """Set a logarithmic y axis of whole decades; no value of `shown` is at its ends.

    shown: the values drawn, all positive.
    """
    ax.set_yscale("log")
    ax.set_ylim(
        10.0 ** np.floor(np.log10(0.9 * shown.min())), 10.0 ** np.ceil(np.log10(1.1 * shown.max()))
    )
    ax.yaxis.set_major_locator(LogLocator(numticks=8))
    ax.yaxis.set_minor_formatter(NullFormatter())


def linear(ax: Axes, shown: Array, name: str) -> None:
    """Set a linear y axis around the values `shown`; its label holds a power of ten.

    The axis spans at least a thousandth of the largest modulus, so that rounding errors do
    not look like progress.
    """
    low, high, largest = shown.min(), shown.max(), np.abs(shown).max()
    span = max(high - low, 1e-3 * largest) or 1.0
    middle = 0.5 * (low + high)
    ax.set_ylim(middle - 0.56 * span, middle + 0.56 * span)
    powers(ax, largest, name, 6)


def powers(ax: Axes, largest: float, name: str, most: int) -> None:
    """Set about `most` numbers along a linear y axis; its label holds a power of ten.

    largest: the largest modulus of the values, which determines the power.
    """
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    power = exponent if not -2 < exponent < 5 else 0
    ax.yaxis.set_major_locator(MaxNLocator(nbins=most))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**power:.6g}"))
    ax.set_ylabel(f"{name} / $10^{{{power}}}$" if power else name)


def absent(ax: Axes) -> None:
    """Write "not recorded" on empty axes."""
    ax.set_yticks([])
    ax.set_ylabel("")
    ax.text(0.5, 0.5, "not recorded", transform=ax.transAxes, ha="center", va="center", color=INK)


def legend(ax: Axes, *others: Axes) -> None:
    """Write the names of the lines in one or two rows above the frame; long names are cut.

    others: further axes whose lines are named as well.
    """
    pairs = [
        pair
        for each in (ax, *others)
        for pair in zip(*each.get_legend_handles_labels(), strict=True)
    ]
    if not pairs:
        absent(ax)
        return
    handles, labels = zip(*pairs, strict=True)
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a report have one.
    room = 72.0 * (ax.get_position().width * figure.get_size_inches()[0] + OUTSIDE)
    columns, named = fitted([str(label) for label in labels], room)
    ax.legend(
        handles,
        named,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=offset_copy(ax.transAxes, figure, x=-OUTSIDE, units="inches"),
        ncols=columns,
        borderpad=0.0,
        borderaxespad=0.7,
        columnspacing=SPACE,
        handlelength=HANDLE,
        handletextpad=PAD,
        labelspacing=0.25,
    )


def fitted(labels: Sequence[str], room: float) -> tuple[int, list[str]]:
    """Return the number of columns of a legend, and its labels, cut to fit two rows.

    room: width of the legend, points.
    """
    face = font(LEGEND, "normal")
    widths = [width(label, face) + LEGEND * (HANDLE + PAD) for label in labels]
    for rows in (1, 2):
        columns = -(-len(labels) // rows)
        # As Matplotlib fills a legend: column by column, the first ones longer.
        used = sum(max(part) for part in np.array_split(widths, columns)) + LEGEND * SPACE * (
            columns - 1
        )
        if used <= room:
            return columns, list(labels)
    each = (room + LEGEND * SPACE) / columns - LEGEND * (SPACE + HANDLE + PAD)
    return columns, [wrap(label, face, each, 1) for label in labels]


def stacked(ax: Axes, share: float) -> Axes:
    """Add axes below `ax`, and reduce `ax` to `share` of its height.

    Both axes together fill the former frame of `ax`.
    """
    left, bottom, across, height = ax.get_position().bounds
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a report have one.
    ax.set_position((left, bottom + (1.0 - share) * height, across, share * height))
    return figure.add_axes((left, bottom, across, (1.0 - share - BETWEEN) * height))


FAMILY = "DejaVu Sans"  # ships with matplotlib: the same figure on every machine


def font(size: float, weight: str) -> FontProperties:
    """Return the font of the figures; size in points, weight "normal" or "bold"."""
    return FontProperties(family=FAMILY, size=size, weight=weight)


def legible(text: str) -> str:
    """Return the text on one line; characters that the font does not have become "?"."""
    drawn = get_font(findfont(font(10, "normal")))
    return "".join(
        char if drawn.get_char_index(ord(char)) else "?" for char in " ".join(text.split())
    )


def width(text: str, face: FontProperties) -> float:
    """Return the width of a line of text, in points."""
    extent, _, _ = text_to_path.get_text_width_height_descent(text, face, False)
    return float(extent)


def wrap(text: str, face: FontProperties, room: float, rows: int) -> str:
    """Break text into at most `rows` lines of at most `room` points.

    "…" ends a text that is cut.
    """
    lines: list[str] = []
    rest = legible(text)
    while rest:
        cut = _fitting(rest, face, room)
        if cut == len(rest):
            return "\n".join([*lines, rest])
        if len(lines) == rows - 1:
            cut = _fitting(rest, face, room - width("…", face))
            return "\n".join([*lines, rest[:cut].rstrip() + "…"])
        space = rest.rfind(" ", 1, cut + 1)
        cut = space if space > 0 else cut
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return ""


def _fitting(text: str, face: FontProperties, room: float) -> int:
    """Return the number of leading characters that fit into `room` points, at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle], face) <= room else (low, middle - 1)
    return low


BAR, GAP = 0.12, 0.1  # inches: width of the bar, its distance from the axes
NUMBERS = 0.62  # inches kept free for the numbers and the unit of the bar
BESIDE = GAP + BAR + NUMBERS


def colour_bar(ax: Axes, shown: ScalarMappable, label: str, logarithmic: bool, inch: float) -> None:
    """Add a colour bar as high as the axes, with round numbers.

    inch: width of one inch as a fraction of the figure width.
    """
    x, y, width, height = ax.get_position().bounds
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a sheet have one.
    bar = figure.add_axes((x + width + GAP * inch, y, BAR * inch, height))
    figure.colorbar(shown, cax=bar, label=label)
    bar.minorticks_off()
    if logarithmic:
        bar.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        bar.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    for frame in (ax, bar):
        frame.grid(visible=False)
        frame.spines[:].set_visible(True)
