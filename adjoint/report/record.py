"""One record of a history: a JSON object of kind header, iteration or result, and its fields."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from ..typing import Array

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Record: TypeAlias = Mapping[str, Json]

KINDS = ("header", "iteration", "result")
COUNTS = ("symbolic", "numeric", "solves", "transposed", "rhs", "refinements", "newton", "krylov")
PHASES = ("assembly", "analysis", "factor", "solve", "gradient", "filter", "optimizer", "output")
NUMBERS = (
    *("objective", "scaled", "projected_gradient", "kkt", "multiplier", "step", "change", "volume"),
    *("constraint_violation", "grayness", "peak_rss_mb"),
)
INTEGERS, LISTS = ("iteration", "stage", "evaluations"), ("rejected", "constraints", "multipliers", "constraint_scales")
OTHERS = ("kind", "elapsed", "counts", "seconds")
"""What an iteration may hold; all other numbers in it are measures of the user's own."""


LARGEST = 2**53
"""Integers from here on do not occur in a history: floating-point numbers do not hold them all."""


def number(value: Json) -> float:
    """The finite number stored, nan for anything else."""
    if not isinstance(value, int | float) or (isinstance(value, int) and abs(value) >= LARGEST):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def entries(record: Record, name: str) -> Record:
    """The object stored under `name`; an empty one when it is null or missing."""
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def numbers(record: Record, name: str) -> Array:
    """The list of numbers stored under `name`, null as nan; empty when it is null or missing."""
    stored = record.get(name)
    return np.array([number(value) for value in stored] if isinstance(stored, list) else [], dtype=float)


def plain(value: object, name: str) -> Json:
    """The JSON value that stands for `value`: NumPy types as numbers and lists, non-finite as null.

    name: where the value stands in its record, for the TypeError raised when JSON cannot hold it.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), name)
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    raise TypeError(f"{name} is of type {type(value).__name__}; expected numbers, strings, lists or mappings")


def parse(line: bytes, where: str) -> Record:
    """The record in one line. Raises ValueError, beginning with `where`, when it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: not JSON ({error}); expected a history, one JSON object a line") from error
    if not isinstance(record, dict) or record.get("kind") not in KINDS:
        raise ValueError(f"{where}: not a record of a history; expected an object whose kind is one of {KINDS}")
    for field, (expected, fits) in _FIELDS[record["kind"]].items():
        value = record.get(field)
        if not fits(value) and (value is not None or field == "iteration"):
            raise ValueError(f"{where}: {field} is {short(value)}; expected {expected}")
    return record


def short(value: object) -> str:
    """A value of a file as a message repeats it: at most a line of it."""
    words = repr(value)
    return words if len(words) <= 200 else f"{words[:200]}…"


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, float) or _is_integer(value)


def _is_numbers(value: object) -> bool:
    return isinstance(value, list) and all(_is_number(item) for item in value)


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(_is_number(item) for item in value.values())


def _is_taylor(value: object) -> bool:
    if not isinstance(value, dict) or not (_is_numbers(value.get("steps")) and _is_numbers(value.get("orders"))):
        return False
    rows = value.get("remainders")
    if not isinstance(rows, list) or len(rows) != len(value["orders"]):
        return False
    return all(_is_numbers(row) and len(row) == len(value["steps"]) for row in rows)


def measured(record: Record) -> list[str]:
    """The names of the numbers in an iteration that are none of ours."""
    known = {*NUMBERS, *INTEGERS, *LISTS, *OTHERS}
    return [name for name, value in record.items() if name not in known and _is_number(value)]


_Field: TypeAlias = tuple[str, Callable[[object], bool]]
_STRING: _Field = ("a string", lambda value: isinstance(value, str))
_INTEGER: _Field = ("an integer", _is_integer)
_NUMBER: _Field = ("a number", _is_number)
_NUMBERS: _Field = ("a list of numbers", _is_numbers)
_OBJECT: _Field = ("an object", lambda value: isinstance(value, dict))
_TABLE: _Field = ("an object of numbers", _is_table)
_TAYLOR: _Field = ("steps, orders, and for each order the remainders, one a step", _is_taylor)
_FIELDS: Mapping[str, Mapping[str, _Field]] = {
    "header": {
        **dict.fromkeys(("title", "algorithm", "started"), _STRING),
        **dict.fromkeys(("problem", "environment"), _OBJECT),
        **dict.fromkeys(("tolerances", "stopping"), _TABLE),
        "seed": _INTEGER,
        **dict.fromkeys(("resumed", "constraints"), ("a list of strings", _is_strings)),
        "taylor": _TAYLOR,
    },
    "iteration": {
        **dict.fromkeys((*NUMBERS, "elapsed"), _NUMBER),
        **dict.fromkeys(("counts", "seconds"), _TABLE),
        **dict.fromkeys(INTEGERS, _INTEGER),
        **dict.fromkeys(LISTS, _NUMBERS),
    },
    "result": {
        **dict.fromkeys(("status", "cause"), _STRING),
        **dict.fromkeys(("iterations", "evaluations", "found"), _INTEGER),
        **dict.fromkeys(("objective", "constraint_violation", "seconds"), _NUMBER),
        "counts": _TABLE,
        "rejected": _NUMBERS,
        "success": ("true or false", lambda value: isinstance(value, bool)),
    },
}
