"""Every solution is verified: refined once if it is inaccurate, and refused if that fails."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor

N = 30
FACTORIZERS = {
    "lu": factor.superlu,
    "cholesky": factor.superlu_cholesky,
    "ldl": factor.superlu_ldl,
    "fastest": adjoint.cholesky,
}
every = pytest.mark.parametrize("f", FACTORIZERS.values(), ids=FACTORIZERS)


def matrix(f):
    """A well-conditioned matrix, nonsymmetric only for LU."""
    A = sparse.random_array((N, N), density=0.15, rng=np.random.default_rng(0))
    return sparse.csc_array((A if f is factor.superlu else A @ A.T) + 4.0 * sparse.eye_array(N))


def right_hand_side(columns, complex):
    rng = np.random.default_rng(1)
    b = rng.standard_normal((N, *columns))
    return b + 1j * rng.standard_normal((N, *columns)) if complex else b


@dataclasses.dataclass(frozen=True, eq=False)
class Perturbed:
    """Factors whose solutions are off by a relative error."""

    inner: object
    error: float
    backend: str = "perturbed"

    def solve(self, b, trans):
        return self.inner.solve(b, trans) * (
            1.0 + self.error * np.cos(np.arange(b.shape[0]))[:, None]
        )

    def log_abs_det(self):
        return self.inner.log_abs_det()


def perturbed(f, error, A):
    exact = f(A)
    return dataclasses.replace(exact, factors=Perturbed(exact.factors, error))


@every
@pytest.mark.parametrize("trans", ["N", "H"])
def test_slightly_wrong_factors_are_refined_once(f, trans):
    factored = perturbed(f, 1e-8, matrix(f))
    b = right_hand_side((2,), True)
    with adjoint.counting() as counts:
        u = factored.solve(b, trans)
    assert counts.refinements == 1
    np.testing.assert_allclose(
        u, f(matrix(f)).solve(b, trans), rtol=0, atol=1e-12 * np.abs(u).max()
    )


def test_factors_of_a_matrix_that_is_not_as_stated_are_refused_for_that_reason():
    """Also if solutions are nan, which would look like a singular matrix."""
    f = factor.superlu_cholesky
    broken = dataclasses.replace(perturbed(f, np.nan, matrix(f)), A=matrix(factor.superlu))
    with pytest.raises(adjoint.errors.NotSymmetric, match="not hermitian"):
        broken.solve(np.ones(N))


@every
@pytest.mark.parametrize("error", [1e-2, np.nan, np.inf])
def test_hopeless_factors_are_refused(f, error):
    with pytest.raises(
        adjoint.errors.SolveError, match=r"(backward error of|singular).*Usual causes"
    ):
        perturbed(f, error, matrix(f)).solve(np.ones(N))


@every
def test_backward_error_of_a_wrong_solution_is_large(f):
    factored = f(matrix(f))
    b = right_hand_side((), False)
    u = factored.solve(b)
    assert factored.accepts(u, b)
    assert not factored.accepts(u + 1.0, b)


@every
def test_values_written_to_after_the_factorization_are_noticed(f):
    A = matrix(f)
    factored = f(A)
    A.data[:] = matrix(f).data * np.linspace(1.0, 2.0, A.nnz)
    with pytest.raises(adjoint.errors.InaccurateSolve):
        factored.solve(np.ones(N))


@pytest.mark.parametrize("exponent", [6.0, 10.0])
def test_unknowns_of_very_different_units_are_not_taken_for_singular(exponent):
    # D A D with D = 10^±6: displacements and electric potentials. Solutions are as good as for A.
    rng = np.random.default_rng(4)
    n = 40
    A = sparse.diags_array([-np.ones(n - 1), 2.5 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    D = sparse.diags_array(10.0 ** rng.choice([-exponent, exponent], n))
    scaled = sparse.csc_array(D @ A @ D)
    scaled.sort_indices()
    u = rng.standard_normal(n)
    for factorize in (factor.superlu, factor.superlu_cholesky):
        found = factorize(scaled).solve(scaled @ (u / D.diagonal()))
        np.testing.assert_allclose(found * D.diagonal(), u, rtol=1e-9, atol=1e-9)


def test_every_large_matrix_is_probed_for_singularity_and_asymmetry():
    """Not only the first matrix of a pattern: a design may come loose in any iteration."""
    n = 30_001
    A = sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsc()
    b = np.ones(n)
    problem = adjoint.LinearProblem(adjoint.Affine(None, [A]), b, factor.superlu_cholesky)
    factor.superlu_cholesky.forget()
    solutions = [problem.solve(np.array([p])) for p in (1.0, 2.0)]
    assert np.isfinite([solution.evidence.condition for solution in solutions]).all()
    np.testing.assert_allclose(solutions[1].vjp(b), -b @ solutions[1].u / 2.0)
    k = np.random.default_rng(0).uniform(0.5, 2.0, n - 1)  # A rod, insulated at both ends.
    free = sparse.diags_array(
        [-k, np.append(k, 0) + np.append(0, k), -k], offsets=[-1, 0, 1]
    ).tocsc()
    with pytest.raises(
        adjoint.errors.SingularMatrix, match=r"known only up to a constant .* all 30001 unknowns"
    ):
        factor.superlu(free).solve(np.eye(1, n, 0)[0] - np.eye(1, n, n - 1)[0])
    A[0, 1] = -1.5
    with pytest.raises(adjoint.errors.NotSymmetric):
        problem.factorize(A).solve(b)


@dataclasses.dataclass(frozen=True, eq=False)
class Stubborn:
    """Factors with an absolute error in each solution, which refinement does not remove."""

    inner: object
    error: np.ndarray
    backend: str = "stubborn"

    def solve(self, b, trans):
        return self.inner.solve(b, trans) + self.error[:, None]

    def log_abs_det(self):
        return self.inner.log_abs_det()


def stubborn(f, A, error):
    exact = f(A)
    return dataclasses.replace(exact, factors=Stubborn(exact.factors, error))


@every
@pytest.mark.parametrize("trans", ["N", "H"])
@pytest.mark.parametrize("error", [1e-8, 1e-6, 1e-4])
def test_solutions_that_stay_slightly_wrong_are_refused(f, trans, error):
    """A backward error of 10⁻⁹ after refinement is not due to rounding."""
    factored = stubborn(f, matrix(f), error * np.cos(np.arange(N)))
    with pytest.raises(adjoint.errors.InaccurateSolve, match="backward error"):
        factored.solve(np.ones(N), trans)


@pytest.mark.parametrize("error", [1e-5, 1e-3])
@pytest.mark.parametrize("trans", ["N", "T"])
def test_rows_that_stay_slightly_wrong_are_refused_beside_a_penalty(error, trans):
    """A penalty of 10¹⁵ makes normwise errors small; rowwise errors of other rows stay large."""
    A = matrix(factor.superlu).tolil()
    A[0, 0] = 1e15
    wrong = error * np.cos(np.arange(N))
    wrong[0] = 0.0
    factored = stubborn(factor.superlu, A.tocsc(), wrong)
    with pytest.raises(adjoint.errors.InaccurateSolve, match="backward error"):
        factored.solve(np.ones(N), trans)


@every
@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("complex", [False, True])
def test_factors_of_a_matrix_that_is_off_by_a_millionth_give_the_right_answer(f, trans, complex):
    """Stale factors, or a matrix that was modified: refinement gives the solution for A."""
    A = matrix(f)
    off = A.copy()
    off.data = off.data * (
        1.0 + 1e-6 * np.cos(A.indices + (A.T.tocsc().indices if f is factor.superlu else 0))
    )
    if f is not factor.superlu:
        off = sparse.csc_array((off + off.T) / 2)
    b = right_hand_side((3,), complex)
    found = dataclasses.replace(f(off), A=A).solve(b, trans)
    exact = np.linalg.solve({"N": A, "T": A.T, "H": A.conj().T}[trans].toarray(), b)
    assert np.abs(f(off).solve(b, trans) - exact).max() >= 1e-8 * np.abs(exact).max()
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10 * np.abs(exact).max())


@pytest.mark.parametrize(
    "f", [factor.superlu_cholesky, factor.superlu_ldl, adjoint.cholesky, adjoint.ldl]
)
@pytest.mark.parametrize("gap", [1e-8, 1e-6])
def test_a_matrix_that_is_asymmetric_by_a_millionth_is_not_symmetric(f, gap):
    A = matrix(f).tolil()
    i, j = (int(k[0]) for k in sparse.triu(matrix(f), k=1).nonzero())
    A[i, j] += gap * abs(matrix(f)).sum(axis=0).max()
    with pytest.raises(adjoint.errors.NotSymmetric):
        f(A.tocsc()).solve(np.ones(N))


@every
@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("trans", ["N", "H"])
def test_large_matrices_are_probed_by_a_column_of_the_first_solve(f, complex, trans, monkeypatch):
    monkeypatch.setattr("adjoint.factor.factorization.COMBINED_PROBE", 0)
    A, b = matrix(f), right_hand_side((2,), complex)
    factored = perturbed(f, 0.0, A)
    sizes = []

    def solve(columns, trans, inner=factored.factors.inner):
        sizes.append(columns.shape[1])
        return inner.solve(columns, trans)

    monkeypatch.setattr(Perturbed, "solve", lambda self, columns, trans: solve(columns, trans))
    found = [factored.solve(b, trans) for _ in range(2)]
    assert sizes == (
        [6, 4] if complex else [3, 2]
    )  # A is real: real and imaginary parts are columns.
    for u in found:
        np.testing.assert_allclose(A @ u if trans == "N" else A.T @ u, b, rtol=1e-12, atol=1e-12)
    assert np.isfinite(factored.evidence.condition)
