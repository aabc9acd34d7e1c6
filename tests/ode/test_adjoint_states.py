"""λ(t) of a trajectory is as accurate as the trajectory, in stiff and algebraic components too."""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from tests.fixtures.fields import (
    EXPLICIT,
    METHODS,
    OBSERVED,
    STIFF,
    Linear,
    P,
    cotangents,
    relative,
    weave,
)

ADAPTIVE = [*EXPLICIT, *STIFF]
LAM = np.array([0.2895913203955, 1.7624196748187, 9.3567121044967])
"""λ(40) of Robertson's reaction, G = ∫u₃ up to T = 50; the second as published to 15 digits."""


def robertson(t, u, p):
    r1, r2, r3 = p[0] * u[0], p[1] * u[1] * u[2], p[2] * u[1] ** 2
    return np.array([-r1 + r2, r1 - r2 - r3, r3])


def conserving(t, u, p):
    """The reaction with its third equation replaced by the conserved sum: a DAE."""
    return np.append(robertson(t, u, p)[:2], u.sum() - 1.0)


def reaction(method, rtol, **changes):
    options = {
        "field": adjoint.complex_step_field(robertson, n=3, m=3),
        "u0": np.array([1.0, 0.0, 0.0]),
        "t": (0.0, 50.0),
        "observe": np.array([40.0, 50.0]),
        "integrand": adjoint.ode.LinearIntegrand(np.array([0.0, 0.0, 1.0])),
        "method": METHODS[method],
        "rtol": rtol,
        "atol": 1e-2 * rtol * np.array([1.0, 1e-4, 1.0]),
    }
    return adjoint.ODEProblem(**(options | changes)).solve(np.array([0.04, 1e4, 3e7]))


def lam_at_40(trajectory):
    lam = trajectory.adjoint(np.zeros((2, 3)), np.ones(1))
    return lam[np.flatnonzero(trajectory.grid == 40.0)[0]]


# TR-BDF2 takes thousands of steps at 1e-9.
@pytest.mark.parametrize(
    ("method", "rtol"),
    [(method, 1e-6) for method in STIFF]
    + [(method, 1e-9) for method in STIFF if method != "TRBDF2"],
)
def test_adjoint_state_of_a_stiff_reaction_is_right_to_the_tolerance(method, rtol):
    np.testing.assert_allclose(
        lam_at_40(reaction(method, rtol)), LAM, rtol=1e-4 if rtol > 1e-8 else 1e-6
    )


@pytest.mark.parametrize("method", STIFF)
def test_adjoint_state_of_a_dae_moves_consistent_states(method):
    """u₃ follows u₁ and u₂: λ of u₁ and u₂ does not include λ of u₃."""
    field = adjoint.complex_step_field(conserving, n=3, m=3)
    trajectory = reaction(method, 1e-6, field=field, mass=np.diag([1.0, 1.0, 0.0]))
    lam = lam_at_40(trajectory)
    np.testing.assert_allclose(lam[:2], LAM[:2] - LAM[2], rtol=1e-4)
    assert abs(lam[2]) <= 1e-12
    # Seen at the end, u₃ = 1 − u₁ − u₂.
    u_bar = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(
        trajectory.adjoint(u_bar)[-1], [-1.0, -1.0, 0.0], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("method", EXPLICIT)
def test_adjoint_state_of_an_explicit_method_at_the_edge_of_its_stability(method):
    """u₁' = p (u₂ cos t − u₁), u₂' = −u₂: λ₁ = e^(−p (3 − t)) decays towards t = 0, and λ₂
    follows from it.
    """
    field = adjoint.complex_step_field(
        lambda t, u, p: np.array([p[0] * (np.cos(t) * u[1] - u[0]), -u[1]]), n=2, m=1
    )
    options = {
        "t": (0.0, 3.0),
        "observe": np.array([2.0, 3.0]),
        "atol": 1e-6,
        "method": METHODS[method],
    }
    trajectory = adjoint.ODEProblem(field, np.ones(2), **options).solve(np.array([200.0]))
    lam = trajectory.adjoint(np.array([[0.0, 0.0], [1.0, 1.0]]))[
        np.flatnonzero(trajectory.grid == 2.0)[0]
    ]
    gained = np.real(200.0 * np.exp(3j) * (1.0 - np.exp(-199.0 - 1j)) / (199.0 + 1j))
    np.testing.assert_allclose(lam, [0.0, np.exp(-1.0) * (1.0 + gained)], rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "method"), [(4, method) for method in ADAPTIVE] + [(70, "ESDIRK4"), (70, "TRBDF2")]
)
def test_adjoint_states_converge_with_their_method(n, method):
    """Nonsymmetric, with M(p), observations in between and integrals: against Radau9 on a fine
    grid.
    """
    observed = np.array([0.0, 0.25, 0.625])
    fine = weave(n, "Radau9", "of p", grid=np.arange(65.0) / 64.0, observe=observed).solve(P)
    u_bar, q_bar = cotangents(fine, 8)
    exact, errors = fine.adjoint(u_bar, q_bar), []
    for steps in (16, 32):
        problem = weave(n, method, "of p", grid=np.arange(steps + 1.0) / steps, observe=observed)
        lam = problem.solve(P).adjoint(u_bar, q_bar)
        # Not at the start: the derivative of the steps, as `sensitivities` has it.
        errors.append(relative(lam[1:], exact[:: 64 // steps][1:]))
    order = min(4, METHODS[method].tableau.order) if method not in ("Radau5", "Radau9") else 4
    assert errors[1] <= 1e-5 if method != "TRBDF2" else errors[1] <= 1e-2
    assert errors[1] <= 0.5**order * 2.0 * errors[0] + 1e-11


@pytest.mark.parametrize("kind", ["zero rows, of p", "rank deficient"])
@pytest.mark.parametrize(("n", "method"), [(4, "TRBDF2"), (4, "ESDIRK5"), (70, "ESDIRK4")])
def test_adjoint_states_of_daes_of_all_sizes_are_those_of_radau(n, method, kind):
    """With observations and integrals of algebraic unknowns; λ of Radau methods is the
    derivative of their own steps.
    """
    observed = np.array([0.25, 0.625, 1.0])
    fine = weave(n, "Radau9", kind, grid=np.arange(65.0) / 64.0, observe=observed).solve(P)
    trajectory = weave(n, method, kind, grid=np.arange(33.0) / 32.0, observe=observed).solve(P)
    u_bar, q_bar = cotangents(fine, 1)
    lam = trajectory.adjoint(u_bar, q_bar)
    assert relative(lam[1:], fine.adjoint(u_bar, q_bar)[2::2]) <= (
        1e-4 if method == "TRBDF2" else 1e-7
    )
    assert relative(lam[0], trajectory.sensitivities(u_bar, q_bar).u0) <= 1e-13


@pytest.mark.parametrize(
    "factorize",
    [adjoint.cholesky, adjoint.cg(adjoint.factor.jacobi(), rtol=1e-12)],
    ids=["cholesky", "cg"],
)
def test_adjoint_states_by_any_factorizer(factorize):
    """The complex matrices of collocation are not Hermitian where M and J are symmetric."""
    field = Linear.banded(90, 20.0, -45.0, 20.0)
    options = {"t": (0.0, 1.0), "rtol": 1e-5}
    lam = [
        adjoint.ODEProblem(field, np.ones(90), factorize=f, **options)
        .solve([0.7, 1.0])
        .adjoint(np.ones((1, 90)))
        for f in (factorize, adjoint.lu)
    ]
    np.testing.assert_allclose(lam[0], lam[1], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("method", ["TRBDF2", "ESDIRK4"])
def test_adjoint_states_of_a_complex_stiff_system(method):
    """λ_k = exp((t_f − t_k) A)ᴴ ū: modes that turn as they decay. Not the layer at the end."""
    A = np.array([[-300.0 + 40.0j, 25.0], [3.0 - 1.0j, -1.0 + 2.0j]])
    field = Linear(A, np.zeros(2))
    options = {"t": (0.0, 1.0), "method": METHODS[method], "rtol": 1e-8, "atol": 1e-10}
    trajectory = adjoint.ODEProblem(field, np.array([1.0 + 0.5j, 2.0]), **options).solve(
        np.array([1.0, 0.0])
    )
    u_bar = np.array([[0.3 - 0.2j, 1.0 + 0.7j]])
    values, T = np.linalg.eig(A.conj().T)
    for k in (5, trajectory.grid.size // 2):
        left = 1.0 - trajectory.grid[k]
        exact = (T * np.exp(left * values)) @ np.linalg.solve(T, u_bar[0])
        np.testing.assert_allclose(trajectory.adjoint(u_bar)[k], exact, rtol=1e-5, atol=1e-6)


def test_dense_observations_bend_the_adjoint_state_where_they_are():
    """Transposed steps gave a wrong λ: dense output sees K₁ undamped."""
    seen = reaction("ESDIRK4", 1e-8, dense=True, observe=np.array([17.3, 39.9]), integrand=None)
    landed = reaction("Radau9", 1e-10, observe=np.array([17.3, 39.9]), integrand=None)
    u_bar = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    lam, exact = seen.adjoint(u_bar), landed.adjoint(u_bar)
    k = np.searchsorted(seen.grid, 10.0)
    for i in range(3):
        expected = np.interp(seen.grid[k], landed.grid, exact[:, i])
        assert lam[k, i] == pytest.approx(expected, rel=5e-3, abs=1e-3)
    s = seen.sensitivities(u_bar)
    assert relative(lam[0], s.u0) <= 1e-13


def test_blocks_of_adjoint_states_and_of_none():
    trajectory = replace(weave(4, "ESDIRK4"), observe=OBSERVED).solve(P)
    u_bar, q_bar = cotangents(trajectory, 3, 2)
    lam = trajectory.adjoint(u_bar, q_bar)
    for j in range(2):
        single = trajectory.adjoint(u_bar[..., j], q_bar[:, j])
        np.testing.assert_allclose(lam[..., j], single, rtol=1e-11, atol=1e-13)
    assert trajectory.adjoint(u_bar[..., :0], q_bar[:, :0]).shape == (trajectory.grid.size, 4, 0)
