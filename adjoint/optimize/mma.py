"""The method of moving asymptotes (MMA): many variables, few constraints, one evaluation an iteration."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import Array
from .approximation import Asymptotes
from .bounds import Box
from .constraints import Constraint
from .elastic import ElasticProblem, Evaluated
from .inner import Euclidean, InnerProduct
from .state import Function, State
from .stopping import Status

CURVATURE = 1e-5
"""raa0: of each approximation, for variables that it does not depend on."""

NEARER = 8
"""Designs tried, each halfway to the last one, where a solve fails at the proposal."""


@dataclass(frozen=True, eq=False)
class Mma:
    """x⁺ = argmin g̃_0(x) subject to g̃_i(x) ≤ 0, g̃_i(x) = r_i + Σ_j p_ij/(U_j − x_j) + q_ij/(x_j − L_j).

    The approximations have the values and slopes of the objective and the constraints at the design, and poles that
    come nearer for variables that oscillate; the subproblem is solved by its dual, of as many unknowns as there are
    constraints. No line search, so f may rise: see `Gcmma`. Where a solve fails at the proposal, designs nearer to
    the last one are tried, and its asymptotes come nearer.

    constraints: c ≤ bound, scaled to (c − bound)/|bound|; none leaves the bounds. bounds: finite, ValueError for
    others. move: the largest change of a variable in an iteration, relative to the distance of its bounds.
    asymptotes: how they move. elastic: c, the price of violating a scaled constraint by y, c y + ½ y², in units of the
    scaled objective. Where a multiplier exceeds it a violation is left, as in an infeasible problem: such a run is no
    success, and INFEASIBLE once the design stands still; a larger c tells the two apart. scale: of the objective, which
    should be between 1 and 100; None: chosen at the start, by f and its largest change by one variable.

    Its optimality measure is the largest of the Lagrangian's dual norm, |λ_i c_i| and the violation, all of the
    scaled problem, divided by the scale.

    Svanberg (1987), Int. J. Numer. Methods Eng. 24, 359; constants of Svanberg (2007), MMA and GCMMA: two methods for
    nonlinear optimization, KTH Stockholm, section 3.
    """

    constraints: tuple[Constraint, ...]
    bounds: Box
    move: float = 0.5
    asymptotes: Asymptotes = field(default_factory=Asymptotes)
    elastic: float = 1000.0
    scale: float | None = None
    inner: InnerProduct = field(default_factory=Euclidean)

    def __post_init__(self) -> None:
        self._problem.require_settings()

    @property
    def _problem(self) -> ElasticProblem:
        settings = (self.move, self.asymptotes, self.elastic, self.scale, self.inner)
        return ElasticProblem("Mma", self.constraints, self.bounds, *settings)

    @property
    def constrained(self) -> Sequence[Constraint]:
        """All of them."""
        return self.constraints

    def start(self, f: Function, x: Array) -> State:
        """The state at x, and the proposal that follows from it: one evaluation, one gradient of f and each c."""
        at = self._problem.first(f, x)
        return self._state(at, None, 0)

    def advance(self, f: Function, state: State) -> State:
        """The state at the proposal, or nearer where that fails; the gradients are those of the accepted design."""
        if (reason := self._problem.stands(state)) is not None:
            return replace(state, ending=reason)
        x = state.memory["proposal"]
        for failures in range(NEARER):
            if (at := self._problem.attempt(f, x)) is not None:
                return self._state(at, state, failures)
            x = 0.5 * (state.x + x)
        evaluations = state.evaluations + NEARER
        return replace(state, rejected=np.full(NEARER, np.nan), evaluations=evaluations, ending=Status.FAILED)

    def _state(self, at: Evaluated, before: State | None, failures: int) -> State:
        # What failed lies as far away as x went too far: poles there keep the next proposals from it.
        width = self._problem.width(at.point.x, before, 0.5**failures)
        return self._problem.state(at, before, np.full(failures, np.nan), width, self._curvature)

    def _curvature(self, values: Array, slopes: Array, span: Array) -> Array:
        """ρ = 10⁻⁵; less where the scaled objective is small by now, with its slopes: it would outweigh them."""
        rho = np.full(len(slopes), CURVATURE)
        rho[0] *= min(1.0, abs(values[0]) + self.inner.largest(np.abs(slopes[0]) * span)) or 1.0
        return rho
