"""Steepest descent and `minimize`: known rates and minima, and runs that go wrong."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, pairwise

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.optimize import Backtracking


@dataclass(eq=False)
class Quadratic:
    """f = ½ (x − a)ᵀ H (x − a).

    Remembers where it was evaluated, and where its gradient was asked for.
    """

    H: np.ndarray
    a: np.ndarray
    factor: np.ndarray | float = 1.0  # of the gradient that it claims
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.copy())
        return At(self, x, 0.5 * float((x - self.a) @ self.H @ (x - self.a)))


@dataclass(eq=False)
class At:
    f: Quadratic
    x: np.ndarray
    value: float

    @cached_property
    def gradient(self):
        self.f.gradients.append(self.x.copy())
        return self.f.factor * (self.f.H @ (self.x - self.f.a))


def never():
    return adjoint.Stopping(iterations=200, stationarity=0.0)


def test_monotone_descent_on_a_quadratic_contracts_as_steepest_descent_does():
    """Of condition κ: f contracts by 1 − κ⁻¹ or better each step, on the average.

    And with one value it never grows.
    """
    kappa = 20.0
    f = Quadratic(np.diag(np.linspace(1.0, kappa, 6)), np.arange(6.0))
    algorithm = adjoint.optimize.SteepestDescent(history=1)
    result = adjoint.minimize(f, np.zeros(6), algorithm)
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, f.a, atol=1e-4)
    values = [state.value for state in islice(adjoint.descend(f, np.zeros(6), algorithm), 61)]
    assert all(after <= before for before, after in pairwise(values))
    assert values[-1] <= f(np.zeros(6)).value * (1.0 - 1.0 / kappa) ** 60


def test_steepest_descent_in_the_right_inner_product_takes_one_step():
    """With M = H the direction is Newton's, and α = 1 its exact step."""
    H = np.diag([1.0, 100.0, 1e4])
    for inner in (
        adjoint.optimize.Weighted(H.diagonal()),
        adjoint.optimize.MassMatrix(sparse.csc_array(H)),
    ):
        algorithm = adjoint.optimize.SteepestDescent(inner, first_step=1.0)
        result = adjoint.minimize(Quadratic(H, np.ones(3)), np.zeros(3), algorithm)
        assert result.state.iteration == 1
        np.testing.assert_allclose(result.x, 1.0, rtol=1e-12)


def test_first_step_is_the_first_trial():
    f = Quadratic(np.eye(2), np.zeros(2))
    states = adjoint.descend(f, np.ones(2), adjoint.optimize.SteepestDescent(first_step=0.25))
    next(states)
    second = next(states)
    assert second.step == 0.25
    np.testing.assert_allclose(second.x, 0.75)
    assert second.rejected.size == 0


def test_iterations_do_not_grow_with_the_mesh_in_its_own_inner_product():
    """½‖u − a‖² in H¹: Euclidean steps see the condition of the stiffness matrix, those of H¹ do
    not.
    """
    iterations = {"euclidean": [], "H1": []}
    for n in (10, 20, 40):
        M = sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) / (6 * n)
        K = n * sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        H = sparse.csc_array(K + M)
        f = Quadratic(H.toarray(), np.exp(np.arange(1, n + 1) / (n + 1)))
        for name, inner in (
            ("euclidean", adjoint.optimize.Euclidean()),
            ("H1", adjoint.optimize.MassMatrix(H)),
        ):
            stop = adjoint.Stopping(iterations=5000, stationarity=1e-6)
            result = adjoint.minimize(
                f, np.zeros(n), adjoint.optimize.SteepestDescent(inner, first_step=0.7), stop=stop
            )
            assert result.status is adjoint.Status.STATIONARY
            iterations[name].append(result.state.iteration)
    assert max(iterations["H1"]) == min(iterations["H1"])
    assert (
        iterations["euclidean"][2] > 3 * iterations["euclidean"][0]
    )  # by the square root of the condition, n


@pytest.mark.parametrize("lower", [0.0, np.array([0.0, 0.5, -np.inf])])
def test_bounded_descent_finds_the_projected_minimum(lower):
    f = Quadratic(np.diag([1.0, 3.0, 7.0]), np.array([-1.0, 0.3, 2.0]))
    bounds = adjoint.Bounds(lower, 1.0)
    result = adjoint.minimize(f, np.full(3, 0.9), adjoint.optimize.SteepestDescent(bounds=bounds))
    np.testing.assert_allclose(result.x, bounds.clip(f.a), atol=1e-5)
    assert result.status is adjoint.Status.STATIONARY
    assert all(np.all(x == bounds.clip(x)) for x in f.gradients)


def test_accepted_steps_satisfy_armijo_and_rejected_ones_pay_no_gradient():
    f = Quadratic(np.diag([1.0, 50.0]), np.zeros(2))
    algorithm = adjoint.optimize.SteepestDescent(
        search=Backtracking(c1=0.3), first_step=10.0, history=2
    )
    states = adjoint.descend(f, np.array([1.0, 1.0]), algorithm)
    before = next(states)
    rejected, values = 0, [before.value]
    for _ in range(5):
        after = next(states)
        assert after.value <= max(values[-2:]) + 0.3 * before.gradient @ (after.x - before.x)
        values.append(after.value)
        assert all(value > after.value for value in after.rejected)
        rejected += len(after.rejected)
        before = after
    assert rejected >= 5
    assert len(f.evaluations) == 6 + rejected
    assert len(f.gradients) == 6


def test_failed_solve_at_a_trial_point_shortens_the_step():
    """(p − 2) u = 1, J = −½ (u − 1)²: from p = 1.5, where dJ/dp = −12, the first trial is p = 2,
    singular.
    """
    A = adjoint.Affine(
        -2.0 * sparse.eye_array(1, format="csc"), [sparse.eye_array(1, format="csc")]
    )
    f = adjoint.Reduced(adjoint.LinearProblem(A, np.ones(1)), adjoint.LeastSquares(np.array([1.0])))
    start = np.array([1.5])
    slope = f(start).gradient[0]
    assert slope == pytest.approx(12.0)
    algorithm = adjoint.optimize.SteepestDescent(first_step=0.5 / 12.0)
    with pytest.raises(adjoint.errors.SingularMatrix):
        f(np.array([2.0]))
    states = adjoint.descend(f.of(adjoint.Sum([f.objective], [-1.0])), start, algorithm)
    next(states)
    after = next(states)
    assert np.isnan(after.rejected[0])
    assert 1.5 < after.x[0] < 2.0


@pytest.mark.parametrize("wrong", [-1.0, 2.0, 1.01, np.array([1.0, 1.0, 0.0, 1.0]), 0.0], ids=str)
def test_wrong_gradient_is_refused_before_the_first_step(wrong):
    f = Quadratic(np.diag([1.0, 2.0, 3.0, 4.0]), np.zeros(4), factor=wrong)
    with pytest.raises(adjoint.errors.WrongGradient, match=r"the gradient gives .* adjoint\.check"):
        adjoint.minimize(f, np.array([1.0, -2.0, 0.5, 3.0]), adjoint.optimize.SteepestDescent())
    assert len(f.gradients) == 1


def test_unchecked_wrong_gradient_ends_stuck_and_not_converged():
    f = Quadratic(np.eye(3), np.zeros(3), factor=-1.0)
    stop = adjoint.Stopping(change=1e-3)
    result = adjoint.minimize(
        f, np.ones(3), adjoint.optimize.SteepestDescent(), stop=stop, check=False
    )
    assert result.status is adjoint.Status.STUCK
    assert "gradient is wrong" in result.status.value
    np.testing.assert_array_equal(result.x, 1.0)


def test_start_at_the_solution_is_stationary_at_once():
    f = Quadratic(np.eye(3), np.ones(3))
    result = adjoint.minimize(f, np.ones(3), adjoint.optimize.SteepestDescent())
    assert (result.status, result.state.iteration, result.value) == (
        adjoint.Status.STATIONARY,
        0,
        0.0,
    )


def test_objective_that_becomes_nan_is_named_at_the_start_and_backtracked_from_later():
    @dataclass(frozen=True)
    class Log:
        def value(self, u, p):
            with np.errstate(invalid="ignore"):
                return float(np.log(u[0]) + u[0] ** 2)

        def gradients(self, u, p):
            return 1.0 / u + 2.0 * u, np.zeros_like(p)

    b = adjoint.matrices.AffineVector(np.zeros(1), np.eye(1))
    f = adjoint.Reduced(adjoint.LinearProblem(sparse.eye_array(1), b), Log())
    with pytest.raises(adjoint.errors.NonFinite, match="Log is nan"):
        adjoint.minimize(f, np.array([-1.0]), adjoint.optimize.SteepestDescent())
    states = adjoint.descend(f, np.array([1.0]), adjoint.optimize.SteepestDescent(first_step=1.0))
    next(states)
    after = next(states)
    assert np.isnan(after.rejected[0])
    assert 0.0 < after.x[0] < 1.0


def test_statuses_are_sentences():
    assert all(
        status.value.endswith(".") and len(status.value.split()) >= 4 for status in adjoint.Status
    )


def test_budget_ends_a_run():
    f = Quadratic(np.diag([1.0, 1e4]), np.zeros(2))
    result = adjoint.minimize(
        f, np.ones(2), adjoint.optimize.SteepestDescent(), stop=adjoint.Stopping(iterations=3)
    )
    assert (result.status, result.iterations) == (adjoint.Status.ITERATIONS, 3)


@pytest.mark.parametrize("where", ["each", "f"])
def test_keyboard_interrupt_returns_the_last_state(where):
    inner, calls = Quadratic(np.diag([1.0, 1e4]), np.zeros(2)), []

    def f(x):
        calls.append(x)
        if where == "f" and len(calls) > 8:
            raise KeyboardInterrupt
        return inner(x)

    def each(state):
        if where == "each" and state.iteration == 2:
            raise KeyboardInterrupt

    result = adjoint.minimize(f, np.ones(2), adjoint.optimize.SteepestDescent(), callback=each)
    assert result.status is adjoint.Status.INTERRUPTED
    assert result.value == inner(result.x).value
    assert result.value < inner(np.ones(2)).value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adjoint.Bounds(1.0, 0.0), "exceeds"),
        (lambda: adjoint.Bounds(np.nan, 0.0), "exceeds"),
        (lambda: adjoint.optimize.Weighted(np.array([1.0, 0.0])), "positive"),
        (lambda: adjoint.Stopping(iterations=0), "at least one iteration"),
        (lambda: adjoint.Stopping(change=np.nan), "tolerances"),
        (lambda: Backtracking(c1=0.0), "0 < c1"),
        (lambda: Backtracking(trials=0), "at least one trial"),
        (lambda: adjoint.optimize.SteepestDescent(first_step=-1.0), "positive number"),
        (lambda: adjoint.optimize.SteepestDescent(history=0), "at least 1 value"),
        (
            lambda: adjoint.optimize.SteepestDescent(
                adjoint.optimize.MassMatrix(sparse.eye_array(2)), adjoint.Bounds(0.0, 1.0)
            ),
            "projection onto bounds is not a clip",
        ),
        (
            lambda: adjoint.optimize.OptimalityCriteria(
                adjoint.optimize.LinearConstraint(np.ones(2), 1.0), move=0.0
            ),
            "move > 0",
        ),
        (
            lambda: adjoint.optimize.OptimalityCriteria(
                adjoint.optimize.LinearConstraint(np.ones(2), -1.0)
            ),
            "positive",
        ),
        (
            lambda: adjoint.optimize.DesignConstraint.volume(
                adjoint.design.SIMP(), np.ones(3), 0.0
            ),
            "0 < fraction",
        ),
        (
            lambda: adjoint.optimize.DesignConstraint.volume(
                adjoint.design.SIMP(), -np.ones(3), 0.5
            ),
            "v > 0",
        ),
        (
            lambda: adjoint.optimize.SteepestDescent(bounds=adjoint.Bounds(0.0, 1.0)).start(
                None, np.full(2, 2.0)
            ),
            "clip it first",
        ),
        (
            lambda: adjoint.optimize.OptimalityCriteria(
                adjoint.optimize.LinearConstraint(np.ones(2), 1.0)
            ).start(None, np.full(2, 2.0)),
            "clip it first",
        ),
        (
            lambda: adjoint.optimize.OptimalityCriteria(
                adjoint.optimize.LinearConstraint(np.array([1.0, 0.0]), 1.0)
            ).start(Quadratic(np.eye(2), np.zeros(2)), np.full(2, 0.5)),
            "positive entries everywhere",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
