"""MMA, the method of moving asymptotes: many variables, few constraints."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...._dataclasses import short_repr
from ...._validation import require_settings
from ....bounds import Bounds
from ....errors import SolveError
from ....reduced import Function
from ....typing import Array
from ...constraints.constraint import Constraint
from ...inner_products import Euclidean, InnerProduct
from ...state import State
from ...status import Status
from ...trial import gradient_of
from .approximation import Asymptotes
from .constrained_problem import ConstrainedProblem, Evaluated

CURVATURE = 1e-5
"""raa0 of Svanberg (2007): ρ of each approximation, which makes it convex in variables
that it does not depend on."""


NEARER = 8
"""Number of designs tried, each halfway to the last design, if a solve fails at the
proposal or f collapses."""


COLLAPSED = 0.02
"""Part of f, and of its largest change by one variable, below which f has collapsed."""


PROMISED = 4.0
"""Ratio of the decrease promised by the slope to the decrease of f above which the
structure is lost; a parabola gives 2."""


COLLAPSES = 4
"""Number of collapsed trials in an iteration after which the next trial is accepted all
the same."""


@dataclass(frozen=True, eq=False)
class MMA:
    """x⁺ = argmin g̃₀(x) subject to g̃_i(x) ≤ 0, with convex approximations g̃ that have poles.

    g̃_i = r_i + Σ_j p_ij/(U_j − x_j) + q_ij/(x_j − L_j) has the value and slopes of the
    objective (i = 0) or a constraint at the design. The poles U and L come nearer for
    variables that oscillate. The subproblem is solved by its dual, which has as many
    unknowns as there are constraints. There is one evaluation per iteration and no line
    search, so that f may rise: see `GCMMA`. If a solve fails at the proposal, designs
    nearer to the last design are tried, and the asymptotes come nearer. The same is
    done if f and its gradient collapse although a much larger gain was promised by the
    slope, for example if a structure falls apart. Of two opposite inequalities with a
    narrow interval between them, only one enters a subproblem; the multipliers decide
    which one.

    The optimality measure is the largest of three numbers of the scaled problem,
    divided by the scale: the dual norm of the Lagrangian's gradient, the largest |λ_i
    c_i|, and the violation. The second and the third number are also divided by the
    length of the design at the start.

    Parameters
    ----------
    constraints : tuple of Constraint
        c ≤ bound, such as `LinearConstraint.volume(…)`; () for bounds alone.
    bounds : Bounds
        Bounds on the design, finite.
    move : float
        Largest change of a variable in an iteration, relative to the distance of its
        bounds; in (0, 1].
    asymptotes : Asymptotes
        How the poles move.
    elastic : float
        c, the price c y + ½ y² of violating a scaled constraint by y, in units of the
        scaled objective. A constraint whose multiplier exceeds c stays violated, as in an
        infeasible problem: such a run is not a success, and ends as INFEASIBLE once the
        design stands still. A larger c tells the two cases apart.
    scale : float or None
        Factor on the objective; the product should be between 1 and 100. None: the
        factor is chosen at the start, by f and its largest change by one variable.
    inner : InnerProduct
        M, diagonal.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range, if a bound is infinite, or if M is not diagonal.

    References
    ----------
    Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359. Constants: Svanberg (2007), MMA
    and GCMMA: two methods for nonlinear optimization, KTH Stockholm, section 3.
    """

    constraints: tuple[Constraint, ...]
    bounds: Bounds
    move: float = 0.5
    asymptotes: Asymptotes = field(default_factory=Asymptotes)
    elastic: float = 1000.0
    scale: float | None = None
    inner: InnerProduct = field(default_factory=Euclidean)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        self._problem.require_settings()

    @property
    def _problem(self) -> ConstrainedProblem:
        settings = (self.move, self.asymptotes, self.elastic, self.scale, self.inner)
        return ConstrainedProblem("MMA", self.constraints, self.bounds, *settings)

    @property
    def constrained(self) -> Sequence[Constraint]:
        """All constraints."""
        return self.constraints

    def start(self, f: Function, x: Array) -> State:
        """The state at x, with the first proposal.

        It costs one evaluation and all gradients once.
        """
        at = self._problem.first(f, x)
        return self._state(at, None, np.zeros(0))

    def advance(self, f: Function, state: State) -> State:
        """The state at the proposal, or at a nearer design if a solve fails at the proposal.

        Gradients are computed at the accepted design only.
        """
        if (reason := self._problem.standstill(state)) is not None:
            return replace(state, ending=reason)
        x = state.memory["proposal"]
        rejected: list[float] = []
        last: SolveError | None = None
        for _ in range(NEARER):
            at, failure = self._problem.tried(f, x, state)
            if at is not None and (len(rejected) >= COLLAPSES or not self._collapsed(state, at)):
                return self._state(at, state, np.array(rejected))
            last = failure or last
            rejected.append(np.nan if at is None else at.point.value)
            x = 0.5 * (state.x + x)
        return replace(
            state,
            rejected=np.array(rejected),
            evaluations=state.evaluations + NEARER,
            ending=Status.FAILED,
            failure=last,
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the same poles and a new proposal."""
        return self._problem.revalued(f, state, self._curvature)[1]

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has the proposal, σ, the last change and ρ."""
        self._problem.require_memory(state, {})

    def _collapsed(self, before: State, at: Evaluated) -> bool:
        """True if f and its slopes have collapsed and f gained only a small part of the promise."""
        f, x, span = at.point.value, at.point.x, self._problem.span
        size = max(abs(before.value), self.inner.largest(np.abs(before.gradient) * span))
        promised = -self.inner.pairing(before.gradient, x - before.x)
        if not (abs(f) <= COLLAPSED * size and promised > PROMISED * (before.value - f)):
            return False
        return self.inner.largest(np.abs(gradient_of(at.point)) * span) <= COLLAPSED * size

    def _state(self, at: Evaluated, before: State | None, rejected: Array) -> State:
        # Poles at the distance of the last failure keep the next proposals away from it.
        width = self._problem.width(at.point.x, before, 0.5**rejected.size)
        return self._problem.state(at, before, rejected, width, self._curvature)

    def _curvature(self, values: Array, slopes: Array, span: Array) -> Array:
        """ρ, (k+1,): 10⁻⁵, or less if the scaled objective and its slopes are small.

        A larger ρ would outweigh small slopes.
        """
        rho = np.full(len(slopes), CURVATURE)
        rho[0] *= min(1.0, abs(values[0]) + self.inner.largest(np.abs(slopes[0]) * span)) or 1.0
        return rho
