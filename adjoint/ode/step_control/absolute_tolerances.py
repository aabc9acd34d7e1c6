"""What a reverse sweep finds out about the error control of the forward one: components that atol hides."""

from dataclasses import dataclass, field

import numpy as np

from ...typing import Array
from ..arguments import Bars
from ..equations import System

MATTERS = 1e-2
"""Part of J, or of its gradient, above which an error of a component matters: more than a reader would expect."""


ROUNDING = 1e-8
"""Σ |p_j| |∂J/∂p_j|, relative to what is observed, below which it is rounding: of a J that is conserved, as the mass of
a stiff reaction, 1e-10 is left."""


TOGETHER, FEW = 128, 256
"""Steps that are looked at together, of few unknowns and parameters."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """A component that matters to J where it is below its absolute tolerance.

    component: its number. t: where it matters most; size: |u_i| there; atol: its tolerance. share: what J changes by if
    the component is off by its own size there, relative to Σ |p_j| |∂J/∂p_j| over all steps, or to Σ |ū u| if that is
    less.
    """

    component: int
    t: float
    size: float
    atol: float
    share: float

    def __str__(self) -> str:
        return (
            f"u[{self.component}] = {self.size:.1e} at t = {self.t:.4g} is below its atol of {self.atol:.1e}, and "
            f"matters: an error as large as the component changes J by {min(100.0 * self.share, 100.0):.0f} %"
            + (" or more" if self.share > 1.0 else "")
        )


@dataclass(eq=False)
class Findings:
    """Remembers, for the evidence, what the last reverse sweep found.

    hidden: components that matter where they are below their atol. unaffected: whether the gradient was exactly zero
    for all parameters; unused: the parameters whose derivative was exactly zero in every step, where others' was not.
    infinite: times of knots where ∂f/∂t is infinite, although no stage lies there.
    """

    hidden: tuple[Hidden, ...] = ()
    unaffected: bool = False
    unused: tuple[int, ...] = ()
    infinite: tuple[float, ...] = ()


@dataclass(eq=False)
class Watch:
    """Sees (t, u, λ, p̄) of each step of a reverse sweep, and sums up what is hidden by absolute tolerances.

    watched: whether there were tolerances at all. effect: max |λ_i u_i| where |u_i| is below its atol, (n,), at t,
    where |u_i| was `size`. shares: Σ |p̄|, (m, j). waiting: steps that were not looked at yet.
    """

    system: System
    watched: bool
    effect: Array = field(init=False)
    t: Array = field(init=False)
    size: Array = field(init=False)
    shares: Array = field(init=False)
    waiting: list[tuple[float, Array, Array, Array]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.effect, self.t, self.size = np.zeros((3, self.system.n))
        self.shares = np.zeros((self.system.p.size, 1))

    def see(self, t: float, u: Array, lam: Array, p_bar: Array) -> None:
        """One step, which begins at (t, u): lam (n, j), and its share of the gradient p_bar (m, j)."""
        self.waiting.append((t, u, lam, p_bar))
        if len(self.waiting) >= TOGETHER or u.size + p_bar.size > FEW:
            self._look()

    def _look(self) -> None:
        """At the steps that wait to be seen, together: one by one calls of NumPy would take as long as the sweep."""
        if not self.waiting:
            return
        t, u, lam, p_bar = zip(*self.waiting, strict=True)
        self.waiting.clear()
        self.shares = self.shares + np.abs(np.stack(p_bar)).sum(axis=0)
        sizes = np.abs(np.stack(u))
        low = sizes < self.system.atol
        if self.watched and low.any():
            effect = np.where(low, sizes * np.abs(np.stack(lam)).max(axis=2, initial=0.0), 0.0)
            step, unknown = effect.argmax(axis=0), np.arange(sizes.shape[1])
            found = effect[step, unknown]
            worse = found > self.effect
            self.effect[worse], self.size[worse] = found[worse], sizes[step, unknown][worse]
            self.t[worse] = np.array(t)[step][worse]

    def used(self) -> Array:
        """On which parameters some step depended, (m,)."""
        self._look()
        return np.asarray(self.shares.any(axis=1))

    def hidden(self, u: Array, integrals: Array, bars: Bars) -> tuple[Hidden, ...]:
        """What matters; u: (K, n) and integrals: (q,), as observed."""
        self._look()
        if not self.effect.any():
            return ()
        observed = np.abs(bars.u * u[..., None]).sum(axis=(0, 1))
        if bars.q is not None:
            observed = observed + np.abs(bars.q * integrals[:, None]).sum(axis=0)
        seen = float(observed.max(initial=0.0))
        changed = float((np.abs(self.system.p) @ self.shares).max(initial=0.0))
        # J may have a part that does not depend on p. One that does not at all has a gradient of rounding.
        total = min(seen, changed) if changed > ROUNDING * seen > 0.0 else max(seen, changed)
        atol = np.broadcast_to(self.system.atol, self.effect.shape)
        found = np.flatnonzero(self.effect > MATTERS * total)
        return tuple(
            Hidden(
                int(i),
                float(self.t[i]),
                float(self.size[i]),
                float(atol[i]),
                float(self.effect[i] / total),
            )
            for i in found
            if total > 0.0
        )


def advice(hidden: tuple[Hidden, ...]) -> str:
    """The text of a warning."""
    worst = max(hidden, key=lambda one: one.share)
    more = f" ({len(hidden) - 1} more such components)" if len(hidden) > 1 else ""
    return (
        f"{worst}{more}. Error control does not look at a component below its atol, so that J and its gradient may be "
        "wrong by a factor. Give `atol` as a vector with entries well below the components, here "
        f"atol[{worst.component}] of at most {1e-3 * worst.size:.0e}, or scale the unknown."
    )
