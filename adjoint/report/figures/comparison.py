"""Several runs on common axes: objective and optimality over work, time and iterations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from ...typing import Array
from .. import tables
from ..designs import found_place, in_order
from ..history import History
from ..runs import Run
from ..summary import title
from . import style as look
from .convergence import (
    BELOW,
    CAPTION,
    COLUMN,
    COLUMN_GAP,
    GAP,
    LEFT,
    MARGIN,
    POINT,
    ROW,
    WIDTH,
    Page,
)
from .panels import SMALLEST_RESIDUAL, WIDE_RANGE, Panel
from .style import font, wrap

COLORS = (look.BLUE, look.VERMILLION, look.GREEN, look.PURPLE, look.ORANGE, look.SKY, look.INK)
DASHED = ("-", "--", ":", "-.")  # used in turn if there are more runs than colours
ROUNDING = 1e-12  # relative violation up to which a constraint is met to rounding
FEASIBLE = 1e-6  # violation up to which a design counts as feasible
LOPSIDED = (
    12.0  # length of the longest run over that of the shortest from which an axis is logarithmic
)


@dataclass(frozen=True, eq=False)
class Measure:
    """A measure of work, the x axis of a comparison.

    of: history ↦ work up to each iterate, (n,), nan if not recorded; whole: True if the
    values are integers.
    """

    name: str
    of: Callable[[History], Array]
    whole: bool


@dataclass(frozen=True, eq=False)
class Row:
    """A quantity of the runs, the y axis of a row of panels.

    values: one array, (n,), for each run; decades: True for an axis that is always
    logarithmic.
    """

    title: str
    label: str
    values: Sequence[Array]
    decades: bool


def factorizations(history: History) -> Array:
    """Return the number of numeric factorizations from the start to each iterate, (n,)."""
    return history.parts("counts", "numeric")


def work(runs: Sequence[Run]) -> tuple[Measure, ...]:
    """Return the measures of work: factorizations, time and iterations.

    Evaluations take the place of factorizations if no run recorded a factorization.
    """
    if any(np.nan_to_num(factorizations(run.history)).any() for run in runs):
        first = Measure("factorizations", factorizations, True)
    else:
        first = Measure("evaluations", lambda history: history.series("evaluations"), True)
    seconds = Measure("time / s", lambda history: history.elapsed, False)
    return first, seconds, Measure("iteration", lambda history: history.numbers.astype(float), True)


def comparison(runs: Sequence[Run]) -> list[tuple[str, list[Panel]]]:
    """Return rows of panels as (title, panels), with one panel for each measure of work."""
    names = ", ".join(run.name for run in runs)
    return [
        (row.title, [_panel(runs, row, along, names) for along in work(runs)])
        for row in _rows(runs)
    ]


def _panel(runs: Sequence[Run], row: Row, along: Measure, names: str) -> Panel:
    words = f"{row.title} over {along.name}, of {names}."
    return Panel(along.name, partial(_draw, runs=runs, row=row, along=along), words, legend=False)


def _rows(runs: Sequence[Run]) -> list[Row]:
    histories, best = [run.history for run in runs], best_value(runs)
    rows = [
        Row("Objective", "objective", [history.series("objective") for history in histories], False)
    ]
    if np.isfinite(best):
        gaps = [comparable(history) - best for history in histories]
        rows.append(
            Row("Objective above the best one found", f"objective − {best:.7g}", gaps, True)
        )
    words = "Optimality, each algorithm by its own measure: slopes compare, levels do not"
    rows.append(
        Row(words, "KKT residual / first", [_relative(history) for history in histories], True)
    )
    violations = [history.series("constraint_violation") for history in histories]
    if any((violation > ROUNDING).any() for violation in violations):
        rows.append(
            Row(
                "Feasibility; a triangle at the edge: none left",
                "violation of constraints",
                violations,
                True,
            )
        )
    return rows


def best_value(runs: Sequence[Run]) -> float:
    """The least objective of all feasible designs; nan if the problems of the runs differ."""
    problems = [run.history.header.get("problem") or {} for run in runs]
    if len(runs) < 2 or any(problem != problems[0] for problem in problems):
        return np.nan
    return float(
        np.nanmin(
            [np.nan, *(value for run in runs for value in comparable(run.history))], initial=np.inf
        )
    )


def comparable(history: History) -> Array:
    """Return the objective, (n,), with nan at infeasible designs and before the last stage."""
    stage = history.series("stage")
    later = np.isnan(stage) | (stage == stage.max(initial=-np.inf))
    violated = np.nan_to_num(history.series("constraint_violation")) > FEASIBLE
    return np.where(later & ~violated, history.series("objective"), np.nan)


def look_of(place: int) -> tuple[str, str]:
    """Return the colour and the line style of the run number `place` in the list."""
    return COLORS[place % len(COLORS)], DASHED[place // len(COLORS) % len(DASHED)]


def _relative(history: History) -> Array:
    """Return the KKT residuals of a run, divided by the first positive residual.

    If there is a positive residual at a feasible design, the first of these is the
    divisor. Residuals at infeasible designs are avoided because some algorithms add a
    large multiple of the violation to the residual.
    """
    y, violated = (
        history.series("kkt"),
        np.nan_to_num(history.series("constraint_violation")) > FEASIBLE,
    )
    known = [*y[(y > 0.0) & ~violated], *y[y > 0.0]]
    return y / known[0] if known else y


def _draw(ax: Axes, runs: Sequence[Run], row: Row, along: Measure) -> None:
    """Draw one line per run, with a dot at its end.

    If the last value is zero on a logarithmic axis, a triangle at the lower edge of the
    frame is drawn instead of the dot.
    """
    shown, ends = np.empty(0), np.empty(0)
    sunk: list[tuple[float, str]] = []
    found = np.concatenate([np.empty(0), *(y[np.isfinite(y)] for y in row.values)])
    decades = row.decades or bool(
        found.size and found.min() > 0.0 and found.max() > WIDE_RANGE * found.min()
    )
    least = SMALLEST_RESIDUAL * found.max(initial=0.0) if decades else -np.inf
    for place, (run, values) in enumerate(zip(runs, row.values, strict=True)):
        x, y = along.of(run.history), np.where(values > least, values, np.nan)
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if known.size:
            color, style = look_of(place)
            ax.plot(x, y, style, color=color, linewidth=1.5, label=run.name)
            end = np.flatnonzero(np.isfinite(x) & np.isfinite(values))[-1]
            if end == known[-1]:
                ax.plot(x[end], y[end], "o", color=color, markersize=3.6)
            else:
                sunk.append((float(x[end]), color))
            shown, ends = np.append(shown, y[known]), np.append(ends, np.nanmax(x))
    ax.set_ylabel(row.label)
    ax.set_xlabel(along.name)
    if not ends.size:
        look.absent(ax)
        return
    if decades:
        look.logarithmic(ax, shown)
        for x_end, color in sunk:
            ax.plot(x_end, ax.get_ylim()[0], "v", color=color, markersize=4.5, clip_on=False)
    else:
        look.linear(ax, shown, row.label)
    _along(ax, ends, along)


def _along(ax: Axes, ends: Array, along: Measure) -> None:
    """Set the limits of the x axis; ends: the last x of each run.

    The axis is logarithmic, except near zero, if the longest run is more than LOPSIDED
    times as long as the shortest run.
    """
    longest, shortest = ends.max(), max(ends.min(), 1e-6)
    if longest > LOPSIDED * shortest:
        ax.set_xscale("symlog", linthresh=1.0 if along.whole else shortest / 10.0)
        ax.set_xlim(0.0, 1.15 * longest)
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.set_xlim(-0.02 * longest, 1.03 * longest or 1.0)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=along.whole, min_n_ticks=1))


# All lengths in inches.
HEAD, LINE = 0.75, 0.3  # height of the title; of a line of the table
SWATCH = 0.35  # width of the line in front of a run's name
COLUMNS = (1.75, 1.35, 0.95, 0.8, 0.95, 0.8, 0.9, 1.05, 0.75, 4.0)  # widths of columns
ABOVE = 0.45  # title over a row of frames
TALLEST, MOST = 1.5, 6  # designs found: maximum height; number in a row


def heading(runs: Sequence[Run]) -> str:
    """Return the common title of the runs, or "Comparison of … runs"."""
    titles = {title(run.history) for run in runs}
    return (
        f"{titles.pop()}: {len(runs)} runs"
        if len(titles) == 1
        else f"Comparison of {len(runs)} runs"
    )


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Draw several runs: a table of results and costs, the designs found, and convergence.

    Convergence is drawn over factorizations, time and iterations.
    """
    rows = comparison(runs)
    drawn = [(run.name, _found(run)) for run in runs if run.designs]
    across = min(MOST, max(1, len(drawn)))
    width = (WIDTH - 2 * MARGIN + GAP) / across - GAP
    heights = [width * design.shape[0] / design.shape[1] for _, (_, design) in drawn]
    tall = min(TALLEST, max(heights, default=0.0))
    cell = tall + CAPTION + GAP
    designs = MARGIN + HEAD + LINE * (len(runs) + 1)
    top = designs + (0.4 + cell * -(-len(drawn) // across) if drawn else 0.0)
    height = top + len(rows) * (ABOVE + ROW + BELOW) + 0.1
    with look.drawing():
        page = Page(Figure(figsize=(WIDTH, height), facecolor=look.PAPER), height)
        page.write(heading(runs), MARGIN, 0.6 * MARGIN, font(15, "bold"))
        _table(page, runs, MARGIN + 0.58)
        if drawn:
            page.write("Designs found", MARGIN, designs + 0.12, font(10, "bold"))
        for place, (name, (iteration, design)) in enumerate(drawn):
            row, column = divmod(place, across)
            x, y = MARGIN + column * (width + GAP), designs + 0.4 + row * cell
            words = wrap(f"{name}, iteration {iteration}", font(8, "normal"), width / POINT, 1)
            page.write(words, x, y + 0.03, font(8, "normal"))
            high = min(tall, width * design.shape[0] / design.shape[1])
            page.picture(design, x, y + CAPTION, high * design.shape[1] / design.shape[0], high)
        for place, (name, panels) in enumerate(rows):
            y = top + place * (ABOVE + ROW + BELOW)
            page.write(name, LEFT - 0.5, y + 0.1, font(10, "bold"))
            for column, panel in enumerate(panels):
                x = LEFT + column * (COLUMN + COLUMN_GAP)
                panel.draw(page.frame(x, y + ABOVE, COLUMN, ROW))
    return page.figure


def _found(run: Run) -> tuple[int, Array]:
    """Return the design that a run found, and its iteration."""
    designs = in_order(run.designs)
    return designs[found_place(designs, run.history)]


def _table(page: Page, runs: Sequence[Run], top: float) -> None:
    """Write the table `tables.runs` without its last column.

    Each row begins with a short line in the colour and the style of the run. top:
    distance of the table from the upper edge of the page, inches.
    """
    table = tables.runs(runs)
    for line, cells in enumerate([table.heads, *table.rows]):
        y = top + line * LINE
        if line:
            page.stroke(MARGIN, y - 0.04, SWATCH, *look_of(line - 1))
        x = MARGIN
        for column, (cell, wide) in enumerate(zip(cells, COLUMNS, strict=False)):
            face = font(8.5, "normal" if line else "bold")
            if column not in table.words:
                page.line(cell, x + wide, y, face, "right")
            elif line and column == len(COLUMNS) - 1:  # A sentence: two lines of smaller letters.
                small, left = font(7.5, "normal"), x + 0.25
                text = wrap(cell, small, (x + wide - left) / POINT, 2)
                page.write(text, left, y - (0.2 if "\n" in text else 0.12), small)
            else:
                left = x + (SWATCH + 0.1 if column == 0 else 0.25)
                page.line(wrap(cell, face, (x + wide - left) / POINT, 1), left, y, face, "left")
            x += wide
