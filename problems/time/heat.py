"""Heat flow in a plate by finite elements: heaters to control, materials to identify."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from ..finite_elements.element_matrices import diffusion_matrix, mass_matrix
from ..finite_elements.grid import Grid


def _shares(grid: Grid, places: Array, width: float) -> Array:
    """∫ N_i exp(−|x − x_j|²/(2w²)) for heaters at x_j, (n, heaters), m².

    The quadrature points are the centres of the elements.
    """
    distance = np.linalg.norm(grid.centres[:, None, :] - places, axis=2)
    strength = np.exp(-0.5 * (distance / width) ** 2) * grid.volume / grid.elements.shape[1]
    shares = np.zeros((len(grid.nodes), len(places)))
    for corner in grid.elements.T:
        np.add.at(shares, corner, strength)
    return shares


@dataclass(frozen=True, eq=False)
class HeatedPlate:
    """M T' = f = −(κK + hM) T + B s(t), with powers s that are linear between knots.

    M = ∫NᵀN, K = ∫∇Nᵀ∇N with bilinear elements; no flux passes the edges. u = T:
    temperatures of all nodes relative to the surroundings, K, (n,). p: s of each heater
    at each knot, divided by the heat capacity, K/s, (knots · heaters,); the values of
    one knot stand next to each other. f: m² K/s.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    places : (heaters, 2) array
        Positions of the heaters, m.
    knots : (knots,) array
        Increasing times, s, at least two.
    diffusivity : float
        Diffusivity κ, m²/s.
    loss : float
        Heat loss through the faces, h, 1/s.
    width : float
        Width of the heaters, m.

    Raises
    ------
    ValueError
        If there are fewer than two knots, or if they do not increase.
    """

    grid: Grid
    places: Array
    knots: Array
    diffusivity: float = field(default=0.02, kw_only=True)
    loss: float = field(default=0.1, kw_only=True)
    width: float = field(default=0.15, kw_only=True)

    def __post_init__(self) -> None:
        if np.ndim(self.knots) != 1 or len(self.knots) < 2 or not np.all(np.diff(self.knots) > 0.0):
            raise ValueError(
                f"HeatedPlate: got knots {self.knots}, expected at least two increasing times"
            )

    @property
    def nominal(self) -> Array:
        """Powers that rise and fall, with a phase per heater, (knots · heaters,)."""
        phase = np.linspace(0.0, 2.0 * np.pi, len(self.knots))[:, None] - np.arange(
            len(self.places)
        )
        return (2.0 + np.sin(phase)).ravel()

    @property
    def initial(self) -> Array:
        """The temperature of the surroundings, zero, (n,)."""
        return np.zeros(len(self.grid.nodes))

    @cached_property
    def mass(self) -> sparse.csc_array:
        """M, (n, n), m²."""
        return adjoint.Elements(self.grid.elements, mass_matrix(self.grid))(
            np.ones(len(self.grid.elements))
        )

    @cached_property
    def conduction(self) -> sparse.csc_array:
        """−(κK + hM), (n, n), m²/s."""
        element = self.diffusivity * diffusion_matrix(self.grid) + self.loss * mass_matrix(
            self.grid
        )
        return adjoint.Elements(self.grid.elements, -element)(np.ones(len(self.grid.elements)))

    @cached_property
    def heaters(self) -> Array:
        """B, (n, heaters), m²."""
        return _shares(self.grid, self.places, self.width)

    def _interval(self, t: float) -> tuple[int, float, float]:
        """Return the index of the interval with t, its length, and the position of t in it.

        The intervals lie between knots. The position grows from 0 to 1 in an interval. A
        knot belongs to the interval that begins at this knot.
        """
        knots = self.knots
        i = min(max(int(np.searchsorted(knots, t, side="right")) - 1, 0), len(knots) - 2)
        length = knots[i + 1] - knots[i]
        return i, length, (t - knots[i]) / length

    def power(self, t: float, p: Array) -> Array:
        """s(t), (heaters,), K/s."""
        s = p.reshape(len(self.knots), -1)
        i, _, along = self._interval(t)
        return np.asarray((1.0 - along) * s[i] + along * s[i + 1])

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        return np.asarray(self.conduction @ u + self.jvp(t, u, p, p))

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """∂f/∂u = −(κK + hM), (n, n): constant."""
        return self.conduction

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (knots · heaters,), nonzero for the two knots around t."""
        i, _, along = self._interval(t)
        felt = np.einsum("ij,i->j", self.heaters, lam)
        g = np.zeros((len(self.knots), felt.size), dtype=felt.dtype)
        g[i], g[i + 1] = (1.0 - along) * felt, along * felt
        return g.ravel()

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        return np.einsum("ij,j->i", self.heaters, self.power(t, p_dot))

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,); at a knot, the limit from later times."""
        s = p.reshape(len(self.knots), -1)
        i, length, _ = self._interval(t)
        return np.einsum("ij,j->i", self.heaters, (s[i + 1] - s[i]) / length)


@dataclass(frozen=True, eq=False)
class HeatFlow:
    """M(c) T' = f = −K(k) T − hM(1) T + sin²(πt/τ) b: a pulsating source, unknown materials.

    u = T: temperatures of all nodes relative to the surroundings, K, (n,). p = (k, c)
    of each element, (2 n_e,): conductivity, W/(m K), and heat capacity per volume,
    J/(m³ K). No flux passes the edges. f: W/m.

    Parameters
    ----------
    grid : Grid
        The grid, lengths in m.
    loss : float
        Heat loss through the faces, h, W/(m³ K).
    place : (float, float)
        Position of the source, m.
    width : float
        Width of the source, m.
    strength : float
        Power density of the source, W/m³.
    period : float
        Period τ of the source, s.
    """

    grid: Grid
    loss: float = field(default=0.1, kw_only=True)
    place: tuple[float, float] = field(default=(0.3, 0.3), kw_only=True)
    width: float = field(default=0.2, kw_only=True)
    strength: float = field(default=5.0, kw_only=True)
    period: float = field(default=1.0, kw_only=True)

    @property
    def nominal(self) -> Array:
        """k = 0.02 W/(m K) and c = 1 J/(m³ K) in every element, (2 n_e,)."""
        return np.repeat([0.02, 1.0], len(self.grid.elements))

    @property
    def initial(self) -> Array:
        """A temperature that falls from 1 K on the left to 0 on the right, (n,)."""
        x = self.grid.nodes[:, 0]
        return 1.0 - x / x.max()

    @cached_property
    def conduction(self) -> adjoint.Elements:
        """K(k)."""
        return adjoint.Elements(self.grid.elements, diffusion_matrix(self.grid))

    @cached_property
    def mass(self) -> adjoint.Part:
        """M(c), where c is the second half of p, on the pattern of K."""
        return adjoint.Part(self._capacity, slice(len(self.grid.elements), None))

    @cached_property
    def _capacity(self) -> adjoint.Elements:
        return adjoint.Elements(self.grid.elements, mass_matrix(self.grid))

    @cached_property
    def _lost(self) -> sparse.csc_array:
        """−hM(1), (n, n), on the pattern of K."""
        return self._capacity(np.full(len(self.grid.elements), -self.loss))

    @cached_property
    def _source(self) -> Array:
        """b, (n,), W/m."""
        return self.strength * _shares(self.grid, np.array([self.place]), self.width)[:, 0]

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (n,)."""
        return np.asarray(
            self.jacobian(t, u, p) @ u + np.sin(np.pi * t / self.period) ** 2 * self._source
        )

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array:
        """−K(k) − hM(1), (n, n): symmetric."""
        K = self.conduction(p[: len(self.grid.elements)])
        A = sparse.csc_array((self._lost.data - K.data, K.indices, K.indptr), shape=K.shape)
        # Known from the construction; finding out costs a pass over A.
        A.has_canonical_format = True
        return A

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᴴ λ, (2 n_e,): zero for the heat capacities."""
        g = -self.conduction.vjp(p[: p.size // 2], u, lam)
        return np.concatenate([g, np.zeros_like(g)])

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        return -self.conduction.jvp(p[: p.size // 2], u, p_dot[: p.size // 2])

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,)."""
        return np.asarray(
            np.pi / self.period * np.sin(2.0 * np.pi * t / self.period) * self._source
        )


def heated_plate(nelx: int, nely: int, knots: Array) -> adjoint.ODEProblem:
    """Make a plate of 1 m × 0.7 m with four heaters, observed at the knots.

    Parameters
    ----------
    nelx, nely : int
        Number of elements along x and y.
    knots : (knots,) array
        Increasing times, s; the first is the initial time, the last the final time.

    Returns
    -------
    ODEProblem
        With 4 · knots parameters, see `HeatedPlate`.
    """
    grid = Grid((nelx, nely), (1.0 / nelx, 0.7 / nely))
    places = np.array([[0.2, 0.2], [0.8, 0.15], [0.25, 0.55], [0.7, 0.5]])
    plate = HeatedPlate(grid, places, knots)
    span = (float(knots[0]), float(knots[-1]))
    return adjoint.ODEProblem(
        plate,
        plate.initial,
        t=span,
        observe=knots,
        mass=plate.mass,
        factorize=adjoint.cholesky,
        rtol=1e-5,
        atol=1e-7,
    )


def heat_flow(nelx: int, nely: int, tf: float) -> adjoint.ODEProblem:
    """Make a plate of 1 m × 0.7 m whose materials are the parameters.

    Parameters
    ----------
    nelx, nely : int
        Number of elements along x and y.
    tf : float
        Final time, s.

    Returns
    -------
    ODEProblem
        With 2 nelx · nely parameters, see `HeatFlow`.
    """
    plate = HeatFlow(Grid((nelx, nely), (1.0 / nelx, 0.7 / nely)))
    return adjoint.ODEProblem(
        plate, plate.initial, t=(0.0, tf), mass=plate.mass, rtol=1e-5, atol=1e-7
    )
