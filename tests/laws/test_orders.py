"""Observed orders, forward and adjoint, on grids; and errors that follow the tolerance under
error control.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from tests.fixtures.fields import (
    FIXED,
    METHODS,
    SINGULAR,
    STIFF,
    Moments,
    P,
    Plain,
    Weave,
    kinds,
    mass,
    weave,
)

U_BAR, Q_BAR = np.array([[0.3, -1.0, 0.7]]), np.array([1.0, -0.4])
START = np.array([0.5, 0.2, 0.8])
GRIDS = {  # Numbers of steps: errors between what is asymptotic and what is rounding.
    "Tsit5": (12, 24),
    "DOP853": (5, 8),
    "TRBDF2": (24, 48),
    "ESDIRK4": (16, 32),
    "ESDIRK5": (24, 48),
    "Radau5": (16, 32),
    "Radau9": (5, 8),
    "BE": (32, 64),
    "CN": (24, 48),
    "theta": (32, 64),
}


def grid(steps, end=1.5):
    """Unequal steps, the same function of k/N for every N."""
    x = np.linspace(0.0, 1.0, steps + 1)
    t = end * (x + 0.15 * np.sin(np.pi * x) ** 2)
    t[-1] = end
    return t


def on_grid(method, kind, t, **changes):
    options = {
        "t": (0.0, t[-1]),
        "grid": t,
        "u0": START,
        "observe": None,
        "rtol": 1e-8,
        "atol": 1e-10,
    }
    return weave(3, method, kind, **(options | changes)).solve(P)


def results(trajectory):
    """The results (u, ∫ℓ), and all derivatives (p, u₀, t_f) of a combination of them."""
    s = trajectory.sensitivities(U_BAR, Q_BAR)
    return np.append(trajectory.u[0], trajectory.integrals), np.concatenate([s.p, s.u0, [s.tf]])


def errors(got, exact):
    return [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(got, exact, strict=True)]


@cache
def reference(kind):
    """The results by a method of high order on a fine grid."""
    return results(
        on_grid(*(("ESDIRK5", kind, grid(140)) if kind in SINGULAR else ("DOP853", kind, grid(40))))
    )


def observed_orders(coarse, fine, ratio):
    return np.log(np.array(coarse) / fine) / np.log(ratio)


@pytest.mark.parametrize(("method", "kind"), kinds("of p", "rank deficient"))
def test_states_integrals_and_gradients_converge_at_the_order_of_the_method(method, kind):
    N, M = GRIDS[method]
    both = [
        errors(results(on_grid(method, kind, grid(steps))), reference(kind)) for steps in (N, M)
    ]
    orders, expected = observed_orders(*both, M / N), METHODS[method].tableau.order
    assert orders.min() >= expected - (0.6 if method == "DOP853" else 0.5), orders


DENSE = {
    "Tsit5": 4,
    "DOP853": 7,
    "TRBDF2": 2,
    "ESDIRK4": 4,
    "ESDIRK5": 4,
    "BE": 1,
    "CN": 2,
    "theta": 1,
} | {
    "Radau5": 3,
    "Radau9": 5,
}
"""Order of the interpolating polynomial: one less than the order of its error inside a step."""


@pytest.mark.parametrize("method", METHODS)
def test_dense_output_within_a_step_and_its_gradient_are_of_the_order_of_its_polynomial(method):
    both, u_bar = [], np.ones((3, 3)) * [[1.0], [-0.4], [0.3]]
    for h in (0.1, 0.05):
        times = h * np.array([0.3, 0.55, 0.8])
        got = on_grid(method, "identity", np.array([0.0, h]), observe=times, dense=True)
        exact = on_grid("DOP853", "identity", np.union1d([0.0, h], times), observe=times)
        both.append(
            [
                np.linalg.norm(a - b)
                for a, b in ((got.u, exact.u), (got.vjp(u_bar), exact.vjp(u_bar)))
            ]
        )
    orders = observed_orders(*both, 2.0)
    assert orders.min() >= DENSE[method] + 1 - 0.55, orders
    assert orders.max() <= DENSE[method] + 2, orders


@pytest.mark.parametrize(("method", "kind"), kinds("identity", "zero rows"))
def test_dense_observations_over_many_steps_converge_at_the_order_of_the_method(method, kind):
    """Algebraic unknowns too: order 4, from a cubic through the stages."""
    highest = 4 if kind in SINGULAR else DENSE[method] + 1
    expected, times = min(METHODS[method].tableau.order, highest), np.linspace(0.3, 1.4, 40)
    finer = np.union1d(grid(100 if kind in SINGULAR else 30), times)
    exact = on_grid("ESDIRK5" if kind in SINGULAR else "DOP853", kind, finer, observe=times).u
    N, M = GRIDS[method] if method != "Radau9" else (12, 24)  # Of order 6 there, not 9.
    both = [
        errors((on_grid(method, kind, grid(k), observe=times, dense=True).u,), (exact,))
        for k in (N, M)
    ]
    assert observed_orders(*both, M / N).min() >= expected - 0.7


@pytest.mark.parametrize(
    ("method", "kind"), [pair for pair in kinds("identity", "zero rows") if pair[0] not in FIXED]
)
def test_errors_and_errors_of_gradients_follow_the_tolerance(method, kind):
    """Order p/(p + 1) in the tolerance, because the estimate is the method's own error h^(p+1)."""
    tableau, tolerances = METHODS[method].tableau, np.array([1e-3, 1e-6])
    power = min(1.0, tableau.order / tableau.error_order)
    options = {"grid": None, "integrand": Moments()}
    worst = np.array(
        [
            max(
                errors(
                    results(on_grid(method, kind, [1.5], rtol=rtol, atol=rtol, **options)),
                    reference(kind),
                )
            )
            for rtol in tolerances
        ]
    )
    assert np.all(worst <= 100.0 * tolerances**power), worst
    assert worst[1] <= 0.1 * worst[0], worst


def prothero_robinson(stiffness):
    """u' = −λ (u − p sin t) + p cos t: u = p sin t, whatever the stiffness λ."""
    return Plain(
        lambda t, u, p: -stiffness * (u - p * np.sin(t)) + p * np.cos(t),
        lambda t, u, p: np.array([[-stiffness]]),
        lambda t, u, p: np.array([[stiffness * np.sin(t) + np.cos(t)]]),
    )


@pytest.mark.parametrize("stiffness", [1e2, 1e5, 1e8])
@pytest.mark.parametrize("method", STIFF)
def test_stiffness_costs_neither_steps_nor_accuracy(method, stiffness):
    """Prothero & Robinson (1974)."""
    options = {"method": METHODS[method], "rtol": 1e-6, "atol": 1e-8}
    trajectory = adjoint.ODEProblem(
        prothero_robinson(stiffness), np.zeros(1), (0.0, 2.0), **options
    ).solve([1.5])
    assert trajectory.u[0, 0] == pytest.approx(1.5 * np.sin(2.0), rel=1e-4)
    assert trajectory.vjp([[1.0]])[0] == pytest.approx(np.sin(2.0), rel=1e-4)
    assert trajectory.evidence.steps <= 400
    assert trajectory.evidence.rejected <= 0.2 * trajectory.evidence.steps


@pytest.mark.parametrize("method", METHODS)
def test_integrals_are_those_of_a_further_unknown(method):
    """∫ℓ dt by the method's own quadrature is, to rounding, the solution of v' = ℓ(t, u, p) by
    the same method.
    """
    small, moments = Weave(3), Moments()
    larger = Plain(
        lambda t, y, p: np.concatenate([small(t, y[:3], p), moments(t, y[:3], p)]),
        lambda t, y, p: np.block(
            [
                [small.jacobian(t, y[:3], p), np.zeros((3, 2))],
                [moments.by_state(t, y[:3]), np.zeros((2, 2))],
            ]
        ),
    )
    options = {"t": (0.0, 1.5), "method": METHODS[method], "grid": grid(9)}
    by_weights = adjoint.ODEProblem(small, START, integrand=moments, **options).solve(P)
    together = adjoint.ODEProblem(larger, np.append(START, [0.0, 0.0]), **options).solve(P)
    np.testing.assert_allclose(
        together.u[0], np.append(by_weights.u[0], by_weights.integrals), rtol=1e-11
    )


def test_masses_change_nothing_but_the_form_of_the_equations():
    """M u' = f and u' = M⁻¹f have the same trajectories over the same steps."""
    field, M = Weave(3), mass("constant", 3)
    inverse = np.linalg.inv(M)
    solved = Plain(
        lambda t, u, p: inverse @ field(t, u, p),
        lambda t, u, p: inverse @ field.jacobian(t, u, p),
        lambda t, u, p: inverse @ field.by_parameters(t, u, p),
    )
    for method in METHODS:
        with_mass = on_grid(method, "constant", grid(9), integrand=None)
        without = replace(with_mass.problem, field=solved, mass=None).solve(P)
        np.testing.assert_allclose(with_mass.u, without.u, rtol=1e-11)
        np.testing.assert_allclose(with_mass.vjp(U_BAR), without.vjp(U_BAR), rtol=1e-9, atol=1e-11)


C = np.array([[1.0, -2.0, 0.5], [0.3, 0.0, -1.0]])
INTEGRANDS = {
    "linear": (adjoint.ode.LinearIntegrand(C), lambda t, u: C @ u),
    "linear, sparse": (adjoint.ode.LinearIntegrand(sparse.csc_array(C)), lambda t, u: C @ u),
    "linear, one row": (
        adjoint.ode.LinearIntegrand(sparse.coo_array(C[:1])),
        lambda t, u: C[:1] @ u,
    ),
    "linear, a vector": (
        adjoint.ode.LinearIntegrand([1, -2, 0]),
        lambda t, u: np.array([u[0] - 2.0 * u[1]]),
    ),
    "squares": (adjoint.ode.SquaredIntegrand(), lambda t, u: np.array([0.5 * u @ u])),
    "weighted misfit": (
        adjoint.ode.SquaredIntegrand(np.array([1.0, 3.0, 0.2]), np.array([0.1, 0.2, -1.0])),
        lambda t, u: np.array([0.5 * np.sum([1.0, 3.0, 0.2] * (u - [0.1, 0.2, -1.0]) ** 2)]),
    ),
    "misfit of a moving target": (
        adjoint.ode.SquaredIntegrand(
            None, lambda t: np.sin(t + np.arange(3)), lambda t: np.cos(t + np.arange(3))
        ),
        lambda t, u: np.array([0.5 * np.sum((u - np.sin(t + np.arange(3))) ** 2)]),
    ),
}


@pytest.mark.parametrize(("integrand", "value"), INTEGRANDS.values(), ids=INTEGRANDS)
def test_shipped_integrands_are_what_they_say_and_so_are_their_derivatives(integrand, value):
    rng, t, d = np.random.default_rng(2), 0.7, 1e-30
    u, u_dot = rng.standard_normal((2, 3))
    exact = value(t, u)
    np.testing.assert_allclose(integrand(t, u, P), exact, rtol=1e-15)
    slope = value(t, u + 1j * d * u_dot).imag / d
    np.testing.assert_allclose(integrand.jvp(t, u, P, u_dot, P), slope, rtol=1e-13)
    q_bar = rng.standard_normal(exact.size)
    u_bar, p_bar = integrand.vjp(t, u, P, q_bar)
    assert u_bar @ u_dot == pytest.approx(q_bar @ slope, rel=1e-13)
    np.testing.assert_array_equal(p_bar, np.zeros(P.size))
    np.testing.assert_allclose(
        integrand.time_derivative(t, u, P), value(t + 1j * d, u).imag / d, atol=1e-15
    )
