"""Messages of integrations: the edge of a domain, a complex time, a higher index; and warnings."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.ode.stages.stage_matrices import Algebra
from tests.fixtures.fields import IMPLICIT, METHODS, STIFF, Plain, weave


def resting(t, u, p):
    """Two tanks that empty by √u; the second one is empty at the start."""
    return np.array([-p[0] * u[0], -p[0] * np.sqrt(u[1])])


@pytest.mark.parametrize("derivative", ["vjp", "sensitivities", "adjoint", "accumulation", "jvp"])
def test_the_edge_of_a_domain_is_named_with_time_component_and_remedy(derivative):
    derived = adjoint.complex_step_field(resting, n=2, m=1)
    problem = adjoint.ODEProblem(
        derived, np.array([1.0, 0.0]), t=(0.0, 2.0), method=adjoint.ode.Tsit5()
    )
    trajectory = problem.solve(np.ones(1))
    along = np.ones(1) if derivative == "jvp" else np.ones((1, 2))
    with pytest.raises(
        adjoint.errors.NonFiniteField, match=r"u\[1\] = 0 at t = .* has reached the edge .* domain"
    ) as caught:
        getattr(trajectory, derivative)(along)
    assert "np.sqrt(u + 1e-12)" in str(caught.value)
    assert 0.0 <= caught.value.t <= 2.0
    assert isinstance(caught.value, adjoint.errors.NonFinite)


def test_the_edge_is_named_for_fields_by_hand_as_well():
    """√u₁ at u₁ = 0: a value of 0, and an infinite derivative."""
    field = Plain(
        lambda t, u, p: np.array([p[0] * np.sqrt(u[1]), 0.0]),
        lambda t, u, p: np.array([[0.0, 0.5 * p[0] / np.sqrt(u[1])], [0.0, 0.0]]),
        lambda t, u, p: np.array([[np.sqrt(u[1])], [0.0]]),
    )
    problem = adjoint.ODEProblem(
        field, np.array([1.0, 0.0]), (0.0, 1.0), method=adjoint.ode.Tsit5()
    )
    with pytest.raises(adjoint.errors.NonFiniteField, match=r"u\[1\] = 0 at t = .* edge"):
        problem.solve(np.ones(1)).vjp(np.ones((1, 2)))


def test_a_complex_time_is_named_with_its_remedy():
    def boundary(t, u, p):
        r = np.empty(2, dtype=np.result_type(u, p))
        r[0], r[1] = np.sin(t) - u[0], -p[0] * u[1]
        return r

    derived = adjoint.complex_step_field(boundary, n=2, m=1)
    trajectory = adjoint.ODEProblem(derived, np.ones(2), t=(0.0, 1.0)).solve(np.ones(1))
    assert np.isfinite(trajectory.vjp(np.ones((1, 2)))).all()
    with pytest.raises(
        adjoint.errors.NotComplexSafe, match=r"dtype=np.result_type\(t, u, p\).*Here t is complex"
    ):
        trajectory.sensitivities(np.ones((1, 2)))


MECHANICS = ("body", "boundary condition", "stiffness", "move freely")


@pytest.mark.parametrize("consistent", [False, True])
def test_a_higher_index_is_named_without_causes_from_mechanics(consistent):
    """A pendulum-like constraint on position: 0 = u₀ − sin t, u₀' = u₁."""
    field = adjoint.complex_step_field(
        lambda t, u, p: np.array([p[0] * u[1], u[0] - np.sin(t)]), n=2, m=1
    )
    problem = adjoint.ODEProblem(
        field, np.zeros(2), (0.0, 1.0), mass=np.diag([1.0, 0.0]), consistent=consistent
    )
    with pytest.raises(
        adjoint.errors.InconsistentStart,
        match=r"no algebraic equation depends on unknown 1.*higher index",
    ) as e:
        problem.solve(np.ones(1))
    told = str(e.value) + str(e.value.__cause__)
    assert not any(word in told for word in MECHANICS)


def test_sparse_matrices_of_steps_and_masses_that_are_singular_are_named_as_such():
    n = 70
    M = sparse.csc_array(sparse.diags_array(np.append(np.ones(n - 1), 0.0)))
    algebra = Algebra(n, M, adjoint.factor.superlu, False, False)
    for f in (lambda: algebra.sparse_inverse(M, -1.0), algebra.mass_inverse):
        with pytest.raises(
            adjoint.errors.SingularMatrix, match=r"(of a step|mass matrix) is singular"
        ) as caught:
            f()
        assert not any(word in str(caught.value) for word in MECHANICS)


ENDS = np.array([4.0, 22.0, 40.0, 60.0])


def epidemic(t, u, p):
    """A fraction I of a population is infected, at rates that change at four times."""
    new = p[min(int(np.searchsorted(ENDS, t)), 3)] * u[0] * u[1]
    return np.array([-new, new - p[4] * u[1]])


def outbreak(**options):
    derived = adjoint.complex_step_field(epidemic, n=2, m=5)
    u0 = np.array([1.0 - 1e-10, 1e-10])
    problem = adjoint.ODEProblem(derived, u0, t=(0.0, 60.0), observe=ENDS, **options)
    trajectory = problem.solve(np.array([0.6, 0.35, 0.2, 0.1, 0.15]))
    u_bar = np.zeros((4, 2))
    u_bar[-1, 1] = 1.0 / trajectory.u[-1, 1]  # of ln I
    return trajectory, u_bar


@pytest.mark.parametrize(
    "method", [adjoint.ode.ESDIRK4(), adjoint.ode.Tsit5(), adjoint.ode.Radau5()], ids=repr
)
def test_a_component_below_its_atol_that_matters_is_warned_of(method):
    trajectory, u_bar = outbreak(method=method)
    with pytest.warns(
        adjoint.errors.AbsoluteToleranceWarning,
        match=r"u\[1\] .* atol of 1.0e-09, and matters.*atol\[1\]",
    ):
        trajectory.vjp(u_bar)
    assert any("u[1]" in note for note in trajectory.evidence.notes)
    assert "below its atol" in str(trajectory.evidence)
    with pytest.warns(adjoint.errors.AbsoluteToleranceWarning):
        trajectory.sensitivities(np.stack([u_bar, 0.0 * u_bar], axis=-1))
    trajectory, u_bar = outbreak(method=method, atol=np.array([1e-9, 1e-19]))
    trajectory.vjp(u_bar)
    assert trajectory.evidence.notes == ()


def test_small_components_that_do_not_matter_are_not_warned_of():
    """Robertson's u₁ is 1e-5 beside an atol of 1e-4: it follows the others, and J does not
    depend on it.
    """

    def robertson(t, u, p):
        r1, r2, r3 = p[0] * u[0], p[1] * u[1] * u[2], p[2] * u[1] ** 2
        return np.array([-r1 + r2, r1 - r2 - r3, r3])

    derived = adjoint.complex_step_field(robertson, n=3, m=3)
    p = np.array([0.04, 1e4, 3e7])
    for method in STIFF:
        problem = adjoint.ODEProblem(
            derived, np.array([1.0, 0.0, 0.0]), (0.0, 40.0), method=METHODS[method], atol=1e-4
        )
        assert np.isfinite(problem.solve(p).vjp(np.array([[0.0, 0.0, 1.0]]))).all()
    # Nor where there is no error control, nor a component that is zero.
    still = adjoint.complex_step_field(
        lambda t, u, p: np.array([-p[0] * u[0], 0.0 * u[1]]), n=2, m=1
    )
    options = {"u0": np.array([1.0, 0.0]), "t": (0.0, 1.0)}
    adjoint.ODEProblem(still, **options).solve(np.ones(1)).vjp(np.ones((1, 2)))
    tiny = adjoint.ODEProblem(
        still, np.array([1e-12, 0.0]), (0.0, 1.0), grid=np.linspace(0.0, 1.0, 9)
    )
    tiny.solve(np.ones(1)).vjp(np.ones((1, 2)))


def test_a_gradient_of_zeros_is_said_in_the_evidence():
    """A pulse of 1e-3 that steps pass over."""
    pulse = adjoint.complex_step_field(
        lambda t, u, p: np.array([-u[0] + (p[0] if 3.0 < t < 3.001 else 0.0)]), n=1, m=1
    )
    problem = adjoint.ODEProblem(pulse, np.ones(1), (0.0, 5.0))
    trajectory = problem.solve(np.array([100.0]))
    assert trajectory.evidence.notes == ()
    np.testing.assert_array_equal(trajectory.vjp(np.ones((1, 1))), 0.0)
    assert "exactly zero for all parameters" in str(trajectory.evidence)
    trajectory.vjp(np.zeros((1, 1)))  # Of nothing at all that is no news.
    assert trajectory.evidence.notes == ()
    seen = replace(problem, observe=np.array([3.0, 3.001, 5.0])).solve(np.array([100.0]))
    assert abs(seen.vjp(np.array([[0.0], [0.0], [1.0]]))[0]) > 1e-5
    assert seen.evidence.notes == ()


@dataclass(frozen=True, eq=False)
class After:
    """Initial values: the end of another problem, and a dose; counts its calls."""

    before: adjoint.ODEProblem
    calls: list = field(default_factory=list)

    def __call__(self, p):
        self.calls.append("solve")
        return self.before.solve(p).u[-1] + np.array([1.0, 0.0])

    def vjp(self, p, u_bar):
        self.calls.append("vjp")
        return self.before.solve(p).vjp(u_bar[None])

    def jvp(self, p, p_dot):
        return self.before.solve(p).jvp(p_dot)[-1]


def test_initial_values_are_evaluated_once_a_solve_and_pulled_back_once_a_sweep():
    """K segments cost K solves, not 2ᴷ."""
    decay = adjoint.complex_step_field(
        lambda t, u, p: np.array([-p[0] * u[0], p[0] * u[0] - p[1] * u[1]]), n=2, m=2
    )
    problem, starts = adjoint.ODEProblem(decay, np.array([1.0, 0.0]), t=(0.0, 1.0)), []
    for k in range(1, 6):
        starts.append(After(problem))
        problem = adjoint.ODEProblem(decay, starts[-1], t=(float(k), k + 1.0))
    trajectory = problem.solve(np.array([1.2, 0.3]))
    assert [start.calls for start in starts] == [["solve"]] * 5
    trajectory.vjp(np.ones((1, 2)))
    assert starts[-1].calls == ["solve", "vjp"]
    again = problem.replayed(np.array([1.3, 0.3]), trajectory.times, trajectory.sweeps.accepted)
    assert again.u.shape == (1, 2)
    assert starts[-1].calls == ["solve", "vjp", "solve"]


@pytest.mark.parametrize("method", [*IMPLICIT, "Tsit5"])
def test_ordinary_problems_are_warned_of_nothing(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trajectory = weave(4, method).solve(np.array([0.9, 0.4, 0.6, 0.8, 3.0]))
        trajectory.vjp(np.ones_like(trajectory.u), np.ones(2))
    assert trajectory.evidence.notes == ()
