"""The benchmark of checkpoints runs, and its counts agree with the closed form."""

import json

from scripts.benchmarks.ode import checkpoints


def test_small_run_repeats_as_few_steps_as_the_closed_form_says(tmp_path, capsys):
    result = checkpoints.main(tmp_path, small=True)
    assert result["repeated"] == result["closed form"] > 0
    assert result["distance from the continuous gradient"] < 1e-3
    assert json.loads((tmp_path / "checkpoints.json").read_text()) == result
    assert "closed form" in capsys.readouterr().out
