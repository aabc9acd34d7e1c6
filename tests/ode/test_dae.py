"""Differential-algebraic equations: consistent starts, eliminated unknowns, null spaces, errors."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.time.amplifier import amplifier
from tests.fixtures.fields import (
    FIXED,
    IMPLICIT,
    METHODS,
    SINGULAR,
    STIFF,
    P,
    Plain,
    cotangents,
    relative,
    weave,
)

implicit = pytest.mark.parametrize("method", IMPLICIT)
stiff = pytest.mark.parametrize("method", STIFF)
GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class Reactor:
    """y' = −p₀ y z + p₁ cos t, 0 = z³ + z − y − p₂ t: the second has one real root z for every
    y.
    """

    def __call__(self, t, u, p):
        y, z = u
        return np.array([-p[0] * y * z + p[1] * np.cos(t), z**3 + z - y - p[2] * t])

    def jacobian(self, t, u, p):
        y, z = u
        return np.array([[-p[0] * z, -p[0] * y], [-1.0, 3.0 * z**2 + 1.0]])

    def by_parameters(self, t, u, p):
        return np.array([[-u[0] * u[1], np.cos(t), 0.0], [0.0, 0.0, -t]])

    def vjp(self, t, u, p, lam):
        return self.by_parameters(t, u, p).T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_parameters(t, u, p) @ p_dot

    def time_derivative(self, t, u, p):
        return np.array([-p[1] * np.sin(t), -p[2]])


def root(y, shift):
    """z with z³ + z = y + shift, by Newton's method from above."""
    z = y + shift
    for _ in range(60):
        z = z - (z**3 + z - y - shift) / (3.0 * z**2 + 1.0)
    return z


def eliminated():
    """y' = −p₀ y z(y, t, p) + p₁ cos t."""

    def by(t, u, p):
        z = root(u[0], p[2] * t)
        return z, 1.0 / (3.0 * z**2 + 1.0)

    def slopes(t, u, p):
        z, dz = by(t, u, p)
        return np.array([[-u[0] * z, np.cos(t), -p[0] * u[0] * dz * t]])

    return Plain(
        lambda t, u, p: -p[0] * u * by(t, u, p)[0] + p[1] * np.cos(t),
        lambda t, u, p: np.array([[-p[0] * (by(t, u, p)[0] + u[0] * by(t, u, p)[1])]]),
        slopes,
    )


REACTOR, PLAIN_MASS, Q = Reactor(), np.diag([1.0, 0.0]), np.array([1.3, 0.8, 0.6])
LEFT, RIGHT = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[2.0, 1.0], [-1.0, 1.0]])


@dataclass(frozen=True, eq=False)
class Mixed:
    """L f(t, R v, p), with the mass L M R: the same equations and unknowns, mixed; M has no row
    of zeros.
    """

    of: object

    def __call__(self, t, v, p):
        return LEFT @ self.of(t, RIGHT @ v, p)

    def jacobian(self, t, v, p):
        return LEFT @ self.of.jacobian(t, RIGHT @ v, p) @ RIGHT

    def vjp(self, t, v, p, lam):
        return self.of.vjp(t, RIGHT @ v, p, LEFT.T @ lam)

    def jvp(self, t, v, p, p_dot):
        return LEFT @ self.of.jvp(t, RIGHT @ v, p, p_dot)

    def time_derivative(self, t, v, p):
        return LEFT @ self.of.time_derivative(t, RIGHT @ v, p)


def reactor(method, t0=0.0, **changes):
    """The problem from y = 1.2 and a guess of z."""
    options = {
        "method": METHODS[method],
        "mass": PLAIN_MASS,
        "consistent": True,
        "rtol": 1e-7,
        "atol": 1e-9,
    }
    options |= {"field": REACTOR, "u0": np.array([1.2, 0.0]), "t": (t0, 1.0)}
    options["grid"] = GRID if method in FIXED else None
    return adjoint.ODEProblem(**(options | changes))


@implicit
def test_eliminated_unknowns_leave_the_same_solution_and_gradient(method):
    """z(y, t, p) put into the differential equation gives the same y, with the same derivatives."""
    trajectory = reactor(method).solve(Q)
    exact = adjoint.ODEProblem(
        eliminated(), [1.2], (0.0, 1.0), method=METHODS["DOP853"], rtol=1e-10, atol=1e-12
    ).solve(Q)
    loose = {"BE": 2e-2, "theta": 1e-2, "CN": 1e-4, "TRBDF2": 1e-4}.get(method, 1e-6)
    (y, z), y_exact = trajectory.u[0], exact.u[0, 0]
    assert y == pytest.approx(y_exact, rel=loose)
    assert z == pytest.approx(root(y, Q[2]), rel=1e-12)
    s, expected = (
        trajectory.sensitivities(np.array([[1.0, 0.0]])),
        exact.sensitivities(np.ones((1, 1))),
    )
    np.testing.assert_allclose(s.p, expected.p, rtol=10.0 * loose)
    assert s.u0[0] == pytest.approx(expected.u0[0], rel=10.0 * loose)
    assert abs(s.u0[1]) <= 1e-15 * abs(s.u0[0])  # Where the guess of z begins plays no part.
    assert s.tf == pytest.approx(exact.problem.field(1.0, exact.u[0], Q)[0], rel=10.0 * loose)
    by_z = trajectory.vjp(np.array([[0.0, 1.0]]))
    dz = 1.0 / (3.0 * z**2 + 1.0)
    np.testing.assert_allclose(by_z, dz * (expected.p + np.eye(3)[2]), rtol=30.0 * loose)


@implicit
def test_mixed_equations_and_unknowns_are_the_same_problem(method):
    """M = L diag(1, 0) R is singular without rows or columns of zeros."""
    plain = reactor(method, rtol=1e-5, grid=np.linspace(0.0, 1.0, 12)).solve(Q)
    u0 = np.linalg.solve(RIGHT, [1.2, root(1.2, 0.0)])
    mixed = reactor(
        method,
        field=Mixed(REACTOR),
        mass=LEFT @ PLAIN_MASS @ RIGHT,
        u0=u0,
        rtol=1e-5,
        grid=np.linspace(0.0, 1.0, 12),
    )
    got = mixed.solve(Q)
    np.testing.assert_allclose(got.u @ RIGHT.T, plain.u, rtol=1e-10)
    u_bar = np.array([[0.4, -1.1]])
    a, b = got.sensitivities(u_bar @ RIGHT), plain.sensitivities(u_bar)
    np.testing.assert_allclose(a.p, b.p, rtol=1e-9)
    np.testing.assert_allclose([a.t0, a.tf], [b.t0, b.tf], rtol=1e-9)
    fixed = replace(mixed, consistent=False).solve(Q)  # It is consistent as it is.
    np.testing.assert_allclose(fixed.u, got.u, rtol=1e-9)


@pytest.mark.parametrize("kind", SINGULAR)
@stiff
def test_algebraic_equations_hold_at_every_time_and_for_every_tangent(method, kind):
    trajectory = weave(4, method, kind, rtol=1e-4, observe=np.linspace(0.0, 1.0, 5)).solve(P)
    problem, M = trajectory.problem, trajectory.problem.mass
    M = M(P).toarray() if callable(M) else M
    left, sizes, _ = np.linalg.svd(M)
    Z = left[:, sizes < 1e-12]
    assert Z.shape[1] == (1 if kind == "rank deficient" else 2)
    u_dot, rng = trajectory.jvp(P), np.random.default_rng(0)
    free, _ = trajectory.tangent(u0_dot=rng.standard_normal(4))
    for t, u, u1, u2 in zip(trajectory.times, trajectory.u, u_dot, free, strict=True):
        f, J = problem.field(t, u, P), problem.field.jacobian(t, u, P)
        np.testing.assert_allclose(Z.T @ f, 0.0, atol=1e-12)
        np.testing.assert_allclose(Z.T @ (J @ u1 + problem.field.jvp(t, u, P, P)), 0.0, atol=1e-10)
        np.testing.assert_allclose(Z.T @ J @ u2, 0.0, atol=1e-10)


@implicit
def test_a_consistent_start_is_solved_for_and_has_exact_derivatives(method):
    """z(y₀) at t₀, with its derivatives from the equation; z moves with t₀ too."""
    grid = np.linspace(0.5, 1.0, 6) if method in FIXED else None
    trajectory = reactor(method, t0=0.5, observe=np.array([0.5, 1.0]), grid=grid).solve(Q)
    z = root(1.2, 0.5 * Q[2])
    np.testing.assert_allclose(trajectory.u[0], [1.2, z], rtol=1e-13)
    of_z = np.array([[0.0, 1.0], [0.0, 0.0]])
    s, dz = trajectory.sensitivities(of_z), 1.0 / (3.0 * z**2 + 1.0)
    np.testing.assert_allclose(s.p, [0.0, 0.0, 0.5 * dz], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(s.u0, [dz, 0.0], rtol=1e-12, atol=1e-14)
    assert s.t0 == pytest.approx(Q[2] * dz, rel=1e-12)
    u_dot, _ = trajectory.tangent(np.array([0.0, 0.0, 1.0]), np.array([1.0, 5.0]))
    np.testing.assert_allclose(u_dot[0], [1.0, 1.5 * dz], rtol=1e-12)


@stiff
@pytest.mark.parametrize("guess", [0.0, 30.0, -1e4])
def test_far_guesses_of_algebraic_unknowns_lead_to_the_root(method, guess):
    trajectory = reactor(method, u0=np.array([1.2, guess]), observe=np.array([0.0])).solve(Q)
    assert trajectory.u[0, 1] == pytest.approx(root(1.2, 0.0), rel=1e-12)


def test_a_start_without_solution_is_named():
    impossible = Plain(
        lambda t, u, p: np.array([-u[0], u[1] ** 2 + 1.0]),
        lambda t, u, p: np.diag([-1.0, 2.0 * u[1]]),
    )
    with pytest.raises(
        adjoint.errors.InconsistentStart, match="Reached t = 0 after 0 steps"
    ) as caught:
        reactor("ESDIRK4", field=impossible, u0=np.array([1.0, 0.7])).solve(Q)
    assert (caught.value.t, caught.value.steps) == (0.0, 0)


@implicit
def test_an_inconsistent_start_is_refused_unless_asked_to_be_mended(method):
    problem = reactor(method, consistent=False)
    with pytest.raises(
        adjoint.errors.InconsistentStart, match=r"unknown 1 should change.*consistent=True"
    ) as caught:
        problem.solve(Q)
    assert (caught.value.t, caught.value.steps) == (0.0, 0)
    near = replace(problem, u0=np.array([1.2, root(1.2, 0.0) + 1e-11]))
    assert near.solve(Q).u[0, 1] == pytest.approx(reactor(method).solve(Q).u[0, 1], rel=1e-5)


@pytest.mark.parametrize("consistent", [False, True])
def test_a_start_that_is_consistent_but_for_rounding_is_consistent_at_any_tolerance(consistent):
    """Unknowns of 0 V next to unknowns of 6 V: corrections of 1e-16 V are rounding, whatever
    atol is.
    """
    problem = replace(amplifier(1e-8), consistent=consistent, rtol=1e-10, atol=1e-17)
    trajectory = replace(problem, method=METHODS["BE"], grid=[0.0, 1e-8]).solve(
        problem.field.nominal
    )
    np.testing.assert_allclose(trajectory.u[0], problem.u0(trajectory.p), rtol=1e-5, atol=1e-6)


HIGHER_INDEX = {
    "no unknown in the constraint": Plain(
        lambda t, u, p: np.array([u[1], u[0] - np.sin(t)]),
        lambda t, u, p: np.array([[0.0, 1.0], [1.0, 0.0]]),
    ),
    "the same equation twice": Plain(
        lambda t, u, p: np.array([-u[0], u[1] + u[2], 2.0 * u[1] + 2.0 * u[2]]),
        lambda t, u, p: np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 2.0, 2.0]]),
    ),
}


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("field", HIGHER_INDEX.values(), ids=HIGHER_INDEX)
@implicit
def test_higher_index_is_refused_by_name(method, field, consistent):
    """y' = z, 0 = y − sin t is of index 2."""
    u0 = np.zeros(3 if field is HIGHER_INDEX["the same equation twice"] else 2)
    M = np.diag([1.0, *np.zeros(u0.size - 1)])
    with pytest.raises(adjoint.errors.InconsistentStart, match="higher index") as caught:
        reactor(method, field=field, u0=u0, mass=M, consistent=consistent).solve(Q)
    assert (caught.value.t, caught.value.steps) == (0.0, 0)


@stiff
def test_an_index_that_rises_on_the_way_ends_with_the_time(method):
    """0 = (1 − t) z − y: z is not determined at t = 1."""
    rising = Plain(
        lambda t, u, p: np.array([-1.0, (1.0 - t) * u[1] - u[0]]),
        lambda t, u, p: np.array([[0.0, 0.0], [-1.0, 1.0 - t]]),
    )
    control = adjoint.ode.StepControl(max_steps=2000)
    with pytest.raises(
        (adjoint.errors.StepTooSmall, adjoint.errors.StageFailure, adjoint.errors.TooManySteps)
    ) as caught:
        reactor(
            method, field=rising, u0=np.array([3.0, 3.0]), t=(0.0, 2.0), control=control, rtol=1e-4
        ).solve(Q)
    assert 0.9 <= caught.value.t <= 1.1
    assert caught.value.steps > 0


@pytest.mark.parametrize("rtol", [1e-2, 1e-3, 1e-4, 1e-6])
@stiff
def test_coarse_tolerances_with_tiny_ones_for_unknowns_that_are_zero_are_no_reason_to_fail(
    method, rtol
):
    """The transistor amplifier at rest: nodes of 0 V, whose atol is below the rounding of the
    others.
    """
    problem = replace(amplifier(2e-3), method=METHODS[method], rtol=rtol, atol=1e-9)
    for factor in (1.0, 0.97, 1.04):
        trajectory = problem.solve(factor * problem.field.nominal)
        assert trajectory.evidence.steps <= 200
        assert trajectory.evidence.rejected <= 0.5 * trajectory.evidence.steps


@pytest.mark.parametrize("method", ["Tsit5", "DOP853"])
@pytest.mark.parametrize("kind", SINGULAR)
def test_explicit_methods_refuse_singular_masses(method, kind):
    with pytest.raises(ValueError, match="expected an implicit method"):
        weave(4, method, kind).solve(P)


def test_null_spaces_that_depend_on_p_are_refused_and_others_accepted():
    turning = adjoint.Affine(
        sparse.csc_array(np.diag([1.0, 0.0])),
        [sparse.csc_array(np.array([[0.0, 1.0], [0.0, 0.0]]))],
    )
    with pytest.raises(ValueError, match="depends on p"):
        reactor("ESDIRK4", mass=adjoint.Part(turning, slice(0, 1))).solve(Q)
    scaled = adjoint.Affine(None, [sparse.csc_array(PLAIN_MASS)])
    assert reactor("ESDIRK4", mass=adjoint.Part(scaled, slice(0, 1))).solve(Q).u.shape == (1, 2)


@implicit
def test_consistent_changes_nothing_of_an_ordinary_problem(method):
    plain, asked = (
        weave(4, method, "constant", consistent=flag).solve(P) for flag in (False, True)
    )
    np.testing.assert_array_equal(plain.u, asked.u)
    u_bar, q_bar = cotangents(plain)
    np.testing.assert_array_equal(plain.vjp(u_bar, q_bar), asked.vjp(u_bar, q_bar))


@stiff
def test_purely_algebraic_systems_follow_their_roots(method):
    """M = 0: 0 = z³ + z − sin t − p₂ in every unknown."""
    curve = Plain(
        lambda t, u, p: u**3 + u - np.sin(t) - p[2],
        lambda t, u, p: np.diag(3.0 * u**2 + 1.0),
        lambda t, u, p: np.array([[0.0, 0.0, -1.0]] * 2),
    )
    times = np.array([0.3, 1.0])
    trajectory = reactor(
        method, field=curve, u0=np.array([1.2, -0.4]), mass=np.zeros((2, 2)), observe=times
    ).solve(Q)
    expected = np.array([[root(np.sin(t), Q[2])] * 2 for t in times])
    np.testing.assert_allclose(trajectory.u, expected, rtol=1e-11)
    gradient = trajectory.jvp(np.array([0.0, 0.0, 1.0]))
    assert relative(gradient, 1.0 / (3.0 * expected**2 + 1.0)) <= 1e-11


@pytest.mark.parametrize("method", [adjoint.ode.Tsit5(), adjoint.ode.ESDIRK4()], ids=repr)
def test_a_large_coupled_mass_matrix_that_is_singular_is_refused_by_name(method):
    """M of more unknowns than are searched for null vectors: its solves are verified."""
    n, rng = 700, np.random.default_rng(0)
    ring = sparse.eye_array(n) - sparse.csc_array(np.roll(np.eye(n), 1, axis=0))
    M = sparse.csc_array(ring.T @ sparse.diags_array(rng.uniform(0.5, 2.0, n)) @ ring)
    M.sum_duplicates()
    field = adjoint.complex_step_field(lambda t, u, p: 1.0 - p[0] * u, n=n, m=1)
    with pytest.raises((adjoint.errors.SingularMatrix, adjoint.errors.InaccurateSolve)):
        adjoint.ODEProblem(
            field, np.linspace(0.0, 1.0, n), (0.0, 1.0), mass=M, method=method
        ).solve(np.ones(1))


@implicit
def test_the_adjoint_of_dense_observations_is_that_of_consistent_states(method):
    """∂J/∂u_k is zero along the algebraic unknowns, which follow the others, wherever they are
    observed.
    """
    options = {"observe": np.array([0.53, 1.0]), "dense": True, "grid": np.linspace(0.0, 1.0, 41)}
    trajectory = reactor(method, **options).solve(Q)
    u_bar = np.array([[0.3, 1.0], [0.0, 0.0]])
    lam = trajectory.adjoint(u_bar)
    np.testing.assert_allclose(lam[1:, 1], 0.0, atol=1e-13)
    exact = reactor("ESDIRK5", **options).solve(Q).adjoint(u_bar)
    loose = {"BE": 0.1, "theta": 0.05, "CN": 0.02}.get(method, 5e-3)
    np.testing.assert_allclose(lam[1:20, 0], exact[1:20, 0], rtol=loose)
