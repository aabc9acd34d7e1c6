"""Error estimates of gradients against true errors, over random problems of fifteen families.

``python -m scripts.benchmarks.accuracy [--out DIR] [--small]`` prints, for each family, how
many estimates are accepted, at rounding level and refused, and quantiles of the ratio
true error / estimate; it writes accuracy.json. Reference gradients are computed by iterative
refinement in extended precision (np.longdouble) from the assembled double-precision
matrices. Conditions range from 1e2 to 1e10, tolerances from 1e-10 to 1e-2.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import gmres as scipy_gmres

import adjoint
from adjoint.accuracy import AccuracyStatus
from adjoint.errors import SolveError
from adjoint.factor.counts import Counts
from adjoint.factor.evidence import Evidence
from adjoint.factor.factorization import Factorizer
from adjoint.protocols import Inverse, Solution
from adjoint.steady.solution import SteadySolution
from adjoint.typing import Array, Trans
from scripts.benchmarks.accuracy_complex import FAMILIES as COMPLEX_FAMILIES

NUMBER = 200
"""Number of problems of each family."""

UNKNOWNS, PARAMETERS = 60, 6

WIDE = np.longdouble
"""The type of the references: 64 bits of mantissa on x86."""


@dataclass(frozen=True, eq=False)
class Cubic:
    """R(u, p) = A(p) u + α u³ − b(p) with A(p) = A₀ + Σ p_k A_k and b(p) = b₀ + B p.

    This class implements `adjoint.protocols.Residual`. The methods work in extended
    precision, too.
    """

    A0: Array
    A_k: Array
    b0: Array
    B: Array
    alpha: float

    def matrix(self, p: Array) -> Array:
        """A(p), (n, n), rounded to double precision: the matrix that all solvers see."""
        return np.asarray(self.A0 + np.einsum("k,kij->ij", p, self.A_k))

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        A, b = self.matrix(p).astype(u.dtype), (self.b0 + self.B @ p).astype(u.dtype)
        return np.asarray(A @ u + self.alpha * u**3 - b)

    def slope(self, u: Array, p: Array) -> Array:
        """∂R/∂u, (n, n), dense."""
        return np.asarray(self.matrix(p).astype(u.dtype) + np.diag(3.0 * self.alpha * u**2))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        return sparse.csc_array(self.slope(u, p))

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        A_k, B = self.A_k.astype(u.dtype), self.B.astype(u.dtype)
        return np.asarray(np.einsum("i,kij,j->k", lam, A_k, u, optimize=True) - B.T @ lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """∂R/∂p ṗ, (n,)."""
        return np.asarray(np.einsum("k,kij,j->i", p_dot, self.A_k, u) - self.B @ p_dot)


@dataclass(frozen=True, eq=False)
class Tracking:
    """J = cᵀu + ½ Σ w_i (u_i − d_i)² + ½ ‖p‖²."""

    c: Array
    w: Array
    d: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return self.c @ u + 0.5 * np.sum(self.w * (u - self.d) ** 2) + 0.5 * p @ p

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(∂J/∂u, ∂J/∂p)."""
        return self.c + self.w * (u - self.d), p.copy()


Solve = Callable[[Array, Trans], Array]

Solved = Callable[["Case"], tuple[Array, Inverse]]
"""A function that returns the inexact state of a case, and its solver."""


@dataclass(frozen=True, eq=False)
class Inexact:
    """An inverse by a given function (b, trans) ↦ u, (n,), which may be inaccurate."""

    function: Solve

    @property
    def evidence(self) -> Evidence:
        """Nothing is known."""
        nan = float("nan")
        return Evidence("inexact", 0, 0, nan, nan, nan, Counts(), {})

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve for each column of b, (n,) or (n, k)."""
        if b.ndim == 1:
            return self.function(b, trans)
        return np.column_stack([self.function(column, trans) for column in b.T])


@dataclass(frozen=True, eq=False)
class Case:
    """A problem with the state and the solver whose gradient is examined."""

    residual: Cubic
    objective: Tracking
    p: Array
    solve: Solved

    def point(self) -> adjoint.reduced.Point:
        """The point, with the inexact state."""
        return adjoint.Reduced(_Given(self), self.objective)(self.p)

    def reference(self) -> tuple[float, Array]:
        """J and its gradient, in extended precision."""
        u = np.zeros(UNKNOWNS, WIDE)
        for _ in range(60):
            r = self.residual.residual(u, self.p)
            step = scipy.linalg.solve(self.residual.slope(u.astype(float), self.p), r.astype(float))
            u = u - step
            if np.abs(step).max() <= 1e-18 * np.abs(u).max():
                break
        u_bar, p_bar = self.objective.gradients(u, self.p)
        J = self.residual.slope(u, self.p)
        lam = refined(J.T, u_bar)
        return self.objective.value(u, self.p), p_bar - self.residual.vjp(u, self.p, lam)


@dataclass(frozen=True, eq=False)
class _Given:
    """The problem whose solution is the inexact state of a case."""

    case: Case

    def solve(self, p: Array) -> SteadySolution:
        """The solution, as inaccurate as the case wants it."""
        u, inverse = self.case.solve(self.case)
        return SteadySolution(u, p, self.case.residual, inverse, Counts())


def refined(A: Array, b: Array) -> Array:
    """Solve A u = b in extended precision, by refinement with double-precision factors."""
    factors = scipy.linalg.lu_factor(A.astype(float))
    u = np.zeros(b.shape, WIDE)
    for _ in range(60):
        step = scipy.linalg.lu_solve(factors, (b - A @ u).astype(float))
        u = u + step
        if np.abs(step).max() <= 1e-18 * np.abs(u).max():
            break
    return u


# Matrices -----------------------------------------------------------------------------------------


def orthogonal(rng: np.random.Generator) -> Array:
    """A random orthogonal matrix, (n, n)."""
    return np.linalg.qr(rng.standard_normal((UNKNOWNS, UNKNOWNS)))[0]


def condition(rng: np.random.Generator) -> float:
    """A condition number between 1e2 and 1e10."""
    return float(10.0 ** rng.uniform(2.0, 10.0))


def tolerance(rng: np.random.Generator) -> float:
    """A tolerance between 1e-10 and 1e-2."""
    return float(10.0 ** rng.uniform(-10.0, -2.0))


def positive(rng: np.random.Generator) -> Array:
    """A symmetric positive definite matrix with uniformly distributed logarithms of eigenvalues."""
    Q = orthogonal(rng)
    values = condition(rng) ** -rng.uniform(0.0, 1.0, UNKNOWNS)
    A = Q @ (values[:, None] * Q.T)
    return np.asarray(0.5 * (A + A.T))


def general(rng: np.random.Generator) -> Array:
    """A nonsymmetric matrix with uniformly distributed logarithms of singular values."""
    values = condition(rng) ** -rng.uniform(0.0, 1.0, UNKNOWNS)
    return np.asarray(orthogonal(rng) @ (values[:, None] * orthogonal(rng)))


def clustered(rng: np.random.Generator) -> Array:
    """The identity plus a matrix of rank 5: a few singular values apart from one cluster."""
    values = np.ones(UNKNOWNS)
    values[:5] = condition(rng) ** -rng.uniform(0.0, 1.0, 5)
    Q = orthogonal(rng)
    skew = rng.standard_normal((UNKNOWNS, UNKNOWNS))
    near = np.eye(UNKNOWNS) + 0.003 * (skew - skew.T)
    return np.asarray(Q @ (values[:, None] * Q.T) @ near)


def contrast(rng: np.random.Generator) -> Array:
    """Conductances 1 and 1e-9 on a grid of 10 × 6 nodes, with weak links to the ground."""
    nodes = np.arange(UNKNOWNS).reshape(10, 6)
    edges = np.concatenate(
        [
            np.stack([nodes[1:].ravel(), nodes[:-1].ravel()], 1),
            np.stack([nodes[:, 1:].ravel(), nodes[:, :-1].ravel()], 1),
        ]
    )
    c = np.where(rng.random(len(edges)) < 0.5, 1.0, 1e-9) * rng.uniform(0.5, 2.0, len(edges))
    G = np.zeros((len(edges), UNKNOWNS))
    G[np.arange(len(edges)), edges[:, 0]], G[np.arange(len(edges)), edges[:, 1]] = 1.0, -1.0
    ground = np.zeros(UNKNOWNS)
    ground[nodes[0]] = 1.0
    A = G.T @ (c[:, None] * G) + np.diag(ground)
    return np.asarray(0.5 * (A + A.T))


def case(rng: np.random.Generator, A: Array, alpha: float, solve: Solved) -> Case:
    """A problem with the matrix A at its parameters."""
    n, m = UNKNOWNS, PARAMETERS
    p = rng.uniform(0.5, 1.5, m)
    symmetric = np.array_equal(A, A.T)
    A_k = rng.standard_normal((m, n, n)) * (rng.random((m, n, n)) < 0.1) / n
    if symmetric:
        A_k = 0.5 * (A_k + A_k.transpose(0, 2, 1))
    A_k = A_k * np.median(np.abs(A[A != 0.0]))
    A0 = A - np.einsum("k,kij->ij", p, A_k)
    b0, B = rng.standard_normal(n), rng.standard_normal((n, m))
    c, d = rng.standard_normal((2, n))
    w = rng.uniform(0.0, 1.0, n)
    return Case(Cubic(A0, A_k, b0, B, alpha), Tracking(c, w, d), p, solve)


# Solvers ------------------------------------------------------------------------------------------


def by_library(factorize: Factorizer) -> Solved:
    """The state and the inverse of a linear problem with a factorizer of the library."""

    def solve(case: Case) -> tuple[Array, Inverse]:
        A = case.residual.jacobian(np.zeros(UNKNOWNS), case.p)
        inverse = factorize(A)
        b = case.residual.b0 + case.residual.B @ case.p
        return inverse.solve(b), inverse

    return solve


def by_function(make: Callable[[Array], Solve]) -> Solved:
    """The state and the inverse of a linear problem by an inexact solver of its matrix."""

    def solve(case: Case) -> tuple[Array, Inverse]:
        inverse = Inexact(make(case.residual.slope(np.zeros(UNKNOWNS), case.p)))
        return inverse.solve(case.residual.b0 + case.residual.B @ case.p), inverse

    return solve


def factors(A: Array) -> Solve:
    """Solves with the factors of A."""
    made = scipy.linalg.lu_factor(A)
    return lambda b, trans: scipy.linalg.lu_solve(made, b, trans=0 if trans == "N" else 1)


def twice_refined(A: Array) -> Solve:
    """Solves with the factors of A, and two steps of refinement in double precision."""
    rough = factors(A)

    def solve(b: Array, trans: Trans) -> Array:
        M = A if trans == "N" else A.T
        u = rough(b, trans)
        for _ in range(2):
            u = u + rough(b - M @ u, trans)
        return u

    return solve


def stalled(restart: int, iterations: int) -> Callable[[Array], Solve]:
    """Solves by GMRES that stop after a number of iterations, converged or not."""

    def make(A: Array) -> Solve:
        D = np.diag(A)

        def solve(b: Array, trans: Trans) -> Array:
            M = LinearOperator(A.shape, matvec=lambda v: v / D)
            matrix = A if trans == "N" else A.T
            u, _ = scipy_gmres(
                matrix, b, M=M, rtol=1e-6, atol=0.0, restart=restart, maxiter=iterations
            )
            return np.asarray(u)

        return solve

    return make


def newton_early(rng: np.random.Generator, stale: bool) -> Solved:
    """A state by Newton's method that ends early; its inverse belongs to the state or before."""
    steps = int(rng.integers(1, 6))

    def solve(case: Case) -> tuple[Array, Inverse]:
        b = case.residual.b0 + case.residual.B @ case.p
        u = scipy.linalg.solve(case.residual.matrix(case.p), b)
        before = u
        for _ in range(steps):
            before = u
            r = case.residual.residual(u, case.p)
            u = u - scipy.linalg.solve(case.residual.slope(u, case.p), r)
        at = before if stale else u
        return u, Inexact(factors(case.residual.slope(at, case.p)))

    return solve


def nonlinear(rng: np.random.Generator, stale: bool) -> Case:
    """A cubic problem; its cubic term at the solution without this term is 0.01 to 1 of b."""
    linear = case(rng, positive(rng), 0.0, newton_early(rng, stale))
    R = linear.residual
    u = scipy.linalg.solve(R.matrix(linear.p), R.b0 + R.B @ linear.p)
    alpha = 10.0 ** rng.uniform(-2.0, 0.0) / np.abs(u).max() ** 3
    return replace(linear, residual=replace(R, alpha=float(alpha)))


def direct(rng: np.random.Generator) -> Case:
    """A direct solve."""
    return case(rng, general(rng), 0.0, by_library(adjoint.lu))


def refined_direct(rng: np.random.Generator) -> Case:
    """A direct solve with two steps of refinement."""
    return case(rng, general(rng), 0.0, by_function(twice_refined))


def conjugate_gradients(rng: np.random.Generator) -> Case:
    """CG with the diagonal as preconditioner."""
    tol = tolerance(rng)
    factorize = adjoint.cg(adjoint.factor.jacobi(), rtol=tol, adjoint_rtol=tol)
    return case(rng, positive(rng), 0.0, by_library(factorize))


def uniform_spectrum(rng: np.random.Generator) -> Case:
    """GMRES for a matrix whose singular values spread over all decades."""
    tol = tolerance(rng)
    factorize = adjoint.gmres(adjoint.factor.jacobi(), rtol=tol, adjoint_rtol=tol, restart=UNKNOWNS)
    return case(rng, general(rng), 0.0, by_library(factorize))


def clustered_spectrum(rng: np.random.Generator) -> Case:
    """GMRES for a matrix with a few small singular values."""
    tol = tolerance(rng)
    factorize = adjoint.gmres(adjoint.factor.jacobi(), rtol=tol, adjoint_rtol=tol)
    return case(rng, clustered(rng), 0.0, by_library(factorize))


def stale_factors(rng: np.random.Generator) -> Case:
    """The factors of a matrix nearby."""
    tol = tolerance(rng)
    E = rng.standard_normal((UNKNOWNS, UNKNOWNS)) / np.sqrt(UNKNOWNS)
    return case(rng, general(rng), 0.0, by_function(lambda A: factors(A + tol * E)))


def early(rng: np.random.Generator) -> Case:
    """Newton's method that ends early."""
    return nonlinear(rng, False)


def stale_adjoint(rng: np.random.Generator) -> Case:
    """Newton's method that ends early, with the factors of the iterate before."""
    return nonlinear(rng, True)


def high_contrast(rng: np.random.Generator) -> Case:
    """CG with the diagonal as preconditioner, for conductances of contrast 1e-9."""
    tol = float(10.0 ** rng.uniform(-8.0, -1.0))
    factorize = adjoint.cg(adjoint.factor.jacobi(), rtol=tol, adjoint_rtol=tol)
    return case(rng, contrast(rng), 0.0, by_library(factorize))


def stalled_gmres(rng: np.random.Generator) -> Case:
    """GMRES with short cycles of the library, which raises an error where it stalls."""
    tol = float(10.0 ** rng.uniform(-8.0, -1.0))
    factorize = adjoint.gmres(
        adjoint.factor.jacobi(), rtol=tol, adjoint_rtol=tol, restart=8, max_iterations=200
    )
    return case(rng, contrast(rng), 0.0, by_library(factorize))


def silent_gmres(rng: np.random.Generator) -> Case:
    """GMRES with short cycles that stops without a word, converged or not."""
    return case(rng, contrast(rng), 0.0, by_function(stalled(8, int(rng.integers(1, 40)))))


# Eigenpairs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Modes:
    """J = μ_0 + w μ_2² + (cᵀφ_1)², a function of three eigenpairs."""

    c: Array
    w: float

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        return u[0, 0] + self.w * u[0, 2] ** 2 + (self.c @ u[1:, 1]) ** 2

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(∂J/∂u, ∂J/∂p)."""
        u_bar = np.zeros_like(u)
        u_bar[0, 0], u_bar[0, 2] = 1.0, 2.0 * self.w * u[0, 2]
        u_bar[1:, 1] = 2.0 * (self.c @ u[1:, 1]) * self.c
        return u_bar, np.zeros(p.shape, u.dtype)


@dataclass(frozen=True, eq=False)
class EigenCase:
    """A real symmetric pencil whose three lowest eigenpairs have errors of a given size."""

    K: Array
    M: Array
    K_k: Array
    M_k: Array
    objective: Modes
    noise: Array

    @property
    def p(self) -> Array:
        """The parameters: zeros, so that K and M are the matrices at p."""
        return np.zeros(PARAMETERS)

    def point(self) -> adjoint.reduced.Point:
        """The point, with the inexact eigenpairs."""
        K, M = (
            adjoint.Affine(sparse.csc_array(A), [sparse.csc_array(part) for part in parts])
            for A, parts in ((self.K, self.K_k), (self.M, self.M_k))
        )
        found = adjoint.eigen.EigenProblem(K, M, count=3).solve(self.p)
        assert isinstance(found, adjoint.eigen.HermitianEigenSolution)
        phi = found.vectors + self.noise * np.abs(found.vectors).max()
        phi = phi / np.sqrt(np.sum(phi * (self.M @ phi), axis=0))
        u = np.vstack([np.sum(phi * (self.K @ phi), axis=0), phi])
        modes = found._known.modes
        values, vectors = modes.values.copy(), modes.vectors.copy()
        values[:3], vectors[:, :3] = u[0], phi
        known = replace(found._known, modes=replace(modes, values=values, vectors=vectors))
        inexact = replace(found, u=u, _known=known)
        return adjoint.Reduced(_Fixed(inexact), self.objective)(self.p)

    def reference(self) -> tuple[float, Array]:
        """J and its gradient, in extended precision."""
        K, M = self.K.astype(WIDE), self.M.astype(WIDE)
        values, vectors = scipy.linalg.eigh(self.K, self.M, subset_by_index=[0, 2])
        pairs = [self.refined_pair(K, M, v, phi) for v, phi in zip(values, vectors.T, strict=True)]
        u = np.array(pairs).T
        u_bar, _ = self.objective.gradients(u, self.p)
        g = np.zeros(PARAMETERS, WIDE)
        for column, bar in zip(u.T, u_bar.T, strict=True):
            lam = refined(self.bordered(K, M, column).T, bar)
            phi, mass = column[1:], 0.5 * lam[0] * column[1:] - column[0] * lam[1:]
            g -= np.einsum("i,kij,j->k", lam[1:], self.K_k.astype(WIDE), phi)
            g -= np.einsum("i,kij,j->k", mass, self.M_k.astype(WIDE), phi)
        return self.objective.value(u, self.p), g

    @staticmethod
    def bordered(K: Array, M: Array, u: Array) -> Array:
        """The derivative of (½(φᵀMφ − 1), Kφ − μMφ), (n + 1, n + 1)."""
        M_phi = (M @ u[1:])[:, None]
        corner = np.zeros((1, 1), K.dtype)
        return np.asarray(np.block([[corner, M_phi.T], [-M_phi, K - u[0] * M]]))

    def refined_pair(self, K: Array, M: Array, value: float, vector: Array) -> Array:
        """The eigenpair (n + 1,) in extended precision, by Newton's method."""
        u = np.concatenate([[value], vector]).astype(WIDE)
        for _ in range(20):
            M_phi = M @ u[1:]
            r = np.concatenate([[0.5 * (u[1:] @ M_phi - 1.0)], K @ u[1:] - u[0] * M_phi])
            u = u - scipy.linalg.solve(self.bordered(K, M, u).astype(float), r.astype(float))
        return u


@dataclass(frozen=True, eq=False)
class _Fixed:
    """The problem with one given solution."""

    solution: Solution

    def solve(self, p: Array) -> Solution:
        """The solution."""
        return self.solution


def eigenpairs(rng: np.random.Generator) -> EigenCase:
    """Eigenpairs with errors, as a search that ends early leaves them."""
    n, m = UNKNOWNS, PARAMETERS
    Q = orthogonal(rng)
    values = np.sort(10.0 ** rng.uniform(0.0, rng.uniform(1.0, 6.0), n))

    def symmetric(size: float) -> Array:
        parts = size * rng.standard_normal((m, n, n))
        return np.asarray(0.5 * (parts + parts.transpose(0, 2, 1)))

    K, E = Q @ (values[:, None] * Q.T), symmetric(0.1)[0] / n
    objective = Modes(rng.standard_normal(n), 0.1 / values[2])
    error = 10.0 ** rng.uniform(-14.0, -3.0)
    return EigenCase(
        0.5 * (K + K.T),
        np.eye(n) + E,
        symmetric(float(values[0])),
        symmetric(0.1),
        objective,
        error * rng.standard_normal((n, 3)),
    )


class Problem(Protocol):
    """A random problem with a reference."""

    def point(self) -> adjoint.reduced.Point:
        """The point with inexact solves."""

    def reference(self) -> tuple[float, Array]:
        """J and its gradient."""


FAMILIES: dict[str, Callable[[np.random.Generator], Problem]] = {
    "direct": direct,
    "direct, refined": refined_direct,
    "CG": conjugate_gradients,
    "GMRES, uniform spectrum": uniform_spectrum,
    "GMRES, clustered": clustered_spectrum,
    "stale factors": stale_factors,
    "Newton, early": early,
    "Newton, stale adjoint": stale_adjoint,
    "eigenpairs": eigenpairs,
    "contrast 1e-9, CG": high_contrast,
    "contrast 1e-9, GMRES(8)": stalled_gmres,
    "contrast 1e-9, GMRES(8), silent": silent_gmres,
    **COMPLEX_FAMILIES,
}


# The comparison -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """Ratios true error / estimate of one family.

    accepted, rounding: the ratios of gradients of each status. value_accepted,
    value_rounding: the same for values. refused: number of refused estimates. unsolved:
    number of problems whose solver raised an error, so that there is no gradient.
    """

    name: str
    problems: int
    accepted: list[float]
    rounding: list[float]
    value_accepted: list[float]
    value_rounding: list[float]
    refused: int
    unsolved: int
    seconds: float

    def summary(self) -> dict[str, object]:
        """The counts, and the quantiles of each list of ratios."""
        held = {"name": self.name, "problems": self.problems, "refused": self.refused}
        lists = {name: ratios for name, ratios in vars(self).items() if isinstance(ratios, list)}
        return {
            **held,
            "unsolved": self.unsolved,
            "seconds": self.seconds,
            **{name: len(ratios) for name, ratios in lists.items()},
            **{f"{name}, quantiles": quantiles(ratios) for name, ratios in lists.items()},
        }

    def row(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:32s} accepted {len(self.accepted):4d} {quantiles(self.accepted):28s} "
            f"rounding {len(self.rounding):4d} {quantiles(self.rounding):28s} "
            f"refused {self.refused:4d} unsolved {self.unsolved:4d}"
        )


def quantiles(ratios: list[float]) -> str:
    """Least ratio, 1 %, 50 %, 99 %, and the largest ratio."""
    if not ratios:
        return ""
    return " ".join(f"{q:.2g}" for q in np.quantile(ratios, [0.0, 0.01, 0.5, 0.99, 1.0]))


def family(name: str, number: int) -> Family:
    """Compare estimates and true errors of one family."""
    seed, started = list(FAMILIES).index(name), time.process_time()
    gradients: dict[AccuracyStatus, list[float]] = {status: [] for status in AccuracyStatus}
    values: dict[AccuracyStatus, list[float]] = {status: [] for status in AccuracyStatus}
    unsolved = 0
    for i in range(number):
        problem = FAMILIES[name](np.random.default_rng([seed, i]))
        try:
            point = problem.point()
            gradient = point.gradient
        except SolveError:
            unsolved += 1
            continue
        found = point.accuracy()
        value, reference = problem.reference()
        error = float(np.sqrt(np.sum((gradient - reference) ** 2)))
        gradients[found.status].append(error / found.gradient_error)
        values[found.value_status].append(float(abs(point.value - value)) / found.value_error)
    accepted, rounding, refused = AccuracyStatus
    return Family(
        name,
        number,
        gradients[accepted],
        gradients[rounding],
        values[accepted],
        values[rounding],
        len(gradients[refused]),
        unsolved,
        time.process_time() - started,
    )


def share(ratios: list[float], low: float, high: float) -> float:
    """The share of ratios between low and high; 1 if there are none."""
    return float(np.mean([low <= r <= high for r in ratios])) if ratios else 1.0


def main(out: Path, small: bool) -> dict[str, object]:
    """Print the table, write accuracy.json, and return its content."""
    families = []
    for name in FAMILIES:
        families.append(family(name, 6 if small else NUMBER))
        print(families[-1].row(), flush=True)
    accepted = [r for f in families for r in f.accepted]
    rounding = [r for f in families for r in f.rounding]
    values = [r for f in families for r in f.value_accepted]
    results: dict[str, object] = {
        "problems": sum(f.problems for f in families),
        "accepted": len(accepted),
        "accepted within [0.5, 2]": share(accepted, 0.5, 2.0),
        "largest ratio accepted": max(accepted, default=0.0),
        "values accepted": len(values),
        "values accepted within [0.5, 2]": share(values, 0.5, 2.0),
        "rounding": len(rounding),
        "rounding within [0.1, 10]": share(rounding, 0.1, 10.0),
        "largest ratio at rounding": max(rounding, default=0.0),
        "families": [f.summary() for f in families],
    }
    print("\n".join(f"{k}: {v}" for k, v in results.items() if k != "families"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "accuracy.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    main(arguments.out, arguments.small)
