"""Published numbers of initial value problems (CASES.md); further digits are independent, of
high precision.
"""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from problems.time.advection_diffusion import AdvectionDiffusion, advection_diffusion_in_time
from problems.time.akzo_nobel import AkzoNobel, akzo_nobel
from problems.time.amplifier import Amplifier, amplifier
from problems.time.kinetics import ReactionChain, Robertson, reaction_chain, robertson
from problems.time.oscillators import LotkaVolterra, Spiral, VanDerPol, lotka_volterra, spiral


def tight(problem, rtol, atol):
    return replace(problem, method=adjoint.ode.ESDIRK5(), rtol=rtol, atol=atol)


def of_integral(trajectory):
    """∂G/∂p and ∂G/∂u₀ of the one integral G."""
    gradient = trajectory.sensitivities(np.zeros_like(trajectory.u), np.ones(1))
    return gradient.p, gradient.u0


def test_robertson_until_50():
    """Rates of an integral (CVODES, cvsRoberts_ASAi_dns)."""
    trajectory = tight(robertson(50.0), 1e-11, np.array([1e-13, 1e-17, 1e-13])).solve(
        Robertson().nominal
    )
    by_p, by_u0 = of_integral(trajectory)
    assert trajectory.integrals[0] == pytest.approx(10.9486484805750, rel=1e-12)
    np.testing.assert_allclose(
        by_p, [173.414089144977, -5.05919140558619e-4, 8.43234646542260e-8], rtol=1e-12
    )
    np.testing.assert_allclose(
        by_u0, [8.41916101461554, 16.09702330482286, 16.09715088212797], rtol=1e-12
    )


def test_robertson_until_the_steady_state():
    trajectory = tight(robertson(4e7), 1e-10, np.array([1e-13, 1e-19, 1e-13])).solve(
        Robertson().nominal
    )
    by_p, _ = of_integral(trajectory)
    assert trajectory.integrals[0] == pytest.approx(3.99825282091366e7, rel=1e-12)
    np.testing.assert_allclose(by_p, [7.68377326601e5, -3.06892091999, 5.11488997881e-4], rtol=1e-9)


def test_gradient_and_hessian_of_the_reaction_chain():
    """CVODES, cvsHessian_ASA_FSA; the Hessian by extrapolated differences of gradients over
    frozen steps.
    """
    p = ReactionChain().nominal
    trajectory = replace(
        reaction_chain(), method=adjoint.ode.DOP853(), rtol=1e-13, atol=1e-15
    ).solve(p)
    assert trajectory.integrals[0] == pytest.approx(0.5308785906295, rel=1e-12)
    np.testing.assert_allclose(
        of_integral(trajectory)[0], [-0.1283786546564, 0.0180367608548], rtol=1e-11
    )

    def column(e, h):
        above, below = (of_integral(trajectory.replay(p + s * h * e))[0] for s in (1.0, -1.0))
        return (above - below) / (2.0 * h)

    H = np.stack([(4.0 * column(e, 1e-3) - column(e, 2e-3)) / 3.0 for e in np.eye(2)])
    np.testing.assert_allclose(
        H, [[0.15628043082, -0.07867780660], [-0.07867780660, 0.08981434363]], rtol=1e-9
    )


def test_advection_diffusion_on_the_grid_of_cvodes():
    """CVODES, cvsAdvDiff_ASAi_bnd."""
    physics = AdvectionDiffusion((40, 20))
    trajectory = tight(advection_diffusion_in_time(40, 20), 1e-8, 1e-10).solve(physics.nominal)
    lam = of_integral(trajectory)[1]
    assert trajectory.integrals[0] == pytest.approx(372.3063131818, rel=1e-11)
    assert lam.max() == pytest.approx(0.1128919979966, rel=1e-11)
    # The maximum is taken twice, at y and 1 − y: rounding decides which of them is first.
    highest = physics.coordinates[lam > lam.max() * (1.0 - 1e-12)]
    np.testing.assert_allclose(highest, [[1.170732, 0.476190], [1.170732, 0.523810]], atol=1e-6)
    assert lam.sum() == pytest.approx(48.47123539978, rel=1e-11)


@pytest.mark.parametrize(
    "method", [adjoint.ode.Tsit5(), adjoint.ode.DOP853()], ids=["Tsit5", "DOP853"]
)
def test_predators_and_prey(method):
    problem = replace(lotka_volterra(np.array([10.0])), method=method, rtol=1e-13, atol=1e-13)
    trajectory = problem.solve(LotkaVolterra().nominal)
    gradient = trajectory.sensitivities(trajectory.u - 1.0)
    np.testing.assert_allclose(trajectory.u[0], [1.0263447675751, 0.9096910781361], rtol=1e-11)
    np.testing.assert_allclose(gradient.u0, [0.2995995083035, -0.0141518163449], rtol=1e-10)
    expected = [0.6219615855509, 0.0680014041508, 0.1691764639958, 0.2725606939498]
    np.testing.assert_allclose(gradient.p, expected, rtol=1e-10)


def test_discrete_crank_nicolson_to_every_digit():
    """PETSc, ex20adj: not the continuous adjoint, but that of these fifteen steps.

    ∂y/∂u₀₂ is what is left of numbers around 1: of its printed digits,
    5.7498183451590e-6, the last four are their rounding. The value here is that of
    50-digit decimal arithmetic.
    """
    physics, method = VanDerPol(stiffness=1e5), adjoint.ode.CrankNicolson(accuracy=1e-14)
    grid = np.arange(16) / 1000
    problem = adjoint.ODEProblem(physics, physics.initial, t=(0.0, 0.015), method=method, grid=grid)
    by_u0 = problem.solve(physics.nominal).sensitivities(np.eye(2)[None]).u0
    expected = [[1.0084443137539, 5.749818345851919e-6], [1.0312819065419, -0.8286916880152]]
    np.testing.assert_allclose(by_u0.T, expected, rtol=1e-13, atol=4 * np.finfo(float).eps)


@pytest.mark.parametrize(
    "method", [adjoint.ode.DOP853(), adjoint.ode.ESDIRK5()], ids=["DOP853", "ESDIRK5"]
)
def test_spiral_seen_twice(method):
    problem = replace(spiral(np.array([1.0, 7.0])), method=method, rtol=1e-11, atol=1e-12)
    trajectory = problem.solve(Spiral().nominal)
    gradient = trajectory.sensitivities(np.ones((2, 2)))
    assert trajectory.u.sum() == pytest.approx(5.62393112495693, rel=1e-11)
    np.testing.assert_allclose(gradient.u0, [2.817180152191, 0.571938701479], rtol=1e-10)
    np.testing.assert_allclose(gradient.p, [13.98836436664, 13.8451037990467], rtol=1e-10)


def test_akzo_nobel_reaches_the_state_of_the_test_set():
    """Lioen & de Swart (1999), at 180 minutes."""
    trajectory = tight(akzo_nobel(180.0), 1e-9, 1e-12).solve(AkzoNobel().nominal)
    published = [
        0.1150794920661702,
        0.1203831471567715e-2,
        0.1611562887407974,
        0.3656156421249283e-3,
    ]
    np.testing.assert_allclose(
        trajectory.u[0], [*published, 0.1708010885264404e-1, 0.4873531310307455e-2], rtol=1e-8
    )


def test_amplifier_reaches_the_state_of_the_test_set():
    """Lioen & de Swart (1999), at 0.2 s."""
    trajectory = tight(amplifier(0.2), 1e-6, 1e-8).solve(Amplifier().nominal)
    first = [
        -0.5562145012262709e-2,
        0.3006522471903042e1,
        0.2849958788608128e1,
        0.2926422536206241e1,
    ]
    second = [
        0.2704617865010554e1,
        0.2761837778393145e1,
        0.4770927631616772e1,
        0.1236995868091548e1,
    ]
    np.testing.assert_allclose(trajectory.u[0], [*first, *second], atol=5e-6)
