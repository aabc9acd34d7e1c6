"""Krylov solvers refuse diverged iterates, and errors that a small residual hides."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.factor import amg, cg, gmres, ilu, jacobi
from tests.fixtures.matrices import chain

SOLVERS = {
    "cg-jacobi": cg(jacobi()),
    "cg-amg": cg(amg()),
    "gmres-jacobi": gmres(jacobi(), restart=100),
    "gmres-ilu": gmres(ilu()),
}
every = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
N = 50


def insulated(n=N):
    return adjoint.Elements(chain(n), np.array([[1.0, -1.0], [-1.0, 1.0]]))


def source(sink, n=N):
    b = np.zeros(n)
    b[0], b[-1] = 1.0, -sink
    return b


@every
@pytest.mark.parametrize("sink", [0.9, 1.0 - 1e-6, 1.0])
def test_singular_systems_are_refused_consistent_or_not(solver, sink):
    s = np.random.default_rng(0).uniform(0.5, 2.0, N - 1)
    with pytest.raises(adjoint.errors.SolveError, match=r"singular|relative residual"):
        adjoint.LinearProblem(insulated(), source(sink), solver).solve(s)


@every
def test_large_singular_systems_are_refused_without_a_direct_factorization(solver, monkeypatch):
    """Large matrices are not factored for a diagnosis: the iteration shows that A is singular."""
    monkeypatch.setattr("adjoint.factor.krylov_solves.DIAGNOSED", 0)
    monkeypatch.setattr("adjoint.factor.diagnosis.DIAGNOSED", 0)
    A = insulated()(np.random.default_rng(0).uniform(0.5, 2.0, N - 1))
    for sink in (0.9, 1.0):
        with pytest.raises(adjoint.errors.SolveError):
            solver(A).solve(source(sink))


@pytest.mark.parametrize("seed", range(6))
def test_newton_does_not_take_a_diverged_correction_for_a_step(seed):
    def rod(u, p):
        flux = p * np.diff(u) * (1 + 0.1 * np.diff(u) ** 2)
        return np.append(0, flux) - np.append(flux, 0) - np.array([1.0, 0, 0, 0, -0.9])

    problem = adjoint.NonlinearProblem(
        adjoint.complex_step_residual(rod, n=5, m=4), np.zeros(5), cg(jacobi())
    )
    with pytest.raises(adjoint.SolveError):
        problem.solve(np.random.default_rng(seed).uniform(0.5, 2.0, 4))


def conductor(n, ratio, wind=0.0, phase=0.0):
    """A rod from 0 to 1 whose middle third hangs on weaker links; wind makes it nonsymmetric."""
    k = np.ones(n + 1)
    k[n // 3] = k[2 * n // 3] = 1.0 / ratio
    A = sparse.diags_array(
        [-k[1:-1] * (1 + wind), k[:-1] + k[1:], -k[1:-1] * (1 - wind)], offsets=[-1, 0, 1]
    )
    turn = sparse.diags_array(np.exp(1j * phase * np.arange(n)))
    A = sparse.csc_array(turn @ A @ turn.conj()) if phase else sparse.csc_array(A)
    b = np.zeros(n, dtype=A.dtype)
    b[-1] = k[-1] * (turn.diagonal()[-1] if phase else 1.0)
    return A, b


@every
@pytest.mark.parametrize("ratio", [1e8, 1e10, 1e11])
@pytest.mark.parametrize("phase", [0.0, 0.1])
def test_an_island_in_an_insulating_medium_has_its_temperature(solver, ratio, phase):
    """Its equation contributes 10⁻¹⁰ to the norm of the residual; 0 was returned instead of ½."""
    n = 60
    A, b = conductor(n, ratio, phase=phase)
    factored = solver(A)
    for trans in ("N", "H"):
        u = factored.solve(b, trans)
        np.testing.assert_allclose(np.abs(u[n // 3 : 2 * n // 3]), 0.5, rtol=1e-2)
    assert factored.evidence.condition >= 1e-2 * ratio


@pytest.mark.parametrize(
    "solver", [gmres(jacobi(), restart=100), gmres(ilu())], ids=["jacobi", "ilu"]
)
@pytest.mark.parametrize("trans", ["N", "T"])
def test_an_island_in_a_stream_has_its_temperature(solver, trans):
    A, b = conductor(60, 1e10, wind=1e-11)
    exact = np.linalg.solve(A.toarray() if trans == "N" else A.toarray().T, b)
    np.testing.assert_allclose(solver(A).solve(b, trans), exact, atol=1e-2)


def test_gradients_through_an_island_are_those_of_factors():
    n = 31
    ends = np.concatenate([[[-1, 0]], chain(n), [[n - 1, -1]]])
    K = adjoint.Elements(ends, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    k = np.ones(n + 1)
    k[[10, 20]] = 1e-10
    J = adjoint.LinearFunctional(np.eye(n)[15])
    load = np.eye(n)[-1]
    values, gradients = [], []
    for solver in (cg(jacobi()), adjoint.cholesky):
        point = adjoint.Reduced(adjoint.LinearProblem(K, load, solver), J)(k)
        values.append(point.value)
        gradients.append(point.gradient)
    np.testing.assert_allclose(values[0], values[1], rtol=1e-2)
    np.testing.assert_allclose(
        gradients[0], gradients[1], rtol=2e-2, atol=1e-2 * np.abs(gradients[1]).max()
    )


def test_loose_tolerances_stay_loose_and_are_not_probed():
    """Steps of an outer iteration need no probe: a probe would cost more than a step."""
    A, b = conductor(60, 1.0)
    factored = cg(jacobi(), rtol=1e-2)(A)
    factored.solve(b)
    assert factored.counts.krylov <= 60
    assert np.isnan(factored.evidence.condition)


def test_the_probe_costs_less_than_a_solve_and_is_made_once():
    side = 40
    T = sparse.diags_array(
        [-np.ones(side - 1), 2.0 * np.ones(side), -np.ones(side - 1)], offsets=[-1, 0, 1]
    )
    A = sparse.csc_array(
        sparse.kron(T, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), T)
    )
    A.sum_duplicates()
    b = np.random.default_rng(0).standard_normal(side**2)
    for solver in (cg(jacobi()), cg(amg()), gmres(ilu())):
        factored = solver(A)
        factored.solve(b)
        first = factored.counts.krylov
        factored.solve(b)
        second = factored.counts.krylov - first
        assert second < first <= 1.75 * second
        assert factored.counts.solves == 2


@dataclasses.dataclass(frozen=True, eq=False)
class Missing:
    """An iteration that ends with a given relative residual, for any tolerance."""

    exact: np.ndarray
    residual: float

    def __call__(self, A, b, M, rtol):
        x = np.linalg.solve(self.exact, b)
        away = np.random.default_rng(1).standard_normal(b.size)
        return x + np.linalg.solve(self.exact, self.residual * away / np.linalg.norm(away)), 1


@pytest.mark.parametrize(
    ("factor_of_rtol", "accepted"), [(1.5, True), (3.0, False), (100.0, False), (1e4, False)]
)
def test_a_residual_above_twice_its_tolerance_is_no_solution(factor_of_rtol, accepted):
    """The true residual decides. Rounding errors are about 10⁻¹⁵, not 10⁻⁷."""
    A = np.diag(np.linspace(1.0, 3.0, 20)) + 0.1 * np.eye(20, k=3)
    broken = dataclasses.replace(gmres(jacobi()), iteration=Missing(A, factor_of_rtol * 1e-10))
    factored = broken(sparse.csc_array(A))
    if accepted:
        np.testing.assert_allclose(factored.solve(A @ np.ones(20)), 1.0, rtol=1e-8)
    else:
        with pytest.raises(adjoint.errors.KrylovStalled):
            factored.solve(np.ones(20))


@pytest.mark.parametrize("rtol", [1e-10, 1e-3])
def test_a_diverged_iterate_excuses_no_residual_by_its_size(rtol):
    """‖|A||u|‖ is at most κ ‖b‖: for 10¹⁶ ‖b‖ rounding would explain any residual."""
    A = insulated()(np.random.default_rng(0).uniform(0.5, 2.0, N - 1))

    def diverged(matrix, b, M, rtol):
        return 1e16 + np.random.default_rng(0).standard_normal(N), 1000

    broken = dataclasses.replace(cg(jacobi(), rtol=rtol), iteration=diverged)
    with pytest.raises(adjoint.errors.SolveError):
        broken(A).solve(source(0.9))
