"""Text set in the figure's font: what it can draw, and lines no wider than the space they have."""

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

FAMILY = "DejaVu Sans"  # ships with matplotlib: the same figure on every machine


def font(size: float, weight: str) -> FontProperties:
    """The figure's font; size in points, weight "normal" or "bold"."""
    return FontProperties(family=FAMILY, size=size, weight=weight)


def legible(text: str) -> str:
    """The text on one line; what the font cannot draw becomes "?"."""
    drawn = get_font(findfont(font(10, "normal")))
    return "".join(
        char if drawn.get_char_index(ord(char)) else "?" for char in " ".join(text.split())
    )


def width(text: str, face: FontProperties) -> float:
    """The width of a line of text, in points."""
    extent, _, _ = text_to_path.get_text_width_height_descent(text, face, False)
    return float(extent)


def wrap(text: str, face: FontProperties, room: float, rows: int) -> str:
    """The text broken into at most `rows` lines, none wider than `room` points; "…" ends what is cut off."""
    lines: list[str] = []
    rest = legible(text)
    while rest:
        cut = _fitting(rest, face, room)
        if cut == len(rest):
            return "\n".join([*lines, rest])
        if len(lines) == rows - 1:
            cut = _fitting(rest, face, room - width("…", face))
            return "\n".join([*lines, rest[:cut].rstrip() + "…"])
        space = rest.rfind(" ", 1, cut + 1)
        cut = space if space > 0 else cut
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return ""


def _fitting(text: str, face: FontProperties, room: float) -> int:
    """The number of leading characters, at least one, that fit into `room` points; by bisection."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle], face) <= room else (low, middle - 1)
    return low
