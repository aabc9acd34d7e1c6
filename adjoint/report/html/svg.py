"""Panels as SVG elements of an HTML page, in the colours of the page."""

import io
import re
from html import escape

from matplotlib.figure import Figure

from ..figures import style as look
from ..figures.panels import Panel

WIDTH, HEIGHT = 4.2, 2.95  # inches
LEFT, RIGHT, BELOW, ABOVE = 0.66, 0.14, 0.45, 0.46  # inches around the frame; above it the legend
BARE = 0.15  # inches above the frame of a panel without a legend
FRAME = (WIDTH - LEFT - RIGHT, HEIGHT - BELOW - ABOVE)
THEME = {
    look.BLUE: "var(--blue)",
    look.SKY: "var(--sky)",
    look.GREEN: "var(--green)",
    look.ORANGE: "var(--orange)",
    look.YELLOW: "var(--yellow)",
    look.VERMILLION: "var(--vermillion)",
    look.PURPLE: "var(--purple)",
    look.GRAY: "var(--gray)",
    look.INK: "var(--ink)",
    look.FAINT: "var(--grid)",
    look.PAPER: "var(--paper)",
}


def panel_svg(panel: Panel, name: str) -> str:
    """Return a panel as an <svg> element with a description.

    name: the beginning of the ids in the element, different for each panel of the page.
    """
    above = ABOVE if panel.legend else BARE
    height = HEIGHT - ABOVE + above
    with look.drawing():
        figure = Figure(figsize=(WIDTH, height))
        figure.patch.set_visible(False)
        frame = (
            LEFT / WIDTH,
            BELOW / height,
            1 - (LEFT + RIGHT) / WIDTH,
            1 - (BELOW + above) / height,
        )
        panel.draw(figure.add_axes(frame))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    for color, variable in THEME.items():
        drawing = drawing.replace(color, variable)
    opening = (
        f'<svg role="img" aria-label="{escape(panel.description)}" '
        f'viewBox="0 0 {72 * WIDTH:g} {72 * height:g}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + drawing[drawing.index(">") + 1 :].strip()
