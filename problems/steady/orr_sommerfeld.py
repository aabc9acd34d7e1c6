"""The Orr–Sommerfeld equation of plane channel flow, as a sparse pencil K(p) φ = c M(p) φ.

    U (D² − α²) φ − U″ φ + i/(α Re) (D² − α²)² φ = c (D² − α²) φ,   φ = φ′ = 0 at y = ±1

Waves φ(y) exp(iα(x − ct)) grow if Im c > 0. α: wave number, 1/half width; Re: Reynolds
number of the half width and the velocity in the middle; c: in units of that velocity.

The basis is that of Shen (1994), SIAM J. Sci. Comput. 15, 1489, section 3: combinations
of Legendre polynomials with φ = φ′ = 0 at both walls and (φ_j″, φ_k″) = δ_jk. For the
parabolic profile all matrices are banded.

Values: Orszag (1971), J. Fluid Mech. 50, 689, for α = 1, Re = 10⁴:
c = 0.23752649 + 0.00373967i; critical point Re_c = 5772.22, α_c = 1.02056.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.polynomial import legendre

import adjoint
from adjoint.eigen import EigenProblem
from adjoint.typing import Array

NEAR_WAVE = 0.25 + 0.02j
"""A shift near the Tollmien–Schlichting wave, the wave that becomes unstable first."""

BAND = 6
"""Bandwidth of the matrices of the parabolic profile."""

Profile = tuple[Callable[[Array], Array], Callable[[Array], Array]]
"""The functions U(y) and U″(y)."""


def parabola() -> Profile:
    """Return U = 1 − y² and U″ = −2."""
    return (lambda y: 1.0 - y**2, lambda y: np.full_like(y, -2.0))


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The design map (α, Re) ↦ (α², 1/(α Re), α/Re, α³/Re): the coefficients of the pencil."""

    def __call__(self, x: Array) -> Array:
        """Return the coefficients, (4,)."""
        alpha, Re = x
        return np.array([alpha**2, 1.0 / (alpha * Re), alpha / Re, alpha**3 / Re])

    def _jacobian(self, x: Array) -> Array:
        a, R = x
        return np.array(
            [
                [2.0 * a, 0.0],
                [-1.0 / (a**2 * R), -1.0 / (a * R**2)],
                [1.0 / R, -a / R**2],
                [3.0 * a**2 / R, -(a**3) / R**2],
            ]
        )

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return the transposed Jacobian times p̄, (2,)."""
        return self._jacobian(x).T @ p_bar

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return the Jacobian times ẋ, (4,)."""
        return self._jacobian(x) @ x_dot

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return the rate of vjp along ẋ, (2,)."""
        a, R = x
        mixed = -3.0 * a**2 / R**2
        second = np.array(
            [
                [[2.0, 0.0], [0.0, 0.0]],
                [[2.0 / (a**3 * R), 1.0 / (a * R) ** 2], [1.0 / (a * R) ** 2, 2.0 / (a * R**3)]],
                [[0.0, -1.0 / R**2], [-1.0 / R**2, 2.0 * a / R**3]],
                [[6.0 * a / R, mixed], [mixed, 2.0 * a**3 / R**3]],
            ]
        )
        return np.asarray(np.einsum("i,ijk,k->j", p_bar, second, x_dot))


@dataclass(frozen=True, eq=False)
class GrowthRate:
    """J = Im c of the first eigenvalue."""

    def value(self, u: Array, p: Array) -> float:
        """Return Im c."""
        return float(u[0, 0].imag)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return the cotangent of (values, vectors), and zeros."""
        u_bar = np.zeros_like(u)
        u_bar[0, 0] = 1j
        return u_bar, np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return zeros: J is linear."""
        return np.zeros_like(u), np.zeros_like(p)


def basis(n: int, y: Array) -> tuple[Array, Array, Array]:
    """Return the n basis functions and their first two derivatives at y, each (y.size, n)."""
    k = np.arange(n)
    scale = 1.0 / np.sqrt(2.0 * (2 * k + 3) ** 2 * (2 * k + 5))
    series = np.zeros((n + 4, n))
    series[k, k] = scale
    series[k + 2, k] = -scale * 2.0 * (2 * k + 5) / (2 * k + 7)
    series[k + 4, k] = scale * (2 * k + 3) / (2 * k + 7)
    first = legendre.legvander(y, n + 3) @ series
    derivatives = [
        legendre.legvander(y, n + 3 - order) @ legendre.legder(series, order) for order in (1, 2)
    ]
    return first, derivatives[0], derivatives[1]


def orr_sommerfeld(
    n: int, count: int = 1, sigma: complex = NEAR_WAVE, profile: Profile | None = None
) -> EigenProblem:
    """Return the eigenproblem with n basis functions; its parameters are `Coefficients`.

    profile: U and U″; the parabola by default. Other profiles may have full matrices.
    """
    y, w = legendre.leggauss(n + 8)
    f, f1, f2 = basis(n, y)
    U, curvature = parabola() if profile is None else profile

    def matrix(test: Array, trial: Array, weight: Array | float = 1.0) -> sparse.csc_array:
        """∫ weight test trial dy, (n, n)."""
        full = (test * (w * weight)[:, None]).T @ trial
        if profile is None:  # Entries off the band are rounding errors.
            full = np.triu(np.tril(full, BAND), -BAND)
        full[np.abs(full) < 1e-15 * np.abs(full).max()] = 0.0
        return sparse.csc_array(full)

    stiff, slope, mass = matrix(f2, f2), matrix(f1, f1), matrix(f, f)
    convection = matrix(f, f2, U(y)) - matrix(f, f, curvature(y))
    none = sparse.csc_array((n, n))
    K = adjoint.Affine(convection, [-matrix(f, f, U(y)), 1j * stiff, 2j * slope, 1j * mass])
    M = adjoint.Affine(-slope, [-mass, none, none, none])
    return EigenProblem(K, M, count=count, sigma=sigma, factorize=adjoint.lu)
