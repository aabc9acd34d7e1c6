"""The convergence report as one figure: header, panels, strip of designs."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from ..report import axes as look
from ..typing import Array
from .history import History
from .lettering import font, wrap
from .panels import Panel, gradient_panels, panels
from .record import entries
from .strip import CAPTION, Designs, Layout, arrange, in_order, log_spaced
from .summary import Verdict, badge, facts, outcome, run, show, title

# All lengths in inches.
WIDTH = 14.0
MARGIN = 0.35
LEFT, COLUMN, COLUMN_GAP = 0.85, 3.45, 0.95  # to the first frame; a frame; between two frames
COLUMNS = 3
ABOVE, ROW, BELOW = 0.7, 2.3, 0.5  # title and legend over a frame; the frame; its labels under it
BADGE = 3.6  # width kept free for the badge
STRIP_HEIGHT = 3.25
POINT = 1 / 72
LEADING = 1.3  # line height over font size

COLORS = {Verdict.PASSED: look.GREEN, Verdict.FAILED: look.VERMILLION, Verdict.ABSENT: look.GRAY}
SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ABSENT: "?"}


@dataclass(frozen=True, eq=False)
class Page:
    """A figure addressed in inches from its upper left corner."""

    figure: Figure
    height: float

    def write(self, text: str, x: float, y: float, face: FontProperties, side: str = "left") -> None:
        """Text whose upper corner on that side is at (x, y)."""
        place = (x / WIDTH, 1 - y / self.height)
        self.figure.text(*place, text, fontproperties=face, ha=side, va="top", linespacing=1.15, parse_math=False)

    def line(self, text: str, x: float, y: float, face: FontProperties, side: str) -> None:
        """Text that stands on the line at y, its end on that side at x."""
        place = (x / WIDTH, 1 - y / self.height)
        self.figure.text(*place, text, fontproperties=face, ha=side, va="baseline", parse_math=False)

    def stroke(self, x: float, y: float, length: float, color: str, style: str) -> None:
        """A piece of a curve, as in a legend, from (x, y) to the right."""
        ends = (x / WIDTH, (x + length) / WIDTH), (1 - y / self.height,) * 2
        line = Line2D(*ends, color=color, linewidth=2.0)
        line.set(linestyle=style)
        self.figure.add_artist(line)

    def frame(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose upper left corner is at (x, y)."""
        bottom = 1 - (y + height) / self.height
        return self.figure.add_axes((x / WIDTH, bottom, width / WIDTH, height / self.height))

    def picture(self, design: Array, x: float, y: float, width: float, height: float) -> None:
        """A design, black = solid, in a thin frame whose upper left corner is at (x, y)."""
        ax = self.frame(x, y, width, height)
        ax.imshow(design, cmap="gray_r", vmin=0, vmax=1, aspect="auto")
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set(visible=True, color=look.GRAY)


def convergence_figure(history: History, designs: Designs) -> Figure:
    """Draw a run: objective, residuals, steps, material, gradient check, times, log-spaced designs.

    designs: pairs of iteration and (rows, columns) densities in [0, 1], top row first; may be empty.
    """
    ordered = in_order(designs)
    room = (WIDTH - 2 * MARGIN, STRIP_HEIGHT)
    layout = arrange(len(ordered), ordered[0][1].shape, room) if ordered else None
    header = _header(history)
    top = MARGIN + sum(height for _, _, height in header)
    bottom = top + -(-len(_drawn(history)) // COLUMNS) * (ABOVE + ROW + BELOW)
    height = bottom + (0.4 + layout.height + 0.1 if layout else 0.1)
    with look.drawing():
        page = Page(Figure(figsize=(WIDTH, height), facecolor=look.PAPER), height)
        y = 0.6 * MARGIN
        for text, face, used in header:
            page.write(text, MARGIN, y, face)
            y += used
        _badge(page, history)
        _panels(page, history, top)
        if layout:
            _strip(page, ordered, layout, bottom)
    return page.figure


def _header(history: History) -> list[tuple[str, FontProperties, float]]:
    """The lines above the panels: wrapped text, its font, the height it takes."""
    room = (WIDTH - 2 * MARGIN - BADGE) / POINT
    blocks = [
        (title(history), font(15, "bold"), 2),
        (outcome(history), font(10.5, "normal"), 2),
        (facts(entries(history.header, "problem")), font(8.5, "normal"), 2),
        (facts({**run(history), **entries(history.header, "environment")}), font(8.5, "normal"), 3),
    ]
    wrapped = [(wrap(text, face, room, rows), face) for text, face, rows in blocks]
    return [
        (text, face, (text.count("\n") + 1) * face.get_size_in_points() * LEADING * POINT + 0.05)
        for text, face in wrapped
        if text
    ]


def _badge(page: Page, history: History) -> None:
    """The verdict on the gradient in a frame at the upper right, its evidence underneath."""
    verdict = badge(history).verdict
    page.figure.text(
        1 - (MARGIN + 0.08) / WIDTH,
        1 - (0.6 * MARGIN + 0.08) / page.height,
        f"{SIGNS[verdict]} {verdict.value}",
        fontproperties=font(11, "bold"),
        ha="right",
        va="top",
        bbox={
            "boxstyle": "round,pad=0.4",
            "facecolor": look.PAPER,
            "edgecolor": COLORS[verdict],
            "linewidth": 2,
        },
    )
    evidence = "\n".join(badge(history).evidence)
    page.write(evidence, WIDTH - MARGIN, 0.6 * MARGIN + 0.45, font(8.5, "normal"), "right")


def _drawn(history: History) -> list[Panel]:
    *course, times = panels(history)
    return [*course, *gradient_panels(history), times]


def _panels(page: Page, history: History, top: float) -> None:
    """Rows of three panels; the last one of a row that is not full fills it."""
    drawn = _drawn(history)
    for place, panel in enumerate(drawn):
        row, column = divmod(place, COLUMNS)
        x, y = LEFT + column * (COLUMN + COLUMN_GAP), top + row * (ABOVE + ROW + BELOW)
        spanned = COLUMNS - column if place == len(drawn) - 1 else 1
        page.write(panel.title, x - 0.5, y + 0.08, font(10, "bold"))
        panel.draw(page.frame(x, y + ABOVE, spanned * COLUMN + (spanned - 1) * COLUMN_GAP, ROW))


def _strip(page: Page, designs: list[tuple[int, Array]], layout: Layout, top: float) -> None:
    """Designs at log-spaced iterations, each under its number."""
    shown = log_spaced([iteration for iteration, _ in designs], layout.count)
    page.write("Designs", LEFT - 0.5, top + 0.12, font(10, "bold"))
    for place, (iteration, design) in enumerate(designs[chosen] for chosen in shown):
        row, column = divmod(place, layout.columns)
        x, y = MARGIN + column * layout.cell[0], top + 0.4 + row * layout.cell[1]
        page.write(f"iteration {show(iteration)}", x, y + 0.03, font(8, "normal"))
        page.picture(design, x, y + CAPTION, *layout.picture)
