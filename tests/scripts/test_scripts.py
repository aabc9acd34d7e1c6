"""Topology optimization and the linear benchmark run, with the published numbers."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from adjoint.optimize import Status
from adjoint.report import read_history
from scripts.benchmarks.steady import linear
from scripts.examples.topology import __main__ as topology
from scripts.examples.topology.beam import Beam


@pytest.mark.parametrize(
    ("choice", "compliance", "iterations"),
    [("density", 233.714573, 144), ("sensitivity", 216.813663, 106)],
)
def test_topology_reaches_the_published_compliance(
    tmp_path: Path, choice: str, compliance: float, iterations: int
) -> None:
    # CASES: Andreassen et al. (2011), 60 x 20, radius 2.4; published 233.71 and 216.81.
    published = ["--small", "--quiet", "--algorithm", "oc", "--projection", "0", "--filter", choice]
    result = topology.main(**vars(topology.parse([*published, "--out", str(tmp_path)])))
    assert result.value == pytest.approx(compliance, rel=1e-7)
    assert result.state.iteration == iterations


def test_quickstart_converges_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = topology.main(tmp_path, small=True)
    assert result.status is Status.STATIONARY
    assert result.iterations < 100
    assert result.value == pytest.approx(196.4917, rel=1e-3)
    history = read_history(tmp_path / "history.jsonl")
    values, kkt = ([record[name] for record in history.iterations] for name in ("objective", "kkt"))
    assert np.all(np.diff(values) < 0.0)  # SiMPL decreases f in each iteration.
    assert kkt[-1] <= topology.KKT * kkt[0]
    assert history.iterations[-1]["volume"] == pytest.approx(0.5, abs=1e-9)
    assert history.iterations[-1]["grayness"] < 0.2
    for said in (capsys.readouterr().out, (tmp_path / "report.html").read_text()):
        assert "Converged: the optimality measure fell below its tolerance." in said


def test_the_sensitivity_filter_needs_optimality_criteria(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        topology.parse(["--filter", "sensitivity", "--out", str(tmp_path)])
    assert "--algorithm oc --projection 0" in capsys.readouterr().err


def test_topology_writes_its_report_and_designs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beam = Beam(nelx=18, nely=6, filter="helmholtz", radius=1.8, projection=0.0)
    result = topology.main(tmp_path, small=False, beam=beam, algorithm="oc", iterations=50)
    assert "iteration 50 of at most 50" in capsys.readouterr().out
    history = read_history(tmp_path / "history.jsonl")
    assert [record["iteration"] for record in history.iterations] == list(range(1, 51))
    assert history.iterations[-1]["objective"] == result.value
    assert history.parts("counts", "numeric")[-1] == 50
    assert history.parts("counts", "transposed")[-1] == 50  # of the filter, none of the beam
    assert history.header["taylor"]["ok"]
    for name in ("report.html", "report.png", "design.png"):
        assert (tmp_path / name).stat().st_size > 100
    assert ElementTree.parse(tmp_path / "design.vti").getroot().get("type") == "ImageData"


def test_linear_benchmark_agrees_with_its_peers(tmp_path: Path) -> None:
    linear.main(tmp_path, small=True, rounds=1)
    ratios = json.loads((tmp_path / "linear.json").read_text())["60x20"]
    assert ratios["SciPy spsolve: gradient differs by"] < 1e-9
    assert np.isfinite(ratios["value and gradient / limit"])
    assert ratios["gradient memory / nnz(K) doubles"] < 3.0
