"""The stages of successive steps, by Newton's method with factors that many steps use."""

from dataclasses import dataclass

from ...errors import NoConvergenceError, NonFinite, SingularMatrix
from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from ..equations import System
from ..methods.tableau import Tableau
from ..steps.records import base_point
from .coupled_matrices import CoupledInverse, newton_factors
from .coupled_stages import solved_coupled_stages, step_equation
from .stage_matrices import Inverse
from .stages import ASSUMED_CONTRACTION, SAFETY, Stages, solved_stages

MAX_CHANGE = 0.01
"""Largest relative change of hγ at which old factors are used. The contraction grows by as
much as hγ changes."""


@dataclass(eq=False)
class ReusedFactors:
    """Computes the stages of each step, by Newton's method with old factors if possible.

    refresh: contraction above which the next step gets a new matrix.

    Remembers the factors `inverse` of M − hγ ∂f/∂u (of M for explicit methods); the
    step, time, state and hγ for which the factors were made (`base`, `base_t`,
    `base_u`, `base_hg`); the last `contraction` of Newton's method; `stale`, True if
    the next step must make new factors; and the `cause` of the last failure, None after
    a success.
    """

    system: System
    refresh: float
    inverse: Inverse | None = None
    base: int = -1
    base_t: float = 0.0
    base_u: Array | None = None
    base_hg: float = 0.0
    contraction: float = ASSUMED_CONTRACTION
    stale: bool = True
    cause: Exception | None = None

    def stages(
        self, k: int, tableau: Tableau, step: Interval, u: Array, K: Array, last: float
    ) -> Stages | None:
        """The stages of step k from u; None if Newton's method fails with new factors, too.

        K: K₁, (n,), or, if stages are coupled, the stages of the step before, (s, n).
        last: the length of the step before.
        """
        if tableau.gamma == 0.0:
            self.inverse = self.system.mass_inverse
            return solved_stages(self.system, tableau, step, u, K, self.inverse, 0.0, True)
        hg = step.h * tableau.gamma
        if self.stale or not abs(hg - self.base_hg) <= MAX_CHANGE * self.base_hg:
            return self._by_new_matrix(k, tableau, step, u, K, last)
        contraction = max(
            min(ASSUMED_CONTRACTION, SAFETY * self.contraction), abs(hg / self.base_hg - 1.0)
        )
        try:
            return self._solved(tableau, step, u, K, last, contraction, False)
        except NoConvergenceError:
            return None if self.base == k else self._by_new_matrix(k, tableau, step, u, K, last)

    def accept(self, stages: Stages, renew: bool) -> None:
        """Record the contraction of Newton's method in an accepted step.

        renew: True if the next step needs new factors in any case.
        """
        self.contraction = stages.last if stages.last > 0.0 else self.contraction
        self.stale = stages.contraction > self.refresh or renew

    def _by_new_matrix(
        self, k: int, tableau: Tableau, step: Interval, u: Array, K: Array, last: float
    ) -> Stages | None:
        """The stages of step k by new factors; None, with `cause` set, if Newton's method fails."""
        hg = step.h * tableau.gamma
        base_t, base_u = base_point(tableau, step.first, u, K, hg)
        try:
            self.inverse = newton_factors(self.system, tableau, base_t, base_u, hg)
            if isinstance(self.inverse, CoupledInverse) and not self.system.steps_given:
                # Factor M − hγ J now. It may be singular although the matrix of all stages is
                # not; and the field may overwrite J later.
                _ = self.inverse.single
        except (SingularMatrix, NonFinite) as error:  # The caller may try a shorter step.
            self.stale, self.cause = True, error
            return None
        self.cause = None
        self.base, self.base_t, self.base_u, self.base_hg = k, base_t, base_u, hg
        self.stale = False
        self.contraction = ASSUMED_CONTRACTION
        try:
            return self._solved(tableau, step, u, K, last, ASSUMED_CONTRACTION, True)
        except NoConvergenceError as error:
            self.stale, self.cause = True, error
            return None

    def _solved(
        self,
        tableau: Tableau,
        step: Interval,
        u: Array,
        K: Array,
        last: float,
        contraction: float,
        fresh: bool,
    ) -> Stages:
        """The stages by the present factors; fresh: True if these were made for this step."""
        system, inverse = self.system, self.inverse
        if not tableau.coupled or inverse is None:
            return solved_stages(system, tableau, step, u, K, inverse, contraction, fresh)
        equation = step_equation(system, tableau, step, u, K, last)
        return solved_coupled_stages(equation, inverse, fresh)
