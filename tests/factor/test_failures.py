"""Failures: singular matrices, wrong symmetry, missing backends, forked processes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.factor import fork_safety

N = 8


def laplacian(n=N):
    return sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsc()


def convective():
    return sparse.csc_array(laplacian() + sparse.diags_array(0.3 * np.ones(N - 1), offsets=1))


def neumann(n=N):
    """The stiffness of rods without support: constants are in the kernel."""
    k = np.linspace(1.0, 2.0, n - 1) / 3.0
    D = sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    return sparse.csc_array(D.T @ sparse.diags_array(k) @ D)


AVAILABLE = {
    name: f for name, f in vars(factor).items() if isinstance(f, factor.Direct) and not f.missing()
} | {
    "lu": adjoint.lu,
    "cholesky": adjoint.cholesky,
    "ldl": adjoint.ldl,
}


@pytest.mark.parametrize("balanced", [True, False], ids=["balanced load", "load that moves it"])
@pytest.mark.parametrize("n", [8, 14, 40])
@pytest.mark.parametrize("factorize", AVAILABLE.values(), ids=AVAILABLE)
def test_body_without_support_is_singular(factorize, n, balanced):
    """With a balanced load the system has solutions, but not a unique one: it is refused, too."""
    b = np.arange(float(n)) - (0.5 * (n - 1) if balanced else 0.0)
    with pytest.raises(
        (adjoint.errors.SingularMatrix, adjoint.errors.NotPositiveDefinite), match="Usual causes"
    ):
        factorize(neumann(n)).solve(b)


@pytest.mark.parametrize("factorize", AVAILABLE.values(), ids=AVAILABLE)
@pytest.mark.parametrize(
    "A",
    [np.ones((3, 3)), np.diag([1.0, 1e-320, 1.0]) + np.eye(3)[::-1]],
    ids=["equal rows", "zero pivot"],
)
def test_equations_that_are_the_same_are_singular(factorize, A):
    with pytest.raises(
        (adjoint.errors.SingularMatrix, adjoint.errors.NotPositiveDefinite), match="Usual causes"
    ):
        factorize(sparse.csc_array(A)).solve(np.arange(1.0, 4.0))


@pytest.mark.parametrize("factorize", AVAILABLE.values(), ids=AVAILABLE)
def test_asymmetry_is_found_beside_a_penalty(factorize):
    """An entry of 1e20 makes a normwise backward error blind."""
    A = convective().tolil()
    A[0, 0] = 1e20
    A, b = sparse.csc_array(A), np.arange(1.0, N + 1)
    try:
        u = factorize(A).solve(b)
    except adjoint.errors.NotSymmetric:
        return
    np.testing.assert_allclose(u, np.linalg.solve(A.toarray(), b), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("factorize", AVAILABLE.values(), ids=AVAILABLE)
def test_determinant_of_a_matrix_that_is_not_as_stated_is_refused(factorize):
    A = convective()
    try:
        logdet = factorize(A).logdet()
    except adjoint.errors.NotSymmetric:
        return
    assert logdet == pytest.approx(np.linalg.slogdet(A.toarray())[1], rel=1e-12)


def test_errors_can_be_caught_by_their_kind():
    assert issubclass(adjoint.errors.NonFinite, ValueError)
    assert issubclass(adjoint.errors.BackendMissing, ImportError)
    for error in (
        adjoint.errors.SingularMatrix,
        adjoint.errors.NotPositiveDefinite,
        adjoint.errors.NotSymmetric,
        adjoint.errors.ForkedProcess,
    ):
        assert issubclass(error, adjoint.errors.SolveError)


def test_missing_backend_is_named_with_its_remedy():
    absent = factor.Direct(
        "LU by Nothing", "none", None, lambda: "nothing is not installed. pip install nothing"
    )
    with pytest.raises(
        adjoint.errors.BackendMissing, match=r"LU by Nothing: .*pip install nothing"
    ):
        absent(laplacian())
    fallback = factor.Fastest("LU", (absent, factor.superlu))
    np.testing.assert_allclose(laplacian() @ fallback(laplacian()).solve(np.ones(N)), np.ones(N))


def test_factorizer_that_fails_on_its_kth_call_ends_a_run_with_its_name():
    """At the start the user sees the error; at a trial point the line search handles it."""
    calls = []

    def failing(k):
        def factorize(A):
            calls.append(A)
            if len(calls) == k:
                raise adjoint.errors.SingularMatrix("as told")
            return adjoint.lu(A)

        return factorize

    J = adjoint.LeastSquares(np.zeros(N))
    for k in (1, 6):
        calls.clear()
        problem = adjoint.LinearProblem(
            adjoint.Affine(laplacian(), [laplacian()]), np.ones(N), failing(k)
        )
        f = adjoint.Reduced(problem, J)
        if k == 1:
            with pytest.raises(adjoint.errors.SingularMatrix, match="as told"):
                adjoint.minimize(f, np.ones(1), adjoint.optimize.SteepestDescent())
        else:
            states = []
            stop = adjoint.Stopping(iterations=2)
            result = adjoint.minimize(
                f, np.ones(1), adjoint.optimize.SteepestDescent(), stop=stop, callback=states.append
            )
            assert np.isnan(states[1].rejected[0])
            assert result.value < states[0].value


def test_processes_are_told_apart_by_their_number(monkeypatch):
    with pytest.raises(adjoint.errors.ForkedProcess, match="spawn"):
        fork_safety.same_process(os.getpid() + 1)
    monkeypatch.setattr(fork_safety._Threads, "owner", os.getpid() + 1)
    with pytest.raises(adjoint.errors.ForkedProcess, match="something threaded in process"):
        fork_safety.entering_threads("something threaded")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_factors_in_a_forked_child_are_refused():
    """In a separate process: the child of a test run would inherit threads."""
    script = """
import os, numpy, scipy.sparse, adjoint
factored = adjoint.factor.superlu(scipy.sparse.eye_array(3, format="csc"))
child = os.fork()
if child == 0:
    code = 0
    for act in (lambda: factored.solve(numpy.ones(3)), factored.logdet, factored.condition):
        try:
            act()
        except adjoint.errors.ForkedProcess as error:
            code += "spawn" in str(error)
    os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), factored.solve(numpy.ones(3)).sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["3", "3.0"]


@pytest.mark.parametrize(
    "factorize",
    [
        factor.pardiso,
        factor.pardiso_cholesky,
        factor.pardiso_ldl,
        factor.umfpack,
        factor.klu,
        factor.cholmod,
    ],
    ids=lambda direct: direct.label,
)
def test_a_backend_named_where_it_is_absent_is_an_error_with_its_remedy(factorize):
    if factorize.missing():
        with pytest.raises(adjoint.errors.BackendMissing, match="pip install"):
            factorize(np.eye(2))
    else:
        np.testing.assert_allclose(factorize(2.0 * np.eye(2)).solve(np.ones(2)), [0.5, 0.5])


@pytest.mark.parametrize("missing", ["symmetry", "evidence"])
def test_a_factorization_without_what_derivatives_need_is_named_at_once(missing):
    """Not at the gradient, by an AttributeError: the value alone needs `solve` only."""

    class Factored:
        def __init__(self, A):
            self.A = A
            for name in {"symmetry", "evidence"} - {missing}:
                setattr(self, name, "none")

        def solve(self, b, trans="N"):
            return np.linalg.solve(self.A.toarray(), b)

    A = adjoint.Constant(sparse.eye_array(2, format="csc"))
    problem = adjoint.LinearProblem(A, np.ones(2), lambda matrix: Factored(matrix))
    with pytest.raises(
        TypeError, match=f"without the attribute {missing}.*adjoint.factor.protocols"
    ):
        problem.solve(np.zeros(1))


@pytest.mark.parametrize("n", [3, 20, 60])
@pytest.mark.parametrize("factorize", AVAILABLE.values(), ids=AVAILABLE)
def test_rounding_errors_on_a_hermitian_diagonal_are_accepted(factorize, n):
    """B Bᴴ of BLAS has imaginary parts of 1e-16 on its diagonal; CHOLMOD calls it indefinite."""
    if getattr(factorize, "symmetry", "none") == "symmetric" or factorize is adjoint.ldl:
        pytest.skip("for symmetric matrices; this one is Hermitian")
    rng = np.random.default_rng(n)
    B = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    A = B @ B.conj().T + n * np.eye(n)
    A[np.diag_indices(n)] += 1e-15j * rng.standard_normal(n)
    A, b = sparse.csc_array(A), rng.standard_normal(n) + 0j
    factors = factorize(A)
    np.testing.assert_allclose(factors.solve(b), np.linalg.solve(A.toarray(), b), rtol=1e-10)


def test_imaginary_part_of_a_diagonal_is_not_dropped():
    """Above rounding a diagonal that is not real is an error, also of a determinant."""
    A = sparse.csc_array(laplacian() + 1e-6j * np.eye(N))
    with pytest.raises((adjoint.errors.NotSymmetric, adjoint.errors.NotPositiveDefinite)):
        adjoint.cholesky(A).solve(np.ones(N))
