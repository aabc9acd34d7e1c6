"""Laws of all installed factorizers: verified solves with A, Aᵀ and Aᴴ, real and complex."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.factor import Direct, Fastest
from problems.steady.elasticity import mbb

N = 30


def exported():
    """The direct factorizers of adjoint.factor that are installed, by name."""
    found = {name: f for name, f in vars(factor).items() if isinstance(f, Direct | Fastest)}
    return {name: f for name, f in found.items() if isinstance(f, Fastest) or not f.missing()}


FACTORIZERS = exported()


def symmetry(f):
    return (f.choice if isinstance(f, Fastest) else f).symmetry


def matrix(f, complex=False, seed=0, n=N):
    """A well-conditioned matrix with the symmetry that f assumes."""
    rng = np.random.default_rng(seed)
    A = sparse.random_array((n, n), density=0.15, rng=rng)
    if complex:
        A = A + 1j * sparse.random_array((n, n), density=0.15, rng=rng)
    if symmetry(f) == "hermitian":
        return sparse.csc_array(A @ A.conj().T + sparse.eye_array(n))
    shift = sparse.diags_array(np.where(np.arange(n) % 3, 3.0, -3.0))
    return sparse.csc_array((A + A.T if symmetry(f) == "symmetric" else A) + shift)


every = pytest.mark.parametrize("f", FACTORIZERS.values(), ids=FACTORIZERS)
every_field = pytest.mark.parametrize("complex", [False, True], ids=["real", "complex"])
DENSE = {"N": lambda A: A, "T": lambda A: A.T, "H": lambda A: A.conj().T}


def right_hand_side(columns, complex, seed=1):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal((N, *columns))
    return b + 1j * rng.standard_normal((N, *columns)) if complex else b


@every
@every_field
@pytest.mark.parametrize("trans", DENSE)
@pytest.mark.parametrize("complex_b", [False, True], ids=["real b", "complex b"])
def test_solution_is_that_of_the_dense_matrix(f, complex, trans, complex_b):
    A = matrix(f, complex)
    factored = f(A)
    for columns in [(), (1,), (4,)]:
        b = right_hand_side(columns, complex_b)
        u = factored.solve(b, trans)
        expected = np.linalg.solve(DENSE[trans](A.toarray()), b)
        np.testing.assert_allclose(u, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
        assert (u.shape, u.dtype) == (b.shape, expected.dtype)


@every
@every_field
def test_right_hand_sides_of_zeros_have_zero_solutions_and_none_has_none(f, complex):
    factored = f(matrix(f, complex))
    assert not factored.solve(np.zeros(N)).any()
    mixed = np.zeros((N, 3))
    mixed[:, 1] = right_hand_side((), False)
    u = factored.solve(mixed, "T")
    assert not u[:, ::2].any()
    assert u[:, 1].any()
    assert factored.solve(np.zeros((N, 0))).shape == (N, 0)


@every
@every_field
def test_logdet_is_that_of_numpy(f, complex):
    A = matrix(f, complex)
    assert f(A).logdet() == pytest.approx(np.linalg.slogdet(A.toarray())[1], rel=1e-11)


@every
@pytest.mark.parametrize("n", [1, 2, 4, 5, N])
@every_field
def test_condition_is_that_of_numpy_within_ten(f, complex, n):
    A = matrix(f, complex, n=n)
    exact = np.linalg.cond(A.toarray(), 1)
    assert exact / 10 <= f(A).condition() <= exact * (1 + 1e-10)


@every
@every_field
def test_backward_errors_are_those_of_rounding(f, complex):
    factored = f(matrix(f, complex))
    assert np.isnan(factored.evidence.backward_error)
    factored.solve(right_hand_side((2,), True))
    assert factored.evidence.backward_error <= 1e-14
    assert np.isnan(factored.evidence.adjoint_backward_error)
    factored.solve(right_hand_side((2,), True), "H")
    assert factored.evidence.adjoint_backward_error <= 1e-14
    assert 1.0 <= factored.evidence.condition < 1e6
    assert f"{N} unknowns" in str(factored.evidence)


@every
def test_pattern_is_analysed_once_and_each_matrix_factored_once(f):
    f.forget()
    with adjoint.counting() as counts:
        for seed in (0, 0, 0):
            A = matrix(f, seed=seed)
            A.data *= 1.5
            f(A).solve(right_hand_side((3,), True))
    assert (counts.symbolic, counts.numeric, counts.solves, counts.rhs) == (1, 3, 3, 9)
    assert (counts.transposed, counts.refinements) == (0, 0)


@every
def test_analyses_of_alternating_patterns_are_remembered_until_forgotten(f):
    f.forget()
    with adjoint.counting() as counts:
        for seed in (1, 2, 3, 1, 2, 3):
            A = matrix(f, seed=seed)
            np.testing.assert_allclose(A @ f(A).solve(np.ones(N)), 1.0, rtol=1e-10)
    assert counts.symbolic == 3
    f.forget()
    with adjoint.counting() as counts:
        f(matrix(f, seed=1))
    assert counts.symbolic == 1


@every
def test_real_and_complex_matrices_of_one_pattern_do_not_share_an_analysis(f):
    A = matrix(f)
    b = np.ones(N)
    for field in (float, complex, float):
        B = sparse.csc_array((A.data.astype(field), A.indices, A.indptr), shape=A.shape)
        np.testing.assert_allclose(B @ f(B).solve(b), b, rtol=1e-10)


@every
def test_factors_serve_after_others_of_the_pattern_were_made(f):
    first, second = matrix(f), matrix(f)
    second.data *= 2.0
    a, b = f(first), f(second)
    np.testing.assert_allclose(a.solve(np.ones(N)), 2.0 * b.solve(np.ones(N)), rtol=1e-10)


@every
def test_matrix_changed_in_place_is_factored_anew(f):
    A = matrix(f)
    f(A).solve(np.ones(N))
    A.data *= 3.0
    np.testing.assert_allclose(A @ f(A).solve(np.ones(N)), 1.0, rtol=1e-10)


@every
def test_pattern_changed_in_place_is_analysed_anew(f):
    """Entries (j ± 1, j) become (j ± 2, j): only the row indices differ."""
    j = np.arange(N)
    patterns = [
        np.sort(np.column_stack([j, (j + k) % N, (j - k) % N]), axis=1).ravel() for k in (1, 2)
    ]
    indptr = np.arange(0, 3 * N + 1, 3)
    A = sparse.csc_array(
        (np.where(patterns[0] == np.repeat(j, 3), 4.0, 1.0), patterns[0], indptr), shape=(N, N)
    )
    np.testing.assert_allclose(A @ f(A).solve(np.ones(N)), 1.0, rtol=1e-12)
    A.indices[:] = patterns[1]
    A.data[:] = np.where(patterns[1] == np.repeat(j, 3), 4.0, -1.0)
    b = np.arange(1.0, N + 1)
    np.testing.assert_allclose(A @ f(A).solve(b), b, rtol=1e-12)


@every
@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_systems_of_extreme_scale_are_solved(f, scale):
    A = matrix(f)
    b = right_hand_side((2,), False)
    expected = np.linalg.solve(A.toarray(), b)
    factored = f(scale * A)
    try:
        u = factored.solve(scale * b)
    except (
        adjoint.errors.SolveError
    ):  # MKL takes pivots of 1e-300 for zero; the check of the solution notices.
        assert "Pardiso" in factored.evidence.backend
        return
    np.testing.assert_allclose(u, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    expected_logdet = N * np.log(scale) + np.linalg.slogdet(A.toarray())[1]
    assert factored.logdet() == pytest.approx(expected_logdet, rel=1e-10)


@every
def test_penalties_are_not_taken_for_singular(f):
    A = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)).tocsc()
    free = np.arange(1, N - 1)
    A[0, 0] = A[N - 1, N - 1] = 1e20
    b = np.ones(N)
    b[[0, N - 1]] = 1e20 * np.array([1.0, 3.0])
    u = f(A).solve(b)
    x = np.arange(N)
    exact = 1.0 + 2.0 * x / (N - 1) + 0.5 * x * (N - 1 - x)
    np.testing.assert_allclose(u[free], exact[free], rtol=1e-10)


@every
def test_void_and_solid_of_topology_optimization_are_not_taken_for_singular(f):
    body = mbb(12, 6)
    x = np.where(np.random.default_rng(0).random(72) < 0.5, 1.0, 1e-9)
    A = body.K(x)
    u = f(A).solve(body.load)
    solid = body.K(np.ones(72))
    assert np.abs(body.load - A @ u).max() <= 1e-13 * abs(solid).max() * np.abs(u).max()
    reference = factor.superlu_cholesky(A)
    expected = body.load @ reference.solve(body.load)
    # Two stable solutions differ by the condition number (about 10¹²) times rounding.
    assert body.load @ u == pytest.approx(expected, rel=reference.condition() * np.finfo(float).eps)


@every
def test_entries_whose_sum_overflows_are_finite_all_the_same(f):
    A = sparse.csc_array(1e308 * np.eye(3))
    np.testing.assert_allclose(f(A).solve(np.full(3, 1e308)), 1.0)
    assert f"{f(A)!r}".startswith("Factorization(")


@every
def test_the_same_matrix_gives_the_same_bits(f):
    """A resumed run starts without the analyses that the first run remembered."""
    body = mbb(12, 6)
    A = body.K(np.random.default_rng(3).uniform(0.2, 1.0, 72))
    first = f(A).solve(body.load)
    np.testing.assert_array_equal(f(A).solve(body.load), first)
    f.forget()
    np.testing.assert_array_equal(f(A).solve(body.load), first)
