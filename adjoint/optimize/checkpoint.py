"""Restart files: where a run stands, to `.npz` and back without loss."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import threadpoolctl

from ..arrays import Array
from . import archive
from .archive import CheckpointError
from .state import State
from .stopping import Progress, Status

VERSION = 2
INTEGERS = ("iteration", "evaluations", "stage", "left")
NUMBERS = ("value", "stationarity", "projected", "step", "change", "violation", "scale")
ARRAYS = ("x", "gradient", "constraints", "multipliers", "scales", "rejected")
MEMORY = "memory."


class ResumedElsewhere(UserWarning):
    """A run goes on with other numbers of threads than it began with: its last bits may differ."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
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


def write_checkpoint(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write the file: whole, or not at all. Raises CheckpointError where the disk does not let it."""
    words = {"version": VERSION, "fingerprint": checkpoint.fingerprint, "threads": dict(checkpoint.threads)}
    arrays = {"run": _text(json.dumps(words)), "progress": _numbers(checkpoint.progress)}
    for name, state in (("state", checkpoint.state), ("best", checkpoint.best)):
        arrays |= {f"{name}.{key}": array for key, array in _packed(state).items()}
    archive.write(Path(path), arrays)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """What `write_checkpoint` wrote; raises CheckpointError for anything else."""
    arrays = archive.read(Path(path))
    try:
        return _checkpoint(arrays)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a restart file of this library ({error!r})") from error


def require_run(path: Path, checkpoint: Checkpoint, fingerprint: str, x: Array) -> None:
    """Raise CheckpointError unless the checkpoint is of this algorithm and of designs like x."""
    if checkpoint.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path}: the restart file of another run: got {checkpoint.fingerprint}, expected {fingerprint} (the "
            "digits stand for the settings). Resume with the algorithm it was written by, or begin anew elsewhere"
        )
    if checkpoint.state.x.shape != np.shape(x):
        raise CheckpointError(
            f"{path}: the restart file of another run: got designs of shape {checkpoint.state.x.shape}, expected "
            f"{np.shape(x)}"
        )


def threads() -> dict[str, int]:
    """The number of threads of each numerical library loaded."""
    return {str(pool["prefix"]): int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()}


def _packed(state: State) -> dict[str, Array]:
    """The fields as arrays; without the point."""
    parts = {
        "integers": np.array([getattr(state, name) for name in INTEGERS], dtype=np.int64),
        "numbers": np.array([getattr(state, name) for name in NUMBERS], dtype=float),
        "ending": _text("" if state.ending is None else state.ending.name),
    }
    parts |= {name: getattr(state, name) for name in ARRAYS}
    return parts | {MEMORY + key: np.asarray(array) for key, array in state.memory.items()}


def _checkpoint(arrays: Mapping[str, Array]) -> Checkpoint:
    fingerprint, numbers = _run(_string(arrays["run"]))
    first, measure, best, since, sized, stage, work, seconds, *doubts = _shaped(arrays["progress"], (10,)).tolist()
    progress = Progress(first, measure, best, int(since), sized, int(stage), int(work), seconds, *map(int, doubts))
    states = [
        _state({key.removeprefix(name): a for key, a in arrays.items() if key.startswith(name)})
        for name in ("state.", "best.")
    ]
    known = {"run", "progress"} | {key for key in arrays if key.startswith(("state.", "best."))}
    if set(arrays) != known:
        raise ValueError(f"unknown entries {sorted(set(arrays) - known)}")
    return Checkpoint(states[0], states[1], progress, fingerprint, numbers, read=True)


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
    memory = {key.removeprefix(MEMORY): array for key, array in arrays.items() if key.startswith(MEMORY)}
    unknown = {key for key in arrays if not key.startswith(MEMORY)} - {"integers", "numbers", "ending", *ARRAYS}
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    integers, numbers = _shaped(arrays["integers"], (len(INTEGERS),)), _shaped(arrays["numbers"], (len(NUMBERS),))
    x, gradient, constraints, multipliers, scales, rejected = (_floats(arrays[name]) for name in ARRAYS)
    if integers.dtype != np.int64 or not (integers >= 0).all():
        raise ValueError(f"iteration, evaluations, stage, stages left {integers}")
    if gradient.shape != x.shape or not (x.size and np.isfinite(x).all() and np.isfinite(gradient).all()):
        raise ValueError(f"a design of shape {x.shape} with a gradient of shape {gradient.shape}, finite or not")
    if not np.isfinite(numbers[0]):
        raise ValueError(f"an objective of {numbers[0]}")
    ending = _string(arrays["ending"])
    if scales.shape not in ((0,), constraints.shape) or not (np.isfinite(scales).all() and (scales > 0.0).all()):
        raise ValueError(f"{constraints.size} constraints with the scales {scales}")
    bare = State(0, x, 0.0, gradient, 0.0, 0.0, constraints=constraints, multipliers=multipliers, scales=scales)
    bare = replace(bare, rejected=rejected)
    named = dict(zip(INTEGERS, integers.tolist(), strict=True)) | dict(zip(NUMBERS, numbers.tolist(), strict=True))
    return replace(bare, memory=memory, ending=Status[ending] if ending else None, **named)


def _numbers(progress: Progress) -> Array:
    return np.array(list(asdict(progress).values()), dtype=float)


def _floats(array: Array) -> Array:
    if array.dtype != np.float64 or array.ndim != 1:
        raise ValueError(f"an array of shape {array.shape} and dtype {array.dtype}, expected real vectors")
    return array


def _shaped(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape != shape or array.dtype.kind not in "if":
        raise ValueError(f"an array of shape {array.shape} and dtype {array.dtype}, expected {shape}")
    return array


def _text(words: str) -> Array:
    return np.frombuffer(words.encode("utf-8"), dtype=np.uint8)


def _string(array: Array) -> str:
    if array.dtype != np.uint8:
        raise TypeError(f"text of dtype {array.dtype}")
    return array.tobytes().decode("utf-8")
