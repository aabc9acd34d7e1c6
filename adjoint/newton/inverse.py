"""The inverse of ∂R/∂u at a solution, by the last factors of Newton's method."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import SingularMatrix
from ..factor.evidence import Evidence
from ..protocols import Inverse
from ..typing import Array, Trans
from .convergence import Outcome
from .failures import singular_at_solution
from .system import System

EPS = float(np.finfo(float).eps)
"""The machine precision ε. The condition number of ∂R/∂u times ε is the relative error of
a gradient that rounding may cause."""


@dataclass(eq=False)
class InverseAtSolution:
    """The inverse of ∂R/∂u at a solution u of R(u, p) = 0.

    The Jacobian at u is assembled for the first derivative, and the object remembers
    its inverse. Newton's last Jacobian is not used, because that Jacobian belongs to
    the iterate before, and would leave an error of the size of the last step in the
    gradient.
    """

    system: System
    outcome: Outcome
    _inverse: Inverse | None = field(default=None, init=False, repr=False)

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Return (∂R/∂u)⁻¹ b for b (n,) or (n, k); for other `trans`, see `RefinedInverse.solve`.

        Raise SingularJacobian if ∂R/∂u is singular at u.
        """
        try:
            return self._at_solution().solve(b, trans)
        except SingularMatrix as error:
            raise singular_at_solution(error, self.system.history) from error

    def _at_solution(self) -> Inverse:
        if self._inverse is None:
            at, u = self.outcome.at, self.outcome.u
            self._inverse = (
                at.inverse
                if self.outcome.current
                else self.system.refined(self.system.jacobian(u), at.inverse)
            )
        return self._inverse

    @property
    def evidence(self) -> Evidence:
        """The evidence of the factors, together with the evidence of Newton's method."""
        inverse = self.outcome.at.inverse if self._inverse is None else self._inverse
        evidence = inverse.evidence
        return replace(
            evidence,
            residual=self.outcome.residual,
            gradient_error=float(np.fmax(self.outcome.gradient_error, EPS * evidence.condition)),
            history=self.system.history.norms,
        )
