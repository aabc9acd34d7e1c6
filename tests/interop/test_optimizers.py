"""Other packages' optimizers behind our `Result`: known minima, shared solves, honest statuses."""

import importlib.util
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pytest
import scipy.sparse as sparse

from adjoint import SolveError
from adjoint.errors import WrongGradient
from adjoint.interop import minimize
from adjoint.interop.scipy import LBFGSB, SLSQP, LeastSquares, TrustConstr
from adjoint.optimize import (
    Bounds,
    Euclidean,
    FunctionConstraint,
    LinearConstraint,
    MassMatrix,
    Status,
    Stopping,
    Weighted,
)
from tests.fixtures.optimizers import N, Smooth

HAVE = {name: importlib.util.find_spec(name) is not None for name in ("nlopt", "cyipopt")}


def nlopt_method(name, **settings):
    import nlopt

    from adjoint.interop.nlopt import NLopt

    return NLopt(getattr(nlopt, name), **settings)


def ipopt_method(**settings):
    from adjoint.interop.ipopt import Ipopt

    return Ipopt(**settings)


FREE = {
    "L-BFGS-B": LBFGSB,
    "trust-constr": TrustConstr,
    "trust-constr, Hessian products": lambda **settings: TrustConstr(hessian=True, **settings),
    "SLSQP": SLSQP,
    "NLopt MMA": lambda **settings: nlopt_method("LD_MMA", **settings),
    "NLopt L-BFGS": lambda **settings: nlopt_method("LD_LBFGS", **settings),
    "Ipopt": lambda **settings: ipopt_method(**settings),
}
CONSTRAINED = {name: FREE[name] for name in ("trust-constr", "SLSQP", "NLopt MMA", "Ipopt")}


def made(makers, name, **settings):
    for package, word in (("nlopt", "NLopt"), ("cyipopt", "Ipopt")):
        if name.startswith(word) and not HAVE[package]:
            pytest.skip(f"{package} is not installed")
    return makers[name](**settings)


STOP = Stopping(iterations=2000, stationarity=1e-7)


@pytest.mark.parametrize("name", FREE)
def test_the_minimum_is_found_and_called_converged_by_our_own_measure(name):
    f = Smooth(N)
    result = minimize(f, np.zeros(N), made(FREE, name), stop=STOP)
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, f.a, atol=1e-5)


@pytest.mark.parametrize("name", FREE)
def test_no_point_is_solved_twice(name):
    f = Smooth(N)
    minimize(f, np.zeros(N), made(FREE, name), stop=STOP, check=False)
    assert len(set(f.evaluations)) == len(f.evaluations)
    assert len(set(f.gradients)) == len(f.gradients)


@pytest.mark.parametrize("name", [name for name in FREE if name != "NLopt L-BFGS"])
def test_bounds_hold(name):
    f, bounds = Smooth(N), Bounds(-0.5, 0.7)
    result = minimize(f, np.zeros(N), made(FREE, name, bounds=bounds), stop=STOP)
    assert result.status is Status.STATIONARY
    assert bounds.holds(result.x)
    exact = minimize(f, np.zeros(N), LBFGSB(bounds=bounds), stop=STOP)
    np.testing.assert_allclose(result.x, exact.x, atol=1e-5)


class Beam:
    """0.0624 Σ x_i (Svanberg 1987, the five-segment cantilever)."""

    def __call__(self, x):
        return Valued(x, 0.0624 * float(x.sum()), np.full(5, 0.0624))


@dataclass
class Valued:
    x: np.ndarray
    value: float
    gradient: np.ndarray


def deflection(x):
    c = np.array([61.0, 37.0, 19.0, 7.0, 1.0])
    return Valued(x, float((c / x**3).sum()), -3.0 * c / x**4)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_svanbergs_beam(name):
    method = made(
        CONSTRAINED,
        name,
        constraints=(FunctionConstraint(deflection, 1.0),),
        bounds=Bounds(1.0, 10.0),
    )
    # NLopt tells no iterates, only evaluations: the last better one leaves a larger KKT residual.
    stop = Stopping(stationarity=1e-3 if name.startswith("NLopt") else 1e-6)
    result = minimize(Beam(), np.full(5, 5.0), method, stop=stop)
    assert result.status is Status.STATIONARY
    assert result.value == pytest.approx(1.339956360599, rel=2e-6)
    assert result.state.violation <= 1e-6
    assert result.state.multipliers[0] > 0.1


@pytest.mark.parametrize("name", [name for name in CONSTRAINED if name != "NLopt MMA"])
def test_equality_constraints(name):
    """The nearest point of the plane Σ x_i = 1 to the origin."""
    f = lambda x: Valued(x, 0.5 * float(x @ x), x)  # noqa: E731
    method = made(CONSTRAINED, name, equalities=(LinearConstraint(np.ones(4), 1.0),))
    result = minimize(f, np.array([1.0, 2.0, 3.0, 4.0]), method, stop=Stopping(stationarity=1e-7))
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, 0.25, atol=1e-6)


@dataclass(eq=False)
class Decay:
    """½‖x₀ e^(−x₁ t) − d‖²."""

    x: np.ndarray
    t = np.linspace(0.0, 3.0, 20)

    @cached_property
    def residual(self):
        return (
            self.x[0] * np.exp(-self.x[1] * self.t)
            - 2.0 * np.exp(-0.7 * self.t)
            - 0.01 * np.cos(5.0 * self.t)
        )

    @cached_property
    def J(self):
        e = np.exp(-self.x[1] * self.t)
        return np.stack([e, -self.x[0] * self.t * e], axis=1)

    @cached_property
    def value(self):
        return 0.5 * float(self.residual @ self.residual)

    @cached_property
    def gradient(self):
        return self.J.T @ self.residual

    def jvp_residual(self, v):
        return self.J @ v

    def vjp_residual(self, w):
        return self.J.T @ w


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize(
    "bounds", [Bounds(), Bounds(0.0, np.array([10.0, 0.5]))], ids=["free", "bounded"]
)
def test_least_squares(dense, bounds):
    result = minimize(
        Decay, np.array([1.0, 0.2]), LeastSquares(bounds=bounds, dense=dense), stop=STOP
    )
    exact = minimize(Decay, np.array([1.0, 0.2]), LBFGSB(bounds=bounds), stop=STOP)
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, exact.x, rtol=1e-4)


# The variables are those of the inner product; the gradient is never mapped.


def product(name):
    i = np.arange(N)
    if name == "weighted":
        return Weighted(10.0 ** (i / 4.0 - 1.0))
    return MassMatrix(sparse.csc_array(np.diag(2.0 + i) + 0.9 * (np.abs(i[:, None] - i) == 1)))


@pytest.mark.parametrize("name", ["L-BFGS-B", "trust-constr, Hessian products", "SLSQP", "Ipopt"])
@pytest.mark.parametrize("inner", ["weighted", "mass matrix"])
def test_an_inner_product_changes_the_variables_and_not_the_minimum(name, inner):
    f = Smooth(N)
    result = minimize(f, np.zeros(N), made(FREE, name, inner=product(inner)), stop=STOP)
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, f.a, atol=1e-4)


def test_the_right_inner_product_makes_a_quadratic_round():
    """With M = H the variables see a sphere: one step."""
    H = np.diag(10.0 ** np.arange(6.0))
    f = lambda x: Valued(x, 0.5 * float(x @ H @ x) - float(x.sum()), H @ x - 1.0)  # noqa: E731
    iterations = {}
    for inner in (Euclidean(), Weighted(H.diagonal()), MassMatrix(sparse.csc_array(H))):
        result = minimize(
            f, np.zeros(6), LBFGSB(inner=inner), stop=Stopping(stationarity=1e-8, iterations=500)
        )
        iterations[type(inner).__name__] = result.iterations
    assert iterations["Weighted"] <= 3
    assert iterations["MassMatrix"] <= 3
    assert iterations["Euclidean"] > 10


def test_bounds_need_a_diagonal_inner_product():
    with pytest.raises(ValueError, match="not bounds on single variables"):
        minimize(
            Smooth(N), np.zeros(N), LBFGSB(bounds=Bounds(0.0, 1.0), inner=product("mass matrix"))
        )


# Nothing is called a success that is none.


@dataclass(eq=False)
class Failing:
    """Smooth, until the given evaluation fails in the given way."""

    last: int
    outcome: str
    calls: int = 0

    def __call__(self, x):
        self.calls += 1
        point = Smooth(N)(x)
        if self.calls <= self.last:
            return point
        if self.outcome == "raises":
            raise SolveError("the solver failed")
        return Valued(x, np.nan if self.outcome == "nan" else point.value, np.full(N, np.nan))


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("outcome", ["raises", "nan", "gradient"])
def test_failures_on_the_way_end_the_run_with_the_best_point(name, outcome):
    result = minimize(Failing(6, outcome), np.zeros(N), made(FREE, name), stop=STOP, check=False)
    assert result.status is Status.FAILED
    assert np.isfinite(result.value)
    assert not result.success


@pytest.mark.parametrize("name", FREE)
def test_a_wrong_gradient_stops_before_the_first_step(name):
    f = Smooth(N)
    wrong = lambda x: Valued(x, f(x).value, -f(x).gradient)  # noqa: E731
    with pytest.raises(WrongGradient):
        minimize(wrong, np.zeros(N), made(FREE, name), stop=STOP)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_constraints_that_cannot_be_met_are_no_success(name):
    below, above = LinearConstraint(np.ones(N), -1.0), LinearConstraint(-np.ones(N), -1.0)
    method = made(CONSTRAINED, name, constraints=(below, above), bounds=Bounds(-5.0, 5.0))
    result = minimize(Smooth(N), np.zeros(N), method, stop=Stopping(iterations=200))
    assert not result.success


@pytest.mark.parametrize("name", FREE)
def test_budgets_and_interruptions_end_the_run(name):
    result = minimize(
        Smooth(N), np.zeros(N), made(FREE, name), stop=Stopping(iterations=3, stationarity=1e-14)
    )
    assert (result.status, result.iterations) == (Status.ITERATIONS, 3)

    def each(state):
        if state.iteration == 2:
            raise KeyboardInterrupt

    result = minimize(Smooth(N), np.zeros(N), made(FREE, name), stop=STOP, callback=each)
    assert result.status is Status.INTERRUPTED


@pytest.mark.parametrize("constraints", [(), (LinearConstraint(np.ones(2), 1.0),)])
def test_a_refused_step_of_a_trust_region_is_no_iterate(constraints):
    """SciPy reports the design after each trial, also where it has not changed: a change of zero
    is no convergence.
    """
    f, states = Rosenbrock(), []
    stop = Stopping(change=1e-8, iterations=400)
    result = minimize(
        f,
        np.array([-1.2, 1.0]),
        TrustConstr(constraints),
        stop=stop,
        check=False,
        callback=states.append,
    )
    expected = [0.618795623, 0.381204377] if constraints else [1.0, 1.0]
    np.testing.assert_allclose(result.x, expected, atol=1e-3)
    assert all(state.change > 0.0 for state in states)
    assert len(f.evaluations) == len(set(f.evaluations))


@dataclass(eq=False)
class Rosenbrock:
    """100 (x₂ − x₁²)² + (1 − x₁)²; remembers where it was evaluated."""

    evaluations: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.tobytes())
        return RosenbrockPoint(x)


@dataclass(eq=False)
class RosenbrockPoint:
    x: np.ndarray

    @property
    def value(self):
        return float(100.0 * (self.x[1] - self.x[0] ** 2) ** 2 + (1.0 - self.x[0]) ** 2)

    @property
    def gradient(self):
        gap = self.x[1] - self.x[0] ** 2
        return np.array([-400.0 * self.x[0] * gap - 2.0 * (1.0 - self.x[0]), 200.0 * gap])


def test_nlopt_takes_only_algorithms_with_gradients():
    if not HAVE["nlopt"]:
        pytest.skip("nlopt is not installed")
    with pytest.raises(ValueError, match="uses gradients"):
        nlopt_method("LN_COBYLA")
