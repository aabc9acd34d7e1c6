"""The mode converter of the waveguide: energy balance, ports, and the power converted."""

from pathlib import Path

import numpy as np
import pytest

from scripts.examples.waveguide import __main__ as waveguide
from scripts.examples.waveguide.converter import Converter


def test_powers_of_any_design_sum_to_the_power_that_enters() -> None:
    guide = Converter((48, 16))
    k = guide.k
    m = (guide.columns[1] - guide.columns[0]) * guide.cells[1]
    eps = guide.permittivity(np.random.default_rng(0).uniform(size=m))
    solution = guide.problem(k).solve(eps)
    leaving = sum(guide.transmitted(k, mode).value(solution.u, eps) for mode in (1, 2))
    assert leaving + guide.reflected(solution.u, k).sum() == pytest.approx(1.0, abs=1e-12)


def test_all_power_leaves_in_mode_two(tmp_path: Path) -> None:
    numbers = waveguide.main(tmp_path, small=True, quiet=True)
    assert numbers["power in mode 2"] > 0.9999
    assert numbers["power in mode 2, rounded design"] > 0.98
    assert numbers["energy balance"] < 1e-12
    assert numbers["check: order of the remainder"] == pytest.approx(2.0, abs=0.1)
    assert {file.name for file in tmp_path.iterdir()} == {"waveguide.png", "waveguide.json"}
