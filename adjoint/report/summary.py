"""What a history says, in words: numbers as text, the stop reason, the verdict on the gradient."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .history import History
from .record import Json, Record, entries, number, numbers

MISSING = "\N{EN DASH}"
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


def outcome(history: History) -> str:
    """Why the run stopped, or that it did not, as a sentence."""
    if history.result is None:
        last = [f"at iteration {show(int(k))}" for k in history.numbers[-1:]]
        where = "".join(last) or "before the first iteration"
        return f"No result was recorded: the history ends {where}. The run is still going, or was killed."
    status = str(history.result.get("status") or "No reason for the stop was recorded").rstrip(".")
    seconds = number(history.result.get("seconds"))
    spent = f" in {duration(seconds)}" if math.isfinite(seconds) else ""
    return f"{status[:1].upper()}{status[1:]}. {show(done(history))} iteration{'s'[: done(history) != 1]}{spent}."


class Verdict(Enum):
    """The outcome of the gradient check made before the first iteration."""

    PASSED = "Taylor test passed"
    FAILED = "Taylor test FAILED"
    ABSENT = "gradient not checked"


@dataclass(frozen=True, eq=False)
class Badge:
    """The verdict on the gradient, and the numbers it rests on in words."""

    verdict: Verdict
    evidence: tuple[str, ...]


def badge(history: History) -> Badge:
    """The Taylor test in the header: its verdict and its orders and errors."""
    taylor = entries(history.header, "taylor")
    if not taylor:
        return Badge(Verdict.ABSENT, ("no Taylor test in this history",))
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
