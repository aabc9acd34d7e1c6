"""The problems of Moré, Garbow & Hillstrom: exact derivatives, published values."""

import json

import numpy as np
import pytest
from scipy.optimize import least_squares

from problems.optimization.more_garbow_hillstrom import (
    PROBLEMS,
    Counted,
    any_dimension,
    equations,
    linear,
)
from scripts.benchmarks.optimizers import quasi_newton

OTHER_SIZES = (
    any_dimension.watson(9),
    any_dimension.watson(12),
    any_dimension.extended_rosenbrock(4),
    any_dimension.extended_powell_singular(4),
    any_dimension.penalty_1(4),
    any_dimension.penalty_2(4),
    equations.chebyquad(7),
    equations.chebyquad(9),
    equations.chebyquad(10),
)

# f(x₀), by hand.
STARTS = {
    1: 24.2,
    2: 400.5,
    4: 999998000003.0,
    5: 14.203125,
    7: 2500.0,
    13: 215.0,
    14: 19192.0,
    20: 30.0,
}
STARTS |= {21: 5 * 24.2, 22: 3 * 215.0, 25: 2198551.1625, 30: 21.0, 31: 360.0, 32: 50.0}

# ‖r(x₀)‖, as the test programs of MINPACK print it.
NORMS = {
    6: 64.58564,
    8: 6.456136295,
    10: 41153.46655,
    12: 32.11158,
    15: 0.07289151029,
    16: 2815.438,
    17: 0.9375640,
}
NORMS |= {19: 1.446865, 27: 16.53022, 35: 0.1965139}
LINEAR_NORMS = [
    (linear.full_rank, 5.0),
    (linear.rank_one, 291.5218688),
    (linear.rank_one_with_zeros, 126.0396763),
]

# Where f = 0, and where it has its other published minimum.
MINIMIZERS = [
    (1, [1.0, 1.0], 0.0),
    (2, [5.0, 4.0], 0.0),
    (4, [1e6, 2e-6], 0.0),
    (5, [3.0, 0.5], 0.0),
    (7, [1.0, 0.0, 0.0], 0.0),
    (11, [50.0, 25.0, 1.5], 0.0),
    (12, [1.0, 10.0, 1.0], 0.0),
    (12, [10.0, 1.0, -1.0], 0.0),
    (12, [3.0, 3.0, 0.0], 0.0),
    (13, [0.0] * 4, 0.0),
    (14, [1.0] * 4, 0.0),
    (18, [1.0, 10.0, 1.0, 5.0, 4.0, 3.0], 0.0),
    (21, [1.0] * 10, 0.0),
    (22, [0.0] * 12, 0.0),
    (25, [1.0] * 10, 0.0),
    (26, [0.0] * 10, 0.0),
    (27, [1.0] * 10, 0.0),
    (27, [0.0] * 9 + [11.0], 1.0),
    (32, [-1.0] * 10, 10.0),
]


def named(problem):
    return f"{problem.number}-{problem.name.replace(' ', '_')}-{problem.n}"


def nearby(problem):
    rng = np.random.default_rng(problem.number)
    return problem.start + 0.1 * rng.standard_normal(problem.n) * (np.abs(problem.start) + 0.1)


everything = pytest.mark.parametrize("problem", PROBLEMS + OTHER_SIZES, ids=named)


def test_problems_stand_in_the_order_of_the_paper():
    assert [problem.number for problem in PROBLEMS] == list(range(1, 36))
    assert len({problem.name for problem in PROBLEMS}) == 35


@everything
@pytest.mark.parametrize("place", [lambda problem: problem.start, nearby], ids=["start", "nearby"])
def test_jacobian_is_the_complex_step_of_the_residual(problem, place):
    x = place(problem)
    columns = [problem.residual(x + 1e-30j * unit).imag / 1e-30 for unit in np.eye(problem.n)]
    J = problem(x).jacobian
    assert J.shape == (problem.m, problem.n)
    np.testing.assert_allclose(
        J, np.stack(columns, axis=1), rtol=1e-12, atol=1e-13 * np.abs(J).max()
    )


@everything
def test_gradient_and_hessian_agree_with_central_differences(problem):
    x = nearby(problem)
    v = np.random.default_rng(0).standard_normal(problem.n) * (np.abs(x) + 0.1)
    v /= np.linalg.norm(v)
    h = 1e-5 * (1.0 + np.linalg.norm(x))
    point, ahead, behind = problem(x), problem(x + h * v), problem(x - h * v)
    slope = (ahead.value - behind.value) / (2 * h)
    assert point.gradient @ v == pytest.approx(slope, abs=1e-5 * np.linalg.norm(point.gradient))
    difference = (ahead.gradient - behind.gradient) / (2 * h)
    np.testing.assert_allclose(
        point.hvp(v), difference, rtol=0.0, atol=2e-5 * np.abs(difference).max()
    )


@everything
def test_hessian_is_symmetric(problem):
    x = nearby(problem)
    H = np.stack([problem(x).hvp(unit) for unit in np.eye(problem.n)], axis=1)
    np.testing.assert_allclose(H, H.T, rtol=1e-10, atol=1e-12 * np.abs(H).max())


@pytest.mark.parametrize("number", sorted(STARTS))
def test_value_at_the_start_is_the_one_found_by_hand(number):
    problem = PROBLEMS[number - 1]
    assert problem(problem.start).value == pytest.approx(STARTS[number], rel=1e-13)


@pytest.mark.parametrize("number", sorted(NORMS))
def test_residual_at_the_start_is_the_published_one(number):
    problem = PROBLEMS[number - 1]
    assert np.sqrt(problem(problem.start).value) == pytest.approx(NORMS[number], rel=1e-6)


@pytest.mark.parametrize(("make", "norm"), LINEAR_NORMS)
def test_linear_residual_at_the_start_is_the_published_one(make, norm):
    problem = make(5, 10)
    assert np.sqrt(problem(problem.start).value) == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize(("number", "x", "minimum"), MINIMIZERS)
def test_published_minimizers_have_the_published_minimum(number, x, minimum):
    point = PROBLEMS[number - 1](np.array(x))
    assert minimum in point.problem.minima
    assert point.value == pytest.approx(minimum, rel=1e-14, abs=1e-25)
    assert np.abs(point.gradient).max() <= 1e-8


@everything
def test_least_squares_finds_a_published_minimum(problem):
    """Every one from the standard start, to the six digits that are published."""
    found = least_squares(
        lambda x: problem(x).residual,
        problem.start,
        lambda x: problem(x).jacobian,
        method="lm",
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=1000,
    )
    value = problem(found.x).value
    assert min(abs(value - minimum) / (minimum or 1.0) for minimum in problem.minima) <= 1e-5
    assert value >= min(problem.minima) * (1.0 - 5e-6)


@everything
def test_far_trials_give_no_warning(problem):
    for x in (np.full(problem.n, 1e200), np.full(problem.n, -1e200)):
        with np.errstate(all="raise"):
            point = problem(x)
            assert point.gradient.shape == point.hvp(x).shape == x.shape


@pytest.mark.parametrize("number", [1, 6, 10, 14, 27])
def test_overflow_is_infinite(number):
    problem = PROBLEMS[number - 1]
    assert problem(np.full(problem.n, 1e200)).value == np.inf


def test_what_is_asked_for_is_counted_once():
    f = Counted(PROBLEMS[0])
    first, second = f(np.zeros(2)), f(np.ones(2))
    assert (f.tally.evaluations, f.tally.gradients, f.tally.products) == (2, 0, 0)
    for _ in range(2):
        first.gradient, first.jacobian  # noqa: B018
    second.hvp(np.ones(2))
    assert (f.tally.evaluations, f.tally.gradients, f.tally.products) == (2, 1, 1)


def test_point_keeps_the_design_it_was_evaluated_at():
    x = np.array([-1.2, 1.0])
    point = PROBLEMS[0](x)
    x[:] = 0.0
    np.testing.assert_allclose(point.gradient, [-215.6, -88.0], rtol=1e-15)


def test_design_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"Wood: got x of shape \(3,\), expected \(4,\)"):
        PROBLEMS[13](np.zeros(3))


def test_quasi_newton_methods_solve_the_easy_problems_at_the_price_of_those_of_scipy(tmp_path):
    ratios = quasi_newton.main(tmp_path, small=True)
    written = json.loads((tmp_path / "quasi_newton.json").read_text())
    assert written["ratios"] == ratios
    for numbers in ratios.values():
        assert numbers["both solve"] == 5
        assert numbers["ratio of totals"] <= 1.1
    for runs in written["runs"].values():
        assert all(0 < run["gradients"] <= run["evaluations"] for run in runs.values())
    assert "solved" in (tmp_path / "quasi_newton.txt").read_text()
