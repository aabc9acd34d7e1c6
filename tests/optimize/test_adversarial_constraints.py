"""No false success with infeasible, degenerate, wrong or failing constraints."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.optimize import nnls

import adjoint.interop
from adjoint import SolveError
from adjoint.errors import WrongGradient
from adjoint.interop.scipy import SLSQP, TrustConstr
from adjoint.optimize import (
    Bounds,
    FunctionConstraint,
    LinearConstraint,
    Status,
    Stopping,
    minimize,
)
from adjoint.optimize.algorithms.augmented_lagrangian import AugmentedLagrangian
from adjoint.optimize.algorithms.lbfgs import LBFGS
from adjoint.optimize.algorithms.mma.gcmma import GCMMA
from adjoint.optimize.algorithms.mma.mma import MMA
from tests.fixtures.adversaries import Adversary, N, Telling, bowl, slope
from tests.optimize.test_adversaries import every_run_ends

__all__ = ["every_run_ends"]

BOX = Bounds(-10.0, 10.0)
STOP = Stopping(iterations=80)
LIMIT = 5000


@dataclass(frozen=True, eq=False)
class Number:
    """c, a number with its gradient."""

    x: np.ndarray
    value: object
    gradient: object


@dataclass(eq=False)
class Counted:
    """c(x), told by functions of x and of how often it was evaluated."""

    value: Callable
    gradient: Callable
    evaluations: int = 0

    def __call__(self, x):
        self.evaluations += 1
        return Number(x, self.value(x, self.evaluations), self.gradient(x, self.evaluations))


@dataclass(frozen=True, eq=False)
class Program:
    """The bowl with constraints.

    each: makes (what is told, what is true), pairs of constraints; equal: those that are
    equalities; feasible: whether there is a solution; refused: what may be raised at the
    start.
    """

    reason: str
    each: Callable
    feasible: bool = True
    equal: Callable = lambda: ()
    bounds: Bounds = BOX
    start: np.ndarray = field(default_factory=lambda: np.array([2.0, 1.0, -1.0, 0.5]))
    refused: tuple = ()


def ball(x, k=1):
    return float(x @ x)


def ball_slope(x, k=1):
    return 2.0 * x


def constraint(value, gradient, bound, truth=None):
    """What is told, and what is meant."""
    return FunctionConstraint(Counted(value, gradient), bound), FunctionConstraint(
        Counted(value, truth or gradient), bound
    )


def same(c):
    return c, c


ONES = np.ones(N)
BELOW, ABOVE = LinearConstraint(ONES, -1.0), LinearConstraint(-ONES, -2.0)
UNIT = (ball, ball_slope, 1.0)


def late(k, then, before):
    return lambda x, n: then(x) if n > k else before(x)


def fails(x, k=1):
    raise SolveError("the constraint's own solve failed")


def wrong(gradient):
    return lambda: (constraint(ball, gradient, 1.0, ball_slope),)


PROGRAMS = {
    "good": Program("the case without a fault", lambda: (constraint(*UNIT),)),
    "contradictory": Program("Σx ≤ −1, Σx ≥ 2", lambda: (same(BELOW), same(ABOVE)), feasible=False),
    "impossible": Program(
        "‖x‖² ≤ −1", lambda: (constraint(ball, ball_slope, -1.0),), feasible=False
    ),
    "impossible within bounds": Program(
        "Σx ≤ −1 where x ≥ 0",
        lambda: (same(BELOW),),
        feasible=False,
        bounds=Bounds(0.0, 10.0),
        start=ONES,
    ),
    "flat and violated": Program(
        "violated by a constant",
        lambda: (constraint(lambda x, k: 1.0, lambda x, k: 0.0 * x, 0.0),),
        feasible=False,
    ),
    "all fixed and violated": Program(
        "bounds fix every variable",
        lambda: (same(BELOW),),
        feasible=False,
        bounds=Bounds(1.0, 1.0),
        start=ONES,
    ),
    "all fixed": Program(
        "bounds fix every variable", lambda: (same(ABOVE),), bounds=Bounds(1.0, 1.0), start=ONES
    ),
    "one point": Program(
        "‖x‖² ≤ 0: its gradient vanishes there", lambda: (constraint(ball, ball_slope, 0.0),)
    ),
    "redundant": Program(
        "the same three times", lambda: (constraint(*UNIT), constraint(*UNIT), constraint(*UNIT))
    ),
    "redundant, scaled": Program(
        "the same in other units",
        lambda: (
            constraint(*UNIT),
            constraint(lambda x, k: 1e6 * ball(x), lambda x, k: 1e6 * ball_slope(x), 1e6),
        ),
    ),
    "cubed": Program(
        "its gradient vanishes on its boundary",
        lambda: (
            constraint(
                lambda x, k: (ball(x) - 1.0) ** 3,
                lambda x, k: 3.0 * (ball(x) - 1.0) ** 2 * 2.0 * x,
                0.0,
            ),
        ),
    ),
    "touching": Program(
        "two balls that share one point",
        lambda: (
            constraint(*UNIT),
            constraint(
                lambda x, k: ball(x - 2.0 * np.eye(N)[0]),
                lambda x, k: 2.0 * (x - 2.0 * np.eye(N)[0]),
                1.0,
            ),
        ),
    ),
    "maximum of": Program(
        "a constraint with kinks",
        lambda: (
            constraint(
                lambda x, k: float(np.abs(x).max()),
                lambda x, k: np.sign(x) * (np.abs(x) == np.abs(x).max()),
                0.7,
            ),
        ),
    ),
    "wrong sign": Program(
        "of the constraint's gradient", wrong(lambda x, k: -2.0 * x), refused=(WrongGradient,)
    ),
    "zero gradient": Program(
        "of the constraint", wrong(lambda x, k: 0.0 * x), refused=(WrongGradient,)
    ),
    "one component zero": Program(
        "of the constraint",
        wrong(lambda x, k: 2.0 * x * np.array([0.0, 1, 1, 1])),
        refused=(WrongGradient,),
    ),
    "zero gradient later": Program(
        "of the constraint", wrong(late(6, lambda x: 0.0 * x, ball_slope))
    ),
    "wrong sign later": Program(
        "of the constraint", wrong(late(6, lambda x: -2.0 * x, ball_slope))
    ),
    "nan at once": Program(
        "the constraint",
        lambda: (constraint(lambda x, k: np.nan, ball_slope, 1.0),),
        refused=(SolveError,),
    ),
    "inf at once": Program(
        "the constraint",
        lambda: (constraint(lambda x, k: np.inf, ball_slope, 1.0),),
        refused=(SolveError,),
    ),
    "nan gradient at once": Program(
        "of the constraint",
        lambda: (constraint(ball, lambda x, k: np.nan * x, 1.0),),
        refused=(SolveError,),
    ),
    "fails at once": Program(
        "the constraint's solve",
        lambda: (constraint(fails, ball_slope, 1.0),),
        refused=(SolveError,),
    ),
    "nan later": Program(
        "the constraint", lambda: (constraint(late(6, lambda x: np.nan, ball), ball_slope, 1.0),)
    ),
    "fails later": Program(
        "the constraint's solve", lambda: (constraint(late(6, fails, ball), ball_slope, 1.0),)
    ),
    "nan gradient later": Program(
        "of the constraint",
        lambda: (constraint(ball, late(6, lambda x: np.nan * x, ball_slope), 1.0),),
    ),
    "drifting": Program(
        "another one each time",
        lambda: (constraint(lambda x, k: ball(x) + 0.05 * k, ball_slope, 1.0),),
        refused=(WrongGradient,),
    ),
    "noisy": Program(
        "with noise of 1e-6",
        lambda: (constraint(lambda x, k: ball(x) + 1e-6 * np.sin(1e3 * k), ball_slope, 1.0),),
    ),
    "tiny bound": Program(
        "a bound of 1e-200 is a scale", lambda: (constraint(ball, ball_slope, 1e-200),)
    ),
    "huge bound": Program("never met", lambda: (constraint(ball, ball_slope, 1e200),)),
    "violated by far": Program(
        "1e8 times the bound", lambda: (constraint(ball, ball_slope, 1e-6),), start=10.0 * ONES
    ),
    "integers": Program(
        "integers and 0-d arrays",
        lambda: (constraint(lambda x, k: np.array(ball(x)), lambda x, k: list(2.0 * x), 1),),
    ),
}
EQUALITIES = {
    "contradictory": Program(
        "Σx = −1, Σx = 2",
        lambda: (same(LinearConstraint(ONES, -1.0)), same(LinearConstraint(ONES, 2.0))),
        feasible=False,
    ),
    "redundant": Program("the same three times", lambda: (same(LinearConstraint(ONES, 1.0)),) * 3),
    "more than variables": Program(
        "six through one point",
        lambda: tuple(
            same(LinearConstraint(np.arange(N) ** i * 1.0, float(np.sum(np.arange(N) ** i * 0.5))))
            for i in range(6)
        ),
        refused=(ValueError,),
    ),
    "no points": Program(
        "‖x‖² = −1", lambda: (constraint(ball, ball_slope, -1.0),), feasible=False
    ),
    "vanishing": Program("‖x‖² = 0", lambda: (constraint(ball, ball_slope, 0.0),)),
    "wrong sign": Program(
        "of its gradient", wrong(lambda x, k: -2.0 * x), refused=(WrongGradient,)
    ),
}


def solver(name):
    def made(constraints, equalities, bounds):
        import nlopt

        from adjoint.interop.nlopt import NLopt

        return NLopt(getattr(nlopt, name), constraints, equalities, bounds)

    return made


def ipopt(constraints, equalities, bounds):
    from adjoint.interop.ipopt import Ipopt

    return Ipopt(constraints, equalities, bounds)


OURS = {
    "MMA": lambda c, h, b: MMA(c, b),
    "GCMMA": lambda c, h, b: GCMMA(c, b),
    "augmented Lagrangian": lambda c, h, b: AugmentedLagrangian(LBFGS(bounds=b), c, h),
}
THEIRS = {
    "SciPy trust-constr": lambda c, h, b: TrustConstr(c, h, b),
    "SciPy SLSQP": lambda c, h, b: SLSQP(c, h, b),
    "NLopt MMA": solver("LD_MMA"),
    "NLopt SLSQP": solver("LD_SLSQP"),
    "Ipopt": ipopt,
}
INEQUALITIES = {**OURS, **THEIRS}
BOTH = [name for name in INEQUALITIES if name not in ("MMA", "GCMMA", "NLopt MMA")]


def kkt(x, true, equal, bounds):
    """(the least ‖∇L‖ with multipliers of the right signs, the violation) of the true functions."""
    rows, violation = [], 0.0
    for c in true:
        scale = abs(c.bound) if abs(c.bound) >= 1e-100 else 1.0  # As `excess` has it.
        at = c.at(Number(x, 0.0, 0.0))
        excess, row = (
            (float(at.value) - c.bound) / scale,
            np.asarray(at.gradient) / np.linalg.norm(at.gradient),
        )
        violation = max(violation, abs(excess) if equal else excess)
        if equal or excess > -2e-2:  # λ|c| small beside ∇f leaves as much where λ is.
            rows += [row, -row] if equal else [row]
    lower, upper = np.broadcast_to(bounds.lower, x.shape), np.broadcast_to(bounds.upper, x.shape)
    rows += [-e for j, e in enumerate(np.eye(x.size)) if x[j] - lower[j] <= 1e-5]
    rows += [e for j, e in enumerate(np.eye(x.size)) if upper[j] - x[j] <= 1e-5]
    columns = np.array(rows).reshape(-1, x.size).T
    return (
        nnls(columns, -slope(x))[1] if columns.size else float(np.linalg.norm(slope(x)))
    ), violation


def require_no_false_success(name, program, equal):
    package = {"NLopt": "nlopt", "Ipopt": "cyipopt"}.get(name.split()[0])
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    pairs = program.each()
    told, true = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    f = Telling(Adversary("", bowl, slope, slope), LIMIT)
    algorithm = INEQUALITIES[name](*(((), told) if equal else (told, ())), program.bounds)
    run = adjoint.interop.minimize if name in THEIRS else minimize
    try:
        result = run(f, program.start.copy(), algorithm, stop=STOP)
    except program.refused:
        return
    assert isinstance(result.status, Status)
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.value)
    assert result.iterations <= STOP.iterations
    assert program.bounds.holds(result.x)
    assert result.value in f.told[result.x.tobytes()]
    if result.success:
        assert program.feasible
        with np.errstate(invalid="ignore"):
            residual, violation = kkt(result.x, true, equal, program.bounds)
        assert violation <= 1e-5
        assert residual <= 1e-2 * np.linalg.norm(slope(program.start))


CRASH = ("Ipopt", "nan gradient at once")
PAIRS = [
    (name, opponent) for name in INEQUALITIES for opponent in PROGRAMS if (name, opponent) != CRASH
]


@pytest.mark.parametrize(("name", "opponent"), PAIRS)
def test_no_false_success_with_inequalities(name, opponent):
    require_no_false_success(name, PROGRAMS[opponent], False)


@pytest.mark.skipif(importlib.util.find_spec("cyipopt") is None, reason="cyipopt is not installed")
def test_a_constraint_s_nan_gradient_does_not_crash_the_process():
    """In a process of its own: Ipopt's may take pytest along."""
    call = f"t.require_no_false_success({CRASH[0]!r}, t.PROGRAMS[{CRASH[1]!r}], False)"
    code = f"import tests.test_adversarial_constraints as t; {call}"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
        == 0
    )


@pytest.mark.parametrize("opponent", EQUALITIES)
@pytest.mark.parametrize("name", BOTH)
def test_no_false_success_with_equalities(name, opponent):
    require_no_false_success(name, EQUALITIES[opponent], True)


@pytest.mark.parametrize("name", OURS)
def test_the_case_without_a_fault_succeeds(name):
    result = minimize(
        Telling(Adversary("", bowl, slope, slope), LIMIT),
        PROGRAMS["good"].start.copy(),
        OURS[name](tuple(pair[0] for pair in PROGRAMS["good"].each()), (), BOX),
        stop=Stopping(iterations=300),
    )
    assert result.status is Status.STATIONARY
