"""Families of complex eigenpairs for `scripts.benchmarks.accuracy`.

Eigenpairs of Hermitian pencils, of nonsymmetric pencils and of quadratic eigenproblems, with
errors of a given size, as a search that ends early leaves them. References: Newton's method
and tangents on dense bordered matrices, in extended precision.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import (
    AnalyticSum,
    EigenProblem,
    GeneralEigenSolution,
    HermitianEigenSolution,
    NonlinearEigenProblem,
    power,
)
from adjoint.protocols import Solution
from adjoint.typing import Array

N, PARAMETERS = 40, 6

WIDE = np.clongdouble
"""The type of the references: 64 bits of mantissa on x86."""


@dataclass(frozen=True, eq=False)
class OfPairs:
    """J = Re(a μ_0) + w |μ_2|² + |cᵀφ_1|² / (φ_1ᴴφ_1); fewer terms for one pair."""

    a: complex
    w: float
    c: Array

    def value(self, u: Array, p: Array) -> float:
        """J(u, p)."""
        mu, phi = u[0, u.shape[1] // 3 * 2], u[1:, u.shape[1] // 3]
        share = np.abs(self.c @ phi) ** 2 / np.sum(np.abs(phi) ** 2)
        return (self.a * u[0, 0]).real + self.w * np.abs(mu) ** 2 + share

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """(∂J/∂u, ∂J/∂p)."""
        last, middle = u.shape[1] // 3 * 2, u.shape[1] // 3
        u_bar, phi = np.zeros_like(u), u[1:, middle]
        u_bar[0, 0] = np.conj(self.a)
        u_bar[0, last] += 2.0 * self.w * u[0, last]
        size, along = np.sum(np.abs(phi) ** 2), self.c @ phi
        u_bar[1:, middle] += 2.0 * along * self.c.conj() / size
        u_bar[1:, middle] -= 2.0 * np.abs(along) ** 2 / size**2 * phi
        return u_bar, np.zeros(p.shape)


@dataclass(frozen=True, eq=False)
class ComplexCase:
    """T(μ, p) = Σ_j μʲ (A_j + Σ_k p_k A_jk) with eigenpairs that have errors.

    matrices: (A_j, (A_jk)) for j = 0, 1, …. inexact: the function that makes the solution.
    pairs: exact eigenpairs (n + 1,) in double precision.
    """

    matrices: list[tuple[Array, Array]]
    objective: OfPairs
    inexact: Callable[[], Solution]
    pairs: list[Array]

    def point(self) -> adjoint.reduced.Point:
        """The point, with the inexact eigenpairs."""
        return adjoint.Reduced(_Fixed(self.inexact()), self.objective)(np.zeros(PARAMETERS))

    def reference(self) -> tuple[float, Array]:
        """J and its gradient, in extended precision."""
        pairs = [self._refined(pair) for pair in self.pairs]
        u = np.array(pairs).T
        rates = np.array([self._rates(pair) for pair in pairs]).transpose(1, 0, 2)
        u_bar, _ = self.objective.gradients(u, np.zeros(PARAMETERS))
        g = np.einsum("nk,nkj->j", u_bar.conj(), rates).real
        return self.objective.value(u, np.zeros(PARAMETERS)), g

    def _T(self, mu: complex, derivative: int = 0) -> Array:
        powers = range(len(self.matrices))
        factors = [mu**j if not derivative else j * mu ** max(j - 1, 0) for j in powers]
        return np.asarray(
            sum(f * A.astype(WIDE) for f, (A, _) in zip(factors, self.matrices, strict=True))
        )

    def _bordered(self, pair: Array, w: Array) -> Array:
        slope = self._T(pair[0], 1) @ pair[1:]
        top = np.concatenate([[0.0], w.conj()])[None, :]
        return np.vstack([top, np.hstack([slope[:, None], self._T(pair[0])])])

    def _refined(self, pair: Array) -> Array:
        """The eigenpair in extended precision, by Newton's method with wᴴφ = 1."""
        u, w = pair.astype(WIDE), pair[1:] / np.vdot(pair[1:], pair[1:])
        for _ in range(20):
            r = np.concatenate([[w.conj() @ u[1:] - 1.0], self._T(u[0]) @ u[1:]])
            u = u - scipy.linalg.solve(self._bordered(u, w).astype(complex), r.astype(complex))
        return u

    def _rates(self, pair: Array) -> Array:
        """∂(μ, φ)/∂p_k, (n + 1, PARAMETERS), in extended precision."""
        w = pair[1:] / np.vdot(pair[1:], pair[1:])
        b = np.zeros((N + 1, PARAMETERS), WIDE)
        for j, (_, parts) in enumerate(self.matrices):
            b[1:] -= pair[0] ** j * np.einsum("kab,b->ak", parts.astype(WIDE), pair[1:])
        B = self._bordered(pair, w)
        factors, x = scipy.linalg.lu_factor(B.astype(complex)), np.zeros(b.shape, WIDE)
        for _ in range(20):
            x = x + scipy.linalg.lu_solve(factors, (b - B @ x).astype(complex))
        return x


@dataclass(frozen=True, eq=False)
class _Fixed:
    """The problem with one given solution."""

    solution: Solution

    def solve(self, p: Array) -> Solution:
        """The solution."""
        return self.solution


def _complex(rng: np.random.Generator, *shape: int) -> Array:
    return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


def _affine(A: Array, parts: Array) -> adjoint.Affine:
    return adjoint.Affine(sparse.csc_array(A), [sparse.csc_array(part) for part in parts])


def _noise(rng: np.random.Generator, *shape: int) -> Array:
    return 10.0 ** rng.uniform(-14.0, -3.0) * _complex(rng, *shape) / np.sqrt(N)


def hermitian_pairs(rng: np.random.Generator) -> ComplexCase:
    """Three lowest eigenpairs of a complex Hermitian pencil."""
    values = np.sort(10.0 ** rng.uniform(0.0, rng.uniform(1.0, 5.0), N))
    Q = np.linalg.qr(_complex(rng, N, N))[0]

    def hermitian(size: float, count: int) -> Array:
        parts = size * _complex(rng, count, N, N)
        return np.asarray(0.5 * (parts + parts.conj().transpose(0, 2, 1)))

    K = Q @ (values[:, None] * Q.conj().T)
    K, M = 0.5 * (K + K.conj().T), np.eye(N) + hermitian(0.1, 1)[0] / N
    K_k, M_k = hermitian(float(values[0]), PARAMETERS), hermitian(0.1, PARAMETERS)
    problem = EigenProblem(_affine(K, K_k), _affine(M, M_k), count=3)
    found = problem.solve(np.zeros(PARAMETERS))
    assert isinstance(found, HermitianEigenSolution)
    noise = _noise(rng, N, 3)

    def inexact() -> Solution:
        phi = found.vectors + noise * np.linalg.norm(found.vectors, axis=0)
        lengths = np.sqrt(np.sum(phi.conj() * (M @ phi), axis=0).real)
        anchors = found._known.modes.anchors[:3]
        turns = phi[anchors, np.arange(3)]
        phi = phi / lengths * (np.abs(turns) / turns)
        u = np.vstack([np.sum(phi.conj() * (K @ phi), axis=0).real, phi])
        modes = found._known.modes
        known_values, vectors = modes.values.copy(), modes.vectors.copy()
        known_values[:3], vectors[:, :3] = u[0].real, phi
        known = replace(found._known, modes=replace(modes, values=known_values, vectors=vectors))
        return replace(found, u=u, _known=known)

    objective = OfPairs(1.0, 0.1 / values[2], _complex(rng, N))
    pairs = list(np.vstack([found.values, found.vectors]).T)
    return ComplexCase([(K, K_k), (-M, -M_k)], objective, inexact, pairs)


def general_pairs(rng: np.random.Generator) -> ComplexCase:
    """Three eigenpairs of a nonsymmetric pencil, of conditions up to about 1e4."""
    while True:
        values = np.sort(10.0 ** rng.uniform(0.0, rng.uniform(0.7, 4.0), N))
        X = np.eye(N) + 10.0 ** rng.uniform(-2.0, 0.5) * np.triu(_complex(rng, N, N), 1)
        X = X @ np.linalg.qr(_complex(rng, N, N))[0]
        A = np.linalg.solve(X, values[:, None] * np.exp(0.3j * rng.standard_normal(N))[:, None] * X)
        M = np.eye(N) + 0.1 * _complex(rng, N, N) / N
        K, parts = M @ A, [_complex(rng, PARAMETERS, N, N) for _ in range(2)]
        K_k, M_k = float(values[0]) * parts[0], 0.1 * parts[1]
        problem = EigenProblem(_affine(K, K_k), _affine(M, M_k), count=3, factorize=adjoint.lu)
        try:
            found = problem.solve(np.zeros(PARAMETERS))
        except adjoint.errors.SolveError:
            continue
        break
    assert isinstance(found, GeneralEigenSolution)
    right_noise, left_noise = _noise(rng, N, 3), _noise(rng, N, 3)

    def inexact() -> Solution:
        modes = found.modes
        right, left = modes.right.astype(complex), modes.left.astype(complex)
        phi = right[:, :3] + right_noise
        turns = phi[modes.anchors[:3], np.arange(3)]
        phi = phi / np.linalg.norm(phi, axis=0) * (np.abs(turns) / turns)
        psi = left[:, :3] + left_noise * np.linalg.norm(left[:, :3], axis=0)
        psi = psi / np.sum(psi.conj() * (M @ phi), axis=0).conj()
        mu = np.sum(psi.conj() * (K @ phi), axis=0)
        right[:, :3], left[:, :3] = phi, psi
        known = modes.values.astype(complex)
        known[:3] = mu
        moved = replace(modes, values=known, right=right, left=left)
        return replace(found, u=np.vstack([mu, phi]), modes=moved)

    objective = OfPairs(1.0 + 0.5j, 0.1 / np.abs(found.values[2]), _complex(rng, N))
    pairs = list(found.u.T)
    return ComplexCase([(K, K_k), (-M, -M_k)], objective, inexact, pairs)


def nonlinear_pairs(rng: np.random.Generator) -> ComplexCase:
    """One eigenpair of a quadratic eigenproblem μ² M + μ C + K."""
    K = np.diag(10.0 ** np.sort(rng.uniform(0.0, rng.uniform(1.0, 4.0), N))) + 0.1 * _complex(
        rng, N, N
    )
    C, M = 0.1 * _complex(rng, N, N), np.eye(N) + 0.1 * _complex(rng, N, N) / N
    parts = [size * _complex(rng, PARAMETERS, N, N) for size in (1.0, 0.1, 0.1)]
    matrices = list(zip((K, C, M), parts, strict=True))
    T = AnalyticSum([(power(j), _affine(A, A_k)) for j, (A, A_k) in enumerate(matrices)])
    found = NonlinearEigenProblem(T, start=1j * np.sqrt(K[0, 0])).solve(np.zeros(PARAMETERS))
    noise = _noise(rng, N + 1)

    def inexact() -> Solution:
        mu = found.u[0, 0] * (1.0 + noise[0])
        phi = found.u[1:, 0] + noise[1:]
        turn = phi[found._anchor]
        phi = phi / np.linalg.norm(phi) * (np.abs(turn) / turn)
        return replace(found, u=np.concatenate([[mu], phi])[:, None])

    objective = OfPairs(1.0 + 0.5j, 0.1 / np.abs(found.values[0]), _complex(rng, N))
    return ComplexCase(matrices, objective, inexact, [found.u[:, 0]])


FAMILIES: dict[str, Callable[[np.random.Generator], ComplexCase]] = {
    "eigenpairs, complex Hermitian": hermitian_pairs,
    "eigenpairs, nonsymmetric": general_pairs,
    "eigenpairs, quadratic": nonlinear_pairs,
}
