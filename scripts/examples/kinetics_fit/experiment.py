"""Measured concentrations, and an estimate of the rate constants with all its derivatives."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import adjoint
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Experiment:
    """Noisy concentrations of some species at the observation times of a problem.

    problem: its parameters are the rate constants p = eˣ; truth: the true x, (m,);
    species: indices of the measured species, (s,); sigma: standard deviations of the noise
    of each measured species, mol/L, (s,).
    """

    problem: adjoint.ODEProblem
    truth: Array
    species: Array
    sigma: Array

    @cached_property
    def exact(self) -> Array:
        """The exact concentrations of all species, (K, n), mol/L."""
        return self.problem.solve(np.exp(self.truth)).u

    def measured(self, seed: int) -> Array:
        """Return the measured concentrations with noise, (K, s), mol/L."""
        exact = self.exact[:, self.species]
        return exact + self.sigma * np.random.default_rng(seed).standard_normal(exact.shape)


@dataclass(frozen=True, eq=False)
class Estimate:
    """χ² = ‖r‖² at x, with r = (y(eˣ) − d)/σ, and its derivatives.

    data: measured concentrations d, (K, s), mol/L; x: logarithms of the rate constants, (m,).
    """

    experiment: Experiment
    data: Array
    x: Array

    @cached_property
    def trajectory(self) -> adjoint.ode.Trajectory:
        """The solution for the rate constants eˣ."""
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
        """The degrees of freedom, K s − m: the mean of χ² at its minimum."""
        return self.residual.size - self.x.size

    @property
    def u_bar(self) -> Array:
        """∂(½χ²)/∂u, (K, n)."""
        u_bar = np.zeros_like(self.trajectory.u)
        u_bar[:, self.experiment.species] = self.residual / self.experiment.sigma
        return u_bar

    @cached_property
    def jacobian(self) -> Array:
        """du/dp, (K n, m), by tangents or by adjoints, whichever are fewer."""
        return self.trajectory.jacobian(mode="auto")

    @cached_property
    def sensitivity(self) -> Array:
        """du/dx = (du/dp) diag(p), (K, n, m)."""
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
        """The covariance of x, (Dᵀ D)⁻¹, (m, m): r is in units of the noise."""
        return np.asarray(np.linalg.inv(self.D.T @ self.D))

    @property
    def excess(self) -> float:
        """gᵀ (Dᵀ D)⁻¹ g: the decrease of χ² that a Gauss–Newton step predicts."""
        return float(self.gradient @ self.covariance @ self.gradient)

    @property
    def spread(self) -> Array:
        """The standard deviations of all concentrations, (K, n), mol/L, to first order."""
        return np.sqrt(
            np.einsum("kni,ij,knj->kn", self.sensitivity, self.covariance, self.sensitivity)
        )
