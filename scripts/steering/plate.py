"""A heated plate that is to have a given temperature in the end, at little cost."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.grid import Grid
from problems.time.heat import HeatedPlate
from scripts.steering.cost import Power, Tracking

SIZE = np.array([1.0, 0.7])  # of the plate, m
WARM, RING = (
    (0.2, 0.35, 0.0, 0.1),
    (0.62, 0.35, 0.2, 0.07),
)  # first and last: centre, radius, width, m


@dataclass(frozen=True, eq=False)
class Steering:
    """A plate of 1 m × 0.7 m that is warm on the left and is to be warm in a ring on the right after 4 s.

    cells: of the mesh; knots: times between which powers are linear; heaters: in each direction; limit: of their powers
    over the heat capacity, K/s, cooling included; alpha: price of the squared powers, m² s.
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
            grid, places, np.linspace(0.0, 4.0, self.knots), diffusivity=0.005, width=0.05
        )

    @property
    def unknowns(self) -> int:
        """n."""
        return len(self.plate.grid.nodes)

    @property
    def controls(self) -> int:
        """m, knots · heaters."""
        return self.knots * int(np.prod(self.heaters))

    def ring(self, x: float, y: float, radius: float, width: float) -> Array:
        """A temperature of 1 K on a ring, which falls off like a Gaussian, (n,)."""
        distance = np.linalg.norm(self.plate.grid.nodes - np.array([x, y]), axis=1)
        return np.asarray(np.exp(-0.5 * ((distance - radius) / width) ** 2))

    @cached_property
    def problem(self) -> adjoint.ODEProblem:
        """Observed at the knots, where the powers have kinks: steps end there."""
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
        """J."""
        return Tracking(self.plate.mass, self.ring(*RING), self.alpha)

    @cached_property
    def mass(self) -> adjoint.factor.Factorization:
        """The factors of M."""
        return adjoint.cholesky(self.plate.mass)

    def cotangents(self, y_bar: Array) -> tuple[Array, Array]:
        """(ū (K, n), q̄ (1,)) of those of the outputs."""
        return y_bar[:-1].reshape(-1, self.unknowns), y_bar[-1:]

    def distance(self, u: Array) -> float:
        """‖u − d‖_M / ‖d‖_M."""
        M, d = self.plate.mass, self.objective.target
        return float(np.sqrt((u - d) @ (M @ (u - d)) / (d @ (M @ d))))

    def asked(self, lam: Array) -> Array:
        """−Bᵀ M⁻¹ λ / α within the limits, (k, heaters): the best powers, in continuous time, for λ (k, n)."""
        s = -self.mass.solve(lam.T).T @ self.plate.heaters / self.alpha
        return np.clip(s, -self.limit, self.limit)
