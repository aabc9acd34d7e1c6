"""The inverse of ∂R/∂u at the solution, by the factors with which Newton's method ended."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arrays import Array, Trans
from ..factor import Evidence, SingularMatrix
from ..span import Inverse
from .ending import Outcome
from .system import System

EPS = float(np.finfo(float).eps)
"""Times the condition of ∂R/∂u: the relative error that rounding alone may leave in a gradient."""


@dataclass(frozen=True, eq=False)
class AtSolution:
    """(∂R/∂u)⁻¹ at u with R(u, p) = 0.

    The Jacobian is assembled when a derivative is first asked for. Not Newton's last one: that belongs to the iterate
    before, and would leave an error of the last step's size in the gradient.
    """

    system: System
    outcome: Outcome

    @cached_property
    def _refined(self) -> Inverse:
        if self.outcome.current:
            return self.outcome.at.inverse
        return self.system.renewed(self.system.jacobian(self.outcome.u), self.outcome.at.inverse)

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k); see `Nearby.solve`. Raises SingularJacobian if ∂R/∂u is singular here."""
        try:
            return self._refined.solve(b, trans)
        except SingularMatrix as error:
            raise self.system.singular_at_solution(error) from error

    @property
    def evidence(self) -> Evidence:
        """Of the factors and of Newton's method."""
        evidence = (self._refined if "_refined" in self.__dict__ else self.outcome.at.inverse).evidence
        return replace(
            evidence,
            residual=self.outcome.residual,
            gradient_error=float(np.fmax(self.outcome.gradient_error, EPS * evidence.condition)),
            history=self.system.history.norms,
        )
