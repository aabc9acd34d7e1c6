"""Selected inverses of general matrices: equal to dense inverses, certified, or refused."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.errors import InaccurateSolve, SelectedInverseTooLarge, SingularMatrix
from adjoint.factor.backends.superlu import ldl, lu
from adjoint.factor.factorization import Factorization
from adjoint.factor.selected import general
from adjoint.factor.selected.certificate import largest_error
from adjoint.factor.selected.closed_pattern import postorder
from adjoint.factor.selected.pivoting import matched_rows


def laplacian(g: int) -> sparse.csc_array:
    T = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(g, g))
    unit = sparse.eye_array(g)
    return sparse.csc_array(sparse.kron(T, unit) + sparse.kron(unit, T))


def advection(g: int, peclet: float) -> sparse.csc_array:
    C = sparse.diags_array([-1.0, 1.0], offsets=[-1, 1], shape=(g, g))
    unit = sparse.eye_array(g)
    return sparse.csc_array(
        laplacian(g) + peclet * (0.8 * sparse.kron(C, unit) + 0.6 * sparse.kron(unit, C))
    )


def helmholtz(g: int, shift: float, damping: float) -> sparse.csc_array:
    return sparse.csc_array(laplacian(g) - (shift - 1j * damping) * sparse.eye_array(g * g))


def random_sparse(n: int, dominant: bool) -> sparse.csc_array:
    rng = np.random.default_rng(1)
    A = sparse.random_array((n, n), density=4 / n, rng=rng, data_sampler=_normal(rng))
    diagonal = 10.0 + rng.random(n) if dominant else rng.standard_normal(n)
    return sparse.csc_array(A + sparse.diags_array(diagonal))


def saddle_point(g: int, regularization: float) -> sparse.csc_array:
    rng = np.random.default_rng(0)
    n, m = g * g, g * g // 2
    places = (np.arange(m), rng.permutation(n)[:m])
    B = sparse.random_array((m, n), density=3 / n, rng=rng, data_sampler=_normal(rng))
    B = B + sparse.csr_array((np.ones(m), places), shape=(m, n))
    C = -regularization * sparse.eye_array(m) if regularization else None
    return sparse.csc_array(sparse.block_array([[laplacian(g), B.T], [B, C]]))


def circuit(n: int, sources: int) -> sparse.csc_array:
    """Return a conductance matrix of nodes with voltage sources and controlled sources."""
    rng = np.random.default_rng(0)
    i = np.concatenate([np.arange(n - 1), rng.integers(0, n, n // 2)])
    j = np.concatenate([np.arange(1, n), rng.integers(0, n, n // 2)])
    i, j = i[i != j], j[i != j]
    g = 10.0 ** rng.uniform(-4, 0, i.size)
    places = (np.tile(np.arange(i.size), 2), np.concatenate([i, j]))
    D = sparse.csr_array((np.repeat([1.0, -1.0], i.size), places), shape=(i.size, n))
    G = D.T @ sparse.diags_array(g) @ D + sparse.diags_array(np.full(n, 1e-9))
    G = G + 1e-2 * sparse.random_array((n, n), density=0.2 / n, rng=rng)
    nodes = (np.arange(sources), rng.permutation(n)[:sources])
    B = sparse.csr_array((np.ones(sources), nodes), shape=(sources, n))
    return sparse.csc_array(sparse.block_array([[G, B.T], [B, None]]))


def _normal(rng: np.random.Generator):  # type: ignore[no-untyped-def]
    return lambda size: rng.standard_normal(size)


MATRICES = {
    "advection, cell Péclet number 0.5": lambda: advection(15, 0.5),
    "advection, 5": lambda: advection(15, 5.0),
    "advection, 50": lambda: advection(15, 50.0),
    "advection, 1000": lambda: advection(15, 1000.0),
    "Helmholtz, shift 0.1": lambda: helmholtz(15, 0.1, 0.0),
    "Helmholtz, shift 1": lambda: helmholtz(15, 1.0, 0.0),
    "Helmholtz, shift 3.9": lambda: helmholtz(15, 3.9, 0.0),
    "Helmholtz, damped": lambda: helmholtz(15, 1.0, 0.1),
    "indefinite Laplacian": lambda: helmholtz(15, 1.0, 0.0).real,
    "random, dominant diagonal": lambda: random_sparse(300, True),
    "random": lambda: random_sparse(300, False),
    "saddle point, −1e-8": lambda: saddle_point(14, 1e-8),
    "saddle point, zero block": lambda: saddle_point(14, 0.0),
    "circuit": lambda: circuit(250, 50),
}


def dense_inverse(A: sparse.csc_array) -> np.ndarray:
    D = A.toarray()
    Z = np.linalg.inv(D)
    return Z + Z @ (np.eye(D.shape[0]) - D @ Z)


def assert_selected(f: Factorization, A: sparse.csc_array, tol: float) -> None:
    Z, D = dense_inverse(A), A.toarray()
    i, j = A.tocoo().coords
    largest = np.abs(Z).max()
    np.testing.assert_allclose(f.selected.A_bar.toarray()[i, j], Z[j, i].conj(), 0, tol * largest)
    np.testing.assert_allclose(f.selected_inverse().toarray()[i, j], Z[i, j], 0, tol * largest)
    np.testing.assert_allclose(f.diagonal_of_inverse(), Z.diagonal(), 0, tol * largest)
    sign, log = np.linalg.slogdet(D)
    np.testing.assert_allclose(f.selected.phase, sign, 0, 1e-10)
    np.testing.assert_allclose(f.logdet(), log, 1e-10)


@pytest.mark.parametrize("name", MATRICES)
def test_entries_are_those_of_the_dense_inverse(name: str) -> None:
    A = sparse.csc_array(MATRICES[name]())
    assert_selected(lu(A), A, 1e-9)


@pytest.mark.parametrize("name", ["indefinite Laplacian", "saddle point, −1e-8"])
def test_symmetric_indefinite_matrices_by_ldl(name: str) -> None:
    A = sparse.csc_array(MATRICES[name]())
    A = sparse.csc_array((A + A.T) / 2)
    assert_selected(ldl(A), A, 1e-9)


def test_the_default_factorizers_agree() -> None:
    A = advection(8, 5.0)
    assert_selected(adjoint.lu(A), A, 1e-11)


def test_a_second_matrix_of_a_pattern_uses_the_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    A = advection(12, 0.5)
    assert_selected(lu(A), A, 1e-12)
    monkeypatch.setattr(general, "closed_pattern", None)  # A call would raise TypeError.
    B = sparse.csc_array((A.data * (1.0 + 0.1 * np.sin(np.arange(A.nnz))), A.indices, A.indptr))
    for matrix in (B, A):
        assert_selected(lu(matrix), matrix, 1e-12)


def test_a_second_factorization_is_counted() -> None:
    with adjoint.counting() as counts:
        lu(advection(8, 0.5)).selected_inverse()
    assert counts.numeric == 2


def test_unstable_pivots_on_the_diagonal_are_replaced() -> None:
    assert lu(MATRICES["saddle point, −1e-8"]()).selected.method.endswith("matched")


def test_the_order_of_pivots_that_was_stable_is_tried_first() -> None:
    general.memory.patterns.clear()
    A = MATRICES["saddle point, −1e-8"]()
    numbers = []
    for factor in (1.0, 1.001, 1.002):
        f = lu(sparse.csc_array(A * factor))
        f.examine()
        with adjoint.counting() as counts:
            assert_selected(f, f.A, 1e-9)
        numbers.append(counts.numeric)
    assert numbers == [2, 1, 1]


def test_threshold_pivots_on_the_closed_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last choice is right for all matrices: its pattern is closed."""
    attempt = general._attempt
    monkeypatch.setattr(
        general, "_attempt", lambda A, choice, name, last: attempt(A, "threshold", name, True)
    )
    for name, make in MATRICES.items():
        A = sparse.csc_array(make())
        if name != "Helmholtz, shift 3.9":
            assert_selected(lu(A), A, 1e-8)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_matrices(n: int) -> None:
    D = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [1.0, -1.0, 4.0]])[:n, :n]
    A = sparse.csc_array(D if n > 1 else np.array([[-2.0]]))
    assert_selected(lu(A), A, 1e-14)


def test_units_do_not_matter() -> None:
    A = advection(10, 5.0)
    n = A.shape[0]
    rng = np.random.default_rng(0)
    r, c = (10.0 ** rng.uniform(-12, 12, n) for _ in range(2))
    B = sparse.csc_array(sparse.diags_array(r) @ A @ sparse.diags_array(c))
    scaled = lu(B).selected
    plain = lu(A).selected
    i, j = A.tocoo().coords
    there = (scaled.A_bar.toarray() * r[:, None] * c)[i, j]
    np.testing.assert_allclose(there, plain.A_bar.toarray()[i, j], 1e-9)


@pytest.mark.parametrize("unit", [1e-290, 1e290])
def test_entries_near_the_limits_of_floating_point(unit: float) -> None:
    A = advection(8, 5.0)
    f = lu(sparse.csc_array(A * unit))
    np.testing.assert_allclose(f.selected.A_bar.toarray() * unit, lu(A).selected.A_bar.toarray())
    assert f.selected.phase == 1.0
    np.testing.assert_allclose(f.logdet(), lu(A).logdet() + 64 * np.log(unit), 1e-13)


def test_singular_matrices_are_refused() -> None:
    A = laplacian(6).tolil()
    A[3] = A[4]
    with pytest.raises(SingularMatrix):
        lu(sparse.csc_array(A)).selected_inverse()


def test_the_certificate_sees_cancellation_that_the_trace_does_not() -> None:
    """Pivots on the diagonal of a KKT matrix: tr(A Z) = n, and Z is wrong."""
    A = sparse.csc_array(MATRICES["saddle point, −1e-8"]())
    n = A.shape[0]
    f = lu(A)
    scaling = (np.ones(n), np.ones(n))
    lu_of = general.lu_factors(A, 0.0, "MMD_AT_PLUS_A", "A")
    p, q = np.argsort(lu_of.perm_r), np.argsort(lu_of.perm_c)
    maps, at = general.closed_pattern(A, p, q, np.arange(n), np.inf, "A")
    lower, upper = maps.spread(lu_of.L, lu_of.U, at)
    pivots = np.empty(n)
    pivots[at] = lu_of.U.diagonal()
    attempt = general._Attempt(maps, lower, upper, 1.0, pivots)
    selected = general._entries(f, attempt, scaling, "diagonal")
    Z = dense_inverse(A)
    i, j = A.tocoo().coords
    error = np.abs(selected.inverse.toarray()[i, j] - Z[i, j]).max() / np.abs(Z).max()
    trace = float((selected.A_bar * A).sum())
    assert abs(trace - n) <= 1e-9 * n
    assert error > 1e-7
    assert selected.error > error / 50


def test_a_wrong_inverse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(known, lower, upper):  # type: ignore[no-untyped-def]
        below, above = recurrence(known, lower, upper)
        return below * (1.0 + 1e-4), above

    recurrence = general.entries_of_inverse
    monkeypatch.setattr(general, "entries_of_inverse", noisy)
    with pytest.raises(InaccurateSolve, match="differ by"):
        lu(advection(8, 0.5)).selected_inverse()


@pytest.mark.parametrize("where", [7, 100, 150])
def test_a_single_wrong_entry_is_refused(where: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(known, lower, upper):  # type: ignore[no-untyped-def]
        below, above = recurrence(known, lower, upper)
        above[where] += 1e-4 * np.abs(above).max()
        return below, above

    recurrence = general.entries_of_inverse
    monkeypatch.setattr(general, "entries_of_inverse", spoiled)
    with pytest.raises(InaccurateSolve, match="differ by"):
        lu(advection(8, 0.5)).selected_inverse()


def test_nan_in_the_recurrence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(known, lower, upper):  # type: ignore[no-untyped-def]
        below, above = recurrence(known, lower, upper)
        return below * np.nan, above

    recurrence = general.entries_of_inverse
    monkeypatch.setattr(general, "entries_of_inverse", spoiled)
    with pytest.raises(InaccurateSolve):
        lu(advection(8, 0.5)).selected_inverse()


def test_fill_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(general, "FILL", 0.5)
    monkeypatch.setattr(general, "SMALL", 0)
    A = advection(9, 0.25)
    A.data = A.data + 1.0
    with pytest.raises(SelectedInverseTooLarge, match="closed pattern"):
        lu(sparse.csc_array(sparse.block_diag([A, sparse.eye_array(1)]))).selected_inverse()


def test_small_closed_patterns_are_never_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(general, "FILL", 0.5)
    A = advection(9, 0.25)
    assert_selected(lu(A), A, 1e-12)


def test_entries_that_cancelled_are_put_back() -> None:
    """Entries of L and U that are exactly zero are missing in SciPy's factors."""
    D = np.array(
        [
            [1.0, 1.0, 0.0, 1.0, 0.0],
            [1.0, 3.0, 1.0, 1.0, 0.0],  # (1, 3): 1 − 1 · 1 = 0
            [0.0, 1.0, 4.0, 0.0, 1.0],
            [1.0, 1.0, 0.0, 5.0, 1.0],
            [0.0, 0.0, 1.0, 1.0, 6.0],
        ]
    )
    A = sparse.csc_array(D)
    assert_selected(lu(A), A, 1e-14)


def test_postorder_visits_children_before_parents() -> None:
    parent = np.array([3, 4, 3, 5, 5, -1, 7, -1])
    order = postorder(parent)
    place = np.argsort(order)
    assert sorted(order) == list(range(8))
    assert all(place[i] < place[p] for i, p in enumerate(parent) if p >= 0)
    sizes = [1, 1, 1, 3, 2, 6, 1, 2]
    for i, size in enumerate(sizes):  # The descendants of a node are a range that ends with it.
        subtree = set(order[place[i] - size + 1 : place[i] + 1].tolist())
        for child in subtree - {i}:
            assert int(parent[child]) in subtree


def test_matching_maximizes_the_product() -> None:
    D = np.array([[1.0, 100.0, 0.0], [1.0, 2.0, 50.0], [0.5, 0.0, 1.0]])
    assert matched_rows(sparse.csc_array(D)).tolist() == [2, 0, 1]
    assert matched_rows(sparse.csc_array(np.diag([1.0, 1.0, 0.0]))) is None


def test_the_matching_ends_where_many_entries_are_equal() -> None:
    """With weights that were rounded, SciPy's search did not end for this matrix."""
    rng = np.random.default_rng(132)
    B = sparse.random_array((200, 200), density=0.01, rng=rng)
    B.data = rng.choice([-1.0, 1.0, 2.0, -2.0], B.nnz)
    A = sparse.csc_array(B @ B.T + sparse.eye_array(200))
    A.data = A.data * np.exp2(rng.integers(-5, 1, 200))[A.indices]
    rows = matched_rows(A)
    assert rows is not None
    assert np.all(A[rows].diagonal() != 0.0)


def test_columns_of_the_certificate_are_compared_entry_by_entry() -> None:
    A = advection(6, 2.0)
    Z = sparse.csc_array(
        (
            dense_inverse(A).T[A.indices, np.repeat(np.arange(36), np.diff(A.indptr))],
            A.indices,
            A.indptr,
        ),
        shape=A.shape,
    )
    ones = np.ones(36)
    assert largest_error(lu(A), Z, np.arange(4), np.arange(4), (ones, ones)) < 1e-13
    Z.data[Z.indptr[2]] += 0.1
    assert largest_error(lu(A), Z, np.array([9]), np.array([2]), (ones, ones)) > 0.01
