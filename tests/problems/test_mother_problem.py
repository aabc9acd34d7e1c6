"""The mother problem: gradient three ways, exact optimum, mesh-independent iterations."""

import numpy as np
import pytest

import adjoint
from problems.optimization.mother_problem import MotherProblem, graded

MESHES = {
    "uniform": (8, 8, 1.0),
    "not square": (9, 6, 1.0),
    "graded": (10, 7, 2.0),
    "steeply graded": (8, 9, 3.0),
}
every_mesh = pytest.mark.parametrize("name", MESHES)


def at(name, **options):
    nx, ny, power = MESHES[name]
    return MotherProblem((graded(nx, power), graded(ny, 1.0)), **options)


def random_control(case):
    return np.random.default_rng(0).standard_normal(case.points.shape[1])


@every_mesh
def test_gradient_is_that_of_differences_tangent_and_dense_matrices(name):
    case = at(name)
    u = random_control(case)
    point, direction = case.f(u), random_control(case)[::-1].copy()
    report = adjoint.check(case.f, u)
    assert report.ok, report.table()
    assert point.jvp(direction) == pytest.approx(point.gradient @ direction, rel=1e-10)
    K, M, free = case.stiffness.toarray(), case.mass.toarray(), case.free
    S = np.zeros(K.shape)
    S[free] = np.linalg.solve(K[np.ix_(free, free)], M[free])
    lift = case.boundary.copy()
    lift[free] = -np.linalg.solve(K[np.ix_(free, free)], (K @ case.boundary)[free])
    misfit = S @ u + lift - case.target(*case.points)
    dense = S.T @ M @ misfit + case.beta * M @ u
    np.testing.assert_allclose(point.gradient, dense, rtol=0, atol=1e-12 * np.abs(dense).max())
    assert point.value == pytest.approx(
        0.5 * misfit @ M @ misfit + 0.5 * case.beta * u @ M @ u, rel=1e-12
    )


def test_states_take_the_values_of_the_boundary():
    case = at("graded")
    v = case.field(case.f(random_control(case)).solution.u)
    x, y = (axis.reshape(case.shape) for axis in case.points)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_array_equal(v[edge], case.given(x, y)[edge])
    assert np.abs(case.boundary).max() == 1.0


def test_masses_sum_to_the_area_and_constants_have_no_stiffness():
    case = at("steeply graded")
    assert case.areas.sum() == pytest.approx(1.0, rel=1e-14)
    assert case.areas.max() / case.areas.min() > 30.0
    np.testing.assert_allclose(
        case.stiffness.sum(axis=0), 0.0, atol=1e-12 * abs(case.stiffness).max()
    )
    x, y = case.points
    assert x @ (case.stiffness @ x) == pytest.approx(1.0, rel=1e-13)  # ∫|∇x|²
    assert (x * y) @ (case.mass @ (1.0 - x)) == pytest.approx(1.0 / 12.0, rel=1e-13)


@every_mesh
def test_optimum_is_stationary_and_what_descent_finds(name):
    case = at(name)
    mass, start = adjoint.optimize.MassMatrix(case.mass), np.zeros(case.points.shape[1])
    exact = case.optimum()
    first = mass.dual_norm(case.f(start).gradient)
    # Rounding of two factorizations, of optimum and of f: 5e-12 of the first gradient
    # with OpenBLAS 0.3.21.
    assert mass.dual_norm(case.f(exact).gradient) <= 1e-10 * first
    result = adjoint.minimize(
        case.f,
        start,
        adjoint.optimize.SteepestDescent(mass),
        stop=adjoint.Stopping(stationarity=1e-8),
    )
    assert result.status is adjoint.Status.STATIONARY
    # ‖u − u*‖ ≤ ‖∇f‖/β: the Hessian is at least β in the inner product M.
    assert mass.norm(result.x - exact) <= 1e-8 * first / case.beta
    assert result.value >= case.f(exact).value * (1.0 - 1e-14)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_optimum_converges_with_the_square_of_the_mesh_size(power):
    """u = sin πx sin 2πy, −Δv = u with v = u/5π² + xy; the target that asks for it is v + 5π²βu."""
    beta, eigenvalue = 1e-3, 5.0 * np.pi**2

    def control(x, y):
        return np.sin(np.pi * x) * np.sin(2.0 * np.pi * y)

    def target(x, y):
        return (1.0 / eigenvalue + beta * eigenvalue) * control(x, y) + x * y

    errors = []
    for n in (12, 24):
        lines = graded(n, power), graded(3 * n // 2, 1.0)
        case = MotherProblem(lines, beta=beta, target=target, given=lambda x, y: x * y)
        error = case.optimum() - control(*case.points)
        errors.append(np.sqrt(error @ case.mass @ error))
    assert np.log2(errors[0] / errors[1]) >= 1.9


@every_mesh
@pytest.mark.parametrize("upper", [3.0, np.inf])
def test_bounded_optimum_has_no_descent_left_and_projected_descent_finds_it(name, upper):
    case = at(name, bounds=adjoint.Bounds(-2.0, upper))
    lumped = adjoint.optimize.Weighted(case.areas)
    exact = case.optimum()
    g = case.f(exact).gradient
    assert case.bounds.holds(exact)
    assert np.sum(exact == -2.0) >= 3
    start = np.zeros_like(exact)
    first = lumped.dual_norm(case.f(start).gradient)
    assert lumped.dual_norm(case.bounds.held(exact, g)) <= 1e-10 * first
    algorithm = adjoint.optimize.SteepestDescent(lumped, case.bounds)
    result = adjoint.minimize(case.f, start, algorithm, stop=adjoint.Stopping(stationarity=1e-8))
    assert result.status is adjoint.Status.STATIONARY
    np.testing.assert_allclose(result.x, exact, atol=1e-5 * np.abs(exact).max())


def iterations(inner, n, counted):
    """Iterations until the dual norm of the mass matrix is 10⁻⁶ of the first.

    The measure does not depend on the inner product of the steps.
    """
    case = MotherProblem((graded(n, 2.0), graded(n, 1.0)))
    mass, start = adjoint.optimize.MassMatrix(case.mass), np.zeros((n + 1) ** 2)
    first = mass.dual_norm(case.f(start).gradient)
    for state in adjoint.descend(case.f, start, adjoint.optimize.SteepestDescent(inner(case))):
        assert state.ending is None
        if mass.dual_norm(state.gradient) <= 1e-6 * first:
            return state.iteration
        assert state.iteration < counted


def test_iterations_are_constant_in_the_right_inner_product():
    counts = [
        iterations(lambda case: adjoint.optimize.MassMatrix(case.mass), n, 30) for n in (16, 32, 64)
    ]
    assert max(counts) - min(counts) <= 1


def test_iterations_grow_in_the_wrong_inner_product():
    """The growth from one mesh to the next depends on last bits: the test takes two refinements."""
    counts = [iterations(lambda case: adjoint.optimize.Euclidean(), n, 400) for n in (8, 32)]
    assert counts[1] >= 1.44 * counts[0]


def test_stiffness_is_factored_once_for_all_controls():
    case = at("graded")
    with adjoint.counting() as counts:
        for scale in (0.0, 1.0, 2.0):
            assert np.isfinite(case.f(scale * random_control(case)).gradient).all()
    assert (counts.numeric, counts.solves) == (1, 6)


@pytest.mark.parametrize(
    "lines",
    [[0.0, 1.0], [0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.9], [0.1, 0.5, 1.0], [0.0, np.nan, 1.0]],
    ids=str,
)
def test_lines_that_make_no_grid_are_named(lines):
    with pytest.raises(ValueError, match="increasing from 0 to 1"):
        MotherProblem((graded(4, 1.0), np.array(lines)))
