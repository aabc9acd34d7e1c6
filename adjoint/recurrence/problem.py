"""Recurrences u_k = Φ_k(u_{k−1}, p)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan
from operator import index

import numpy as np

from .._repr import short_repr
from .._validation import as_array, as_parameters
from ..checkpointing.events import SweepEvent
from ..checkpointing.policies import Budget, Memory
from ..checkpointing.shelves import State
from ..checkpointing.store import Notify, Record, Store
from ..factor.counts import Counts, collecting, phase
from ..matrices.vectors import ConstantVector
from ..protocols import Step, Vector
from ..typing import Array
from .solution import RecurrenceSolution
from .step import Chain


@dataclass(frozen=True, eq=False)
class RecurrenceProblem:
    """u_k = Φ_k(u_{k−1}, p), k = 1 … N, from u₀(p): the solution gives every derivative by one sweep through the steps.

    step: Φ, see `Step`. u0: an array (n,), or a Vector p ↦ u₀ with its derivatives. steps: N ≥ 0. observe: the numbers
    in 0 … N of the states that objectives see, strictly increasing; None: the last one. memory: what is kept for the
    sweeps: `Everything()`, `States()`, `Checkpoints(slots)`, `Disk(directory)` or `Budget(bytes)`; all give the same
    bits. callback: receives a `SweepEvent` for each step. Raises TypeError or ValueError for what cannot be.
    """

    step: Step
    u0: Array | Vector
    steps: int
    observe: Sequence[int] | Array | None = None
    memory: Memory = field(default_factory=Budget)
    callback: Callable[[SweepEvent], None] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        _require(self.step, ("__call__", "vjp", "jvp"), "step", "Φ with its derivatives")
        _require(
            self.memory, ("open",), "memory", "one such as adjoint.checkpointing.Budget(bytes)"
        )
        if self.callback is not None:
            _require(self.callback, ("__call__",), "callback", "a function of an SweepEvent")
        if callable(self.u0):
            _require(
                self.u0, ("vjp", "jvp"), "u0", "an array or a Vector p ↦ u₀ with its derivatives"
            )
        else:
            _constant(self.u0)
        if isinstance(self.steps, bool) or not _is_integer(self.steps):
            raise TypeError(f"RecurrenceProblem: got steps={self.steps!r}, expected an integer")
        if self.steps < 0:
            raise ValueError(f"RecurrenceProblem: got steps={self.steps}, expected at least 0")
        _observed(self.observe, self.steps)

    def solve(self, p: Array) -> RecurrenceSolution:
        """The states u_k observed, ready for derivatives; p: (m,).

        Raises NonFinite, with the step, for nan and inf; ValueError or TypeError for a state or a p of the wrong
        shape or type; MemoryTooSmall, StorageFailed.
        """
        p = as_parameters(p)
        p.setflags(write=False)  # The user's functions will see it.
        u0 = self.u0 if callable(self.u0) else _constant(self.u0)
        chain, counts = Chain(self.step, u0, p, _notifier(self.callback)), Counts()
        store: Store[Record] = self.memory.open(self.steps, chain.notify)
        observed = _observed(self.observe, self.steps)
        with collecting(counts), phase("solve"):
            u = _first_pass(chain, store, self.steps, observed)
        return RecurrenceSolution(u, p, observed, self.steps, chain, store, counts)


def _first_pass(chain: Chain, store: Store[Record], steps: int, observed: Array) -> Array:
    """All steps; returns the states observed, (K, n)."""
    state: State = (chain.start(),)
    seen, wanted = [], set(observed.tolist())
    for k in range(steps):
        if k in wanted:
            seen.append(state[0])
        store.put(k, state, None)
        state, _ = chain.advance(k, state)
        chain.notify("forward", k)
    if steps in wanted:
        seen.append(state[0])
    store.finish(steps)
    u = np.stack(seen)
    u.setflags(write=False)  # Gradients belong to it.
    return u


def _notifier(callback: Callable[[SweepEvent], None] | None) -> Notify:
    if callback is None:
        return lambda kind, k: None
    return lambda kind, k: callback(SweepEvent(kind, k, nan))


def _constant(u0: Array) -> ConstantVector:
    """A copy of u0 as a Vector: a solution's sweeps must find it unchanged."""
    value = np.array(as_array("RecurrenceProblem", "u0", u0))
    if value.ndim != 1 or value.size == 0:
        raise ValueError(
            f"RecurrenceProblem: got u0 of shape {value.shape}, expected a vector (n,)"
        )
    return ConstantVector(value)


def _observed(observe: Sequence[int] | Array | None, steps: int) -> Array:
    """The numbers of the states observed, (K,)."""
    if observe is None:
        return np.array([steps])
    numbers = as_array("RecurrenceProblem", "observe", observe)
    if numbers.ndim != 1 or numbers.size == 0:
        raise ValueError(
            f"RecurrenceProblem: got observe of shape {numbers.shape}, expected (K,), K ≥ 1"
        )
    if numbers.dtype.kind not in "iu":
        raise TypeError(
            f"RecurrenceProblem: got observe of dtype {numbers.dtype}, expected integers"
        )
    if numbers[0] < 0 or numbers[-1] > steps or not (np.diff(numbers) > 0).all():
        raise ValueError(
            f"RecurrenceProblem: got observe={numbers.tolist()}, expected strictly increasing numbers in 0 … {steps}"
        )
    return numbers.astype(np.int64)


def _is_integer(value: object) -> bool:
    try:
        index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _require(value: object, methods: tuple[str, ...], name: str, expected: str) -> None:
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        found = (
            f"the class {value.__name__}"
            if isinstance(value, type)
            else f"a {type(value).__name__}"
        )
        reason = (
            "expected an object of it" if isinstance(value, type) else f"it has no {missing[0]}"
        )
        raise TypeError(f"RecurrenceProblem: got {name}: {found}, expected {expected}; {reason}")
