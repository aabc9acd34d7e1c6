"""Advection and diffusion whose conductivity grows with u: nonlinear, nonsymmetric."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.matrices.assembly import Assembly
from adjoint.typing import Array

Mean: TypeAlias = Callable[[Array, Array], tuple[Array, Array, Array]]
"""(a, b) ↦ a mean of a and b, and its derivatives with respect to a and b."""


def harmonic(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """2ab / (a + b), the mean for conductivities in series, with its derivatives.

    This mean is exact for conductivities that jump. Newton's method converges badly if u
    jumps as well.
    """
    share = a / (a + b)
    return 2.0 * b * share, 2.0 * (1.0 - share) ** 2, 2.0 * share**2


def arithmetic(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """(a + b) / 2, with its derivatives.

    With this mean and κ ∝ 1 + a u² the flux through a face is monotone in both
    temperatures.
    """
    half = np.broadcast_to(0.5, a.shape)
    return 0.5 * (a + b), half, half


def central(rate: Array, end: Array) -> tuple[Array, Array]:
    """Advection with (u_left + u_right) / 2 as the value on a face.

    rate: β_n · length of each face, m²/s, positive to the right (upwards); end: mask of the
    faces on which u is given; both (faces,). Returns two arrays, (faces,), m²/s: the
    contributions to the left cell and to the right cell per unit of u_right − u_left.
    """
    share = np.where(end, 1.0, 0.5) * rate
    return share, share


def upwind(rate: Array, end: Array) -> tuple[Array, Array]:
    """Advection with the upstream value on a face; see `central` for arguments and results."""
    return np.minimum(rate, 0.0), np.maximum(rate, 0.0)


def channel(points: Array) -> Array:
    """β = (1 + cos πy, sin πx), m/s: a flow to the right with circulation.

    points: (x, y), (q, 2), m.
    """
    x, y = points.T
    return np.stack([1.0 + np.cos(np.pi * y), np.sin(np.pi * x)], axis=1)


@dataclass(frozen=True, eq=False)
class Conduction:
    """R(u, p) = ∫ −∇·(κ∇u) + β·∇u − f over each cell, κ = p (1 + a u²): finite volumes.

    u: temperatures of nx × ny cells, K, (n,), y running fastest. p: conductivity at 0 K
    divided by the heat capacity per volume, m²/s, (n,), positive. R: m² K/s, for a
    depth of 1. u is given on the left and right sides, at half a cell from the centres.
    No flux passes the top and the bottom. The conductivity of a face is a mean of the
    conductivities of its two cells; on the left and right sides, of the conductivities
    of the cell at both temperatures.

    Parameters
    ----------
    cells : (int, int)
        (nx, ny).
    size : (float, float)
        Lengths of the rectangle, m.
    ends : (float, float)
        Temperatures u on the left side and on the right side, K.
    growth : float
        Growth a of the conductivity, 1/K².
    source : float
        Source f, K/s.
    velocity : callable
        Points, (q, 2), m ↦ velocity β at the points, (q, 2), m/s.
    mean : callable
        Mean of two conductivities: `arithmetic` or `harmonic`.
    advection : callable
        `central`, for |β| h below 2κ, or `upwind`.

    Raises
    ------
    ValueError
        If a direction has no cells.

    References
    ----------
    Eymard, Gallouët & Herbin (2000), Handbook of Numerical Analysis VII, 713, sections
    9 and 11.
    """

    cells: tuple[int, int]
    size: tuple[float, float] = field(default=(1.0, 1.0), kw_only=True)
    ends: tuple[float, float] = field(default=(1.0, 2.0), kw_only=True)
    growth: float = field(default=0.5, kw_only=True)
    source: float = field(default=1.0, kw_only=True)
    velocity: Callable[[Array], Array] = field(default=channel, kw_only=True)
    mean: Mean = field(default=arithmetic, kw_only=True)
    advection: Callable[[Array, Array], tuple[Array, Array]] = field(default=central, kw_only=True)

    def __post_init__(self) -> None:
        if len(self.cells) != 2 or min(self.cells) < 1:
            raise ValueError(
                f"Conduction: got cells {self.cells}, expected (nx, ny), at least one of each"
            )

    @property
    def nominal(self) -> Array:
        """1 m²/s in every cell, (n,)."""
        return np.ones(int(np.prod(self.cells)))

    @property
    def spacing(self) -> tuple[float, float]:
        """The edge lengths of a cell, m."""
        return self.size[0] / self.cells[0], self.size[1] / self.cells[1]

    @cached_property
    def sides(self) -> Array:
        """The cells left and right of (below and above) each face, (2, faces).

        The (nx + 1) ny upright faces come first. Cells n, n + 1, … are ghosts, which
        hold the temperatures given on the left, then the temperatures given on the
        right.
        """
        n, ny = self.nominal.size, self.cells[1]
        cells = np.arange(n).reshape(self.cells)
        padded = np.concatenate([[n + np.arange(ny)], cells, [n + ny + np.arange(ny)]])
        pairs = [(padded[:-1], padded[1:]), (cells[:, :-1], cells[:, 1:])]
        return np.concatenate([np.stack([a.ravel(), b.ravel()]) for a, b in pairs], axis=1)

    @cached_property
    def faces(self) -> Assembly:
        """The assembly of faces as elements of two unknowns; a ghost has the number −1."""
        return Assembly(np.where(self.sides < self.nominal.size, self.sides, -1).T)

    @cached_property
    def materials(self) -> Assembly:
        """The assembly of faces as elements of two parameters.

        A ghost has the parameter of its neighbour.
        """
        return Assembly(self._owners[self.sides].T)

    @cached_property
    def _owners(self) -> Array:
        """The number of the parameter of each cell and ghost, (n + 2 ny,)."""
        cells = np.arange(self.nominal.size)
        ny = self.cells[1]
        return np.concatenate([cells, cells[:ny], cells[-ny:]])

    @cached_property
    def geometry(self) -> tuple[Array, Array, Array]:
        """Length / distance of each face, and the two contributions of advection, m²/s.

        Each of the three arrays is (faces,).
        """
        (nx, ny), (dx, dy) = self.cells, self.spacing
        upright, level = (nx + 1) * ny, nx * (ny - 1)
        end = np.any(self.sides >= nx * ny, axis=0)
        conductance = np.repeat([dy / dx, dx / dy], [upright, level]) * np.where(end, 2.0, 1.0)
        x, y = np.indices((nx + 1, ny)).reshape(2, -1), np.indices((nx, ny - 1)).reshape(2, -1)
        points = (
            np.concatenate([np.add(x, [[0.0], [0.5]]), np.add(y, [[0.5], [1.0]])], axis=1).T
            * self.spacing
        )
        beta = self.velocity(points)
        rate = np.concatenate([beta[:upright, 0] * dy, beta[upright:, 1] * dx])
        return conductance, *self.advection(rate, end)

    def _laws(self, u: Array, p: Array) -> tuple[Array, Array, Array]:
        """Return u, κ/p and κ of all cells and ghosts, (n + 2 ny,) each."""
        states = np.concatenate([u, np.repeat(self.ends, self.cells[1])])
        shapes = 1.0 + self.growth * states**2
        return states, shapes, p[self._owners] * shapes

    def _across(self, cells: Array) -> Array:
        """Return the values of `cells` on the two sides of each face, (2, faces).

        cells: values of all cells and ghosts, (n + 2 ny,).
        """
        return cells.take(self.sides)

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        conductance, left, right = self.geometry
        states, _, kappas = self._laws(u, p)
        low, high = self._across(states)
        kappa, _, _ = self.mean(*self._across(kappas))
        flux, rise = kappa * conductance, high - low
        leaving = np.stack([(left - flux) * rise, (right + flux) * rise], axis=1)
        return self.faces.vector(leaving) - self.source * self.spacing[0] * self.spacing[1]

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n): five entries per row, not symmetric."""
        conductance, left, right = self.geometry
        states, _, kappas = self._laws(u, p)
        low, high = self._across(states)
        kappa, *shares = self.mean(*self._across(kappas))
        slopes = self._across(2.0 * self.growth * p[self._owners] * states)
        flux, rise = kappa * conductance, conductance * (high - low)
        first, second = flux - rise * shares[0] * slopes[0], flux + rise * shares[1] * slopes[1]
        Ke = np.empty((len(first), 2, 2), dtype=first.dtype)
        Ke[:, 0, 0], Ke[:, 0, 1] = first - left, left - second
        Ke[:, 1, 0], Ke[:, 1, 1] = -first - right, second + right
        return self.faces.matrix(Ke)

    def _sensitivity(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return the derivatives of the flux to the left through each face, K, (faces,) each.

        The first is with respect to p of the left cell, the second to p of the right cell.
        """
        conductance, _, _ = self.geometry
        states, shapes, kappas = self._laws(u, p)
        low, high = self._across(states)
        _, *shares = self.mean(*self._across(kappas))
        rise = conductance * (high - low)
        first, second = (
            share * rise * shape for share, shape in zip(shares, self._across(shapes), strict=True)
        )
        return first, second

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᴴ λ, (n,)."""
        low, high = self._across(np.concatenate([lam, np.zeros(2 * self.cells[1])]))
        weight = high - low
        return self.materials.vector(
            np.stack([weight * part for part in self._sensitivity(u, p)], axis=1)
        )

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,)."""
        rates = self._across(p_dot[self._owners])
        change = sum(part * rate for part, rate in zip(self._sensitivity(u, p), rates, strict=True))
        return self.faces.vector(np.stack([-change, change], axis=1))


def conduction(nx: int, ny: int) -> adjoint.NonlinearProblem:
    """Make nonlinear conduction, from a uniform u between the given temperatures.

    Parameters
    ----------
    nx, ny : int
        Number of cells along x and y.

    Returns
    -------
    NonlinearProblem
        With nx · ny unknowns and parameters, see `Conduction`.
    """
    physics = Conduction((nx, ny))
    return adjoint.NonlinearProblem(physics, np.full(nx * ny, np.mean(physics.ends)))


def plain_conduction(model: Conduction) -> Callable[[Array, Array], Array]:
    """R(u, p) of a model as a plain function, by slices.

    The function has arithmetic means and central advection.
    """
    nx, ny = model.cells
    dx, dy = model.spacing
    x, y = np.meshgrid(np.arange(nx + 1) * dx, (np.arange(ny) + 0.5) * dy, indexing="ij")
    beta_x = model.velocity(np.stack([x.ravel(), y.ravel()], axis=1))[:, 0].reshape(nx + 1, ny)
    x, y = np.meshgrid((np.arange(nx) + 0.5) * dx, np.arange(1, ny) * dy, indexing="ij")
    beta_y = model.velocity(np.stack([x.ravel(), y.ravel()], axis=1))[:, 1].reshape(nx, ny - 1)

    def residual(u: Array, p: Array) -> Array:
        U, P = u.reshape(nx, ny), p.reshape(nx, ny)
        K = P * (1.0 + model.growth * U**2)
        r = np.zeros_like(K) - model.source * dx * dy
        rise = np.diff(U, axis=0)
        carried = 0.5 * dy * beta_x[1:-1] * rise
        conducted = 0.5 * dy / dx * (K[:-1] + K[1:]) * rise
        r[:-1] += carried - conducted
        r[1:] += carried + conducted
        rise = np.diff(U, axis=1)
        carried = 0.5 * dx * beta_y * rise
        conducted = 0.5 * dx / dy * (K[:, :-1] + K[:, 1:]) * rise
        r[:, :-1] += carried - conducted
        r[:, 1:] += carried + conducted
        for cell, end, outward in ((0, 0, -1.0), (-1, 1, 1.0)):
            given = model.ends[end]
            K_end = 0.5 * (K[cell] + P[cell] * (1.0 + model.growth * given**2))
            r[cell] += (outward * beta_x[cell] - K_end / (0.5 * dx)) * (given - U[cell]) * dy
        return r.ravel()

    return residual
