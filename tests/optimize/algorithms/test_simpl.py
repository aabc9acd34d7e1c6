"""SiMPL: known optima, monotone, bounds and volume by construction, mesh independent."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

import adjoint
from adjoint.optimize import LinearConstraint, Status, Stopping, minimize
from adjoint.optimize.algorithms.simpl import LATENT, SiMPL, logit, sigmoid
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import mbb


def beam(nelx, nely, radius, *after):
    """Compliance of the MBB beam, the volume of its filtered densities, and the start."""
    body = mbb(nelx, nely)
    density = density_filter(body.grid, radius)
    for each in after:
        density = density >> each
    f = body.compliance(density >> adjoint.design.SIMP(3.0))
    if after:
        volume = adjoint.optimize.DesignConstraint.volume(density, np.ones(nelx * nely), 0.5)
    else:
        volume = LinearConstraint.volume(density, np.ones(nelx * nely), 0.5)
    return f, volume, np.full(nelx * nely, 0.5)


@dataclass(frozen=True, eq=False)
class Rods:
    """f = Σ v_i w_i / (s + x_i), decreasing: more is stiffer. weights: w; areas: v."""

    weights: np.ndarray
    areas: np.ndarray
    softness: float = 0.2
    sign: float = 1.0

    def __call__(self, x):
        return RodsPoint(self, x)


@dataclass(frozen=True, eq=False)
class RodsPoint:
    f: Rods
    x: np.ndarray

    @property
    def value(self):
        f = self.f
        return f.sign * float(np.sum(f.areas * f.weights / (f.softness + self.x)))

    @property
    def gradient(self):
        f = self.f
        return -f.sign * f.areas * f.weights / (f.softness + self.x) ** 2


def rods(n):
    return Rods(np.linspace(0.02, 4.0, n) ** 2, np.ones(n))


def test_published_beam_is_as_stiff_as_by_optimality_criteria_in_as_many_iterations():
    """Andreassen et al. (2011): 233.71; 233.714573 after 144 iterations."""
    f, volume, x = beam(60, 20, 2.4)
    states = []
    minimize(
        f, x, SiMPL(volume), stop=Stopping(iterations=144), check=False, callback=states.append
    )
    assert states[-1].value <= 233.714573
    assert np.all(np.diff([state.value for state in states]) < 0.0)


def test_iterates_are_monotone_within_their_bounds_and_at_the_volume():
    f, volume, x = beam(12, 4, 1.5)
    states = []
    minimize(f, x, SiMPL(volume), stop=Stopping(iterations=120), callback=states.append)
    assert len(states) == 121
    assert np.all(np.diff([state.value for state in states]) <= 1e-14 * states[0].value)
    assert all(0.0 <= state.x.min() <= state.x.max() <= 1.0 for state in states)
    assert all(abs(volume.value(state.x) / volume.bound - 1.0) <= 1e-12 for state in states)
    assert states[-1].stationarity < 1e-3 * states[0].stationarity
    assert states[-1].evaluations == len(states) + sum(state.rejected.size for state in states)


def test_known_optimum_and_multiplier_of_a_separable_problem():
    """x_i = √(w_i/λ) − s between the bounds, with λ such that the volume is met."""
    f = rods(40)
    volume = LinearConstraint(np.ones(40), 20.0)
    result = minimize(
        f, np.full(40, 0.5), SiMPL(volume), stop=Stopping(iterations=300, stationarity=1e-8)
    )
    assert result.status is Status.STATIONARY
    price = result.state.multipliers[0] / volume.bound
    expected = np.clip(np.sqrt(f.weights / price) - f.softness, 0.0, 1.0)
    assert 0 < np.sum(expected == 0.0) < 20
    assert 0 < np.sum(expected == 1.0) < 20
    np.testing.assert_allclose(result.x, expected, atol=1e-6)
    assert expected.sum() == pytest.approx(20.0, rel=1e-6)


def test_volume_that_does_not_bind_has_no_price():
    f = replace(rods(10), sign=-1.0)
    result = minimize(
        f,
        np.full(10, 0.4),
        SiMPL(LinearConstraint(np.ones(10), 5.0)),
        stop=Stopping(stationarity=1e-10),
    )
    assert result.status is Status.STATIONARY
    np.testing.assert_allclose(result.x, 0.0, atol=1e-6)
    assert result.state.multipliers[0] == 0.0
    assert result.state.violation == 0.0


def test_elements_that_are_split_change_nothing_in_the_inner_product_of_their_areas():
    """Every element as two of half the area: the same iterates, each twice, and the same α."""
    areas = np.linspace(0.5, 1.5, 12)
    weights = rods(12).weights

    def states(copies):
        v = np.repeat(areas / copies, copies)
        f = Rods(np.repeat(weights, copies), v)
        algorithm = SiMPL(LinearConstraint(v, 0.4 * areas.sum()), adjoint.optimize.Weighted(v))
        found = []
        minimize(
            f, np.full(v.size, 0.4), algorithm, stop=Stopping(iterations=15), callback=found.append
        )
        return found

    for coarse, fine in zip(states(1), states(2), strict=True):
        np.testing.assert_allclose(np.repeat(coarse.x, 2), fine.x, atol=1e-9)
        assert fine.step == pytest.approx(coarse.step, rel=1e-6)
        assert fine.stationarity == pytest.approx(coarse.stationarity, rel=1e-6)


def test_start_above_the_volume_is_shifted_to_it():
    f, volume, x = beam(12, 4, 1.5)
    state = SiMPL(volume).start(f, x + 0.3)
    assert volume.value(state.x) == pytest.approx(volume.bound, rel=1e-12)
    assert state.violation <= 1e-12
    assert SiMPL(volume).start(f, x).x.tobytes() == x.tobytes()


@pytest.mark.parametrize("beta", [2.0, 16.0])
def test_volume_of_a_projected_design_is_met(beta):
    f, volume, x = beam(12, 4, 1.5, adjoint.design.HeavisideProjection(beta))
    states = []
    minimize(f, x, SiMPL(volume), stop=Stopping(iterations=40), callback=states.append)
    assert all(volume.value(state.x) <= volume.bound * (1.0 + 1e-12) for state in states)
    assert np.all(np.diff([state.value for state in states]) <= 1e-14 * states[0].value)
    assert states[-1].value < 0.6 * states[0].value


def test_sigmoid_and_logit_are_inverse_without_overflow():
    psi = np.array([-1e308, -800.0, -LATENT, -1.0, 0.0, 1.0, 30.0, 800.0, 1e308])
    rho = sigmoid(psi)
    assert rho[0] == 0.0
    assert rho[-1] == 1.0
    np.testing.assert_allclose(logit(rho[2:6]), psi[2:6], rtol=1e-12)
    np.testing.assert_array_equal(logit(np.array([0.0, 0.5, 1.0])), [-LATENT, 0.0, LATENT])


def test_start_at_the_bounds_can_leave_them():
    f = rods(8)
    x = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    result = minimize(f, x, SiMPL(LinearConstraint(np.ones(8), 3.0)), stop=Stopping(iterations=200))
    assert result.status is Status.STATIONARY
    assert result.x[0] < 0.05
    assert result.x[-1] > 0.5


def test_trials_that_fail_shorten_the_step_and_a_run_without_any_ends():
    f, volume, x = beam(12, 4, 1.5)
    calls = []

    def fragile(y):
        calls.append(y)
        if len(calls) in (3, 4):
            raise adjoint.errors.SingularMatrix("trial")
        return f(y)

    states = []
    minimize(
        fragile, x, SiMPL(volume), stop=Stopping(iterations=5), check=False, callback=states.append
    )
    assert sum(np.isnan(state.rejected).sum() for state in states) == 2

    def broken(y):
        if y.tobytes() != x.tobytes():
            raise adjoint.errors.SingularMatrix("trial")
        return f(y)

    result = minimize(broken, x, SiMPL(volume), check=False)
    assert result.status is Status.FAILED
    assert result.x.tobytes() == x.tobytes()


def test_a_wrong_gradient_is_no_success():
    f = replace(rods(6))

    def uphill(x):
        point = f(x)
        return Wrong(x, point.value, -point.gradient)

    result = minimize(
        uphill, np.full(6, 0.4), SiMPL(LinearConstraint(np.arange(1.0, 7.0), 8.4)), check=False
    )
    assert result.status is Status.STUCK


@dataclass(frozen=True, eq=False)
class Wrong:
    x: np.ndarray
    value: float
    gradient: np.ndarray


def test_resumed_from_any_state_it_goes_on_bit_for_bit():
    f, volume, x = beam(12, 4, 1.5)
    algorithm, states = SiMPL(volume), []
    minimize(f, x, algorithm, stop=Stopping(iterations=25), callback=states.append)
    for before, after in pairwise(states):
        memory = {name: array.copy() for name, array in before.memory.items()}
        again = algorithm.advance(f, replace(before, x=before.x.copy(), memory=memory, point=None))
        assert again.x.tobytes() == after.x.tobytes()
        assert (again.value, again.stationarity, again.step) == (
            after.value,
            after.stationarity,
            after.step,
        )
        for name, array in after.memory.items():
            assert again.memory[name].tobytes() == array.tobytes()


def test_wrong_settings_are_named():
    volume = LinearConstraint(np.ones(3), 1.0)
    f = rods(3)
    with pytest.raises(ValueError, match="diagonal"):
        SiMPL(
            volume,
            adjoint.optimize.MassMatrix(
                adjoint.Elements(np.array([[0, 1]]), np.eye(2))(np.ones(1))
            ),
        )
    with pytest.raises(ValueError, match="first_step=0"):
        SiMPL(volume, first_step=0.0)
    with pytest.raises(ValueError, match="bound of -1"):
        SiMPL(LinearConstraint(np.ones(3), -1.0))
    with pytest.raises(ValueError, match="outside of the bounds"):
        SiMPL(volume).start(f, np.array([0.1, 0.1, 1.5]))
    with pytest.raises(ValueError, match="non-negative"):
        SiMPL(LinearConstraint(np.array([1.0, -1.0, 1.0]), 1.0)).start(f, np.full(3, 0.3))
