"""A state reset at times that depend on parameters: derivatives with respect to t_f, t₀ and u₀
make the jumps exact.

h'' = −9.8, and v → −e v where h = 0: h(15) and its derivative with respect to e,
against the closed form (CASES.md).
"""

import numpy as np
import pytest
from scipy.optimize import brentq

import adjoint

GRAVITY, RESTITUTION, HEIGHT, END = 9.8, 0.8, 50.0, 15.0


class Fall:
    """(h, v)' = (v, −g)."""

    def __call__(self, t, u, p):
        return np.array([u[1], -GRAVITY])

    def jacobian(self, t, u, p):
        return np.array([[0.0, 1.0], [0.0, 0.0]])

    def vjp(self, t, u, p, lam):
        return np.zeros_like(p)

    def jvp(self, t, u, p, p_dot):
        return np.zeros(2)

    def time_derivative(self, t, u, p):
        return np.zeros(2)


def flight(u0, t0, tf, method):
    problem = adjoint.ODEProblem(Fall(), u0, (t0, tf), method=method, rtol=1e-10, atol=1e-10)
    return problem.solve(np.zeros(0))


def flights(e, method):
    """The flights up to the end, each from bounce to bounce."""
    t0, u0, found = 0.0, np.array([HEIGHT, 0.0]), []
    while True:
        if flight(u0, t0, END, method).u[0, 0] >= 0.0:
            return [*found, flight(u0, t0, END, method)]
        tf = brentq(
            lambda t, u0=u0, t0=t0: flight(u0, t0, t, method).u[0, 0],
            t0 + 0.5,
            END,
            xtol=1e-14,
            rtol=1e-14,
        )
        found.append(flight(u0, t0, tf, method))
        t0, u0 = tf, np.array([0.0, -e * found[-1].u[0, 1]])


def derivative(e, found):
    """dh(15)/de: back through the flights; the time of a bounce is moved so that h stays zero
    there.
    """
    last = found[-1].sensitivities(np.array([[1.0, 0.0]]))
    u_bar, t_bar, e_bar = last.u0, last.t0, 0.0
    for trajectory in found[-2::-1]:
        e_bar -= u_bar[1] * trajectory.u[0, 1]
        bars = np.stack(
            [np.array([[0.0, -e * u_bar[1]]]), np.array([[1.0, 0.0]])], axis=-1
        )  # Of J, and of h.
        back = trajectory.sensitivities(bars)
        mu = -(back.tf[0] + t_bar) / back.tf[1]
        u_bar, t_bar = back.u0 @ [1.0, mu], back.t0 @ [1.0, mu]
    return e_bar


@pytest.mark.parametrize(
    "method",
    [adjoint.ode.Tsit5(), adjoint.ode.DOP853(), adjoint.ode.TRBDF2(), adjoint.ode.ESDIRK5()],
    ids=repr,
)
def test_bouncing_ball_meets_its_closed_form(method):
    found = flights(RESTITUTION, method)
    assert len(found) == 4
    assert found[-1].u[0, 0] == pytest.approx(8.494217007606, rel=1e-9)
    assert derivative(RESTITUTION, found) == pytest.approx(314.568839958, rel=1e-9)
