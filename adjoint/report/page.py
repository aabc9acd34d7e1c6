"""The convergence report as one self-contained HTML page, and as a PNG."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from ..arrays import Array
from . import axes as look
from . import tables
from .figure import SIGNS, convergence_figure
from .history import History
from .images import design_png
from .panels import panels
from .record import Record, number
from .strip import Designs, in_order, log_spaced
from .stylesheet import SCRIPT, STYLE
from .summary import Verdict, badge, brief, done, duration, outcome, show, title
from .vector import panel_svg

DPI = 150
STRIP = 8  # designs on the page at a glance
MOST_FRAMES, MOST_PIXELS = 120, 20_000_000  # designs behind the slider, and pixels of all of them
COARSE = 400  # columns below which elements are drawn as squares
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(history: History, designs: Designs, out: Path | str) -> None:
    """Write report.png and report.html, which needs no other file, into the directory `out`.

    designs: pairs of iteration and (rows, columns) densities in [0, 1], top row first; may be empty.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with look.drawing():
        convergence_figure(history, designs).savefig(folder / "report.png", dpi=DPI)
    (folder / "report.html").write_text(_page(history, in_order(designs)), encoding="utf-8")


def _page(history: History, designs: list[tuple[int, Array]]) -> str:
    drawings = "".join(
        f"<figure><figcaption>{escape(panel.title)}</figcaption>{panel_svg(panel, history, f'panel{place}')}</figure>"
        for place, panel in enumerate(panels(history))
    )
    numbers = [tables.first_and_last(history), tables.tolerances(history)]
    work = [tables.counts(history), tables.times(history)]
    sections = [
        _section("Convergence", f'<div class="panels">{drawings}</div>'),
        _section("Designs", _designs(designs)) if designs else "",
        _section("Numbers", _tables(numbers) + _table(tables.iterations(history))),
        _section("Work", _tables(work)),
        _section("Gradient check", _badge(history) + _tables([tables.taylor(history)])),
        _section("Problem and environment", _tables(tables.settings(history))),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title(history))}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(title(history))}</h1>\n<p>{escape(outcome(history))}</p>\n"
        f"{_badge(history)}\n{_key_numbers(history)}\n</header>\n<main>\n{''.join(sections)}</main>\n"
        "<footer>Drawn from the run's history by adjoint.report.</footer>\n</body>\n</html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>\n"


def _badge(history: History) -> str:
    found = badge(history)
    kind = {Verdict.PASSED: " passed", Verdict.FAILED: " failed", Verdict.ABSENT: ""}[found.verdict]
    verdict = f"<strong>{SIGNS[found.verdict]} {found.verdict.value}</strong>"
    return f'<p class="badge{kind}">{verdict}<br>{escape(" · ".join(found.evidence))}</p>'


def _key_numbers(history: History) -> str:
    """What one wants to know first, in large type."""
    last: Record = history.iterations[-1] if history.iterations else {}
    numeric = history.parts("counts", "numeric")
    elapsed = number(history.result.get("seconds")) if history.result else np.nan
    pairs = (
        ("objective", brief(last.get("objective"))),
        ("iterations", show(done(history))),
        ("factorizations", show(int(numeric[-1]) if np.isfinite(numeric[-1:]).any() else None)),
        ("time", duration(elapsed)),
        ("KKT residual", brief(last.get("kkt"))),
        ("design change", brief(last.get("change"))),
        ("volume", brief(last.get("volume"))),
        ("grayness", brief(last.get("grayness"))),
    )
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f'<dl class="key">{cells}</dl>'


def _tables(several: Sequence[tables.Table]) -> str:
    return f'<div class="tables">{"".join(_table(each) for each in several)}</div>'


def _table(table: tables.Table) -> str:
    """A table in a frame that scrolls; nothing for a table without rows."""
    if not table.rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in table.heads)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>' + "".join(f"<td>{escape(text)}</td>" for text in rest) + "</tr>\n"
        for first, *rest in table.rows
    )
    kind = ' class="pairs"' if len(table.heads) == 2 else ""
    return (
        f'<div class="scroll"><table{kind}><caption>{escape(table.caption)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )


def _designs(designs: list[tuple[int, Array]]) -> str:
    """A viewer with a slider over the designs, evenly thinned if there are too many, and a strip of a few."""
    rows, columns = designs[0][1].shape
    most = max(STRIP, min(MOST_FRAMES, MOST_PIXELS // (rows * columns)))
    kept = np.unique(np.linspace(0, len(designs) - 1, min(most, len(designs))).round().astype(int))
    frames = [[designs[place][0], _uri(designs[place][1])] for place in kept]
    kind = ' class="coarse"' if columns < COARSE else ""
    last, source = frames[-1]
    aspect = columns / rows
    strip = "".join(
        f'<figure><img{kind} style="width:min(100%,{18 * aspect:.3g}rem)" src="{_uri(design)}" '
        f'alt="Design at iteration {iteration}"><figcaption>iteration {show(iteration)}</figcaption></figure>'
        for iteration, design in (designs[place] for place in log_spaced([k for k, _ in designs], STRIP))
    )
    return (
        f'<div class="viewer"><img id="design"{kind} '
        f'style="width:min(100%,calc(min(60vh,26rem)*{aspect:.4g}))" src="{source}" '
        f'alt="Design at iteration {last}"><label for="slider">'
        f"Stored designs: {len(frames)} of {len(designs)}"
        f'<input id="slider" type="range" min="0" max="{len(frames) - 1}" value="{len(frames) - 1}">'
        f'<output id="shown" for="slider">iteration {last}</output></label></div>\n'
        f'<div class="strip" style="--least:{min(max(8.5 * aspect, 5), 17):.3g}rem">{strip}</div>\n'
        f"<script>const frames = {json.dumps(frames)};{SCRIPT}</script>"
    )


def _uri(design: Array) -> str:
    return "data:image/png;base64," + base64.b64encode(design_png(design)).decode("ascii")
