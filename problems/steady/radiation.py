"""Steady heat conduction in a plate that radiates from both faces."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.constants import Stefan_Boltzmann

import adjoint
from adjoint.factor.csc import columns_of
from adjoint.typing import Array

from ..finite_elements.element_matrices import diffusion_matrix
from ..finite_elements.grid import Grid


@dataclass(frozen=True, eq=False)
class RadiatingPlate:
    """R(T, p) = ∫ k∇N·∇T + N (2εσ (T⁴ − T_env⁴) / t − q): bilinear elements.

    Radiation and source are lumped. T: temperatures of all nodes, K, (n,). p = (k, ε)
    of each element, (2 n_e,): conductivity, W/(m K), and emissivity. R: W/m. No flux
    passes the edges, except where a temperature is given.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    thickness : float
        Thickness t, m.
    surroundings : float
        Temperature T_env of the surroundings, K.
    source : float
        Source q, W/m³.

    References
    ----------
    Incropera et al. (2007), Fundamentals of Heat and Mass Transfer, section 3.6.
    """

    grid: Grid
    thickness: float = field(default=2e-3, kw_only=True)
    surroundings: float = field(default=293.15, kw_only=True)
    source: float = field(default=1e6, kw_only=True)

    @property
    def nominal(self) -> Array:
        """50 W/(m K) and an emissivity of 0.8 in every element, (2 n_e,)."""
        return np.repeat([50.0, 0.8], len(self.grid.elements))

    @cached_property
    def conduction(self) -> adjoint.Elements:
        """The conduction matrix K(k)."""
        return adjoint.Elements(self.grid.elements, diffusion_matrix(self.grid))

    @cached_property
    def emission(self) -> adjoint.Elements:
        """M(ε), the lumped area of each node times emissivity, on the pattern of K(k)."""
        corners = self.grid.elements.shape[1]
        return adjoint.Elements(self.grid.elements, self.grid.volume / corners * np.eye(corners))

    @cached_property
    def load(self) -> Array:
        """∫ N q, (n,), W/m."""
        return self.source * self.emission(np.ones(len(self.grid.elements))).diagonal()

    def _radiated(self, T: Array) -> Array:
        """2σ (T⁴ − T_env⁴) / t, W/m³, for emissivity 1."""
        return 2.0 * Stefan_Boltzmann / self.thickness * (T**4 - self.surroundings**4)

    def residual(self, u: Array, p: Array) -> Array:
        """R(T, p), (n,)."""
        k, emissivity = np.split(p, 2)
        return self.conduction(k) @ u + self.emission(emissivity) @ self._radiated(u) - self.load

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """K(k) + M(ε) diag(8σT³/t), (n, n): symmetric, positive definite if all T > 0."""
        k, emissivity = np.split(p, 2)
        K, M = self.conduction(k), self.emission(emissivity)
        slope = 8.0 * Stefan_Boltzmann / self.thickness * u**3
        return sparse.csc_array(
            (K.data + M.data * slope[columns_of(M)], K.indices, K.indptr), shape=K.shape
        )

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (2 n_e,)."""
        k, emissivity = np.split(p, 2)
        return np.concatenate(
            [self.conduction.vjp(k, u, lam), self.emission.vjp(emissivity, self._radiated(u), lam)]
        )

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,)."""
        (k, emissivity), (k_dot, emissivity_dot) = np.split(p, 2), np.split(p_dot, 2)
        emitted = self.emission.jvp(emissivity, self._radiated(u), emissivity_dot)
        return self.conduction.jvp(k, u, k_dot) + emitted


def radiating_plate(
    nelx: int, nely: int, hot: tuple[float, float] = (700.0, 900.0)
) -> adjoint.NonlinearProblem:
    """Make a plate of 0.2 m × 0.1 m whose left side has given temperatures.

    The start is the highest temperature, from which Newton's method descends.

    Parameters
    ----------
    nelx, nely : int
        Number of elements along x and y.
    hot : (float, float)
        Temperatures of the left side at the bottom and at the top, K, linear in
        between.

    Returns
    -------
    NonlinearProblem
        With (nelx + 1)(nely + 1) unknowns and 2 nelx · nely parameters.
    """
    grid = Grid((nelx, nely), (0.2 / nelx, 0.1 / nely))
    left = grid.boundary(0, 0)
    given = np.interp(grid.nodes[left, 1], (0.0, 0.1), hot)
    start = np.full(len(grid.nodes), max(hot))
    return adjoint.NonlinearProblem(
        RadiatingPlate(grid), start, adjoint.cholesky, adjoint.Dirichlet(left, given)
    )
