"""Laws of nonlinear problems: solutions, derivatives, errors, invariances."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.steady.bratu import bratu
from problems.steady.circuit import DiodeCircuit, diode_circuit, diode_ladder
from problems.steady.conduction import conduction
from problems.steady.hyperelasticity import bent_cantilever, stretched_block
from problems.steady.radiation import radiating_plate
from problems.steady.sellar import Sellar, SellarObjective, sellar

STEP = 1e-30


@dataclass(frozen=True, eq=False)
class Dense:
    """R, ∂R/∂u and ∂R/∂p from three functions of (u, p) that return lists."""

    equations: object
    slopes: object
    sensitivity: object

    def residual(self, u, p):
        return np.array(self.equations(u, p))

    def jacobian(self, u, p):
        return sparse.csc_array(np.array(self.slopes(u, p)))

    def vjp(self, u, p, lam):
        return np.array(self.sensitivity(u, p)).conj().T @ lam

    def jvp(self, u, p, p_dot):
        return np.array(self.sensitivity(u, p)) @ p_dot


def turned(physics, M):
    """M R: the same equations in other combinations and units."""
    return Dense(
        lambda u, p: M @ physics.residual(u, p),
        lambda u, p: M @ physics.jacobian(u, p).toarray(),
        lambda u, p: M @ np.stack([physics.jvp(u, p, unit) for unit in np.eye(p.size)], axis=1),
    )


def parameters(problem, seed=0):
    p = problem.residual.nominal
    return p * np.random.default_rng(seed).uniform(0.9, 1.1, p.size)


def through_the_solve(problem, p):
    """du/dp by complex steps through Newton's method itself, dense."""
    equation, u = problem.equation, problem.solve(p).u
    inverse, columns = np.linalg.inv(equation.jacobian(u, p).toarray()), []
    for unit in np.eye(p.size):
        z = u + 0j
        for _ in range(4):  # A chord iteration contracts by ε here.
            z = z - inverse @ equation.residual(z, p + 1j * STEP * unit)
        columns.append(z.imag / STEP)
    return np.array(columns).T


SMALL = {
    "Bratu 10": lambda: bratu(10),
    "Bratu 3 x 7": lambda: bratu(3, 7),
    "conduction 5 x 2": lambda: conduction(5, 2),
    "circuit": diode_circuit,
    "ladder 10": lambda: diode_ladder(10),
    "Sellar": sellar,
    "block, stretched by its boundary": lambda: stretched_block(3, 2),
    "plate": lambda: radiating_plate(4, 1),
}
SIZES = {
    **SMALL,
    "Bratu 51": lambda: bratu(3, 17),
    "Bratu 1000": lambda: bratu(40, 25),
    "conduction 51": lambda: conduction(17, 3),
    "conduction 1000": lambda: conduction(25, 40),
    "ladder 51": lambda: diode_ladder(51),
    "ladder 1000": lambda: diode_ladder(1000),
}


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_gradient_is_that_of_a_complex_step_through_the_whole_solve(make):
    problem = make()
    p = parameters(problem)
    u_bar = np.random.default_rng(1).standard_normal(problem.u0.size)
    g, expected = problem.solve(p).vjp(u_bar), u_bar @ through_the_solve(problem, p)
    assert np.linalg.norm(g - expected) <= 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("make", SIZES.values(), ids=SIZES)
def test_taylor_remainder_is_second_order_and_adjoint_the_transpose_of_the_tangent(make):
    problem = make()
    p = parameters(problem)
    misfit = adjoint.LeastSquares(
        problem.solve(p).u * np.random.default_rng(2).uniform(0.5, 1.5, problem.u0.size)
    )
    report = adjoint.check(adjoint.Reduced(problem, misfit), p, seed=3)
    assert report.ok, report.table()
    assert report.dot_product_error <= 1e-12


def test_published_diode_sensitivities_survive_the_bad_guess():
    """CASES.md: V and dV/dI; the guess (10, 10⁻³) V makes undamped steps overflow."""
    solution = diode_circuit().solve(DiodeCircuit().nominal)
    np.testing.assert_allclose(solution.u, [9.90804734507933, 0.712781853012352], rtol=1e-12)
    by_adjoint = solution.vjp(np.eye(2))[0]
    np.testing.assert_allclose(by_adjoint, [99.012651828244, 0.27783465269368], rtol=1e-11)
    with pytest.raises((adjoint.errors.NonFiniteResidual, adjoint.errors.NewtonDiverged)):
        replace(
            diode_circuit(), method=adjoint.newton.Newton(globalization=adjoint.newton.FullSteps())
        ).solve(DiodeCircuit().nominal)


def test_published_sellar_gradient_from_starts_near_and_far():
    for start in ((1.0, 1.0), (25.0, 12.0), (1e-3, 1e3), (1e4, -7.0)):
        point = adjoint.Reduced(replace(sellar(), u0=np.array(start)), SellarObjective())(
            Sellar().nominal
        )
        assert point.value == pytest.approx(28.588308165034, rel=1e-13)
        np.testing.assert_allclose(
            point.gradient, [9.61001055699, 1.78448533563, 2.98061391348], rtol=2e-12
        )


LOOSE = {
    "rtol 0.1": adjoint.newton.Newton(rtol=0.1),
    "rtol 1e-3": adjoint.newton.Newton(rtol=1e-3),
    "rtol 1e-3, line search": adjoint.newton.Newton(
        rtol=1e-3, globalization=adjoint.newton.LineSearch()
    ),
    "no polish": adjoint.newton.Newton(rtol=1e-2, gradient_rtol=0.5),
    "chord": adjoint.newton.Newton(rtol=1e-3, chord=0.9),
    "tight chord": adjoint.newton.Newton(chord=0.5),
}


@pytest.mark.parametrize("method", LOOSE.values(), ids=LOOSE)
@pytest.mark.parametrize(
    "make", [*SMALL.values(), SIZES["conduction 1000"]], ids=[*SMALL, "conduction 1000"]
)
def test_reported_gradient_error_is_honest(make, method):
    problem = make()
    p = parameters(problem)
    exact, loose = problem.solve(p), replace(problem, method=method).solve(p)
    u_bar = np.random.default_rng(4).standard_normal((exact.u.size, 4))
    g, expected = loose.vjp(u_bar), exact.vjp(u_bar)
    error = np.max(np.linalg.norm(g - expected, axis=0) / np.linalg.norm(expected, axis=0))
    assert error <= 10.0 * loose.evidence.gradient_error + 1e-11
    assert loose.evidence.residual == pytest.approx(
        np.linalg.norm(problem.equation.residual(loose.u, p)), rel=1e-6
    )


def test_reported_error_is_honest_where_equations_converge_differently():
    """A linear equation in large units is exact after a step; the other equation is not."""
    pair = Dense(
        lambda u, p: [1e5 * (u[0] - p[0]), 1e-5 * (u[1] ** 2 - p[0])],
        lambda u, p: [[1e5, 0.0], [0.0, 2e-5 * u[1]]],
        lambda u, p: [[-1e5], [-1e-5]],
    )
    method = adjoint.newton.Newton(rtol=1e-2, gradient_rtol=0.5)
    solution = adjoint.NonlinearProblem(pair, np.full(2, 1.003), method=method).solve(np.ones(1))
    assert (
        abs(solution.vjp(np.eye(2)[1])[0] / 0.5 - 1.0)
        <= 10.0 * solution.evidence.gradient_error + 1e-13
    )


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_polishing_leaves_less_than_the_tolerance_of_the_steps(make):
    problem = make()
    p = parameters(problem)
    methods = adjoint.newton.Newton(rtol=1e-3, gradient_rtol=0.9), adjoint.newton.Newton(rtol=1e-3)
    rough, polished = (replace(problem, method=method).solve(p) for method in methods)
    assert polished.evidence.gradient_error <= 1e-3
    assert polished.evidence.gradient_error <= max(rough.evidence.gradient_error, 1e-13)
    assert polished.evidence.counts.numeric == rough.evidence.counts.numeric


# f with f(1) = c, f′, c, and a start
FORMS = {
    "cube": (lambda w: w**3 + w, lambda w: 3.0 * w**2 + 1.0, 2.0, 10.0),
    "arctan": (np.arctan, lambda w: 1.0 / (1.0 + w**2), np.pi / 4, 3.0),
    "exp": (np.exp, np.exp, np.e, 30.0),
}


@pytest.mark.parametrize("small", [1e-15, 1e-9])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_unknowns_of_mixed_units_are_all_solved_for(form, small):
    """10⁵ and 10⁻¹⁵: corrections of the small unknown are below rtol ‖u‖ from the start."""
    f, slope, c, far = form
    mixed = Dense(
        lambda u, p: [u[0] - 1e5 * p[0], f(u[1] / small) - c * p[0]],
        lambda u, p: [[1.0, 0.0], [0.0, slope(u[1] / small) / small]],
        lambda u, p: [[-1e5], [-c]],
    )
    for scale, start in ((1.0, 1e5), (1.0, 1.0), (np.array([1e5, small]), 1e5)):
        method = adjoint.newton.Newton(scale=scale)
        solution = adjoint.NonlinearProblem(
            mixed, np.array([start, far * small]), method=method
        ).solve(np.ones(1))
        np.testing.assert_allclose(solution.u, [1e5, small], rtol=1e-9)
        np.testing.assert_allclose(
            solution.jvp(np.ones(1)), [1e5, small * c / slope(1.0)], rtol=1e-9
        )


@pytest.mark.parametrize("name", ["circuit", "ladder 10", "conduction 5 x 2"])
def test_affine_invariant_iterates_do_not_see_how_equations_are_combined(name):
    problem = SMALL[name]()
    p, n, rng = parameters(problem), problem.u0.size, np.random.default_rng(5)
    M = np.linalg.qr(rng.standard_normal((n, n)))[0] @ np.diag(10.0 ** rng.uniform(-3, 3, n))
    plain, other = problem.solve(p), replace(problem, residual=turned(problem.residual, M)).solve(p)
    assert plain.evidence.counts.numeric == other.evidence.counts.numeric
    np.testing.assert_allclose(plain.u, other.u, rtol=1e-10)
    u_bar = rng.standard_normal(n)
    np.testing.assert_allclose(plain.vjp(u_bar), other.vjp(u_bar), rtol=1e-7)


def test_symmetric_factorizers_serve_symmetric_physics_with_values_that_depend_on_p():
    problem = stretched_block(4, 3)
    p = parameters(problem)
    u_bar = np.random.default_rng(6).standard_normal(problem.u0.size)
    expected = problem.solve(p).vjp(u_bar)
    for factorize in (adjoint.ldl, adjoint.cholesky):
        np.testing.assert_allclose(
            replace(problem, factorize=factorize).solve(p).vjp(u_bar), expected, rtol=1e-9
        )
    moved = problem.solve(p).jvp(np.eye(p.size)[-1])
    assert set(moved[problem.dirichlet.fixed]) == {
        0.0,
        1.0,
    }  # The rates of the given values themselves.


def test_complex_holomorphic_states_have_exact_derivatives_for_real_parameters():
    """uᵢ² + (1 + 2i) u_{i+1} = p_i z_i, nonsymmetric; against differences of the solution."""
    n, rng = 6, np.random.default_rng(7)
    z, shift = rng.standard_normal(n) + 1j * rng.standard_normal(n), np.roll(np.eye(n), 1, axis=1)
    waves = Dense(
        lambda u, p: u**2 + 4.0 * u + (1.0 + 2.0j) * shift @ u - p * z,
        lambda u, p: np.diag(2.0 * u + 4.0) + (1.0 + 2.0j) * shift,
        lambda u, p: -np.diag(z),
    )
    problem = adjoint.NonlinearProblem(waves, np.zeros(n, dtype=complex))
    p = rng.uniform(0.5, 1.5, n)
    solution = problem.solve(p)
    assert np.abs(waves.residual(solution.u, p)).max() <= 1e-14
    report = adjoint.check(adjoint.Reduced(problem, adjoint.LeastSquares(2.0 * solution.u)), p)
    assert (report.ok, report.dot_product_error <= 1e-12) == (True, True), report.table()


def test_two_solves_give_the_same_bits():
    for make in SMALL.values():
        first, second = (problem.solve(parameters(problem)) for problem in (make(), make()))
        assert np.array_equal(first.u, second.u)
        assert np.array_equal(first.vjp(first.u), second.vjp(second.u))


def test_solutions_at_zero_are_found():
    """‖u‖ → 0, so that relative tolerances fall below rounding."""
    problem = bent_cantilever(4, 2)
    loaded = problem.residual.nominal
    unloaded, bent = np.append(loaded[:-1], 0.0), problem.solve(loaded)
    back = replace(problem, u0=bent.u).solve(unloaded)
    assert np.abs(back.u).max() <= 1e-12
    np.testing.assert_allclose(
        back.vjp(bent.u)[-1], problem.solve(unloaded).vjp(bent.u)[-1], rtol=1e-9
    )
    assert np.abs(replace(bratu(5), u0=np.ones(5)).solve(np.zeros(1)).u).max() <= 1e-12
