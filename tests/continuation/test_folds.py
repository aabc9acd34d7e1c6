"""Laws of folds: published values, null vectors, derivatives, named errors."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.steady.bratu import Bratu, bratu
from problems.steady.ignition import Ignition, ignition
from tests.continuation.test_arclength import given_ends


def fold_of(problem, p, parameter=0):
    """The fold of a branch, from the point where it turns."""
    for point in adjoint.continuation.trace(problem, np.asarray(p, dtype=float), parameter):
        if point.turned:
            return adjoint.continuation.fold(problem, point.u, point.p, parameter)
    raise AssertionError


def extrapolated(values):
    """The limit of values on meshes of width h, h/2, … with an error in even powers of h."""
    column, power = np.asarray(values), 4.0
    while column.size > 1:
        column, power = (power * column[1:] - column[:-1]) / (power - 1.0), 4.0 * power
    return column[0]


@dataclass(frozen=True, eq=False)
class Normal:
    """R = (λ + q − (u − c)², v − u, …): normal form of a fold at λ = −q, u = c, and followers."""

    centre: float
    n: int = 2

    def residual(self, u, p):
        return np.append(p[0] + p[1] - (u[0] - self.centre) ** 2, np.diff(u))

    def jacobian(self, u, p):
        main, below = np.ones(self.n), -np.ones(self.n - 1)
        main[0] = -2.0 * (u[0] - self.centre)
        return sparse.csc_array(
            sparse.diags_array([below, main], offsets=[-1, 0], shape=(self.n, self.n))
        )

    def vjp(self, u, p, lam):
        return np.array([lam[0], lam[0]])

    def jvp(self, u, p, p_dot):
        r = np.zeros(self.n)
        r[0] = p_dot[0] + p_dot[1]
        return r


@dataclass(frozen=True, eq=False)
class Pitchfork:
    """R = (u³ − λu + q, v − u²): q = 0: branches cross at λ = 0; q ≠ 0: fold at λ = 3 (½|q|)^⅔."""

    def residual(self, u, p):
        return np.array([u[0] ** 3 - p[0] * u[0] + p[1], u[1] - u[0] ** 2])

    def jacobian(self, u, p):
        data = [3.0 * u[0] ** 2 - p[0], -2.0 * u[0], 0.0, 1.0]
        return sparse.csc_array((data, [0, 1, 0, 1], [0, 2, 4]), shape=(2, 2))

    def vjp(self, u, p, lam):
        return np.array([-u[0] * lam[0], lam[0]])

    def jvp(self, u, p, p_dot):
        return np.array([-p_dot[0] * u[0] + p_dot[1], 0.0])


@dataclass(frozen=True, eq=False)
class Straight:
    """A u − λ 1, linear: it has no fold."""

    def residual(self, u, p):
        return np.array([2.0 * u[0] + u[1], 3.0 * u[1]]) - p[0]

    def jacobian(self, u, p):
        return sparse.csc_array(np.array([[2.0, 1.0], [0.0, 3.0]]))

    def vjp(self, u, p, lam):
        return -lam.sum(keepdims=True)

    def jvp(self, u, p, p_dot):
        return np.full(2, -p_dot[0])


# name: (problem, p, parameter)
FOLDS = {
    "line": (bratu(31), np.ones(1), 0),
    "rectangle": (bratu(9, 5), np.ones(1), 0),
    "flow on a line": (ignition(24, velocity=(8.0,)), np.append(1.0, np.linspace(0.6, 1.4, 24)), 0),
    "flow on a rectangle": (
        ignition(9, 6, velocity=(6.0, -4.0)),
        np.append(1.0, np.linspace(0.6, 1.4, 54)),
        0,
    ),
    "local reactivity": (ignition(7, 4, velocity=(4.0, -3.0)), np.append(5.0, np.ones(28)), 12),
}
every_fold = pytest.mark.parametrize("name", FOLDS)


def test_fold_on_the_line_is_the_published_one_after_richardson_extrapolation():
    """CASES: λ_c = 3.51383071912516, u_max = 1.18684216863439."""
    folds = [fold_of(bratu(n), [1.0]) for n in (15, 31, 63, 127, 255)]
    assert extrapolated([fold.value for fold in folds]) == pytest.approx(
        3.51383071912516, abs=1e-12
    )
    assert extrapolated([fold.u.max() for fold in folds]) == pytest.approx(
        1.18684216863439, abs=1e-11
    )


def test_fold_on_the_square_is_the_published_one_after_richardson_extrapolation():
    """λ_c = 6.808124423 by Mohsen (2014), Comput. Math. Appl. 67, 26; on nonsquare meshes."""
    values = []
    for nx, ny in ((7, 5), (15, 11), (31, 23), (63, 47)):
        x, y = (np.sin(np.pi * np.arange(1, count + 1) / (count + 1)) for count in (nx, ny))
        start = 1.4 * np.outer(x, y).ravel()
        values.append(adjoint.continuation.fold(bratu(nx, ny), start, np.array([7.0]), 0).value)
    assert extrapolated(values) == pytest.approx(6.808124423, abs=2e-8)


@every_fold
def test_null_vectors_are_those_of_the_singular_jacobian(name):
    problem, p, parameter = FOLDS[name]
    fold = fold_of(problem, p, parameter)
    J = problem.residual.jacobian(fold.u, fold.p)
    size = abs(J).sum(axis=0).max()
    for v, product in ((fold.phi, J @ fold.phi), (fold.psi, J.T @ fold.psi)):
        assert np.linalg.norm(v) == pytest.approx(1.0, rel=1e-12)
        np.testing.assert_allclose(product, 0.0, atol=1e-11 * size)
    r = problem.residual.residual(fold.u, fold.p)
    np.testing.assert_allclose(r, 0.0, atol=1e-13 * size * abs(fold.u).max())
    symmetric = abs(J - J.T).max() == 0.0
    assert (abs(fold.phi @ fold.psi) >= 1.0 - 1e-9) == symmetric


@every_fold
def test_gradient_is_the_central_difference_of_folds(name):
    problem, p, parameter = FOLDS[name]
    fold = fold_of(problem, p, parameter)
    p_dot = fold.p * np.random.default_rng(1).uniform(-1.0, 1.0, p.size)

    def value(h):
        return adjoint.continuation.fold(problem, fold.u, fold.p + h * p_dot, parameter).value

    def central(h):
        return (value(h) - value(-h)) / (2.0 * h)

    expected = (4.0 * central(5e-3) - central(1e-2)) / 3.0
    assert fold.gradient[parameter] == 0.0
    assert fold.gradient @ p_dot == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("name", ["flow on a line", "flow on a rectangle"])
def test_taylor_remainder_of_the_fold_is_second_order(name):
    problem, p, parameter = FOLDS[name]
    fold = fold_of(problem, p, parameter)
    p_dot = fold.p * np.random.default_rng(2).uniform(-1.0, 1.0, p.size)
    first, second = (
        abs(
            adjoint.continuation.fold(problem, fold.u, fold.p + h * p_dot, 0).value
            - fold.value
            - h * fold.gradient @ p_dot
        )
        for h in (2e-2, 1e-2)
    )
    assert np.log2(first / second) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (6.0, -4.0)])
def test_reactivity_and_lambda_are_one_product(velocity):
    """R depends on λ s only: Σ s_i dλ_c/ds_i = −λ_c."""
    s = np.linspace(0.6, 1.4, 54)
    fold = fold_of(ignition(9, 6, velocity=velocity), np.append(1.0, s))
    assert fold.gradient[1:] @ s == pytest.approx(-fold.value, rel=1e-12)
    doubled = fold_of(ignition(9, 6, velocity=velocity), np.append(1.0, 2.0 * s))
    assert doubled.value == pytest.approx(0.5 * fold.value, rel=1e-12)


def test_ignition_at_rest_is_bratu():
    assert fold_of(ignition(9, 5, velocity=(0.0, 0.0)), np.ones(46)).value == pytest.approx(
        fold_of(bratu(9, 5), [1.0]).value, rel=1e-12
    )


def test_physics_of_ignition_has_its_derivatives():
    physics = Ignition((5, 3), velocity=(6.0, -4.0))
    rng = np.random.default_rng(3)
    u, p = rng.random(15), rng.uniform(0.5, 1.5, 16)
    J, h = physics.jacobian(u, p), 1e-30
    dense = np.stack([physics.residual(u + 1j * h * e, p).imag / h for e in np.eye(15)], axis=1)
    np.testing.assert_allclose(J.toarray(), dense, atol=1e-12)
    rates = np.stack([physics.residual(u, p + 1j * h * e).imag / h for e in np.eye(16)], axis=1)
    np.testing.assert_allclose(
        np.stack([physics.jvp(u, p, e) for e in np.eye(16)], axis=1), rates, atol=1e-14
    )
    np.testing.assert_allclose(physics.vjp(u, p, u), rates.T @ u, atol=1e-14)
    np.testing.assert_array_equal(J.indices, Bratu((5, 3)).laplacian.indices)
    assert J.has_sorted_indices
    with pytest.raises(ValueError, match="expected 2 components"):
        Ignition((5, 3), velocity=(1.0,))


@pytest.mark.parametrize("centre", [0.0, 1.5])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_normal_form_of_a_fold_is_found(centre, n):
    """λ_c = −q. Relative tolerances must not fail if λ_c or u is zero."""
    for q in (0.0, -2.0):
        problem = adjoint.NonlinearProblem(Normal(centre, n), np.zeros(n))
        fold = adjoint.continuation.fold(
            problem, np.full(n, centre + 0.3), np.array([0.1 - q, q]), 0
        )
        assert fold.value == pytest.approx(-q, abs=1e-12)
        np.testing.assert_allclose(fold.u, centre, atol=1e-7)
        np.testing.assert_allclose(fold.gradient, [0.0, -1.0], atol=1e-12)
        assert fold.iterations <= 10


@pytest.mark.parametrize("q", [0.1, 0.002])
def test_perturbed_pitchfork_has_the_fold_of_the_closed_form(q):
    problem = adjoint.NonlinearProblem(Pitchfork(), np.zeros(2))
    u = (0.5 * q) ** (1.0 / 3.0)
    fold = adjoint.continuation.fold(
        problem, np.array([1.2 * u, u * u]), np.array([2.5 * u * u, q]), 0
    )
    assert fold.value == pytest.approx(3.0 * u * u, rel=1e-11)
    assert fold.gradient[1] == pytest.approx(1.0 / u, rel=1e-9)  # dλ_c/dq


@pytest.mark.parametrize("n", [5, 15, 31, 63, 255])
@pytest.mark.parametrize("height", [0.0, 0.5, 2.0])
def test_fold_is_found_from_afar_on_every_mesh(n, height):
    x = np.arange(1, n + 1) / (n + 1)
    fold = adjoint.continuation.fold(bratu(n), height * 4.0 * x * (1.0 - x), np.ones(1), 0)
    assert fold.value == pytest.approx(3.5138 - 1.83 / (n + 1) ** 2, rel=1e-3)
    assert fold.iterations <= 9


@every_fold
def test_fold_is_found_in_few_iterations_and_factorizations(name):
    problem, p, parameter = FOLDS[name]
    fold = fold_of(problem, p, parameter)
    nearby = fold.p * np.linspace(0.99, 1.01, p.size)
    with adjoint.counting() as counts:
        again = adjoint.continuation.fold(problem, 1.01 * fold.u, nearby, parameter)
    assert again.iterations <= 6
    assert counts.numeric <= again.iterations + 6
    assert counts.symbolic <= 1


def test_fold_on_given_data_has_the_closed_form():
    """λ_c(g) = λ_c(0) e^(−g) for Bratu's equation with ends at g, so dλ_c/dg = −λ_c."""
    fold = fold_of(given_ends(20), [0.5, 0.3])
    assert fold.value == pytest.approx(fold_of(bratu(20), [1.0]).value * np.exp(-0.3), rel=1e-11)
    assert fold.gradient[1] == pytest.approx(-fold.value, rel=1e-10)


# Failures


def test_fold_is_not_found_from_far_away_and_the_history_tells():
    with pytest.raises(adjoint.SolveError) as caught:
        adjoint.continuation.fold(bratu(15), np.full(15, 300.0), np.array([1e-3]), 0)
    assert len(caught.value.history) >= 1


def test_no_fold_is_a_named_error():
    problem = adjoint.NonlinearProblem(Straight(), np.zeros(2))
    with pytest.raises(adjoint.SolveError, match="fold"):
        adjoint.continuation.fold(problem, np.ones(2), np.ones(1), 0)


@pytest.mark.parametrize(
    ("u", "value"), [((0.0, 0.0), 0.0), ((1e-3, 0.0), 0.0), ((1e-3, 0.0), 1e-3), ((0.0, 0.0), 0.3)]
)
def test_branch_point_is_a_named_error(u, value):
    problem = adjoint.NonlinearProblem(Pitchfork(), np.zeros(2))
    with pytest.raises(adjoint.SolveError, match=r"branch|no fold was found"):
        adjoint.continuation.fold(problem, np.array(u), np.array([value, 0.0]), 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"parameter": 1}, ValueError, "parameter=1"),
        ({"parameter": -1}, ValueError, "parameter=-1"),
        ({"parameter": 0.5}, TypeError, "parameter|index|integer"),
        ({"u": np.zeros((5, 1))}, TypeError, r"\(5, 1\)"),
        ({"u": np.zeros(5, complex)}, TypeError, "complex"),
        ({"u": np.full(5, np.nan)}, adjoint.errors.NonFinite, r"u\[0\]"),
        ({"u": np.array(["a"] * 5)}, TypeError, "expected real"),
        ({"p": np.ones(1) + 0j}, TypeError, "complex"),
        ({"p": np.array([np.inf])}, adjoint.errors.NonFinite, r"p\[0\]"),
        ({"p": np.ones((1, 1))}, ValueError, "shape"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, error, message):
    given = {"u": np.ones(5), "p": np.ones(1), "parameter": 0, **arguments}
    with pytest.raises(error, match=message):
        adjoint.continuation.fold(bratu(5), **given)


def test_at_the_fold_the_solution_has_no_derivative_and_says_so():
    fold = fold_of(bratu(15), [1.0])
    with pytest.raises(adjoint.errors.SingularJacobian, match="fold"):
        bratu(15).at(fold.u, fold.p).jvp(np.ones(1))
    with pytest.raises(adjoint.errors.SingularJacobian, match="fold"):
        replace(bratu(15), u0=fold.u).solve(fold.p)


def test_fold_leaves_its_arguments_as_they_are_and_cannot_be_changed():
    u, p = np.full(15, 1.0), np.array([3.4])
    for v in (u, p):
        v.setflags(write=False)
    fold = adjoint.continuation.fold(bratu(15), u, p, 0)
    assert p[0] == 3.4
    assert not fold.u.flags.writeable
    assert not fold.p.flags.writeable
