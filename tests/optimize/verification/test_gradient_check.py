"""`minimize` checks gradients before the first step: of all variables, by few evaluations."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import Status, Stopping
from adjoint.errors import WrongGradient
from adjoint.optimize import Bounds, ScalarFunction
from problems.steady.elasticity import mbb


def started(f, x, bounds=None, **settings):
    algorithm = adjoint.optimize.LBFGS(bounds=bounds or Bounds())
    with np.errstate(all="ignore"):  # The first step may be far too long.
        return adjoint.minimize(
            f, np.asarray(x, dtype=float), algorithm, stop=Stopping(iterations=1), **settings
        )


def shares(factor):
    """Π x_i^w_i: homogeneous.

    The gradient has the right g·x, and confuses the shares of the components in it.
    """

    def value(x):
        return float(np.exp(np.log(x) @ weights(x)))

    def weights(x):
        return np.linspace(0.2, 0.8, x.size)

    def gradient(x):
        w = weights(x)
        return value(x) * ((1.0 - factor) * w + factor * w.mean()) / x

    return ScalarFunction(value, gradient)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("m", [2, 3, 4, 8, 20])
def test_shares_that_are_confused_stop_a_run(m, unit):
    x = unit * np.linspace(2.0, 5.0, m)
    assert started(shares(0.0), x).status is not None
    with pytest.raises(WrongGradient, match="the gradient gives"):
        started(shares(1.0), x)


def test_a_spring_that_confuses_its_shares_stops_a_run():
    K = sparse.csc_array(np.array([[3.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 4.0]]))
    A = adjoint.Affine(None, [K, sparse.csc_array(np.diag([1.0, 4.0, 2.0]))])

    class Shared:
        def __call__(self, p):
            return A(p)

        def vjp(self, p, u, lam):
            return A.vjp(p, u, lam) @ p / 2.0 / p

        def jvp(self, p, u, p_dot):
            return A.jvp(p, u, p_dot)

    problem = adjoint.LinearProblem(Shared(), np.array([1.0, 2.0, 3.0]))
    f = adjoint.Reduced(problem, adjoint.LeastSquares(np.array([0.1, 0.2, 0.3])))
    with pytest.raises(WrongGradient):
        adjoint.minimize(f, np.array([2.0, 5.0]), adjoint.optimize.LBFGS())


def test_the_message_names_parameters_in_comparisons():
    """p₁ is a switching time: its derivative is silently zero."""

    def value(p):
        return float((p[0] - 1.0) ** 2 + (3.0 - p[1]) ** 2)

    f = ScalarFunction(value, lambda p: np.array([2.0 * (p[0] - 1.0), 0.0]))
    with pytest.raises(WrongGradient, match=r"comparisons only .*`if t > p\[2\]`.*breaks="):
        started(f, [0.5, 1.3])


@pytest.mark.parametrize("x", [[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [1e-12, 0.0, 1e12]])
@pytest.mark.parametrize("domain", ["everywhere", "x ≥ 0", "bounds"])
def test_a_derivative_that_is_wrong_where_a_variable_is_zero_stops_a_run(x, domain):
    x = np.array(x)
    size = np.where(x == 0.0, 1.0, x)
    bounds = Bounds(0.0, np.inf) if domain == "bounds" else Bounds()

    def value(x):
        y = x / size
        return (
            float((np.exp(-y) + y**2).sum()) if domain == "everywhere" or x.min() >= 0.0 else np.nan
        )

    def gradient(x):
        return (2.0 * x / size - np.exp(-x / size)) / size

    assert started(ScalarFunction(value, gradient), x, bounds).value <= value(x)
    i = int(np.flatnonzero(x == 0.0)[0])
    wrong = ScalarFunction(value, lambda x: gradient(x) * (np.arange(3) != i))
    with pytest.raises(WrongGradient):
        started(wrong, x, bounds)


@pytest.mark.parametrize(
    ("x", "bounds"),
    [
        ([0.0, 0.5, 1.0], Bounds(0.0, 1.0)),
        ([0.0, 0.0, 0.0], Bounds(0.0, 1.0)),
        ([1.0, 1.0, 1.0], Bounds(0.0, 1.0)),
        ([1e-12, 1e-9, 1.0], Bounds(0.0, np.inf)),
        ([1e-3, 1.0, 0.5], Bounds(1e-3, 1.0)),
        ([0.5, 0.5, 0.5], Bounds(0.5, 0.5)),
        ([0.0, 0.3, 1e12], Bounds(np.zeros(3), np.array([1e-12, 1.0, 1e12]))),
    ],
)
def test_starts_at_bounds_raise_no_false_alarm(x, bounds):
    """f is defined within the bounds only, and steep next to them."""

    def value(x):
        y = x / np.maximum(bounds.upper, x) if np.all(np.isfinite(bounds.upper)) else x
        return float((y**1.5 + np.exp(-3.0 * y)).sum()) if bounds.holds(x) else np.nan

    def gradient(x):
        size = (
            np.broadcast_to(bounds.upper, x.shape)
            if np.all(np.isfinite(bounds.upper))
            else np.ones(x.size)
        )
        y = x / size
        return (1.5 * np.sqrt(y) - 3.0 * np.exp(-3.0 * y)) / size

    assert started(ScalarFunction(value, gradient), x, bounds).status is not Status.FAILED


@pytest.mark.parametrize(("m", "most"), [(1, 4), (2, 4), (8, 4), (9, 4)])
def test_a_right_gradient_is_confirmed_in_four_evaluations(m, most):
    calls = []

    def value(x):
        calls.append(x.tobytes())
        return float(np.exp(x).sum())

    f, x = ScalarFunction(value, np.exp), np.linspace(0.5, 1.0, m)
    started(f, x, check=False)
    unchecked = len(calls)
    started(f, x)
    assert len(calls) - 2 * unchecked <= most


@pytest.mark.parametrize("steepness", [30.0, 300.0, 1000.0])
def test_a_function_that_is_steep_is_no_fault(steepness):
    f = ScalarFunction(
        lambda x: float(np.exp(steepness * x).sum()), lambda x: steepness * np.exp(steepness * x)
    )
    assert started(f, [0.3, 0.5]).iterations <= 1


@pytest.mark.parametrize("algorithm", [adjoint.optimize.MMA, adjoint.optimize.GCMMA])
@pytest.mark.parametrize("row", [[0.0, 6.0], [2.0, 6.06], [4.0, 3.0]])
def test_constraints_are_looked_at_along_both_directions(algorithm, row):
    f = ScalarFunction(lambda x: float(((x - 2.0) ** 2).sum()), lambda x: 2.0 * (x - 2.0))

    def constrained(row):
        value = ScalarFunction(
            lambda x: float(x[0] ** 2 + 3.0 * x[1] ** 2), lambda x: np.array(row) * x
        )
        c = adjoint.optimize.FunctionConstraint(value, 1.0)
        return algorithm((c,), Bounds(-3.0, 3.0))

    assert adjoint.minimize(f, np.array([0.4, 0.5]), constrained([2.0, 6.0])).success
    with pytest.raises(WrongGradient, match="constraint 0"):
        adjoint.minimize(f, np.array([0.4, 0.5]), constrained(row))


@pytest.mark.parametrize("minimum", [1e-9, 1e-3])
@pytest.mark.parametrize("penalty", [1.0, 2.5, 3.0])
@pytest.mark.parametrize("void", [range(5), range(0, 32, 5), range(3, 32, 7)])
def test_voids_raise_no_false_alarm(void, penalty, minimum):
    """Densities at their lower bound of zero, where nearly nothing holds a part: f changes by
    decades within 10⁻³.
    """
    f = mbb(8, 4).compliance(adjoint.design.SIMP(penalty, minimum=minimum))
    start = np.full(32, 0.5)
    start[list(void)] = 0.0
    algorithm = adjoint.optimize.OptimalityCriteria(
        adjoint.optimize.LinearConstraint(np.full(32, 1.0 / 32.0), 0.4), bounds=Bounds(0.0, 1.0)
    )
    result = adjoint.minimize(f, start, algorithm, stop=Stopping(iterations=1))
    assert result.iterations == 1


@pytest.mark.parametrize("factor", [0.0, 0.9, 1.01, -1.0])
def test_a_gradient_that_is_wrong_stays_so_at_shorter_steps(factor):
    f = ScalarFunction(lambda x: float(np.exp(x).sum()), lambda x: factor * np.exp(x))
    for x in ([0.3, 0.5], [0.0, 0.5], [1.0], np.linspace(0.1, 2.0, 12)):
        with pytest.raises(WrongGradient):
            started(f, x)
