"""Named arrays in one `.npz` file that is whole or not there: a checksum over every byte, written aside and renamed.

`numpy.load` reads such a file; `read` is stricter: it allocates no more than the file holds, and runs nothing.
"""

import hashlib
import io
import math
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..arrays import Array
from ..files import irregular

KINDS = "fiubc"
"""Kinds of numbers that are stored: no objects, which NumPy would have to unpickle."""

DIGEST = 64
"""Hexadecimal digits of SHA-256, the comment that ends the archive; of all bytes before them."""

LONGEST = 200
"""Characters of a header of `.npy`, far above those of plain arrays."""


class CheckpointError(RuntimeError):
    """A restart file is damaged, of another run, or cannot be written; the message says which, and what to do."""


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write the arrays: to a file beside `path`, synced, then renamed over it, then the directory synced.

    A process killed at any moment leaves the old file or the new one. Raises CheckpointError, and leaves the old one,
    where that fails; ValueError for objects.
    """
    data, part = _packed(arrays), path.with_name(path.name + ".part")
    for each in (path, part):
        require_file(each)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise CheckpointError(
            f"{path}: cannot write a restart file ({error.strerror or error}); the last one, if there was any, is whole"
        ) from error


def read(path: Path) -> dict[str, Array]:
    """The arrays that `write` wrote. Raises CheckpointError for anything else."""
    require_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read a restart file ({error.strerror or error})") from error
    if data[-DIGEST:] != _digest(data[:-DIGEST]):
        raise CheckpointError(
            f"{path}: not a restart file, or damaged: its checksum is not that of its {len(data)} bytes. "
            "Begin the run anew, with another path or without this file"
        )
    try:
        return _unpacked(data)
    except (ValueError, zipfile.BadZipFile, SyntaxError, OverflowError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{path}: not a restart file ({error})") from error


def require_file(path: Path) -> None:
    """Raise CheckpointError for a directory, a device, a pipe or a socket, over which no file may be renamed."""
    if found := irregular(path):
        raise CheckpointError(f"{path} is {found}, expected the path of a file, for restarts")


def _packed(arrays: Mapping[str, Array]) -> bytes:
    """The archive, uncompressed; the same bytes for the same arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array.dtype.kind not in KINDS:
                raise ValueError(f"{name} has dtype {array.dtype}, expected numbers")
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy"), member.getvalue())
        archive.comment = b"0" * DIGEST
    data = buffer.getvalue()[:-DIGEST]
    return data + _digest(data)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode("ascii")


def _unpacked(data: bytes) -> dict[str, Array]:
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            # Stored, and no longer than the file: nothing unfolds in memory.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                raise ValueError(f"{member.filename} is compressed, or longer than the file")
            name = member.filename.removesuffix(".npy")
            if name in arrays or name == member.filename:
                raise ValueError(f"{member.filename} comes twice, or is no array")
            arrays[name] = _array(archive.read(member))
    return arrays


def _array(data: bytes) -> Array:
    """One `.npy`, of version 1.0, whose header announces exactly the bytes that follow."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of .npy")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=LONGEST)
    body = data[stream.tell() :]
    if dtype.kind not in KINDS or dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"an array of dtype {dtype} and shape {shape}, expected numbers")
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"{len(body)} bytes for an array of shape {shape} and dtype {dtype}")
    return np.frombuffer(body, dtype=dtype).reshape(shape, order="F" if fortran else "C").copy(order="C")


def _sync(directory: Path) -> None:
    """The renaming itself is on disk only when the directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
