"""The states of a recurrence, and the derivative of p ↦ (u_k)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._pickling import Local
from .._repr import short_repr
from .._validation import as_array, as_parameters
from ..checkpointing.store import Record, Store, Usage, sweeps_alone
from ..derivative import Derivative
from ..errors import NonFinite
from ..factor.counts import Counts, collecting, phase
from ..typing import Array
from .step import Chain


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """dJ/dp, (m,) or (m, j), also through u₀(p); and dJ/du₀, (n,) or (n, j)."""

    p: Array
    u0: Array

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class RecurrenceEvidence:
    """What a recurrence took: steps, unknowns; storage: what was kept; repeated: steps repeated by sweeps; counts."""

    steps: int
    unknowns: int
    storage: Usage
    repeated: int
    counts: Counts

    def __str__(self) -> str:
        seconds = ", ".join(f"{name} {spent:.3g}" for name, spent in self.counts.seconds.items())
        return (
            f"{self.steps} steps of {self.unknowns} unknowns, kept: {self.storage}\n"
            f"{self.repeated} steps repeated by sweeps; seconds: {seconds}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class RecurrenceSolution(Local):
    """The states observed, (K, n), and the derivative of p ↦ u as a linear operator.

    observe: their numbers, (K,); p: (m,). Made by `RecurrenceProblem.solve`. A derivative is one sweep through the
    steps, backward or forward, for any number of objectives or directions; states that were not kept are computed
    again, bit for bit. Several threads may use it at once; where only checkpoints are kept their sweeps wait for each
    other.
    """

    u: Array
    p: Array
    observe: Array
    steps: int
    _chain: Chain
    _store: Store[Record]
    _counts: Counts

    def __repr__(self) -> str:
        return (
            f"RecurrenceSolution(u: {self.u.dtype} {self.u.shape}, p: {self.p.dtype} {self.p.shape}, "
            f"{self.steps} steps)"
        )

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū: (m,) for ū (K, n), (m, j) for ū (K, n, j).

        Raises ValueError for another shape, NonFinite for nan and inf, StorageFailed.
        """
        return self.sensitivities(u_bar).p

    def sensitivities(self, u_bar: Array) -> Sensitivities:
        """dJ/dp and dJ/du₀ for ū, (K, n) or (K, n, j), in one reverse sweep; raises as `vjp`."""
        p_bar, lam = self._reverse(self._objectives(u_bar), lambda lam: None)
        if np.ndim(u_bar) == 2:
            return Sensitivities(p_bar[0], lam[0])
        return Sensitivities(np.ascontiguousarray(p_bar.T), np.ascontiguousarray(lam.T))

    def adjoint(self, u_bar: Array) -> Array:
        """λ_k = dJ/du_k, k = 0 … N: (N+1, n), or (N+1, n, j), for plotting; raises as `vjp`.

        The recurrence λ_{k−1} = (∂Φ_k/∂u)ᴴ λ_k + ū_{k−1}, with ū_k = 0 where u_k is not observed.
        """
        blocks, history = self._objectives(u_bar), []
        n, j = blocks.shape[2], blocks.shape[0]
        self._reverse(blocks, lambda lam: history.append(np.array(lam).reshape(j, n).T))
        lam = np.stack(history[::-1])
        return lam[..., 0] if np.ndim(u_bar) == 2 else lam

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ: (K, n) for ṗ (m,), (K, n, j) for ṗ (m, j), in one forward sweep; raises as `vjp`."""
        p_dot = as_array("jvp", "p_dot", p_dot)
        m = self.p.size
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != m:
            raise ValueError(f"got p_dot of shape {p_dot.shape}, expected ({m},) or ({m}, j)")
        columns = p_dot if p_dot.ndim == 2 else p_dot[:, None]
        directions = [as_parameters(column, "p_dot") for column in columns.T]
        u_dot = self._forward(directions) if directions else np.zeros((*self.u.shape, 0))
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    @property
    def derivative(self) -> LinearOperator:
        """du/dp as a SciPy LinearOperator (K·n, m): `@` is the jvp, `.T @` (`.H @`) the vjp.

        See docs/math/steady.md, eq. 7.

        The states are flattened in C order. A block product is one sweep.
        """
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    @property
    def evidence(self) -> RecurrenceEvidence:
        """What was kept, and the work so far."""
        store = self._store
        return RecurrenceEvidence(
            self.steps, self.u.shape[1], store.used, store.executed, self._counts.copy()
        )

    def _objectives(self, u_bar: Array) -> Array:
        """ū as (j, K, n), of the states' kind: Re(ūᴴ u̇) of real states has no use for Im(ū)."""
        u_bar = as_array("vjp", "u_bar", u_bar)
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        if u_bar.dtype.kind not in "fciu":
            raise TypeError(f"got u_bar of dtype {u_bar.dtype}, expected float64 or complex128")
        if not np.isfinite(u_bar).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(u_bar))[0])
            raise NonFinite(f"u_bar{list(bad)} is {u_bar[bad]}, expected finite numbers")
        blocks = np.moveaxis(u_bar if u_bar.ndim == 3 else u_bar[..., None], 2, 0)
        return (blocks if self.u.dtype.kind == "c" else blocks.real).astype(self.u.dtype)

    @property
    def alone(self) -> AbstractContextManager[None]:
        """See `Store.sweeping`."""
        return self._store.sweeping()

    @sweeps_alone
    def _reverse(self, blocks: Array, keep: Callable[[list[Array]], None]) -> tuple[Array, Array]:
        """dJ/dp, (j, m), and λ_0, (j, n), of ū, (j, K, n); `keep` is shown each λ_k."""
        chain, rows = self._chain, {int(k): row for row, k in enumerate(self.observe)}
        lam = list(np.zeros(blocks.shape[::2], dtype=blocks.dtype))
        p_bar = np.zeros((len(blocks), self.p.size), dtype=self.p.dtype)

        def arrive(k: int) -> None:
            if k in rows:
                lam[:] = [
                    column + u_bar for column, u_bar in zip(lam, blocks[:, rows[k]], strict=True)
                ]
            keep(lam)

        with collecting(self._counts), phase("gradient"):
            arrive(self.steps)
            for k, (u,), _ in self._store.backward(chain.advance):
                for c, column in enumerate(lam):
                    lam[c], through = chain.pulled_back(k, u, column)
                    p_bar[c] += through
                chain.notify("reverse", k)
                arrive(k)
            for c, column in enumerate(lam):
                p_bar[c] += chain.start_pulled_back(column)
        return p_bar, np.array(lam).reshape(blocks.shape[::2])

    @sweeps_alone
    def _forward(self, directions: list[Array]) -> Array:
        """(du/dp) ṗ for each direction, (K, n, j)."""
        chain, wanted, seen = self._chain, set(self.observe.tolist()), []
        with collecting(self._counts), phase("gradient"):
            u_dot = [chain.start_pushed_forward(p_dot, self.u.shape[1]) for p_dot in directions]
            if 0 in wanted:
                seen.append(np.stack(u_dot, axis=-1))
            for k, (u,), _ in self._store.forward(chain.advance):
                u_dot = [
                    chain.pushed_forward(k, u, *pair)
                    for pair in zip(u_dot, directions, strict=True)
                ]
                chain.notify("tangent", k)
                if k + 1 in wanted:
                    seen.append(np.stack(u_dot, axis=-1))
        return np.stack(seen)
