"""Manifolds: laws of each geometry, known minima, convergence orders, refusals."""

import numpy as np
import pytest
import scipy.linalg as linalg

import adjoint
from adjoint.errors import WrongGradient
from adjoint.optimize import (
    LBFGS,
    AugmentedLagrangian,
    Bounds,
    Continuation,
    DifferencedHessian,
    LinearConstraint,
    NewtonCG,
    ScalarFunction,
    Stage,
    Status,
    SteepestDescent,
    Stopping,
    Weighted,
    descend,
    minimize,
)
from adjoint.optimize.manifolds import (
    EuclideanSpace,
    Product,
    Sphere,
    Stiefel,
    SymmetricPositiveDefinite,
)

MANIFOLDS = {
    "sphere": Sphere(5),
    "two points": Sphere(1),
    "stiefel": Stiefel(5, 2),
    "rotations": Stiefel(3, 3),
    "stiefel, one column": Stiefel(4, 1),
    "positive definite": SymmetricPositiveDefinite(3),
    "positive numbers": SymmetricPositiveDefinite(1),
    "product": Product((Stiefel(4, 2), SymmetricPositiveDefinite(2), EuclideanSpace(3))),
}
EACH = pytest.mark.parametrize("name", MANIFOLDS)


def quartic(m, seed=0):
    """f = ½ xᵀAx + Σ x_i⁴/4 + b·x, an unsymmetric function of the entries of x."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((m, m)), rng.standard_normal(m)
    A = A + A.T
    return ScalarFunction(
        lambda x: float(0.5 * x @ A @ x + 0.25 * np.sum(x**4) + b @ x),
        lambda x: A @ x + x**3 + b,
        lambda x, v: A @ v + 3.0 * x**2 * v,
    )


def drawn(manifold, seed=0):
    """A point, two tangent vectors of length about 1, and a derivative."""
    rng = np.random.default_rng(seed)
    x = manifold.random_point(rng)
    v, w = (manifold.tangent(x, rng.standard_normal(x.size)) for _ in range(2))
    return x, v, w, rng.standard_normal(x.size)


@EACH
def test_gradient_is_the_riesz_map_of_the_metric(name):
    manifold = MANIFOLDS[name]
    x, v, w, g = drawn(manifold)
    manifold.require(x, name)
    gradient = manifold.gradient(x, g)
    np.testing.assert_allclose(manifold.tangent(x, gradient), gradient, atol=1e-12)
    inner = manifold.covector(x, v) @ gradient
    assert inner == pytest.approx(g @ v, rel=1e-10, abs=1e-12)
    back = manifold.gradient(x, manifold.covector(x, v))
    np.testing.assert_allclose(back, v, rtol=1e-9, atol=1e-10)
    assert manifold.covector(x, v) @ w == pytest.approx(
        manifold.covector(x, w) @ v, rel=1e-10, abs=1e-12
    )
    twice = manifold.tangent(x, manifold.tangent(x, g))
    np.testing.assert_allclose(twice, manifold.tangent(x, g), atol=1e-13)


@EACH
def test_retraction_is_of_second_order_and_stays_on_the_manifold(name):
    """f(R(tv)) = f(x) + t g·v + ½ t² ⟨Hess f[v], v⟩ + O(t³)."""
    manifold = MANIFOLDS[name]
    x, v, _, _ = drawn(manifold, 3)
    if not np.any(np.abs(v) > 1e-12):
        pytest.skip("the tangent space is {0}")
    v = v / np.linalg.norm(v)
    point = quartic(x.size)(x)
    h = manifold.hessian(x, point.gradient, v, point.hvp(v))
    np.testing.assert_allclose(manifold.tangent(x, h), h, atol=1e-12)
    steps = np.array([4e-2, 2e-2, 1e-2]) * 0.25
    remainders = []
    for t in steps:
        y, velocity = manifold.retract(x, t * v)
        manifold.require(y, name)
        model = point.value + t * point.gradient @ v + 0.5 * t * t * h @ v
        remainders.append(abs(quartic(x.size)(y).value - model))
        e = 1e-5
        ahead, behind = (manifold.retract(x, (1.0 + s) * t * v).y for s in (e, -e))
        np.testing.assert_allclose(velocity, (ahead - behind) / (2 * e), atol=1e-8)
        np.testing.assert_allclose(manifold.tangent(y, velocity), velocity, atol=1e-12)
    orders = np.diff(np.log(remainders)) / np.diff(np.log(steps))
    assert np.all(orders > 2.8), orders


@EACH
def test_hessian_is_symmetric(name):
    manifold = MANIFOLDS[name]
    x, v, w, _ = drawn(manifold, 4)
    point = quartic(x.size)(x)

    def h(a):
        return manifold.hessian(x, point.gradient, a, point.hvp(a))

    assert h(v) @ w == pytest.approx(h(w) @ v, rel=1e-9, abs=1e-10)


@EACH
def test_transport_is_tangent_and_starts_as_the_identity(name):
    manifold = MANIFOLDS[name]
    x, v, w, _ = drawn(manifold, 5)
    np.testing.assert_allclose(manifold.transport(x, x, v), v, atol=1e-9)
    y = manifold.retract(x, 0.5 * w).y
    moved = manifold.transport(x, y, v)
    np.testing.assert_allclose(manifold.tangent(y, moved), moved, atol=1e-12)


def test_metric_of_positive_definite_matrices_is_affine_invariant():
    n, rng = 3, np.random.default_rng(0)
    manifold = SymmetricPositiveDefinite(n)
    x, v, w, _ = drawn(manifold)
    y = manifold.retract(x, w).y
    A = 10.0 ** np.array([[-6], [0], [6]]) * rng.standard_normal((n, n))

    def mapped(z):
        return (A @ z.reshape(n, n) @ A.T).ravel()

    length = manifold.covector(x, v) @ v
    assert manifold.covector(mapped(x), mapped(v)) @ mapped(v) == pytest.approx(length, rel=1e-6)
    moved = manifold.transport(x, y, v)
    assert manifold.covector(y, moved) @ moved == pytest.approx(length, rel=1e-10)
    manifold.require(mapped(x), "the mapped point")
    there = manifold.transport(mapped(x), mapped(y), mapped(v)).reshape(n, n)
    expected = mapped(moved).reshape(n, n)
    units = np.sqrt(np.diag(mapped(x).reshape(n, n)))  # Of the rows.
    np.testing.assert_allclose(
        there / np.outer(units, units), expected / np.outer(units, units), atol=1e-7
    )


def rayleigh(A):
    return ScalarFunction(
        lambda x: float(x @ A @ x), lambda x: 2.0 * A @ x, lambda x, v: 2.0 * A @ v
    )


def symmetric(n, seed=0):
    A = np.random.default_rng(seed).standard_normal((n, n))
    return A + A.T


ALGORITHMS = {
    "steepest descent": lambda manifold: SteepestDescent(manifold=manifold),
    "L-BFGS": lambda manifold: LBFGS(manifold=manifold),
    "Newton-CG": lambda manifold: NewtonCG(manifold=manifold),
}
METHODS = pytest.mark.parametrize("method", ALGORITHMS)


@METHODS
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_rayleigh_quotient_finds_the_smallest_eigenvalue(method, unit):
    n = 30
    A = symmetric(n)
    smallest = np.linalg.eigvalsh(A)[0]
    x = Sphere(n).random_point(np.random.default_rng(1))
    result = minimize(rayleigh(unit * A), x, ALGORITHMS[method](Sphere(n)))
    assert result.success, result.status
    assert result.best.value == pytest.approx(unit * smallest, rel=1e-8)
    assert np.linalg.norm(result.x) == pytest.approx(1.0, abs=1e-14)


def test_newton_converges_quadratically_on_the_sphere():
    n = 20
    A = symmetric(n)
    manifold = Sphere(n)
    x = manifold.random_point(np.random.default_rng(1))
    measures = []
    for state in descend(rayleigh(A), x, NewtonCG(manifold=manifold, exponent=1.0)):
        measures.append(state.stationarity)
        if state.stationarity < 1e-12 or state.ending:
            break
    last = np.array([m for m in measures if m > 1e-12][-3:])
    orders = np.log(last[2] / last[1]) / np.log(last[1] / last[0])
    assert orders > 1.8 or measures[-1] < last[-1] ** 1.8
    assert measures[-1] < 1e-9


@METHODS
def test_brockett_function_sorts_the_eigenvectors_on_stiefel(method):
    """min tr(XᵀAXN) over XᵀX = 1: eigenvectors of the smallest eigenvalues, in order."""
    n, k = 15, 3
    A, N = symmetric(n), np.diag([3.0, 2.0, 1.0])
    manifold = Stiefel(n, k)

    def times(x):
        return (2.0 * A @ x.reshape(n, k) @ N).ravel()

    f = ScalarFunction(lambda x: 0.5 * float(x @ times(x)), times, lambda x, v: times(v))
    result = minimize(
        f,
        manifold.random_point(np.random.default_rng(0)),
        ALGORITHMS[method](manifold),
        stop=Stopping(stationarity=1e-9),
    )
    assert result.success, result.status
    X = result.x.reshape(n, k)
    np.testing.assert_allclose(
        np.diag(X.T @ A @ X), np.linalg.eigvalsh(A)[:k], rtol=1e-7, atol=1e-9
    )


@METHODS
def test_procrustes_problem_has_the_polar_factor_as_solution(method):
    """min ½‖XB − C‖² over rotations X, against the polar factor of C Bᵀ (Schönemann 1966)."""
    rng = np.random.default_rng(2)
    n = 4
    B = rng.standard_normal((n, 9))
    turn = linalg.expm(0.7 * (symmetric(n, 3) @ np.triu(np.ones((n, n)), 1) * 0.1))
    turn = adjoint.dense.polar(turn).value.U
    C = turn @ B + 0.01 * rng.standard_normal((n, 9))

    def residual(x):
        return x.reshape(n, n) @ B - C

    f = ScalarFunction(
        lambda x: 0.5 * float(np.sum(residual(x) ** 2)),
        lambda x: (residual(x) @ B.T).ravel(),
        lambda x, v: (v.reshape(n, n) @ B @ B.T).ravel(),
    )
    result = minimize(
        f, np.eye(n).ravel(), ALGORITHMS[method](Stiefel(n, n)), stop=Stopping(stationarity=1e-9)
    )
    assert result.success, result.status
    expected = adjoint.dense.polar(C @ B.T).value.U
    np.testing.assert_allclose(result.x.reshape(n, n), expected, atol=1e-7)


def karcher(matrices):
    """½ Σ d(X, A_i)² with the gradient X⁻¹ Σ log(X A_i⁻¹)."""

    def both(x):
        n = len(matrices[0])
        X = x.reshape(n, n)
        value, gradient = 0.0, np.zeros((n, n))
        for A in matrices:
            mu, W = linalg.eigh(X, A)  # X W = A W diag(mu), Wᵀ A W = 1
            value += 0.5 * float(np.sum(np.log(mu) ** 2))
            gradient += (W * (np.log(mu) / mu)) @ W.T
        return value, gradient.ravel()

    return ScalarFunction.of(both)


@METHODS
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_karcher_mean_of_commuting_matrices_is_their_geometric_mean(method, unit):
    n, rng = 3, np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    logs = rng.standard_normal((4, n))
    matrices = [unit * (Q * np.exp(each)) @ Q.T for each in logs]
    f = karcher([0.5 * (A + A.T) for A in matrices])
    if method == "Newton-CG":
        f = DifferencedHessian(f)
    result = minimize(
        f,
        matrices[0].ravel(),
        ALGORITHMS[method](SymmetricPositiveDefinite(n)),
        stop=Stopping(stationarity=1e-7),
    )
    assert result.success, result.status
    expected = unit * (Q * np.exp(logs.mean(axis=0))) @ Q.T
    np.testing.assert_allclose(result.x.reshape(n, n), expected, rtol=1e-5, atol=1e-6 * unit)


def test_two_matrices_have_their_geometric_mean_in_the_middle():
    """A # B = A^½ (A^−½ B A^−½)^½ A^½ (Bhatia 2007, chapter 6); A B ≠ B A."""
    n, rng = 3, np.random.default_rng(1)
    A, B = (SymmetricPositiveDefinite(n).random_point(rng).reshape(n, n) for _ in range(2))
    result = minimize(
        karcher([A, B]),
        np.eye(n).ravel(),
        LBFGS(manifold=SymmetricPositiveDefinite(n)),
        stop=Stopping(stationarity=1e-9),
    )
    assert result.success
    half = adjoint.dense.sqrtm(A).value
    inner = adjoint.dense.sqrtm(np.linalg.solve(half, B) @ np.linalg.inv(half)).value
    np.testing.assert_allclose(result.x.reshape(n, n), half @ inner @ half, rtol=1e-6)


def test_saddle_points_are_not_minima():
    """The run begins at an eigenvector in the middle of the spectrum: the gradient is zero."""
    A = np.diag([1.0, 2.0, 3.0])
    result = minimize(rayleigh(A), np.array([0.0, 1.0, 0.0]), LBFGS(manifold=Sphere(3)))
    assert not result.success
    assert result.status is Status.SADDLE


def test_wrong_gradients_are_found_along_the_manifold():
    A = symmetric(6)
    wrong = ScalarFunction(lambda x: float(x @ A @ x), lambda x: A @ x)
    x = Sphere(6).random_point(np.random.default_rng(0))
    with pytest.raises(WrongGradient):
        minimize(wrong, x, LBFGS(manifold=Sphere(6)))
    # The part of a gradient that is normal to the manifold says nothing about f there.
    right = ScalarFunction(lambda x: float(x @ A @ x), lambda x: 2.0 * A @ x + 5.0 * x)
    result = minimize(right, x, LBFGS(manifold=Sphere(6)))
    assert result.success
    assert result.best.value == pytest.approx(np.linalg.eigvalsh(A)[0], rel=1e-8)


def test_f_is_evaluated_on_the_manifold_only():
    manifold = Stiefel(5, 2)
    f = quartic(10)

    def watched(x):
        manifold.require(x, "f")
        return f(x)

    for build in ALGORITHMS.values():
        result = minimize(watched, manifold.random_point(np.random.default_rng(0)), build(manifold))
        assert result.success, result.status


def test_a_step_costs_one_gradient_and_few_values():
    counts = {"values": 0, "gradients": 0}
    A = symmetric(30)

    def value(x):
        counts["values"] += 1
        return float(x @ A @ x)

    def gradient(x):
        counts["gradients"] += 1
        return 2.0 * A @ x

    f = ScalarFunction(value, gradient)
    x = Sphere(30).random_point(np.random.default_rng(0))
    result = minimize(f, x, LBFGS(manifold=Sphere(30)), check=False)
    assert counts["values"] == result.state.evaluations
    assert counts["gradients"] <= counts["values"]
    assert result.state.evaluations <= 1.5 * result.state.iteration + 5


@METHODS
@pytest.mark.parametrize(
    ("manifold", "x", "message"),
    [
        (Sphere(3), np.array([1.0, 1.0, 0.0]), "distance 0.414"),
        (Sphere(3), np.ones(2), r"expected \(3,\)"),
        (Stiefel(2, 1), np.array([2.0, 0.0]), "distance 3"),
        (SymmetricPositiveDefinite(2), np.array([1.0, 2.0, 0.0, 1.0]), "distance 1"),
        (SymmetricPositiveDefinite(2), np.array([1.0, 0.0, 0.0, -2.0]), "eigenvalue -2"),
        (Product((Sphere(2), EuclideanSpace(1))), np.array([3.0, 0.0, 1.0]), "distance 2"),
    ],
)
def test_points_off_the_manifold_are_named(method, manifold, x, message):
    f = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x, lambda x, v: 2.0 * v)
    with pytest.raises(ValueError, match=message):
        minimize(f, x, ALGORITHMS[method](manifold))


@pytest.mark.parametrize("algorithm", [SteepestDescent, LBFGS, NewtonCG])
def test_bounds_and_inner_products_are_refused(algorithm):
    name = algorithm.__name__
    with pytest.raises(ValueError, match=f"{name}: got bounds and a manifold"):
        algorithm(manifold=Sphere(2), bounds=Bounds(0.0, 1.0))
    with pytest.raises(ValueError, match=f"{name}: got the inner product Weighted"):
        algorithm(manifold=Sphere(2), inner=Weighted(np.ones(2)))
    with pytest.raises(TypeError, match=f"{name}: got the class Sphere itself"):
        algorithm(manifold=Sphere)


def test_constraints_and_stages_are_refused():
    inner = LBFGS(manifold=Sphere(2))
    with pytest.raises(ValueError, match="AugmentedLagrangian: got LBFGS"):
        AugmentedLagrangian(inner, (LinearConstraint(np.ones(2), 1.0),))
    f = quartic(2)
    staged = Continuation(lambda settings: (f, inner), (Stage({}, Stopping()),))
    with pytest.raises(ValueError, match="Continuation: got LBFGS"):
        minimize(staged.f, np.array([1.0, 0.0]), staged)


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: Sphere(0), ValueError),
        (lambda: Sphere(2.0), TypeError),
        (lambda: Stiefel(2, 3), ValueError),
        (lambda: Stiefel(2, 0), ValueError),
        (lambda: SymmetricPositiveDefinite("3"), TypeError),
        (lambda: EuclideanSpace(-1), ValueError),
        (lambda: Product(()), ValueError),
        (lambda: Product((Sphere,)), TypeError),
        (lambda: Product(Sphere(2)), TypeError),
    ],
)
def test_bad_manifolds_are_named(build, error):
    with pytest.raises(error):
        build()


def test_a_minimum_at_the_boundary_is_not_reached():
    """tr X has no minimum over positive definite X: no success."""
    n = 2
    f = ScalarFunction(lambda x: float(x[0] + x[3]), lambda x: np.array([1.0, 0.0, 0.0, 1.0]))
    manifold = SymmetricPositiveDefinite(n)
    for algorithm in (LBFGS(manifold=manifold), SteepestDescent(manifold=manifold)):
        result = minimize(f, np.eye(n).ravel(), algorithm, stop=Stopping(iterations=200))
        assert result.status is Status.PLATEAU, result.status
