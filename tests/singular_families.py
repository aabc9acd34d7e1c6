"""Exactly singular matrices of the usual kinds, with random coefficients, and regular ones of the same families."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

CONTRASTS = (0.0, 1.0, 3.0, 6.0)
"""Coefficients are 10^±c for a c of these."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A singular matrix, and a regular one of its family; symmetry: "definite", "symmetric" or "none"."""

    singular: sparse.csc_array
    regular: sparse.csc_array
    symmetry: str


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    A.sort_indices()
    return A


def without(A, unknowns):
    """A without the rows and columns of fixed unknowns."""
    kept = np.setdiff1d(np.arange(A.shape[0]), unknowns)
    return canonical(A[kept][:, kept])


def coefficients(rng, m):
    c = rng.choice(CONTRASTS)
    return 10.0 ** rng.uniform(-c, c, m)


def network(edges, n, conductances):
    i, j = edges.T
    entries = np.concatenate([conductances, conductances, -conductances, -conductances])
    rows, columns = np.concatenate([i, j, i, j]), np.concatenate([i, j, j, i])
    return canonical(sparse.coo_array((entries, (rows, columns)), shape=(n, n)))


def chain(n):
    return np.column_stack([np.arange(n - 1), np.arange(1, n)])


def grid(nx, ny, periodic):
    index = np.arange(nx * ny).reshape(nx, ny)
    edges = [(index[:-1], index[1:]), (index[:, :-1], index[:, 1:])]
    if periodic:
        edges += [(index[-1], index[0]), (index[:, -1], index[:, 0])]
    return np.vstack([np.column_stack([a.ravel(), b.ravel()]) for a, b in edges])


def rod(rng):
    """A rod, insulated at both ends; or held at one node."""
    n = int(rng.integers(3, 200))
    A = network(chain(n), n, coefficients(rng, n - 1))
    return Pair(A, without(A, [int(rng.integers(n))]), "definite")


def plate(rng, periodic=False):
    nx, ny = (int(v) for v in rng.integers(3, 12, 2))
    edges = grid(nx, ny, periodic)
    A = network(edges, nx * ny, coefficients(rng, len(edges)))
    return Pair(A, without(A, [int(rng.integers(nx * ny))]), "definite")


def periodic_plate(rng):
    return plate(rng, periodic=True)


def parts(rng):
    """Two or three bodies that do not touch, one at least without a support, numbered at random."""
    pairs = [plate(rng) for _ in range(int(rng.integers(2, 4)))]
    singular = sparse.block_diag([pairs[0].singular, *(pair.regular for pair in pairs[1:])])
    regular = sparse.block_diag([pair.regular for pair in pairs])
    shuffled = []
    for A in (canonical(singular), canonical(regular)):
        q = rng.permutation(A.shape[0])
        shuffled.append(canonical(A[q][:, q]))
    return Pair(*shuffled, "definite")


def island(rng):
    """A rod held at both ends whose middle part is cut off; or hangs on weak links."""
    n = int(rng.integers(8, 100))
    a, b = np.sort(rng.choice(np.arange(2, n - 2), 2, replace=False))
    cut, weak = coefficients(rng, n - 1), 10.0 ** rng.uniform(-1, 1, n - 1)
    cut[[a - 1, b]] = 0.0
    weak[[a - 1, b]] = 10.0 ** rng.uniform(-8, 0)
    singular, regular = (without(network(chain(n), n, k), [0, n - 1]) for k in (cut, weak))
    return Pair(singular, regular, "definite")


def square_element(nu, modulus):
    """The stiffness of a bilinear square in plane stress, (8, 8)."""
    D = modulus / (1 - nu**2) * np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]])
    K, g = np.zeros((8, 8)), 1 / np.sqrt(3)
    for x in (-g, g):
        for y in (-g, g):
            slopes = 0.5 * np.array([[y - 1, 1 - y, 1 + y, -1 - y], [x - 1, -1 - x, 1 + x, 1 - x]])
            B = np.zeros((3, 8))
            B[0, ::2], B[1, 1::2], B[2, ::2], B[2, 1::2] = slopes[0], slopes[1], slopes[1], slopes[0]
            K += B.T @ D @ B / 4
    return K


def elastic_plate(rng, support=None):
    """An elastic plate that is free (0), held in x only (1) or at one point (2); or held at an edge."""
    nx, ny = (int(v) for v in rng.integers(1, 7, 2))
    nodes = np.arange((nx + 1) * (ny + 1)).reshape(nx + 1, ny + 1)
    corners = np.stack([nodes[:-1, :-1], nodes[1:, :-1], nodes[1:, 1:], nodes[:-1, 1:]], -1).reshape(-1, 4)
    dofs = np.stack([2 * corners, 2 * corners + 1], -1).reshape(-1, 8)
    Ke = square_element(rng.uniform(0, 0.45), 10.0 ** rng.uniform(-3, 11))
    entries = coefficients(rng, len(dofs))[:, None, None] * Ke
    rows, columns = np.repeat(dofs, 8, axis=1), np.tile(dofs, (1, 8))
    A = canonical(sparse.coo_array((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(2 * nodes.size,) * 2))
    support = int(rng.integers(3)) if support is None else support
    held = [[], 2 * nodes[0], [2 * nodes[0, 0], 2 * nodes[0, 0] + 1]][support]
    return Pair(without(A, held), without(A, np.concatenate([2 * nodes[0], 2 * nodes[0] + 1])), "definite")


def cavity(rng):
    """Stokes flow in a closed box, on a staggered grid: pressure known up to a constant; or given in one cell."""
    nx, ny = (int(v) for v in rng.integers(2, 8, 2))
    viscosity = 10.0 ** rng.uniform(-3, 3)

    def second(m, wall):
        ends = np.zeros(m)
        ends[[0, -1]] += wall
        return sparse.diags_array([-np.ones(m - 1), 2.0 + ends, -np.ones(m - 1)], offsets=[-1, 0, 1])

    def first(m):
        return sparse.diags_array([-np.ones(m), np.ones(m)], offsets=[0, 1], shape=(m - 1, m))

    def laplacian(a, b, walls):
        return sparse.kron(second(a, walls[0]), sparse.eye_array(b)) + sparse.kron(
            sparse.eye_array(a), second(b, walls[1])
        )

    K = viscosity * nx**2 * sparse.block_diag([laplacian(nx - 1, ny, (0, 1)), laplacian(nx, ny - 1, (1, 0))])
    G = nx * sparse.vstack([sparse.kron(first(nx), sparse.eye_array(ny)), sparse.kron(sparse.eye_array(nx), first(ny))])
    A = canonical(sparse.block_array([[K, G], [G.T, None]]))
    return Pair(A, without(A, [K.shape[0] + int(rng.integers(nx * ny))]), "symmetric")


def dependent_constraints(rng):
    """A KKT matrix with a constraint that follows from others, beside stiffnesses of up to 10¹¹; or without."""
    n, stiffness = int(rng.integers(4, 60)), 10.0 ** rng.choice([0, 4, 8, 11])
    K = network(chain(n), n, stiffness * np.sqrt(coefficients(rng, n - 1)))
    K[0, 0] += stiffness
    m = int(rng.integers(2, max(3, n // 3)))
    B = rng.standard_normal((m, n)) * (rng.random((m, n)) < 3.0 / n)
    B[np.arange(m), rng.choice(n, m, replace=False)] += 1.0
    dependent = B.copy()
    dependent[-1] = (
        rng.choice([1.0, rng.uniform(0.5, 2.0)]) * B[0] if rng.random() < 0.6 else rng.random(m - 1) @ B[:-1]
    )

    def bordered(B):
        return canonical(sparse.block_array([[K, sparse.csc_array(B.T)], [sparse.csc_array(B), None]]))

    return Pair(bordered(dependent), bordered(B), "symmetric")


def advection(rng):
    """Upwind finite volumes in a box without flux through its walls, A or Aᵀ; or with an outlet."""
    nx, ny = (int(v) for v in rng.integers(2, 12, 2))
    edges, n = grid(nx, ny, False), nx * ny
    wind, spread = rng.standard_normal(len(edges)) * 10.0 ** rng.uniform(-2, 3), coefficients(rng, len(edges))
    i, j = edges.T
    forth, back = spread + np.maximum(wind, 0), spread + np.maximum(-wind, 0)
    entries = np.concatenate([forth, -forth, -back, back])
    A = canonical(
        sparse.coo_array((entries, (np.concatenate([i, j, i, j]), np.concatenate([i, i, j, j]))), shape=(n, n))
    )
    outlet = np.zeros(n)
    outlet[int(rng.integers(n))] = spread.max()
    R = canonical(A + sparse.diags_array(outlet))
    return Pair(canonical(A.T), canonical(R.T), "none") if rng.random() < 0.5 else Pair(A, R, "none")


FAMILIES = {
    family.__name__: family
    for family in (
        rod,
        plate,
        periodic_plate,
        parts,
        island,
        elastic_plate,
        cavity,
        dependent_constraints,
        advection,
    )
}


def dressed(A, symmetry, rng):
    """A in other units, 10^±12, row by row and column by column; and complex in one case of four."""
    n, kind = A.shape[0], rng.integers(3)
    rows = columns = np.ones(n)
    if kind == 1:
        rows = rows * 10.0 ** rng.uniform(-12, 12)
    elif kind == 2:
        rows = columns = 10.0 ** rng.uniform(-6, 6, n)
        columns = 10.0 ** rng.uniform(-6, 6, n) if symmetry == "none" else columns
    if rng.random() < 0.25:
        phases = np.exp(2j * np.pi * rng.random(n))
        rows, columns = rows * phases, columns * (phases.conj() if symmetry == "definite" else phases)
    scaled = canonical(sparse.diags_array(rows) @ A @ sparse.diags_array(columns))
    return scaled if symmetry != "definite" else canonical((scaled + scaled.conj().T) / 2)
