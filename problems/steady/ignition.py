"""Thermal ignition in a flow, −∇²u + β·∇u = λ s eᵘ: two states below a critical λ."""

from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.typing import Array

from .bratu import Bratu


@dataclass(frozen=True, eq=False)
class Ignition:
    """R(u, p) = −∇²_h u + β·∇_h u − λ s ∘ eᵘ on the unit interval or square, u = 0 outside.

    Central differences. u: (n,), y running fastest. p: λ, then the relative reactivity
    s of every point, (n + 1,). All quantities are dimensionless. The Jacobian is not
    symmetric unless β = 0.

    Parameters
    ----------
    points : tuple of 1 or 2 int
        Interior points, (nx,) or (nx, ny), at distances 1/(nx + 1) and 1/(ny + 1).
    velocity : tuple of 1 or 2 float
        β, the Péclet number in each direction; keep |β| h below 2.

    Raises
    ------
    ValueError
        If `velocity` and `points` have different lengths.

    References
    ----------
    Frank-Kamenetskii (1969), Diffusion and Heat Transfer in Chemical Kinetics, chapter
    VI; λ is δ there.
    """

    points: tuple[int, ...]
    velocity: tuple[float, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        if len(self.velocity) != len(self.points):
            raise ValueError(
                f"Ignition: got velocity {self.velocity}, expected {len(self.points)} components"
            )

    @cached_property
    def still(self) -> Bratu:
        """The Bratu problem, which is ignition without flow, with parameter λ s."""
        return Bratu(self.points)

    @property
    def nominal(self) -> Array:
        """λ = 1 and s = 1 everywhere, (n + 1,): below ignition."""
        return np.ones(self.still.n + 1)

    @cached_property
    def advection(self) -> sparse.csc_array:
        """β·∇_h, (n, n), skew-symmetric, on the pattern of ∇²_h: the zero diagonal is stored."""
        # As the imaginary part of −∇²_h + i β·∇_h, whose real part keeps every entry where it is.
        lines = [
            sparse.diags_array(
                [-1.0 - 1j * b, 2.0, -1.0 + 1j * b], offsets=[-1, 0, 1], shape=(count, count)
            )
            * (count + 1) ** 2
            for b, count in zip(self._cell_numbers, self.points, strict=True)
        ]
        total = sparse.csc_array(reduce(sparse.kronsum, reversed(lines)))
        total.sum_duplicates()
        return sparse.csc_array((total.data.imag, total.indices, total.indptr), shape=total.shape)

    @property
    def _cell_numbers(self) -> list[float]:
        """½ β h of each direction."""
        return [
            0.5 * beta / (count + 1) for beta, count in zip(self.velocity, self.points, strict=True)
        ]

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        return self.still.residual(u, p[0] * p[1:]) + self.advection @ u

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """−∇²_h + β·∇_h − diag(λ s ∘ eᵘ), (n, n)."""
        A = self.still.jacobian(u, p[0] * p[1:])
        return sparse.csc_array((A.data + self.advection.data, A.indices, A.indptr), shape=A.shape)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """−(s · (eᵘ ∘ lam), λ eᵘ ∘ lam), (n + 1,)."""
        g = self.still.vjp(u, p[1:], lam)
        return np.append(np.sum(p[1:] * g), p[0] * g)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """−(λ̇ s + λ ṡ) ∘ eᵘ, (n,)."""
        return self.still.jvp(u, p[1:], p_dot[0] * p[1:] + p[0] * p_dot[1:])


def ignition(*points: int, velocity: tuple[float, ...]) -> adjoint.NonlinearProblem:
    """Make the ignition problem; Newton's method from u = 0 finds the state before ignition.

    Parameters
    ----------
    *points : int
        Interior points, nx, or nx and ny.
    velocity : tuple of float
        Péclet number in each direction.

    Returns
    -------
    NonlinearProblem
        With n unknowns and n + 1 parameters, see `Ignition`.
    """
    physics = Ignition(points, velocity=velocity)
    return adjoint.NonlinearProblem(physics, np.zeros(physics.still.n))
