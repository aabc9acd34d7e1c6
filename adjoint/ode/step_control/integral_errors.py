"""The local errors of ∫ℓ dt in a step, in units of their tolerances.

See docs/math/time.md, section 19.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...typing import Array
from ..equations import System
from ..steps import Taken

AVERAGED = 1e-3
"""An integral is at least this part of what ℓ in the present step would make over all the time so far: for integrals
that begin as zeros, in the step in which they do. It is dimensionless, so that units of ℓ and of t play no part."""


DOUBTED = 2e-2
"""Error, in units of the tolerances, above which ℓ is asked how exactly it follows from u at all."""


REJECTIONS = 20
"""Rejections in a row after which an integral no longer shortens a step: 0.2²⁰ is rounding."""


ROUNDING = 1e3 * float(np.finfo(float).eps)
"""Length of a step, relative to t, below which an integral no longer shortens it."""


SHORTER = 1e-5
"""Part of a refused step in which a function that steps could resolve changes by less."""


SUSPICIOUS = 12
"""Such steps in which it changes as much, more than of others, that make it rounding: a pulse has fewer."""


class LocalError(NamedTuple):
    """The estimated error of the state in a step: its size in units of the tolerances.

    filtered: B⁻¹ times it, (n,), None for explicit methods. base: where f was evaluated for coupled stages, (n,).
    """

    size: float
    filtered: Array | None
    base: Array


@dataclass(eq=False)
class IntegralControl:
    """Keeps the local error of each integral below atol + rtol · |integral|, |integral| being ∫|ℓ| dt so far.

    system: the equations; atol: a number or (q,); start: t₀. magnitude: ∫|ℓ| dt so far, (q,), None before the first
    step; refused: how many steps were refused for an integral alone.

    Remembers the longest step that was last refused, and by how much ℓ changed in it (range). Where ℓ changes as much
    in many steps a hundred thousand times shorter, that is rounding of ℓ (noise), which no step resolves.
    own: ∫|ℓ| dt of the step that was looked at last.
    """

    system: System
    atol: Array
    start: float
    magnitude: Array | None = None
    refused: int = 0
    longest: float = 0.0
    range: Array | None = None
    suspicion: int = 0
    noise: Array | None = None
    own: Array = dataclasses.field(default_factory=lambda: np.zeros(0))

    def rates(self, step: Taken) -> dict[int, Array]:
        """ℓ, (q,), at the stages that count in the integral or in its error estimate, in their order."""
        tableau, times = step.tableau, step.tableau.times(step.step)
        size, found, b = None if self.magnitude is None else self.magnitude.size, {}, tableau.b
        for i in tableau.integrated:
            if b[i] == 0.0:  # Where it need not be finite.
                found[i] = self._tried(times[i], step.Y[i])
                continue
            rate = self.system.integrand_rate(times[i], step.Y[i], size, step.k)
            size, found[i] = rate.size, rate.copy()  # It may be the user's own array.
        return found

    def _tried(self, t: float, u: Array) -> Array:
        """ℓ at (t, u), where it may be nan."""
        assert self.system.integrand is not None
        return np.array(self.system.integrand(t, u, self.system.p))

    def error(
        self, step: Taken, rates: dict[int, Array], local: LocalError, rejections: int
    ) -> float:
        """The largest error of an integral, in units of its tolerance; 0 where it cannot be told, or helped."""
        t, h, final = step.step.t, step.step.h, step.step.final
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
            # No integral can be more exact than the states that are integrated: of a misfit of zero all is rounding.
            last = step.Y[step.tableau.last]
            moved = self._tried(final, last + 1.0 / self.system.weights(last))
            blurred = allowed + h * np.abs(moved - self._last(step, rates))
            size = _size(errors, np.where(np.isfinite(blurred), blurred, allowed))
        if size > 1.0:
            self.refused += 1
            if rejections == 0 and (self.range is None or h > self.longest):
                self.longest, self.range = h, _range(rates)
        return size

    def _estimates(
        self, step: Taken, rates: dict[int, Array], seen: Array, local: LocalError
    ) -> Array:
        """h Σ e_i ℓ_i of each embedded formula, filtered as the error of u is, (1 or 2, q); seen: ℓ, (stages, q).

        With q' = ℓ the matrix B has the further row (−hγ ∂ℓ/∂u, 1). So hγ ∂ℓ/∂u times the filtered error of u is added,
        as a difference of ℓ; what the method damps in stiff components does not count then.
        """
        tableau, h, u = step.tableau, step.step.h, step.u
        first, final = step.step.first, step.step.final
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
        if not np.isfinite(change).all():  # Outside of the domain of ℓ.
            change = np.zeros(1)
        return np.asarray(errors + h * tableau.gamma * (at_base + change))

    def _last(self, step: Taken, rates: dict[int, Array]) -> Array:
        """ℓ where the step ends."""
        last = step.tableau.last
        return rates[last] if last in rates else self._tried(step.step.final, step.Y[last])

    def _atol(self, q: int) -> Array:
        if self.atol.ndim and self.atol.size != q:
            raise ValueError(
                f"ODEProblem: got integral_atol of shape {self.atol.shape}, expected a number or ({q},)"
            )
        return self.atol

    def accept(self, step: Taken, rates: dict[int, Array]) -> None:
        """Add what a step contributes whose error was found last."""
        self.magnitude = self.own if self.magnitude is None else self.magnitude + self.own
        if self.range is None:
            return
        if step.step.h >= self.longest:
            self.range, self.suspicion = None, 0
        elif step.step.h <= SHORTER * self.longest:
            spread = _range(rates)
            self.suspicion = max(
                0, self.suspicion + (1 if np.any(spread >= 0.25 * self.range) else -1)
            )
            if self.suspicion >= SUSPICIOUS:
                self.noise, self.suspicion, self.range = np.maximum(spread, self.range), 0, None


def _range(rates: dict[int, Array]) -> Array:
    """By how much ℓ changes between the stages, (q,)."""
    seen = np.array(list(rates.values()))
    return np.asarray(seen.max(axis=0) - seen.min(axis=0))


def _size(errors: Array, allowed: Array) -> float:
    """The largest error over what is allowed; 0/0 is 0. Of two formulas as in DOP853."""
    if not allowed.all():  # ℓ is zero so far, and so is its error.
        allowed = np.where(allowed == 0.0, 1.0, allowed)
    ratio = np.abs(errors) / allowed
    if len(ratio) == 2:  # Hairer, Nørsett & Wanner (1993), section II.10.
        fifth, third = ratio
        both = np.sqrt(fifth**2 + 0.01 * third**2)
        ratio = fifth**2 / np.where(both == 0.0, 1.0, both)
    size = float(ratio.max(initial=0.0))
    if math.isfinite(size):
        return size
    return float(
        np.where(np.isfinite(ratio), ratio, 0.0).max(initial=0.0)
    )  # What cannot be told asks for nothing.
