"""No success on a plateau, where all of f is small; a true minimum is not taken for one."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
import adjoint.interop
from adjoint.interop.scipy import LBFGSB
from adjoint.optimize import (
    BFGS,
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    Bounds,
    LinearConstraint,
    NewtonCG,
    OptimalityCriteria,
    ScalarFunction,
    SiMPL,
    Status,
    SteepestDescent,
    Stopping,
    minimize,
)
from problems.finite_elements.filters import density_filter
from problems.finite_elements.grid import Grid
from problems.steady.elasticity import mbb, stiffness_matrix

UNIT = Bounds(0.0, 1.0)


def inverter(nelx, nely, spring, fraction):
    """A displacement inverter: u of the output, to the left, for a unit force to the right at the
    input; half of it.
    """
    grid = Grid.unit(nelx, nely)
    dofs = grid.dofs(2)
    corner = np.flatnonzero((grid.nodes[:, 0] == 0.0) & (grid.nodes[:, 1] <= 1.0))
    axis = np.flatnonzero(grid.nodes[:, 1] == nely)
    fixed = np.concatenate([2 * corner, 2 * corner + 1, 2 * axis + 1])
    number = np.full(2 * len(grid.nodes), -1)
    free = np.setdiff1d(np.arange(number.size), fixed)
    number[free] = np.arange(free.size)
    ends = number[2 * axis[[grid.nodes[axis, 0].argmin(), grid.nodes[axis, 0].argmax()]]]
    springs = sparse.csc_array((np.full(2, spring), (ends, ends)), shape=(free.size, free.size))
    K = adjoint.Combination(
        [(1.0, adjoint.Elements(number[dofs], stiffness_matrix(grid))), (1.0, springs)]
    )
    push, pull = np.eye(free.size)[ends]
    smooth = adjoint.design.DensityFilter(grid.centres, 1.5)
    problem = adjoint.LinearProblem(K, push, adjoint.cholesky)
    f = adjoint.Reduced(
        problem, adjoint.LinearFunctional(pull), smooth >> adjoint.design.SIMP(3.0, 1e-9)
    )
    volume = LinearConstraint.volume(smooth, np.ones(nelx * nely), fraction)
    return f, volume, np.full(nelx * nely, fraction)


ALGORITHMS = {
    "MMA": lambda volume: MMA((volume,), UNIT),
    "MMA, far": lambda volume: MMA((volume,), UNIT, move=1.0),
    "MMA, near": lambda volume: MMA((volume,), UNIT, move=0.1),
    "GCMMA": lambda volume: GCMMA((volume,), UNIT),
    "SiMPL": lambda volume: SiMPL(volume),
    "OC": lambda volume: OptimalityCriteria(volume),
    "augmented Lagrangian": lambda volume: AugmentedLagrangian(LBFGS(bounds=UNIT), (volume,)),
    "L-BFGS": lambda volume: LBFGS(bounds=UNIT),
    "Newton-CG": lambda volume: NewtonCG(bounds=UNIT),
    "steepest descent": lambda volume: SteepestDescent(bounds=UNIT),
}


@pytest.mark.parametrize(
    "rules", [{}, {"change": 0.01, "stationarity": 1e-4}], ids=["stationarity", "change"]
)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_mechanism_that_has_fallen_apart_is_no_success(name, rules):
    f, volume, x = inverter(20, 10, 0.1, 0.25)
    result = minimize(f, x, ALGORITHMS[name](volume), stop=Stopping(iterations=100, **rules))
    assert not result.success or result.value < -0.5
    if result.status is Status.PLATEAU:
        assert "plateau" in result.status.value
        assert abs(result.value) < 1e-6 * f(x).value


def test_an_optimizer_of_another_package_has_no_success_there_either():
    f, _, x = inverter(20, 10, 0.1, 0.25)
    result = adjoint.interop.minimize(f, x, LBFGSB(bounds=UNIT), stop=Stopping(iterations=100))
    assert not result.success or result.value < -0.5
    apart = adjoint.interop.minimize(
        f, np.full_like(x, 0.4), LBFGSB(bounds=UNIT), stop=Stopping(iterations=100)
    )
    assert abs(apart.value) < 1e-6
    assert not apart.success  # PLATEAU, or STALLED where the package itself gives up.


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_mma_with_its_defaults_finds_the_mechanism(unit):
    """Published shapes invert; 0.91 is what a run with a move limit of 0.1 finds."""
    f, volume, x = inverter(30, 15, 0.1, 0.3)
    scaled = f.of(adjoint.Sum([f.objective], [unit]))
    result = minimize(scaled, x, MMA((volume,), UNIT), stop=Stopping(iterations=100))
    assert result.value <= -0.85 * unit
    assert result.state.violation <= 1e-6


def test_a_run_resumed_on_a_plateau_ends_as_if_it_had_not_been_interrupted(tmp_path):
    f, volume, x = inverter(20, 10, 0.1, 0.25)
    algorithm, file = GCMMA((volume,), UNIT), tmp_path / "run.npz"
    whole = minimize(f, x, algorithm)
    assert whole.status is Status.PLATEAU
    first = minimize(f, x, algorithm, stop=Stopping(iterations=whole.iterations - 5), restart=file)
    assert first.status is Status.ITERATIONS
    second = minimize(f, x, algorithm, restart=file, resume=True)
    assert (second.status, second.iterations) == (whole.status, whole.iterations)
    assert second.state.x.tobytes() == whole.state.x.tobytes()


def function(value, gradient):
    return ScalarFunction(lambda x: float(value(x)), lambda x: np.asarray(gradient(x), dtype=float))


A = np.array([1.0, -0.5, 2.0])
C = np.array([1.0, 30.0, 1e3])


def powell(x):
    return (
        (x[0] + 10 * x[1]) ** 2
        + 5 * (x[2] - x[3]) ** 2
        + (x[1] - 2 * x[2]) ** 4
        + 10 * (x[0] - x[3]) ** 4
    )


def powell_slope(x):
    a, b = 4 * (x[1] - 2 * x[2]) ** 3, 40 * (x[0] - x[3]) ** 3
    p, q = 2 * (x[0] + 10 * x[1]), 10 * (x[2] - x[3])
    return [p + b, 10 * p + a, q - 2 * a, -q - b]


MINIMA = {
    "perfect fit": (
        function(lambda x: C @ (x - A) ** 2, lambda x: 2 * C * (x - A)),
        3.0 * A + 1.0,
        0.0,
    ),
    "at the origin": (function(lambda x: C @ x**2, lambda x: 2 * C * x), A, 0.0),
    "quartic": (function(lambda x: ((x - A) ** 4).sum(), lambda x: 4 * (x - A) ** 3), A + 1.0, 0.0),
    "sixth power": (
        function(lambda x: ((x - A) ** 6).sum(), lambda x: 6 * (x - A) ** 5),
        A + 1.0,
        0.0,
    ),
    "Powell's singular function": (
        function(powell, powell_slope),
        np.array([3.0, -1.0, 0.0, 1.0]),
        0.0,
    ),
    "steep walls": (
        function(lambda x: np.cosh(5 * (x - A)).sum(), lambda x: 5 * np.sinh(5 * (x - A))),
        A + 3.0,
        3.0,
    ),
    "exponential": (
        function(lambda x: (x + np.exp(-10 * x)).sum(), lambda x: 1 - 10 * np.exp(-10 * x)),
        np.array([-0.9]),
        (1 + np.log(10.0)) / 10,
    ),
}


@pytest.mark.parametrize("offset", [0.0, 1e-3, -1e-3, 1.0, -1.0])
@pytest.mark.parametrize(
    "algorithm",
    [LBFGS, BFGS, SteepestDescent, NewtonCG, MMA, GCMMA],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("name", MINIMA)
def test_a_true_minimum_is_found_where_f_has_fallen_by_decades(name, algorithm, offset):
    """Whatever its value is, positive, zero or negative.

    That of the function is taken off up to the offset.
    """
    g, start, least = MINIMA[name]
    f = ScalarFunction(lambda x: g(x).value - least + offset, lambda x: g(x).gradient)
    if algorithm is NewtonCG:
        f = adjoint.optimize.DifferencedHessian(f)
    settings = {"constraints": (), "bounds": Bounds(-8.0, 8.0)} if algorithm in (MMA, GCMMA) else {}
    if name.startswith("Powell") and algorithm in (MMA, GCMMA):
        pytest.skip("a separable model of what is anything but")
    result = minimize(f, start, algorithm(**settings), stop=Stopping(iterations=600))
    reached = abs(g(result.state.x).value - least) / (g(start).value - least)
    assert reached <= 1e-6
    # Where the differences of f are rounding, an algorithm may be stuck at the minimum.
    assert result.success or (result.status is Status.STUCK and reached <= 1e-12)


class Counted:
    def __init__(self, f):
        self.f, self.evaluations = f, 0

    def __call__(self, x):
        self.evaluations += 1
        return self.f(x)


def test_a_perfect_fit_costs_no_evaluation_for_the_doubt():
    f = Counted(MINIMA["perfect fit"][0])
    result = minimize(f, 3.0 * A + 1.0, LBFGS())
    assert result.status is Status.STATIONARY
    assert (
        f.evaluations <= result.state.evaluations + 8
    )  # four each to check the gradient, and to confirm


def test_soft_designs_are_not_left_before_they_are_stiff():
    """From a tenth of the density compliance falls by decades, its gradient too, before anything
    has been optimized.
    """
    body = mbb(30, 10)
    smooth = density_filter(body.grid, 1.5)
    volume, f = (
        LinearConstraint.volume(smooth, np.ones(300), 0.5),
        body.compliance(smooth >> adjoint.design.SIMP(3.0)),
    )
    result = minimize(f, np.full(300, 0.05), SiMPL(volume), stop=Stopping(iterations=200))
    assert result.success
    assert (
        result.value <= 1.01 * 248.73
    )  # from half of the density; 305.4 where a fall of the gradient was enough
