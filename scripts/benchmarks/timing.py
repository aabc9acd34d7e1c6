"""Seconds of wall time of a task."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PAUSE = 0.1
"""Seconds before each measurement, in which the threads of the previous task come to rest."""


def timed(task: Callable[[], object]) -> float:
    """Return the seconds of a call of the task, after a pause."""
    return clocked(task)[0]


def clocked(task: Callable[[], Result]) -> tuple[float, Result]:
    """Return the seconds of a call of the task, after a pause, and its result."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    result = task()
    return time.perf_counter() - start, result
