"""The convergence report as one figure: header, result, and panels of the convergence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from ...typing import Array
from ..designs import Designs, found_place, in_order, log_spaced
from ..history import History, entries
from ..summary import Verdict, badge, doubt, facts, outcome, run, show, title
from . import style as look
from .panels import Panel, gradient_panels, panels
from .plots import Plot
from .style import font, wrap

# All lengths in inches.
WIDTH = 14.0
MARGIN = 0.35
LEFT, COLUMN, COLUMN_GAP = 0.85, 3.62, 0.97  # widths: to the first frame, frame, gap
COLUMNS = 3
ABOVE, ROW, BELOW = 0.7, 2.3, 0.5  # title and legend over a frame; the frame; its labels under it
BADGE = 3.6  # width kept free for the badge
HEADING = 0.3  # height of the line over the designs
RESULT = (6.0, 3.0)  # maximum width and height of the design found
LEAST = 1.6  # minimum height of the room for the other designs
CAPTIONED = 2.4  # width of a caption
BAND_GAP = 0.5  # width of the gap between the design found and the others
POINT = 1 / 72
LEADING = 1.3  # line height divided by font size

CAPTION = 0.22  # inches above each picture
GAP = 0.12  # inches between pictures
NARROWEST = 0.95  # inches a caption needs
WIDEST = 5.0  # inches, maximum width of a picture
FEWEST, MOST = 6, 12  # pictures in a layout, if there are enough designs

COLORS = {
    Verdict.PASSED: look.GREEN,
    Verdict.FAILED: look.VERMILLION,
    Verdict.CHECKED: look.GREEN,
    Verdict.ABSENT: look.GRAY,
}
SIGNS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.CHECKED: "✓", Verdict.ABSENT: "?"}


@dataclass(frozen=True, eq=False)
class Layout:
    """A grid of pictures in rows and columns.

    picture, cell: (width, height) of a picture, and of a picture with its caption and the
    gap to the next picture, inches.
    """

    columns: int
    rows: int
    picture: tuple[float, float]
    cell: tuple[float, float]

    @property
    def count(self) -> int:
        """The number of pictures."""
        return self.rows * self.columns

    @property
    def height(self) -> float:
        """The height of all rows with their captions, inches."""
        return self.rows * self.cell[1]


@dataclass(frozen=True, eq=False)
class Page:
    """A figure whose coordinates are inches from its upper left corner.

    height: height of the figure, inches.
    """

    figure: Figure
    height: float

    def write(
        self, text: str, x: float, y: float, face: FontProperties, side: str = "left"
    ) -> None:
        """Write text whose upper corner on the side "left" or "right" is at (x, y)."""
        place = (x / WIDTH, 1 - y / self.height)
        self.figure.text(
            *place, text, fontproperties=face, ha=side, va="top", linespacing=1.15, parse_math=False
        )

    def line(self, text: str, x: float, y: float, face: FontProperties, side: str) -> None:
        """Write one line of text with its baseline at y; its "left" or "right" end is at x."""
        place = (x / WIDTH, 1 - y / self.height)
        self.figure.text(
            *place, text, fontproperties=face, ha=side, va="baseline", parse_math=False
        )

    def stroke(self, x: float, y: float, length: float, color: str, style: str) -> None:
        """Draw a short horizontal line from (x, y) to the right, like the lines of a legend."""
        ends = (x / WIDTH, (x + length) / WIDTH), (1 - y / self.height,) * 2
        line = Line2D(*ends, color=color, linewidth=2.0)
        line.set(linestyle=style)
        self.figure.add_artist(line)

    def frame(self, x: float, y: float, width: float, height: float) -> Axes:
        """Add axes whose upper left corner is at (x, y)."""
        bottom = 1 - (y + height) / self.height
        return self.figure.add_axes((x / WIDTH, bottom, width / WIDTH, height / self.height))

    def picture(self, design: Array, x: float, y: float, width: float, height: float) -> None:
        """Draw a design, black = solid, in a thin frame whose upper left corner is at (x, y)."""
        ax = self.frame(x, y, width, height)
        ax.imshow(design, cmap="gray_r", vmin=0, vmax=1, aspect="auto")
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set(visible=True, color=look.GRAY)


def convergence_figure(history: History, designs: Designs, plots: Sequence[Plot] = ()) -> Figure:
    """Draw a run: the design found and your own plots, then panels of the convergence.

    Parameters
    ----------
    history : History
        The run, from `read_history`.
    designs : sequence of (int, (rows, columns) array)
        Iteration and densities in [0, 1], top row first; may be empty.
    plots : sequence of Plot
        Plots of the result, such as a fit or a field, drawn beside the design.

    Returns
    -------
    matplotlib.figure.Figure
        The figure, 14 inches wide and as high as its contents.

    Raises
    ------
    ValueError
        If two designs have the same iteration, or if their shapes differ.
    """
    ordered = in_order(designs)
    header = _header(history)
    result = MARGIN + sum(height for _, _, height in header)
    band = _band(ordered) if ordered else None
    own = [Panel(plot.title, partial(plot.draw, room=(COLUMN, ROW)), plot.title) for plot in plots]
    middle = result + (HEADING + band.height + 0.2 if band else 0.0)
    top = middle + _rows(own)
    drawn = _drawn(history)
    height = top + _rows(drawn) + 0.1
    with look.drawing():
        page = Page(Figure(figsize=(WIDTH, height), facecolor=look.PAPER), height)
        y = 0.6 * MARGIN
        for text, face, used in header:
            page.write(text, MARGIN, y, face)
            y += used
        _badge(page, history)
        if band:
            _pictures(page, ordered, found_place(ordered, history), band, result)
        _panels(page, own, middle, False)
        _panels(page, drawn, top, True)
    return page.figure


def _header(history: History) -> list[tuple[str, FontProperties, float]]:
    """Return the blocks of text above the panels: (wrapped text, font, height in inches)."""
    room = (WIDTH - 2 * MARGIN - BADGE) / POINT
    small = font(8.5, "normal")
    algorithm = {
        "algorithm": history.header.get("algorithm") or "",
        **entries(history.header, "settings"),
    }
    blocks = [
        (title(history), font(15, "bold"), 2),
        (
            " ".join(words for words in (outcome(history), doubt(history)) if words),
            font(10.5, "normal"),
            3,
        ),
        (facts(entries(history.header, "problem")), small, 2),
        (facts({name: value for name, value in algorithm.items() if value}), small, 2),
        (facts({**run(history), **entries(history.header, "environment")}), small, 2),
    ]
    wrapped = [(wrap(text, face, room, rows), face) for text, face, rows in blocks]
    return [
        (text, face, (text.count("\n") + 1) * face.get_size_in_points() * LEADING * POINT + 0.05)
        for text, face in wrapped
        if text
    ]


def _badge(page: Page, history: History) -> None:
    """Write the verdict on the gradient in a frame at the upper right, and its evidence below."""
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


def _rows(drawn: Sequence[Panel]) -> float:
    """Return the height of the rows of these panels, inches."""
    return -(-len(drawn) // COLUMNS) * (ABOVE + ROW + BELOW)


def _panels(page: Page, drawn: Sequence[Panel], top: float, filling: bool) -> None:
    """Draw panels in rows of three.

    filling: True widens the last panel to the rest of its row; top: distance of the first
    row from the upper edge of the page, inches.
    """
    for place, panel in enumerate(drawn):
        row, column = divmod(place, COLUMNS)
        x, y = LEFT + column * (COLUMN + COLUMN_GAP), top + row * (ABOVE + ROW + BELOW)
        spanned = COLUMNS - column if filling and place == len(drawn) - 1 else 1
        page.write(panel.title, x - 0.5, y + 0.08, font(10, "bold"))
        panel.draw(page.frame(x, y + ABOVE, spanned * COLUMN + (spanned - 1) * COLUMN_GAP, ROW))


@dataclass(frozen=True, eq=False)
class Band:
    """A band of the page: the design found, and other designs beside it.

    picture: (width, height) of the design found, inches; others: layout of the other
    designs, None if there are no other designs.
    """

    picture: tuple[float, float]
    others: Layout | None

    @property
    def height(self) -> float:
        """Height of the band with its captions, inches."""
        return max(self.picture[1] + CAPTION, self.others.height if self.others else 0.0)

    @property
    def width(self) -> float:
        """Width of the design found with its caption, and of the gap to the others, inches."""
        return max(self.picture[0], CAPTIONED) + BAND_GAP


def _band(ordered: Sequence[tuple[int, Array]]) -> Band:
    """Return the band with the largest picture of the design found.

    The other designs fill the rest of the width.
    """
    rows, columns = ordered[0][1].shape
    aspect = columns / rows
    wide = min(RESULT[0], RESULT[1] * aspect)
    alone = Band((wide, wide / aspect), None)
    if len(ordered) == 1:
        return alone
    room = (WIDTH - 2 * MARGIN - alone.width, max(alone.height, LEAST))
    return Band(alone.picture, arrange(len(ordered) - 1, (rows, columns), room))


def _pictures(
    page: Page, designs: list[tuple[int, Array]], place: int, band: Band, top: float
) -> None:
    """Draw the design found, and log-spaced other designs, each with its iteration as title.

    place: index of the design found; top: upper edge of the band, inches.
    """
    iteration, design = designs[place]
    page.write(
        f"The design found, iteration {show(iteration)}", MARGIN, top + 0.1, font(10, "bold")
    )
    page.picture(design, MARGIN, top + HEADING + CAPTION, *band.picture)
    if band.others is None:
        return
    others = designs[:place] + designs[place + 1 :]
    x0 = MARGIN + band.width
    page.write("On the way", x0, top + 0.1, font(10, "bold"))
    for spot, chosen in enumerate(log_spaced([k for k, _ in others], band.others.count)):
        row, column = divmod(spot, band.others.columns)
        x, y = x0 + column * band.others.cell[0], top + HEADING + row * band.others.cell[1]
        page.write(f"iteration {show(others[chosen][0])}", x, y + 0.03, font(8, "normal"))
        page.picture(others[chosen][1], x, y + CAPTION, *band.others.picture)


def arrange(available: int, shape: tuple[int, int], room: tuple[float, float]) -> Layout:
    """Return the layout of a full grid of pictures with the largest total area.

    available: number of designs; shape: (rows, columns) of each design; room: width and
    maximum height of the grid, inches.
    """
    aspect = shape[1] / shape[0]
    layouts = []
    for columns in range(1, min(available, MOST) + 1):
        for rows in range(1, min(available, MOST) // columns + 1):
            tallest = room[1] / rows - CAPTION - GAP
            wide = min((room[0] + GAP) / columns - GAP, tallest * aspect, WIDEST)
            cell = max(wide + GAP, NARROWEST)
            enough = columns * rows >= min(available, FEWEST)
            if enough and wide > 0 and columns * cell <= room[0] + GAP + 1e-9:
                high = wide / aspect
                layouts.append(Layout(columns, rows, (wide, high), (cell, high + CAPTION + GAP)))
    return max(layouts, key=lambda layout: layout.count * layout.picture[0] ** 2)
