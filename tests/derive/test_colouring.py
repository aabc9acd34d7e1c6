"""Colourings: columns of one colour share no row; stencils take one colour per point."""

import numpy as np
import pytest
import scipy.sparse as sparse

from adjoint.derive import grid_colouring as lattice
from adjoint.derive.colouring import colour_columns, greedy_colours, least_colours
from adjoint.derive.grid_colouring import lattice_colours, modular_colours


def band(n):
    return sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    A.eliminate_zeros()  # Of which `kron` stores many, where its factors are nearly full.
    A.data[:] = 1.0
    return A


def five_point(nx, ny):
    """Of unknowns numbered along x first."""
    return canonical(
        sparse.kron(sparse.eye_array(ny), band(nx)) + sparse.kron(band(ny), sparse.eye_array(nx))
    )


def seven_point(n):
    one = sparse.eye_array(n)
    plane = sparse.kron(one, sparse.kron(one, band(n))) + sparse.kron(
        one, sparse.kron(band(n), one)
    )
    return canonical(plane + sparse.kron(band(n), sparse.kron(one, one)))


def cells_to_nodes(nx, ny):
    """Rows are the nodes of a grid, columns its cells: one parameter a cell."""
    nodes = np.arange((nx + 1) * (ny + 1)).reshape(ny + 1, nx + 1)
    corners = np.stack(
        [nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]], axis=-1
    ).reshape(-1, 4)
    return canonical(
        sparse.coo_array(
            (np.ones(corners.size), (corners.ravel(), np.repeat(np.arange(nx * ny), 4)))
        )
    )


def shuffled(A, seed):
    rng = np.random.default_rng(seed)
    return canonical(A[rng.permutation(A.shape[0])][:, rng.permutation(A.shape[1])])


def with_dense_row(n):
    return canonical(
        band(n) + sparse.coo_array((np.ones(n), (np.full(n, n // 2), np.arange(n))), shape=(n, n))
    )


PATTERNS = {
    "5-point, square": (lambda: five_point(10, 10), 5),
    "5-point, wide": (lambda: five_point(33, 7), 5),
    "5-point, tall": (lambda: five_point(6, 40), 5),
    "5-point, a narrow strip": (lambda: five_point(3, 50), 6),
    "5-point, width divisible by five": (lambda: five_point(25, 11), 5),
    "9-point": (lambda: canonical(sparse.kron(band(11), band(8))), 9),
    "7-point": (lambda: seven_point(8), 7),
    "tridiagonal": (lambda: canonical(band(100)), 3),
    "two fields a node": (lambda: canonical(sparse.kron(five_point(12, 9), np.ones((2, 2)))), 10),
    "cells to nodes": (lambda: cells_to_nodes(9, 7), 4),
    "diagonal": (lambda: canonical(sparse.eye_array(50)), 1),
    "dense row": (lambda: with_dense_row(80), 80),
    "dense": (lambda: canonical(np.ones((12, 9))), 9),
    "stencil and a global column": (
        lambda: canonical(sparse.hstack([five_point(8, 9), np.ones((72, 1))])),
        6,
    ),
    "two dense columns": (lambda: canonical(np.ones((30, 2))), 2),
    "one column": (lambda: canonical(np.ones((5, 1))), 1),
    "shuffled 5-point": (lambda: shuffled(five_point(20, 23), 0), 9),
    "random": (
        lambda: canonical(
            sparse.random_array((60, 90), density=0.05, rng=np.random.default_rng(1))
        ),
        20,
    ),
    "empty": (lambda: sparse.csc_array((6, 4)), 0),
    "no columns": (lambda: sparse.csc_array((6, 0)), 0),
}


def assert_separates(pattern, colours):
    filled = np.diff(pattern.indptr) > 0
    assert np.array_equal(colours >= 0, filled)
    if filled.any():
        assert np.array_equal(np.unique(colours[filled]), np.arange(colours.max() + 1))
    seen = sparse.csr_array((np.ones(filled.sum()), (np.flatnonzero(filled), colours[filled])),
                            shape=(pattern.shape[1], colours.max(initial=0) + 1))  # fmt: skip
    assert (pattern @ seen).max() <= 1.0


@pytest.mark.parametrize("name", PATTERNS)
def test_columns_of_one_colour_share_no_row(name):
    make, most = PATTERNS[name]
    pattern = make()
    colours = colour_columns(pattern)
    assert_separates(pattern, colours)
    assert least_colours(pattern) <= colours.max(initial=-1) + 1 <= most


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("name", [name for name, (make, _) in PATTERNS.items() if make().nnz])
def test_greedy_colouring_separates_columns(name, passes):
    pattern = PATTERNS[name][0]()
    assert_separates(pattern, greedy_colours(pattern, passes))


@pytest.mark.parametrize("seed", range(5))
def test_more_passes_never_need_more_colours(seed):
    pattern = canonical(
        sparse.random_array((200, 150), density=0.03, rng=np.random.default_rng(seed))
    )
    counts = [greedy_colours(pattern, passes).max() for passes in range(8)]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("nx", range(3, 24))
def test_five_colours_for_every_width_of_a_grid(nx):
    assert colour_columns(five_point(nx, 13)).max() + 1 <= 6
    if nx > 4:
        assert colour_columns(five_point(nx, 13)).max() + 1 == 5


def test_periodic_grids_are_coloured_validly():
    ring = band(12).tolil()
    ring[0, 11] = ring[11, 0] = 1.0
    pattern = canonical(
        sparse.kron(sparse.eye_array(12), ring) + sparse.kron(ring, sparse.eye_array(12))
    )
    assert_separates(pattern, colour_columns(pattern))


def test_lattice_is_tried_on_every_row():
    """One entry that is no part of the stencil, where no sample of rows need see it."""
    pattern = five_point(60, 50).tolil()
    pattern[1234, 1234 + 5] = 1.0
    pattern = canonical(pattern)
    assert_separates(pattern, colour_columns(pattern))


def test_no_lattice_for_what_is_no_stencil():
    pattern = shuffled(five_point(20, 20), 3)
    bound = least_colours(pattern)
    assert lattice_colours(pattern, bound) is None
    assert modular_colours(pattern, bound) is None


@pytest.mark.parametrize("neighbours", [6, 20])
def test_unstructured_patterns_have_few_lattices_tried(monkeypatch, neighbours):
    """Neighbours within a band: all distances occur, many of them multiples of others."""
    tried = []
    monkeypatch.setattr(
        lattice, "_gaps", lambda *of, gaps=lattice._gaps: tried.append(of[0].size) or gaps(*of)
    )
    rng, n = np.random.default_rng(0), 2000
    rows = np.repeat(np.arange(n), neighbours)
    columns = np.clip(rows + rng.integers(-70, 71, rows.size), 0, n - 1)
    pattern = canonical(sparse.coo_array((np.ones(rows.size), (rows, columns)), shape=(n, n)))
    assert_separates(pattern, colour_columns(pattern))
    assert len(tried) <= 150
    assert sum(tried) <= 10 * pattern.nnz * neighbours


def test_colourings_are_the_same_each_time():
    pattern = shuffled(five_point(15, 18), 4)
    assert np.array_equal(colour_columns(pattern), colour_columns(pattern))
