"""Iterations over mesh size: constant in the right inner product, growing in the wrong one."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.examples.mesh_independence import __main__ as mesh_independence
from scripts.examples.mesh_independence.runs import NAMES, TOLERANCE


def test_iterations_are_constant_in_the_right_product_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = mesh_independence.main(tmp_path, small=True, quiet=True)
    counts = numbers["iterations"]
    assert list(counts) == list(NAMES)
    for name in NAMES[:3]:
        assert max(counts[name]) - min(counts[name]) <= 1
    for name in NAMES[3:]:
        assert all(after >= 1.5 * before for before, after in pairwise(counts[name]))
    for falls in numbers["last gradient over first"].values():
        assert max(falls) <= TOLERANCE
    assert json.loads((tmp_path / "iterations.json").read_text())["iterations"] == counts
    assert (tmp_path / "iterations.png").stat().st_size > 10_000
    assert "descent, Euclidean" in capsys.readouterr().out


def test_numbers_in_the_documentation_show_what_was_asked_for() -> None:
    """Constant to one iteration for n = 16 … 512; in the wrong product more on each finer mesh."""
    folder = Path(mesh_independence.__file__).parent
    numbers = json.loads((folder / "iterations.json").read_text())
    assert numbers["n"] == [16, 32, 64, 128, 256, 512]
    for name in NAMES[:3]:
        assert len(numbers["iterations"][name]) == 6
        assert numbers["most less least iterations"][name] <= 1
    for name in NAMES[3:]:
        assert all(
            after >= 1.25 * before for before, after in pairwise(numbers["iterations"][name])
        )
