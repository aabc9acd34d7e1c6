"""The mother problem of optimal control: the source that gives a membrane a wanted shape."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint._numerics import dot
from adjoint.typing import Array


def wanted(x: Array, y: Array) -> Array:
    """A step from 0 to 1 + x cos(πy) at x = ½, in a layer of width 0.1.

    The target has no symmetry.
    """
    return 0.5 * (1.0 + np.tanh(20.0 * (x - 0.5))) * (1.0 + np.cos(np.pi * y) * x)


def rim(x: Array, y: Array) -> Array:
    """The height of the membrane on the boundary, x (1 + y) / 2."""
    return 0.5 * x * (1.0 + y)


def graded(n: int, power: float) -> Array:
    """½ + ½ sign(t) |t|^power for t = −1 … 1: grid lines of n intervals, (n + 1,).

    With power > 1 the lines are closest in the middle.
    """
    t = np.linspace(-1.0, 1.0, n + 1)
    return 0.5 + 0.5 * np.sign(t) * np.abs(t) ** power


def _interval(lines: Array) -> tuple[sparse.csc_array, sparse.csc_array]:
    """∫NᵀN and ∫N′ᵀN′ of the linear elements between grid lines."""
    h = np.diff(lines)
    sums, inverse = np.convolve(h, [1.0, 1.0]), 1.0 / h
    mass = sparse.diags_array([h / 6.0, sums / 3.0, h / 6.0], offsets=[-1, 0, 1])
    stiffness = sparse.diags_array(
        [-inverse, np.convolve(inverse, [1.0, 1.0]), -inverse], offsets=[-1, 0, 1]
    )
    return sparse.csc_array(mass), sparse.csc_array(stiffness)


@dataclass(frozen=True, eq=False)
class Tracking:
    """J = ½ (v − v_d)ᵀ M (v − v_d) + ½ β pᵀ M p.

    M: mass matrix, (n, n). free: indices of the interior nodes, (n_f,); the state u,
    (n_f,), holds v at these nodes. boundary: v at the nodes of the boundary, 0 at
    interior nodes, (n,). target: v_d, (n,). p: the control, (n,).
    """

    M: sparse.csc_array
    free: Array
    boundary: Array
    target: Array
    beta: float

    def _misfit(self, u: Array) -> Array:
        v = self.boundary - self.target
        v[self.free] += u
        return v

    def value(self, u: Array, p: Array) -> float:
        """J."""
        misfit = self._misfit(u)
        return 0.5 * dot(misfit, self.M @ misfit) + 0.5 * self.beta * dot(p, self.M @ p)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(M (v − v_d) at the interior nodes, β M p)."""
        return (self.M @ self._misfit(u))[self.free], self.beta * (self.M @ p)


@dataclass(frozen=True, eq=False)
class MotherProblem:
    """min ½‖v − v_d‖² + ½β‖u‖² subject to −Δv = u, v = g on the boundary, and bounds on u.

    Bilinear elements on the rectangles between grid lines of the unit square, with mass
    matrix M and ‖u‖² = uᵀMu. u: one value per node, (n,); nodes with the same x are
    next to each other. The gradient is M (βu + λ), with −Δλ = v − v_d. In the inner
    product of M the steps are those of the problem without a mesh, whose condition
    number is 1 + 1/(4π⁴β). In any other inner product the steps depend on the mesh.

    Parameters
    ----------
    lines : ((nx,) array, (ny,) array)
        Coordinates x and y of the grid lines, both increasing from 0 to 1.
    beta : float
        Weight β of the control in J.
    target : callable
        The wanted shape v_d(x, y).
    given : callable
        The height g(x, y) on the boundary.
    bounds : Bounds
        Bounds on u.

    Raises
    ------
    ValueError
        If there are fewer than three lines, or if they do not increase from 0 to 1.

    References
    ----------
    Tröltzsch (2010), Optimal Control of Partial Differential Equations, chapter 2.
    """

    lines: tuple[Array, Array]
    beta: float = field(default=1e-3, kw_only=True)
    target: Callable[[Array, Array], Array] = field(default=wanted, kw_only=True)
    given: Callable[[Array, Array], Array] = field(default=rim, kw_only=True)
    bounds: adjoint.Bounds = field(default_factory=adjoint.Bounds, kw_only=True)

    def __post_init__(self) -> None:
        for line in self.lines:
            if not (
                len(line) >= 3
                and line[0] == 0.0
                and line[-1] == 1.0
                and np.all(np.diff(line) > 0.0)
            ):
                raise ValueError(
                    f"MotherProblem: got grid lines {line}, "
                    "expected at least 3, increasing from 0 to 1"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of nodes along x and along y."""
        return len(self.lines[0]), len(self.lines[1])

    @cached_property
    def points(self) -> Array:
        """The coordinates x and y of the nodes, (2, n)."""
        return np.stack([axis.ravel() for axis in np.meshgrid(*self.lines, indexing="ij")])

    @cached_property
    def mass(self) -> sparse.csc_array:
        """M = ∫NᵀN, (n, n)."""
        (Mx, _), (My, _) = (_interval(line) for line in self.lines)
        return sparse.csc_array(sparse.kron(Mx, My))

    @cached_property
    def stiffness(self) -> sparse.csc_array:
        """K = ∫∇Nᵀ∇N, (n, n)."""
        (Mx, Kx), (My, Ky) = (_interval(line) for line in self.lines)
        return sparse.csc_array(sparse.kron(Kx, My) + sparse.kron(Mx, Ky))

    @cached_property
    def areas(self) -> Array:
        """The lumped masses: the area that each node represents, (n,)."""
        return self.mass.sum(axis=0)

    @cached_property
    def free(self) -> Array:
        """The indices of the interior nodes, (n_f,)."""
        return np.arange(self.points.shape[1]).reshape(self.shape)[1:-1, 1:-1].ravel()

    @cached_property
    def boundary(self) -> Array:
        """The value of g at the nodes of the boundary, 0 at interior nodes, (n,)."""
        values = self.given(*self.points)
        values[self.free] = 0.0
        return values

    @cached_property
    def objective(self) -> Tracking:
        """J."""
        return Tracking(self.mass, self.free, self.boundary, self.target(*self.points), self.beta)

    @cached_property
    def f(self) -> adjoint.Reduced:
        """The reduced objective u ↦ J.

        The value needs one solve with K, the gradient one more; K is factored once.
        """
        within = self.stiffness[:, self.free][self.free]
        load = adjoint.matrices.AffineVector(
            -(self.stiffness @ self.boundary)[self.free], self.mass.tocsr()[self.free]
        )
        factored = adjoint.cholesky(within)
        # K does not depend on u.
        return adjoint.Reduced(
            adjoint.LinearProblem(within, load, lambda _: factored), self.objective
        )

    def field(self, state: Array) -> Array:
        """Return v at all nodes, (nx, ny), from the state at the interior nodes, (n_f,)."""
        v = self.boundary.copy()
        v[self.free] = state
        return v.reshape(self.shape)

    def optimum(self) -> Array:
        """The minimizer u, (n,), from the KKT system; with bounds, by active sets.

        Raises RuntimeError if the active sets do not settle.

        Bergounioux, Ito & Kunisch (1999), SIAM J. Control Optim. 37, 1176.
        """
        n, inner = self.points.shape[1], self.free.size
        load, within = self.mass[self.free], self.stiffness[:, self.free][self.free]
        observed = self.mass[:, self.free][self.free]
        H = sparse.csc_array(
            sparse.block_array(
                [
                    [self.beta * self.mass, None, load.T],
                    [None, observed, -within],
                    [load, -within, None],
                ]
            )
        )
        misfit = self.mass @ (self.objective.target - self.boundary)
        rhs = np.concatenate(
            [np.zeros(n), misfit[self.free], (self.stiffness @ self.boundary)[self.free]]
        )
        lower, upper = (
            np.broadcast_to(bound, n) for bound in (self.bounds.lower, self.bounds.upper)
        )
        low, high = np.zeros((2, n), dtype=bool)
        for _ in range(50):
            w = np.zeros(n + 2 * inner)
            w[:n] = np.where(low, lower, np.where(high, upper, 0.0))
            solved = np.concatenate([~(low | high), np.ones(2 * inner, dtype=bool)])
            w[solved] = adjoint.lu(H[:, solved][solved]).solve((rhs - H @ w)[solved])
            multiplier = (rhs - H @ w)[:n] / (self.beta * self.areas)
            now = (w[:n] + multiplier < lower, w[:n] + multiplier > upper)
            if np.array_equal(now[0], low) and np.array_equal(now[1], high):
                return w[:n]
            low, high = now
        raise RuntimeError("MotherProblem: the active sets did not settle in 50 iterations")
