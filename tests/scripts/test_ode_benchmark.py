"""The benchmark of initial value problems: equal equations, and an end for slow libraries."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from scripts.benchmarks.ode import __main__ as ode
from scripts.benchmarks.ode import tables
from scripts.benchmarks.ode.cases import Case, brusselator, lotka_volterra, robertson
from scripts.benchmarks.ode.ours import METHODS, ROBERTSON, exact, headline
from scripts.benchmarks.ode.peers.libraries import PEERS, difference
from scripts.benchmarks.ode.process import Peer

CASES = [robertson(), lotka_volterra(), brusselator(4)]
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_small_benchmark_writes_numbers_and_figures(tmp_path: Path) -> None:
    ode.main(tmp_path, small=True, rounds=1, given=[])
    results = json.loads((tmp_path / "ode.json").read_text())
    assert results["not installed"] == sorted(PEERS)
    for case in CASES:
        rows = results[case.name]
        assert [row["library"] for row in rows] == [f"ours, {name}" for name in METHODS[case.name]]
        assert max(row["error"] for row in rows) < 5e-3
        assert (tmp_path / f"{case.name.lower()}.png").stat().st_size > 10_000
    text = tables.main(tmp_path / "ode.json")
    assert f"| ours, ESDIRK5 | {results['Brusselator: 8x8'][0]['seconds']:.3g} s (" in text
    assert results["Brusselator: 8x8"][0]["error"] < 2e-6
    assert results["Brusselator: adjoint / forward"]["8"][0]["parameters"] == 66


@cases
def test_objective_and_its_derivative_agree(case: Case) -> None:
    rng = np.random.default_rng(0)
    states, direction = rng.standard_normal((2, case.times.size, case.u0.size))
    h, (_, u_bar) = 1e-4, case.objective(states)
    slope = (
        case.objective(states + h * direction)[0] - case.objective(states - h * direction)[0]
    ) / (2.0 * h)
    assert slope == pytest.approx(np.vdot(u_bar, direction), rel=1e-8, abs=1e-12)


def test_robertson_converges_to_the_digits_it_is_compared_with() -> None:
    case = robertson()
    assert case.error(headline(case)().gradient, ROBERTSON) < 1e-5
    np.testing.assert_array_equal(exact(case, 0.0), ROBERTSON)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.filterwarnings("default")  # the libraries' own
@cases
def test_other_libraries_solve_the_same_equations(case: Case, name: str) -> None:
    package, place = PEERS[name]
    pytest.importorskip(package)
    if package == "torchdiffeq" and case.stiff:
        pytest.skip("explicit methods only")
    module, function = place.split(".")
    ready = getattr(import_module(f"scripts.benchmarks.ode.peers.{module}"), function)(case, 1e-6)
    u, f = case.probe
    assert difference(ready.field(u), f) < 1e-12
    value, gradient = ready.gradient()
    ours = headline(case)()
    assert value == pytest.approx(ours.value, rel=1e-4)
    assert ready.value() == pytest.approx(value, rel=1e-4)
    assert case.error(gradient, ours.gradient) < 5e-3


def test_missing_libraries_are_left_out() -> None:
    have = ode.found([sys.executable])
    assert set(have) <= set(PEERS)
    assert set(have.values()) <= {sys.executable}


def test_library_that_is_too_slow_is_ended() -> None:
    with Peer(sys.executable, "diffrax, reverse", "Robertson", 0, patience=0.01) as peer:
        assert peer.ask("gradient") == {"failed": "not done after 0.01 s"}
        assert peer.ask("value") == {"failed": "not done after 0.01 s"}
        assert peer.process.wait() != 0


def test_process_that_ends_by_itself_is_reported() -> None:
    with Peer(sys.executable, "no such library", "Robertson", 0, patience=60.0) as peer:
        assert peer.ask("value") == {"failed": "the process ended with code 1"}
