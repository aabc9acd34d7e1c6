"""Restart files: a state to `.npz` and back without loss."""

from dataclasses import dataclass
from pathlib import Path

from ..arrays import Array
from .state import Algorithm, State
from .stopping import Progress


class CheckpointError(RuntimeError):
    """A restart file is damaged, or of another run; the message says which and what to do."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run goes on from. fingerprint: of the algorithm and its settings."""

    state: State
    best: State
    progress: Progress
    fingerprint: str


def fingerprint(algorithm: Algorithm) -> str:
    """What tells algorithms, and their settings, apart."""
    return type(algorithm).__name__


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file aside, sync and rename."""
    raise NotImplementedError


def read_checkpoint(path: Path, expected: str, x: Array) -> Checkpoint:
    """The file's checkpoint; raises CheckpointError."""
    raise NotImplementedError
