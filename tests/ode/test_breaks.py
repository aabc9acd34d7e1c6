"""Jumps of f in t: each step sees f on its own side, and derivatives are those of the
computation.
"""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from tests.fixtures.fields import EXPLICIT, FIXED, METHODS, STIFF

ADAPTIVE = EXPLICIT | STIFF
adaptive = pytest.mark.parametrize("method", ADAPTIVE)
KNOTS = np.array([1.0, 2.0, 3.0, 4.0])
SIDES = {
    "left": lambda t: min(max(int(np.ceil(t)) - 1, 0), 3),
    "right": lambda t: min(int(np.floor(t)), 3),
}


def piecewise(side, breaks="breaks"):
    """u' = p_k on (k, k + 1): u(4) = Σ p, whatever f is at the jumps."""
    piece = SIDES[side]
    return adjoint.complex_step_field(lambda t, u, p: 0.0 * u + p[piece(t)], n=1, m=4)


LANDINGS = {
    "observe": {"observe": KNOTS},
    "breaks": {"breaks": KNOTS[:3]},
    "dense, breaks": {"breaks": KNOTS[:3], "observe": np.array([0.5, 2.0, 4.0]), "dense": True},
    "grid": {"grid": np.linspace(0.0, 4.0, 9)},
}


@pytest.mark.parametrize("landing", LANDINGS)
@pytest.mark.parametrize("side", SIDES)
@adaptive
def test_gradients_of_a_piecewise_constant_rate_are_those_of_the_closed_form(method, side, landing):
    p = np.array([1.0, -2.0, 0.5, 3.0])
    trajectory = adjoint.ODEProblem(
        piecewise(side), np.zeros(1), (0.0, 4.0), method=METHODS[method], **LANDINGS[landing]
    ).solve(p)
    assert trajectory.u[-1, 0] == pytest.approx(p.sum(), abs=1e-12)
    last = np.zeros(trajectory.u.shape)
    last[-1] = 1.0
    np.testing.assert_allclose(trajectory.vjp(last), np.ones(4), atol=1e-9)
    np.testing.assert_allclose(trajectory.jvp(np.eye(4))[-1, 0], np.ones(4), atol=1e-9)
    np.testing.assert_allclose(trajectory.replay(p + 1e-20j).u[-1, 0].imag, 4e-20, rtol=1e-9)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", ["BE", "CN", "theta"])
def test_grids_see_each_piece_alone(method, side):
    """θ-methods are exact for constant rates; one that saw a neighbour's piece would not be."""
    problem = adjoint.ODEProblem(
        piecewise(side),
        np.zeros(1),
        (0.0, 4.0),
        method=FIXED[method],
        grid=np.arange(5.0),
        observe=KNOTS,
    )
    p = np.array([1.0, -2.0, 0.5, 3.0])
    trajectory = problem.solve(p)
    np.testing.assert_allclose(trajectory.u[:, 0], np.cumsum(p), atol=1e-13)
    np.testing.assert_allclose(trajectory.jvp(np.eye(4))[:, 0], np.tri(4), atol=1e-13)


@pytest.mark.parametrize("start", [0.0, 4.0])
@adaptive
def test_a_control_problem_with_a_constant_optimum_is_solved(method, start):
    """x'' = a(t) - x'/10 and a constant a that steers exactly: J = 0 there, and the run
    converges.
    """
    ends = np.arange(1.0, 6.0) / 5.0

    def cart(t, u, p):
        return np.array([u[1], p[min(np.searchsorted(ends, t), 4)] - 0.1 * u[1]])

    field = adjoint.complex_step_field(cart, n=2, m=5)
    problem = adjoint.ODEProblem(
        field,
        np.zeros(2),
        (0.0, 1.0),
        breaks=ends[:-1],
        method=METHODS[method],
        rtol=1e-5,
        atol=1e-8,
    )
    target = problem.solve(np.full(5, 2.0)).u[-1]
    f = adjoint.Reduced(adjoint.ode.Outputs(problem), adjoint.LeastSquares(target))
    result = adjoint.minimize(f, np.full(5, start), adjoint.optimize.LBFGS())
    assert result.status is adjoint.Status.STATIONARY
    assert result.value < 1e-10


class Rod:
    """M(p) u' = f with a coupled mass, a rate that jumps in t and a nonlinear decay: n = 4, m =
    3, nonsymmetric.
    """

    def __init__(self, side, at=0.4):
        self.after = (lambda t: t > at) if side == "left" else (lambda t: t >= at)

    def __call__(self, t, u, p):
        drive = p[1] if self.after(t) else p[0]
        return drive * np.cos(3.0 * t + np.arange(4)) - p[2] * u**2 * np.roll(u, 1)

    def jacobian(self, t, u, p):
        J = np.diag(-2.0 * p[2] * u * np.roll(u, 1)) + np.zeros((4, 4), dtype=u.dtype)
        J[np.arange(4), np.roll(np.arange(4), 1)] -= p[2] * u**2
        return J

    def by_p(self, t, u):
        wave, late = np.cos(3.0 * t + np.arange(4)), self.after(t)
        return np.stack([(not late) * wave, late * wave, -(u**2) * np.roll(u, 1)], axis=1)

    def vjp(self, t, u, p, lam):
        return self.by_p(t, u).conj().T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_p(t, u) @ p_dot

    def time_derivative(self, t, u, p):
        return -3.0 * (p[1] if self.after(t) else p[0]) * np.sin(3.0 * t + np.arange(4))


class Jumping:
    """ℓ = u₀² (1 + [t > 0.4] p₀)."""

    def __init__(self, side, at=0.4):
        self.after = (lambda t: t > at) if side == "left" else (lambda t: t >= at)

    def __call__(self, t, u, p):
        return np.array([u[0] ** 2 * (1.0 + self.after(t) * p[0])])

    def vjp(self, t, u, p, q_bar):
        u_bar, p_bar = np.zeros_like(u), np.zeros_like(p)
        u_bar[0], p_bar[0] = (
            2.0 * u[0] * (1.0 + self.after(t) * p[0]) * q_bar[0],
            u[0] ** 2 * self.after(t) * q_bar[0],
        )
        return u_bar, p_bar

    def jvp(self, t, u, p, u_dot, p_dot):
        return np.array(
            [
                2.0 * u[0] * (1.0 + self.after(t) * p[0]) * u_dot[0]
                + u[0] ** 2 * self.after(t) * p_dot[0]
            ]
        )

    def time_derivative(self, t, u, p):
        return np.zeros(1)


def coupled_mass():
    base = sparse.csc_array(
        np.array([[2.0, 0.5, 0, 0], [0, 1.5, 0.3, 0], [0, 0, 1.0, -0.4], [0.2, 0, 0, 2.0]])
    )
    return adjoint.Affine(
        base, [0.0 * base, 0.0 * base, sparse.csc_array(np.diag([0.1, 0.0, 0.2, 0.0]))]
    )


@pytest.mark.parametrize(
    "memory",
    [
        adjoint.checkpointing.Everything(),
        adjoint.checkpointing.States(),
        adjoint.checkpointing.Checkpoints(2),
    ],
)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("method", [*ADAPTIVE, "CN", "BE"])
def test_jumps_of_fields_and_integrands_with_masses_are_those_of_complex_steps_through_the_replay(
    method, side, memory
):
    options = {"breaks": np.array([0.4]), "observe": np.array([0.2, 0.4, 1.0]), "memory": memory}
    if method in FIXED:
        options["grid"] = np.linspace(0.0, 1.0, 11)
        options["breaks"] = options["grid"][4:5]
        options["observe"] = options["grid"][[2, 4, 10]]
    problem = adjoint.ODEProblem(
        Rod(side, options["breaks"][0]),
        np.linspace(0.5, 1.0, 4),
        (0.0, 1.0),
        method=METHODS[method],
        rtol=1e-4,
        atol=1e-6,
        mass=coupled_mass(),
        integrand=Jumping(side, options["breaks"][0]),
        **options,
    )
    p = np.array([1.0, -2.0, 0.7])
    trajectory = problem.solve(p)
    rng = np.random.default_rng(0)
    u_bar, q_bar = rng.standard_normal(trajectory.u.shape), np.array([0.7])
    gradient = trajectory.vjp(u_bar, q_bar)
    along = []
    for e in np.eye(3):
        moved = trajectory.replay(p + 1e-30j * e)
        along.append((np.sum(u_bar * moved.u) + q_bar @ moved.integrals).imag / 1e-30)
    np.testing.assert_allclose(gradient, along, rtol=1e-11)
    u_dot, q_dot = trajectory.tangent(np.eye(3))
    np.testing.assert_allclose(
        np.einsum("ki,kij->j", u_bar, u_dot) + q_bar @ q_dot, gradient, rtol=1e-11
    )


@pytest.mark.parametrize("side", SIDES)
@adaptive
def test_values_behind_a_jump_do_not_depend_on_the_side(method, side):
    """Whether f jumps just before or just after t = 1: results agree to rounding of f a few
    ulps away.
    """
    options = {"method": METHODS[method], "breaks": np.array([0.4]), "rtol": 1e-6, "atol": 1e-8}
    start, p = np.linspace(0.5, 1.0, 4), np.array([1.0, -2.0, 0.7])
    one, other = (
        adjoint.ODEProblem(Rod(s), start, (0.0, 1.0), **options).solve(p).u for s in (side, "left")
    )
    np.testing.assert_array_equal(one, other)


# --- DAEs ---


class Circuit:
    """u₀' = −u₀ + p₁ u₁, 0 = u₁ − a(t) − p₂ u₀ with a = 1 before t = 0.5 and p₀ behind: u₁
    jumps.
    """

    def __init__(self, n, side):
        self.n, self.after = n, (lambda t: t > 0.5) if side == "left" else (lambda t: t >= 0.5)

    def __call__(self, t, u, p):
        x, y = u[0::2], u[1::2]
        f = np.empty(u.size, dtype=np.result_type(u, p))
        f[0::2] = -x + p[1] * y + 0.1 * np.roll(x, 1)
        f[1::2] = y - (p[0] if self.after(t) else 1.0) - p[2] * x
        return f

    def jacobian(self, t, u, p):
        k = self.n // 2
        i = np.arange(k)
        rows = np.concatenate([2 * i, 2 * i, 2 * i, 2 * i + 1, 2 * i + 1])
        columns = np.concatenate([2 * i, 2 * i + 1, 2 * np.roll(i, 1), 2 * i + 1, 2 * i])
        data = np.repeat([-1.0, p[1].real, 0.1, 1.0, -p[2].real], k)
        J = sparse.csc_array((data, (rows, columns)), shape=(self.n, self.n))
        J.sum_duplicates()
        return J

    def by_p(self, t, u):
        x, y = u[0::2], u[1::2]
        D = np.zeros((u.size, 3), dtype=u.dtype)
        D[1::2, 0], D[0::2, 1], D[1::2, 2] = -float(self.after(t)), y, -x
        return D

    def vjp(self, t, u, p, lam):
        return self.by_p(t, u).T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_p(t, u) @ p_dot

    def time_derivative(self, t, u, p):
        return np.zeros_like(u)


def circuit(method, n, side, drive, **options):
    M = sparse.csc_array(sparse.diags_array(np.tile([1.0, 0.0], n // 2)))
    options = {
        "rtol": 1e-8,
        "atol": 1e-10,
        "observe": np.array([0.5, 1.0]),
        "mass": M,
        "consistent": True,
    } | options
    if method in FIXED:
        options["grid"] = np.linspace(0.0, 1.0, 41)
    start = np.tile([0.3, 1.0 + 0.4 * 0.3], n // 2)
    return adjoint.ODEProblem(
        Circuit(n, side), start, (0.0, 1.0), method=METHODS[method], **options
    ), np.array([drive, 0.8, 0.4])


@pytest.mark.parametrize("drive", [2.0, 1.0])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("n", [4, 80])
@pytest.mark.parametrize("method", [*STIFF, "BE", "CN"])
def test_algebraic_unknowns_of_a_dae_begin_anew_behind_a_jump(method, n, side, drive):
    """x' = (p₁ p₂ − 0.9) x + p₁ a for equal x: values and derivatives in closed form; u₁
    observed at t⁻.

    drive = 1: the derivative jumps, the solution does not.
    """
    problem, p = circuit(method, n, side, drive)
    trajectory = problem.solve(p)
    rate = p[1] * p[2] - 0.9
    growth = (np.exp(0.5 * rate) - 1.0) / rate
    middle = 0.3 * np.exp(0.5 * rate) + p[1] * growth
    end = middle * np.exp(0.5 * rate) + p[0] * p[1] * growth
    accuracy = {"BE": 2e-2, "CN": 2e-4}.get(method, 1e-6)
    np.testing.assert_allclose(trajectory.u[0, :2], [middle, 1.0 + p[2] * middle], rtol=accuracy)
    np.testing.assert_allclose(trajectory.u[1, :2], [end, p[0] + p[2] * end], rtol=accuracy)
    gradient = trajectory.vjp(np.eye(2 * n)[n].reshape(2, n))
    assert gradient[0] == pytest.approx(p[1] * growth, rel=accuracy)
    rng = np.random.default_rng(1)
    u_bar = rng.standard_normal(trajectory.u.shape)
    gradient = trajectory.vjp(u_bar)
    along = [np.sum(u_bar * trajectory.replay(p + 1e-30j * e).u).imag / 1e-30 for e in np.eye(3)]
    np.testing.assert_allclose(gradient, along, rtol=1e-10)
    np.testing.assert_allclose(
        np.einsum("ki,kij->j", u_bar, trajectory.jvp(np.eye(3))), gradient, rtol=1e-10
    )


@pytest.mark.parametrize(
    "memory", [adjoint.checkpointing.States(), adjoint.checkpointing.Checkpoints(2)]
)
@pytest.mark.parametrize("method", [*STIFF, "CN"])
def test_memories_repeat_restarts_to_the_last_bit(method, memory):
    gradients = []
    for kept in (adjoint.checkpointing.Everything(), memory):
        problem, p = circuit(method, 80, "right", 2.0, memory=kept)
        gradients.append(problem.solve(p).vjp(np.ones((2, 80))))
    np.testing.assert_array_equal(*gradients)


def test_restarts_of_a_large_dae_cost_no_factorization_in_derivatives():
    problem, p = circuit(
        "ESDIRK4", 80, "right", 2.0, memory=adjoint.checkpointing.Everything(), consistent=False
    )
    trajectory = problem.solve(p)
    with adjoint.counting() as counts:
        trajectory.vjp(np.ones((2, 80)))
        trajectory.jvp(np.eye(3))
    assert counts.numeric == 0


# --- breaks that depend on p ---

SWITCH = np.array([0.5, 2.0, 1.3])


def switched(t, u, p):
    return -p[0] * u + (p[1] if t > p[2] else 0.0)


def switching(method, **options):
    field = adjoint.complex_step_field(switched, n=1, m=3)
    breaks = adjoint.matrices.AffineVector(np.zeros(1), np.array([[0.0, 0.0, 1.0]]))
    options = {"breaks": breaks, "rtol": 1e-10, "atol": 1e-12} | options
    return adjoint.ODEProblem(field, np.zeros(1), (0.0, 4.0), method=METHODS[method], **options)


def switched_exactly(p, t=4.0):
    """∂u(t)/∂(k, r, τ)."""
    k, r, tau = p
    E = np.exp(-k * (t - tau))
    return np.array([-r / k**2 * (1.0 - E) + r / k * (t - tau) * E, (1.0 - E) / k, -r * E])


@pytest.mark.parametrize("observe", [[4.0], [0.5, 1.3, 4.0], [1.2, 1.4, 4.0]])
@pytest.mark.parametrize("dense", [False, True])
@adaptive
def test_switching_times_that_are_parameters_have_derivatives(method, dense, observe):
    """Published numbers: −3.12628, 1.48152, −0.51848 (the derivative of the closed form)."""
    coarse = {"rtol": 1e-6, "atol": 1e-8} if method == "TRBDF2" else {}
    trajectory = switching(method, observe=np.array(observe), dense=dense, **coarse).solve(SWITCH)
    last = np.zeros(trajectory.u.shape)
    last[-1] = 1.0
    gradient = trajectory.vjp(last)
    tolerance = 1e-4 if method == "TRBDF2" else 1e-8
    np.testing.assert_allclose(gradient, switched_exactly(SWITCH), rtol=tolerance)
    np.testing.assert_allclose(gradient, [-3.12628, 1.48152, -0.51848], rtol=max(tolerance, 1e-5))
    np.testing.assert_allclose(trajectory.jvp(np.eye(3))[-1, 0], gradient, rtol=1e-12)
    by = trajectory.sensitivities(last)
    np.testing.assert_allclose(by.breaks, gradient[2:], rtol=1e-12)
    # Observations that J does not see have no influence, one at the time of the break neither.
    np.testing.assert_allclose(by.times[:-1], np.zeros(len(observe) - 1), atol=tolerance)
    assert by.tf == pytest.approx(switched_exactly(SWITCH)[2] * -1.0, rel=tolerance)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("method", [*ADAPTIVE, "CN"])
def test_derivatives_by_breaks_are_those_of_replays_and_of_each_other(method, dense):
    """A field that depends on time smoothly as well, with integrals: reverse, tangent, and
    differences of replays.
    """

    def field(t, u, p):
        drive = p[1] * np.sin(t) if t > p[2] else p[0] * np.cos(t)
        return np.array([u[1], -np.sin(u[0]) + drive - (0.3 * u[1] if t > 2.0 * p[2] else 0.0)])

    options = {"observe": np.array([0.5, 1.9, 3.0]), "dense": dense, "rtol": 1e-5, "atol": 1e-7}
    if method == "CN":
        options["grid"] = np.union1d(np.round(np.linspace(0.0, 3.0, 31), 10), [0.77, 2.0 * 0.77])
        if dense:  # Dense output has a kink from step to step: what is observed must not lie on it.
            options["observe"] = np.array([0.53, 1.93, 3.0])
    problem = adjoint.ODEProblem(
        adjoint.complex_step_field(field, n=2, m=3),
        np.array([0.2, 0.1]),
        (0.0, 3.0),
        method=METHODS[method],
        breaks=adjoint.matrices.AffineVector(
            np.zeros(2), np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
        ),
        integrand=adjoint.complex_step_integrand(
            lambda t, u, p: np.array([u[0] ** 2 * np.cos(t) if t > p[2] else p[0] * u[1] ** 2]),
            n=2,
            m=3,
        ),
        **options,
    )
    p = np.array([1.0, 0.8, 0.77])
    trajectory = problem.solve(p)
    rng = np.random.default_rng(5)
    u_bar, q_bar = rng.standard_normal(trajectory.u.shape), np.array([1.3])
    gradient = trajectory.vjp(u_bar, q_bar)
    u_dot, q_dot = trajectory.tangent(np.eye(3))
    np.testing.assert_allclose(
        np.einsum("ki,kij->j", u_bar, u_dot) + q_bar @ q_dot, gradient, rtol=1e-11
    )

    def J(x):
        moved = trajectory.replay(x)
        return float(np.sum(u_bar * moved.u) + q_bar @ moved.integrals)

    for i, e in enumerate(np.eye(3)):
        coarse, fine = ((J(p + h * e) - J(p - h * e)) / (2.0 * h) for h in (2e-4, 1e-4))
        assert gradient[i] == pytest.approx((4.0 * fine - coarse) / 3.0, rel=1e-7)


def test_breaks_serve_check_outputs_copies_and_pickles():
    problem = adjoint.ode.Outputs(switching("ESDIRK4", observe=np.array([2.0, 4.0])))
    f = adjoint.Reduced(problem, adjoint.LeastSquares(np.array([0.3, 1.0])))
    assert adjoint.check(f, SWITCH).ok
    result = adjoint.minimize(
        f, SWITCH, adjoint.optimize.LBFGS(), stop=adjoint.Stopping(iterations=5)
    )
    assert result.value < f(SWITCH).value
    plain = adjoint.ODEProblem(Rod("left"), np.ones(4), (0.0, 1.0), breaks=np.array([0.4]))
    plain = copy.copy(plain)
    plain.field.after = None  # A lambda, which has no pickle.
    restored = pickle.loads(pickle.dumps(plain))
    np.testing.assert_array_equal(restored.breaks, plain.breaks)


@pytest.mark.parametrize(
    ("breaks", "landings"),
    [
        ([0.4, 0.2], [0.2, 0.4]),
        ([0.4, 0.4, 0.4], [0.4]),
        ([-1.0, 0.4, 7.0], [0.4]),
        ([0.0, 0.4, 1.0], [0.4]),
        ([], []),
        ([1], []),
    ],
)
def test_breaks_in_any_order_double_or_outside_are_landed_on_once(breaks, landings):
    problem = adjoint.ODEProblem(
        Rod("left"), np.ones(4), (0.0, 1.0), breaks=np.array(breaks), dense=True
    )
    trajectory = problem.solve([1.0, 2.0, 0.5])
    assert set(landings) <= set(trajectory.grid.tolist())
    by = trajectory.sensitivities(np.ones((1, 4)))
    assert by.breaks.shape == (len(breaks),)
    outside = [i for i, time in enumerate(breaks) if not 0.0 < time < 1.0]
    assert not by.breaks[outside].any()


class Times:
    """breaks(p) = p, or something else."""

    def __init__(self, f=None):
        self.f = f

    def __call__(self, p):
        return p.copy() if self.f is None else self.f(p)

    def vjp(self, p, bar):
        return bar

    def jvp(self, p, p_dot):
        return p_dot


def pulse(observe=(4.0,), **options):
    """u' = [p₀ < t < p₁] − u."""
    field = adjoint.complex_step_field(lambda t, u, p: -u + float(p[0] < t < p[1]), n=1, m=2)
    return adjoint.ODEProblem(
        field,
        np.zeros(1),
        (0.0, 4.0),
        breaks=Times(),
        observe=np.array(observe),
        rtol=1e-9,
        atol=1e-12,
        **options,
    )


def test_breaks_that_pass_one_another_are_sorted_anew_and_named_where_they_meet():
    one = np.ones((1, 1))
    p = np.array([1.0, 2.0])
    np.testing.assert_allclose(pulse().solve(p).vjp(one), [-np.exp(-3.0), np.exp(-2.0)], rtol=1e-7)
    assert pulse().solve(np.array([2.0, 1.0])).u[0, 0] == 0.0
    np.testing.assert_array_equal(pulse().solve(np.array([2.0, 1.0])).vjp(one), np.zeros(2))
    trajectory = pulse().solve(np.array([1.5, 1.5]))
    for derivative in (lambda: trajectory.vjp(one), lambda: trajectory.jvp(np.ones(2))):
        with pytest.raises(
            adjoint.errors.CoincidentBreaks, match=r"breaks\[0\] and breaks\[1\] are both 1.5"
        ):
            derivative()
    trajectory = pulse().solve(np.array([0.0, 1.5]))
    with pytest.raises(adjoint.errors.CoincidentBreaks, match=r"breaks\[0\] = 0 is an end"):
        trajectory.vjp(one)
    # Outside of the interval there is no influence.
    np.testing.assert_allclose(
        pulse().solve(np.array([1.0, 9.0])).vjp(one), [-np.exp(-3.0), 0.0], rtol=1e-7
    )
    trajectory = pulse().solve(p)
    for p_new, match in (
        ([2.0, 1.0], "ascend"),
        ([1.0, 5.0], "leaves or enters"),
        ([-1.0, 2.0], "leaves or enters"),
    ):
        with pytest.raises(ValueError, match=match):
            trajectory.replay(np.array(p_new))
    with pytest.raises(ValueError, match="stays"):
        pulse(observe=(1.0, 4.0)).solve(p).replay(np.array([1.1, 2.0]))
    with pytest.raises(TypeError, match="real times"):
        trajectory.replay(p + 1e-20j)


@pytest.mark.parametrize(
    ("breaks", "error", "match"),
    [
        (np.array([0.4, np.nan]), ValueError, r"breaks\[1\] is nan"),
        (np.array([0.4, np.inf]), ValueError, r"breaks\[1\] is inf"),
        (np.array([[0.4]]), ValueError, "breaks of shape"),
        (np.array([0.4j]), TypeError, "breaks of dtype"),
        (["a"], TypeError, "breaks of dtype"),
        ("0.4", TypeError, "breaks="),
        (0.4, TypeError, "breaks="),
        (lambda p: p, TypeError, "breaks="),
        (Times, TypeError, "breaks="),
    ],
)
def test_what_are_no_breaks_is_named(breaks, error, match):
    with pytest.raises(error, match=match):
        adjoint.ODEProblem(Rod("left"), np.ones(4), (0.0, 1.0), breaks=breaks)


@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (lambda p: p[0], ValueError, "shape"),
        (lambda p: np.full(2, np.nan), ValueError, r"breaks\(p\)\[0\] is nan"),
        (lambda p: np.array(["a"]), TypeError, "dtype"),
        (lambda p: p + 1j, TypeError, "real times"),
    ],
)
def test_what_breaks_of_p_return_is_looked_at(f, error, match):
    problem = adjoint.ODEProblem(Rod("left"), np.ones(4), (0.0, 1.0), breaks=Times(f))
    with pytest.raises(error, match=match):
        problem.solve([0.1, 0.2, 0.3])


def test_with_a_grid_a_break_has_to_be_on_it():
    grid = np.linspace(0.0, 1.0, 8)
    with pytest.raises(ValueError, match=r"break 0.4.* is not on the grid"):
        adjoint.ODEProblem(Rod("left"), np.ones(4), (0.0, 1.0), breaks=np.array([0.4]), grid=grid)
    problem = adjoint.ODEProblem(Rod("left"), np.ones(4), (0.0, 1.0), breaks=Times(), grid=grid)
    with pytest.raises(ValueError, match="is not on the grid"):
        problem.solve([0.4, 0.1, 0.2])


@adaptive
def test_a_landing_costs_one_evaluation_and_dense_output_none(method):
    """One evaluation of f, for K₁ of methods that use it."""
    calls = []

    def f(t, u, p):
        calls.append(t)
        return -p * u

    class Counted:
        jacobian = staticmethod(lambda t, u, p: -np.diag(p) * np.ones((1, 1)))
        vjp = staticmethod(lambda t, u, p, lam: -u * lam)
        jvp = staticmethod(lambda t, u, p, p_dot: -p_dot * u)
        __call__ = staticmethod(f)

    options = {
        "method": METHODS[method],
        "control": adjoint.ode.StepControl(first_step=0.125, max_step=0.125),
        "rtol": 1e-2,
    }
    counts = {}
    for name, observe, dense in (
        ("end", [1.0], False),
        ("landed", [0.25, 0.5, 1.0], False),
        ("dense", [0.3, 1.0], True),
    ):
        calls.clear()
        adjoint.ODEProblem(
            Counted(), np.ones(1), (0.0, 1.0), observe=np.array(observe), dense=dense, **options
        ).solve([1.0])
        counts[name] = len(calls)
    extra = METHODS[method].tableau.extra.shape[0]
    assert counts["landed"] - counts["end"] <= 2
    assert counts["dense"] == counts["end"] + extra


# --- derivatives with respect to times ---

TABLE = (np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.5]))


@adaptive
def test_rates_in_time_are_those_of_the_side_of_the_step(method):
    """u' = a(t) from a table, J = u(2): dJ/dtf = a(2), dJ/dt0 = −a(0); a time that J does not
    see has no influence.
    """
    field = adjoint.complex_step_field(
        lambda t, u, p: p * adjoint.derive.safe.interp(t, *TABLE) + 0.0 * u, n=1, m=1
    )
    problem = adjoint.ODEProblem(
        field, np.zeros(1), (0.0, 2.0), observe=TABLE[0][1:3], method=METHODS[method]
    )
    by = problem.solve(np.ones(1)).sensitivities(np.array([[0.0], [1.0]]))
    assert (by.t0, by.tf) == (pytest.approx(-1.0, abs=1e-9), pytest.approx(2.0, abs=1e-9))
    np.testing.assert_allclose(by.times, [0.0, 2.0], atol=1e-9)


@adaptive
def test_observations_at_a_break_move_alone(method):
    """u' = 1 before t = 1 and 3 behind, observed at 1, 2, named as a break: ∂u(1)/∂t₁ = 1,
    ∂u(2)/∂t₁ = 0.
    """
    field = adjoint.complex_step_field(
        lambda t, u, p: p * (3.0 if t >= 1.0 else 1.0) + 0.0 * u, n=1, m=1
    )
    problem = adjoint.ODEProblem(
        field,
        np.zeros(1),
        (0.0, 2.0),
        observe=np.array([1.0, 2.0]),
        breaks=np.array([1.0]),
        method=METHODS[method],
    )
    trajectory = problem.solve(np.ones(1))
    by = trajectory.sensitivities(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    np.testing.assert_allclose(by.times, [[1.0, 0.0], [0.0, 3.0]], atol=1e-10)
    np.testing.assert_allclose(by.breaks, [[0.0, -2.0]], atol=1e-10)


RATES = {
    "root": lambda t, u, p: p * np.sqrt(t) + 0.0 * u,
    "power": lambda t, u, p: -p * u + t**0.3,
    "weak power": lambda t, u, p: -p * u + t**0.9,
    "root at a break": lambda t, u, p: -p * u + (np.sqrt(t - 0.5) if t > 0.5 else 0.0 * t),
    "root at the end": lambda t, u, p: -p * u + np.sqrt(1.0 - t),
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("method", ["ESDIRK4", "TRBDF2", "Tsit5", "DOP853"])
def test_infinite_rates_in_time_are_named_where_a_stage_lies_there(method, rate):
    field = adjoint.complex_step_field(RATES[rate], n=1, m=1)
    problem = adjoint.ODEProblem(
        field, np.ones(1), (0.0, 1.0), breaks=np.array([0.5]), method=METHODS[method]
    )
    trajectory = problem.solve(np.array([0.5]))
    one = np.ones((1, 1))
    with pytest.raises(adjoint.errors.NonFinite, match="∂f/∂t in component 0 at t = "):
        trajectory.sensitivities(one)
    by = trajectory.sensitivities(one, times=False)
    assert (by.t0, by.tf, by.times, by.breaks) == (None, None, None, None)
    np.testing.assert_array_equal(by.p, trajectory.vjp(one))


class Opening:
    """A valve that opens as the root of the time from a fixed t = ½; the break depends on p₁."""

    def __call__(self, t, u, p):
        return np.array([p[0] * self.root(t) - u[0]])

    def root(self, t):
        return np.sqrt(max(t - 0.5, 0.0))

    def jacobian(self, t, u, p):
        return -np.ones((1, 1))

    def vjp(self, t, u, p, lam):
        return np.array([self.root(t) * lam[0], 0.0])

    def jvp(self, t, u, p, p_dot):
        return np.array([self.root(t) * p_dot[0]])

    def time_derivative(self, t, u, p):
        return np.array([0.5 * p[0] / np.sqrt(t - 0.5) if t > 0.5 else 0.0])


class OpeningRate(Opening):
    """The valve as an integrand, which does not depend on u."""

    def __call__(self, t, u, p):
        return np.array([p[0] * self.root(t)])

    def vjp(self, t, u, p, q_bar):
        return np.zeros(1), super().vjp(t, u, p, q_bar)

    def jvp(self, t, u, p, u_dot, p_dot):
        return super().jvp(t, u, p, p_dot)


@pytest.mark.parametrize("integrand", [False, True])
@pytest.mark.parametrize("method", ["ESDIRK4", "TRBDF2", "Tsit5", "DOP853"])
def test_infinite_rates_at_moving_breaks_are_named_in_both_directions(method, integrand):
    breaks = adjoint.matrices.AffineVector(np.zeros(1), np.array([[0.0, 1.0]]))
    field = (
        adjoint.complex_step_field(lambda t, u, p: -p[0] * u, n=1, m=2) if integrand else Opening()
    )
    problem = adjoint.ODEProblem(
        field,
        np.ones(1),
        (0.0, 2.0),
        breaks=breaks,
        method=METHODS[method],
        integrand=OpeningRate() if integrand else None,
    )
    trajectory = problem.solve(np.array([1.0, 0.5]))
    what = "∂ℓ/∂t" if integrand else "∂f/∂t"
    with pytest.raises(adjoint.errors.NonFinite, match=f"{what} in component 0 at t = 0.5"):
        trajectory.vjp(np.ones((1, 1)), np.ones(int(integrand)))
    with pytest.raises(adjoint.errors.NonFinite, match=f"{what} in component 0 at t = 0.5"):
        trajectory.tangent(np.array([0.0, 1.0]))
    trajectory.tangent(np.array([1.0, 0.0]))  # The break stays.


@pytest.mark.parametrize("method", ["ESDIRK4", "TRBDF2", "Tsit5", "DOP853", "Radau5"])
def test_infinite_rates_at_times_that_stay_are_no_matter(method):
    """√t at t₀ and √|t − ½| at an observation, while a break moves: its derivative is that of
    replays.
    """

    def f(t, u, p):
        return (
            p[0] * np.sqrt(t)
            + np.sqrt(t - 0.5 if t > 0.5 else 0.5 - t)
            - u
            + (p[2] if t > p[1] else 0.0)
        )

    field = adjoint.complex_step_field(f, n=1, m=3)
    breaks = adjoint.matrices.AffineVector(np.zeros(1), np.array([[0.0, 1.0, 0.0]]))
    options = {"breaks": breaks, "observe": np.array([0.5, 2.0]), "rtol": 1e-6, "atol": 1e-6}
    p, last = np.array([1.0, 0.7, 2.0]), np.array([[0.0], [1.0]])
    trajectory = adjoint.ODEProblem(
        field, np.ones(1), (0.0, 2.0), method=METHODS[method], **options
    ).solve(p)
    gradient = trajectory.vjp(last)
    np.testing.assert_allclose(trajectory.jvp(np.eye(3))[-1, 0], gradient, rtol=1e-11)
    h = 1e-5 * np.array([0.0, 1.0, 0.0])
    moved = (trajectory.replay(p + h).u[-1, 0] - trajectory.replay(p - h).u[-1, 0]) / 2e-5
    assert gradient[1] == pytest.approx(moved, rel=1e-8)
    assert trajectory.evidence.notes == ()


SMOOTH = {
    "sine": lambda t, u, p: -p * u + np.sin(t - 0.5),
    "square": lambda t, u, p: -p * u + (t - 0.5) ** 2,
    "weakly singular curvature": lambda t, u, p: (
        -p * u + (np.sqrt(t - 0.5) ** 3 if t > 0.5 else 0.0 * t)
    ),
    "fast": lambda t, u, p: -p * u + np.sin(1e3 * t),
    "autonomous": lambda t, u, p: -p * u,
    "large and small": lambda t, u, p: -p * u + 1e12 * np.cos(t) + 1e-12 * np.exp(t),
}


@pytest.mark.parametrize("rate", SMOOTH)
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_finite_rates_in_time_raise_no_alarm(rate, unit):
    field = adjoint.complex_step_field(
        lambda t, u, p: SMOOTH[rate](t / unit, u, p) / unit, n=1, m=1
    )
    problem = adjoint.ODEProblem(
        field, np.ones(1), (0.0, unit), breaks=np.array([0.5 * unit]), method=adjoint.ode.Tsit5()
    )
    by = problem.solve(np.array([0.5])).sensitivities(np.ones((1, 1)))
    assert np.isfinite([by.t0, by.tf, *by.times, *by.breaks]).all()


def test_no_time_derivative_is_evaluated_where_nobody_asks_for_one():
    class Refusing(Rod):
        def time_derivative(self, t, u, p):
            raise AssertionError("asked for")

    problem = adjoint.ODEProblem(Refusing("left"), np.ones(4), (0.0, 1.0), breaks=np.array([0.4]))
    trajectory = problem.solve([1.0, 2.0, 0.5])
    trajectory.vjp(np.ones((1, 4)))
    trajectory.jvp(np.ones(3))
    trajectory.sensitivities(np.ones((1, 4)), times=False)
    with pytest.raises(AssertionError, match="asked for"):
        trajectory.sensitivities(np.ones((1, 4)))


# --- what the evidence says ---


@adaptive
def test_a_jump_that_no_step_ends_on_is_said_in_the_evidence(method):
    field = adjoint.complex_step_field(
        lambda t, u, p: -p[0] * u + (p[1] if t > 1.3 else 0.0), n=1, m=2
    )
    options = {"t": (0.0, 4.0), "method": METHODS[method]}
    evidence = adjoint.ODEProblem(field, np.zeros(1), **options).solve([0.5, 2.0]).evidence
    assert len(evidence.notes) == 1
    assert "jump or to have a kink at t = 1.3" in evidence.notes[0]
    assert evidence.notes[0] in str(evidence)
    named = adjoint.ODEProblem(field, np.zeros(1), breaks=np.array([1.3]), **options).solve(
        [0.5, 2.0]
    )
    assert named.evidence.notes == ()


@adaptive
def test_parameters_on_which_no_step_depends_are_named_in_the_evidence(method):
    trajectory = switching(method, breaks=np.array([1.3]), rtol=1e-6, atol=1e-9).solve(SWITCH)
    assert trajectory.evidence.notes == ()
    trajectory.vjp(np.ones((1, 1)))
    (note,) = trajectory.evidence.notes
    assert "exactly zero for p[2]:" in note
    assert "comparisons" in note
    trajectory = switching(method, rtol=1e-6, atol=1e-9).solve(SWITCH)
    trajectory.vjp(np.ones((1, 1)))
    assert trajectory.evidence.notes == ()


@pytest.mark.parametrize("method", ["Radau5", "Radau9"])
def test_infinite_rates_that_no_stage_sees_are_said_in_the_evidence(method):
    field = adjoint.complex_step_field(RATES["root"], n=1, m=1)
    trajectory = adjoint.ODEProblem(field, np.ones(1), (0.0, 1.0), method=METHODS[method]).solve(
        [0.5]
    )
    assert np.isfinite(trajectory.sensitivities(np.ones((1, 1))).t0)
    assert any("infinite at t = 0" in note for note in trajectory.evidence.notes)


@pytest.mark.parametrize("dense", [False, True])
@adaptive
def test_an_observation_at_a_break_that_moves_stays_where_it_is(method, dense):
    """u' = p₀ until the break p₁, then 0: seen at the break, from the left, u = p₀ t does not
    depend on p₁.
    """
    field = adjoint.complex_step_field(
        lambda t, u, p: (p[0] if t < p[1].real else 0.0) + 0.0 * u, n=1, m=2
    )
    breaks = adjoint.matrices.AffineVector(np.zeros(1), np.array([[0.0, 1.0]]))
    observe = np.array([0.25, 0.5, 1.0])
    problem = adjoint.ODEProblem(
        field,
        np.zeros(1),
        (0.0, 1.0),
        observe=observe,
        breaks=breaks,
        dense=dense,
        method=METHODS[method],
    )
    trajectory = problem.solve(np.array([2.0, 0.5]))
    expected = np.array([[0.25, 0.0], [0.5, 0.0], [0.5, 2.0]])
    np.testing.assert_allclose(trajectory.jvp(np.eye(2))[:, 0], expected, atol=1e-12)
    rows = trajectory.vjp(np.eye(3).reshape(3, 1, 3)).T
    np.testing.assert_allclose(rows, expected, atol=1e-12)
    found = trajectory.sensitivities(np.array([[0.0], [1.0], [0.0]]))
    np.testing.assert_allclose(found.breaks, [0.0], atol=1e-12)
    np.testing.assert_allclose(found.times, [0.0, 2.0, 0.0], atol=1e-12)


@adaptive
def test_a_late_zero_of_the_clock_does_not_make_the_first_step_too_small(method):
    """In ulps of 10¹⁵, to which steps are rounded, the whole interval is 5·10⁹ long."""
    field = adjoint.complex_step_field(lambda t, u, p: p[0] + 0.0 * u, n=1, m=1)
    problem = adjoint.ODEProblem(
        field, np.zeros(1), (1e15, 1e15 + 6e8), atol=1e-9, method=METHODS[method]
    )
    trajectory = problem.solve(np.array([1e-3]))
    np.testing.assert_allclose(trajectory.vjp(np.ones((1, 1))), [6e8], rtol=1e-8)


@pytest.mark.parametrize("t0", [0.0, 1.0, 1e6, 1.7e9, -4e9])
def test_rates_on_a_clock_with_a_far_zero_are_no_reason_to_doubt_the_field(t0):
    """u' = −u + cos(t − t₀): dJ/dt₀ and dJ/dt_f, on a Unix clock as well."""
    field = adjoint.complex_step_field(lambda t, u, p: -p * u + np.cos(t - t0), n=1, m=1)
    by = (
        adjoint.ODEProblem(field, np.ones(1), (t0, t0 + 2.0))
        .solve([1.0])
        .sensitivities(np.ones((1, 1)))
    )
    exact = 0.5 * (np.cos(2.0) + np.sin(2.0) + np.exp(-2.0))
    assert by.tf == pytest.approx(np.cos(2.0) - exact, rel=1e-4)
