"""The comparison of all optimizers runs, and writes what it prints."""

import json

from scripts.examples.shootout import __main__ as shootout


def test_every_algorithm_is_compared(tmp_path, capsys):
    numbers = shootout.main(tmp_path, small=True, quiet=True)
    printed = capsys.readouterr().out
    assert (tmp_path / "shootout.txt").read_text() == printed
    assert json.loads((tmp_path / "shootout.json").read_text()) == numbers
    assert (tmp_path / "shootout.png").stat().st_size > 10_000
    squares, programs, beams = (suite["costs"] for suite in numbers.values())
    for name in ("BFGS", "LBFGS", "NewtonCG"):
        assert all(row[name] is not None for row in squares.values())
    assert all(
        row[name] is not None
        for row in programs.values()
        for name in ("MMA", "GCMMA", "AugmentedLagrangian")
    )
    assert sum(cost is not None for row in beams.values() for cost in row.values()) >= 3
