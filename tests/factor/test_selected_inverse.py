"""Selected inverses of positive definite matrices: against dense inverses and exact counts."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.errors import (
    InaccurateSolve,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
)
from adjoint.factor.selected import hermitian, supernodes
from adjoint.factor.selected.cholesky import inverted_triangles, lower_entries
from adjoint.factor.selected.hermitian import _known_supernodes, hermitian_entries
from adjoint.factor.selected.supernodes import supernodes_of
from adjoint.factor.selected.symbolic import closed, spread

EPS = np.finfo(float).eps
FACTORIZERS = [
    each
    for each in (factor.cholmod, factor.superlu_cholesky, factor.pardiso_cholesky)
    if not each.missing()
]


def laplacian(m, dimensions=2):
    """The (2d+1)-point Laplacian of m^d points."""
    t = sparse.diags_array([-np.ones(m - 1), 2 * np.ones(m), -np.ones(m - 1)], offsets=[-1, 0, 1])
    A = t
    for d in range(1, dimensions):
        A = sparse.kron(A, sparse.eye_array(m)) + sparse.kron(sparse.eye_array(m**d), t)
    return canonical(A)


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def random_definite(n, seed, complex_entries=False):
    rng = np.random.default_rng(seed)
    B = sparse.random_array((n, n), density=min(1.0, 2.5 / n), rng=rng)
    if complex_entries:
        B = B + 1j * sparse.random_array((n, n), density=min(1.0, 2.5 / n), rng=rng)
    return canonical(B @ B.T.conj() + 0.5 * sparse.eye_array(n))


def random_dense(n, imaginary):
    rng = np.random.default_rng(n)
    B = rng.standard_normal((n, n)) + (1j if imaginary else 0.0) * rng.standard_normal((n, n))
    return canonical(B @ B.conj().T / n + np.eye(n))


def blocks():
    """Disconnected blocks, one of them dense, some of size 1."""
    dense = np.full((7, 7), 0.5) + np.eye(7)
    return canonical(
        sparse.block_diag([laplacian(4), dense, np.array([[2.0]]), laplacian(5), np.eye(3)])
    )


def arrow(n):
    """A matrix with a dense first row and column: fill in the natural order."""
    A = sparse.lil_array((n, n))
    A[0, :] = 1.0
    A[:, 0] = 1.0
    A.setdiag(float(n))
    return canonical(A)


MATRICES = {
    "n = 1": canonical(np.array([[4.0]])),
    "n = 2": canonical(np.array([[2.0, 1.0], [1.0, 2.0]])),
    "diagonal": canonical(sparse.diags_array(np.arange(1.0, 9.0))),
    "tridiagonal": laplacian(17, 1),
    "five-point": laplacian(12),
    "seven-point": laplacian(6, 3),
    "dense": canonical(np.eye(20) + np.ones((20, 20))),
    "blocks": blocks(),
    "arrow": arrow(30),
    "random": random_definite(60, 0),
    "Hermitian": random_definite(60, 1, complex_entries=True),
    "dense, large": random_dense(150, 0.0),
    "dense Hermitian, large": random_dense(150, 1.0),
    "Hermitian, n = 1": canonical(np.array([[4.0 + 0j]])),
}


def scaled_error(found, A):
    """The largest error on the pattern of A, relative to (z_ii z_jj)^½."""
    Z = np.linalg.inv(A.toarray())
    scale = np.sqrt(Z.diagonal().real)
    pattern = A.copy()
    pattern.data = np.ones(A.nnz)
    return np.max(np.abs(found.toarray() - Z * pattern.toarray()) / np.outer(scale, scale))


@pytest.mark.parametrize("factorize", FACTORIZERS, ids=str)
@pytest.mark.parametrize("name", MATRICES)
def test_the_entries_are_those_of_the_dense_inverse(name, factorize):
    A = MATRICES[name]
    f = factorize(A)
    Z = f.selected_inverse()
    assert np.array_equal(Z.indptr, A.indptr)
    assert np.array_equal(Z.indices, A.indices)
    condition = np.linalg.cond(A.toarray())
    assert scaled_error(Z, A) < 100 * EPS * condition
    dense = np.linalg.inv(A.toarray())
    np.testing.assert_allclose(f.diagonal_of_inverse(), dense.diagonal().real, rtol=1e-12)
    np.testing.assert_allclose(f.trace_of_inverse(), np.trace(dense).real, rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("factorize", FACTORIZERS, ids=str)
def test_units_scale_the_inverse(unit, factorize):
    A = laplacian(9)
    scale = np.where(np.arange(81) % 2, unit, 1.0)
    D = sparse.diags_array(scale)
    Z = factorize(canonical(D @ A @ D)).selected_inverse()
    expected = factorize(A).selected_inverse().toarray() / np.outer(scale, scale)
    np.testing.assert_allclose(Z.toarray(), expected, rtol=1e-11)


def test_one_factorization_and_four_verified_columns_are_counted():
    A = laplacian(12)
    f = factor.cholesky(A)
    with adjoint.counting() as counts:
        f.examine()
        f.selected_inverse()
        f.selected_inverse()
        f.diagonal_of_inverse()
    assert (counts.numeric, counts.symbolic) == (0, 0)
    assert counts.rhs == 8  # The verified columns, refined.


@pytest.mark.skipif(bool(factor.pardiso_cholesky.missing()), reason="Pardiso is not installed")
def test_factors_that_cannot_be_read_cost_one_more_factorization():
    with adjoint.counting() as counts:
        f = factor.pardiso_cholesky(laplacian(12))
        f.selected_inverse()
    assert counts.numeric == 2
    assert "in addition" in f.selected.method


@pytest.mark.parametrize("factorize", FACTORIZERS[:2], ids=str)
def test_maps_are_kept_for_other_numbers_on_the_same_pattern(factorize):
    A = laplacian(11)
    first = factorize(A)
    first.selected_inverse()
    maps = first.factors.maps["supernodes"]
    other = A.copy()
    other.data = np.where(A.data > 0, 7.0, A.data)
    second = factorize(other)
    assert scaled_error(second.selected_inverse(), other) < 1e-13
    assert second.factors.maps["supernodes"] is maps


def test_large_panels_are_divided_into_chunks(monkeypatch):
    monkeypatch.setattr(supernodes, "CHUNK", 300)
    monkeypatch.setattr(supernodes, "CHUNKS", 1000)
    A = laplacian(14)
    L, order = factor.cholesky(A).factors.lower()
    known = supernodes_of(L, order, A)
    assert len(known.chunks) > 5
    lower = lower_entries(known, L.data)
    Z = A.copy()
    Z.data = lower[known.place]
    assert scaled_error(Z, A) < 1e-13


def test_entries_that_cancelled_are_put_back(monkeypatch):
    """A factor of which an entry is missing gives the same inverse on the closed pattern."""
    # With a_31 = l_21 l_31 the entry (3, 2) of L cancels to zero.
    monkeypatch.setattr(supernodes, "ALWAYS_MERGED", 0)
    monkeypatch.setattr(supernodes, "MERGED", ((10, 0.0),))
    L = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1.0]])
    A = canonical(L @ L.T)
    short = canonical(L)
    order = np.arange(4)
    with pytest.raises(KeyError):
        supernodes_of(short, order, A)
    pattern = closed(A, order)
    assert pattern.nnz == short.nnz + 1
    whole = spread(short, pattern)
    known = supernodes_of(whole, order, A)
    Z = A.copy()
    Z.data = lower_entries(known, whole.data)[known.place]
    assert scaled_error(Z, A) < 1e-13


def error_by_factor(L):
    """Return the error of the entries of (L Lᴴ)⁻¹ on the pattern of L Lᴴ, from L itself."""
    A, lower = canonical(L @ L.conj().T), canonical(L)
    known, lower = _known_supernodes({}, lower, np.arange(len(L)), A)
    Z = A.copy()
    Z.data = lower_entries(known, lower.data)[known.place]
    Z.data[known.flipped] = Z.data[known.flipped].conj()
    return scaled_error(Z, A)


def test_columns_with_equal_counts_and_different_rows_are_not_one_supernode():
    """An entry of the second column has cancelled; its count fits the first column's rows."""
    L = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 1, 1, 1, 1]]
    assert error_by_factor(np.array(L, dtype=float)) < 1e-13


@pytest.mark.parametrize("phases", [False, True])
def test_inverses_are_right_for_all_patterns_of_cancelled_entries(phases):
    random = np.random.default_rng(3)
    for _ in range(300):
        n = int(random.integers(4, 9))
        chosen = np.tril(random.random((n, n)) < 0.6, -1)
        L = chosen * random.choice([-1.0, 1.0, 2.0], (n, n)) + np.eye(n)
        if phases:
            L = np.where(chosen, L * random.choice([1.0, 1.0j], (n, n)), L)
        assert error_by_factor(L) < 1e-9


def test_maps_of_another_order_are_not_mixed(monkeypatch):
    """The closed pattern of one order must not serve the supernodes of another order."""
    monkeypatch.setattr(supernodes, "ALWAYS_MERGED", 0)
    monkeypatch.setattr(supernodes, "MERGED", ((10, 0.0),))
    first = np.array(
        [
            [1.0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [1, 0, 1, 0, 0],
            [0, 1, 1, 1.0, 0],
            [0, 0, 0, 1, 1.0],
        ]
    )
    A = canonical(first @ first.T)
    natural, other = np.arange(5), np.array([3, 2, 1, 0, 4])
    maps = {}

    def error(A, order):
        L = canonical(np.linalg.cholesky(A.toarray()[np.ix_(order, order)]).round(14))
        known, L = _known_supernodes(maps, L, order, A)
        Z = A.copy()
        Z.data = lower_entries(known, L.data)[known.place]
        return scaled_error(Z, A)

    assert error(A, natural) < 1e-12  # An entry cancels.
    B = A + sparse.diags_array([0.0, 0.3, 0.0, 0.7, 0.0])
    assert error(canonical(B), other) < 1e-12
    # Values with which an entry cancels in the other order.
    c = A.toarray() + 2.0 * np.eye(5)
    c[1, 2] = c[2, 1] = c[3, 1] * c[3, 2] / c[3, 3]
    assert error(canonical(c), other) < 1e-12
    assert error(canonical(B), natural) < 1e-12
    assert error(A, natural) < 1e-12


def test_a_zero_that_is_stored_on_one_side_is_in_the_closed_pattern():
    for i, j in ((0, 2), (2, 0)):
        A = sparse.csc_array((np.ones(4), ([0, 1, 2, i], [0, 1, 2, j])), shape=(3, 3))
        assert closed(A, np.arange(3)).nnz == 4


def test_superlu_leaves_out_entries_and_the_inverse_is_right():
    L = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 1.0]])
    A = canonical(sparse.block_diag([sparse.csc_array(L @ L.T)] * 5))
    assert scaled_error(factor.superlu_cholesky(A).selected_inverse(), A) < 1e-13


@pytest.mark.parametrize("complex_entries", [False, True])
def test_triangles_are_inverted_in_batches(complex_entries):
    rng = np.random.default_rng(0)
    L = np.tril(rng.random((5, 6, 6)) + 1.0)
    if complex_entries:
        L = L + 1j * np.tril(rng.random((5, 6, 6)), -1)
    np.testing.assert_allclose(
        inverted_triangles(L) @ L, np.broadcast_to(np.eye(6), L.shape), atol=1e-12
    )


def test_a_wrong_entry_is_refused():
    f = factor.cholesky(laplacian(9))

    class Wrong:
        """Factors that solve with A, but export the factor of another matrix."""

        backend = "wrong"

        def __init__(self):
            self.maps = {}

        def lower(self):
            L, order = f.factors.lower()
            L.data = L.data * (1.0 + 1e-4)
            return L, order

    class Factored:
        A, name, symmetry = f.A, f.name, f.symmetry
        solve, unverified = f.solve, f.unverified
        factors = Wrong()

    with pytest.raises(InaccurateSolve, match="differ by 2"):
        hermitian_entries(Factored())


class Natural:
    """A matrix with factors that export a Cholesky factor in the natural order."""

    def __init__(self, A, L):
        f = factor.cholesky(A)
        self.A, self.name, self.symmetry = f.A, f.name, f.symmetry
        self.solve, self.unverified = f.solve, f.unverified
        self.factors, self.backend, self.maps = self, "natural order", {}
        self.L = L

    def lower(self):
        return self.L, np.arange(self.A.shape[0])


def test_the_certificate_sees_a_wrong_block_far_from_the_worst_columns(monkeypatch):
    """An entry of L that cancelled is missing, and columns are joined by their counts alone."""

    def joined_by_counts(L):
        counts = np.diff(L.indptr).astype(np.int64)
        after = np.arange(1, L.shape[0])
        joined = (supernodes.parents(L)[:-1] == after) & (counts[:-1] == counts[1:] + 1)
        starts = np.flatnonzero(np.append(True, ~joined))
        return starts, supernodes._Rows(counts[starts])

    small = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 1, 1, 1, 1]]
    rod = np.eye(40) - 0.999 * np.eye(40, k=-1)  # Its unknowns determine each other almost.
    L = canonical(sparse.block_diag([rod, np.array(small, dtype=float), rod]).toarray())
    A = canonical(L @ L.T)
    monkeypatch.setattr(supernodes, "_fundamental", joined_by_counts)
    known, lower = _known_supernodes({}, L, np.arange(85), A)
    wrong = lower_entries(known, lower.data)[known.place]
    assert scaled_error(sparse.csc_array((wrong, A.indices, A.indptr)), A) > 0.1
    with pytest.raises(InaccurateSolve, match="differ by"):
        hermitian_entries(Natural(A, L))


@pytest.mark.parametrize("factorize", FACTORIZERS, ids=str)
@pytest.mark.parametrize("distance", [1e-4, 1e-6, 1e-8])
def test_the_error_of_ill_conditioned_matrices_is_reported(factorize, distance):
    """The pencil K − (1 − d) μ I; d is of the size of 1 / condition."""
    g = 8
    line = 2.0 - 2.0 * np.cos(np.pi * np.arange(1, g + 1) / (g + 1))
    values = np.add.outer(line, line).ravel()
    shift = values.min() * (1.0 - distance)
    A = canonical(laplacian(g) - shift * sparse.eye_array(g * g))
    exact = (1.0 / (values - shift)).sum()
    f = factorize(A)
    error = abs(f.diagonal_of_inverse().sum() / exact - 1.0)
    assert f.selected.error > 1e-17 / distance  # Without refinement: 1e-15.
    assert error < 1e-14 / distance


@pytest.mark.parametrize("factorize", FACTORIZERS, ids=str)
def test_two_wrong_entries_that_leave_the_trace_are_refused(factorize, monkeypatch):
    A = laplacian(12)
    f = factorize(A)
    Z = f.selected_inverse()
    place = np.flatnonzero(Z.indices > np.repeat(np.arange(A.shape[0]), np.diff(Z.indptr)))
    for k, j in np.random.default_rng(0).choice(place, (5, 2), replace=False):

        def wrong(known, data, chosen=(k, j)):
            result = lower_entries(known, data)
            first, second = known.place[list(chosen)]
            change = 1e-4 * abs(result[first])
            result[first] += change
            result[second] -= change * A.data[chosen[0]] / A.data[chosen[1]]
            return result

        monkeypatch.setattr(hermitian, "lower_entries", wrong)
        with pytest.raises(InaccurateSolve, match="differ by"):
            hermitian_entries(factorize(A))
        monkeypatch.undo()


@pytest.mark.skipif(bool(factor.cholmod.missing()), reason="CHOLMOD is not installed")
def test_the_memory_of_numpy_is_at_most_twice_that_of_the_factor():
    """NumPy's arrays at their peak, beside L with its indices, which CHOLMOD allocates."""
    A = laplacian(150) + sparse.eye_array(150**2)
    factor.cholmod(canonical(A)).selected_inverse()  # With the maps of the pattern.
    f = factor.cholmod(canonical(A))
    f.examine()
    L, _ = f.factors.lower()
    size = L.data.nbytes + L.indices.nbytes
    del L
    tracemalloc.start()
    try:
        f.selected_inverse()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 2.0 * size


def test_traces_with_other_matrices():
    A = laplacian(8)
    rng = np.random.default_rng(0)
    dense = np.linalg.inv(A.toarray())
    f = factor.cholesky(A)
    inside = A.copy()
    inside.data = rng.random(A.nnz)  # Nonsymmetric.
    f.selected_inverse()
    with adjoint.counting() as counts:
        np.testing.assert_allclose(f.trace_of_inverse(inside), np.trace(dense @ inside.toarray()))
    assert counts.solves == 0
    outside = canonical(sparse.random_array((64, 64), density=0.05, rng=rng))
    np.testing.assert_allclose(f.trace_of_inverse(outside), np.trace(dense @ outside.toarray()))
    B = 1j * outside
    np.testing.assert_allclose(f.trace_of_inverse(B), np.trace(dense @ B.toarray()))
    with pytest.raises(ValueError, match="shape"):
        f.trace_of_inverse(np.eye(3))


def test_too_many_columns_are_refused():
    A = canonical(sparse.eye_array(1100))
    B = canonical(sparse.eye_array(1100, k=1))
    with pytest.raises(ValueError, match="1099 columns"):
        factor.cholesky(A).trace_of_inverse(B)


@pytest.mark.parametrize("factorize", FACTORIZERS, ids=str)
def test_matrices_without_a_positive_definite_inverse_have_named_errors(factorize):
    indefinite = canonical(np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(NotPositiveDefinite):
        factorize(indefinite).selected_inverse()
    neumann = laplacian(6, 1)
    neumann.data[[0, -1]] = 1.0
    with pytest.raises((SingularMatrix, NotPositiveDefinite)):
        factorize(neumann).selected_inverse()
    asymmetric = canonical(np.array([[3.0, 1.0], [0.5, 3.0]]))
    with pytest.raises(NotSymmetric):
        factorize(asymmetric).selected_inverse()


def test_iterative_solvers_have_no_selected_inverse():
    f = factor.cg(factor.jacobi())(laplacian(5))
    with pytest.raises(SolveError, match="no determinant"):
        f.selected_inverse()
