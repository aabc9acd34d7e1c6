"""The example of a random field runs with --small; its field has the stated law."""

import json
from pathlib import Path

import numpy as np
import pytest

import adjoint
from scripts.examples.random_field import __main__ as random_field
from scripts.examples.random_field.field import (
    SIDE,
    FieldMap,
    FieldParameters,
    logarithms,
    range_and_deviation,
)


def test_the_parameters_of_the_field_are_found(tmp_path: Path) -> None:
    numbers = random_field.main(tmp_path / "new", small=True)
    assert numbers["status"] == "STATIONARY"
    assert np.abs(numbers["errors of x in standard errors"]).max() < 2.6
    assert 0.94 < numbers["nodes within 1.96 standard deviations"] < 0.96
    assert numbers["rms error of the mode"] < 0.3
    assert numbers["largest deviation in the lake"] > 4.0 * numbers["median deviation"]
    assert numbers["factorizations of a value and gradient"] <= 6
    assert numbers["check: order of the remainder"] == pytest.approx(2.0, abs=0.05)
    assert numbers["check: relative error"] < 1e-9
    assert json.loads((tmp_path / "new" / "random_field.json").read_text()) == numbers
    assert (tmp_path / "new" / "random_field.png").read_bytes().startswith(b"\x89PNG")


def test_the_field_has_the_stated_range_and_deviation() -> None:
    """In the middle of the map: σ, and the Matérn correlation κr K₁(κr), 0.14 at the range."""
    from scipy.special import k1

    field = FieldMap(121)
    x = logarithms(6.0, 0.9, 0.0)
    assert range_and_deviation(x) == pytest.approx((6.0, 0.9))
    factors = adjoint.cholesky(field.precision(FieldParameters()(x)[:3]))
    middle = 60 * 121 + 60
    unit = np.zeros(121**2)
    unit[middle] = 1.0
    covariance = field.picture(factors.solve(unit))[60, 60:]
    assert covariance[0] == pytest.approx(0.81, rel=0.03)
    distance = np.sqrt(8.0) / 6.0 * SIDE / 120 * np.arange(1, 30)
    matern = 0.81 * distance * k1(distance)
    np.testing.assert_allclose(covariance[1:30], matern, atol=0.02)


def test_samples_have_the_precision_matrix() -> None:
    """uᵀQu has the mean n and the variance 2n."""
    field, x = FieldMap(40), logarithms(6.0, 0.9, -0.5)
    Q = field.precision(FieldParameters()(x)[:3])
    rng = np.random.default_rng(2)
    squares = [u @ (Q @ u) for u in (field.sample(x, rng) + 0.5 for _ in range(20))]
    assert abs(np.mean(squares) / 1600 - 1.0) < 4.0 * np.sqrt(2.0 / 1600 / 20)


def test_the_design_map_obeys_the_laws() -> None:
    rng, x, phi = np.random.default_rng(3), logarithms(5.0, 0.7, 0.3), FieldParameters()
    v, w = rng.normal(size=3), rng.normal(size=4)
    assert phi.jvp(x, v) @ w == pytest.approx(v @ phi.vjp(x, w), rel=1e-13)
    h = 1e-5
    np.testing.assert_allclose(
        (phi(x + h * v) - phi(x - h * v)) / (2 * h), phi.jvp(x, v), rtol=1e-8
    )
