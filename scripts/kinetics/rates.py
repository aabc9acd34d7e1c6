"""Rate constants from noisy concentrations: the measurements, and how well rate constants agree with them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Experiment:
    """Concentrations of some species at the observation times of a problem, each with its noise.

    problem: its parameters are rate constants, eˣ; truth: x, (m,); species: their numbers, (s,); sigma: standard
    deviations of their noise, (s,).
    """

    problem: adjoint.ODEProblem
    truth: Array
    species: Array
    sigma: Array

    @cached_property
    def exact(self) -> Array:
        """The concentrations of all species, (K, n)."""
        return self.problem.solve(np.exp(self.truth)).u

    def measured(self, seed: int) -> Array:
        """Those of the species measured, with noise, (K, s)."""
        exact = self.exact[:, self.species]
        return exact + self.sigma * np.random.default_rng(seed).standard_normal(exact.shape)


@dataclass(frozen=True, eq=False)
class Estimate:
    """χ² at x and all derivatives; data: (K, s)."""

    experiment: Experiment
    data: Array
    x: Array

    @cached_property
    def trajectory(self) -> adjoint.ode.Trajectory:
        """The solution of the problem."""
        return self.experiment.problem.solve(np.exp(self.x))

    @cached_property
    def residual(self) -> Array:
        """r, (K, s), in units of the noise."""
        return np.asarray(
            (self.trajectory.u[:, self.experiment.species] - self.data) / self.experiment.sigma
        )

    @property
    def chi2(self) -> float:
        """χ² = ‖r‖²."""
        return float(np.sum(self.residual**2))

    @property
    def freedom(self) -> int:
        """Measurements less rates: the mean of χ² at its minimum."""
        return self.residual.size - self.x.size

    @property
    def u_bar(self) -> Array:
        """∂(½χ²)/∂u, (K, n)."""
        u_bar = np.zeros_like(self.trajectory.u)
        u_bar[:, self.experiment.species] = self.residual / self.experiment.sigma
        return u_bar

    @cached_property
    def jacobian(self) -> Array:
        """du/dp, (K n, m), by tangents or adjoints, whichever are fewer."""
        return self.trajectory.jacobian(mode="auto")

    @cached_property
    def sensitivity(self) -> Array:
        """du/dx, (K, n, m): x are the logarithms of p."""
        return np.asarray(self.jacobian.reshape(*self.trajectory.u.shape, -1) * self.trajectory.p)

    @cached_property
    def D(self) -> Array:
        """dr/dx, (K s, m)."""
        species, sigma = self.experiment.species, self.experiment.sigma
        return np.asarray((self.sensitivity[:, species] / sigma[:, None]).reshape(-1, self.x.size))

    @property
    def gradient(self) -> Array:
        """d(½χ²)/dx = Dᵀ r, (m,)."""
        return np.asarray(self.D.T @ self.residual.ravel())

    @cached_property
    def covariance(self) -> Array:
        """(Dᵀ D)⁻¹, (m, m), that of x: r is in units of σ."""
        return np.asarray(np.linalg.inv(self.D.T @ self.D))

    @property
    def excess(self) -> float:
        """gᵀ (Dᵀ D)⁻¹ g: what a Gauss–Newton step would take off χ²."""
        return float(self.gradient @ self.covariance @ self.gradient)

    @property
    def spread(self) -> Array:
        """The standard deviations of all concentrations, (K, n), to first order."""
        return np.sqrt(
            np.einsum("kni,ij,knj->kn", self.sensitivity, self.covariance, self.sensitivity)
        )
