"""`Trajectory.at`, weights of components in a misfit, and integrals without cotangents of u."""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from tests.fixtures.fields import IMPLICIT, METHODS, OBSERVED, P, cotangents, weave

TIMES = np.array([0.93, 0.0, 0.41, 1.0, 0.13, 0.41])


@pytest.mark.parametrize(
    ("method", "kind"), [(name, "of p") for name in METHODS] + [("ESDIRK4", "zero rows")]
)
def test_a_trajectory_at_other_times_is_what_dense_observation_sees(method, kind):
    trajectory = weave(4, method, kind).solve(P)
    seen = trajectory.at(TIMES)
    order = np.unique(TIMES)
    dense = replace(
        trajectory.problem, grid=trajectory.grid, observe=order, dense=True, integrand=None
    ).solve(P)
    np.testing.assert_allclose(seen, dense.u[np.searchsorted(order, TIMES)], rtol=1e-12, atol=1e-13)
    # Where steps end it is the state itself.
    np.testing.assert_array_equal(trajectory.at(OBSERVED), trajectory.u)
    np.testing.assert_array_equal(trajectory.at(0.41), seen[2])
    assert trajectory.at(np.zeros(0)).shape == (0, 4)


@pytest.mark.parametrize(
    "memory",
    [
        adjoint.checkpointing.States(),
        adjoint.checkpointing.Checkpoints(3),
        adjoint.checkpointing.Budget(),
    ],
    ids=repr,
)
@pytest.mark.parametrize(("n", "method"), [(4, "DOP853"), (70, "ESDIRK4"), (4, "Radau5")])
def test_other_times_are_the_same_bits_in_all_memories_and_leave_gradients_as_they_are(
    n, method, memory
):
    expected = weave(n, method, memory=adjoint.checkpointing.Everything()).solve(P)
    trajectory = weave(n, method, memory=memory).solve(P)
    np.testing.assert_array_equal(trajectory.at(TIMES), expected.at(TIMES))
    np.testing.assert_array_equal(trajectory.at(0.2), expected.at(0.2))
    np.testing.assert_array_equal(
        trajectory.vjp(*cotangents(expected)), expected.vjp(*cotangents(expected))
    )


def test_dense_output_between_observations_is_as_exact_as_its_method():
    decay = adjoint.complex_step_field(lambda t, u, p: -p * u, n=1, m=1)
    trajectory = adjoint.ODEProblem(
        decay, np.ones(1), (0.0, 3.0), method=adjoint.ode.DOP853(), rtol=1e-9
    ).solve(np.ones(1))
    times = np.linspace(0.0, 3.0, 50)
    np.testing.assert_allclose(trajectory.at(times)[:, 0], np.exp(-times), rtol=1e-7)


@pytest.mark.parametrize(
    ("times", "error"),
    [
        (np.array([0.5, 1.5]), ValueError),
        (np.array([-1e-9]), ValueError),
        (np.array([np.nan]), ValueError),
        (np.inf, ValueError),
        (np.zeros((1, 1)), ValueError),
        (np.array([1j]), TypeError),
        ("0.5", TypeError),
        (None, TypeError),
    ],
)
def test_times_outside_and_no_numbers_are_refused(times, error):
    with pytest.raises(error, match="at: got time"):
        weave(4, "Tsit5").solve(P).at(times)


@pytest.mark.parametrize("method", ["Tsit5", *IMPLICIT])
def test_an_integral_alone_needs_no_cotangent_of_states(method):
    trajectory = weave(4, method, "of p").solve(P)
    _, q_bar = cotangents(trajectory, 3, 2)
    zeros = np.zeros((*trajectory.u.shape, 2))
    np.testing.assert_array_equal(trajectory.vjp(q_bar=q_bar), trajectory.vjp(zeros, q_bar))
    np.testing.assert_array_equal(
        trajectory.adjoint(None, q_bar[:, 0]), trajectory.adjoint(zeros[..., 0], q_bar[:, 0])
    )
    expected, got = trajectory.sensitivities(zeros, q_bar), trajectory.sensitivities(q_bar=q_bar)
    np.testing.assert_array_equal(got.u0, expected.u0)
    shares = trajectory.accumulation(q_bar=q_bar)
    np.testing.assert_array_equal(shares, trajectory.accumulation(zeros, q_bar))
    with pytest.raises(TypeError, match="neither u_bar nor q_bar"):
        trajectory.vjp()
    with pytest.raises(ValueError, match="q_bar of shape"):
        trajectory.vjp(q_bar=np.ones(3))


def test_weights_of_components_of_a_trajectory():
    """(n,) for the unknowns, (K,) for the times, (K, n) for each; the gradient is that of the
    sum written out.
    """
    problem = replace(weave(5, "ESDIRK4", rtol=1e-8), integrand=None)
    trajectory, rng = problem.solve(P), np.random.default_rng(1)
    data = trajectory.u + 0.1 * rng.standard_normal(trajectory.u.shape)
    units = 10.0 ** np.arange(-2.0, 3.0)
    for weights, full in (
        (units, np.tile(units, (4, 1))),
        (units[:4], np.tile(units[:4, None], (1, 5))),
        (units[None, :], np.tile(units, (4, 1))),
        (units[:4, None], np.tile(units[:4, None], (1, 5))),
        (units * np.arange(1.0, 5.0)[:, None], units * np.arange(1.0, 5.0)[:, None]),
    ):
        misfit = adjoint.LeastSquares(data, weights=weights)
        point = adjoint.Reduced(problem, misfit)(P)
        assert point.value == pytest.approx(
            0.5 * np.sum(full * (trajectory.u - data) ** 2), rel=1e-12
        )
        np.testing.assert_allclose(
            point.gradient, trajectory.vjp(full * (trajectory.u - data)), rtol=1e-10
        )
        r = misfit.residual(trajectory.u, P)
        assert 0.5 * r @ r == pytest.approx(point.value, rel=1e-12)
        w = rng.standard_normal(r.size)
        pulled = misfit.residual_vjp(trajectory.u, P, w)[0]
        along = misfit.residual_jvp(trajectory.u, P, data, P)
        assert np.sum(pulled * data) == pytest.approx(w @ along, rel=1e-12)
    for bad in (
        units[:3],
        np.ones((5, 4)),
        np.ones((1, 4, 5)),
        np.float64(1.0),
        -units,
        units * np.inf,
    ):
        with pytest.raises(ValueError, match="got weights of shape"):
            adjoint.LeastSquares(data, weights=bad)


def test_weights_that_fit_rows_and_columns_are_refused():
    square = np.zeros((3, 3))
    with pytest.raises(ValueError, match=r"weights\[:, None\] for rows"):
        adjoint.LeastSquares(square, weights=np.ones(3))
    assert adjoint.LeastSquares(square, weights=np.ones((1, 3))).value(np.ones((3, 3)), P) == 4.5
