"""The local errors of ∫ℓ dt in a step, in units of their tolerances (docs/math.md, section 19)."""

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from .course import Taken
from .system import System

AVERAGED = 1e-3
"""An integral is at least this part of what ℓ in the present step would make over all the time so far: for integrals
that begin as zeros, in the step in which they do. It is dimensionless, so that units of ℓ and of t play no part."""

DOUBTED = 1e-3
"""Error, in units of the tolerances, above which ℓ is asked how exactly it follows from u at all."""

REJECTIONS = 20
"""Rejections in a row after which an integral no longer shortens a step: 0.2²⁰ is rounding."""

ROUNDING = 1e3 * float(np.finfo(float).eps)
"""Length of a step, relative to t, below which an integral no longer shortens it."""

SHORTER = 1e-5
"""Part of a refused step in which a function that steps could resolve changes by less."""

SUSPICIOUS = 12
"""Such steps in which it changes as much, more than of others, that make it rounding: a pulse has fewer."""


@dataclass(frozen=True, eq=False)
class LocalError:
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
    in one step after the other that are a hundred thousand times shorter, that is rounding of ℓ (noise), which no step
    resolves.
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

    def rates(self, step: Taken) -> dict[int, Array]:
        """ℓ, (q,), at the stages that count in the integral or in its error estimate."""
        tableau, times = step.tableau, step.tableau.times(step.step)
        size, found = None if self.magnitude is None else self.magnitude.size, {}
        for i in tableau.integrated:
            if tableau.b[i] != 0.0:
                found[i] = self.system.integrand_rate(times[i], step.Y[i], size, step.k)
                size = found[i].size
        for i in tableau.integrated:
            if i not in found:
                found[i] = self._tried(times[i], step.Y[i])
        return found

    def _tried(self, t: float, u: Array) -> Array:
        """ℓ at (t, u), where it need not be finite."""
        assert self.system.integrand is not None
        with np.errstate(all="ignore"):
            return np.array(self.system.integrand(t, u, self.system.p))

    def error(self, step: Taken, rates: dict[int, Array], local: LocalError, rejections: int) -> float:
        """The largest error of an integral, in units of its tolerance; 0 where it cannot be told, or helped."""
        t, h, final = step.step.t, step.step.h, step.step.final
        if rejections >= REJECTIONS or h <= ROUNDING * abs(t + h):
            return 0.0
        errors = self._estimates(step, rates, local)
        sizes = np.abs(np.array([rates[i] for i, _, _ in step.tableau.quadrature]))
        own = h * np.abs([b for _, b, _ in step.tableau.quadrature]) @ sizes
        sum_so_far = own if self.magnitude is None else self.magnitude + own
        scale = np.maximum(sum_so_far, AVERAGED * (t + h - self.start) * sizes.max(axis=0))
        allowed = self._atol(own.size) + self.system.rtol * scale + h * (0.0 if self.noise is None else self.noise)
        size = _size(errors, allowed)
        if size > max(DOUBTED, local.size):
            # No integral can be more exact than the states that are integrated: of a misfit of zero all is rounding.
            last = step.Y[step.tableau.last]
            moved = self._tried(final, last + 1.0 / self.system.weights(last))
            blurred = allowed + h * np.abs(moved - self._last(step, rates))
            size = _size(errors, np.where(np.isfinite(blurred), blurred, allowed))
        size = size if math.isfinite(size) else 0.0
        if size > 1.0:
            self.refused += 1
            if rejections == 0 and (self.range is None or h > self.longest):
                self.longest, self.range = h, _range(rates)
        return size

    def _estimates(self, step: Taken, rates: dict[int, Array], local: LocalError) -> list[Array]:
        """h Σ e_i ℓ_i of each embedded formula, filtered as the error of u is, (q,) each.

        With q' = ℓ the matrix B has the further row (−hγ ∂ℓ/∂u, 1). So hγ ∂ℓ/∂u times the filtered error of u is added,
        as a difference of ℓ; what the method damps in stiff components does not count then.
        """
        tableau, h, u = step.tableau, step.step.h, step.u
        first, final = step.step.first, step.step.final
        errors = [h * sum(float(e[i]) * rate for i, rate in rates.items()) for e in tableau.errors]
        if local.filtered is None:
            return [np.asarray(e) for e in errors]
        hg = h * tableau.gamma
        if tableau.coupled:
            here = self._tried(first, u)
            at_base = here if local.base is u else self._tried(first, local.base)
            change = self._tried(first, u + local.filtered) - here
            return [np.asarray(e + hg * (at_base + change)) for e in errors]
        last = step.Y[tableau.last]
        change = self._tried(final, last + local.filtered) - self._last(step, rates)
        return [np.asarray(e + hg * change) if np.isfinite(change).all() else np.asarray(e) for e in errors]

    def _last(self, step: Taken, rates: dict[int, Array]) -> Array:
        """ℓ where the step ends."""
        last = step.tableau.last
        return rates[last] if last in rates else self._tried(step.step.final, step.Y[last])

    def _atol(self, q: int) -> Array:
        if self.atol.ndim and self.atol.size != q:
            raise ValueError(f"OdeProblem: got integral_atol of shape {self.atol.shape}, expected a number or ({q},)")
        return self.atol

    def accept(self, step: Taken, rates: dict[int, Array]) -> None:
        """Add what an accepted step contributes."""
        for i, b, _ in step.tableau.quadrature:
            share = step.step.h * abs(b) * np.abs(rates[i])
            self.magnitude = share if self.magnitude is None else self.magnitude + share
        if self.range is None:
            return
        if step.step.h >= self.longest:
            self.range, self.suspicion = None, 0
        elif step.step.h <= SHORTER * self.longest:
            spread = _range(rates)
            self.suspicion = max(0, self.suspicion + (1 if np.any(spread >= 0.25 * self.range) else -1))
            if self.suspicion >= SUSPICIOUS:
                self.noise, self.suspicion, self.range = np.maximum(spread, self.range), 0, None


def _range(rates: dict[int, Array]) -> Array:
    """By how much ℓ changes between the stages, (q,)."""
    seen = np.array(list(rates.values()))
    return np.asarray(seen.max(axis=0) - seen.min(axis=0))


def _size(errors: list[Array], allowed: Array) -> float:
    """The largest error over what is allowed; 0/0 is 0. Of two formulas as in DOP853."""
    with np.errstate(all="ignore"):
        relative = [np.abs(e) / allowed for e in errors]
        ratio = relative[0]
        if len(relative) == 2:  # Hairer, Nørsett & Wanner (1993), section II.10.
            fifth, third = relative
            ratio = fifth**2 / np.sqrt(fifth**2 + 0.01 * third**2)
    ratio = np.where(errors[0] == 0.0, 0.0, ratio)  # Also of what is 0 and allowed 0.
    return float(ratio.max(initial=0.0))
