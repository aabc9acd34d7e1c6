"""The example of channel flow runs with --small, with the published numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.polynomial import legendre

import adjoint
from adjoint.checks import check_hvp
from adjoint.eigen import GeneralEigenSolution
from problems.steady.orr_sommerfeld import (
    NEAR_WAVE,
    Coefficients,
    GrowthRate,
    orr_sommerfeld,
)
from scripts.examples.stability import __main__ as stability
from scripts.examples.stability.neutral_curve import growth


def test_stability_finds_the_published_critical_point(tmp_path: Path, capsys) -> None:
    """CASES: Orr–Sommerfeld, Orszag (1971)."""
    numbers = stability.main(tmp_path / "new", small=True)
    c = complex(*numbers["c at alpha = 1, Re = 1e4"])
    assert c == pytest.approx(0.23752649 + 0.00373967j, abs=6e-9)
    assert numbers["Re_c"] == pytest.approx(5772.2218, abs=1e-3)
    assert numbers["alpha_c"] == pytest.approx(1.020547, abs=1e-5)
    assert numbers["factorizations for c and its gradient"] == 1
    assert numbers["Newton steps to the critical point"] <= 6
    assert 20.0 <= numbers["condition of c"] <= 100.0
    assert json.loads((tmp_path / "new" / "stability.json").read_text()) == numbers
    assert (tmp_path / "new" / "stability.png").read_bytes().startswith(b"\x89PNG")
    assert "Re_c" in capsys.readouterr().out


def test_the_growth_rate_obeys_the_laws() -> None:
    f, x = growth(50, NEAR_WAVE), np.array([1.02, 5800.0])
    assert adjoint.check(f, x).ok
    assert check_hvp(f, x).ok


def test_the_density_predicts_the_effect_of_another_profile() -> None:
    """∫ density δU dy is the difference of Im c of two profiles U ± h δU."""
    n, x, h = 50, np.array([1.0, 1e4]), 1e-5
    point = growth(n, NEAR_WAVE)(x)
    assert isinstance(point.solution, GeneralEigenSolution)
    y, w = legendre.leggauss(120)
    _, density = stability.structure(n, point, y)
    predicted = np.sum(w * density * np.cos(7.0 * y))

    def of(step: float) -> float:
        profile = (
            lambda y: 1.0 - y**2 + step * np.cos(7.0 * y),
            lambda y: -2.0 - 49.0 * step * np.cos(7.0 * y),
        )
        problem = orr_sommerfeld(n, profile=profile)
        return adjoint.Reduced(problem, GrowthRate(), Coefficients())(x).value

    assert (of(h) - of(-h)) / (2.0 * h) == pytest.approx(predicted, rel=1e-6)


def test_more_basis_functions_do_not_change_the_wave() -> None:
    p = Coefficients()(np.array([1.0, 1e4]))
    coarse, fine = (replace(orr_sommerfeld(n), count=3).solve(p) for n in (90, 140))
    assert np.allclose(coarse.values, fine.values, rtol=1e-9)
