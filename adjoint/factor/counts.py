"""Count factorizations, solves and iterations of all backends; time their phases."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from .._dataclasses import short_repr


@dataclass(eq=False)
class Counts:
    """Numbers of factorizations, solves and iterations, and seconds by phase.

    Attributes
    ----------
    symbolic : int
        Symbolic analyses of a sparsity pattern.
    numeric : int
        Factorizations of a matrix; for `cg` and `gmres`: preconditioners made.
    solves : int
        Calls of `Factorization.solve`, and solves with dense matrices of small initial
        value problems.
    transposed : int
        Solves with Aᵀ or Aᴴ; they are part of `solves`.
    rhs : int
        Columns of all right-hand sides.
    refinements : int
        Sweeps of iterative refinement.
    krylov : int
        Iterations of `cg` and `gmres`, over all columns.
    newton : int
        Steps of Newton's method, including simplified steps and the search for a first
        iterate.
    seconds : dict of str to float
        Wall time by phase, s: assembly, analysis, factor, solve, gradient, design;
        model (the rest of an optimizer's evaluations of f); output (records of a
        report). Each moment belongs to one phase only.
    """

    symbolic: int = 0
    numeric: int = 0
    solves: int = 0
    transposed: int = 0
    rhs: int = 0
    refinements: int = 0
    krylov: int = 0
    newton: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    __repr__ = short_repr

    def copy(self) -> "Counts":
        """Return a copy, which later work does not change.

        Returns
        -------
        Counts
            The counts as they are now.
        """
        return Counts(
            self.symbolic,
            self.numeric,
            self.solves,
            self.transposed,
            self.rhs,
            self.refinements,
            self.krylov,
            self.newton,
            dict(self.seconds),
        )


_active: list[Counts] = []  # The counters of all `counting` blocks, of every thread.
_lock = threading.Lock()
_of_thread = threading.local()  # collecting, stack, since: see `collecting` and `phase`.


@contextmanager
def counting() -> Iterator[Counts]:
    """Count all work inside the `with` block, of every backend and every thread.

    Yields
    ------
    Counts
        The counts, which grow while the block runs.

    Examples
    --------
    >>> import adjoint, numpy as np
    >>> with adjoint.counting() as counts:
    ...     u = adjoint.lu(np.eye(3)).solve(np.ones(3))
    >>> counts.numeric, counts.solves
    (1, 1)
    """
    counts = Counts()
    settle()
    with _lock:
        _active.append(counts)
    try:
        yield counts
    finally:
        settle()
        with _lock:
            # Compared by identity: list.remove would compare by ==.
            _active[:] = [other for other in _active if other is not counts]


@contextmanager
def collecting(counts: Counts) -> Iterator[None]:
    """Add the work of this thread in the `with` block to `counts`.

    If blocks with the same `counts` are nested, the work is added once.
    """
    settle()
    outer = _collecting()
    _of_thread.collecting = outer if any(counts is other for other in outer) else (*outer, counts)
    try:
        yield
    finally:
        settle()
        _of_thread.collecting = outer


def _collecting() -> tuple[Counts, ...]:
    """Return the counters of this thread; the first counter counts all work of the thread."""
    found: tuple[Counts, ...] = getattr(_of_thread, "collecting", ())
    if not found:
        found = _of_thread.collecting = (Counts(),)
    return found


def total() -> Counts:
    """Return a copy of the counts of all work of this thread so far."""
    settle()
    return _collecting()[0].copy()


def count(
    *, symbolic: int = 0, numeric: int = 0, refinements: int = 0, krylov: int = 0, newton: int = 0
) -> None:
    """Add these numbers to the counts of every active counter."""
    with _lock:
        for counts in (*_active, *_collecting()):
            counts.symbolic += symbolic
            counts.numeric += numeric
            counts.refinements += refinements
            counts.krylov += krylov
            counts.newton += newton


def count_solve(transposed: bool, rhs: int, own: Counts) -> None:
    """Add one solve with `rhs` right-hand sides to every active counter, and to `own` once."""
    collecting = _collecting()
    if not any(own is other for other in collecting):
        collecting = (*collecting, own)
    with _lock:
        for counts in (*_active, *collecting):
            counts.solves += 1
            counts.transposed += transposed
            counts.rhs += rhs


class _Owed(threading.local):
    """Work of this thread with small dense matrices that is not counted yet.

    The work is collected here, because a small dense solve takes less time than the
    lock of the counters. work: [solves, transposed solves, right-hand sides,
    factorizations]. Solvers add to the entries of this list.
    """

    def __init__(self) -> None:
        self.work = [0, 0, 0, 0]


owed = _Owed()


def settle() -> None:
    """Add the work in `owed` to every active counter; set the numbers in `owed` to zero."""
    work = owed.work
    if not any(work):
        return
    with _lock:
        for counts in (*_active, *_collecting()):
            counts.solves += work[0]
            counts.transposed += work[1]
            counts.rhs += work[2]
            counts.numeric += work[3]
    work[:] = 0, 0, 0, 0


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Add the wall time of the `with` block to phase `name`.

    The time of an inner phase is not added to the outer phase.
    """
    stack: list[str] = getattr(_of_thread, "stack", [])
    _of_thread.stack = stack
    now = perf_counter()
    if stack:
        _charge(stack[-1], now - _of_thread.since)
    stack.append(name)
    _of_thread.since = now
    try:
        yield
    finally:
        now = perf_counter()
        _charge(stack.pop(), now - _of_thread.since)
        _of_thread.since = now


def _charge(name: str, seconds: float) -> None:
    with _lock:
        for counts in (*_active, *_collecting()):
            counts.seconds[name] = counts.seconds.get(name, 0.0) + seconds
