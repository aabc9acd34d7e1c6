"""The Gray–Scott model on a rectangle: spots that split, stripes, waves."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from .lattice import Lattice


@dataclass(frozen=True, eq=False)
class GrayScott:
    """u' = D_u Δ_h u − uv² + F(1 − u), v' = D_v Δ_h v + uv² − (F + k)v on a lattice.

    The state holds u and v of each cell next to each other, (n,). p = (D_u, D_v, k, F),
    with one feed F for all cells, (4,), or one feed per cell, (3 + cells,). All
    quantities are dimensionless.

    Parameters
    ----------
    lattice : Lattice
        The cells.

    References
    ----------
    Pearson (1993), Science 261, 189.
    """

    lattice: Lattice

    @property
    def nominal(self) -> Array:
        """Pearson's diffusivities 2·10⁻⁵ and 10⁻⁵, k = 0.06 and F = 0.04, (4,)."""
        return np.array([2e-5, 1e-5, 0.06, 0.04])

    @cached_property
    def initial(self) -> Array:
        """A drop of v: v = ½e^{−r²}, u = 1 − 2v/3, r in sixths of the size; (n,)."""
        places = 6.0 * (self.lattice.centres / self.lattice.size - np.array([0.45, 0.55]))
        v = 0.5 * np.exp(-np.sum(places**2, axis=1))
        return np.stack([1.0 - v / 1.5, v], axis=1).ravel()

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        f = self.lattice.diffused(u, p[:2])
        first, second, feed = u[0::2], u[1::2], p[3:]
        consumed = first * second
        consumed *= second
        f[0::2] += feed * (1.0 - first) - consumed
        f[1::2] += consumed - (feed + p[2]) * second
        return f

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """∂f/∂u, (n, n): six entries per row, not symmetric."""
        first, second, feed = u[0::2], u[1::2], p[3:]
        # By columns: (∂u'/∂u, ∂v'/∂u, ∂u'/∂v, ∂v'/∂v)
        blocks = np.empty((4, first.size), dtype=np.result_type(u, p))
        np.multiply(second, second, out=blocks[1])
        np.subtract(-feed, blocks[1], out=blocks[0])
        blocks[3] = first * second
        blocks[3] *= 2.0
        np.negative(blocks[3], out=blocks[2])
        blocks[3] -= feed + p[2]
        return self.lattice.matrix(p[:2], blocks)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, with the shape of p."""
        products = self.lattice.diffused(u, np.ones(2)).conj() * lam
        first, second = u[0::2].conj(), u[1::2].conj()
        lost = second * lam[1::2]
        fed = (1.0 - first) * lam[0::2] - lost
        g = np.empty(p.size, dtype=products.dtype)
        g[0], g[1], g[2] = products[0::2].sum(), products[1::2].sum(), -lost.sum()
        g[3:] = fed.sum() if p.size == 4 else fed
        return g

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        r = self.lattice.diffused(u, p_dot[:2])
        first, second, feed = u[0::2], u[1::2], p_dot[3:]
        r[0::2] += feed * (1.0 - first)
        r[1::2] -= (feed + p_dot[2]) * second
        return r

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (n,)."""
        return np.zeros(u.size)


def gray_scott(nx: int, ny: int, periodic: bool, tf: float) -> adjoint.ODEProblem:
    """Make the Gray–Scott model on Pearson's square of side 2.5.

    Parameters
    ----------
    nx, ny : int
        Number of cells along x and y.
    periodic : bool
        True if opposite sides are joined, False if nothing passes the sides.
    tf : float
        Final time; Pearson's patterns need about 10⁴.

    Returns
    -------
    ODEProblem
        With 2 nx · ny unknowns and four parameters, see `GrayScott`.
    """
    physics = GrayScott(Lattice((nx, ny), size=(2.5, 2.5), periodic=periodic))
    return adjoint.ODEProblem(physics, physics.initial, t=(0.0, tf), rtol=1e-6, atol=1e-8)
