"""Other packages' optimizers in any unit, with linear constraints, without false success."""

import numpy as np
import pytest

import adjoint
from adjoint import Status, Stopping
from adjoint.interop import minimize
from adjoint.interop.multipliers import lagrangian
from adjoint.interop.scipy import LBFGSB, SLSQP, LeastSquares, TrustConstr
from adjoint.optimize import (
    Bounds,
    Euclidean,
    FunctionConstraint,
    LinearConstraint,
    ResidualFunction,
    ScalarFunction,
    Weighted,
)
from adjoint.optimize.constraints.values import excess
from tests.interop.test_optimizers import ipopt_method, made, nlopt_method
from tests.optimize.test_scaling import DIFFERENCE, START, bowl

UNITS = [(1e-30, 1.0), (1e30, 1.0), (1.0, 1e-9), (1.0, 1e9), (1e12, 1e-12), (1e-12, 1e12)]
FREE = {
    "L-BFGS-B": LBFGSB,
    "trust-constr": TrustConstr,
    "trust-constr, Hessian products": lambda **settings: TrustConstr(hessian=True, **settings),
    "SLSQP": SLSQP,
    "least squares": LeastSquares,
    "least squares, products": lambda **settings: LeastSquares(dense=False, **settings),
    "NLopt L-BFGS": lambda **settings: nlopt_method("LD_LBFGS", **settings),
    "Ipopt": lambda **settings: ipopt_method(**settings),
}


def valley(F, D):
    """F (100 (y₁ − y₀²)² + (1 − y₀)²), y = x/D."""

    def slope(y):
        return np.array(
            [-400.0 * y[0] * (y[1] - y[0] ** 2) - 2.0 * (1.0 - y[0]), 200.0 * (y[1] - y[0] ** 2)]
        )

    def curvature(y):
        return np.array(
            [[1200.0 * y[0] ** 2 - 400.0 * y[1] + 2.0, -400.0 * y[0]], [-400.0 * y[0], 200.0]]
        )

    return ScalarFunction(
        lambda x: F * (100.0 * (x[1] / D - (x[0] / D) ** 2) ** 2 + (1.0 - x[0] / D) ** 2),
        lambda x: F / D * slope(x / D),
        lambda x, v: F / D**2 * curvature(x / D) @ v,
    )


def misfit(F, D):
    """The same as ½‖r‖², times ½."""
    root = np.sqrt(F)
    return ResidualFunction(
        lambda x: root * np.array([10.0 * (x[1] / D - (x[0] / D) ** 2), 1.0 - x[0] / D]),
        lambda x: root / D * np.array([[-20.0 * x[0] / D, 10.0], [-1.0, 0.0]]),
    )


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("kind", ["free", "bounded", "inner product"])
def test_no_unit_of_f_or_x_changes_the_run(name, kind):
    runs = []
    for F, D in [(1.0, 1.0), *UNITS]:
        settings = {
            "free": {},
            "bounded": {"bounds": Bounds(-2.0 * D, 0.8 * D)},
            "inner product": {"inner": Weighted(np.array([1.0, 4.0]) / D**2)},
        }[kind]
        f = (misfit if name.startswith("least") else valley)(F, D)
        result = minimize(
            f,
            np.array([-1.2, 0.7]) * D,
            made(FREE, name, **settings),
            stop=Stopping(iterations=300),
        )
        assert result.status is Status.STATIONARY
        np.testing.assert_allclose(
            result.x / D, [0.8, 0.64] if kind == "bounded" else [1.0, 1.0], atol=2e-3
        )
        runs.append(result.iterations)
    # A trust region that ends at a bound follows rounding.
    assert max(runs) - min(runs) <= (10 if kind == "bounded" and "trust" in name else 2)


CONSTRAINED = {
    "trust-constr": TrustConstr,
    "SLSQP": SLSQP,
    "NLopt SLSQP": lambda **settings: nlopt_method("LD_SLSQP", **settings),
    "Ipopt": lambda **settings: ipopt_method(**settings),
}


@pytest.mark.parametrize("name", CONSTRAINED)
@pytest.mark.parametrize("equal", [False, True])
def test_constraints_with_a_bound_of_zero_in_any_unit(name, equal):
    runs = []
    for F, D, C in [
        (1.0, 1.0, 1.0),
        (1.0, 1e-12, 1.0),
        (1e30, 1.0, 1e-12),
        (1e-30, 1e6, 1e12),
        (1e9, 1e-9, 1e-9),
    ]:
        linear = LinearConstraint(C / D * DIFFERENCE, 0.0)
        told = FunctionConstraint(
            ScalarFunction(
                lambda x, s=C / D: s * float(x @ DIFFERENCE), lambda x, s=C / D: s * DIFFERENCE
            ),
            0.0,
        )
        for c in (linear, told):
            settings = {
                "equalities" if equal else "constraints": (c,),
                "bounds": Bounds(0.0, 10.0 * D),
            }
            result = minimize(bowl(D, F), START * D, made(CONSTRAINED, name, **settings))
            assert result.status is Status.STATIONARY
            np.testing.assert_allclose(result.x / D, 2.0, atol=1e-4)
            np.testing.assert_allclose(result.state.multipliers / (F * 4.5), 2.0, atol=1e-3)
            runs.append(result.iterations)
    assert max(runs) - min(runs) <= 2


@pytest.mark.parametrize("as_function", [False, True])
def test_a_linear_constraint_costs_trust_constr_no_iterations(as_function):
    """min −Σ√x, Σx ≤ V: x = V/m.

    Plain SciPy takes 25 iterations; with the identity as c's Hessian it is a thousand.
    """
    m, V = 20, 2000.0
    f = ScalarFunction(lambda x: -float(np.sqrt(x).sum()), lambda x: -0.5 / np.sqrt(x))
    total = ScalarFunction(lambda x: float(x.sum()), np.ones_like)
    c = FunctionConstraint(total, V) if as_function else LinearConstraint(np.ones(m), V)
    start = np.linspace(0.5, 1.0, m) * V / m
    result = minimize(f, start, TrustConstr((c,), bounds=Bounds(1e-3 * V / m, V)))
    assert result.status is Status.STATIONARY
    assert result.iterations <= 30
    np.testing.assert_allclose(result.x, V / m, rtol=1e-4)


def test_linear_and_curved_constraints_go_to_trust_constr_in_their_order():
    """min Σx² on Σx ≥ 3, x₀ x₁ ≤ ½, x₂ = ¼ and x₀ − x₁ = 1, in an inner product: multipliers
    belong to each.
    """
    product = FunctionConstraint(
        ScalarFunction(lambda x: float(x[0] * x[1]), lambda x: np.array([x[1], x[0], 0.0])), 9.0
    )
    inequalities = (product, LinearConstraint(-np.ones(3), -3.0))
    equalities = (
        FunctionConstraint(
            ScalarFunction(lambda x: float(x[2] ** 2), lambda x: np.array([0.0, 0.0, 2.0 * x[2]])),
            0.0625,
        ),
        LinearConstraint(np.array([1.0, -1.0, 0.0]), 1.0),
    )
    f = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    method = TrustConstr(inequalities, equalities, inner=Weighted(np.array([1.0, 4.0, 9.0])))
    result = minimize(f, np.array([1.0, 2.0, 0.5]), method)
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, [1.875, 0.875, 0.25], atol=1e-5)
    # 2x = λ₁ 1 − (λ₂ 2x₂ e₂) − λ₃ (1, −1, 0): λ₁ = 2.75, λ₃ = −1.
    unscaled = result.state.multipliers / result.state.scales
    np.testing.assert_allclose(unscaled, [0.0, 2.75, (2.75 - 0.5) / 0.5, -1.0], atol=1e-3)


def tongue():
    """min e^x (4x² + 2y² + 4xy + 2y + 1) on x² + y = 1 within [−1, 1]².

    Least, 1.5093, at (−0.753, 0.433).
    """

    def value(x):
        return np.exp(x[0]) * (4 * x[0] ** 2 + 2 * x[1] ** 2 + 4 * x[0] * x[1] + 2 * x[1] + 1)

    def slope(x):
        e = np.exp(x[0])
        return np.array([value(x) + e * (8 * x[0] + 4 * x[1]), e * (4 * x[1] + 4 * x[0] + 2)])

    curve = ScalarFunction(lambda x: x[0] ** 2 + x[1], lambda x: np.array([2 * x[0], 1.0]))
    return ScalarFunction(value, slope), FunctionConstraint(curve, 1.0)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_no_success_where_only_a_multiplier_beyond_measure_holds_the_design(name):
    """Towards (0, 1) the bound y ≤ 1 holds the only variable that the constraint depends on: λ
    grows without end.
    """
    f, curve = tongue()
    starts = [(0.99, -0.99), (0.5, 0.9), (1e-3, 1.0), (1e-5, 1.0), (1e-8, 1.0), (-0.5, 0.0)]
    for start in starts:
        method = made(CONSTRAINED, name, equalities=(curve,), bounds=Bounds(-1.0, 1.0))
        result = minimize(f, np.array(start), method)
        if result.success:
            assert result.value == pytest.approx(1.5093, abs=1e-3)


def test_multipliers_do_not_come_from_constraints_that_bounds_hold():
    g, box = np.array([9.0, 6.0]), Bounds(-1.0, 1.0)
    for x0, told in ((0.3, True), (1e-7, False)):
        x = np.array([x0, 1.0])
        point = adjoint.optimize.ScalarFunction(lambda x: 0.0, lambda x: g)(x)
        curve = tongue()[1]
        at = excess((curve,), point, np.ones(1))
        multipliers, slope = lagrangian(g, at, 0, x, box, Euclidean(), np.ones(2))
        # 2 x₀ λ = −9 takes a multiplier without end; −6 is that of y, which then does not move
        # inwards.
        assert multipliers[0] == pytest.approx(-15.0 if told else -6.0, abs=1e-5)
        assert slope[0] == pytest.approx(0.0 if told else 9.0, abs=1e-5)


def test_what_a_multiplier_leaves_counts():
    """|λ c| of a constraint that is slack, or violated, by the tolerances of an optimizer is part
    of the measure.
    """
    f = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    states = []
    method = SLSQP((LinearConstraint(-np.ones(2), -1.0),))
    minimize(f, np.array([0.5 + 2e-5, 0.5 + 2e-5]), method, callback=states.append)
    first = states[0]  # Slack by 4e-5, with a multiplier of 1.
    expected = first.multipliers[0] * abs(first.constraints[0]) / np.linalg.norm(first.x)
    assert first.multipliers[0] == pytest.approx(1.0, abs=1e-4)
    assert first.stationarity == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_multipliers_of_a_solution_are_found_wherever_its_variables_stand(seed):
    """∇f = −Gᵀλ + μ with μ ≥ 0 at lower bounds, ≤ 0 at upper ones, from vertices to free points,
    in any unit.
    """
    rng = np.random.default_rng(seed)
    m, k = 8, 3
    where = rng.choice([-1, 0, 1], m, p=[0.4, 0.2, 0.4] if seed % 2 else [0.1, 0.8, 0.1])
    unit = 10.0 ** rng.uniform(-12, 12)
    x = unit * where
    G, multipliers = (
        rng.normal(size=(k, m)) / unit,
        np.array([0.0, rng.uniform(0.1, 2.0), rng.normal()]),
    )
    g = -multipliers @ G - where * rng.uniform(0.1, 3.0, m) / unit
    rows = [LinearConstraint(row, float(row @ x)) for row in G]
    at = excess(rows, ScalarFunction(lambda x: 0.0, lambda x: g)(x), np.ones(k))
    box = Bounds(-unit, unit)
    found, slope = lagrangian(g, at, 2, x, box, Euclidean(), np.full(m, unit))
    assert (found[:2] >= 0.0).all()
    assert np.linalg.norm(box.held(x, slope)) <= 1e-9 / unit


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_vertex_is_a_solution(name):
    """min −x − 2y + z²/10, x + y ≤ 1, y ≤ z within [0, 1]³: at (0, 1, 1) every variable stands at
    a bound.
    """
    for unit in (1.0, 1e-12, 1e12):
        f = ScalarFunction(
            lambda x, s=unit: s * float(-x[0] - 2.0 * x[1] + 0.1 * x[2] ** 2),
            lambda x, s=unit: s * np.array([-1.0, -2.0, 0.2 * x[2]]),
        )
        c = (
            LinearConstraint(np.array([1.0, 1.0, 0.0]), 1.0),
            LinearConstraint(unit * np.array([0.0, 1.0, -1.0]), 0.0),
        )
        method = made(CONSTRAINED, name, constraints=c, bounds=Bounds(0.0, 1.0))
        result = minimize(f, np.array([0.2, 0.3, 0.6]), method)
        assert result.status is Status.STATIONARY
        np.testing.assert_allclose(result.x, [0.0, 1.0, 1.0], atol=1e-4)


@pytest.mark.parametrize(
    "algorithm",
    [
        adjoint.optimize.LBFGS,
        adjoint.optimize.BFGS,
        adjoint.optimize.SteepestDescent,
        adjoint.optimize.NewtonCG,
    ],
)
@pytest.mark.parametrize("start", [(-1.2, 0.7), (0.0, 0.0)])
def test_our_own_bounded_runs_have_no_unit_either(algorithm, start):
    """Which bounds the first step meets is asked in the unit of x.

    A start at zero has a size by f and the bounds.
    """
    runs = []
    for F, D in [(1.0, 1.0), *UNITS]:
        box = Bounds(-2.0 * D, 0.8 * D)
        result = adjoint.minimize(valley(F, D), np.array(start) * D, algorithm(bounds=box))
        assert result.status is Status.STATIONARY
        np.testing.assert_allclose(result.x / D, [0.8, 0.64], atol=2e-3)
        runs.append(result.iterations)
    assert max(runs) - min(runs) <= 2
