"""What a history says, in words: numbers as text, the stop reason, the verdict on the gradient."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .history import History, Json, Record, entries, number, numbers

MISSING = "\N{EN DASH}"
STOPPING = {"change": "change", "projected_gradient": "projected", "constraint_violation": "feasibility"}
"""The stopping rule for a series."""
SPACE = "\N{NARROW NO-BREAK SPACE}"  # between groups of three digits, as SI writes numbers


def show(value: Json) -> str:
    """A value as text: integers in groups of three digits, other numbers to six digits, null as a dash."""
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
    """A value as text, numbers that are not integers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) and math.isfinite(value) else show(value)


def duration(seconds: float) -> str:
    """A time as text, in the unit that suits it; nan as a dash."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def title(history: History) -> str:
    """The run's title."""
    return str(history.header.get("title") or "Untitled run")


def run(history: History) -> dict[str, Json]:
    """What the header says of the run itself: algorithm, seed, start."""
    return {name: history.header[name] for name in ("algorithm", "seed", "started") if name in history.header}


def facts(record: Record) -> str:
    """An object as one line: name value · name value."""
    return " · ".join(f"{key} {show(value)}" for key, value in record.items())


def done(history: History) -> int:
    """The number of iterations done, as the result counts them; while there is none, the records so far."""
    counted = history.result.get("iterations") if history.result else None
    return counted if isinstance(counted, int) else len(history.iterations)


def final(history: History, name: str) -> Json:
    """What the result says of the design that was found; of the last iterate, where there is no result."""
    last = history.iterations[-1] if history.iterations else {}
    value = history.result.get(name) if history.result else None
    return last.get(name) if value is None else value


def tolerance(history: History, name: str) -> float:
    """What a series must fall to for the run to converge; nan where nothing was asked of it.

    That of the KKT residual is relative to the first one of its stage: the last stage's is the one that is shown. Where
    that began with violated constraints, it is relative to no more than the gradient, which no history knows: nan.
    """
    stored = number(entries(history.header, "tolerances").get(name))
    if math.isfinite(stored):
        return stored
    stopping = {key: number(value) for key, value in entries(history.header, "stopping").items()}
    if name == "kkt":
        relative = stopping.get("stationarity", math.nan)
        if relative > 0.0:
            relative *= _first(history, stopping.get("feasibility", math.inf))
        asked = max(relative, stopping.get("absolute", 0.0))  # nan, where the relative one is.
    else:
        asked = stopping.get(STOPPING.get(name, ""), math.nan)
    constrained = name != "constraint_violation" or history.lists("constraints").size > 0
    return float(asked) if asked > 0.0 and constrained else math.nan


def _first(history: History, feasibility: float) -> float:
    """The KKT residual at the start of the last stage; nan where constraints are violated by more than that."""
    stage = history.series("stage")
    starts = np.flatnonzero(np.equal(stage, stage[-1:]))[:1]
    violated = np.nan_to_num(history.series("constraint_violation")[starts]) > feasibility
    return float([math.nan, *history.series("kkt")[starts][~violated]][-1])


def counted(history: History, name: str) -> int | None:
    """The work of a kind in the whole run, that after its last iterate included; None where it was not counted."""
    places = [history.result or {}, *reversed(history.iterations[-1:])]
    found = [number(entries(place, "counts").get(name)) for place in places]
    return next((int(count) for count in found if math.isfinite(count)), None)


def final_seconds(history: History) -> float:
    """The time of the whole run, s; until its last iterate, where there is no result; nan if it was not measured."""
    whole = number(history.result.get("seconds")) if history.result else math.nan
    return whole if math.isfinite(whole) else float([math.nan, *history.elapsed][-1])


def reason(history: History) -> str:
    """Why the run stopped, or that it did not."""
    if history.result is None:
        return "no result: still going, or killed"
    status = str(history.result.get("status") or "No reason for the stop was recorded").rstrip(".")
    return f"{status[:1].upper()}{status[1:]}."


def outcome(history: History) -> str:
    """How the run ended, or that it did not, in a sentence or two."""
    if history.result is None:
        last = [f"at iteration {show(int(k))}" for k in history.numbers[-1:]]
        where = "".join(last) or "before the first iteration"
        return f"No result was recorded: the history ends {where}. The run is still going, or was killed."
    seconds = number(history.result.get("seconds"))
    spent = f" in {duration(seconds)}" if math.isfinite(seconds) else ""
    resumed = history.header.get("resumed")
    sessions = f", in {1 + len(resumed)} sessions" if isinstance(resumed, list) and resumed else ""
    cause = f" {history.result['cause']}" if history.result.get("cause") else ""
    iterations = f"{show(done(history))} iteration{'s'[: done(history) != 1]}"
    found = history.result.get("found")
    elsewhere = isinstance(found, int) and bool(history.numbers.size) and found != history.numbers[-1]
    best = f" The best design is that of iteration {found}." if elsewhere else ""
    return f"{reason(history)} {iterations}{spent}{sessions}.{best}{cause}"


class Verdict(Enum):
    """The outcome of the Taylor test in a history; `minimize` compares the gradient with differences in any case."""

    PASSED = "Taylor test passed"
    FAILED = "Taylor test FAILED"
    ABSENT = "no Taylor test recorded"


@dataclass(frozen=True, eq=False)
class Badge:
    """The verdict on the gradient, and the numbers it rests on in words."""

    verdict: Verdict
    evidence: tuple[str, ...]


def badge(history: History) -> Badge:
    """The Taylor test in the header: its verdict and its orders and errors."""
    taylor = entries(history.header, "taylor")
    if not taylor:
        return Badge(Verdict.ABSENT, ("Recorder.header(taylor=adjoint.check(f, x)) records one",))
    orders = ", ".join(f"{order:.2f}" for order in numbers(taylor, "orders"))
    errors = (("relative error", "relative_error"), ("dot-product error", "dot_product_error"))
    found = [f"{words} {number(taylor[name]):.1e}" for words, name in errors if taylor.get(name) is not None]
    verdict = Verdict.PASSED if taylor.get("ok") is True else Verdict.FAILED
    return Badge(verdict, (f"orders {orders}", *found))


def change(history: History, name: str) -> str:
    """How a series went from its first to its last value, as a phrase for a picture's description."""
    finite = history.series(name)[np.isfinite(history.series(name))]
    if not finite.size:
        return "not recorded"
    return f"from {finite[0]:.4g} to {finite[-1]:.4g}" if finite.size > 1 else f"{finite[0]:.4g}"


def name_of(index: int, names: Json) -> str:
    """The constraint's name in the header, or its number."""
    known: Sequence[Json] = names if isinstance(names, list) else ()
    return str(known[index]) if index < len(known) else f"constraint {index + 1}"
