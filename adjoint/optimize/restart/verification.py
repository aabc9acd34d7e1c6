"""Verification of a restart file against the run that is to go on from the file.

A file is verified in this order by `adjoint.optimize.run`:

1. `archive.read_archive`: the checksum of all bytes, and the sizes that its arrays announce;
2. `restart_file.read_restart`: the names, shapes and numbers of a state;
3. `require_run`: the algorithm, its settings and memory, and the size of the design;
4. `require_same_objective`: f at the design of the file, by one evaluation, unless check=False;
5. `warn_of_threads`: a warning if the number of threads is another one.
"""

import warnings
from pathlib import Path

import numpy as np

from ...errors import RestartError, ResumedElsewhere
from ...reduced import Function
from ...typing import Array
from ..memory import require_memory
from ..state import State
from ..trial import attempt
from .restart_file import Restart, threads

SAME = 1e-6
"""Largest relative difference of two values of f that count as values of one objective."""


def require_run(path: Path, restart: Restart, algorithm: object, expected: str, x: Array) -> None:
    """Raise RestartError unless the file is of this algorithm, settings and design size.

    expected: the fingerprint of the run.

    The algorithm also compares the names and shapes of its memory, see `State.memory`.
    """
    if restart.fingerprint != expected:
        raise RestartError(
            f"{path}: the restart file of another run: got {restart.fingerprint}, expected "
            f"{expected} (the digits stand for the settings). Resume with the algorithm that "
            "wrote the file, or begin a new run with another path"
        )
    if restart.state.x.shape != np.shape(x):
        raise RestartError(
            f"{path}: the restart file of another run: got designs of shape "
            f"{restart.state.x.shape}, expected {np.shape(x)}"
        )
    try:
        require_memory(algorithm, restart.state)
    except ValueError as error:
        raise RestartError(f"{path}: not written by this algorithm: {error}") from error


def require_same_objective(path: Path, f: Function, state: State) -> None:
    """Raise RestartError unless f at the design of the file has the value in the file.

    Stages after the first of a `Continuation` have an objective of their own, and are not
    compared.
    """
    point = None if state.stage else attempt(f, state.x)
    now, then = state.value if point is None else point.value, state.value
    if not abs(now - then) <= SAME * max(abs(now), abs(then)):
        raise RestartError(
            f"{path}: the restart file of another objective: at the design of the file the "
            f"objective was {then:.8g}, and is {now:.8g}. Begin a new run with another path; "
            "check=False skips this comparison"
        )


def warn_of_threads(path: Path, restart: Restart) -> None:
    """Warn (ResumedElsewhere) if a library has another number of threads than in the file."""
    here = threads()
    changed = {name: n for name, n in restart.threads.items() if here.get(name, n) != n}
    if changed:
        words = ", ".join(f"{name}: {was}, now {here[name]}" for name, was in changed.items())
        # Level 4: the caller of `minimize`.
        warnings.warn(
            f"{path}: numbers of threads have changed ({words}); last bits may differ",
            ResumedElsewhere,
            4,
        )
