"""Coupled stages (Radau): matrices, factorizers, error estimates, stored states."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.ode.stages.coupled_matrices import CoupledStages, coupled_inverse
from adjoint.ode.stages.stage_matrices import Algebra
from adjoint.ode.step_control import error_estimate
from adjoint.ode.step_control.controller import StepSizeController
from tests.fixtures.fields import METHODS, P, Plain, cotangents, relative, weave

COUPLED = [name for name, method in METHODS.items() if method.tableau.coupled]
N, H = 80, 0.3
coupled = pytest.mark.parametrize("method", COUPLED)


def random(rng, kind, *shape):
    return rng.standard_normal(shape) + (
        1j * rng.standard_normal(shape) if kind is complex else 0.0
    )


def matrix(rng, kind, diagonal):
    """Sparse, nonsymmetric, with a diagonal that dominates."""
    A = sparse.csc_array(
        sparse.diags_array(random(rng, kind, 3, N), offsets=[-1, 0, 7], shape=(N, N))
    )
    A = sparse.csc_array(A + diagonal * sparse.eye_array(N))
    A.sort_indices()
    return A


def by_blocks(A, M, J):
    """I ⊗ M − h diag(J_i) (A ⊗ I), dense."""
    s = A.shape[0]
    return np.block(
        [
            [(i == j) * M.toarray() - H * A[i, j] * J[i].toarray() for j in range(s)]
            for i in range(s)
        ]
    )


@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("j", [None, 3])
@pytest.mark.parametrize(("of_J", "of_b"), [(float, float), (float, complex), (complex, complex)])
@coupled
def test_systems_fall_apart_along_the_eigenvectors(method, of_J, of_b, j, trans):
    rng, tableau = np.random.default_rng(0), METHODS[method].tableau
    M, J = matrix(rng, of_J, 5.0), matrix(rng, of_J, -20.0)
    algebra = Algebra(N, M, adjoint.lu, False, of_J is complex)
    b = random(rng, of_b, tableau.stages * N, *(() if j is None else (j,)))
    inverse = coupled_inverse(algebra, tableau, J, H * tableau.gamma)
    full = by_blocks(tableau.A, M, [J] * tableau.stages)
    w = inverse.solve(b, trans)
    assert w.dtype.kind == ("f" if of_b is float else "c")
    np.testing.assert_allclose(
        {"N": full, "T": full.T, "H": full.conj().T}[trans] @ w, b, atol=1e-10
    )
    single = M.toarray() - H * tableau.gamma * J.toarray()
    np.testing.assert_allclose(single @ inverse.single.solve(b[:N], "N"), b[:N], atol=1e-12)


@pytest.mark.parametrize("trans", ["N", "H"])
@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("dense", [False, True])
@coupled
def test_matrices_of_all_stages_are_what_they_stand_for(method, dense, kind, trans):
    rng, tableau = np.random.default_rng(1), METHODS[method].tableau
    M, J = matrix(rng, kind, 5.0), [matrix(rng, kind, -20.0) for _ in range(tableau.stages)]
    full, b = by_blocks(tableau.A, M, J), random(rng, kind, tableau.stages * N)
    full = full if trans == "N" else full.conj().T
    algebra = Algebra(N, M.toarray() if dense else M, adjoint.lu, False, kind is complex)
    stages = CoupledStages(
        algebra, H * tableau.A, np.array([Ji.toarray() for Ji in J]) if dense else J
    )
    np.testing.assert_allclose(full @ stages.inverse().solve(b, trans), b, atol=1e-10)
    W = b.reshape(tableau.stages, N, 1)
    np.testing.assert_allclose(stages.slopes(W)[2, :, 0], J[2].conj().T @ W[2, :, 0], atol=1e-12)
    assert stages.dense == dense
    if not dense:
        np.testing.assert_allclose(stages.product(b, trans), full @ b, atol=1e-12)
        np.testing.assert_allclose(stages.product(b[:, None], trans)[:, 0], full @ b, atol=1e-12)


def membrane(c):
    """Diffusion and a reaction that is switched by time on 20 × 20 cells: M and J are symmetric."""
    k = 20
    T = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(k, k))
    A = sparse.csc_array(
        (k + 1) ** 2 * (sparse.kron(sparse.eye_array(k), T) + sparse.kron(T, sparse.eye_array(k)))
    )
    A.sum_duplicates()
    return Plain(
        lambda t, u, p: p[0] * (A @ u) - p[1] * u**3 + 1.0 + 5.0 * np.sin(c * t) * u,
        lambda t, u, p: sparse.csc_array(
            p[0] * A - sparse.diags_array(3.0 * p[1] * u**2 - 5.0 * np.sin(c * t))
        ),
        lambda t, u, p: np.stack([A @ u, -(u**3)], axis=1),
    )


@pytest.mark.parametrize(
    "options", [{"rtol": 1e-2, "atol": 1e-2}, {"grid": np.linspace(0.0, 1.0, 4)}], ids=str
)
@coupled
def test_symmetric_problems_may_be_stated_as_such(method, options):
    """If simplified Newton fails, the matrix of all stages is factored, which is not symmetric."""
    gradients = []
    for factorize in (adjoint.lu, adjoint.ldl):
        problem = adjoint.ODEProblem(
            membrane(40.0),
            3.0 * np.sin(np.arange(400.0)),
            (0.0, 1.0),
            method=METHODS[method],
            factorize=factorize,
            **options,
        )
        trajectory = problem.solve(np.array([0.01, 20.0]))
        gradients.append(trajectory.vjp(np.ones_like(trajectory.u)))
    assert relative(*gradients) <= 1e-10


@coupled
def test_the_matrix_of_all_stages_is_factored_by_what_was_asked_for(method):
    made = []

    def factorize(A):
        made.append(A.shape[0])
        return adjoint.factor.superlu(A)

    options = {"method": METHODS[method], "factorize": factorize, "grid": np.linspace(0.0, 1.0, 4)}
    with adjoint.counting() as counts:
        problem = adjoint.ODEProblem(
            membrane(40.0), 3.0 * np.sin(np.arange(400.0)), (0.0, 1.0), **options
        )
        trajectory = problem.solve(np.array([0.01, 20.0]))
        trajectory.vjp(np.ones_like(trajectory.u))
    assert counts.numeric == len(made)
    assert 400 * METHODS[method].tableau.stages in made


@pytest.mark.parametrize(
    "options", [{"rtol": 1e-3, "atol": 1e-3}, {"grid": np.linspace(0.0, 1.0, 6)}], ids=str
)
@pytest.mark.parametrize("method", ["ESDIRK4", *COUPLED])
def test_iterative_solvers_end_in_the_same_gradient_or_in_a_named_error_with_its_time(
    method, options
):
    """If Newton's iterates diverge, a Krylov method fails first."""
    p, u0 = np.array([0.01, 20.0]), 3.0 * np.sin(np.arange(400.0))
    options = {"method": METHODS[method], **options}

    def solved(factorize):
        trajectory = adjoint.ODEProblem(
            membrane(4.0), u0, (0.0, 1.0), factorize=factorize, **options
        ).solve(p)
        return trajectory.vjp(np.ones_like(trajectory.u))

    expected = solved(adjoint.lu)
    try:
        got = solved(adjoint.gmres(adjoint.factor.ilu()))
    except adjoint.errors.StageFailure as error:
        reached = error.t
    else:
        reached = 1.0
        assert relative(got, expected) <= (1e-4 if "rtol" in options else 1e-9)
    assert 0.0 <= reached <= 1.0


@pytest.mark.parametrize(("mu", "steps"), [(2.0, 10), (5.0, 20), (10.0, 10), (10.0, 20)])
@coupled
def test_long_steps_of_a_grid_are_found_from_another_guess_where_the_first_is_too_far_off(
    method, mu, steps
):
    field = Plain(
        lambda t, u, p: np.array([u[1], p[0] * (1.0 - u[0] ** 2) * u[1] - u[0]]),
        lambda t, u, p: np.array(
            [[0.0, 1.0], [-2.0 * p[0] * u[0] * u[1] - 1.0, p[0] * (1.0 - u[0] ** 2)]]
        ),
        lambda t, u, p: np.array([[0.0], [(1.0 - u[0] ** 2) * u[1]]]),
    )
    options = {"method": METHODS[method], "grid": np.linspace(0.0, 10.0, steps + 1)}
    trajectory = adjoint.ODEProblem(field, np.array([2.0, 0.0]), (0.0, 10.0), **options).solve([mu])
    assert np.abs(trajectory.u).max() <= 30.0
    perturbed = trajectory.replay(np.array([mu + 1e-30j]))
    assert relative(trajectory.jvp([1.0]), perturbed.u.imag / 1e-30) <= 1e-8


@coupled
def test_the_error_estimate_stays_where_the_field_has_values(method):
    """f is nan for u > 1.001: the second filtering looks at u + error, which may be there."""
    field = Plain(
        lambda t, u, p: np.where(u > 1.001, np.nan, -1e4 * (u - np.cos(t)) - np.sin(t)),
        lambda t, u, p: np.array([[-1e4]]),
    )
    options = {"method": METHODS[method], "rtol": 1e-7, "atol": 1e-7}
    evidence = adjoint.ODEProblem(field, np.ones(1), (0.0, 10.0), **options).solve([1.0]).evidence
    assert evidence.rejected <= 2


@coupled
def test_guesses_continue_polynomials_of_the_step_before(method):
    tableau = METHODS[method].tableau
    for ratio in (0.3, 1.0, 9.0):
        for power in range(min(tableau.stages, 4)):
            expected = (1.0 + ratio * tableau.c) ** power
            np.testing.assert_allclose(
                tableau.extrapolation(ratio) @ tableau.c**power, expected, rtol=1e-10
            )


@coupled
def test_linear_problems_take_two_corrections_a_step(method):
    field = Plain(lambda t, u, p: -u + np.sin(t), lambda t, u, p: -np.eye(2))
    options = {"method": METHODS[method], "grid": np.linspace(0.0, 1.0, 11)}
    evidence = adjoint.ODEProblem(field, np.ones(2), (0.0, 1.0), **options).solve([1.0]).evidence
    assert evidence.corrections == 20


@pytest.mark.parametrize(
    ("method", "n", "most"), [("Radau9", 4, 0.3), ("ESDIRK4", 4, 0.75), ("ESDIRK4", 70, 0.75)]
)
def test_states_repeat_less_than_the_steps_took(method, n, most):
    """ESDIRK4: three or four stages of five; small coupled systems: the last step only."""
    problem = weave(
        n, method, integrand=None, memory=adjoint.checkpointing.States(), rtol=1e-5, atol=1e-6
    )
    trajectory = problem.solve(P)
    forward = trajectory.evidence.evaluations
    trajectory.vjp(cotangents(trajectory)[0])
    assert trajectory.evidence.evaluations - forward <= most * forward


@coupled
def test_matrices_that_cannot_be_hermitian_are_refused_with_a_remedy(method):
    problem = adjoint.ODEProblem(
        membrane(1.0), np.ones(400), (0.0, 1.0), method=METHODS[method], factorize=adjoint.cholesky
    )
    with pytest.raises(
        adjoint.errors.NotSymmetric, match=r"complex lambda.*adjoint\.ldl.*adjoint\.ode\.ESDIRK5"
    ):
        problem.solve(np.array([0.01, 20.0]))


@pytest.mark.parametrize(
    ("stiffness", "tolerance"), [(1e4, 1e-7), (1e5, 1e-8), (1e6, 1e-8), (1e6, 1e-9)]
)
@coupled
def test_errors_within_the_tolerance_do_not_refuse_the_steps_that_follow(
    method, stiffness, tolerance
):
    """A state off a slow manifold by the last error has a large f, whatever the step size."""
    field = Plain(
        lambda t, u, p: -stiffness * (u - np.cos(t)) - np.sin(t),
        lambda t, u, p: np.array([[-stiffness]]),
    )
    options = {"method": METHODS[method], "rtol": tolerance, "atol": tolerance}
    evidence = adjoint.ODEProblem(field, np.ones(1), (0.0, 10.0), **options).solve([1.0]).evidence
    assert evidence.rejected <= 2
    assert evidence.steps <= 40


@coupled
def test_a_singular_matrix_of_the_error_estimate_shortens_the_step(method):
    """Growth by 1/(hγ): M − hγJ is singular, that of all stages is not."""
    rate = 1.0 / (0.025 * METHODS[method].tableau.gamma)
    field = Plain(lambda t, u, p: rate * u, lambda t, u, p: np.array([[rate]]))
    options = {
        "method": METHODS[method],
        "rtol": 1e-3,
        "atol": 1e-6,
        "control": adjoint.ode.StepControl(first_step=0.025),
    }
    trajectory = adjoint.ODEProblem(field, [1e-3], (0.0, 0.025), **options).solve([1.0])
    assert trajectory.evidence.rejected >= 1
    assert trajectory.u[0, 0] == pytest.approx(1e-3 * np.exp(0.025 * rate), rel=1e-2)


@pytest.mark.parametrize("grid", [None, np.linspace(0.0, 1.0, 5)], ids=["adaptive", "grid"])
@coupled
def test_a_jacobian_that_becomes_singular_within_a_step_is_named(method, grid):
    """0 = z + y² − 1, with a jacobian that omits z for t > ½."""
    field = Plain(
        lambda t, u, p: np.array([-u[0] - u[1], u[1] + u[0] ** 2 - 1.0]),
        lambda t, u, p: np.array([[-1.0, -1.0], [2.0 * u[0], 1.0] if t <= 0.5 else [0.0, 0.0]]),
    )
    problem = adjoint.ODEProblem(
        field, [1.0, 0.0], (0.0, 1.0), method=METHODS[method], mass=np.diag([1.0, 0.0]), grid=grid
    )
    with pytest.raises((adjoint.errors.StageFailure, adjoint.errors.StepTooSmall)) as caught:
        problem.solve([1.0])
    assert 0.2 <= caught.value.t <= 0.8


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@coupled
def test_jacobians_may_be_matrices_of_numpy(method):
    field = Plain(lambda t, u, p: -u, lambda t, u, p: np.asmatrix(-np.eye(2)))
    trajectory = adjoint.ODEProblem(field, [1.0, 2.0], (0.0, 1.0), method=METHODS[method]).solve(
        [1.0]
    )
    np.testing.assert_allclose(trajectory.u[0], np.array([1.0, 2.0]) * np.exp(-1.0), rtol=1e-5)


@coupled
def test_small_systems_keep_no_factors(method):
    trajectory = weave(4, method, memory=adjoint.checkpointing.Everything()).solve(P)
    stages = METHODS[method].tableau.stages
    states, records = 4 * (stages + 2), 4 * stages
    assert trajectory.evidence.storage.memory <= 8 * (states + records) * trajectory.evidence.steps


@coupled
def test_a_step_much_longer_than_the_one_before_is_not_guessed_from_afar(method):
    """Steps of 10⁻⁹ and then 1: a polynomial through the first stages would be off by 10²⁷."""
    times = np.array([1e-9, 0.5, 1.0])
    trajectory = weave(4, method, observe=times, integrand=None).solve(P)
    alone = weave(4, method, observe=times[1:], integrand=None).solve(P)
    assert trajectory.evidence.steps <= alone.evidence.steps + 6
    assert relative(trajectory.u[1:], alone.u) <= 1e-3


def test_factoring_leaves_the_jacobians_as_they_are():
    """The Jacobians of a step serve its cotangents after the solve."""
    rng = np.random.default_rng(3)
    tableau, J = METHODS["Radau5"].tableau, rng.standard_normal((3, 5, 5))
    before = J.copy()
    stages = CoupledStages(Algebra(5, None, adjoint.lu, False, False), H * tableau.A, J)
    stages.inverse()
    np.testing.assert_array_equal(stages.J, before)


@coupled
def test_blocks_of_objectives_are_those_of_each(method):
    trajectory = weave(70, method).solve(P)
    u_bar, q_bar = cotangents(trajectory, 4, 3)
    together = trajectory.vjp(u_bar, q_bar)
    alone = np.stack([trajectory.vjp(u_bar[..., j], q_bar[:, j]) for j in range(3)], axis=1)
    assert relative(together, alone) <= 1e-11


def test_steps_follow_the_trend_of_their_errors_within_limits():
    """docs/math/time.md, eq. 90; a step whose stages are not found is halved, and does not grow
    right after.
    """
    controller = StepSizeController(adjoint.ode.StepControl(), 6, True, 0.01)
    controller.segment(0.0, 1e6)
    h = controller.h
    controller.accept(0.01)
    assert controller.wanted == pytest.approx(0.9 * 0.01 ** (-1 / 6) * h, rel=1e-6)
    for error in (0.01, 0.1, 0.5, 1e-3):
        before, h, last, wanted = (
            controller.last_h,
            controller.h,
            controller.last_error,
            controller.wanted,
        )
        trend = np.clip(h / before * (last / error) ** (1 / 6), 1 / 1.2, 1.2)
        factor = 0.9 * error ** (-1 / 6) * trend
        controller.accept(error)
        assert controller.wanted == pytest.approx(
            wanted if 0.95 <= factor <= 1.2 else factor * h, rel=1e-6
        )
    h = controller.h
    controller.reject_unsolved()
    assert controller.h == pytest.approx(0.5 * h, rel=1e-6)
    controller.accept(1e-6)
    assert controller.h == pytest.approx(0.5 * h, rel=1e-6)


@coupled
def test_an_error_estimate_that_cannot_be_solved_for_refuses_the_step(method, monkeypatch):
    """If an iterative solver fails, a shorter step is tried."""
    calls = []

    def stalling(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise adjoint.errors.KrylovStalled("no accuracy")
        return filtered(*arguments)

    filtered = error_estimate._filtered
    monkeypatch.setattr(error_estimate, "_filtered", stalling)
    trajectory = weave(70, method, integrand=None).solve(P)
    assert trajectory.evidence.rejected >= 1
    assert trajectory.evidence.steps > 3
