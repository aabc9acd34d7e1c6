"""The brachistochrone: its derivatives, orders, and iterations in four inner products."""

import json
from pathlib import Path

import numpy as np
import pytest

import adjoint
from scripts.examples.brachistochrone import __main__ as brachistochrone
from scripts.examples.brachistochrone.curve import GRAVITY, Brachistochrone, Cycloid


@pytest.mark.parametrize(("width", "depth"), [(1.0, 1.0), (0.2, 3.0)])
def test_derivatives_of_the_time_are_right(width: float, depth: float) -> None:
    case = Brachistochrone(12, width, depth)
    x = case.line + 0.05 * width * np.sin(np.pi * case.y[1:-1] / depth)
    assert adjoint.check(case.f, x).ok
    assert adjoint.check_hvp(case.f, x).ok


def test_time_along_a_polygon_is_that_of_constant_accelerations() -> None:
    """On a straight chord the speed √(2 g y) grows linearly in time."""
    case = Brachistochrone(5, 0.7, 1.3)
    x = case.line * np.array([0.8, 1.1, 0.7, 0.9])
    speeds = np.sqrt(2.0 * GRAVITY * case.y)
    lengths = np.hypot(np.diff(case.polygon(x)), case.h)
    assert case.time(x) == pytest.approx(
        np.sum(2.0 * lengths / (speeds[1:] + speeds[:-1])), rel=1e-13
    )


@pytest.mark.parametrize(("width", "depth"), [(1.0, 1.0), (0.2, 3.0), (1.5, 1.0)])
def test_cycloid_ends_at_the_point_and_every_polygon_is_slower(width: float, depth: float) -> None:
    cycloid, case = Cycloid(width, depth), Brachistochrone(200, width, depth)
    assert cycloid.at(np.array([depth]))[0] == pytest.approx(width, rel=1e-12)
    slower = case.time(cycloid.at(case.y[1:-1])) - cycloid.time
    assert 0.0 < slower < 1e-4 * cycloid.time


def test_small_run_has_order_two_and_the_right_product(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = brachistochrone.main(tmp_path, small=True)
    assert numbers == json.loads((tmp_path / "brachistochrone.json").read_text()) | {
        "N": (16, 32, 64)
    }
    assert min(numbers["order of the time"]) >= 1.98
    assert min(numbers["order of the gradient"]) >= 1.5
    counts = numbers["iterations"]
    assert max(counts["energy"]) <= 30
    assert max(counts["energy, Newton–CG"]) <= 8
    assert counts["H¹"][-1] < 0.1 * counts["Euclidean"][-1]
    assert (tmp_path / "brachistochrone.png").stat().st_size > 10_000
    assert "iterations" in capsys.readouterr().out


def test_numbers_in_the_documentation_show_what_the_page_says() -> None:
    folder = Path(brachistochrone.__file__).parent
    numbers = json.loads((folder / "brachistochrone.json").read_text())
    counts, text = numbers["iterations"], (folder / "README.md").read_text()
    assert numbers["N"] == [16, 32, 64, 128, 256, 512, 1024]
    for row in counts.values():
        shown = " | ".join("> 5000" if count is None else str(count) for count in row)
        assert f"| {shown} |" in text
    for name in (
        "time of the polygon less time of the cycloid, s",
        "gradient less Euler-Lagrange residual, s/m2",
    ):
        shown = " | ".join(f"{error:.1e}".replace("e-0", "e-") for error in numbers[name])
        assert f"| {shown} |" in text
    assert f"{numbers['time of the cycloid, s']:.13f}" in text
    assert f"{numbers['time of the straight line, s']:.13f}" in text
    assert numbers["order of the time"][-1] == pytest.approx(2.0, abs=0.01)
    assert numbers["order of the gradient"][-1] == pytest.approx(2.0, abs=0.02)
    assert set(counts["energy, Newton–CG"]) == {7}
