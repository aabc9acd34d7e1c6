"""A recurrence, linearized along directions: its tangents, and the rate of its gradients."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from .._dataclasses import Local
from ..checkpointing.policies import Memory
from ..checkpointing.records import Record
from ..checkpointing.storage import State
from ..checkpointing.store import Store, Usage, sweeps_alone
from ..factor.counts import Counts, collecting, phase
from ..typing import Array
from .step import Chain


@dataclass(frozen=True, eq=False)
class TangentChain:
    """The steps (u, U̇) ↦ (Φ(u), (∂Φ/∂u) U̇ + (∂Φ/∂p) Ṗ) of a recurrence and of j tangents.

    p_dot: Ṗ, (m, j). A state is the tuple (u, U̇) with U̇ (n, j).
    """

    chain: Chain
    p_dot: Array

    def start(self, n: int) -> Array:
        """Return U̇₀ = (∂u₀/∂p) Ṗ, (n, j)."""
        return np.stack([self.chain.start_jvp(column, n) for column in self.columns], axis=-1)

    def tangents(self, k: int, u: Array, u_dot: Array) -> Array:
        """Return U̇ after step k + 1, (n, j); u, u_dot: u and U̇ before the step."""
        pairs = zip(np.ascontiguousarray(u_dot.T), self.columns, strict=True)
        return np.stack([self.chain.jvp(k, u, *pair) for pair in pairs], axis=-1)

    def advance(self, k: int, state: State) -> tuple[State, None]:
        """Return (u, U̇) after step k + 1, and None for its record."""
        u, u_dot = state
        (following,), _ = self.chain.advance(k, (u,))
        return (following, self.tangents(k, u, u_dot)), None

    @property
    def columns(self) -> list[Array]:
        """The directions ṗ, j arrays (m,), read-only."""
        columns = [np.ascontiguousarray(column) for column in self.p_dot.T]
        for column in columns:
            column.setflags(write=False)
        return columns


@dataclass(frozen=True, eq=False, repr=False)
class RecurrenceLinearization(Local):
    """The tangents of a recurrence along j directions, and the rates of its gradients.

    `RecurrenceSolution.linearized` returns such an object. The states and the tangents
    are kept under the memory policy of the problem: all, or checkpoints from which a
    sweep repeats steps, with the same bits. See docs/math/second_derivatives.md, eqs.
    320–322.

    Parameters
    ----------
    u_dot : (K, n) or (K, n, j) array
        The derivative of the observed states along each direction.
    """

    u_dot: Array
    _rows: dict[int, int]
    _steps: int
    _tangents: TangentChain
    _store: Store[Record]
    _counts: Counts

    def __repr__(self) -> str:
        return f"RecurrenceLinearization(u_dot: {self.u_dot.dtype} {self.u_dot.shape})"

    def vjp_rate(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """d/dt of (du/dp)ᴴ ū along each ṗ, while ū has the rate ū̇; one reverse sweep.

        Parameters
        ----------
        u_bar : (K, n) array
            ū, the gradient of the objective with respect to u.
        u_bar_dot : (K, n) or (K, n, j) array
            ū̇, the rate of ū along each direction, of the shape of `u_dot`.

        Returns
        -------
        (m,) or (m, j) array
            The rates of the gradient with respect to p.

        Raises
        ------
        ValueError
            If ū or ū̇ has another shape.
        NonFinite
            If a value that the step or u₀ returns contains nan or inf.
        StorageFailed
            If the disk does not return a state.
        """
        u_bar, u_bar_dot = np.asarray(u_bar), np.asarray(u_bar_dot)
        if u_bar.shape != self.u_dot.shape[:2] or u_bar_dot.shape != self.u_dot.shape:
            raise ValueError(
                f"vjp_rate: got u_bar of shape {u_bar.shape} and u_bar_dot of shape "
                f"{u_bar_dot.shape}, expected {self.u_dot.shape[:2]} and {self.u_dot.shape}"
            )
        K, n = u_bar.shape
        rates = self._reverse(u_bar, u_bar_dot.reshape(K, n, -1))
        return rates[0] if self.u_dot.ndim == 2 else np.ascontiguousarray(rates.T)

    @sweeps_alone
    def _reverse(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """Return the rates of the gradient, (j, m); u_bar: (K, n), u_bar_dot: (K, n, j)."""
        chain, columns = self._tangents.chain, self._tangents.columns
        lam = np.zeros(u_bar.shape[1], dtype=u_bar.dtype)
        rates = [np.zeros(lam.size, dtype=u_bar_dot.dtype) for _ in columns]  # λ̇
        p_bar_dot = np.zeros((len(columns), chain.p.size), dtype=chain.p.dtype)

        def add_observation(k: int, lam: Array) -> Array:
            """Add ū_k to λ and ū̇_k to each λ̇ if u_k is observed."""
            if k not in self._rows:
                return lam
            row = self._rows[k]
            rates[:] = [rate + u_bar_dot[row, :, j] for j, rate in enumerate(rates)]
            return np.asarray(lam + u_bar[row])

        with collecting(self._counts), phase("gradient"):
            lam = add_observation(self._steps, lam)
            for k, (u, u_dot), _ in self._store.backward(self._tangents.advance):
                for j, p_dot in enumerate(columns):
                    u_part, p_part = chain.hvp(k, u, lam, np.ascontiguousarray(u_dot[:, j]), p_dot)
                    rate, contribution = chain.vjp(k, u, rates[j])
                    rates[j] = rate + u_part
                    p_bar_dot[j] += contribution + p_part
                lam, _ = chain.vjp(k, u, lam)
                chain.notify("reverse", k)
                lam = add_observation(k, lam)
            for j, p_dot in enumerate(columns):
                p_bar_dot[j] += chain.start_vjp(rates[j]) + chain.start_hvp(lam, p_dot)
        return p_bar_dot

    @property
    def storage(self) -> Usage:
        """The states and tangents kept, and the largest numbers of bytes used."""
        return self._store.used

    @property
    def repeated(self) -> int:
        """The number of steps repeated by sweeps so far, each with its tangents."""
        return self._store.executed

    @property
    def alone(self) -> AbstractContextManager[None]:
        """A context manager: no other sweep may run inside it; see `Store.sweeping`."""
        return self._store.sweeping()


def linearized(
    chain: Chain,
    states: Store[Record],
    memory: Memory,
    observe: Array,
    steps: int,
    n: int,
    p_dot: Array,
    counts: Counts,
) -> RecurrenceLinearization:
    """Sweep through the steps with j tangents, and keep them; return the linearization.

    states: the store of the solution; memory: the policy for states and tangents; observe: (K,);
    n: number of unknowns; p_dot: (m,) or (m, j). The caller holds the lock of `states`.
    """
    tangents = TangentChain(chain, p_dot.reshape(p_dot.shape[0], -1))
    store: Store[Record] = memory.open(steps, chain.notify)
    rows = {int(k): row for row, k in enumerate(observe)}
    with collecting(counts), phase("gradient"):
        u_dot, found = tangents.start(n), []
        if 0 in rows:
            found.append(u_dot)
        for k, (u,), _ in states.forward(chain.advance):
            store.put(k, (u, u_dot), None)
            u_dot = tangents.tangents(k, u, u_dot)
            chain.notify("tangent", k)
            if k + 1 in rows:
                found.append(u_dot)
        store.finish(steps)
    U_dot = np.stack(found)
    return RecurrenceLinearization(
        U_dot if p_dot.ndim == 2 else np.ascontiguousarray(U_dot[..., 0]),
        rows,
        steps,
        tangents,
        store,
        counts,
    )
