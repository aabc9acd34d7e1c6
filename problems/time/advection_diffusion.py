"""Advection and diffusion in time on a rectangle, with u = 0 on its sides."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class AdvectionDiffusion:
    """f = p₁ δ²_x u + p₂ δ_x u + p₃ δ²_y u + p₄ δ_y u, with u = 0 outside of the rectangle.

    Central differences, linear in u and in p. u: (n,), y running fastest. p: (4,),
    diffusivity (m²/s) and velocity towards lower x (m/s), then the same along y.

    Parameters
    ----------
    points : (int, int)
        Interior points, (nx, ny), at distances size[0]/(nx + 1) and size[1]/(ny + 1).
    size : (float, float)
        Lengths of the sides, m.

    Raises
    ------
    ValueError
        If a direction has no points.

    References
    ----------
    Serban & Hindmarsh (2005), CVODES, Proceedings of IDETC/CIE: CVODES' example
    cvsAdvDiff_ASAi.
    """

    points: tuple[int, int]
    size: tuple[float, float] = field(default=(2.0, 1.0), kw_only=True)

    def __post_init__(self) -> None:
        if len(self.points) != 2 or min(self.points) < 1:
            raise ValueError(
                f"AdvectionDiffusion: got points {self.points}, "
                "expected (nx, ny), at least one of each"
            )

    @property
    def nominal(self) -> Array:
        """(1, 1.5, 1, 0)."""
        return np.array([1.0, 1.5, 1.0, 0.0])

    @property
    def spacing(self) -> tuple[float, float]:
        """(dx, dy), m."""
        return self.size[0] / (self.points[0] + 1), self.size[1] / (self.points[1] + 1)

    @cached_property
    def coordinates(self) -> Array:
        """The points, (n, 2), m."""
        x, y = (
            h * np.arange(1, count + 1) for h, count in zip(self.spacing, self.points, strict=True)
        )
        return np.stack([np.repeat(x, y.size), np.tile(y, x.size)], axis=1)

    @property
    def initial(self) -> Array:
        """x (a − x) y (b − y) exp(5xy), (n,), on a rectangle a × b."""
        x, y = self.coordinates.T
        return x * (self.size[0] - x) * y * (self.size[1] - y) * np.exp(5.0 * x * y)

    def _differences(self, u: Array) -> Array:
        """(δ²_x u, δ_x u, δ²_y u, δ_y u), (4, n)."""
        (nx, ny), (dx, dy) = self.points, self.spacing
        padded = np.zeros((nx + 2, ny + 2), dtype=u.dtype)
        padded[1:-1, 1:-1] = U = u.reshape(nx, ny)
        D = np.empty((4, nx, ny), dtype=u.dtype)
        west, east = padded[:-2, 1:-1], padded[2:, 1:-1]
        south, north = padded[1:-1, :-2], padded[1:-1, 2:]
        for k, low, high, h in ((0, west, east, dx), (2, south, north, dy)):
            D[k] = (low + high - 2.0 * U) / h**2
            D[k + 1] = (high - low) / (2.0 * h)
        return D.reshape(4, -1)

    @cached_property
    def _stencil(self) -> tuple[sparse.csc_array, Array]:
        """A matrix of ones on the pattern of ∂f/∂u, and the stencil place of each entry.

        The places are (centre, W, E, S, N), (nnz,).
        """
        shifts = [[sparse.eye_array(n, k=k) for k in (0, -1, 1)] for n in self.points]
        (here_x, west, east), (here_y, south, north) = shifts
        parts = [sparse.kron(a, b) for a, b in ((here_x, here_y), (west, here_y), (east, here_y))]
        parts += [sparse.kron(here_x, b) for b in (south, north)]
        A = sparse.csc_array(
            sum(((k + 1.0) * part for k, part in enumerate(parts)), 0.0 * parts[0])
        )
        A.sum_duplicates()
        return A, A.data.astype(np.intp) - 1

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        return np.einsum("k,kn->n", p, self._differences(u))

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """∂f/∂u, (n, n): five entries per row, not symmetric unless p₂ = p₄ = 0."""
        (p1, p2, p3, p4), (dx, dy) = p, self.spacing
        x, y, along_x, along_y = p1 / dx**2, p3 / dy**2, p2 / (2.0 * dx), p4 / (2.0 * dy)
        pattern, which = self._stencil
        data = np.array([-2.0 * (x + y), x - along_x, x + along_x, y - along_y, y + along_y]).take(
            which
        )
        A = sparse.csc_array((data, pattern.indices, pattern.indptr), shape=pattern.shape)
        # Known from the construction; finding out costs a pass over A.
        A.has_canonical_format = True
        return A

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (4,)."""
        return np.einsum("kn,n->k", self._differences(u).conj(), lam)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,): f is linear in p."""
        return self(t, u, p_dot)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """Zero, (n,)."""
        return np.zeros(u.size)


def advection_diffusion_in_time(nx: int, ny: int) -> adjoint.ODEProblem:
    """Make the decay of the initial field on (0, 1), s, with the integral ∫Σu dt.

    Parameters
    ----------
    nx, ny : int
        Interior points along x and y; CVODES' example has 40 × 20.

    Returns
    -------
    ODEProblem
        With nx · ny unknowns and four parameters, see `AdvectionDiffusion`.
    """
    physics = AdvectionDiffusion((nx, ny))
    total = adjoint.ode.LinearIntegrand(np.ones(nx * ny))
    return adjoint.ODEProblem(
        physics, physics.initial, t=(0.0, 1.0), rtol=1e-6, atol=1e-9, integrand=total
    )
