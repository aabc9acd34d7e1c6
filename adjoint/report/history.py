"""The history of a run, read from JSON lines: one header, one record per iteration, one result."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._validation import as_path
from ..typing import Array
from .record import Record, entries, number, numbers, parse


@dataclass(frozen=True, eq=False)
class History:
    """A header, the iteration records in order, and the result (None: still going, or killed)."""

    header: Record
    iterations: Sequence[Record]
    result: Record | None

    @property
    def numbers(self) -> Array:
        """The iteration numbers, (n,) integers."""
        return np.array([record["iteration"] for record in self.iterations], dtype=int)

    def series(self, name: str) -> Array:
        """One field over the iterations, (n,); nan where it is null or missing."""
        return np.array([number(record.get(name)) for record in self.iterations], dtype=float)

    def parts(self, group: str, name: str) -> Array:
        """One entry of "counts" or "seconds" over the iterations, (n,); nan where it is missing."""
        return np.array([number(entries(record, group).get(name)) for record in self.iterations], dtype=float)

    def lists(self, name: str) -> Array:
        """A field of lists over the iterations, (n, k), nan where they are shorter or missing."""
        rows = [numbers(record, name) for record in self.iterations]
        table = np.full((len(rows), max((row.size for row in rows), default=0)), np.nan)
        for row, values in zip(table, rows, strict=True):
            row[: values.size] = values
        return table

    @property
    def elapsed(self) -> Array:
        """Seconds from the start to each iteration, (n,), in all sessions; nan throughout where not recorded."""
        measured = self.series("elapsed")
        if np.isfinite(measured).any() or not any(entries(record, "seconds") for record in self.iterations):
            return measured
        spent = [np.nansum([number(s) for s in entries(record, "seconds").values()]) for record in self.iterations]
        return np.cumsum(spent)


def read_history(path: Path | str) -> History:
    """Read what `HistoryWriter` wrote, of a run that has ended, is still going, or was killed.

    A torn last line is left out. Raises ValueError, naming the line and the cause, when the file is not
    a history.
    """
    path = as_path("read_history", "path", path)
    lines = whole_lines(path)
    if not lines:
        cause = "its only line is torn" if Path(path).stat().st_size else "the file is empty"
        raise ValueError(f"{path}, line 1: no header, {cause}; the run was killed before it began")
    records = [parse(line, f"{path}, line {row}") for row, line in enumerate(lines, start=1)]
    for row, record in enumerate(records, start=1):
        expected = ("header",) if row == 1 else ("iteration", "result") if row == len(records) else ("iteration",)
        if record["kind"] not in expected:
            raise ValueError(
                f"{path}, line {row}: a record of kind {record['kind']!r}, expected {' or '.join(expected)}; "
                "a history is one header, then iterations, then one result. Usual cause: two runs in one file"
            )
    ended = records[-1]["kind"] == "result"
    history = History(records[0], records[1:-1] if ended else records[1:], records[-1] if ended else None)
    falls = np.flatnonzero(np.diff(history.numbers) <= 0)
    if falls.size:
        before, after = history.numbers[falls[0] : falls[0] + 2]
        raise ValueError(
            f"{path}, line {falls[0] + 3}: iteration {after} follows {before}; the numbers must increase. "
            "Usual cause: a resumed run that writes iterations a second time"
        )
    return history


def whole_lines(path: Path | str) -> list[bytes]:
    """The lines of a file, without its last one where that is torn."""
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
