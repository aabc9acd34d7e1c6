"""Content of a restart file: two states, progress, fingerprint, numbers of threads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import threadpoolctl

from ..._dataclasses import short_repr
from ...errors import RestartError
from ...typing import Array
from ..state import State
from ..status import Status
from ..stopping import Progress
from .archive import read_archive, write_archive

VERSION = 4
"""Version of the entries below; files of other versions are refused."""


INTEGERS = ("iteration", "evaluations", "stage", "left")
"""Fields of a state that are stored together as one array of int64."""


NUMBERS = (
    *("value", "stationarity", "projected", "step", "change", "violation", "scale"),
    "rtol",
)
"""Fields of a state that are stored together as one array of float64."""


COUNTS = ("since", "stage", "factorizations", "steep", "calm", "tuned")
"""Fields of the progress that are integers; all its fields are stored as one array of float64."""


ARRAYS = ("x", "gradient", "constraints", "multipliers", "scales", "rejected")
"""Fields of a state that are stored as vectors of float64."""


MEMORY = "memory."
"""Prefix of the names of the arrays in a state's memory."""


@dataclass(frozen=True, eq=False)
class Restart:
    """All that a run needs to go on: the content of a restart file.

    Parameters
    ----------
    state : State
        The last state.
    best : State
        The best state, see `Result`.
    progress : Progress
        What the stopping rules remember, and the work done so far.
    fingerprint : str
        The name of the algorithm's class, and a digest of its settings.
    threads : mapping of str to int
        The number of threads of each numerical library that was loaded, by the library's
        name.
    """

    state: State
    best: State
    progress: Progress
    fingerprint: str
    threads: Mapping[str, int] = field(default_factory=dict)

    __repr__ = short_repr


def write_restart(path: Path | str, restart: Restart) -> None:
    """Write a restart file: the file is written whole, or the old file stays.

    Parameters
    ----------
    path : str or path
        The file; an existing file is replaced.
    restart : Restart
        The content.

    Raises
    ------
    RestartError
        If the disk does not store the file, or if the path is not that of a regular file.
    """
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
    """Read a restart file that `write_restart` wrote.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Restart
        The content, with the same bits.

    Raises
    ------
    RestartError
        If the file is damaged, is not a restart file, or has another version.
    """
    arrays = read_archive(Path(path))
    try:
        return _restart(arrays)
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RestartError(f"{path}: not a restart file of this library ({error!r})") from error


def threads() -> dict[str, int]:
    """The number of threads of each numerical library that is loaded, by the library's name."""
    return {
        str(pool["prefix"]): int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()
    }


def _packed(state: State) -> dict[str, Array]:
    """The fields of a state as arrays, without the point, the function and the failure."""
    parts = {
        "integers": np.array([getattr(state, name) for name in INTEGERS], dtype=np.int64),
        "numbers": np.array([getattr(state, name) for name in NUMBERS], dtype=float),
        "ending": _text("" if state.ending is None else state.ending.name),
    }
    parts |= {name: getattr(state, name) for name in ARRAYS}
    return parts | {MEMORY + key: np.asarray(array) for key, array in state.memory.items()}


def _restart(arrays: Mapping[str, Array]) -> Restart:
    """The content of a file; raise KeyError, TypeError or ValueError if entries do not fit."""
    fingerprint, numbers = _run(_string(arrays["run"]))
    progress = _progress(arrays["progress"])
    states = [
        _state({key.removeprefix(name): a for key, a in arrays.items() if key.startswith(name)})
        for name in ("state.", "best.")
    ]
    known = {"run", "progress"} | {key for key in arrays if key.startswith(("state.", "best."))}
    if set(arrays) != known:
        raise ValueError(f"unknown entries {sorted(set(arrays) - known)}")
    return Restart(states[0], states[1], progress, fingerprint, numbers)


def _progress(numbers: Array) -> Progress:
    """The progress from its numbers; raise ValueError for another number of numbers."""
    names = [each.name for each in fields(Progress)]
    pairs = zip(names, _shaped(numbers, (len(names),)).tolist(), strict=True)
    return Progress(**{name: int(v) if name in COUNTS else v for name, v in pairs})


def _run(words: str) -> tuple[str, dict[str, int]]:
    """The fingerprint and the numbers of threads of a restart file.

    Raise ValueError if the file has another version, TypeError if an entry has a wrong type.
    """
    run = json.loads(words)
    if not isinstance(run, dict) or run.get("version") != VERSION:
        raise ValueError(f"another version than {VERSION}")
    fingerprint, numbers = run.get("fingerprint"), run.get("threads")
    if not (isinstance(fingerprint, str) and isinstance(numbers, dict)):
        raise TypeError(f"fingerprint {fingerprint!r}, threads {numbers!r}")
    return fingerprint, {name: int(number) for name, number in numbers.items()}


def _state(arrays: Mapping[str, Array]) -> State:
    """The state of these arrays.

    Raise KeyError, TypeError or ValueError if the arrays do not fit.
    """
    memory = {
        key.removeprefix(MEMORY): array for key, array in arrays.items() if key.startswith(MEMORY)
    }
    known = {"integers", "numbers", "ending", *ARRAYS}
    if unknown := {key for key in arrays if not key.startswith(MEMORY)} - known:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    integers = _shaped(arrays["integers"], (len(INTEGERS),))
    numbers = _shaped(arrays["numbers"], (len(NUMBERS),))
    x, gradient, constraints, multipliers, scales, rejected = (
        _floats(arrays[name]) for name in ARRAYS
    )
    if integers.dtype != np.int64 or not (integers >= 0).all():
        raise ValueError(f"iteration, evaluations, stage, stages left {integers}")
    _require_design(x, gradient)
    if not np.isfinite(numbers[0]):
        raise ValueError(f"an objective of {numbers[0]}")
    _require_scales(constraints, scales)
    ending = _string(arrays["ending"])
    return State(
        **dict(zip(INTEGERS, integers.tolist(), strict=True)),
        **dict(zip(NUMBERS, numbers.tolist(), strict=True)),
        x=x,
        gradient=gradient,
        constraints=constraints,
        multipliers=multipliers,
        scales=scales,
        rejected=rejected,
        memory=memory,
        ending=Status[ending] if ending else None,
    )


def _require_design(x: Array, gradient: Array) -> None:
    """Raise ValueError unless x and the gradient are finite, of one shape and not empty."""
    finite = np.isfinite(x).all() and np.isfinite(gradient).all()
    if gradient.shape != x.shape or not (x.size and finite):
        raise ValueError(
            f"a design of shape {x.shape} with a gradient of shape {gradient.shape}, "
            f"{'finite' if finite else 'not finite'}"
        )


def _require_scales(constraints: Array, scales: Array) -> None:
    """Raise ValueError unless there are no scales, or positive ones, one per constraint."""
    sound = np.isfinite(scales).all() and (scales > 0.0).all()
    if scales.shape not in ((0,), constraints.shape) or not sound:
        raise ValueError(f"{constraints.size} constraints with the scales {scales}")


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
