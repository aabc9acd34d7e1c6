"""A figure of several plots under one heading, for the results of a script."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ..._files import whole
from . import style as look
from .plots import Plot
from .style import font, wrap

# All lengths in inches.
MARGIN = 0.3
LEFT, HEIGHT, GAP = 0.85, 2.4, 0.75  # x of the first frame, height of a frame, gap
ABOVE, BELOW = 0.68, 0.52  # title and legend over a frame; its labels under it
HEADING, SUBTITLE = 0.34, 0.26  # heights of the lines of the heading
POINT = 1 / 72
DPI = 150


def sheet(title: str, subtitle: str, plots: Sequence[Plot], columns: int, frame: float) -> Figure:
    """Draw plots in rows under a title and a line with the main numbers.

    frame: width of the frame of each plot, inches. Raises ValueError if there are no plots,
    or if columns < 1.
    """
    if not plots or columns < 1:
        raise ValueError(
            f"sheet: got {len(plots)} plots in {columns} columns, expected at least one of each"
        )
    rows = -(-len(plots) // columns)
    width = LEFT + columns * frame + (columns - 1) * GAP + MARGIN
    top = MARGIN + HEADING + SUBTITLE
    height = top + rows * (ABOVE + HEIGHT + BELOW) + 0.5 * MARGIN
    with look.drawing():
        figure = Figure(figsize=(width, height), facecolor=look.PAPER)
        room = (width - 2 * MARGIN) / POINT
        for text, size, weight, y in (
            (title, 14, "bold", MARGIN),
            (subtitle, 9.5, "normal", MARGIN + HEADING),
        ):
            face = font(size, weight)
            figure.text(
                MARGIN / width,
                1 - y / height,
                wrap(text, face, room, 1),
                fontproperties=face,
                va="top",
            )
        for place, plot in enumerate(plots):
            row, column = divmod(place, columns)
            x, y = LEFT + column * (frame + GAP), top + row * (ABOVE + HEIGHT + BELOW)
            figure.text(
                (x - 0.4) / width,
                1 - (y + 0.1) / height,
                plot.title,
                fontproperties=font(10, "bold"),
                va="top",
            )
            bottom = 1 - (y + ABOVE + HEIGHT) / height
            ax = figure.add_axes((x / width, bottom, frame / width, HEIGHT / height))
            plot.draw(ax, (frame, HEIGHT))
    return figure


def write_sheet(
    path: Path | str, title: str, subtitle: str, plots: Sequence[Plot], columns: int, frame: float
) -> None:
    """Write plots in rows under a heading, as a PNG or PDF file.

    Parameters
    ----------
    path : path
        Path of the file, which ends with .png or .pdf. The directory is made if it does
        not exist.
    title, subtitle : str
        The heading, and a line with the main numbers.
    plots : sequence of Plot
        The plots, at least one.
    columns : int
        Number of plots in a row.
    frame : float
        Width of the frame of each plot, inches.

    Raises
    ------
    ValueError
        If there are no plots, or if columns < 1.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with look.drawing():
        figure = sheet(title, subtitle, plots, columns, frame)
        undated = {"CreationDate": None} if Path(path).suffix == ".pdf" else {}
        with whole(Path(path)) as aside:
            figure.savefig(aside, dpi=DPI, metadata=undated)
