"""The designs of a run on the page: one at a time behind a slider, and a strip of a few."""

import json
from collections.abc import Sequence

import numpy as np

from ..typing import Array
from .markup import picture
from .strip import log_spaced
from .summary import show

STRIP = 8  # designs on the page at a glance
MOST_FRAMES, MOST_PIXELS = 120, 20_000_000  # designs behind the slider, and pixels of all of them
COARSE = 400  # columns below which elements are drawn as squares


def viewer(designs: Sequence[tuple[int, Array]], name: str, share: int) -> str:
    """A slider over the designs, evenly thinned if there are too many, and the strip; nothing without designs.

    name: ends the ids, which must be the page's only ones; share: among how many runs the page's room is divided.
    """
    if not designs:
        return ""
    rows, columns = designs[0][1].shape
    most = max(STRIP, min(MOST_FRAMES, MOST_PIXELS // (rows * columns * share)))
    kept = np.unique(np.linspace(0, len(designs) - 1, min(most, len(designs))).round().astype(int))
    frames = [[designs[place][0], picture(designs[place][1])] for place in kept]
    kind = ' class="coarse"' if columns < COARSE else ""
    (last, source), aspect = frames[-1], columns / rows
    return (
        f'<div class="viewer"><img id="design{name}"{kind} '
        f'style="width:min(100%,calc(min(60vh,26rem)*{aspect:.4g}))" src="{source}" alt="Design at iteration {last}">'
        f'<div class="controls"><button type="button" aria-label="Play the designs">▶</button>'
        f'<label for="slider{name}">Stored designs: {len(frames)} of {len(designs)}</label>'
        f'<input id="slider{name}" type="range" min="0" max="{len(frames) - 1}" value="{len(frames) - 1}">'
        f'<output id="shown{name}" for="slider{name}">iteration {last}</output></div>'
        f'<script type="application/json">{json.dumps(frames)}</script></div>\n{_strip(designs, kind, aspect)}'
    )


def _strip(designs: Sequence[tuple[int, Array]], kind: str, aspect: float) -> str:
    shown = (designs[place] for place in log_spaced([k for k, _ in designs], STRIP))
    figures = "".join(
        f'<figure><img{kind} style="width:min(100%,{18 * aspect:.3g}rem)" src="{picture(design)}" '
        f'alt="Design at iteration {iteration}"><figcaption>iteration {show(iteration)}</figcaption></figure>'
        for iteration, design in shown
    )
    return f'<div class="strip" style="--least:{min(max(8.5 * aspect, 5), 17):.3g}rem">{figures}</div>\n'
