"""What can go wrong in keeping the states of a recurrence for its reverse sweep."""

from ..factor.errors import SolveError


class MemoryTooSmall(SolveError):
    """The budget does not hold two states. t: the time reached (nan: there is none); steps: taken so far."""

    t: float = float("nan")
    steps: int = 0


class StorageFailed(SolveError):
    """The disk did not take or return a state. t: the time reached (nan: there is none); steps: taken so far."""

    t: float = float("nan")
    steps: int = 0


def storage_failed(message: str, k: int) -> StorageFailed:
    """The error, at step k."""
    error = StorageFailed(message)
    error.steps = k
    return error
