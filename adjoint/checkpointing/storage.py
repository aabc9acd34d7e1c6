"""Storage of states: in memory, or first in memory and then on disk."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from ..errors import MemoryTooSmall
from ..typing import Array

State: TypeAlias = tuple[Array, ...]
"""The arrays from which a step starts. They are read-only."""


def state_bytes(state: State) -> int:
    """Return the number of bytes of a state; an array that the state holds twice counts once."""
    return sum({id(array): array.nbytes for array in state}.values())


class Storage(Protocol):
    """Protocol of a storage of states, by the number k of the step that starts from the state."""

    @property
    def memory(self) -> int:
        """Number of bytes in memory."""

    @property
    def disk(self) -> int:
        """Number of bytes on disk."""

    def put(self, k: int, state: State) -> None:
        """Store the state before step k."""

    def get(self, k: int) -> State:
        """Return the state before step k, with unchanged bits."""

    def drop(self, k: int) -> None:
        """Remove the state before step k."""

    def close(self) -> None:
        """Remove all states."""


@dataclass(eq=False)
class MemoryStorage:
    """Storage of states in memory. The object holds the states and counts their bytes."""

    memory: int = 0
    disk: int = 0
    _states: dict[int, State] = field(default_factory=dict)

    def put(self, k: int, state: State) -> None:
        """Store the state before step k."""
        self._states[k] = state
        self.memory += state_bytes(state)

    def get(self, k: int) -> State:
        """Return the state before step k."""
        return self._states[k]

    def drop(self, k: int) -> None:
        """Remove the state before step k."""
        self.memory -= state_bytes(self._states.pop(k))

    def close(self) -> None:
        """Remove all states."""
        self._states.clear()
        self.memory = 0


@dataclass(eq=False)
class SpillingStorage:
    """Storage of states in `near` while they fit into `allowed` bytes, then in `far`.

    The newest state, which `Store` holds, counts towards `allowed`. The object remembers
    which states are in `far`.
    """

    near: MemoryStorage
    far: Storage
    allowed: int
    _in_far: set[int] = field(default_factory=set)

    @property
    def memory(self) -> int:
        """Number of bytes in memory."""
        return self.near.memory

    @property
    def disk(self) -> int:
        """Number of bytes on disk."""
        return self.far.disk

    def put(self, k: int, state: State) -> None:
        """Store the state before step k. Raise MemoryTooSmall if two states do not fit."""
        size = state_bytes(state)
        require_two_states(self.allowed, size, k)
        if self.near.memory + 2 * size > self.allowed:
            self.far.put(k, state)
            self._in_far.add(k)
        else:
            self.near.put(k, state)

    def get(self, k: int) -> State:
        """Return the state before step k."""
        return (self.far if k in self._in_far else self.near).get(k)

    def drop(self, k: int) -> None:
        """Remove the state before step k."""
        (self.far if k in self._in_far else self.near).drop(k)
        self._in_far.discard(k)

    def close(self) -> None:
        """Remove all states."""
        self.near.close()
        self.far.close()


def require_two_states(allowed: int, nbytes: int, k: int) -> int:
    """Return how many states of `nbytes` bytes fit into `allowed` bytes.

    k: the number of the step, for the error. Raises MemoryTooSmall if fewer than two
    states fit.
    """
    capacity = allowed // max(nbytes, 1)
    if capacity < 2:
        error = MemoryTooSmall(
            f"a budget of {allowed} bytes does not hold two states of {nbytes} bytes each; "
            f"expected at least {2 * nbytes}: raise Budget(bytes=…), or keep checkpoints on disk "
            "with Disk(directory, slots=…)"
        )
        error.steps = k
        raise error
    return capacity
