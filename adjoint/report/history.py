"""The history of a run in JSON lines: a header, a record per iteration, a result."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_path
from ..typing import Array

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
Record: TypeAlias = Mapping[str, Json]

KINDS = ("header", "iteration", "result")
"""Kinds of records."""
COUNTS = ("symbolic", "numeric", "solves", "transposed", "rhs", "refinements", "newton", "krylov")
"""Kinds of work that are counted; see `adjoint.factor.Counts`."""
PHASES = (
    "assembly",
    "analysis",
    "factor",
    "solve",
    "gradient",
    "filter",
    "model",
    "optimizer",
    "output",
)
"""Phases for which the seconds of an iteration are recorded."""
NUMBERS = (
    *("objective", "scaled", "projected_gradient", "kkt", "multiplier", "step", "change", "volume"),
    *("constraint_violation", "grayness", "rtol", "peak_rss_mb"),
)
INTEGERS = ("iteration", "stage", "evaluations")
LISTS = ("rejected", "constraints", "multipliers", "constraint_scales")
OTHERS = ("kind", "elapsed", "counts", "seconds")
"""NUMBERS, INTEGERS, LISTS and OTHERS: the fields of the record of an iteration.

All other numbers in the record are the user's own measures.
"""

LARGEST = 2**53
"""Bound on integers in a history: float64 holds all smaller integers exactly."""


def number(value: Json) -> float:
    """Return the value as a float if the value is a finite number; nan otherwise."""
    if not isinstance(value, int | float) or (isinstance(value, int) and abs(value) >= LARGEST):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def entries(record: Record, name: str) -> Record:
    """Return the mapping that a record stores under `name`; {} if it is null or missing."""
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def numbers(record: Record, name: str) -> Array:
    """Return the numbers that a record stores under `name`, (k,), with nan for null.

    The array is empty if the list is null or missing.
    """
    stored = record.get(name)
    return np.array(
        [number(value) for value in stored] if isinstance(stored, list) else [], dtype=float
    )


def plain(value: object, name: str) -> Json:
    """Return a value for JSON: NumPy types become numbers and lists, nan and inf null.

    name: the place of the value in the record, for messages. Raises TypeError if
    the value has a type that JSON does not have.
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
    raise TypeError(
        f"{name} is of type {type(value).__name__}; expected numbers, strings, lists or mappings"
    )


def parse(line: bytes, where: str) -> Record:
    """Return the record in one line of a history.

    Raises ValueError, with `where` (file and line) at the start of the message, if the line
    is not a record.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{where}: not JSON ({error}); expected a history, one JSON object per line"
        ) from error
    if not isinstance(record, dict) or record.get("kind") not in KINDS:
        raise ValueError(
            f"{where}: not a record of a history; expected an object whose kind is one of {KINDS}"
        )
    for field, (expected, fits) in _FIELDS[record["kind"]].items():
        value = record.get(field)
        if not fits(value) and (value is not None or field == "iteration"):
            raise ValueError(f"{where}: {field} is {short(value)}; expected {expected}")
    return record


def short(value: object) -> str:
    """Return the repr of a value for messages, cut after 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


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
    """True if the value is a Taylor test: steps, orders, one row of remainders per order."""
    if not isinstance(value, dict) or not (
        _is_numbers(value.get("steps")) and _is_numbers(value.get("orders"))
    ):
        return False
    rows = value.get("remainders")
    if not isinstance(rows, list) or len(rows) != len(value["orders"]):
        return False
    return all(_is_numbers(row) and len(row) == len(value["steps"]) for row in rows)


def measured(record: Record) -> list[str]:
    """Return the names of the numbers that the user added to the record of an iteration."""
    known = {*NUMBERS, *INTEGERS, *LISTS, *OTHERS}
    return [name for name, value in record.items() if name not in known and _is_number(value)]


_Field: TypeAlias = tuple[str, Callable[[object], bool]]
"""A rule for a value: (description of the allowed values, test of a value)."""
_STRING: _Field = ("a string", lambda value: isinstance(value, str))
_INTEGER: _Field = ("an integer", _is_integer)
_NUMBER: _Field = ("a number", _is_number)
_NUMBERS: _Field = ("a list of numbers", _is_numbers)
_OBJECT: _Field = ("an object", lambda value: isinstance(value, dict))
_TABLE: _Field = ("an object of numbers", _is_table)
_TAYLOR: _Field = ("steps, orders, and for each order one remainder per step", _is_taylor)
_FIELDS: Mapping[str, Mapping[str, _Field]] = {
    "header": {
        **dict.fromkeys(("title", "algorithm", "started"), _STRING),
        **dict.fromkeys(("problem", "settings", "environment"), _OBJECT),
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
        **dict.fromkeys(("counts", "gradient_check"), _TABLE),
        "rejected": _NUMBERS,
        "success": ("true or false", lambda value: isinstance(value, bool)),
    },
}


@dataclass(frozen=True, eq=False)
class History:
    """The history of a run.

    Attributes
    ----------
    header : mapping
        Title, problem, algorithm, settings, environment, tolerances, Taylor test.
    iterations : sequence of mappings
        The record of each iteration, in order.
    result : mapping, optional
        The record of the end of the run; None if the run is still going or was killed.
    """

    header: Record
    iterations: Sequence[Record]
    result: Record | None

    __repr__ = short_repr

    @property
    def numbers(self) -> Array:
        """The iteration numbers, (n,) integers."""
        return np.array([record["iteration"] for record in self.iterations], dtype=int)

    def series(self, name: str) -> Array:
        """One field over the iterations.

        Parameters
        ----------
        name : str
            Name of the field, such as "objective" or "kkt", or of your own measure.

        Returns
        -------
        (n,) array
            The values; nan if the field is null or missing.
        """
        return np.array([number(record.get(name)) for record in self.iterations], dtype=float)

    def parts(self, group: str, name: str) -> Array:
        """One entry of "counts" or "seconds" over the iterations.

        Parameters
        ----------
        group : str
            "counts", totals from the start to the iteration, or "seconds", the times of
            the iteration.
        name : str
            Name of the entry, such as "numeric" for counts, "factor" for seconds.

        Returns
        -------
        (n,) array
            The values; nan if the entry is missing.
        """
        return np.array(
            [number(entries(record, group).get(name)) for record in self.iterations], dtype=float
        )

    def lists(self, name: str) -> Array:
        """A field that holds lists, over the iterations.

        Parameters
        ----------
        name : str
            Name of the field, such as "constraints" or "multipliers".

        Returns
        -------
        (n, k) array
            One row per iteration; nan beyond the end of a shorter list.
        """
        rows = [numbers(record, name) for record in self.iterations]
        table = np.full((len(rows), max((row.size for row in rows), default=0)), np.nan)
        for row, values in zip(table, rows, strict=True):
            row[: values.size] = values
        return table

    @property
    def elapsed(self) -> Array:
        """Seconds from the start to each iteration, (n,), all sessions; nan if not recorded."""
        measured = self.series("elapsed")
        if np.isfinite(measured).any() or not any(
            entries(record, "seconds") for record in self.iterations
        ):
            return measured
        spent = [
            np.nansum([number(s) for s in entries(record, "seconds").values()])
            for record in self.iterations
        ]
        return np.cumsum(spent)


def read_history(path: Path | str) -> History:
    """Read the history of a run that has ended, is still going, or was killed.

    Parameters
    ----------
    path : path
        The file that a `Recorder` writes. A last line that is incomplete is left out.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the file is not a history; the message names the line and the cause.
    """
    path = as_path("read_history", "path", path)
    lines = whole_lines(path)
    if not lines:
        cause = "its only line is torn" if Path(path).stat().st_size else "the file is empty"
        raise ValueError(f"{path}, line 1: no header, {cause}; the run was killed before it began")
    records = [parse(line, f"{path}, line {row}") for row, line in enumerate(lines, start=1)]
    for row, record in enumerate(records, start=1):
        expected = (
            ("header",)
            if row == 1
            else ("iteration", "result")
            if row == len(records)
            else ("iteration",)
        )
        if record["kind"] not in expected:
            raise ValueError(
                f"{path}, line {row}: a record of kind {record['kind']!r}, expected "
                f"{' or '.join(expected)}; "
                "a history is one header, then iterations, then one result. Usual cause: two "
                "runs in one file"
            )
    ended = records[-1]["kind"] == "result"
    history = History(
        records[0], records[1:-1] if ended else records[1:], records[-1] if ended else None
    )
    falls = np.flatnonzero(np.diff(history.numbers) <= 0)
    if falls.size:
        before, after = history.numbers[falls[0] : falls[0] + 2]
        raise ValueError(
            f"{path}, line {falls[0] + 3}: iteration {after} follows {before}; the numbers must "
            "increase. "
            "Usual cause: a resumed run that writes iterations a second time"
        )
    return history


def whole_lines(path: Path | str) -> list[bytes]:
    """Return the lines of a file, without the last line if this line is not complete.

    Raises ValueError if the file does not exist or is not a regular file.
    """
    if not Path(path).is_file():
        what = "not a regular file" if Path(path).exists() else "not there"
        raise ValueError(f"{path}: {what}, expected the history of a run (Recorder)")
    *lines, last = Path(path).read_bytes().split(b"\n")
    return [*lines, last] if _is_json(last) else lines


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
