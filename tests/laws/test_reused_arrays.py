"""Physics that fills the same arrays again and again, grows without bound, or has no parameters."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array
from problems.steady.conduction import conduction


@dataclass(frozen=True, eq=False)
class Thrifty:
    """A residual that returns one and the same vector, and one and the same matrix.

    Each time filled anew.
    """

    right: adjoint.protocols.Residual
    kept: dict[str, Array] = field(default_factory=dict)

    def residual(self, u: Array, p: Array) -> Array:
        r = self.kept.setdefault("r", np.empty(u.size))
        r[:] = self.right.residual(u, p)
        return r

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        fresh = self.right.jacobian(u, p)
        J = self.kept.setdefault("J", fresh.copy())
        J.data[:] = fresh.data
        return J

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        return self.right.vjp(u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        return self.right.jvp(u, p, p_dot)


@pytest.mark.parametrize(
    "method",
    [adjoint.newton.Newton(), adjoint.newton.Newton(chord=0.5), adjoint.newton.Newton(rtol=1e-2)],
    ids=["tight", "chord", "loose"],
)
def test_physics_may_reuse_its_arrays(method):
    """Nonsymmetric: a matrix overwritten after it was factored would verify the wrong system."""
    problem = replace(conduction(9, 6), method=method)
    p = problem.residual.nominal
    w = np.random.default_rng(0).standard_normal(p.size)
    expected = problem.solve(p)
    solution = replace(problem, residual=Thrifty(problem.residual)).solve(p)
    np.testing.assert_array_equal(solution.u, expected.u)
    np.testing.assert_array_equal(solution.vjp(w), expected.vjp(w))


def test_forcing_survives_residuals_that_explode():
    forcing = adjoint.newton.EisenstatWalker()
    assert forcing.tolerance((1e-200, 1e200), 0.5) == forcing.largest
    assert forcing.tolerance((0.0, 1.0), 0.5) == forcing.largest
    assert forcing.tolerance((1.0, 1e-3), 1e-3) == pytest.approx(0.9e-6)


def test_problem_without_parameters_has_an_empty_gradient():
    residual = adjoint.complex_step_residual(
        lambda u, p: u**3 + u - np.arange(1.0, 5.0) + 0.1 * np.roll(u, 1), 4, 0
    )
    solution = adjoint.NonlinearProblem(residual, np.ones(4)).solve(np.zeros(0))
    assert np.abs(residual.residual(solution.u, solution.p)).max() <= 1e-13
    assert solution.vjp(np.ones(4)).shape == (0,)
    np.testing.assert_array_equal(solution.jvp(np.zeros(0)), np.zeros(4))
