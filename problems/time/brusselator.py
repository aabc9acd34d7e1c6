"""The Brusselator on a rectangle: two species that react and diffuse; stiff and sparse."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from .lattice import Lattice


@dataclass(frozen=True, eq=False)
class Brusselator:
    """u' = b + u²v − (A + 1)u + α_u Δ_h u, v' = Au − u²v + α_v Δ_h v on the cells of a lattice.

    The state holds u and v of each cell next to each other, (n,). p = (α_u, α_v, b of
    every cell), (2 + cells,). All quantities are dimensionless. Small oscillations
    around u = b, v = A/b decay if A < 1 + b².

    Parameters
    ----------
    lattice : Lattice
        The cells.
    conversion : float
        Rate A of the conversion of u to v.

    References
    ----------
    Hairer & Wanner (1996), Solving Ordinary Differential Equations II, section IV.10,
    where b is B + f(x, y, t).
    """

    lattice: Lattice
    conversion: float = field(default=3.4, kw_only=True)

    @cached_property
    def nominal(self) -> Array:
        """α = 0.1; b = 6 in the disc of radius 0.1 around (0.3, 0.6), else 1."""
        distance = np.linalg.norm(self.lattice.centres - np.array([0.3, 0.6]), axis=1)
        return np.concatenate([[0.1, 0.1], np.where(distance <= 0.1, 6.0, 1.0)])

    @cached_property
    def initial(self) -> Array:
        """u = 22 y(1 − y)^{3/2}, v = 27 x(1 − x)^{3/2}, (n,), on the unit square."""
        x, y = self.lattice.centres.T
        return np.stack([22.0 * y * (1.0 - y) ** 1.5, 27.0 * x * (1.0 - x) ** 1.5], axis=1).ravel()

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        f = self.lattice.diffused(u, p[:2])
        first, second = u[0::2], u[1::2]
        converted = first * second
        converted -= self.conversion  # u²v − Au = (uv − A)u
        converted *= first
        f[1::2] -= converted
        converted -= first
        f[0::2] += converted
        f[0::2] += p[2:]
        return f

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """∂f/∂u, (n, n): six entries per row, not symmetric."""
        first, second = u[0::2], u[1::2]
        # By columns: (∂u'/∂u, ∂v'/∂u, ∂u'/∂v, ∂v'/∂v)
        blocks = np.empty((4, first.size), dtype=u.dtype)
        slope, square = blocks[0], blocks[2]
        np.multiply(first, second, out=slope)
        slope *= 2.0
        slope -= self.conversion
        np.negative(slope, out=blocks[1])
        slope -= 1.0
        np.multiply(first, first, out=square)
        np.negative(square, out=blocks[3])
        return self.lattice.matrix(p[:2], blocks)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (2 + cells,)."""
        products = self.lattice.diffused(u, np.ones(2)).conj() * lam
        g = np.empty(p.size, dtype=products.dtype)
        g[0], g[1], g[2:] = products[0::2].sum(), products[1::2].sum(), lam[0::2]
        return g

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        r = self.lattice.diffused(u, p_dot[:2])
        r[0::2] += p_dot[2:]
        return r

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of ((∂f/∂u)ᵀ λ, (∂f/∂p)ᵀ λ) along (u̇, ṗ), (n,) and (2 + cells,), real."""
        across = self.lattice.diffused(lam, p_dot[:2])  # The Laplacian is symmetric.
        difference = 2.0 * (lam[0::2] - lam[1::2])
        across[0::2] += difference * (u_dot[0::2] * u[1::2] + u[0::2] * u_dot[1::2])
        across[1::2] += difference * (u[0::2] * u_dot[0::2])
        return across, np.concatenate(
            [self.vjp(t, u_dot, p, lam)[:2], np.zeros(p.size - 2, dtype=p.dtype)]
        )

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (n,)."""
        return np.zeros(u.size)


def brusselator(nx: int, ny: int, periodic: bool, tf: float) -> adjoint.ODEProblem:
    """Make the Brusselator on the unit square.

    Parameters
    ----------
    nx, ny : int
        Number of cells along x and y.
    periodic : bool
        True if opposite sides are joined, False if nothing passes the sides.
    tf : float
        Final time; Hairer & Wanner have 11.5, periodic.

    Returns
    -------
    ODEProblem
        With 2 nx · ny unknowns and nx · ny + 2 parameters, see `Brusselator`.
    """
    physics = Brusselator(Lattice((nx, ny), size=(1.0, 1.0), periodic=periodic))
    return adjoint.ODEProblem(physics, physics.initial, t=(0.0, tf), rtol=1e-6, atol=1e-8)
