"""The benchmark of selected inverses of general matrices runs, and counts its work."""

from pathlib import Path

from scripts.benchmarks import log_determinant_general


def test_a_selected_inverse_takes_one_more_factorization(tmp_path: Path) -> None:
    results = log_determinant_general.main(tmp_path, small=True, rounds=1)
    assert (tmp_path / "log_determinant_general.json").exists()
    for of_matrix in results.values():
        assert of_matrix["factorizations"] == 1  # In addition to that of the solves.
        assert of_matrix["error of verified entries"] < 1e-12
