"""The convergence report of one run or of several runs as one self-contained HTML page."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from ...typing import Array
from .. import tables
from ..designs import design_png, found_place, in_order, log_spaced
from ..figures.comparison import comparison, heading, look_of
from ..figures.convergence import SIGNS
from ..figures.modes import mode_plots
from ..figures.panels import Panel, gradient_panels, panels
from ..history import History, Record, entries, number
from ..runs import Run
from ..summary import (
    MISSING,
    TERMS,
    Verdict,
    badge,
    brief,
    counted,
    done,
    doubt,
    duration,
    facts,
    final,
    final_seconds,
    outcome,
    show,
    title,
)
from .svg import FRAME, THEME, panel_svg

HERE = Path(__file__).parent
STRIP = 8  # number of designs in the strip
MOST_FRAMES, MOST_PIXELS = 120, 20_000_000  # designs behind the slider, and pixels of all of them
COARSE = 400  # columns below which elements are drawn as squares
KINDS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "failed",
    Verdict.CHECKED: "passed",
    Verdict.ABSENT: "",
}
DASHES = {"-": "", "--": "6 3", ":": "2 2", "-.": "6 2 2 2"}


@cache
def templates() -> jinja2.Environment:
    """Return the templates of the page.

    All text is escaped. A name that is not defined raises an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(runs: Sequence[Run], plots: Sequence[Panel]) -> str:
    """Return the HTML document of the runs, which needs no other file.

    plots: the user's own plots. They belong to the result of a single run; with several
    runs they stand below the comparison.
    """
    style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    further = drawings(plots, "further-")
    shared = {
        # What a browser may do: show what is in the page, and run the one script that is ours.
        "policy": (
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            "script-src "
            f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}'"
        ),
        "style": Markup(style),
        "script": Markup(script),
        "further": further,
        "TERMS": TERMS,
    }
    if len(runs) == 1:
        return templates().get_template("run.html").render(run=contents(runs[0], "", 1), **shared)
    return templates().get_template("comparison.html").render(**_several(runs), **shared)


def contents(run: Run, name: str, share: int) -> dict[str, object]:
    """Return all values of the template for one run.

    name: part of the ids, different for each run; share: number of runs on the page.
    """
    history, found = run.history, badge(run.history)
    designs, place = in_order(run.designs), 0
    if designs:
        place = found_place(designs, history)
    course, gradient = panels(history), gradient_panels(history)
    return {
        "name": run.name,
        "title": title(history),
        "outcome": outcome(history),
        "doubt": doubt(history),
        "badge": {
            "kind": KINDS[found.verdict],
            "words": f"{SIGNS[found.verdict]} {found.verdict.value}",
            "evidence": found.evidence,
        },
        "key": key_numbers(history),
        "viewer": viewer(designs, place, name, share) if designs else None,
        "strip": strip(designs) if len(designs) > 1 else None,
        "modes": drawings(_mode_panels(run), f"modes{name}-"),
        "panels": drawings(course, f"panel{name}-"),
        "numbers": [
            tables.first_and_last(history),
            tables.tolerances(history),
            tables.constraints(history),
        ],
        "iterations": tables.iterations(history),
        "work": [tables.counts(history), tables.times(history)],
        "taylor": {
            "panels": drawings(gradient, f"gradient{name}-"),
            "table": tables.taylor(history),
        }
        if gradient
        else None,
        "settings": tables.settings(history),
    }


def _mode_panels(run: Run) -> list[Panel]:
    """Return the panels of eigenvalues and mode shapes; [] if no modes were kept."""
    return [
        Panel(
            plot.title,
            partial(plot.draw, room=FRAME),
            f"{plot.title}.",
            ("mode", "in order") if place == 0 else (),
            legend=place == 0,
        )
        for place, plot in enumerate(mode_plots(run.modes))
    ]


def key_numbers(history: History) -> list[tuple[str, str]]:
    """Return the main numbers of a run as (name, text); missing numbers are left out."""
    last: Record = history.iterations[-1] if history.iterations else {}
    pairs = (
        ("objective", brief(final(history, "objective"))),
        ("violation", brief(final(history, "constraint_violation"))),
        ("volume", brief(last.get("volume"))),
        ("grayness", brief(last.get("grayness"))),
        ("KKT residual", brief(last.get("kkt"))),
        ("design change", brief(last.get("change"))),
        ("iterations", show(done(history))),
        ("evaluations", show(final(history, "evaluations"))),
        ("factorizations", show(counted(history, "numeric") or None)),
        ("time", duration(final_seconds(history))),
    )
    constrained = history.lists("constraints").size > 0 or np.nan_to_num(
        number(final(history, "constraint_violation"))
    )
    return [
        (name, value)
        for name, value in pairs
        if value != MISSING and (name != "violation" or constrained)
    ]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A panel on the page. terms: names of the terms that are explained below the panel."""

    title: str
    svg: Markup
    terms: Sequence[str]


def drawings(drawn: Sequence[Panel], name: str) -> list[Drawing]:
    """Return panels as SVG; name: the beginning of the ids in the SVG."""
    return [
        Drawing(panel.title, Markup(panel_svg(panel, f"{name}{place}")), panel.terms)
        for place, panel in enumerate(drawn)
    ]


def viewer(
    designs: Sequence[tuple[int, Array]], place: int, name: str, share: int
) -> Mapping[str, object]:
    """Return a slider over the designs, which first shows the design number `place`.

    If there are too many designs, evenly spaced designs are shown. name: the end of the
    ids, so that each id occurs once on the page; share: number of runs on the page, which
    divides the maximum number of pixels.
    """
    rows, columns = designs[0][1].shape
    most = max(STRIP, min(MOST_FRAMES, MOST_PIXELS // (rows * columns * share)))
    kept = np.linspace(0, len(designs) - 1, min(most, len(designs))).round().astype(int)
    kept[np.argmin(np.abs(kept - place))] = place
    kept = np.unique(kept)
    return {
        "name": name,
        "frames": [[designs[k][0], picture(designs[k][1])] for k in kept],
        "at": int(np.flatnonzero(kept == place)[0]),
        "stored": len(designs),
        "aspect": columns / rows,
        "coarse": columns < COARSE,
    }


def strip(designs: Sequence[tuple[int, Array]]) -> Mapping[str, object]:
    """Return a strip of at most STRIP designs, log-spaced over the iterations."""
    rows, columns = designs[0][1].shape
    aspect = columns / rows
    shown = [designs[place] for place in log_spaced([k for k, _ in designs], STRIP)]
    return {
        "pictures": [(show(iteration), picture(design)) for iteration, design in shown],
        "coarse": columns < COARSE,
        "widest": 18 * aspect,
        "least": min(max(8.5 * aspect, 5), 17),
    }


def picture(design: Array) -> str:
    """Return the picture of a design as a data URI."""
    return "data:image/png;base64," + base64.b64encode(design_png(design)).decode("ascii")


def _several(runs: Sequence[Run]) -> dict[str, object]:
    problems = [entries(run.history.header, "problem") for run in runs]
    ends = [(run, in_order(run.designs)) for run in runs if run.designs]
    return {
        "title": heading(runs),
        "problem": facts(problems[0])
        if all(problem == problems[0] for problem in problems)
        else "",
        "runs": [contents(run, str(place), len(runs)) for place, run in enumerate(runs)],
        "swatches": [
            {"color": THEME[color], "dashes": DASHES[style]}
            for color, style in map(look_of, range(len(runs)))
        ],
        "table": tables.runs(runs),
        "rows": [
            (words, drawings(drawn, f"compared{place}-"))
            for place, (words, drawn) in enumerate(comparison(runs))
        ],
        "designs": [
            (run.name, *_found(designs, run.history), designs[0][1].shape[1] < COARSE)
            for run, designs in ends
        ],
    }


def _found(designs: Sequence[tuple[int, Array]], history: History) -> tuple[str, str]:
    """Return the iteration of the design that a run found, and the picture of the design."""
    iteration, design = designs[found_place(designs, history)]
    return show(iteration), picture(design)
