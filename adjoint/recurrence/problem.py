"""Recurrences u_k = Φ_k(u_{k−1}, p)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import nan

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_array, as_parameters, require_integer, require_methods
from ..checkpointing.policies import Budget, Memory
from ..checkpointing.records import Record
from ..checkpointing.storage import State
from ..checkpointing.store import Notify, Store, SweepEvent
from ..factor.counts import Counts, collecting, phase
from ..matrices.vectors import ConstantVector
from ..protocols import Step, Vector
from ..typing import Array
from .solution import RecurrenceSolution
from .step import Chain


@dataclass(frozen=True, eq=False)
class RecurrenceProblem:
    """u_k = Φ_k(u_{k−1}, p), k = 1 … N, from u₀(p), with exact derivatives of the states.

    A derivative costs one sweep through the steps, for any number of objectives or
    directions.

    Parameters
    ----------
    step : Step
        Φ_k, with the methods `vjp` and `jvp`, and `hvp` for Hessian-vector products; see
        `adjoint.protocols.Step`, or `adjoint.complex_step_step` for a plain function. The
        same arguments must give the same bits, because steps are repeated if states are not
        kept.
    u0 : (n,) array or Vector
        The initial state, constant or as a function p ↦ u₀ with `vjp` and `jvp`.
    steps : int
        N ≥ 0, the number of steps.
    observe : sequence of int or None
        The indices k in 0 … N of the states that the solution holds, strictly
        increasing. None (the default): only the last state.
    memory : Memory
        The data kept for the sweeps: `Everything()`, `States()`, `Checkpoints(slots)`,
        `Disk(directory)` or `Budget(bytes)` of `adjoint.checkpointing`. All policies
        give the same bits. The default is a budget of 2 GiB.
    callback : callable or None
        Receives a `SweepEvent` for each step taken, repeated, stored or swept through.

    Raises
    ------
    TypeError
        If step, u0, memory or callback lacks a method, or if steps or observe is not of
        integers.
    ValueError
        If u0 is not a vector, if steps < 0, or if observe is not strictly increasing in
        0 … N.

    Examples
    --------
    >>> import numpy as np, adjoint
    >>> class Growth:
    ...     def __call__(self, k, u, p):
    ...         return p * u
    ...     def vjp(self, k, u, p, lam):
    ...         return p * lam, u * lam
    ...     def jvp(self, k, u, p, u_dot, p_dot):
    ...         return p * u_dot + u * p_dot
    >>> solution = adjoint.RecurrenceProblem(Growth(), np.ones(1), steps=3).solve([2.0])
    >>> solution.u, solution.vjp(np.ones((1, 1)))
    (array([[8.]]), array([12.]))
    """

    step: Step
    u0: Array | Vector
    steps: int
    observe: Sequence[int] | Array | None = None
    memory: Memory = field(default_factory=Budget)
    callback: Callable[[SweepEvent], None] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "RecurrenceProblem"
        expected = "Φ with its derivatives"
        require_methods(who, "step", self.step, ("__call__", "vjp", "jvp"), expected)
        expected = "a policy such as adjoint.checkpointing.Budget(bytes)"
        require_methods(who, "memory", self.memory, ("open",), expected)
        if self.callback is not None:
            expected = "a function of a SweepEvent"
            require_methods(who, "callback", self.callback, ("__call__",), expected)
        if callable(self.u0):
            expected = "an array or a Vector p ↦ u₀ with its derivatives"
            require_methods(who, "u0", self.u0, ("vjp", "jvp"), expected)
        else:
            _constant(self.u0)
        require_integer(who, "steps", self.steps, 0)
        _observed(self.observe, self.steps)

    def solve(self, p: Array) -> RecurrenceSolution:
        """Compute the states u_k, k in `observe`, and keep the data that derivatives need.

        Parameters
        ----------
        p : (m,) array
            The parameters, float64 or complex128.

        Returns
        -------
        RecurrenceSolution
            The observed states, and the derivatives of p ↦ u.

        Raises
        ------
        NonFinite
            If p or a state contains nan or inf; the message names the step.
        TypeError, ValueError
            If p or a state has the wrong type or shape.
        MemoryTooSmall
            If the memory budget does not hold two states.
        StorageFailed
            If the disk does not store a state.
        """
        p = as_parameters(p)
        p.setflags(write=False)  # The user's functions receive it.
        u0 = self.u0 if callable(self.u0) else _constant(self.u0)
        chain, counts = Chain(self.step, u0, p, _notifier(self.callback)), Counts()
        store: Store[Record] = self.memory.open(self.steps, chain.notify)
        observed = _observed(self.observe, self.steps)
        with collecting(counts), phase("solve"):
            u = _first_pass(chain, store, self.steps, observed)
        return RecurrenceSolution(u, p, observed, self.steps, chain, store, self.memory, counts)


def _first_pass(chain: Chain, store: Store[Record], steps: int, observed: Array) -> Array:
    """Take all steps; return the observed states, (K, n)."""
    state: State = (chain.start(),)
    states, indices = [], set(observed.tolist())
    for k in range(steps):
        if k in indices:
            states.append(state[0])
        store.put(k, state, None)
        state, _ = chain.advance(k, state)
        chain.notify("forward", k)
    if steps in indices:
        states.append(state[0])
    store.finish(steps)
    u = np.stack(states)
    u.setflags(write=False)  # Derivatives are valid for these states.
    return u


def _notifier(callback: Callable[[SweepEvent], None] | None) -> Notify:
    if callback is None:
        return lambda kind, k: None
    return lambda kind, k: callback(SweepEvent(kind, k, nan))


def _constant(u0: Array) -> ConstantVector:
    """Return a copy of u0 as a Vector.

    A copy is needed, because the caller may modify u0 before a sweep uses u0.
    """
    value = np.array(as_array("RecurrenceProblem", "u0", u0))
    if value.ndim != 1 or value.size == 0:
        raise ValueError(
            f"RecurrenceProblem: got u0 of shape {value.shape}, expected a vector (n,)"
        )
    return ConstantVector(value)


def _observed(observe: Sequence[int] | Array | None, steps: int) -> Array:
    """Return the indices of the observed states, (K,)."""
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
            f"RecurrenceProblem: got observe={numbers.tolist()}, expected strictly increasing "
            f"integers in 0 … {steps}"
        )
    return numbers.astype(np.int64)
