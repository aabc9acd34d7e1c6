"""A plate with heaters that is to have a given temperature at the final time."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.finite_elements.grid import Grid
from problems.time.heat import HeatedPlate
from scripts.examples.optimal_control.objective import Power, Tracking

SIZE = np.array([1.0, 0.7])
"""Lengths of the sides of the plate, m."""

WARM, RING = (0.2, 0.35, 0.0, 0.1), (0.62, 0.35, 0.2, 0.07)
"""Initial and final temperature: x and y of the centre, radius, width, m."""

END = 4.0
"""Final time, s."""


@dataclass(frozen=True, eq=False)
class Steering:
    """Steer a plate of 1 m × 0.7 m from a warm spot on the left to a warm ring on the right.

    cells: of the mesh, along x and y; knots: number of times between which the powers are
    linear; heaters: along x and y; limit: largest absolute power divided by the heat
    capacity, K/s (a heater also cools); alpha: price of the squared powers, m² s.
    """

    cells: tuple[int, int]
    knots: int
    heaters: tuple[int, int] = field(default=(8, 6), kw_only=True)
    limit: float = field(default=1.5, kw_only=True)
    alpha: float = field(default=1e-4, kw_only=True)

    @cached_property
    def plate(self) -> HeatedPlate:
        """The physics."""
        shares = [(np.arange(k) + 0.5) / k for k in self.heaters]
        places = SIZE * np.stack(np.meshgrid(*shares, indexing="ij"), axis=2).reshape(-1, 2)
        grid = Grid(self.cells, tuple(SIZE / self.cells))
        return HeatedPlate(
            grid, places, np.linspace(0.0, END, self.knots), diffusivity=0.005, width=0.05
        )

    @property
    def unknowns(self) -> int:
        """The number of temperatures, n."""
        return len(self.plate.grid.nodes)

    @property
    def controls(self) -> int:
        """The number of powers, m = knots · heaters."""
        return self.knots * int(np.prod(self.heaters))

    def ring(self, x: float, y: float, radius: float, width: float) -> Array:
        """exp(−½ (|r − (x, y)| − radius)² / width²), (n,), K: a warm ring, or a spot."""
        distance = np.linalg.norm(self.plate.grid.nodes - np.array([x, y]), axis=1)
        return np.asarray(np.exp(-0.5 * ((distance - radius) / width) ** 2))

    @cached_property
    def problem(self) -> adjoint.ODEProblem:
        """M u' = −K u + B s, observed at the knots: steps end where the powers have kinks."""
        plate, knots = self.plate, self.plate.knots
        return adjoint.ODEProblem(
            plate,
            self.ring(*WARM),
            t=(float(knots[0]), float(knots[-1])),
            observe=knots,
            rtol=1e-6,
            atol=1e-6,
            mass=plate.mass,
            factorize=adjoint.cholesky,
            integrand=Power(knots),
        )

    @cached_property
    def objective(self) -> Tracking:
        """J, K² m²."""
        return Tracking(self.plate.mass, self.ring(*RING), self.alpha)

    @cached_property
    def mass(self) -> adjoint.factor.Factorization:
        """The factors of M."""
        return adjoint.cholesky(self.plate.mass)

    def cotangents(self, y_bar: Array) -> tuple[Array, Array]:
        """Split ∂J/∂y into the cotangents ū (K, n) of the states and q̄ (1,) of the integral."""
        return y_bar[:-1].reshape(-1, self.unknowns), y_bar[-1:]

    def distance(self, u: Array) -> float:
        """‖u − d‖_M / ‖d‖_M."""
        M, d = self.plate.mass, self.objective.target
        return float(np.sqrt((u - d) @ (M @ (u - d)) / (d @ (M @ d))))

    def stationary_powers(self, lam: Array) -> Array:
        """−Bᵀ M⁻¹ λ / α within the limits, (k, heaters), K/s, for λ (k, n).

        These are the optimal powers in continuous time (Pontryagin's condition).
        """
        s = -self.mass.solve(lam.T).T @ self.plate.heaters / self.alpha
        return np.clip(s, -self.limit, self.limit)
