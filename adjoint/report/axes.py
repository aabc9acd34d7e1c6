"""One panel's axes: colours, lines over iterations, limits, legends above the frame."""

from contextlib import AbstractContextManager

import numpy as np
from matplotlib.axes import Axes
from matplotlib.style import context
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import offset_copy

from ..typing import Array
from .history import History

# Okabe & Ito (2008), Color Universal Design: told apart with every common colour blindness.
BLUE, SKY, GREEN = "#0072b2", "#56b4e9", "#009e73"
ORANGE, VERMILLION, PURPLE, GRAY = "#e69f00", "#d55e00", "#cc79a7", "#999999"
INK, FAINT, PAPER = "#1f2328", "#d3d7dc", "#fffffe"  # text and frame; grid; background

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
    "legend.fontsize": 8.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "adjoint.report",  # the same run gives the same file
}
DASHES = (0, (4, 3))  # of a line where a new stage begins
MOST_MARKERS = 40  # iterations up to which each one gets a marker
OUTSIDE = 0.4  # inches a legend begins to the left of the frame
MANY = 200  # dots from which they are fainter


def drawing() -> AbstractContextManager[None]:
    """The style of the report, whatever the user's own settings of matplotlib are."""
    return context(["default", STYLE])


def line(ax: Axes, x: Array, y: Array, label: str, color: str) -> None:
    """Draw y over x where finite; markers on a short series, and on points that have no neighbour."""
    known = np.isfinite(y)
    padded = np.pad(known, 1)
    marked = known & ((known.sum() <= MOST_MARKERS) | ~(padded[:-2] | padded[2:]))
    if known.any():
        ax.plot(x, y, color=color, label=label)
        ax.plot(x[marked], y[marked], "o", color=color, markersize=3.2)


def dots(ax: Axes, x: Array, y: Array, label: str, color: str, marker: str) -> None:
    """Draw faint markers, behind the lines, whole even on the edge of the frame."""
    (drawn,) = ax.plot(x, y, marker, color=color, label=label, zorder=1.5, clip_on=False)
    drawn.set_markersize(5.0 if marker == "." else 3.5)
    drawn.set_alpha(0.7 if x.size <= MANY else 0.35)


def whole_numbers(ax: Axes, history: History) -> None:
    """The x axis: whole iterations, and a margin."""
    x = history.numbers
    first, last = (x[0], x[-1]) if x.size else (0, 1)
    margin = max(0.7, 0.02 * (last - first))
    ax.set_xlim(first - margin, last + margin)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    ax.set_xlabel("iteration")


def iterations_along(ax: Axes, history: History) -> None:
    """The x axis of iterations, and a dashed line where a new stage begins."""
    whole_numbers(ax, history)
    for start in stages(history):
        ax.axvline(start, color=GRAY, linestyle=DASHES, linewidth=0.9, zorder=1.2)


def stages(history: History) -> Array:
    """Where a new stage begins, halfway between two iterations."""
    x = history.numbers
    rows = np.flatnonzero(np.abs(np.diff(history.series("stage"))) > 0)
    return 0.5 * (x[rows] + x[rows + 1])


def logarithmic(ax: Axes, shown: Array) -> None:
    """A logarithmic y axis over whole decades around the positive values, none of them on its ends."""
    ax.set_yscale("log")
    ax.set_ylim(10.0 ** np.floor(np.log10(0.9 * shown.min())), 10.0 ** np.ceil(np.log10(1.1 * shown.max())))
    ax.yaxis.set_major_locator(LogLocator(numticks=8))
    ax.yaxis.set_minor_formatter(NullFormatter())


def linear(ax: Axes, shown: Array, name: str) -> None:
    """A linear y axis around the values; a power of ten goes into the label, never into a corner.

    The axis spans at least a thousandth of the values: rounding errors do not look like progress.
    """
    low, high, largest = shown.min(), shown.max(), np.abs(shown).max()
    span = max(high - low, 1e-3 * largest) or 1.0
    middle = 0.5 * (low + high)
    ax.set_ylim(middle - 0.56 * span, middle + 0.56 * span)
    powers(ax, largest, name, 6)


def powers(ax: Axes, largest: float, name: str, most: int) -> None:
    """At most so many numbers along a linear y axis up to ± the largest, a power of ten in its label."""
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    power = exponent if not -2 < exponent < 5 else 0
    ax.yaxis.set_major_locator(MaxNLocator(nbins=most))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 10.0**power:.6g}"))
    ax.set_ylabel(f"{name} / $10^{{{power}}}$" if power else name)


def absent(ax: Axes) -> None:
    """Say that there is nothing to draw."""
    ax.set_yticks([])
    ax.set_ylabel("")
    ax.text(0.5, 0.5, "not recorded", transform=ax.transAxes, ha="center", va="center", color=INK)


def legend(ax: Axes, *others: Axes) -> None:
    """Name what was drawn, in rows of at most three above the frame, where no data are."""
    pairs = [pair for each in (ax, *others) for pair in zip(*each.get_legend_handles_labels(), strict=True)]
    if not pairs:
        absent(ax)
        return
    handles, labels = zip(*pairs, strict=True)
    ax.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=offset_copy(ax.transAxes, ax.get_figure(root=True), x=-OUTSIDE, units="inches"),
        ncols=4 if len(pairs) > 6 else 3,
        borderaxespad=0.6,
        columnspacing=1.2,
        handlelength=1.6,
        handletextpad=0.5,
        labelspacing=0.25,
    )
