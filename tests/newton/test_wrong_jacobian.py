"""A Jacobian that is not the derivative finds a solution, slowly; its gradient would be wrong."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array
from problems.steady.bratu import bratu
from problems.steady.conduction import conduction


@dataclass(frozen=True, eq=False)
class Mistaken:
    """A residual whose Jacobian has one entry that is too large."""

    right: adjoint.protocols.Residual
    factor: float

    def residual(self, u: Array, p: Array) -> Array:
        return self.right.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        J = self.right.jacobian(u, p).copy()
        J.data[J.data.size // 2] *= self.factor
        return J

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        return self.right.vjp(u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        return self.right.jvp(u, p, p_dot)


@pytest.mark.parametrize(
    "make", [lambda: bratu(20, 13), lambda: conduction(12, 9)], ids=["Bratu", "conduction"]
)
@pytest.mark.parametrize(
    "globalization",
    [adjoint.newton.AffineInvariant(), adjoint.newton.LineSearch()],
    ids=lambda g: str(type(g)),
)
def test_linear_convergence_betrays_a_wrong_jacobian(make, globalization):
    problem = make()
    method = adjoint.newton.Newton(globalization=globalization)
    wrong = replace(problem, residual=Mistaken(problem.residual, 1.1), method=method)
    with pytest.raises(adjoint.errors.WrongJacobian, match="check_residual") as caught:
        wrong.solve(problem.residual.nominal)
    assert len(caught.value.history) >= 4
    right = replace(problem, residual=Mistaken(problem.residual, 1.0), method=method)
    assert np.isfinite(right.solve(problem.residual.nominal).u).all()
