"""Hessian–vector products of the augmented Lagrangian, and Newton–CG as its inner algorithm."""

from dataclasses import replace

import numpy as np
import pytest

import adjoint
from adjoint import Status, Stopping
from adjoint.optimize import (
    LBFGS,
    AugmentedLagrangian,
    Bounds,
    DesignConstraint,
    FunctionConstraint,
    LinearConstraint,
    NewtonCG,
    ScalarFunction,
    StateConstraint,
)
from adjoint.optimize.algorithms.augmented_function import Augmented, Penalized
from adjoint.optimize.constraints.state_constraints import StateConstraints
from problems.finite_elements.filters import density_filter
from problems.optimization.hock_schittkowski import PROGRAMS
from problems.steady.elasticity import mbb
from tests.optimize.algorithms.test_augmented_lagrangian import EXACT
from tests.optimize.test_scaling import Ratios

M = 18


def beam():
    body = mbb(6, 3)
    smooth = density_filter(body.grid, 1.5)
    return smooth, body.compliance(smooth >> adjoint.design.SIMP(3.0))


def mixed():
    """A beam with constraints of all kinds: of the state alone and as a vector, of the design, of
    another model.
    """
    smooth, f = beam()
    n = f(np.full(M, 0.5)).solution.u.size
    constraints = (
        StateConstraint(adjoint.LinearFunctional(np.eye(n)[3]), 0.0),
        StateConstraints(Ratios(((1, 4), (5, 2)), 0.7), 1.0),
        LinearConstraint(np.linspace(1.0, 2.0, M), 10.0),
        DesignConstraint.volume(smooth >> adjoint.design.HeavisideProjection(4.0), np.ones(M), 0.4),
        FunctionConstraint(f, 5.0),
    )
    return smooth, f, constraints


@pytest.mark.parametrize("equal", ["none", "some", "all"])
def test_products_are_the_derivative_of_the_gradient(equal):
    _, f, constraints = mixed()
    rng = np.random.default_rng(5)
    x, v = rng.uniform(0.3, 0.8, M), rng.normal(size=M)
    which = {"none": np.zeros(6, bool), "some": np.arange(6) % 2 == 0, "all": np.ones(6, bool)}[
        equal
    ]
    penalized = Penalized(rng.normal(size=6), 3.0, which)
    augmented = Augmented(f, constraints, np.linspace(0.5, 2.0, 6), penalized)
    h = 1e-4
    point, slopes = (
        augmented(x),
        {step: augmented(x + step * h * v).gradient for step in (-2, -1, 1, 2)},
    )
    difference = (8.0 * (slopes[1] - slopes[-1]) - (slopes[2] - slopes[-2])) / (12.0 * h)
    np.testing.assert_allclose(point.hvp(v), difference, atol=1e-7 * np.abs(difference).max())


def test_a_product_takes_four_solves_whatever_the_number_of_constraints_of_the_state():
    _, f, constraints = mixed()
    x, v = np.full(M, 0.5), np.ones(M)
    penalized = Penalized(np.ones(3), 2.0, np.ones(3, dtype=bool))
    point = Augmented(f, constraints[:2], np.ones(3), penalized)(x)
    point.gradient  # noqa: B018
    with adjoint.counting() as counts:
        point.hvp(v)
    once = counts.solves
    with adjoint.counting() as counts:
        point.hvp(v)
    assert counts.numeric == 0
    assert (once, counts.solves) <= (
        6,
        4,
    )  # The first one solves for λ of the sum, and for the gradient of f.


@pytest.mark.parametrize("number", PROGRAMS)
def test_newton_finds_published_optima(number):
    """Hock & Schittkowski (1981); Hessians by differences of the gradients."""
    program = PROGRAMS[number]
    constraints, equalities = (
        [FunctionConstraint(adjoint.optimize.DifferencedHessian(c), 0.0) for c in some]
        for some in (program.inequalities, program.equalities)
    )
    algorithm = AugmentedLagrangian(NewtonCG(bounds=program.bounds), constraints, equalities)
    result = adjoint.minimize(
        adjoint.optimize.DifferencedHessian(program.f), program.start, algorithm, stop=EXACT
    )
    assert result.status is Status.STATIONARY
    assert result.value == pytest.approx(program.optimum, abs=1e-6)


def test_newton_and_lbfgs_end_at_the_same_beam():
    smooth, f, _ = mixed()
    volume = LinearConstraint.volume(smooth, np.ones(M), 0.4)
    runs = []
    for inner in (NewtonCG, LBFGS):
        algorithm = AugmentedLagrangian(inner(bounds=Bounds(1e-3, 1.0)), (), (volume,))
        runs.append(
            adjoint.minimize(f, np.full(M, 0.4), algorithm, stop=Stopping(stationarity=1e-5))
        )
    assert all(run.status is Status.STATIONARY for run in runs)
    assert runs[0].value == pytest.approx(runs[1].value, rel=1e-4)
    assert runs[0].iterations < runs[1].iterations


def test_f_is_evaluated_once_a_trial():
    smooth, f, _ = mixed()
    volume = LinearConstraint.volume(smooth, np.ones(M), 0.4)
    algorithm = AugmentedLagrangian(NewtonCG(bounds=Bounds(1e-3, 1.0)), (volume,))
    with adjoint.counting() as counts:
        state = algorithm.start(f, np.full(M, 0.4))
        for _ in range(6):
            state = algorithm.advance(f, state)
    assert counts.numeric == state.evaluations
    resumed = algorithm.advance(
        f, replace(state, point=None)
    )  # As from a file: evaluated once more.
    assert resumed.x.tobytes() == algorithm.advance(f, state).x.tobytes()


def test_what_lacks_second_derivatives_is_named():
    plain = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    with_product = ScalarFunction(plain.value, plain.gradient, lambda x, v: 2.0 * v)
    x = np.array([2.0, 1.0])

    class Bare:
        bound = 1.0

        def value(self, x):
            return float(x.sum())

        def gradient(self, x):
            return np.ones(2)

    def run(f, c):
        adjoint.minimize(
            f, x, AugmentedLagrangian(NewtonCG(), (), (c,)), stop=Stopping(iterations=3)
        )

    linear = LinearConstraint(np.ones(2), 1.0)
    with pytest.raises(TypeError, match="DifferencedHessian"):
        run(plain, linear)
    with pytest.raises(TypeError, match="DifferencedHessian"):
        run(with_product, FunctionConstraint(plain, 1.0))
    with pytest.raises(TypeError, match=r"Bare has no method product\(x, v\)"):
        run(with_product, adjoint.optimize.constraints.OfDesign(Bare()))
    run(
        adjoint.optimize.DifferencedHessian(plain),
        FunctionConstraint(adjoint.optimize.DifferencedHessian(plain), 1.0),
    )


def test_a_vector_of_constraints_without_them_is_named():
    _, f, _ = mixed()

    class First:
        def __init__(self, whole, *names):
            for name in ("values", "vjp", *names):
                setattr(self, name, getattr(whole, name))

    ratios = Ratios(((1, 4),), 0.5)
    for names, missing in (((), "hvp"), (("hvp",), "jvp")):
        algorithm = AugmentedLagrangian(
            NewtonCG(bounds=Bounds(1e-3, 1.0)), (), (StateConstraints(First(ratios, *names), 1.0),)
        )
        with pytest.raises(TypeError, match=f"First has no method {missing}"):
            adjoint.minimize(f, np.full(M, 0.4), algorithm, stop=Stopping(iterations=3))
