"""Hermitian pencils K(p) φ = μ M(p) φ of spring networks, for the tests."""

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import EigenProblem


def network(rows, columns):
    """The springs between neighbours of a grid: pairs of nodes, (m, 2)."""
    node = np.arange(rows * columns).reshape(rows, columns)
    across = np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1)
    down = np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1)
    return np.concatenate([across, down])


def pencil(rows, columns, kind="real", unit=1.0):
    """K(p), M(p) and p: spring constants and masses of a grid on a soft foundation.

    kind: "real", "complex" (Hermitian, phases on the springs), "singular" (every second node
    has no mass), "identity" (M is not given).
    """
    springs, n = network(rows, columns), rows * columns
    m = len(springs)
    turn = np.exp(0.3j) if kind == "complex" else 1.0
    Ke = np.array([[1.0, -turn], [-np.conj(turn), 1.0]])
    of_springs = adjoint.Part(adjoint.Elements(springs, Ke), slice(0, m))
    soft = sparse.diags_array(0.05 + 0.01 * np.arange(n) / n)
    foundation = adjoint.Constant(sparse.csc_array(soft))
    K = adjoint.Combination([(unit, foundation), (unit, of_springs)])
    rng = np.random.default_rng(n)
    p = rng.uniform(0.5, 1.5, m)
    if kind == "identity":
        return K, None, p
    carriers = np.arange(1, n, 2) if kind == "singular" else np.arange(n)
    single = [sparse.csc_array((np.ones(1), ([i], [i])), shape=(n, n)) for i in carriers]
    M = adjoint.Part(adjoint.Affine(sparse.csc_array((n, n)), single), slice(m, m + len(single)))
    return K, M, np.concatenate([p, rng.uniform(0.5, 1.5, len(single))])


def square(size, count, **settings):
    """The problem of a membrane of size × size masses: each second eigenvalue is double."""
    edge = np.arange(-1, size + 1)
    inside = (edge >= 0) & (edge < size)
    number = np.where(inside[:, None] & inside, edge[:, None] * size + edge, -1)
    across = np.stack([number[:-1, 1:-1].ravel(), number[1:, 1:-1].ravel()], axis=1)
    down = np.stack([number[1:-1, :-1].ravel(), number[1:-1, 1:].ravel()], axis=1)
    springs = np.concatenate([across, down])
    m, n = len(springs), size * size
    K = adjoint.Part(adjoint.Elements(springs, np.array([[1.0, -1.0], [-1.0, 1.0]])), slice(0, m))
    masses = adjoint.Elements(np.arange(n)[:, None], np.array([[1.0]]))
    M = adjoint.Part(masses, slice(m, m + n))
    return EigenProblem(K, M, count=count, **settings), np.ones(m + n)


def laplacian(n, dimensions):
    """The five- or seven-point Laplacian on n interior points per direction, h = 1/(n + 1)."""
    ones = np.ones(n)
    T = sparse.diags_array([-ones[1:], 2.0 * ones, -ones[1:]], offsets=[-1, 0, 1]) * (n + 1.0) ** 2
    A = T
    for d in range(1, dimensions):
        A = sparse.kron(A, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n**d), T)
    return sparse.csc_array(A)
