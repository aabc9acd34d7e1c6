"""A gradient tolerance loosens iterative solves, and a run converges as without it."""

from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.errors import KrylovStalled, RestartError
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
    State,
    StateConstraint,
    Status,
    SteepestDescent,
    Stopping,
    minimize,
    read_restart,
)
from adjoint.optimize.gradient_tolerance import LOOSEST
from adjoint.optimize.revaluation import revalued
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import cantilever
from tests.fixtures.optimizers import CATALOGUE, Squares

NAMES = [name for name in CATALOGUE if name != "continuation"]
QUICK = [name for name in NAMES if "positive definite" not in name]
STOP = Stopping(iterations=300, stationarity=1e-6)


# A function with errors of a known size, for all algorithms ---------------------------------------


@dataclass(frozen=True, eq=False)
class Rough:
    """f with errors in its value and gradient that are proportional to a tolerance.

    The errors are a function of x without any continuity. solved: the tolerances that were
    asked for. size: error of the gradient, divided by the tolerance.
    """

    f: object
    rtol: float = 1e-12
    size: float = 1.0
    own: float | None = None
    solved: list = field(default_factory=list)

    def solved_to(self, rtol):
        return replace(self, rtol=max(self.rtol, rtol), own=self.rtol)

    def __call__(self, x):
        self.solved.append(self.rtol)
        return RoughPoint(self.f(x), self)


@dataclass(frozen=True, eq=False)
class RoughPoint:
    point: object
    rough: Rough

    @property
    def x(self):
        return self.point.x

    @property
    def noise(self):
        seed = np.frombuffer(self.x.tobytes(), dtype=np.uint32)
        e = np.random.default_rng(seed).standard_normal(self.x.size + 1)
        loose = self.rough.own is not None and self.rough.rtol > self.rough.own
        return self.rough.size * self.rough.rtol * e if loose else np.zeros_like(e)

    @property
    def value(self):
        # Gauss-Newton compares f with its residual; other algorithms get errors of f, too.
        kept = isinstance(self.rough.f, Squares)
        return self.point.value + (0.0 if kept else float(self.noise[0]))

    @property
    def gradient(self):
        return self.point.gradient + self.noise[1:]

    def hvp(self, v):
        return self.point.hvp(v)

    @property
    def residual(self):
        return self.point.residual

    def jvp_residual(self, v):
        return self.point.jvp_residual(v)

    def vjp_residual(self, w):
        return self.point.vjp_residual(w)


@pytest.mark.parametrize("name", QUICK)
def test_every_algorithm_converges_to_the_design_of_exact_solves(name):
    case = CATALOGUE[name]
    exact = minimize(case.f(), case.start, case.algorithm, stop=STOP)
    f = Rough(case.f())
    rough = minimize(f, case.start, case.algorithm, stop=STOP, gradient_tolerance=0.1)
    assert rough.success or not exact.success, (exact.status, rough.status)
    assert rough.found.rtol == 0.0
    assert max(f.solved) == LOOSEST
    if exact.success:
        assert np.abs(rough.x - exact.x).max() <= 1e-3
        assert case.f()(rough.x).value == rough.value


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("interruption", [1, 6])
def test_a_resumed_run_ends_with_the_same_bytes(name, interruption, tmp_path):
    case, file = CATALOGUE[name], tmp_path / "run.npz"
    stop = Stopping(iterations=12, stationarity=1e-12)

    def run(stop, **options):
        f = Rough(case.f())
        return minimize(f, case.start, case.algorithm, stop=stop, gradient_tolerance=0.1, **options)

    whole = run(stop)
    run(replace(stop, iterations=interruption), restart=file)
    resumed = run(stop, restart=file, resume=True)
    assert resumed.status is whole.status
    for a, b in ((resumed.state, whole.state), (resumed.best, whole.best)):
        assert content(a) == content(b)
    assert resumed.progress.roughness == whole.progress.roughness
    assert resumed.progress.tuned == whole.progress.tuned


@pytest.mark.parametrize("name", NAMES)
def test_a_revaluation_by_the_same_function_changes_no_design(name):
    case = CATALOGUE[name]
    seen = []
    minimize(
        case.f(),
        case.start,
        case.algorithm,
        stop=replace(STOP, iterations=5),
        check=False,
        callback=seen.append,
    )
    state = seen[-1]
    after = revalued(case.algorithm, case.f(), state)
    forgotten = {"evaluations", "memory.least", "memory.idle", "memory.values"}
    forgotten |= {"memory.inner.evaluations", "memory.inner.memory.least"}
    forgotten |= {"memory.inner.memory.idle", "memory.inner.memory.values"}
    if name in ("MMA", "GCMMA"):  # The multipliers of the subproblem begin from the last ones.
        for each in ("multipliers", "stationarity", "projected"):
            assert np.allclose(getattr(after, each), getattr(state, each), rtol=1e-6, atol=1e-7)
            forgotten |= {each}
        assert np.allclose(after.memory["proposal"], state.memory["proposal"], atol=1e-7)
        forgotten |= {"memory.proposal"}
    before, now = content(state), content(after)
    assert {key for key in before if before[key] != now[key]} <= forgotten
    assert after.evaluations == state.evaluations + 1


def content(state: State) -> dict:
    """Everything in a state, as bytes."""
    found = {}
    for each in fields(State):
        value = getattr(state, each.name)
        if each.name == "memory":
            found |= {f"memory.{key}": np.asarray(a).tobytes() for key, a in value.items()}
        elif each.name not in {"point", "function", "failure"}:
            found[each.name] = value.tobytes() if isinstance(value, np.ndarray) else value
    return found


def test_the_tolerance_tightens_with_the_gradient():
    case, states = CATALOGUE["L-BFGS"], []
    f = Rough(case.f())
    minimize(
        f,
        case.start,
        case.algorithm,
        stop=replace(STOP, stationarity=1e-9),
        gradient_tolerance=0.1,
        callback=states.append,
    )
    rtol = [state.rtol or f.rtol for state in states]
    assert rtol == sorted(rtol, reverse=True)
    assert min(rtol) <= 1e-7 < LOOSEST == max(rtol)
    # An error of the size of the gradient tolerance, within the factor of chance of the noise.
    for state in states:
        true = case.f()(state.x).gradient
        error = np.linalg.norm(state.gradient - true)
        assert error <= 0.5 * state.stationarity


@dataclass(frozen=True, eq=False)
class Deceptive:
    """f = ½‖x − 1‖² whose loose solves have the minimum x = 0.5: they pretend convergence.

    The tolerance has no influence but for the last: no measurement finds the error.
    """

    rtol: float = 1e-8
    loose: bool = False

    def solved_to(self, rtol):
        return replace(self, loose=rtol > self.rtol)

    def __call__(self, x):
        at = 0.5 if self.loose else 1.0
        f = ScalarFunction(lambda x: 0.5 * float(np.sum((x - at) ** 2)), lambda x: x - at)
        return f(x)


@pytest.mark.parametrize("algorithm", [LBFGS(), BFGS(), SteepestDescent()])
def test_convergence_of_loose_solves_is_no_success(algorithm):
    result = minimize(Deceptive(), np.zeros(3), algorithm, stop=STOP, gradient_tolerance=0.5)
    assert result.success
    assert result.found.rtol == 0.0
    assert np.abs(result.x - 1.0).max() <= 1e-4


@dataclass(frozen=True, eq=False)
class Tilted(Rough):
    """f whose loose solves add a slope of fixed size: no measurement before the last finds it."""

    def __call__(self, x):
        loose = self.own is not None and self.rtol > self.own
        return TiltedPoint(self.f(x), self, self.size * loose)


@dataclass(frozen=True, eq=False)
class TiltedPoint(RoughPoint):
    slope: float

    @property
    def noise(self):
        tilt = np.full(self.x.size + 1, self.slope)
        tilt[0] = self.slope * float(np.sum(self.x))
        return tilt


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("stop", [STOP, Stopping(iterations=300, stationarity=0.0, change=1e-4)])
def test_no_algorithm_calls_the_minimum_of_loose_solves_a_success(name, stop):
    case = CATALOGUE[name]
    exact = minimize(case.f(), case.start, case.algorithm, stop=stop)
    f = Tilted(case.f(), size=0.3)
    tilted = minimize(f, case.start, case.algorithm, stop=stop, gradient_tolerance=0.5)
    assert tilted.found.rtol == 0.0
    if tilted.success and exact.success:
        assert np.abs(tilted.x - exact.x).max() <= 0.02 * np.abs(exact.x).max()


def test_a_design_that_no_longer_changes_by_loose_solves_is_no_success():
    result = minimize(
        Deceptive(),
        np.zeros(3),
        MMA((), Bounds(-2.0, 2.0)),
        stop=Stopping(change=1e-2, iterations=200),
        gradient_tolerance=0.5,
    )
    assert result.found.rtol == 0.0
    assert not result.success or np.abs(result.x - 1.0).max() <= 0.05


def test_a_start_that_only_loose_solves_call_stationary_is_left():
    result = minimize(Deceptive(), np.full(3, 0.5), LBFGS(), gradient_tolerance=0.5)
    assert result.success
    assert np.abs(result.x - 1.0).max() <= 1e-5


def test_a_flat_function_is_still_named():
    class Flat(Deceptive):
        def __call__(self, x):
            noise = 1e-9 * float(np.cos(x).sum()) if self.loose else 0.0
            return ScalarFunction(lambda x: 3.0 + noise, lambda x: np.zeros_like(x))(x)

    result = minimize(Flat(), np.ones(3), LBFGS(), gradient_tolerance=0.1)
    assert result.status is Status.FLAT


# Krylov solves ------------------------------------------------------------------------------------


def beam(rtol=1e-10, penalty=1.0):
    """The compliance of a cantilever by cg, the map from a design to densities, and m."""
    body = cantilever(24, 12)
    smooth = density_filter(body.grid, 1.5)
    factorize = adjoint.cg(adjoint.factor.jacobi(), rtol=rtol, adjoint_rtol=rtol)
    problem = replace(body.problem, factorize=factorize)
    design = smooth >> adjoint.design.SIMP(penalty, minimum=1e-3)
    return adjoint.Reduced(problem, adjoint.Compliance(body.load), design), smooth, 24 * 12


def volume(smooth, m):
    return LinearConstraint.volume(smooth, np.ones(m), 0.4)


OPTIMIZERS = {
    "OC": lambda v: OptimalityCriteria(v),
    "MMA": lambda v: MMA((v,), Bounds(0.0, 1.0), move=0.2),
    "GCMMA": lambda v: GCMMA((v,), Bounds(0.0, 1.0)),
    "SiMPL": lambda v: SiMPL(v),
    "augmented Lagrangian": lambda v: AugmentedLagrangian(LBFGS(bounds=Bounds(0.0, 1.0)), (v,)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_compliance_costs_fewer_krylov_iterations(name):
    f, smooth, m = beam()
    stop = Stopping(iterations=60, change=0.005)
    found, work = [], []
    for tolerance in (None, 0.1):
        with adjoint.counting() as counts:
            found.append(
                minimize(
                    f,
                    np.full(m, 0.4),
                    OPTIMIZERS[name](volume(smooth, m)),
                    stop=stop,
                    gradient_tolerance=tolerance,
                )
            )
        work.append(counts.krylov)
    if name != "SiMPL":  # Twelve iterations are too few to gain anything.
        assert work[1] < (0.75 if name == "OC" else 0.95) * work[0]
    assert found[1].value == pytest.approx(found[0].value, rel=1e-3)
    assert found[1].found.rtol == 0.0
    again = f(found[1].x)
    assert found[1].value == pytest.approx(again.value, rel=1e-8)
    assert np.linalg.norm(again.gradient - found[1].found.gradient) <= 1e-7 * np.linalg.norm(
        again.gradient
    )


def identification(factorize):
    """½‖u − d‖² as a function of conductivities: its adjoint state is no multiple of u."""
    m = 20
    cells = np.column_stack([np.arange(m), np.arange(1, m + 1)]) - 1
    K = adjoint.Elements(cells, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    b = np.full(m, 1.0 / m)
    true = 1.0 + 0.5 * np.sin(np.linspace(0.0, 6.0, m))
    d = adjoint.LinearProblem(K, b, adjoint.cholesky).solve(true).u
    problem = adjoint.LinearProblem(K, b, factorize)
    return adjoint.Reduced(problem, adjoint.LeastSquares(d))


BOX = Bounds(0.1, 5.0)


@pytest.mark.parametrize(
    ("algorithm", "krylov"),
    [
        (LBFGS(bounds=BOX), adjoint.cg),
        (LBFGS(bounds=BOX), adjoint.gmres),
        (SteepestDescent(bounds=BOX), adjoint.cg),
        (NewtonCG(bounds=BOX), adjoint.cg),
    ],
)
def test_a_line_search_goes_on_although_values_have_errors(algorithm, krylov):
    f = identification(krylov(adjoint.factor.jacobi(), rtol=1e-10, adjoint_rtol=1e-10))
    stop = Stopping(iterations=300, stationarity=1e-4)
    start = np.full(20, 1.0)
    exact = minimize(f, start, algorithm, stop=stop)
    loose = minimize(f, start, algorithm, stop=stop, gradient_tolerance=0.1)
    assert exact.success
    assert loose.success, loose.status
    first, last = f(start), f(loose.x)
    assert last.value <= 1e-2 * first.value
    assert algorithm.start(f, loose.x).stationarity <= 1.0001e-4 * (
        algorithm.start(f, start).stationarity
    )


def test_values_of_a_run_that_spends_its_budget_are_those_of_exact_solves():
    f, smooth, m = beam()
    states = []
    result = minimize(
        f,
        np.full(m, 0.4),
        OptimalityCriteria(volume(smooth, m)),
        stop=Stopping(iterations=5),
        gradient_tolerance=0.2,
        callback=states.append,
    )
    assert result.status is Status.ITERATIONS
    assert states[-1].rtol == LOOSEST
    assert result.best.rtol == result.state.rtol == 0.0
    assert result.value == pytest.approx(f(result.x).value, rel=1e-8)


def test_state_constraints_are_solved_exactly_at_the_end():
    f, _, m = beam()
    load = f.problem.b
    largest = StateConstraint(adjoint.Compliance(load), 2.0 * f(np.full(m, 0.4)).value)
    light = replace(f, objective=Volume(np.full(m, 1.0 / m)))
    result = minimize(
        light,
        np.full(m, 0.6),
        MMA((largest,), Bounds(1e-3, 1.0), move=0.2),
        stop=Stopping(iterations=80, change=0.01),
        gradient_tolerance=0.1,
    )
    assert result.found.rtol == 0.0
    c = f(result.x).value / largest.bound - 1.0
    assert result.found.constraints[0] == pytest.approx(c, abs=1e-8)


@dataclass(frozen=True, eq=False)
class Volume:
    """J = w·p, which does not depend on the state."""

    w: np.ndarray

    def value(self, u, p):
        return float(self.w @ p)

    def gradients(self, u, p):
        return np.zeros_like(u), self.w.copy()


def test_tolerances_of_the_problem_are_never_exceeded():
    f, smooth, m = beam(rtol=0.1)
    states = []
    minimize(
        f,
        np.full(m, 0.4),
        OptimalityCriteria(volume(smooth, m)),
        stop=Stopping(iterations=3),
        check=False,
        gradient_tolerance=0.5,
        callback=states.append,
    )
    assert {state.rtol for state in states} == {0.0}


def test_a_solve_that_fails_only_at_the_tight_tolerance_ends_the_run_by_name():
    @dataclass(frozen=True, eq=False)
    class Stalling(Deceptive):
        def __call__(self, x):
            if not self.loose and x.any():
                raise KrylovStalled("CG: stalled")
            return super().__call__(x)

    result = minimize(Stalling(), np.zeros(3), LBFGS(), check=False, gradient_tolerance=0.5)
    assert result.status is Status.FAILED
    assert isinstance(result.cause, KrylovStalled)


def test_a_stalled_run_goes_on_with_exact_solves():
    @dataclass(frozen=True, eq=False)
    class Stale(Deceptive):
        def __call__(self, x):
            value = (lambda x: 7.0) if self.loose else (lambda x: float(np.sum((x - 1) ** 4)))
            return ScalarFunction(value, lambda x: 4.0 * (x - 1.0) ** 3)(x)

    result = minimize(
        Stale(),
        np.zeros(3),
        MMA((), Bounds(-2.0, 2.0)),
        stop=Stopping(stall=5, iterations=200, stationarity=1e-8),
        gradient_tolerance=0.5,
    )
    assert result.found.rtol == 0.0
    assert result.value <= 1e-3


@pytest.mark.parametrize("name", ["OC", "MMA", "SiMPL"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_tolerances_do_not_depend_on_the_unit_of_f(name, scale):
    tolerances = []
    for factor in (1.0, scale):
        f, smooth, m = beam()
        load = factor * f.problem.b
        f = replace(f, problem=replace(f.problem, b=load), objective=adjoint.Compliance(load))
        states = []
        minimize(
            f,
            np.full(m, 0.4),
            OPTIMIZERS[name](volume(smooth, m)),
            stop=Stopping(iterations=12),
            check=False,
            gradient_tolerance=0.1,
            callback=states.append,
        )
        tolerances.append([state.rtol for state in states])
    assert tolerances[0] == tolerances[1]


# Arguments ----------------------------------------------------------------------------------------


def test_a_file_of_another_gradient_tolerance_is_refused(tmp_path):
    case, file = CATALOGUE["L-BFGS"], tmp_path / "run.npz"
    stop = Stopping(iterations=3)
    minimize(
        Rough(case.f()),
        case.start,
        case.algorithm,
        stop=stop,
        gradient_tolerance=0.1,
        restart=file,
    )
    assert read_restart(file).state.rtol > 0.0
    for other in (None, 0.2):
        with pytest.raises(RestartError, match=r"gradient_tolerance=0\.1"):
            minimize(
                Rough(case.f()),
                case.start,
                case.algorithm,
                stop=stop,
                gradient_tolerance=other,
                restart=file,
                resume=True,
            )


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0.0, ValueError),
        (-0.1, ValueError),
        (1.0, ValueError),
        (np.inf, ValueError),
        (np.nan, ValueError),
        (True, TypeError),
        ("0.1", TypeError),
        (0.1j, TypeError),
        (np.array([0.1, 0.2]), TypeError),
    ],
)
def test_impossible_tolerances_are_refused(value, error):
    f, _, m = beam()
    with pytest.raises(error, match="gradient_tolerance"):
        minimize(f, np.full(m, 0.4), LBFGS(), gradient_tolerance=value)


def test_functions_without_a_tolerance_are_refused():
    f, _, m = beam()
    direct = replace(f, problem=replace(f.problem, factorize=adjoint.cholesky))
    residual = adjoint.complex_step_residual(lambda u, p: u**2 - p, n=2, m=2)
    nonlinear = adjoint.Reduced(
        adjoint.NonlinearProblem(residual, np.ones(2)), adjoint.LinearFunctional(np.ones(2))
    )
    plain = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    for function, match in (
        (direct, "adjoint.cg"),
        (nonlinear, "NonlinearProblem.*TunableProblem"),
        (plain, "expected a Reduced"),
        (lambda x: f(x), "expected a Reduced"),
    ):
        with pytest.raises(TypeError, match=match):
            minimize(function, np.full(m, 0.4), LBFGS(), gradient_tolerance=0.1)


def test_a_continuation_is_refused():
    case = CATALOGUE["continuation"]
    with pytest.raises(TypeError, match="stages one after the other"):
        minimize(case.f(), case.start, case.algorithm, gradient_tolerance=0.1)


def test_solved_to_is_no_tighter_than_the_problem():
    f, _, _ = beam(rtol=1e-6)
    assert f.rtol == 1e-6
    assert f.solved_to(1e-3).rtol == 1e-3
    assert f.solved_to(1e-9).rtol == 1e-6
    krylov = adjoint.cg(adjoint.factor.jacobi(), rtol=1e-8, adjoint_rtol=1e-3).solved_to(1e-4)
    assert (krylov.rtol, krylov.adjoint_rtol) == (1e-4, 1e-3)
    direct = adjoint.LinearProblem(sparse.eye_array(2), np.ones(2))
    assert direct.rtol == 0.0
    for bad in (0.0, 1.0, np.nan, -1.0):
        with pytest.raises(ValueError, match=r"between 0 and 1|nan"):
            f.solved_to(bad)
    with pytest.raises(TypeError):
        f.solved_to(True)
    with pytest.raises(TypeError, match="no tolerance"):
        direct.solved_to(0.1)
