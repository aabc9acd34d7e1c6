"""SiMPL: mirror descent of densities ρ = 1 / (1 + exp(−ψ)) at a given volume.

Kim, Lazarov, Surowiec & Keith (2024), A Simple Introduction to the SiMPL Method for
Density-Based Topology Optimization, arXiv 2411.19421; Keith, Kim, Lazarov & Surowiec
(2024), Analysis of the SiMPL Method, arXiv 2409.19341.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import brentq

from ..._dataclasses import short_repr
from ..._validation import as_parameters, require_settings
from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..constraints.constraint import Constraint
from ..constraints.design_constraints import DesignOnly, OfDesign
from ..inner_products import Euclidean, InnerProduct
from ..line_search.backtracking import Backtracking
from ..memory import require_entries
from ..settings import require_design_constraint, require_geometry, require_kind
from ..state import State
from ..trial import first_point, given_up, gradient_of

LATENT = 40.0
"""Bound on |ψ|: ρ is 0 or 1 to rounding there, and a larger |ψ| would only take as many
steps back."""


MET = 1e-12
"""Error of the volume, relative to its bound, below which the constraint is met."""


BINDING = 1e-9
"""Distance of the volume below its bound, relative to the bound, above which it does not
bind."""


FLAT = 1e-10
"""∂c/∂ρ relative to its largest entry below which it is rounding, as of a steep filtered
projection. Such densities are not shifted."""


SPREAD = 4.0
"""Largest change of ψ by the first trial: from a density of ½ to a density of 0.98."""


FARTHEST = 1e3 * LATENT
"""Largest change of ψ by a trial, before the shift to the volume: a larger one would cost
digits."""


EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class SiMPL:
    """ψ ← ψ − α M⁻¹∇f − μ M⁻¹∇c, ρ = 1/(1 + exp(−ψ)), with μ ≥ 0 such that c(ρ) ≤ bound.

    Mirror descent by the Fermi–Dirac entropy. The design ρ is between 0 and 1 by
    construction. Every trial meets the volume constraint, because μ is the root of one
    monotone equation; if the constraint binds it is met to 10⁻¹². α is first the
    generalized Barzilai–Borwein step |⟨Δψ, Δρ⟩ / (Δ∇f·Δρ)|, and is then shortened until
    f satisfies the Armijo condition: f decreases in every iteration. A start with more
    volume is first shifted to the bound.

    In a state `step` is α. `stationarity` is the dual norm of ρ max(ℓ, 0) + (1 − ρ) max(−ℓ,
    0), with ℓ = ∇f + λ∇c: it is zero if ℓ is zero between the bounds, ≥ 0 for ρ = 0 and ≤ 0
    for ρ = 1. λ ≥ 0 is found by least squares with the weights ρ(1 − ρ); λ is 0 if the
    volume is below its bound.

    Parameters
    ----------
    constraint : DesignOnly
        c(ρ) ≤ bound, with a positive bound and ∂c/∂ρ ≥ 0: `LinearConstraint.volume(…)`.
    inner : InnerProduct
        M, diagonal.
    search : Backtracking
        The line search.
    first_step : float or None
        α of the first trial. None: the trial changes ψ by at most 4.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range, or if M is not diagonal; in a run, if ∂c/∂ρ is
        negative, or if no design meets the constraint.

    References
    ----------
    Kim, Lazarov, Surowiec & Keith (2024), arXiv 2411.19421. Keith, Kim, Lazarov & Surowiec
    (2024), arXiv 2409.19341.
    """

    constraint: DesignOnly
    inner: InnerProduct = field(default_factory=Euclidean)
    search: Backtracking = field(default_factory=Backtracking)
    first_step: float | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_design_constraint("SiMPL", self.constraint)
        require_geometry("SiMPL", self.bounds, self.inner)
        require_kind("SiMPL", "the search", self.search, Backtracking)
        if not (self.first_step is None or 0.0 < self.first_step < np.inf):
            raise ValueError(
                f"SiMPL: got first_step={self.first_step}, expected a positive number or None"
            )
        if not self.inner.diagonal:
            raise ValueError(
                f"SiMPL: got the inner product {type(self.inner).__name__}, expected a diagonal one"
            )

    @property
    def bounds(self) -> Bounds:
        """0 ≤ ρ ≤ 1."""
        return Bounds(0.0, 1.0)

    @property
    def constrained(self) -> tuple[Constraint, ...]:
        """The constraint."""
        return (OfDesign(self.constraint),)

    def start(self, f: Function, x: Array) -> State:
        """The state at x, (m,), shifted to the volume. It costs one evaluation and one gradient."""
        x = as_parameters(x, "x")
        psi = logit(self.bounds.clip(x))
        if self.bounds.holds(x) and self.constraint.value(x) > self.constraint.bound * (1.0 + MET):
            psi = self._shifted(psi, self._shift(x))
            x = sigmoid(psi)
        point = first_point(f, x, self.bounds, "SiMPL")
        g = gradient_of(point)
        d = np.abs(self.inner.direction(g + self._multiplier(x, g) * self._slope(x)))
        largest = self.inner.largest(d)
        alpha = self.first_step or (SPREAD / largest if largest > 0.0 else 1.0)
        return self._at(point, g, psi, alpha)

    def advance(self, f: Function, state: State) -> State:
        """The state after one step. It costs one evaluation per trial and one gradient."""
        x, g, psi = state.x, state.gradient, state.memory["psi"]
        d, shift = self.inner.direction(g), self._shift(x)
        trial = self.search(
            f,
            lambda alpha: sigmoid(self._shifted(psi - alpha * d, shift)),
            lambda there: self.inner.pairing(g, there - x),
            state.value,
            state.memory["alpha"].item(),
        )
        rejected = np.array(trial.rejected)
        if trial.point is None:
            evaluations, ending = state.evaluations + rejected.size, given_up(rejected, state.value)
            return replace(
                state,
                rejected=rejected,
                evaluations=evaluations,
                ending=ending,
                failure=trial.failure,
            )
        return self._after(
            state, trial.point, self._shifted(psi - trial.alpha * d, shift), trial.alpha, rejected
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design ρ and ψ, and with the same α of the next search."""
        point = first_point(f, state.x, self.bounds, "SiMPL")
        at = self._at(point, gradient_of(point), state.memory["psi"], state.memory["alpha"].item())
        return replace(
            at,
            iteration=state.iteration,
            step=state.step,
            change=state.change,
            rejected=state.rejected,
            evaluations=state.evaluations + 1,
        )

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has ψ, (m,), and the first α of the next search."""
        require_entries("SiMPL", state.memory, {"psi": (state.x.size,), "alpha": ()})

    def _after(
        self, before: State, point: Point, psi: Array, alpha: float, rejected: Array
    ) -> State:
        """The state at the accepted point, with the first α of the next search."""
        g, step = gradient_of(point), point.x - before.x
        psi_step = self.inner.covector(psi - before.memory["psi"])
        following = self._next_trial(alpha, psi_step, step, g - before.gradient, g)
        return replace(
            self._at(point, g, psi, following),
            iteration=before.iteration + 1,
            step=alpha,
            change=self.inner.largest(np.abs(step)),
            rejected=rejected,
            evaluations=before.evaluations + rejected.size + 1,
        )

    def _next_trial(
        self, last: float, psi_step: Array, step: Array, g_step: Array, g: Array
    ) -> float:
        """The next first α: |⟨Δψ, Δρ⟩ / (Δ∇f·Δρ)|, or twice the last α.

        Twice the last α is taken if the ratio is 0 or not a finite number. α is limited
        so that ψ changes by at most FARTHEST.
        """
        curvature = abs(self.inner.pairing(g_step, step))
        ratio = self.inner.pairing(psi_step, step) / curvature if curvature > 0.0 else 0.0
        alpha = ratio if 0.0 < ratio < np.inf else 2.0 * last
        largest = self.inner.largest(np.abs(self.inner.direction(g)))
        return min(alpha, FARTHEST / largest) if largest > 0.0 else alpha

    def _slope(self, x: Array) -> Array:
        """∂c/∂ρ, (m,), with entries of the size of rounding errors replaced by zero.

        Raise ValueError if an entry is negative, or if all entries are zero.
        """
        slope = np.asarray(self.constraint.gradient(x))
        steepest = self.inner.largest(slope)
        if (
            slope.shape != x.shape
            or not self.inner.largest(-slope) <= FLAT * steepest
            or not steepest > 0.0
        ):
            raise ValueError(
                f"SiMPL: ∂c/∂ρ is {slope}, expected {x.shape}, non-negative, not all zero"
            )
        return np.where(slope <= FLAT * steepest, 0.0, slope)

    def _shift(self, x: Array) -> Array:
        """M⁻¹∇c, (m,)."""
        return self.inner.direction(self._slope(x))

    def _shifted(self, psi: Array, shift: Array) -> Array:
        """ψ − μ M⁻¹∇c, within ±LATENT, with the least μ ≥ 0 that meets the volume."""

        def latent(mu: float) -> Array:
            return np.clip(psi - mu * shift, -LATENT, LATENT)

        def excess(mu: float) -> float:
            return self.constraint.value(sigmoid(latent(mu))) - self.constraint.bound

        if excess(0.0) <= 0.0:
            return latent(0.0)
        # At this μ all densities that can be shifted are zero.
        most = self.inner.largest(
            np.where(shift > 0.0, (psi + LATENT) / np.where(shift > 0.0, shift, 1.0), 0.0)
        )
        if not excess(most) <= 0.0:
            raise ValueError(
                f"SiMPL: the constraint is above its bound by {excess(most):.6g} if all densities "
                "that the constraint depends on are zero: no design meets the constraint"
            )
        return latent(brentq(excess, 0.0, most, xtol=TINY, rtol=4.0 * EPS, maxiter=500))

    def _multiplier(self, x: Array, g: Array) -> float:
        """The λ ≥ 0 with the least Σ M⁻¹ρ(1 − ρ)(∇f + λ∇c)²; 0 if the volume does not bind."""
        if self.constraint.value(x) < self.constraint.bound * (1.0 - BINDING):
            return 0.0
        slope = self._slope(x)
        weighted = self.inner.direction(x * (1.0 - x) * slope)
        size = self.inner.pairing(slope, weighted)
        return max(0.0, -self.inner.pairing(g, weighted) / size) if size > 0.0 else 0.0

    def _at(self, point: Point, g: Array, psi: Array, alpha: float) -> State:
        """The state of iteration 0 at the point; alpha: the first α of the next search."""
        x, bound = point.x, self.constraint.bound
        multiplier = self._multiplier(x, g)
        lagrangian = g + multiplier * self._slope(x)
        residual = x * np.maximum(lagrangian, 0.0) + (1.0 - x) * np.maximum(-lagrangian, 0.0)
        excess = self.constraint.value(x) / bound - 1.0
        return State(
            iteration=0,
            x=x,
            value=point.value,
            gradient=g,
            stationarity=self.inner.dual_norm(residual),
            projected=self.inner.largest(
                np.abs(self.bounds.clip(x - self.inner.direction(lagrangian)) - x)
            ),
            constraints=np.array([excess]),
            multipliers=np.array([multiplier * bound]),
            scales=np.array([bound], dtype=float),
            violation=max(0.0, excess),
            memory={"psi": psi, "alpha": np.asarray(alpha)},
        )


def sigmoid(psi: Array) -> Array:
    """1 / (1 + exp(−ψ)), without overflow, because only exp(−|ψ|) is computed."""
    small = np.exp(-np.abs(psi))
    return np.where(psi >= 0.0, 1.0, small) / (1.0 + small)


def logit(rho: Array) -> Array:
    """ψ = log(ρ / (1 − ρ)), (m,), within ±LATENT; ρ: between 0 and 1."""
    least = float(np.exp(-LATENT))
    psi = np.log(np.maximum(rho, least)) - np.log(np.maximum(1.0 - rho, least))
    return np.asarray(np.clip(psi, -LATENT, LATENT))
