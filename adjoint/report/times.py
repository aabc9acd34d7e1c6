"""The panel of times: seconds per iteration by phase, and the factorizations done so far."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..report import axes as look
from ..typing import Array
from .history import History

DRAWN = {
    "assembly": (("assembly",), look.SKY),
    "factor": (("analysis", "factor"), look.BLUE),
    "solve": (("solve",), look.GREEN),
    "gradient": (("gradient",), look.PURPLE),
    "filter": (("filter",), look.ORANGE),
    "optimizer": (("optimizer",), look.VERMILLION),
    "output": (("output",), look.GRAY),
}  # an analysis, once a run, is drawn with the factorizations: the tables tell them apart
MOST_BARS = 150  # more iterations than this are averaged in groups
OUTLIER = 4.0  # times the 95th percentile: a bar beyond is cut, and its value written
FEWEST_BARS = 10  # from which a percentile means anything


def times(ax: Axes, history: History) -> None:
    """Seconds per iteration, stacked by phase, and the factorizations so far on the right-hand axis."""
    x = history.numbers
    width = max(1, -(-x.size // MOST_BARS))
    starts = np.arange(0, x.size, width)
    edges = np.append(x[starts] - 0.5, x[-1:] + 0.5)
    spent = {
        name: _means(np.sum([np.nan_to_num(history.parts("seconds", phase)) for phase in phases], axis=0), starts)
        for name, (phases, _) in DRAWN.items()
    }
    total = sum(spent.values(), np.zeros(starts.size))
    unit, scale = ("s", 1.0) if total.max(initial=0.0) >= 1 else ("ms", 1000.0)
    base = np.zeros(starts.size)
    for name, seconds in spent.items():
        if seconds.any():
            top = base + scale * seconds
            ax.stairs(top, edges, baseline=base, fill=True, color=DRAWN[name][1], linewidth=0, label=name)
            base = top
    if base.any():
        _limit(ax, base, edges, unit)
    ax.set_ylabel(f"{unit} per iteration" if width == 1 else f"{unit} per iteration, mean over {width}")
    look.whole_numbers(ax, history)
    _factorizations(ax, history)


def _means(seconds: Array, starts: Array) -> Array:
    counts = np.diff(np.append(starts, seconds.size))
    return np.add.reduceat(seconds, starts) / counts if starts.size else seconds


def _limit(ax: Axes, total: Array, edges: Array, unit: str) -> None:
    """The y axis from zero to the highest bar, or to the highest but a few that are cut and labelled."""
    usual = np.quantile(total, 0.95, method="lower") if total.size >= FEWEST_BARS else np.inf
    cut = np.flatnonzero(total > OUTLIER * usual) if usual > 0 else np.empty(0, dtype=int)
    ax.set_ylim(0, 1.08 * (max(np.delete(total, cut)) if cut.size else total.max()))
    if cut.size:
        worst = cut[np.argmax(total[cut])]
        first, last = round(edges[worst] + 0.5), round(edges[worst + 1] - 0.5)
        where = f"iteration {first}" if first == last else f"iterations {first} to {last}"
        others = f", {cut.size - 1} more cut" if cut.size > 1 else ""
        late = worst > 0.5 * total.size
        ax.annotate(
            f"{where}: {total[worst]:.3g} {unit}{others}",
            (0.5 * (edges[worst] + edges[worst + 1]), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-8 if late else 8, -4),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            bbox={"facecolor": look.PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )


def _factorizations(ax: Axes, history: History) -> None:
    count = history.parts("counts", "numeric")
    if not np.nan_to_num(count).any():
        look.legend(ax)
        return
    twin = ax.twinx()
    twin.grid(visible=False)
    twin.spines["right"].set_visible(True)
    look.line(twin, history.numbers, count, "factorizations", look.INK)
    twin.set_ylim(0, 1.08 * max(1.0, np.nanmax(count)))
    twin.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    twin.set_ylabel("factorizations so far")
    look.legend(ax, twin)
