"""Every case of the catalogue.

Its gradient is the derivative, its tangent and its adjoint are transposes.
"""

from functools import cache

import numpy as np
import pytest
from scipy.sparse.linalg import lsqr, svds

import adjoint
from problems.catalogue import CATALOGUE
from problems.steady.elasticity import mbb

EPS = float(np.finfo(float).eps)

every_case = pytest.mark.parametrize("name", CATALOGUE)


@cache
def at(name):
    """The function, the point, and du/dp built densely.

    One dense solve a parameter, no adjoint in it.
    """
    f, x = CATALOGUE[name]()
    point = f(x)
    residual, u, p = point.solution.residual, point.solution.u, point.p
    jacobian = residual.jacobian(u, p).toarray()
    columns = []
    for unit in np.eye(p.size):
        rate = residual.jvp(u, p, unit)
        columns.append(-np.linalg.solve(jacobian, rate).ravel())
    return f, point, np.array(columns).T, np.linalg.cond(jacobian)


def random_like(u, rng):
    w = rng.standard_normal(u.shape)
    return w + 1j * rng.standard_normal(u.shape) if u.dtype.kind == "c" else w


@every_case
def test_taylor_remainder_is_second_order(name):
    f, point, _, _ = at(name)
    report = adjoint.check(f, point.x, seed=1)
    assert report.orders[1] >= 1.9, report.table()
    assert report.relative_error <= 1e-8, report.table()
    assert report.dot_product_error <= 1e-12, report.table()
    assert report.ok


@every_case
def test_gradient_agrees_with_central_differences_in_each_component(name):
    f, point, _, _ = at(name)
    h = EPS ** (1 / 3)
    chosen = np.random.default_rng(7).choice(point.x.size, min(4, point.x.size), replace=False)
    for i in chosen:
        step = h * np.eye(point.x.size)[i]
        difference = (f(point.x + step).value - f(point.x - step).value) / (2 * h)
        scale = np.abs(point.gradient).max() + abs(point.value)
        assert abs(point.gradient[i] - difference) <= 1e-7 * scale


@every_case
def test_residual_vanishes_at_the_solution(name):
    _, point, _, _ = at(name)
    u = point.solution.u
    r = point.solution.residual.residual(u, point.p)
    norm = np.abs(point.solution.residual.jacobian(u, point.p).toarray()).sum(axis=1).max()
    assert np.abs(r).max() <= 1e-13 * norm * np.abs(u).max()


@every_case
def test_derivative_agrees_with_dense_solves(name):
    _, point, D, condition = at(name)
    operator = point.solution.derivative
    assert operator.shape == D.shape
    tolerance = 50 * EPS * condition * np.abs(D).max() * max(D.shape)
    rng = np.random.default_rng(2)
    V = rng.standard_normal((D.shape[1], 3))
    W = rng.standard_normal((D.shape[0], 3)) + 1j * rng.standard_normal((D.shape[0], 3))
    np.testing.assert_allclose(operator @ V, D @ V, rtol=0, atol=tolerance)
    np.testing.assert_allclose(operator @ (1j * V), 1j * (D @ V), rtol=0, atol=tolerance)
    np.testing.assert_allclose(operator.H @ W, D.conj().T @ W, rtol=0, atol=tolerance)
    np.testing.assert_allclose(operator.T @ W[:, 0], D.T @ W[:, 0], rtol=0, atol=tolerance)
    assert (operator @ V[:, 0]).shape == (D.shape[0],)


@every_case
def test_gradient_agrees_with_dense_chain_rule(name):
    f, point, D, condition = at(name)
    u_bar, p_bar = f.objective.gradients(point.solution.u, point.p)
    dense = f.design.vjp(point.x, (D.conj().T @ u_bar.ravel()).real + p_bar)
    tolerance = 50 * EPS * condition * D.shape[0] * np.abs(dense).max()
    np.testing.assert_allclose(point.gradient, dense, rtol=0, atol=tolerance)
    assert point.gradient.dtype == np.float64


@every_case
def test_tangent_is_the_derivative_of_the_state(name):
    f, point, _, _ = at(name)
    p_dot = np.random.default_rng(3).standard_normal(point.p.size)
    h = 1e-5
    ahead, behind = (f.problem.solve(point.p + s * h * p_dot).u for s in (1, -1))
    rate = point.solution.jvp(p_dot)
    assert rate.shape == point.solution.u.shape
    assert np.abs((ahead - behind) / (2 * h) - rate).max() <= 1e-5 * np.abs(rate).max()


@every_case
def test_tangent_and_adjoint_are_transposes(name):
    _, point, _, _ = at(name)
    rng = np.random.default_rng(4)
    for _ in range(3):
        v, w = rng.standard_normal(point.p.size), random_like(point.solution.u, rng)
        Dv, Dw = point.solution.jvp(v), point.solution.vjp(w)
        assert abs(np.vdot(w, Dv).real - Dw @ v) <= 1e-12 * np.linalg.norm(Dv) * np.linalg.norm(w)


@every_case
def test_directional_derivative_is_gradient_times_direction(name):
    _, point, _, _ = at(name)
    x_dot = np.random.default_rng(5).standard_normal(point.x.size)
    scale = np.linalg.norm(point.gradient) * np.linalg.norm(x_dot)
    assert abs(point.jvp(x_dot) - point.gradient @ x_dot) <= 1e-10 * scale


@every_case
def test_blocks_equal_columns(name):
    _, point, _, condition = at(name)
    rng = np.random.default_rng(6)
    U = np.stack([random_like(point.solution.u, rng) for _ in range(3)], axis=-1)
    P = rng.standard_normal((point.p.size, 3))
    tolerance = 1e3 * EPS * condition
    gradients, rates, lam = point.solution.vjp(U), point.solution.jvp(P), point.solution.adjoint(U)
    assert gradients.shape == (point.p.size, 3)
    assert rates.shape == lam.shape == (*point.solution.u.shape, 3)
    for j in range(3):
        g, rate = point.solution.vjp(U[..., j]), point.solution.jvp(P[:, j])
        assert np.abs(gradients[:, j] - g).max() <= tolerance * np.abs(g).max()
        assert np.abs(rates[..., j] - rate).max() <= tolerance * np.abs(rate).max()
        assert (
            np.abs(lam[..., j] - point.solution.adjoint(U[..., j])).max()
            <= tolerance * np.abs(lam).max()
        )


@pytest.mark.parametrize(
    "name", ["Helmholtz with absorbing layer", "advection-diffusion-reaction, boundary values of p"]
)
def test_derivative_serves_svds_and_lsqr(name):
    _, point, D, _ = at(name)
    start = np.ones(min(D.shape))
    largest = svds(point.solution.derivative, k=2, v0=start, return_singular_vectors=False)
    np.testing.assert_allclose(
        np.sort(largest)[::-1], np.linalg.svd(D, compute_uv=False)[:2], rtol=1e-9
    )
    rhs = D @ np.linspace(1.0, 2.0, D.shape[1])
    fit = lsqr(point.solution.derivative, rhs, damp=0.1, atol=1e-13, btol=1e-13, iter_lim=2000)[0]
    gram = D.conj().T @ D + 0.01 * np.eye(D.shape[1])
    np.testing.assert_allclose(fit, np.linalg.solve(gram, D.conj().T @ rhs), rtol=1e-6, atol=1e-8)


@every_case
def test_objectives_at_one_point_have_their_own_gradients(name):
    f, point, _, condition = at(name)
    u = point.solution.u
    rng = np.random.default_rng(8)
    objectives = [adjoint.LinearFunctional(random_like(u, rng)) for _ in range(3)]
    together = point.of_each(objectives)
    for J, other in zip(objectives, together, strict=True):
        alone = f.of(J)(point.x)
        assert other.value == pytest.approx(alone.value, rel=1e-12)
        np.testing.assert_allclose(
            other.gradient,
            alone.gradient,
            rtol=0,
            atol=1e3 * EPS * condition * np.abs(alone.gradient).max(),
        )
        np.testing.assert_allclose(
            point.of(J).gradient,
            other.gradient,
            rtol=0,
            atol=1e3 * EPS * condition * np.abs(other.gradient).max(),
        )


@every_case
def test_transposed_solves_of_a_solution_are_those_of_its_jacobian(name):
    _, point, _, condition = at(name)
    jacobian = point.solution.residual.jacobian(point.solution.u, point.p).toarray()
    b = np.random.default_rng(9).standard_normal((jacobian.shape[0], 2)) * (1.0 + 1j)
    for trans, dense in (("N", jacobian), ("T", jacobian.T), ("H", jacobian.conj().T)):
        expected = np.linalg.solve(dense, b)
        np.testing.assert_allclose(
            point.solution.inverse.solve(b, trans),
            expected,
            rtol=0,
            atol=1e3 * EPS * condition * np.abs(expected).max(),
        )


def test_what_callers_do_to_their_arrays_afterwards_changes_no_derivative():
    f, x = CATALOGUE["MBB beam, density filter, SIMP"]()
    expected = f(x).gradient
    mine = x.copy()
    point = f(mine)
    mine[:] = 1.0
    np.testing.assert_array_equal(point.gradient, expected)
    w = np.cos(np.arange(point.solution.u.size))
    before = point.solution.vjp(w)
    lam = point.solution.adjoint(w)
    lam[:] = 0.0
    np.testing.assert_array_equal(point.solution.vjp(w), before)


def test_problem_without_parameters_is_solved_and_has_empty_derivatives():
    f, _ = CATALOGUE["random complex nonsymmetric, affine"]()
    A = f.problem.A(np.ones(4))
    solution = adjoint.LinearProblem(A, np.ones(30)).solve(np.zeros(0))
    np.testing.assert_allclose(A @ solution.u, 1.0)
    assert solution.vjp(np.ones((30, 3))).shape == (0, 3)
    assert solution.vjp(np.ones(30)).shape == (0,)
    assert not solution.jvp(np.zeros(0)).any()
    assert solution.jvp(np.zeros((0, 2))).shape == (30, 2)
    assert solution.vjp(np.ones((30, 0))).shape == (0, 0)


def test_points_and_solutions_say_what_they_are():
    f, x = CATALOGUE["MBB beam, density filter, SIMP"]()
    point = f(x)
    assert "gradient not computed" in repr(point)
    assert "u: float64" in repr(point.solution)
    assert point.gradient.any()
    assert "gradient known" in repr(point)
    assert "analyses" in str(point.solution.evidence)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_loads_of_extreme_scale_are_recombined_or_solved_for(scale):
    body = mbb(6, 3)
    dual = np.cos(np.arange(body.load.size))
    gradients = []
    for size in (1.0, scale):
        problem = adjoint.LinearProblem(body.K, size * body.load, adjoint.cholesky)
        gradients.append(
            adjoint.Reduced(problem, adjoint.LinearFunctional(dual))(np.full(18, 0.7)).gradient
            / size
        )
    np.testing.assert_allclose(
        gradients[1], gradients[0], rtol=1e-9, atol=1e-12 * np.abs(gradients[0]).max()
    )


def test_catalogue_holds_the_cases_that_find_a_missing_transpose():
    cases = {name: at(name) for name in CATALOGUE}
    matrices = {
        name: pt.solution.residual.jacobian(pt.solution.u, pt.p)
        for name, (f, pt, _, _) in cases.items()
    }
    assert any(
        abs(A - A.T).max() > 0.1 * abs(A).max() for A in matrices.values() if A.dtype.kind == "f"
    )
    assert any(
        abs(A - A.conj().T).max() > 0.1 * abs(A).max()
        for A in matrices.values()
        if A.dtype.kind == "c"
    )
    assert any(point.solution.u.ndim == 2 for _, point, _, _ in cases.values())
    assert any(f.problem.dirichlet is not None for f, _, _, _ in cases.values())
