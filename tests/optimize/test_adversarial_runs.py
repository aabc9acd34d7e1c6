"""A run with odd types, written arrays, errors, files, and impossible rules."""

import importlib.util
from dataclasses import dataclass, replace

import numpy as np
import pytest

from adjoint import SolveError
from adjoint.errors import WrongGradient
from adjoint.optimize import Bounds, Status, SteepestDescent, Stopping, minimize, read_restart
from tests.fixtures.adversaries import LIARS, START, A, Adversary, H, N, Telling, bowl, slope
from tests.optimize.test_adversaries import CONTESTANTS, LIMIT, every_run_ends, run

__all__ = ["every_run_ends"]

FREE = [name for name in CONTESTANTS if name not in ("optimality criteria", "SiMPL")]
OURS = [name for name in CONTESTANTS if CONTESTANTS[name].run is minimize]
RESUMABLE = [name for name in OURS if name != "continuation"]
STOP = Stopping(iterations=40)


@dataclass(frozen=True, eq=False)
class At:
    x: object
    value: object
    gradient: object

    def hvp(self, v):
        return H * v

    @property
    def residual(self):
        return np.sqrt(H) * (np.asarray(self.x) - A)

    def jvp_residual(self, v):
        return (np.sqrt(H) * v.T).T

    def vjp_residual(self, w):
        return (np.sqrt(H) * w.T).T


PLAIN = Adversary("", bowl, slope, slope)


def ended(name, f, adversary=PLAIN, stop=STOP, check=True):
    return run(name, CONTESTANTS[name].adapted(adversary), f, stop, check)


TYPES = {
    "0-d value": lambda x: At(x, np.array(bowl(x)), slope(x)),
    "NumPy value": lambda x: At(x, np.float64(bowl(x)), slope(x)),
    "list gradient": lambda x: At(x, bowl(x), list(slope(x))),
    "read-only gradient": lambda x: At(x, bowl(x), frozen(slope(x))),
    "float32 gradient": lambda x: At(x, bowl(x), slope(x).astype(np.float32)),
    "long gradient": lambda x: At(x, bowl(x), slope(x).astype(np.longdouble)),
    "complex gradient without imaginary part": lambda x: At(x, bowl(x), slope(x) + 0j),
    "strided gradient": lambda x: At(x, bowl(x), np.repeat(slope(x), 2)[::2]),
}


def frozen(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", FREE)
def test_values_and_gradients_of_odd_types_are_numbers_all_the_same(name, kind):
    """Or a TypeError that names them: no warning, no false success, no other exception."""
    try:
        result = ended(name, TYPES[kind])
    except TypeError as error:
        if "gradient" not in str(error) and "value" not in str(error):
            raise
        return
    assert isinstance(result.value, float)
    assert result.x.dtype == np.float64
    assert result.state.gradient.dtype == np.float64
    assert not result.success or np.linalg.norm(slope(result.x)) <= 1e-2 * np.linalg.norm(
        slope(START)
    )


WRONG = {
    "short gradient": lambda x: At(x, bowl(x), slope(x)[:-1]),
    "one number": lambda x: At(x, bowl(x), 1.0),
    "column gradient": lambda x: At(x, bowl(x), slope(x)[:, None]),
    "no gradient": lambda x: At(x, bowl(x), None),
    "gradient of words": lambda x: At(x, bowl(x), ["a"] * x.size),
    "complex gradient": lambda x: At(x, bowl(x), slope(x) * (1.0 + 1.0j)),
    "complex value": lambda x: At(x, bowl(x) + 1.0j, slope(x)),
    "no value": lambda x: At(x, None, slope(x)),
    "word": lambda x: At(x, "1.0", slope(x)),
    "vector value": lambda x: At(x, np.array([bowl(x), 1.0]), slope(x)),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", FREE)
def test_what_is_no_value_or_no_gradient_is_named_at_the_start(name, kind):
    with pytest.raises((TypeError, ValueError), match=r"gradient|value|objective"):
        ended(name, WRONG[kind])


def mutating(x):
    point = At(x.copy(), bowl(x), slope(x))
    x[:] = 77.0
    return point


class Reusing:
    """Its gradients are one array, written to anew."""

    def __init__(self):
        self.buffer = np.zeros(N)

    def __call__(self, x):
        self.buffer[:] = slope(x)
        return At(x, bowl(x), self.buffer)


class Keeping:
    """Writes to the arrays of its last call when it is called again."""

    def __init__(self):
        self.last = []

    def __call__(self, x):
        for array in self.last:
            array[:] = 1e6
        point = At(x.copy(), bowl(x), slope(x))
        self.last = [x]
        return point


@pytest.mark.parametrize(
    "make", [lambda: mutating, Reusing, Keeping], ids=["mutating", "reusing", "keeping"]
)
@pytest.mark.parametrize("name", FREE)
def test_arrays_written_to_by_the_objective_spoil_no_run(name, make):
    """Nothing or an error: never a success elsewhere, never a value that is not f(x)."""
    try:
        result = ended(name, make())
    except (WrongGradient, ValueError):
        return
    assert result.value == bowl(result.x)
    np.testing.assert_allclose(result.state.gradient, slope(result.state.x))
    assert not result.success or np.linalg.norm(slope(result.x)) <= 1e-2 * np.linalg.norm(
        slope(START)
    )


@pytest.mark.parametrize("name", FREE)
def test_the_caller_s_start_is_not_written_to_and_may_be_written_to_later(name):
    start = START.copy()
    seen = []

    def each(state):
        start[:] = -5.0
        seen.append(state)

    contestant = CONTESTANTS[name]
    if name == "continuation" or importlib.util.find_spec(contestant.package) is None:
        pytest.skip("makes its own")
    adversary = contestant.adapted(PLAIN)
    contestant.run(
        Telling(adversary, LIMIT), start, contestant.make(adversary), stop=STOP, callback=each
    )
    np.testing.assert_array_equal(seen[0].x, START)
    assert all(state.value == bowl(state.x) for state in seen)


class Trouble(Exception):
    """Nothing that a library knows."""


class Troubled:
    """The bowl, until the k-th evaluation, or its gradient, raises."""

    def __init__(self, error, k, where):
        self.error, self.k, self.where, self.calls = error, k, where, 0

    def __call__(self, x):
        self.calls += 1
        if self.calls == self.k and self.where == "value":
            raise self.error
        return TroubledPoint(
            x, bowl(x), None if self.calls < self.k or self.where == "value" else self.error
        )


class TroubledPoint(At):
    def __init__(self, x, value, error):
        object.__setattr__(self, "error", error)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "value", value)

    @property
    def gradient(self):
        if self.error is not None:
            raise self.error
        return slope(self.x)


ERRORS = [
    Trouble("mine"),
    KeyError("mine"),
    ValueError("mine"),
    ZeroDivisionError("mine"),
    MemoryError("mine"),
    RuntimeError("mine"),
    SystemExit("mine"),
    TypeError("mine"),
]


@pytest.mark.parametrize("where", ["value", "gradient"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", FREE)
def test_exceptions_of_the_objective_s_own_propagate_unchanged(name, error, where):
    with pytest.raises(type(error)) as raised:
        ended(name, Troubled(error, 6, where))
    assert raised.value is error


@pytest.mark.parametrize("where", ["value", "gradient"])
@pytest.mark.parametrize("name", FREE)
def test_an_interruption_returns_the_best_state(name, where):
    result = ended(name, Troubled(KeyboardInterrupt(), 9 if where == "value" else 3, where))
    assert result.status is Status.INTERRUPTED
    assert result.value == bowl(result.x)


@pytest.mark.parametrize(
    "error",
    [Trouble("mine"), KeyError("mine"), SolveError("mine")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("name", RESUMABLE)
def test_after_an_exception_the_checkpoint_is_whole_and_the_run_goes_on_to_the_same_bits(
    name, error, tmp_path
):
    contestant, file = CONTESTANTS[name], tmp_path / "run.npz"
    adversary = contestant.adapted(PLAIN)
    stop = Stopping(iterations=12, stationarity=1e-14)
    f = lambda: Telling(adversary, LIMIT)  # noqa: E731
    whole = minimize(f(), adversary.start, contestant.make(adversary), stop=stop)
    calls = [0]

    def troubled(x):
        calls[0] += 1
        if calls[0] >= 9:
            raise error
        return f()(x)

    try:
        minimize(troubled, adversary.start, contestant.make(adversary), stop=stop, restart=file)
    except type(error):
        pass
    at = read_restart(file)
    assert at.state.ending is not Status.FAILED or isinstance(error, SolveError)
    later = minimize(
        f(), adversary.start, contestant.make(adversary), stop=stop, restart=file, resume=True
    )
    if at.state.ending is None:
        assert later.x.tobytes() == whole.x.tobytes()
        assert later.status is whole.status


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_run_that_failed_can_be_gone_on_from_when_the_solver_works_again(name, tmp_path):
    """A licence server that was down: the restart file is not good for nothing."""
    contestant, file = CONTESTANTS[name], tmp_path / "run.npz"
    adversary = contestant.adapted(PLAIN)
    f, calls = Telling(adversary, LIMIT), [0]

    def down(x):
        calls[0] += 1
        if calls[0] > 7:
            raise SolveError("no licence")
        return f(x)

    failed = minimize(down, adversary.start, contestant.make(adversary), stop=STOP, restart=file)
    assert failed.status is Status.FAILED
    later = minimize(
        f, adversary.start, contestant.make(adversary), stop=STOP, restart=file, resume=True
    )
    assert later.status is not Status.FAILED
    assert later.iterations > failed.iterations


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_finished_run_resumed_is_finished_without_an_evaluation_more_than_its_check(
    name, tmp_path
):
    contestant, file = CONTESTANTS[name], tmp_path / "run.npz"
    adversary = contestant.adapted(PLAIN)
    stop = Stopping(iterations=300)
    first = minimize(
        Telling(adversary, LIMIT),
        adversary.start,
        contestant.make(adversary),
        stop=stop,
        restart=file,
    )
    f = Telling(adversary, 5)
    later = minimize(
        f, adversary.start, contestant.make(adversary), stop=stop, restart=file, resume=True
    )
    assert (later.status, later.iterations, later.x.tobytes()) == (
        first.status,
        first.iterations,
        first.x.tobytes(),
    )


# Designs


@pytest.mark.parametrize("name", FREE)
def test_an_empty_design_and_a_start_outside_of_the_bounds_are_value_errors(name):
    empty = replace(PLAIN, start=np.zeros(0), size=np.ones(0))
    outside = replace(PLAIN, bounds=Bounds(-1.0, 0.0))
    contestant = CONTESTANTS[name]
    if contestant.make is None or importlib.util.find_spec(contestant.package) is None:
        pytest.skip("makes its own")
    for adversary in (empty, outside):
        with pytest.raises(ValueError, match=r"empty|outside"):
            contestant.run(
                Telling(adversary, LIMIT),
                adversary.start,
                contestant.make(replace(adversary, bounds=Bounds(-1.0, 0.0))),
            )


@pytest.mark.parametrize("fixed", [[0], [1, 2], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("name", FREE)
def test_variables_whose_bounds_agree_stay_and_the_others_find_their_minimum(name, fixed):
    lower, upper = START - 5.0, START + 5.0
    lower[fixed] = upper[fixed] = START[fixed]
    adversary = replace(PLAIN, bounds=Bounds(lower, upper))
    result = ended(name, Telling(adversary, LIMIT), adversary, Stopping(iterations=400))
    np.testing.assert_array_equal(result.x[fixed], START[fixed])
    free = [j for j in range(N) if j not in fixed]
    assert not result.success or np.abs(result.x[free] - A[free]).max(initial=0.0) <= 1e-2


@pytest.mark.parametrize(
    "x",
    [[1, 2, 3, 4], np.array([1, 2, 3, 4]), START.astype(np.float32)],
    ids=["list", "int", "float32"],
)
@pytest.mark.parametrize("name", FREE)
def test_a_start_of_another_type_is_taken_as_numbers(name, x):
    result = ended(name, Telling(PLAIN, LIMIT), replace(PLAIN, start=np.asarray(x)))
    assert result.x.dtype == np.float64


BAD = [
    np.array([np.nan, 1.0, 1.0, 1.0]),
    np.array([np.inf, 1.0, 1.0, 1.0]),
    np.ones((2, 2)),
    np.array(["a"] * 4),
    np.array(1.0),
]


@pytest.mark.parametrize("x", BAD, ids=["nan", "inf", "matrix", "words", "number"])
@pytest.mark.parametrize("name", FREE)
def test_a_start_that_cannot_be_is_named(name, x):
    contestant = CONTESTANTS[name]
    if contestant.make is None or importlib.util.find_spec(contestant.package) is None:
        pytest.skip("makes its own")
    with pytest.raises((ValueError, TypeError), match="x"):
        contestant.run(Telling(PLAIN, LIMIT), x, contestant.make(contestant.adapted(PLAIN)))


MANY = [
    n
    for n in FREE
    if n
    not in (
        "BFGS",
        "BFGS, box",
        "Gauss-Newton",
        "Gauss-Newton, box",
        "SciPy SLSQP",
        "NLopt SLSQP",
        "Gauss-Newton, products",
        "SciPy least_squares",
        "SciPy trust-constr",
    )
]


@pytest.mark.parametrize("name", MANY)
def test_many_variables(name):
    m = 100_000
    adversary = Adversary(
        "",
        lambda x, k: 0.5 * float(np.einsum("i,i->", x - 1.0, x - 1.0)),
        lambda x, k: x - 1.0,
        lambda x: x - 1.0,
        start=np.full(m, 0.5),
    )
    result = ended(name, Telling(adversary, LIMIT), adversary, Stopping(iterations=20))
    assert result.value <= 0.5 * 0.25 * m


# Rules


@pytest.mark.parametrize(
    "settings",
    [
        {"iterations": np.nan},
        {"iterations": -1},
        {"iterations": "3"},
        {"iterations": None},
        {"stationarity": np.nan},
        {"stationarity": -1.0},
        {"stationarity": "1e-6"},
        {"stationarity": None},
        {"stationarity": np.inf},
        {"absolute": np.inf},
        {"projected": np.inf},
        {"change": np.inf},
        {"feasibility": np.nan},
        {"stall": -1},
        {"stall": np.nan},
        {"improvement": np.nan},
        {"seconds": np.nan},
        {"seconds": 0.0},
        {"seconds": "1"},
        {"factorizations": np.nan},
        {"factorizations": -1},
        {"floor": np.nan},
        {"floor": np.inf},
        {"floor": "0"},
        {"stationarity": np.array([1e-6, 1e-6])},
        {"stationarity": 1e-6j},
    ],
    ids=str,
)
def test_rules_that_cannot_be_are_value_errors(settings):
    with pytest.raises((ValueError, TypeError)):
        Stopping(**settings)


@pytest.mark.parametrize("name", [*OURS[:3], "SciPy L-BFGS-B"])
def test_what_is_no_rule_or_no_observer_is_an_error_before_the_first_evaluation(name):
    f = Telling(CONTESTANTS[name].adapted(PLAIN), LIMIT)
    contestant = CONTESTANTS[name]
    for wrong in ({"stop": 5}, {"stop": "soon"}, {"each": 3}, {"each": [None]}, {"each": "abc"}):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            contestant.run(f, START.copy(), contestant.make(f.adversary), **wrong)
    assert f.evaluations == 0


@pytest.mark.parametrize("name", OURS)
def test_a_gradient_that_turns_is_no_convergence_by_a_small_change(name):
    adversary = CONTESTANTS[name].adapted(LIARS["sign in a region"])
    f = Telling(adversary, 5000)
    result = run(name, adversary, f, Stopping(iterations=100, change=1e-4, stationarity=0.0), True)
    assert not result.success or np.linalg.norm(adversary.truth(result.x)) <= 0.05 * np.linalg.norm(
        adversary.truth(adversary.start)
    )


@pytest.mark.parametrize("place", ["directory", "missing parent file", "empty path"])
def test_a_checkpoint_that_cannot_be_written_is_an_error_before_the_first_evaluation(
    place, tmp_path
):
    (tmp_path / "file").write_text("")
    path = {
        "directory": tmp_path,
        "missing parent file": tmp_path / "file" / "run.npz",
        "empty path": "",
    }[place]
    f = Telling(PLAIN, LIMIT)
    with pytest.raises((OSError, ValueError, RuntimeError)):
        minimize(f, START.copy(), SteepestDescent(), restart=path)
    assert f.evaluations == 0


def test_resume_with_another_start_goes_on_from_the_file_but_not_with_another_size(tmp_path):
    file = tmp_path / "run.npz"
    minimize(
        Telling(PLAIN, LIMIT),
        START.copy(),
        SteepestDescent(),
        stop=Stopping(iterations=2),
        restart=file,
    )
    for x in (np.ones(N + 1), np.ones((N, 1)), np.array(1.0), np.zeros(0)):
        with pytest.raises((ValueError, RuntimeError)):
            minimize(Telling(PLAIN, LIMIT), x, SteepestDescent(), restart=file, resume=True)


def test_an_exception_of_the_objective_after_resumption_is_its_own(tmp_path):
    file = tmp_path / "run.npz"
    minimize(
        Telling(PLAIN, LIMIT),
        START.copy(),
        SteepestDescent(),
        stop=Stopping(iterations=2),
        restart=file,
    )
    error = KeyError("mine")

    def broken(x):
        raise error

    with pytest.raises(KeyError) as raised:
        minimize(broken, START.copy(), SteepestDescent(), restart=file, resume=True)
    assert raised.value is error


def test_an_observer_that_writes_to_the_design_does_not_move_the_run(tmp_path):
    def each(state):
        state.x[:] = 99.0

    try:
        result = minimize(Telling(PLAIN, LIMIT), START.copy(), SteepestDescent(), callback=each)
    except ValueError:  # It is read-only.
        return
    assert result.value == bowl(result.x)
