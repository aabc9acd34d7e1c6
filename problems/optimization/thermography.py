"""Temperatures measured inside a plate, from which its conductivity is to be recovered."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from ..steady.conduction import Conduction


@dataclass(frozen=True, eq=False)
class Exponential:
    """p = eˣ: positive whatever x is."""

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
    """Nonlinear conduction in a plate of 4 m × 3 m, and thermometers in evenly spread cells of it.

    cells: (nx, ny); sensors: in each direction; noise: standard deviation of each measurement, K; seed: of the noise.
    Raises ValueError for more sensors than cells, and for noise that is not positive: it is the unit of the misfit.
    """

    cells: tuple[int, int]
    sensors: tuple[int, int]
    noise: float = field(default=5e-3, kw_only=True)
    seed: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if not all(1 <= q <= count for q, count in zip(self.sensors, self.cells, strict=True)):
            raise ValueError(
                f"Thermography: got {self.sensors} sensors in {self.cells} cells, expected at most one each"
            )
        if not 0.0 < self.noise < np.inf:
            raise ValueError(
                f"Thermography: got noise={self.noise}, expected a standard deviation > 0, K"
            )

    @cached_property
    def model(self) -> Conduction:
        """The physics: given temperatures left and right, a source, a flow that circulates."""
        return Conduction(self.cells, size=(4.0, 3.0), ends=(1.0, 4.0), growth=0.3, source=5.0)

    @cached_property
    def problem(self) -> adjoint.NonlinearProblem:
        """The model, started from a temperature that rises from left to right."""
        nx, ny = self.cells
        return adjoint.NonlinearProblem(
            self.model, np.repeat(np.linspace(*self.model.ends, nx), ny)
        )

    @cached_property
    def centres(self) -> tuple[Array, Array]:
        """x and y of the cells, (n,) each, m."""
        x, y = (
            (np.arange(count) + 0.5) * h
            for count, h in zip(self.cells, self.model.spacing, strict=True)
        )
        x, y = np.meshgrid(x, y, indexing="ij")
        return x.ravel(), y.ravel()

    @cached_property
    def truth(self) -> Array:
        """ln p of a smooth field with a well conducting ellipse and an insulating rectangle in it, (n,)."""
        x, y = self.centres
        ellipse = ((x - 1.1) / 0.55) ** 2 + ((y - 2.1) / 0.4) ** 2 < 1.0
        rectangle = (abs(x - 2.9) < 0.45) & (abs(y - 1.1) < 0.35)
        return 0.5 * np.sin(1.6 * x + 0.4) * np.cos(1.3 * y - 0.3) + 1.1 * ellipse - 1.2 * rectangle

    @cached_property
    def measured(self) -> Array:
        """The cells with sensors, (q,)."""
        both = zip(self.sensors, self.cells, strict=True)
        x, y = (((np.arange(q) + 0.5) * count / q).astype(int) for q, count in both)
        return np.add.outer(x * self.cells[1], y).ravel()

    @cached_property
    def observe(self) -> sparse.csr_array:
        """C / σ, (q, n): temperatures at the sensors in units of the noise."""
        q = self.measured.size
        rates = np.full(q, 1.0 / self.noise)
        return sparse.csr_array((rates, (np.arange(q), self.measured)), shape=(q, self.truth.size))

    @cached_property
    def data(self) -> Array:
        """(C u + noise) / σ with the true conductivity, (q,)."""
        exact = self.observe @ self.problem.solve(np.exp(self.truth)).u
        return exact + np.random.default_rng(self.seed).standard_normal(exact.size)
