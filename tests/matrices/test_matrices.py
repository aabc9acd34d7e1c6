"""Laws of every Matrix A(p) and Vector b(p).

Derivative, transpose of it, and the values themselves.
"""

import threading

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.errors import NonFinite

N, M = 7, 5


def random_matrix(seed, complex=False, density=0.4):
    rng = np.random.default_rng(seed)
    A = sparse.random_array((N, N), density=density, rng=rng)
    if complex:
        A = A + 1j * sparse.random_array((N, N), density=density, rng=rng)
    return sparse.csc_array(A + sparse.eye_array(N))


def random_elements(seed, complex=False, each=False):
    """Five elements of three unknowns, nonsymmetric.

    Some fixed, one unknown twice in an element.
    """
    rng = np.random.default_rng(seed)
    dofs = np.array([[0, 1, 2], [2, 1, 3], [-1, 4, 5], [5, 6, -1], [6, 6, 0]])
    Ke = rng.standard_normal((5, 3, 3) if each else (3, 3))
    return adjoint.Elements(dofs, Ke + 1j * rng.standard_normal(Ke.shape) if complex else Ke)


def quadratic_entries():
    """Entries p_i² + 2 p_i p_{i+1} on a random pattern with two entries a parameter."""
    k = np.arange(10)
    pattern = sparse.csc_array((np.ones(10), (k % N, (2 * k + k // N) % N)), shape=(N, N))
    owner = k % M

    def values(p):
        return (p**2 + 2 * p * np.roll(p, -1))[owner]

    def pushforward(p, p_dot):
        return (2 * (p + np.roll(p, -1)) * p_dot + 2 * p * np.roll(p_dot, -1))[owner]

    def pullback(p, data_bar):
        bar = np.zeros(M, dtype=data_bar.dtype)
        np.add.at(bar, owner, data_bar)
        return 2 * (p + np.roll(p, -1)).conj() * bar + np.roll(2 * p.conj() * bar, 1)

    return adjoint.Entries(pattern, values, pullback, pushforward)


MATRICES = {
    "constant": lambda: adjoint.Constant(random_matrix(0)),
    "affine": lambda: adjoint.Affine(random_matrix(1), [random_matrix(2 + i) for i in range(M)]),
    "affine, complex": lambda: adjoint.Affine(
        random_matrix(1), [random_matrix(2 + i, True) for i in range(M)]
    ),
    "affine without a base": lambda: adjoint.Affine(None, [random_matrix(2 + i) for i in range(M)]),
    "elements": lambda: random_elements(3),
    "elements, complex": lambda: random_elements(4, complex=True),
    "elements, each its own": lambda: random_elements(5, each=True),
    "elements, each its own, complex": lambda: random_elements(6, complex=True, each=True),
    "entries": quadratic_entries,
    "combination": lambda: adjoint.Combination(
        [(2.0 - 1j, random_elements(7)), (0.5, quadratic_entries()), (-1.0, random_matrix(8))]
    ),
    "part": lambda: adjoint.Part(
        adjoint.Affine(random_matrix(9), [random_matrix(10)] * 2), np.array([4, 1])
    ),
    "part, a parameter twice": lambda: adjoint.Part(
        adjoint.Affine(random_matrix(9), [random_matrix(10), random_matrix(11)]), np.array([4, 4])
    ),
    "part, slice": lambda: adjoint.Part(
        adjoint.Affine(random_matrix(9), [random_matrix(10)] * 2), slice(1, 3)
    ),
}
VECTORS = {
    "constant": lambda: adjoint.matrices.ConstantVector(np.arange(N) + 1j),
    "affine": lambda: adjoint.matrices.AffineVector(
        np.arange(1.0, N + 1), np.random.default_rng(0).random((N, M))
    ),
    "affine, sparse complex": lambda: adjoint.matrices.AffineVector(
        np.ones(N), 1j * random_matrix(11)[:, :M]
    ),
    "part": lambda: adjoint.matrices.PartVector(
        adjoint.matrices.AffineVector(np.ones(N), np.random.default_rng(1).random((N, 2))),
        np.array([3, 0]),
    ),
    "part, a parameter twice": lambda: adjoint.matrices.PartVector(
        adjoint.matrices.AffineVector(np.ones(N), np.random.default_rng(1).random((N, 2))),
        np.array([2, 2]),
    ),
}
every_matrix = pytest.mark.parametrize("make", MATRICES.values(), ids=MATRICES)
every_vector = pytest.mark.parametrize("make", VECTORS.values(), ids=VECTORS)
every_field = pytest.mark.parametrize("field", [float, complex], ids=["real p", "complex p"])
every_shape = pytest.mark.parametrize("shape", [(N,), (N, 3)], ids=["one", "three"])


def draw(rng, shape, field=complex):
    v = rng.standard_normal(shape)
    return v + 1j * rng.standard_normal(shape) if field is complex else v


@every_matrix
@every_field
@every_shape
def test_jvp_is_the_derivative_of_the_matrix(make, field, shape):
    A, rng, h = make(), np.random.default_rng(1), 1e-4
    p, p_dot, u = draw(rng, M, field), draw(rng, M, field), draw(rng, shape)
    difference = (A(p + h * p_dot) @ u - A(p - h * p_dot) @ u) / (
        2 * h
    )  # exact: at most quadratic in p
    np.testing.assert_allclose(A.jvp(p, u, p_dot), difference, atol=1e-9)
    assert A.jvp(p, u, p_dot).shape == shape


@every_matrix
@every_field
@every_shape
@pytest.mark.parametrize("states", [float, complex], ids=["real u", "complex u"])
def test_vjp_of_a_matrix_is_the_transpose_of_jvp(make, field, shape, states):
    A, rng = make(), np.random.default_rng(2)
    p, p_dot = draw(rng, M, field), draw(rng, M, field)
    u, lam = draw(rng, shape, states), draw(rng, shape)
    g = A.vjp(p, u, lam)
    assert g.shape == (M,)
    assert g.dtype == p.dtype
    assert np.vdot(g, p_dot).real == pytest.approx(np.vdot(lam, A.jvp(p, u, p_dot)).real, abs=1e-12)


@every_vector
@every_field
def test_vector_obeys_the_same_laws(make, field):
    b, rng, h = make(), np.random.default_rng(3), 1e-3
    p, p_dot, lam = draw(rng, M, field), draw(rng, M, field), draw(rng, N)
    np.testing.assert_allclose(
        b.jvp(p, p_dot), (b(p + h * p_dot) - b(p - h * p_dot)) / (2 * h), atol=1e-11
    )
    g = b.vjp(p, lam)
    assert (g.shape, g.dtype) == ((M,), p.dtype)
    assert np.vdot(g, p_dot).real == pytest.approx(np.vdot(lam, b.jvp(p, p_dot)).real, abs=1e-12)


@every_matrix
def test_matrix_is_canonical_and_keeps_its_pattern(make):
    A, rng = make(), np.random.default_rng(4)
    first, second = A(rng.random(M)), A(np.zeros(M))
    assert isinstance(first, sparse.csc_array)
    fresh = sparse.csc_array((first.data, first.indices, first.indptr), shape=first.shape)
    assert fresh.has_canonical_format
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.indptr, second.indptr)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("each", [False, True])
def test_elements_are_assembled_as_by_a_loop(complex, each):
    A = random_elements(12, complex, each)
    s = np.random.default_rng(5).random(M)
    dense = np.zeros((N, N), dtype=A.Ke.dtype)
    for e, dofs in enumerate(A.dofs):
        Ke = A.Ke[e] if each else A.Ke
        for i, row in enumerate(dofs):
            for j, column in enumerate(dofs):
                if row >= 0 and column >= 0:
                    dense[row, column] += s[e] * Ke[i, j]
    np.testing.assert_allclose(A(s).toarray(), dense, atol=1e-14)


def test_elements_on_a_common_edge_in_the_same_orientation_add_up():
    Ke = np.array([[1.0, 2.0], [3.0, 4.0]])
    A = adjoint.Elements(np.array([[0, 1], [0, 1], [1, 0]]), Ke)
    s = np.array([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(A(s).toarray(), 11.0 * Ke + 100.0 * Ke[::-1, ::-1])
    u, lam = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    expected = [lam @ Ke @ u, lam @ Ke @ u, lam[::-1] @ Ke @ u[::-1]]
    np.testing.assert_allclose(A.vjp(s, u, lam), expected)


def test_elements_in_many_blocks_give_what_one_block_gives(monkeypatch):
    monkeypatch.setattr("adjoint.matrices.elements.BLOCK_MULTIPLICATIONS", 2)
    blocked, rng = random_elements(13, each=True), np.random.default_rng(6)
    u, lam, s_dot = rng.standard_normal((N, 2)), rng.standard_normal((N, 2)), rng.standard_normal(M)
    vjp, jvp = blocked.vjp(s_dot, u, lam), blocked.jvp(s_dot, u, s_dot)
    monkeypatch.setattr("adjoint.matrices.elements.BLOCK_MULTIPLICATIONS", 1 << 18)
    np.testing.assert_allclose(blocked.vjp(s_dot, u, lam), vjp)
    np.testing.assert_allclose(blocked.jvp(s_dot, u, s_dot), jvp)


def test_entries_follow_the_data_of_the_csc_pattern():
    pattern = sparse.csr_array(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0], [5.0, 0.0, 6.0]]))
    A = adjoint.Entries(pattern, lambda p: p, lambda p, bar: bar, lambda p, p_dot: p_dot)
    p = np.array([1.0, 5.0, 2.0, 3.0, 4.0, 6.0])  # down the columns
    np.testing.assert_array_equal(A(p).toarray(), pattern.toarray())


def test_entries_stored_as_zero_belong_to_the_pattern():
    pattern = sparse.csc_array((np.array([0.0, 1.0, 1.0]), ([1, 0, 1], [0, 0, 1])), shape=(2, 2))
    pattern.sort_indices()
    A = adjoint.Entries(pattern, lambda p: p, lambda p, bar: bar, lambda p, p_dot: p_dot)
    assert A(np.array([1.0, 2.0, 3.0])).nnz == 3


def test_combination_of_other_patterns_is_found_anew():
    class Switching:
        def __call__(self, p):
            return sparse.csc_array(
                sparse.diags_array([p[0]] * N) if p[0] > 0 else random_matrix(20)
            )

    A = adjoint.Combination([(1.0, adjoint.Constant(random_matrix(21))), (2.0, Switching())])
    for value in (1.0, -1.0, 3.0):
        p = np.array([value])
        expected = random_matrix(21) + 2.0 * Switching()(p)
        np.testing.assert_allclose(A(p).toarray(), expected.toarray())


def test_threads_share_a_combination():
    A = adjoint.Combination([(1.0, adjoint.Constant(random_matrix(30 + i))) for i in range(20)])
    start, results = threading.Barrier(4), []

    def assemble():
        start.wait()
        results.append(A(np.zeros(1)).toarray())

    threads = [threading.Thread(target=assemble) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sum(random_matrix(30 + i).toarray() for i in range(20))
    assert len(results) == 4
    for result in results:
        np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: adjoint.Elements(np.zeros((2, 2)), np.eye(2)), TypeError, "expected integers"),
        (lambda: adjoint.Elements(np.array([[0, -2]]), np.eye(2)), ValueError, "−1 for fixed"),
        (lambda: adjoint.Elements(np.array([[0, 1]]), np.eye(3)), ValueError, r"expected \(2, 2\)"),
        (
            lambda: adjoint.Elements(np.array([[0, 1]]), np.full((2, 2), np.nan)),
            NonFinite,
            "degenerate",
        ),
        (lambda: random_elements(0)(np.ones(4)), ValueError, r"expected \(5,\)"),
        (
            lambda: random_elements(0).jvp(np.ones(5), np.ones(7), np.ones(4)),
            ValueError,
            r"expected \(5,\)",
        ),
        (
            lambda: adjoint.Affine(random_matrix(0), [sparse.eye_array(3)]),
            ValueError,
            "expected equal shapes",
        ),
        (lambda: adjoint.Affine(random_matrix(0), [])(np.ones(1)), ValueError, r"expected \(0,\)"),
        (lambda: adjoint.Affine(None, []), ValueError, "neither a base nor terms"),
        (lambda: adjoint.Combination([]), ValueError, "expected a list of pairs"),
        (lambda: adjoint.Combination([random_matrix(0)]), ValueError, "expected a list of pairs"),
        (
            lambda: adjoint.Combination([(1.0, random_matrix(0)), (1.0, sparse.eye_array(3))])(
                np.ones(1)
            ),
            ValueError,
            "expected equal shapes",
        ),
        (
            lambda: adjoint.matrices.AffineVector(np.ones(3), np.ones((4, 2))),
            ValueError,
            r"expected \(n,\) and \(n, m\)",
        ),
        (
            lambda: adjoint.matrices.AffineVector(np.ones(3), np.ones((3, 2)))(np.ones(3)),
            ValueError,
            r"expected \(2,\)",
        ),
        (
            lambda: adjoint.matrices.ConstantVector(np.ones((2, 2, 2))),
            ValueError,
            r"expected \(n,\) or \(n, k\)",
        ),
        (
            lambda: adjoint.matrices.ConstantVector(np.array(["a"])),
            TypeError,
            "expected float64",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "pullback", "error", "message"),
    [
        (np.ones(3), np.ones(5), ValueError, r"values returned shape \(3,\), expected \(10,\)"),
        (np.full(10, np.inf), np.ones(5), NonFinite, "values returned nan or inf at entry 0"),
        (np.ones(10), np.ones(4), ValueError, r"pullback returned shape \(4,\), expected \(5,\)"),
    ],
)
def test_functions_that_return_another_shape_are_named(values, pullback, error, message):
    A = adjoint.Entries(
        quadratic_entries().pattern, lambda p: values, lambda p, bar: pullback, None
    )
    problem = adjoint.LinearProblem(
        A, np.ones(N), lambda A: adjoint.lu(A + 20.0 * sparse.eye_array(N))
    )
    with pytest.raises(error, match=message):
        problem.solve(np.ones(M)).vjp(np.ones(N))
