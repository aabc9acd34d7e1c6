"""BFGS, L-BFGS and their line search: termination, Wolfe conditions, work, failures, bounds."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sparse

import adjoint
from adjoint.optimize.algorithms.bfgs import BFGS, Product
from adjoint.optimize.algorithms.lbfgs import LBFGS, Pairs
from adjoint.optimize.line_search.strong_wolfe import Sample, StrongWolfe
from problems.optimization.more_garbow_hillstrom import PROBLEMS, Counted

METHODS = pytest.mark.parametrize("method", [BFGS, LBFGS])


@dataclass(eq=False)
class Recorded:
    """f by its value and gradient, both functions of x.

    Remembers where each was asked for, and f there.
    """

    value: object
    slope: object
    asked: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        value = self.value(x)
        self.asked.append((x.copy(), value))
        return At(self, x, value)


@dataclass(eq=False)
class At:
    f: Recorded
    x: np.ndarray
    value: float

    @cached_property
    def gradient(self):
        self.f.gradients.append(self.x.copy())
        return self.f.slope(self.x)


def quadratic(H, b):
    return Recorded(lambda x: float(0.5 * x @ (H @ x) - b @ x), lambda x: H @ x - b)


def rosenbrock():
    def slope(x):
        a, g = x[1::2] - x[::2] ** 2, np.empty_like(x)
        g[::2], g[1::2] = -400.0 * x[::2] * a - 2.0 * (1.0 - x[::2]), 200.0 * a
        return g

    return Recorded(
        lambda x: float(np.sum(100.0 * (x[1::2] - x[::2] ** 2) ** 2 + (1.0 - x[::2]) ** 2)), slope
    )


def tight(absolute=1e-8, iterations=500):
    return adjoint.Stopping(iterations=iterations, stationarity=0.0, absolute=absolute)


def states_of(f, x, algorithm, stop=None):
    states = []
    adjoint.minimize(f, x, algorithm, stop=stop or tight(), check=False, callback=states.append)
    return states


def laplacian(n):
    return sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()


# The search.


def more_thuente_3(a, b=0.01, waves=39):
    if abs(a - 1.0) >= b:
        value, slope = abs(a - 1.0), math.copysign(1.0, a - 1.0)
    else:
        value, slope = (a - 1.0) ** 2 / (2.0 * b) + b / 2.0, (a - 1.0) / b
    phase = waves * math.pi * a / 2.0
    wave = 2.0 * (1.0 - b) / (waves * math.pi) * math.sin(phase)
    return value + wave, slope + (1.0 - b) * math.cos(phase)


def yanai(b1, b2):
    gamma1, gamma2 = math.hypot(1.0, b1) - b1, math.hypot(1.0, b2) - b2

    def phi(a):
        r1, r2 = math.hypot(1.0 - a, b2), math.hypot(a, b1)
        return gamma1 * r1 + gamma2 * r2, gamma1 * (a - 1.0) / r1 + gamma2 * a / r2

    return phi


# φ and φ', c1, c2, values of φ used from 1e-3, 0.1, 10 and 1000, and how many are published
HARD = {
    1: (
        lambda a: (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0) ** 2),
        1e-3,
        0.1,
        (5, 3, 1, 6),
        14,
    ),
    2: (
        lambda a: (
            (a + 4e-3) ** 5 - 2.0 * (a + 4e-3) ** 4,
            5.0 * (a + 4e-3) ** 4 - 8.0 * (a + 4e-3) ** 3,
        ),
        0.09,
        0.1,
        (13, 11, 10, 10),
        39,
    ),
    3: (more_thuente_3, 0.09, 0.1, (12, 10, 3, 13), 47),
    4: (yanai(1e-3, 1e-3), 1e-3, 1.01e-3, (3, 1, 3, 6), 12),
    5: (yanai(1e-2, 1e-3), 1e-3, 1.01e-3, (5, 3, 6, 10), 24),
    6: (yanai(1e-3, 1e-2), 1e-3, 1.01e-3, (9, 13, 10, 11), 43),
}
"""Moré & Thuente (1994), section 5, with their starts and tolerances (c1 a little below c2 where
they are equal).
"""


@dataclass(frozen=True)
class OnLine:
    value: float
    slope: float


def search_counted(search, phi, alpha, limits=(0.0, np.inf)):
    """The step, at which α φ was asked for, and at how many of them for its slope."""
    asked, slopes = [], []

    def point(a):
        asked.append(a)
        return OnLine(*phi(a))

    def slope(at):
        slopes.append(at)
        return at.slope

    return search(point, slope, Sample(0.0, *phi(0.0)), alpha, limits), asked, slopes


@pytest.mark.parametrize("number", HARD)
def test_search_ends_at_a_wolfe_point_of_more_and_thuentes_functions(number):
    phi, c1, c2, used, published = HARD[number]
    counts = []
    for alpha in (1e-3, 0.1, 10.0, 1e3):
        step, asked, slopes = search_counted(StrongWolfe(c1, c2), phi, alpha)
        (start, descent), (value, slope) = phi(0.0), phi(step.alpha)
        assert value <= start + c1 * step.alpha * descent
        assert abs(slope) <= c2 * abs(descent)
        assert len(set(asked)) == len(asked) == len(step.rejected) + 1
        assert all(at.value <= start for at in slopes)
        counts.append(len(asked))
    assert tuple(counts) == used
    assert sum(used) <= 1.2 * published


def test_search_takes_the_lowest_trial_at_a_kink():
    """φ = |α − 1| has no Wolfe point for c₂ < 1.

    The search gives up, but not without what it has.
    """
    step, asked, _ = search_counted(
        StrongWolfe(), lambda a: (abs(a - 1.0), math.copysign(1.0, a - 1.0)), 0.3
    )
    assert step.point.value == min(abs(a - 1.0) for a in asked)
    assert len(asked) == len(step.rejected) + 1 <= StrongWolfe().trials


def test_search_goes_no_further_than_the_limit():
    step, asked, _ = search_counted(StrongWolfe(), lambda a: (-a, -1.0), 1.0, (0.0, 7.0))
    assert step.alpha == max(asked) == 7.0
    uphill, asked, _ = search_counted(
        StrongWolfe(), lambda a: (a - 2e-3 * math.sqrt(a), -1e-3), 1.0, (0.5, 7.0)
    )
    assert uphill.point is None
    assert min(asked) > 0.5


def test_search_shortens_a_step_whose_solve_failed():
    def phi(a):
        return (a - 0.5) ** 2, 2.0 * (a - 0.5)

    step = StrongWolfe()(
        lambda a: OnLine(*phi(a)) if a < 1.0 else None,
        lambda at: at.slope,
        Sample(0.0, *phi(0.0)),
        5.0,
        (0.0, np.inf),
    )
    assert len(step.rejected) >= 1
    assert all(map(math.isnan, step.rejected))
    assert step.point.value < 0.25


@pytest.mark.parametrize(("c1", "c2"), [(0.5, 0.4), (0.0, 0.9), (1e-4, 1.0), (math.nan, 0.9)])
def test_search_with_impossible_conditions_is_refused(c1, c2):
    with pytest.raises(ValueError, match="c1 < c2"):
        StrongWolfe(c1, c2)


# Without bounds.


@METHODS
def test_exact_searches_end_on_a_quadratic_after_as_many_steps_as_variables(method):
    """Quasi-Newton directions are conjugate then: Nocedal & Wright, theorem 6.4."""
    rng = np.random.default_rng(1)
    for m in (2, 5, 8):
        Q = np.linalg.qr(rng.standard_normal((m, m)))[0]
        H = Q @ np.diag(np.linspace(1.0, 20.0, m)) @ Q.T
        f = quadratic(H, rng.standard_normal(m))
        states = states_of(
            f, rng.standard_normal(m), method(search=StrongWolfe(c1=1e-9, c2=1e-8)), tight(1e-6)
        )
        assert states[-1].stationarity <= 1e-6
        assert len(states) - 1 <= m + 1


def test_inverse_hessian_of_bfgs_becomes_that_of_the_quadratic():
    H = np.diag([1.0, 4.0, 9.0])
    states = states_of(
        quadratic(H, np.ones(3)), np.array([3.0, -2.0, 1.0]), BFGS(search=StrongWolfe(1e-9, 1e-8))
    )
    Z = states[3].memory["Z"]
    np.testing.assert_allclose(Z.T @ Z, np.linalg.inv(H), rtol=1e-5, atol=1e-5)


def test_both_methods_agree_while_all_steps_are_remembered():
    """From the same initial matrix the two-loop recursion gives what the product form gives."""
    rng, inner = np.random.default_rng(2), adjoint.optimize.Weighted(np.array([1.0, 2.0, 3.0, 5.0]))
    S, g = rng.standard_normal((6, 4)), rng.standard_normal(4)
    A = rng.standard_normal((4, 4))
    H = A @ A.T + np.eye(4)
    pairs, product = (
        Pairs.none(4),
        Product(np.diag(1.0 / np.sqrt(inner.weights)), np.array(1.0), np.array(0)),
    )
    for s in S:
        pairs, product = pairs.with_pair(s, H @ s, 10, inner), product.with_pair(s, H @ s, inner)
    expected = product.times(g, inner)
    np.testing.assert_allclose(
        pairs.inverse_times(g, float(product.gamma), inner), expected, rtol=1e-9
    )
    np.testing.assert_allclose(product.times(H @ S[-1], inner), S[-1], rtol=1e-9, atol=1e-12)


def test_product_on_free_variables_minimizes_with_the_others_held():
    rng, free = np.random.default_rng(3), np.array([True, False, True, True, False])
    Z, g = rng.standard_normal((5, 5)), rng.standard_normal(5)
    B = np.linalg.inv(Z.T @ Z)
    found = Product(Z, np.array(1.0), np.array(1)).reduced_times(
        g, free, adjoint.optimize.Euclidean()
    )
    np.testing.assert_allclose(
        found[free], np.linalg.solve(B[np.ix_(free, free)], g[free]), rtol=1e-9
    )
    np.testing.assert_array_equal(found[~free], 0.0)


@METHODS
@pytest.mark.parametrize("number", [1, 4, 5, 7, 13, 14, 18, 26, 30])
def test_more_garbow_hillstrom_problems_are_solved(method, number):
    f = Counted(PROBLEMS[number - 1])
    result = adjoint.minimize(f, f.problem.start, method(), stop=tight(1e-6), check=False)
    assert result.status is adjoint.Status.STATIONARY
    assert f.tally.evaluations == result.state.evaluations
    assert min(abs(result.value - known) for known in f.problem.minima) <= 1e-5 or number == 26


@METHODS
def test_accepted_steps_satisfy_wolfe_and_refused_ones_pay_for_a_gradient_only_if_they_descend(
    method,
):
    search, f = StrongWolfe(), rosenbrock()
    states = states_of(f, np.tile([-1.2, 1.0], 3), method(search=search))
    assert states[-1].stationarity <= 1e-8
    for before, after in pairwise(states):
        slope = before.gradient @ (after.x - before.x)
        assert slope < 0.0
        assert after.value <= before.value + search.c1 * slope + search.noise * before.value
        assert abs(after.gradient @ (after.x - before.x)) <= search.c2 * abs(slope) * (1.0 + 1e-9)
    places = [x.tobytes() for x, _ in f.asked]
    assert len(set(places)) == len(places) == states[-1].evaluations
    assert len(f.gradients) < len(f.asked)
    for x in f.gradients:  # Every one of them lower than all that were accepted before it.
        at = next(value for place, value in f.asked if np.array_equal(place, x))
        evaluated = places.index(x.tobytes())
        reached = [state for state in states if places.index(state.x.tobytes()) < evaluated]
        assert not reached or at < reached[-1].value
    assert sum(state.rejected.size for state in states) == len(f.asked) - len(states)


@METHODS
def test_failed_solves_and_nan_are_steps_that_were_too_long(method):
    def value(x):
        if np.abs(x).max() > 1.5:
            raise adjoint.errors.SingularMatrix("too far")
        return float("nan") if np.abs(x).max() > 1.3 else float(np.sum(np.cosh(x - 0.5)))

    f = Recorded(value, lambda x: np.sinh(x - 0.5))
    result = adjoint.minimize(
        f, np.array([-1.2, 1.2]), method(first_step=50.0), stop=tight(), check=False
    )
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, 0.5, atol=1e-8)


@METHODS
def test_a_function_that_fails_everywhere_else_ends_as_failed(method):
    calls = []

    def value(x):
        calls.append(x)
        if len(calls) > 1:
            raise adjoint.errors.SingularMatrix("again")
        return 1.0

    result = adjoint.minimize(
        Recorded(value, lambda x: np.ones(2)), np.ones(2), method(), check=False
    )
    assert result.status is adjoint.Status.FAILED
    assert np.isnan(result.state.rejected).all()
    assert result.state.evaluations == len(calls) <= 1 + StrongWolfe().trials


@METHODS
def test_a_kink_ends_the_run_without_success_at_the_kink(method):
    f = Recorded(lambda x: float(np.abs(x - 0.3).sum()), lambda x: np.sign(x - 0.3) + (x == 0.3))
    result = adjoint.minimize(f, np.array([1.0]), method(), stop=tight(iterations=300), check=False)
    assert not result.success
    assert result.status is adjoint.Status.STUCK
    np.testing.assert_allclose(result.x, 0.3, atol=1e-6)


@METHODS
@pytest.mark.parametrize(
    ("gradient", "error"),
    [
        (np.array([1.0 + 0.0j, 1.0]), TypeError),
        (np.ones(3), ValueError),
        ("nan", adjoint.errors.NonFinite),
    ],
)
def test_gradients_that_are_none_raise(method, gradient, error):
    g = np.array([1.0, np.nan]) if isinstance(gradient, str) else gradient
    algorithm = method()
    with pytest.raises(error):
        algorithm.start(Recorded(lambda x: 1.0, lambda x: g), np.ones(2))


@METHODS
def test_nan_gradient_on_the_way_is_no_success(method):
    f = Recorded(
        lambda x: float(x @ x), lambda x: 2.0 * x if np.abs(x).max() > 0.5 else np.full(2, np.nan)
    )
    result = adjoint.minimize(f, np.array([3.0, 2.0]), method(), check=False)
    assert result.status is adjoint.Status.FAILED
    assert isinstance(result.cause, adjoint.errors.NonFinite)


@METHODS
def test_a_direction_that_does_not_descend_starts_the_memory_again(method):
    f, algorithm = rosenbrock(), method()
    states = states_of(f, np.array([-1.2, 1.0]), algorithm)
    spoilt = dict(states[5].memory)
    if method is LBFGS:
        spoilt["Y"] = -spoilt["Y"]
        spoilt["products"] = -spoilt["products"]
    else:
        spoilt["Z"] = np.full((2, 2), np.nan)
    after = algorithm.advance(f, replace(states[5], memory=spoilt))
    assert after.ending is None
    assert after.value < states[5].value
    assert (len(after.memory["S"]) if method is LBFGS else after.memory["pairs"]) == 1


@METHODS
def test_states_resume_to_the_same_bits(method):
    for algorithm in (
        method(),
        method(bounds=adjoint.Bounds(-2.0, np.array([0.9, 2.0, 0.7, 2.0]))),
    ):
        whole = states_of(rosenbrock(), np.tile([-1.2, 1.0], 2), algorithm)
        for k in (0, 3, 10):
            memory = {name: array.copy() for name, array in whole[k].memory.items()}
            state = replace(
                whole[k],
                x=whole[k].x.copy(),
                gradient=whole[k].gradient.copy(),
                memory=memory,
                point=None,
            )
            for expected in whole[k + 1 : k + 6]:
                state = algorithm.advance(rosenbrock(), state)
                assert state.x.tobytes() == expected.x.tobytes()
                assert state.evaluations == expected.evaluations
                assert all(
                    state.memory[name].tobytes() == expected.memory[name].tobytes()
                    for name in state.memory
                )


@METHODS
def test_states_are_not_written_to(method):
    algorithm, f = method(), rosenbrock()
    state = algorithm.start(f, np.array([-1.2, 1.0]))
    for _ in range(12):
        for array in (state.x, state.gradient, *state.memory.values()):
            array.flags.writeable = False
        state = algorithm.advance(f, state)


@METHODS
def test_steps_in_the_rounding_of_f_end_the_run(method):
    """Below 10⁻³ the gradient of this f is noise: no tolerance below that can be met, and the run
    has to notice.
    """
    f = Recorded(lambda x: 1e6 + float(x @ x), lambda x: 2.0 * x + 1e-3 * np.sin(1e9 * x))
    result = adjoint.minimize(f, np.array([3.0, 2.0]), method(), stop=tight(1e-12), check=False)
    assert result.status is adjoint.Status.STUCK
    assert np.abs(result.x).max() < 1e-2


@METHODS
@pytest.mark.parametrize("size", [1e-160, 1e160])
def test_a_gradient_whose_norm_overflows_is_no_success(method, size):
    f = Recorded(lambda x: size * float(x @ x), lambda x: 2.0 * size * x)
    result = adjoint.minimize(f, np.array([3.0, 2.0]), method(), check=False)
    assert not result.success or np.abs(result.x).max() < 1e-3


@METHODS
def test_iterations_do_not_depend_on_the_mesh_in_its_inner_product(method):
    """½‖u − a‖² in H¹ with a nonlinear term of order zero: with M = I the count grows with the
    mesh.
    """
    counts = {"H1": [], "euclidean": []}
    for n in (20, 40, 80):
        mass = sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) / (6 * n)
        H = sparse.csc_array(n * laplacian(n) + mass)
        x = np.arange(1, n + 1) / (n + 1)
        a = np.sin(np.pi * x)
        f = Recorded(
            lambda u, H=H, a=a, n=n: float(0.5 * (u - a) @ (H @ (u - a)) + 2.5 * np.sum(u**4) / n),
            lambda u, H=H, a=a, n=n: H @ (u - a) + 10.0 * u**3 / n,
        )
        for name, inner in (
            ("H1", adjoint.optimize.MassMatrix(H)),
            ("euclidean", adjoint.optimize.Euclidean()),
        ):
            stop = adjoint.Stopping(stationarity=1e-6)
            result = adjoint.minimize(f, np.sin(3.0 * np.pi * x), method(inner=inner), stop=stop)
            assert result.success
            counts[name].append(result.iterations)
    assert max(counts["H1"]) - min(counts["H1"]) <= 1
    assert counts["euclidean"][-1] > 2 * counts["euclidean"][0]


def test_lbfgs_remembers_no_more_than_its_memory():
    states = states_of(rosenbrock(), np.tile([-1.2, 1.0], 5), LBFGS(memory=3))
    assert {len(state.memory["S"]) for state in states} == {0, 1, 2, 3}
    np.testing.assert_array_equal(states[7].memory["S"][-1], states[7].x - states[6].x)
    np.testing.assert_array_equal(states[7].memory["Y"][0], states[5].gradient - states[4].gradient)


def test_a_hundred_thousand_variables():
    f = rosenbrock()
    result = adjoint.minimize(
        f, np.tile([-1.2, 1.0], 50_000), LBFGS(), stop=tight(1e-3), check=False
    )
    assert result.status is adjoint.Status.STATIONARY
    assert len(f.asked) < 80
    np.testing.assert_allclose(result.x, 1.0, atol=1e-3)


# With bounds.


@METHODS
@pytest.mark.parametrize("seed", range(4))
def test_bounded_quadratics_end_where_scipy_ends(method, seed):
    rng, m = np.random.default_rng(seed), 25
    A = rng.standard_normal((m, m))
    H, b = A @ A.T / m + 0.1 * np.eye(m), rng.standard_normal(m)
    lower, upper = (
        np.where(rng.random(m) < 0.2, -np.inf, -0.2),
        np.where(rng.random(m) < 0.2, np.inf, 0.3),
    )
    bounds, f = adjoint.Bounds(lower, upper), quadratic(H, b)
    result = adjoint.minimize(f, np.zeros(m), method(bounds=bounds), stop=tight(1e-9), check=False)
    options = {"ftol": 0.0, "gtol": 1e-11, "maxiter": 5000}
    pairs = list(zip(lower, upper, strict=True))
    other = scipy.optimize.minimize(
        lambda x: (0.5 * x @ H @ x - b @ x, H @ x - b),
        np.zeros(m),
        jac=True,
        bounds=pairs,
        options=options,
    )
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, other.x, atol=1e-6)
    assert all(bounds.holds(x) for x, _ in f.asked)
    assert all(bounds.holds(x) for x in f.gradients)
    places = [x.tobytes() for x, _ in f.asked]
    assert len(set(places)) == len(places) == result.state.evaluations


def test_active_set_of_ten_thousand_variables_is_found_in_finitely_many_steps():
    """To a projected gradient of 10⁻⁸; the set does not change in the second half of the run."""
    n = 10_000
    H, b = laplacian(n) + 0.1 * sparse.eye_array(n), np.random.default_rng(0).standard_normal(n)
    algorithm = LBFGS(bounds=adjoint.Bounds(-0.5, 0.5))
    stop = adjoint.Stopping(iterations=200, stationarity=0.0, projected=1e-8)
    states = states_of(quadratic(H.tocsr(), b), np.zeros(n), algorithm, stop)
    assert states[-1].projected < 1e-8
    at = [np.abs(state.x) >= 0.5 for state in states]
    assert 0 < at[-1].sum() < n
    assert all(np.array_equal(active, at[-1]) for active in at[len(at) // 2 :])


@METHODS
def test_bounded_rosenbrock_stops_at_its_bound(method):
    """With x₁ ≤ ½ the minimum is x = (½, ¼); with x₂ = 2 at its bound, 400 x₁³ − 798 x₁ = 2."""
    f = rosenbrock()
    for bounds, expected in (
        (adjoint.Bounds(np.array([-2.0, -2.0]), np.array([0.5, 2.0])), [0.5, 0.25]),
        (
            adjoint.Bounds(np.array([0.0, 2.0]), 5.0),
            [np.roots([400.0, 0.0, -798.0, -2.0]).real.max(), 2.0],
        ),
    ):
        result = adjoint.minimize(
            f, bounds.clip(np.array([-1.2, 1.0])), method(bounds=bounds), stop=tight(1e-9)
        )
        assert result.status is adjoint.Status.STATIONARY
        np.testing.assert_allclose(result.x, expected, rtol=1e-6)


@METHODS
def test_bounded_steps_in_other_units_are_the_same(method):
    """x = c z with weights c² of z: every iterate maps, bounds included."""
    rng, c = np.random.default_rng(6), np.array([1.0, 1e3, 1e-3, 16.0])
    A = rng.standard_normal((4, 4))
    H, b = A @ A.T + np.eye(4), rng.standard_normal(4)
    plain = states_of(
        quadratic(H, b),
        np.full(4, 0.1),
        method(bounds=adjoint.Bounds(-0.3, 0.3), first_step=0.1),
        tight(1e-6),
    )
    bounds, inner = adjoint.Bounds(-0.3 / c, 0.3 / c), adjoint.optimize.Weighted(c * c)
    scaled = quadratic(H * np.outer(c, c), b * c)
    other = states_of(
        scaled,
        0.1 / c,
        method(inner=inner, bounds=bounds, first_step=0.1),
        tight(1e-6),
    )
    assert len(other) == len(plain)
    for a, z in zip(plain, other, strict=True):
        np.testing.assert_allclose(z.x * c, a.x, rtol=1e-5, atol=1e-9)


@METHODS
def test_settings_that_make_no_sense_are_refused(method):
    with pytest.raises(ValueError, match="MassMatrix"):
        method(
            inner=adjoint.optimize.MassMatrix(sparse.csc_array(np.eye(2))),
            bounds=adjoint.Bounds(0.0, 1.0),
        )
    for step in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="first_step"):
            method(first_step=step)
    with pytest.raises(ValueError, match="outside of the bounds"):
        method(bounds=adjoint.Bounds(0.0, 1.0)).start(rosenbrock(), np.array([2.0, 0.5]))


def test_a_memory_of_no_pairs_is_refused():
    with pytest.raises(ValueError, match="memory"):
        LBFGS(memory=0)
