"""Writer of a history in JSON lines: each record is appended to the file as one line."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .._dataclasses import short_repr
from .._files import named, require_regular, whole
from .._validation import as_path
from .history import KINDS, Record, plain, read_history, whole_lines

SAME = ("title", "problem", "algorithm", "settings")
"""Fields that the headers of all sessions of a run have in common."""


@dataclass(eq=False)
class HistoryWriter:
    """Append records to a history file, for optimizers without a `Recorder`.

    The file is created, or emptied, when the writer is made. It is opened and closed for
    each record: a killed run loses at most the last line. nan and inf become null; NumPy
    scalars and arrays become numbers and lists. The writer remembers the records of earlier
    sessions.

    Parameters
    ----------
    path : path
        The history file.
    resume : bool
        Continue the history in the file, if the file exists. Its result, and an incomplete
        last line, are dropped.

    Raises
    ------
    ValueError
        If `resume` is True and the file is not a history.
    """

    path: Path | str
    resume: bool = False
    _past: list[Record] = field(default_factory=list, init=False, repr=False)
    _ended: Record = field(default_factory=dict, init=False, repr=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        # Absolute, so that a later chdir does not split the history over two files.
        given = as_path("HistoryWriter", "path", self.path)
        require_regular(given)
        path = given.resolve()
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.resume and path.exists() and whole_lines(path):
            history = read_history(path)
            self._past.extend([history.header, *history.iterations])
            self._ended = history.result or {}
            self._rewrite(self._past)
        else:
            path.write_bytes(b"")

    @property
    def header(self) -> Record | None:
        """The header of the resumed history; None in a new history."""
        return self._past[0] if self._past else None

    @property
    def ended(self) -> Record:
        """The result that was dropped from the resumed history; {} if it had no result."""
        return self._ended

    def begin(self, header: Mapping[str, object]) -> None:
        """Write the header; in a resumed history it replaces the header of the earlier session.

        Parameters
        ----------
        header : mapping
            The record of kind "header". In a resumed history the time "started" of the
            first session is kept, and that of this session is added to the list "resumed".

        Raises
        ------
        ValueError
            If title, problem, algorithm or settings differ from those of the earlier
            session.
        """
        record = plain(header, "record")
        assert isinstance(record, Mapping)  # The header is a mapping.
        before = self.header
        if before is None:
            self.append(header)
            return
        for name in SAME:
            if (record.get(name) or {}) != (before.get(name) or {}):
                raise ValueError(
                    f"{self.path}: the history of another run: its {name} is "
                    f"{before.get(name)!r}, expected {record.get(name)!r}. Resume with the same "
                    f"{name}, or start a new history in another directory"
                )
        resumed = before.get("resumed") or []
        assert isinstance(resumed, list)  # `parse` has tested the field.
        again = {
            **record,
            "started": before.get("started"),
            "resumed": [*resumed, record.get("started")],
        }
        self._rewrite([again, *self._past[1:]])
        self._past[0] = again

    def rewind(self, iteration: int) -> Record | None:
        """Drop the records of earlier sessions from an iteration on.

        Parameters
        ----------
        iteration : int
            The first iteration whose record is dropped.

        Returns
        -------
        mapping or None
            The last record of an iteration that is left; None if none is left.
        """
        kept = [record for record in self._past[1:] if _number(record) < iteration]
        if len(kept) < len(self._past) - 1:
            self._rewrite([self._past[0], *kept])
            self._past[1:] = kept
        return kept[-1] if kept else None

    def append(self, record: Mapping[str, object]) -> None:
        """Write one record.

        Parameters
        ----------
        record : mapping
            A record of kind "header", "iteration" or "result".

        Raises
        ------
        ValueError
            If the record is of another kind.
        TypeError
            If JSON has no such value.
        """
        line, path = _line(record), Path(self.path)
        require_regular(path)
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="ascii") as file:
                file.write(line)
        except OSError as error:
            with suppress(OSError):  # Remove what was written of this record.
                os.truncate(path, size)
            raise named(error, path) from error

    def _rewrite(self, records: Sequence[Mapping[str, object]]) -> None:
        """Replace the file by one with these records: write a temporary file and rename it."""
        with whole(Path(self.path)) as aside:
            aside.write_text("".join(_line(record) for record in records), encoding="ascii")


def _line(record: Mapping[str, object]) -> str:
    """Return the line of a record; raise the errors that `HistoryWriter.append` states."""
    if record.get("kind") not in KINDS:
        raise ValueError(
            f"got a history record of kind {record.get('kind')!r}, expected one of {KINDS}"
        )
    return json.dumps(plain(record, "record"), allow_nan=False) + "\n"


def _number(record: Record) -> int:
    """Return the number of the iteration to which a record belongs."""
    iteration = record["iteration"]
    assert isinstance(iteration, int)  # `parse` has tested the field.
    return iteration
