"""The convergence report as one self-contained HTML page: of one run, or of several side by side."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from ..report import markup, tables
from .compared import heading
from .comparison import comparison, look_of
from .details import details, drawings, key_numbers
from .panels import Panel
from .record import entries
from .runs import Run
from .strip import in_order
from .stylesheet import SCRIPT, STYLE
from .summary import facts, outcome, title
from .vector import THEME

HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode("ascii")
POLICY = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{HASH}'"
"""What a browser may do: show what is in the page, and run the one script that is ours."""


def page(runs: Sequence[Run], plots: Sequence[Panel]) -> str:
    """The document. plots: further drawings, under the comparison."""
    name, content = _one(runs[0], plots) if len(runs) == 1 else _several(runs, plots)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{content}"
        "<footer>Drawn from the history of the run by adjoint.report.</footer>\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _one(run: Run, plots: Sequence[Panel]) -> tuple[str, str]:
    name = title(run.history)
    header = f"<h1>{escape(name)}</h1>\n<p>{escape(outcome(run.history))}</p>\n{markup.verdict(run.history)}"
    content = f"{details(run, '', 1)}{_further(plots)}"
    return name, f"<header>\n{header}\n{key_numbers(run)}\n</header>\n<main>\n{content}</main>\n"


def _several(runs: Sequence[Run], plots: Sequence[Panel]) -> tuple[str, str]:
    name = heading(runs)
    problems = [entries(run.history.header, "problem") for run in runs]
    same = facts(problems[0]) if all(problem == problems[0] for problem in problems) else ""
    legend = "".join(f"<span>{_swatch(place, run.name)}{escape(run.name)}</span>" for place, run in enumerate(runs))
    rows = f'<p class="legend">{legend}</p>' + "".join(
        f"<h3>{escape(words)}</h3>\n{drawings(panels, f'compared{place}-')}"
        for place, (words, panels) in enumerate(comparison(runs))
    )
    content = (
        markup.section("Runs", _table(runs))
        + markup.section("Comparison", rows)
        + _further(plots)
        + markup.section("Final designs", _designs(runs))
        + markup.section("Each run", "".join(_run(run, place, len(runs)) for place, run in enumerate(runs)))
    )
    return name, f"<header>\n<h1>{escape(name)}</h1>\n<p>{escape(same)}</p>\n</header>\n<main>\n{content}</main>\n"


def _further(plots: Sequence[Panel]) -> str:
    return markup.section("Further figures", drawings(list(plots), "further-")) if plots else ""


def _table(runs: Sequence[Run]) -> str:
    """The runs, each with the colour of its lines, its name a link to its details."""
    table = tables.runs(runs)
    rows = []
    for place, (run, row) in enumerate(zip(runs, table.rows, strict=True)):
        first, *rest = (escape(cell) for cell in row)
        rows.append([f'{_swatch(place, run.name)}<a href="#run{place}">{first}</a>', *rest])
    return markup.framed(table, rows)


def _swatch(place: int, name: str) -> str:
    color, style = look_of(place)
    dashes = {"-": "", "--": "6 3", ":": "2 2", "-.": "6 2 2 2"}[style]
    line = f'fill="none" stroke="{THEME[color]}" stroke-width="3" stroke-dasharray="{dashes}"'
    return (
        f'<svg class="swatch" role="img" aria-label="line of {escape(name)}" viewBox="0 0 28 8">'
        f'<path d="M0 4H28" {line}></path></svg>'
    )


def _designs(runs: Sequence[Run]) -> str:
    figures = ""
    for run in runs:
        if run.designs:
            iteration, design = in_order(run.designs)[-1]
            caption = f"{escape(run.name)}, iteration {iteration}"
            figures += (
                f'<figure><img class="coarse" src="{markup.picture(design)}" '
                f'alt="Final design of {escape(run.name)}"><figcaption>{caption}</figcaption></figure>'
            )
    return f'<div class="ends">{figures}</div>' if figures else ""


def _run(run: Run, place: int, share: int) -> str:
    """The details of a run, folded; a link to its name opens them."""
    return (
        f"<details>\n<summary>{_swatch(place, run.name)}<strong>{escape(run.name)}</strong> "
        f"{escape(outcome(run.history))}</summary>\n"
        f'<div class="run" id="run{place}"><h2>{escape(title(run.history))}</h2>\n{markup.verdict(run.history)}'
        f"{key_numbers(run)}\n{details(run, str(place), share)}</div>\n</details>\n"
    )
