"""Runs, read from their directories: history.jsonl, designs/ and modes.npz if they were kept."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .._dataclasses import short_repr
from .._validation import as_path
from .designs import Designs, read_designs
from .history import History, read_history
from .modes import Modes, read_modes

HISTORY = "history.jsonl"


@dataclass(frozen=True, eq=False)
class Run:
    """A run with its name, its history and its designs, for `Report`.

    Parameters
    ----------
    name : str
        Name of the run in a comparison.
    history : History
        History of the run, from `read_history`.
    designs : sequence of (int, (rows, columns) array)
        Iteration and densities in [0, 1], top row first; may be empty.
    modes : Modes, optional
        Eigenvalues and mode shapes, from `read_modes`.
    """

    name: str
    history: History
    designs: Designs = ()
    modes: Modes | None = None

    __repr__ = short_repr


def read_run(directory: Path | str) -> Run:
    """Read the run in a directory; the name of the directory is the name of the run.

    Parameters
    ----------
    directory : path
        Directory with history.jsonl and, if designs were kept, the folder designs.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If the directory has no history.jsonl, or if the history, a design or the modes
        cannot be read.
    """
    folder = as_path("read_run", "directory", directory).resolve()
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise ValueError(
            f"{directory}: {what}, expected the directory of a run, with {HISTORY} in it"
        )
    if not (folder / HISTORY).is_file():
        inside = [path.parent.name for path in sorted(folder.glob(f"*/{HISTORY}"))]
        hint = f"; there is one in {', '.join(inside[:5])}" if inside else ""
        raise ValueError(
            f"{directory}: no {HISTORY} in this directory, expected that of a run (Recorder){hint}"
        )
    return Run(
        folder.name, read_history(folder / HISTORY), read_designs(folder), read_modes(folder)
    )


def read_runs(directories: Sequence[Path | str]) -> list[Run]:
    """Read the runs in several directories, and give each run a different name.

    The name of a run is the name of its directory or, if two directories have the same
    name, the path relative to the common parent. Raises ValueError under the conditions
    of `read_run`.
    """
    folders = [Path(directory).resolve() for directory in directories]
    runs = [read_run(directory) for directory in directories]
    common = os.path.commonpath(folders) if len(folders) > 1 else ""
    short = len({run.name for run in runs}) == len(runs)
    return [
        run if short else replace(run, name=os.path.relpath(folder, common))
        for run, folder in zip(runs, folders, strict=True)
    ]
