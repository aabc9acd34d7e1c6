"""The history of a run: JSON lines, one header, one record per iteration, one result."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Array
from .record import KINDS, Record, entries, number, parse, plain


@dataclass(frozen=True, eq=False)
class HistoryWriter:
    """Append records to a JSON-lines file, which is created, or emptied, when the writer is made.

    The file is opened for each record and closed again: a killed run loses at most the line it was
    writing. Numbers that are not finite become null; NumPy scalars and arrays become numbers and lists.
    """

    path: Path | str

    def __post_init__(self) -> None:
        # Absolute, so that a later chdir does not split the history over two files.
        path = Path(self.path).resolve()
        object.__setattr__(self, "path", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record. Raises ValueError for an unknown kind, TypeError for what JSON cannot hold."""
        if record.get("kind") not in KINDS:
            raise ValueError(f"got a history record of kind {record.get('kind')!r}, expected one of {KINDS}")
        line = json.dumps(plain(record, "record"), allow_nan=False) + "\n"
        with Path(self.path).open("a", encoding="ascii") as file:
            file.write(line)


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


def read_history(path: Path | str) -> History:
    """Read what HistoryWriter wrote, of a run that has ended, is still going, or was killed.

    A torn last line is left out. Raises ValueError, naming the line and the cause, when the file is not
    a history.
    """
    *lines, last = Path(path).read_bytes().split(b"\n")
    if _is_json(last):
        lines.append(last)
    if not lines:
        cause = "its only line is torn" if last else "the file is empty"
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


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
