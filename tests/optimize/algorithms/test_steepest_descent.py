"""Steepest descent: Barzilai–Borwein steps in any inner product, the nonmonotone search."""

from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.linalg import eigh
from scipy.optimize import lsq_linear

import adjoint
from adjoint.optimize import Backtracking
from adjoint.optimize.algorithms.steepest_descent import FAR, GROWTH, LONGEST, BarzilaiBorwein

N = 8
RNG = np.random.default_rng(0)
ROOT = RNG.standard_normal((N, N))
HESSIAN = ROOT.T @ np.diag(np.geomspace(1.0, 300.0, N)) @ ROOT
M = 3.0 * np.eye(N) + sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(N, N)).toarray()
LENGTHS = RNG.uniform(0.5, 20.0, N)
INNER = {
    "Euclidean": (adjoint.optimize.Euclidean(), np.eye(N)),
    "weighted": (adjoint.optimize.Weighted(LENGTHS), np.diag(LENGTHS)),
    "mass matrix": (adjoint.optimize.MassMatrix(sparse.csc_array(M)), M),
}
every_product = pytest.mark.parametrize("name", INNER)


@dataclass(eq=False)
class At:
    """f at x by plain functions; counts the gradients asked for."""

    x: np.ndarray
    value: float
    slope: object
    asked: list

    @property
    def gradient(self):
        self.asked.append(self.x.copy())
        return self.slope(self.x)


@dataclass(eq=False)
class Plain:
    """A function and its derivative; remembers where either was asked for."""

    value: object
    slope: object
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.copy())
        return At(x, self.value(x), self.slope, self.gradients)


def quadratic(H=HESSIAN, a=None):
    a = np.ones(len(H)) if a is None else a
    return Plain(lambda x: 0.5 * float((x - a) @ H @ (x - a)), lambda x: H @ (x - a))


def states(f, x, algorithm, count):
    """The first states, none after the ending."""
    found = []
    for state in islice(adjoint.descend(f, x, algorithm), count):
        found.append(state)
        if state.ending is not None:
            break
    return found


@every_product
def test_steps_are_inverse_means_of_the_eigenvalues_in_the_inner_product(name):
    """1/α₁ = ⟨s, Hs⟩/⟨s, Ms⟩ and 1/α₂ = ⟨Hs, M⁻¹Hs⟩/⟨s, Hs⟩: of H v = λ M v."""
    inner, dense = INNER[name]
    eigenvalues = eigh(HESSIAN, dense, eigvals_only=True)
    algorithm = adjoint.optimize.SteepestDescent(inner, steps=BarzilaiBorwein(threshold=0.0))
    run = states(quadratic(), np.zeros(N), algorithm, 12)
    for before, after in pairwise(run):
        s, y = after.x - before.x, after.gradient - before.gradient
        long, brief = s @ dense @ s / (s @ y), s @ y / (y @ np.linalg.solve(dense, y))
        assert after.memory["alpha"].item() == pytest.approx(long, rel=1e-9)
        assert after.memory["short"][-1] == pytest.approx(brief, rel=1e-9)
        assert 1.0 / eigenvalues[-1] <= brief * (1 + 1e-9)
        assert brief <= long * (1 + 1e-9)
        assert long <= 1.0 / eigenvalues[0] * (1 + 1e-9)


@every_product
def test_steps_in_an_inner_product_are_euclidean_ones_in_its_variables(name):
    """With z = Rᵀx and M = R Rᵀ: the iterates of f(R⁻ᵀz) in the Euclidean product are Rᵀ times
    those of f in M.
    """
    inner, _ = INNER[name]
    root, f = inner.root, quadratic()
    in_z = Plain(lambda z: f.value(root.to_x(z)), lambda z: root.pull(f.slope(root.to_x(z))))
    ours = states(f, np.zeros(N), adjoint.optimize.SteepestDescent(inner, first_step=1e-3), 12)
    theirs = states(in_z, np.zeros(N), adjoint.optimize.SteepestDescent(first_step=1e-3), 12)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(root.to_z(one.x), other.x, rtol=1e-6, atol=1e-9)
        assert one.stationarity == pytest.approx(other.stationarity, rel=1e-5)
        assert len(one.rejected) == len(other.rejected)


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
def test_two_variables_converge_superlinearly(condition):
    """Barzilai & Borwein (1988), section 3: R-superlinear, where exact steps would contract by
    (κ−1)/(κ+1).
    """
    f = quadratic(np.diag([1.0, condition]))
    algorithm = adjoint.optimize.SteepestDescent(steps=BarzilaiBorwein(threshold=0.0))
    run = states(f, np.zeros(2), algorithm, 30)
    assert min(state.stationarity for state in run) <= 1e-10 * run[0].stationarity


def test_short_steps_where_long_ones_leave_large_eigenvalues():
    """ABBmin: fewer iterations than with the long step alone, over quadratics of condition 10⁴."""
    totals = []
    for threshold in (0.0, BarzilaiBorwein().threshold):
        algorithm = adjoint.optimize.SteepestDescent(steps=BarzilaiBorwein(threshold=threshold))
        total = 0
        for seed in range(5):
            spectrum = 10.0 ** np.random.default_rng(seed).uniform(0.0, 4.0, 40)
            result = adjoint.minimize(
                quadratic(np.diag(spectrum)), np.zeros(40), algorithm, check=False
            )
            assert result.status is adjoint.Status.STATIONARY
            total += result.iterations
        totals.append(total)
    assert totals[1] < totals[0]


@pytest.mark.parametrize("history", [1, 2, 10])
def test_no_value_exceeds_the_largest_of_the_last_ones(history):
    def rosenbrock(x):
        return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)

    def slope(x):
        valley = 200.0 * (x[1] - x[0] ** 2)
        return np.array([-2.0 * x[0] * valley - 2.0 * (1.0 - x[0]), valley])

    f = Plain(rosenbrock, slope)
    values = []
    result = adjoint.minimize(
        f,
        np.array([-1.2, 1.0]),
        adjoint.optimize.SteepestDescent(history=history),
        stop=adjoint.Stopping(stationarity=1e-8),
        callback=lambda state: values.append(state.value),
    )
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-5)
    for k, value in enumerate(values[1:], 1):
        assert value <= max(values[max(0, k - history) : k])
    assert np.any(np.diff(values) > 0.0) == (history > 1)


def test_each_trial_is_evaluated_once_and_only_accepted_ones_pay_a_gradient():
    f = quadratic()
    run = states(f, np.zeros(N), adjoint.optimize.SteepestDescent(history=1, first_step=1.0), 25)
    assert len({x.tobytes() for x in f.evaluations}) == len(f.evaluations) == run[-1].evaluations
    assert [x.tobytes() for x in f.gradients] == [state.x.tobytes() for state in run]
    assert sum(len(state.rejected) for state in run) > 0


def test_steps_grow_where_the_curvature_is_not_positive():
    """cos x falls from 0.1 to π, and is concave up to π/2."""
    f = Plain(lambda x: float(np.cos(x[0])), lambda x: -np.sin(x))
    run = states(f, np.array([0.1]), adjoint.optimize.SteepestDescent(first_step=1.0), 40)
    first = run[1]
    assert first.x[0] < np.pi / 2
    assert first.memory["alpha"].item() == GROWTH * first.step
    assert run[-1].value == pytest.approx(-1.0, abs=1e-12)


def test_step_lengths_stay_within_their_limits():
    steps = BarzilaiBorwein()
    none = np.zeros(0)
    assert steps(1.0, 1e-30, 1e-60, 1.0, none)[0] == FAR
    assert steps(1e-30, 1.0, 1e-20, 1.0, none)[0] == 1.0 / FAR
    assert steps(1.0, -1.0, 1.0, LONGEST, none)[0] == LONGEST
    assert steps(1.0, np.nan, 1.0, 2.0, none) == (GROWTH * 2.0, none)
    assert len(steps(1.0, 1.0, 1.0, 1.0, np.ones(9))[1]) == 9


@pytest.mark.parametrize(
    "value", [lambda x: -3.0 * float(x.sum()), lambda x: -float(np.log1p(x @ x))]
)
def test_falling_without_bound_overflows_nothing(value):
    def slope(x):
        return np.array([(value(x + h) - value(x - h)) / 2e-6 for h in 1e-6 * np.eye(2)])

    stop = adjoint.Stopping(iterations=300, stationarity=0.0)
    result = adjoint.minimize(
        Plain(value, slope), np.ones(2), adjoint.optimize.SteepestDescent(), stop=stop, check=False
    )
    assert not result.success
    assert np.isfinite(result.x).all()


def test_trials_that_fail_or_are_nan_shorten_the_step():
    """f = x − log x, nan for x ≤ 0; the first trial from x = 3 is far on the wrong side."""

    def value(x):
        return float(x[0] - np.log(x[0])) if x[0] > 0.0 else np.nan

    f = Plain(value, lambda x: 1.0 - 1.0 / x)
    run = states(f, np.array([3.0]), adjoint.optimize.SteepestDescent(first_step=50.0), 20)
    assert np.isnan(run[1].rejected).all()
    assert run[1].rejected.size >= 3
    assert run[-1].x[0] == pytest.approx(1.0, rel=1e-6)


def test_failures_at_every_trial_end_the_run_as_failed():
    def value(x):
        if x[0] != 1.0:
            raise adjoint.errors.SingularMatrix("as told")
        return 1.0

    f = Plain(value, lambda x: np.ones(1))
    algorithm = adjoint.optimize.SteepestDescent(search=Backtracking(trials=5))
    result = adjoint.minimize(f, np.ones(1), algorithm, check=False)
    assert result.status is adjoint.Status.FAILED
    assert result.state.rejected.size == 5
    assert np.isnan(result.state.rejected).all()


def test_stuck_state_holds_the_values_of_its_trials():
    f = quadratic()
    uphill = Plain(f.value, lambda x: -f.slope(x))
    algorithm = adjoint.optimize.SteepestDescent(search=Backtracking(trials=7))
    start, end = states(uphill, np.zeros(N), algorithm, 10)
    assert end.ending is adjoint.Status.STUCK
    assert end.rejected.tolist() == [f.value(x) for x in uphill.evaluations[1:]]
    assert end.evaluations == 8
    np.testing.assert_array_equal(end.x, start.x)
    assert len(uphill.gradients) == 1


def test_nothing_is_evaluated_where_the_gradient_is_zero():
    f = quadratic()
    run = states(f, np.ones(N), adjoint.optimize.SteepestDescent(), 3)
    assert [state.ending for state in run] == [None, adjoint.Status.STUCK]
    assert len(f.evaluations) == 1


@pytest.mark.parametrize("inner", ["Euclidean", "weighted"])
def test_bounded_minimum_is_that_of_the_least_squares_problem(inner):
    rng = np.random.default_rng(1)
    A, b = rng.standard_normal((20, N)), rng.standard_normal(20)
    exact = lsq_linear(A, b, (-0.1, 0.1), method="bvls", tol=1e-14).x
    assert np.sum(np.abs(exact) == 0.1) >= 2
    f = Plain(lambda x: 0.5 * float(np.sum((A @ x - b) ** 2)), lambda x: A.T @ (A @ x - b))
    bounds = adjoint.Bounds(-0.1, 0.1)
    algorithm = adjoint.optimize.SteepestDescent(INNER[inner][0], bounds)
    result = adjoint.minimize(
        f, np.full(N, 0.05), algorithm, stop=adjoint.Stopping(stationarity=1e-9)
    )
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, exact, rtol=1e-7, atol=1e-12)
    assert all(bounds.holds(x) for x in f.gradients)


def test_variables_that_stay_at_a_bound_do_not_shorten_the_step():
    """f = ½((x₀ − 1)² + 10⁶ (x₁ − 1)²), x₁ ≤ 0: with x₁ at its bound only the curvature 1 counts,
    for one step.
    """
    f = quadratic(np.diag([1.0, 1e6]))
    bounds = adjoint.Bounds(np.array([-9.0, -9.0]), np.array([9.0, 0.0]))
    run = states(
        f, np.array([0.0, 0.0]), adjoint.optimize.SteepestDescent(bounds=bounds, first_step=1e-3), 4
    )
    assert run[1].memory["short"][-1] == pytest.approx(1.0)
    np.testing.assert_allclose(run[2].x, [1.0, 0.0])


@pytest.mark.parametrize(
    "make", [lambda: BarzilaiBorwein(threshold=1.5), lambda: BarzilaiBorwein(recent=0)]
)
def test_rules_that_cannot_be_are_named(make):
    with pytest.raises(ValueError, match="expected a threshold from 0 to 1 and recent ≥ 1"):
        make()
