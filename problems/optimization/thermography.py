"""Temperatures measured in a plate, from which its conductivity is to be recovered."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from ..steady.conduction import Conduction


@dataclass(frozen=True, eq=False)
class Exponential:
    """p = eˣ, which is positive for every x."""

    def __call__(self, x: Array) -> Array:
        """p, (m,)."""
        return np.exp(x)

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """eˣ ∘ p̄, (m,)."""
        return np.exp(x) * p_bar

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """eˣ ∘ ẋ, (m,)."""
        return np.exp(x) * x_dot


@dataclass(frozen=True, eq=False)
class Thermography:
    """Nonlinear conduction in a plate of 4 m × 3 m, with evenly spaced thermometers.

    Parameters
    ----------
    cells : (int, int)
        Number of cells along x and y.
    sensors : (int, int)
        Number of thermometers along x and y.
    noise : float
        Standard deviation σ of a measurement, K. The misfit is in units of σ.
    seed : int
        Seed of the noise.

    Raises
    ------
    ValueError
        If there are more sensors than cells, or if the noise is not positive and
        finite.
    """

    cells: tuple[int, int]
    sensors: tuple[int, int]
    noise: float = field(default=5e-3, kw_only=True)
    seed: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not all(1 <= q <= count for q, count in zip(self.sensors, self.cells, strict=True)):
            raise ValueError(
                f"Thermography: got {self.sensors} sensors in {self.cells} cells, "
                "expected at most one each"
            )
        if not 0.0 < self.noise < np.inf:
            raise ValueError(
                f"Thermography: got noise={self.noise}, expected a standard deviation > 0, K"
            )

    @cached_property
    def model(self) -> Conduction:
        """The physics: given temperatures left and right, a source, a circulating flow."""
        return Conduction(self.cells, size=(4.0, 3.0), ends=(1.0, 4.0), growth=0.3, source=5.0)

    @cached_property
    def problem(self) -> adjoint.NonlinearProblem:
        """The model, with a start that rises from left to right."""
        nx, ny = self.cells
        return adjoint.NonlinearProblem(
            self.model, np.repeat(np.linspace(*self.model.ends, nx), ny)
        )

    @cached_property
    def centres(self) -> tuple[Array, Array]:
        """The coordinates x and y of the centres of the cells, m, (n,) each."""
        x, y = (
            (np.arange(count) + 0.5) * h
            for count, h in zip(self.cells, self.model.spacing, strict=True)
        )
        x, y = np.meshgrid(x, y, indexing="ij")
        return x.ravel(), y.ravel()

    @cached_property
    def truth(self) -> Array:
        """The true ln p, (n,).

        A smooth field plus a conducting ellipse and an insulating rectangle.
        """
        x, y = self.centres
        ellipse = ((x - 1.1) / 0.55) ** 2 + ((y - 2.1) / 0.4) ** 2 < 1.0
        rectangle = (abs(x - 2.9) < 0.45) & (abs(y - 1.1) < 0.35)
        return 0.5 * np.sin(1.6 * x + 0.4) * np.cos(1.3 * y - 0.3) + 1.1 * ellipse - 1.2 * rectangle

    @cached_property
    def measured(self) -> Array:
        """The numbers of the cells with sensors, (q,)."""
        both = zip(self.sensors, self.cells, strict=True)
        x, y = (((np.arange(q) + 0.5) * count / q).astype(int) for q, count in both)
        return np.add.outer(x * self.cells[1], y).ravel()

    @cached_property
    def observe(self) -> sparse.csr_array:
        """C / σ, (q, n): the temperatures at the sensors in units of the noise."""
        q = self.measured.size
        rates = np.full(q, 1.0 / self.noise)
        return sparse.csr_array((rates, (np.arange(q), self.measured)), shape=(q, self.truth.size))

    @cached_property
    def data(self) -> Array:
        """(C u + noise) / σ for the true conductivity, (q,)."""
        exact = self.observe @ self.problem.solve(np.exp(self.truth)).u
        return exact + np.random.default_rng(self.seed).standard_normal(exact.size)
