"""Laws of RefinedInverse: as accurate as the factors of A, or replaced by them."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.factor import superlu
from adjoint.steady.refinement import RefinedInverse

KINDS = ("N", "T", "H")


def matrices(n, condition, distance, seed, kind=float):
    """A with a condition, and B = A (I − distance Q), Q unitary: sweeps contract by `distance`."""
    rng = np.random.default_rng(seed)

    def unitary():
        Z = rng.standard_normal((n, n)) + (
            1j * rng.standard_normal((n, n)) if kind is complex else 0.0
        )
        return np.linalg.qr(Z)[0]

    A = (unitary() * np.logspace(0.0, -np.log10(condition), n)) @ unitary()
    return sparse.csc_array(A), sparse.csc_array(A @ (np.eye(n) - distance * unitary()))


def turned(A, trans):
    return {"N": A, "T": A.T, "H": A.conj().T}[trans].toarray()


def nearby(A, B, factorize=superlu):
    return RefinedInverse(A, factorize(B), factorize)


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("condition", [10.0, 1e4, 1e8])
@pytest.mark.parametrize("distance", [0.0, 1e-10, 1e-5, 1e-3, 0.03, 0.1, 0.17, 0.3, 0.9])
def test_solutions_are_as_accurate_as_by_factors_of_its_own(distance, condition, kind):
    A, B = matrices(12, condition, distance, int(condition), kind)
    b = np.random.default_rng(1).standard_normal((12, 3)) * np.array([1.0, 1e-9, 1e12])
    for trans in KINDS:
        with adjoint.counting() as counts:
            u = nearby(A, B).solve(b, trans)
        assert counts.numeric <= 2
        exact = np.linalg.solve(turned(A, trans), b)
        own = np.abs(superlu(A).solve(b, trans) - exact).max(axis=0)
        size = np.abs(exact).max(axis=0)
        assert np.all(
            np.abs(u - exact).max(axis=0) <= 10.0 * own + (1e-12 + 1e-15 * condition) * size
        )


@pytest.mark.parametrize(
    ("distance", "sweeps"), [(0.0, 2), (1e-7, 3), (1e-5, 3), (1e-3, 5), (5e-3, 7)]
)
def test_sweeps_are_as_few_as_the_distance_demands(distance, sweeps):
    A, B = matrices(20, 10.0, distance, 2)
    inverse = nearby(A, B)
    for k in (1, 5):
        with adjoint.counting() as counts:
            inverse.solve(np.random.default_rng(3).standard_normal((20, k)), "H")
        assert (counts.numeric, counts.rhs) == (0, k * counts.solves)
        assert counts.transposed == counts.solves <= sweeps


def test_factors_of_its_own_are_made_once_and_serve_all_later_solves():
    A, B = matrices(10, 10.0, 0.5, 4)
    inverse = nearby(A, B)
    with adjoint.counting() as counts:
        inverse.solve(np.ones(10), "H")
        assert counts.numeric == 1
        spent = counts.solves
        inverse.solve(np.ones(10))
        inverse.solve(np.ones((10, 4)), "T")
    assert (counts.numeric, counts.solves) == (1, spent + 2)


def test_stale_factors_alone_leave_the_error_that_sweeps_remove():
    A, B = matrices(15, 100.0, 1e-4, 5)
    b = np.arange(1.0, 16.0)
    exact = np.linalg.solve(A.toarray().T, b)
    size = np.linalg.norm(exact)
    assert np.linalg.norm(superlu(B).solve(b, "T") - exact) >= 1e-6 * size
    assert np.linalg.norm(nearby(A, B).solve(b, "T") - exact) <= 1e-12 * size


def test_matrices_scaled_by_powers_of_ten_are_solved_as_well():
    """Rows and columns of 10^±10: only rowwise errors see all of them."""
    A, B = matrices(8, 10.0, 1e-4, 6)
    rng = np.random.default_rng(7)
    rows, columns = (sparse.diags_array(10.0 ** rng.integers(-10, 11, 8)) for _ in range(2))
    inverse = nearby(*(sparse.csc_array(rows @ M @ columns) for M in (A, B)))
    w = np.arange(1.0, 9.0)
    u = inverse.solve(rows @ w)
    np.testing.assert_allclose(columns @ u, np.linalg.solve(A.toarray(), w), rtol=1e-9)


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 0), (6, 3)])
@pytest.mark.parametrize("distance", [1e-6, 0.5])
def test_right_hand_sides_keep_their_shape_and_are_not_written_to(shape, distance):
    A, B = matrices(6, 10.0, distance, 8)
    b = np.zeros(shape)
    b[2:4] = 1.0
    b.setflags(write=False)
    for trans in KINDS:
        u = nearby(A, B).solve(b, trans)
        assert u.shape == shape
        np.testing.assert_allclose(turned(A, trans) @ u, b, atol=1e-13)


def test_zero_has_the_solution_zero():
    A, B = matrices(6, 10.0, 1e-3, 9)
    for b in (np.zeros(6), np.stack([np.zeros(6), np.ones(6)], axis=1)):
        u = nearby(A, B).solve(b)
        assert np.isfinite(u).all()
        assert not u.reshape(6, -1)[:, 0].any()


def test_complex_right_hand_sides_of_a_real_matrix():
    A, B = matrices(6, 10.0, 1e-3, 10)
    b = np.arange(6) + 1j
    np.testing.assert_allclose(turned(A, "H") @ nearby(A, B).solve(b, "H"), b, atol=1e-13)


def test_evidence_holds_the_backward_errors_for_the_matrix_itself():
    A, B = matrices(9, 10.0, 1e-4, 11)
    inverse = nearby(A, B)
    assert np.isnan(
        [inverse.evidence.backward_error, inverse.evidence.adjoint_backward_error]
    ).all()
    inverse.solve(np.ones(9), "H")
    assert inverse.evidence.adjoint_backward_error <= 1e-15
    assert np.isnan(inverse.evidence.backward_error)
    inverse.solve(np.ones(9))
    assert inverse.evidence.backward_error <= 1e-15


@pytest.mark.parametrize("distance", [1e-6, 0.5])
def test_singular_matrix_near_a_regular_one_is_refused(distance):
    A, B = matrices(7, 10.0, distance, 12)
    flat = A.toarray()
    flat[:, 3] = flat[:, 2]
    with pytest.raises(adjoint.SolveError):
        nearby(sparse.csc_array(flat), B).solve(np.ones(7))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_right_hand_sides_that_are_not_finite_are_refused(bad):
    with pytest.raises(adjoint.errors.NonFinite):
        nearby(*matrices(5, 10.0, 1e-3, 13)).solve(np.full(5, bad))
    with pytest.raises(ValueError, match="expected"):
        nearby(*matrices(5, 10.0, 1e-3, 13)).solve(np.ones(4))


def test_symmetric_factors_serve_a_symmetric_matrix_nearby_and_refuse_another():
    A = sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(12, 12)).tocsc()
    B = sparse.csc_array(A + 1e-3 * sparse.diags_array(np.arange(12.0)))
    for factorize in (adjoint.cholesky, adjoint.ldl):
        with adjoint.counting() as counts:
            u = nearby(A, B, factorize).solve(np.arange(12.0), "H")
        assert counts.numeric == 1
        np.testing.assert_allclose(A @ u, np.arange(12.0), atol=1e-13)
    skew = sparse.csc_array(A + sparse.diags_array(np.full(11, 2.0), offsets=1))
    with pytest.raises(adjoint.errors.NotSymmetric):
        nearby(skew, B, adjoint.cholesky).solve(np.ones(12))


@pytest.mark.parametrize("method", ["gmres", "cg"])
def test_krylov_methods_iterate_with_the_matrix_itself(method):
    A = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40)).tocsc()
    B = sparse.csc_array(A + 0.3 * sparse.eye_array(40))
    factorize = {
        "gmres": adjoint.gmres(adjoint.factor.ilu(), rtol=1e-12),
        "cg": adjoint.cg(adjoint.factor.jacobi(), rtol=1e-12),
    }[method]
    inverse, b = nearby(A, B, factorize), np.arange(40.0)
    with adjoint.counting() as counts:
        u = inverse.solve(b)
        np.testing.assert_allclose(A.T @ inverse.solve(b, "H"), b, atol=1e-7)
    assert counts.numeric == 0
    np.testing.assert_allclose(A @ u, b, atol=1e-9)
    assert inverse.evidence.backward_error <= 1e-10


def test_krylov_preconditioner_that_is_too_old_is_made_anew():
    A = sparse.csc_array(sparse.diags_array(np.logspace(0, 6, 30)))
    B = sparse.csc_array(sparse.diags_array(np.logspace(6, 0, 30)))
    factorize = adjoint.gmres(adjoint.factor.jacobi(), max_iterations=10)
    inverse = nearby(A, B, factorize)
    with adjoint.counting() as counts:
        np.testing.assert_allclose(A @ inverse.solve(np.ones(30)), np.ones(30), rtol=1e-9)
        inverse.solve(np.ones(30), "H")
    assert counts.numeric == 1


def test_two_refinements_give_the_same_bits():
    A, B = matrices(30, 1e3, 1e-3, 14)
    b = np.random.default_rng(15).standard_normal((30, 2))
    assert np.array_equal(nearby(A, B).solve(b, "T"), nearby(A, B).solve(b, "T"))
