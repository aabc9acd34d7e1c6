"""Count factorizations and solves, and time the phases they belong to, over all backends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from .._repr import short_repr


@dataclass(eq=False)
class Counts:
    """Work done while counting was on.

    symbolic: analyses of a sparsity pattern; numeric: factorizations of a matrix (or set-ups of a
    preconditioner); solves: calls of `Factorization.solve`, and solves with the dense matrices of small initial value
    problems, of which `transposed` with Aᵀ or Aᴴ; rhs: the columns they had; refinements: further sweeps that iterative
    refinement needed; krylov: iterations of `cg` and `gmres`, over all columns; newton: steps of `Newton`, chords and
    those of its starts included.
    seconds: wall time by phase (assembly, analysis, factor, solve, gradient, design; model: the rest of an
    optimizer's evaluations of f; output: a report's records), s; phases exclude each other.
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
        """These counts as they are now."""
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


_active: list[Counts] = []


_lock = threading.Lock()


_of_thread = threading.local()


@contextmanager
def counting() -> Iterator[Counts]:
    """Count all work done inside the `with` block, by every backend and every thread."""
    counts = Counts()
    settle()
    with _lock:
        _active.append(counts)
    try:
        yield counts
    finally:
        settle()
        with _lock:
            # Not list.remove: it compares by ==, and two collectors are never the same one.
            _active[:] = [other for other in _active if other is not counts]


@contextmanager
def collecting(counts: Counts) -> Iterator[None]:
    """Add the work that this thread does inside the `with` block to `counts`; once, however deeply nested."""
    settle()
    outer = _collecting()
    _of_thread.collecting = outer if any(counts is other for other in outer) else (*outer, counts)
    try:
        yield
    finally:
        settle()
        _of_thread.collecting = outer


def _collecting() -> tuple[Counts, ...]:
    """The collectors of this thread; the first of them, there from the beginning, holds all that it has done."""
    found: tuple[Counts, ...] = getattr(_of_thread, "collecting", ())
    if not found:
        found = _of_thread.collecting = (Counts(),)
    return found


def total() -> Counts:
    """All that this thread has done so far."""
    settle()
    return _collecting()[0].copy()


def count(
    *, symbolic: int = 0, numeric: int = 0, refinements: int = 0, krylov: int = 0, newton: int = 0
) -> None:
    """Add to every active counter."""
    with _lock:
        for counts in (*_active, *_collecting()):
            counts.symbolic += symbolic
            counts.numeric += numeric
            counts.refinements += refinements
            counts.krylov += krylov
            counts.newton += newton


def count_solve(transposed: bool, rhs: int, own: Counts) -> None:
    """Add one solve with `rhs` right-hand sides to every active counter and to `own`, once."""
    collecting = _collecting()
    if not any(own is other for other in collecting):
        collecting = (*collecting, own)
    with _lock:
        for counts in (*_active, *collecting):
            counts.solves += 1
            counts.transposed += transposed
            counts.rhs += rhs


class _Owed(threading.local):
    """What this thread did with small dense matrices, still to be counted: a lock takes longer than that.

    work: [solves, transposed ones, right-hand sides, factorizations]; a list, for whoever works adds to it.
    """

    def __init__(self) -> None:
        self.work = [0, 0, 0, 0]


owed = _Owed()


def settle() -> None:
    """Add the work with small dense matrices that this thread still owes to every active counter."""
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
    """Charge the wall time of the `with` block to `name`; an inner phase is not charged to the outer one."""
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
