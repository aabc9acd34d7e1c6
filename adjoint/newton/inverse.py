"""The inverse of ∂R/∂u at the solution, by the factors with which Newton's method ended."""

from dataclasses import dataclass, replace
from functools import cached_property

from ..arrays import Array, Trans
from ..factor import Evidence
from ..span import Inverse
from .ending import Outcome
from .system import System


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
        """The solution for b, (n,) or (n, k); see `Nearby.solve`."""
        return self._refined.solve(b, trans)

    @property
    def evidence(self) -> Evidence:
        """Of the factors and of Newton's method."""
        inverse = self._refined if "_refined" in self.__dict__ else self.outcome.at.inverse
        return replace(
            inverse.evidence,
            residual=self.outcome.residual,
            gradient_error=self.outcome.gradient_error,
            history=self.system.history.norms,
        )
