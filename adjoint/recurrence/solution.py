"""The observed states of a recurrence, and the derivative of p ↦ u."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._dataclasses import Local, short_repr
from .._optional_methods import require_step_hvp
from .._validation import as_array, as_parameters, first_nonfinite
from ..checkpointing.policies import Memory
from ..checkpointing.records import Record
from ..checkpointing.store import Store, Usage, sweeps_alone
from ..derivative import Derivative
from ..errors import NonFinite
from ..factor.counts import Counts, collecting, phase
from ..typing import Array
from .linearization import RecurrenceLinearization, linearized
from .step import Chain


@dataclass(frozen=True, eq=False)
class Sensitivities:
    """dJ/dp and dJ/du₀ of one objective J, or of j objectives.

    Parameters
    ----------
    p : (m,) or (m, j) array
        dJ/dp, including the dependence through u₀(p), in units of J divided by units of p.
    u0 : (n,) or (n, j) array
        dJ/du₀, in units of J divided by units of u.
    """

    p: Array
    u0: Array

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class RecurrenceEvidence:
    """The work and the memory that a recurrence and its sweeps have taken so far.

    Parameters
    ----------
    steps : int
        N, the number of steps.
    unknowns : int
        n, the size of a state.
    storage : Usage
        The states that were kept, and the largest numbers of bytes used.
    repeated : int
        The number of steps repeated by sweeps, to recover states that were not kept.
    counts : Counts
        Seconds by phase ("solve", "gradient"), and the work of factorizations.
    """

    steps: int
    unknowns: int
    storage: Usage
    repeated: int
    counts: Counts

    __repr__ = short_repr

    def __str__(self) -> str:
        seconds = ", ".join(f"{name} {spent:.3g}" for name, spent in self.counts.seconds.items())
        return (
            f"{self.steps} steps of {self.unknowns} unknowns, kept: {self.storage}\n"
            f"{self.repeated} steps repeated by sweeps; seconds: {seconds}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class RecurrenceSolution(Local):
    """The K observed states, and the derivative du/dp as a linear operator.

    `RecurrenceProblem.solve` returns this solution. A derivative takes one sweep
    through the steps, forward or in reverse, for any number of directions or
    objectives. To recover states that were not kept, a sweep repeats steps, with the
    same bits. Several threads may use the solution at once; if only checkpoints are
    kept, a sweep waits until the running sweep has ended. Sweeps change which states
    are stored, in memory or on disk. Pickles and deep copies raise TypeError.

    Parameters
    ----------
    u : (K, n) array
        The observed states, read-only.
    p : (m,) array
        The parameters, read-only.
    observe : (K,) array of int
        The indices k of the observed states u_k.
    steps : int
        N, the number of steps.
    """

    u: Array
    p: Array
    observe: Array
    steps: int
    _chain: Chain
    _store: Store[Record]
    _memory: Memory
    _counts: Counts

    def __repr__(self) -> str:
        return (
            f"RecurrenceSolution(u: {self.u.dtype} {self.u.shape}, "
            f"p: {self.p.dtype} {self.p.shape}, {self.steps} steps)"
        )

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū, in one reverse sweep.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array
            ū, the gradient of one objective with respect to u, or of j objectives.

        Returns
        -------
        (m,) or (m, j) array
            The gradients with respect to p.

        Raises
        ------
        TypeError
            If u_bar is not numeric.
        ValueError
            If u_bar has another shape.
        NonFinite
            If u_bar, or a value that `step.vjp` or `u0.vjp` returns, contains nan or inf.
        StorageFailed
            If the disk does not return a state.
        """
        return self.sensitivities(u_bar).p

    def sensitivities(self, u_bar: Array) -> Sensitivities:
        """dJ/dp and dJ/du₀, in one reverse sweep.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array
            ū, the gradient of one objective with respect to u, or of j objectives.

        Returns
        -------
        Sensitivities
            The gradients with respect to p and to u₀.

        Raises
        ------
        TypeError, ValueError, NonFinite, StorageFailed
            Under the conditions of `vjp`.
        """
        p_bar, lam = self._reverse(self._objectives(u_bar), lambda lam: None)
        if np.ndim(u_bar) == 2:
            return Sensitivities(p_bar[0], lam[0])
        return Sensitivities(np.ascontiguousarray(p_bar.T), np.ascontiguousarray(lam.T))

    def adjoint(self, u_bar: Array) -> Array:
        """λ_k = dJ/du_k, k = 0 … N, for plots.

        λ_{k−1} = (∂Φ_k/∂u)ᴴ λ_k + ū_{k−1}, where ū_k = 0 if u_k is not observed.

        Parameters
        ----------
        u_bar : (K, n) or (K, n, j) array
            ū, the gradient of one objective with respect to u, or of j objectives.

        Returns
        -------
        (N + 1, n) or (N + 1, n, j) array
            The adjoint states, in units of J divided by units of u.

        Raises
        ------
        TypeError, ValueError, NonFinite, StorageFailed
            Under the conditions of `vjp`.
        """
        blocks, history = self._objectives(u_bar), []
        n, j = blocks.shape[2], blocks.shape[0]
        self._reverse(blocks, lambda lam: history.append(np.array(lam).reshape(j, n).T))
        lam = np.stack(history[::-1])
        return lam[..., 0] if np.ndim(u_bar) == 2 else lam

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ, in one forward sweep.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            ṗ, one direction or j directions.

        Returns
        -------
        (K, n) or (K, n, j) array
            The derivative of the observed states along each direction.

        Raises
        ------
        TypeError
            If p_dot is not numeric.
        ValueError
            If p_dot has another shape.
        NonFinite
            If p_dot, or a value that `step.jvp` or `u0.jvp` returns, contains nan or inf.
        StorageFailed
            If the disk does not return a state.
        """
        p_dot = as_array("jvp", "p_dot", p_dot)
        directions = self._directions(p_dot)
        u_dot = self._forward(directions) if directions else np.zeros((*self.u.shape, 0))
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    def linearized(self, p_dot: Array) -> RecurrenceLinearization:
        """The tangents along ṗ, kept for Hessian-vector products; one forward sweep.

        See docs/math/second_derivatives.md, eqs. 320–322. `Point.hvp` and
        `Point.hessian` of a reduced function use this method. The states and the tangents
        are kept under the memory policy of the problem, which counts j + 1 vectors for a
        state.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            ṗ, one direction or j ≥ 1 directions.

        Returns
        -------
        RecurrenceLinearization
            The tangents `u_dot`, and `vjp_rate` for the rate of a gradient.

        Raises
        ------
        TypeError
            If p_dot is not numeric, or if the step has no method `hvp`.
        ValueError
            If p_dot has another shape, or no column.
        NonFinite, StorageFailed
            Under the conditions of `jvp`.
        MemoryTooSmall
            If the memory budget does not hold two states with their tangents.
        """
        require_step_hvp(self._chain.step)
        p_dot = as_array("linearized", "p_dot", p_dot)
        directions = self._directions(p_dot)
        if not directions:
            raise ValueError("linearized: got p_dot without columns, expected (m,) or (m, j)")
        return self._linearized(directions[0] if p_dot.ndim == 1 else np.stack(directions, axis=-1))

    @sweeps_alone
    def _linearized(self, p_dot: Array) -> RecurrenceLinearization:
        n = self.u.shape[1]
        return linearized(
            self._chain, self._store, self._memory, self.observe, self.steps, n, p_dot, self._counts
        )

    def _directions(self, p_dot: Array) -> list[Array]:
        """Return the columns of ṗ, (m,) or (m, j), as float64 or complex128 vectors.

        Raise ValueError for another shape, NonFinite if an entry is nan or inf.
        """
        m = self.p.size
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != m:
            raise ValueError(f"got p_dot of shape {p_dot.shape}, expected ({m},) or ({m}, j)")
        columns = p_dot if p_dot.ndim == 2 else p_dot[:, None]
        return [as_parameters(column, "p_dot") for column in columns.T]

    @property
    def derivative(self) -> LinearOperator:
        """du/dp as a SciPy LinearOperator (K·n, m) (docs/math/steady.md, eq. 7).

        `derivative @ p_dot` is the jvp, and `derivative.H @ u_bar` the vjp. The states
        are flattened in C order. A product with a block of vectors takes one sweep.
        """
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    @property
    def evidence(self) -> RecurrenceEvidence:
        """The evidence: the states kept, and the work done so far."""
        store = self._store
        return RecurrenceEvidence(
            self.steps, self.u.shape[1], store.used, store.executed, self._counts.copy()
        )

    @property
    def alone(self) -> AbstractContextManager[None]:
        """A context manager: no other sweep may run inside it; see `Store.sweeping`."""
        return self._store.sweeping()

    def _objectives(self, u_bar: Array) -> Array:
        """Return ū as an array (j, K, n) with the dtype of u.

        If u is real, Im(ū) is dropped, because Re(ūᴴ u̇) does not depend on Im(ū).

        Raise TypeError, ValueError or NonFinite if u_bar is not numeric, has another
        shape, or contains nan or inf.
        """
        u_bar = as_array("vjp", "u_bar", u_bar)
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or that shape with a "
                "further axis of j objectives"
            )
        if u_bar.dtype.kind not in "fciu":
            raise TypeError(f"got u_bar of dtype {u_bar.dtype}, expected float64 or complex128")
        if bad := first_nonfinite(u_bar):
            index, entry, _ = bad
            raise NonFinite(
                f"u_bar{np.atleast_1d(index).tolist()} is {entry}, expected finite numbers"
            )
        blocks = np.moveaxis(u_bar if u_bar.ndim == 3 else u_bar[..., None], 2, 0)
        return (blocks if self.u.dtype.kind == "c" else blocks.real).astype(self.u.dtype)

    @sweeps_alone
    def _reverse(self, blocks: Array, keep: Callable[[list[Array]], None]) -> tuple[Array, Array]:
        """Return dJ/dp, (j, m), and λ_0, (j, n), for ū (j, K, n).

        keep: a function that is called with λ_k, a list of j arrays (n,), for k = N, …,
        0.
        """
        chain, rows = self._chain, {int(k): row for row, k in enumerate(self.observe)}
        objectives, _, n = blocks.shape
        lam = list(np.zeros((objectives, n), dtype=blocks.dtype))
        p_bar = np.zeros((objectives, self.p.size), dtype=self.p.dtype)

        def add_observation(k: int) -> None:
            """Set λ_k ← λ_k + ū_k if u_k is observed, and call `keep`."""
            if k in rows:
                u_bars = blocks[:, rows[k]]
                lam[:] = [lam_j + u_bar for lam_j, u_bar in zip(lam, u_bars, strict=True)]
            keep(lam)

        with collecting(self._counts), phase("gradient"):
            add_observation(self.steps)
            for k, (u,), _ in self._store.backward(chain.advance):
                for j, lam_j in enumerate(lam):
                    lam[j], contribution = chain.vjp(k, u, lam_j)
                    p_bar[j] += contribution
                chain.notify("reverse", k)
                add_observation(k)
            for j, lam_j in enumerate(lam):
                p_bar[j] += chain.start_vjp(lam_j)
        return p_bar, np.array(lam).reshape(objectives, n)

    @sweeps_alone
    def _forward(self, directions: list[Array]) -> Array:
        """Return (du/dp) ṗ for j directions, (K, n, j)."""
        chain, indices, derivatives = self._chain, set(self.observe.tolist()), []
        with collecting(self._counts), phase("gradient"):
            u_dot = [chain.start_jvp(p_dot, self.u.shape[1]) for p_dot in directions]
            if 0 in indices:
                derivatives.append(np.stack(u_dot, axis=-1))
            for k, (u,), _ in self._store.forward(chain.advance):
                u_dot = [chain.jvp(k, u, *pair) for pair in zip(u_dot, directions, strict=True)]
                chain.notify("tangent", k)
                if k + 1 in indices:
                    derivatives.append(np.stack(u_dot, axis=-1))
        return np.stack(derivatives)
