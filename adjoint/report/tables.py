"""The tables of a report: captions, heads and rows of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .history import History
from .record import COUNTS, NUMBERS, PHASES, Record, entries, number, numbers
from .summary import MISSING, brief, duration, run, show

ENDS = 5  # iterations shown at the beginning and at the end
WORDS = {
    "projected_gradient": "projected gradient",
    "kkt": "KKT residual",
    "change": "design change",
    "constraint_violation": "constraint violation",
    "peak_rss_mb": "peak memory, MB",
    "symbolic": "symbolic analyses",
    "numeric": "numeric factorizations",
    "transposed": "transposed solves",
    "rhs": "right-hand sides",
}


@dataclass(frozen=True, eq=False)
class Table:
    """A caption, the heads of the columns, and rows of text, each with its name in front."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def first_and_last(history: History) -> Table:
    """Every recorded number at the first and at the last iteration, and its least and greatest value."""
    rows = []
    for name in NUMBERS:
        known = history.series(name)[np.isfinite(history.series(name))]
        if known.size:
            ends = (history.series(name)[0], history.series(name)[-1], known.min(), known.max())
            text = show if name == "objective" else brief
            rows.append((WORDS.get(name, name), *(text(float(value)) for value in ends)))
    return Table("First and final numbers", ("", "first", "final", "least", "greatest"), rows)


def tolerances(history: History) -> Table:
    """Each tolerance beside the final value of the series it bounds."""
    final: Record = history.iterations[-1] if history.iterations else {}
    rows = []
    for name, bound in entries(history.header, "tolerances").items():
        reached = number(final.get(name))
        met = MISSING if np.isnan(reached) else "yes" if reached <= number(bound) else "no"
        rows.append((WORDS.get(name, name), brief(bound), brief(reached), met))
    return Table("Tolerances", ("", "tolerance", "final", "met"), rows)


def iterations(history: History) -> Table:
    """The first and the last iterations; a row of dots for those between."""
    fields = ("projected_gradient", "kkt", "step", "change", "volume", "grayness")
    names = ("projected gradient", "KKT", "step", "change", "volume", "grayness")
    heads = ("iteration", "stage", "objective", *names, "rejected", "factorizations", "time")
    rows = [
        (
            show(record["iteration"]),
            show(record.get("stage")),
            show(record.get("objective")),
            *(brief(record.get(field)) for field in fields),
            show(numbers(record, "rejected").size),
            show(entries(record, "counts").get("numeric")),
            duration(_total(record)),
        )
        for record in history.iterations
    ]
    if len(rows) > 2 * ENDS + 1:
        rows = [*rows[:ENDS], ("⋮",) * len(heads), *rows[-ENDS:]]
    shown = "All iterations" if len(rows) == len(history.iterations) else f"First and last {ENDS} iterations"
    return Table(shown, heads, rows)


def counts(history: History) -> Table:
    """The linear algebra done: in all, and for one iteration on average."""
    last = entries(history.iterations[-1], "counts") if history.iterations else {}
    done = len(history.iterations)
    rows = [
        (WORDS.get(name, name), show(last[name]), show(round(number(last[name]) / done, 3)))
        for name in COUNTS
        if last.get(name) is not None
    ]
    return Table("Linear algebra", ("", "total", "per iteration"), rows)


def times(history: History) -> Table:
    """Where the time went: in all, per iteration, and its share of the phases."""
    spent = {phase: float(np.nansum(history.parts("seconds", phase))) for phase in PHASES}
    whole, done = sum(spent.values()), len(history.iterations)
    measured = [(phase, seconds) for phase, seconds in spent.items() if seconds > 0]
    rows = [(phase, duration(s), duration(s / done), f"{100 * s / whole:.1f} %") for phase, s in measured]
    if rows:
        rows.append(("all phases", duration(whole), duration(whole / done), "100 %"))
    elapsed = number(history.result.get("seconds")) if history.result else np.nan
    if np.isfinite(elapsed):
        rows.append(("whole run", duration(elapsed), *(MISSING, MISSING)))
    return Table("Time by phase", ("", "total", "per iteration", "share"), rows)


def taylor(history: History) -> Table:
    """Steps and remainders of the Taylor test, and the order observed from each remainder to the next."""
    test = entries(history.header, "taylor")
    h, stored = numbers(test, "steps"), test.get("remainders")
    columns = [[show(float(step)) for step in h]]
    heads = ["step"]
    for index, row in enumerate(stored if isinstance(stored, list) else []):
        remainder = numbers({"row": row}, "row")
        heads += [f"remainder {index + 1}", "order"]
        columns.append([f"{value:.3e}" for value in remainder])
        columns.append([MISSING, *(_order(h[k : k + 2], remainder[k : k + 2]) for k in range(h.size - 1))])
    return Table("Taylor test", heads, list(zip(*columns, strict=True)))


def settings(history: History) -> tuple[Table, Table]:
    """The problem, and the environment it was solved in."""
    problem = entries(history.header, "problem")
    environment = {**run(history), **entries(history.header, "environment")}
    return _pairs("Problem", problem), _pairs("Run and environment", environment)


def _pairs(caption: str, values: Record) -> Table:
    return Table(caption, ("", "value"), [(name, show(value)) for name, value in values.items()])


def _total(record: Record) -> float:
    seconds = [number(value) for value in entries(record, "seconds").values()]
    return float(np.nansum(seconds)) if seconds else np.nan


def _order(h: Array, remainder: Array) -> str:
    """log(r₀/r₁) / log(h₀/h₁) as text; a dash where rounding left nothing to compare."""
    if not (min(*h, *remainder) > 0 and h[0] != h[1]):
        return MISSING
    return f"{np.log(remainder[0] / remainder[1]) / np.log(h[0] / h[1]):.2f}"
