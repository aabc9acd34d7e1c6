"""Laws of the nonlinear physics: exact derivatives, one pattern, closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.finite_elements.grid import Grid
from problems.steady.bratu import Bratu, bratu, plain_bratu
from problems.steady.circuit import DiodeCircuit, DiodeLadder, diode_circuit, diode_ladder
from problems.steady.conduction import Conduction, conduction, harmonic, plain_conduction, upwind
from problems.steady.elasticity import stiffness_matrix
from problems.steady.hyperelasticity import Hyperelastic, beam, bent_cantilever, stretched_block
from problems.steady.radiation import RadiatingPlate, radiating_plate
from problems.steady.sellar import Sellar, SellarObjective, sellar

STEP = 1e-30


def vortex(points):
    """A velocity that changes its sign in both directions."""
    return np.stack([np.sin(5.0 * points[:, 1]), np.cos(4.0 * points[:, 0]) - 0.3], axis=1)


# name: (physics, a typical state of its size)
CASES = {
    "Bratu, line, one parameter": (Bratu((9,)), 1.0),
    "Bratu, line": (Bratu((9,)), 1.0),
    "Bratu, rectangle": (Bratu((5, 3)), 1.0),
    "conduction": (Conduction((5, 3), size=(1.0, 0.7), mean=harmonic), 1.5),
    "conduction, one column": (Conduction((1, 4)), 1.5),
    "conduction, upwind": (Conduction((4, 5), advection=upwind, velocity=vortex), 1.5),
    "diode circuit": (DiodeCircuit(), 0.5),
    "diode ladder": (DiodeLadder(8, transconductance=3e-3), 0.5),
    "diode ladder, one stage": (DiodeLadder(1), 0.6),
    "Sellar": (Sellar(), 10.0),
    "bent cantilever": (bent_cantilever(3, 2).residual, 0.05),
    "stretched block": (stretched_block(2, 3).residual, 0.05),
    "radiating plate": (radiating_plate(4, 2).residual, 600.0),
}
every_case = pytest.mark.parametrize("name", CASES)


def instance(name, seed=0):
    """(physics, u, p): random u and p around typical values, read-only."""
    physics, scale = CASES[name]
    rng = np.random.default_rng(seed)
    p = physics.nominal[:1] if name.endswith("one parameter") else physics.nominal
    n = {"Sellar": 2, "diode circuit": 2}.get(name) or unknowns(physics)
    u, p = scale * rng.uniform(0.5, 1.5, n), p * rng.uniform(0.8, 1.2, p.size)
    for v in (u, p):
        v.setflags(write=False)
    return physics, u, p


def unknowns(physics):
    match physics:
        case Bratu() | Conduction():
            return physics.nominal.size
        case DiodeLadder():
            return physics.stages
        case Hyperelastic():
            return physics.load.size
        case RadiatingPlate():
            return len(physics.grid.nodes)


def columns(function, v):
    """The dense derivative of a function at v, by complex steps."""
    return np.stack([function(v + 1j * STEP * e).imag / STEP for e in np.eye(v.size)], axis=1)


@every_case
def test_jacobian_is_the_derivative_of_the_residual(name):
    physics, u, p = instance(name)
    expected = columns(lambda v: physics.residual(v, p), u)
    np.testing.assert_allclose(
        physics.jacobian(u, p).toarray(), expected, rtol=0, atol=1e-13 * abs(expected).max()
    )


@every_case
def test_jvp_is_the_derivative_with_respect_to_the_parameters(name):
    physics, u, p = instance(name)
    expected = columns(lambda v: physics.residual(u, v), p)
    applied = np.stack([physics.jvp(u, p, e) for e in np.eye(p.size)], axis=1)
    np.testing.assert_allclose(
        applied, expected, rtol=1e-12, atol=1e-13 * abs(expected).max(axis=0).min()
    )


@every_case
def test_jvp_and_jacobian_agree_with_richardson_differences(name):
    """Differences in real arithmetic, which does not see branches and moduli of complex steps."""
    physics, u, p = instance(name)
    rng = np.random.default_rng(1)
    u_dot, p_dot = (rng.uniform(-1.0, 1.0, v.size) * v for v in (u, p))

    def central(h):
        return (
            (
                physics.residual(u + h * u_dot, p + h * p_dot)
                - physics.residual(u - h * u_dot, p - h * p_dot)
            )
            / h
            / 2
        )

    first, second, third = (central(h) for h in (4e-3, 2e-3, 1e-3))
    coarse, fine = (4 * second - first) / 3, (4 * third - second) / 3
    expected = physics.jacobian(u, p) @ u_dot + physics.jvp(u, p, p_dot)
    np.testing.assert_allclose(
        (16 * fine - coarse) / 15, expected, rtol=0, atol=2e-7 * abs(expected).max()
    )


@every_case
def test_vjp_is_the_transpose_of_jvp(name):
    physics, u, p = instance(name)
    rng = np.random.default_rng(2)
    lam, p_dot = rng.standard_normal(u.size), rng.standard_normal(p.size) * p
    lam.setflags(write=False)
    g, r = physics.vjp(u, p, lam), physics.jvp(u, p, p_dot)
    assert g.shape == p.shape
    assert r.shape == u.shape
    assert g @ p_dot == pytest.approx(
        lam @ r, abs=1e-13 * (abs(g) @ abs(p_dot) + abs(lam) @ abs(r))
    )


@every_case
def test_jacobian_is_canonical_float64_and_always_on_one_pattern(name):
    physics, u, p = instance(name)
    A = physics.jacobian(u, p)
    for B in (
        A,
        physics.jacobian(
            np.zeros(u.size) if name != "Sellar" else np.ones(2), physics.nominal[: p.size]
        ),
    ):
        assert B.dtype == np.float64
        assert sparse.csc_array((B.data, B.indices, B.indptr), shape=B.shape).has_canonical_format
        np.testing.assert_array_equal(A.indices, B.indices)
        np.testing.assert_array_equal(A.indptr, B.indptr)


@every_case
def test_jacobian_is_symmetric_where_stated_and_only_there(name):
    physics, u, p = instance(name)
    A = physics.jacobian(u, p)
    error = abs(A - A.T).max() / abs(A).max()
    nonsymmetric = isinstance(physics, Conduction | DiodeLadder | Sellar) and u.size > 1
    assert error > 1e-3 if nonsymmetric else error <= 1e-14


@pytest.mark.parametrize("points", [(7,), (1,), (4, 6), (1, 3)])
def test_bratu_is_the_plain_function(points):
    rng = np.random.default_rng(3)
    u, p = rng.random((2, np.prod(points)))
    for parameters in (p, p[:1]):
        r = Bratu(points).residual(u, parameters)
        np.testing.assert_allclose(plain_bratu(*points)(u, parameters), r, atol=1e-12)


@pytest.mark.parametrize("cells", [(6, 4), (3, 7), (1, 1), (1, 5), (5, 1)])
def test_conduction_is_the_plain_function(cells):
    model = Conduction(cells, size=(1.0, 0.7), ends=(-1.0, 2.5), velocity=vortex)
    u, p = np.random.default_rng(4).uniform(0.5, 2.0, (2, np.prod(cells)))
    np.testing.assert_allclose(plain_conduction(model)(u, p), model.residual(u, p), atol=1e-12)


# Closed forms


def test_bratu_converges_to_the_closed_form_of_both_branches():
    """u = −2 ln(cosh(½θ(x − ½)) / cosh(¼θ)), θ = √(2λ) cosh(¼θ): Mohsen (2014), section 1."""
    for low, high in ((1.0, 2.0), (8.0, 12.0)):  # λ = 1 has a root θ in each
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = (middle - np.sqrt(2.0) * np.cosh(middle / 4) < 0.0) == (low < 5.0)
            low, high = (middle, high) if below else (low, middle)
        errors = []
        for n in (31, 63):
            x = np.arange(1, n + 1) / (n + 1)
            exact = -2.0 * np.log(np.cosh(0.5 * low * (x - 0.5)) / np.cosh(0.25 * low))
            u = replace(bratu(n), u0=exact).solve(np.ones(1)).u
            errors.append(abs(u - exact).max())
        assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.05)


def test_conduction_converges_to_the_kirchhoff_transform():
    """Without flow and source u + a u³/3 is linear in x: order 2."""
    errors = []
    for n in (20, 40, 80):
        model = Conduction((n, 2), velocity=np.zeros_like, source=0.0, ends=(0.5, 3.0))
        u = adjoint.NonlinearProblem(model, np.ones(2 * n)).solve(model.nominal).u
        theta_0, theta_1 = (e + model.growth * e**3 / 3 for e in model.ends)
        theta = theta_0 + (theta_1 - theta_0) * np.repeat((np.arange(n) + 0.5) / n, 2)
        errors.append(abs(u + model.growth * u**3 / 3 - theta).max())
    assert np.log2(errors[0] / errors[1]) >= 1.8
    assert np.log2(errors[1] / errors[2]) >= 1.9


def test_constant_temperature_is_carried_by_any_flow():
    model = Conduction((6, 5), ends=(2.0, 2.0), source=0.0, velocity=vortex)
    p = np.random.default_rng(5).uniform(0.1, 3.0, 30)
    np.testing.assert_allclose(model.residual(np.full(30, 2.0), p), 0.0, atol=1e-13)


def test_upwind_advection_does_not_overshoot():
    model = Conduction(
        (12, 7), source=0.0, growth=0.0, advection=upwind, velocity=lambda x: 500.0 * vortex(x)
    )
    u = adjoint.NonlinearProblem(model, np.ones(84)).solve(model.nominal).u
    assert u.min() >= min(model.ends) - 1e-12
    assert u.max() <= max(model.ends) + 1e-12


def test_insulated_plate_radiates_its_source():
    plate = RadiatingPlate(Grid((3, 2), (0.1, 0.05)))
    p = np.concatenate([np.linspace(10.0, 60.0, 6), np.full(6, 0.7)])
    radiated = 2 * 0.7 * 5.670374419e-8 / plate.thickness
    T = (plate.source / radiated + plate.surroundings**4) ** 0.25
    np.testing.assert_allclose(
        plate.residual(np.full(12, T), p), 0.0, atol=1e-10 * plate.load.max()
    )  # digits of σ


def test_plate_keeps_its_given_temperatures_and_lies_between_them_and_the_surroundings():
    problem = radiating_plate(6, 4, hot=(500.0, 800.0))
    plate = replace(problem.residual, source=0.0)
    T = replace(problem, residual=plate).solve(plate.nominal).u
    left = plate.grid.boundary(0, 0)
    np.testing.assert_allclose(T[left], 500.0 + 3000.0 * plate.grid.nodes[left, 1], rtol=1e-12)
    assert plate.surroundings < T.min() <= T.max() <= 800.0


def block(cells=(3, 2)):
    grid = beam(*cells)
    return Hyperelastic(grid, grid.dofs(2), np.zeros(2 * len(grid.nodes)))


def test_rigid_rotation_causes_no_forces():
    body, angle = block(), 1.1
    Q = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    u = (body.grid.nodes @ (Q - np.eye(2)).T + 0.7).ravel()
    np.testing.assert_allclose(body.residual(u, body.nominal), 0.0, atol=1e-14)


def test_tangent_of_the_undeformed_body_is_that_of_linear_elasticity():
    """Plane strain is plane stress with E / (1 − ν²) and ν / (1 − ν)."""
    body = block((5, 3))
    body = replace(body, grid=Grid.unit(5, 3))
    nu, E = body.poisson, np.random.default_rng(6).uniform(0.5, 2.0, 15)
    linear = adjoint.Elements(body.dofs, stiffness_matrix(body.grid, nu / (1 - nu)) / (1 - nu**2))(
        E
    )
    A = body.jacobian(np.zeros(48), np.append(E, 1.0))
    np.testing.assert_allclose(A.toarray(), linear.toarray(), atol=1e-14)


def test_uniform_stretch_needs_the_stress_of_the_closed_form():
    """P₁₁ = μ(s − 1/s) + λ ln(s)/s for F = diag(s, 1).

    P is equal in all elements, so that interior nodes are in equilibrium.
    """
    body, s = block((4, 3)), 1.7
    mu, lam = body.lame
    u = np.zeros((len(body.grid.nodes), 2))
    u[:, 0] = (s - 1.0) * body.grid.nodes[:, 0]
    forces = body.residual(u.ravel(), body.nominal).reshape(-1, 2)
    assert forces[body.grid.boundary(0, 1), 0].sum() == pytest.approx(
        mu * (s - 1 / s) + lam * np.log(s) / s, rel=1e-13
    )
    inside = body.grid.node_numbers[1:-1, 1:-1]
    np.testing.assert_allclose(forces[inside], 0.0, atol=1e-14)


def test_residual_is_the_derivative_of_the_stored_energy():
    body, u, p = instance("stretched block")
    _, _, gradients = body.grid.shape_functions()
    mu, lam = body.lame

    def energy(v):
        total = 0.0
        for dofs, E in zip(body.dofs, p, strict=False):
            for G in gradients:
                F = np.eye(2) + v[dofs].reshape(4, 2).T @ G
                J = np.linalg.det(F) if np.isrealobj(F) else F[0, 0] * F[1, 1] - F[0, 1] * F[1, 0]
                W = 0.5 * mu * ((F * F).sum() - 2 - 2 * np.log(J)) + 0.5 * lam * np.log(J) ** 2
                total = total + E * W * body.grid.volume / 4
        return np.atleast_1d(total)

    np.testing.assert_allclose(body.residual(u, p), columns(energy, u)[0], atol=1e-14)


# Outside of the domain


@pytest.mark.parametrize(
    ("physics", "u"),
    [
        (Sellar(), np.array([-1.0, 2.0])),
        (Bratu((3,)), np.array([0.0, 1e4, 0.0])),
        (DiodeCircuit(), np.array([10.0, 1e3])),
        (DiodeLadder(3), np.array([1e3, 0.0, 0.0])),
        (block(), -1.5 * beam(3, 2).nodes.ravel() * np.tile([1.0, 0.0], 12)),
        (block(), -beam(3, 2).nodes.ravel() * np.tile([1.0, 0.0], 12)),
    ],
    ids=["Sellar", "Bratu", "circuit", "ladder", "inverted", "flattened"],
)
def test_outside_of_the_domain_the_residual_is_not_finite_and_nothing_warns(physics, u):
    p = physics.nominal
    assert not np.isfinite(physics.residual(u, p)).all()
    assert not np.isfinite(physics.jacobian(u, p).data).all()


@pytest.mark.parametrize(
    "make",
    [lambda: Bratu(()), lambda: Bratu((3, 0)), lambda: Conduction((0, 3)), lambda: DiodeLadder(0)],
)
def test_models_without_unknowns_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()


# Problems, as the constructors make them

PROBLEMS = {
    "Bratu 10": lambda: bratu(10),
    "Bratu 3 x 17": lambda: bratu(3, 17),
    "Bratu 40 x 25": lambda: bratu(40, 25),
    "conduction 5 x 2": lambda: conduction(5, 2),
    "conduction 17 x 3": lambda: conduction(17, 3),
    "conduction 25 x 40": lambda: conduction(25, 40),
    "circuit": diode_circuit,
    "ladder 10": lambda: diode_ladder(10),
    "ladder 51": lambda: diode_ladder(51),
    "ladder 1000": lambda: diode_ladder(1000),
    "Sellar": sellar,
    "cantilever 10": lambda: bent_cantilever(1, 4),
    "cantilever 52": lambda: bent_cantilever(13, 1),
    "cantilever 1000": lambda: bent_cantilever(50, 9),
    "block 50": lambda: stretched_block(4, 4),
    "plate 10": lambda: radiating_plate(4, 1),
    "plate 51": lambda: radiating_plate(16, 2),
    "plate 1000": lambda: radiating_plate(24, 39),
}


@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_problem_solves_at_its_nominal_parameters_and_its_derivative_is_right(make):
    problem = make()
    p = problem.residual.nominal
    rng = np.random.default_rng(7)
    p_dot = p * rng.uniform(-1.0, 1.0, p.size)
    solution = problem.solve(p)
    h, u_dot = 1e-3, solution.jvp(p_dot)

    def central(h):
        return (
            problem.solve(p + h * p_dot, near=solution).u
            - problem.solve(p - h * p_dot, near=solution).u
        ) / (2 * h)

    difference = (4 * central(h) - central(2 * h)) / 3
    np.testing.assert_allclose(difference, u_dot, rtol=0, atol=1e-6 * abs(u_dot).max())
    u_bar = rng.standard_normal(solution.u.size)
    assert solution.vjp(u_bar) @ p_dot == pytest.approx(
        u_bar @ u_dot, rel=1e-9, abs=1e-9 * abs(u_dot).max()
    )


# Published numbers (CASES.md)


def test_sellar_is_the_published_one():
    point = adjoint.Reduced(sellar(), SellarObjective())(Sellar().nominal)
    assert point.value == pytest.approx(28.588308165034, rel=1e-13)
    np.testing.assert_allclose(
        point.gradient, [9.61001055699, 1.78448533563, 2.98061391348], rtol=2e-12
    )


def test_diode_circuit_is_the_reference():
    solution = diode_circuit().solve(DiodeCircuit().nominal)
    np.testing.assert_allclose(solution.u, [9.90804734507933, 0.712781853012352], rtol=1e-13)
    np.testing.assert_allclose(
        solution.jvp(np.eye(6)[0]), [99.012651828244, 0.27783465269368], rtol=1e-11
    )


def test_bratu_is_the_reference_after_richardson_extrapolation():
    rows = []
    for n in (63, 127, 255):
        mean = np.full(n, 1.0 / (n + 1))
        point = adjoint.Reduced(bratu(n), adjoint.LinearFunctional(mean))(np.ones(1))
        rows.append([bratu(n).solve(np.ones(1)).u.max(), point.value, point.gradient[0]])
    first, second, third = np.array(rows)
    extrapolated = (16 * (4 * third - second) / 3 - (4 * second - first) / 3) / 15
    np.testing.assert_allclose(
        extrapolated, [0.1405392144005, 0.0932568771592, 0.105150989347], rtol=1e-10
    )
