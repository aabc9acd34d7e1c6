"""Published numbers of topology optimization.

The 99- and 88-line codes, and a dense model of one element.

Sigmund (2001), Struct. Multidiscip. Optim. 21, 120; Andreassen, Clausen, Schevenels,
Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43, 1. The digits beyond the
printed ones are independent recomputations (CASES.md).
"""

import numpy as np
import pytest

import adjoint
from problems.finite_elements.grid import Grid
from problems.steady.elasticity import mbb, stiffness_matrix

NELX, NELY, RADIUS = 60, 20, 2.4


def test_stiffness_matrix_is_the_printed_one():
    """K_e of the 88-line code, whose nodes run counterclockwise from the lower left.

    Y downwards there.
    """
    nu = 0.3
    k = np.array([1 / 2 - nu / 6, 1 / 8 + nu / 8, -1 / 4 - nu / 12, -1 / 8 + 3 * nu / 8])
    k = np.append(k, [-1 / 4 + nu / 12, -1 / 8 - nu / 8, nu / 6, 1 / 8 - 3 * nu / 8])
    order = np.array(
        [
            [0, 1, 2, 3, 4, 5, 6, 7],
            [1, 0, 7, 6, 5, 4, 3, 2],
            [2, 7, 0, 5, 6, 3, 4, 1],
            [3, 6, 5, 0, 7, 2, 1, 4],
            [4, 5, 6, 7, 0, 1, 2, 3],
            [5, 4, 3, 2, 1, 0, 7, 6],
            [6, 3, 4, 1, 2, 7, 0, 5],
            [7, 2, 1, 4, 3, 6, 5, 0],
        ]
    )
    np.testing.assert_allclose(
        stiffness_matrix(Grid.unit(1, 1), nu), k[order] / (1 - nu**2), atol=1e-15
    )


@pytest.mark.parametrize(
    "factorize",
    [adjoint.cholesky, adjoint.factor.superlu_cholesky, adjoint.lu],
    ids=["cholesky", "SuperLU", "lu"],
)
def test_one_analysis_of_the_uniform_and_the_solid_beam(factorize):
    body = mbb(NELX, NELY)
    problem = adjoint.LinearProblem(body.K, body.load, factorize)
    f = adjoint.Reduced(problem, adjoint.Compliance(body.load), adjoint.design.SIMP(3.0))
    half = f(np.full(NELX * NELY, 0.5))
    assert half.value == pytest.approx(1007.02210074, rel=1e-9)
    assert np.linalg.norm(half.gradient) == pytest.approx(335.011435, rel=1e-8)
    assert f(np.ones(NELX * NELY)).value == pytest.approx(125.87776347, rel=1e-9)


@pytest.mark.parametrize(
    ("sensitivities", "compliance", "printed", "iterations"),
    [(True, 216.813663, "216.81", 106), (False, 233.714573, "233.71", 144)],
    ids=["sensitivity filter", "density filter"],
)
def test_optimized_beam_and_its_iterations(sensitivities, compliance, printed, iterations):
    body = mbb(NELX, NELY)
    average = adjoint.design.DensityFilter(body.grid.centres, RADIUS)
    density = adjoint.design.Identity() if sensitivities else average
    heuristic = adjoint.optimize.SensitivityFilter(average) if sensitivities else None
    volume = adjoint.optimize.LinearConstraint.volume(density, np.ones(NELX * NELY), 0.5)
    result = adjoint.minimize(
        body.compliance(density >> adjoint.design.SIMP(3.0)),
        np.full(NELX * NELY, 0.5),
        adjoint.optimize.OptimalityCriteria(volume, sensitivity_filter=heuristic),
        stop=adjoint.Stopping(iterations=200, change=0.01, stationarity=0.0),
    )
    assert result.status is adjoint.Status.UNCHANGING
    assert result.state.iteration == iterations
    assert result.value == pytest.approx(compliance, abs=6e-7)
    assert f"{result.value:.2f}" == printed
    assert density(result.x).mean() == pytest.approx(0.5, abs=1e-3)


def test_patch_of_rectangles_reproduces_uniform_strain():
    """Any linear displacement is in equilibrium inside of a non-square mesh of equal moduli."""
    for grid in (Grid((4, 3), (0.5, 0.2)), Grid((2, 3, 2), (0.5, 0.2, 0.7))):
        d = grid.dimension
        K = adjoint.Elements(grid.dofs(d), stiffness_matrix(grid))(np.ones(len(grid.elements)))
        strain = np.arange(1.0, d * d + 1).reshape(d, d)
        forces = (K @ (grid.nodes @ strain).ravel()).reshape(-1, d)
        inside = np.ones(len(grid.nodes), dtype=bool)
        for axis in range(d):
            inside[grid.boundary(axis, 0)] = inside[grid.boundary(axis, 1)] = False
        assert inside.any()
        np.testing.assert_allclose(forces[inside], 0.0, atol=1e-13)
        turn = strain - strain.T
        np.testing.assert_allclose(K @ (grid.nodes @ turn).ravel(), 0.0, atol=1e-12)
