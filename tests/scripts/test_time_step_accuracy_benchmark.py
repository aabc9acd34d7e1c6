"""The benchmark of time-step errors runs, and no accepted estimate is wrong."""

import json

from scripts.benchmarks import time_step_accuracy


def test_accepted_estimates_are_right(tmp_path):
    rows = time_step_accuracy.main(tmp_path, small=True)
    path = tmp_path / "time_step_accuracy.json"
    assert json.loads(path.read_text(encoding="utf-8")) == rows
    for name, row in rows.items():
        assert row["accepted"] >= 3
        assert row["ratio"][1] <= 2.0
        assert "step" in name or row["ratio"][0] >= 0.5  # Jumps and kinks may be overestimated.
