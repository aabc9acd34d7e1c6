"""The panel of constraints: their values above, met where ≤ 0, and their multipliers below, in the same colours."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ..report import axes as look
from ..typing import Array
from .history import History
from .record import Json

COLORS = (look.BLUE, look.VERMILLION, look.GREEN, look.PURPLE, look.ORANGE, look.SKY)
"""Of as many constraints as are told apart; all others are gray."""
DWARFED = 8.0  # times all later values: a beginning that is cut
SHARE, GAP = 0.47, 0.06  # of the panel's height: each of the two axes, and what is between them


def constraints(ax: Axes, history: History) -> None:
    """Values of the constraints over multipliers; those with the largest multipliers are named."""
    c, multipliers = history.lists("constraints"), history.lists("multipliers")
    left, bottom, width, height = ax.get_position().bounds
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a report have one.
    ax.set_position((left, bottom + (SHARE + GAP) * height, width, SHARE * height))
    lower = figure.add_axes((left, bottom, width, SHARE * height))
    named = _largest(c, multipliers)
    _lines(ax, history, c, named)
    _lines(lower, history, multipliers, named)
    for axes, table, label in ((ax, c, "constraint"), (lower, multipliers, "multiplier")):
        _limits(axes, table)
        look.iterations_along(axes, history)
        look.powers(axes, float(np.abs(_shown(table)).max(initial=0.0)), label, 4)
    _feasible(ax)
    if any(_dwarfed(table) for table in (c, multipliers)):
        ax.plot([], [], " ", label="(beginning cut)")
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    if not np.isfinite(multipliers).any():
        look.absent(lower)
    look.legend(ax)


def name_of(index: int, names: Json) -> str:
    """The constraint's name in the header, or its number."""
    known: Sequence[Json] = names if isinstance(names, list) else ()
    return str(known[index]) if index < len(known) else f"constraint {index + 1}"


def _largest(c: Array, multipliers: Array) -> list[int]:
    """The constraints that are named: those with the largest multipliers, then the largest values."""
    sizes = np.zeros((2, c.shape[1]))
    for row, table in enumerate((c, np.abs(multipliers))):
        known = np.where(np.isfinite(table), table, -np.inf).max(axis=0, initial=-np.inf)
        sizes[row, : known.size] = known[: c.shape[1]]
    return sorted(np.lexsort(sizes)[::-1][: len(COLORS)].tolist())


def _lines(ax: Axes, history: History, table: Array, named: Sequence[int]) -> None:
    others = [index for index in range(table.shape[1]) if index not in named]
    if others:
        drawn = ax.plot(history.numbers, table[:, others], color=look.GRAY, linewidth=0.6, alpha=0.6, zorder=1.3)
        drawn[0].set_label(f"{len(others)} more")
    for place, index in enumerate(named):
        if index < table.shape[1]:
            label = name_of(index, history.header.get("constraints"))
            look.line(ax, history.numbers, table[:, index], label, COLORS[place])


def _dwarfed(table: Array) -> bool:
    """Whether values of the first quarter are so large that of the others nothing would be seen."""
    first, later = (np.abs(rows[np.isfinite(rows)]).max(initial=0.0) for rows in np.split(table, [len(table) // 4]))
    return bool(first > DWARFED * later > 0.0)


def _shown(table: Array) -> Array:
    """The values that an axis has room for, (n,)."""
    rows = table[len(table) // 4 :] if _dwarfed(table) else table
    return rows[np.isfinite(rows)]


def _limits(ax: Axes, table: Array) -> None:
    """The axis holds zero, and what is shown."""
    shown = _shown(table)
    low, high = shown.min(initial=0.0), shown.max(initial=0.0)
    span = (high - low) or 1.0
    ax.set_ylim(low - 0.08 * span, high + 0.08 * span)


def _feasible(ax: Axes) -> None:
    """What is violated is shaded."""
    ax.axhspan(0.0, ax.get_ylim()[1], color=look.VERMILLION, alpha=0.12, linewidth=0.0, zorder=1.0)
    ax.axhline(0.0, color=look.VERMILLION, linewidth=0.7, zorder=1.1)
