"""The tables of a report: captions, heads and rows of text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..typing import Array
from .history import (
    COUNTS,
    NUMBERS,
    PHASES,
    History,
    Json,
    Record,
    entries,
    measured,
    number,
    numbers,
)
from .runs import Run
from .summary import (
    MISSING,
    Verdict,
    badge,
    brief,
    counted,
    done,
    duration,
    final,
    final_seconds,
    name_of,
    reason,
    run,
    show,
    tolerance,
)

ENDS = 5  # iterations shown at the beginning and at the end
MOST_CONSTRAINTS = 30  # largest number of constraints in the table
BOUNDED = ("kkt", "projected_gradient", "change", "constraint_violation")
"""The series that may have a tolerance."""
WORDS = {
    "scaled": "objective, scaled",
    "projected_gradient": "projected gradient",
    "kkt": "KKT residual",
    "change": "design change",
    "constraint_violation": "scaled constraint violation",
    "rtol": "tolerance of solves",
    "peak_rss_mb": "peak memory, MB",
    "symbolic": "symbolic analyses",
    "numeric": "numeric factorizations",
    "transposed": "transposed solves",
    "rhs": "right-hand sides",
    "newton": "Newton iterations",
    "krylov": "Krylov iterations",
}
TESTED = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "FAILED",
    Verdict.CHECKED: "differences agree",
    Verdict.ABSENT: MISSING,
}


RULES = {
    "change": "design change below",
    "stationarity": "KKT residual over its first value below",
    "absolute": "KKT residual below",
    "projected": "projected gradient below",
    "feasibility": "constraint violation at most",
    "stall": "iterations without improvement",
    "iterations": "iterations at most",
    "factorizations": "factorizations at most",
    "seconds": "seconds at most",
}
"""Names of the stopping rules: attribute of `Stopping` ↦ words."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table of text: a caption, the heads of the columns, and rows that begin with a name.

    words: indices of the columns that hold words, not numbers.
    """

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[int] = (0,)


def first_and_last(history: History) -> Table:
    """Return a table of all recorded numbers: first, final, least and greatest value."""
    rows = []
    own = dict.fromkeys(name for record in history.iterations for name in measured(record))
    unscaled = np.array_equal(history.series("scaled"), history.series("objective"))
    for name in (*NUMBERS, *own):
        known = history.series(name)[np.isfinite(history.series(name))]
        idle = name == "constraint_violation" and not (
            known.any() or history.lists("constraints").size
        )
        if known.size and not idle and not (name == "scaled" and unscaled):
            ends = (history.series(name)[0], history.series(name)[-1], known.min(), known.max())
            text = show if name in ("objective", "scaled") else brief
            rows.append((WORDS.get(name, name), *(text(float(value)) for value in ends)))
    return Table("First and final numbers", ("", "first", "final", "least", "greatest"), rows)


def tolerances(history: History) -> Table:
    """Return a table of the tolerances, with the final values of the series that they bound."""
    last: Record = history.iterations[-1] if history.iterations else {}
    rows = []
    for name in BOUNDED:
        asked, reached = tolerance(history, name), number(last.get(name))
        if np.isfinite(asked):
            met = MISSING if np.isnan(reached) else "yes" if reached <= asked else "no"
            rows.append((WORDS.get(name, name), brief(asked), brief(reached), met))
    return Table("Tolerances", ("", "tolerance", "final", "met"), rows)


def constraints(history: History) -> Table:
    """Return a table of the constraints (c − bound)/scale.

    The columns are the final value, the largest value, the multiplier and the scale.
    """
    c, multipliers, scales = (
        history.lists(name) for name in ("constraints", "multipliers", "constraint_scales")
    )
    names = history.header.get("constraints")
    rows = []
    for index in range(min(c.shape[1], MOST_CONSTRAINTS)):
        multiplier, scale = (
            table[-1, index] if index < table.shape[1] else np.nan
            for table in (multipliers, scales)
        )
        largest = np.nanmax(c[:, index], initial=-np.inf)
        values = (c[-1, index], largest, multiplier, scale)
        rows.append((name_of(index, names), *(brief(float(value)) for value in values)))
    if c.shape[1] > MOST_CONSTRAINTS:
        rows.append((f"{c.shape[1] - MOST_CONSTRAINTS} more", *(MISSING,) * 4))
    heads = (
        "",
        "final (c − bound)/scale (met where ≤ 0)",
        "largest",
        "multiplier",
        "scale, unit of c",
    )
    return Table("Constraints", heads, rows)


def iterations(history: History) -> Table:
    """Return a table of the first and the last iterations.

    Columns without recorded values, and some columns with zeros only, are left out.
    """
    records = history.iterations
    own = {"constraint_violation": "violation", "kkt": "KKT residual", "change": "design change"}
    fields = (
        "objective",
        "constraint_violation",
        "projected_gradient",
        "kkt",
        "step",
        "change",
        "volume",
        "grayness",
        "rtol",
    )
    columns: dict[str, list[Json]] = {
        "iteration": [record["iteration"] for record in records],
        "stage": [record.get("stage") for record in records],
        **{
            own.get(name, WORDS.get(name, name)): [record.get(name) for record in records]
            for name in fields
        },
        "evaluations": [record.get("evaluations") for record in records],
        "rejected": [numbers(record, "rejected").size for record in records],
        "factorizations": [entries(record, "counts").get("numeric") for record in records],
    }
    # Columns that are left out where they are zero throughout.
    idle = ("stage", "violation", "step", "rejected", "factorizations")
    texts = [
        (name, [(show if name == "objective" else brief)(value) for value in values])
        for name, values in columns.items()
        if any(value or (value is not None and name not in idle) for value in values)
    ]
    texts.append(("time", [duration(_total(record)) for record in records]))
    heads, rows = (
        [name for name, _ in texts],
        list(zip(*(column for _, column in texts), strict=True)),
    )
    if len(rows) > 2 * ENDS + 1:
        rows = [*rows[:ENDS], ("⋮",) * len(heads), *rows[-ENDS:]]
    shown_of = (
        "All iterations" if len(rows) == len(records) else f"First and last {ENDS} iterations"
    )
    return Table(shown_of, heads, rows)


def runs(several: Sequence[Run]) -> Table:
    """Return a table with one row per run: final numbers, work, and the reason why it ended."""
    reached = ("run", "algorithm", "objective", "violation", "KKT residual")
    spent = ("iterations", "evaluations", "factorizations", "time", "how it ended", "gradient test")
    rows = [_run(run) for run in several]
    return Table(
        "What each run reached, and what that took", (*reached, *spent), rows, words=(0, 1, 9, 10)
    )


def _run(run: Run) -> Sequence[str]:
    history = run.history
    algorithm = str(history.header.get("algorithm") or "")
    return (
        run.name,
        algorithm.split("(")[0].split(",")[0] or MISSING,
        *(show(final(history, "objective")), brief(final(history, "constraint_violation"))),
        brief(history.iterations[-1].get("kkt") if history.iterations else None),
        *(show(done(history)), show(final(history, "evaluations"))),
        *(show(counted(history, "numeric")), duration(final_seconds(history)), reason(history)),
        TESTED[badge(history).verdict],
    )


def counts(history: History) -> Table:
    """Return a table of the linear algebra: counts in total, and per iteration."""
    totals = {name: counted(history, name) for name in COUNTS}
    most = max(1, done(history))
    rows = [
        (WORDS.get(name, name), show(total), show(round(total / most, 3)))
        for name, total in totals.items()
        if total or (total is not None and totals["solves"] and name in ("numeric", "transposed"))
    ]
    return Table("Linear algebra", ("", "total", "per iteration"), rows)


def times(history: History) -> Table:
    """Return a table of the seconds per phase: total, per iteration, and share in percent."""
    spent = {phase: float(np.nansum(history.parts("seconds", phase))) for phase in PHASES}
    whole, most = sum(spent.values()), len(history.iterations)
    measured = [(phase, seconds) for phase, seconds in spent.items() if seconds > 0]
    rows = [
        (phase, duration(s), duration(s / most), f"{100 * s / whole:.1f} %")
        for phase, s in measured
    ]
    if rows:
        rows.append(("all phases", duration(whole), duration(whole / most), "100 %"))
    elapsed = number(history.result.get("seconds")) if history.result else np.nan
    if np.isfinite(elapsed):
        rows.append(("whole run", duration(elapsed), *(MISSING, MISSING)))
    return Table("Time by phase", ("", "total", "per iteration", "share"), rows)


def taylor(history: History) -> Table:
    """Return a table of the Taylor test: steps, remainders, and orders between two steps."""
    test = entries(history.header, "taylor")
    h, stored = numbers(test, "steps"), test.get("remainders")
    columns = [[show(float(step)) for step in h]]
    heads = ["step"]
    for index, row in enumerate(stored if isinstance(stored, list) else []):
        remainder = numbers({"row": row}, "row")
        heads += [f"remainder {index + 1}", "order"]
        columns.append([f"{value:.3e}" for value in remainder])
        columns.append(
            [MISSING, *(_order(h[k : k + 2], remainder[k : k + 2]) for k in range(h.size - 1))]
        )
    return Table("Taylor test", heads, list(zip(*columns, strict=True)))


def settings(history: History) -> tuple[Table, ...]:
    """Return four tables: problem, algorithm with its settings, stopping rules, environment."""
    header = history.header
    named = {"algorithm": header["algorithm"]} if header.get("algorithm") else {}
    rules = entries(header, "stopping")
    asked = {words: rules[name] for name, words in RULES.items() if number(rules.get(name)) > 0.0}
    return (
        _pairs("Problem", entries(header, "problem")),
        _pairs("Algorithm", {**named, **entries(header, "settings")}),
        _pairs("Stopping rules", asked),
        _pairs("Run and environment", {**run(history), **entries(header, "environment")}),
    )


def _pairs(caption: str, values: Record) -> Table:
    return Table(
        caption,
        ("", "value"),
        [(name, show(value)) for name, value in values.items()],
        words=(0, 1),
    )


def _total(record: Record) -> float:
    seconds = [number(value) for value in entries(record, "seconds").values()]
    return float(np.nansum(seconds)) if seconds else np.nan


def _order(h: Array, remainder: Array) -> str:
    """Return log(r₀/r₁) / log(h₀/h₁) as text; a dash if a remainder or a step is not positive.

    h: two steps; remainder: the two remainders r.
    """
    if not (min(*h, *remainder) > 0 and h[0] != h[1]):
        return MISSING
    return f"{np.log(remainder[0] / remainder[1]) / np.log(h[0] / h[1]):.2f}"
