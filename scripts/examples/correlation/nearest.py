"""The nearest correlation matrix, of full rank by its dual, of low rank on a product of spheres."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adjoint import Stopping, dense, minimize
from adjoint.optimize import LBFGS, NewtonCG, ScalarFunction
from adjoint.optimize.manifolds import Product, Sphere
from adjoint.typing import Array

EXACT = Stopping(stationarity=1e-10, iterations=2000)
"""The gradient falls to 1e-10 of its first size."""

RANK = 1e-6
"""Part of the largest eigenvalue below which an eigenvalue counts as zero."""


@dataclass(frozen=True, eq=False)
class Found:
    """A matrix X near A: its distance ‖X − A‖_F, and the norms of the gradient on the way."""

    X: Array
    distance: float
    gradients: Array
    products: int


@dataclass(frozen=True, eq=False)
class Dual:
    """θ(y) = ½‖(A + diag y)₊‖² − Σ y, whose minimum gives the nearest X = (A + diag y)₊.

    The gradient is diag X − 1. (·)₊ replaces negative eigenvalues by zero. Qi & Sun (2006), SIAM
    J. Matrix Anal. Appl. 28, 360.
    """

    A: Array

    def __call__(self, y: Array) -> "DualPoint":
        """θ at y, (n,)."""
        return DualPoint(self.A, y)


@dataclass(frozen=True, eq=False)
class DualPoint:
    """θ at y: value, gradient and Hessian products share one eigendecomposition."""

    A: Array
    x: Array

    @cached_property
    def part(self) -> "dense.Evaluation[Array]":
        """(A + diag y)₊, with its derivative by divided differences."""
        return dense.hermitian_function(
            self.A + np.diag(self.x),
            lambda s: np.maximum(s, 0.0),
            lambda s: np.where(s > 0.0, 1.0, 0.0),
        )

    @cached_property
    def value(self) -> float:
        """θ(y)."""
        return 0.5 * float(np.sum(self.part.value**2)) - float(self.x.sum())

    @property
    def gradient(self) -> Array:
        """diag (A + diag y)₊ − 1."""
        return np.diag(self.part.value) - 1.0

    def hvp(self, v: Array) -> Array:
        """The diagonal of the derivative of (·)₊ along diag v."""
        return np.ascontiguousarray(np.diag(self.part.jvp(np.diag(v))))


def nearest_by_dual(A: Array) -> Found:
    """The nearest correlation matrix by Newton's method on the dual."""
    gradients: list[float] = []
    algorithm = NewtonCG(exponent=1.0)
    result = minimize(
        Dual(A),
        np.zeros(len(A)),
        algorithm,
        stop=EXACT,
        callback=lambda state: gradients.append(state.stationarity),
    )
    X = Dual(A)(result.x).part.value
    size = np.sqrt(np.diag(X))
    X = X / np.outer(size, size)  # The diagonal is 1 to 1e-10 before.
    products = int(result.state.memory["products"])
    return Found(X, float(np.linalg.norm(X - A)), np.array(gradients), products)


def fit_of(A: Array, k: int) -> ScalarFunction:
    """f(V) = ½‖V Vᵀ − A‖_F², x = V by rows, (n k,)."""
    n = len(A)

    def matrix(x: Array) -> Array:
        return np.reshape(x, (n, k))

    def gradient(x: Array) -> Array:
        V = matrix(x)
        return np.ravel(2.0 * (V @ V.T - A) @ V)

    def product(x: Array, v: Array) -> Array:
        V, W = matrix(x), matrix(v)
        return np.ravel(2.0 * ((V @ V.T - A) @ W + (W @ V.T + V @ W.T) @ V))

    def value(x: Array) -> float:
        V = matrix(x)
        return 0.5 * float(np.sum((V @ V.T - A) ** 2))

    return ScalarFunction(value, gradient, product)


def nearest_of_rank(A: Array, k: int) -> Found:
    """The nearest correlation matrix of rank k at most: X = V Vᵀ, rows of V on spheres in ℝᵏ.

    Grubišić & Pietersz (2007), Linear Algebra Appl. 422, 629. The start is the leading
    eigenvectors of A, with rows of length 1.
    """
    gradients: list[float] = []
    spheres = Product((Sphere(k),) * len(A))
    V = leading(A, k)
    V = V / np.linalg.norm(V, axis=1)[:, None]
    result = minimize(
        fit_of(A, k),
        V.ravel(),
        NewtonCG(manifold=spheres, exponent=1.0),
        stop=EXACT,
        callback=lambda state: gradients.append(state.stationarity),
    )
    V = result.x.reshape(-1, k)
    X = V @ V.T
    products = int(result.state.memory["products"])
    return Found(X, float(np.linalg.norm(X - A)), np.array(gradients), products)


def leading(A: Array, k: int) -> Array:
    """V, (n, k), with V Vᵀ near A: eigenvectors of the largest eigenvalues, scaled."""
    values, vectors = np.linalg.eigh(A)
    return vectors[:, -k:] * np.sqrt(np.maximum(values[-k:], 1e-3 * values[-1]))


@dataclass(frozen=True, eq=False)
class Common:
    """The common part X of A: min ½‖off(X − A)‖² + μ‖X‖_* over X ≥ 0.

    rank: of X. excess: the largest eigenvalue of off(A − X), divided by μ: at most 1 at the
    minimum. nuclear: ‖X‖_*.
    """

    X: Array
    rank: int
    excess: float
    nuclear: float


def common_part(A: Array, mu: float) -> Common:
    """The common part by X = V Vᵀ, for which ‖X‖_* = ‖V‖_F², with L-BFGS.

    off: without the diagonal, which the single variances fill. The minimum over V is one over
    X if all eigenvalues of off(A − X) are at most μ (Burer & Monteiro 2005, Math. Program. 103,
    427).
    """
    n = len(A)
    off = 1.0 - np.eye(n)

    def both(x: Array) -> tuple[float, Array]:
        V = x.reshape(n, n)
        R = off * (V @ V.T - A)
        value = 0.5 * float(np.sum(R**2)) + mu * float(np.sum(V**2))
        return value, np.ravel(2.0 * R @ V + 2.0 * mu * V)

    values, vectors = np.linalg.eigh(A)
    start = vectors * np.sqrt(np.maximum(values, 1e-2 * values[-1]))
    result = minimize(ScalarFunction.of(both), start.ravel(), LBFGS(), stop=EXACT)
    V = result.x.reshape(n, n)
    X = V @ V.T
    eigenvalues = dense.svdvals(X).value
    return Common(
        X,
        int(np.count_nonzero(eigenvalues > RANK * eigenvalues[0])),
        float(np.linalg.eigvalsh(off * (A - X))[-1] / mu),
        dense.nuclear_norm(X).value,
    )
