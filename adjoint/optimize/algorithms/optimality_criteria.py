"""Optimality criteria (OC): the fixed-point update of densities under one volume constraint.

Bendsøe & Sigmund (2004), Topology Optimization, section 1.2.1; Andreassen, Clausen,
Schevenels, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43, 1, section 2.4,
whose printed figures are reproduced.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import brentq

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import as_parameters, require_methods, require_settings
from ...bounds import Bounds
from ...protocols import DesignMap
from ...reduced import Function, Point
from ...typing import Array
from ..constraints.constraint import Constraint
from ..constraints.design_constraints import DesignOnly, OfDesign
from ..inner_products import Euclidean
from ..memory import require_entries
from ..settings import require_design_constraint, require_geometry, require_kind
from ..state import State
from ..status import Status
from ..trial import first_point, gradient_of, tried

FLAT = 1e-10
"""∂c/∂x relative to its largest entry below which it is rounding, as of a steep filtered
projection. Such densities stay."""


SETTLED = 0.04
"""Change of an update, in move limits, below which the design has all but converged."""


MISSED = 30.0
"""Change of an update, relative to the change that would meet the volume, below which the
design has all but converged. The two printed runs end (at a change of 0.05 move limits)
at 37 and above, with the iterates of the interval in the paper."""


MET = 1e-9
"""Error of the volume, relative to its bound, below which the constraint is met."""


NEARER = 8
"""Number of designs tried, each halfway to the last design, if a solve fails at the
proposal."""


@dataclass(frozen=True, eq=False)
class SensitivityFilter:
    """g̃_i = Σ_j H_ij x_j g_j / (max(γ, x_i) Σ_j H_ij), γ = 10⁻³.

    See docs/math/optimization.md, eq. 30.

    A heuristic that replaces the gradient inside of OC. It is not the derivative of any
    function: therefore it is an option of OC and not a DesignMap.

    Parameters
    ----------
    average : DesignMap
        v ↦ Σ_j H_ij v_j / Σ_j H_ij: a `DensityFilter` or a `ConvolutionFilter`.

    Raises
    ------
    TypeError
        If `average` is not a design map.

    References
    ----------
    Sigmund (1997), Mech. Struct. Mach. 25, 493.
    """

    average: DesignMap

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_methods(
            "SensitivityFilter", "average", self.average, ("__call__",), "a DensityFilter(…)"
        )

    def __call__(self, x: Array, g: Array) -> Array:
        """g̃, (m,)."""
        return self.average(x * g) / np.maximum(1e-3, x)


@dataclass(frozen=True, eq=False)
class OptimalityCriteria:
    """x_i ← x_i (−g_i / (λ ∂c/∂x_i))^η within the move limit and the bounds.

    See docs/math/optimization.md, eq. 29.

    λ is found by bisection. An iteration is an analysis of a design and an update of
    this design: the start is the first iteration, and the `change` of a state is the
    change from its design to the updated design, memory["proposal"]. The optimality
    measures are relative to max|g|. Densities with a positive gradient go down to the
    move limit or the lower bound.

    The bisection leaves an error of about η · width in the volume. If the design has
    settled, the bisection goes on until the volume is met to 1e-9. A design has settled if
    the update is a small part of the move limit, or of the change that would meet the
    volume. If such a design does not meet the volume, its `violation` is the error, and the
    run does not converge there.

    Parameters
    ----------
    constraint : DesignOnly
        c(x) ≤ bound, with a positive bound and ∂c/∂x > 0: `LinearConstraint.volume(…)`.
    move : float
        Largest change of a density in one iteration.
    exponent : float
        η, in (0, 1].
    bounds : Bounds
        Bounds on the densities.
    sensitivity_filter : SensitivityFilter or None
        A heuristic in place of the gradient.
    width : float
        Width of the interval of λ at the end of the bisection, relative to its middle; the
        default is the published one.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range; at the start, if no design within the bounds meets the
        constraint.

    References
    ----------
    Bendsøe & Sigmund (2004), Topology Optimization, section 1.2.1. Andreassen et al.
    (2011), Struct. Multidiscip. Optim. 43, 1, section 2.4.
    """

    constraint: DesignOnly
    move: float = 0.2
    exponent: float = 0.5
    bounds: Bounds = field(default_factory=lambda: Bounds(0.0, 1.0))
    sensitivity_filter: SensitivityFilter | None = None
    width: float = 1e-3

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (self.move > 0.0 and 0.0 < self.exponent <= 1.0 and 0.0 < self.width < 1.0):
            raise ValueError(
                f"OptimalityCriteria: got move={self.move}, exponent={self.exponent}, "
                f"width={self.width}; expected move > 0, 0 < exponent ≤ 1, 0 < width < 1"
            )
        require_design_constraint("OptimalityCriteria", self.constraint)
        require_geometry("OptimalityCriteria", self.bounds, self.inner)
        if self.sensitivity_filter is not None:
            require_kind(
                "OptimalityCriteria",
                "the sensitivity filter",
                self.sensitivity_filter,
                SensitivityFilter,
            )

    @property
    def inner(self) -> Euclidean:
        """The Euclidean inner product.

        The update multiplies densities and needs no direction M⁻¹g.
        """
        return Euclidean()

    @property
    def constrained(self) -> tuple[Constraint, ...]:
        """The constraint."""
        return (OfDesign(self.constraint),)

    def start(self, f: Function, x: Array) -> State:
        """The first iteration: the analysis at x and its update; x: (m,), within the bounds."""
        x = as_parameters(x, "x")
        if x.size and not x.any():
            raise ValueError(
                "OptimalityCriteria: the start is zero, and the update multiplies; start at the "
                "volume fraction"
            )
        if np.shape(slope := self.constraint.gradient(x)) != x.shape:
            raise ValueError(
                f"OptimalityCriteria: ∂c/∂x has shape {np.shape(slope)}, the design {x.shape}"
            )
        lowest = np.broadcast_to(np.asarray(self.bounds.lower, dtype=float), x.shape)
        least = self.constraint.value(lowest) if np.isfinite(lowest).all() else 0.0
        if least > self.constraint.bound * (1.0 + self.width):
            raise ValueError(
                f"OptimalityCriteria: the constraint is {least:.6g} with all densities at their "
                f"lower bounds, above its bound of {self.constraint.bound:.6g}: no design meets "
                "it"
            )
        return self._state(first_point(f, x, self.bounds, "OptimalityCriteria"), 1, 1, 0)

    def advance(self, f: Function, state: State) -> State:
        """The state at the last proposal, or at a nearer design if a solve fails there."""
        x = state.memory["proposal"]
        for failures in range(NEARER):
            trial = tried(f, x)
            if trial.point is not None:
                return self._state(
                    trial.point, state.iteration + 1, state.evaluations + failures + 1, failures
                )
            x = 0.5 * (state.x + x)
        return replace(
            state,
            rejected=np.full(NEARER, np.nan),
            evaluations=state.evaluations + NEARER,
            ending=Status.FAILED,
            failure=trial.failure,
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the update that the new gradient gives."""
        point = first_point(f, state.x, self.bounds, "OptimalityCriteria")
        return replace(
            self._state(point, state.iteration, state.evaluations + 1, 0), rejected=state.rejected
        )

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has the proposal, (m,)."""
        require_entries("OptimalityCriteria", state.memory, {"proposal": (state.x.size,)})

    def _state(self, point: Point, iteration: int, evaluations: int, failures: int) -> State:
        x, g, bound = point.x, gradient_of(point), self.constraint.bound
        slope = self.constraint.gradient(x)
        flat = slope <= FLAT * slope.max()
        if not np.all(slope >= -FLAT * slope.max()) or np.any(
            np.abs(g[flat]) > 1e3 * FLAT * np.abs(g).max()
        ):
            raise ValueError(
                f"OptimalityCriteria: ∂c/∂x is {slope.min()} somewhere, expected positive entries "
                "everywhere"
            )
        driving = g if self.sensitivity_filter is None else self.sensitivity_filter(x, g)
        excess = self.constraint.value(x) / bound - 1.0
        multiplier, proposal, violation = self._update(x, driving, slope, excess)
        stationarity, projected = self._optimality(x, driving, slope)
        return State(
            iteration=iteration,
            x=x,
            value=point.value,
            gradient=g,
            stationarity=stationarity,
            projected=projected,
            step=self.move,
            change=float(np.abs(proposal - x).max()),
            constraints=np.array([excess]),
            multipliers=np.array([multiplier * bound]),
            scales=np.array([bound], dtype=float),
            violation=violation,
            rejected=np.full(failures, np.nan),
            evaluations=evaluations,
            memory={"proposal": proposal},
        )

    def _update(
        self, x: Array, g: Array, slope: Array, excess: float
    ) -> tuple[float, Array, float]:
        """λ, the next design, and the violation at x.

        λ is found by bisection to `width`; if the design has settled, λ meets the
        volume itself. excess: c(x) / bound − 1.
        """
        lowest, highest = self.bounds.clip(x - self.move), self.bounds.clip(x + self.move)
        flat = slope <= FLAT * slope.max()
        growth = x * np.maximum(0.0, -g / np.where(flat, 1.0, slope)) ** self.exponent

        def design(multiplier: float) -> Array:
            return np.where(flat, x, np.clip(growth / multiplier**self.exponent, lowest, highest))

        def over(multiplier: float) -> float:
            return self.constraint.value(design(multiplier)) / self.constraint.bound - 1.0

        lower, middle, upper = self._bisected(over)
        proposal, rough = design(middle), excess if excess > self.width else 0.0
        change = float(np.abs(proposal - x).max())
        settled = change <= max(SETTLED * self.move, MISSED * abs(excess) * float(np.abs(x).max()))
        if not (settled and lower > 0.0 and over(lower) > 0.0 >= over(upper)):
            return middle, proposal, rough  # On the way, or the constraint does not bind.
        met = float(
            np.exp(
                brentq(
                    lambda log: over(float(np.exp(log))), np.log(lower), np.log(upper), xtol=1e-15
                )
            )
        )
        missed = abs(excess) > MET >= abs(over(met))
        return met, design(met), abs(excess) if missed else rough

    def _bisected(self, over: Callable[[float], float]) -> tuple[float, float, float]:
        """The lower end, the last middle and the upper end of an interval that contains λ.

        The interval is found by bisection for the zero of `over`, a decreasing function
        of λ.
        """
        # The published interval; a larger λ, of an objective in small units, is met by widening.
        lower, upper = 0.0, 1e9
        while over(upper) > 0.0 and upper < 1e60:
            lower, upper = upper, 1e3 * upper
        middle = upper
        # The second condition ends a bisection towards 0: then the constraint does not bind.
        while (upper - lower) > self.width * (upper + lower) and upper > 1e-60:
            middle = 0.5 * (lower + upper)
            if over(middle) > 0.0:
                lower = middle
            else:
                upper = middle
        return lower, middle, upper

    def _optimality(self, x: Array, g: Array, slope: Array) -> tuple[float, float]:
        """The KKT residual and the projected gradient (docs/math/optimization.md, eqs. 31 and 32).

        λ ≥ 0 is found by least squares over the densities between their bounds; λ is 0
        if the constraint does not bind. If the constraint is violated, both measures
        are at least the violation, relative to the bound.
        """
        scale = float(np.abs(g).max()) or 1.0
        excess = self.constraint.value(x) / self.constraint.bound - 1.0
        met = 10.0 * self.width  # The bisection leaves about `width` of it.
        inside = (x > self.bounds.lower) & (x < self.bounds.upper)
        weights = slope * inside
        if inside.any():
            multiplier = max(0.0, -dot(weights, g) / (dot(weights, weights) or 1.0))
        else:  # Any λ between −g/slope of the empty elements and −g/slope of the full elements.
            worth = -g / np.maximum(slope, FLAT * slope.max())
            full = x >= self.bounds.upper
            multiplier = max(
                0.0,
                0.5
                * (worth[full].min(initial=worth.max()) + worth[~full].max(initial=worth.min())),
            )
        lagrangian = g + (multiplier if excess > -met else 0.0) * slope
        projected = float(np.abs(self.bounds.clip(x - lagrangian / scale) - x).max())
        residual = float(np.abs(self.bounds.held(x, lagrangian)).max()) / scale
        least = excess if excess > met else 0.0
        return max(residual, least), max(projected, least)
