"""Laws of the errors of trajectories: the error of the steps, and the error of their solver."""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from adjoint.accuracy import AccuracyStatus
from adjoint.errors import StepTooSmall
from problems.time.catalogue import ODE_CATALOGUE
from problems.time.kinetics import robertson
from problems.time.oscillators import lotka_volterra
from problems.time.schrodinger import shaken_trap
from tests.fixtures.fields import EXPLICIT, STIFF

SINGULAR = ("mass", "amplifier")


class HalfSquares:
    """J = ½ ‖y‖²."""

    def value(self, y, p):
        return 0.5 * float(np.sum(np.abs(y) ** 2))

    def gradients(self, y, p):
        return y.copy(), np.zeros_like(p)


class Misfit:
    """J = ½ ‖u − 1‖²."""

    def value(self, u, p):
        return 0.5 * float(np.sum((u - 1.0) ** 2))

    def gradients(self, u, p):
        return u - 1.0, np.zeros_like(p)


def function(problem):
    return adjoint.Reduced(adjoint.ode.Outputs(problem), HalfSquares())


def loosened(problem, rtol, **changes):
    return replace(problem, rtol=rtol, atol=np.asarray(problem.atol) * (rtol / 1e-8), **changes)


def exact(problem, rtol=1e-11, method=None):
    return loosened(problem, rtol, method=adjoint.ode.Radau9() if method is None else method)


def effectivity(point, gradient):
    return np.linalg.norm(point.gradient - gradient) / point.accuracy().gradient_error


@pytest.mark.parametrize("name", ODE_CATALOGUE)
def test_estimate_is_the_true_error_for_every_problem(name):
    problem, p = ODE_CATALOGUE[name]()
    reference = function(exact(problem, 1e-8, adjoint.ode.ESDIRK5()))(p)
    point = function(loosened(problem, 1e-5, method=adjoint.ode.ESDIRK4()))(p)
    accuracy = point.accuracy()
    assert accuracy.status is AccuracyStatus.ACCEPTED, accuracy.reason
    assert effectivity(point, reference.gradient) == pytest.approx(1.0, abs=0.2)
    corrected = np.linalg.norm(accuracy.corrected_gradient - reference.gradient)
    assert corrected <= 0.2 * np.linalg.norm(point.gradient - reference.gradient)
    if accuracy.value_status is AccuracyStatus.ACCEPTED:
        assert abs(point.value - reference.value) / accuracy.value_error == pytest.approx(
            1.0, abs=0.5
        )


@pytest.mark.parametrize("method", EXPLICIT | STIFF)
@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
def test_estimate_agrees_with_published_gradient(method, rtol):
    # Lotka–Volterra on (0, 10), J = ½ ‖u(10) − 1‖², in high-precision arithmetic.
    published = [0.6219615855509, 0.0680014041508, 0.1691764639958, 0.2725606939498]
    method = (EXPLICIT | STIFF)[method]
    problem = replace(lotka_volterra(np.array([10.0])), method=method, rtol=rtol, atol=rtol)
    point = adjoint.Reduced(problem, Misfit())(np.array([1.5, 1.0, 3.0, 1.0]))
    if point.accuracy().status is AccuracyStatus.REFUSED:  # Long steps of a method of high order.
        assert rtol == 1e-3
        return
    assert effectivity(point, np.array(published)) == pytest.approx(1.0, abs=0.3)


def test_estimate_agrees_with_published_gradient_of_stiff_kinetics():
    published = np.array([173.414089144977, -5.05919140558619e-4, 8.43234646542260e-8])
    p = np.array([0.04, 1e4, 3e7])
    problem = loosened(robertson(50.0), 1e-4)
    last = adjoint.LinearFunctional(np.array([0.0, 0.0, 0.0, 1.0]))  # Only the integral of y₃.
    point = adjoint.Reduced(adjoint.ode.Outputs(problem), last)(p)
    for k in range(3):  # The components have the units of 1 / p_k: each by its own direction.
        v = np.eye(3)[k]
        accuracy = point.accuracy(v)
        true = abs(point.gradient[k] - published[k])
        assert accuracy.status is AccuracyStatus.ACCEPTED, accuracy.reason
        assert true / accuracy.gradient_error == pytest.approx(1.0, abs=0.2)
        scaled = point.accuracy(1e6 * v).gradient_error
        assert scaled == pytest.approx(1e6 * accuracy.gradient_error, rel=1e-9)


def test_gradient_that_is_all_error_is_accepted():
    # ‖u(t)‖ is constant for Schrödinger's equation: the exact gradient is zero.
    problem = shaken_trap(9, 1.5)
    p = problem.field.nominal
    point = function(replace(problem, rtol=1e-4, atol=1e-6))(p)
    assert point.accuracy().status is AccuracyStatus.ACCEPTED
    assert effectivity(point, np.zeros(p.size)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("power", [0, 1])
def test_jumps_and_kinks_inside_of_steps_are_not_underestimated(power):
    rng, refused = np.random.default_rng(power), 0
    for trial in range(24):
        tau, p = rng.uniform(0.2, 1.8), rng.uniform(0.3, 3.0, 2)

        def f(t, u, p, tau=tau):
            return np.array([-p[0] * u[0] + p[1] * max(t - tau, 0.0) ** power * (t > tau)])

        method = (adjoint.ode.Tsit5(), adjoint.ode.ESDIRK4(), adjoint.ode.TRBDF2())[trial % 3]
        rtol = 10.0 ** rng.uniform(-6.0, -2.0)
        field = adjoint.complex_step_field(f, 1, 2)
        problem = adjoint.ODEProblem(
            field, np.ones(1), (0.0, 2.0), method=method, rtol=rtol, atol=rtol
        )
        point = adjoint.Reduced(problem, HalfSquares())(p)
        status = point.accuracy().status
        refused += status is AccuracyStatus.REFUSED
        if status is AccuracyStatus.ACCEPTED:
            known = exact(replace(problem, breaks=np.array([tau])))
            gradient = adjoint.Reduced(known, HalfSquares())(p).gradient
            assert effectivity(point, gradient) <= 2.0
    assert refused >= 6


@pytest.mark.parametrize("end", [33.0, 40.0])
def test_chaotic_trajectory_is_refused(end):
    """Differences of chaotic trajectories are random: some fall with the steps by chance."""

    def lorenz(t, u, p):
        return np.array(
            [p[0] * (u[1] - u[0]), u[0] * (p[1] - u[2]) - u[1], u[0] * u[1] - p[2] * u[2]]
        )

    field = adjoint.complex_step_field(lorenz, 3, 3)
    problem = adjoint.ODEProblem(
        field, np.ones(3), (0.0, end), method=adjoint.ode.Tsit5(), rtol=1e-3, atol=1e-3
    )
    point = adjoint.Reduced(problem, HalfSquares())(np.array([10.0, 28.0, 8.0 / 3.0]))
    accuracy = point.accuracy()
    assert accuracy.status is AccuracyStatus.REFUSED
    assert np.isnan(accuracy.gradient_error)
    assert np.isnan(accuracy.corrected_gradient).all()
    assert "change the gradient" in accuracy.reason


@pytest.mark.parametrize("method", [adjoint.ode.ESDIRK4, adjoint.ode.Radau5])
def test_error_of_the_solver_stands_apart(method):
    problem, p = ODE_CATALOGUE["van der Pol, stiff"]()
    loose = function(replace(problem, method=method(accuracy=1e-3), rtol=1e-3))(p)
    parts = loose.accuracy().parts
    same_steps = loose.solution.trajectory.grid
    tight = function(replace(problem, method=method(), grid=same_steps))(p)
    true = np.linalg.norm(loose.gradient - tight.gradient)
    assert parts["solver"] == pytest.approx(true, rel=0.3)
    assert function(replace(problem, method=method()))(p).accuracy().parts["solver"] < 1e-6 * true


def test_at_rounding_level_the_order_of_magnitude_is_known():
    problem = lotka_volterra(np.array([2.0]))
    # Steps of 0.005 leave less than rounding.
    tiny = replace(problem, method=adjoint.ode.DOP853(), grid=np.linspace(0.0, 2.0, 400))
    point = adjoint.Reduced(tiny, Misfit())(problem.field.nominal)
    accuracy = point.accuracy()
    assert accuracy.status is AccuracyStatus.ROUNDING
    assert accuracy.gradient_error <= 1e-12 * np.linalg.norm(point.gradient)
    assert np.array_equal(accuracy.corrected_gradient, point.gradient)


def test_refined_trajectories_divide_each_step():
    events = []
    problem = replace(lotka_volterra(np.array([1.0, 2.0])), callback=events.append)
    trajectory = problem.solve(problem.field.nominal)
    solved = len(events)
    finer = trajectory.refined(3)
    assert len(events) == solved  # The callback belongs to the user's own integration.
    assert np.array_equal(finer.grid[::3], trajectory.grid)
    assert np.array_equal(finer.times, trajectory.times)
    assert np.array_equal(trajectory.refined(1).grid, trajectory.grid)
    assert trajectory.sharpened() is trajectory  # Tsit5 is explicit.
    implicit = replace(problem, method=adjoint.ode.ESDIRK4(accuracy=1e-6)).solve(trajectory.p)
    assert implicit.sharpened().problem.method.accuracy == 1e-13
    assert implicit.sharpened().sharpened().sharpened().problem.method.accuracy == 1e-15


def test_refined_trajectories_of_a_replay_keep_its_times():
    problem = lotka_volterra(np.array([1.0, 2.0]))
    replayed = problem.solve(problem.field.nominal).replay(
        1.1 * problem.field.nominal, t=(0.0, 2.5), observe=np.array([1.2, 2.5])
    )
    finer = replayed.refined()
    assert np.array_equal(finer.times, [1.2, 2.5])
    assert np.array_equal(finer.p, replayed.p)
    assert np.abs(finer.u - replayed.u).max() < 1e-5


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        (0, ValueError, "parts"),
        (2.0, TypeError, "parts"),
        (True, TypeError, "parts"),
        (1000, StepTooSmall, "cannot be divided"),
    ],
)
def test_bad_numbers_of_parts(parts, error, message):
    problem = replace(lotka_volterra(np.array([1.0])), grid=np.array([0.0, 1.0 - 1e-13, 1.0]))
    trajectory = problem.solve(problem.field.nominal)
    with pytest.raises(error, match=message):
        trajectory.refined(parts)


def test_steps_too_short_to_be_divided_are_refused():
    last = np.nextafter(1.0, 0.0)
    problem = replace(lotka_volterra(np.array([1.0])), grid=np.array([0.0, 0.5, last, 1.0]))
    accuracy = adjoint.Reduced(problem, Misfit())(problem.field.nominal).accuracy()
    assert accuracy.status is AccuracyStatus.REFUSED
    assert "cannot be divided" in accuracy.reason


def test_bad_direction():
    problem = lotka_volterra(np.array([1.0]))
    point = adjoint.Reduced(problem, Misfit())(problem.field.nominal)
    with pytest.raises(ValueError, match=r"direction of shape \(3,\), expected \(4,\)"):
        point.accuracy(np.ones(3))
