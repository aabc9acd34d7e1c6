"""The benchmark of the gradient tolerance runs, and loose solves save Krylov iterations."""

import json

import pytest

from scripts.benchmarks import gradient_tolerance


def test_loose_solves_take_fewer_krylov_iterations(tmp_path):
    rows = gradient_tolerance.main(tmp_path, small=True)
    saved = json.loads((tmp_path / "gradient_tolerance.json").read_text(encoding="utf-8"))
    assert saved == rows
    assert len(rows) >= 2
    for row in rows:
        assert row["ratio of krylov"] >= 1.5
        assert row["rtol of the result"] == 0.0
        assert row["compliance, tuned"] == pytest.approx(row["compliance"], rel=5e-3)
