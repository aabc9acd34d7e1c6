"""The benchmark of log-determinants runs, with one factorization per gradient."""

import json
from pathlib import Path

from scripts.benchmarks import log_determinant


def test_the_benchmark_of_log_determinants_counts_one_factorization(tmp_path: Path) -> None:
    log_determinant.main(tmp_path, small=True, rounds=1)
    results = json.loads((tmp_path / "log_determinant.json").read_text())
    for of_matrix in results.values():
        assert of_matrix["factorizations"] == 1
        assert of_matrix["right-hand sides"] == 8  # The verified columns, refined.
        assert of_matrix["error of verified columns"] < 1e-10
