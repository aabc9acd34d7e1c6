"""The method of moving asymptotes (MMA): many variables, few constraints, one evaluation an iteration."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...._repr import short_repr
from ...._validation import require_settings
from ....bounds import Bounds
from ....reduced import Function
from ....typing import Array
from ...constraints import Constraint
from ...inner_products import Euclidean, InnerProduct
from ...state import State
from ...status import Status
from ...trial import gradient_of
from .common import ElasticProblem, Evaluated
from .subproblem import Asymptotes

CURVATURE = 1e-5
"""raa0: of each approximation, for variables that it does not depend on."""


NEARER = 8
"""Designs tried, each halfway to the last one, where a solve fails at the proposal, or f collapses."""


COLLAPSED = 0.02
"""Part of their size before, of f and of its largest change by one variable, below which f has collapsed."""


PROMISED = 4.0
"""Ratio of the fall that the slope promised to the fall of f, above which the structure is lost; a parabola gives 2."""


COLLAPSES = 4
"""Such trials in an iteration, before the next one is taken all the same."""


@dataclass(frozen=True, eq=False)
class MMA:
    """x⁺ = argmin g̃_0(x) subject to g̃_i(x) ≤ 0, g̃_i(x) = r_i + Σ_j p_ij/(U_j − x_j) + q_ij/(x_j − L_j).

    The approximations have the values and slopes of the objective and the constraints at the design, and poles that
    come nearer for variables that oscillate; the subproblem is solved by its dual, of as many unknowns as there are
    constraints. No line search, so f may rise: see `GCMMA`. Where a solve fails at the proposal, designs nearer to
    the last one are tried, and its asymptotes come nearer. So it is where f and its gradient collapse for much less of
    a gain than the slope promised, as those of a structure that falls apart do. Two opposite inequalities that leave a
    narrow interval, or an equality, are taken one at a time, by their multipliers.

    constraints: c ≤ bound, as (c − bound)/State.scales; none leaves the bounds. bounds: finite, ValueError for
    others. move: the largest change of a variable in an iteration, relative to the distance of its bounds.
    asymptotes: how they move. elastic: c, the price of violating a scaled constraint by y, c y + ½ y², in units of the
    scaled objective. Where a multiplier exceeds it a violation is left, as in an infeasible problem: such a run is no
    success, and INFEASIBLE once the design stands still; a larger c tells the two apart. scale: of the objective, which
    should be between 1 and 100; None: chosen at the start, by f and its largest change by one variable.

    Its optimality measure is the largest of the Lagrangian's dual norm, |λ_i c_i| and the violation, all of the
    scaled problem, divided by the scale; the last two by the length of the design at the start as well.

    Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359; constants of Svanberg (2007), MMA and GCMMA: two methods for
    nonlinear optimization, KTH Stockholm, section 3.
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
    def _problem(self) -> ElasticProblem:
        settings = (self.move, self.asymptotes, self.elastic, self.scale, self.inner)
        return ElasticProblem("MMA", self.constraints, self.bounds, *settings)

    @property
    def constrained(self) -> Sequence[Constraint]:
        """All of them."""
        return self.constraints

    def start(self, f: Function, x: Array) -> State:
        """The state at x, and the proposal that follows from it: one evaluation, one gradient of f and each c."""
        at = self._problem.first(f, x)
        return self._state(at, None, np.zeros(0))

    def advance(self, f: Function, state: State) -> State:
        """The state at the proposal, or nearer where that fails; the gradients are those of the accepted design."""
        if (reason := self._problem.stands(state)) is not None:
            return replace(state, ending=reason)
        x = state.memory["proposal"]
        rejected: list[float] = []
        for _ in range(NEARER):
            at = self._problem.attempt(f, x, state)
            if at is not None and (len(rejected) >= COLLAPSES or not self._collapsed(state, at)):
                return self._state(at, state, np.array(rejected))
            rejected.append(np.nan if at is None else at.point.value)
            x = 0.5 * (state.x + x)
        evaluations = state.evaluations + NEARER
        return replace(
            state, rejected=np.array(rejected), evaluations=evaluations, ending=Status.FAILED
        )

    def _collapsed(self, before: State, at: Evaluated) -> bool:
        """Whether f and its slopes are a small part of what they were, for a small part of the gain they promised."""
        f, x, span = at.point.value, at.point.x, self._problem.span
        size = max(abs(before.value), self.inner.largest(np.abs(before.gradient) * span))
        promised = -self.inner.pairing(before.gradient, x - before.x)
        if not (abs(f) <= COLLAPSED * size and promised > PROMISED * (before.value - f)):
            return False
        return self.inner.largest(np.abs(gradient_of(at.point)) * span) <= COLLAPSED * size

    def _state(self, at: Evaluated, before: State | None, rejected: Array) -> State:
        # What failed lies as far away as x went too far: poles there keep the next proposals from it.
        width = self._problem.width(at.point.x, before, 0.5**rejected.size)
        return self._problem.state(at, before, rejected, width, self._curvature)

    def _curvature(self, values: Array, slopes: Array, span: Array) -> Array:
        """ρ = 10⁻⁵; less where the scaled objective is small by now, with its slopes: it would outweigh them."""
        rho = np.full(len(slopes), CURVATURE)
        rho[0] *= min(1.0, abs(values[0]) + self.inner.largest(np.abs(slopes[0]) * span)) or 1.0
        return rho
