"""Laws of the progress line: one line that is written over, or lines now and then; the time left is a bound."""

import io

import numpy as np
import pytest

import adjoint
from adjoint.optimize import State
from adjoint.report import ProgressLine


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
    with ProgressLine(stop, stream, clock=Clock(step)) as line:
        for each in states:
            line(each)
    return stream.getvalue()


STOP = adjoint.Stopping(iterations=100)


def test_a_terminal_shows_one_line_that_fits(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    text = shown([state(k) for k in range(4)], STOP, Terminal())
    assert text.endswith("\n")
    drawn = text[:-1].split("\r")[1:]
    assert len(drawn) == 4
    assert {len(line) for line in drawn} == {49}
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
    with ProgressLine(STOP, stream, quiet=True) as line:
        line(state(0))
    assert stream.getvalue() == ""


def test_the_standard_output_is_the_one_at_the_time(capsys):
    with ProgressLine(STOP) as line:
        line(state(3, violation=0.5))
    assert (
        "iteration 3 of at most 100, f = 2, KKT 1, violation 0.5, change 0.5"
        in capsys.readouterr().out
    )
