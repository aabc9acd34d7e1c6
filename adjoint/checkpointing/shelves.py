"""States as npy files in a temporary directory that is removed afterwards.

Where kept states are: in memory, or first in memory and then on disk.
"""

import io
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias
from zlib import crc32

import numpy as np

from ..errors import MemoryTooSmall, StorageFailed, storage_failed
from ..typing import Array

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


def require_directory(directory: str | os.PathLike[str]) -> None:
    """Raise TypeError for what is no path, StorageFailed for what is no directory to write to."""
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"got directory={directory!r}, expected a path")
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK | os.X_OK):
        raise StorageFailed(
            f"{os.fspath(directory)!r} is not a directory that can be written to; expected one on a disk with room "
            "for the states"
        )


@dataclass(frozen=True)
class _Layout:
    """What the header of an array in a file says: known without the file, which may be damaged there as well."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @classmethod
    def of(cls, array: Array) -> "_Layout":
        return cls(
            array.dtype, array.shape, array.flags.f_contiguous and not array.flags.c_contiguous
        )

    def header(self) -> bytes:
        """The bytes before those of the numbers."""
        buffer = io.BytesIO()
        said = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": self.fortran,
            "shape": self.shape,
        }
        np.lib.format.write_array_header_1_0(buffer, said)
        return buffer.getvalue()

    def read(self, file: BinaryIO) -> Array:
        """The array that comes next in a file; raises ValueError for another header, or too few numbers."""
        header = self.header()
        if file.read(len(header)) != header:
            raise ValueError("its header has changed")
        size = int(np.prod(self.shape))
        numbers = np.fromfile(file, dtype=self.dtype, count=size)
        if numbers.size != size:
            raise ValueError("it is too short")
        return numbers.reshape(self.shape, order="F" if self.fortran else "C")


@dataclass(eq=False)
class OnDisk:
    """A file `k.npy` for each state, its arrays one after the other, in a fresh directory inside of `directory`.

    The directory is removed on `close`, with the last reference to the shelf, or at exit.
    """

    directory: str | os.PathLike[str]
    memory: int = 0
    disk: int = 0
    _files: dict[int, tuple[int, int, tuple[_Layout, ...]]] = field(default_factory=dict)
    """Bytes, check sum and headers of each state."""

    def __post_init__(self) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix="adjoint-", dir=self.directory))
        except OSError as error:
            raise _failed("make a directory in", Path(self.directory), 0, error) from error
        self._remove = weakref.finalize(self, _remove, self.path, os.getpid())

    def put(self, k: int, state: State) -> None:
        """Write the state before step k. Raises StorageFailed for a disk that is full or gone."""
        path = self._path(k)
        try:
            with open(path, "wb") as file:
                for array in state:
                    np.save(file, array, allow_pickle=False)
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            raise _failed("write", path, k, error) from error
        self._files[k] = (state_bytes(state), _checksum(state), tuple(map(_Layout.of, state)))
        self.disk += self._files[k][0]

    def get(self, k: int) -> State:
        """Read the state before step k. Raises StorageFailed for a file that is missing or damaged."""
        path, (_, checksum, layouts) = self._path(k), self._files[k]
        try:
            with open(path, "rb") as file:
                state = tuple(layout.read(file) for layout in layouts)
                if _checksum(state) != checksum or file.read(1):
                    raise ValueError("its contents have changed")
        except (OSError, ValueError) as error:
            raise _failed("read", path, k, error) from error
        for array in state:
            array.setflags(write=False)
        return state

    def drop(self, k: int) -> None:
        """Remove the file of the state before step k. Raises StorageFailed where that is refused."""
        self.disk -= self._files.pop(k)[0]
        try:
            self._path(k).unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", self._path(k), k, error) from error

    def close(self) -> None:
        """Remove the directory."""
        self._files.clear()
        self.disk = 0
        self._remove()

    def _path(self, k: int) -> Path:
        return self.path / f"{k}.npy"


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # A forked child that exits must leave its parent's files alone.
        shutil.rmtree(path, ignore_errors=True)


def _checksum(state: State) -> int:
    checksum = 0
    for array in state:
        checksum = crc32(np.ravel(array).data, checksum)
    return checksum


def _failed(what: str, path: Path, k: int, error: Exception) -> StorageFailed:
    return storage_failed(
        f"could not {what} {str(path)!r} for the state before step {k}: {error}. Expected a directory that stays, with "
        "room for the states: name another one, or keep fewer states with Disk(directory, slots=…)",
        k,
    )
