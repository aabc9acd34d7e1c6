"""Derivatives of trajectories are exact for the frozen steps, for all methods and kinds of
problems.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from tests.fixtures.fields import (
    DECAY,
    EXPLICIT,
    FIXED,
    GRID,
    IMPLICIT,
    METHODS,
    OBSERVED,
    STIFF,
    P,
    Plain,
    Weave,
    cotangents,
    inner,
    kinds,
    mass,
    relative,
    start,
    weave,
)

STEP = 1e-30
D = np.array([0.6, -0.4, 0.3, 0.5, -0.2])
every_method = pytest.mark.parametrize("method", METHODS)


def require_exact(problem, seed):
    """vjp and jvp against a complex step through the replay, and against each other."""
    trajectory = problem.solve(P)
    (u_bar, q_bar), perturbed = cotangents(trajectory, seed), trajectory.replay(P + 1j * STEP * D)
    u_dot, q_dot = trajectory.tangent(D)
    g = trajectory.vjp(u_bar, q_bar)
    scale = np.linalg.norm(g) * np.linalg.norm(D)
    assert relative(u_dot, perturbed.u.imag / STEP) <= 1e-11
    assert relative(q_dot, perturbed.integrals.imag / STEP) <= 1e-11
    assert (
        abs(g @ D - inner(u_bar, q_bar, perturbed.u.imag / STEP, perturbed.integrals.imag / STEP))
        <= 1e-11 * scale
    )
    assert abs(g @ D - inner(u_bar, q_bar, u_dot, q_dot)) <= 1e-12 * scale


SMALL = [(4, *pair) for pair in kinds("identity", "of p", "zero rows, of p", "rank deficient")]
LARGE = [(70, name, "of p" if name in EXPLICIT else "zero rows, of p") for name in METHODS]


@pytest.mark.parametrize(("n", "method", "kind"), SMALL + LARGE)
def test_gradient_is_that_of_a_complex_step_through_the_replay(n, method, kind):
    require_exact(weave(n, method, kind), 1)


DENSE = [(4, *pair) for pair in kinds("identity", "of p", "zero rows, of p")]


@pytest.mark.parametrize(
    ("n", "method", "kind"),
    [*DENSE, *((70, name, "constant") for name in ("DOP853", "ESDIRK4", "CN"))],
)
def test_gradient_of_dense_observations_is_that_of_a_complex_step(n, method, kind):
    grid = np.linspace(0.0, 1.0, 8) if method in FIXED else None
    require_exact(weave(n, method, kind, dense=True, grid=grid), 2)


@pytest.mark.parametrize("n", [4, 70])
@every_method
def test_replay_at_the_same_parameters_gives_the_same_bits(method, n):
    for kind in ("of p",) if method in EXPLICIT else ("of p", "zero rows"):
        trajectory = weave(n, method, kind).solve(P)
        again = trajectory.replay(P)
        np.testing.assert_array_equal(again.u, trajectory.u)
        np.testing.assert_array_equal(again.integrals, trajectory.integrals)
        np.testing.assert_array_equal(again.grid, trajectory.grid)


@dataclass(frozen=True, eq=False)
class Replayed:
    """The problem p ↦ replay of a trajectory at p."""

    trajectory: object

    def solve(self, p):
        return self.trajectory.replay(p)


@pytest.mark.parametrize(
    ("n", "method"), [*((4, name) for name in METHODS), (70, "ESDIRK4"), (70, "BE")]
)
def test_taylor_remainder_of_the_replay_is_second_order(n, method):
    trajectory = weave(n, method).solve(P)
    misfit = adjoint.LeastSquares(0.7 * trajectory.u)
    report = adjoint.check(adjoint.Reduced(Replayed(trajectory), misfit), P, seed=3)
    assert report.ok, report.table()
    assert report.relative_error <= 1e-8
    assert report.dot_product_error <= 1e-12


@dataclass(frozen=True, eq=False)
class Real:
    """A field of complex states, written for their real and imaginary parts, (2n,)."""

    field: object

    def _complex(self, v):
        return v[: v.size // 2] + 1j * v[v.size // 2 :]

    def _real(self, z):
        return np.concatenate([z.real, z.imag])

    def __call__(self, t, v, p):
        return self._real(self.field(t, self._complex(v), p))

    def jacobian(self, t, v, p):
        J = self.field.jacobian(t, self._complex(v), p)
        J = J.toarray() if sparse.issparse(J) else J
        return np.block([[J.real, -J.imag], [J.imag, J.real]])

    def vjp(self, t, v, p, lam):
        return self.field.vjp(t, self._complex(v), p, self._complex(lam)).real

    def jvp(self, t, v, p, p_dot):
        return self._real(self.field.jvp(t, self._complex(v), p, p_dot))

    def time_derivative(self, t, v, p):
        return self._real(self.field.time_derivative(t, self._complex(v), p) + 0j)


COMPLEX = [(4, *pair) for pair in kinds("constant", "rank deficient")]


@pytest.mark.parametrize(
    ("n", "method", "kind"), [*COMPLEX, (70, "Tsit5", "identity"), (70, "ESDIRK4", "constant")]
)
def test_complex_states_are_those_of_their_real_and_imaginary_parts(n, method, kind):
    field = Weave(n, c=0.6 + 0.8j)
    u0 = 0.5 + 0.3 * np.cos(np.arange(n)) + 0.2j * np.sin(np.arange(n))
    M = mass(kind, n)
    options = {"grid": GRID, "integrand": None, "rtol": 1e-4, "atol": 1e-5}
    native = weave(n, method, kind, field=field, u0=u0, **options).solve(P)
    doubled = {"field": Real(field), "u0": np.concatenate([u0.real, u0.imag])}
    doubled["mass"] = None if M is None else np.kron(np.eye(2), M)
    real = weave(n, method, kind, **(options | doubled)).solve(P)
    assert relative(native.u, real.u[:, :n] + 1j * real.u[:, n:]) <= 1e-10
    u_bar, _ = cotangents(native, 4)
    s, expected = (
        native.sensitivities(u_bar),
        real.sensitivities(np.hstack([u_bar.real, u_bar.imag])),
    )
    assert s.p.dtype == np.float64
    assert relative(s.p, expected.p) <= 1e-10
    assert relative(s.u0, expected.u0[:n] + 1j * expected.u0[n:]) <= 1e-10
    assert relative(s.times, expected.times) <= 1e-9
    u0_dot = cotangents(native, 5)[0][0]
    u_dot, _ = native.tangent(D, u0_dot)
    pulled = s.p @ D + np.vdot(s.u0, u0_dot).real
    assert abs(np.vdot(u_bar, u_dot).real - pulled) <= 1e-12 * np.linalg.norm(
        u_bar
    ) * np.linalg.norm(u_dot)


@pytest.mark.parametrize(
    ("n", "method"), [*((4, name) for name in METHODS), (70, "ESDIRK5"), (70, "CN")]
)
def test_blocks_are_single_objectives_and_directions_side_by_side(n, method):
    trajectory = weave(n, method, "of p").solve(P)
    u_bar, q_bar = cotangents(trajectory, 6, 3)
    block, singles = trajectory.sensitivities(u_bar, q_bar), []
    for j in range(3):
        singles.append(trajectory.sensitivities(u_bar[..., j], q_bar[:, j]))
        for name in ("p", "u0", "times", "t0", "tf"):
            got, expected = getattr(block, name)[..., j], getattr(singles[-1], name)
            np.testing.assert_allclose(
                got, expected, rtol=1e-10, atol=1e-11 * np.abs(expected).max()
            )
    V = np.random.default_rng(7).standard_normal((P.size, 2))
    u_dot, q_dot = trajectory.tangent(V)
    for j in range(2):
        assert relative(u_dot[..., j], trajectory.tangent(V[:, j])[0]) <= 1e-11
        assert relative(q_dot[..., j], trajectory.tangent(V[:, j])[1]) <= 1e-11
    assert trajectory.vjp(u_bar[..., :0], q_bar[:, :0]).shape == (P.size, 0)
    assert trajectory.jvp(V[:, :0]).shape == (*trajectory.u.shape, 0)


@pytest.mark.parametrize(("method", "kind"), kinds("identity", "of p"))
def test_adjoint_begins_with_the_sensitivity_of_the_start_and_shares_add_up(method, kind):
    trajectory = weave(4, method, kind, observe=OBSERVED[:3]).solve(P)
    u_bar, q_bar = cotangents(trajectory, 8)
    s, lam = trajectory.sensitivities(u_bar, q_bar), trajectory.adjoint(u_bar, q_bar)
    shares = trajectory.accumulation(u_bar, q_bar)
    assert lam.shape == (trajectory.grid.size, 4)
    assert shares.shape == (trajectory.grid.size - 1, P.size)
    assert relative(lam[0], s.u0) <= 1e-13
    assert relative(shares.sum(axis=0), s.p - start(4).slope.T @ s.u0) <= 1e-12
    np.testing.assert_array_equal(lam[-1], 0.0)  # Nothing is seen at the end.
    block = trajectory.adjoint(u_bar[..., None], q_bar[:, None])
    np.testing.assert_allclose(block[..., 0], lam, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", [*FIXED, "Radau5", "Radau9"])
def test_adjoint_at_a_step_is_the_sensitivity_of_a_start_there(method):
    """Methods whose λ is the derivative of their own steps."""
    trajectory = weave(4, method, "of p", grid=GRID).solve(P)
    states = weave(4, method, "of p", grid=GRID, observe=GRID).solve(P).u
    u_bar, q_bar = cotangents(trajectory, 8)
    lam = trajectory.adjoint(u_bar, q_bar)
    for k in (2, 5, GRID.size - 2):
        later = GRID[k] <= OBSERVED
        options = {
            "t": (GRID[k], 1.0),
            "grid": GRID[k:],
            "observe": OBSERVED[later],
            "u0": states[k],
        }
        from_there = weave(4, method, "of p", **options).solve(P).sensitivities(u_bar[later], q_bar)
        np.testing.assert_allclose(lam[k], from_there.u0, rtol=1e-12)


def test_derivative_jacobian_and_outputs_are_one_matrix():
    problem = weave(4, "ESDIRK4")
    trajectory, rng = problem.solve(P), np.random.default_rng(9)
    matrix = trajectory.derivative @ np.eye(5)
    np.testing.assert_allclose(trajectory.derivative.T @ np.eye(16), matrix.T, atol=1e-13)
    automatic, evidence = trajectory.jacobian(), trajectory.evidence
    by_adjoint = trajectory.jacobian(mode="adjoint")
    assert (evidence.jacobian_mode, trajectory.evidence.jacobian_mode) == ("tangent", "adjoint")
    assert "5 parameters, 16 outputs" in evidence.jacobian_reason
    assert "5 parameters, 16 outputs" in str(evidence)
    np.testing.assert_array_equal(automatic, matrix)
    np.testing.assert_allclose(by_adjoint, matrix, atol=1e-13)
    functionals = rng.standard_normal((4, 4, 2))
    few = trajectory.jacobian(functionals)
    assert trajectory.evidence.jacobian_mode == "adjoint"
    np.testing.assert_allclose(few, functionals.reshape(16, 2).T @ matrix, atol=1e-12)
    outputs = adjoint.ode.Outputs(problem).solve(P)
    np.testing.assert_array_equal(outputs.u, np.append(trajectory.u.ravel(), trajectory.integrals))
    w = rng.standard_normal(18)
    assert outputs.vjp(w) @ D == pytest.approx(w @ outputs.jvp(D), rel=1e-12)
    np.testing.assert_allclose(outputs.jvp(np.eye(5))[:16], matrix, atol=1e-13)
    report = adjoint.check(
        adjoint.Reduced(adjoint.ode.Outputs(replace(problem, rtol=1e-10)), Sum()), P
    )
    assert report.ok, report.table()


@dataclass(frozen=True, eq=False)
class Sum:
    """Σ y_i²."""

    def value(self, u, p):
        return float(u @ u)

    def gradients(self, u, p):
        return 2.0 * u, np.zeros_like(p)


@pytest.mark.parametrize("n", [4, 70])
@pytest.mark.parametrize(
    "method",
    [adjoint.ode.TRBDF2(1e-2), adjoint.ode.ESDIRK4(1e-4), adjoint.ode.ESDIRK5(1e-3)],
    ids=repr,
)
def test_stages_solved_loosely_leave_transposes_exact(method, n):
    trajectory = replace(weave(n, "ESDIRK4", "of p"), method=method).solve(P)
    u_bar, q_bar = cotangents(trajectory, 12)
    g, u_dot = trajectory.vjp(u_bar, q_bar), trajectory.tangent(D)
    assert abs(g @ D - inner(u_bar, q_bar, *u_dot)) <= 1e-12 * np.linalg.norm(g) * np.linalg.norm(D)
    tight = replace(
        trajectory.problem, method=replace(method, accuracy=1e-12), grid=trajectory.grid
    ).solve(P)
    assert relative(g, tight.vjp(u_bar, q_bar)) <= method.accuracy


@every_method
def test_a_single_unknown_and_no_parameters(method):
    options = {"method": METHODS[method], "grid": GRID if method in FIXED else None}
    one = adjoint.ODEProblem(DECAY, [1], (0, 1), **options).solve([1.0])
    assert (one.u.dtype, one.u.shape) == (np.float64, (1, 1))
    assert one.vjp([[1]])[0] == pytest.approx(one.jvp([1])[0, 0], rel=1e-12)
    constant = Plain(lambda t, u, p: -u, lambda t, u, p: -np.eye(1))
    trajectory = adjoint.ODEProblem(constant, (1.0,), (0, 1), **options).solve(np.zeros(0))
    s = trajectory.sensitivities(np.ones((1, 1)))
    assert s.p.shape == trajectory.replay(np.zeros(0)).p.shape == (0,)
    assert trajectory.accumulation(np.ones((1, 1))).shape == (trajectory.grid.size - 1, 0)
    np.testing.assert_array_equal(trajectory.jvp(np.zeros(0)), np.zeros((1, 1)))
    assert trajectory.tangent(u0_dot=np.ones(1))[0][0, 0] == pytest.approx(s.u0[0], rel=1e-12)
    assert trajectory.derivative.shape == trajectory.jacobian().shape == (1, 0)


@pytest.mark.parametrize("method", [*EXPLICIT, *STIFF])
def test_units_of_the_unknowns_play_no_part(method):
    """u → S u with powers of two, and tolerances scaled too: the same steps, states scaled by S."""
    scales = 2.0 ** np.array([20.0, -15.0, 3.0, 0.0])
    base = 0.5 + 0.3 * np.cos(np.arange(4))
    options = {"integrand": None, "rtol": 1e-5}
    plain = weave(4, method, u0=base, atol=np.full(4, 1e-7), **options).solve(P)
    other = weave(
        4, method, field=in_units(Weave(4), scales), u0=scales * base, atol=1e-7 * scales, **options
    ).solve(P)
    np.testing.assert_allclose(other.grid, plain.grid, rtol=1e-9)
    np.testing.assert_allclose(other.u / scales, plain.u, rtol=1e-9)
    u_bar, _ = cotangents(plain, 10)
    np.testing.assert_allclose(other.vjp(u_bar / scales), plain.vjp(u_bar), rtol=1e-9)


def in_units(field, scales):
    """S f(t, S⁻¹ u, p)."""
    return Plain(
        lambda t, u, p: scales * field(t, u / scales, p),
        lambda t, u, p: scales[:, None] * field.jacobian(t, u / scales, p) / scales,
        lambda t, u, p: scales[:, None] * field.by_parameters(t, u / scales, p),
    )


@pytest.mark.parametrize("factor", [1.0, 1j])
@pytest.mark.parametrize("method", IMPLICIT)
def test_a_field_may_be_real_where_it_begins(method, factor):
    """Real zeros of one function do not make complex results of the others real."""
    field = Plain(
        lambda t, u, p: np.zeros(2) if t == 0.0 else factor * p[0] * np.ones(2),
        lambda t, u, p: np.zeros((2, 2)),
        lambda t, u, p: (factor if t > 0.0 else 0.0) * np.ones((2, 1)),
    )
    u0, grid = np.zeros(2, dtype=type(factor)), np.array([0.0, 0.5, 1.0])
    trajectory = adjoint.ODEProblem(field, u0, (0.0, 1.0), method=METHODS[method], grid=grid).solve(
        [1.0]
    )
    u_dot = trajectory.jvp([1.0])
    assert abs(u_dot[0, 0]) >= 0.7  # The first K₁ is zero.
    np.testing.assert_allclose(trajectory.u, u_dot, rtol=1e-14)
    if factor == 1.0:
        np.testing.assert_allclose(
            trajectory.replay(np.array([1.0 + 1e-30j])).u.imag / 1e-30, u_dot, rtol=1e-14
        )
