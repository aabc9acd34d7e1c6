"""The cost of values and gradients: factorizations, solves, and the time of each phase."""

import sys
import threading
from time import perf_counter

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.factor.counts import Counts, count_solve, phase
from problems.catalogue import CATALOGUE
from problems.finite_elements.grid import Grid
from problems.steady.elasticity import mbb, two_load_cantilever
from problems.steady.transport import advection_diffusion

SYMMETRIC = (
    "MBB beam, density filter, SIMP",
    "cantilever, Helmholtz filter, projection, RAMP",
    "3-D cantilever",
)


def work(counts):
    return counts.numeric, counts.solves, counts.transposed, counts.rhs


@pytest.mark.parametrize("cells", [(3, 2), (12, 9)], ids=["6 parameters", "108 parameters"])
def test_value_and_gradient_are_one_factorization_and_two_solves(cells):
    grid = Grid(cells, (0.1, 0.2))
    problem = advection_diffusion(grid, (1.0, -0.4), 0.7)
    f = adjoint.Reduced(problem, adjoint.LeastSquares(np.zeros(len(grid.nodes))))
    with adjoint.counting() as counts:
        point = f(np.ones(len(grid.elements)))
        assert work(counts) == (1, 1, 0, 1)
        assert np.isfinite(point.gradient).all()
        assert work(counts) == (1, 2, 1, 2)
        assert np.isfinite(point.gradient).all()
    assert work(counts) == (1, 2, 1, 2)
    assert counts.symbolic <= 1
    assert counts.refinements == 0


@pytest.mark.parametrize("name", SYMMETRIC)
def test_compliance_costs_no_transposed_solve(name):
    f, x = CATALOGUE[name]()
    f(x)  # A filter of its own is factored once, for good.
    physics = []

    def factorize(A):
        physics.append(adjoint.cholesky(A))
        return physics[-1]

    problem = adjoint.LinearProblem(f.problem.A, f.problem.b, factorize)
    point = adjoint.Reduced(problem, f.objective, f.design)(x)
    assert point.gradient.any()
    assert len(physics) == 1
    assert work(physics[0].counts) == (1, 1, 0, 1)


def test_compliance_of_several_load_cases_costs_no_transposed_solve():
    body = two_load_cantilever(6, 4)
    weights = np.array([0.3, 2.0])
    turned = adjoint.LinearFunctional(body.load * weights + body.load[:, ::-1])
    f = adjoint.Reduced(
        body.problem, adjoint.Sum([adjoint.Compliance(body.load), turned], [0.5, 2.0])
    )
    with adjoint.counting() as counts:
        point = f(np.linspace(0.5, 1.0, 24))
        g = point.gradient
    assert work(counts) == (1, 1, 0, 2)
    reference = adjoint.Reduced(adjoint.LinearProblem(body.K, body.load, adjoint.lu), f.objective)
    np.testing.assert_allclose(
        g, reference(point.x).gradient, rtol=1e-9, atol=1e-9 * np.abs(g).max()
    )


@pytest.mark.parametrize(
    "phase_of_load", [1.0, 1j, np.exp(0.7j)], ids=["real", "imaginary", "turned"]
)
def test_compliance_of_a_complex_symmetric_problem_costs_no_transposed_solve(phase_of_load):
    """Aᴴ is the conjugate of A: λ is the conjugate of the solution for the conjugate load."""
    rng = np.random.default_rng(0)
    n = 20
    A = [sparse.random_array((n, n), density=0.2, rng=rng) for _ in range(4)]
    A0, A1 = (sparse.csc_array(a + a.T + 1j * (b + b.T)) for a, b in (A[:2], A[2:]))
    b = rng.standard_normal(n) * phase_of_load
    matrix = adjoint.Affine(A0 + (4.0 + 1j) * sparse.eye_array(n), [A1])
    gradients = []
    for factorize in (adjoint.factor.superlu_ldl, adjoint.factor.superlu):
        f = adjoint.Reduced(adjoint.LinearProblem(matrix, b, factorize), adjoint.Compliance(b))
        with adjoint.counting() as counts:
            gradients.append(f(np.array([0.5])).gradient)
        assert counts.transposed == (0 if factorize is adjoint.factor.superlu_ldl else 1)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-12)


def test_other_objectives_of_a_symmetric_problem_are_solved_for():
    body = mbb(6, 3)
    J = adjoint.LinearFunctional(np.cos(np.arange(body.load.size)))
    with adjoint.counting() as counts:
        assert adjoint.Reduced(body.problem, J)(np.full(18, 0.7)).gradient.any()
    assert work(counts) == (1, 2, 1, 2)


@pytest.mark.parametrize("name", CATALOGUE)
def test_ten_objectives_are_one_block_solve(name):
    f, x = CATALOGUE[name]()
    point = f(x)
    assert point.gradient.any()
    rng = np.random.default_rng(1)
    objectives = [
        adjoint.LinearFunctional(rng.standard_normal(point.solution.u.shape)) for _ in range(10)
    ]
    before = point.solution.evidence.counts
    for other in point.of_each(objectives):
        assert other.gradient.shape == x.shape
    cost = point.solution.evidence.counts
    columns = 10 * point.solution.u[0].size
    sweeps = cost.transposed - before.transposed
    assert (cost.numeric, cost.solves - before.solves) == (before.numeric, sweeps)
    assert cost.rhs - before.rhs == sweeps * columns
    assert sweeps == 1 or (isinstance(f.problem, adjoint.NonlinearProblem) and sweeps <= 3)


def test_vjp_of_a_block_is_one_solve():
    f, x = CATALOGUE["dense block from entries"]()
    point = f(x)
    with adjoint.counting() as counts:
        point.solution.vjp(np.random.default_rng(2).standard_normal((6, 10)))
        point.solution.jvp(np.random.default_rng(2).standard_normal((12, 4)))
    assert work(counts) == (0, 2, 1, 14)


@pytest.mark.parametrize(
    "factorize", [adjoint.cholesky, adjoint.factor.superlu_cholesky], ids=["best", "SuperLU"]
)
def test_hundred_design_iterations_are_one_analysis_and_hundred_factorizations(factorize):
    body = mbb(12, 4)
    density = adjoint.design.DensityFilter(body.grid.centres, 1.5)
    problem = adjoint.LinearProblem(body.K, body.load, factorize)
    f = adjoint.Reduced(problem, adjoint.Compliance(body.load), density >> adjoint.design.SIMP(3.0))
    volume = adjoint.optimize.LinearConstraint.volume(density, np.ones(48), 0.5)
    factorize.forget()
    with adjoint.counting() as counts:
        for state in adjoint.descend(
            f, np.full(48, 0.5), adjoint.optimize.OptimalityCriteria(volume)
        ):
            if state.iteration == 100:
                break
    assert counts.symbolic == 1
    assert work(counts) == (100, 100, 0, 100)


def test_phases_exclude_each_other():
    f, x = CATALOGUE["advection-diffusion-reaction, boundary values of p"]()
    start = perf_counter()
    with adjoint.counting() as counts:
        assert f(x).gradient.any()
    elapsed = perf_counter() - start
    assert {"assembly", "factor", "solve", "design"} <= set(counts.seconds)
    assert min(counts.seconds.values()) >= 0.0
    assert sum(counts.seconds.values()) <= elapsed


def test_inner_phase_is_not_charged_to_the_outer_one(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 7.0])
    monkeypatch.setattr(sys.modules["adjoint.factor.counts"], "perf_counter", lambda: next(clock))
    with adjoint.counting() as counts, phase("outer"), phase("inner"):
        pass
    assert counts.seconds == {"outer": 1.0 + 4.0, "inner": 2.0}


def test_nested_counters_see_the_same_work_each():
    A = sparse.eye_array(3)
    with adjoint.counting() as outer:
        adjoint.lu(A).solve(np.ones(3))
        with adjoint.counting() as inner:
            adjoint.lu(A).solve(np.ones((3, 2)), "T")
    adjoint.lu(A).solve(np.ones(3))
    assert work(inner) == (1, 1, 1, 2)
    assert work(outer) == (2, 2, 1, 3)


def test_counting_ends_with_an_error():
    factored = adjoint.lu(sparse.eye_array(2))
    with adjoint.counting() as counts, pytest.raises(adjoint.errors.NonFinite):
        factored.solve(np.full(2, np.nan))
    count_solve(False, 1, Counts())
    assert counts.solves == 0


def test_threads_are_counted_together_but_each_solution_by_itself():
    """The evidence of a solution counts only the work for this solution, not of other threads."""
    start, solutions = threading.Barrier(4), []

    def run(seed):
        rng = np.random.default_rng(seed)
        A = sparse.csc_array(
            sparse.random_array((60, 60), density=0.1, rng=rng) + 5.0 * sparse.eye_array(60)
        )
        problem = adjoint.LinearProblem(A, rng.standard_normal(60), adjoint.factor.superlu)
        start.wait()
        for _ in range(20):
            solution = problem.solve(np.zeros(1))
            solution.vjp(rng.standard_normal((60, 3)))
            solutions.append(solution)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    with adjoint.counting() as counts:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert work(counts) == (80, 160, 80, 320)
    assert {work(solution.evidence.counts) for solution in solutions} == {(1, 2, 1, 4)}


def test_compliance_with_homogeneous_dirichlet_data_needs_no_transposed_solve():
    A = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(12, 12)).tocsc()
    b = np.arange(12.0)
    b[[0, 11]] = 0.0
    fixed = adjoint.Dirichlet(np.array([0, 11]), np.zeros(2))
    problem = adjoint.LinearProblem(adjoint.Affine(None, [A]), b, adjoint.cholesky, fixed)
    with adjoint.counting() as counts:
        point = adjoint.Reduced(problem, adjoint.Compliance(b))(np.array([2.0]))
        assert point.gradient[0] == pytest.approx(-point.value / 2.0)  # u ~ 1/p
    assert (counts.numeric, counts.solves, counts.transposed) == (1, 1, 0)
