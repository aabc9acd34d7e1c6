"""Named arrays in one `.npz` file that is either whole or absent.

The file is written beside its place and renamed; it ends with the SHA-256 of all bytes
before. `numpy.load` reads such a file too. `read_archive` is stricter: it compares the
checksum, allocates no more than the file holds, and never unpickles.
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

from ..._files import irregular
from ...errors import RestartError
from ...typing import Array

KINDS = "fiubc"
"""Kinds of numbers that are stored: floats, integers, booleans and complex numbers."""


DIGEST = 64
"""Number of hexadecimal digits of SHA-256.

The comment at the end of the archive holds the digest
of all bytes before the comment.
"""


LONGEST = 200
"""Largest length of a `.npy` header, characters.

Headers of plain arrays have at most about 120.
"""


def write_archive(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write the arrays to a file beside `path`, sync it, rename it, sync the directory.

    A process that is killed at any moment leaves the old file or the new file, and the file
    is whole. Raise RestartError if writing fails (the old file stays as it is), ValueError
    for arrays that do not hold numbers.
    """
    data, part = _packed_arrays(arrays), path.with_name(path.name + ".part")
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
        raise RestartError(
            f"{path}: cannot write a restart file ({error.strerror or error}); "
            "the previous restart file, if any, is whole"
        ) from error


def read_archive(path: Path) -> dict[str, Array]:
    """The arrays that `write_archive` wrote. Raise RestartError for any other content."""
    require_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RestartError(
            f"{path}: cannot read a restart file ({error.strerror or error})"
        ) from error
    if data[-DIGEST:] != _digest(data[:-DIGEST]):
        raise RestartError(
            f"{path}: not a restart file, or damaged: its checksum is not that of its {len(data)} "
            "bytes. Begin the run anew, with another path or without this file"
        )
    try:
        return _unpacked(data)
    except (
        ValueError,
        zipfile.BadZipFile,
        SyntaxError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise RestartError(f"{path}: not a restart file ({error})") from error


def require_file(path: Path) -> None:
    """Raise RestartError if the path is a directory, a device, a pipe or a socket."""
    if found := irregular(path):
        raise RestartError(f"{path} is {found}, expected the path of a file, for restarts")


def _packed_arrays(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of the archive, uncompressed; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array.dtype.kind not in KINDS:
                raise ValueError(f"{name} has dtype {array.dtype}, expected numbers")
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            # A ZipInfo without a date: `writestr(name, …)` and `np.savez` would store the time.
            archive.writestr(zipfile.ZipInfo(name + ".npy"), member.getvalue())
        archive.comment = b"0" * DIGEST
    data = buffer.getvalue()[:-DIGEST]
    return data + _digest(data)


def _unpacked(data: bytes) -> dict[str, Array]:
    """The arrays of an archive.

    ValueError for members that are compressed, repeated or not arrays.
    """
    arrays = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            # Stored, and no longer than the file: nothing unfolds in memory.
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                raise ValueError(f"{member.filename} is compressed, or longer than the file")
            name = member.filename.removesuffix(".npy")
            if name in arrays or name == member.filename:
                raise ValueError(f"{member.filename} is repeated, or is not an array")
            arrays[name] = _array(archive.read(member))
    return arrays


def _array(data: bytes) -> Array:
    """The array of one `.npy` member. Raise ValueError unless the array holds plain numbers."""
    _require_announced(data)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in KINDS:
        raise ValueError(f"an array of dtype {array.dtype}, expected numbers")
    return np.asarray(array, order="C")


def _require_announced(data: bytes) -> None:
    """Raise ValueError unless the header announces exactly the bytes that follow the header.

    `np.load` allocates the announced size before it reads: a forged header could ask for
    terabytes.
    """
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of .npy than 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=LONGEST)
    left = len(data) - stream.tell()
    if math.prod(shape) * dtype.itemsize != left or min(shape, default=0) < 0:
        raise ValueError(f"{left} bytes for an array of shape {shape} and dtype {dtype}")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode("ascii")


def _sync(directory: Path) -> None:
    """Sync a directory: only then is a renaming on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
