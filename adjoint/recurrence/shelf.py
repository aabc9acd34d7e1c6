"""Where kept states are: in memory, or first in memory and then on disk."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..arrays import Array
from .errors import MemoryTooSmall

State: TypeAlias = tuple[Array, ...]
"""What a step starts from: arrays that nobody writes to any more."""


def state_bytes(state: State) -> int:
    """The bytes of a state; an array that stands in it twice counts once."""
    return sum({id(array): array.nbytes for array in state}.values())


class Shelf(Protocol):
    """States by the number of the step that they come before."""

    @property
    def memory(self) -> int:
        """The bytes they take in memory."""

    @property
    def disk(self) -> int:
        """The bytes they take on disk."""

    def put(self, k: int, state: State) -> None:
        """Keep the state before step k."""

    def get(self, k: int) -> State:
        """The state before step k, of the same bits."""

    def drop(self, k: int) -> None:
        """Give the state before step k up."""

    def close(self) -> None:
        """Give everything up."""


@dataclass(eq=False)
class InMemory:
    """States in memory."""

    memory: int = 0
    disk: int = 0
    _states: dict[int, State] = field(default_factory=dict)

    def put(self, k: int, state: State) -> None:
        """Keep the state before step k."""
        self._states[k] = state
        self.memory += state_bytes(state)

    def get(self, k: int) -> State:
        """The state before step k."""
        return self._states[k]

    def drop(self, k: int) -> None:
        """Give the state before step k up."""
        self.memory -= state_bytes(self._states.pop(k))

    def close(self) -> None:
        """Give everything up."""
        self._states.clear()
        self.memory = 0


@dataclass(eq=False)
class Spilling:
    """States in memory as long as they and the newest one fit into `allowed` bytes, on another shelf from then on."""

    near: InMemory
    far: Shelf
    allowed: int
    _on_far: set[int] = field(default_factory=set)

    @property
    def memory(self) -> int:
        """The bytes they take in memory."""
        return self.near.memory

    @property
    def disk(self) -> int:
        """The bytes they take on disk."""
        return self.far.disk

    def put(self, k: int, state: State) -> None:
        """Keep the state before step k. Raises MemoryTooSmall if not even two of them fit."""
        size = state_bytes(state)
        require_two(self.allowed, size, k)
        if self.near.memory + 2 * size > self.allowed:
            self.far.put(k, state)
            self._on_far.add(k)
        else:
            self.near.put(k, state)

    def get(self, k: int) -> State:
        """The state before step k."""
        return (self.far if k in self._on_far else self.near).get(k)

    def drop(self, k: int) -> None:
        """Give the state before step k up."""
        (self.far if k in self._on_far else self.near).drop(k)
        self._on_far.discard(k)

    def close(self) -> None:
        """Give everything up."""
        self.near.close()
        self.far.close()


def require_two(allowed: int, nbytes: int, k: int) -> int:
    """How many states of nbytes fit into the bytes allowed; raises MemoryTooSmall for less than two."""
    capacity = allowed // max(nbytes, 1)
    if capacity < 2:
        error = MemoryTooSmall(
            f"a budget of {allowed} bytes does not hold two states of {nbytes} bytes each; expected at least "
            f"{2 * nbytes}: raise Budget(bytes=…), or keep checkpoints on disk with Disk(directory, slots=…)"
        )
        error.steps = k
        raise error
    return capacity
