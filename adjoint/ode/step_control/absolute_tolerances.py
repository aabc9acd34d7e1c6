"""Findings of a reverse sweep on the error control: components that atol hides."""

from dataclasses import dataclass, field

import numpy as np

from ...typing import Array
from ..arguments import Bars
from ..equations import System

MATTERS = 1e-2
"""Share of J, or of its gradient, above which the error of a hidden component is reported."""


ROUNDING = 1e-8
"""Σ |p_j| |∂J/∂p_j| relative to Σ |ū u| below which the gradient is rounding.

For a conserved J, such as the mass in a stiff reaction, 1e-10 remains.
"""


TOGETHER, FEW = 128, 256
"""Number of steps that are processed together, and the largest n + m for which they are."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """A component that matters to J while it is below its absolute tolerance.

    component: the number i of the component. t: the time at which u_i matters most.
    size: |u_i| at this time. atol: the absolute tolerance of u_i. share: the change of
    J if the error of u_i at this time is as large as u_i, relative to the smaller of
    two sums: Σ |p_j| |∂J/∂p_j| over all steps, and Σ |ū u| over the observations.
    """

    component: int
    t: float
    size: float
    atol: float
    share: float

    def __str__(self) -> str:
        return (
            f"u[{self.component}] = {self.size:.1e} at t = {self.t:.4g} is below its atol of "
            f"{self.atol:.1e}, and matters: an error as large as the component changes J by "
            f"{min(100.0 * self.share, 100.0):.0f} %" + (" or more" if self.share > 1.0 else "")
        )


@dataclass(eq=False)
class Findings:
    """The findings of the last reverse sweep and of the last Jacobian, for the evidence.

    Remembers `hidden`, the components that matter while they are below their atol;
    `unaffected`, True if the gradient was exactly zero for all parameters; `unused`,
    the parameters whose derivatives were exactly zero in each step, if other
    derivatives were not zero; `infinite`, the times at which ∂f/∂t is infinite and no
    stage lies; `jacobian_mode` and `jacobian_reason`, see `ODEEvidence`.
    """

    hidden: tuple[Hidden, ...] = ()
    unaffected: bool = False
    unused: tuple[int, ...] = ()
    infinite: tuple[float, ...] = ()
    jacobian_mode: str | None = None
    jacobian_reason: str = ""


@dataclass(eq=False)
class ToleranceMonitor:
    """Collects (t, u, λ, p̄) of the steps of a reverse sweep, to find components hidden by atol.

    watched: True if tolerances controlled the step sizes.

    Remembers `effect`, the largest |λ_i u_i| while |u_i| is below its atol, (n,); `t`
    and `size`, the time and |u_i| of this largest value, (n,) each; `shares`, Σ |p̄|
    over the steps, (m, j); `pending`, the steps not yet processed.
    """

    system: System
    watched: bool
    effect: Array = field(init=False)
    t: Array = field(init=False)
    size: Array = field(init=False)
    shares: Array = field(init=False)
    pending: list[tuple[float, Array, Array, Array]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.effect, self.t, self.size = np.zeros((3, self.system.n))
        self.shares = np.zeros((self.system.p.size, 1))

    def add(self, t: float, u: Array, lam: Array, p_bar: Array) -> None:
        """Add a step that begins at (t, u): λ (n, j), and its share p̄ (m, j) of the gradient."""
        self.pending.append((t, u, lam, p_bar))
        if len(self.pending) >= TOGETHER or u.size + p_bar.size > FEW:
            self._process()

    def _process(self) -> None:
        """Process the pending steps together.

        Processing each step alone would take as long as the sweep, for calls of NumPy.
        """
        if not self.pending:
            return
        t, u, lam, p_bar = zip(*self.pending, strict=True)
        self.pending.clear()
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
        """True for each parameter with a nonzero derivative in some step, (m,)."""
        self._process()
        return np.asarray(self.shares.any(axis=1))

    def hidden(self, u: Array, integrals: Array, bars: Bars) -> tuple[Hidden, ...]:
        """The hidden components; u: observed states, (K, n); integrals: (q,)."""
        self._process()
        if not self.effect.any():
            return ()
        observed = np.abs(bars.u * u[..., None]).sum(axis=(0, 1))
        if bars.q is not None:
            observed = observed + np.abs(bars.q * integrals[:, None]).sum(axis=0)
        seen = float(observed.max(initial=0.0))
        changed = float((np.abs(self.system.p) @ self.shares).max(initial=0.0))
        # A part of J may not depend on p. If all of J does not, its gradient is rounding.
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
    """The text of AbsoluteToleranceWarning."""
    worst = max(hidden, key=lambda one: one.share)
    more = f" ({len(hidden) - 1} more such components)" if len(hidden) > 1 else ""
    return (
        f"{worst}{more}. Error control ignores a component below its atol: J and its gradient "
        "may be wrong by a factor. Give `atol` as a vector with entries well below the "
        f"components, here atol[{worst.component}] of at most {1e-3 * worst.size:.0e}, or scale "
        "the unknown."
    )
