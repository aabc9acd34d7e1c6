"""The local errors of ∫ℓ dt in a step, in units of their tolerances.

See docs/math/time.md, section 19.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from ...typing import Array
from ..equations import System
from ..steps.records import ComputedStep
from .error_estimate import LocalError

AVERAGED = 1e-3
"""Least size of an integral, relative to |ℓ| in the present step times the time since t₀.

It matters for integrals that are zero at first, in the step in which they begin to
grow. The number has no dimension, so that the units of ℓ and t do not matter.
"""


DOUBTED = 2e-2
"""Error of an integral, in units of the tolerances, above which the effect of the state's own
error on ℓ is evaluated.
"""


REJECTIONS = 20
"""Rejections in a row after which integrals no longer shorten a step: 0.2²⁰ is rounding."""


ROUNDING = 1e3 * float(np.finfo(float).eps)
"""Length of a step, relative to t, below which integrals no longer shorten it."""


SHORTER = 1e-5
"""Length of a step relative to a rejected one, below which a resolvable ℓ changes less."""


SUSPICIOUS = 12
"""Excess of such steps with as large a change of ℓ over those without, above which the change
is rounding. A pulse has fewer of them.
"""


@dataclass(eq=False)
class IntegralControl:
    """Keeps the local error of each integral below atol + rtol ∫|ℓ| dt.

    atol: a number or (q,). start: t₀.

    Remembers `magnitude`, ∫|ℓ| dt so far, (q,), None before the first step; `rejected`,
    the number of steps in which the error of an integral was too large; `longest` and
    `range`, the length of the longest step that was rejected recently, and the change
    of ℓ in this step; `suspicion`, the number of much shorter steps in which ℓ changes
    as much, minus the number of such steps in which ℓ changes less (at least 0);
    `noise`, the change of ℓ in these steps if `suspicion` grew too large: this change
    is rounding of ℓ, which no step resolves; `own`, ∫|ℓ| dt of the step examined last.
    """

    system: System
    atol: Array
    start: float
    magnitude: Array | None = None
    rejected: int = 0
    longest: float = 0.0
    range: Array | None = None
    suspicion: int = 0
    noise: Array | None = None
    own: Array = dataclasses.field(default_factory=lambda: np.zeros(0))

    def rates(self, step: ComputedStep) -> dict[int, Array]:
        """{i: ℓ, (q,)} at the stages that count in the integral or in its error estimate."""
        tableau, times = step.tableau, step.tableau.times(step.interval)
        size, found, b = None if self.magnitude is None else self.magnitude.size, {}, tableau.b
        for i in tableau.integrated:
            if b[i] == 0.0:  # ℓ may be nan here: it is only in the error estimate.
                found[i] = self._tried(times[i], step.Y[i])
                continue
            rate = self.system.integrand_rate(times[i], step.Y[i], size, step.k)
            size, found[i] = rate.size, rate.copy()  # The user may return the same array again.
        return found

    def _tried(self, t: float, u: Array) -> Array:
        """ℓ at (t, u), (q,), which may be nan."""
        assert self.system.integrand is not None
        return np.array(self.system.integrand(t, u, self.system.p))

    def error(
        self, step: ComputedStep, rates: dict[int, Array], local: LocalError, rejections: int
    ) -> float:
        """The largest error of an integral, in units of its tolerance.

        Returns 0 if the error is unknown, or if shorter steps do not help.
        """
        t, h, final = step.interval.t, step.interval.h, step.interval.final
        seen = np.array(list(rates.values()))
        sizes = np.abs(seen)
        self.own = h * step.tableau.integral_weights[0].dot(sizes)
        if rejections >= REJECTIONS or h <= ROUNDING * abs(t + h):
            return 0.0
        errors = self._estimates(step, rates, seen, local)
        so_far = self.own if self.magnitude is None else self.magnitude + self.own
        scale = np.maximum(so_far, AVERAGED * (t + h - self.start) * sizes.max(axis=0))
        allowed = self.system.rtol * scale + self._atol(scale.size)
        if self.noise is not None:
            allowed = allowed + h * self.noise
        size = _size(errors, allowed)
        if size > max(DOUBTED, local.size):
            # An integral cannot be more exact than the states in it. The integral of a
            # misfit of zero is rounding only.
            last = step.Y[step.tableau.last]
            moved = self._tried(final, last + 1.0 / self.system.weights(last))
            blurred = allowed + h * np.abs(moved - self._last(step, rates))
            size = _size(errors, np.where(np.isfinite(blurred), blurred, allowed))
        if size > 1.0:
            self.rejected += 1
            if rejections == 0 and (self.range is None or h > self.longest):
                self.longest, self.range = h, _range(rates)
        return size

    def _estimates(
        self, step: ComputedStep, rates: dict[int, Array], seen: Array, local: LocalError
    ) -> Array:
        """h Σ e_i ℓ_i of each embedded formula, filtered like the error of u, (1 or 2, q).

        seen: ℓ at the stages, (stages, q). With q' = ℓ the matrix B has the additional
        row (−hγ ∂ℓ/∂u, 1). Therefore hγ ∂ℓ/∂u times the filtered error of u is added;
        this product is computed as a difference of ℓ. Errors of stiff components, which
        the method damps, then contribute little.
        """
        tableau, h, u = step.tableau, step.interval.h, step.u
        first, final = step.interval.first, step.interval.final
        errors = h * tableau.integral_weights[1].dot(seen)
        if local.filtered is None:
            return np.asarray(errors)
        if tableau.coupled:
            here = self._tried(first, u)
            at_base = here if local.base is u else self._tried(first, local.base)
            change = self._tried(first, u + local.filtered) - here
        else:
            at_base = np.zeros(1)
            change = self._tried(final, step.Y[tableau.last] + local.filtered) - self._last(
                step, rates
            )
        if not np.isfinite(change).all():  # Outside the domain of ℓ.
            change = np.zeros(1)
        return np.asarray(errors + h * tableau.gamma * (at_base + change))

    def _last(self, step: ComputedStep, rates: dict[int, Array]) -> Array:
        """ℓ at the end of the step, (q,)."""
        last = step.tableau.last
        return rates[last] if last in rates else self._tried(step.interval.final, step.Y[last])

    def _atol(self, q: int) -> Array:
        """The absolute tolerance, a number or (q,); raises ValueError if its size is not q."""
        if self.atol.ndim and self.atol.size != q:
            raise ValueError(
                f"ODEProblem: got integral_atol of shape {self.atol.shape}, expected a number or "
                f"({q},)"
            )
        return self.atol

    def accept(self, step: ComputedStep, rates: dict[int, Array]) -> None:
        """Add an accepted step to `magnitude`; `error` was called for this step last."""
        self.magnitude = self.own if self.magnitude is None else self.magnitude + self.own
        if self.range is None:
            return
        if step.interval.h >= self.longest:
            self.range, self.suspicion = None, 0
        elif step.interval.h <= SHORTER * self.longest:
            spread = _range(rates)
            self.suspicion = max(
                0, self.suspicion + (1 if np.any(spread >= 0.25 * self.range) else -1)
            )
            if self.suspicion >= SUSPICIOUS:
                self.noise, self.suspicion, self.range = np.maximum(spread, self.range), 0, None


def _range(rates: dict[int, Array]) -> Array:
    """max ℓ − min ℓ over the stages, (q,)."""
    seen = np.array(list(rates.values()))
    return np.asarray(seen.max(axis=0) - seen.min(axis=0))


def _size(errors: Array, allowed: Array) -> float:
    """The largest ratio |error| / tolerance, with 0/0 = 0.

    If `errors` has two rows (two embedded formulas), their ratios are combined as in
    DOP853. Ratios that are not finite count as 0.
    """
    if not allowed.all():  # ℓ and its error are zero so far.
        allowed = np.where(allowed == 0.0, 1.0, allowed)
    ratio = np.abs(errors) / allowed
    if len(ratio) == 2:  # Hairer, Nørsett & Wanner (1993), section II.10.
        fifth, third = ratio
        both = np.sqrt(fifth**2 + 0.01 * third**2)
        ratio = fifth**2 / np.where(both == 0.0, 1.0, both)
    size = float(ratio.max(initial=0.0))
    if math.isfinite(size):
        return size
    # Errors that are not finite are unknown, and do not shorten the step.
    return float(np.where(np.isfinite(ratio), ratio, 0.0).max(initial=0.0))
