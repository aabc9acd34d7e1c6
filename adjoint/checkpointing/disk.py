"""Storage of states on disk: npy files in a temporary directory, checked when read."""

import io
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from ..errors import StorageFailed, storage_failed
from ..typing import Array
from .storage import State, state_bytes


@dataclass(eq=False)
class DiskStorage:
    """Storage with a file `k.npy` for each state, in a new directory `path` inside `directory`.

    A file holds the arrays of its state in their order. The object remembers the size,
    the check sum and the headers of each file. By these data it finds every damaged
    bit. The directory is removed by `close`, when the object is deleted, or at exit.
    """

    directory: str | os.PathLike[str]
    memory: int = 0
    disk: int = 0
    path: Path = field(init=False)
    _files: dict[int, tuple[int, int, tuple["_Header", ...]]] = field(default_factory=dict)
    """Bytes, check sum and array headers of each state."""

    def __post_init__(self) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix="adjoint-", dir=self.directory))
        except OSError as error:
            raise _failed("make a directory in", Path(self.directory), 0, error) from error
        self._finalizer = weakref.finalize(self, _remove_directory, self.path, os.getpid())

    def put(self, k: int, state: State) -> None:
        """Write the state before step k. Raise StorageFailed if the file cannot be written."""
        path = self._path(k)
        try:
            with open(path, "wb") as file:
                for array in state:
                    np.save(file, array, allow_pickle=False)
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            raise _failed("write", path, k, error) from error
        self._files[k] = (state_bytes(state), _checksum(state), tuple(map(_Header.of, state)))
        self.disk += self._files[k][0]

    def get(self, k: int) -> State:
        """Read the state before step k. Raise StorageFailed if its file is missing or damaged."""
        path, (_, checksum, headers) = self._path(k), self._files[k]
        try:
            with open(path, "rb") as file:
                state = tuple(header.read(file) for header in headers)
                if _checksum(state) != checksum or file.read(1):
                    raise ValueError("its contents have changed")
        except (OSError, ValueError) as error:
            raise _failed("read", path, k, error) from error
        for array in state:
            array.setflags(write=False)
        return state

    def drop(self, k: int) -> None:
        """Remove the state before step k. Raise StorageFailed if its file cannot be removed."""
        self.disk -= self._files.pop(k)[0]
        try:
            self._path(k).unlink(missing_ok=True)
        except OSError as error:
            raise _failed("remove", self._path(k), k, error) from error

    def close(self) -> None:
        """Remove the directory."""
        self._files.clear()
        self.disk = 0
        self._finalizer()

    def _path(self, k: int) -> Path:
        return self.path / f"{k}.npy"


@dataclass(frozen=True)
class _Header:
    """The header that an array must have in its file. A file with another header is damaged."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @classmethod
    def of(cls, array: Array) -> "_Header":
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        return cls(array.dtype, array.shape, fortran)

    def encoded(self) -> bytes:
        """Return the header as bytes: the bytes before the numbers of the array in the file."""
        buffer = io.BytesIO()
        entries = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": self.fortran,
            "shape": self.shape,
        }
        np.lib.format.write_array_header_1_0(buffer, entries)
        return buffer.getvalue()

    def read(self, file: BinaryIO) -> Array:
        """Read the next array of a file, whose header must equal this header.

        Raise ValueError if the headers differ, or if numbers are missing.
        """
        encoded = self.encoded()
        if file.read(len(encoded)) != encoded:
            raise ValueError("its header has changed")
        size = int(np.prod(self.shape))
        numbers = np.fromfile(file, dtype=self.dtype, count=size)
        if numbers.size != size:
            raise ValueError("it is too short")
        return numbers.reshape(self.shape, order="F" if self.fortran else "C")


def require_directory(directory: str | os.PathLike[str]) -> None:
    """Raise TypeError unless `directory` is a path, StorageFailed unless it is writable."""
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"got directory={directory!r}, expected a path")
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK | os.X_OK):
        raise StorageFailed(
            f"{os.fspath(directory)!r} is not a directory that can be written to; expected a "
            "directory on a disk with room for the states"
        )


def _remove_directory(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # A forked child that exits must not remove its parent's files.
        shutil.rmtree(path, ignore_errors=True)


def _checksum(state: State) -> int:
    checksum = 0
    for array in state:
        checksum = crc32(np.ravel(array).data, checksum)
    return checksum


def _failed(action: str, path: Path, k: int, error: Exception) -> StorageFailed:
    return storage_failed(
        f"could not {action} {str(path)!r} for the state before step {k}: {error}. Expected a "
        "directory that stays, with room for the states: name another directory, or keep fewer "
        "states with Disk(directory, slots=…)",
        k,
    )
