"""Laws of pseudo-arclength continuation: branches through folds, and derivatives on branches."""

from dataclasses import dataclass, replace
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.continuation import arclength
from problems.steady.bratu import Bratu, bratu
from problems.steady.ignition import ignition


def traced(problem, p, parameter=0, highest=4.0, **options):
    """The points of a branch until u reaches `highest`."""
    points = adjoint.continuation.trace(problem, np.asarray(p, dtype=float), parameter, **options)
    return list(takewhile(lambda point: point.u.max() < highest, points))


def exact(value, upper, n):
    """Bratu's solution on the line at n interior points, by Mohsen (2014).

    θ solves λ = ½θ²/cosh²(¼θ), by bisection.
    """
    low, high = (4.7987145, 40.0) if upper else (0.0, 4.7987145)  # the fold's θ between them
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = 0.5 * (middle / np.cosh(middle / 4)) ** 2 < value
        low, high = (middle, high) if below != upper else (low, middle)
    x = np.arange(1, n + 1) / (n + 1)
    return -2.0 * np.log(np.cosh(0.5 * low * (x - 0.5)) / np.cosh(0.25 * low))


@dataclass(frozen=True, eq=False)
class GivenEnds:
    """Bratu's equation with the ends among the unknowns; p = (λ, value at both ends)."""

    inner: Bratu

    def residual(self, u, p):
        h = 1.0 / (self.inner.n + 1)
        return np.pad(-np.diff(u, 2) / h**2 - p[0] * np.exp(u[1:-1]), 1)

    def jacobian(self, u, p):
        n = self.inner.n
        diagonal = 2.0 * (n + 1) ** 2 - np.pad(p[0] * np.exp(u[1:-1]), 1)
        side = np.full(n + 1, -((n + 1.0) ** 2))
        return sparse.csc_array(sparse.diags_array([side, diagonal, side], offsets=[-1, 0, 1]))

    def vjp(self, u, p, lam):
        return np.array([-np.sum(np.exp(u[1:-1]) * lam[1:-1]), 0.0])

    def jvp(self, u, p, p_dot):
        return np.pad(-p_dot[0] * np.exp(u[1:-1]), 1)


def given_ends(n):
    ends = adjoint.matrices.AffineVector(np.zeros(2), np.array([[0.0, 1.0], [0.0, 1.0]]))
    given = adjoint.Dirichlet(np.array([0, n + 1]), ends)
    return adjoint.NonlinearProblem(GivenEnds(Bratu((n,))), np.zeros(n + 2), dirichlet=given)


# name: (problem, p, parameter): nonsymmetric, rectangles, Dirichlet data, many parameters
BRANCHES = {
    "line": (bratu(31), np.array([0.5]), 0),
    "rectangle": (bratu(9, 5), np.array([0.5]), 0),
    "flow on a line": (ignition(24, velocity=(5.0,)), np.append(0.5, np.linspace(0.8, 1.2, 24)), 0),
    "flow on a rectangle": (
        ignition(9, 6, velocity=(4.0, -3.0)),
        np.append(0.5, np.linspace(0.8, 1.2, 54)),
        0,
    ),
    "local reactivity": (ignition(7, 4, velocity=(4.0, -3.0)), np.append(5.0, np.ones(28)), 12),
    "given ends": (given_ends(20), np.array([0.5, 0.3]), 0),
    "values of the ends": (given_ends(20), np.array([1.0, 0.0]), 1),
}
every_branch = pytest.mark.parametrize("name", BRANCHES)


def upper_point(name):
    """A point beyond the fold, on its way down."""
    problem, p, parameter = BRANCHES[name]
    points = adjoint.continuation.trace(problem, p, parameter)
    for point in points:
        if point.turned:
            return next(islice(points, 4, None))
    raise AssertionError


@every_branch
def test_every_point_is_a_solution_and_the_other_parameters_stay(name):
    problem, p, parameter = BRANCHES[name]
    for point in traced(problem, p, parameter):
        J = problem.equation.jacobian(point.u, point.p)
        scale = np.linalg.norm(abs(J) @ abs(point.u))
        assert np.linalg.norm(problem.equation.residual(point.u, point.p)) <= 1e-12 * scale
        others = np.arange(p.size) != parameter
        np.testing.assert_array_equal(point.p[others], p[others])


@every_branch
def test_branch_turns_where_lambda_begins_to_fall(name):
    problem, p, parameter = BRANCHES[name]
    points = traced(problem, p, parameter)
    assert any(point.turned for point in points)
    for point, after in pairwise(points):
        rates = point.tangent[1], after.tangent[1]
        assert after.turned == (rates[0] * rates[1] < 0.0)
        if not after.turned:
            assert (after.value - point.value) * rates[0] > 0.0


@every_branch
def test_arclength_grows_by_the_distance_of_the_points(name):
    """In the metric of u's root mean square and λ, along the tangent of the first point."""
    problem, p, parameter = BRANCHES[name]
    points = traced(problem, p, parameter, highest=2.5, step=0.1, longest=0.1)
    arcs = np.diff([point.arclength for point in points])
    du = np.diff([point.u for point in points], axis=0)
    chords = np.sqrt(np.mean(du**2, axis=1) + np.diff([point.value for point in points]) ** 2)
    assert points[0].arclength == 0.0
    assert np.all(arcs > 0.0)
    assert np.all(chords >= arcs * (1.0 - 1e-9))
    assert chords.sum() == pytest.approx(arcs.sum(), rel=0.005)


@every_branch
def test_tangent_is_the_derivative_by_the_arclength(name):
    """Central differences over equal arcs: their error is O(h²)."""
    problem, p, parameter = BRANCHES[name]
    errors = []
    for h in (0.02, 0.01):
        before, point, after = islice(
            adjoint.continuation.trace(problem, p, parameter, step=h, longest=h), 3, 6
        )
        u_dot, value_dot = point.tangent
        assert np.mean(u_dot**2) + value_dot**2 == pytest.approx(1.0, rel=1e-12)
        du = (after.u - before.u) / (2.0 * h) - u_dot
        slope = (after.value - before.value) / (2.0 * h) - value_dot
        errors.append(np.sqrt(np.mean(du**2) + slope**2))
    assert errors[1] <= 1e-3


@every_branch
@pytest.mark.parametrize("decreasing", [False, True])
def test_first_tangent_points_the_way_asked_for(name, decreasing):
    problem, p, parameter = BRANCHES[name]
    first, second = islice(
        adjoint.continuation.trace(problem, p, parameter, decreasing=decreasing), 2
    )
    np.testing.assert_array_equal(first.u, problem.solve(p).u)
    assert (second.value < first.value) == (first.tangent[1] < 0.0) == decreasing
    assert first.arclength == 0.0
    assert not first.turned


@pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
def test_both_arms_converge_to_the_closed_form(upper):
    errors = []
    for n in (31, 63):
        points = traced(bratu(n), [2.0])
        turn = next(i for i, point in enumerate(points) if point.turned)
        arm = points[turn:] if upper else points[:turn]
        nearest = min(arm, key=lambda point: abs(point.value - 2.5))
        u = replace(bratu(n), u0=nearest.u).solve(np.array([2.5])).u
        errors.append(abs(u - exact(2.5, upper, n)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.05)


def test_points_of_the_branch_are_those_of_the_closed_form():
    for n, tolerance in (
        (63, 2.1e-3),
        (127, 5.3e-4),
    ):  # h², times the fourth derivative of u over 12
        points = traced(bratu(n), [0.5], highest=4.5)
        turn = next(i for i, point in enumerate(points) if point.turned)
        for i, point in enumerate(points):
            if point.value < 3.3:
                np.testing.assert_allclose(
                    point.u, exact(point.value, i >= turn, n), atol=tolerance
                )


@pytest.mark.parametrize(
    ("lower", "upper"), [((31,), (255,)), ((7, 5), (31, 23))], ids=["line", "rectangle"]
)
def test_number_of_steps_does_not_depend_on_the_mesh(lower, upper):
    coarse, fine = (len(traced(bratu(*points), [0.5])) for points in (lower, upper))
    assert abs(coarse - fine) <= 1


def test_steps_become_longer_where_it_is_easy_and_shorter_at_the_fold():
    points = traced(bratu(31), [0.5], step=0.01)
    arcs = np.diff([point.arclength for point in points])
    turn = next(i for i, point in enumerate(points) if point.turned)
    assert arcs[0] == pytest.approx(0.01)
    assert arcs[:turn].max() >= 20.0 * arcs[0]
    assert arcs[turn - 1] <= 0.5 * arcs[:turn].max()
    assert np.all(arcs[1:] <= 2.0 * arcs[:-1] * (1.0 + 1e-12))


def test_steps_are_no_longer_than_allowed():
    points = traced(bratu(15), [0.5], step=0.05, longest=0.08)
    arcs = np.diff([point.arclength for point in points])
    assert arcs.max() == pytest.approx(0.08, rel=1e-12)


def test_scale_of_the_parameter_only_changes_its_unit():
    """λ in thousandths, with scale=1000, gives the same points."""
    points = traced(bratu(15), [0.5], highest=2.0)

    @dataclass(frozen=True, eq=False)
    class InThousandths:
        inner: Bratu

        def residual(self, u, p):
            return self.inner.residual(u, 1e-3 * p)

        def jacobian(self, u, p):
            return self.inner.jacobian(u, 1e-3 * p)

        def vjp(self, u, p, lam):
            return 1e-3 * self.inner.vjp(u, 1e-3 * p, lam)

        def jvp(self, u, p, p_dot):
            return self.inner.jvp(u, p, 1e-3 * p_dot)

    milli = adjoint.NonlinearProblem(InThousandths(Bratu((15,))), np.zeros(15))
    others = traced(milli, [500.0], highest=2.0, scale=1000.0)
    assert len(points) == len(others)
    for point, other in zip(points, others, strict=True):
        assert other.value == pytest.approx(1000.0 * point.value, rel=1e-10)
        np.testing.assert_allclose(other.u, point.u, rtol=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        adjoint.newton.Newton(chord=0.3),
        adjoint.newton.Newton(globalization=adjoint.newton.LineSearch()),
        adjoint.newton.Newton(globalization=adjoint.newton.FullSteps()),
        adjoint.newton.Newton(scale=np.linspace(0.5, 2.0, 15)),
        adjoint.newton.Newton(rtol=1e-4, gradient_rtol=0.5),
    ],
    ids=["chord", "line search", "full steps", "scales", "loose"],
)
def test_branch_is_traced_by_every_method(method):
    problem = replace(bratu(15), method=method)
    points = traced(problem, [0.5])
    assert sum(point.turned for point in points) == 1
    assert max(point.value for point in points) == pytest.approx(3.5, abs=0.05)


def test_branch_is_traced_whatever_the_problem_is_started_with():
    points = traced(
        replace(bratu(15), start=adjoint.newton.PseudoTransient(0.1)), [0.5], highest=2.0
    )
    np.testing.assert_allclose(points[-1].u, traced(bratu(15), [0.5], highest=2.0)[-1].u, rtol=1e-8)


def test_bounds_end_the_branch_with_a_named_error():
    problem = replace(bratu(15), bounds=adjoint.Bounds(-1.0, 2.0))
    points = []
    with pytest.raises(
        adjoint.errors.NewtonStalled, match=r"cannot be traced beyond λ = 2\.9.*bounds"
    ):
        points.extend(adjoint.continuation.trace(problem, np.array([0.5]), 0))
    points = traced(problem, [0.5], highest=1.9)
    assert any(point.turned for point in points)


@pytest.mark.parametrize("upper", [2.0, np.full(15, 2.0)], ids=["number", "vector"])
def test_bounds_that_are_not_reached_change_nothing(upper):
    bounded = traced(replace(bratu(15), bounds=adjoint.Bounds(-1.0, upper)), [0.5], highest=1.5)
    free = traced(bratu(15), [0.5], highest=1.5)
    for point, other in zip(bounded, free, strict=True):
        np.testing.assert_array_equal(point.u, other.u)


def test_given_values_stay_and_shift_the_branch():
    """u − g solves Bratu's problem for λ eᵍ."""
    g, n = 0.3, 20
    for point in traced(given_ends(n), [0.5, g]):
        np.testing.assert_allclose(point.u[[0, -1]], g, rtol=1e-14)
        r = Bratu((n,)).residual(point.u[1:-1] - g, np.array([point.value * np.exp(g)]))
        np.testing.assert_allclose(r, 0.0, atol=1e-9)


# Derivatives on the branch


@every_branch
def test_gradient_beyond_the_fold_is_the_central_difference(name):
    point = upper_point(name)
    problem = point.problem.near(point.solution)
    rng = np.random.default_rng(1)
    mean, p_dot = (
        rng.uniform(0.5, 1.0, point.u.size) / point.u.size,
        point.p * rng.uniform(-1.0, 1.0, point.p.size),
    )

    def central(h):
        ahead, behind = (mean @ problem.solve(point.p + s * h * p_dot).u for s in (1.0, -1.0))
        return (ahead - behind) / (2.0 * h)

    expected = (4.0 * central(1e-4) - central(2e-4)) / 3.0
    assert point.solution.vjp(mean) @ p_dot == pytest.approx(expected, rel=1e-7)
    assert mean @ point.solution.jvp(p_dot) == pytest.approx(expected, rel=1e-7)


@every_branch
def test_derivative_along_the_branch_is_the_slope_of_its_tangent(name):
    """du/dλ = u̇ / λ̇, on both arms."""
    problem, p, parameter = BRANCHES[name]
    for point in traced(problem, p, parameter)[::3]:
        u_dot, value_dot = point.tangent
        slope = point.solution.jvp(np.eye(p.size)[parameter])
        np.testing.assert_allclose(slope * value_dot, u_dot, rtol=0, atol=1e-8 * abs(u_dot).max())


def test_derivative_of_the_integral_is_the_reference_on_the_lower_arm_and_the_closed_form_on_the_upper():  # noqa: E501
    """CASES: dJ/dλ = 0.105150989347 at λ = 1; upper arm: differences of the closed form."""
    slopes = []
    for n in (31, 63, 127):
        mean = np.full(n, 1.0 / (n + 1))
        point = max(traced(bratu(n), [1.0]), key=lambda point: point.u.max())
        upper = replace(bratu(n), u0=point.u).solve(np.ones(1))
        slopes.append([bratu(n).solve(np.ones(1)).vjp(mean)[0], upper.vjp(mean)[0]])
    first, second, third = np.array(slopes)
    extrapolated = (16 * (4 * third - second) / 3 - (4 * second - first) / 3) / 15

    def integral(value):
        u = np.pad(exact(value, True, 4095), 1)
        coarse, fine = (np.sum(u[::k]) * k / 4096 for k in (2, 1))
        return (4 * fine - coarse) / 3

    upper = (8 * (integral(1.01) - integral(0.99)) - (integral(1.02) - integral(0.98))) / 0.12
    np.testing.assert_allclose(extrapolated, [0.105150989347, upper], rtol=2e-7)


def test_state_from_elsewhere_has_the_derivative_of_the_solution():
    problem = ignition(9, 6, velocity=(4.0, -3.0))
    p = np.append(2.0, np.linspace(0.8, 1.2, 54))
    found = problem.solve(p)
    with adjoint.counting() as counts:
        other = problem.at(found.u, p)
        u_bar, p_dot = np.random.default_rng(2).standard_normal(54), np.linspace(-1.0, 1.0, 55)
        g, u_dot = other.vjp(u_bar), other.jvp(p_dot)
    assert counts.numeric == 1
    np.testing.assert_allclose(g, found.vjp(u_bar), rtol=1e-10)
    np.testing.assert_allclose(u_dot, found.jvp(p_dot), rtol=1e-10)
    np.testing.assert_array_equal(other.u, found.u)


def test_state_that_is_no_solution_is_refused():
    problem, p = bratu(15), np.ones(1)
    u = problem.solve(p).u
    with pytest.raises(ValueError, match="does not solve"):
        problem.at(1.01 * u, p)
    with pytest.raises(ValueError, match="does not solve"):
        problem.at(u, 2.0 * p)
    with pytest.raises(adjoint.errors.NonFinite):
        problem.at(np.full(15, np.nan), p)


# Counts


@every_branch
def test_a_point_costs_at_most_four_factorizations_and_the_pattern_is_analysed_once(name):
    """Each point if steps are short; the average if steps are long and may be repeated."""
    problem, p, parameter = BRANCHES[name]
    for longest, most in ((0.05, 4), (np.inf, 12 * 4)):
        with adjoint.counting() as counts:
            points = adjoint.continuation.trace(problem, p, parameter, step=0.05, longest=longest)
            next(points)
            first = counts.symbolic
            numbers = [counts.numeric]
            for _ in range(12):
                next(points)
                numbers.append(counts.numeric)
        assert first <= 1  # 0 if another test has left its analysis.
        assert counts.symbolic - first <= 1  # of the bordered Jacobian
        assert max(np.diff(numbers)) <= most
        assert numbers[-1] - numbers[0] <= 12 * 4


def test_solution_of_a_point_costs_one_factorization_when_asked_for():
    *_, point = islice(adjoint.continuation.trace(bratu(15), np.array([0.5]), 0), 4)
    with adjoint.counting() as counts:
        _ = point.value, point.u, point.tangent
        assert counts.numeric == 0
        assert point.solution is point.solution
        point.solution.vjp(np.ones(15))
        assert counts.numeric == 1


# Bad arguments


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"parameter": 1}, ValueError, "parameter=1"),
        ({"parameter": -1}, ValueError, "parameter=-1"),
        ({"parameter": 0.5}, TypeError, "parameter|index|integer"),
        ({"step": 0.0}, ValueError, "step=0"),
        ({"step": np.nan}, ValueError, "step=nan"),
        ({"step": 1.0, "longest": 0.5}, ValueError, "longest=0.5"),
        ({"longest": np.nan}, ValueError, "longest=nan"),
        ({"scale": -1.0}, ValueError, "scale=-1"),
        ({"scale": np.inf}, ValueError, "scale=inf"),
        ({"p": np.ones(1) + 0j}, TypeError, "complex"),
        ({"p": np.ones((1, 1))}, ValueError, "shape"),
        ({"p": np.array([np.nan])}, adjoint.errors.NonFinite, r"p\[0\]"),
    ],
)
def test_arguments_that_make_no_sense_are_named_at_once(options, error, message):
    arguments = {"p": np.ones(1), "parameter": 0, **options}
    with pytest.raises(error, match=message):
        adjoint.continuation.trace(bratu(5), **arguments)


def test_complex_states_are_refused():
    with pytest.raises(TypeError, match="complex"):
        list(
            islice(
                adjoint.continuation.trace(
                    replace(bratu(5), u0=np.zeros(5, complex)), np.ones(1), 0
                ),
                2,
            )
        )


def test_no_solution_to_start_from_is_the_error_of_solve():
    with pytest.raises(adjoint.SolveError) as caught:
        next(adjoint.continuation.trace(bratu(15), np.array([4.0]), 0))
    assert len(caught.value.history) >= 2


def test_points_cannot_be_changed():
    for point in islice(adjoint.continuation.trace(bratu(5), np.ones(1), 0), 2):
        assert not point.u.flags.writeable
        assert not point.p.flags.writeable


def test_augmented_equation_has_its_derivatives():
    """Against differences, for a nonsymmetric problem and the fourth parameter."""
    physics = ignition(4, 3, velocity=(4.0, -3.0)).residual
    rng = np.random.default_rng(3)
    u, p, row = rng.random(12), rng.uniform(0.5, 1.5, 13), rng.standard_normal(12)
    augmented = arclength.AugmentedResidual(physics, p, 3, row, 0.7)
    v, s = np.append(u, 1.1), np.array([0.2])
    A = augmented.jacobian(v, s)
    assert A.has_canonical_format
    h = 1e-6
    columns = [
        (augmented.residual(v + h * e, s) - augmented.residual(v - h * e, s)) / (2 * h)
        for e in np.eye(13)
    ]
    np.testing.assert_allclose(A.toarray(), np.stack(columns, axis=1), atol=1e-6)
    lam = rng.standard_normal(13)
    assert augmented.vjp(v, s, lam) @ np.ones(1) == pytest.approx(
        lam @ augmented.jvp(v, s, np.ones(1))
    )
    difference = (augmented.residual(v, s + h) - augmented.residual(v, s - h)) / (2 * h)
    np.testing.assert_allclose(augmented.jvp(v, s, np.ones(1)), difference, atol=1e-9)
