"""No false success: every algorithm against objectives that lead it astray."""

import importlib.util
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from scipy.optimize import nnls

import adjoint.interop
from adjoint.errors import WrongGradient
from adjoint.interop.scipy import LBFGSB, SLSQP, LeastSquares, TrustConstr
from adjoint.optimize import (
    LinearConstraint,
    OptimalityCriteria,
    Result,
    Status,
    SteepestDescent,
    Stopping,
    Weighted,
    minimize,
)
from adjoint.optimize.algorithms.augmented_lagrangian import AugmentedLagrangian
from adjoint.optimize.algorithms.bfgs import BFGS
from adjoint.optimize.algorithms.continuation import Continuation, Stage
from adjoint.optimize.algorithms.gauss_newton import GaussNewton
from adjoint.optimize.algorithms.lbfgs import LBFGS
from adjoint.optimize.algorithms.mma.gcmma import GCMMA
from adjoint.optimize.algorithms.mma.mma import MMA
from adjoint.optimize.algorithms.newton_cg import NewtonCG
from adjoint.optimize.algorithms.simpl import SiMPL
from tests.fixtures.adversaries import FREE, Adversary, Telling, as_densities, boxed

SECONDS = 60
"""After which a run counts as one without end."""

ITERATIONS = 60
LIMIT = 60 * ITERATIONS
"""Evaluations of a run: no iteration takes more than some 40 trials, and few take many."""

STOP = Stopping(iterations=ITERATIONS)
LEFT = 1e-2
"""Part of the first gradient that may be left, in truth, where a run claims success."""


class NoEnd(Exception):
    """A run asks for nothing any more, and does not return."""


@pytest.fixture(autouse=True)
def every_run_ends():
    """Also one that makes no evaluation."""

    def ring(*_):
        raise NoEnd

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True, eq=False)
class Contestant:
    """An algorithm. make: from an adversary; run: `minimize`, ours or for other packages."""

    make: Callable
    run: Callable = minimize
    adapted: Callable = lambda adversary: adversary
    squares: bool = False
    package: str = "numpy"


def inner(adversary):
    """In the units of the variables."""
    return Weighted(1.0 / (adversary.size * np.ones(adversary.start.size)) ** 2)


def free(make, **options):
    return Contestant(lambda a: make(bounds=a.bounds, inner=inner(a)), **options)


def within(make, **options):
    return free(make, adapted=boxed, **options)


def slack(adversary):
    """A constraint that never binds."""
    return LinearConstraint(
        1.0 / (adversary.size * np.ones(adversary.start.size)), 1e3 * adversary.start.size
    )


def volume(adversary):
    return LinearConstraint(np.full(adversary.start.size, 1.0 / adversary.start.size), 0.9)


def densities(make):
    return Contestant(lambda a: make(volume(a)), adapted=as_densities)


def foreign(method, **options):
    return Contestant(
        lambda a: method(bounds=a.bounds, inner=inner(a)), run=adjoint.interop.minimize, **options
    )


def nlopt_method(name):
    def made(**settings):
        import nlopt

        from adjoint.interop.nlopt import NLopt

        return NLopt(getattr(nlopt, name), **settings)

    return foreign(made, package="nlopt")


def ipopt_method(**settings):
    from adjoint.interop.ipopt import Ipopt

    return Ipopt(**settings)


CONTESTANTS = {
    "steepest descent": free(SteepestDescent),
    "steepest descent, box": within(SteepestDescent),
    "BFGS": free(BFGS),
    "BFGS, box": within(BFGS),
    "L-BFGS": free(LBFGS),
    "L-BFGS, box": within(LBFGS),
    "Newton-CG": free(NewtonCG),
    "Newton-CG, box": within(NewtonCG),
    "Gauss-Newton": free(GaussNewton, squares=True),
    "Gauss-Newton, box": within(GaussNewton, squares=True),
    "Gauss-Newton, products": free(partial(GaussNewton, few=0), squares=True),
    "MMA": within(partial(MMA, ())),
    "MMA, slack": Contestant(lambda a: MMA((slack(a),), a.bounds, inner=inner(a)), adapted=boxed),
    "GCMMA": within(partial(GCMMA, ())),
    "GCMMA, slack": Contestant(
        lambda a: GCMMA((slack(a),), a.bounds, inner=inner(a)), adapted=boxed
    ),
    "optimality criteria": densities(OptimalityCriteria),
    "SiMPL": densities(SiMPL),
    "augmented Lagrangian": Contestant(
        lambda a: AugmentedLagrangian(LBFGS(bounds=a.bounds, inner=inner(a)), (slack(a),))
    ),
    "continuation": Contestant(None),
    "SciPy L-BFGS-B": foreign(LBFGSB),
    "SciPy trust-constr": foreign(TrustConstr),
    "SciPy SLSQP": foreign(SLSQP),
    "SciPy least_squares": foreign(LeastSquares, squares=True),
    "NLopt MMA": nlopt_method("LD_MMA"),
    "NLopt L-BFGS": nlopt_method("LD_LBFGS"),
    "NLopt SLSQP": nlopt_method("LD_SLSQP"),
    "Ipopt": foreign(ipopt_method, package="cyipopt"),
}


WITH_CONSTRAINT = (
    "MMA, slack",
    "GCMMA, slack",
    "optimality criteria",
    "SiMPL",
    "augmented Lagrangian",
)


def stationarity(adversary: Adversary, x: np.ndarray, rows: np.ndarray) -> float:
    """min ‖∇f + Σ λ_i rows_i + bound normals‖ with multipliers ≥ 0, in units of the variables."""
    size = adversary.size * np.ones(x.size)
    lower, upper = (
        np.broadcast_to(side, x.shape) for side in (adversary.bounds.lower, adversary.bounds.upper)
    )
    normals = [
        sign * np.eye(x.size)[j]
        for side, sign in ((lower, -1.0), (upper, 1.0))
        for j in range(x.size)
        if abs(x[j] - side[j]) <= 1e-6 * size[j]
    ]
    columns = np.array([*(size * rows), *normals]).reshape(-1, x.size).T
    g = size * adversary.truth(x)
    scale = float(np.abs(g).max()) or 1.0
    return scale * float(
        nnls(columns, -g / scale)[1] if columns.size else np.linalg.norm(g / scale)
    )


def run(name: str, adversary: Adversary, f: Telling, stop: Stopping, check: bool) -> Result:
    contestant = CONTESTANTS[name]
    if importlib.util.find_spec(contestant.package) is None:
        pytest.skip(f"{contestant.package} is not installed")
    if contestant.squares and not adversary.squares:
        pytest.skip("no sum of squares")
    if name == "continuation":
        algorithm = Continuation(
            lambda settings: (f, LBFGS(bounds=adversary.bounds, inner=inner(adversary))),
            (Stage({}, Stopping(iterations=5)), Stage({})),
        )
    else:
        algorithm = contestant.make(adversary)
    return contestant.run(f, adversary.start.copy(), algorithm, stop=stop, check=check)


def require_sound(adversary: Adversary, f: Telling, result: Result) -> None:
    """What holds for every run that ends."""
    assert isinstance(result.status, Status)
    assert np.isfinite(result.x).all()
    assert isinstance(result.value, float)
    assert np.isfinite(result.value)
    assert result.iterations <= ITERATIONS
    assert adversary.bounds.holds(result.x)
    assert result.value in f.told[result.x.tobytes()]


def require_honest(adversary: Adversary, first: float, result: Result, rows: np.ndarray) -> None:
    """No run ends above its start, and a success is a stationary point of the function that is
    meant.
    """
    assert result.value <= first
    if result.success:
        assert not adversary.never
        before, after = (
            stationarity(adversary, adversary.start, rows[:0]),
            stationarity(adversary, result.x, rows),
        )
        assert after <= LEFT * before


@pytest.mark.parametrize(
    ("opponent", "check"),
    [(name, True) for name in FREE]
    + [(name, False) for name in FREE if FREE[name].refused == (WrongGradient,)],
    ids=lambda value: {True: "checked", False: "unchecked"}.get(value, value),
)
@pytest.mark.parametrize("name", CONTESTANTS)
def test_no_false_success(name, opponent, check):
    adversary = CONTESTANTS[name].adapted(FREE[opponent])
    f = Telling(adversary, LIMIT)
    try:
        result = run(name, adversary, f, STOP, check)
    except adversary.refused:
        return
    assert not (check and adversary.refused and adversary.surely)
    constraint = (
        volume(adversary) if CONTESTANTS[name].adapted is as_densities else slack(adversary)
    )
    active = constraint.value(result.x) > 0.995 * constraint.bound
    rows = (
        constraint.weights[None]
        if active and name in WITH_CONSTRAINT
        else np.zeros((0, adversary.start.size))
    )
    require_sound(adversary, f, result)
    if check:
        require_honest(adversary, next(iter(f.told.values()))[0], result, rows)
