"""A two-dimensional waveguide with ideal ports, and a region of dielectric to be designed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array
from problems.finite_elements.element_matrices import diffusion_matrix, mass_matrix
from problems.finite_elements.filters import density_filter
from problems.finite_elements.grid import Grid


@dataclass(frozen=True, eq=False)
class Port:
    """The modes of a cross-section: s_m with cutoff k_m, on the nodes of one end of the guide.

    nodes: (q,); shapes: (q, modes), ∫ s_m² dy = 1; loads: ∫ N_i s_m dy, (q, modes);
    cutoffs: k_m², (modes,), 1/m².
    """

    nodes: Array
    shapes: Array
    loads: Array
    cutoffs: Array

    def propagation(self, k: float) -> Array:
        """β_m = √(k² − k_m²), 1/m, (modes,): imaginary for evanescent modes."""
        return np.sqrt((k**2 - self.cutoffs).astype(complex))


@dataclass(frozen=True, eq=False)
class Permittivity:
    """ε = 1 + step ρ in the elements `places`, and 1 elsewhere: a design map, linear but for 1.

    count: number of all elements; places: (m,), the elements of the densities ρ.
    """

    count: int
    places: Array
    step: float

    def __call__(self, rho: Array) -> Array:
        """Return ε, (count,)."""
        eps = np.ones(self.count)
        eps[self.places] += self.step * rho
        return eps

    def vjp(self, rho: Array, p_bar: Array) -> Array:
        """Return step · p̄ at the places, (m,)."""
        return self.step * p_bar[self.places]

    def jvp(self, rho: Array, rho_dot: Array) -> Array:
        """Return the rate of ε, (count,)."""
        eps_dot = np.zeros(self.count)
        eps_dot[self.places] = self.step * rho_dot
        return eps_dot

    def hvp(self, rho: Array, p_bar: Array, rho_dot: Array) -> Array:
        """Return zeros, (m,)."""
        return np.zeros_like(rho)


@dataclass(frozen=True, eq=False)
class Converter:
    """−∇²u − k² ε u = 0 between metallic walls: mode 1 enters, mode 2 should leave.

    u is the electric field along z. A square of dielectric fills the middle of the guide
    with ε = 1 + (contrast − 1) ρ. The ends are ideal ports: a boundary condition lets
    each mode of the cross-section leave without reflection.

    Parameters
    ----------
    cells : (int, int)
        Elements along and across the guide.
    length : float
        Length of the guide, in units of its width.
    region : (float, float)
        First and last x of the region of the design, in units of the width.
    wavenumber : float
        k in empty space, in units of π / width: between 2 and 3, so that two modes propagate.
    contrast : float
        Relative permittivity of the dielectric.
    radius : float
        Radius of the filter, in units of the width.
    """

    cells: tuple[int, int] = (240, 80)
    length: float = 3.0
    region: tuple[float, float] = (0.75, 2.25)
    wavenumber: float = 2.5
    contrast: float = 4.0
    radius: float = 0.06

    @cached_property
    def grid(self) -> Grid:
        """The grid of square elements; the width of the guide is the unit of length."""
        return Grid(self.cells, (self.length / self.cells[0], 1.0 / self.cells[1]))

    @property
    def k(self) -> float:
        """k = ω/c in empty space, in radians per width."""
        return self.wavenumber * float(np.pi)

    @cached_property
    def columns(self) -> tuple[int, int]:
        """First and last column of elements of the region."""
        first, last = (round(x * self.cells[0] / self.length) for x in self.region)
        return first, last

    @cached_property
    def _unknowns(self) -> Array:
        """The unknown of each node, −1 on the walls, where u = 0."""
        numbers = np.full(len(self.grid.nodes), -1)
        walls = np.union1d(self.grid.boundary(1, 0), self.grid.boundary(1, 1))
        free = np.setdiff1d(np.arange(numbers.size), walls)
        numbers[free] = np.arange(free.size)
        return numbers

    @cached_property
    def _dofs(self) -> Array:
        return self._unknowns[self.grid.elements]

    @cached_property
    def _designed(self) -> Array:
        """The elements of the region, column by column."""
        rows = self.cells[1]
        return np.arange(self.columns[0] * rows, self.columns[1] * rows)

    def port(self, end: int) -> Port:
        """Return the port at x = 0 (end = 0) or at x = length (end = 1)."""
        h, q = 1.0 / self.cells[1], self.cells[1] - 1
        ones = np.ones(q)
        M = sparse.diags_array([ones[1:], 4.0 * ones, ones[1:]], offsets=[-1, 0, 1]) * (h / 6.0)
        K = sparse.diags_array([-ones[1:], 2.0 * ones, -ones[1:]], offsets=[-1, 0, 1]) / h
        cutoffs, shapes = scipy.linalg.eigh(K.toarray(), M.toarray())
        nodes = self._unknowns[np.sort(self.grid.boundary(0, end))]
        return Port(nodes[nodes >= 0], shapes, M @ shapes, cutoffs)

    def problem(self, k: float) -> adjoint.LinearProblem:
        """Make the problem at wavenumber k; its parameters are ε of all elements."""
        n = int(self._unknowns.max()) + 1
        ports = self.port(0), self.port(1)
        dofs, ones = self._dofs, np.ones(len(self._dofs))
        K = adjoint.Elements(dofs, diffusion_matrix(self.grid))(ones)
        empty = sparse.csc_array(K, dtype=complex)
        for port in ports:
            # ∂u/∂n = Σ_m iβ_m ⟨s_m, u⟩ s_m, for all modes of the discrete cross-section.
            block = (port.loads * (1j * port.propagation(k))) @ port.loads.T
            rows, columns = np.meshgrid(port.nodes, port.nodes, indexing="ij")
            empty = empty - sparse.coo_array(
                (block.ravel(), (rows.ravel(), columns.ravel())), shape=(n, n)
            )
        mass = adjoint.Elements(dofs, mass_matrix(self.grid))
        A = adjoint.Combination([(1.0, adjoint.Constant(sparse.csc_array(empty))), (-(k**2), mass)])
        b = np.zeros(n, dtype=complex)
        b[ports[0].nodes] = -2j * ports[0].propagation(k)[0] * ports[0].loads[:, 0]
        return adjoint.LinearProblem(A, b, adjoint.ldl)

    def transmitted(self, k: float, mode: int) -> adjoint.LeastSquares:
        """Return J = the power that leaves in a mode at the right end, per power that enters.

        mode: 1, 2, ….
        """
        return self._power(k, 1, mode - 1)

    def _power(self, k: float, end: int, m: int) -> adjoint.LeastSquares:
        port = self.port(end)
        beta = port.propagation(k).real
        row = np.zeros((1, int(self._unknowns.max()) + 1))
        row[0, port.nodes] = port.loads[:, m]
        weight = 2.0 * beta[m] / beta[0]
        return adjoint.LeastSquares(np.zeros(1), sparse.csr_array(row), np.array([weight]))

    def reflected(self, u: Array, k: float) -> Array:
        """Return the power that returns in each propagating mode, per power that enters."""
        port = self.port(0)
        amplitudes = port.loads.T @ u[port.nodes]
        amplitudes[0] -= 1.0
        beta = port.propagation(k).real
        return np.asarray(beta / beta[0] * np.abs(amplitudes) ** 2)

    def density(self, beta: float) -> adjoint.protocols.DesignMap:
        """Return the map from the design to densities: a filter and a projection of steepness β."""
        rows = self.cells[1]
        region = Grid((self.columns[1] - self.columns[0], rows), self.grid.spacing)
        smooth = density_filter(region, self.radius)
        return smooth >> adjoint.design.HeavisideProjection(beta, eta=0.5)

    @property
    def permittivity(self) -> "Permittivity":
        """The map from densities of the region to ε of all elements."""
        return Permittivity(len(self.grid.elements), self._designed, self.contrast - 1.0)

    def picture(self, eps: Array) -> Array:
        """Return ε as an array (nx, ny), the second index upwards."""
        return eps.reshape(self.cells)[:, ::-1]

    def field(self, u: Array) -> Array:
        """Return u at all nodes, zero on the walls, (nx + 1, ny + 1), the second index upwards."""
        full = np.append(u, 0.0)[self._unknowns]
        return np.asarray(full[self.grid.node_numbers])[:, ::-1]
