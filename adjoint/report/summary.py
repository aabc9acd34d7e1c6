"""A history as text: numbers, the reason why the run ended, the verdict on the gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import numpy as np

from .history import History, Json, Record, entries, number, numbers

MISSING = "\N{EN DASH}"
"""Text for a value that was not recorded."""
STOPPING = {
    "change": "change",
    "projected_gradient": "projected",
    "constraint_violation": "feasibility",
}
"""Stopping rules, the attributes of `Stopping`, by the series to which they apply."""
SPACE = "\N{NARROW NO-BREAK SPACE}"
"""Space between groups of three digits, as recommended for SI units."""
FLAT = 2.0
"""Factor by which a residual must fall in the second half of a run.

A residual that falls by less counts as flat.
"""
FEWEST = 4
"""Number of iterations below which no residual counts as flat."""

TERMS = {
    "objective": "f(x), the number that the run makes small.",
    "f − f_min": (
        "The objective minus its least value in the run: the end of a run whose objective looks "
        "flat."
    ),
    "mode": (
        "Mode i was number i at the first iteration; from there it is followed by its shape (MAC)."
    ),
    "in order": "The eigenvalues in ascending order, whatever their mode shapes are.",
    "rejected trial": (
        "A design that was evaluated and not accepted; at the edge of the axis if it is beyond."
    ),
    "KKT residual": (
        "Size of the gradient of the Lagrangian, without what bounds hold back; zero at an optimum."
    ),
    "projected gradient": (
        "Largest change of the design by a gradient step that the bounds cut; zero at an optimum."
    ),
    "violation": (
        "How far the worst constraint exceeds its bound, relative to its scale; zero where all "
        "are met."
    ),
    "gap": (
        "A line is interrupted where its value is zero to rounding: a logarithmic axis has no zero."
    ),
    "tolerance": "The run has converged where a measure is below the dashed line of its colour.",
    "design change": "Largest change of a design variable in one iteration, max|Δx|.",
    "step": "Length of the step, in the algorithm's own measure.",
    "step length": "Factor on the search direction that the line search accepted.",
    "length of the step": "Norm of the change of the design.",
    "move limit": "Largest change of a variable that the algorithm allows in one iteration.",
    "asymptotes": (
        "Largest distance of MMA's asymptotes from the design, over the width of the bounds; "
        "short steps where it is small."
    ),
    "constraint": "(c − bound)/scale: met where it is ≤ 0, violated in the shaded part.",
    "multiplier": (
        "How much the objective would fall for each unit by which the scaled constraint is relaxed."
    ),
    "volume": "Mean density of the design.",
    "grayness": "Zero for a design of solid and void alone; one where all densities are ½.",
    "iterations": "Designs that the algorithm accepted after the first one.",
    "evaluations": "Values of the objective that were computed, rejected trials included.",
    "factorizations": (
        "Numeric factorizations of matrices: most of the cost of sparse direct solvers."
    ),
    "time": "Wall time of the whole run.",
    "assembly": "Matrices and right-hand sides from their parameters.",
    "analysis": "Ordering and symbolic analysis of sparsity patterns.",
    "factor": "Numeric factorization (in the figure with its analysis).",
    "solve": "Solves with the factors, forward and adjoint.",
    "gradient": "Derivatives of the model times the adjoint solution.",
    "filter": "The design map: from design variables to parameters of the model, and back.",
    "model": (
        "Evaluations of the objective beyond the phases above: plain functions, time stepping."
    ),
    "optimizer": "The algorithm itself.",
    "output": "Records of the history, and pictures of designs.",
    "Taylor test": (
        "Halving the step h must halve f(x + hv) − f(x), and quarter what is left of it without "
        "h g·v."
    ),
}
"""The meaning of each term of a report, in one line."""


def show(value: Json) -> str:
    """Return a value as text.

    Integers have groups of three digits, floats have six digits, and null becomes a dash.
    """
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", SPACE) if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else MISSING
    if isinstance(value, list):
        return ", ".join(show(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    return str(value)


def brief(value: Json) -> str:
    """Return a value as text; floats have four digits."""
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else show(value)


def duration(seconds: float) -> str:
    """Return a time in seconds as text, in ms, s, min or h; nan becomes a dash."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def title(history: History) -> str:
    """Return the title of the run."""
    return str(history.header.get("title") or "Untitled run")


def algorithm(history: History) -> str:
    """Return the name of the algorithm of the run; "" if no name was recorded."""
    return str(history.header.get("algorithm") or "").split("(")[0]


def run(history: History) -> dict[str, Json]:
    """Return the start times of the sessions of the run, and the seed of the Taylor test."""
    header = history.header
    resumed = header.get("resumed")
    times = {
        "started": [header.get("started")],
        "resumed": resumed if isinstance(resumed, list) else [],
    }
    known: dict[str, Json] = {
        name: [moment(time) for time in given if time] for name, given in times.items()
    }
    return {
        name: value
        for name, value in {**known, "seed": header.get("seed")}.items()
        if value not in ([], None)
    }


def moment(value: Json) -> str:
    """Return a time in ISO 8601 as text of the form 2025-11-21 22:14:03 UTC."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return show(value)
    return f"{at:%Y-%m-%d %H:%M:%S} {at.tzname() or ''}".rstrip()


def facts(record: Record) -> str:
    """Return a mapping as one line of text: name value · name value."""
    return " · ".join(f"{key} {show(value)}" for key, value in record.items())


def done(history: History) -> int:
    """Return the number of iterations, or the number of records if there is no result."""
    counted = history.result.get("iterations") if history.result else None
    return counted if isinstance(counted, int) else len(history.iterations)


def final(history: History, name: str) -> Json:
    """Return a number of the design found, or of the last iterate if there is no result."""
    last = history.iterations[-1] if history.iterations else {}
    value = history.result.get(name) if history.result else None
    return last.get(name) if value is None else value


def tolerance(history: History, name: str) -> float:
    """Return the tolerance below which a series has converged; nan without a tolerance.

    The tolerance of the KKT residual is relative to the first residual of a stage; the
    tolerance of the last stage is returned. If this stage starts at a design that is not
    feasible, its tolerance also depends on the norm of the gradient. A history does not
    hold this norm, and the result is nan.
    """
    stored = number(entries(history.header, "tolerances").get(name))
    if math.isfinite(stored):
        return stored
    stopping = {key: number(value) for key, value in entries(history.header, "stopping").items()}
    if name == "kkt":
        relative = stopping.get("stationarity", math.nan)
        if relative > 0.0:
            relative *= _first(history, stopping.get("feasibility", math.inf))
        asked = max(relative, stopping.get("absolute", 0.0))  # nan if `relative` is nan.
    else:
        asked = stopping.get(STOPPING.get(name, ""), math.nan)
    constrained = name != "constraint_violation" or history.lists("constraints").size > 0
    return float(asked) if asked > 0.0 and constrained else math.nan


def _first(history: History, feasibility: float) -> float:
    """Return the KKT residual at the start of the last stage.

    The result is nan if the design at this start is not feasible.
    """
    stage = history.series("stage")
    starts = np.flatnonzero(np.equal(stage, stage[-1:]))[:1]
    violated = np.nan_to_num(history.series("constraint_violation")[starts]) > feasibility
    return float([math.nan, *history.series("kkt")[starts][~violated]][-1])


def counted(history: History, name: str) -> int | None:
    """Return the total work of one kind in the run; None if this work was not counted."""
    places = [history.result or {}, *reversed(history.iterations[-1:])]
    found = [number(entries(place, "counts").get(name)) for place in places]
    return next((int(count) for count in found if math.isfinite(count)), None)


def final_seconds(history: History) -> float:
    """Return the seconds of the run; nan if no seconds were recorded.

    If the history has no result, the seconds end at the last iterate.
    """
    whole = number(history.result.get("seconds")) if history.result else math.nan
    return whole if math.isfinite(whole) else float([math.nan, *history.elapsed][-1])


def reason(history: History) -> str:
    """Return the reason why the run stopped as a sentence, or a note that there is no result."""
    if history.result is None:
        return "no result: still going, or killed"
    status = str(history.result.get("status") or "No reason for the stop was recorded").rstrip(".")
    return f"{status[:1].upper()}{status[1:]}."


def outcome(history: History) -> str:
    """Return sentences that state why and when the run ended, or that there is no result."""
    if history.result is None:
        last = [f"at iteration {show(int(k))}" for k in history.numbers[-1:]]
        where = "".join(last) or "before the first iteration"
        ends = f"No result was recorded: the history ends {where}."
        return f"{ends} The run is still going, or was killed."
    seconds = number(history.result.get("seconds"))
    spent = f" in {duration(seconds)}" if math.isfinite(seconds) else ""
    resumed = history.header.get("resumed")
    sessions = f", in {1 + len(resumed)} sessions" if isinstance(resumed, list) and resumed else ""
    cause = f" {history.result['cause']}" if history.result.get("cause") else ""
    iterations = f"{show(done(history))} iteration{'s'[: done(history) != 1]}"
    found = history.result.get("found")
    elsewhere = (
        isinstance(found, int) and bool(history.numbers.size) and found != history.numbers[-1]
    )
    best = f" The best design is that of iteration {found}." if elsewhere else ""
    return f"{reason(history)} {iterations}{spent}{sessions}.{best}{cause}"


def doubt(history: History) -> str:
    """Return a warning if the design settled while the KKT residual was flat; "" otherwise."""
    change, kkt = (history.series(name) for name in ("change", "kkt"))
    stage = history.series("stage")
    kkt = kkt[np.equal(stage, stage[-1:]) | np.isnan(stage)]
    converged = history.result is not None and history.result.get("success") is True
    if not (converged and kkt.size >= FEWEST and change[-1] <= tolerance(history, "change")):
        return ""
    if kkt[-1] <= tolerance(history, "kkt") or not kkt[-1] * FLAT > kkt[kkt.size // 2]:
        return ""
    return (
        f"The design settled, but the KKT residual is flat: {brief(float(kkt[kkt.size // 2]))} "
        f"halfway, {brief(float(kkt[-1]))} at the end. By this measure of optimality the run has "
        "not converged; a smaller tolerance on the design change would let it go on."
    )


class Verdict(Enum):
    """Kinds of tests of the gradient, with their results as text."""

    PASSED = "Taylor test passed"
    FAILED = "Taylor test FAILED"
    CHECKED = "Gradient agrees with differences"
    ABSENT = "No gradient test recorded"


@dataclass(frozen=True, eq=False)
class Badge:
    """The verdict on the gradient, with its evidence: the measured numbers as phrases."""

    verdict: Verdict
    evidence: tuple[str, ...]


def badge(history: History) -> Badge:
    """Return the verdict of the Taylor test in the header of the history.

    Without a Taylor test, the verdict is that of the gradient check by `minimize`.
    """
    taylor = entries(history.header, "taylor")
    if not taylor:
        return _checked(entries(history.result or {}, "gradient_check"))
    orders = ", ".join(f"{order:.2f}" for order in numbers(taylor, "orders"))
    errors = (("relative error", "relative_error"), ("dot-product error", "dot_product_error"))
    found = [
        f"{words} {number(taylor[name]):.1e}"
        for words, name in errors
        if taylor.get(name) is not None
    ]
    verdict = Verdict.PASSED if taylor.get("ok") is True else Verdict.FAILED
    return Badge(verdict, (f"orders {orders}", *found))


def _checked(check: Record) -> Badge:
    """Return the verdict of the gradient check that `minimize` makes before its first step."""
    slope, difference = number(check.get("derivative")), number(check.get("difference"))
    if not math.isfinite(slope + difference):
        return Badge(
            Verdict.ABSENT, ("Record a test by Recorder.header(taylor=adjoint.check(f, x)).",)
        )
    largest = max(abs(slope), abs(difference))
    error = (
        f"relative difference {abs(slope - difference) / largest:.1e}"
        if largest > 0.0
        else "both are zero"
    )
    return Badge(
        Verdict.CHECKED,
        (f"slope along a random direction {slope:.6g}, by differences {difference:.6g}", error),
    )


def change(history: History, name: str) -> str:
    """Return the first and the last value of a series as a phrase: "from 1 to 0.5"."""
    finite = history.series(name)[np.isfinite(history.series(name))]
    if not finite.size:
        return "not recorded"
    return f"from {finite[0]:.4g} to {finite[-1]:.4g}" if finite.size > 1 else f"{finite[0]:.4g}"


def name_of(index: int, names: Json) -> str:
    """Return the name of constraint `index` in the list `names`, or else "constraint 3"."""
    known: Sequence[Json] = names if isinstance(names, list) else ()
    return str(known[index]) if index < len(known) else f"constraint {index + 1}"
