"""CHOLMOD by scikit-sparse 0.4.16 or 0.5, UMFPACK and KLU by 0.5; errors if one is missing."""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse

from adjoint.errors import (
    BackendMissing,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
)
from adjoint.factor import Direct, cholmod, counting, klu, lu, umfpack
from adjoint.factor.backends.suitesparse import since_0_5, translating

ALL = [pytest.param(direct, id=direct.label.split()[-1]) for direct in (cholmod, umfpack, klu)]
UNSYMMETRIC = ALL[1:]
COMPLEX = pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])


def usable(direct: Direct) -> bool:
    """True if the backend is installed; if not, its error must name the remedy."""
    if direct.missing():
        with pytest.raises(BackendMissing, match="pip install 'scikit-sparse>="):
            direct(np.eye(2))
        return False
    return True


def matrix(
    direct: Direct, is_complex: bool = False, seed: int = 0, n: int = 30
) -> sparse.csc_array:
    """A matrix with the symmetry that `direct` assumes; its pattern does not depend on the seed."""
    rng = np.random.default_rng(n)
    A = sparse.csc_array(sparse.random_array((n, n), density=0.15, rng=rng) + sparse.eye_array(n))
    values = np.random.default_rng(seed)
    A.data = values.uniform(0.5, 1.5, A.nnz) + (
        1j * values.standard_normal(A.nnz) if is_complex else 0.0
    )
    if direct is cholmod:
        A = A @ A.conj().T + n * sparse.eye_array(n)
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def laplacian(m: int, scale: float) -> sparse.csc_array:
    """scale times the five-point Laplacian on m × m points."""
    T = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    return sparse.csc_array(scale * sparse.kronsum(T, T))


@COMPLEX
@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("shape", [(30,), (30, 3), (30, 1)])
@pytest.mark.parametrize("direct", ALL)
def test_solves_with_the_matrix_its_transpose_and_its_adjoint(direct, shape, trans, is_complex):
    if not usable(direct):
        return
    A = matrix(direct, is_complex)
    operator = {"N": A, "T": A.T, "H": A.conj().T}[trans].toarray()
    rng = np.random.default_rng(1)
    factorization = direct(A)
    for b in (
        rng.standard_normal(shape),
        rng.standard_normal(shape) + 1j * rng.standard_normal(shape),
    ):
        u = factorization.solve(b, trans)
        expected = np.linalg.solve(operator, b)
        assert u.shape == shape
        assert u.dtype == expected.dtype
        np.testing.assert_allclose(u, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


@COMPLEX
@pytest.mark.parametrize("direct", ALL)
def test_factors_stay_valid_when_others_of_their_pattern_come_and_go(direct, is_complex):
    if not usable(direct):
        return
    b = np.ones(30)
    matrices = [matrix(direct, is_complex, seed) for seed in range(4)]
    first, second = direct(matrices[0]), direct(matrices[1])
    direct(matrices[2])  # dies at once; its memory may serve the next
    fourth = direct(matrices[3])
    for A, factorization in ((matrices[0], first), (matrices[1], second), (matrices[3], fourth)):
        expected = np.linalg.solve(A.toarray(), b)
        np.testing.assert_allclose(
            factorization.solve(b), expected, atol=1e-11 * np.abs(expected).max()
        )


@pytest.mark.parametrize("direct", ALL)
def test_one_analysis_for_matrices_of_one_pattern(direct):
    if not usable(direct):
        return
    direct.forget()
    with counting() as counts:
        for seed in range(5):
            direct(matrix(direct, seed=seed)).solve(np.ones(30))
    assert (counts.symbolic, counts.numeric, counts.solves) == (1, 5, 5)
    with counting() as counts:
        alive = [direct(matrix(direct, seed=seed)) for seed in range(5)]
    # UMFPACK analyses once for each factorization alive, and says so.
    assert (counts.symbolic, counts.numeric) == (len(alive) - 1 if direct is umfpack else 0, 5)
    with counting() as counts:
        direct(matrix(direct, n=31))
    assert (counts.symbolic, counts.numeric) == (1, 1)


@COMPLEX
@pytest.mark.parametrize("scale", [1.0, 1e-30])
@pytest.mark.parametrize("direct", ALL)
def test_logdet_where_the_determinant_itself_underflows_too(direct, scale, is_complex):
    if not usable(direct):
        return
    A = scale * matrix(direct, is_complex)
    factorization = direct(A)
    assert factorization.logdet() == pytest.approx(np.linalg.slogdet(A.toarray())[1], rel=1e-12)
    assert factorization.solve(np.ones(30)).shape == (30,)


@COMPLEX
@pytest.mark.parametrize("direct", ALL)
def test_one_unknown_is_a_division(direct, is_complex):
    if not usable(direct):
        return
    a = 4.0 + (3.0j if is_complex and direct is not cholmod else 0.0)
    factorization = direct(np.array([[a]]))
    assert factorization.solve(np.array([2.0])) == pytest.approx(2.0 / a)
    assert factorization.logdet() == pytest.approx(np.log(abs(a)))


@pytest.mark.parametrize("direct", ALL)
def test_indices_of_either_size(direct):
    if not usable(direct):
        return
    for analysed, factored in ((np.int32, np.int64), (np.int64, np.int32)):
        direct.forget()
        for index in (analysed, factored):
            A = matrix(direct)
            A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
            np.testing.assert_allclose(A @ direct(A).solve(np.ones(30)), 1.0, rtol=1e-12)


@pytest.mark.parametrize("direct", ALL)
def test_small_pivots_of_a_badly_scaled_matrix_are_no_reason_to_warn(direct):
    if not usable(direct):
        return
    n = 200
    scaling = np.ones(n)
    scaling[7] = 1e-10 if direct is cholmod else 5e-15
    D = sparse.diags_array(scaling)
    A = sparse.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    A = sparse.csc_array(D @ A @ D if direct is cholmod else A @ D)
    factorization = direct(A)
    for trans in ("N", "T", "H"):
        assert factorization.solve(scaling, trans).shape == (n,)
    assert factorization.evidence.backward_error < 1e-15


@pytest.mark.parametrize("direct", UNSYMMETRIC)
def test_every_matrix_gets_pivots_of_its_own(direct):
    if not usable(direct):
        return
    A = matrix(direct, n=30)
    direct(sparse.csc_array(A + 30 * sparse.diags_array(A.diagonal())))
    A = sparse.csc_array(
        A - (1 - 1e-13) * sparse.diags_array(A.diagonal())
    )  # pivots of the first: all tiny
    factorization = direct(A)
    factorization.solve(np.ones(30))
    assert factorization.counts.symbolic == 0
    assert factorization.counts.refinements == 0


def arrow(pivot: float) -> sparse.csc_array:
    """4 I with ones in row and column 0, eliminated last, and `pivot` (stored) at (7, 7)."""
    A = np.diag(np.full(12, 4.0))
    A[0, 1:] = A[1:, 0] = 1.0
    A = sparse.csc_array(A)
    A.data[A.indptr[8] - 1] = pivot
    return A


@COMPLEX
@pytest.mark.parametrize(
    ("A", "found"),
    [
        (np.diag([-1.0, -2.0]), "not positive at unknown"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "not positive at unknown"),
        (arrow(0.0), "not positive at unknown 7"),
        (arrow(-4.0), "not positive at unknown 7"),
        (
            np.ones((400, 400)) + np.diag(np.r_[np.full(300, 9.0), np.full(100, -9.0)]),
            "not positive",
        ),
    ],
    ids=["negative", "2x2", "zero pivot", "negative pivot", "supernodal"],
)
def test_an_indefinite_matrix_has_no_cholesky_factor(A, found, is_complex):
    if not usable(cholmod):
        return
    with pytest.raises(NotPositiveDefinite, match=found):
        cholmod(A.astype(complex) if is_complex else A)


def test_pivots_further_apart_than_float64_reaches():
    if not usable(cholmod):
        return
    # 0.5 refuses to solve with them.
    refused = pytest.raises(SingularMatrix, match="300 orders") if since_0_5() else nullcontext()
    with refused:
        assert cholmod(np.diag([1e200, 1e-200])).logdet() == pytest.approx(0.0, abs=1e-12)


def test_cholesky_of_a_nonsymmetric_matrix_is_refused():
    if not usable(cholmod):
        return
    A = matrix(cholmod)
    A.data[A.indptr[3]] += 0.1
    with pytest.raises(NotSymmetric, match=r"Use adjoint\.lu"):
        cholmod(A).solve(np.ones(30))


@COMPLEX
@pytest.mark.parametrize("direct", UNSYMMETRIC)
def test_a_singular_matrix_is_refused_and_spoils_nothing(direct, is_complex):
    if not usable(direct):
        return
    A = matrix(direct, is_complex)
    before = direct(A)
    zero, equal_columns = A.copy(), matrix(direct, is_complex, n=4).toarray()
    zero.data[:] = 0.0
    equal_columns[:, 2] = equal_columns[:, 1] = 1.0
    no_pivots = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])  # structural rank 2
    for singular in (zero, equal_columns, no_pivots, np.diag([1.0, 0.0])):
        with pytest.raises(SingularMatrix, match="Usual causes: a missing boundary condition"):
            direct(singular).solve(np.ones(singular.shape[0]))
    for factorization in (before, direct(A)):
        np.testing.assert_allclose(A @ factorization.solve(np.ones(30)), 1.0, rtol=1e-10)


@pytest.mark.parametrize("direct", ALL)
def test_refactoring_two_hundred_times_does_not_grow(direct):
    if not usable(direct):
        return

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    b = np.ones(45**2)
    for k in range(200):
        if k == 50:
            warm = resident()
        u = direct(laplacian(45, scale=1.0 + k)).solve(b)
    assert np.isfinite(u).all()
    assert resident() - warm < 20e6  # one set of factors left behind each time would be 100 MB


def in_child(work: Callable[[], object]) -> str:
    """The name of the error that `work` raises in a forked child; or "none"; "hangs" after 20 s."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python >= 3.12 warns of what is tested here.
        pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        name = "none"
        try:
            work()
        except BaseException as error:
            name = type(error).__name__
        os.write(write, name.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        name = pipe.read()
    os.waitpid(pid, 0)
    return name or "hangs"


@pytest.mark.parametrize("direct", ALL)
def test_a_forked_child_is_told_instead_of_hanging(direct):
    if not usable(direct):
        return
    A = laplacian(40, scale=1.0)
    b = np.ones(A.shape[0])
    inherited = direct(A)
    inherited.solve(b)
    assert in_child(lambda: inherited.solve(b)) == "ForkedProcess"
    assert in_child(inherited.logdet) == "ForkedProcess"
    # KLU runs no threads: a child may factor for itself.
    assert in_child(lambda: direct(A)) == ("none" if direct is klu else "ForkedProcess")


@pytest.mark.parametrize("direct", ALL)
def test_a_missing_package_is_named_with_its_remedy(direct, monkeypatch):
    module = sys.modules[direct.missing.__module__]
    module.missing.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, f"sksparse.{direct.label.split()[-1].lower()}", None)
        assert not usable(direct)
        assert lu.choice is not direct
    module.missing.cache_clear()


def test_a_package_that_runs_out_of_memory_is_named():
    message = r"LU of a 9x9 matrix failed: out of memory\. Usual causes"
    with pytest.raises(SolveError, match=message), translating(MemoryError, "LU of a 9x9 matrix"):
        raise MemoryError("out of memory")


@pytest.mark.parametrize("direct", ALL)
def test_evidence_names_the_package_and_its_version(direct):
    if not usable(direct):
        return
    evidence = direct(matrix(direct)).evidence
    assert evidence.backend.startswith(f"{direct.label.split()[-1]} (scikit-sparse 0.")
