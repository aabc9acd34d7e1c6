"""Memory policies: which data of its steps a solution keeps for reverse and forward sweeps."""

import os
from dataclasses import dataclass
from math import inf
from typing import Protocol

from .._dataclasses import short_repr
from .._validation import require_integer
from .disk import DiskStorage, require_directory
from .records import R
from .schedules import AllStates, BudgetSchedule, OfflineSchedule, OnlineSchedule, Schedule
from .storage import MemoryStorage, SpillingStorage
from .store import Notify, Store


class Memory(Protocol):
    """Protocol of a memory policy: opens the store for the states and records of a solution.

    All policies give the same bits; they differ in memory, disk space and repeated steps.
    """

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store.

        Parameters
        ----------
        steps : int or None
            The number of steps of the chain; None if unknown.
        notify : callable
            Receives ("store", k) when the state before step k is stored, and
            ("advance", k) when step k is repeated.

        Returns
        -------
        Store
            The store, before its first step.
        """


@dataclass(frozen=True)
class Everything:
    """Keep all states and all records of steps (stages and factors): the fastest sweeps."""

    __repr__ = short_repr

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store that keeps all states and all records.

        Parameters
        ----------
        steps, notify : see `Memory.open`
            The number of steps, and the function to notify.

        Returns
        -------
        Store
            The store, before its first step.
        """
        return Store(AllStates(), MemoryStorage(), inf, notify)


@dataclass(frozen=True)
class States:
    """Keep all states, but no records: a sweep computes stages and factors once more."""

    __repr__ = short_repr

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store that keeps all states.

        Parameters
        ----------
        steps, notify : see `Memory.open`
            The number of steps, and the function to notify.

        Returns
        -------
        Store
            The store, before its first step.
        """
        return Store(AllStates(), MemoryStorage(), None, notify)


@dataclass(frozen=True)
class Checkpoints:
    """Keep the states at `slots` checkpoints and the newest state; repeat other steps.

    The schedule of Griewank & Walther is used if the number of steps is known, the
    schedule of Wang, Moin & Iaccarino otherwise. `minimal_advances` gives the cost.

    Parameters
    ----------
    slots : int
        The number of checkpoints, including the initial state; at least 1. The memory is
        (slots + 1) times the bytes of a state.

    Raises
    ------
    TypeError
        If slots is not an integer.
    ValueError
        If slots < 1.

    References
    ----------
    Griewank & Walther (2000), ACM TOMS 26, 19.
    Wang, Moin & Iaccarino (2009), SIAM J. Sci. Comput. 31, 2549.
    """

    slots: int

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("Checkpoints", "slots", self.slots, 1)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store that keeps checkpoints in memory.

        Parameters
        ----------
        steps, notify : see `Memory.open`
            The number of steps, and the function to notify.

        Returns
        -------
        Store
            The store, before its first step.
        """
        return Store(_checkpointing(steps, self.slots), MemoryStorage(), None, notify)


@dataclass(frozen=True)
class Disk:
    """Keep all states, or the states at `slots` checkpoints, in npy files.

    Parameters
    ----------
    directory : str or path
        An existing directory. The files go into a temporary directory inside it, which is
        removed together with the solution, or at exit.
    slots : int or None
        The number of checkpoints, at least 1; None (the default): all states are kept.

    Raises
    ------
    TypeError
        If directory is not a path, or slots is not an integer.
    ValueError
        If slots < 1.
    StorageFailed
        If the directory does not exist, or is not writable.
    """

    directory: str | os.PathLike[str]
    slots: int | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.slots is not None:
            require_integer("Disk", "slots", self.slots, 1)
        require_directory(self.directory)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store that keeps states on disk.

        Parameters
        ----------
        steps, notify : see `Memory.open`
            The number of steps, and the function to notify.

        Returns
        -------
        Store
            The store, before its first step.
        """
        schedule = AllStates() if self.slots is None else _checkpointing(steps, self.slots)
        return Store(schedule, DiskStorage(self.directory), None, notify)


@dataclass(frozen=True)
class Budget:
    """Keep as much as fits into `bytes` bytes of memory.

    All states and all records are kept if they fit; otherwise all states and the latest
    records; otherwise as many checkpoints as fit. A sweep needs additional memory for
    up to two states.

    Parameters
    ----------
    bytes : int
        The memory for states and records, in bytes; default 2 GiB.
    directory : str or path or None
        An existing directory for npy files. States that do not fit into memory are written
        there, and no step is repeated to recover a state. None (the default): checkpoints
        are kept instead.

    Raises
    ------
    TypeError
        If bytes is not an integer, or directory is not a path.
    ValueError
        If bytes < 1.
    StorageFailed
        If the directory does not exist, or is not writable.
    """

    bytes: int = 2 * 2**30
    directory: str | os.PathLike[str] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_integer("Budget", "bytes", self.bytes, 1)
        if self.directory is not None:
            require_directory(self.directory)

    def open(self, steps: int | None, notify: Notify) -> Store[R]:
        """Return an empty store that keeps as much as fits.

        Parameters
        ----------
        steps, notify : see `Memory.open`
            The number of steps, and the function to notify.

        Returns
        -------
        Store
            The store, before its first step. `Store.put` raises MemoryTooSmall if the
            budget does not hold two states.
        """
        if self.directory is None:
            return Store(BudgetSchedule(self.bytes, steps), MemoryStorage(), self.bytes, notify)
        storage = SpillingStorage(MemoryStorage(), DiskStorage(self.directory), self.bytes)
        return Store(AllStates(), storage, self.bytes, notify)


def _checkpointing(steps: int | None, slots: int) -> Schedule:
    return OnlineSchedule(slots) if steps is None else OfflineSchedule(steps, slots)
