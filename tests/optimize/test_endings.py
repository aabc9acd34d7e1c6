"""Ends of runs without a further step: every evaluation counts, a standstill is no success."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from adjoint.errors import SingularMatrix
from adjoint.optimize import (
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    Bounds,
    SiMPL,
    Status,
    Stopping,
    minimize,
)
from tests.fixtures.optimizers import BOX, CATALOGUE, UNIT, VOLUME, Compliant, N, Smooth

ALONE = sorted(name for name, case in CATALOGUE.items() if name != "continuation")


@dataclass(eq=False)
class Only:
    """f at its start.

    Elsewhere a failed solve, or a value that is larger, with the same gradient.
    """

    f: object
    start: np.ndarray
    fails: bool
    evaluations: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.tobytes())
        point = self.f(self.start)
        if np.array_equal(x, self.start):
            return point
        if self.fails:
            raise SingularMatrix("singular")
        point.__dict__["value"] = 2.0 * abs(point.value) + 1.0
        point.x = x
        return point


@pytest.mark.parametrize("name", ALONE)
def test_every_failed_solve_is_counted_and_the_run_has_failed(name):
    case = CATALOGUE[name]
    f = Only(case.f(), case.start, True)
    result = minimize(f, case.start, case.algorithm, stop=Stopping(change=1e-6), check=False)
    assert result.status is Status.FAILED
    assert result.state.evaluations == len(f.evaluations) > 1
    assert np.isnan(result.state.rejected).all()
    np.testing.assert_array_equal(result.x, case.start)


@pytest.mark.parametrize("name", ["BFGS", "L-BFGS, bounds", "Newton-CG", "GCMMA", "SiMPL"])
def test_every_refused_trial_is_counted_and_a_step_of_nothing_is_no_convergence(name):
    case = CATALOGUE[name]
    f = Only(case.f(), case.start, False)
    result = minimize(f, case.start, case.algorithm, stop=Stopping(change=1e-6), check=False)
    assert result.status is Status.STUCK
    assert result.state.evaluations == len(f.evaluations) > 1


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
@pytest.mark.parametrize(
    "algorithm",
    [
        MMA((VOLUME,), UNIT),
        GCMMA((VOLUME,), UNIT),
        AugmentedLagrangian(LBFGS(bounds=UNIT), (VOLUME,)),
        SiMPL(VOLUME),
    ],
    ids=lambda algorithm: type(algorithm).__name__,
)
def test_runs_that_begin_with_a_solid_design_converge(algorithm, scale):
    """At the start bounds hold every component of the gradient, and the volume is violated."""
    result = minimize(
        Scaled(Compliant(N), scale),
        np.ones(N),
        algorithm,
        stop=Stopping(iterations=300),
        check=False,
    )
    assert result.status is Status.STATIONARY
    roots = np.sqrt(1.0 + np.arange(N))
    multiplier = (roots.sum() / (1e-3 * N + VOLUME.bound)) ** 2
    np.testing.assert_allclose(result.x, roots / np.sqrt(multiplier) - 1e-3, atol=1e-4)
    np.testing.assert_allclose(
        result.state.multipliers, multiplier * VOLUME.bound * scale, rtol=1e-4
    )


@dataclass(eq=False)
class Scaled:
    """scale · f."""

    f: object
    scale: float

    def __call__(self, x):
        return ScaledPoint(self.f(x), self.scale)


@dataclass(eq=False)
class ScaledPoint:
    point: object
    scale: float

    def __getattr__(self, name):
        found = getattr(self.point, name)
        return self.scale * found if name in ("value", "gradient") else found


@pytest.mark.parametrize("bound", ["lower", "upper"])
def test_the_check_of_a_gradient_at_a_bound_evaluates_no_point_twice(bound):
    f = Smooth(N)
    box = Bounds(0.4, 0.7) if bound == "lower" else BOX
    minimize(f, np.full(N, getattr(box, bound)), LBFGS(bounds=box), stop=Stopping(iterations=1))
    assert len(f.evaluations) == len(set(f.evaluations))
