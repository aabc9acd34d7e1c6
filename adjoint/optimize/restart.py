"""Restart files: where a run stands, to `.npz` and back without loss.

What tells algorithms and their settings apart: a digest of everything that a frozen dataclass holds.

Named arrays in one `.npz` file that is whole or not there: a checksum over every byte, written aside and renamed.

`numpy.load` reads such a file; `read` is stricter: it allocates no more than the file holds, and runs nothing.
"""

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
import threadpoolctl

from .._files import irregular
from .._repr import short_repr
from ..errors import RestartError
from ..typing import Array
from .state import State
from .status import Status
from .stopping import Progress

DEEPEST = 12
"""Objects within objects looked into: settings are not deeper."""


DIGITS = 12


def fingerprint(algorithm: object) -> str:
    """The name of the algorithm's class, and digits of a digest of its settings.

    Settings are the public fields of dataclasses, to any depth: numbers, arrays, matrices, functions by their names;
    of other objects only the class, for nothing is known of what they hold.
    """
    digest = hashlib.sha256()
    for piece in _pieces(algorithm, DEEPEST):
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return f"{type(algorithm).__name__} {digest.hexdigest()[:DIGITS]}"


def _pieces(value: object, depth: int) -> "list[bytes]":
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | Enum | np.generic
    ):
        return [name.encode(), repr(value).encode()]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiubc":
            return [name.encode(), str(value.dtype).encode()]
        return [str((value.dtype, value.shape)).encode(), np.ascontiguousarray(value).tobytes()]
    if sparse.issparse(value):
        matrix = sparse.csc_array(value)
        return [
            piece
            for part in (matrix.data, matrix.indices, matrix.indptr)
            for piece in _pieces(part, depth)
        ]
    parts = _parts(value) if depth else ()
    return [name.encode(), *(piece for part in parts for piece in _pieces(part, depth - 1))]


def _parts(value: object) -> "tuple[object, ...]":
    """What a value consists of, in order."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, list | tuple):
        return tuple(value)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(
            (each.name, getattr(value, each.name))
            for each in fields(value)
            if not each.name.startswith("_")
        )
    where = getattr(value, "__qualname__", None)  # A function, or a class.
    return () if where is None else (f"{getattr(value, '__module__', '')}.{where}",)


KINDS = "fiubc"
"""Kinds of numbers that are stored: no objects, which NumPy would have to unpickle."""


DIGEST = 64
"""Hexadecimal digits of SHA-256, the comment that ends the archive; of all bytes before them."""


LONGEST = 200
"""Characters of a header of `.npy`, far above those of plain arrays."""


def write_archive(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write the arrays: to a file beside `path`, synced, then renamed over it, then the directory synced.

    A process killed at any moment leaves the old file or the new one. Raises RestartError, and leaves the old one,
    where that fails; ValueError for objects.
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
            f"{path}: cannot write a restart file ({error.strerror or error}); the last one, if there was any, is whole"
        ) from error


def read_archive(path: Path) -> dict[str, Array]:
    """The arrays that `write` wrote. Raises RestartError for anything else."""
    require_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RestartError(
            f"{path}: cannot read a restart file ({error.strerror or error})"
        ) from error
    if data[-DIGEST:] != _digest(data[:-DIGEST]):
        raise RestartError(
            f"{path}: not a restart file, or damaged: its checksum is not that of its {len(data)} bytes. "
            "Begin the run anew, with another path or without this file"
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
    """Raise RestartError for a directory, a device, a pipe or a socket, over which no file may be renamed."""
    if found := irregular(path):
        raise RestartError(f"{path} is {found}, expected the path of a file, for restarts")


def _packed_arrays(arrays: Mapping[str, Array]) -> bytes:
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
    return (
        np.frombuffer(body, dtype=dtype)
        .reshape(shape, order="F" if fortran else "C")
        .copy(order="C")
    )


def _sync(directory: Path) -> None:
    """The renaming itself is on disk only when the directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


VERSION = 2


INTEGERS = ("iteration", "evaluations", "stage", "left")


NUMBERS = ("value", "stationarity", "projected", "step", "change", "violation", "scale")


ARRAYS = ("x", "gradient", "constraints", "multipliers", "scales", "rejected")


MEMORY = "memory."


def threads() -> dict[str, int]:
    """The number of threads of each numerical library loaded."""
    return {
        str(pool["prefix"]): int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()
    }


@dataclass(frozen=True, eq=False)
class Restart:
    """What a run goes on from.

    state: the last one; best: see `Result`. fingerprint: of the algorithm and its settings. threads: of the libraries
    loaded, by name. read: whether it comes from a file, and no iteration has been done since.
    """

    state: State
    best: State
    progress: Progress
    fingerprint: str
    threads: Mapping[str, int] = field(default_factory=dict)
    read: bool = False

    __repr__ = short_repr


def write_restart(path: Path | str, restart: Restart) -> None:
    """Write the file: whole, or not at all. Raises RestartError where the disk does not let it."""
    words = {
        "version": VERSION,
        "fingerprint": restart.fingerprint,
        "threads": dict(restart.threads),
    }
    arrays = {"run": _text(json.dumps(words)), "progress": _numbers(restart.progress)}
    for name, state in (("state", restart.state), ("best", restart.best)):
        arrays |= {f"{name}.{key}": array for key, array in _packed(state).items()}
    write_archive(Path(path), arrays)


def read_restart(path: Path | str) -> Restart:
    """What `write_restart` wrote; raises RestartError for anything else."""
    arrays = read_archive(Path(path))
    try:
        return _restart(arrays)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RestartError(f"{path}: not a restart file of this library ({error!r})") from error


def require_run(path: Path, restart: Restart, fingerprint: str, x: Array) -> None:
    """Raise RestartError unless the restart is of this algorithm and of designs like x."""
    if restart.fingerprint != fingerprint:
        raise RestartError(
            f"{path}: the restart file of another run: got {restart.fingerprint}, expected {fingerprint} (the "
            "digits stand for the settings). Resume with the algorithm it was written by, or begin anew elsewhere"
        )
    if restart.state.x.shape != np.shape(x):
        raise RestartError(
            f"{path}: the restart file of another run: got designs of shape {restart.state.x.shape}, expected "
            f"{np.shape(x)}"
        )


def _packed(state: State) -> dict[str, Array]:
    """The fields as arrays; without the point."""
    parts = {
        "integers": np.array([getattr(state, name) for name in INTEGERS], dtype=np.int64),
        "numbers": np.array([getattr(state, name) for name in NUMBERS], dtype=float),
        "ending": _text("" if state.ending is None else state.ending.name),
    }
    parts |= {name: getattr(state, name) for name in ARRAYS}
    return parts | {MEMORY + key: np.asarray(array) for key, array in state.memory.items()}


def _restart(arrays: Mapping[str, Array]) -> Restart:
    fingerprint, numbers = _run(_string(arrays["run"]))
    first, measure, best, since, sized, stage, work, seconds, *doubts = _shaped(
        arrays["progress"], (10,)
    ).tolist()
    progress = Progress(
        first, measure, best, int(since), sized, int(stage), int(work), seconds, *map(int, doubts)
    )
    states = [
        _state({key.removeprefix(name): a for key, a in arrays.items() if key.startswith(name)})
        for name in ("state.", "best.")
    ]
    known = {"run", "progress"} | {key for key in arrays if key.startswith(("state.", "best."))}
    if set(arrays) != known:
        raise ValueError(f"unknown entries {sorted(set(arrays) - known)}")
    return Restart(states[0], states[1], progress, fingerprint, numbers, read=True)


def _run(words: str) -> tuple[str, dict[str, int]]:
    """Fingerprint and threads; raises ValueError, TypeError."""
    run = json.loads(words)
    if not isinstance(run, dict) or run.get("version") != VERSION:
        raise ValueError(f"another version than {VERSION}")
    fingerprint, numbers = run.get("fingerprint"), run.get("threads")
    if not (isinstance(fingerprint, str) and isinstance(numbers, dict)):
        raise TypeError(f"fingerprint {fingerprint!r}, threads {numbers!r}")
    return fingerprint, {name: int(number) for name, number in numbers.items()}


def _state(arrays: Mapping[str, Array]) -> State:
    """The state of its arrays; raises KeyError, TypeError, ValueError where they make none."""
    memory = {
        key.removeprefix(MEMORY): array for key, array in arrays.items() if key.startswith(MEMORY)
    }
    unknown = {key for key in arrays if not key.startswith(MEMORY)} - {
        "integers",
        "numbers",
        "ending",
        *ARRAYS,
    }
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    integers, numbers = (
        _shaped(arrays["integers"], (len(INTEGERS),)),
        _shaped(arrays["numbers"], (len(NUMBERS),)),
    )
    x, gradient, constraints, multipliers, scales, rejected = (
        _floats(arrays[name]) for name in ARRAYS
    )
    if integers.dtype != np.int64 or not (integers >= 0).all():
        raise ValueError(f"iteration, evaluations, stage, stages left {integers}")
    if gradient.shape != x.shape or not (
        x.size and np.isfinite(x).all() and np.isfinite(gradient).all()
    ):
        raise ValueError(
            f"a design of shape {x.shape} with a gradient of shape {gradient.shape}, finite or not"
        )
    if not np.isfinite(numbers[0]):
        raise ValueError(f"an objective of {numbers[0]}")
    ending = _string(arrays["ending"])
    if scales.shape not in ((0,), constraints.shape) or not (
        np.isfinite(scales).all() and (scales > 0.0).all()
    ):
        raise ValueError(f"{constraints.size} constraints with the scales {scales}")
    bare = State(
        0,
        x,
        0.0,
        gradient,
        0.0,
        0.0,
        constraints=constraints,
        multipliers=multipliers,
        scales=scales,
    )
    bare = replace(bare, rejected=rejected)
    named = dict(zip(INTEGERS, integers.tolist(), strict=True)) | dict(
        zip(NUMBERS, numbers.tolist(), strict=True)
    )
    return replace(bare, memory=memory, ending=Status[ending] if ending else None, **named)


def _numbers(progress: Progress) -> Array:
    return np.array(list(asdict(progress).values()), dtype=float)


def _floats(array: Array) -> Array:
    if array.dtype != np.float64 or array.ndim != 1:
        raise ValueError(
            f"an array of shape {array.shape} and dtype {array.dtype}, expected real vectors"
        )
    return array


def _shaped(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape != shape or array.dtype.kind not in "if":
        raise ValueError(
            f"an array of shape {array.shape} and dtype {array.dtype}, expected {shape}"
        )
    return array


def _text(words: str) -> Array:
    return np.frombuffer(words.encode("utf-8"), dtype=np.uint8)


def _string(array: Array) -> str:
    if array.dtype != np.uint8:
        raise TypeError(f"text of dtype {array.dtype}")
    return array.tobytes().decode("utf-8")
