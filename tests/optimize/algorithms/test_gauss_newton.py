"""Gauss–Newton and Levenberg–Marquardt: published minima, work, bounds, restarts, fits."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.optimize import (
    Bounds,
    DifferencedHessian,
    MassMatrix,
    Status,
    Stopping,
    Weighted,
    descend,
    minimize,
)
from adjoint.optimize.algorithms.gauss_newton import GaussNewton
from adjoint.optimize.algorithms.levenberg_marquardt import FewParameters
from adjoint.optimize.algorithms.newton_cg import NewtonCG
from problems.optimization.thermography import Exponential, Thermography


@dataclass(eq=False)
class Fit:
    """f = ½‖r(x)‖², J by complex steps; remembers what was asked for."""

    r: object
    log: list = field(default_factory=list)

    def __call__(self, x):
        self.log.append(("value", x.tobytes()))
        with np.errstate(over="ignore", invalid="ignore"):
            r = self.r(x)
            return Fitted(self, x.copy(), r, 0.5 * float(r @ r))

    def asked(self, what):
        return [x for kind, x in self.log if kind == what]


@dataclass(eq=False)
class Fitted:
    of: Fit
    x: np.ndarray
    residual: np.ndarray
    value: float

    def jacobian(self, what):
        self.of.log.append((what, self.x.tobytes()))
        return np.array(
            [self.of.r(self.x + 1e-30j * unit).imag * 1e30 for unit in np.eye(self.x.size)]
        ).T

    @property
    def gradient(self):
        return self.jacobian("gradient").T @ self.residual

    def jvp_residual(self, v):
        return self.jacobian("jvp") @ v

    def vjp_residual(self, w):
        return self.jacobian("vjp").T @ w


MEYER = np.array(
    [
        34780,
        28610,
        23650,
        19630,
        16370,
        13720,
        11540,
        9744,
        8261,
        7030,
        6005,
        5147,
        4427,
        3820,
        3307,
        2872,
    ],
    dtype=float,
)
OSBORNE = (
    1e-3
    * np.loadtxt(
        [
            "844 908 932 936 925 908 881 850 818 784 751",
            "718 685 658 628 603 580 558 538 522 506 490",
            "478 467 457 448 438 431 424 420 414 411 406",
        ]
    ).ravel()
)


def meyer(x):
    t = 45.0 + 5.0 * np.arange(1, 17)
    return x[0] * np.exp(x[1] / (t + x[2])) - MEYER


def osborne(x):
    t = 10.0 * np.arange(33)
    return OSBORNE - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def rosenbrock(x):
    return np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])


def powell_badly_scaled(x):
    return np.array([1e4 * x[0] * x[1] - 1.0, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def freudenstein_roth(x):
    return np.array(
        [
            -13.0 + x[0] + ((5.0 - x[1]) * x[1] - 2.0) * x[1],
            -29.0 + x[0] + ((x[1] + 1.0) * x[1] - 14.0) * x[1],
        ]
    )


def brown_dennis(x):
    t = np.arange(1, 21) / 5.0
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


def broyden(x):
    """Broyden's tridiagonal equations, for any number of parameters."""
    padded = np.concatenate([[0.0], x, [0.0]])
    return (3.0 - 2.0 * x) * x - padded[:-2] - 2.0 * padded[2:] + 1.0


MINIMA = {
    "Rosenbrock": (rosenbrock, (-1.2, 1.0), 0.0),
    "Powell, badly scaled": (powell_badly_scaled, (0.0, 1.0), 0.0),
    "Meyer": (meyer, (0.02, 4000.0, 250.0), 87.9458),
    "Osborne 1": (osborne, (0.5, 1.5, -1.0, 0.01, 0.02), 5.46489e-5),
    "Brown and Dennis": (brown_dennis, (25.0, 5.0, -5.0, -1.0), 85822.2),
    "Freudenstein and Roth": (freudenstein_roth, (0.5, -2.0), 48.9842),
}
"""Residuals, starts and Σr² of Moré, Garbow & Hillstrom (1981), ACM Trans. Math. Softw.

7, 17.
"""


def tight(**more):
    return Stopping(**{"stationarity": 1e-10, "iterations": 600, **more})


@pytest.mark.parametrize("name", MINIMA)
def test_published_minima_are_found(name):
    r, start, published = MINIMA[name]
    result = minimize(Fit(r), np.array(start), GaussNewton(), stop=tight(stationarity=1e-8))
    assert result.status is Status.STATIONARY
    assert 2.0 * result.value == pytest.approx(published, rel=1e-5, abs=1e-12)


def test_zero_residuals_are_reached_quadratically():
    sizes = [
        s.stationarity
        for s, _ in zip(descend(Fit(broyden), -np.ones(12), GaussNewton()), range(8), strict=False)
    ]
    sizes = np.array([size for size in sizes if size > 1e-13])
    assert np.log(sizes[-1] / sizes[-2]) / np.log(sizes[-2] / sizes[-3]) >= 1.8


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize(
    ("r", "start"),
    [(rosenbrock, (-1.2, 1.0)), (broyden, (-1.0,) * 8), (osborne, MINIMA["Osborne 1"][1])],
)
def test_few_and_many_parameters_find_the_same(few, r, start):
    result = minimize(Fit(r), np.array(start), GaussNewton(few=few), stop=tight())
    other = minimize(Fit(r), np.array(start), GaussNewton(few=100 - few), stop=tight())
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, other.x, rtol=1e-4)
    assert (result.state.memory["products"] == 0.0) == (few == 100)


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize(
    ("r", "start"), [(rosenbrock, (-1.2, 1.0)), (osborne, MINIMA["Osborne 1"][1])]
)
def test_each_trial_is_solved_once_and_refused_ones_have_no_derivative(r, start, few):
    f, states = Fit(r), []
    result = minimize(
        f, np.array(start), GaussNewton(few=few), stop=tight(), check=False, callback=states.append
    )
    values, accepted = f.asked("value"), [state.x.tobytes() for state in states]
    assert len(values) == len(set(values)) == result.state.evaluations
    assert f.asked("gradient") == accepted
    assert set(f.asked("jvp")) | set(f.asked("vjp")) <= set(accepted)
    assert sum(state.rejected.size for state in states) == len(values) - len(states) >= 1
    if few:
        assert f.asked("jvp") == accepted[:-1]
        assert not f.asked("vjp")


def test_jacobian_comes_from_transposed_solves_where_data_are_fewer():
    f = Fit(lambda x: np.array([np.sum(x**2) - 1.0, x[0] - 0.5]))
    result = minimize(f, np.linspace(0.1, 1.0, 7), GaussNewton(), stop=tight(), check=False)
    assert result.value <= 1e-20
    assert f.asked("vjp")
    assert not f.asked("jvp")


def test_units_of_few_parameters_do_not_change_the_path():
    units = np.array([2.0**-12, 2.0**3, 2.0**9, 1.0, 2.0**-3])
    start = np.array(MINIMA["Osborne 1"][1])

    def path(units):
        states = descend(Fit(lambda z: osborne(units * z)), start / units, GaussNewton())
        return np.array([units * s.x for s, _ in zip(states, range(8), strict=False)])

    np.testing.assert_allclose(path(units), path(np.ones(5)), rtol=1e-7)


@pytest.mark.parametrize("radius", [1e-3, 0.3, 2.0, 1e3])
@pytest.mark.parametrize("rank", [3, 5])
def test_step_of_few_parameters_is_the_least_in_its_ball(radius, rank):
    """Steps of that length with (JᵀJ + μD²) s = −Jᵀr, μ ≥ 0; μ = 0 inside."""
    rng = np.random.default_rng(rank)
    J = rng.standard_normal((9, rank)) @ rng.standard_normal((rank, 5))
    r, D = rng.standard_normal(9), rng.uniform(0.5, 2.0, 5)
    model = FewParameters(Bounds(), np.zeros(5), r, J, D)
    step = model.step(radius, 0.0)
    left = -(J.T @ (r + J @ step.s)) / D**2
    mu = (left @ step.s) / (step.s @ step.s)
    assert model.length(step.s) <= radius * (1.0 + 1e-12)
    assert mu >= -1e-12
    if model.length(step.s) < 0.85 * radius:
        np.testing.assert_allclose(J.T @ (r + J @ step.s), 0.0, atol=1e-10)
    else:  # The length was cut by a tenth at most.
        assert np.linalg.norm(left - mu * step.s) <= 0.15 * np.linalg.norm(J.T @ r / D**2)
    assert model.predicted(step) == pytest.approx(
        0.5 * (r @ r - (r + J @ step.s) @ (r + J @ step.s)), rel=1e-9
    )


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("seed", range(4))
def test_bounded_linear_fit_ends_where_the_optimality_conditions_hold(few, seed):
    rng = np.random.default_rng(seed)
    J, d = rng.standard_normal((20, 8)), 3.0 * rng.standard_normal(20)
    bounds = Bounds(-rng.uniform(0.05, 0.5, 8), rng.uniform(0.05, 0.5, 8))
    result = minimize(
        Fit(lambda x: J @ x - d), np.zeros(8), GaussNewton(bounds=bounds, few=few), stop=tight()
    )
    assert result.status is Status.STATIONARY
    x, g = result.x, J.T @ (J @ result.x - d)
    free = (x > bounds.lower) & (x < bounds.upper)
    assert 0 < free.sum() < 8
    np.testing.assert_allclose(g[free], 0.0, atol=1e-7)
    assert np.all(g[x == bounds.lower] >= 0.0)
    assert np.all(g[x == bounds.upper] <= 0.0)
    assert result.iterations <= 10


@pytest.mark.parametrize("few", [0, 100])
def test_bounded_rosenbrock(few):
    f = Fit(rosenbrock)
    bounds = Bounds(-2.0, 0.8)
    result = minimize(
        f, np.array([-1.2, 0.5]), GaussNewton(bounds=bounds, few=few), stop=tight(), check=False
    )
    np.testing.assert_allclose(result.x, [0.8, 0.64], rtol=1e-8)
    assert all(bounds.holds(np.frombuffer(x)) for x in f.asked("value"))


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("case", ["Osborne 1", "conductivity"])
def test_resumed_run_has_the_same_bits(case, few):
    """Also where a solve may be refined from factors of Newton's method, or not, as the solves
    before it were.
    """
    algorithm, fit = GaussNewton(few=few), (Fit(osborne), np.array(MINIMA["Osborne 1"][1]))
    f, start = fit if case == "Osborne 1" else thermography()
    through = [state for state, _ in zip(descend(f, start, algorithm), range(4), strict=False)]
    for before, after in pairwise(through):
        again = algorithm.advance(f, replace(before, point=None))
        assert again.x.tobytes() == after.x.tobytes()
        assert again.evaluations == after.evaluations
        assert {k: v.tobytes() for k, v in again.memory.items()} == {
            k: v.tobytes() for k, v in after.memory.items()
        }


@pytest.mark.parametrize("few", [0, 100])
def test_trial_that_cannot_be_evaluated_shortens_the_step(few):
    def r(x):
        return np.array([np.inf]) if x[0].real <= 0.0 else np.log(x) / 4.0 + 1.0

    states = []
    algorithm = GaussNewton(few=few, radius=50.0)
    result = minimize(
        Fit(r), np.array([4.0]), algorithm, stop=tight(), check=False, callback=states.append
    )
    np.testing.assert_allclose(result.x, np.exp(-4.0), rtol=1e-6)
    assert np.isnan(states[1].rejected[0])


def test_parameter_without_effect_stays():
    result = minimize(
        Fit(lambda x: np.array([x[0] ** 2 - 2.0, x[0] - 1.4])), np.array([1.0, 7.0]), GaussNewton()
    )
    assert result.status is Status.STATIONARY
    assert result.x[1] == 7.0


def test_large_residual_is_for_newton():
    """Brown and Dennis: Gauss–Newton converges linearly, Newton–CG on differences of gradients
    does not.
    """
    r, start, _ = MINIMA["Brown and Dennis"]
    linear = minimize(Fit(r), np.array(start), GaussNewton(), stop=tight(stationarity=1e-9))
    newton = minimize(
        DifferencedHessian(Fit(r)), np.array(start), NewtonCG(), stop=tight(stationarity=1e-9)
    )
    assert newton.status is Status.STATIONARY
    assert newton.value == pytest.approx(linear.value, rel=1e-9)
    assert newton.iterations < 0.2 * linear.iterations


def decay(weights):
    """u' = −p₁u, u(0) = p₂ at five times, through Outputs: the states and an integral that no one
    fits.
    """
    times = np.linspace(0.4, 2.0, 5)
    field = adjoint.complex_step_field(lambda t, u, p: -p[0] * u, 1, 2)
    start = adjoint.matrices.AffineVector(np.zeros(1), np.array([[0.0, 1.0]]))
    problem = adjoint.ODEProblem(field, start, t=(0.0, 2.0), observe=times, rtol=1e-6, atol=1e-9)
    data = 3.0 * np.exp(-0.7 * times)
    return adjoint.Reduced(
        adjoint.ode.Outputs(problem), adjoint.LeastSquares(data, weights=weights)
    )


@pytest.mark.parametrize("weights", [None, np.linspace(1.0, 5.0, 5)])
@pytest.mark.parametrize("few", [0, 100])
def test_rate_of_a_decay_is_recovered(weights, few):
    result = minimize(decay(weights), np.array([0.2, 1.0]), GaussNewton(few=few), stop=Stopping())
    np.testing.assert_allclose(result.x, [0.7, 3.0], rtol=1e-5)
    assert result.state.evaluations <= 30


@dataclass(frozen=True)
class Prior:
    """½α‖ln p‖²."""

    alpha: float

    def value(self, u, p):
        return 0.5 * self.alpha * float(np.log(p) @ np.log(p))

    def gradients(self, u, p):
        return np.zeros_like(u), self.alpha * np.log(p) / p

    def residual(self, u, p):
        return np.sqrt(self.alpha) * np.log(p)

    def residual_jvp(self, u, p, u_dot, p_dot):
        return np.sqrt(self.alpha) * p_dot / p

    def residual_vjp(self, u, p, w):
        return np.zeros_like(u), np.sqrt(self.alpha) * w / p


def thermography():
    case = Thermography((8, 6), (4, 3))
    objective = adjoint.Sum([adjoint.LeastSquares(case.data, case.observe), Prior(1.0)], [0.5, 4.0])
    return adjoint.Reduced(case.problem, objective, Exponential()), np.zeros(48)


def test_conductivity_of_a_plate_is_the_same_from_products_and_from_the_whole_jacobian():
    f, start = thermography()
    results = [
        minimize(f, start, GaussNewton(few=few), stop=tight(stationarity=1e-5)) for few in (0, 100)
    ]
    assert all(result.success for result in results)
    assert results[0].value == pytest.approx(results[1].value, rel=1e-4)


def test_products_factor_nothing():
    f, start = thermography()
    point = f(start + 0.1)
    assert point.gradient.size
    with adjoint.counting() as counts:
        point.vjp_residual(point.jvp_residual(np.ones(48)))
    assert counts.numeric == 0


def test_blocks_are_the_columns_one_by_one():
    f, start = thermography()
    point, rng = f(start + 0.1), np.random.default_rng(1)
    V, W = rng.standard_normal((48, 3)), rng.standard_normal((point.residual.size, 3))
    for block, single, columns in (
        (point.jvp_residual, point.jvp_residual, V),
        (point.vjp_residual, point.vjp_residual, W),
    ):
        each = np.array([single(column) for column in columns.T]).T
        np.testing.assert_allclose(block(columns), each, rtol=1e-9, atol=1e-11 * np.abs(each).max())
    assert np.sum(W * point.jvp_residual(V)) == pytest.approx(
        np.sum(V * point.vjp_residual(W)), rel=1e-10
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": -1.0}, "positive"),
        ({"exponent": 2.0}, "0 < exponent"),
        ({"few": -1}, "few ≥ 0"),
        (
            {"bounds": Bounds(0.0, 1.0), "inner": MassMatrix(sparse.eye_array(2, format="csc"))},
            "diagonal",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        GaussNewton(**settings)


def test_functions_that_are_no_sums_of_squares_are_named():
    f, x = decay(None), np.ones(2)
    with pytest.raises(TypeError, match="LinearFunctional is not a sum of squares"):
        GaussNewton().start(f.of(adjoint.LinearFunctional(np.ones(5))), x)
    with pytest.raises(TypeError, match="LinearFunctional is not a sum of squares"):
        GaussNewton().start(
            f.of(adjoint.Sum([f.objective, adjoint.LinearFunctional(np.ones(5))])), x
        )
    with pytest.raises(ValueError, match="weights ≥ 0"):
        GaussNewton().start(f.of(adjoint.Sum([f.objective], [-1.0])), x)

    class Twice(Fit):
        def __call__(self, x):
            return replace(super().__call__(x), value=3.0)

    with pytest.raises(ValueError, match=r"f is 3\.0, and ½‖r‖² is"):
        GaussNewton().start(Twice(rosenbrock), x * 2.0)

    @dataclass
    class Bare:
        x: np.ndarray
        value: float = 1.0

    with pytest.raises(TypeError, match="Bare has no residual"):
        GaussNewton().start(Bare, x)


@pytest.mark.parametrize(
    ("method", "returned", "error", "message"),
    [
        ("residual", 1j * np.ones(3), TypeError, "complex128.* real and imaginary parts"),
        ("residual", np.ones((3, 1)), TypeError, r"shape \(3, 1\); expected a real vector"),
        (
            "residual_jvp",
            np.ones(2),
            ValueError,
            r"residual_jvp returned shape \(2,\), expected \(3,\)",
        ),
        (
            "residual_vjp",
            (np.ones(2), np.ones(3)),
            ValueError,
            r"u_bar of shape \(2,\), expected \(3,\)",
        ),
        ("residual_vjp", (np.ones(3), np.ones(2)), ValueError, r"p_bar, which has shape \(2,\)"),
    ],
)
def test_squares_that_return_something_else_are_named(method, returned, error, message):
    wrong = type("Wrong", (Prior,), {method: lambda self, *given: returned})(1.0)
    f = adjoint.Reduced(adjoint.LinearProblem(sparse.eye_array(3), np.ones(3)), wrong)
    point = f(np.ones(3))
    with pytest.raises(error, match=message):
        (point.jvp_residual if method == "residual_jvp" else point.vjp_residual)(np.ones(3))


def test_blocks_of_another_shape_are_named():
    point = decay(None)(np.ones(2))
    with pytest.raises(ValueError, match=r"got v of shape \(3,\), expected \(2,\) or \(2, j\)"):
        point.jvp_residual(np.ones(3))
    with pytest.raises(ValueError, match=r"got w of shape \(5, 0\)"):
        point.vjp_residual(np.ones((5, 0)))


def test_jacobian_of_another_shape_is_named():
    class Short(Fitted):
        def jvp_residual(self, v):
            return self.jacobian("jvp")[:1] @ v

    f = Fit(osborne)
    with pytest.raises(ValueError, match=r"has shape \(1, 5\), expected \(33, 5\)"):
        minimize(
            lambda x: Short(*vars(f(x)).values()), np.array(MINIMA["Osborne 1"][1]), GaussNewton()
        )


def test_weighted_inner_product_with_many_parameters():
    f = Fit(broyden)
    result = minimize(
        f, -np.ones(10), GaussNewton(Weighted(np.linspace(1.0, 3.0, 10)), few=0), stop=tight()
    )
    assert result.value <= 1e-18
