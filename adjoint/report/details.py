"""What the page holds of one run: key numbers, panels, designs, tables."""

from collections.abc import Sequence
from html import escape

import numpy as np

from ..report import markup, tables
from .panels import Panel, gradient_panels, panels
from .record import Record, number
from .runs import Run
from .strip import in_order
from .summary import MISSING, brief, counted, done, duration, final, final_seconds, show
from .vector import panel_svg
from .viewer import viewer


def details(run: Run, name: str, share: int) -> str:
    """All sections of a run; name: in ids; share: how many runs share the page."""
    history = run.history
    numbers = [tables.first_and_last(history), tables.tolerances(history), tables.constraints(history)]
    return "".join(
        [
            markup.section("Convergence", drawings(panels(history), f"panel{name}-")),
            markup.section("Designs", viewer(in_order(run.designs), name, share)),
            markup.section("Numbers", markup.tables(numbers) + markup.table(tables.iterations(history))),
            markup.section("Work", markup.tables([tables.counts(history), tables.times(history)])),
            markup.section("Gradient check", markup.verdict(history) + _gradient(run, f"gradient{name}-")),
            markup.section("Problem and environment", markup.tables(tables.settings(history))),
        ]
    )


def _gradient(run: Run, name: str) -> str:
    """The Taylor test, drawn beside its numbers."""
    drawn = gradient_panels(run.history)
    return (
        f'<div class="tables">{drawings(drawn, name)}{markup.table(tables.taylor(run.history))}</div>' if drawn else ""
    )


def drawings(drawn: Sequence[Panel], name: str) -> str:
    """Panels in a grid; name: begins the ids in them."""
    figures = "".join(
        f"<figure><figcaption>{escape(panel.title)}</figcaption>{panel_svg(panel, f'{name}{place}')}</figure>"
        for place, panel in enumerate(drawn)
    )
    kind = " few" if len(drawn) in (1, 2, 4) else ""  # So that no row holds a single one.
    return f'<div class="panels{kind}">{figures}</div>'


def key_numbers(run: Run) -> str:
    """What one wants to know first, in large type; what was not recorded is left out."""
    history = run.history
    last: Record = history.iterations[-1] if history.iterations else {}
    pairs = (
        ("objective", brief(final(history, "objective"))),
        ("violation", brief(final(history, "constraint_violation"))),
        ("iterations", show(done(history))),
        ("evaluations", show(final(history, "evaluations"))),
        ("factorizations", show(counted(history, "numeric") or None)),
        ("time", duration(final_seconds(history))),
        ("KKT residual", brief(last.get("kkt"))),
        ("design change", brief(last.get("change"))),
        ("volume", brief(last.get("volume"))),
        ("grayness", brief(last.get("grayness"))),
    )
    constrained = history.lists("constraints").size > 0 or np.nan_to_num(number(final(history, "constraint_violation")))
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in pairs
        if value != MISSING and (name != "violation" or constrained)
    )
    return f'<dl class="key">{cells}</dl>'
