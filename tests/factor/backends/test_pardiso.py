"""Pardiso: all matrix types, all transposes, many factors of one analysis, and errors."""

import gc
import multiprocessing
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.factor.backends.pardiso import factorizers, factors, mkl
from adjoint.factor.counts import counting

LU, CHOLESKY, LDL = factor.pardiso, factor.pardiso_cholesky, factor.pardiso_ldl


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def unsymmetric(n, dtype, seed=0):
    """A permutation plus random entries: the diagonal is almost empty."""
    rng = np.random.default_rng(seed)
    A = sparse.random_array((n, n), density=min(1.0, 4 / n), rng=rng)
    A = canonical(
        A + sparse.csr_array((np.ones(n), (np.arange(n), rng.permutation(n))), shape=(n, n))
    )
    return A if dtype is float else canonical(A + 1j * A * 0.5 - 0.3j * sparse.eye_array(n))


def definite(n, dtype, seed=0):
    A = unsymmetric(n, dtype, seed)
    return canonical(A @ A.conj().T + sparse.eye_array(n))


def indefinite(n, dtype, seed=0):
    """Complex: symmetric, A = Aᵀ, not Hermitian."""
    A = unsymmetric(n, dtype, seed)
    return canonical(A + A.T)


def saddle(n, seed=0):
    """[[K, Bᵀ], [B, 0]] whose zero diagonal is not stored."""
    rng = np.random.default_rng(seed)
    K = sparse.diags_array([-np.ones(n - 1), 2.5 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    B = sparse.eye_array(n // 3, n) + sparse.random_array((n // 3, n), density=2 / n, rng=rng)
    return canonical(sparse.block_array([[K, B.T], [B, None]]))


def helmholtz(n):
    """-u'' - u'' - k²(1 + iσ) u on an n x n grid: complex symmetric, indefinite."""
    T = sparse.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    sigma = np.linspace(-1.0, 1.0, n * n) ** 4
    laplacian = sparse.kron(T, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n), T)
    return canonical(laplacian - sparse.diags_array(0.4 * (1 + 1j * sigma)))


def convection(n):
    diffusion, wind = (
        sparse.diags_array(
            [a * np.ones(n - 1), c * np.ones(n), b * np.ones(n - 1)], offsets=[-1, 0, 1]
        )
        for a, c, b in ((-1.3, 2.0, -0.7), (-1.1, 2.0, -0.9))
    )
    return canonical(
        sparse.kron(diffusion, sparse.eye_array(n)) + sparse.kron(sparse.eye_array(n), wind)
    )


def badly_scaled(A, symmetric, seed=0):
    rng = np.random.default_rng(seed)
    left = sparse.diags_array(10.0 ** rng.uniform(-5, 5, A.shape[0]))
    right = left if symmetric else sparse.diags_array(10.0 ** rng.uniform(-3, 3, A.shape[0]))
    return canonical(left @ A @ right)


CASES = {
    **{
        f"lu-{n}-{d.__name__}": (LU, unsymmetric(n, d))
        for n in (1, 2, 50, 1000)
        for d in (float, complex)
    },
    **{
        f"cholesky-{n}-{d.__name__}": (CHOLESKY, definite(n, d))
        for n in (1, 2, 50, 1000)
        for d in (float, complex)
    },
    **{
        f"ldl-{n}-{d.__name__}": (LDL, indefinite(n, d))
        for n in (1, 2, 50, 1000)
        for d in (float, complex)
    },
    "ldl-saddle": (LDL, saddle(90)),
    "lu-saddle": (LU, saddle(90)),
    "ldl-helmholtz": (LDL, helmholtz(30)),
    "lu-helmholtz": (LU, helmholtz(30)),
    "ldl-definite": (LDL, definite(50, float)),
    "lu-convection": (LU, convection(40)),
    "lu-badly-scaled": (LU, badly_scaled(unsymmetric(200, float), symmetric=False)),
    "lu-badly-scaled-complex": (LU, badly_scaled(unsymmetric(200, complex), symmetric=False)),
    "ldl-badly-scaled": (LDL, badly_scaled(saddle(90), symmetric=True)),
    "ldl-blocks-of-two": (
        LDL,
        canonical(sparse.kron(sparse.eye_array(50), np.array([[0.0, 1.0], [1.0, 0.0]]))),
    ),
    "ldl-diagonal": (LDL, canonical(sparse.diags_array(np.array([1.0, -2.0, 3.0])))),
}


def transposed(A, trans):
    return {"N": A, "T": A.T, "H": A.conj().T}[trans]


def right_hand_side(n, k, dtype, seed=1):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal((n, k))
    return b + 1j * rng.standard_normal((n, k)) if dtype is complex else b


def error_of(A, u, b):
    """Normwise backward error."""
    return np.abs(A @ u - b).max() / (
        np.abs(A).sum(axis=1).max() * np.abs(u).max() + np.abs(b).max()
    )


@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("case", CASES)
def test_solutions_have_a_tiny_backward_error(case, trans, dtype):
    factorizer, A = CASES[case]
    b = right_hand_side(A.shape[0], 3, dtype)
    u = factorizer(A).solve(b, trans)
    assert error_of(transposed(A, trans), u, b) <= 1e-13
    assert np.array_equal(b, right_hand_side(A.shape[0], 3, dtype))


@pytest.mark.parametrize("case", CASES)
def test_log_determinant_is_that_of_the_matrix_or_a_named_error(case):
    factorizer, A = CASES[case]
    f = factorizer(A)
    if f.factors.perturbed:
        with pytest.raises(adjoint.errors.SolveError, match=r"perturbed \d+ pivots.*superlu"):
            f.logdet()
    else:
        expected = np.linalg.slogdet(A.toarray())[1]
        assert abs(f.logdet() - expected) <= 1e-10 * max(1.0, abs(expected))


def test_perturbed_pivots_are_made_good_by_refinement():
    f = LDL(indefinite(1000, float))
    assert f.factors.perturbed > 0
    f.solve(np.ones(1000))
    assert f.evidence.backward_error <= 1e-13


def test_solutions_of_a_large_convection_diffusion_problem_need_no_refinement():
    A = convection(316)
    f = LU(A)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    assert error_of(A, f.solve(b), b) <= 1e-14
    assert error_of(A.T, f.solve(b, "T"), b) <= 1e-14
    assert f.counts.refinements == 0


def test_solutions_do_not_depend_on_the_memory_order_of_right_hand_sides():
    A = unsymmetric(50, float)
    B = right_hand_side(50, 20, float)
    f = LU(A)
    assert np.allclose(
        f.solve(np.ascontiguousarray(B)), f.solve(np.asfortranarray(B)), rtol=0, atol=1e-13
    )
    assert np.array_equal(f.solve(B[:, ::2]), f.solve(B[:, ::2].copy()))


def test_64_bit_indices_are_accepted():
    A = unsymmetric(50, float)
    wide = sparse.csc_array(
        (A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=A.shape
    )
    assert wide.indices.dtype == np.int64
    b = np.ones(50)
    assert np.array_equal(LU(wide).solve(b), LU(A).solve(b))


@pytest.mark.parametrize(
    ("factorizer", "A"),
    [
        (LU, unsymmetric(60, float)),
        (LU, unsymmetric(60, complex)),
        (CHOLESKY, definite(60, float)),
        (CHOLESKY, definite(60, complex)),
        (LDL, saddle(60)),
        (LDL, helmholtz(8)),
    ],
)
def test_factors_of_one_analysis_live_side_by_side(factorizer, A):
    factorizer.forget()
    b = right_hand_side(A.shape[0], 2, float)
    matrices = [A * scale for scale in (1.0, 2.0, 0.5, 7.0, 1e-3, 40.0)]
    with counting() as counts:
        factors = [factorizer(matrix) for matrix in matrices]
        for k in (3, 0, 5, 1):
            assert error_of(matrices[k], factors[k].solve(b), b) <= 1e-13
        factors[2] = factors[4] = None  # Their slots are used again.
        factors[4] = factorizer(matrices[4])
        for k in (4, 5, 0, 1, 3):
            assert error_of(matrices[k].T, factors[k].solve(b, "T"), b) <= 1e-13
    assert (counts.symbolic, counts.numeric) == (1, 7)


def test_a_hundred_matrices_and_two_alive_cost_one_analysis():
    LU.forget()
    A = convection(12)
    with counting() as counts:
        old = LU(A)
        for k in range(1, 100):
            new = LU(A * (1.0 + 0.01 * k))
            old.solve(np.ones(144))
            old = new
    assert (counts.symbolic, counts.numeric) == (1, 100)


def test_dead_factors_leave_their_slots():
    CHOLESKY.forget()
    A = definite(30, float)
    f = CHOLESKY(A)
    handle = f.factors.handle
    others = [CHOLESKY(A) for _ in range(5)]
    assert len(handle.free) == mkl.SLOTS - 6
    del others
    gc.collect()
    assert (len(handle.free), len(handle.live), len(handle.stale)) == (mkl.SLOTS - 1, 1, 5)
    # A collection that strikes while the handle is in use leaves the slot to the next user.
    g = CHOLESKY(A)
    with handle.lock:
        del g
        gc.collect()
        assert len(handle.dead) == 1
    CHOLESKY(A)
    assert len(handle.dead) == 0
    del f
    gc.collect()
    assert (len(handle.free), len(handle.live), len(handle.stale)) == (mkl.SLOTS, 0, 0)


@pytest.mark.parametrize(
    ("factorizer", "A"),
    [(LU, convection(8)), (CHOLESKY, definite(40, complex)), (LDL, helmholtz(6))],
)
def test_determinants_survive_the_death_of_earlier_factors(factorizer, A):
    """MKL crashed in `pardiso_getdiag` after a slot was freed while others were in use."""
    factorizer.forget()
    expected = np.linalg.slogdet(A.toarray())[1]
    first, second = factorizer(A), factorizer(A * 2.0)
    del first
    gc.collect()
    for other, scale in ((second, 2.0), (factorizer(A * 3.0), 3.0)):
        assert abs(other.logdet() - expected - A.shape[0] * np.log(scale)) <= 1e-9


def test_factors_outlive_their_analysis():
    A = unsymmetric(40, float)
    f = LU(A)
    LU.forget()
    gc.collect()
    assert error_of(A, f.solve(np.ones(40)), np.ones(40)) <= 1e-13


def test_a_full_handle_is_followed_by_another(monkeypatch):
    monkeypatch.setattr(mkl, "SLOTS", 2)
    LU.forget()
    A = unsymmetric(30, float)
    with counting() as counts:
        factors = [LU(A * (k + 1.0)) for k in range(3)]
        for k, f in enumerate(factors):
            assert error_of(A * (k + 1.0), f.solve(np.ones(30)), np.ones(30)) <= 1e-13
    assert counts.symbolic == 2
    del factors, f
    LU.forget()


def test_values_that_defeat_the_old_matching_are_analysed_anew():
    """One pattern, dominated first by the diagonal, then by a shifted diagonal."""
    n = 400
    rng = np.random.default_rng(3)
    shift = sparse.csr_array((np.ones(n), (np.arange(n), np.roll(np.arange(n), 1))), shape=(n, n))
    noise = sparse.random_array((n, n), density=3 / n, rng=rng)
    pattern = canonical(sparse.eye_array(n) + shift + noise)
    first = canonical(sparse.eye_array(n) + 1e-3 * shift + 1e-3 * noise)
    second = canonical(1e-14 * sparse.eye_array(n) + shift + 1e-3 * noise)
    assert np.array_equal(first.indices, pattern.indices)
    assert np.array_equal(second.indices, pattern.indices)
    LU.forget()
    b = rng.standard_normal(n)
    with counting() as counts:
        f, g = LU(first), LU(second)
        assert error_of(first, f.solve(b), b) <= 1e-13
        assert error_of(second, g.solve(b), b) <= 1e-13
        assert counts.symbolic == 2
        LU(second * 2.0)
    assert (counts.symbolic, counts.numeric) == (2, 3)


def test_badly_scaled_matrices_are_equilibrated_and_others_left_alone():
    A = unsymmetric(100, float)
    assert factorizers.equilibration(A, "none") == (None, None)
    for symmetric, B in (
        (False, badly_scaled(A, symmetric=False)),
        (True, badly_scaled(saddle(90), symmetric=True)),
    ):
        r, c = factorizers.equilibration(B, "symmetric" if symmetric else "none")
        sums = np.abs(sparse.diags_array(r) @ B @ sparse.diags_array(c)).sum(axis=0)
        assert sums.max() / sums.min() < 1e2
        assert np.array_equal(np.exp2(np.round(np.log2(r))), r)
        assert not symmetric or np.array_equal(r, c)
    zero_row = sparse.csc_array(
        (np.array([0.0, 0.0, 1.0]), np.array([0, 0, 1]), np.array([0, 1, 3])), shape=(2, 2)
    )
    assert factorizers.equilibration(zero_row, "none") == (None, None)


SINGULAR = {
    "twice-the-same": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "stored-zero": sparse.csc_array((np.zeros(1), np.array([0]), np.array([0, 1])), shape=(1, 1)),
    "free-body": sparse.diags_array(
        [-np.ones(49), np.r_[1.0, 2.0 * np.ones(48), 1.0], -np.ones(49)], offsets=[-1, 0, 1]
    ),
    "empty": sparse.csc_array((3, 3)),
}


@pytest.mark.parametrize("factorizer", [LU, LDL])
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("case", SINGULAR)
def test_singular_matrices_are_named(case, dtype, factorizer):
    A = SINGULAR[case].astype(dtype)
    with pytest.raises(adjoint.errors.SingularMatrix, match="Usual causes"):
        factorizer(A).solve(np.ones(A.shape[0]))


def test_structurally_singular_matrix_without_empty_lines_is_named():
    A = sparse.csc_array(np.array([[1.0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]]))
    with pytest.raises(adjoint.errors.SingularMatrix):
        LU(A).solve(np.ones(4))
    with pytest.raises(adjoint.errors.SingularMatrix):
        LDL(A).solve(np.ones(4))


@pytest.mark.parametrize("dtype", [float, complex])
def test_indefinite_matrix_is_refused_by_cholesky(dtype):
    with pytest.raises(adjoint.errors.NotPositiveDefinite, match=r"adjoint\.ldl"):
        CHOLESKY(sparse.diags_array(np.array([1.0, -1.0, 2.0])).astype(dtype).tocsc())


def test_a_failed_factorization_gives_its_slot_back():
    CHOLESKY.forget()
    good = sparse.csc_array(np.eye(3))
    f = CHOLESKY(good)
    with pytest.raises(adjoint.errors.NotPositiveDefinite):
        CHOLESKY(-good)
    assert len(f.factors.handle.free) == mkl.SLOTS - 1
    assert np.allclose(CHOLESKY(2.0 * good).solve(np.ones(3)), 0.5, rtol=1e-15)


@pytest.mark.parametrize("factorizer", [CHOLESKY, LDL])
def test_nonsymmetric_matrix_is_refused(factorizer):
    A = canonical(definite(30, float) + 0.3 * sparse.triu(definite(30, float, seed=1), k=1))
    with pytest.raises(adjoint.errors.NotSymmetric):
        factorizer(A).solve(np.ones(30))


def test_every_error_number_has_words():
    for error in (-1, -2, -3, -5, -6, -8, -13, -15):
        assert mkl.CAUSES[error] in str(mkl.failure(error, 11, 0, "LU"))
    assert "unknown" in str(mkl.failure(-99, 11, 0, "LU"))
    assert isinstance(mkl.failure(-4, 11, 0, "LU"), adjoint.errors.SingularMatrix)
    assert isinstance(mkl.failure(-7, -2, 0, "LDL"), adjoint.errors.SingularMatrix)
    assert isinstance(mkl.failure(-4, 4, 3, "Cholesky"), adjoint.errors.NotPositiveDefinite)


@pytest.mark.parametrize("phase", [11, 33])
def test_errors_of_every_phase_are_raised(monkeypatch, phase):
    """A test cannot exhaust MKL's memory; therefore the error number of MKL is replaced."""
    run = mkl.Pattern.run
    A = unsymmetric(20, float)
    LU.forget()
    f = LU(A) if phase == 33 else None

    def failing(self, pt, number, slot, iparm, a, b):
        x, error = run(self, pt, number, slot, iparm, a, b)
        return x, -2 if number == phase else error

    monkeypatch.setattr(mkl.Pattern, "run", failing)
    with pytest.raises(adjoint.errors.SolveError, match="not enough memory"):
        f.solve(np.ones(20)) if f else LU(A)


def test_too_many_entries_are_refused(monkeypatch):
    monkeypatch.setattr(factors, "LIMIT", 20)
    LU.forget()
    with pytest.raises(adjoint.errors.SolveError, match="32-bit"):
        LU(unsymmetric(15, float))


def test_the_evidence_names_the_backend_and_its_threads():
    f = LU(unsymmetric(10, float))
    assert f.evidence.backend.startswith("Pardiso (MKL 20")
    assert "thread" in f.evidence.backend


@pytest.mark.parametrize(
    ("fault", "match"), [(ImportError, "no mkl_rt"), (OSError, "no mkl_rt"), (None, "64-bit")]
)
def test_absence_is_named(monkeypatch, fault, match):
    class Solver:
        def __init__(self):
            if fault:
                raise fault("no mkl_rt")
            self.libmkl = {"MKL_Set_Interface_Layer": lambda layer: 1}

    # Now, because factors in tracebacks of earlier tests must be freed by the real library.
    gc.collect()
    monkeypatch.setattr(sys.modules["pypardiso"], "PyPardisoSolver", Solver)
    mkl.library.cache_clear()
    mkl.missing.cache_clear()
    try:
        with pytest.raises(adjoint.errors.BackendMissing, match=f"{match}.*pip install pypardiso"):
            LU(np.eye(2))
    finally:
        monkeypatch.undo()
        mkl.library.cache_clear()
        mkl.missing.cache_clear()
    LU(np.eye(2))


def test_threads_may_share_a_pattern():
    LU.forget()
    A = convection(20)
    b = np.ones(400)
    worst = []

    def work(k):
        for j in range(5):
            matrix = A * (1.0 + k + 0.1 * j)
            worst.append(error_of(matrix, LU(matrix).solve(b), b))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 20
    assert max(worst) <= 1e-13


def _in_child(f, results):
    try:
        LU(np.eye(3))
    except adjoint.errors.ForkedProcess:
        results.put("refused")
    del f  # Frees nothing: the memory is the parent's.
    LU.forget()
    gc.collect()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_is_refused_and_ends():
    f = LU(unsymmetric(20, float))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_in_child, args=(f, results))
    child.start()
    assert results.get(timeout=20) == "refused"
    child.join(20)
    assert child.exitcode == 0


@pytest.mark.parametrize("nodes", [200, 1000])
def test_regular_network_whose_fixed_pivots_cancel_is_factored_all_the_same(nodes):
    """[−D, B; Bᵀ, 0], B of ±1, is regular, but the pivots that Pardiso chose become zero."""
    rng = np.random.default_rng(1)
    pipes = [(i, rng.integers(max(0, i - 20), i)) for i in range(1, nodes)]
    pipes += [(i, rng.integers(max(0, i - 20), i)) for i in range(20, nodes, 2)]
    ends, m = np.array(pipes), len(pipes)
    values, rows = np.r_[np.ones(m), -np.ones(m)], np.r_[:m, :m]
    B = sparse.csr_array((values, (rows, ends.T.ravel())), shape=(m, nodes))[:, 1:]
    D = sparse.diags_array(0.2 * rng.uniform(0.5, 2.0, m))
    A = sparse.csc_array(sparse.block_array([[-D, B], [B.T, None]]))
    A.sort_indices()
    b = np.ones(A.shape[0])
    u = adjoint.lu(A).solve(b)
    assert np.abs(A @ u - b).max() <= 1e-12 * abs(A).sum(axis=1).max() * np.abs(u).max()


def test_no_module_outside_imports_the_binding():
    """`factorizers` is the entry; `factors` and `mkl` are private to the package."""
    root = Path(adjoint.__file__).parent
    inside = root / "factor" / "backends" / "pardiso"
    private = re.compile(r"pardiso(\.| import )(mkl|factors)\b|import pypardiso|from pypardiso")
    for path in root.rglob("*.py"):
        assert path.parent == inside or not private.search(path.read_text(encoding="utf-8")), path
