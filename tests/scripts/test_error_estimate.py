"""The example of error estimates: predictions are the true errors, and the page says so."""

import json
from pathlib import Path

import pytest

from scripts.examples.error_estimate import __main__ as example

FOLDER = Path(example.__file__).parent


def test_small_run_predicts_the_true_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = example.main(tmp_path, small=True)
    assert numbers == json.loads((tmp_path / "error_estimate.json").read_text())
    assert set(numbers) == {"Beam", "Transport"}
    for rows in numbers.values():
        accepted = [row for row in rows if row["status"] == "ACCEPTED"]
        assert len(accepted) >= 2
        for row in accepted:
            assert row["true_gradient"] == pytest.approx(row["predicted_gradient"], rel=0.1)
            assert row["corrected_gradient"] <= 0.1 * row["true_gradient"]
    assert (tmp_path / "error_estimate.png").stat().st_size > 10_000
    assert "Beam" in capsys.readouterr().out


def test_numbers_in_the_documentation_are_those_of_the_run() -> None:
    numbers = json.loads((FOLDER / "error_estimate.json").read_text())
    text = (FOLDER / "README.md").read_text()
    for rows in numbers.values():
        ratios = [
            row["true_gradient"] / row["predicted_gradient"]
            for row in rows
            if row["status"] == "ACCEPTED"
        ]
        assert len(ratios) == len(rows) - 1
        assert 0.999 <= min(ratios) <= max(ratios) <= 1.001
        for row in (rows[2], rows[6], rows[10]):
            assert f"| {row['predicted_gradient']:.1e} | {row['true_gradient']:.1e} |" in text
