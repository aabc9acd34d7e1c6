"""Laws of the recorder: a record holds what its state says and what it cost.

A resumed run goes on in its file.
"""

import json
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

import adjoint
from adjoint.factor.counts import total
from adjoint.optimize import Result, State
from adjoint.report import HistoryWriter, Recorder, environment, read_history
from adjoint.report.recorder import plain_library, settings

COUNTED = ("symbolic", "numeric", "solves", "transposed", "rhs", "refinements", "newton", "krylov")


def state(iteration, **fields):
    known = {
        "x": np.ones(2),
        "value": 3.0,
        "gradient": np.ones(2),
        "stationarity": 0.5,
        "projected": 0.25,
    }
    return State(iteration, **(known | fields))


def ended(last, status=adjoint.Status.STATIONARY, cause=None):
    return Result(last, last, status, cause, adjoint.Stopping().begun(last, 0.5, 0.0))


def spring(n=8):
    """A chain of springs, and f = the work of its load, over the stiffness of each."""
    dofs = np.column_stack([np.arange(n) - 1, np.arange(n)])
    K = adjoint.Elements(dofs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    load = np.zeros(n)
    load[-1] = 1.0
    return adjoint.Reduced(
        adjoint.LinearProblem(K, load, factorize=adjoint.cholesky), adjoint.Compliance(load)
    )


def test_a_record_holds_what_the_state_says(tmp_path):
    recorder = Recorder(
        tmp_path / "history.jsonl", lambda s: {"volume": 0.5, "hottest": float(s.x[0])}
    )
    recorder.header("Rod")
    recorder(
        state(
            4,
            **{
                "scale": 2.0,
                "step": 0.1,
                "change": 0.3,
                "stage": 1,
                "evaluations": 9,
                "violation": 0.125,
            },
            constraints=np.array([0.125, -1.0]),
            multipliers=np.array([3.0, 0.0]),
            rejected=np.array([7.0, np.nan]),
        )
    )
    (record,) = read_history(tmp_path / "history.jsonl").iterations
    expected = {
        **{
            "iteration": 4,
            "stage": 1,
            "evaluations": 9,
            "objective": 3.0,
            "scaled": 6.0,
            "step": 0.1,
            "change": 0.3,
        },
        **{"constraints": [0.125, -1.0], "multipliers": [3.0, 0.0], "constraint_violation": 0.125},
        **{
            "projected_gradient": 0.25,
            "kkt": 0.5,
            "rejected": [7.0, None],
            "volume": 0.5,
            "hottest": 1.0,
        },
    }
    assert {name: record[name] for name in expected} == expected
    assert tuple(record["counts"]) == COUNTED
    assert record["peak_rss_mb"] > 1


def test_counts_are_those_of_the_run_alone_and_seconds_are_all_of_its_time(tmp_path):
    f, x = spring(), np.full(8, 2.0)
    f(x)  # Before the header: not of the run.
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.header("Chain", taylor=adjoint.check(f, x))
    stop = adjoint.Stopping(iterations=5, stationarity=0.0)
    algorithm = adjoint.optimize.SteepestDescent(bounds=adjoint.Bounds(1.0, 1e3))
    result = adjoint.minimize(f, x, algorithm, stop=stop, callback=recorder)
    recorder.result(result)
    history = read_history(tmp_path / "history.jsonl")
    assert history.result["counts"]["numeric"] == result.progress.factorizations
    assert history.header["taylor"]["ok"]
    assert (np.diff(history.parts("counts", "numeric")) >= 1).all()
    spent = [sum(record["seconds"].values()) for record in history.iterations]
    np.testing.assert_allclose(np.cumsum(spent), history.elapsed, rtol=1e-9)
    assert history.elapsed[-1] <= history.result["seconds"]


def test_the_time_of_plain_functions_is_the_models(tmp_path):
    def slow(x):
        time.sleep(0.01)
        return float(x @ x)

    recorder = Recorder(tmp_path / "history.jsonl")
    recorder.header("Sphere")
    f = adjoint.optimize.ScalarFunction(slow, lambda x: slow(x) * 0.0 + 2.0 * x)
    result = adjoint.minimize(f, np.ones(3), adjoint.optimize.LBFGS(), callback=recorder)
    recorder.result(result)
    history = read_history(tmp_path / "history.jsonl")
    model, optimizer = (history.parts("seconds", name).sum() for name in ("model", "optimizer"))
    assert model >= 0.02 * result.state.evaluations
    assert optimizer < 0.5 * model


def test_the_check_of_minimize_is_in_its_result_and_in_the_history(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    result = adjoint.minimize(
        spring(),
        np.full(8, 2.0),
        adjoint.optimize.SteepestDescent(bounds=adjoint.Bounds(1.0, 9.0)),
        stop=adjoint.Stopping(iterations=2),
        callback=recorder,
    )
    recorder.result(result)
    check = result.gradient_check
    assert check.derivative == pytest.approx(check.difference, rel=1e-6)
    stored = read_history(tmp_path / "history.jsonl").result["gradient_check"]
    assert stored == {"derivative": check.derivative, "difference": check.difference}
    unchecked = adjoint.minimize(
        spring(),
        np.full(8, 2.0),
        adjoint.optimize.SteepestDescent(bounds=adjoint.Bounds(1.0, 9.0)),
        stop=adjoint.Stopping(iterations=2),
        check=False,
    )
    assert unchecked.gradient_check is None


def test_newton_steps_are_counted():
    def residual(u, p):
        return u * u - p

    R = adjoint.complex_step_residual(residual, n=2, m=2)
    problem = adjoint.NonlinearProblem(R, np.full(2, 3.0), factorize=adjoint.lu)
    with adjoint.counting() as counts:
        solution = problem.solve(np.array([2.0, 5.0]))
    assert counts.newton == len(solution.evidence.history) - 1 > 2


def test_all_that_a_thread_has_done_is_counted_once():
    before = total()
    with adjoint.counting() as counts:
        spring()(np.ones(8))
    assert (
        (total().numeric - before.numeric, total().rhs - before.rhs)
        == (counts.numeric, counts.rhs)
        == (1, 1)
    )


def test_a_state_that_ends_the_run_adds_its_refused_trials_to_the_result(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder(last := state(3))
    stuck = replace(last, rejected=np.array([4.0, np.nan]), ending=adjoint.Status.STUCK)
    recorder(stuck)
    cause = adjoint.errors.SingularMatrix("row 3")
    recorder.result(ended(stuck, adjoint.Status.FAILED, cause))
    history = read_history(tmp_path / "history.jsonl")
    assert history.numbers.tolist() == [3]
    assert history.result["rejected"] == [4.0, None]
    assert history.result["cause"] == "SingularMatrix: row 3"
    assert history.result["success"] is False


def test_without_a_header_the_directory_gives_the_title(tmp_path):
    recorder = Recorder(tmp_path / "beam" / "history.jsonl")
    recorder(state(0))
    header = read_history(tmp_path / "beam" / "history.jsonl").header
    assert header["title"] == "beam"
    assert header["environment"] == environment()


def test_two_runs_in_one_file_and_measures_in_place_of_fields_are_refused(tmp_path):
    recorder = Recorder(tmp_path / "history.jsonl")
    recorder(state(1))
    with pytest.raises(ValueError, match=r"iteration 0 after 1.*a new recorder"):
        recorder(state(0))
    measuring = Recorder(tmp_path / "other.jsonl", lambda s: {"kkt": 0.0})
    with pytest.raises(ValueError, match=r"measures named \['kkt'\]"):
        measuring(state(0))


# ----------------------------------------------------------------------------------------------
# resumed


def chain(path, stop, resume, each=()):
    recorder = Recorder(path / "history.jsonl", resume=resume)
    recorder.header("Chain", algorithm="descent", stop=stop)
    algorithm = adjoint.optimize.SteepestDescent(bounds=adjoint.Bounds(1.0, 1e3))
    f, x = spring(), np.linspace(1.1, 2.0, 8)
    result = adjoint.minimize(
        f,
        x,
        algorithm,
        stop=stop,
        callback=[recorder, *each],
        restart=path / "state.npz",
        resume=resume,
    )
    recorder.result(result)
    return read_history(path / "history.jsonl")


@dataclass(eq=False)
class Killed(Exception):
    at: int

    def __call__(self, state):
        if state.iteration == self.at:
            raise self


def same(record, other):
    """But for what no two runs have in common."""
    varying = ("seconds", "elapsed", "peak_rss_mb", "counts")
    return all(record[name] == other[name] for name in record if name not in varying)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_run_killed_before_its_checkpoint_and_resumed_leaves_the_history_of_one_that_was_not(
    tmp_path, at
):
    stop = adjoint.Stopping(iterations=6, stationarity=0.0)
    whole = chain(tmp_path / "whole", stop, False)
    with pytest.raises(Killed):
        chain(tmp_path / "killed", stop, False, [Killed(at)])
    cut = read_history(tmp_path / "killed" / "history.jsonl")
    assert cut.numbers[-1] == at  # Recorded, and the checkpoint is of the iteration before.
    resumed = chain(tmp_path / "killed", stop, True)
    assert resumed.numbers.tolist() == whole.numbers.tolist()
    assert all(map(same, resumed.iterations, whole.iterations))
    assert resumed.header["started"] == cut.header["started"]
    assert len(resumed.header["resumed"]) == 1
    assert (np.diff(resumed.elapsed) > 0).all()
    assert resumed.result["seconds"] >= resumed.elapsed[-1]
    for name in (
        "numeric",
        "solves",
        "rhs",
    ):  # A resumed run evaluates f at its design first: is it the f of the file?
        more = resumed.parts("counts", name) - whole.parts("counts", name)
        assert more.tolist() == [0] * at + [1] * (7 - at)
        assert resumed.result["counts"][name] == whole.result["counts"][name] + 1


def test_a_run_that_had_ended_goes_on_in_its_file(tmp_path):
    chain(tmp_path, adjoint.Stopping(iterations=3, stationarity=0.0), False)
    again = chain(tmp_path, adjoint.Stopping(iterations=3, stationarity=0.0), True)
    assert again.numbers.tolist() == [0, 1, 2, 3]
    further = chain(tmp_path, adjoint.Stopping(iterations=5, stationarity=0.0), True)
    assert further.result["gradient_check"] == again.result["gradient_check"] is not None
    assert further.numbers.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(further.header["resumed"]) == 2
    assert further.header["stopping"]["iterations"] == 5
    assert (np.diff(further.parts("counts", "numeric")) >= 1).all()


def test_a_torn_line_and_a_result_are_dropped_when_the_file_is_gone_on_with(tmp_path):
    path = tmp_path / "history.jsonl"
    recorder = Recorder(path)
    recorder(state(0))
    recorder(state(1))
    recorder.result(ended(state(1)))
    whole = path.read_text()
    for cut in range(len(whole) - 200, len(whole), 7):
        path.write_text(whole[:cut])
        HistoryWriter(path, resume=True)
        assert read_history(path).result is None
        assert read_history(path).numbers.tolist() == [0, 1]
    path.write_text(whole.splitlines()[0][:50])
    resumed = Recorder(path, resume=True)
    resumed(state(0))
    assert read_history(path).numbers.tolist() == [0]


def test_the_history_of_another_run_is_not_gone_on_with(tmp_path):
    path = tmp_path / "history.jsonl"
    Recorder(path).header("Rod", algorithm=adjoint.optimize.SteepestDescent())
    other = Recorder(path, resume=True)
    with pytest.raises(ValueError, match=r"another run: its title is 'Rod', expected 'Beam'"):
        other.header("Beam", algorithm=adjoint.optimize.SteepestDescent())
    path.write_text("hello\n")
    with pytest.raises(ValueError, match="not JSON"):
        HistoryWriter(path, resume=True)


def test_a_history_of_an_earlier_version_is_gone_on_with(tmp_path):
    path = tmp_path / "history.jsonl"
    old = [
        {"kind": "header", "title": "Rod"},
        {"kind": "iteration", "iteration": 1, "counts": {"numeric": 5}},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in old))
    recorder = Recorder(path, resume=True)
    recorder(state(2))
    history = read_history(path)
    assert history.parts("counts", "numeric").tolist() == [5, 5]
    assert history.header["title"] == "Rod"


# ----------------------------------------------------------------------------------------------
# settings


def test_settings_are_the_numbers_and_words_of_an_algorithm():
    assert "inner" not in settings(
        adjoint.optimize.SteepestDescent(adjoint.optimize.Weighted(np.ones(3)))
    )  # An array has no words.
    volume = adjoint.optimize.LinearConstraint(np.ones(3), 1.5)
    asked = settings(adjoint.optimize.MMA((volume, volume), adjoint.Bounds(0.0, 1.0), move=0.2))
    assert asked["constraints"] == "2 × LinearConstraint (bound 1.5)"
    assert (asked["bounds"], asked["move"]) == ("Bounds (lower 0, upper 1)", "0.2")
    assert settings(adjoint.optimize.LBFGS()).keys() == {
        "memory",
        "inner",
        "search",
    }  # No infinite bounds.
    nested = settings(
        adjoint.optimize.AugmentedLagrangian(adjoint.optimize.LBFGS(memory=7), (volume,) * 10)
    )
    assert "memory 7" in nested["algorithm"]
    stages = [
        adjoint.optimize.Stage({"beta": beta}, adjoint.Stopping(iterations=30))
        for beta in range(10)
    ]
    steps = settings(adjoint.optimize.Continuation(lambda given: None, stages))["stages"]
    assert steps.startswith(
        "Stage (settings beta 0, until iterations 30); Stage (settings beta 1, "
    )
    assert steps.endswith("; 2 more")
    assert settings("by hand") == settings(adjoint.optimize.Euclidean()) == {}


def test_libraries_go_by_their_names():
    files = (
        "libscipy_openblas64_-32a4b2a6.so",
        "libopenblasp-r0.3.21.so",
        "libgomp.so.1.0.0",
        "libomp.dylib",
        "mkl",
    )
    assert [plain_library(file) for file in files] == [
        "scipy_openblas64",
        "openblasp",
        "gomp",
        "omp",
        "mkl",
    ]
