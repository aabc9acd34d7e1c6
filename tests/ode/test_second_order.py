"""Hessian–vector products of trajectories: Taylor order 3, symmetry, memories, counts."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import adjoint
from adjoint.derive import with_hvp
from adjoint.derive.differentiation.finite_differences import differences
from problems.time.catalogue import ODE_CATALOGUE
from problems.time.kinetics import ReactionChain, Robertson, reaction_chain, robertson
from tests.fixtures.fields import (
    FIXED,
    GRID,
    METHODS,
    OBSERVED,
    REGULAR,
    SINGULAR,
    Moments,
    P,
    Weave,
    cotangents,
    kinds,
    relative,
    weave,
)

V = np.random.default_rng(1).standard_normal((P.size, 2))


@dataclass(frozen=True)
class Outcome:
    """J = ½ Σ c u² + ½ Σ d q² + (Σ d q) Re Σ c u, real, of states and integrals; c, d at random."""

    seed: int = 0

    def weights(self, trajectory):
        rng = np.random.default_rng(self.seed)
        return rng.uniform(0.5, 1.5, trajectory.u.shape), rng.uniform(
            0.5, 1.5, trajectory.integrals.shape
        )

    def value(self, trajectory):
        (c, d), u, q = self.weights(trajectory), trajectory.u, trajectory.integrals
        return float(
            0.5 * np.sum(c * np.abs(u) ** 2) + 0.5 * np.sum(d * q**2) + (d @ q) * np.sum(c * u.real)
        )

    def bars(self, trajectory):
        (c, d), u, q = self.weights(trajectory), trajectory.u, trajectory.integrals
        return c * u + (d @ q) * c, d * q + d * np.sum(c * u.real)

    def rates(self, trajectory, u_dot, q_dot):
        (c, d), j = self.weights(trajectory), u_dot.shape[-1]
        along = np.einsum("kn,knj->j", c, u_dot.real)
        u_rates = c[..., None] * (u_dot + (d @ q_dot).reshape(1, 1, j))
        return u_rates, d[:, None] * (q_dot + along)

    def gradient(self, trajectory):
        return trajectory.vjp(*self.bars(trajectory))

    def products(self, trajectory, directions):
        """H V, (m, j)."""
        along = trajectory.linearized(directions)
        u_bar, q_bar = self.bars(trajectory)
        u_rates, q_rates = self.rates(trajectory, along.u_dot, along.q_dot)
        return along.vjp_rate(u_bar, u_rates, q_bar, q_rates)


J = Outcome()


def by_differences(trajectory, v):
    """H v by extrapolated differences of gradients along frozen steps."""
    scale = float(np.abs(v / np.where(trajectory.p == 0.0, 1.0, trajectory.p)).max())
    return scale * differences(
        lambda p: J.gradient(trajectory.replay(p)), trajectory.p, v / scale, 10
    )[0]


def taylor_order(trajectory, v, Hv):
    """The order of |J(p + h v) − J − h g·v − ½ h² v·Hv| at steps far above rounding."""
    g, value = J.gradient(trajectory), J.value(trajectory)
    scale = float(np.abs(v / np.where(trajectory.p == 0.0, 1.0, trajectory.p)).max())
    rests = []
    for h in (4e-2 / scale, 1e-2 / scale):
        model = value + h * (g @ v) + 0.5 * h**2 * (v @ Hv)
        rests.append(abs(J.value(trajectory.replay(trajectory.p + h * v)) - model))
    return np.log(rests[0] / rests[1]) / np.log(4.0), rests[1]


def require_hessian(trajectory, directions, symmetry, error):
    """The products are symmetric, agree with differences, and make the Taylor remainder O(h³)."""
    HV = J.products(trajectory, directions)
    S = directions.T @ HV
    assert np.abs(S - S.T).max() <= symmetry * np.abs(S).max()
    for v, Hv in zip(directions.T, HV.T, strict=True):
        assert relative(Hv, by_differences(trajectory, v)) <= error
        order, rest = taylor_order(trajectory, v, Hv)
        assert order >= 2.9 or rest <= 1e-12 * abs(J.value(trajectory))


@pytest.mark.parametrize(("method", "kind"), kinds(*REGULAR, *SINGULAR))
def test_products_are_the_derivatives_of_gradients_for_every_method_and_mass(method, kind):
    require_hessian(weave(5, method, kind).solve(P), V, 1e-12, 2e-9)
