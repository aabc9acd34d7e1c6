"""What of a chain of steps is kept for the sweeps through it."""

import os
from dataclasses import dataclass
from math import inf
from operator import index
from typing import Protocol

from .._repr import short_repr
from .schedules import Fitting, Offline, Online, Plan, Whole
from .shelves import InMemory, OnDisk, Shelf, Spilling, require_directory
from .store import Notify, R, Store


class Memory(Protocol):
    """What is kept."""

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store for a chain of `steps` steps; None where their number is not known."""


@dataclass(frozen=True)
class Everything:
    """All states, and the records of all steps (stages and factors): the fastest sweeps."""

    __repr__ = short_repr

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store; see `Memory`."""
        return Store(Whole(), InMemory(), inf, notify)


@dataclass(frozen=True)
class States:
    """All states: each step, or what the states do not hold of it, is repeated once in a sweep."""

    __repr__ = short_repr

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store; see `Memory`."""
        return Store(Whole(), InMemory(), None, notify)


@dataclass(frozen=True)
class Checkpoints:
    """The states at `slots` checkpoints, and the newest one; the others are computed again.

    Griewank & Walther (2000) where the number of steps is known, Wang, Moin & Iaccarino (2009) where it is not.
    Raises TypeError or ValueError unless slots ≥ 1.
    """

    slots: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require_positive("Checkpoints", "slots", self.slots)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store; see `Memory`."""
        return Store(_thinning(steps, self.slots), InMemory(), None, notify)


@dataclass(frozen=True)
class Disk:
    """All states, or those at `slots` checkpoints, in npy files.

    directory: an existing one; the files go into a temporary directory inside of it, which is removed with the
    solution, or at exit. Raises TypeError or ValueError unless slots ≥ 1, StorageFailed if the directory does not
    exist or cannot be written to.
    """

    directory: str | os.PathLike[str]
    slots: int | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.slots is not None:
            _require_positive("Disk", "slots", self.slots)
        require_directory(self.directory)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store; see `Memory`."""
        plan = Whole() if self.slots is None else _thinning(steps, self.slots)
        return Store(plan, OnDisk(self.directory), None, notify)


@dataclass(frozen=True)
class Budget:
    """As much as fits into `bytes` of memory: everything, or states and the latest records, or checkpoints.

    directory: where further states go (all of them, in npy files) once the states alone exceed the budget; None:
    states are thinned out to checkpoints instead. The states that a sweep is working on, two at most, come on top.
    Raises TypeError or ValueError unless bytes ≥ 1, StorageFailed if the directory cannot be written to.
    """

    bytes: int = 2 * 2**30
    directory: str | os.PathLike[str] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require_positive("Budget", "bytes", self.bytes)
        if self.directory is not None:
            require_directory(self.directory)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """An empty store; see `Memory`."""
        if self.directory is None:
            return Store(Fitting(self.bytes, steps), InMemory(), self.bytes, notify)
        shelf: Shelf = Spilling(InMemory(), OnDisk(self.directory), self.bytes)
        return Store(Whole(), shelf, self.bytes, notify)


def _thinning(steps: int | None, slots: int) -> Plan:
    return Online(slots) if steps is None else Offline(steps, slots)


def _require_positive(what: str, name: str, value: int) -> None:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{what}: got {name}={value!r}, expected an integer") from None
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{what}: got {name}={value!r}, expected at least 1")
