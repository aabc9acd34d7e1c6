"""Failed integrations raise named errors with the time reached, and none hangs."""

import shutil
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import adjoint
from tests.fixtures.fields import (
    DECAY,
    EXPLICIT,
    FIXED,
    IMPLICIT,
    METHODS,
    STIFF,
    P,
    Plain,
    Weave,
    weave,
)

ADAPTIVE = EXPLICIT | STIFF
adaptive = pytest.mark.parametrize("method", ADAPTIVE)
FEW = adjoint.ode.StepControl(max_steps=600)
NAN = float("nan")


def run(of, method="ESDIRK4", u0=(1.0,), t=(0.0, 2.0), p=(1.0,), **options):
    options = {"control": FEW, "method": METHODS[method], **options}
    return adjoint.ODEProblem(of, np.array(u0), t, **options).solve(np.array(p))


def decaying(f=DECAY.f, J=DECAY.J):
    return Plain(f, J, DECAY.by_p)


def raising(error, after=0.5):
    """u' = −u until t = τ."""

    def f(t, u, p):
        if t > after:
            raise error
        return -u

    return f


def until(t0, before, behind):
    return lambda t, u, p: (before if t <= t0 else behind)(t, u, p)


BLOW_UP = Plain(lambda t, u, p: u * u, lambda t, u, p: 2.0 * np.diag(u))
ROOT = Plain(lambda t, u, p: -np.sqrt(u), lambda t, u, p: -0.5 * np.diag(u**-0.5))
SIGN = Plain(lambda t, u, p: 0.3 - np.sign(u), lambda t, u, p: np.zeros((1, 1)))
NO_NUMBER = lambda t, u, p: u * NAN  # noqa: E731


@dataclass(frozen=True)
class Reached:
    """Run an integration that must raise an error between two times."""

    of: object
    errors: tuple
    times: tuple
    options: dict = field(default_factory=dict)


STEPS, SINGULARITY = (
    (adjoint.errors.StepTooSmall, adjoint.errors.TooManySteps),
    (adjoint.errors.StepTooSmall, adjoint.errors.StageFailure),
)
INTEGRATIONS = {
    "nan from the start": Reached(
        decaying(NO_NUMBER), (adjoint.errors.NonFiniteField,), (0.0, 0.0)
    ),
    "inf from the start": Reached(
        decaying(lambda t, u, p: u * np.inf), (adjoint.errors.NonFiniteField,), (0.0, 0.0)
    ),
    "nan midway": Reached(
        decaying(until(0.5, DECAY.f, NO_NUMBER)), (adjoint.errors.NonFiniteField,), (0.4999, 0.5)
    ),
    "inf below a half": Reached(
        decaying(lambda t, u, p: -u if u[0] > 0.5 else u * np.inf),
        (adjoint.errors.NonFiniteField,),
        (0.69, 0.6932),
    ),
    "overflow behind a time": Reached(
        Plain(lambda t, u, p: np.exp(1e3 * (t > 0.3) * u), lambda t, u, p: np.zeros((1, 1))),
        (adjoint.errors.NonFiniteField, adjoint.errors.StepTooSmall),
        (0.299, 0.3),
    ),
    "blow-up": Reached(BLOW_UP, STEPS, (0.99, 1.01)),
    "blow-up long before the end": Reached(BLOW_UP, STEPS, (0.99, 1.01), {"t": (0.0, 1e6)}),
    "root of a negative number": Reached(
        ROOT, (adjoint.errors.NonFiniteField, *SINGULARITY), (1.9, 2.1), {"t": (0.0, 4.0)}
    ),
    "sliding along a discontinuity": Reached(
        SIGN, (*SINGULARITY, adjoint.errors.TooManySteps), (1.42, 1.44), {"t": (0.0, 4.0)}
    ),
    "max_steps": Reached(
        DECAY,
        (adjoint.errors.TooManySteps,),
        (1e-9, 1.9),
        {"control": adjoint.ode.StepControl(max_steps=3), "rtol": 1e-9},
    ),
    "tolerances below rounding": Reached(DECAY, STEPS, (0.0, 1.0), {"rtol": 1e-19, "atol": 0.0}),
}


@pytest.mark.parametrize("case", INTEGRATIONS.values(), ids=INTEGRATIONS)
@adaptive
def test_an_integration_that_cannot_go_on_says_why_and_how_far_it_came(method, case):
    with pytest.raises(case.errors) as caught:
        run(case.of, method, **case.options)
    error = caught.value
    assert case.times[0] <= error.t <= case.times[1], error
    assert 0 <= error.steps <= 600
    assert f"after {error.steps} steps" in str(error)
    assert (error.steps == 0) == (error.t == 0.0)


SLOPES = {
    "nan": lambda t, u, p: np.array([[NAN]]),
    "nan midway": until(0.5, DECAY.J, lambda t, u, p: np.array([[NAN]])),
    "none": lambda t, u, p: np.zeros((1, 1)),
    "sign": lambda t, u, p: -DECAY.J(t, u, p),
    "factor": lambda t, u, p: 1e-3 * DECAY.J(t, u, p),
}


def outcome(act):
    """The result of an integration: a trajectory, or its error."""
    try:
        return act()
    except adjoint.SolveError as error:
        return error


@pytest.mark.parametrize("J", SLOPES.values(), ids=SLOPES)
@pytest.mark.parametrize("method", STIFF)
def test_a_wrong_jacobian_of_a_stiff_field_is_named_or_harmless(method, J):
    end = outcome(lambda: run(Plain(DECAY.f, J, DECAY.by_p), method, p=(1e4,)))
    if isinstance(end, adjoint.SolveError):
        assert isinstance(
            end,
            adjoint.errors.StageFailure
            | adjoint.errors.TooManySteps
            | adjoint.errors.StepTooSmall
            | adjoint.errors.NonFiniteField,
        )
        assert "jacobian" in str(end)
        # Coupled stages take long steps, and the matrix of one is evaluated in its middle.
        assert 0.0 <= end.t <= (1.0 if METHODS[method].tableau.coupled else 0.6)
    else:
        assert abs(end.u[0, 0]) <= 1e-6


@pytest.mark.parametrize("method", IMPLICIT)
def test_a_wrong_jacobian_on_a_given_grid_is_a_stage_failure(method):
    with pytest.raises(
        adjoint.errors.StageFailure, match=r"step of 0\.2.*wrong jacobian.*after 0 steps"
    ) as caught:
        run(Plain(DECAY.f, SLOPES["none"]), method, p=(1e7,), grid=np.linspace(0.0, 2.0, 11))
    assert (caught.value.t, caught.value.steps) == (0.0, 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_field_without_value_on_a_given_grid_is_named(method):
    with pytest.raises(
        (adjoint.errors.StageFailure, adjoint.errors.NonFiniteField), match=r"nan|finite"
    ) as caught:
        run(decaying(until(0.5, DECAY.f, NO_NUMBER)), method, grid=np.linspace(0.0, 2.0, 11))
    assert caught.value.t == pytest.approx(0.4)
    assert caught.value.steps == 2


@adaptive
def test_a_stiff_problem_with_few_steps_is_stopped_or_solved(method):
    stiff = Plain(lambda t, u, p: -1e6 * (u - np.cos(t)), lambda t, u, p: np.array([[-1e6]]))
    if method in STIFF:
        assert run(stiff, method).u[0, 0] == pytest.approx(np.cos(2.0), rel=1e-4)
        return
    with pytest.raises(
        adjoint.errors.TooManySteps, match="Is the problem stiff, and the method explicit"
    ):
        run(stiff, method)


ERRORS = (
    KeyboardInterrupt(),
    ZeroDivisionError("mine"),
    OverflowError("mine"),
    ValueError("mine"),
    MemoryError("mine"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", METHODS)
def test_exceptions_of_the_physics_pass_through_unharmed(method, error):
    grid = {"grid": np.linspace(0.0, 2.0, 21)} if method in FIXED else {}
    with pytest.raises(type(error)) as caught:
        run(decaying(raising(error)), method, **grid)
    assert caught.value is error
    if method in IMPLICIT:
        with pytest.raises(type(error)):
            run(decaying(J=lambda t, u, p: raising(error, after=-1.0)(t, u, p)), method, **grid)


@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK4", "CN"])
def test_nothing_that_is_no_number_is_returned_by_a_derivative(method):
    bad = np.full(5, NAN)
    grid = {"grid": np.linspace(0.0, 1.0, 9)} if method in FIXED else {}
    for name in ("vjp", "jvp"):

        class Bad(Weave):
            pass

        setattr(Bad, name, lambda self, t, u, p, v, name=name: bad if name == "vjp" else bad[:4])
        trajectory = weave(4, method, field=Bad(4), observe=None, **grid).solve(P)
        with pytest.raises(adjoint.errors.NonFinite, match="nan"):
            trajectory.vjp(np.ones((1, 4))) if name == "vjp" else trajectory.jvp(P)


@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK4", "BE"])
def test_an_integrand_without_value_is_named(method):
    class Late(adjoint.ode.LinearIntegrand):
        def __call__(self, t, u, p):
            return super().__call__(t, u, p) * (1.0 if t < 0.5 else NAN)

    grid = {"grid": np.linspace(0.0, 2.0, 21)} if method in FIXED else {}
    with pytest.raises(adjoint.errors.NonFiniteField, match="integrand") as caught:
        run(DECAY, method, integrand=Late(np.ones(1)), **grid)
    assert 0.0 < caught.value.t <= 0.8  # Where its step begins, or the stage is.
    assert caught.value.steps > 0


def test_zero_tolerances_for_unknowns_that_are_zero_are_named_or_harmless():
    """An unknown that is zero needs an atol: without it only vanishing steps are small enough."""
    rising = Plain(lambda t, u, p: p - u, lambda t, u, p: np.array([[-1.0]]))
    for method in ADAPTIVE:
        end = outcome(lambda method=method: run(rising, method, u0=(0.0,), atol=0.0))
        if isinstance(end, adjoint.SolveError):
            assert "atol" in str(end)
        else:
            assert end.u[0, 0] == pytest.approx(1.0 - np.exp(-2.0), rel=1e-4)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_first_step_that_is_far_too_long_is_mended(method):
    far = run(
        DECAY,
        method,
        p=(50.0,),
        rtol=1e-6,
        control=adjoint.ode.StepControl(first_step=1e6, max_steps=20_000),
    )
    assert far.u[0, 0] == pytest.approx(0.0, abs=1e-8)
    assert np.diff(far.grid).max() <= 2.0


BYTES = 3 * 4 * 8
"""Bytes of a state of four unknowns: u, u', and the point of the matrix."""


@pytest.mark.parametrize("method", ["Tsit5", "ESDIRK4"])
def test_a_budget_that_holds_no_two_states_is_named_with_the_time(method):
    with pytest.raises(adjoint.errors.MemoryTooSmall, match="does not hold two states") as caught:
        weave(4, method, memory=adjoint.checkpointing.Budget(BYTES // 2)).solve(P)
    assert (caught.value.t, caught.value.steps) == (0.0, 0)


def test_a_disk_that_is_gone_is_named_with_the_time(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()

    def watch(event):
        if (event.kind, event.step) == ("forward", 5):
            shutil.rmtree(gone)

    with pytest.raises(adjoint.errors.StorageFailed, match="could not write") as caught:
        weave(
            4, "ESDIRK4", rtol=1e-6, memory=adjoint.checkpointing.Disk(gone), callback=watch
        ).solve(P)
    assert caught.value.steps >= 5
    assert 0.0 < caught.value.t < 1.0
    gone.mkdir()
    trajectory = weave(4, "ESDIRK4", rtol=1e-6, memory=adjoint.checkpointing.Disk(gone)).solve(P)
    shutil.rmtree(gone)
    with pytest.raises(adjoint.errors.StorageFailed, match="could not read") as caught:
        trajectory.jvp(P)
    assert 0.0 <= caught.value.t <= 1.0
    with pytest.raises(adjoint.errors.StorageFailed, match="not a directory"):
        adjoint.checkpointing.Disk(gone)


@pytest.mark.parametrize("dense", [False, True], ids=["landing", "dense"])
@adaptive
def test_a_jump_in_time_is_integrated_at_the_price_of_some_rejections(method, dense):
    jump = decaying(lambda t, u, p: -u + (1.0 if t > 0.7 else 0.0))
    trajectory = run(
        jump,
        method,
        observe=np.array([0.5, 2.0]),
        dense=dense,
        rtol=1e-5,
        control=adjoint.ode.StepControl(max_steps=3000),
    )
    assert trajectory.u[-1, 0] == pytest.approx(np.exp(-2.0) + 1.0 - np.exp(-1.3), rel=1e-3)
    assert replace(trajectory.problem, rtol=1e-4).solve([1.0]).evidence.rejected <= 60
