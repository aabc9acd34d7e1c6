"""Newton–CG in a trust region: order of convergence, work, failures, restarts bit for bit."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.optimize import (
    Bounds,
    DifferencedHessian,
    Euclidean,
    MassMatrix,
    Status,
    Stopping,
    Weighted,
    descend,
    minimize,
)
from adjoint.optimize.algorithms.newton_cg import NewtonCG
from problems.steady.elasticity import mbb
from problems.time.kinetics import ReactionChain, reaction_chain


@dataclass(eq=False)
class Smooth:
    """f from three functions; remembers where each was asked for."""

    f: object
    g: object
    H: object
    log: list = field(default_factory=list)

    def __call__(self, x):
        self.log.append(("value", x.tobytes()))
        return At(self, x.copy(), float(self.f(x)))

    def asked(self, what):
        return [x for kind, x in self.log if kind == what]


@dataclass(eq=False)
class At:
    of: Smooth
    x: np.ndarray
    value: float

    @cached_property
    def gradient(self):
        self.of.log.append(("gradient", self.x.tobytes()))
        return self.of.g(self.x)

    def hvp(self, v):
        self.of.log.append(("hvp", self.x.tobytes()))
        return self.of.H(self.x) @ v


def quadratic(H, a):
    return Smooth(lambda x: 0.5 * (x - a) @ H @ (x - a), lambda x: H @ (x - a), lambda x: H)


def rosenbrock():
    return Smooth(
        lambda x: 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2,
        lambda x: np.array(
            [-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)]
        ),
        lambda x: np.array(
            [[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]]
        ),
    )


def springs(n):
    """A chain of stiffening springs under load: convex, condition about n², H never constant."""
    D = np.diff(np.eye(n + 1), axis=0)[:, 1:]  # One end is held.
    load = np.linspace(1.0, 2.0, n) / n

    def force(e):
        return e + e**3

    return Smooth(
        lambda x: np.sum(0.5 * (D @ x) ** 2 + 0.25 * (D @ x) ** 4) - load @ x,
        lambda x: D.T @ force(D @ x) - load,
        lambda x: D.T @ np.diag(1.0 + 3.0 * (D @ x) ** 2) @ D,
    )


def double_well(n):
    """Σ x⁴/4 − x²/2 + coupling: a saddle at 0, minima beside it."""
    L = 0.05 * (2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    return Smooth(
        lambda x: np.sum(0.25 * x**4 - 0.5 * x**2) + 0.5 * x @ L @ x,
        lambda x: x**3 - x + L @ x,
        lambda x: np.diag(3.0 * x**2 - 1.0) + L,
    )


SIDE = np.roots([400.0, 0.0, -198.0, -2.0]).real.max()
"""x₁ of the least Rosenbrock's function with x₂ = ½: 400 x₁³ − 198 x₁ − 2 = 0."""


def tight(**more):
    return Stopping(**{"stationarity": 1e-12, "iterations": 200, **more})


def problem():
    """A compliance with SIMP and a price on volume, as a function that has a minimum inside of its
    bounds.
    """
    body = mbb(8, 4)
    f = body.compliance(
        adjoint.design.DensityFilter(body.grid.centres, 1.5) >> adjoint.design.SIMP(2.0)
    )
    return f, np.full(32, 0.6)


def test_quadratic_takes_one_step_and_in_its_own_inner_product_one_product():
    H = np.diag(np.geomspace(1.0, 1e4, 12))
    for inner, products in ((Euclidean(), 12), (MassMatrix(sparse.csc_array(H)), 1)):
        f = quadratic(H, np.ones(12))
        algorithm = NewtonCG(inner, radius=1e6, exponent=1.0)
        result = minimize(f, np.zeros(12), algorithm, stop=tight(iterations=1), check=False)
        assert len(f.asked("hvp")) <= products
        if products == 1:
            np.testing.assert_allclose(result.x, 1.0, rtol=1e-12)


@pytest.mark.parametrize(("exponent", "order"), [(1.0, 1.9), (0.5, 1.4)])
def test_convergence_is_of_the_order_promised(exponent, order):
    f = springs(40)
    sizes = [
        state.stationarity
        for state, _ in zip(
            descend(f, np.zeros(40), NewtonCG(exponent=exponent)), range(25), strict=False
        )
    ]
    sizes = np.array([size for size in sizes if size > 1e-13])
    rates = np.log(sizes[2:] / sizes[1:-1]) / np.log(sizes[1:-1] / sizes[:-2])
    assert rates[-3:].max() >= order
    assert sizes[-1] <= 1e-6 * sizes[0]


@pytest.mark.parametrize(
    ("f", "n"),
    [(rosenbrock(), 2), (springs(20), 20), (double_well(6), 6)],
    ids=["rosenbrock", "springs", "double well"],
)
def test_each_trial_is_solved_once_and_refused_ones_have_no_gradient(f, n):
    start, states = np.tile([-1.2, 1.0], n // 2), []
    result = minimize(
        f, start, NewtonCG(radius=20.0), stop=tight(), check=False, callback=states.append
    )
    assert result.success
    values, gradients = f.asked("value"), f.asked("gradient")
    assert len(values) == len(set(values)) == result.state.evaluations
    assert gradients == [state.x.tobytes() for state in states]
    assert set(f.asked("hvp")) <= set(gradients)
    assert len(f.asked("hvp")) == result.state.memory["products"]
    refused = sum(state.rejected.size for state in states)
    assert len(values) == len(states) + refused


def test_products_of_a_step_are_limited():
    f = springs(20)
    state = minimize(f, np.zeros(20), NewtonCG(products=3), stop=tight(iterations=5)).state
    assert state.iteration == 5
    assert len(f.asked("hvp")) <= 5 * 3 + 1


def test_rosenbrock_from_the_standard_start():
    result = minimize(rosenbrock(), np.array([-1.2, 1.0]), NewtonCG(), stop=tight())
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-9)
    assert result.state.evaluations <= 40


def test_accepted_values_fall():
    values = []
    minimize(
        rosenbrock(),
        np.array([-1.2, 1.0]),
        NewtonCG(),
        stop=tight(),
        callback=lambda s: values.append(s.value),
    )
    assert np.all(np.diff(values) < 0.0)


@pytest.mark.parametrize("n", [1, 7])
def test_negative_curvature_leads_away_from_a_saddle(n):
    """Beside the saddle at 0 Newton's method would go there: H is negative definite."""
    f = double_well(n)
    start = 1e-3 * np.cos(np.arange(n))
    newton = start - np.linalg.solve(f.H(start), f.g(start))
    assert np.linalg.norm(newton) < np.linalg.norm(start)
    result = minimize(f, start, NewtonCG(), stop=tight())
    assert result.status is Status.STATIONARY
    assert np.linalg.eigvalsh(f.H(result.x)).min() > 0.0
    assert result.value < -0.2 * n


def test_fall_without_end_is_named():
    f = Smooth(lambda x: -0.5 * x @ x, lambda x: -x, lambda x: -np.eye(x.size))
    result = minimize(f, np.ones(3), NewtonCG(), stop=Stopping(floor=-1e12))
    assert result.status is Status.UNBOUNDED


@pytest.mark.parametrize("seed", range(6))
def test_bounded_quadratic_ends_where_the_optimality_conditions_hold(seed):
    rng = np.random.default_rng(seed)
    n = 15
    root = rng.standard_normal((n, n))
    H, a = root @ root.T / n + 0.1 * np.eye(n), 2.0 * rng.standard_normal(n)
    bounds = Bounds(rng.uniform(-1.0, -0.2, n), rng.uniform(0.2, 1.0, n))
    f = quadratic(H, a)
    inner = Weighted(rng.uniform(0.1, 10.0, n))
    result = minimize(
        f, bounds.clip(np.zeros(n)), NewtonCG(inner, bounds), stop=tight(stationarity=1e-10)
    )
    assert result.status is Status.STATIONARY
    g, x = H @ (result.x - a), result.x
    free = (x > bounds.lower) & (x < bounds.upper)
    assert free.sum() < n
    np.testing.assert_allclose(g[free], 0.0, atol=1e-8)
    assert np.all(g[x == bounds.lower] >= -1e-8)
    assert np.all(g[x == bounds.upper] <= 1e-8)
    points = [np.frombuffer(x) for x in f.asked("value")]
    assert all(bounds.holds(x) for x in points[: result.state.evaluations])
    assert result.iterations <= 12


@pytest.mark.parametrize(
    ("upper", "solution"), [((0.8, np.inf), (0.8, 0.64)), ((2.0, 0.5), (SIDE, 0.5))]
)
def test_bounded_rosenbrock(upper, solution):
    bounds = Bounds(np.array([-2.0, -2.0]), np.array(upper))
    result = minimize(
        rosenbrock(), np.array([-1.2, 0.4]), NewtonCG(bounds=bounds), stop=tight(stationarity=1e-10)
    )
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, solution, rtol=1e-6)


def test_start_at_a_bound_that_pushes_back_leaves_it():
    bounds = Bounds(0.0, 5.0)
    result = minimize(
        quadratic(np.diag([1.0, 9.0]), np.array([2.0, -1.0])), np.zeros(2), NewtonCG(bounds=bounds)
    )
    np.testing.assert_allclose(result.x, [2.0, 0.0], atol=1e-6)


def test_variables_whose_bounds_agree_stay():
    bounds = Bounds(np.array([0.5, -9.0, -9.0]), np.array([0.5, 9.0, 9.0]))
    result = minimize(
        quadratic(np.eye(3) + 0.4, np.ones(3)), np.array([0.5, 0.0, 0.0]), NewtonCG(bounds=bounds)
    )
    assert result.status is Status.STATIONARY
    assert result.x[0] == 0.5


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(0.3, 0.95)])
def test_resumed_run_has_the_same_bits(bounds):
    """The point is not in a file: what is evaluated again must lead to the same bytes."""
    f, start = problem()
    price = Smooth(lambda x: 0.0, lambda x: x, lambda x: np.eye(32))

    def priced(x):
        point = f(x)
        return Priced(point, 40.0 * float(x @ x), price)

    algorithm = NewtonCG(bounds=bounds)
    through = [s for s, _ in zip(descend(priced, start, algorithm), range(6), strict=False)]
    for k in range(5):
        again = algorithm.advance(priced, replace(through[k], point=None))
        assert again.x.tobytes() == through[k + 1].x.tobytes()
        assert again.gradient.tobytes() == through[k + 1].gradient.tobytes()
        assert again.evaluations == through[k + 1].evaluations
        assert all(again.memory[name] == through[k + 1].memory[name] for name in again.memory)


@dataclass(eq=False)
class Priced:
    """A point of f plus 40 xᵀx."""

    point: adjoint.reduced.Point
    price: float
    of: Smooth

    @property
    def x(self):
        return self.point.x

    @property
    def value(self):
        return self.point.value + self.price

    @property
    def gradient(self):
        return self.point.gradient + 80.0 * self.x

    def hvp(self, v):
        return self.point.hvp(v) + 80.0 * v


def test_trial_costs_one_factorization_and_a_product_none():
    f, start = problem()
    states = []
    with adjoint.counting() as counts:
        minimize(
            f,
            start,
            NewtonCG(bounds=Bounds(0.1, 1.0), radius=0.5),
            stop=Stopping(iterations=4),
            check=False,
            callback=states.append,
        )
    assert counts.numeric == states[-1].evaluations


@pytest.mark.parametrize("failure", [np.nan, np.inf, adjoint.SolveError("singular")])
def test_trial_that_cannot_be_evaluated_shortens_the_step(failure):
    def value(x):
        if x[0] <= 0.0:
            if isinstance(failure, Exception):
                raise failure
            return failure
        return x[0] - np.log(x[0])

    f = Smooth(value, lambda x: 1.0 - 1.0 / x, lambda x: np.diag(1.0 / x**2))
    states = []
    result = minimize(
        f, np.array([5.0]), NewtonCG(radius=50.0), stop=tight(), check=False, callback=states.append
    )
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-10)
    assert np.isnan(states[1].rejected[0])


def test_wrong_gradient_ends_stuck():
    f = rosenbrock()
    wrong = Smooth(f.f, lambda x: -f.g(x), f.H)
    result = minimize(wrong, np.array([-1.2, 1.0]), NewtonCG(), check=False)
    assert result.status is Status.STUCK
    np.testing.assert_array_equal(result.x, [-1.2, 1.0])
    assert result.state.rejected.size
    with pytest.raises(adjoint.errors.WrongGradient):
        minimize(wrong, np.array([-1.2, 1.0]), NewtonCG())


def test_gradient_falls_to_rounding_under_a_large_constant():
    """f = 10⁸ + …: its differences are rounding long before the gradient is small."""
    base = springs(10)
    f = Smooth(lambda x: 1e8 + base.f(x), base.g, base.H)
    result = minimize(f, np.zeros(10), NewtonCG(exponent=1.0), stop=tight(), check=False)
    assert result.status is Status.STATIONARY


def test_scale_of_f_and_units_in_the_inner_product_do_not_change_the_path():
    def path(scale, units):
        f = rosenbrock()
        scaled = Smooth(
            lambda z: scale * f.f(units * z),
            lambda z: scale * units * f.g(units * z),
            lambda z: scale * np.diag(units) @ f.H(units * z) @ np.diag(units),
        )
        algorithm = NewtonCG(Weighted(units**2))
        states = descend(scaled, np.array([-1.2, 1.0]) / units, algorithm)
        return np.array([units * state.x for state, _ in zip(states, range(10), strict=False)])

    expected = path(1.0, np.ones(2))
    np.testing.assert_allclose(path(2.0**20, np.ones(2)), expected, rtol=1e-9)
    np.testing.assert_allclose(path(1.0, np.array([2.0**-10, 2.0**6])), expected, rtol=1e-9)


def test_products_do_not_grow_with_the_mesh_in_its_own_inner_product():
    products = {"euclidean": [], "H1": []}
    for n in (10, 20, 40):
        M = sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) / (6 * n)
        K = n * sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
        H = sparse.csc_array(K + M)
        f = quadratic((H + M).toarray(), np.sin(3.0 * np.arange(1, n + 1) / (n + 1)))
        for name, inner in (("euclidean", Euclidean()), ("H1", MassMatrix(H))):
            state = minimize(
                f, np.zeros(n), NewtonCG(inner, exponent=1.0), stop=tight(stationarity=1e-8)
            ).state
            products[name].append(int(state.memory["products"]))
    assert max(products["H1"]) - min(products["H1"]) <= 1
    assert products["euclidean"][2] > 2 * products["euclidean"][0]


def test_differences_of_gradients_stand_in_for_products():
    f = rosenbrock()
    differenced, x, v = DifferencedHessian(f), np.array([-1.2, 1.0]), np.array([3.0, -40.0])
    np.testing.assert_allclose(differenced(x).hvp(v), f.H(x) @ v, rtol=1e-6)
    np.testing.assert_array_equal(differenced(x).hvp(0.0 * v), 0.0)
    np.testing.assert_allclose(differenced(0.0 * x).hvp(v), f.H(0.0 * x) @ v, atol=1e-2)
    result = minimize(differenced, x, NewtonCG(), stop=Stopping(stationarity=1e-8))
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-6)


def test_differences_reach_the_published_hessian_of_a_trajectory():
    """CVODES, cvsHessian_ASA_FSA (CASES.md): G = ∫½|y|² is the last of the outputs."""
    problem = replace(reaction_chain(), method=adjoint.ode.DOP853(), rtol=1e-12, atol=1e-14)
    p = ReactionChain().nominal
    outputs = adjoint.ode.Outputs(problem)
    f = adjoint.Reduced(outputs, adjoint.LinearFunctional(np.eye(outputs.solve(p).u.size)[-1]))
    H = np.array([DifferencedHessian(f)(p).hvp(unit) for unit in np.eye(2)])
    np.testing.assert_allclose(
        H, [[0.15628043082, -0.07867780660], [-0.07867780660, 0.08981434363]], rtol=2e-6
    )


def test_difference_is_taken_on_the_side_where_f_is():
    def value(x):
        return np.sqrt(1.0 - x[0]) if x[0] <= 1.0 - 1e-3 else np.nan

    f = Smooth(value, lambda x: -0.5 / np.sqrt(1.0 - x), lambda x: None)
    x = np.array([1.0 - 1e-3])
    exact = -0.25 * (1.0 - x) ** -1.5
    np.testing.assert_allclose(DifferencedHessian(f)(x).hvp(np.ones(1)), exact, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": 0.0}, "positive"),
        ({"radius": np.nan}, "positive"),
        ({"exponent": 0.0}, "0 < exponent"),
        ({"accept": 0.3}, "accept < ¼"),
        ({"products": 0}, "at least one product"),
        (
            {"bounds": Bounds(0.0, 1.0), "inner": MassMatrix(sparse.eye_array(2, format="csc"))},
            "diagonal",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        NewtonCG(**settings)


def test_points_without_products_are_named_with_the_remedy():
    @dataclass
    class Bare:
        x: np.ndarray
        value: float = 1.0
        gradient: np.ndarray = field(default_factory=lambda: np.ones(2))

    with pytest.raises(
        TypeError, match=r"Bare has no hvp.* adjoint\.optimize\.DifferencedHessian\(f\)"
    ):
        NewtonCG().start(Bare, np.zeros(2))
    with pytest.raises(ValueError, match="clip it first"):
        NewtonCG(bounds=Bounds(1.0, 2.0)).start(rosenbrock(), np.zeros(2))


def test_products_that_cannot_be_are_named():
    f = rosenbrock()
    nan = Smooth(f.f, f.g, lambda x: np.full((2, 2), np.nan))
    result = minimize(nan, np.array([-1.2, 1.0]), NewtonCG())
    assert result.status is Status.FAILED
    assert "hvp of the objective is nan" in str(result.cause)
    with pytest.raises(ValueError, match=r"hvp of the objective has shape \(1,\)"):
        minimize(Smooth(f.f, f.g, lambda x: np.ones((1, 2))), np.array([-1.2, 1.0]), NewtonCG())
