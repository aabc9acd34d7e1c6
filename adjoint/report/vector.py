"""A panel as an SVG element inside an HTML page, in the page's colours."""

import io
import re
from html import escape

from matplotlib.figure import Figure

from . import axes as look
from .history import History
from .panels import Panel

WIDTH, HEIGHT = 4.2, 2.95  # inches
LEFT, RIGHT, BELOW, ABOVE = 0.65, 0.6, 0.45, 0.46  # inches around the frame
THEME = {
    look.BLUE: "var(--blue)",
    look.INK: "var(--ink)",
    look.FAINT: "var(--grid)",
    look.PAPER: "var(--paper)",
}


def panel_svg(panel: Panel, history: History, name: str) -> str:
    """An <svg> element with a description; name: begins its ids, which must be the page's only ones."""
    with look.drawing():
        figure = Figure(figsize=(WIDTH, HEIGHT))
        figure.patch.set_visible(False)
        frame = (LEFT / WIDTH, BELOW / HEIGHT, 1 - (LEFT + RIGHT) / WIDTH, 1 - (BELOW + ABOVE) / HEIGHT)
        panel.draw(figure.add_axes(frame), history)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{name}-", drawing)
    for color, variable in THEME.items():
        drawing = drawing.replace(color, variable)
    opening = (
        f'<svg role="img" aria-label="{escape(panel.describe(history))}" '
        f'viewBox="0 0 {72 * WIDTH:g} {72 * HEIGHT:g}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return opening + drawing[drawing.index(">") + 1 :].strip()
