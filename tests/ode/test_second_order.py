"""Hessian–vector products of trajectories: Taylor order 3, symmetry, memories, counts."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import adjoint
from adjoint.derive import with_hvp
from adjoint.derive.differentiation.finite_differences import differences
from problems.time.catalogue import ODE_CATALOGUE
from problems.time.kinetics import ReactionChain, Robertson, reaction_chain, robertson
from tests.fixtures.fields import (
    FIXED,
    GRID,
    METHODS,
    OBSERVED,
    REGULAR,
    SINGULAR,
    Moments,
    P,
    Weave,
    cotangents,
    kinds,
    relative,
    weave,
)

V = np.random.default_rng(1).standard_normal((P.size, 2))


@dataclass(frozen=True)
class Outcome:
    """J = ½ Σ c u² + ½ Σ d q² + (Σ d q) Re Σ c u, real, of states and integrals; c, d at random."""

    seed: int = 0

    def weights(self, trajectory):
        rng = np.random.default_rng(self.seed)
        return rng.uniform(0.5, 1.5, trajectory.u.shape), rng.uniform(
            0.5, 1.5, trajectory.integrals.shape
        )

    def value(self, trajectory):
        (c, d), u, q = self.weights(trajectory), trajectory.u, trajectory.integrals
        return float(
            0.5 * np.sum(c * np.abs(u) ** 2) + 0.5 * np.sum(d * q**2) + (d @ q) * np.sum(c * u.real)
        )

    def bars(self, trajectory):
        (c, d), u, q = self.weights(trajectory), trajectory.u, trajectory.integrals
        return c * u + (d @ q) * c, d * q + d * np.sum(c * u.real)

    def rates(self, trajectory, u_dot, q_dot):
        (c, d), j = self.weights(trajectory), u_dot.shape[-1]
        along = np.einsum("kn,knj->j", c, u_dot.real)
        u_rates = c[..., None] * (u_dot + (d @ q_dot).reshape(1, 1, j))
        return u_rates, d[:, None] * (q_dot + along)

    def gradient(self, trajectory):
        return trajectory.vjp(*self.bars(trajectory))

    def products(self, trajectory, directions):
        """H V, (m, j)."""
        along = trajectory.linearized(directions)
        u_bar, q_bar = self.bars(trajectory)
        u_rates, q_rates = self.rates(trajectory, along.u_dot, along.q_dot)
        return along.vjp_rate(u_bar, u_rates, q_bar, q_rates)


J = Outcome()


def by_differences(trajectory, v):
    """H v by extrapolated differences of gradients along frozen steps."""
    scale = float(np.abs(v / np.where(trajectory.p == 0.0, 1.0, trajectory.p)).max())
    return (
        scale
        * differences(lambda p: J.gradient(trajectory.replay(p)), trajectory.p, v / scale, 10)[0]
    )


def taylor_order(trajectory, v, Hv):
    """The order of |J(p + h v) − J − h g·v − ½ h² v·Hv| at steps far above rounding."""
    g, value = J.gradient(trajectory), J.value(trajectory)
    scale = float(np.abs(v / np.where(trajectory.p == 0.0, 1.0, trajectory.p)).max())
    rests = []
    for h in (4e-2 / scale, 1e-2 / scale):
        model = value + h * (g @ v) + 0.5 * h**2 * (v @ Hv)
        rests.append(abs(J.value(trajectory.replay(trajectory.p + h * v)) - model))
    return np.log(rests[0] / rests[1]) / np.log(4.0), rests[1]


def require_hessian(trajectory, directions, symmetry, error):
    """The products are symmetric, agree with differences, and make the Taylor remainder O(h³)."""
    HV = J.products(trajectory, directions)
    S = directions.T @ HV
    assert np.abs(S - S.T).max() <= symmetry * np.abs(S).max()
    for v, Hv in zip(directions.T, HV.T, strict=True):
        assert relative(Hv, by_differences(trajectory, v)) <= error
        order, rest = taylor_order(trajectory, v, Hv)
        assert order >= 2.9 or rest <= 1e-12 * abs(J.value(trajectory))


@pytest.mark.parametrize(("method", "kind"), kinds(*REGULAR, *SINGULAR))
def test_products_are_the_derivatives_of_gradients_for_every_method_and_mass(method, kind):
    require_hessian(weave(5, method, kind).solve(P), V, 1e-12, 2e-9)


@pytest.mark.parametrize("method", METHODS)
def test_products_of_observations_inside_steps(method):
    options = {"grid": np.linspace(0.0, 1.0, 10)} if method in FIXED else {}
    trajectory = weave(4, method, dense=True, **options).solve(P)
    require_hessian(trajectory, V, 1e-12, 2e-9)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("ESDIRK4", "of p"), ("ESDIRK5", "zero rows, of p"), ("Radau5", "of p"), ("DOP853", "of p")],
)
def test_products_of_sparse_systems_by_refinement(method, kind):
    trajectory = weave(70, method, kind, rtol=1e-4).solve(P)
    require_hessian(trajectory, V, 1e-10, 5e-9)
    one, two = J.products(trajectory, V[:, :1]), J.products(trajectory, V)
    assert relative(one[:, 0], two[:, 0]) <= 1e-10


def test_kept_factors_serve_all_products():
    """Tangents and rates take no factorization where records of sparse systems are kept."""
    trajectory = weave(70, "ESDIRK4", "of p", memory=adjoint.checkpointing.Everything()).solve(P)
    for directions in (V, V[:, :1]):
        with adjoint.counting() as counts:
            J.products(trajectory, directions)
        assert counts.numeric == counts.symbolic == 0


def jax_weave(n):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy

    def f(t, u, p):
        return (
            p[0] * (jnp.roll(u, 1) - 2.0 * u)
            + p[1] * u * jnp.roll(u, -1)
            - p[2] * u**3
            + p[3] * jnp.cos(p[4] * t + jnp.arange(n))
        )

    return adjoint.jax_field(f, n, P.size)


class FirstOrder:
    """The Weave without its hvp."""

    def __init__(self, n):
        field = Weave(n)
        self.jacobian, self.vjp, self.jvp = field.jacobian, field.vjp, field.jvp
        self.of = field

    def __call__(self, t, u, p):
        return self.of(t, u, p)


FIELDS = {
    "by hand": Weave,
    "with_hvp": lambda n: with_hvp(FirstOrder(n)),
    "complex steps": lambda n: adjoint.complex_step_field(Weave(n), n, P.size),
    "JAX": jax_weave,
}


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("method", ["ESDIRK5", "Tsit5", "Radau5"])
def test_every_kind_of_field_has_the_same_products(kind, method):
    n = 5
    integrand = (
        adjoint.complex_step_integrand(Moments(), n, P.size) if kind != "by hand" else Moments()
    )
    trajectory = weave(n, method, field=FIELDS[kind](n), integrand=integrand).solve(P)
    require_hessian(trajectory, V, 1e-9, 5e-9)
    expected = J.products(weave(n, method).solve(P), V)
    assert relative(J.products(trajectory, V), expected) <= 1e-9


@pytest.mark.parametrize("name", ODE_CATALOGUE)
def test_products_over_the_catalogue(name):
    problem, p = ODE_CATALOGUE[name]()
    if not hasattr(problem.field, "hvp"):
        problem = replace(problem, field=with_hvp(problem.field))
    trajectory = problem.solve(p)
    size = np.where(p == 0.0, 1.0, np.abs(p))
    directions = size[:, None] * np.random.default_rng(0).uniform(-1.0, 1.0, (p.size, 2))
    # Products along a unit direction of each parameter: units differ by factors of 1e9.
    HV = size[:, None] * J.products(trajectory, directions)
    S = (directions / size[:, None]).T @ HV
    assert np.abs(S - S.T).max() <= 1e-10 * np.abs(S).max()
    for i in range(2):
        expected = size * by_differences(trajectory, directions[:, i])
        assert np.abs(HV[:, i] - expected).max() <= 1e-7 * np.abs(expected).max()


CHAIN = np.array([[0.1562804308205, -0.0786778065975], [-0.0786778065975, 0.0898143436292]])


@pytest.mark.parametrize("rtol", [1e-3, 1e-10])
@pytest.mark.parametrize("method", [name for name in METHODS if name not in FIXED])
def test_published_hessian_of_the_reaction_chain(method, rtol):
    """CASES.md: the Hessian of ∫½|y|² dt; symmetric to rounding at any tolerance."""
    problem = replace(reaction_chain(), method=METHODS[method], rtol=rtol, atol=1e-2 * rtol)
    along = problem.solve(ReactionChain().nominal).linearized(np.eye(2))
    H = along.vjp_rate(None, None, np.ones(1), np.zeros((1, 2)))
    assert np.abs(H - H.T).max() <= 1e-10
    if rtol == 1e-10:
        np.testing.assert_allclose(H, CHAIN, atol=1e-10 if method != "TRBDF2" else 1e-8)


def test_one_block_makes_the_hessian_of_robertson():
    problem = replace(robertson(50.0), rtol=1e-8, atol=np.array([1e-10, 1e-14, 1e-10]))
    trajectory = problem.solve(Robertson().nominal)
    scale = np.diag(trajectory.p)
    H = trajectory.linearized(scale).vjp_rate(None, None, np.ones(1), np.zeros((1, 3)))
    H = scale @ H  # With respect to the logarithms of p, without the diagonal of gradients.
    assert np.abs(H - H.T).max() <= 1e-10 * np.abs(H).max()
    for i in range(3):
        expected = (
            trajectory.p
            * differences(
                lambda p: trajectory.replay(p).vjp(None, np.ones(1)), trajectory.p, scale[:, i], 10
            )[0]
        )
        np.testing.assert_allclose(H[:, i], expected, atol=1e-8 * np.abs(H).max())


@pytest.mark.parametrize(
    ("n", "method", "kind", "dense"),
    [
        (4, "ESDIRK4", "of p", False),
        (4, "Radau5", "zero rows", True),
        (4, "DOP853", "identity", True),
        (4, "BE", "of p", False),
        (70, "ESDIRK4", "of p", False),
    ],
)
def test_all_memories_give_the_same_bits(n, method, kind, dense, tmp_path):
    control = adjoint.ode.StepControl(max_step=0.2)
    options = {"control": control, "dense": dense, "rtol": 1e-3}
    if method in FIXED:
        options["grid"] = np.union1d(np.linspace(0.0, 1.0, 10), OBSERVED)
    size = 8 * (3 * n + (2 * n) * V.shape[1])
    memories = [
        adjoint.checkpointing.Everything(),
        adjoint.checkpointing.States(),
        adjoint.checkpointing.Checkpoints(1),
        adjoint.checkpointing.Checkpoints(3),
        adjoint.checkpointing.Disk(tmp_path),
        adjoint.checkpointing.Disk(tmp_path, slots=2),
        adjoint.checkpointing.Budget(3 * size),
        adjoint.checkpointing.Budget(15 * size),
    ]
    results = []
    for memory in memories:
        trajectory = weave(n, method, kind, memory=memory, **options).solve(P)
        along = trajectory.linearized(V)
        u_bar, q_bar = J.bars(trajectory)
        rates = J.rates(trajectory, along.u_dot, along.q_dot)
        # The second sweep starts from the checkpoints that the first sweep left.
        products = [along.vjp_rate(u_bar, rates[0], q_bar, rates[1]) for _ in range(2)]
        results.append([along.u_dot, along.q_dot, *products])
    for result in results:
        for got, expected in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(results[0][2], results[0][3])


def test_complex_states_and_complex_parameters():
    """∂J = Re(gᴴ dp): differences of g along a complex direction, on a given grid."""
    problem = weave(
        4, "ESDIRK4", u0=0.5 + 0.2j * np.arange(4.0), grid=GRID, integrand=None, field=Weave(4, 1j)
    )
    p, v = P + 0.1j * np.arange(5), (V[:, 0] + 1j * V[:, 1])
    trajectory = problem.solve(p)
    found = J.products(trajectory, v[:, None])[:, 0]
    scale = float(np.abs(v / p).max())
    expected = scale * differences(lambda p: J.gradient(problem.solve(p)), p, v / scale, 10)[0]
    assert relative(found, expected) <= 1e-8


def test_products_behind_constant_breaks_of_a_dae():
    """At a break K₁ and the algebraic unknowns are computed again, with their rates."""
    for method in ("ESDIRK4", "Radau5", "TRBDF2"):
        trajectory = weave(5, method, "zero rows, of p", breaks=[0.25, 0.6]).solve(P)
        assert trajectory.sweeps.accepted.reinitialized
        require_hessian(trajectory, V, 1e-11, 5e-9)


class Jumping(Weave):
    """The Weave with a force that jumps at t = 0.25: reinitialized values change."""

    def __call__(self, t, u, p):
        return super().__call__(t, u, p) + (t > 0.25) * p[1] * p[3]

    def by_parameters(self, t, u, p):
        B = super().by_parameters(t, u, p)
        B[:, 1] += (t > 0.25) * p[3]
        B[:, 3] += (t > 0.25) * p[1]
        return B

    def hvp(self, t, u, p, lam, u_dot, p_dot):
        through_u, through_p = super().hvp(t, u, p, lam, u_dot, p_dot)
        through_p[1] += (t > 0.25) * p_dot[3] * lam.sum()
        through_p[3] += (t > 0.25) * p_dot[1] * lam.sum()
        return through_u, through_p


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("method", ["ESDIRK4", "Radau5", "ESDIRK5"])
@pytest.mark.parametrize("kind", ["of p", "zero rows", "rank deficient"])
def test_products_behind_a_jump(method, kind, dense):
    trajectory = weave(5, method, kind, field=Jumping(5), breaks=[0.25], dense=dense).solve(P)
    require_hessian(trajectory, V, 1e-11, 5e-9)


def test_moving_breaks_are_refused():
    breaks = adjoint.matrices.AffineVector(np.array([0.25]), np.eye(1, P.size) * 0.1)
    trajectory = weave(4, "ESDIRK4", breaks=breaks).solve(P)
    with pytest.raises(TypeError, match=r"breaks depend on p.*DifferencedHessian"):
        trajectory.linearized(V)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"field": FirstOrder(4)}, "FirstOrder has no method hvp.*with_hvp"),
        ({"mass": "first order"}, "has no method hvp"),
        ({"u0": "first order"}, "has no method hvp"),
        ({"integrand": "first order"}, "has no method hvp.*complex_step_integrand"),
    ],
)
def test_missing_second_derivatives_are_named_before_the_sweep(changes, named):
    class Hidden:
        def __init__(self, of):
            self.of, self.vjp, self.jvp = of, of.vjp, of.jvp

        def __call__(self, *arguments):
            return self.of(*arguments)

    given = {"mass": weave(4, "ESDIRK4", "of p").mass, "u0": weave(4, "ESDIRK4").u0}
    given["integrand"] = Moments()
    changes = {
        name: Hidden(given[name]) if isinstance(value, str) else value
        for name, value in changes.items()
    }
    trajectory = weave(4, "ESDIRK4", **changes).solve(P)
    with pytest.raises(TypeError, match=named):
        trajectory.linearized(V)


def test_bad_directions_and_cotangents_are_named():
    trajectory = weave(4, "ESDIRK4").solve(P)
    for bad in (np.ones(4), np.ones((5, 1, 1)), np.full(5, np.nan)):
        with pytest.raises(ValueError, match="p_dot"):
            trajectory.linearized(bad)
    along = trajectory.linearized(V)
    u_bar, q_bar = cotangents(trajectory)
    for bars in (
        (u_bar, u_bar),
        (u_bar[:2], along.u_dot),
        (u_bar, along.u_dot, q_bar, q_bar),
        (np.full(u_bar.shape, np.nan), along.u_dot),
    ):
        with pytest.raises(ValueError, match="_bar"):
            along.vjp_rate(*bars)
    assert trajectory.linearized(np.zeros((5, 0))).vjp_rate(u_bar, None).shape == (5, 0)


def test_a_vjp_that_loses_imaginary_parts_is_refused():
    """A vjp without imaginary parts gives a wrong contraction: with_hvp refuses it."""

    class Half(FirstOrder):
        def __init__(self, n):
            super().__init__(n)
            self.vjp = lambda t, u, p, lam: self.of.by_parameters(t, u.real, p).T @ lam

    trajectory = weave(4, "ESDIRK4", field=with_hvp(Half(4))).solve(P)
    with pytest.raises(adjoint.errors.NotComplexSafe):
        J.products(trajectory, V)


@pytest.mark.parametrize("integral", [False, True])
def test_newton_cg_runs_on_trajectories(integral):
    truth = np.array([1.2, 1.7])
    problem = replace(reaction_chain(), observe=np.linspace(0.2, 2.0, 10), rtol=1e-8, atol=1e-10)
    if integral:
        outputs = adjoint.ode.Outputs(problem)
        f = adjoint.Reduced(outputs, adjoint.LeastSquares(outputs.solve(truth).u))
    else:
        problem = replace(problem, integrand=None)
        f = adjoint.Reduced(problem, adjoint.LeastSquares(problem.solve(truth).u))
    assert adjoint.check_hvp(f, np.array([1.0, 2.0])).ok
    result = adjoint.minimize(f, np.array([1.0, 2.0]), adjoint.optimize.NewtonCG())
    np.testing.assert_allclose(result.x, truth, atol=1e-5)


def test_check_field_compares_second_derivatives():
    u = 0.5 + 0.3 * np.cos(np.arange(5.0))

    class Wrong(Weave):
        def hvp(self, t, u, p, lam, u_dot, p_dot):
            through_u, through_p = super().hvp(t, u, p, lam, u_dot, p_dot)
            through_p[2] *= 1.001
            return through_u, through_p

    right = adjoint.check_field(Weave(5), 0.3, u, P)
    assert right.ok
    assert right.hvp <= 1e-8
    report = adjoint.check_field(Wrong(5), 0.3, u, P)
    assert not report.ok
    assert f"hvp       relative error {report.hvp:.1e}" in report.table()
    assert adjoint.check_field(FirstOrder(5), 0.3, u, P).hvp is None
    for field, p in ((Robertson(), Robertson().nominal), (ReactionChain(), np.array([1.0, 2.0]))):
        assert adjoint.check_field(field, 0.0, np.array([0.9, 3e-5, 0.1]), p).hvp <= 1e-7
