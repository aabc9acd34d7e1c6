"""The Bratu problem, ∇²u + λeᵘ = 0: two solutions below the fold, no solution beyond it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.factor.csc import columns_of
from adjoint.typing import Array


@dataclass(frozen=True, eq=False)
class Bratu:
    """R(u, λ) = −∇²_h u − λeᵘ on the unit interval or the unit square, with u = 0 outside.

    Central differences. u: (n,), y running fastest. The parameters are λ at every
    point, (n,), or one λ for all points, (1,). All quantities are dimensionless. If the
    exponential overflows, R is infinite.

    Parameters
    ----------
    points : tuple of 1 or 2 int
        Interior points, (nx,) or (nx, ny), at distances 1/(nx + 1) and 1/(ny + 1).

    Raises
    ------
    ValueError
        If a direction has no points, or if there are more than two directions.

    References
    ----------
    Mohsen (2014), Comput. Math. Appl. 67, 26: on the line the fold is at
    λ = 3.51383071912516, and u is known in closed form.
    """

    points: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.points) not in (1, 2) or min(self.points) < 1:
            raise ValueError(
                f"Bratu: got points {self.points}, expected (nx,) or (nx, ny), at least one of each"
            )

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return int(np.prod(self.points))

    @property
    def nominal(self) -> Array:
        """λ = 1 at every point, (n,): well below the fold."""
        return np.ones(self.n)

    @cached_property
    def laplacian(self) -> sparse.csc_array:
        """−∇²_h, (n, n)."""
        lines = [
            (count + 1) ** 2
            * sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(count, count))
            for count in self.points
        ]
        total = sparse.csc_array(reduce(sparse.kronsum, reversed(lines)))
        total.sum_duplicates()
        return total

    @cached_property
    def _diagonal(self) -> Array:
        """Positions of the diagonal in laplacian.data, (n,)."""
        return np.flatnonzero(self.laplacian.indices == columns_of(self.laplacian))

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, λ), (n,)."""
        return np.asarray(self.laplacian @ u - p * _exp(u))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """−∇²_h − diag(λeᵘ), (n, n): symmetric, positive definite on the lower branch."""
        L = self.laplacian
        data = L.data.astype(np.result_type(u, p))
        data[self._diagonal] -= p * _exp(u)
        return sparse.csc_array((data, L.indices, L.indptr), shape=L.shape)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """−eᵘ ∘ lam, (n,), or its sum, (1,), for one λ."""
        g = -_exp(u) * lam
        return g if p.size == u.size else g.sum(keepdims=True)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """−eᵘ ∘ λ̇, (n,)."""
        return np.asarray(-_exp(u) * p_dot)


def _exp(u: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(u)


def bratu(*points: int) -> adjoint.NonlinearProblem:
    """Make the Bratu problem; Newton's method from u = 0 finds the lower branch.

    Parameters
    ----------
    *points : int
        Interior points, nx, or nx and ny.

    Returns
    -------
    NonlinearProblem
        With λ at every point, (n,), or one λ, (1,), as parameters.
    """
    physics = Bratu(points)
    return adjoint.NonlinearProblem(physics, np.zeros(physics.n))


def plain_bratu(*points: int) -> Callable[[Array, Array], Array]:
    """R(u, λ) of `Bratu` as a plain function, for real and complex u and λ."""

    def residual(u: Array, p: Array) -> Array:
        padded = np.pad(u.reshape(points), 1)
        r = -p * np.exp(u)
        for axis, count in enumerate(points):
            inside = tuple(slice(None) if d == axis else slice(1, -1) for d in range(len(points)))
            r = r - (count + 1) ** 2 * np.diff(padded[inside], 2, axis=axis).ravel()
        return r

    return residual
