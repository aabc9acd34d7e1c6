"""Times: exact stop times, observations anywhere, derivatives with respect to t₀, t_f,
observations.
"""

import functools
import operator

import numpy as np
import pytest
from scipy.linalg import expm

import adjoint
from tests.fixtures.fields import (
    DECAY,
    EXPLICIT,
    FIXED,
    METHODS,
    STIFF,
    Linear,
    P,
    Plain,
    Weave,
    cotangents,
    inner,
    weave,
)

ADAPTIVE = EXPLICIT | STIFF
adaptive = pytest.mark.parametrize("method", ADAPTIVE)


def decay(method, observe, t=(0.0, 1.0), **options):
    return adjoint.ODEProblem(
        DECAY, np.ones(1), t, observe=observe, method=METHODS[method], **options
    ).solve([1.0])


def difference(f):
    """f'(0), extrapolated central differences."""
    coarse, fine = ((f(h) - f(-h)) / (2.0 * h) for h in (2e-4, 1e-4))
    return (4.0 * fine - coarse) / 3.0


TIMES = {"inside": np.array([0.3, 0.35, 0.9]), "ends": np.array([0.2, 0.5, 1.2])}
DENSE_GRID = np.array([0.2, 0.362, 0.512, 0.662, 0.812, 0.962, 1.2])
"""Dense output has kinks between steps: these times are not at a kink."""


@pytest.mark.parametrize(("times", "dense"), [("inside", False), ("ends", False), ("ends", True)])
@pytest.mark.parametrize("method", METHODS)
def test_derivatives_with_respect_to_times_are_those_of_replays_with_moved_times(
    method, times, dense
):
    """t₀, t_f and the observation times move at once; observations at an end move with it."""
    t, observe, rng = np.array([0.2, 1.2]), TIMES[times], np.random.default_rng(3)
    options = {"t": (0.2, 1.2), "observe": observe, "dense": dense, "rtol": 1e-4, "atol": 1e-5}
    if method in FIXED:
        options["grid"] = DENSE_GRID if dense else np.union1d(DENSE_GRID, observe)
    trajectory = weave(
        3, method, "of p" if method in EXPLICIT else "zero rows, of p", **options
    ).solve(P)
    bars, t_dot, dot = cotangents(trajectory), rng.standard_normal(2), rng.standard_normal(3)
    s = trajectory.sensitivities(*bars)
    derivative = s.t0 * t_dot[0] + s.tf * t_dot[1]
    if times == "ends":
        assert (s.times[0], s.times[-1]) == (s.t0, s.tf)
        dot[[0, -1]] = t_dot
        derivative += s.times[1] * dot[1]
    else:
        derivative += s.times @ dot

    def objective(h):
        replay = trajectory.replay(P, t=tuple(t + h * t_dot), observe=observe + h * dot)
        return inner(*bars, replay.u, replay.integrals)

    scale = np.abs([s.t0, s.tf, *s.times]).max()
    assert derivative == pytest.approx(difference(objective), abs=1e-8 * scale)


@pytest.mark.parametrize("method", METHODS)
def test_replays_have_derivatives_of_their_own(method):
    """At other parameters and times, by a complex step; and replays of replays are replays."""
    trajectory, t, times = weave(4, method, "of p").solve(P), (0.05, 1.1), [0.05, 0.3, 0.85, 1.1]
    replay, p_dot = (
        trajectory.replay(1.1 * P, t=t, observe=times),
        np.array([0.3, -1.0, 0.5, 0.2, 0.7]),
    )
    bars, g = cotangents(replay), replay.vjp(*cotangents(replay))
    np.testing.assert_array_equal(replay.times, times)
    assert (replay.grid[0], replay.grid[-1]) == t
    again = replay.replay(1.1 * P + 1e-30j * p_dot)
    at_once = trajectory.replay(1.1 * P + 1e-30j * p_dot, t=t, observe=times)
    np.testing.assert_array_equal(again.u, at_once.u)
    assert g @ p_dot == pytest.approx(
        inner(*bars, again.u.imag, again.integrals.imag) * 1e30, rel=1e-11
    )
    np.testing.assert_array_equal(replay.replay(1.1 * P).u, replay.u)


@pytest.mark.parametrize("dense", [False, True], ids=["landing", "dense"])
@adaptive
def test_all_derivatives_of_a_linear_problem_are_those_of_its_closed_form(method, dense):
    """u = e^{p₀ A (t − t₀)} u₀ + p₀⁻¹ A⁻¹(e^{…} − 1) p₁ b."""
    field = Linear.banded(3, 0.7, -1.2, -0.4)
    A, u0, p, t0 = field.A.toarray(), np.array([1.0, -0.5, 0.3]), np.array([0.8, 0.6]), 0.4
    times, C = np.array([0.9, 1.7]), np.array([[1.0, -2.0, 0.5], [0.3, 0.8, -1.0]])
    rtol, loose = (1e-6, 1e-3) if method == "TRBDF2" else (1e-9, 1e-6)
    options = {
        "method": METHODS[method],
        "observe": times,
        "dense": dense,
        "rtol": rtol,
        "atol": 1e-2 * rtol,
    }
    trajectory = adjoint.ODEProblem(field, u0, (t0, 2.0), **options).solve(p)

    def exact(t, t0=t0, u0=u0, p=p):
        E = expm(p[0] * A * (t - t0))
        return E @ u0 + np.linalg.solve(p[0] * A, (E - np.eye(3)) @ (p[1] * field.b))

    np.testing.assert_allclose(trajectory.u, [exact(t) for t in times], rtol=loose)
    s = trajectory.sensitivities(C)
    slopes = [field(t, exact(t), p) for t in times]
    np.testing.assert_allclose(s.times, np.sum(C * slopes, axis=1), rtol=loose)
    assert s.tf == pytest.approx(0.0, abs=loose)  # Nothing is observed there.
    expected = difference(
        lambda h: sum(c @ exact(t, t0=t0 + h) for c, t in zip(C, times, strict=True))
    )
    assert s.t0 == pytest.approx(expected, rel=loose)
    np.testing.assert_allclose(
        s.u0,
        sum(expm(p[0] * A * (t - t0)).T @ c for c, t in zip(C, times, strict=True)),
        rtol=loose,
    )
    for k, unit in enumerate(np.eye(2)):
        by_p = difference(
            lambda h, e=unit: sum(c @ exact(t, p=p + h * e) for c, t in zip(C, times, strict=True))
        )
        assert s.p[k] == pytest.approx(by_p, rel=loose)


@adaptive
def test_steps_land_on_observation_times_that_no_sum_of_steps_would_hit(method):
    times = 0.1 * np.arange(11)
    assert times[3] != 0.3
    times[-1] = 1.0
    trajectory = decay(method, times)
    assert np.isin(times, trajectory.grid).all()
    assert trajectory.grid.size == trajectory.evidence.steps + 1
    assert np.all(np.diff(trajectory.grid) > 0.0)
    np.testing.assert_allclose(trajectory.u[:, 0], np.exp(-times), rtol=1e-4)
    assert trajectory.u[0, 0] == 1.0


def test_two_thousand_steps_of_a_thousandth_are_two_thousand_steps():
    """ARKODE's adjoint example reversed 10 001 steps for an objective at step 10 000: a
    gradient wrong by 2 %.
    """
    # One addition after the other: from Python 3.12 on `sum` compensates for rounding.
    assert functools.reduce(operator.add, [1e-3] * 2000) < 2.0
    control = adjoint.ode.StepControl(first_step=1e-3, max_step=1e-3)
    trajectory = decay("Tsit5", np.array([0.3, 1.999, 2.0]), t=(0.0, 2.0), control=control)
    assert trajectory.evidence.steps == 2000
    assert (trajectory.grid[300], trajectory.grid[1999], trajectory.grid[-1]) == (0.3, 1.999, 2.0)
    by_p = trajectory.vjp(np.eye(3)[:, None])[0]
    np.testing.assert_allclose(by_p, -trajectory.times * np.exp(-trajectory.times), rtol=1e-11)


@pytest.mark.parametrize("end", [1.0, 1e-30, 1e30, -1e3 + 1e-9])
@adaptive
def test_intervals_of_any_size_and_place_are_integrated_to_their_ends(method, end):
    start = -1e3 if end < 0.0 else 0.0
    rate = Plain(
        lambda t, u, p: -p * u, lambda t, u, p: np.array([-p]), lambda t, u, p: -u[:, None]
    )
    problem = adjoint.ODEProblem(rate, np.ones(1), (start, end), method=METHODS[method], rtol=1e-6)
    trajectory = problem.solve([1.0 / (end - start)])
    assert trajectory.grid[-1] == end
    assert trajectory.u[0, 0] == pytest.approx(np.exp(-1.0), rel=1e-4)
    assert trajectory.evidence.steps < 300


NEAR = {
    "a picosecond apart": [0.3, 0.3 + 1e-12],
    "neighbours": [0.3, np.nextafter(0.3, 1.0)],
    "next to both ends": [0.0, 5e-324, 1e-300, np.nextafter(1.0, 0.0), 1.0],
}


@pytest.mark.parametrize("dense", [False, True], ids=["landing", "dense"])
@pytest.mark.parametrize("times", NEAR.values(), ids=NEAR)
@adaptive
def test_times_that_nearly_coincide_cost_neither_steps_nor_digits(method, times, dense):
    times = np.array(times)
    alone, both = decay(method, times[:1], dense=dense), decay(method, times, dense=dense)
    assert both.evidence.steps <= alone.evidence.steps + 4 * (times.size - 1)
    np.testing.assert_allclose(both.u[:, 0], np.exp(-times), rtol=1e-4)
    s = both.sensitivities(np.ones((times.size, 1)))
    inside = (times > 0.0) & (times < 1.0)
    np.testing.assert_allclose(s.times[inside], -np.exp(-times[inside]), rtol=2e-4)
    assert s.p[0] == pytest.approx(-(times @ np.exp(-times)), rel=2e-4)


@pytest.mark.parametrize("pairs", [1, 8])
@adaptive
def test_short_segments_do_not_shorten_the_steps_behind_them(method, pairs):
    times = np.sort(
        np.concatenate([np.linspace(0.1, 0.9, pairs), np.linspace(0.1, 0.9, pairs) + 1e-7])
    )
    without, with_pairs = (
        decay(method, times[::2]).evidence.steps,
        decay(method, times).evidence.steps,
    )
    assert with_pairs <= without + 3 * pairs


@pytest.mark.parametrize("method", METHODS)
def test_dense_and_landing_observations_agree_within_the_tolerance(method):
    times = np.array([0.0, 0.21, 0.5, 1.0])
    fixed = {"grid": np.linspace(0.0, 1.0, 81)} if method in FIXED else {}
    landing = weave(
        3,
        method,
        observe=times,
        rtol=1e-5,
        atol=1e-7,
        **({"grid": np.union1d(fixed["grid"], times)} if fixed else {}),
    )
    dense = weave(3, method, observe=times, rtol=1e-5, atol=1e-7, dense=True, **fixed)
    a, b = landing.solve(P), dense.solve(P)
    loose = 4e-2 if method in FIXED else 1e-4
    np.testing.assert_allclose(a.u, b.u, rtol=loose)
    np.testing.assert_allclose(a.jvp(P), b.jvp(P), rtol=loose, atol=loose)
    np.testing.assert_array_equal(b.u[0], dense.initial(P))
    np.testing.assert_array_equal(b.u[-1], dense.solve(P).u[-1])


@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK4"])
def test_nothing_observed_leaves_the_integrals(method):
    trajectory = weave(3, method, observe=np.zeros(0)).solve(P)
    assert (trajectory.u.shape, trajectory.times.shape) == ((0, 3), (0,))
    u_bar, q_bar = np.zeros((0, 3)), np.array([0.4, -1.0])
    g = trajectory.vjp(u_bar, q_bar)
    assert g @ P == pytest.approx(q_bar @ trajectory.tangent(P)[1], rel=1e-12)
    assert trajectory.sensitivities(u_bar, q_bar).times.shape == (0,)
    assert trajectory.vjp(np.zeros((0, 3, 2)), np.stack([q_bar, q_bar], axis=1)).shape == (5, 2)


def test_a_field_without_time_derivative_serves_all_but_times():
    field = Weave(3)

    class Timeless:
        __call__, jacobian, vjp, jvp = field.__call__, field.jacobian, field.vjp, field.jvp

    trajectory = weave(3, "ESDIRK4", field=Timeless()).solve(P)
    u_bar, q_bar = cotangents(trajectory)
    np.testing.assert_array_equal(
        trajectory.vjp(u_bar, q_bar), weave(3, "ESDIRK4").solve(P).vjp(u_bar, q_bar)
    )
    with pytest.raises(TypeError, match="Timeless: time_derivative"):
        trajectory.sensitivities(u_bar, q_bar)
