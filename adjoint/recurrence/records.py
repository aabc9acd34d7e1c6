"""Records of steps, as many of the latest as fit into some bytes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Record(Protocol):
    """What a step leaves for its own reversal: stages, factors."""

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """Objects that it holds, each with its bytes; several records may hold the same object."""


R = TypeVar("R", bound=Record)


@dataclass(eq=False)
class Records(Generic[R]):
    """Records by step; an object that several of them hold counts once."""

    nbytes: int = 0
    dropped: int = 0
    """How many had to go."""
    _records: dict[int, R] = field(default_factory=dict)
    _order: deque[tuple[int, list[tuple[int, int]]]] = field(default_factory=deque)
    """The steps, oldest first, each with the identities and bytes of its parts."""
    _holders: dict[int, int] = field(default_factory=dict)
    """How many records hold the object of this identity: it lives as long as one does."""

    def __len__(self) -> int:
        return len(self._records)

    def get(self, k: int) -> R | None:
        """The record of step k, or None."""
        return self._records.get(k)

    def put(self, k: int, record: R) -> None:
        """Keep the record of step k."""
        parts = [(id(part), size) for part, size in record.parts]
        self._records[k] = record
        self._order.append((k, parts))
        for part, size in parts:
            holders = self._holders.get(part, 0)
            self._holders[part] = holders + 1
            self.nbytes += 0 if holders else size

    def fit(self, nbytes: float) -> None:
        """Drop the oldest records until the rest takes no more than nbytes."""
        while self._order and self.nbytes > nbytes:
            k, parts = self._order.popleft()
            del self._records[k]
            self.dropped += 1
            for part, size in parts:
                self._release(part, size)

    def clear(self) -> None:
        """Drop all of them."""
        self.fit(-1)

    def _release(self, part: int, size: int) -> None:
        self._holders[part] -= 1
        if not self._holders[part]:
            del self._holders[part]
            self.nbytes -= size
