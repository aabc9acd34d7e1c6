"""Refuse factors and OpenMP threads in forked child processes, where solvers would hang.

A child process made by `fork` inherits the locks of its parent's thread pools, but not
the threads. The next parallel region waits for threads that do not exist (13 of 13 runs
with CHOLMOD, measured).
"""

import os

from ..errors import ForkedProcess

_REMEDY = (
    "After a fork, the solver's threads no longer exist and it would hang for ever. Start workers "
    "with multiprocessing.get_context('spawn') (or 'forkserver'), and factor inside the worker."
)


class _Threads:
    """The process that has used a threaded solver.

    owner: id of this process, or of its parent before a fork; 0 if no threaded solver
    was used.
    """

    owner = 0


def entering_threads(what: str) -> None:
    """Record that this process is about to run a threaded solver.

    Raises ForkedProcess if a parent process ran a threaded solver before the fork.
    """
    if _Threads.owner not in (0, os.getpid()):
        raise ForkedProcess(
            f"{what} in process {os.getpid()}, forked from {_Threads.owner}. {_REMEDY}"
        )
    _Threads.owner = os.getpid()


def same_process(owner: int) -> None:
    """Raise ForkedProcess unless this process is `owner`, the process that made the factors."""
    if owner != os.getpid():
        raise ForkedProcess(
            f"factors of process {owner} used in its child {os.getpid()}. {_REMEDY}"
        )
