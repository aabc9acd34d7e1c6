"""Text set in the figure's font: what it can draw, and lines no wider than the space they have."""

import unicodedata

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"  # ships with matplotlib: the same figure on every machine


def legible(text: str) -> str:
    """The text on one line, without control characters; what the font cannot draw becomes "?"."""
    font = get_font(findfont(FontProperties(family=FONT)))
    line = " ".join("".join(" " if unicodedata.category(char) == "Cc" else char for char in text).split(" "))
    return "".join(char if char == " " or font.get_char_index(ord(char)) else "?" for char in line)


def width(text: str, size: float) -> float:
    """The width of a line of text, in points; size: of the font, in points."""
    extent, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=FONT, size=size), False)
    return float(extent)


def wrap(text: str, size: float, room: float, rows: int) -> str:
    """The text broken into at most `rows` lines, none wider than `room` points; "…" ends what is cut off."""
    lines: list[str] = []
    rest = legible(text)
    while rest and len(lines) < rows:
        cut = _fitting(rest, size, room)
        if cut < len(rest):
            space = rest.rfind(" ", 1, cut + 1)
            cut = space if space > 0 else cut
        if cut < len(rest) and len(lines) == rows - 1:
            cut = _fitting(rest, size, room - width("…", size))
            return "\n".join([*lines, rest[:cut].rstrip() + "…"])
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return "\n".join(lines)


def _fitting(text: str, size: float, room: float) -> int:
    """The number of leading characters, at least one, that fit into `room` points; by bisection."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle], size) <= room else (low, middle - 1)
    return low
