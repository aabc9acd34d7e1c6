"""Records of steps (stages, factors): the latest records that fit into a number of bytes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Record(Protocol):
    """Protocol of a record: the data of a step that a reverse sweep needs (stages, factors)."""

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """The parts of the record: pairs (object, number of bytes).

        Several records may share an object.
        """


R = TypeVar("R", bound=Record)


@dataclass(eq=False)
class Records(Generic[R]):
    """The records in memory, by step.

    The bytes of an object that several records share are counted once.

    nbytes: bytes of all objects; dropped: number of records dropped so far.
    """

    nbytes: int = 0
    dropped: int = 0
    _records: dict[int, R] = field(default_factory=dict)
    _order: deque[tuple[int, list[tuple[int, int]]]] = field(default_factory=deque)
    """The steps, oldest first, with (identity, bytes) of the parts of each record."""
    _holders: dict[int, int] = field(default_factory=dict)
    """Number of records that hold the object of each identity."""

    def __len__(self) -> int:
        return len(self._records)

    def get(self, k: int) -> R | None:
        """Return the record of step k; None if no such record is kept."""
        return self._records.get(k)

    def put(self, k: int, record: R) -> None:
        """Store the record of step k."""
        parts = [(id(part), size) for part, size in record.parts]
        self._records[k] = record
        self._order.append((k, parts))
        for part, size in parts:
            holders = self._holders.get(part, 0)
            self._holders[part] = holders + 1
            self.nbytes += 0 if holders else size

    def fit(self, nbytes: float) -> None:
        """Drop the oldest records until the others take at most `nbytes` bytes."""
        while self._order and self.nbytes > nbytes:
            k, parts = self._order.popleft()
            del self._records[k]
            self.dropped += 1
            for part, size in parts:
                self._release(part, size)

    def clear(self) -> None:
        """Drop all records."""
        self.fit(-1)

    def _release(self, part: int, size: int) -> None:
        self._holders[part] -= 1
        if not self._holders[part]:
            del self._holders[part]
            self.nbytes -= size
