"""Observations during the integration: states at given times, and integrals."""

from dataclasses import dataclass, field

import numpy as np

from ..typing import Array
from .discontinuities.one_sided_times import Interval
from .equations import System
from .methods.tableau import Tableau
from .stages.stages import explicit_stage
from .steps.records import ComputedStep


@dataclass(eq=False)
class Observer:
    """Collects observed states and integrals; the integrator calls it with each accepted step.

    times: (K,), ascending. dense: True to observe inside steps by dense output. end:
    t_f.

    Remembers `u`, the states observed so far; `places`, the pair (k, θ) of each
    observed state, which lies at t + θh inside step k, or at the start of step k if θ
    is None; and `integrals`, the integrals so far, (q,), None before the first step.
    """

    system: System
    times: Array
    dense: bool
    end: float
    u: list[Array] = field(default_factory=list)
    places: list[tuple[int, float | None]] = field(default_factory=list)
    integrals: Array | None = None

    def begin(self, t: float, u: Array) -> None:
        """Observe the initial state if t₀ is an observation time."""
        if self.times.size and self.times[0] == t:
            self.u.append(u)
            self.places.append((0, None))

    def __call__(self, step: ComputedStep) -> None:
        """Observe states inside a step and at its end; add the step's share to the integrals."""
        where = step.interval
        while len(self.u) < self.times.size and self.times[len(self.u)] <= where.end:
            time = float(self.times[len(self.u)])
            if time == where.end and (not self.dense or time == self.end):
                self.u.append(step.Y[step.tableau.last].copy())
                self.places.append((step.k + 1, None))
            else:
                theta = (time - where.t) / where.h
                K = extended_stages(self.system, step.tableau, where, step.u, step.K)
                weights = step.tableau.weights(theta)
                self.u.append(step.u + where.h * self.system.combined(weights, K))
                self.places.append((step.k, theta))
        if self.system.integrand is not None:
            self._integrate(step)

    def _integrate(self, step: ComputedStep) -> None:
        """Add h Σ b_i ℓ(t_i, Y_i, p) to the integrals."""
        times, h = step.tableau.times(step.interval), step.interval.h
        for i, b, _ in step.tableau.quadrature:
            size = None if self.integrals is None else self.integrals.size
            rate = None if step.rates is None else step.rates[i]
            if rate is None:
                rate = self.system.integrand_rate(times[i], step.Y[i], size, step.k)
            share = h * b * rate
            self.integrals = share if self.integrals is None else self.integrals + share


def extended_stages(system: System, tableau: Tableau, step: Interval, u: Array, K: Array) -> Array:
    """The stages K (s, n) and the e extra stages of the dense output, (s + e, n)."""
    extended = tableau.extended
    if extended is tableau:
        return K
    rows, times, h = list(K), extended.times(step), step.h
    for i in range(len(rows), extended.A.shape[0]):
        Y = u + h * system.combined(extended.A[i, :i], np.array(rows))
        rows.append(np.array(explicit_stage(system, system.mass_inverse, times[i], Y)))
    return np.array(rows)
