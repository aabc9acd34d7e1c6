"""The benchmark of error estimates runs, and no accepted estimate is wrong."""

import json

from scripts.benchmarks import accuracy


def test_accepted_estimates_are_right(tmp_path):
    results = accuracy.main(tmp_path, small=True)
    assert json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8")) == results
    assert results["accepted"] >= 10
    assert results["accepted within [0.5, 2]"] == 1.0
    assert results["values accepted within [0.5, 2]"] == 1.0
    assert results["rounding within [0.1, 10]"] >= 0.97
