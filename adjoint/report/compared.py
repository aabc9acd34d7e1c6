"""The comparison of several runs as one figure: a table that names the lines, panels, the final designs."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ..report import axes as look
from ..report import tables
from .comparison import comparison, look_of
from .figure import BELOW, COLUMN, COLUMN_GAP, LEFT, MARGIN, POINT, ROW, WIDTH, Page
from .lettering import font, wrap
from .runs import Run
from .strip import CAPTION, GAP, in_order
from .summary import title

# All lengths in inches.
HEAD, LINE = 0.75, 0.25  # height of the title; of a line of the table
SWATCH = 0.35  # width of the line in front of a run's name
COLUMNS = (1.75, 1.35, 0.95, 0.8, 0.95, 0.8, 0.9, 1.05, 0.75, 4.0)  # widths of the table's
ABOVE = 0.45  # title over a row of frames
TALLEST, MOST = 1.5, 6  # of the final designs: height; how many in a row


def heading(runs: Sequence[Run]) -> str:
    """The title that the runs have in common, or that there are several."""
    titles = {title(run.history) for run in runs}
    return f"{titles.pop()}: {len(runs)} runs" if len(titles) == 1 else f"Comparison of {len(runs)} runs"


def comparison_figure(runs: Sequence[Run]) -> Figure:
    """Draw several runs: what they reached and took, and how, over factorizations, time and iterations."""
    rows = comparison(runs)
    top = MARGIN + HEAD + LINE * (len(runs) + 1)
    bottom = top + len(rows) * (ABOVE + ROW + BELOW)
    drawn = [(run.name, in_order(run.designs)[-1]) for run in runs if run.designs]
    across = min(MOST, max(1, len(drawn)))
    width = (WIDTH - 2 * MARGIN + GAP) / across - GAP
    tall = max((min(TALLEST, width * design.shape[0] / design.shape[1]) for _, (_, design) in drawn), default=0.0)
    cell = tall + CAPTION + GAP
    height = bottom + (0.4 + cell * -(-len(drawn) // across) if drawn else 0.0) + 0.1
    with look.drawing():
        page = Page(Figure(figsize=(WIDTH, height), facecolor=look.PAPER), height)
        page.write(heading(runs), MARGIN, 0.6 * MARGIN, font(15, "bold"))
        _table(page, runs, MARGIN + 0.58)
        for place, (name, panels) in enumerate(rows):
            y = top + place * (ABOVE + ROW + BELOW)
            page.write(name, LEFT - 0.5, y + 0.1, font(10, "bold"))
            for column, panel in enumerate(panels):
                panel.draw(page.frame(LEFT + column * (COLUMN + COLUMN_GAP), y + ABOVE, COLUMN, ROW))
        if drawn:
            page.write("Final designs", LEFT - 0.5, bottom + 0.12, font(10, "bold"))
        for place, (name, (iteration, design)) in enumerate(drawn):
            row, column = divmod(place, across)
            x, y = MARGIN + column * (width + GAP), bottom + 0.4 + row * cell
            words = wrap(f"{name}, iteration {iteration}", font(8, "normal"), width / POINT, 1)
            page.write(words, x, y + 0.03, font(8, "normal"))
            high = min(tall, width * design.shape[0] / design.shape[1])
            page.picture(design, x, y + CAPTION, high * design.shape[1] / design.shape[0], high)
    return page.figure


def _table(page: Page, runs: Sequence[Run], top: float) -> None:
    """What `tables.runs` holds, its first line at `top`; the line of each run before its name."""
    table = tables.runs(runs)  # Its last column, the verdict on the gradient, is on the page, and in each run's figure.
    for line, cells in enumerate([table.heads, *table.rows]):
        y = top + line * LINE
        if line:
            page.stroke(MARGIN, y - 0.04, SWATCH, *look_of(line - 1))
        x = MARGIN
        for column, (cell, wide) in enumerate(zip(cells, COLUMNS, strict=False)):
            face = font(8.5, "normal" if line else "bold")
            if column in table.words:
                left = x + (SWATCH + 0.1 if column == 0 else 0.25)
                page.line(wrap(cell, face, (x + wide - left) / POINT, 1), left, y, face, "left")
            else:
                page.line(cell, x + wide, y, face, "right")
            x += wide
