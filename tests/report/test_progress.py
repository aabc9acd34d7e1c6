"""Laws of the progress line: one line that is written over, or lines now and then.

The time left is a bound.
"""

import io
from dataclasses import replace

import numpy as np
import pytest

import adjoint
from adjoint.optimize import State
from adjoint.report import LoopProgress, ProgressLine, SweepProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Seconds that pass by themselves: `step` from one call to the next."""

    def __init__(self, step):
        self.now, self.step = -step, step

    def __call__(self):
        self.now += self.step
        return self.now


def state(k, **fields):
    known = {"stationarity": 1.0, "projected": 1.0, "change": 0.5}
    return State(k, np.ones(1), 2.0, np.ones(1), **(known | fields))


def shown(states, stop, stream, step=2.0):
    with ProgressLine(stop, stream=stream, clock=Clock(step)) as line:
        for each in states:
            line(each)
    return stream.getvalue()


STOP = adjoint.Stopping(iterations=100)


def test_a_terminal_shows_one_line_that_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    text = shown([state(k) for k in range(4)], STOP, Terminal())
    assert text.endswith("\n")
    drawn = list(dict.fromkeys(line.rstrip("\n") for line in text.split("\r")[1:]))
    assert [line.split(",")[0] for line in drawn if line] == [
        f"iteration {k} of at most 100" for k in range(4)
    ]
    assert max(map(len, drawn)) == 49
    assert drawn[-1].startswith("iteration 3 of at most 100, at most 3 min 14 s le")


def test_a_file_gets_a_line_every_ten_seconds_and_the_last_state():
    text = shown([state(k) for k in range(8)], STOP, io.StringIO())
    assert [line.split(",")[0] for line in text.splitlines()] == [
        f"iteration {k} of at most 100" for k in (0, 5, 7)
    ]
    assert "left" not in text.splitlines()[-1]
    assert "\r" not in text


def test_the_time_left_is_bounded_by_every_budget():
    stop = adjoint.Stopping(iterations=100, seconds=60.0)
    line = shown([state(k) for k in range(6)], stop, Terminal())
    assert "at most 48 s left" in line  # 12 s have passed.


@pytest.mark.parametrize(
    ("fields", "stop"),
    [
        ({"stationarity": lambda k: 10.0**-k}, adjoint.Stopping(stationarity=1e-20)),
        ({"projected": lambda k: 10.0**-k}, adjoint.Stopping(projected=1e-20)),
        ({"change": lambda k: 10.0**-k if k else np.inf}, adjoint.Stopping(change=1e-20)),
    ],
)
def test_steady_convergence_tells_when_the_run_will_end(fields, stop):
    states = [state(k, **{name: value(k) for name, value in fields.items()}) for k in range(11)]
    text = shown(states, stop, Terminal())
    assert "about 20 s left" in text.split("\r")[-1]  # 10 more iterations, each 2 s.
    assert "about" not in shown([state(k) for k in range(11)], stop, Terminal())


def test_the_rate_of_an_earlier_stage_is_forgotten():
    states = [state(k, stationarity=10.0**-k) for k in range(9)] + [
        state(9, stationarity=1.0, stage=1)
    ]
    text = shown(states, adjoint.Stopping(stationarity=1e-20), Terminal()).split("\r")[-1]
    assert "left" not in text
    assert "stage 1" in text


def test_quiet_says_nothing():
    stream = io.StringIO()
    with ProgressLine(STOP, stream=stream, quiet=True) as line:
        line(state(0))
    assert stream.getvalue() == ""


def test_the_standard_output_is_the_one_at_the_time(capsys):
    with ProgressLine(STOP) as line:
        line(state(3, violation=0.5))
    assert (
        "iteration 3 of at most 100, f = 2, KKT 1, violation 0.5, change 0.5"
        in capsys.readouterr().out
    )


def test_a_fast_run_redraws_its_line_ten_times_a_second_and_shows_its_last_state():
    text = shown([state(k) for k in range(100)], STOP, Terminal(), step=0.004)
    assert text.count("iteration ") <= 11
    assert "iteration 99 of" in text.split("\r")[-1]


# ----------------------------------------------------------------------------------------------
# sweeps


def decay(t, u, p):
    return -p * u


DECAY = adjoint.ODEProblem(
    adjoint.complex_step_field(decay, n=1, m=1), np.ones(1), t=(0.0, 3.0), rtol=1e-6
)


@pytest.mark.parametrize(
    ("memory", "slots"),
    [(adjoint.checkpointing.Everything(), None), (adjoint.checkpointing.Checkpoints(6), 6)],
)
def test_progress_grows_from_0_to_1_in_each_sweep(memory, slots):
    progress, seen = SweepProgress(DECAY.t, slots, quiet=True), []

    def watch(event):
        progress(event)
        seen.append((progress.sweep, progress.fraction))

    solution = replace(DECAY, memory=memory, callback=watch).solve(np.ones(1))
    solution.vjp(np.ones_like(solution.u))
    solution.jvp(np.ones(1))
    for sweep, last in (("forward", 0.6), ("reverse", 1.0), ("tangent", 1.0)):
        fractions = np.array([fraction for name, fraction in seen if name == sweep])
        assert fractions[0] <= 0.1
        assert np.all(np.diff(fractions) >= 0.0)
        assert last <= fractions[-1] <= 1.0


def test_time_left_of_sweeps_at_constant_speed_is_what_they_take():
    """One step in ten seconds, all states kept: n steps before the end ten n seconds are left."""
    stream, now = io.StringIO(), [0.0]
    with SweepProgress(
        (0.0, 10.0), label="gradient 1: ", stream=stream, clock=lambda: now[0]
    ) as progress:
        for k in range(10):
            progress(adjoint.checkpointing.SweepEvent("forward", k, float(k)))
            progress(adjoint.checkpointing.SweepEvent("store", k, float(k)))
            now[0] += 10.0
        for k in reversed(range(10)):
            progress(adjoint.checkpointing.SweepEvent("reverse", k, float(k)))
            now[0] += 10.0
    lines = stream.getvalue().splitlines()
    assert lines[5] == "gradient 1: forward sweep, 50 %, 50 s left"
    assert lines[-1] == "gradient 1: reverse sweep, 100 %, 0 ms left"


def test_loops_say_how_many_of_their_passes_are_done():
    stream = Terminal()
    with LoopProgress(4, stream=stream, clock=Clock(2.0)) as progress:
        for k in (1, 2, 3, 4):
            progress(k, f"error {k}")
    assert "2 of at most 4, at most 4 s left: error 2" in stream.getvalue()
    assert stream.getvalue().split("\r")[-1].startswith("4 of at most 4: error 4")
