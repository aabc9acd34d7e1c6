"""The Bratu problem, ∇²u + λeᵘ = 0, on a line or a rectangle: two solutions below a fold, none beyond it."""

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
    """R(u, λ) = −∇²_h u − λeᵘ, by central differences on the unit interval or square; u = 0 outside.

    points: the numbers of interior points, (nx,) or (nx, ny), at distances 1/(nx + 1), 1/(ny + 1); u: (n,) with y
    running fastest. The parameters are λ at every point, (n,), or one λ for all, (1,). All is dimensionless.
    An exponential that overflows makes R infinite. Raises ValueError for no points, or more than two directions.

    In one dimension the fold is at λ = 3.51383071912516, and u known in closed form: Mohsen (2014), Comput. Math.
    Appl. 67, 26.
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
        """Where the diagonal stands in laplacian.data, (n,)."""
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
        """−eᵘ ∘ lam, or the sum of it for one λ."""
        g = -_exp(u) * lam
        return g if p.size == u.size else g.sum(keepdims=True)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """−eᵘ ∘ λ̇, (n,)."""
        return np.asarray(-_exp(u) * p_dot)


def _exp(u: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(u)


def bratu(*points: int) -> adjoint.NonlinearProblem:
    """The Bratu problem on (nx,) or (nx, ny) interior points; Newton from u = 0 finds the lower branch."""
    physics = Bratu(points)
    return adjoint.NonlinearProblem(physics, np.zeros(physics.n))


def plain_bratu(*points: int) -> Callable[[Array, Array], Array]:
    """R(u, λ) of `Bratu` as a user writes it, for u and λ real or complex."""

    def residual(u: Array, p: Array) -> Array:
        padded = np.pad(u.reshape(points), 1)
        r = -p * np.exp(u)
        for axis, count in enumerate(points):
            inside = tuple(slice(None) if d == axis else slice(1, -1) for d in range(len(points)))
            r = r - (count + 1) ** 2 * np.diff(padded[inside], 2, axis=axis).ravel()
        return r

    return residual
