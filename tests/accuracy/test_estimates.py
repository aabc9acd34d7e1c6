"""Laws of error estimates: the estimate is the true error, whatever the solver and the units."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.accuracy import AccuracyStatus
from adjoint.factor.counts import Counts
from adjoint.steady.solution import SteadySolution
from scripts.benchmarks.accuracy import Inexact

N, M = 30, 4


class Weights:
    """J = Re(cᴴu) + ½ Σ w |u − d|²."""

    def __init__(self, c, w, d):
        self.c, self.w, self.d = c, w, d

    def value(self, u, p):
        return float((self.c.conj() * u).real.sum() + 0.5 * (self.w * abs(u - self.d) ** 2).sum())

    def gradients(self, u, p):
        return self.c + self.w * (u - self.d), np.zeros_like(p)


def spd(rng, condition=1e3):
    """A sparse symmetric positive definite matrix, and matrices of its pattern."""
    tri = sparse.diags_array(
        [-np.ones(N - 1), np.full(N, 2.2), -np.ones(N - 1)], offsets=(-1, 0, 1)
    )
    h = condition ** -rng.uniform(0.0, 0.5, N)
    A = sparse.csc_array(sparse.diags_array(h) @ tri @ sparse.diags_array(h))
    parts = [sparse.csc_array(sparse.diags_array(0.1 * h**2 * rng.random(N))) for _ in range(M)]
    return adjoint.Affine(A, parts)


def function(rng, factorize, A=None, shape=(N,), unit=1.0, dirichlet=None):
    """A linear problem with an objective that is not self-adjoint."""
    A = spd(rng) if A is None else A
    b, c, d = (rng.standard_normal(shape) for _ in range(3))
    w = rng.random(shape)
    J = Weights(c * unit, w * unit, d)
    return adjoint.Reduced(adjoint.LinearProblem(A, b, factorize, dirichlet), J)


def loose(rtol):
    return adjoint.cg(adjoint.factor.jacobi(), rtol=rtol, adjoint_rtol=rtol)


def with_factorizer(f, factorize):
    return replace(f, problem=replace(f.problem, factorize=factorize))


def errors(f, x, exact=adjoint.lu):
    """The estimate, and the true errors of the gradient and of the value."""
    point, truth = f(x), with_factorizer(f, exact)(x)
    found = point.accuracy()
    return found, point.gradient - truth.gradient, point.value - truth.value, truth


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("shape", [(N,), (N, 3)])
def test_accepted_estimates_are_the_true_error(rtol, shape):
    rng = np.random.default_rng(1)
    found, g_error, v_error, truth = errors(function(rng, loose(rtol), shape=shape), np.ones(M))
    assert found.status is AccuracyStatus.ACCEPTED
    assert 0.9 <= np.linalg.norm(g_error) / found.gradient_error <= 1.1
    assert 0.9 <= abs(v_error) / found.value_error <= 1.1
    corrected = np.linalg.norm(found.corrected_gradient - truth.gradient)
    assert corrected <= max(0.1 * found.gradient_error, 1e-13 * np.linalg.norm(truth.gradient))
    assert abs(found.corrected_value - truth.value) <= max(
        0.1 * found.value_error, 1e-13 * abs(truth.value)
    )


def test_direct_solves_are_at_rounding_level():
    rng = np.random.default_rng(2)
    f = function(rng, adjoint.lu)
    found = f(np.ones(M)).accuracy()
    assert found.status is AccuracyStatus.ROUNDING
    assert 0.0 < found.gradient_error <= 1e-11 * np.linalg.norm(f(np.ones(M)).gradient)
    assert found.value_status is AccuracyStatus.ROUNDING


def test_complex_nonsymmetric_matrices():
    rng = np.random.default_rng(3)
    skew = sparse.diags_array(
        [0.5 * np.ones(N - 1), 0.3j * np.ones(N), -0.2j * np.ones(N - 1)], offsets=(-1, 0, 1)
    )
    A = sparse.csc_array(spd(rng, 10.0)(np.zeros(M)) + skew)
    rtol = 1e-4
    factorize = adjoint.gmres(adjoint.factor.jacobi(), rtol=rtol, adjoint_rtol=rtol)
    b = rng.standard_normal((N, 2)) @ np.array([1.0, 1.0j])
    J = Weights(rng.standard_normal((N, 2)) @ np.array([1.0, 1.0j]), rng.random(N), b)

    class Load:
        def __call__(self, p):
            return b * p[0] + p[1]

        def vjp(self, p, lam):
            return np.array([np.vdot(b, lam).real, lam.sum().real])

        def jvp(self, p, p_dot):
            return b * p_dot[0] + p_dot[1]

    f = adjoint.Reduced(adjoint.LinearProblem(A, Load(), factorize), J)
    found, g_error, v_error, _ = errors(f, np.ones(2))
    assert found.status is AccuracyStatus.ACCEPTED
    assert 0.9 <= np.linalg.norm(g_error) / found.gradient_error <= 1.1
    assert 0.9 <= abs(v_error) / found.value_error <= 1.1


def test_dirichlet_data_and_a_design_map():
    rng = np.random.default_rng(4)
    fixed = adjoint.Dirichlet(np.array([0, 7]), np.array([1.0, -2.0]))
    f = function(rng, loose(1e-4), dirichlet=fixed)
    f = replace(f, design=adjoint.design.SIMP(penalty=3, minimum=1e-3))
    found, g_error, _, _ = errors(f, np.full(M, 0.7))
    assert found.status is AccuracyStatus.ACCEPTED
    assert 0.9 <= np.linalg.norm(g_error) / found.gradient_error <= 1.1


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_of_the_objective_do_not_matter(unit):
    plain = function(np.random.default_rng(5), loose(1e-4))(np.ones(M)).accuracy()
    scaled = function(np.random.default_rng(5), loose(1e-4), unit=unit)(np.ones(M)).accuracy()
    assert scaled.status is plain.status
    assert scaled.gradient_error == pytest.approx(unit * plain.gradient_error, rel=1e-6)
    assert scaled.value_error == pytest.approx(unit * plain.value_error, rel=1e-6)


@pytest.mark.parametrize("off", [1e-3, 1e-5, 1e-8])
def test_states_that_newton_left_early(off):
    rng = np.random.default_rng(6)
    d = rng.random(N) + 1.0
    residual = adjoint.complex_step_residual(lambda u, p: u**3 + d * u - p[0] * d - p[1], n=N, m=2)
    problem = adjoint.NonlinearProblem(residual, u0=np.ones(N))
    p = np.array([2.0, 0.5])
    J = Weights(rng.standard_normal(N), rng.random(N), np.zeros(N))
    exact = problem.solve(p)
    rough = problem.at(exact.u * (1.0 + 0.05 * off * rng.standard_normal(N)), p)
    truth = adjoint.Reduced(problem, J)(p)

    class Given:
        def solve(self, p):
            return rough

    point = adjoint.Reduced(Given(), J)(p)
    found = point.accuracy()
    assert found.status is AccuracyStatus.ACCEPTED
    error = np.linalg.norm(point.gradient - truth.gradient)
    assert 0.9 <= error / found.gradient_error <= 1.1
    assert 0.9 <= abs(point.value - truth.value) / found.value_error <= 1.1


def test_error_along_a_direction():
    f = function(np.random.default_rng(7), loose(1e-4))
    v = np.array([1.0, -2.0, 0.5, 3.0])
    _, g_error, _, _ = errors(f, np.ones(M))
    along = f(np.ones(M)).accuracy(v)
    assert along.status is AccuracyStatus.ACCEPTED
    assert along.gradient_error == pytest.approx(abs(g_error @ v), rel=0.1)
    with pytest.raises(ValueError, match="direction"):
        f(np.ones(M)).accuracy(np.ones(M + 1))


def test_estimates_factor_nothing_and_count_their_solves():
    f = function(np.random.default_rng(8), loose(1e-4))
    point = f(np.ones(M))
    _ = point.gradient
    with adjoint.counting() as counts:
        point.accuracy()
    # For a symmetric matrix the second transposed probe is the second plain probe, by reuse.
    assert (counts.numeric, counts.rhs) == (0, 7)


def test_compliance_reuses_solves():
    rng = np.random.default_rng(9)
    b = rng.standard_normal(N)
    f = adjoint.Reduced(
        adjoint.LinearProblem(spd(rng), b, loose(1e-3)), adjoint.LinearFunctional(b)
    )
    point = f(np.ones(M))
    _ = point.gradient
    with adjoint.counting() as counts:
        found = point.accuracy()
    assert counts.rhs <= 7
    truth = with_factorizer(f, adjoint.cholesky)(np.ones(M))
    assert found.status is AccuracyStatus.ACCEPTED
    error = np.linalg.norm(point.gradient - truth.gradient)
    assert 0.9 <= error / found.gradient_error <= 1.1


class Stale:
    """A linear problem that is solved by the factors of another matrix."""

    def __init__(self, problem, change):
        self.problem, self.change = problem, change

    def solve(self, p):
        A = self.problem.residual.jacobian(np.zeros(N), p)
        made = np.linalg.inv(A.toarray() + self.change)
        inverse = Inexact(lambda b, trans: (made if trans == "N" else made.T) @ b)
        u = inverse.solve(self.problem.residual.b(p))
        return SteadySolution(u, p, self.problem.residual, inverse, Counts())


def test_solvers_of_another_matrix_are_refused_or_right():
    rng = np.random.default_rng(10)
    f = function(rng, adjoint.lu)
    E = rng.standard_normal((N, N))
    truth = f(np.ones(M)).gradient
    seen = set()
    for change in 10.0 ** np.arange(-10.0, 1.0):
        point = replace(f, problem=Stale(f.problem, change * E))(np.ones(M))
        found = point.accuracy()
        seen.add(found.status)
        if found.status is AccuracyStatus.REFUSED:
            assert np.isnan([found.gradient_error, found.value_error]).all()
            assert np.isnan(found.corrected_gradient).all()
            assert "Remedy" in found.reason
        else:
            ratio = np.linalg.norm(point.gradient - truth) / found.gradient_error
            assert 0.5 <= ratio <= 2.0
    assert seen == {AccuracyStatus.ACCEPTED, AccuracyStatus.REFUSED}


def test_a_solve_that_fails_is_a_refusal():
    rng = np.random.default_rng(11)
    f = function(rng, adjoint.lu)

    class Failing:
        evidence = None

        def solve(self, b, trans="N"):
            raise adjoint.errors.KrylovStalled("100 iterations.")

    class Given:
        def solve(self, p):
            good = f.problem.solve(p)
            good.adjoint(f.objective.gradients(good.u, p)[0])
            return Broken(good)

    class Broken:
        def __init__(self, good):
            self.good, self.inverse = good, Failing()
            self.u, self.p, self.residual = good.u, good.p, good.residual
            self.adjoint, self.vjp, self.jvp, self.hvp = good.adjoint, good.vjp, good.jvp, good.hvp

    found = replace(f, problem=Given())(np.ones(M)).accuracy()
    assert found.status is AccuracyStatus.REFUSED
    assert "KrylovStalled" in found.reason


def test_one_unknown():
    A = adjoint.Affine(sparse.csc_array([[2.0]]), [sparse.csc_array([[1.0]])])
    f = adjoint.Reduced(
        adjoint.LinearProblem(A, np.array([3.0]), adjoint.lu), adjoint.LinearFunctional(np.ones(1))
    )
    found = f(np.array([1.0])).accuracy()
    assert found.status is AccuracyStatus.ROUNDING
    assert found.gradient_error <= 1e-14


def test_indicators_are_distributed_over_elements():
    f = function(np.random.default_rng(12), loose(1e-4), shape=(N, 2))
    found = f(np.ones(M)).accuracy()
    assert found.indicators.shape == (N,)
    # The sum with signs is the first-order error of J: the sum of magnitudes bounds it.
    assert found.value_error <= 1.1 * found.indicators.sum()
    dofs = np.stack([np.arange(N - 1), np.arange(1, N)], axis=1)
    dofs[0, 0] = -1
    assert found.element_indicators(dofs).sum() == pytest.approx(found.indicators[1:].sum())
    with pytest.raises(ValueError, match="dofs"):
        found.element_indicators(dofs + 1)
    with pytest.raises(TypeError, match="dofs"):
        found.element_indicators(dofs.astype(float))


def test_later_products_need_no_further_adjoint_solve():
    rng = np.random.default_rng(13)
    problem = adjoint.LinearProblem(spd(rng), rng.standard_normal(N), adjoint.lu)
    f = adjoint.Reduced(problem, adjoint.LinearFunctional(rng.standard_normal(N)))
    point = f(np.ones(M))
    before = point.hvp(np.ones(M))
    point.accuracy()
    with adjoint.counting() as counts:
        after = point.hvp(np.ones(M))
    assert np.allclose(after, before, rtol=1e-12)
    assert counts.rhs <= 2


def test_solutions_without_equations_are_named():
    class Plain:
        def solve(self, p):
            return self

        u, p = np.ones(2), np.ones(2)

        def vjp(self, u_bar):
            return u_bar

        def jvp(self, p_dot):
            return p_dot

    f = adjoint.Reduced(Plain(), adjoint.LinearFunctional(np.ones(2)))
    with pytest.raises(TypeError, match="Plain"):
        f(np.ones(2)).accuracy()


def test_text():
    found = function(np.random.default_rng(14), loose(1e-4))(np.ones(M)).accuracy()
    assert str(found).endswith(AccuracyStatus.ACCEPTED.value)
    assert len(repr(found)) < 900


@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10])
def test_evidence_of_linear_problems_has_a_free_estimate(rtol):
    f = function(np.random.default_rng(15), loose(rtol))
    point = f(np.ones(M))
    g = point.gradient
    exact = with_factorizer(f, adjoint.lu)(np.ones(M)).gradient
    free = point.solution.evidence.gradient_error
    error = np.linalg.norm(g - exact) / np.linalg.norm(exact)
    assert error <= 10.0 * free <= 1e6 * max(error, 1e-16)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_length_of_a_direction_only_scales_the_estimate(unit):
    rng = np.random.default_rng(12)
    point = function(rng, loose(1e-5))(np.ones(M))
    v = rng.standard_normal(M)
    estimate, scaled = point.accuracy(v), point.accuracy(unit * v)
    assert estimate.status is scaled.status is AccuracyStatus.ACCEPTED
    assert scaled.gradient_error == pytest.approx(unit * estimate.gradient_error, rel=1e-9)
