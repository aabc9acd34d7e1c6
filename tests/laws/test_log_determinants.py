"""Log-determinants of the matrices of every linear problem of the catalogue.

Values are those of dense matrices, gradients are derivatives, Hessians are symmetric.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import adjoint
from adjoint.determinant import Hutchinson, LogDeterminant, PlusLogDeterminant
from problems.catalogue import CATALOGUE

EPS = float(np.finfo(float).eps)


def _is_linear(name):
    return isinstance(CATALOGUE[name]()[0].problem, adjoint.LinearProblem)


LINEAR = [name for name in CATALOGUE if _is_linear(name)]
every_case = pytest.mark.parametrize("name", LINEAR)


def bilinear_rate(p, data_bar, p_dot):
    """The derivative of the pullback of the entries p_i p_{n+j}, which is linear in p."""
    n = p.size // 2
    grid = data_bar.reshape(n, n).T
    return np.concatenate([grid @ p_dot[n:], grid.T @ p_dot[:n]])


@cache
def case(name):
    """Return the log-determinant, its value at a design with derivatives, and the objective."""
    f, x = CATALOGUE[name]()
    problem = f.problem
    if isinstance(problem.A, adjoint.Entries):
        problem = replace(problem, A=replace(problem.A, pullback_rate=bilinear_rate))
    g = LogDeterminant(problem.A, problem.factorize, f.design, problem.dirichlet)
    return g, g(x), replace(f, problem=problem)


def free_block(g, p):
    """Return A(p) for the free unknowns, dense, and their numbers."""
    D = g.A(p).toarray()
    free = np.arange(D.shape[0]) if g.dirichlet is None else g.dirichlet.free(D.shape[0])
    return D[np.ix_(free, free)], free


@every_case
def test_value_and_phase_are_those_of_the_dense_matrix(name):
    g, point, _ = case(name)
    phase, log = np.linalg.slogdet(free_block(g, point.p)[0])
    assert abs(point.value - log) <= 1e-12 * max(1.0, abs(log))
    assert abs(point.phase - phase) <= 1e-10


@every_case
def test_gradient_is_the_trace_of_the_inverse_times_the_rate(name):
    """Dense: df/dp ṗ = Re tr(A⁻¹ ∂A/∂p ṗ), the rate column by column of A."""
    g, point, _ = case(name)
    D, free = free_block(g, point.p)
    x_dot = np.random.default_rng(5).standard_normal(point.x.size)
    p_dot = np.asarray(g.design.jvp(point.x, x_dot))
    units = np.eye(g.A(point.p).shape[0])
    rate = np.asarray(g.A.jvp(point.p, units, p_dot))[np.ix_(free, free)]
    expected = np.trace(np.linalg.solve(D, rate)).real
    scale = np.abs(point.gradient) @ np.abs(x_dot)
    tolerance = 10 * EPS * np.linalg.cond(D) + 1e-12
    assert abs(point.gradient @ x_dot - expected) <= tolerance * scale
    assert abs(point.jvp(x_dot) - expected) <= tolerance * scale


@every_case
def test_taylor_remainders_are_of_second_and_third_order(name):
    g, point, _ = case(name)
    report = adjoint.check(g, point.x, seed=1)
    assert report.orders[1] >= 1.9, report.table()
    assert report.relative_error <= 1e-8, report.table()
    assert report.ok
    assert adjoint.check_hvp(g, point.x, seed=2).ok


@every_case
def test_gradient_agrees_with_central_differences_in_each_component(name):
    g, point, _ = case(name)
    h = EPS ** (1 / 3)
    chosen = np.random.default_rng(7).choice(point.x.size, min(4, point.x.size), replace=False)
    for i in chosen:
        step = h * np.eye(point.x.size)[i]
        difference = (g(point.x + step).value - g(point.x - step).value) / (2 * h)
        scale = np.abs(point.gradient).max() + abs(point.value)
        assert abs(point.gradient[i] - difference) <= 1e-7 * scale


@every_case
def test_hessians_are_symmetric_and_blocks_equal_columns(name):
    _, point, _ = case(name)
    V = np.random.default_rng(3).standard_normal((point.x.size, 2))
    HV = point.hvp(V)
    v, w = V.T
    scale = np.linalg.norm(HV) * np.linalg.norm(V)
    assert abs(v @ HV[:, 1] - w @ HV[:, 0]) <= 1e-10 * scale
    np.testing.assert_allclose(point.hvp(v), HV[:, 0], rtol=0, atol=1e-10 * np.abs(HV).max())


@every_case
def test_estimated_products_are_within_their_standard_errors(name):
    g, point, _ = case(name)
    estimated = replace(g, second_derivatives=Hutchinson(400, 1))(point.x)
    v = np.random.default_rng(4).standard_normal(point.x.size)
    product, error = estimated.hvp_with_error(v)
    exact = point.hvp(v)
    deviations = np.abs(product - exact) / (error + 1e-12 * np.abs(exact).max())
    assert deviations.max() <= 5.0
    assert np.mean(deviations) <= 1.5


@every_case
def test_an_objective_plus_the_determinant_has_the_sum_of_the_derivatives(name):
    _, point, f = case(name)
    plus = PlusLogDeterminant(f, -0.7)
    both, alone = plus(point.x), f(point.x)
    value, gradient = alone.value - 0.7 * point.value, alone.gradient - 0.7 * point.gradient
    assert abs(both.value - value) <= 1e-12 * (abs(alone.value) + abs(point.value))
    scale = np.abs(alone.gradient).max() + np.abs(point.gradient).max()
    np.testing.assert_allclose(both.gradient, gradient, rtol=0, atol=1e-11 * scale)
    report = adjoint.check(plus, point.x, seed=1)
    assert report.orders[1] >= 1.9, report.table()
    assert report.ok
