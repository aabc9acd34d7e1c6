"""A run called converged has converged: in different units, with wrong gradients, resumed."""

import numpy as np
import pytest

import adjoint
from adjoint import Status, Stopping
from adjoint.errors import RestartError, WrongGradient
from adjoint.optimize import Bounds, FunctionConstraint, ScalarFunction

SIZES = np.array([1e-9, 1e5])


def uneven(x):
    return float((((x / SIZES) - np.array([3.0, 2.0])) ** 2).sum())


def slope(x):
    return 2.0 * (x / SIZES - np.array([3.0, 2.0])) / SIZES


UNEVEN = ScalarFunction(uneven, slope, lambda x, v: 2.0 * v / SIZES**2)
ALGORITHMS = [
    adjoint.optimize.LBFGS,
    adjoint.optimize.BFGS,
    adjoint.optimize.NewtonCG,
    adjoint.optimize.SteepestDescent,
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_variable_that_is_not_moved_beside_one_in_another_unit_is_no_convergence(algorithm):
    result = adjoint.minimize(UNEVEN, SIZES.copy(), algorithm())
    assert not result.success or uneven(result.x) <= 1e-6
    assert result.status in (Status.UNEVEN, Status.STUCK) or result.success


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_units_in_the_inner_product_mend_it(algorithm):
    result = adjoint.minimize(
        UNEVEN, SIZES.copy(), algorithm(inner=adjoint.optimize.Weighted(1.0 / SIZES**2))
    )
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x / SIZES, [3.0, 2.0], rtol=1e-4)


@pytest.mark.parametrize("start", [1.0 + 1e-7, 1.0 - 1e-3, 1e-6, -3.0, 1e6])
def test_runs_in_one_unit_are_confirmed_wherever_they_begin(start):
    f = ScalarFunction(lambda x: float(((x - 1.0) ** 2).sum()) + 7.0, lambda x: 2.0 * (x - 1.0))
    assert adjoint.minimize(f, np.full(5, start), adjoint.optimize.LBFGS()).success


def ball(x):
    return float(x[0] ** 2 + 3.0 * x[1] ** 2)


@pytest.mark.parametrize(
    "gradient", [[2.0, 3.0], [2.0, -6.0], [0.0, 6.0]], ids=["half", "sign", "missing"]
)
@pytest.mark.parametrize("algorithm", [adjoint.optimize.MMA, adjoint.optimize.GCMMA])
def test_a_wrong_gradient_of_a_constraint_stops_before_the_first_step(gradient, algorithm):
    c = FunctionConstraint(ScalarFunction(ball, lambda x: np.array(gradient) * x), 1.0)
    f = ScalarFunction(lambda x: float(((x - 2.0) ** 2).sum()), lambda x: 2.0 * (x - 2.0))
    with pytest.raises(WrongGradient, match="constraint 0"):
        adjoint.minimize(f, np.array([0.4, 0.4]), algorithm((c,), Bounds(-3.0, 3.0)))


def test_a_right_gradient_of_a_constraint_is_let_pass():
    c = FunctionConstraint(ScalarFunction(ball, lambda x: np.array([2.0, 6.0]) * x), 1.0)
    f = ScalarFunction(lambda x: float(((x - 2.0) ** 2).sum()), lambda x: 2.0 * (x - 2.0))
    result = adjoint.minimize(
        f, np.array([0.4, 0.4]), adjoint.optimize.MMA((c,), Bounds(-3.0, 3.0))
    )
    assert result.success
    assert ball(result.x) == pytest.approx(1.0, abs=1e-6)


def test_a_file_of_another_objective_is_refused(tmp_path):
    file, stop = tmp_path / "run.npz", Stopping(iterations=2, stationarity=1e-12)
    fs = [
        ScalarFunction(lambda x, a=a: a * float((x**4).sum()), lambda x, a=a: 4.0 * a * x**3)
        for a in (1.0, 2.0)
    ]
    adjoint.minimize(fs[0], np.ones(3), adjoint.optimize.LBFGS(), stop=stop, restart=file)
    with pytest.raises(RestartError, match="of another objective"):
        adjoint.minimize(
            fs[1], np.ones(3), adjoint.optimize.LBFGS(), stop=stop, restart=file, resume=True
        )


def test_the_cause_of_a_failed_run_is_told():
    calls = [0]

    def value(x):
        calls[0] += 1
        if calls[0] > 5:
            raise adjoint.SolveError("no licence")
        return float((x**2).sum())

    f = ScalarFunction(value, lambda x: 2.0 * x)
    result = adjoint.minimize(f, np.ones(3), adjoint.optimize.SteepestDescent())
    assert result.status is Status.FAILED
    assert "no licence" in str(result.cause)
