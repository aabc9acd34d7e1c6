"""The benchmark of eigenproblems runs, with one factorization for all cotangents."""

import json
from pathlib import Path

from scripts.benchmarks import eigen


def test_the_benchmark_of_eigenproblems_counts_one_factorization(tmp_path: Path) -> None:
    eigen.main(tmp_path, small=True, rounds=1)
    results = json.loads((tmp_path / "eigen.json").read_text())
    assert results["factorizations"] == 1
    assert results["block solves of all cotangents"] <= 20
    assert results["Nelson (SuperLU): gradient differs by"] < 1e-10
