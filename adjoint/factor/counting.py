"""Count factorizations and solves, and time the phases they belong to, over all backends."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter


@dataclass(eq=False)
class Counts:
    """Work done while counting was on.

    symbolic: analyses of a sparsity pattern; numeric: factorizations of a matrix (or set-ups of a
    preconditioner); solves: calls of `Factorization.solve`, of which `transposed` with Aᵀ or Aᴴ;
    rhs: the columns they had; refinements: further sweeps that iterative refinement needed.
    seconds: wall time by phase (assembly, analysis, factor, solve, design), s; phases exclude each other.
    """

    symbolic: int = 0
    numeric: int = 0
    solves: int = 0
    transposed: int = 0
    rhs: int = 0
    refinements: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def copy(self) -> "Counts":
        """These counts as they are now."""
        return Counts(
            self.symbolic,
            self.numeric,
            self.solves,
            self.transposed,
            self.rhs,
            self.refinements,
            dict(self.seconds),
        )


_active: list[Counts] = []
_lock = threading.Lock()
_phases = threading.local()


@contextmanager
def counting() -> Iterator[Counts]:
    """Count all work done inside the `with` block, by every backend and every thread."""
    counts = Counts()
    with collecting(counts):
        yield counts


@contextmanager
def collecting(counts: Counts) -> Iterator[None]:
    """Add the work done inside the `with` block to `counts`; once, however deeply nested."""
    with _lock:
        nested = any(counts is other for other in _active)
        if not nested:
            _active.append(counts)
    try:
        yield
    finally:
        if not nested:
            with _lock:
                # Not list.remove: it compares by ==, and two collectors are never the same one.
                _active[:] = [other for other in _active if other is not counts]


def count(*, symbolic: int = 0, numeric: int = 0, refinements: int = 0) -> None:
    """Add to every active counter."""
    with _lock:
        for counts in _active:
            counts.symbolic += symbolic
            counts.numeric += numeric
            counts.refinements += refinements


def count_solve(transposed: bool, rhs: int) -> None:
    """Add one solve with `rhs` right-hand sides to every active counter."""
    with _lock:
        for counts in _active:
            counts.solves += 1
            counts.transposed += transposed
            counts.rhs += rhs


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Charge the wall time of the `with` block to `name`; an inner phase is not charged to the outer one."""
    stack: list[str] = getattr(_phases, "stack", [])
    _phases.stack = stack
    now = perf_counter()
    if stack:
        _charge(stack[-1], now - _phases.since)
    stack.append(name)
    _phases.since = now
    try:
        yield
    finally:
        now = perf_counter()
        _charge(stack.pop(), now - _phases.since)
        _phases.since = now


def _charge(name: str, seconds: float) -> None:
    with _lock:
        for counts in _active:
            counts.seconds[name] = counts.seconds.get(name, 0.0) + seconds
