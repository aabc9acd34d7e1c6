"""Rows that change their columns between two points, while all columns stay in the pattern."""

import numpy as np
import pytest

import adjoint

N = 60
MIXED = np.random.default_rng(0).random(N) < 0.5


def swapped(u, p):
    """Row i is p₀ u_i or p₁ u_i: rows of MIXED take p₀ below u = 1, other rows above."""
    return np.where((u.real < 1.0) == MIXED, p[0], p[1]) * u


BELOW, ABOVE = np.linspace(0.2, 0.4, N), np.linspace(1.2, 1.4, N)
P, LAM = np.array([2.0, 3.0]), np.cos(np.arange(N))


def expected(u):
    first = (u < 1.0) == MIXED
    return np.array([(LAM * u)[first].sum(), (LAM * u)[~first].sum()])


@pytest.mark.parametrize(
    "make", [adjoint.complex_step_residual, adjoint.finite_difference_residual]
)
def test_residual_whose_rows_swap_their_parameters(make):
    R = make(swapped, N, 2)
    for u in (BELOW, ABOVE, BELOW):
        np.testing.assert_allclose(R.vjp(u, P, LAM), expected(u), rtol=1e-8)


def test_field_and_step_whose_rows_swap_their_parameters():
    f = adjoint.complex_step_field(lambda t, u, p: swapped(u, p), N, 2)
    step = adjoint.complex_step_step(lambda k, u, p: swapped(u, p), N, 2)
    for u in (BELOW, ABOVE, BELOW):
        np.testing.assert_allclose(f.vjp(0.0, u, P, LAM), expected(u), rtol=1e-12)
        np.testing.assert_allclose(step.vjp(1, u, P, LAM)[1], expected(u), rtol=1e-12)


def test_rows_that_change_their_neighbour():
    """Row i depends on the left or the right neighbour, by the time; the union is tridiagonal."""

    def upwind(t, u, p):
        left, right = np.roll(u, 1), np.roll(u, -1)
        side = (np.real(t) < 1.0) == MIXED
        return p[0] * np.where(side, left, right) ** 2

    f, u = adjoint.complex_step_field(upwind, N, 1), np.linspace(0.5, 1.5, N)
    for t in (0.0, 2.0, 0.5):
        side = (t < 1.0) == MIXED
        J = np.zeros((N, N))
        J[np.arange(N), (np.arange(N) + np.where(side, -1, 1)) % N] = (
            2.0 * P[0] * np.where(side, np.roll(u, 1), np.roll(u, -1))
        )
        np.testing.assert_allclose(f.jacobian(t, u, P[:1]).toarray(), J, rtol=1e-12)
