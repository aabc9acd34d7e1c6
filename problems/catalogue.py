"""CATALOGUE: small instances of every steady problem, for the laws they must obey.

The catalogue holds nonsymmetric and complex matrices, meshes that are not square,
nonzero boundary values and several load cases: a missing transpose or conjugate passes
every symmetric test.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from .finite_elements.filters import helmholtz_filter
from .finite_elements.grid import Grid
from .steady.bratu import bratu
from .steady.circuit import diode_ladder
from .steady.conduction import conduction
from .steady.elasticity import cantilever, cantilever_3d, mbb, two_load_cantilever
from .steady.helmholtz import helmholtz, receivers
from .steady.hyperelasticity import bent_cantilever, stretched_block
from .steady.radiation import radiating_plate
from .steady.sellar import SellarObjective, sellar
from .steady.transport import advection_diffusion

Case = tuple[adjoint.Reduced, Array]
"""A reduced objective, and a design at which it is evaluated."""


def _densities(m: int) -> Array:
    return np.random.default_rng(m).uniform(0.2, 0.9, m)


def _mbb() -> Case:
    body = mbb(9, 4)
    return body.compliance(
        adjoint.design.DensityFilter(body.grid.centres, 1.6) >> adjoint.design.SIMP(3.0)
    ), _densities(36)


def _cantilever() -> Case:
    body = cantilever(7, 5)
    smooth = helmholtz_filter(body.grid, radius=1.5)
    design = smooth >> adjoint.design.HeavisideProjection(2.0, 0.4) >> adjoint.design.Ramp(5.0)
    return body.compliance(design), _densities(35)


def _two_loads() -> Case:
    body = two_load_cantilever(6, 4)
    work = adjoint.Compliance(body.load)
    tip = adjoint.LinearFunctional(np.roll(body.load, 3, axis=0))
    objective = adjoint.Sum([adjoint.Product(work, tip), work], [0.01, 1.0])
    return adjoint.Reduced(body.problem, objective, adjoint.design.SIMP(2.5)), _densities(24)


def _box() -> Case:
    return cantilever_3d(4, 2, 3).compliance(adjoint.design.SIMP(3.0)), _densities(24)


def _transport() -> Case:
    grid = Grid((8, 5), (0.25, 0.15))
    problem = advection_diffusion(grid, velocity=(1.0, -0.4), reaction=0.7)
    rng = np.random.default_rng(3)
    observe = sparse.random_array((12, len(grid.nodes)), density=0.2, rng=rng, format="csr")
    misfit = adjoint.LeastSquares(rng.standard_normal(12), observe, rng.uniform(0.5, 2.0, 12))
    return adjoint.Reduced(problem, misfit), 0.5 + _densities(40)


def _waves() -> Case:
    grid = Grid((12, 8), (0.1, 0.12))
    problem = helmholtz(grid, omega=6.0, layer=3)
    seen = sparse.eye_array(len(grid.nodes), format="csr")[receivers(grid)]
    data = np.exp(1j * np.arange(seen.shape[0]))
    return adjoint.Reduced(problem, adjoint.LeastSquares(data, seen)), 0.8 + 0.4 * _densities(96)


def _random_affine() -> Case:
    """Make a case whose nonsymmetric complex matrix and right-hand side are affine in p, (4,)."""
    rng = np.random.default_rng(5)
    n, m = 30, 4

    def matrix(shift: float) -> sparse.csc_array:
        real, imaginary = (sparse.random_array((n, n), density=0.15, rng=rng) for _ in range(2))
        return sparse.csc_array(real + 1j * imaginary + shift * sparse.eye_array(n))

    A = adjoint.Affine(matrix(6.0), [matrix(0.0) for _ in range(m)])
    b = adjoint.matrices.AffineVector(rng.standard_normal(n) + 1j, rng.standard_normal((n, m)))
    problem = adjoint.LinearProblem(A, b)
    return adjoint.Reduced(problem, adjoint.Compliance(b)), rng.uniform(0.5, 1.0, m)


def _entries() -> Case:
    """Make a case with a dense nonsymmetric matrix whose entries are products p_i p_j."""
    n = 6
    pattern = sparse.csc_array(np.ones((n, n)))

    def values(p: Array) -> Array:
        return (np.outer(p[:n], p[n:]) + 8.0 * np.eye(n)).T.ravel()

    def pullback(p: Array, data_bar: Array) -> Array:
        grid = data_bar.reshape(n, n).T
        return np.concatenate([grid @ p[n:], grid.T @ p[:n]])

    def pushforward(p: Array, p_dot: Array) -> Array:
        return (np.outer(p_dot[:n], p[n:]) + np.outer(p[:n], p_dot[n:])).T.ravel()

    A = adjoint.Entries(pattern, values, pullback, pushforward)
    target = adjoint.LeastSquares(np.linspace(-1.0, 1.0, n))
    return adjoint.Reduced(adjoint.LinearProblem(A, np.arange(1.0, n + 1)), target), _densities(
        2 * n
    )


def _nonlinear(problem: adjoint.NonlinearProblem) -> Case:
    """Make a case of a problem: a misfit on half of the unknowns plus a weighted mean of u.

    The parameters differ by up to 10 % from the nominal parameters.
    """
    nominal = problem.residual.nominal  # type: ignore[attr-defined]
    n = problem.solve(nominal).u.size
    rng = np.random.default_rng(n)
    observe = sparse.eye_array(n, format="csr")[::2]
    misfit = adjoint.LeastSquares(rng.standard_normal(observe.shape[0]), observe)
    mean = adjoint.LinearFunctional(rng.uniform(0.5, 1.0, n) / n)
    f = adjoint.Reduced(problem, adjoint.Sum([misfit, mean], [1.0 / n, 1.0]))
    return f, nominal * rng.uniform(0.9, 1.1, nominal.size)


CATALOGUE: dict[str, Callable[[], Case]] = {
    "MBB beam, density filter, SIMP": _mbb,
    "cantilever, Helmholtz filter, projection, RAMP": _cantilever,
    "two load cases, product of objectives": _two_loads,
    "3-D cantilever": _box,
    "advection-diffusion-reaction, boundary values of p": _transport,
    "Helmholtz with absorbing layer": _waves,
    "random complex nonsymmetric, affine": _random_affine,
    "dense block from entries": _entries,
    "Bratu": lambda: _nonlinear(bratu(7, 5)),
    "nonlinear conduction and advection": lambda: _nonlinear(conduction(8, 5)),
    "diode ladder": lambda: _nonlinear(diode_ladder(10)),
    "Sellar": lambda: (adjoint.Reduced(sellar(), SellarObjective()), np.array([4.5, 2.2, 1.1])),
    "hyperelastic cantilever": lambda: _nonlinear(bent_cantilever(5, 3)),
    "hyperelastic block, stretched by a parameter": lambda: _nonlinear(stretched_block(4, 3)),
    "radiating plate": lambda: _nonlinear(radiating_plate(6, 4)),
}
