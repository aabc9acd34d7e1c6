"""The two models: a beam solved by CG, and a transport problem solved by GMRES."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.finite_elements.grid import Grid
from problems.steady.elasticity import cantilever
from problems.steady.transport import advection_diffusion

Factorize = Callable[[float], adjoint.factor.Factorizer]
"""Tolerance ↦ iterative factorizer."""


@dataclass(frozen=True, eq=False)
class Model:
    """f with a factorizer that is chosen later, and its point x.

    iterative: tolerance ↦ factorizer; direct: the factorizer of the reference. dofs: numbers
    of the unknowns of each element. grid: the elements, for pictures.
    """

    name: str
    solver: str
    problem: adjoint.LinearProblem
    objective: adjoint.protocols.Objective
    x: Array
    iterative: Factorize
    direct: adjoint.factor.Factorizer
    dofs: Array
    grid: Grid

    def f(self, factorize: adjoint.factor.Factorizer) -> adjoint.Reduced:
        """The function, solved by a factorizer."""
        return adjoint.Reduced(replace(self.problem, factorize=factorize), self.objective)


def beam(nx: int, ny: int) -> Model:
    """A cantilever with random moduli between 0.01 and 1; J is the sum of displacements."""
    body = cantilever(nx, ny)
    rng = np.random.default_rng(0)
    moduli = 10.0 ** rng.uniform(-2.0, 0.0, nx * ny)

    def iterative(tolerance: float) -> adjoint.factor.Factorizer:
        return adjoint.cg(
            adjoint.factor.jacobi(), rtol=tolerance, adjoint_rtol=tolerance, max_iterations=10_000
        )

    J = adjoint.LinearFunctional(np.ones(body.free.size))
    name, solver = "Beam", "CG, diagonal preconditioner"
    return Model(
        name, solver, body.problem, J, moduli, iterative, adjoint.cholesky, body.K.dofs, body.grid
    )


def transport(nx: int, ny: int) -> Model:
    """Advection and diffusion with random diffusivities; J is half the sum of squares of u."""
    grid = Grid((nx, ny), (2.0 / nx, 1.0 / ny))
    problem = advection_diffusion(grid, (3.0, 1.0), 0.5)
    kappa = 0.1 * 10.0 ** np.random.default_rng(1).uniform(-0.5, 0.5, nx * ny)

    def iterative(tolerance: float) -> adjoint.factor.Factorizer:
        return adjoint.gmres(
            adjoint.factor.jacobi(), rtol=tolerance, adjoint_rtol=tolerance, restart=100
        )

    nodes = len(grid.nodes)
    J = adjoint.LeastSquares(np.zeros(nodes))
    name, solver = "Transport", "GMRES, diagonal preconditioner"
    return Model(name, solver, problem, J, kappa, iterative, adjoint.lu, grid.elements, grid)
