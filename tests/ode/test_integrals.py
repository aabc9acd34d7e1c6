"""Error control of integrals: kinks, jumps and waves of the integrand that the states do not
have.
"""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from tests.fixtures.fields import EXPLICIT, METHODS, STIFF, P, cotangents, weave

ADAPTIVE = [*EXPLICIT, *STIFF]
RISE = adjoint.complex_step_field(lambda t, u, p: p * np.ones(1), n=1, m=1)
"""u' = p: no step is too long for it."""


def rising(integrand, method="ESDIRK4", **changes):
    options = {
        "u0": np.zeros(1),
        "t": (0.0, 2.0),
        "method": METHODS[method],
        "integrand": integrand,
    }
    return adjoint.ODEProblem(RISE, **(options | changes))


def of(f, n=1, m=1):
    return adjoint.complex_step_integrand(lambda t, u, p: np.array([f(t, u, p)]), n=n, m=m)


def above(t, u, p):
    """(u − 1)₊² u², without derivative of second order where u passes 1."""
    return np.where(u[0].real > 1.0, u[0] - 1.0, 0.0) ** 2 * u[0] ** 2


@pytest.mark.parametrize("method", ADAPTIVE)
def test_gradient_of_a_kinked_integrand_is_right_to_the_tolerance(method):
    """∫ (p t − 1)₊² p² t² dt = F(s)/p, s = 2 p, F = s⁵/5 − s⁴/2 + s³/3 − 1/30, and its
    derivative.
    """
    rtol = 1e-5 if method == "TRBDF2" else 1e-8
    trajectory = rising(of(above), method, rtol=rtol).solve(np.array([1.1]))
    p, s = 1.1, 2.2
    F, slope = s**5 / 5.0 - s**4 / 2.0 + s**3 / 3.0 - 1.0 / 30.0, s**4 - 2.0 * s**3 + s**2
    assert trajectory.integrals[0] == pytest.approx(F / p, rel=1e2 * rtol)
    gradient = trajectory.vjp(np.zeros((1, 1)), np.ones(1))[0]
    assert gradient == pytest.approx(2.0 * slope / p - F / p**2, rel=1e3 * rtol)
    off = replace(trajectory.problem, control=adjoint.ode.StepControl(integrals=False)).solve(
        np.array([1.1])
    )
    assert off.evidence.steps < trajectory.evidence.steps
    assert abs(off.integrals[0] * p / F - 1.0) > 1e-5


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("method", ["Tsit5", "DOP853", "ESDIRK4", "Radau9"])
def test_units_of_an_integral_play_no_part(method, unit):
    """∫ sin² 30t, whose steps are chosen for the integral alone."""
    wave = rising(of(lambda t, u, p: unit * np.sin(30.0 * t) ** 2), method).solve(np.ones(1))
    assert wave.integrals[0] == pytest.approx(unit * (1.0 - np.sin(120.0) / 120.0), rel=1e-4)
    plain = rising(of(lambda t, u, p: np.sin(30.0 * t) ** 2), method).solve(np.ones(1))
    assert abs(wave.evidence.steps - plain.evidence.steps) <= 0.02 * plain.evidence.steps


def test_an_integral_that_begins_as_zero_asks_for_a_few_steps_only():
    jump = of(lambda t, u, p: np.where(t > 1.0 / 3.0, 1.0, 0.0) * p[0])
    trajectory = rising(jump).solve(np.ones(1))
    assert trajectory.integrals[0] == pytest.approx(5.0 / 3.0, rel=1e-5)
    assert trajectory.evidence.steps + trajectory.evidence.rejected <= 120


def test_integral_atol_is_added_and_checked():
    loose = rising(of(lambda t, u, p: np.sin(30.0 * t) ** 2), integral_atol=0.1).solve(np.ones(1))
    tight = rising(of(lambda t, u, p: np.sin(30.0 * t) ** 2)).solve(np.ones(1))
    assert 2 * loose.evidence.steps < tight.evidence.steps
    for bad in (-1.0, np.nan, np.inf, np.zeros((1, 1))):
        with pytest.raises(ValueError, match="integral_atol"):
            rising(of(above), integral_atol=bad)
    with pytest.raises(TypeError, match="integral_atol"):
        rising(of(above), integral_atol="1")
    with pytest.raises(
        ValueError, match=r"integral_atol of shape \(2,\), expected a number or \(1,\)"
    ):
        rising(of(above), integral_atol=np.ones(2)).solve(np.ones(1))
    with pytest.raises(TypeError, match="integrals"):
        adjoint.ode.StepControl(integrals=1)


@pytest.mark.parametrize("method", STIFF)
def test_what_a_method_damps_in_stiff_components_asks_for_no_steps(method):
    """A fast decay from off the slow manifold: the error estimate of its integral is filtered
    like that of the state.
    """
    field = adjoint.complex_step_field(
        lambda t, u, p: np.array([-p[0] * (u[0] - np.cos(t))]), n=1, m=1
    )
    options = {
        "t": (0.0, 2.0),
        "method": METHODS[method],
        "integrand": adjoint.ode.LinearIntegrand(np.ones(1)),
    }
    problem = adjoint.ODEProblem(field, np.array([0.5]), atol=1e-6, **options)
    trajectory = problem.solve(np.array([1e5]))
    alone = replace(problem, integrand=None).solve(np.array([1e5]))
    assert trajectory.integrals[0] == pytest.approx(np.sin(2.0), rel=3e-5)
    assert trajectory.evidence.steps <= 2.5 * alone.evidence.steps + 10


@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK5", "Radau5"])
def test_an_integrand_of_rounding_alone_does_not_stop_the_integration(method):
    turning = adjoint.complex_step_field(lambda t, u, p: p[0] * np.array([u[1], -u[0]]), n=2, m=1)
    problem = adjoint.ODEProblem(turning, np.array([1.0, 0.0]), (0.0, 20.0), method=METHODS[method])
    alone = problem.solve(np.ones(1)).evidence.steps
    for rounding in (
        lambda t, u, p: np.cos(t) ** 2 + np.sin(t) ** 2 - 1.0,
        lambda t, u, p: 1e-20 * (u[0] - np.cos(t)),
    ):
        trajectory = replace(problem, integrand=of(rounding, 2)).solve(np.ones(1))
        assert trajectory.evidence.steps <= 20 * alone
        assert abs(trajectory.integrals[0]) <= 1e-13


@pytest.mark.parametrize("method", ADAPTIVE)
def test_few_evaluations_of_the_integrand_are_for_its_error(method):
    """At most three per step, accepted or rejected, besides those of the quadrature."""
    calls = []

    class Counted(adjoint.ode.LinearIntegrand):
        def __call__(self, t, u, p):
            calls.append(t)
            return super().__call__(t, u, p)

    trajectory = weave(4, method, integrand=Counted(np.ones((2, 4))), rtol=1e-5).solve(P)
    evidence, stages = trajectory.evidence, len(trajectory.problem.method.tableau.quadrature)
    assert len(calls) <= (evidence.steps + evidence.rejected) * (stages + 3)


@pytest.mark.parametrize(
    "memory", [adjoint.checkpointing.States(), adjoint.checkpointing.Checkpoints(4)], ids=repr
)
@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK4", "Radau5"])
def test_steps_of_integrals_are_the_same_bits_in_all_memories(method, memory):
    problem = weave(
        4, method, integrand=of(lambda t, u, p: np.sin(40.0 * t) * u[0], 4, 5), rtol=1e-5
    )
    expected, got = (
        replace(problem, memory=m).solve(P) for m in (adjoint.checkpointing.Everything(), memory)
    )
    bars = cotangents(expected, 3)
    np.testing.assert_array_equal(got.vjp(*bars), expected.vjp(*bars))
    np.testing.assert_array_equal(got.integrals, expected.integrals)
    np.testing.assert_array_equal(expected.replay(P + 0.0).integrals, expected.integrals)


@pytest.mark.parametrize("method", STIFF)
def test_integrals_of_a_dae_are_controlled(method):
    """u' = −u, 0 = v − p u, ∫ v² sin² 30t dt."""
    field = adjoint.complex_step_field(
        lambda t, u, p: np.array([-u[0], u[1] - p[0] * u[0]]), n=2, m=1
    )
    integrand = of(lambda t, u, p: (u[1] * np.sin(30.0 * t)) ** 2, 2)
    options = {"t": (0.0, 2.0), "mass": np.diag([1.0, 0.0]), "integrand": integrand, "rtol": 1e-5}
    problem = adjoint.ODEProblem(
        field, np.array([1.0, 1.0]), method=METHODS[method], consistent=True, **options
    )
    trajectory = problem.solve(np.ones(1))
    exact = (1.0 - np.exp(-4.0)) / 4.0 - 0.5 * np.real(
        (1.0 - np.exp(-4.0 + 120.0j)) / (2.0 - 60.0j)
    )
    assert trajectory.integrals[0] == pytest.approx(exact, rel=1e-3)
    assert trajectory.vjp(np.zeros((1, 2)), np.ones(1))[0] == pytest.approx(2.0 * exact, rel=1e-3)
